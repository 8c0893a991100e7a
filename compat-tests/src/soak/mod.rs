//! A long life in short: producers, transactions, consumers, compaction, retention and admin changes against a server
//! that is killed and restarted again and again, compared all the while with what was acknowledged.
//!
//! ```text
//!   writers ──► ledger of each partition ◄── readers        fate: kill -9, SIGTERM
//!                         ▲                                 gauge: memory, files, segments
//!                       checks ──► anomalies ──► verdict    admin: topics, configs, DeleteRecords
//! ```
//!
//! The checks are pure functions of what is known and what was seen; the actors only ask and hand in answers.

mod admin;
mod admin_requests;
mod anomaly;
pub(crate) mod batches;
mod check;
mod claims;
mod content;
mod fate;
mod gauge;
mod ledger;
pub(crate) mod link;
mod members;
mod plan;
mod readers;
mod report;
mod requests;
mod run;
mod world;
mod writers;

pub use run::{Options, run};
