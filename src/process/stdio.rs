//! Raw stdout and stderr of a worker, as whole lines. Root side.
//!
//! For what a program prints by itself, a C library complains and the runtime says before an abort. Not for
//! `tracing` events, which come over the control pipe with their level and fields.
//!
//! A pipe is always drained, whether or not anybody keeps up with the lines: a worker must never wait for its
//! log (H29). Lines that can't be handed on are counted, and the last ones are kept for the report of a death.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::event::{Line, Report, Stream, WorkerEvent};
use super::scratch::{self, READ_BYTES};
use crate::id::{Incarnation, ProcessId};

/// How many of the last lines are kept for the report of a death: what a person reads at a glance, and enough
/// for the message and the first frames of a backtrace.
pub const LAST_LINES: usize = 20;

/// A longer line is split, and the piece ends with [`SPLIT_MARK`]. No person reads more, and twenty of them for
/// each stream of each worker are kept.
pub const MAX_LINE_BYTES: usize = 8 << 10;

/// Ends a piece of a line that goes on in the next.
pub const SPLIT_MARK: &str = "…";

/// What the last sweep of a pipe takes whose writer is dead: the most that an unprivileged program can make a pipe
/// hold.
const SWEEP_BYTES: usize = 1 << 20;

/// How many turns the root gets to make room. It takes a hundred events in one, so a few are enough unless it is
/// not listening.
const PATIENCE_TURNS: u32 = 16;

/// Where lines go, and whose they are.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) process: ProcessId,
    pub(super) incarnation: Incarnation,
    pub(super) stream: Stream,
    pub(super) events: mpsc::Sender<Report>,
}

/// What is left of a stream when it is over.
#[derive(Debug)]
pub(super) struct Rest {
    /// The last lines.
    pub(super) last: Vec<String>,
    /// How many lines were not handed on.
    pub(super) lost: u64,
    /// Whether it came to its end.
    pub(super) drained: bool,
}

impl Lines {
    /// Reads until end-of-file, or until the deadline that `until` comes to hold.
    pub(super) async fn relay(self, pipe: AsyncFd<OwnedFd>, until: watch::Receiver<Option<Instant>>) -> Rest {
        let mut relay = Relay {
            lines: self,
            splitter: Splitter::default(),
            last: VecDeque::with_capacity(LAST_LINES),
            dropped: 0,
            lost: 0,
            patience: PATIENCE_TURNS,
        };
        let mut over = std::pin::pin!(passed(until));
        let drained = loop {
            tokio::select! {
                biased;
                () = &mut over => break relay.sweep(&pipe).await,
                ready = pipe.readable() => {
                    // Readiness of a registered descriptor fails only when the runtime shuts down.
                    let Ok(mut ready) = ready else { break false };
                    match ready.try_io(|pipe| relay.splitter.read(pipe)) {
                        Ok(Ok(Some(texts))) => relay.take(texts).await,
                        Ok(_) => break true,
                        Err(_would_block) => {}
                    }
                }
            }
            // A flood on this pipe leaves the root's thread to others in between.
            tokio::task::yield_now().await;
        };
        relay.finish(drained).await
    }
}

/// Comes back when the deadline is set and passed; never, if it is never set.
pub(super) async fn passed(mut until: watch::Receiver<Option<Instant>>) {
    match until.wait_for(Option::is_some).await.map(|deadline| *deadline) {
        Ok(Some(deadline)) => tokio::time::sleep_until(deadline).await,
        _ => std::future::pending().await,
    }
}

#[derive(Debug)]
struct Relay {
    lines: Lines,
    splitter: Splitter,
    last: VecDeque<String>,
    /// Lost since the last line that was handed on.
    dropped: u64,
    lost: u64,
    /// How many turns the root may still have to make room.
    patience: u32,
}

impl Relay {
    async fn take(&mut self, texts: Vec<String>) {
        for text in texts {
            self.hand_on(text).await;
        }
    }

    /// One read can hold more short lines than there is room for, so the root, on whose thread this is, gets some
    /// turns to take them. If it uses none of them, it does not keep up, and no further line waits for it.
    async fn hand_on(&mut self, text: String) {
        while self.is_crowded() && self.patience > 0 {
            self.patience -= 1;
            tokio::task::yield_now().await;
        }
        if !self.is_crowded() {
            self.patience = PATIENCE_TURNS;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(text.clone());
        let Lines { process, incarnation, stream, events } = &self.lines;
        let line = Line { stream: *stream, text, dropped: self.dropped };
        match self.is_crowded() || events.try_send((*process, *incarnation, WorkerEvent::Line(line))).is_err()
        {
            true => {
                self.dropped += 1;
                self.lost += 1;
            }
            false => self.dropped = 0,
        }
    }

    /// The last quarter of the room is for frames, which are not dropped and would have to wait.
    fn is_crowded(&self) -> bool {
        let events = &self.lines.events;
        events.capacity() < events.max_capacity() / 4
    }

    /// Takes what is in the pipe of a dead process that somebody else still holds. Whether it ended after all.
    async fn sweep(&mut self, pipe: &AsyncFd<OwnedFd>) -> bool {
        for _ in 0..SWEEP_BYTES / READ_BYTES {
            match self.splitter.read(pipe) {
                Ok(None) => return true,
                Ok(Some(texts)) => self.take(texts).await,
                Err(_) => return false,
            }
        }
        false
    }

    async fn finish(mut self, drained: bool) -> Rest {
        if let Some(text) = self.splitter.finish() {
            self.hand_on(text).await;
        }
        Rest { last: self.last.into(), lost: self.lost, drained }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Reads once. The lines that are whole now; none at end-of-file.
    fn read(&mut self, pipe: &AsyncFd<OwnedFd>) -> io::Result<Option<Vec<String>>> {
        scratch::with(|buffer| {
            let count = loop {
                match nix::unistd::read(pipe.get_ref(), buffer) {
                    Err(nix::errno::Errno::EINTR) => {}
                    other => break other?,
                }
            };
            let mut texts = Vec::new();
            self.feed(&buffer[..count], |text| texts.push(text));
            Ok((count > 0).then_some(texts))
        })
    }

    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(String)) {
        while let ControlFlow::Continue(rest) = self.step(bytes, &mut each) {
            bytes = rest;
        }
    }

    /// Takes one line or one piece from `bytes`; breaks if there was no whole one.
    fn step<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(String)) -> ControlFlow<(), &'a [u8]> {
        let room = MAX_LINE_BYTES - self.partial.len();
        let window = &bytes[..bytes.len().min(room + 1)];
        if let Some(end) = window.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            each(text(std::mem::take(&mut self.partial), ""));
            return ControlFlow::Continue(&bytes[end + 1..]);
        }
        if bytes.len() <= room {
            self.partial.extend_from_slice(bytes);
            return ControlFlow::Break(());
        }
        self.partial.extend_from_slice(&bytes[..room]);
        let rest = self.partial.split_off(whole_characters(&self.partial));
        each(text(std::mem::replace(&mut self.partial, rest), SPLIT_MARK));
        ControlFlow::Continue(&bytes[room..])
    }

    /// What came after the last end of a line.
    fn finish(&mut self) -> Option<String> {
        match self.partial.is_empty() {
            true => None,
            false => Some(text(std::mem::take(&mut self.partial), "")),
        }
    }
}

/// How many bytes to take so as not to cut a character of UTF-8 in two.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| byte & 0b1100_0000 != 0b1000_0000).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[start..]) {
        Err(error) if error.error_len().is_none() && start > 0 => start,
        _ => bytes.len(),
    }
}

fn text(mut bytes: Vec<u8>, mark: &str) -> String {
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    let mut text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    text.push_str(mark);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut all = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |line| all.push(line));
        }
        all.extend(splitter.finish());
        all
    }

    #[test]
    fn h29_lines_are_whole_however_they_arrive() {
        assert_eq!(lines(&[b"a", b"b\r\n\nc", b"\n"]), ["ab", "", "c"]);
        assert_eq!(lines(&[b"no end"]), ["no end"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn h29_a_long_line_is_split_between_characters_and_marked() {
        let long = format!("x{}\n", "é".repeat(MAX_LINE_BYTES));
        let pieces = lines(&[long.as_bytes()]);
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].ends_with(SPLIT_MARK) && pieces[1].ends_with(SPLIT_MARK));
        assert_eq!(pieces.concat().replace(SPLIT_MARK, ""), long.trim_end());
        let exact = "y".repeat(MAX_LINE_BYTES);
        assert_eq!(lines(&[exact.as_bytes(), b"\n"]), [exact]);
    }

    proptest! {
        #[test]
        fn h29_any_split_of_any_bytes_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            cut in 0_usize..200,
        ) {
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(lines(&[left, right]), lines(&[&bytes]));
        }
    }
}
