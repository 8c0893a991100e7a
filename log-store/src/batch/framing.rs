//! Finding the one batch in the records field of a produce request.
//!
//! This is what Kafka does with a request before any partition is asked. It looks at lengths,
//! magics and attributes only.

use bytes::Bytes;

use super::attributes::{Attributes, Codec};
use super::error::RequestError;
use super::header::{
    ATTRIBUTES_AT, BATCH_LENGTH_AT, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2, PRODUCER_EPOCH_AT,
};

/// The shortest length field of any format: what magic 0 needs.
const LENGTH_MIN: i32 = 14;

/// Whether the first batch in `records` is transactional; `false` when there is no whole batch of
/// magic 2. Kafka asks this of every partition of a request before it looks at any by itself
/// (`RequestUtils.hasTransactionalRecords`).
///
/// # Errors
/// When the length or the magic makes no sense; that fails the request as a whole.
pub fn is_first_transactional(records: &[u8]) -> Result<bool, RequestError> {
    let first = first_frame(records)?.filter(|first| first.magic == MAGIC_V2);
    Ok(first.is_some_and(|_| attributes_of(records).is_transactional()))
}

/// The bytes of one batch of a produce request. Lengths, magic and attributes have been looked at, nothing else.
#[derive(Clone, Debug)]
pub struct OnlyBatch {
    bytes: Bytes,
    attributes: Attributes,
}

impl OnlyBatch {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }
}

/// The only batch in `records`, whose magic is 2. Bytes after it that do not amount
/// to a batch are dropped, as in Kafka's `UnifiedLog.trimInvalidBytes`.
///
/// The batch may still be a little shorter than its header. [`validate`](super::validate()) begins
/// with this; a request handler calls it for every partition before it appends to the first, since
/// some of the errors fail the request as a whole ([`RequestError::fails_request`]).
pub fn only_batch(mut records: Bytes, allows_zstd: bool) -> Result<OnlyBatch, RequestError> {
    let Some(first) = first_frame(&records)? else {
        return Err(RequestError::Invalid {
            reason: "no whole record batch".to_owned(),
        });
    };
    if first.magic != MAGIC_V2 {
        return Err(RequestError::Invalid {
            reason: format!("record batch has magic {} instead of 2", first.magic),
        });
    }
    let attributes = attributes_of(&records);
    if !allows_zstd {
        match attributes.compression() {
            Ok(Codec::Zstd) => return Err(RequestError::UnsupportedCompression),
            Ok(Codec::None | Codec::Gzip | Codec::Snappy | Codec::Lz4) => {}
            Err(id) => {
                return Err(RequestError::UnreadableRequest {
                    reason: format!("unknown codec {id}"),
                });
            }
        }
    }
    if frame_at(&records, first.bytes)?.is_some() {
        return Err(RequestError::Invalid {
            reason: "more than one record batch".to_owned(),
        });
    }
    if first.bytes < PRODUCER_EPOCH_AT {
        // Kafka looks for the producer of every batch in the request before it appends the first.
        return Err(RequestError::UnreadableRequest {
            reason: format!("record batch has only {} bytes", first.bytes),
        });
    }
    records.truncate(first.bytes);
    Ok(OnlyBatch {
        bytes: records,
        attributes,
    })
}

/// The first batch; `None` when it is not all there.
fn first_frame(records: &[u8]) -> Result<Option<Frame>, RequestError> {
    frame_at(records, 0).map_err(|error| match error {
        RequestError::Corrupt { reason } => RequestError::CorruptRequest { reason },
        error => error,
    })
}

/// The attributes of a first batch that is all there; the shortest of magic 2 ends after them.
fn attributes_of(records: &[u8]) -> Attributes {
    let attributes = [records[ATTRIBUTES_AT], records[ATTRIBUTES_AT + 1]];
    Attributes(u16::from_be_bytes(attributes))
}

struct Frame {
    bytes: usize,
    magic: i8,
}

/// The batch that starts at `start`; `None` when it is not all there (Kafka's
/// `ByteBufferLogInputStream.nextBatch`).
fn frame_at(records: &[u8], start: usize) -> Result<Option<Frame>, RequestError> {
    let records = &records[start..];
    let Some(length) = records
        .get(BATCH_LENGTH_AT..)
        .and_then(|rest| rest.first_chunk::<4>())
    else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        return Err(RequestError::Corrupt {
            reason: format!("record batch has a length of {length}"),
        });
    }
    let Some(&magic) = records.get(MAGIC_AT) else {
        return Ok(None);
    };
    let magic = magic as i8;
    if !(0..=MAGIC_V2).contains(&magic) {
        return Err(RequestError::Corrupt {
            reason: format!("record batch has magic {magic}"),
        });
    }
    let Some(bytes) = length.checked_add(LOG_OVERHEAD_BYTES as i32) else {
        return Err(RequestError::UnreadableRequest {
            reason: format!("record batch has a length of {length}"),
        });
    };
    let bytes = bytes as usize;
    Ok((bytes <= records.len()).then_some(Frame { bytes, magic }))
}
