//! Writes answers to a socket: encoded pieces from memory, log ranges straight from the page cache.

use std::io;

use bytes::Bytes;
use klamm_codec::Segment;
use klamm_log_store::FileSlice;
use tokio::net::TcpStream;

use crate::api::Frame;

/// An answer up to this size leaves in one system call, with its log ranges copied: that costs less than a packet that is
/// put together of three. A fetch that waited for a record is answered so.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// Writes one answer in full.
pub async fn send(stream: &TcpStream, frame: Frame) -> io::Result<()> {
    if let Some(bytes) = small_in_one(&frame)? {
        return send_all(stream, &bytes).await;
    }
    let last = frame.len().saturating_sub(1);
    for (index, segment) in frame.into_iter().enumerate() {
        match segment {
            Segment::Bytes(bytes) if index == last => send_all(stream, &bytes).await?,
            Segment::Bytes(bytes) => send_more(stream, &bytes).await?,
            Segment::File(range) => send_file(stream, &range.0).await?,
        }
    }
    Ok(())
}

/// The whole answer in memory, if it is small.
pub fn small_in_one(frame: &Frame) -> io::Result<Option<Bytes>> {
    if let [Segment::Bytes(bytes)] = frame.as_slice() {
        return Ok((bytes.len() <= COPIED_BYTES_MAX).then(|| bytes.clone()));
    }
    let sizes = frame.iter().map(|segment| match segment {
        Segment::Bytes(bytes) => bytes.len(),
        Segment::File(range) => range.0.bytes,
    });
    let bytes_total: usize = sizes.sum();
    if bytes_total > COPIED_BYTES_MAX {
        return Ok(None);
    }
    let mut copied = Vec::with_capacity(bytes_total);
    for segment in frame {
        match segment {
            Segment::Bytes(bytes) => copied.extend_from_slice(bytes),
            Segment::File(range) => copied.extend_from_slice(&range.0.read_to_bytes()?),
        }
    }
    Ok(Some(copied.into()))
}

async fn send_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes bytes that more will follow, so that the kernel can put both into one packet.
#[cfg(target_os = "linux")]
async fn send_more(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::net::SendFlags;
    use tokio::io::Interest;

    while !bytes.is_empty() {
        stream.writable().await?;
        let sent = stream.try_io(Interest::WRITABLE, || {
            rustix::net::send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)
                .map_err(io::Error::from)
        });
        match sent {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn send_more(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    send_all(stream, bytes).await
}

/// Hands a range of a log file to the socket without a copy through user space.
#[cfg(target_os = "linux")]
async fn send_file(stream: &TcpStream, slice: &FileSlice) -> io::Result<()> {
    use tokio::io::Interest;

    let (mut position, end) = (slice.position, slice.position + slice.bytes as u64);
    while position < end {
        stream.writable().await?;
        let count = usize::try_from(end - position).unwrap_or(usize::MAX);
        let sent = stream.try_io(Interest::WRITABLE, || {
            rustix::fs::sendfile(stream, &*slice.file, Some(&mut position), count)
                .map_err(io::Error::from)
        });
        match sent {
            // The file is shorter than planned: its log was cut. The answer cannot be completed.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn send_file(stream: &TcpStream, slice: &FileSlice) -> io::Result<()> {
    let bytes = slice.read_to_bytes()?;
    send_all(stream, &bytes).await
}
