//! Transactional producers: those that open, fill and end transactions with either protocol, those that fence each
//! other, offsets in transactions, markers from nowhere, and calls about ids that nobody has.

mod claim;
mod conversation;
mod exhaustion;
mod inspect;
mod markers;
mod offsets;
mod producer;
mod strangers;

pub use conversation::{explicit, fencing, implicit, interleaved, oldest};
pub use exhaustion::exhaustion;
pub use inspect::{describe_producers, describe_transactions, features, list_transactions};
pub use markers::markers;
pub use offsets::offsets;
pub use strangers::{find_coordinator, init_producer_id, strangers};

const ADD_PARTITIONS_TO_TXN: i16 = 24;
const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const WRITE_TXN_MARKERS: i16 = 27;
const TXN_OFFSET_COMMIT: i16 = 28;
const DESCRIBE_PRODUCERS: i16 = 61;
const DESCRIBE_TRANSACTIONS: i16 = 65;
const LIST_TRANSACTIONS: i16 = 66;

/// An id that no broker gives out in the course of a run.
const UNKNOWN_PRODUCER: i64 = 7_000_000_000;

/// Longer than any sequence takes, so that no transaction is ended by the server's own clock.
const TIMEOUT_MS: i32 = 60_000;
