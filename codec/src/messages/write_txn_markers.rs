//! WriteTxnMarkers: the library lacks version 2, and its type has no place for what that version adds (KIP-1228).

use bytes::Bytes;
use kafka_protocol::messages::{ProducerId, TopicName};

use super::read_body;
use crate::error::Fault;
use crate::message::{BodyError, RequestBody};
use crate::reader::Reader;

/// The version that adds the transaction version.
const TRANSACTION_VERSION_VERSION: i16 = 2;

/// A request to end transactions on this broker's partitions. Versions 1 and 2.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteTxnMarkersRequest {
    pub markers: Vec<TxnMarker>,
}

/// The end of one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct TxnMarker {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    /// True for commit, false for abort.
    pub transaction_result: bool,
    pub topics: Vec<TxnMarkerTopic>,
    pub coordinator_epoch: i32,
    /// The transaction.version under which the transaction ran; 0 where version 1 does not say.
    pub transaction_version: i8,
}

/// The partitions of one topic that took part.
#[derive(Debug, Clone, PartialEq)]
pub struct TxnMarkerTopic {
    pub name: TopicName,
    pub partition_indexes: Vec<i32>,
}

impl RequestBody for WriteTxnMarkersRequest {
    const API_KEY: i16 = 27;

    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
        match version {
            1 | TRANSACTION_VERSION_VERSION => {
                read_body(body, true, |reader| read_request(reader, version))
            }
            _ => Err(BodyError::UnsupportedVersion),
        }
    }
}

fn read_request(reader: &mut Reader<'_>, version: i16) -> Result<WriteTxnMarkersRequest, Fault> {
    let markers = reader.read_array(17, |reader| read_marker(reader, version))?;
    reader.end_struct()?;
    Ok(WriteTxnMarkersRequest { markers })
}

fn read_marker(reader: &mut Reader<'_>, version: i16) -> Result<TxnMarker, Fault> {
    let marker = TxnMarker {
        producer_id: ProducerId(reader.read_i64()?),
        producer_epoch: reader.read_i16()?,
        transaction_result: reader.read_bool()?,
        topics: reader.read_array(3, read_topic)?,
        coordinator_epoch: reader.read_i32()?,
        transaction_version: if version >= TRANSACTION_VERSION_VERSION {
            reader.read_i8()?
        } else {
            0
        },
    };
    reader.end_struct()?;
    Ok(marker)
}

fn read_topic(reader: &mut Reader<'_>) -> Result<TxnMarkerTopic, Fault> {
    let topic = TxnMarkerTopic {
        name: TopicName(reader.read_text()?),
        partition_indexes: reader.read_array(4, Reader::read_i32)?,
    };
    reader.end_struct()?;
    Ok(topic)
}
