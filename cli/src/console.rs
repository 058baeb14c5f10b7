//! The terminal, or what stands in for it: whether colours are wanted, and words that may go nowhere.

use std::io::{IsTerminal as _, Write as _};

/// One of the two streams of the command itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Whether a stream is for eyes that see colours: a terminal, and `NO_COLOR` is not set.
pub(crate) fn colours(stream: Stream) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    wanted && !dumb && is_terminal(stream)
}

/// Whether somebody looks at it.
pub(crate) fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Stdout => std::io::stdout().is_terminal(),
        Stream::Stderr => std::io::stderr().is_terminal(),
    }
}

/// Writes a text. A reader that went away (`procession graph demo.toml | head -1`) has had enough, which is no error.
pub(crate) fn say(stream: Stream, text: &str) {
    write(stream, text.as_bytes());
}

/// As [`say`], for bytes.
pub(crate) fn write(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Stdout => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        }
        Stream::Stderr => std::io::stderr().lock().write_all(bytes),
    };
}
