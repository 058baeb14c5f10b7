//! One direction of a pipe: bounded, and as unkind as it is told to be.

use std::collections::VecDeque;
use std::time::Instant;

/// Bytes on their way from one end to the other.
pub(crate) struct Stream {
    bytes: VecDeque<u8>,
    pub(crate) capacity_bytes: usize,
    /// Nothing moves before.
    pub(crate) stalled_until: Option<Instant>,
    /// Nothing more comes: the writer is gone, or the pipe was cut.
    writer_gone: bool,
    /// Nobody reads: writing fails.
    reader_gone: bool,
}

impl Stream {
    pub(crate) fn new(capacity_bytes: usize) -> Stream {
        Stream {
            bytes: VecDeque::new(),
            capacity_bytes,
            stalled_until: None,
            writer_gone: false,
            reader_gone: false,
        }
    }

    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_until.is_some_and(|until| now < until)
    }

    /// How many bytes it takes now; nothing once either end is gone.
    pub(crate) fn room(&self) -> usize {
        if self.writer_gone || self.reader_gone { 0 } else { self.capacity_bytes - self.bytes.len() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "more than there is room for");
        self.bytes.extend(bytes);
    }

    pub(crate) fn available(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn read(&mut self, most: usize) -> Vec<u8> {
        let bytes = most.min(self.bytes.len());
        self.bytes.drain(..bytes).collect()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.writer_gone && self.bytes.is_empty()
    }

    /// The writer is gone: what it wrote still arrives, as from a process that was killed.
    pub(crate) fn close_writer(&mut self) {
        self.writer_gone = true;
    }

    pub(crate) fn close_reader(&mut self) {
        self.reader_gone = true;
        self.bytes.clear();
    }

    /// The pipe breaks: of what is on its way only the first `kept` bytes arrive.
    pub(crate) fn cut(&mut self, kept: usize) {
        self.bytes.truncate(kept);
        self.writer_gone = true;
    }
}
