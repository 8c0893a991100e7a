//! Request headers, and the header of a response.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use crate::cursor::{Cursor, LengthWidth};
use crate::error::{Fault, HeaderError};
use crate::shape::{Api, find_api};
use crate::text::decode_text;

/// The first eight bytes of every request, readable whatever follows them. With them an error can be logged, or an
/// unsupported ApiVersions request answered, although the rest makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPrefix {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
}

/// A request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    pub api_key: i16,
    /// The version as the client sent it. It may be one that the API does not have: check it before the body is decoded.
    pub api_version: i16,
    pub correlation_id: i32,
    /// Null is taken as empty, as Kafka does.
    pub client_id: StrBytes,
}

/// Reads the first eight bytes of a frame.
pub fn peek_request(frame: &[u8]) -> Result<RequestPrefix, HeaderError> {
    let mut cursor = Cursor::new(frame);
    read_prefix(&mut cursor).map_err(|_| HeaderError::TooShort {
        length: frame.len(),
    })
}

/// Splits a frame into its header and its body. Nothing is copied, except for a client id that is not UTF-8.
///
/// Header version 1 ends with the client id; version 2 adds tagged fields, of which Kafka knows none: they are skipped.
/// The client id has an int16 length in both. Version 0 went away with ControlledShutdown 0 and is not read.
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Bytes), HeaderError> {
    let mut cursor = Cursor::new(&frame);
    let prefix = read_prefix(&mut cursor).map_err(|_| HeaderError::TooShort {
        length: frame.len(),
    })?;
    let api = find_api(prefix.api_key).ok_or(HeaderError::UnknownApi {
        api_key: prefix.api_key,
    })?;
    let is_flexible = api.request_header_version(prefix.api_version) >= 2;
    let client_id =
        read_rest(&frame, &mut cursor, is_flexible).map_err(|fault| HeaderError::Malformed {
            position: cursor.position(),
            fault,
        })?;
    let body = frame.slice(cursor.position()..);
    let header = RequestHeader {
        api_key: prefix.api_key,
        api_version: prefix.api_version,
        correlation_id: prefix.correlation_id,
        client_id,
    };
    Ok((header, body))
}

/// The bytes of the response header at a version of an API.
pub(crate) fn response_header_bytes(api: &Api, version: i16) -> usize {
    if api.response_header_version(version) >= 1 {
        5
    } else {
        4
    }
}

/// Writes the response header: the correlation id, and from header version 1 on an empty section of tagged fields.
pub(crate) fn put_response_header(
    buffer: &mut BytesMut,
    api: &Api,
    version: i16,
    correlation_id: i32,
) {
    buffer.put_i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        buffer.put_u8(0);
    }
}

fn read_prefix(cursor: &mut Cursor<'_>) -> Result<RequestPrefix, Fault> {
    Ok(RequestPrefix {
        api_key: cursor.read_i16()?,
        api_version: cursor.read_i16()?,
        correlation_id: cursor.read_i32()?,
    })
}

/// Reads what follows the prefix and returns the client id.
fn read_rest(frame: &Bytes, cursor: &mut Cursor<'_>, is_flexible: bool) -> Result<StrBytes, Fault> {
    let client_id = match cursor.read_length(LengthWidth::Int16)? {
        Some(length) => decode_text(frame, cursor.take(length)?),
        None => StrBytes::new(),
    };
    if is_flexible {
        skip_tagged_fields(cursor)?;
    }
    Ok(client_id)
}

/// Skips a section of tagged fields in which no tag is known. Tags must ascend (KIP-482).
pub(crate) fn skip_tagged_fields(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let count = cursor.read_unsigned_varint()?;
    let mut least_tag = 0;
    for _ in 0..count {
        let tag = cursor.read_unsigned_varint()?;
        if u64::from(tag) < least_tag {
            return Err(Fault::TagsNotAscending { tag });
        }
        least_tag = u64::from(tag) + 1;
        let size = cursor.read_unsigned_varint()?;
        cursor.take(size as usize)?;
    }
    Ok(())
}
