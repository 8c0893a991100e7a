//! What a record holds: a function of the seed and the record's number, so that every byte that is read can be judged
//! without remembering what was written.
//!
//! A number has the partition in its upper bits (see [`number_of`]) and is carried in a header of the record itself.

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::differential::batch::Record;

/// Bits of a record's number below the number of its partition.
const PARTITION_SHIFT: u32 = 40;

/// The header that carries the number.
const NUMBER_HEADER: &[u8] = b"number";

const VALUE_BYTES_MAX: usize = 1_200;

/// One record in so many deletes its key, where there are tombstones at all.
const TOMBSTONE_EVERY: u32 = 8;

/// The `index`-th record of a partition.
pub fn number_of(partition: usize, index: u64) -> u64 {
    ((partition as u64) << PARTITION_SHIFT) | index
}

/// The partition and the index of [`number_of`].
pub fn place_of(number: u64) -> (usize, u64) {
    let partition = number >> PARTITION_SHIFT;
    (partition as usize, number & ((1 << PARTITION_SHIFT) - 1))
}

/// What kind of records a topic gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// How many different keys there are.
    pub keys: u32,
    pub has_tombstones: bool,
}

/// The key number of a record and whether it deletes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub key: u32,
    pub is_tombstone: bool,
}

pub fn mark_of(seed: u64, style: Style, number: u64) -> Mark {
    draw_mark(&mut random_of(seed, number), style)
}

/// The record itself; offset and timestamp deltas are left to the batch.
pub fn record_of(seed: u64, style: Style, number: u64) -> Record {
    let mut random = random_of(seed, number);
    let mark = draw_mark(&mut random, style);
    let mut key = format!("key-{}-", mark.key).into_bytes();
    // No UTF-8, and of another length for every few keys.
    key.extend(vec![0xff; (mark.key % 5) as usize]);
    let length = random.random_range(0..VALUE_BYTES_MAX);
    let mut value = vec![0; length];
    // Half of it compresses, half of it does not.
    random.fill_bytes(&mut value[..length / 2]);
    let mut headers = vec![(NUMBER_HEADER.to_vec(), Some(number.to_be_bytes().to_vec()))];
    for _ in 0..random.random_range(0..4_u32) {
        let name = ["trace", "trace", "größe", ""][random.random_range(0..4_usize)];
        let content = match random.random_range(0..3_u32) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![0xc3, 0x28, 0x00, random.random()]),
        };
        headers.push((name.as_bytes().to_vec(), content));
    }
    Record {
        attributes: 0,
        timestamp_delta: 0,
        offset_delta: 0,
        key: Some(key),
        value: (!mark.is_tombstone).then_some(value),
        headers,
        length_error: 0,
    }
}

/// The number that a record carries, if it is exactly the record of that number; otherwise what is wrong with it.
pub fn number_in(seed: u64, style: Style, record: &Record) -> Result<u64, String> {
    let carried = record
        .headers
        .first()
        .filter(|(name, _)| name == NUMBER_HEADER)
        .and_then(|(_, content)| content.as_deref()?.try_into().ok())
        .map(u64::from_be_bytes)
        .ok_or("it carries no number")?;
    let wanted = record_of(seed, style, carried);
    for (part, is_same) in [
        ("key", wanted.key == record.key),
        ("value", wanted.value == record.value),
        ("headers", wanted.headers == record.headers),
    ] {
        if !is_same {
            return Err(format!(
                "another {part} than record {carried:#x} was written with"
            ));
        }
    }
    Ok(carried)
}

fn draw_mark(random: &mut StdRng, style: Style) -> Mark {
    Mark {
        key: random.random_range(0..style.keys),
        is_tombstone: random.random_range(0..TOMBSTONE_EVERY) == 0 && style.has_tombstones,
    }
}

fn random_of(seed: u64, number: u64) -> StdRng {
    StdRng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        keys: 50,
        has_tombstones: true,
    };

    /// Changes each part of a record and sees it found, and the record itself accepted.
    #[test]
    fn a_record_is_known_by_every_byte() {
        let number = number_of(3, 77);
        let good = record_of(1, STYLE, number);
        assert_eq!(number_in(1, STYLE, &good), Ok(number));
        assert_eq!(place_of(number), (3, 77));

        let mut key = good.clone();
        key.key = Some(b"other".to_vec());
        let mut value = good.clone();
        value.value = match value.value {
            Some(_) => None,
            None => Some(Vec::new()),
        };
        let mut headers = good.clone();
        headers.headers.push((b"more".to_vec(), None));
        let mut anonymous = good.clone();
        anonymous.headers.clear();
        for changed in [key, value, headers, anonymous] {
            assert!(number_in(1, STYLE, &changed).is_err(), "{changed:?}");
        }
        assert!(number_in(2, STYLE, &good).is_err(), "of another run");
    }

    /// Draws many records and finds every key and both kinds.
    #[test]
    fn keys_and_tombstones_are_spread() {
        let marks: Vec<_> = (0..2_000).map(|index| mark_of(9, STYLE, index)).collect();
        let keys: std::collections::HashSet<_> = marks.iter().map(|mark| mark.key).collect();
        assert_eq!(keys.len(), STYLE.keys as usize);
        let tombstones = marks.iter().filter(|mark| mark.is_tombstone).count();
        assert!((150..350).contains(&tombstones), "{tombstones}");
    }
}
