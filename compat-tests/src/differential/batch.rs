//! Record batches for Produce, good ones and ones broken in a named way.

use std::sync::Arc;

use super::compression::Codec;
use super::template::Variables;

/// Bytes of a batch before its length counts: base offset and the length itself.
const LENGTH_OVERHEAD: usize = 12;
const LENGTH_POSITION: usize = 8;
const CRC_POSITION: usize = 17;
const ATTRIBUTES_POSITION: usize = 21;

/// Attribute bits of a batch.
pub const LOG_APPEND_TIME: i16 = 1 << 3;
pub const TRANSACTIONAL: i16 = 1 << 4;
pub const CONTROL: i16 = 1 << 5;
pub const DELETE_HORIZON: i16 = 1 << 6;

/// A record before encoding.
#[derive(Debug, Clone)]
pub struct Record {
    pub attributes: i8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Added to the true length of the record.
    pub length_error: i32,
}

impl Record {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut body = vec![self.attributes as u8];
        put_varlong(&mut body, self.timestamp_delta);
        put_varlong(&mut body, self.offset_delta.into());
        put_sized(&mut body, self.key.as_deref());
        put_sized(&mut body, self.value.as_deref());
        put_varlong(&mut body, self.headers.len() as i64);
        for (key, value) in &self.headers {
            put_sized(&mut body, Some(key));
            put_sized(&mut body, value.as_deref());
        }
        put_varlong(out, body.len() as i64 + i64::from(self.length_error));
        out.extend(body);
    }
}

/// Every field of a batch header may be wrong on purpose.
#[derive(Debug, Clone)]
pub struct BatchTemplate {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub magic: i8,
    pub codec: Codec,
    /// The bits beside the codec.
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    /// The variable that gives the producer id, if the server made it.
    pub producer: Option<Arc<str>>,
    pub producer_epoch: i16,
    /// The variable that gives the producer epoch, if the server made it, and what is added to it.
    pub epoch: Option<(Arc<str>, i16)>,
    pub base_sequence: i32,
    pub count: i32,
    pub records: Vec<Record>,
    pub damage: Option<BatchDamage>,
}

/// What is done to the bytes of a batch.
#[derive(Debug, Clone, Copy)]
pub enum BatchDamage {
    /// The checksum is off by one.
    Checksum,
    /// The length field is changed by this much; the bytes stay.
    Length(i32),
    /// The last bytes are missing.
    Cut(usize),
    /// These many zero bytes follow, outside of the batch.
    TrailingBytes(usize),
    /// Zero bytes inside of the batch behind the last record, covered by length and checksum.
    TrailingRecordBytes(usize),
    /// The compressed (or plain) records are inverted, the checksum is right.
    Records,
    /// The codec number 5, 6 or 7, which mean nothing.
    UnknownCodec(i16),
    /// A message of an old format with the magic of the template (0 or 1) instead of a batch.
    OldFormat,
    /// A length field of this value.
    LengthIs(i32),
}

impl BatchTemplate {
    /// A batch as a good client makes it.
    pub fn good(records: Vec<Record>, base_timestamp: i64, codec: Codec) -> Self {
        let count = records.len() as i32;
        let latest = records.iter().map(|record| record.timestamp_delta).max();
        Self {
            base_offset: 0,
            leader_epoch: -1,
            magic: 2,
            codec,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp,
            max_timestamp: base_timestamp.saturating_add(latest.unwrap_or(0)),
            producer_id: -1,
            producer: None,
            producer_epoch: -1,
            epoch: None,
            base_sequence: -1,
            count,
            records,
            damage: None,
        }
    }

    /// The bytes for a server.
    pub fn resolve(&self, variables: &Variables) -> Vec<u8> {
        let number = |name: &str| variables.value(name)?.integer();
        let producer_id = self.producer.as_deref().and_then(number);
        let epoch = self.epoch.as_ref().and_then(|(name, shift)| {
            let epoch = i16::try_from(number(name)?).ok()?;
            Some(epoch.wrapping_add(*shift))
        });
        self.encode(
            producer_id.unwrap_or(self.producer_id),
            epoch.unwrap_or(self.producer_epoch),
        )
    }

    fn encode(&self, producer_id: i64, producer_epoch: i16) -> Vec<u8> {
        if matches!(self.damage, Some(BatchDamage::OldFormat)) {
            return self.old_format();
        }
        let mut records = Vec::new();
        for record in &self.records {
            record.encode(&mut records);
        }
        if let Some(BatchDamage::TrailingRecordBytes(count)) = self.damage {
            records.extend(vec![0; count]);
        }
        let mut records = self.codec.compress(&records);
        if let Some(BatchDamage::Records) = self.damage {
            records.iter_mut().for_each(|byte| *byte = !*byte);
        }
        let codec = match self.damage {
            Some(BatchDamage::UnknownCodec(number)) => number,
            _ => self.codec as i16,
        };
        let mut out = Vec::new();
        out.extend(self.base_offset.to_be_bytes());
        out.extend([0; 4]);
        out.extend(self.leader_epoch.to_be_bytes());
        out.push(self.magic as u8);
        out.extend([0; 4]);
        out.extend((self.attributes | codec).to_be_bytes());
        out.extend(self.last_offset_delta.to_be_bytes());
        out.extend(self.base_timestamp.to_be_bytes());
        out.extend(self.max_timestamp.to_be_bytes());
        out.extend(producer_id.to_be_bytes());
        out.extend(producer_epoch.to_be_bytes());
        out.extend(self.base_sequence.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(records);
        self.finish(out)
    }

    /// Fills in length and checksum and does the damage to the whole.
    fn finish(&self, mut out: Vec<u8>) -> Vec<u8> {
        let mut length = (out.len() - LENGTH_OVERHEAD) as i32;
        match self.damage {
            Some(BatchDamage::Length(change)) => length = length.saturating_add(change),
            Some(BatchDamage::LengthIs(value)) => length = value,
            _ => {}
        }
        out[LENGTH_POSITION..LENGTH_POSITION + 4].copy_from_slice(&length.to_be_bytes());
        let mut checksum = crc32c::crc32c(&out[ATTRIBUTES_POSITION..]);
        if let Some(BatchDamage::Checksum) = self.damage {
            checksum = checksum.wrapping_add(1);
        }
        out[CRC_POSITION..CRC_POSITION + 4].copy_from_slice(&checksum.to_be_bytes());
        match self.damage {
            Some(BatchDamage::Cut(count)) => out.truncate(out.len().saturating_sub(count)),
            Some(BatchDamage::TrailingBytes(count)) => out.extend(vec![0; count]),
            _ => {}
        }
        out
    }

    /// The first record as a message of format 0 or 1.
    fn old_format(&self) -> Vec<u8> {
        let mut body = vec![self.magic as u8, 0];
        if self.magic > 0 {
            body.extend(self.base_timestamp.to_be_bytes());
        }
        let record = self.records.first();
        for part in [
            record.and_then(|record| record.key.as_deref()),
            record.and_then(|record| record.value.as_deref()),
        ] {
            body.extend(part.map_or(-1, |part| part.len() as i32).to_be_bytes());
            body.extend(part.unwrap_or_default());
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(&body);
        let mut out = self.base_offset.to_be_bytes().to_vec();
        out.extend((body.len() as i32 + 4).to_be_bytes());
        out.extend(checksum.sum().to_be_bytes());
        out.extend(body);
        out
    }
}

fn put_sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varlong(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend(bytes.unwrap_or_default());
}

/// A signed variable-length integer in zigzag form.
fn put_varlong(out: &mut Vec<u8>, number: i64) {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Value;

    /// Resolves a batch before and after the server has given an id and an epoch, and reads both back from the header.
    #[test]
    fn a_batch_has_the_id_and_epoch_that_the_server_gave() {
        let mut batch = BatchTemplate::good(Vec::new(), 0, Codec::None);
        batch.producer = Some("id".into());
        batch.epoch = Some(("epoch".into(), -1));
        let header = |variables: &Variables| {
            let bytes = batch.resolve(variables);
            let id = i64::from_be_bytes(bytes[43..51].try_into().expect("8 bytes"));
            let epoch = i16::from_be_bytes(bytes[51..53].try_into().expect("2 bytes"));
            (id, epoch)
        };
        let mut variables = Variables::default();
        assert_eq!(header(&variables), (-1, -1));
        variables.bind("id", Value::Integer(77));
        variables.bind("epoch", Value::Integer(5));
        assert_eq!(header(&variables), (77, 4));
    }
}
