//! The attribute bits of a batch: codec, timestamp type and what kind of batch it is.

use std::fmt;

/// The attribute bits of a batch.
///
/// Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon; the others are
/// unused, and are kept as the client sent them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub u16);

impl Attributes {
    const CODEC_MASK: u16 = 0x07;
    const TIMESTAMP_TYPE_BIT: u16 = 0x08;
    const TRANSACTIONAL_BIT: u16 = 0x10;
    const CONTROL_BIT: u16 = 0x20;
    const DELETE_HORIZON_BIT: u16 = 0x40;
    const KNOWN_MASK: u16 = 0x7f;

    pub fn new(codec: Codec, timestamp_type: TimestampType) -> Attributes {
        Attributes(codec.id().into()).with_timestamp_type(timestamp_type)
    }

    /// The codec of the records section.
    ///
    /// # Errors
    /// The codec id itself, when it is none that Kafka knows (5, 6 and 7).
    pub fn compression(self) -> Result<Codec, u8> {
        let id = (self.0 & Attributes::CODEC_MASK) as u8;
        Codec::from_id(id).ok_or(id)
    }

    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Attributes::TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(self) -> bool {
        self.0 & Attributes::TRANSACTIONAL_BIT != 0
    }

    pub fn is_control(self) -> bool {
        self.0 & Attributes::CONTROL_BIT != 0
    }

    pub fn has_delete_horizon(self) -> bool {
        self.0 & Attributes::DELETE_HORIZON_BIT != 0
    }

    /// The same attributes with another timestamp type; all other bits stay.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        match timestamp_type {
            TimestampType::CreateTime => Attributes(self.0 & !Attributes::TIMESTAMP_TYPE_BIT),
            TimestampType::LogAppendTime => Attributes(self.0 | Attributes::TIMESTAMP_TYPE_BIT),
        }
    }

    #[must_use]
    pub fn with_transactional(self) -> Attributes {
        Attributes(self.0 | Attributes::TRANSACTIONAL_BIT)
    }

    #[must_use]
    pub fn with_control(self) -> Attributes {
        Attributes(self.0 | Attributes::CONTROL_BIT)
    }

    #[must_use]
    pub fn with_delete_horizon(self) -> Attributes {
        Attributes(self.0 | Attributes::DELETE_HORIZON_BIT)
    }

    /// The same attributes without the bits that have no meaning. Kafka drops them whenever it
    /// writes the attributes anew.
    #[must_use]
    pub fn without_unused_bits(self) -> Attributes {
        Attributes(self.0 & Attributes::KNOWN_MASK)
    }
}

/// How the records section of a batch is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    pub fn id(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    pub fn from_id(id: u8) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.id() == id)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        })
    }
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The log, when it took the batch; the header's max timestamp holds for every record.
    LogAppendTime,
}
