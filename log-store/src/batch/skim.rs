//! Walking over the records of a batch, compressed or not, for their deltas and keys alone.

use super::attributes::Codec;
use super::compression::Decompressor;
use super::header::BatchHeader;
use super::records::{RecordRef, Records, RecordsError};
use super::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, VarintError, take_varint, take_varlong};

/// What can be seen of a record without holding its key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOutline {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub has_key: bool,
}

impl RecordOutline {
    pub fn of(record: &RecordRef<'_>) -> RecordOutline {
        RecordOutline {
            timestamp_delta: record.timestamp_delta,
            offset_delta: record.offset_delta,
            has_key: record.key.is_some(),
        }
    }
}

/// The outlines of a batch's records, in order; ends with the first error.
///
/// The records of a compressed batch are read the way Kafka's `PartialDefaultRecord` is: the
/// length of a record is not held against its fields.
pub enum Skim<'a> {
    Plain(Records<'a>),
    Compressed(Box<CompressedSkim<'a>>),
    Failed(Option<RecordsError>),
}

impl<'a> Skim<'a> {
    /// `section` is what follows `header`, and may decompress to at most `bytes_max` bytes.
    pub fn new(
        header: &BatchHeader,
        codec: Codec,
        section: &'a [u8],
        bytes_max: usize,
    ) -> Skim<'a> {
        if codec == Codec::None || header.record_count <= 0 {
            return Skim::Plain(Records::new(section, header.record_count));
        }
        match Decompressor::new(codec, section, bytes_max) {
            Ok(decompressor) => Skim::Compressed(Box::new(CompressedSkim {
                stream: PlainStream { decompressor },
                records_left: header.record_count,
            })),
            Err(error) => Skim::Failed(Some(error.into())),
        }
    }
}

impl Iterator for Skim<'_> {
    type Item = Result<RecordOutline, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Skim::Plain(records) => {
                let record = records.next()?;
                Some(record.map(|record| RecordOutline::of(&record)))
            }
            Skim::Compressed(records) => records.next(),
            Skim::Failed(error) => error.take().map(Err),
        }
    }
}

pub struct CompressedSkim<'a> {
    stream: PlainStream<'a>,
    records_left: i32,
}

impl CompressedSkim<'_> {
    fn next(&mut self) -> Option<Result<RecordOutline, RecordsError>> {
        if self.records_left <= 0 {
            return None;
        }
        self.records_left -= 1;
        let mut outline = match self.stream.take_whole_record() {
            Some(outline) => Ok(outline),
            None => skim_record(&mut self.stream),
        };
        if outline.is_ok() && self.records_left == 0 {
            outline = match self.stream.is_at_end() {
                Ok(true) => outline,
                Ok(false) => Err(RecordsError::Trailing),
                Err(error) => Err(error),
            };
        }
        if outline.is_err() {
            self.records_left = 0;
        }
        Some(outline)
    }
}

/// Takes a record off the front of `bytes` as [`skim_record`] would. `None` when they end within it, or when there is
/// something wrong with it: then somebody else has to find out what.
fn skim_whole_record(bytes: &mut &[u8]) -> Option<RecordOutline> {
    let _record_bytes = take_varint(bytes).ok()?;
    let (_attributes, rest) = bytes.split_first()?;
    *bytes = rest;
    let timestamp_delta = take_varlong(bytes).ok()?;
    let offset_delta = take_varint(bytes).ok()?;
    let key_bytes = skim_field(bytes)?;
    skim_field(bytes)?;
    let header_count = take_varint(bytes).ok().filter(|count| *count >= 0)?;
    for _ in 0..header_count {
        skim_field(bytes).filter(|key_bytes| *key_bytes >= 0)?;
        skim_field(bytes)?;
    }
    Some(RecordOutline {
        timestamp_delta,
        offset_delta,
        has_key: key_bytes >= 0,
    })
}

/// Passes over a key or a value. Returns its length, which is negative when it is null.
#[inline]
fn skim_field(bytes: &mut &[u8]) -> Option<i32> {
    let field_bytes = take_varint(bytes).ok()?;
    *bytes = bytes.get(usize::try_from(field_bytes).unwrap_or(0)..)?;
    Some(field_bytes)
}

fn skim_record(stream: &mut PlainStream<'_>) -> Result<RecordOutline, RecordsError> {
    let _record_bytes = stream.varint()?;
    let _attributes = stream.byte()?;
    let timestamp_delta = stream.varlong()?;
    let offset_delta = stream.varint()?;
    let key_bytes = stream.varint()?;
    stream.skip(key_bytes)?;
    let value_bytes = stream.varint()?;
    stream.skip(value_bytes)?;
    let header_count = stream.varint()?;
    if header_count < 0 {
        return Err(RecordsError::Malformed("its header count is negative"));
    }
    // Each header takes two bytes at least, so a huge count runs out of bytes at the cap.
    for _ in 0..header_count {
        let key_bytes = stream.varint()?;
        if key_bytes < 0 {
            return Err(RecordsError::Malformed("a header has no key"));
        }
        stream.skip(key_bytes)?;
        let value_bytes = stream.varint()?;
        stream.skip(value_bytes)?;
    }
    Ok(RecordOutline {
        timestamp_delta,
        offset_delta,
        has_key: key_bytes >= 0,
    })
}

/// The plain bytes of a section, read forwards. Numbers and fields may span pieces.
struct PlainStream<'a> {
    decompressor: Decompressor<'a>,
}

impl PlainStream<'_> {
    /// The next record, if all of it is at hand.
    fn take_whole_record(&mut self) -> Option<RecordOutline> {
        let piece = self.decompressor.at_hand();
        let mut rest = piece;
        let outline = skim_whole_record(&mut rest)?;
        let record_bytes = piece.len() - rest.len();
        self.decompressor.consume(record_bytes);
        Some(outline)
    }

    fn is_at_end(&mut self) -> Result<bool, RecordsError> {
        Ok(self.decompressor.fill()?.is_empty())
    }

    fn byte(&mut self) -> Result<u8, RecordsError> {
        let &byte = self
            .decompressor
            .fill()?
            .first()
            .ok_or(RecordsError::Truncated)?;
        self.decompressor.consume(1);
        Ok(byte)
    }

    fn varint(&mut self) -> Result<i32, RecordsError> {
        self.number::<VARINT_BYTES_MAX, _>(take_varint)
    }

    fn varlong(&mut self) -> Result<i64, RecordsError> {
        self.number::<VARLONG_BYTES_MAX, _>(take_varlong)
    }

    fn number<const BYTES_MAX: usize, N>(
        &mut self,
        take: fn(&mut &[u8]) -> Result<N, VarintError>,
    ) -> Result<N, RecordsError> {
        let piece = self.decompressor.fill()?;
        let mut rest = piece;
        match take(&mut rest) {
            Ok(number) => {
                let number_bytes = piece.len() - rest.len();
                self.decompressor.consume(number_bytes);
                return Ok(number);
            }
            Err(VarintError::Overlong) => return Err(OVERLONG_NUMBER),
            Err(VarintError::Truncated) => {}
        }
        // The number starts in this piece and ends in the next one.
        let mut bytes = [0; BYTES_MAX];
        for at in 0..BYTES_MAX {
            bytes[at] = self.byte()?;
            if let Ok(number) = take(&mut &bytes[..=at]) {
                return Ok(number);
            }
        }
        Err(OVERLONG_NUMBER)
    }

    /// Passes over `bytes`; over none when the field is null.
    fn skip(&mut self, bytes: i32) -> Result<(), RecordsError> {
        let mut bytes_left = usize::try_from(bytes).unwrap_or(0);
        while bytes_left > 0 {
            let mut piece_bytes = self.decompressor.fill()?.len();
            if piece_bytes == 0 {
                // An lz4 block may be empty without being the last. Kafka takes it for the end
                // where it reads, but not where it skips.
                piece_bytes = self.decompressor.fill()?.len();
            }
            if piece_bytes == 0 {
                return Err(RecordsError::Truncated);
            }
            let skipped_bytes = piece_bytes.min(bytes_left);
            self.decompressor.consume(skipped_bytes);
            bytes_left -= skipped_bytes;
        }
        Ok(())
    }
}

const OVERLONG_NUMBER: RecordsError = RecordsError::Malformed("a number in it does not end");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_at_hand_is_skimmed_as_one_in_pieces(
            // Small numbers make lengths that fit.
            bytes in prop::collection::vec(prop_oneof![4 => 0u8..8, 1 => any::<u8>()], 0..40),
        ) {
            let mut rest = &bytes[..];
            let at_once = skim_whole_record(&mut rest);
            let decompressor = Decompressor::new(Codec::None, &bytes, bytes.len()).expect("plain bytes");
            let mut stream = PlainStream { decompressor };
            let in_pieces = skim_record(&mut stream).ok();
            prop_assert_eq!(at_once, in_pieces);
            if at_once.is_some() {
                prop_assert_eq!(stream.decompressor.at_hand(), rest);
            }
        }
    }
}
