//! Any bytes, in any pieces, to the reader of pipes: no panic, no message over the limit, no memory beyond
//! what came and what is trusted, and the same messages as in one piece.

use procession::pipe::Settings;
use procession::pipe::reader::{AHEAD_BYTES, Ending, Reader, TRUSTED_BYTES};

const LIMIT: usize = 1 << 20;

/// The messages in a stream that comes in pieces of these lengths, and the text of the error at its end.
fn read(mut bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<Vec<u8>>, String) {
    let mut reader = Reader::new(Settings::new().message_bytes(LIMIT));
    let mut messages = Vec::new();
    loop {
        while !reader.is_ready() && !bytes.is_empty() {
            let mut now = &bytes[..piece().max(1).min(bytes.len())];
            let mut moved = 0;
            for room in &mut reader.want() {
                assert!(room.bytes() <= TRUSTED_BYTES.max(AHEAD_BYTES), "it allocated for a promise");
                let put = room.put(now);
                (now, moved) = (&now[put..], moved + put);
            }
            assert!(moved > 0, "it wants bytes and has no room");
            bytes = &bytes[moved..];
            reader.handle_read(Vec::new(), false);
        }
        if !reader.is_ready() {
            reader.handle_end(Ending::Closed);
        }
        match reader.take() {
            Ok(message) => {
                assert!(message.bytes.len() <= LIMIT);
                messages.push(message.bytes.into_owned());
            }
            Err(error) => return (messages, error.to_string()),
        }
    }
}

/// The target: the first byte says how many lengths of pieces follow, which are used in turn; the rest is the stream.
pub(crate) fn run(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else { return };
    let (pieces, bytes) = rest.split_at(usize::from(*count).min(rest.len()));
    let mut cycle = pieces.iter().map(|piece| usize::from(*piece)).cycle();
    let split = read(bytes, || cycle.next().unwrap_or(1));
    let whole = read(bytes, || usize::MAX);
    assert_eq!(split, whole);
}
