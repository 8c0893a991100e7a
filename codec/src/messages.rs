//! The messages and versions that the library lacks.

mod describe_log_dirs;
mod offset_commit;
mod offset_fetch;
mod write_txn_markers;

pub use write_txn_markers::{TxnMarker, TxnMarkerTopic, WriteTxnMarkersRequest};

use bytes::{Buf, Bytes};

use crate::error::Fault;
use crate::message::BodyError;
use crate::reader::Reader;

/// Reads a whole body with a reader of this crate and moves past it.
pub(crate) fn read_body<T>(
    body: &mut Bytes,
    is_flexible: bool,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>,
) -> Result<T, BodyError> {
    let mut reader = Reader::new(body, is_flexible);
    let read = read(&mut reader);
    let length_bytes = reader.position();
    let message = read.map_err(|fault| BodyError::Malformed {
        position: length_bytes,
        fault,
    })?;
    body.advance(length_bytes);
    Ok(message)
}
