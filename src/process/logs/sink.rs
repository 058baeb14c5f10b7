//! Where formatted lines go: stderr, which may block for as long as nobody reads it.
//!
//! The root's thread must never wait for that, or a terminal that is held with Ctrl-S would hold up restarts. Its
//! lines go through a bounded queue to a thread that writes them; when the queue is full they are dropped and
//! counted. Every other thread writes for itself.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The thread that must not block.
pub const ROOT_THREAD: &str = "procession-root";

/// Lines that wait: some seconds of a busy topology, and at most a few megabytes.
const LINES: usize = 8192;

/// How long the end of a program waits for its last lines to be written.
const FLUSH_GRACE: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static QUEUE: OnceLock<Option<SyncSender<Item>>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

fn queue() -> Option<&'static SyncSender<Item>> {
    let start = || {
        let (sender, receiver) = sync_channel(LINES);
        let thread = std::thread::Builder::new().name("procession-log".to_owned());
        thread.spawn(move || write_all(&receiver)).ok().map(|_| sender)
    };
    QUEUE.get_or_init(start).as_ref()
}

fn write_all(items: &Receiver<Item>) {
    for item in items {
        match item {
            Item::Line(line) => {
                let dropped = DROPPED.swap(0, Ordering::Relaxed);
                let mut out = io::stderr().lock();
                if dropped > 0 {
                    let _ = writeln!(out, "({dropped} log lines were lost: nobody read them)");
                }
                let _ = out.write_all(&line);
            }
            Item::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Waits until what was logged so far is written, at most a second.
pub fn flush() {
    let Some(Some(queue)) = QUEUE.get() else { return };
    let (done, written) = sync_channel(1);
    if queue.try_send(Item::Flush(done)).is_ok() {
        let _ = written.recv_timeout(FLUSH_GRACE);
    }
}

/// Makes writers to stderr.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stderr;

/// Writes one line.
#[derive(Debug)]
pub(super) struct Writer {
    queued: bool,
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Writer;

    fn make_writer(&'a self) -> Writer {
        Writer { queued: std::thread::current().name() == Some(ROOT_THREAD) }
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match queue() {
            Some(queue) if self.queued => {
                if queue.try_send(Item::Line(line.to_vec())).is_err() {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => io::stderr().lock().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
