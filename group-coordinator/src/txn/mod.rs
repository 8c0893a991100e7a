//! Transactions: who may write under a transactional id, which partitions a transaction has touched, how it ends.
//!
//! A [`TxnShard`] is what one partition of `__transaction_state` says. It follows the same rules as
//! [`crate::Shard`]: no clock, no IO, no randomness, and what a step decides is written before anybody is answered.
//!
//! ```text
//!   loading   log ──▶ replay, replay, ... ──▶ loaded(now)  ──▶ TxnStep (markers of transactions that were ending)
//!   serving   command ──▶ handle(now, ticket, command)     ──▶ TxnStep { records, replies, markers }
//!             clock   ──▶ tick(now)                        ──▶ TxnStep
//!             TxnStep.markers ──▶ written to their partitions once the records are committed
//!                             ──▶ TxnCommand::MarkersWritten
//! ```

mod command;
mod config;
mod describe;
mod end;
mod expiry;
mod init;
mod partitions;
mod record;
mod refusal;
mod reply;
mod shard;
mod transaction;
mod turn;

pub use command::{
    AddPartitions, EndTransaction, InitProducerId, ListTransactions, MarkersWritten, TxnCommand,
    TxnPartition,
};
pub use config::TxnConfig;
pub use reply::{
    ProducerIdentity, TransactionDescription, TransactionListing, TransactionState, TxnError,
    TxnReply, TxnStep, WriteMarkers,
};
pub use shard::TxnShard;
