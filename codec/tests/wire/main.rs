//! The codec against the wire: every request API at every version, Kafka's own bytes, and bytes that mean harm.

mod apis;
mod bodies;
mod fetch;
mod fetch_request;
mod golden;
mod headers;
mod hostile;
mod produce;
mod random;
mod requests;
mod responses;
mod seeds;
mod table;
