//! The `.txnindex` files: aborted transactions by marker offset. Kafka's `TransactionIndex`.
//!
//! ```text
//! int16 version (0) | int64 producer id | int64 first offset | int64 last offset
//!                   | int64 last stable offset
//! ```

use bytes::{Buf, BufMut};

use crate::partition::AbortedTxn;
use crate::{Offset, ProducerId};

pub(super) const ENTRY_BYTES: usize = 34;

const VERSION: i16 = 0;

pub(super) fn encode(txn: &AbortedTxn) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRY_BYTES);
    bytes.put_i16(VERSION);
    bytes.put_i64(txn.producer_id.0);
    bytes.put_i64(txn.first_offset.0);
    bytes.put_i64(txn.last_offset.0);
    bytes.put_i64(txn.last_stable_offset.0);
    bytes
}

/// The entries in a file. What a crash has left of the last one is ignored.
pub(super) fn decode(bytes: &[u8]) -> Vec<AbortedTxn> {
    let mut txns = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    for mut entry in bytes.chunks_exact(ENTRY_BYTES) {
        if entry.get_i16() != VERSION {
            break;
        }
        txns.push(AbortedTxn {
            producer_id: ProducerId(entry.get_i64()),
            first_offset: Offset(entry.get_i64()),
            last_offset: Offset(entry.get_i64()),
            last_stable_offset: Offset(entry.get_i64()),
        });
    }
    txns
}
