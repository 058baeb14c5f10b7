//! Any bytes to the decoders of a control pipe. `cargo +nightly fuzz run control`; see `bodies/control.rs`.

#![no_main]

#[path = "../bodies/control.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
