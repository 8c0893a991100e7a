//! A Kafka server as a value.
//!
//! [`Server::start`](server::Server::start) takes configs and gives a broker that serves; several of them live side by
//! side in one process. The way of a request: [`net`] reads a frame, [`api`] finds its row, a file of `handlers`
//! translates it for the room that does the work, and the answer goes back the same way.

pub mod api;
pub mod args;
pub mod broker;
pub mod cleaning;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod coordinator;
pub mod deadlines;
pub mod errors;
mod features;
pub mod fetch;
mod handlers;
mod housekeeping;
mod kafka_uuid;
pub mod limits;
mod log_range;
pub mod metrics;
pub mod net;
mod node;
pub mod partitions;
mod producer_ids;
pub mod server;
mod storage;
