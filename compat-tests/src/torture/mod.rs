//! Transactions under fire: writers, copiers and readers at work while the server is killed and restarted again and again,
//! and a judge of everything they asked, were told and saw.

mod anomaly;
mod check;
mod failure;
mod history;
mod ledger;
mod program;
mod report;
mod run;
mod server;

#[cfg(test)]
mod injected;

pub use run::{Options, run};
pub use server::ServerKind;
