//! Cuts the byte stream of a connection into frames, taking memory only for bytes that have arrived.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::coop::consume_budget;

use super::poll_once;
use crate::limits::{ConnectionMemory, RequestMemory, RequestPermit};

/// What a connection takes at least when the first bytes of a frame arrive. Covers nearly every request but Produce, so
/// that these need one allocation and one read, and small requests that are sent together share them.
const FIRST_CHUNK_BYTES: usize = 8 * 1024;
/// By how much the buffer of a larger frame grows each time the bytes so far have filled it.
const GROWTH_FACTOR: usize = 4;
/// A frame is expected to be like the one before it, up to this size: then it needs one buffer, and no copy.
const EXPECTED_BYTES_MAX: usize = 1024 * 1024;
/// What is read beyond the expected frame. A read that does not fill its buffer has emptied the socket, and saves the
/// next one.
const SPARE_BYTES: usize = 256;
/// The part of its buffer that a frame fills at least, as a divisor, if it may hold on to it.
const SHARE_MIN: usize = 4;
const LENGTH_BYTES: usize = 4;

/// One request as it came from the socket, without its length prefix.
#[derive(Debug)]
pub struct RequestFrame {
    pub bytes: Bytes,
    /// The memory of the frame; to be held until the request is answered.
    pub permit: RequestPermit,
}

impl RequestFrame {
    /// For a request that may wait for long, or parts of which the broker may keep: gives it memory of its own, if it
    /// would hold a buffer that is much larger.
    pub fn on_its_own(self, memory: &Arc<RequestMemory>) -> Self {
        let bytes = self.bytes.len();
        if self.permit.bytes() / SHARE_MIN <= bytes {
            return self;
        }
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
            permit: memory.charge(bytes),
        }
    }
}

/// Why no frame came.
#[derive(Debug)]
pub enum ReadError {
    /// The peer closed the connection between two frames.
    Closed,
    /// The peer closed the connection inside a frame.
    Truncated,
    /// The length is negative or above `socket.request.max.bytes`.
    Length(klamm_codec::FrameError),
    /// The frame's memory was needed elsewhere.
    Evicted,
    Io(io::Error),
}

/// Reads frames from one connection.
#[derive(Debug)]
pub struct FrameReader {
    stream: OwnedReadHalf,
    memory: ConnectionMemory,
    frame_bytes_max: usize,
    chunk: Option<Chunk>,
    /// Size of the frame before, with its length prefix.
    last_frame_bytes: usize,
}

/// Bytes read and not yet cut into frames. An idle connection has none.
#[derive(Debug)]
struct Chunk {
    buffer: BytesMut,
    permit: RequestPermit,
}

impl FrameReader {
    pub fn new(stream: OwnedReadHalf, memory: &Arc<RequestMemory>, frame_bytes_max: usize) -> Self {
        Self {
            stream,
            memory: memory.connection(),
            frame_bytes_max,
            chunk: None,
            last_frame_bytes: 0,
        }
    }

    /// The next frame. Safe to drop and call again: bytes read so far are kept.
    pub async fn next(&mut self) -> Result<RequestFrame, ReadError> {
        loop {
            let Some(chunk) = &self.chunk else {
                self.begin().await?;
                continue;
            };
            let (read, room) = (chunk.buffer.len(), chunk.buffer.capacity());
            let length = frame_length(&chunk.buffer, self.frame_bytes_max)?;
            let needed = LENGTH_BYTES + length.unwrap_or(0);
            if length.is_some() && read >= needed {
                return Ok(self.take_frame(needed));
            }
            // What is left of a buffer may be too short for the frame that begins in it.
            if room < needed && (read == room || room < FIRST_CHUNK_BYTES) {
                let wanted = self.wanted_room(read, length);
                if wanted > room {
                    self.take_room(wanted).await?;
                }
            }
            self.read_more().await?;
        }
    }

    /// Resolves when there is something to read, if only the end of the stream. Takes no memory for it.
    pub async fn arrived(&self) -> Result<(), ReadError> {
        match &self.chunk {
            Some(_) => Ok(()),
            None => self.stream.readable().await.map_err(ReadError::Io),
        }
    }

    /// Waits for the first bytes of a frame. Takes memory only when they are there: an idle connection holds none.
    async fn begin(&mut self) -> Result<(), ReadError> {
        self.stream.readable().await.map_err(ReadError::Io)?;
        self.take_room(self.wanted_room(0, None)).await?;
        let first_read = poll_once(self.read_more()).await;
        match first_read {
            Some(result) => result,
            // There was nothing after all, or the task has used up its turn. In that case the socket still counts as
            // readable, and to ask it again without a pause would never end.
            None => {
                self.chunk = None;
                self.memory.completed(false);
                consume_budget().await;
                Ok(())
            }
        }
    }

    fn take_frame(&mut self, frame_bytes: usize) -> RequestFrame {
        let chunk = self.chunk.as_mut().expect("a complete frame is in it");
        let mut bytes = chunk.buffer.split_to(frame_bytes).freeze();
        bytes.advance(LENGTH_BYTES);
        let permit = chunk.permit.clone();
        let is_followed = !chunk.buffer.is_empty();
        if !is_followed {
            self.chunk = None;
        }
        self.memory.completed(is_followed);
        self.last_frame_bytes = frame_bytes;
        RequestFrame { bytes, permit }
    }

    /// The room for a frame of `length` bytes, where that is known already, of which `read` are there.
    fn wanted_room(&self, read: usize, length: Option<usize>) -> usize {
        let expected = self.last_frame_bytes.min(EXPECTED_BYTES_MAX) + SPARE_BYTES;
        let expected = expected.max(FIRST_CHUNK_BYTES);
        let Some(length) = length else {
            return expected;
        };
        let earned = read * GROWTH_FACTOR;
        (LENGTH_BYTES + length + SPARE_BYTES)
            .min(earned.max(expected))
            .max(FIRST_CHUNK_BYTES)
    }

    /// Goes on in a new buffer.
    async fn take_room(&mut self, room: usize) -> Result<(), ReadError> {
        let permit = self
            .memory
            .take(room)
            .await
            .map_err(|_| ReadError::Evicted)?;
        let mut buffer = BytesMut::with_capacity(room);
        if let Some(chunk) = &self.chunk {
            buffer.extend_from_slice(&chunk.buffer);
        }
        self.chunk = Some(Chunk { buffer, permit });
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), ReadError> {
        let Self {
            stream,
            memory,
            chunk: Some(Chunk { buffer, .. }),
            ..
        } = self
        else {
            return Ok(());
        };
        tokio::select! {
            biased;
            result = read_into(stream, buffer) => result,
            () = memory.evicted() => Err(ReadError::Evicted),
        }
    }
}

/// The length that a frame announces, once it is there.
fn frame_length(read: &[u8], frame_bytes_max: usize) -> Result<Option<usize>, ReadError> {
    let Some(prefix) = read.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    klamm_codec::frame_length(*prefix, frame_bytes_max)
        .map(Some)
        .map_err(ReadError::Length)
}

async fn read_into(stream: &mut OwnedReadHalf, buffer: &mut BytesMut) -> Result<(), ReadError> {
    match stream.read_buf(buffer).await {
        Ok(0) if buffer.is_empty() => Err(ReadError::Closed),
        Ok(0) => Err(ReadError::Truncated),
        Ok(_) => Ok(()),
        Err(error) => Err(ReadError::Io(error)),
    }
}
