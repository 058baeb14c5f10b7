//! Any bytes to a connection that has messages of its own under way. `cargo +nightly fuzz run connection`; see `bodies/connection.rs`.

#![no_main]

#[path = "../bodies/connection.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
