//! What waits to be said to the root: two bounded queues in front of the control thread, and the handle that
//! fills them. Worker side.
//!
//! ```text
//!  Ready, Introduce, Keep, Panic, ... --> urgent --+
//!                                                  +--> control thread --> root
//!  Log --> ring (the oldest falls out) ------------+
//! ```
//!
//! Nothing is written before the first `Ready` or `Refused`, which go to the front. Logs are written only when
//! nothing urgent waits, and in small portions.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::codec::EncodeError;
use crate::protocol::control::{LogRecord, ToRoot};
use crate::protocol::control_frames;
use crate::sys::wake::Wake;

/// Urgent bytes that may wait. Introductions and reports are small; more than this waits only if the root is
/// stopped, which a worker can't mend.
pub(super) const URGENT_BYTES: usize = 4 << 20;

/// Log records that may wait: some bursts of a chatty program.
pub(super) const LOG_RECORDS: usize = 4096;

/// Their bytes, whatever their number.
pub(super) const LOG_BYTES: usize = 1 << 20;

/// So many bytes of logs go to the kernel at once; what is urgent waits for no more than these.
const LOG_PORTION_BYTES: usize = 16 << 10;

/// Likewise of urgent frames: enough for one system call to be worth it.
const URGENT_PORTION_BYTES: usize = 64 << 10;

/// The handle by which everything in the worker speaks to the root. Cheap to clone; any thread may use it.
#[derive(Clone, Debug)]
pub struct ControlLane {
    pub(super) shared: Arc<Shared>,
}

/// Why a frame was not accepted. It comes back, except if it can't be encoded.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The root is gone; this process is about to end.
    #[error("the root is gone")]
    Gone(Box<ToRoot>),
    /// The root does not read, and the lane's queue is full.
    #[error("the root does not read its control pipe, and {URGENT_BYTES} bytes wait for it")]
    Full(Box<ToRoot>),
    /// The frame is too large.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl ControlLane {
    pub(super) fn new(wake: Wake) -> ControlLane {
        let shared = Shared { queues: Mutex::new(Queues::default()), written: Condvar::new(), wake };
        ControlLane { shared: Arc::new(shared) }
    }

    /// Hands a frame to the control thread. Never blocks.
    ///
    /// [`ToRoot::Log`] goes to a ring of its own, from which the oldest falls when it is full (the next record
    /// carries the count), and which is written only when nothing else waits.
    pub fn send(&self, frame: ToRoot) -> Result<(), LaneError> {
        let mut queues = self.shared.lock();
        if queues.gone {
            return Err(LaneError::Gone(Box::new(frame)));
        }
        match frame {
            ToRoot::Log(record) => queues.push_log(record),
            frame => queues.push_urgent(frame)?,
        }
        drop(queues);
        self.shared.wake.wake();
        Ok(())
    }

    /// Waits until everything that was sent before is with the kernel; `false` if the time was up, if the root is
    /// gone, or if neither `Ready` nor `Refused` was sent, so that nothing may be written. Not to be called from
    /// the control thread's callback.
    pub fn flush(&self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let mut queues = self.shared.lock();
        loop {
            if queues.is_flushed() {
                return !queues.gone;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || queues.gone || !queues.started {
                return false;
            }
            let waited = self.shared.written.wait_timeout(queues, left);
            queues = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells the control thread to end the process at that time, if it has not ended by then.
    pub(super) fn end_at(&self, time: Instant, code: i32) {
        self.shared.lock().end = Some((time, code));
        self.shared.wake.wake();
    }
}

/// What senders and the control thread share.
#[derive(Debug)]
pub(super) struct Shared {
    queues: Mutex<Queues>,
    written: Condvar,
    pub(super) wake: Wake,
}

impl Shared {
    /// Nothing panics while it holds the lock, and if it did, the queues would still be queues.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes to be written are appended to `out`, which was written whole. Nothing is, if there are none.
    pub(super) fn next_portion(&self, out: &mut Vec<u8>) {
        let mut queues = self.lock();
        queues.fill(out);
        queues.in_flight = !out.is_empty();
        if queues.is_flushed() {
            self.written.notify_all();
        }
    }

    /// The root is gone: nothing will be written any more.
    pub(super) fn close(&self) {
        let mut queues = self.lock();
        *queues = Queues { gone: true, end: queues.end, ..Queues::default() };
        self.written.notify_all();
    }

    /// When the process is to end at the latest, and with what code.
    pub(super) fn end(&self) -> Option<(Instant, i32)> {
        self.lock().end
    }
}

/// An encoded frame.
#[derive(Debug)]
struct Urgent {
    bytes: Vec<u8>,
    /// What it counts in [`URGENT_BYTES`].
    weight: usize,
}

#[derive(Debug, Default)]
struct Queues {
    /// Whether `Ready` or `Refused` was sent.
    started: bool,
    gone: bool,
    urgent: VecDeque<Urgent>,
    urgent_bytes: usize,
    logs: VecDeque<LogRecord>,
    log_bytes: usize,
    /// Records that fell out of the ring since the last one that was taken.
    dropped: u64,
    /// Whether the control thread holds bytes that are not written yet.
    in_flight: bool,
    end: Option<(Instant, i32)>,
}

/// Of these there are few under way, by limits of their own, or as many as addresses that this process keeps in mind anyway;
/// and none may be lost, since whoever sent it waits for what follows.
fn is_counted_elsewhere(frame: &ToRoot) -> bool {
    matches!(
        frame,
        ToRoot::Keep(_)
            | ToRoot::Ask(_)
            | ToRoot::Introduce { .. }
            | ToRoot::Revoke { .. }
            | ToRoot::Names(_)
    )
}

impl Queues {
    fn is_flushed(&self) -> bool {
        self.urgent.is_empty() && self.logs.is_empty() && !self.in_flight
    }

    fn push_urgent(&mut self, frame: ToRoot) -> Result<(), LaneError> {
        let mut bytes = Vec::new();
        control_frames::encode_into(&frame, 0, &mut bytes)?;
        let first = !self.started && matches!(frame, ToRoot::Ready(_) | ToRoot::Refused(_));
        let weight = if is_counted_elsewhere(&frame) { 0 } else { bytes.len() };
        if !first && self.urgent_bytes + weight > URGENT_BYTES {
            return Err(LaneError::Full(Box::new(frame)));
        }
        self.urgent_bytes += weight;
        self.started |= first;
        match first {
            true => self.urgent.push_front(Urgent { bytes, weight }),
            false => self.urgent.push_back(Urgent { bytes, weight }),
        }
        Ok(())
    }

    fn push_log(&mut self, record: LogRecord) {
        self.log_bytes += weight(&record);
        self.logs.push_back(record);
        while self.logs.len() > LOG_RECORDS || self.log_bytes > LOG_BYTES {
            let Some(oldest) = self.logs.pop_front() else { break };
            self.log_bytes -= weight(&oldest);
            self.dropped += 1 + oldest.dropped;
        }
    }

    fn fill(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            return;
        }
        while out.len() < URGENT_PORTION_BYTES {
            let Some(Urgent { bytes, weight }) = self.urgent.pop_front() else { break };
            self.urgent_bytes -= weight;
            out.extend_from_slice(&bytes);
        }
        if !out.is_empty() {
            return;
        }
        while out.len() < LOG_PORTION_BYTES {
            let Some(mut record) = self.logs.pop_front() else { break };
            self.log_bytes -= weight(&record);
            record.dropped += std::mem::take(&mut self.dropped);
            let dropped = record.dropped;
            if control_frames::encode_into(&ToRoot::Log(record), 0, out).is_err() {
                self.dropped = dropped + 1;
            }
        }
    }
}

/// About what a record takes in memory.
fn weight(record: &LogRecord) -> usize {
    let texts = [&record.target, &record.message].into_iter().chain(&record.spans);
    let fields = record.fields.iter().map(|(key, value)| key.len() + value.len());
    size_of::<LogRecord>() + texts.map(String::len).sum::<usize>() + fields.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BuildId, Incarnation, ProcessId};
    use crate::protocol::control::{LogLevel, Preamble, Ready};
    use crate::protocol::control_frames::Decoder;

    fn log(message: &str) -> ToRoot {
        ToRoot::Log(LogRecord {
            time_us: 0,
            level: LogLevel::Info,
            target: "t".to_owned(),
            spans: Vec::new(),
            message: message.to_owned(),
            fields: Vec::new(),
            dropped: 0,
        })
    }

    fn ready() -> ToRoot {
        ToRoot::Ready(Ready {
            process: ProcessId(1),
            incarnation: Incarnation::FIRST,
            build: BuildId(1),
            limits: Default::default(),
        })
    }

    /// All that the control thread would write now.
    fn written(lane: &ControlLane) -> Vec<ToRoot> {
        let mut decoder = Decoder::<ToRoot, ()>::new();
        decoder.handle_bytes(&Preamble::ours(), [], false);
        let mut portion = Vec::new();
        loop {
            portion.clear();
            lane.shared.next_portion(&mut portion);
            if portion.is_empty() {
                break;
            }
            decoder.handle_bytes(&portion, [], false);
        }
        std::iter::from_fn(|| decoder.poll_message().expect("our own frames")).map(|(m, _)| m).collect()
    }

    fn lane() -> ControlLane {
        ControlLane::new(Wake::new().expect("wake"))
    }

    #[test]
    fn ready_comes_first_urgent_frames_before_logs() {
        let lane = lane();
        let introduce = ToRoot::Introduce {
            target: crate::id::Capability::unsealed(crate::id::ActorId::declared(
                ProcessId(2),
                crate::id::Slot(0),
            )),
            broken: None,
        };
        for frame in [log("a"), introduce.clone()] {
            lane.send(frame).expect("room");
        }
        assert_eq!(written(&lane), []);
        lane.send(ready()).expect("room");
        assert_eq!(written(&lane), [ready(), introduce, log("a")]);
        assert!(lane.flush(Duration::ZERO));
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_counts_it() {
        let lane = lane();
        for index in 0..LOG_RECORDS + 5 {
            lane.send(log(&index.to_string())).expect("room");
        }
        lane.send(ready()).expect("room");
        let frames = written(&lane);
        let Some(ToRoot::Log(first)) = frames.get(1) else { panic!("{:?}", frames.get(1)) };
        assert_eq!((first.message.as_str(), first.dropped, frames.len()), ("5", 5, LOG_RECORDS + 1));
    }

    #[test]
    fn a_full_lane_and_a_closed_one_give_the_frame_back() {
        let lane = lane();
        let reason = "it wrote what no worker may write".to_owned();
        let frame = ToRoot::Blame { process: ProcessId(2), incarnation: Incarnation::FIRST, reason };
        let error = std::iter::repeat_with(|| lane.send(frame.clone())).find_map(Result::err);
        assert!(matches!(error, Some(LaneError::Full(back)) if *back == frame));
        // Who asks to be introduced waits for what follows, and there is one for each peer at most.
        let target = crate::id::ActorId::declared(ProcessId(2), crate::id::Slot(0));
        let target = crate::id::Capability::unsealed(target);
        assert!(lane.send(ToRoot::Introduce { target, broken: None }).is_ok());
        assert!(!lane.flush(Duration::from_secs(60)), "nothing may be written before Ready");
        lane.shared.close();
        assert!(matches!(lane.send(frame.clone()), Err(LaneError::Gone(back)) if *back == frame));
    }
}
