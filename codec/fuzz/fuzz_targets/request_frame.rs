//! Decodes a request frame as the server does.
//!
//!     cd codec && cargo +nightly fuzz run request_frame fuzz/corpus/request_frame fuzz/seeds/request_frame
//!
//! The seeds are valid frames of every API, written by the codec's tests; what the fuzzer finds goes to the corpus,
//! which is not committed. A run fails on a panic, on memory that grows past libFuzzer's limit, and on bytes that
//! pass the shape check and are then refused by the library.

#![no_main]

#[path = "../../tests/wire/apis.rs"]
mod apis;

use bytes::Bytes;
use klamm_codec::{DecodeError, decode_request_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let Ok((header, body)) = decode_request_header(Bytes::copy_from_slice(frame)) else {
        return;
    };
    let decoded = apis::decode_any(header.api_key, header.api_version, body);
    if let Some(Err(DecodeError::Library { reason, .. })) = decoded {
        panic!("the shape check passed what the library refused: {reason}");
    }
});
