//! What is sent: sequences of requests, fixed by a seed before the first byte goes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::template::Template;
use crate::schema::Versions;

/// The APIs that are compared: the one place that lists them.
pub const SERVED_APIS: &[i16] = &[
    0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 32, 33, 35, 37, 42, 43, 44, 46, 47, 55, 57, 60, 61, 65, 66, 75,
];

/// The versions that both servers serve, by API key.
pub type Ranges = BTreeMap<i16, Versions>;

/// A short conversation with fresh topics and groups.
#[derive(Debug)]
pub struct Sequence {
    pub seed: u64,
    pub index: u64,
    /// Every name of the sequence begins with it, so that answers about the whole server can be cut down to it.
    pub prefix: String,
    /// Topics to follow (their ids) and to delete at the end.
    pub topics: Vec<String>,
    /// It changes what every client of the server sees, so no other sequence may run meanwhile.
    pub is_alone: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub enum Step {
    /// Sends, waits for the answer, and waits until what it changed is visible.
    Ask(Request),
    /// Sends without waiting for the answer, then waits for the condition.
    Begin(Request, Until),
    /// Takes the answer of the [`Step::Begin`] on this connection.
    Collect(usize),
    /// Sends the same request this often. The answers are not compared.
    Repeat(Request, usize),
}

/// What a pending request must have caused before the next one is sent.
#[derive(Debug)]
pub enum Until {
    Sent,
    /// The group gathers its members (or the request was answered at once).
    GroupRebalances(String),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Connections are opened when first used and again after the server closed them.
    pub connection: usize,
    pub api_key: i16,
    pub version: i16,
    pub client_id: Option<String>,
    pub body: Template,
    /// Variables to bind from the answer, with the path to their value.
    pub captures: Vec<Capture>,
    pub reply: Reply,
    pub damage: Option<FrameDamage>,
}

#[derive(Debug, Clone)]
pub struct Capture {
    pub variable: Arc<str>,
    pub path: String,
    /// A negative number stands for none and leaves the variable as it is.
    pub keeps_known: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Expected,
    /// Produce with acks=0: the server says nothing, or closes the connection. A probe shows which.
    Silence,
}

/// What is done to the bytes of a request after encoding.
#[derive(Debug, Clone)]
pub enum FrameDamage {
    /// Removes this many bytes from the end of the body.
    Cut(usize),
    /// Appends bytes to the body.
    Extend(Vec<u8>),
    /// Inverts the byte at this position of the body, counted modulo its length.
    Invert(usize),
    /// Sends this version in the header, whatever the body was encoded with.
    ClaimVersion(i16),
    /// Sends this API key in the header.
    ClaimApi(i16),
}
