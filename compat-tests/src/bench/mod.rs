//! What the same work costs on Apache Kafka, on Klamm, and on a server that does nothing but the inevitable.
//!
//! All three run on this machine with the same promise about durability, and are driven by the same load, in turn, over
//! several rounds. The load speaks the protocol with requests built beforehand, so it is not what is measured; only
//! the CPU time and memory of the server processes count.

pub mod bare;
pub(crate) mod batch;
pub(crate) mod connection;
mod disk;
mod groups;
mod growth;
mod handover;
mod long_log;
mod measure;
pub(crate) mod messages;
pub(crate) mod process;
mod pump;
mod report;
mod run;
mod server;
mod tools;
mod topics;
mod wire;
mod work;

pub use crate::suites::Failure;
pub use process::raise_file_limit;
pub use run::{Options, run};
pub use server::Kind;
pub use tools::{Amount as ToolsAmount, Records as ToolRecords};

pub type Outcome<T> = Result<T, Failure>;
