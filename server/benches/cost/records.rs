//! The batches that the benchmarks work on.

use bytes::Bytes;
use klamm_log_store::batch::{Batch, BatchBuilder, BatchSettings, Compression};

/// The clock of the benchmarks that need none.
pub const NOW_MS: i64 = 1_700_000_000_000;

/// A batch as a client sends it.
#[derive(Clone, Copy)]
pub struct Shape {
    pub record_count: usize,
    pub value_bytes: usize,
    pub compression: Compression,
}

impl Shape {
    pub const fn plain(record_count: usize, value_bytes: usize) -> Shape {
        Shape {
            record_count,
            value_bytes,
            compression: Compression::None,
        }
    }

    /// A hundred records of 100 bytes.
    pub const fn hundred(compression: Compression) -> Shape {
        Shape {
            record_count: 100,
            value_bytes: 100,
            compression,
        }
    }

    pub fn bytes(self) -> Bytes {
        self.batch().into_bytes()
    }

    pub fn batch(self) -> Batch {
        let mut builder = BatchBuilder::new(BatchSettings {
            compression: self.compression,
            ..BatchSettings::default()
        });
        for index in 0..self.record_count {
            let value = text(index, self.value_bytes);
            builder.push(NOW_MS, None, Some(&value), &[]);
        }
        builder.build().expect("the batch is small")
    }
}

/// Something that compresses about as well as what people send.
fn text(index: usize, bytes: usize) -> Vec<u8> {
    let line = format!(
        "{{\"id\":{index},\"at\":{},\"item\":\"gorge {}\"}}",
        index * 7919,
        index % 13
    );
    line.bytes().cycle().take(bytes).collect()
}
