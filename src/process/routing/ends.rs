//! One life of an actor of this process: who wants to hear of its end, and whether somebody wants it ended.
//!
//! ```text
//!  Lives --ask(reason)--> Asked --end--> Over(reason)
//!    '-----------------end(reason)--------^
//! ```
//!
//! - E-1 each observer is called exactly once, with nothing locked, unless it was taken back before.
//! - E-2 who comes after the end is told so at once.
//! - E-3 an actor that ends after somebody asked for it has that reason, however it then ends.
//!
//! Between two lives of a supervised actor this is the next one's: who watches then, watches that life.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::watching::EndReason;

/// Called with how the actor ended.
pub type Observer = Box<dyn FnOnce(&EndReason) + Send>;

/// One life of an actor: who hears of its end, and who wants it.
#[derive(Default)]
pub struct Ends {
    state: Mutex<State>,
    /// Somebody wants it ended.
    asked: Notify,
}

#[derive(Default)]
struct State {
    observers: BTreeMap<u64, Observer>,
    last_key: u64,
    /// Whether the life has begun, and who wants to hear of it.
    has_begun: bool,
    beginnings: Vec<Box<dyn FnOnce() + Send>>,
    /// Whether somebody in the actor's context will tell of its end.
    is_attended: bool,
    asked: Option<EndReason>,
    over: Option<EndReason>,
}

impl Ends {
    /// A life that has not ended.
    pub fn new() -> Arc<Ends> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `observer` at the end; at once if that is past. The key takes it back.
    pub fn observe(&self, observer: impl FnOnce(&EndReason) + Send + 'static) -> u64 {
        let mut state = self.lock();
        state.last_key += 1;
        let key = state.last_key;
        match state.over.clone() {
            None => drop(state.observers.insert(key, Box::new(observer))),
            Some(over) => {
                drop(state);
                observer(&over);
            }
        }
        key
    }

    /// Takes an observer back; whether it was not called yet.
    pub fn forget(&self, key: u64) -> bool {
        let taken = self.lock().observers.remove(&key);
        // What it holds is dropped without the lock.
        taken.is_some()
    }

    /// The life begins: the actor takes messages from now on.
    pub fn begin(&self) {
        let mut state = self.lock();
        state.has_begun = true;
        let told = std::mem::take(&mut state.beginnings);
        drop(state);
        told.into_iter().for_each(|told| told());
    }

    /// Whether the actor takes messages, or has.
    pub fn has_begun(&self) -> bool {
        self.lock().has_begun
    }

    /// Calls `told` when the life begins; at once if it has. One whose life never begins is never called.
    pub fn when_begun(&self, told: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        match state.has_begun {
            false => state.beginnings.push(Box::new(told)),
            true => {
                drop(state);
                told();
            }
        }
    }

    /// Whether somebody observes whom nobody in the actor's context serves yet; from now on somebody does.
    pub fn claim(&self) -> bool {
        let mut state = self.lock();
        let wanted = !state.observers.is_empty() || state.asked.is_some();
        wanted && !std::mem::replace(&mut state.is_attended, true)
    }

    /// As [`claim`](Self::claim), whether or not somebody observes yet: whoever holds this still may.
    pub fn claim_anyway(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_attended, true)
    }

    /// Wants the actor ended, for this reason. The first reason counts.
    pub fn ask(&self, reason: EndReason) {
        let mut state = self.lock();
        if state.asked.is_none() && state.over.is_none() {
            state.asked = Some(reason);
            drop(state);
            self.asked.notify_one();
        }
    }

    /// Says why the actor will end, without ending it: somebody else does.
    pub fn foretell(&self, reason: EndReason) {
        self.lock().asked.get_or_insert(reason);
    }

    /// How it ended, if it has.
    pub fn over(&self) -> Option<EndReason> {
        self.lock().over.clone()
    }

    /// Resolves when somebody wants the actor ended.
    pub async fn asked(&self) -> EndReason {
        loop {
            self.asked.notified().await;
            if let Some(reason) = self.lock().asked.clone() {
                return reason;
            }
        }
    }

    /// How the actor is ending now, if nobody had asked for it.
    pub fn reason_or(&self, reason: EndReason) -> EndReason {
        self.lock().asked.clone().unwrap_or(reason)
    }

    /// The actor has ended. Only the first call counts.
    pub fn end(&self, reason: EndReason) {
        let mut state = self.lock();
        if state.over.is_some() {
            return;
        }
        state.over = Some(reason.clone());
        let observers = std::mem::take(&mut state.observers);
        let never_begun = std::mem::take(&mut state.beginnings);
        drop(state);
        drop(never_begun);
        for (_, observer) in observers {
            observer(&reason);
        }
    }
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Ends")
            .field("observers", &state.observers.len())
            .field("over", &state.over)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn counter() -> (Arc<AtomicU32>, impl Fn(&EndReason) + Clone + Send + 'static) {
        let told = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&told);
        (told, move |reason: &EndReason| {
            count.fetch_add(if *reason == EndReason::Normal { 1 } else { 100 }, Ordering::Relaxed);
        })
    }

    #[test]
    fn each_observer_is_told_once_and_who_comes_late_at_once() {
        let (told, observer) = counter();
        let ends = Ends::new();
        ends.observe(observer.clone());
        let taken_back = ends.observe(observer.clone());
        assert!(ends.forget(taken_back) && !ends.forget(taken_back));
        ends.end(EndReason::Normal);
        ends.end(EndReason::Stopped);
        assert_eq!(told.load(Ordering::Relaxed), 1);
        ends.observe(observer);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_beginning_is_told_once_also_to_who_comes_late() {
        let (told, observer) = counter();
        let ends = Ends::new();
        let tell = observer.clone();
        ends.when_begun(move || tell(&EndReason::Normal));
        assert_eq!(told.load(Ordering::Relaxed), 0);
        ends.begin();
        ends.begin();
        assert_eq!(told.load(Ordering::Relaxed), 1);
        ends.when_begun(move || observer(&EndReason::Normal));
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_end_that_was_asked_for_has_that_reason() {
        let (told, observer) = counter();
        let ends = Ends::new();
        ends.observe(observer);
        assert!(ends.claim() && !ends.claim());
        ends.ask(EndReason::NoActor);
        ends.ask(EndReason::Normal);
        ends.end(ends.reason_or(EndReason::Normal));
        assert_eq!(told.load(Ordering::Relaxed), 100);
    }
}
