//! What groups have committed.

pub mod commit;
mod fetch;
mod pending;
mod removal;
mod store;

pub use removal::OffsetKey;
pub use store::{ExpiryRule, OffsetStore, StoredOffset};
