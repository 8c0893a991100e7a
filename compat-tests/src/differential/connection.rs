//! One TCP connection and its frames.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Larger than any answer to a sequence.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What came back, if anything.
#[derive(Debug)]
pub enum Received {
    /// The bytes behind the size.
    Frame(Vec<u8>),
    /// The server closed the connection, cleanly or not.
    Closed,
    /// Nothing within the time allowed.
    Nothing,
}

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends one frame: the size and the bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut frame = size.to_be_bytes().to_vec();
        frame.extend(bytes);
        self.stream.write_all(&frame)
    }

    /// Reads one frame. After anything but a frame the connection is of no more use.
    pub fn receive(&mut self, patience: Duration) -> Received {
        let deadline = Instant::now() + patience;
        let mut size = [0; 4];
        match self.fill(&mut size, deadline) {
            Ok(()) => {}
            Err(nothing) => return nothing,
        }
        let size = u32::from_be_bytes(size) as usize;
        if size > FRAME_BYTES_MAX {
            return Received::Closed;
        }
        let mut frame = vec![0; size];
        match self.fill(&mut frame, deadline) {
            Ok(()) => Received::Frame(frame),
            Err(nothing) => nothing,
        }
    }

    /// True when bytes, or the end of the stream, can be read within `patience`.
    pub fn is_readable(&self, patience: Duration) -> bool {
        let peeked = self
            .stream
            .set_read_timeout(Some(patience))
            .and_then(|()| self.stream.peek(&mut [0]));
        match peeked {
            Ok(_) => true,
            Err(error) => !is_timeout(&error),
        }
    }

    fn fill(&mut self, bytes: &mut [u8], deadline: Instant) -> Result<(), Received> {
        let mut filled = 0;
        while filled < bytes.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Received::Nothing);
            }
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(Received::Closed),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(Received::Nothing),
                Err(_) => return Err(Received::Closed),
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
