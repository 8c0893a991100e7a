//! What a fetch needs beside the log: sessions that remember what a consumer asks for, and the plan of one request.

pub mod plan;
pub mod session;
