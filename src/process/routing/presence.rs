//! Where actors of this process are in their lives, for the root's directory of names and groups.
//!
//! ```text
//!  Attend --no such actor--> Gone
//!     '--between two lives--> Away
//!     '--> its life --begun--> Here --over--> Away, and the next life: as here, until there is none: Gone
//! ```
//!
//! The root asks for each actor that holds a name or is a member; all others cost nothing. What is said of one actor is in
//! the order in which it happens: the observer of one step sets the next, and what comes too late, since its life is over
//! already, is not said any more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::ends::Ends;
use super::router::Router;
use crate::id::ActorId;
use crate::protocol::control::ToRoot;
use crate::protocol::names::{MAX_TENANTS, NamesToRoot, NamesToWorker, Presence};

/// Who is told of names that are watched and of groups that are used: the floor that knows addresses. Must not block.
pub trait NamesDesk: Send + Sync {
    /// The root says something of one.
    fn handle(&self, router: &Arc<Router>, said: NamesToWorker);

    /// Everything that was said is void: the topology has ended.
    fn clear(&self);

    /// Whether no message waits for the members of a group to be known.
    fn is_idle(&self) -> bool;
}

/// The actors that are attended.
#[derive(Debug, Default)]
pub(super) struct Attended(Mutex<BTreeMap<ActorId, Arc<Wish>>>);

/// One wish of the root to hear of an actor.
#[derive(Debug, Default)]
struct Wish {
    /// It does not want to any more.
    off: AtomicBool,
    /// Where its observer is now, to take it back.
    at: Mutex<Option<(Arc<Ends>, u64)>>,
    /// What may still be said: each step of its lives has a number.
    next: Mutex<u64>,
}

impl Wish {
    /// Says this step, unless a later one was said.
    fn say(&self, step: u64, say: impl FnOnce()) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if step >= *next {
            *next = step.saturating_add(1);
            // Under the lock, so that none passes another.
            say();
        }
    }

    fn end(&self) {
        self.off.store(true, Ordering::Release);
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((ends, key)) = at {
            ends.forget(key);
        }
    }
}

impl Attended {
    /// From now on the root hears of this actor; what an earlier wish for the same set is off.
    fn begin(&self, id: ActorId) -> Option<Arc<Wish>> {
        let mut attended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attended.len() >= MAX_TENANTS && !attended.contains_key(&id) {
            return None;
        }
        let wish = Arc::<Wish>::default();
        let before = attended.insert(id, Arc::clone(&wish));
        drop(attended);
        if let Some(before) = before {
            before.end();
        }
        Some(wish)
    }

    fn end(&self, id: ActorId) {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(wish) = ended {
            wish.end();
        }
    }

    /// The directory that asked is no more.
    pub(super) fn clear(&self) {
        let ended = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        ended.into_values().for_each(|wish| wish.end());
    }
}

/// One actor that the root wants to hear of.
#[derive(Clone)]
struct Attendance {
    router: Weak<Router>,
    id: ActorId,
    /// Which of its lives is followed, since it is attended.
    life: u64,
    wish: Arc<Wish>,
}

impl Router {
    /// Says where this actor is, now and whenever that changes.
    pub(super) fn attend_presence(self: &Arc<Router>, id: ActorId) {
        let Some(wish) = self.attended().begin(id) else { return };
        let attendance = Attendance { router: Arc::downgrade(self), id, life: 0, wish };
        match self.find_own(id).ok().and_then(|exported| exported.actor.life()) {
            Some(ends) => {
                if !ends.has_begun() {
                    attendance.say(Presence::Away);
                }
                attendance.follow(&ends);
            }
            None => attendance.gone(),
        }
    }

    /// What the root says of names and groups, of actors here and of others.
    pub(super) fn about_names(self: &Arc<Router>, said: NamesToWorker) {
        match said {
            NamesToWorker::Attend { id } => self.attend_presence(id),
            NamesToWorker::Ignore { id } => self.ignore_presence(id),
            said => {
                if let Some(desk) = self.names_desk() {
                    desk.handle(self, said);
                }
            }
        }
    }

    /// No more.
    pub(super) fn ignore_presence(&self, id: ActorId) {
        self.attended().end(id);
    }
}

impl Attendance {
    /// From one life to the next, each step called by the one before.
    fn follow(self, ends: &Arc<Ends>) {
        let begun = self.clone();
        ends.when_begun(move || begun.say(Presence::Here));
        let (after, over) = (self.clone(), Arc::downgrade(ends));
        let key = ends.observe(move |_| {
            let Some(router) = after.router.upgrade().filter(|_| !after.is_off()) else { return };
            let found = router.find_own(after.id).ok();
            let next =
                found.zip(over.upgrade()).and_then(|(exported, over)| exported.actor.life_after(&over));
            match next {
                Some(next) => {
                    let after = Attendance { life: after.life + 1, ..after };
                    after.say(Presence::Away);
                    after.follow(&next);
                }
                None => after.gone(),
            }
        });
        // Where it is over already, the observer was called and is at the next life.
        if ends.over().is_none() {
            *self.wish.at.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(ends), key));
        }
        if let Some(router) = self.router.upgrade() {
            router.attend(self.id);
        }
    }

    fn gone(&self) {
        self.say(Presence::Gone);
        if let Some(router) = self.router.upgrade().filter(|_| !self.is_off()) {
            router.ignore_presence(self.id);
        }
    }

    fn is_off(&self) -> bool {
        self.wish.off.load(Ordering::Acquire)
    }

    fn say(&self, presence: Presence) {
        if let Some(router) = self.router.upgrade().filter(|_| !self.is_off()) {
            let said = ToRoot::Names(NamesToRoot::Presence { id: self.id, presence });
            self.wish.say(step(self.life, presence), || router.say(said));
        }
    }
}

/// Between two lives is before the next of them.
fn step(life: u64, presence: Presence) -> u64 {
    match presence {
        Presence::Away => life * 2,
        Presence::Here => life * 2 + 1,
        Presence::Gone => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_too_late_is_not_said() {
        let (wish, mut said) = (Wish::default(), Vec::new());
        let steps = [(0, Presence::Away), (0, Presence::Here), (1, Presence::Away), (0, Presence::Here)];
        let steps = steps.into_iter().chain([(1, Presence::Here), (7, Presence::Gone), (2, Presence::Away)]);
        for (life, presence) in steps {
            wish.say(step(life, presence), || said.push((life, presence)));
        }
        let expected = [
            (0, Presence::Away),
            (0, Presence::Here),
            (1, Presence::Away),
            (1, Presence::Here),
            (7, Presence::Gone),
        ];
        assert_eq!(said, expected);
    }
}
