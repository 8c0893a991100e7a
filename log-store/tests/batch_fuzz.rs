//! A bounded run of the fuzzer's property over spoilt batches, the same in every run.

#[path = "../fuzz/property.rs"]
mod property;

use std::panic::{AssertUnwindSafe, catch_unwind};

use klamm_log_store::batch::{BatchBuilder, BatchSettings, Codec, Compression, HeaderRef};

const CASES: u64 = 30_000;

#[test]
fn no_bytes_make_validation_panic_or_accept_what_cannot_be_read_back() {
    // Valid batches and valid record sections, spoilt in up to four places each.
    let seeds = seeds();
    let mut accepted = 0;
    for case in 0..CASES {
        let input = spoilt(&seeds, case);
        let result = catch_unwind(AssertUnwindSafe(|| property::check(&input)));
        let Ok(is_accepted) = result else {
            panic!("case {case}: {input:02x?}");
        };
        accepted += u64::from(is_accepted);
    }
    // Otherwise the closer look has not been tested.
    assert!(accepted > CASES / 10, "{accepted} of {CASES} accepted");
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(BatchSettings {
            compression: Compression::default_of(codec),
            ..BatchSettings::default()
        });
        let headers = [
            HeaderRef {
                key: b"trace",
                value: Some(b"a"),
            },
            HeaderRef {
                key: b"trace",
                value: None,
            },
        ];
        for index in 0..4u8 {
            let key = [b'k', index];
            let value = vec![b'v'; 30 * usize::from(index)];
            let timestamp_ms = 1_700_000_000_000 - i64::from(index) * 1000;
            builder.push(timestamp_ms, Some(&key), Some(&value), &headers);
        }
        let batch = builder.build().expect("four records are not too long");
        let shape = codec.id() * 4;
        // As sent, with its checksum mended, and its records alone as they are and compressed.
        seeds.push([&[shape, 0, 0], &batch.bytes()[..]].concat());
        seeds.push([&[shape + 1, 0, 0], &batch.bytes()[..]].concat());
        seeds.push([&[shape + 2, 0, 3], batch.records_bytes()].concat());
        if codec == Codec::None {
            for id in 0..5 {
                seeds.push([&[id * 4 + 3, 0, 3], batch.records_bytes()].concat());
            }
        }
    }
    seeds
}

fn spoilt(seeds: &[Vec<u8>], case: u64) -> Vec<u8> {
    let mut random = Random(case.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut input = seeds[random.below(seeds.len())].clone();
    input[1] = random.next() as u8;
    for _ in 0..random.below(5) {
        let at = random.below(input.len());
        match random.below(6) {
            0 => input[at] = random.next() as u8,
            1 => input[at] ^= 1 << random.below(8),
            2 => input[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][random.below(5)],
            3 => input.insert(at, random.next() as u8),
            4 => input.truncate(at.max(1)),
            _ => {
                input.remove(at);
            }
        }
        if input.is_empty() {
            break;
        }
    }
    input
}

/// xorshift64*, so that a case number says everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
