//! Cuts the byte stream of a connection into frames, taking memory only for bytes that have arrived.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

use std::sync::Arc;

use crate::limits::{RequestMemory, RequestPermit};

/// What a connection takes at once when the first bytes of a frame arrive. Covers nearly every request but Produce,
/// so that these need one allocation and one read.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;
/// By how much the buffer of a larger frame grows each time the bytes so far have filled it.
const GROWTH_FACTOR: usize = 4;
const LENGTH_BYTES: usize = 4;

/// One request as it came from the socket, without its length prefix.
#[derive(Debug)]
pub struct RequestFrame {
    pub bytes: Bytes,
    /// The memory of the frame; to be held until the request is answered.
    pub permit: RequestPermit,
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
    memory: Arc<RequestMemory>,
    frame_bytes_max: usize,
    /// Bytes read and not yet cut into frames. Holds no memory while the connection is idle.
    buffer: BytesMut,
    permit: Option<RequestPermit>,
}

impl FrameReader {
    pub fn new(stream: OwnedReadHalf, memory: Arc<RequestMemory>, frame_bytes_max: usize) -> Self {
        Self {
            stream,
            memory,
            frame_bytes_max,
            buffer: BytesMut::new(),
            permit: None,
        }
    }

    /// The next frame. Safe to drop and call again: bytes read so far are kept.
    pub async fn next(&mut self) -> Result<RequestFrame, ReadError> {
        loop {
            if let Some(frame) = self.take_complete_frame()? {
                return Ok(frame);
            }
            self.make_room().await?;
            self.read_more().await?;
        }
    }

    fn take_complete_frame(&mut self) -> Result<Option<RequestFrame>, ReadError> {
        let Some(length) = self.frame_length()? else {
            return Ok(None);
        };
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(LENGTH_BYTES + length).freeze();
        bytes::Buf::advance(&mut frame, LENGTH_BYTES);
        let mut permit = self.permit.take().unwrap_or_else(|| self.memory.permit());
        permit.complete();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Some(RequestFrame {
            bytes: frame,
            permit,
        }))
    }

    fn frame_length(&self) -> Result<Option<usize>, ReadError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        klamm_codec::frame_length(*prefix, self.frame_bytes_max)
            .map(Some)
            .map_err(ReadError::Length)
    }

    /// Makes room for at least one byte more of the frame that is arriving.
    async fn make_room(&mut self) -> Result<(), ReadError> {
        if self.buffer.capacity() > self.buffer.len() {
            return Ok(());
        }
        if self.buffer.is_empty() {
            // Wait for the first byte before taking any memory: an idle connection holds none.
            self.stream.readable().await.map_err(ReadError::Io)?;
        }
        let wanted = match self.frame_length()? {
            Some(length) => (LENGTH_BYTES + length)
                .min(self.buffer.len().max(FIRST_CHUNK_BYTES) * GROWTH_FACTOR),
            None => FIRST_CHUNK_BYTES,
        };
        let more = wanted.max(self.buffer.len() + LENGTH_BYTES) - self.buffer.len();
        let permit = self.permit.get_or_insert_with(|| self.memory.permit());
        permit.grow(more).await.map_err(|_| ReadError::Evicted)?;
        self.buffer.reserve(more);
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), ReadError> {
        let Some(permit) = self.permit.as_ref() else {
            return read_into(&mut self.stream, &mut self.buffer).await;
        };
        tokio::select! {
            biased;
            result = read_into(&mut self.stream, &mut self.buffer) => result,
            () = permit.evicted() => Err(ReadError::Evicted),
        }
    }
}

async fn read_into(stream: &mut OwnedReadHalf, buffer: &mut BytesMut) -> Result<(), ReadError> {
    match stream.read_buf(buffer).await {
        Ok(0) if buffer.is_empty() => Err(ReadError::Closed),
        Ok(0) => Err(ReadError::Truncated),
        Ok(_) => Ok(()),
        Err(error) => Err(ReadError::Io(error)),
    }
}
