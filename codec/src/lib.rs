//! Bytes to Kafka messages and back: total functions over untrusted bytes.
//!
//! A request goes through [`take_frame`] (or [`frame_length`]), [`decode_request_header`] and [`decode_request`]; a
//! response leaves through [`encode_response`]. Nothing here does IO, reads a clock or panics over what a peer sent, and
//! no declared length makes memory grow past what the bytes justify.

mod cursor;
mod error;
mod fetch_request;
mod fetch_response;
mod frame;
mod header;
mod library;
mod message;
mod messages;
mod produce_request;
mod produce_response;
mod reader;
mod shape;
mod text;
mod topic_ref;
mod wire;

pub use error::{DecodeError, EncodeError, Fault, FrameError, HeaderError, ShapeError};
pub use fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
pub use fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchedPartition, FetchedTopic, FileRange,
    LeaderIdAndEpoch, NodeEndpoint, Segment, SnapshotId, encode_fetch_response,
};
pub use frame::{FRAME_BYTES_MAX_DEFAULT, LENGTH_PREFIX_BYTES, frame_length, take_frame};
pub use header::{RequestHeader, RequestPrefix, decode_request_header, peek_request};
pub use message::{BodyError, RequestBody, ResponseBody, decode_request, encode_response};
pub use messages::{TxnMarker, TxnMarkerTopic, WriteTxnMarkersRequest};
pub use produce_request::{ProducePartition, ProduceRequest, ProduceTopic};
pub use produce_response::{
    ProduceResponse, ProducedPartition, ProducedRecordError, ProducedTopic,
};
pub use shape::{
    Api, ELEMENTS_MAX, Field, Kind, STRING_BYTES_MAX, Versions, Walked, apis, check_request,
    find_api,
};
pub use topic_ref::TopicRef;
