//! Any bytes, in any pieces, to the reader of pipes; see `bodies/pipe_reader.rs`.
//!
//! `cargo +nightly fuzz run pipe_reader`; or, without cargo-fuzz, `RUSTFLAGS="-Cpasses=sancov-module
//! -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Zsanitizer=address"
//! cargo +nightly run --release --target x86_64-unknown-linux-gnu --bin pipe_reader`.

#![no_main]

#[path = "../bodies/pipe_reader.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
