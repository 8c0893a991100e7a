//! Requests to frames and frames to answers.

use super::plan::FrameDamage;
use crate::schema::{Direction, EncodeError, Schemas, Value, decode, encode, object};

pub const API_VERSIONS: i16 = 18;

/// The head of a request and what is done to its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub api_key: i16,
    pub version: i16,
    pub correlation: i32,
    pub client_id: Option<&'a str>,
    pub damage: Option<&'a FrameDamage>,
}

impl Head<'_> {
    /// The version that the server reads in the header.
    fn claimed_version(&self) -> i16 {
        match self.damage {
            Some(FrameDamage::ClaimVersion(version)) => *version,
            _ => self.version,
        }
    }

    fn claimed_api(&self) -> i16 {
        match self.damage {
            Some(FrameDamage::ClaimApi(api_key)) => *api_key,
            _ => self.api_key,
        }
    }
}

/// What a request led to.
#[derive(Debug, Clone)]
pub enum Answer {
    Message(Value),
    /// The server closed the connection instead of answering.
    Closed,
    /// The server neither answered nor closed.
    Nothing,
    /// Bytes that are no response of this API and version, and why.
    Undecodable(String),
    /// No answer was due, and the connection still works.
    Silent,
}

/// The bytes of a request behind the frame's size. `None` for an API that the schemas lack.
pub fn encode_request(
    schemas: &Schemas,
    head: Head<'_>,
    body: &Value,
) -> Result<Vec<u8>, EncodeError> {
    let message = schemas
        .message(head.api_key, Direction::Request)
        .expect("only APIs with a schema are planned");
    let mut body = encode(message, head.version, body)?;
    match head.damage {
        Some(FrameDamage::Cut(count)) => body.truncate(body.len().saturating_sub(*count)),
        Some(FrameDamage::Extend(bytes)) => body.extend(bytes),
        Some(FrameDamage::Invert(position)) => {
            let length = body.len().max(1);
            if let Some(byte) = body.get_mut(position % length) {
                *byte = !*byte;
            }
        }
        Some(FrameDamage::ClaimVersion(_) | FrameDamage::ClaimApi(_)) | None => {}
    }
    let header = object([
        ("requestApiKey", head.claimed_api().into()),
        ("requestApiVersion", head.claimed_version().into()),
        ("correlationId", head.correlation.into()),
        ("clientId", head.client_id.into()),
    ]);
    let header_version = if message.is_flexible(head.version) {
        2
    } else {
        1
    };
    let mut frame = encode(schemas.request_header(), header_version, &header)?;
    frame.extend(body);
    Ok(frame)
}

/// Reads an answer to the request with this head.
///
/// ApiVersions always has header version 0, and answers version 0 to a version that the server does not know.
pub fn decode_response(schemas: &Schemas, head: Head<'_>, frame: &[u8]) -> Answer {
    let raw = || Answer::Message(Value::Bytes(frame.to_vec()));
    let Some(message) = schemas.message(head.claimed_api(), Direction::Response) else {
        return raw();
    };
    let mut version = head.claimed_version();
    if !message.versions.contains(version) {
        if head.claimed_api() != API_VERSIONS {
            return raw();
        }
        version = 0;
    }
    let is_flexible = message.is_flexible(version) && head.claimed_api() != API_VERSIONS;
    let header = decode(schemas.response_header(), i16::from(is_flexible), frame);
    let body = match header {
        Ok((header, body)) => {
            let expected = Value::from(head.correlation);
            if header.field("correlationId") != Some(&expected) {
                return Answer::Undecodable("the correlation id of another request".to_owned());
            }
            body
        }
        Err(error) => return Answer::Undecodable(error.to_string()),
    };
    match decode(message, version, body) {
        Ok((value, [])) => Answer::Message(value),
        Ok((_, rest)) => Answer::Undecodable(format!("{} bytes left over", rest.len())),
        Err(error) => Answer::Undecodable(error.to_string()),
    }
}
