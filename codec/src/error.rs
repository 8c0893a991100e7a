//! Why bytes are refused, and why a response cannot be written.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// A length prefix that no frame may have. The connection must be closed: what follows cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    NegativeLength { length: i32 },
    Empty,
    TooLong { length: usize, limit: usize },
}

/// A request header that cannot be read. Kafka closes the connection (`RequestHeader.parse`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// The frame ends before the key, the version and the correlation id.
    TooShort { length: usize },
    /// The key is not one that a broker listener takes.
    UnknownApi { api_key: i16 },
    /// The client id or the tagged fields cannot be read.
    Malformed { position: usize, fault: Fault },
}

/// A request body that does not have the shape of its API and version. Kafka closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeError {
    UnknownApi {
        api_key: i16,
    },
    UnsupportedVersion {
        api_key: i16,
        version: i16,
    },
    /// The field at fault, the number of bytes read up to the fault, and the fault.
    Malformed {
        field: &'static str,
        position: usize,
        fault: Fault,
    },
}

/// What is wrong at one place of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end early.
    Truncated { needed: usize, remaining: usize },
    /// A length below -1 or above 2^31-1.
    LengthOutOfRange { length: i64 },
    /// Null where this version does not allow it.
    NullNotAllowed,
    /// An array declares more elements than the remaining bytes can hold.
    ArrayTooLong { count: usize, remaining: usize },
    /// A string is longer than Kafka reads.
    StringTooLong { length: usize },
    /// A varint does not end after five bytes.
    VarintTooLong,
    /// The byte before a struct that may be null is neither 1 nor negative.
    PresenceUnknown { byte: i8 },
    /// A tag is not above the one before it.
    TagsNotAscending { tag: u32 },
    /// A tagged field does not end where its size says.
    TagSizeWrong {
        tag: u32,
        declared: usize,
        actual: usize,
    },
    /// The request has more array elements than one request may have.
    TooManyElements { limit: usize },
}

/// A request body that cannot be turned into a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    Shape(ShapeError),
    /// The table has this version, but no message type here can hold it.
    NoMessageType {
        api_key: i16,
        version: i16,
    },
    /// The library refused bytes that have the right shape, panicked over them, or read another number of bytes than
    /// the walk did: a defect of this crate or of the library, not of the client.
    Library {
        api_key: i16,
        version: i16,
        reason: String,
    },
}

/// A response that cannot be written at this version: a defect of the handler, not of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    UnknownApi {
        api_key: i16,
    },
    UnsupportedVersion {
        api_key: i16,
        version: i16,
    },
    /// A field is set that this version lacks, or is too long for its encoding.
    Unwritable {
        api_key: i16,
        version: i16,
        reason: String,
    },
    /// The frame would be longer than its length prefix can say.
    TooLong {
        length: usize,
    },
}

impl Display for FrameError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NegativeLength { length } => write!(f, "frame length {length} is negative"),
            FrameError::Empty => write!(f, "frame is empty"),
            FrameError::TooLong { length, limit } => {
                write!(
                    f,
                    "frame of {length} bytes is above the limit of {limit} bytes"
                )
            }
        }
    }
}

impl Display for HeaderError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::TooShort { length } => {
                write!(
                    f,
                    "frame of {length} bytes is too short for a request header"
                )
            }
            HeaderError::UnknownApi { api_key } => write!(f, "unknown api key {api_key}"),
            HeaderError::Malformed { position, fault } => {
                write!(f, "request header is malformed at byte {position}: {fault}")
            }
        }
    }
}

impl Display for ShapeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ShapeError::UnknownApi { api_key } => write!(f, "unknown api key {api_key}"),
            ShapeError::UnsupportedVersion { api_key, version } => {
                write!(f, "api key {api_key} has no version {version}")
            }
            ShapeError::Malformed {
                field,
                position,
                fault,
            } => {
                write!(f, "field {field} is malformed at byte {position}: {fault}")
            }
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated { needed, remaining } => {
                write!(f, "{needed} bytes needed, {remaining} remain")
            }
            Fault::LengthOutOfRange { length } => write!(f, "length {length} is out of range"),
            Fault::NullNotAllowed => write!(f, "null is not allowed"),
            Fault::ArrayTooLong { count, remaining } => {
                write!(
                    f,
                    "array of {count} elements does not fit in {remaining} bytes"
                )
            }
            Fault::StringTooLong { length } => write!(f, "string of {length} bytes is too long"),
            Fault::VarintTooLong => write!(f, "varint is longer than five bytes"),
            Fault::PresenceUnknown { byte } => {
                write!(f, "presence byte {byte} is neither 1 nor negative")
            }
            Fault::TagsNotAscending { tag } => {
                write!(f, "tag {tag} is not above the one before it")
            }
            Fault::TagSizeWrong {
                tag,
                declared,
                actual,
            } => {
                write!(f, "tag {tag} declares {declared} bytes and takes {actual}")
            }
            Fault::TooManyElements { limit } => {
                write!(f, "more than {limit} array elements in one request")
            }
        }
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Shape(error) => error.fmt(f),
            DecodeError::NoMessageType { api_key, version } => {
                write!(f, "no message type for api key {api_key} version {version}")
            }
            DecodeError::Library {
                api_key,
                version,
                reason,
            } => {
                write!(
                    f,
                    "api key {api_key} version {version} passed the shape check but not decoding: {reason}"
                )
            }
        }
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::UnknownApi { api_key } => write!(f, "unknown api key {api_key}"),
            EncodeError::UnsupportedVersion { api_key, version } => {
                write!(
                    f,
                    "no response type for api key {api_key} version {version}"
                )
            }
            EncodeError::Unwritable {
                api_key,
                version,
                reason,
            } => {
                write!(
                    f,
                    "response of api key {api_key} version {version} cannot be written: {reason}"
                )
            }
            EncodeError::TooLong { length } => {
                write!(f, "response of {length} bytes is too long for a frame")
            }
        }
    }
}

impl Error for FrameError {}
impl Error for HeaderError {}
impl Error for ShapeError {}
impl Error for Fault {}
impl Error for DecodeError {}
impl Error for EncodeError {}

impl From<ShapeError> for DecodeError {
    fn from(error: ShapeError) -> Self {
        DecodeError::Shape(error)
    }
}
