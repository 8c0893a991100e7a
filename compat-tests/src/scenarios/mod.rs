//! Own scenarios for each stock client: create, write with every codec, read what all others wrote, seek by time, share a
//! group, and live through `kill -9` of the server.
//!
//! The clients are small programs in their own languages (`clients/`), driven over a line protocol; everything that is
//! judged is judged here. Apache Kafka passes the same scenarios (`scenarios --server kafka`), so that a failure is the
//! server's and not the scenario's.

mod clients;
mod failure;
mod fixture;
mod group;
mod install;
mod layout;
mod limits;
mod program;
mod read;
mod record;
mod report;
mod restart;
mod run;
mod seek;
mod server;
mod stream;
mod transactions;
mod wire;
mod write;

pub use failure::{Failure, Outcome};
pub use run::{Options, print_limits, run};
pub use server::ServerKind;
