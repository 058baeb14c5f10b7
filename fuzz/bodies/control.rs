//! Any bytes to the two decoders of a control pipe: no panic, and the same messages in pieces as in one.

use procession::protocol::control::{Preamble, ToRoot, ToWorker};
use procession::protocol::control_frames::{ControlError, Decoder};
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(bytes: &[u8], piece: usize, descriptors: u8) -> (Vec<T>, Option<ControlError>) {
    let mut decoder: Decoder<T, u8> = Decoder::new();
    let mut messages = Vec::new();
    // All descriptors come with the first byte.
    let mut held = 0..descriptors;
    for piece in bytes.chunks(piece.max(1)) {
        decoder.handle_bytes(piece, held.by_ref(), false);
        loop {
            match decoder.poll_message() {
                Ok(Some((message, _))) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    let end = decoder.handle_end();
    (messages, end.err())
}

fn compare<T: DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8], piece: usize) {
    let (pieces, how) = read::<T>(bytes, piece, 0);
    let (whole, why) = read::<T>(bytes, usize::MAX, 0);
    assert_eq!(pieces, whole);
    assert_eq!(how, why);
    read::<T>(bytes, piece, 3);
}

/// The target: the first byte says how large the pieces are, and whether the input brings the preamble.
pub(crate) fn run(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let bytes = if first % 2 == 0 { [&Preamble::ours()[..], rest].concat() } else { rest.to_vec() };
    compare::<ToRoot>(&bytes, usize::from(first / 2));
    compare::<ToWorker>(&bytes, usize::from(first / 2));
}
