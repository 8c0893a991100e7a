//! What the pieces of the hot path cost, in instructions: `cargo bench`, or `cargo bench -- WORD` for those with the word
//! in their names.
//!
//! Instructions are counted by valgrind's callgrind, which does the same work on every run: two counts can be compared
//! where two times cannot. Beside each stands its change since the last `cargo bench` in the same target directory, and
//! the time it takes on this machine, which is a rough figure only. System calls count as nothing: what the kernel does
//! is measured by `scripts/bench.sh`.

mod groups;
mod harness;
mod records;
mod serving;
mod storage;
mod wire;

use std::process::ExitCode;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let benchmarks = [
        storage::BENCHMARKS,
        wire::BENCHMARKS,
        serving::BENCHMARKS,
        groups::BENCHMARKS,
    ]
    .concat();
    harness::run(&benchmarks)
}
