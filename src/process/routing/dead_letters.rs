//! What could not be delivered: counted by reason, logged within limits, shown to who asks (M-5).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::id::ActorId;
use crate::protocol::wire::Cause;

/// A message type's names, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageName(pub &'static str);

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A message that could not be delivered, and that nobody waits for.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// For whom it was, if that is still known.
    pub target: Option<ActorId>,
    /// Its type, if that is still known.
    pub message: Option<MessageName>,
    /// How many; more than one where only their number is known.
    pub count: u64,
    /// Why.
    pub cause: Cause,
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
}

/// Letters that wait for slow subscribers; those past it are counted and logged, and not shown (M-3).
const MOST_UNSEEN: usize = 4096;

/// One log line for all that die within this time: a flood of them must not become a flood of lines.
const LOG_EVERY: Duration = Duration::from_secs(1);

impl DeadLetters {
    /// Takes one in.
    pub fn bury(&self, letter: &DeadLetter) {
        let Ok(mut state) = self.state.lock() else { return };
        *state.by_reason.entry(reason(&letter.cause)).or_default() += letter.count;
        state.since_logged += letter.count;
        let now = Instant::now();
        if state.last_logged.is_none_or(|last| now.duration_since(last) >= LOG_EVERY) {
            let target = letter.target.map_or_else(|| "?".to_owned(), |target| target.to_string());
            let message = letter.message.map_or("?", |message| message.0);
            let count = std::mem::take(&mut state.since_logged);
            state.last_logged = Some(now);
            tracing::warn!(target: "procession::dead_letters", actor = %target, message, count, "dead letter: {}", letter.cause);
        }
        // Subscribers run outside the lock, so that one of them may send.
        if state.subscribers.is_empty() && !state.is_showing {
            return;
        }
        if state.unseen.len() < MOST_UNSEEN {
            state.unseen.push_back(letter.clone());
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

    /// How many there were so far, by reason.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().map(|state| state.by_reason.clone()).unwrap_or_default()
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
        let letter = DeadLetter { target: None, message: None, count: 3, cause: Cause::Full };
        letters.bury(&letter);
        letters.bury(&letter);
        letters.bury(&DeadLetter { cause: Cause::ActorStopped, count: 1, ..letter });
        assert_eq!(letters.counts(), BTreeMap::from([("actor_stopped", 1), ("full", 6)]));
        assert_eq!(seen.load(Ordering::Relaxed), 6, "it left after the second");
    }
}
