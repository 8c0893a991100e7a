//! The record-batch format, which is the same on the wire and on disk.
//!
//! Bytes come in as [`RawBatch`] or as anything at all, and become a [`Batch`] once: by
//! [`validate`] when a client or a coordinator sends them, by [`RawBatch::check`] when they are
//! read back. Whoever holds a `Batch` need not look again.

mod attributes;
mod build;
mod compression;
mod control;
mod error;
mod framing;
mod gzip;
pub mod header;
mod inspect;
mod lookup;
mod lz4;
mod rebuild;
mod records;
mod retain;
mod rules;
mod skim;
mod snappy;
mod stamp;
#[cfg(test)]
mod tests;
mod validate;
mod varint;
mod zstd_frames;

use bytes::Bytes;

use header::crc_of;

pub use attributes::{Attributes, Codec, TimestampType};
pub use build::{BatchBuilder, BatchSettings, BuildError, emptied};
pub use compression::{Compression, DecompressError};
pub use control::EndMarker;
pub use error::{BatchError, RECORD_ERRORS_MAX, RecordError, RecordErrorKind, RequestError};
pub use framing::{OnlyBatch, is_first_transactional, only_batch};
pub use header::{
    BATCH_HEADER_BYTES, BatchHeader, HeaderError, MAGIC_V2, NO_SEQUENCE, NO_TIMESTAMP_MS,
};
pub use lookup::TimestampedOffset;
pub use records::{HeaderRef, Headers, RecordRef, Records, RecordsError};
pub use retain::{Horizon, Kept};
pub use rules::{CompressionTarget, Origin, Rules};
pub use skim::RecordOutline;
pub use stamp::{STAMP_BYTES, StampedBatch, stamp};
pub use validate::{validate, validate_only};

/// The bytes of exactly one batch, whose header could be read. The checksum has not been compared.
#[derive(Clone, Debug)]
pub struct RawBatch {
    bytes: Bytes,
    header: BatchHeader,
}

impl RawBatch {
    /// Takes the first batch off the front of `bytes`, sharing the memory.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and [`HeaderError::TooShort`] when the batch is longer than
    /// `bytes`. `bytes` is left alone then.
    pub fn split_from(bytes: &mut Bytes) -> Result<RawBatch, HeaderError> {
        let header = BatchHeader::parse(bytes)?;
        if header.total_bytes() > bytes.len() {
            return Err(HeaderError::TooShort {
                available_bytes: bytes.len(),
            });
        }
        Ok(RawBatch {
            bytes: bytes.split_to(header.total_bytes()),
            header,
        })
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Whether the checksum in the header is that of the bytes. Reads the whole batch.
    pub fn is_crc_valid(&self) -> bool {
        self.header.crc == crc_of(&self.bytes)
    }

    /// Compares the checksum, and trusts the rest to have been validated when it was appended.
    ///
    /// # Errors
    /// [`HeaderError::CrcMismatch`].
    pub fn check(self) -> Result<Batch, HeaderError> {
        let computed = crc_of(&self.bytes);
        if self.header.crc != computed {
            return Err(HeaderError::CrcMismatch {
                stored: self.header.crc,
                computed,
            });
        }
        Ok(Batch::new(self.bytes, self.header))
    }
}

/// One batch that may be appended or served: it is complete, its magic is 2, its checksum is
/// right, and what [`validate`] checks has been checked before it was first appended.
///
/// One thing it does not promise: in a compressed batch, the length of a record may not be that of
/// its fields, since Kafka does not look at it.
///
/// Cloning shares the bytes. A batch from [`validate`] usually shares them with the request that
/// brought it, too.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Bytes,
    header: BatchHeader,
}

impl Batch {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The records section, compressed or not as the attributes say.
    pub fn records_bytes(&self) -> &[u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// The records, decompressed if need be; what [`RecordSection::iter`] then walks over.
    ///
    /// # Errors
    /// When they do not decompress, or to more than `bytes_max` bytes.
    pub fn records(&self, bytes_max: usize) -> Result<RecordSection, RecordsError> {
        let bytes = match self.codec()? {
            Codec::None => self.bytes.slice(BATCH_HEADER_BYTES..),
            codec => {
                let mut plain = Vec::new();
                compression::decompress(codec, self.records_bytes(), bytes_max, &mut plain)?;
                Bytes::from(plain)
            }
        };
        Ok(RecordSection {
            bytes,
            record_count: self.header.record_count,
        })
    }

    fn codec(&self) -> Result<Codec, RecordsError> {
        let codec = self.header.attributes.compression();
        codec.map_err(|_| {
            RecordsError::Decompress(DecompressError::Corrupt {
                reason: "unknown codec",
            })
        })
    }

    /// Puts together what the caller has just checked or built.
    fn new(bytes: Bytes, header: BatchHeader) -> Batch {
        assert!(bytes.len() == header.total_bytes());
        Batch { bytes, header }
    }
}

/// The records of a batch, decompressed.
#[derive(Clone, Debug)]
pub struct RecordSection {
    bytes: Bytes,
    record_count: i32,
}

impl RecordSection {
    pub fn iter(&self) -> Records<'_> {
        Records::new(&self.bytes, self.record_count)
    }
}

/// Batches that are in the log have been held against a cap when they came in, or were written by
/// a Kafka that has none. Skimming takes no more memory for them, however large they are.
const NO_DECOMPRESSION_CAP: usize = usize::MAX;
