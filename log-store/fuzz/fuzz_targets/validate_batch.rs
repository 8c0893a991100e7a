//! Validates the records field of a produce request as the server does.
//!
//!     cd log-store && cargo +nightly fuzz run validate_batch -- -malloc_limit_mb=160 -max_len=8192
//!
//! A run fails on a panic, on an allocation above the limit (a zstd window may take 128 MiB), and
//! when a batch is accepted that does not keep what `property.rs` says.

#![no_main]

#[path = "../property.rs"]
mod property;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    property::check(input);
});
