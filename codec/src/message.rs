//! One typed message at one version: request bodies to messages, responses to whole frames.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, EncodeError, Fault, ShapeError};
use crate::frame::LENGTH_PREFIX_BYTES;
use crate::header::{put_response_header, response_header_bytes};
use crate::shape::{Api, check_request, find_api, find_version, rewrite_request};

/// A request that [`decode_request`] can make: every request of the library that a broker listener takes, and the few
/// of this crate.
pub trait RequestBody: Sized {
    const API_KEY: i16;

    /// True for a type that checks every length itself, so that the shape check would only do the same work twice.
    const IS_SELF_CHECKED: bool = false;

    /// Reads the body at a version and moves past exactly the bytes that the message takes. Called only with a version
    /// that the API has and, unless the type is self-checked, only with bytes that the shape check accepted.
    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError>;
}

/// A response that [`encode_response`] can write.
pub trait ResponseBody {
    const API_KEY: i16;

    /// The bytes that [`ResponseBody::write`] will append, or a little more.
    fn size_bytes(&self, version: i16) -> Result<usize, BodyError>;

    /// Appends the body at a version.
    fn write(&self, buffer: &mut BytesMut, version: i16) -> Result<(), BodyError>;
}

/// Why a body of the right shape cannot be read, or a response cannot be written.
#[derive(Debug)]
pub enum BodyError {
    /// The type cannot hold this version of the message.
    UnsupportedVersion,
    /// The bytes break off or declare something that cannot be; with the bytes read up to there.
    Malformed {
        position: usize,
        fault: Fault,
    },
    Refused(String),
}

/// Turns a request body into a message.
///
/// The body is untrusted. Its shape is checked first, so that no declared length can make the library reserve memory
/// that the bytes do not justify; then the library decodes it. Bytes after the end of the message are ignored, as in
/// Kafka (`AbstractRequest.parseRequest`). A string that is not UTF-8 has U+FFFD in place of the bad bytes, as in Kafka.
/// Unknown tagged fields are skipped: `unknown_tagged_fields` of the message is always empty.
///
/// ```
/// use kafka_protocol::messages::MetadataRequest;
/// use klamm_codec::{DecodeError, Fault, ShapeError, decode_request};
///
/// // An array of 2^31-1 topics in four bytes.
/// let hostile = bytes::Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]);
/// let refused = decode_request::<MetadataRequest>(1, hostile);
/// assert!(matches!(
///     refused,
///     Err(DecodeError::Shape(ShapeError::Malformed { field: "topics", fault: Fault::ArrayTooLong { .. }, .. }))
/// ));
/// ```
pub fn decode_request<T: RequestBody>(version: i16, body: Bytes) -> Result<T, DecodeError> {
    let api = find_version(T::API_KEY, version)?;
    let mut plain = if T::IS_SELF_CHECKED {
        body
    } else {
        check_and_trim(api, version, body)?
    };
    // The last net: the shape check leaves the library no way to panic that is known, and none may take the server
    // down. Nothing half-read outlives a panic: the message is not made and `plain` is dropped.
    let read = catch_unwind(AssertUnwindSafe(|| T::read(&mut plain, version)));
    let library_error = |reason| DecodeError::Library {
        api_key: api.key,
        version,
        reason,
    };
    match read {
        Ok(Ok(_)) if !T::IS_SELF_CHECKED && plain.has_remaining() => Err(library_error(format!(
            "{} bytes were left over",
            plain.remaining()
        ))),
        Ok(Ok(message)) => Ok(message),
        Ok(Err(BodyError::UnsupportedVersion)) => Err(DecodeError::NoMessageType {
            api_key: api.key,
            version,
        }),
        Ok(Err(BodyError::Malformed { position, fault })) => {
            Err(DecodeError::Shape(ShapeError::Malformed {
                field: api.name,
                position,
                fault,
            }))
        }
        Ok(Err(BodyError::Refused(reason))) => Err(library_error(reason)),
        Err(panic) => Err(library_error(panic_reason(panic.as_ref()))),
    }
}

/// Checks the shape of a body and returns the bytes that the library may read: the message without what follows it,
/// written anew only if it has something in it that the library cannot take.
fn check_and_trim(api: &Api, version: i16, body: Bytes) -> Result<Bytes, ShapeError> {
    let walked = check_request(api.key, version, &body)?;
    if walked.is_plain {
        Ok(body.slice(..walked.length_bytes))
    } else {
        rewrite_request(api.key, version, &body)
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

pub(crate) fn refuse(api: &Api, version: i16, error: BodyError) -> EncodeError {
    match error {
        BodyError::UnsupportedVersion => EncodeError::UnsupportedVersion {
            api_key: api.key,
            version,
        },
        BodyError::Malformed { fault, .. } => EncodeError::Unwritable {
            api_key: api.key,
            version,
            reason: fault.to_string(),
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
