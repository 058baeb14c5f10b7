//! Any order of announcements and chunks of large bodies. `cargo +nightly fuzz run chunks`; see `bodies/chunks.rs`.

#![no_main]

#[path = "../bodies/chunks.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
