//! Compares two servers, one of them Apache Kafka, request by request.
//!
//! ```text
//!   generate ──► plan ──► session (left) ──► normalise ─┐
//!      ▲          │                                     ├─► compare ──► report
//!     seed        └─────► session (right) ─► normalise ─┘
//! ```
//!
//! A [`plan::Sequence`] is fixed by its seed before the first byte is sent. What only a server can know (topic ids,
//! member ids, sessions) is a variable, bound by each server's own answers. Each server runs the whole sequence by
//! itself; then the answers are compared step by step.

pub(crate) mod batch;
mod batch_view;
mod client;
mod compare;
pub(crate) mod compression;
pub(crate) mod connection;
mod coverage;
mod error_names;
mod exchange;
mod expected;
mod generate;
mod normalise;
mod plan;
mod report;
mod rules;
mod run;
mod server;
mod session;
mod settle;
pub(crate) mod template;

use std::fmt;

pub use compare::differences;
pub use coverage::Coverage;
pub use expected::{Expectation, default_path as default_expectations, load as load_expectations};
pub use generate::{Filter, generate};
pub use normalise::now_ms;
pub use plan::SERVED_APIS;
pub use report::Report;
pub use run::{Settings, observe, run};
pub use server::{Server, common_ranges, range_differences};

/// Why a comparison could not be made.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<crate::server_process::ServerError> for Failure {
    fn from(error: crate::server_process::ServerError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::schema::SchemaError> for Failure {
    fn from(error: crate::schema::SchemaError) -> Self {
        Self(error.to_string())
    }
}
