//! A pipe in memory, with faults on demand: for tests of what is built on pipes, and of the pipes themselves.
//!
//! The two ends may be used from two threads of one process. Faults come from a seed, so that a run can be
//! repeated; nothing here reads a clock but to wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::end::{End, Nothing};
use super::settings::Settings;
use super::transport::Transport;
use crate::sys::room::Room;
use crate::sys::socket::{Received, Wait};

/// What the stream of bytes does to those who use it. The default is a fault-free pipe of 64 KiB.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Where the random numbers begin.
    pub seed: u64,
    /// At most so many bytes are read or written at once, a random number of them.
    pub piece_bytes: usize,
    /// What each direction holds before a writer must wait.
    pub capacity_bytes: usize,
    /// Every so manieth call, at random, is told `WouldBlock` although it could be served, also when it may
    /// wait. 0 is none.
    pub would_block_one_in: u32,
    /// So many calls in a row find nothing, after each piece that was read.
    pub stalls: u32,
    /// After so many bytes in one direction, the stream is cut there.
    pub cut_after_bytes: Option<u64>,
    /// What a cut is.
    pub cut: Cut,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// The reader finds end-of-file, the writer a broken pipe: the peer's process died.
    #[default]
    PeerDied,
    /// The reader finds a connection reset after the last byte, the writer a broken pipe: it died with input
    /// unread.
    Reset,
    /// The writer is told that there are no buffers, once, and could go on: what poisons a pipe.
    WriteFails,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            seed: 0,
            piece_bytes: usize::MAX,
            capacity_bytes: 64 << 10,
            would_block_one_in: 0,
            stalls: 0,
            cut_after_bytes: None,
            cut: Cut::default(),
        }
    }
}

/// A duplex pipe in memory.
pub fn pipe<Out, In>(settings: Settings, faults: &Faults) -> (End<Out, In, Memory>, End<In, Out, Memory>) {
    let (left, right) = pair(faults);
    (End::new(left, settings), End::new(right, settings))
}

/// A one-way pipe in memory.
pub fn simplex<T>(settings: Settings, faults: &Faults) -> (End<T, Nothing, Memory>, End<Nothing, T, Memory>) {
    let (left, right) = pair(faults);
    (End::new(left, settings), End::new(right, settings))
}

/// Two connected transports.
pub fn pair(faults: &Faults) -> (Memory, Memory) {
    let there = Arc::new(Stream::new(faults.clone(), 1));
    let back = Arc::new(Stream::new(faults.clone(), 2));
    let left = Memory { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
    (left, Memory { incoming: there, outgoing: back })
}

/// One end of a stream in memory.
#[derive(Debug)]
pub struct Memory {
    incoming: Arc<Stream>,
    outgoing: Arc<Stream>,
}

/// One direction.
#[derive(Debug)]
struct Stream {
    state: Mutex<State>,
    changed: Condvar,
    faults: Faults,
}

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    /// Descriptors, and how many bytes go before the one that they accompany.
    descriptors: VecDeque<(usize, Vec<OwnedFd>)>,
    carried: u64,
    writer_gone: bool,
    reader_gone: bool,
    was_cut: bool,
    stalled: u32,
    random: u64,
}

impl Stream {
    fn new(faults: Faults, lane: u64) -> Self {
        let state = State {
            bytes: VecDeque::new(),
            descriptors: VecDeque::new(),
            carried: 0,
            writer_gone: false,
            reader_gone: false,
            was_cut: false,
            stalled: 0,
            random: faults.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ lane,
        };
        Stream { state: Mutex::new(state), changed: Condvar::new(), faults }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the condition holds or the time is over, and says which.
    fn wait_until(&self, timeout: Option<Duration>, condition: impl Fn(&State, &Faults) -> bool) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        while !condition(&state, &self.faults) {
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        true
    }
}

impl State {
    /// A number below `bound`, from a xorshift generator.
    fn random_below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }

    /// A length from 1 to the smaller of the two.
    fn piece(&mut self, most: usize, faults: &Faults) -> usize {
        match most.min(faults.piece_bytes) {
            most if faults.piece_bytes == usize::MAX => most,
            most => usize::try_from(self.random_below(most as u64)).unwrap_or(0) + 1,
        }
    }

    fn would_block(&mut self, faults: &Faults) -> bool {
        faults.would_block_one_in > 0 && self.random_below(faults.would_block_one_in.into()) == 0
    }

    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.writer_gone
    }

    fn is_writable(&self, faults: &Faults) -> bool {
        self.bytes.len() < faults.capacity_bytes || self.reader_gone
    }

    /// How many bytes may still pass before the cut.
    fn until_cut(&self, faults: &Faults) -> usize {
        match faults.cut_after_bytes {
            Some(after) if !self.was_cut => {
                usize::try_from(after.saturating_sub(self.carried)).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        }
    }

    /// Reads once the stream is readable.
    fn read(
        &mut self,
        rooms: &mut [Room<'_>; 2],
        max_descriptors: usize,
        faults: &Faults,
    ) -> io::Result<Received> {
        if self.bytes.is_empty() {
            if self.was_cut && faults.cut == Cut::Reset {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            return Ok(Received { bytes: 0, descriptors: Vec::new(), truncated: false });
        }
        let most = rooms[0].bytes().saturating_add(rooms[1].bytes()).min(self.bytes.len());
        let mut bytes = self.piece(most, faults);
        let mut descriptors = Vec::new();
        // As the kernel does: a read ends before the second group of descriptors. Ours ends at the first byte
        // of the first group as well, which is a split that the kernel may make.
        if let Some((before, _)) = self.descriptors.front() {
            bytes = bytes.min(before + 1);
            if bytes == before + 1 {
                descriptors = self.descriptors.pop_front().map_or_else(Vec::new, |(_, group)| group);
            }
        }
        let mut moved = 0;
        for room in rooms {
            while moved < bytes && room.bytes() > 0 {
                // A ring has two pieces, of which the first may be empty only if the second is.
                let (piece, _) = self.bytes.as_slices();
                let put = room.put(&piece[..piece.len().min(bytes - moved)]);
                self.bytes.drain(..put);
                moved += put;
            }
        }
        self.descriptors.iter_mut().for_each(|(before, _)| *before -= bytes);
        let truncated = descriptors.len() > max_descriptors;
        descriptors.truncate(max_descriptors);
        self.stalled = faults.stalls;
        Ok(Received { bytes, descriptors, truncated })
    }

    /// Writes once the stream is writable.
    fn write(
        &mut self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        faults: &Faults,
    ) -> io::Result<usize> {
        if self.reader_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let until_cut = self.until_cut(faults);
        if until_cut == 0 {
            self.was_cut = true;
            if faults.cut == Cut::WriteFails {
                return Err(io::Error::other("no buffers (injected)"));
            }
            (self.writer_gone, self.reader_gone) = (true, true);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: usize = parts.iter().map(|part| part.len()).sum();
        let room = (faults.capacity_bytes - self.bytes.len()).min(until_cut);
        let bytes = self.piece(all.min(room), faults);
        if !descriptors.is_empty() {
            let owned: io::Result<_> = descriptors.iter().map(|fd| fd.try_clone_to_owned()).collect();
            self.descriptors.push_back((self.bytes.len(), owned?));
        }
        self.bytes.extend(parts.iter().flat_map(|part| part.iter()).take(bytes));
        self.carried += bytes as u64;
        Ok(bytes)
    }
}

impl Transport for Memory {
    fn recv(
        &mut self,
        rooms: &mut [Room<'_>; 2],
        max_descriptors: usize,
        wait: Wait,
    ) -> io::Result<Received> {
        if rooms.iter().all(|room| room.bytes() == 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
        }
        if wait == Wait::Yes {
            self.wait_readable(None)?;
        }
        let faults = &self.incoming.faults;
        let mut state = self.incoming.lock();
        if !state.is_readable() || state.would_block(faults) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.stalled > 0 {
            state.stalled -= 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let received = state.read(rooms, max_descriptors, faults);
        self.incoming.changed.notify_all();
        received
    }

    fn send(
        &mut self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<usize> {
        if wait == Wait::Yes {
            self.wait_writable(None)?;
        }
        let faults = &self.outgoing.faults;
        let mut state = self.outgoing.lock();
        if !state.is_writable(faults) || state.would_block(faults) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = state.write(parts, descriptors, faults);
        self.outgoing.changed.notify_all();
        sent
    }

    fn wait_readable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.incoming.wait_until(timeout, |state, _| state.is_readable()))
    }

    fn wait_writable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.outgoing.wait_until(timeout, State::is_writable))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.outgoing.lock().writer_gone = true;
        self.outgoing.changed.notify_all();
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.outgoing.lock().writer_gone = true;
        self.incoming.lock().reader_gone = true;
        self.outgoing.changed.notify_all();
        self.incoming.changed.notify_all();
    }
}
