//! One typed message at one version: request bodies to messages, responses to whole frames.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, EncodeError};
use crate::frame::LENGTH_PREFIX_BYTES;
use crate::header::{put_response_header, response_header_bytes};
use crate::shape::{Api, check_request, find_api, rewrite_request};

/// A request that [`decode_request`] can make: every request of the library that a broker listener takes, and the few
/// of this crate.
pub trait RequestBody: Sized {
    const API_KEY: i16;

    /// Reads the body at a version. Called only with bytes that the shape check accepted at that version. Reads
    /// exactly the bytes that the message takes.
    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError>;
}

/// A response that [`encode_response`] can write.
pub trait ResponseBody {
    const API_KEY: i16;

    /// The bytes that [`ResponseBody::write`] will append.
    fn size_bytes(&self, version: i16) -> Result<usize, BodyError>;

    /// Appends the body at a version.
    fn write(&self, buffer: &mut BytesMut, version: i16) -> Result<(), BodyError>;
}

/// Why a body of the right shape cannot be read, or a response cannot be written.
#[derive(Debug)]
pub enum BodyError {
    /// The type cannot hold this version of the message.
    UnsupportedVersion,
    Refused(String),
}

/// Turns a request body into a message.
///
/// The body is untrusted. Its shape is checked first, so that no declared length can make the library reserve memory
/// that the bytes do not justify; then the library decodes it. Bytes after the end of the message are ignored, as in
/// Kafka (`AbstractRequest.parseRequest`). A string that is not UTF-8 has U+FFFD in place of the bad bytes, as in Kafka.
/// Unknown tagged fields are skipped: `unknown_tagged_fields` of the message is always empty.
pub fn decode_request<T: RequestBody>(version: i16, body: Bytes) -> Result<T, DecodeError> {
    let api_key = T::API_KEY;
    let walked = check_request(api_key, version, &body)?;
    let mut plain = if walked.is_plain {
        body.slice(..walked.length_bytes)
    } else {
        rewrite_request(api_key, version, &body)?
    };
    // The last net: the shape check leaves the library no way to panic that is known, and none may take the server
    // down. `plain` is dropped on either way out, so that nothing half-read is seen.
    match catch_unwind(AssertUnwindSafe(|| T::read(&mut plain, version))) {
        Ok(Ok(message)) if plain.has_remaining() => {
            drop(message);
            let reason = format!("{} bytes were left over", plain.remaining());
            Err(DecodeError::Library {
                api_key,
                version,
                reason,
            })
        }
        Ok(Ok(message)) => Ok(message),
        Ok(Err(BodyError::UnsupportedVersion)) => {
            Err(DecodeError::NoMessageType { api_key, version })
        }
        Ok(Err(BodyError::Refused(reason))) => Err(DecodeError::Library {
            api_key,
            version,
            reason,
        }),
        Err(panic) => Err(DecodeError::Library {
            api_key,
            version,
            reason: panic_reason(panic.as_ref()),
        }),
    }
}

/// Writes a whole response frame: length, response header and body, in one allocation.
///
/// The header has the version that the API and version ask for; that of ApiVersions is always 0. To answer an
/// ApiVersions request of an unknown version, pass version 0 (KIP-511).
pub fn encode_response<T: ResponseBody>(
    correlation_id: i32,
    version: i16,
    response: &T,
) -> Result<Bytes, EncodeError> {
    let api_key = T::API_KEY;
    let api = find_api(api_key).ok_or(EncodeError::UnknownApi { api_key })?;
    let body_bytes = response
        .size_bytes(version)
        .map_err(|error| refuse(api, version, error))?;
    let mut buffer = BytesMut::with_capacity(
        LENGTH_PREFIX_BYTES + response_header_bytes(api, version) + body_bytes,
    );
    buffer.put_i32(0);
    put_response_header(&mut buffer, api, version, correlation_id);
    response
        .write(&mut buffer, version)
        .map_err(|error| refuse(api, version, error))?;
    patch_length(&mut buffer)?;
    Ok(buffer.freeze())
}

/// Writes the length of a finished frame into its first four bytes.
fn patch_length(buffer: &mut BytesMut) -> Result<(), EncodeError> {
    let length = buffer.len() - LENGTH_PREFIX_BYTES;
    let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
    buffer[..LENGTH_PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
    Ok(())
}

fn refuse(api: &Api, version: i16, error: BodyError) -> EncodeError {
    match error {
        BodyError::UnsupportedVersion => EncodeError::UnsupportedVersion {
            api_key: api.key,
            version,
        },
        BodyError::Refused(reason) => EncodeError::Unwritable {
            api_key: api.key,
            version,
            reason,
        },
    }
}

fn panic_reason(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    format!("panicked: {text}")
}
