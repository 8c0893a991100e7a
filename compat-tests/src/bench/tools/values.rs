//! The values of the records: lines of text that compress about as well as what people keep in topics.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::bench::Outcome;

pub const VALUE_BYTES: usize = 1024;
const LINES: usize = 1_000;
const SEED: u64 = 6;

/// Different values of [`VALUE_BYTES`] characters.
pub fn values() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED);
    (0..LINES).map(|_| value(&mut random)).collect()
}

/// The values, a line each.
pub fn write(file: &Path) -> Outcome<()> {
    Ok(fs::write(file, values().join("\n"))?)
}

fn value(random: &mut StdRng) -> String {
    let mut text = String::with_capacity(2 * VALUE_BYTES);
    while text.len() < VALUE_BYTES {
        let (account, amount): (u128, u32) = (random.random(), random.random_range(0..100_000));
        let _ = write!(
            text,
            "{{\"account\":\"{account:032x}\",\"amount\":{amount}}}"
        );
    }
    text.truncate(VALUE_BYTES);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// zstd takes between a quarter and a half of the room for a batch of 16: neither noise nor one line repeated.
    #[test]
    fn values_compress_to_something_below_a_half() {
        let values = values();
        assert!(values.iter().all(|value| value.len() == VALUE_BYTES));
        let plain = values[..16].concat();
        let packed = zstd::bulk::compress(plain.as_bytes(), 3).expect("zstd compresses");
        let part = packed.len() as f64 / plain.len() as f64;
        assert!((0.25..0.5).contains(&part), "{part}");
    }
}
