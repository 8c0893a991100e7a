//! Record batches: those of the soak's producers, and those that a fetch brings.

use crate::differential::batch::{BatchTemplate, CONTROL, Record, TRANSACTIONAL};
use crate::differential::compression::Codec;
use crate::differential::template::Variables;

/// Base offset, length, leader epoch, magic and checksum, then 40 bytes before the records.
const HEADER_BYTES: usize = 61;
const LENGTH_OVERHEAD: usize = 12;
const CRC_END: usize = 21;

/// Who sends a batch, and where it stands among the batches of that producer on the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
}

/// A batch as an idempotent or transactional client makes it.
pub fn encode(records: Vec<Record>, timestamp_ms: i64, codec: Codec, stamp: Stamp) -> Vec<u8> {
    let records: Vec<_> = records
        .into_iter()
        .zip(0..)
        .map(|(record, offset_delta)| Record {
            offset_delta,
            ..record
        })
        .collect();
    let mut batch = BatchTemplate::good(records, timestamp_ms, codec);
    batch.producer_id = stamp.producer_id;
    batch.producer_epoch = stamp.producer_epoch;
    batch.base_sequence = stamp.base_sequence;
    if stamp.is_transactional {
        batch.attributes |= TRANSACTIONAL;
    }
    batch.resolve(&Variables::default())
}

/// A batch out of a log.
#[derive(Debug)]
pub struct Fetched {
    pub last_offset: i64,
    pub producer_id: i64,
    pub is_transactional: bool,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// Offsets and records.
    Records(Vec<(i64, Record)>),
    /// The end of a transaction.
    Marker { commits: bool },
}

/// The whole batches of a fetched record set; one that is cut off at the end is left out.
///
/// Anything that is not a sound batch is an error in words.
pub fn decode(mut bytes: &[u8]) -> Result<Vec<Fetched>, String> {
    let mut batches = Vec::new();
    while let Some(length) = bytes.get(8..LENGTH_OVERHEAD) {
        let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
        let total = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_OVERHEAD))
            .filter(|total| *total >= HEADER_BYTES)
            .ok_or_else(|| format!("a batch of {length} bytes"))?;
        let Some((batch, rest)) = bytes.split_at_checked(total) else {
            break;
        };
        batches.push(decode_batch(batch)?);
        bytes = rest;
    }
    Ok(batches)
}

/// `batch` has at least the bytes of a header.
fn decode_batch(batch: &[u8]) -> Result<Fetched, String> {
    let long = |at: usize| i64::from_be_bytes(batch[at..at + 8].try_into().expect("eight bytes"));
    let int = |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().expect("four bytes"));
    let base_offset = long(0);
    if batch[16] != 2 {
        return Err(format!(
            "the batch at {base_offset} has magic {}",
            batch[16]
        ));
    }
    if crc32c::crc32c(&batch[CRC_END..]) != int(17) as u32 {
        return Err(format!("the batch at {base_offset} has a wrong checksum"));
    }
    let attributes = i16::from_be_bytes([batch[21], batch[22]]);
    let plain = Codec::of_attributes(attributes)
        .ok_or_else(|| format!("the batch at {base_offset} has no known codec"))?
        .decompress(&batch[HEADER_BYTES..])
        .map_err(|error| format!("the batch at {base_offset} does not decompress: {error}"))?;
    let mut reader = Reader { rest: &plain };
    let records = (0..int(57))
        .map(|_| reader.record(base_offset))
        .collect::<Option<Vec<_>>>()
        .filter(|_| reader.rest.is_empty())
        .ok_or_else(|| format!("the records of the batch at {base_offset} are not readable"))?;
    let last_offset = base_offset + i64::from(int(23));
    if records
        .iter()
        .any(|(offset, _)| !(base_offset..=last_offset).contains(offset))
    {
        return Err(format!("a record outside of its batch at {base_offset}"));
    }
    let content = if attributes & CONTROL == 0 {
        Content::Records(records)
    } else {
        let commits = records
            .first()
            .and_then(|(_, record)| record.key.as_deref()?.get(3).copied());
        Content::Marker {
            commits: commits == Some(1),
        }
    };
    Ok(Fetched {
        last_offset,
        producer_id: long(43),
        is_transactional: attributes & TRANSACTIONAL != 0,
        content,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A signed variable-length integer in zigzag form.
    fn varlong(&mut self) -> Option<i64> {
        let mut bits = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        None
    }

    fn sized(&mut self) -> Option<Option<Vec<u8>>> {
        match self.varlong()? {
            -1 => Some(None),
            count => Some(Some(self.take(usize::try_from(count).ok()?)?.to_vec())),
        }
    }

    fn record(&mut self, base_offset: i64) -> Option<(i64, Record)> {
        let length = usize::try_from(self.varlong()?).ok()?;
        let mut body = Reader {
            rest: self.take(length)?,
        };
        let attributes = body.take(1)?[0] as i8;
        let timestamp_delta = body.varlong()?;
        let offset_delta = i32::try_from(body.varlong()?).ok()?;
        let key = body.sized()?;
        let value = body.sized()?;
        let headers = (0..body.varlong()?)
            .map(|_| Some((body.sized()??, body.sized()?)))
            .collect::<Option<Vec<_>>>()?;
        let record = Record {
            attributes,
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers,
            length_error: 0,
        };
        body.rest
            .is_empty()
            .then_some((base_offset + i64::from(offset_delta), record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::content::{Style, number_in, record_of};

    const STYLE: Style = Style {
        keys: 10,
        has_tombstones: true,
    };

    const STAMP: Stamp = Stamp {
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 0,
        is_transactional: true,
    };

    /// Writes two batches with every codec, cuts the second, and reads the first back record by record.
    #[test]
    fn what_was_encoded_is_decoded_again() {
        for codec in Codec::ALL {
            let records: Vec<_> = (0..5).map(|number| record_of(1, STYLE, number)).collect();
            let mut bytes = encode(records, 1_000, codec, STAMP);
            let whole = bytes.clone();
            bytes.extend(&whole[..whole.len() - 1]);

            let batches = decode(&bytes).expect("sound batches");

            assert_eq!(batches.len(), 1);
            let first = &batches[0];
            assert_eq!(first.last_offset, 4);
            assert_eq!((first.producer_id, first.is_transactional), (7, true));
            let Content::Records(records) = &first.content else {
                panic!("records were written");
            };
            let numbers: Vec<_> = records
                .iter()
                .map(|(offset, record)| (*offset, number_in(1, STYLE, record)))
                .collect();
            let wanted: Vec<_> = (0..5).map(|number| (number, Ok(number as u64))).collect();
            assert_eq!(numbers, wanted);
        }
    }

    /// Inverts each byte behind the checksum in turn; none goes unnoticed.
    #[test]
    fn a_changed_byte_is_noticed() {
        let good = encode(vec![record_of(1, STYLE, 1)], 0, Codec::Lz4, STAMP);
        for position in 16..good.len() {
            let mut bad = good.clone();
            bad[position] = !bad[position];
            assert!(decode(&bad).is_err(), "byte {position}");
        }
    }
}
