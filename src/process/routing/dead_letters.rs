//! What could not be delivered: counted by reason, logged within limits, kept within limits, shown to who asks (M-5).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::id::ProcessName;
pub use crate::protocol::letters::{DeadLetter, LetterReport};
use crate::protocol::wire::Cause;

/// A message type's names, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageName(pub &'static str);

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Who wants to see each dead letter. Called on the thread where it died; must not block.
type Subscriber = Box<dyn Fn(&DeadLetter) -> bool + Send>;

/// The dead letters of this process.
#[derive(Default)]
pub struct DeadLetters {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_reason: BTreeMap<&'static str, u64>,
    subscribers: Vec<Subscriber>,
    /// Whether some thread shows letters to the subscribers; it shows those that die meanwhile, too.
    is_showing: bool,
    unseen: VecDeque<DeadLetter>,
    last_logged: Option<Instant>,
    since_logged: u64,
    last_number: u64,
    /// The last ones, and the bytes of their bodies.
    kept: VecDeque<DeadLetter>,
    kept_bytes: usize,
    /// Bodies that may still be encoded until the next line is logged.
    bodies_left: u32,
}

/// Letters that are kept to be looked at; older ones fall out.
pub(super) const KEEP_LETTERS: usize = 256;

/// Bytes of the bodies that are kept with them.
pub(super) const KEEP_BYTES: usize = 1 << 20;

/// A larger body is not kept: its letter says what it was.
pub const KEEP_BODY_BYTES: usize = 64 << 10;

/// Bodies that are encoded within [`LOG_EVERY`], so that a flood of letters costs no encoding.
const BODIES: u32 = 64;

/// Letters that wait for slow subscribers; those past it are counted and logged, and not shown (M-3).
const MOST_UNSEEN: usize = 4096;

/// One log line for all that die within this time: a flood of them must not become a flood of lines.
const LOG_EVERY: Duration = Duration::from_secs(1);

impl DeadLetters {
    /// Takes one in, of the process with this name. `body` is asked for the encoded message, if it will be kept.
    pub fn bury(
        &self,
        process: &ProcessName,
        mut letter: DeadLetter,
        body: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        // A message's own code runs in there, so not under the lock.
        let wanted = self.state.lock().is_ok_and(|mut state| state.wants_body());
        letter.body = wanted.then(body).flatten().filter(|body| body.len() <= KEEP_BODY_BYTES);
        let Ok(mut state) = self.state.lock() else { return };
        state.last_number += 1;
        (letter.number, letter.process) = (state.last_number, Some(process.clone()));
        *state.by_reason.entry(reason(&letter.cause)).or_default() += letter.count;
        state.log(&letter);
        state.keep(&letter);
        // Subscribers run outside the lock, so that one of them may send.
        if state.subscribers.is_empty() && !state.is_showing {
            return;
        }
        if state.unseen.len() < MOST_UNSEEN {
            state.unseen.push_back(letter);
        }
        if std::mem::replace(&mut state.is_showing, true) {
            return;
        }
        while let Some(letter) = state.unseen.pop_front() {
            let mut subscribers = std::mem::take(&mut state.subscribers);
            drop(state);
            // One that panics has said that it wants no more.
            subscribers
                .retain(|subscriber| catch_unwind(AssertUnwindSafe(|| subscriber(&letter))).unwrap_or(false));
            let Ok(locked) = self.state.lock() else { return };
            state = locked;
            subscribers.append(&mut state.subscribers);
            state.subscribers = subscribers;
        }
        state.is_showing = false;
    }

    /// Shows each dead letter to `subscriber` until it returns false.
    pub fn subscribe(&self, subscriber: impl Fn(&DeadLetter) -> bool + Send + 'static) {
        if let Ok(mut state) = self.state.lock() {
            state.subscribers.push(Box::new(subscriber));
        }
    }

    /// What there is to look at.
    pub fn report(&self) -> LetterReport {
        let mut report = LetterReport::default();
        if let Ok(state) = self.state.lock() {
            report.counts = state.by_reason.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect();
            report.last = state.kept.iter().cloned().collect();
        }
        report
    }

    /// How many there were so far, by reason.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().map(|state| state.by_reason.clone()).unwrap_or_default()
    }
}

impl State {
    fn wants_body(&mut self) -> bool {
        if self.last_logged.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            self.bodies_left = BODIES;
        }
        let wanted = self.bodies_left > 0;
        self.bodies_left = self.bodies_left.saturating_sub(1);
        wanted
    }

    fn log(&mut self, letter: &DeadLetter) {
        self.since_logged += letter.count;
        let now = Instant::now();
        if self.last_logged.is_none_or(|last| now.duration_since(last) >= LOG_EVERY) {
            let target = letter.target.map_or_else(|| "?".to_owned(), |target| target.to_string());
            let message = letter.message.as_deref().unwrap_or("?");
            let count = std::mem::take(&mut self.since_logged);
            self.last_logged = Some(now);
            tracing::warn!(target: "procession::dead_letters", actor = %target, message, count, "dead letter: {}", letter.cause);
        }
    }

    fn keep(&mut self, letter: &DeadLetter) {
        let bytes = |letter: &DeadLetter| letter.body.as_ref().map_or(0, Vec::len);
        self.kept_bytes += bytes(letter);
        self.kept.push_back(letter.clone());
        while self.kept.len() > KEEP_LETTERS || self.kept_bytes > KEEP_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.kept_bytes -= bytes(&oldest);
        }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("by_reason", &self.counts()).finish()
    }
}

/// The word under which a cause is counted.
fn reason(cause: &Cause) -> &'static str {
    match cause {
        Cause::Full => "full",
        Cause::TimedOut => "expired",
        Cause::Cancelled => "cancelled",
        Cause::TooLarge { .. } => "too_large",
        Cause::Encode(_) => "encode",
        Cause::Decode(_) => "decode",
        Cause::NoActor(_) | Cause::UnknownName(_) | Cause::NoRuntime => "no_actor",
        Cause::NoMember(_) | Cause::GroupRefused { .. } | Cause::IsGroup(_) => "no_member",
        Cause::NotAccepted { .. } => "not_accepted",
        Cause::ActorStopped => "actor_stopped",
        Cause::Stale { .. } => "stale",
        Cause::PeerDied { .. } => "peer_died",
        Cause::Unreachable { .. } => "unreachable",
        Cause::Stopping(_) | Cause::ShuttingDown => "stopping",
        Cause::Protocol { .. } => "protocol",
        Cause::Panicked(_) | Cause::NoReply => "handler",
        Cause::Poison { .. } => "poison",
        Cause::Early => "early",
        Cause::NoRight(_) | Cause::NotGranted { .. } | Cause::NotOwner(_) => "no_right",
        Cause::Revoked(_) => "revoked",
        Cause::Expired(_) | Cause::UsedUp { .. } => "used_up",
        Cause::NotNarrowed(_) => "not_narrowed",
        Cause::Json(_) => "json",
        Cause::NoStream => "no stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn m5_dead_letters_are_counted_by_reason_and_shown_until_the_subscriber_leaves() {
        let letters = DeadLetters::default();
        let seen = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&seen);
        letters.subscribe(move |letter| count.fetch_add(letter.count, Ordering::Relaxed) < 3);
        let here = ProcessName::new("here").expect("a name");
        let bury = |cause, count| {
            let letter = DeadLetter { count, ..DeadLetter::new(None, None, cause) };
            letters.bury(&here, letter, || None);
        };
        bury(Cause::Full, 3);
        bury(Cause::Full, 3);
        bury(Cause::ActorStopped, 1);
        assert_eq!(letters.counts(), BTreeMap::from([("actor_stopped", 1), ("full", 6)]));
        assert_eq!(seen.load(Ordering::Relaxed), 6, "it left after the second");
    }

    /// Counts what is logged.
    struct Log(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl tracing::Subscriber for Log {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn m5_a_flood_of_dead_letters_is_no_flood_of_log_lines() {
        let lines = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
        let (letters, here) = (DeadLetters::default(), ProcessName::new("here").expect("a name"));
        let begun = Instant::now();
        tracing::subscriber::with_default(Log(std::sync::Arc::clone(&lines)), || {
            for _ in 0..10_000 {
                letters.bury(&here, DeadLetter::new(None, Some("Note"), Cause::Full), || None);
            }
        });
        let lines = lines.load(std::sync::atomic::Ordering::Relaxed);
        assert!((1..=1 + begun.elapsed().as_secs()).contains(&lines), "{lines} lines");
        assert_eq!(letters.counts(), BTreeMap::from([("full", 10_000)]));
    }

    #[test]
    fn m3_m5_the_last_letters_are_kept_within_their_limits_and_a_flood_encodes_few() {
        let letters = DeadLetters::default();
        let here = ProcessName::new("here").expect("a name");
        let mut encoded = 0;
        for _ in 0..10_000 {
            letters.bury(&here, DeadLetter::new(None, Some("Note"), Cause::Full), || {
                encoded += 1;
                Some(vec![7; KEEP_BODY_BYTES])
            });
        }
        assert!(encoded <= 10 * BODIES, "{encoded} of a flood were encoded");
        let report = letters.report();
        assert_eq!(report.counts, BTreeMap::from([("full".to_owned(), 10_000)]));
        assert_eq!(report.last.len(), KEEP_LETTERS);
        assert_eq!(report.last.last().map(|letter| letter.number), Some(10_000));
        let letters = DeadLetters::default();
        for _ in 0..40 {
            letters.bury(&here, DeadLetter::new(None, None, Cause::Full), || Some(vec![7; KEEP_BODY_BYTES]));
        }
        let bytes: usize =
            letters.report().last.iter().filter_map(|letter| letter.body.as_ref()).map(Vec::len).sum();
        assert!((KEEP_BYTES / 2..=KEEP_BYTES).contains(&bytes), "{bytes}");
        letters.bury(&here, DeadLetter::new(None, None, Cause::Full), || Some(vec![7; KEEP_BODY_BYTES + 1]));
        assert_eq!(letters.report().last.last().and_then(|letter| letter.body.clone()), None);
    }
}
