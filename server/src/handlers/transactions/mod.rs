//! The APIs of transactions (KIP-98, KIP-664, KIP-890): what producers say ([`add`], [`end`]), what coordinators say to
//! partitions ([`markers`]), and what administrators ask ([`describe`], [`list`], [`producers`]).
//!
//! The work is done by the transaction coordinator, one command for each transactional id.

mod add;
mod describe;
mod end;
mod init;
mod list;
mod markers;
mod producers;

pub use add::{add_offsets, add_partitions};
pub use describe::handle as describe_transactions;
pub use end::handle as end_txn;
pub use init::handle as init_producer_id;
use klamm_group_coordinator::txn::{TransactionState, TxnError};
pub use list::handle as list_transactions;
pub use markers::handle as write_txn_markers;
pub use producers::handle as describe_producers;

use crate::errors::{self, ErrorCode};

/// The code of a refusal for a client that may be too old to know PRODUCER_FENCED: `first_fenced_version` is the first
/// version of the API that has it.
fn code_for(error: TxnError, version: i16, first_fenced_version: i16) -> ErrorCode {
    match errors::of_txn_error(error) {
        ErrorCode::ProducerFenced if version < first_fenced_version => {
            ErrorCode::InvalidProducerEpoch
        }
        code => code,
    }
}

/// Kafka's names (`TransactionState`).
const STATE_NAMES: [(TransactionState, &str); 8] = [
    (TransactionState::Empty, "Empty"),
    (TransactionState::Ongoing, "Ongoing"),
    (TransactionState::PrepareCommit, "PrepareCommit"),
    (TransactionState::PrepareAbort, "PrepareAbort"),
    (TransactionState::CompleteCommit, "CompleteCommit"),
    (TransactionState::CompleteAbort, "CompleteAbort"),
    (TransactionState::Dead, "Dead"),
    (TransactionState::PrepareEpochFence, "PrepareEpochFence"),
];

fn state_name(state: TransactionState) -> &'static str {
    STATE_NAMES
        .iter()
        .find(|(named, _)| *named == state)
        .map_or("", |(_, name)| name)
}

fn state_named(name: &str) -> Option<TransactionState> {
    STATE_NAMES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(state, _)| *state)
}

#[cfg(test)]
mod tests;
