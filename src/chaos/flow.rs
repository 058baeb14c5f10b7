//! One direction of a disturbed pipe, without I/O: what was read and may not be written yet.
//!
//! ```text
//!  source --handle_bytes--> [ piece, due | piece, due | ... ] --poll_write, handle_written--> sink
//!          (while `room`)     stall: nothing moves   delay: each piece waits until it is due
//!                             cut: so many bytes more, and then the pipe is over
//! ```
//!
//! Bytes are neither lost nor changed nor reordered, but by a cut; descriptors leave with the first byte of what they
//! came with, never later than they would have. Held to be so by a test with random faults.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What may wait in one direction: about what the kernel holds of a socket, so that a late pipe still fills as one does.
pub(super) const MAX_HELD_BYTES: usize = 256 << 10;

/// What is read at once.
pub(super) const READ_BYTES: usize = 64 << 10;

#[derive(Debug)]
struct Piece<D> {
    bytes: Vec<u8>,
    written: usize,
    descriptors: Vec<D>,
    due: Instant,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Flow<D> {
    held: VecDeque<Piece<D>>,
    held_bytes: usize,
    /// The source has ended; what is held is the rest.
    is_ended: bool,
    /// Nobody reads any more.
    is_refused: bool,
    stalled_until: Option<Instant>,
    /// How late what comes until then is.
    delay: Option<(Duration, Instant)>,
    /// So many bytes may still pass.
    left: Option<u64>,
}

impl<D> Flow<D> {
    pub(super) fn new() -> Flow<D> {
        Flow {
            held: VecDeque::new(),
            held_bytes: 0,
            is_ended: false,
            is_refused: false,
            stalled_until: None,
            delay: None,
            left: None,
        }
    }

    /// Nothing moves until then. A longer stall that holds already stays.
    pub(super) fn stall(&mut self, until: Instant) {
        self.stalled_until = self.stalled_until.max(Some(until));
    }

    /// What comes until then is late by so much.
    pub(super) fn delay(&mut self, by: Duration, until: Instant) {
        self.delay = Some((by, until));
    }

    /// After so many bytes more it is over. A cut that comes sooner stays.
    pub(super) fn cut_after(&mut self, bytes: u64) {
        self.left = Some(self.left.map_or(bytes, |left| left.min(bytes)));
    }

    /// All faults end; what is held leaves at once.
    pub(super) fn calm(&mut self, now: Instant) {
        (self.stalled_until, self.delay) = (None, None);
        // What was cut is over.
        self.left = self.left.filter(|left| *left == 0);
        self.held.iter_mut().for_each(|piece| piece.due = piece.due.min(now));
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_until.is_some_and(|until| now < until)
    }

    /// How much may be read of the source now.
    pub(super) fn room(&self, now: Instant) -> usize {
        if self.is_ended || self.is_refused || self.is_stalled(now) {
            return 0;
        }
        MAX_HELD_BYTES.saturating_sub(self.held_bytes).min(READ_BYTES)
    }

    /// The source gave this.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8], descriptors: Vec<D>, now: Instant) {
        let late = self.delay.filter(|(_, until)| now < *until);
        let due = late.map_or(now, |(by, _)| now + by);
        // Behind what was late already.
        let due = self.held.back().map_or(due, |last| due.max(last.due));
        self.held_bytes += bytes.len();
        self.held.push_back(Piece { bytes: bytes.to_vec(), written: 0, descriptors, due });
    }

    /// The source has ended.
    pub(super) fn handle_end(&mut self) {
        self.is_ended = true;
    }

    /// The sink takes no more: what is held is lost, and so is all that comes.
    pub(super) fn handle_refusal(&mut self) {
        self.is_refused = true;
        self.held.clear();
        self.held_bytes = 0;
    }

    /// What may be written now, with the descriptors that go with its first byte.
    pub(super) fn poll_write(&self, now: Instant) -> Option<(&[u8], &[D])> {
        if self.is_stalled(now) {
            return None;
        }
        let piece = self.held.front().filter(|piece| piece.due <= now)?;
        let bytes = &piece.bytes[piece.written..];
        let allowed = self.left.map_or(bytes.len(), |left| usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = &bytes[..bytes.len().min(allowed)];
        if bytes.is_empty() { None } else { Some((bytes, &piece.descriptors)) }
    }

    /// So many of these bytes were written, and the descriptors with them.
    pub(super) fn handle_written(&mut self, bytes: usize) {
        let Some(piece) = self.held.front_mut() else { return };
        piece.written += bytes;
        piece.descriptors.clear();
        self.held_bytes -= bytes;
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        if piece.written == piece.bytes.len() {
            self.held.pop_front();
        }
    }

    /// When to ask again, if nothing else happens.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.stalled_until {
            Some(until) if now < until => Some(until),
            _ => self.held.front().map(|piece| piece.due).filter(|due| now < *due),
        }
    }

    /// Whether it was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.left == Some(0)
    }

    /// Whether the whole pipe is to be closed.
    pub(super) fn is_over(&self) -> bool {
        self.is_cut() || (self.is_ended && self.held.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn text(flow: &mut Flow<u8>, now: Instant) -> String {
        let mut all = Vec::new();
        while let Some((bytes, _)) = flow.poll_write(now) {
            all.extend_from_slice(bytes);
            let count = bytes.len();
            flow.handle_written(count);
        }
        String::from_utf8(all).expect("text")
    }

    #[test]
    fn what_stalls_does_not_move_and_then_does() {
        let (mut flow, now) = (Flow::<u8>::new(), Instant::now());
        flow.handle_bytes(b"before", Vec::new(), now);
        flow.stall(now + ms(10));
        flow.stall(now + ms(5));
        assert_eq!((flow.room(now), flow.poll_write(now)), (0, None));
        assert_eq!(flow.poll_timeout(now), Some(now + ms(10)));
        flow.handle_end();
        assert!(!flow.is_over(), "the rest is still to come");
        assert_eq!(text(&mut flow, now + ms(10)), "before");
        assert!(flow.is_over());
    }

    #[test]
    fn what_is_late_comes_in_order_and_what_comes_after_the_delay_is_not_before_it() {
        let (mut flow, now) = (Flow::<u8>::new(), Instant::now());
        flow.delay(ms(50), now + ms(20));
        flow.handle_bytes(b"a", Vec::new(), now);
        flow.handle_bytes(b"b", Vec::new(), now + ms(10));
        flow.handle_bytes(b"c", Vec::new(), now + ms(20));
        assert_eq!(flow.poll_timeout(now + ms(20)), Some(now + ms(50)));
        assert_eq!(text(&mut flow, now + ms(49)), "");
        assert_eq!(text(&mut flow, now + ms(50)), "a");
        assert_eq!(text(&mut flow, now + ms(60)), "bc");
        flow.handle_bytes(b"d", Vec::new(), now + ms(61));
        assert_eq!(text(&mut flow, now + ms(61)), "d");
    }

    #[test]
    fn a_cut_lets_exactly_so_many_bytes_pass() {
        let (mut flow, now) = (Flow::<u8>::new(), Instant::now());
        flow.cut_after(5);
        flow.cut_after(9);
        flow.handle_bytes(b"abc", Vec::new(), now);
        assert_eq!(text(&mut flow, now), "abc");
        assert!(!flow.is_over());
        flow.handle_bytes(b"defg", Vec::new(), now);
        assert_eq!(text(&mut flow, now), "de");
        assert!(flow.is_cut() && flow.is_over());
        flow.calm(now);
        assert!(flow.is_over(), "a cut is for good");
    }

    #[test]
    fn calm_ends_every_fault() {
        let (mut flow, now) = (Flow::<u8>::new(), Instant::now());
        flow.delay(ms(50), now + ms(20));
        flow.handle_bytes(b"late", Vec::new(), now);
        flow.stall(now + ms(1000));
        flow.cut_after(2);
        flow.calm(now + ms(1));
        flow.handle_bytes(b"r", Vec::new(), now + ms(1));
        assert_eq!(text(&mut flow, now + ms(1)), "later");
        assert!(!flow.is_over());
    }

    #[test]
    fn m3_what_is_held_is_bounded_and_a_refused_flow_holds_nothing() {
        let (mut flow, now) = (Flow::<u8>::new(), Instant::now());
        flow.delay(ms(50), now + ms(20));
        let mut read = 0;
        while flow.room(now) > 0 {
            let room = flow.room(now);
            flow.handle_bytes(&vec![0; room], Vec::new(), now);
            read += room;
        }
        assert_eq!(read, MAX_HELD_BYTES);
        flow.handle_refusal();
        assert_eq!((flow.room(now), flow.poll_write(now + ms(99))), (0, None));
        flow.handle_end();
        assert!(flow.is_over());
    }

    #[derive(Clone, Debug)]
    enum Act {
        Bytes(u16, bool),
        Write(u16),
        Stall(u8),
        Delay(u8, u8),
        Cut(u32),
        Pass(u8),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (1..5000_u16, any::<bool>()).prop_map(|(bytes, descriptor)| Act::Bytes(bytes, descriptor)),
            4 => (1..9000_u16).prop_map(Act::Write),
            1 => any::<u8>().prop_map(Act::Stall),
            1 => (any::<u8>(), any::<u8>()).prop_map(|(by, lasts)| Act::Delay(by, lasts)),
            1 => (0..200_000_u32).prop_map(Act::Cut),
            4 => any::<u8>().prop_map(Act::Pass),
        ]
    }

    proptest! {
        /// Whatever happens, what is written is the beginning of what was read; all of it, if nothing is cut. Each
        /// descriptor arrives with or before its byte, and once.
        #[test]
        fn nothing_is_lost_changed_or_reordered_but_by_a_cut(acts in prop::collection::vec(act(), 1..120)) {
            let (mut flow, mut now) = (Flow::<(u32, usize)>::new(), Instant::now());
            let (mut read, mut written, mut allowed) = (Vec::<u8>::new(), Vec::<u8>::new(), None::<usize>);
            let (mut sent, mut got) = (0_u32, Vec::new());
            for act in acts {
                match act {
                    Act::Bytes(count, descriptor) => {
                        let count = usize::from(count).min(flow.room(now));
                        if count == 0 { continue }
                        let bytes: Vec<u8> = (0..count).map(|at| u8::try_from((read.len() + at) * 31 % 251).expect("less than 251")).collect();
                        let along: Vec<_> = descriptor.then_some((sent, read.len())).into_iter().collect();
                        sent += u32::from(descriptor);
                        flow.handle_bytes(&bytes, along, now);
                        read.extend(bytes);
                    }
                    Act::Write(most) => {
                        let Some((bytes, along)) = flow.poll_write(now) else { continue };
                        let count = bytes.len().min(usize::from(most));
                        for (number, at) in along {
                            prop_assert!(*at >= written.len(), "descriptor {} of {} after {}", number, at, written.len());
                            got.push(*number);
                        }
                        written.extend_from_slice(&bytes[..count]);
                        flow.handle_written(count);
                    }
                    Act::Stall(lasts) => flow.stall(now + ms(u64::from(lasts))),
                    Act::Delay(by, lasts) => flow.delay(ms(u64::from(by)), now + ms(u64::from(lasts))),
                    Act::Cut(bytes) => {
                        flow.cut_after(u64::from(bytes));
                        let at = written.len() + bytes as usize;
                        allowed = Some(allowed.map_or(at, |allowed| allowed.min(at)));
                    }
                    Act::Pass(time) => now += ms(u64::from(time)),
                }
                prop_assert!(flow.held_bytes <= MAX_HELD_BYTES);
                prop_assert_eq!(flow.held_bytes, read.len() - written.len());
            }
            flow.handle_end();
            now += ms(1_000_000);
            while let Some((bytes, along)) = flow.poll_write(now) {
                got.extend(along.iter().map(|(number, _)| *number));
                written.extend_from_slice(bytes);
                let count = bytes.len();
                flow.handle_written(count);
            }
            prop_assert!(flow.is_over());
            let expected = allowed.map_or(read.len(), |allowed| allowed.min(read.len()));
            prop_assert_eq!(&written[..], &read[..expected]);
            let in_order: Vec<u32> = (0..u32::try_from(got.len()).expect("few")).collect();
            prop_assert_eq!(&got, &in_order);
            if allowed.is_none() { prop_assert_eq!(got.len(), sent as usize); }
        }
    }
}
