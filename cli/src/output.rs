//! What the command writes while a topology runs: queued, and written by a thread of its own.
//!
//! The runtime's thread logs, and whoever reads the log may stop reading: a pager, a terminal after Ctrl-S, a full
//! pipe. Signals, restarts and introductions must go on then, so that thread never waits for a reader. The queue
//! is bounded; what does not fit is counted, and the count is written where it is missing.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::console::{self, Stream};

/// What may wait: minutes of a busy log, and little for any machine.
const MAX_QUEUED_BYTES: usize = 16 << 20;

/// At the end, a reader that takes nothing for so long will take nothing more.
const PATIENCE: Duration = Duration::from_secs(2);

/// The queue and its thread.
#[derive(Clone, Debug)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something was queued, written or ended.
    changed: Condvar,
    /// How to say that so many texts were lost.
    notice: fn(u64) -> String,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Stream, Vec<u8>)>,
    queued_bytes: usize,
    /// Texts that found no room since the last that did.
    lost: u64,
    /// Texts that were written, for who waits.
    written: u64,
    writing: bool,
}

impl Output {
    /// Starts the thread. It ends with the process.
    pub(crate) fn start(notice: fn(u64) -> String) -> io::Result<Output> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), notice });
        let output = Output(Arc::clone(&shared));
        std::thread::Builder::new().name("procession-out".to_owned()).spawn(move || shared.write_all())?;
        Ok(output)
    }

    /// What writes to one of the streams.
    pub(crate) fn sink(&self, stream: Stream) -> Sink {
        Sink { shared: Arc::clone(&self.0), stream }
    }

    /// Waits until everything is written, or nobody reads.
    pub(crate) fn finish(&self) {
        let mut state = self.0.lock();
        while !state.queue.is_empty() || state.writing {
            let before = state.written;
            let waited = self.0.changed.wait_timeout(state, PATIENCE);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() && state.written == before {
                return;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the texts are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, stream: Stream, text: &[u8]) {
        let mut state = self.lock();
        if state.queued_bytes + text.len() > MAX_QUEUED_BYTES {
            state.lost += 1;
            return;
        }
        let lost = std::mem::take(&mut state.lost);
        if lost > 0 {
            state.enqueue(stream, (self.notice)(lost).into_bytes());
        }
        state.enqueue(stream, text.to_vec());
        self.changed.notify_all();
    }

    fn write_all(&self) {
        let mut state = self.lock();
        loop {
            match state.queue.pop_front() {
                Some((stream, text)) => {
                    state.queued_bytes -= text.len();
                    state.writing = true;
                    drop(state);
                    console::write(stream, &text);
                    state = self.lock();
                    state.writing = false;
                    state.written += 1;
                }
                None => {
                    self.changed.notify_all();
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl State {
    fn enqueue(&mut self, stream: Stream, text: Vec<u8>) {
        self.queued_bytes += text.len();
        self.queue.push_back((stream, text));
    }
}

/// Queues each write as one text.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    shared: Arc<Shared>,
    stream: Stream,
}

impl io::Write for Sink {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.shared.push(self.stream, text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Sink;

    fn make_writer(&'a self) -> Sink {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_what_does_not_fit_is_counted_and_told_before_what_fits_again() {
        let notice = |lost| format!("{lost} lost");
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), notice };
        let half = vec![b'x'; MAX_QUEUED_BYTES / 2];
        for _ in 0..5 {
            shared.push(Stream::Stdout, &half);
        }
        {
            let mut state = shared.lock();
            assert_eq!((state.queue.len(), state.lost), (2, 3));
            state.queue.pop_front();
            state.queued_bytes -= half.len();
        }
        shared.push(Stream::Stderr, b"again");
        let texts: Vec<_> = shared.lock().queue.iter().skip(1).map(|(_, text)| text.clone()).collect();
        assert_eq!(texts, [b"3 lost".to_vec(), b"again".to_vec()]);
    }
}
