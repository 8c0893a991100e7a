//! One blocking connection of the load: frames out, frames in, with as few system calls as possible.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::wire::fixed;
use super::{Failure, Outcome, messages};

/// A server that does not answer for so long is stuck. Joining 10,000 members of groups takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LENGTH_BYTES: usize = 4;
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes from `begin` to `end` are read and not yet taken.
    input: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Connection {
    /// `input_bytes` is what one read takes at most, unless an answer is larger. The connection has asked for the API
    /// versions, as every client does first; so the server has accepted it, and thousands that are opened one after
    /// the other don't overflow the queue of the listener.
    pub fn open(address: SocketAddr, input_bytes: usize) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self {
            stream,
            input: vec![0; input_bytes],
            begin: 0,
            end: 0,
        };
        messages::check_api_versions(connection.ask(&messages::api_versions())?)?;
        Ok(connection)
    }

    pub fn send(&mut self, frame: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(frame)?)
    }

    /// The next answer without its length.
    pub fn receive(&mut self) -> Outcome<&[u8]> {
        self.fill(LENGTH_BYTES)?;
        let length = i32::from_be_bytes(fixed(&self.input[self.begin..self.begin + LENGTH_BYTES]));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(Failure::new(format!("an answer of {length} bytes")));
        }
        self.fill(LENGTH_BYTES + length)?;
        let from = self.begin + LENGTH_BYTES;
        self.begin = from + length;
        Ok(&self.input[from..from + length])
    }

    /// Sends one request and waits for its answer.
    pub fn ask(&mut self, frame: &[u8]) -> Outcome<&[u8]> {
        self.send(frame)?;
        self.receive()
    }

    /// Reads until `bytes` are there.
    fn fill(&mut self, bytes: usize) -> Outcome<()> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        while self.end - self.begin < bytes {
            if self.begin + bytes > self.input.len() {
                self.input.copy_within(self.begin..self.end, 0);
                self.end -= self.begin;
                self.begin = 0;
                self.input.resize(self.input.len().max(bytes), 0);
            }
            match self.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err(Failure::new("the server has closed a connection")),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::from(error).during("waiting for an answer")),
            }
        }
        Ok(())
    }
}
