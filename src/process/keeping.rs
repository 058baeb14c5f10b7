//! What the actors of this process keep for their next lives. Worker side.
//!
//! ```text
//!  save --> newest of each actor --few at a time--> Keep --> root
//!                 ^                                            |
//!                 +---- answered: the next one <---- Kept <----+
//! ```
//!
//! A state that was not sent yet is replaced by a newer one of the same actor, so what waits is bounded by one state for
//! each actor, whatever an actor saves. The newest state stays here, too: a life that follows in this process needs
//! no root. Knows nothing of actors; the runtime encodes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::routing::Router;
use crate::id::Slot;
use crate::protocol::control::ToRoot;
use crate::protocol::keeping::{Keep, KeepRefusal, Keeping, KeptState, MAX_SNAPSHOT_BYTES};

/// Bytes of states that are under way to the root at once, or one larger state: so many fit between two looks at its
/// other frames, and keep a pipe busy.
const UNDER_WAY_BYTES: usize = 1 << 20;

/// Why a state is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// The root says no.
    #[error(transparent)]
    Refused(#[from] KeepRefusal),
    /// Another life of the actor has begun, and what an earlier one says does not count.
    #[error("a later life of the actor has begun; what an earlier one saves is not kept")]
    Stale,
}

/// How a save ends. Closed if this process ends first.
pub type Answer = oneshot::Receiver<Result<(), NotKept>>;

/// A life of an actor that may keep state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepingLife {
    slot: Slot,
    life: u64,
}

/// See the [module](self). Any thread may save.
pub struct Keeper {
    router: Arc<Router>,
    limit: usize,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Default)]
struct State {
    actors: BTreeMap<Slot, Kept>,
    /// Actors with something to send, in the order in which it came.
    waiting: VecDeque<Slot>,
    under_way_bytes: usize,
    under_way: usize,
}

#[derive(Default)]
struct Kept {
    life: u64,
    newest: Option<Bytes>,
    is_snapshot: bool,
    /// Of the newest that was to be kept.
    number: u64,
    /// The newest, as long as it was not sent.
    pending: Option<Keeping>,
    /// Its number and bytes.
    sent: Option<(u64, usize)>,
    waiters: Vec<(u64, oneshot::Sender<Result<(), NotKept>>)>,
    /// The actor was removed, and no other has its place: forgotten with the answer to what is under way.
    is_gone: bool,
}

impl Keeper {
    /// With what was kept of earlier lives; at most `limit` bytes are kept of each actor.
    pub fn new(router: Arc<Router>, limit: u64, states: Vec<KeptState>) -> Arc<Keeper> {
        let kept = |KeptState { slot, state, is_snapshot }| {
            (slot, Kept { newest: Some(state), is_snapshot, ..Kept::default() })
        };
        let state = State { actors: states.into_iter().map(kept).collect(), ..State::default() };
        let limit = usize::try_from(limit.min(MAX_SNAPSHOT_BYTES.into())).unwrap_or(usize::MAX);
        Arc::new(Keeper { router, limit, state: Mutex::new(state), settled: Notify::new() })
    }

    /// The most that is kept of an actor.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A life of an actor begins; with the newest state of its earlier lives.
    pub fn begin(&self, slot: Slot) -> (KeepingLife, Option<Bytes>) {
        let mut state = self.lock();
        let kept = state.actors.entry(slot).or_default();
        kept.life += 1;
        kept.is_gone = false;
        (KeepingLife { slot, life: kept.life }, kept.newest.clone())
    }

    /// That life has come to be: what was handed over to it alone is not given to another.
    pub fn begun(&self, life: KeepingLife) {
        let mut state = self.lock();
        if let Some(kept) = state.actors.get_mut(&life.slot).filter(|kept| !kept.is_snapshot) {
            kept.newest = None;
        }
    }

    /// Keeps a snapshot of at most `limit` bytes, or with `None` nothing any more. The answer comes when the root holds
    /// it, or a newer one.
    pub fn save(&self, life: KeepingLife, snapshot: Option<Bytes>) -> Answer {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        let Some(kept) = state.life(life) else {
            // Whoever is not interested has dropped the receiver.
            let _ = sender.send(Err(NotKept::Stale));
            return answer;
        };
        kept.newest = snapshot.clone();
        kept.is_snapshot = snapshot.is_some();
        kept.waiters.retain(|(_, waiter)| !waiter.is_closed());
        kept.waiters.push((kept.number + 1, sender));
        state.put(life.slot, snapshot.map_or(Keeping::Nothing, Keeping::Snapshot));
        self.pump(state);
        answer
    }

    /// Hands a state of at most `limit` bytes to the next life: in the next process if this one ends, else in this one.
    pub fn hand_over(&self, life: KeepingLife, handed: Bytes, process_ends: bool) {
        let mut state = self.lock();
        let Some(kept) = state.life(life) else { return };
        kept.newest = Some(handed.clone());
        match (kept.is_snapshot, process_ends) {
            // It is the newest, and what comes after the next life needs it as well.
            (true, _) => state.put(life.slot, Keeping::Snapshot(handed)),
            (false, true) => state.put(life.slot, Keeping::Handover(handed)),
            (false, false) => return,
        }
        self.pump(state);
    }

    /// The actor was removed: nothing is kept of it, and what was not sent is not.
    pub fn forget(&self, slot: Slot) {
        let mut state = self.lock();
        let Some(kept) = state.actors.get_mut(&slot) else { return };
        kept.life += 1;
        (kept.newest, kept.pending) = (None, None);
        let sent = kept.sent.map_or(0, |(number, _)| number);
        for (_, waiter) in kept.waiters.extract_if(.., |(wanted, _)| *wanted > sent) {
            let _ = waiter.send(Err(KeepRefusal::NoActor.into()));
        }
        match kept.sent {
            // Until the root has answered.
            Some(_) => kept.is_gone = true,
            None => drop(state.actors.remove(&slot)),
        }
    }

    /// The root has answered.
    pub fn handle_kept(&self, slot: Slot, number: u64, refused: Option<KeepRefusal>) {
        let mut state = self.lock();
        let State { actors, waiting, under_way_bytes, under_way } = &mut *state;
        let Some(kept) = actors.get_mut(&slot) else { return };
        let Some((_, bytes)) = kept.sent.take_if(|(sent, _)| *sent == number) else { return };
        *under_way_bytes -= bytes;
        *under_way -= 1;
        for (_, waiter) in kept.waiters.extract_if(.., |(wanted, _)| *wanted <= number) {
            let _ = waiter.send(refused.map_or(Ok(()), |refused| Err(refused.into())));
        }
        if kept.pending.is_some() {
            waiting.push_back(slot);
        } else if kept.is_gone {
            actors.remove(&slot);
        }
        self.pump(state);
    }

    /// Resolves when the root has answered everything.
    pub async fn settled(&self) {
        loop {
            let notified = self.settled.notified();
            if self.lock().under_way == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Sends what may be sent. Of one actor there is one state under way, so that none overtakes another.
    fn pump(&self, mut state: MutexGuard<'_, State>) {
        let mut frames = Vec::new();
        while let Some(slot) = state.waiting.front().copied() {
            let State { actors, under_way_bytes, under_way, .. } = &mut *state;
            let ready = actors.get_mut(&slot).and_then(|kept| Some((kept.pending.take()?, kept)));
            if let Some((what, kept)) = ready {
                let bytes = what.bytes();
                if *under_way > 0 && *under_way_bytes + bytes > UNDER_WAY_BYTES {
                    kept.pending = Some(what);
                    break;
                }
                kept.sent = Some((kept.number, bytes));
                *under_way_bytes += bytes;
                *under_way += 1;
                frames.push(ToRoot::Keep(Keep { slot, number: kept.number, what }));
            }
            state.waiting.pop_front();
        }
        let is_settled = state.under_way == 0;
        drop(state);
        frames.into_iter().for_each(|frame| self.router.say(frame));
        if is_settled {
            self.settled.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is kept of this actor, if this is its last life.
    fn life(&mut self, life: KeepingLife) -> Option<&mut Kept> {
        self.actors.get_mut(&life.slot).filter(|kept| kept.life == life.life)
    }

    fn put(&mut self, slot: Slot, what: Keeping) {
        let Some(kept) = self.actors.get_mut(&slot) else { return };
        kept.number += 1;
        let waits = kept.pending.replace(what).is_some() || kept.sent.is_some();
        if !waits {
            self.waiting.push_back(slot);
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{BuildId, Incarnation, ProcessId, ProcessName};
    use crate::process::routing::{Broker, Identity};

    #[derive(Clone, Default)]
    struct Root(Arc<Mutex<Vec<Keep>>>);

    impl Broker for Root {
        fn say(&self, what: ToRoot) {
            let ToRoot::Keep(keep) = what else { panic!("{what:?}") };
            self.0.lock().expect("no panic").push(keep);
        }
    }

    impl Root {
        fn heard(&self) -> Vec<(u32, u64, Keeping)> {
            let heard = std::mem::take(&mut *self.0.lock().expect("no panic"));
            heard.into_iter().map(|Keep { slot, number, what }| (slot.0, number, what)).collect()
        }
    }

    fn keeper(states: Vec<KeptState>) -> (Arc<Keeper>, Root) {
        let root = Root::default();
        let identity = Identity {
            process: ProcessId(1),
            incarnation: Incarnation::FIRST,
            name: ProcessName::new("left").expect("a name"),
            build: BuildId(1),
            limits: Default::default(),
            ask_timeout: Duration::from_secs(1),
            serialise_always: false,
            key: crate::id::Key::new([1; crate::id::Key::BYTES]),
            run: 1,
        };
        (Keeper::new(Router::new(identity, Box::new(root.clone())), u64::MAX, states), root)
    }

    fn snapshot(value: u8) -> Option<Bytes> {
        Some(vec![value].into())
    }

    fn sent(value: u8) -> Keeping {
        Keeping::Snapshot(vec![value].into())
    }

    #[test]
    fn one_state_of_an_actor_is_under_way_and_the_newest_follows() {
        let (keeper, root) = keeper(Vec::new());
        let (life, left) = keeper.begin(Slot(0));
        assert_eq!(left, None);
        let mut answers: Vec<Answer> = (1..=3).map(|value| keeper.save(life, snapshot(value))).collect();
        assert_eq!(root.heard(), [(0, 1, sent(1))]);
        keeper.handle_kept(Slot(0), 1, None);
        assert_eq!(answers[0].try_recv(), Ok(Ok(())));
        assert!(answers[1].try_recv().is_err(), "not answered yet");
        assert_eq!(root.heard(), [(0, 3, sent(3))]);
        // Answers that nobody waits for change nothing.
        keeper.handle_kept(Slot(0), 1, None);
        keeper.handle_kept(Slot(9), 3, None);
        keeper.handle_kept(Slot(0), 3, Some(KeepRefusal::NoActor));
        let refused = Ok(Err(NotKept::Refused(KeepRefusal::NoActor)));
        assert_eq!([answers[1].try_recv(), answers[2].try_recv()], [refused.clone(), refused]);
        assert_eq!(root.heard(), []);
    }

    #[test]
    fn whoever_waits_for_an_actor_that_is_removed_is_answered_and_nothing_of_it_stays() {
        let (keeper, root) = keeper(Vec::new());
        let (life, _) = keeper.begin(Slot(0));
        let mut answers: Vec<Answer> = (1..=3).map(|value| keeper.save(life, snapshot(value))).collect();
        keeper.forget(Slot(0));
        let removed = Ok(Err(NotKept::Refused(KeepRefusal::NoActor)));
        assert!(answers[0].try_recv().is_err(), "it is under way");
        assert_eq!([answers[1].try_recv(), answers[2].try_recv()], [removed.clone(), removed]);
        keeper.handle_kept(Slot(0), 1, None);
        assert_eq!(answers[0].try_recv(), Ok(Ok(())));
        assert!(keeper.lock().actors.is_empty());
        assert_eq!(root.heard(), [(0, 1, sent(1))]);
        // Another in its place, before the root has answered, is not forgotten with it.
        let (life, _) = keeper.begin(Slot(0));
        let _under_way = keeper.save(life, snapshot(4));
        keeper.forget(Slot(0));
        let (life, left) = keeper.begin(Slot(0));
        assert_eq!(left, None);
        let mut answer = keeper.save(life, snapshot(5));
        keeper.handle_kept(Slot(0), 1, None);
        assert_eq!(root.heard(), [(0, 1, sent(4)), (0, 2, sent(5))]);
        keeper.handle_kept(Slot(0), 2, None);
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn large_states_go_one_after_the_other_small_ones_together() {
        let (keeper, root) = keeper(Vec::new());
        let lives: Vec<KeepingLife> = (0..4).map(|slot| keeper.begin(Slot(slot)).0).collect();
        let large = || Some(Bytes::from(vec![0; UNDER_WAY_BYTES]));
        let answers = [
            keeper.save(lives[0], large()),
            keeper.save(lives[1], large()),
            keeper.save(lives[2], snapshot(1)),
            keeper.save(lives[3], snapshot(1)),
        ];
        let slots = |root: &Root| -> Vec<u32> { root.heard().into_iter().map(|(slot, ..)| slot).collect() };
        assert_eq!(slots(&root), [0]);
        keeper.handle_kept(Slot(0), 1, None);
        assert_eq!(slots(&root), [1]);
        keeper.handle_kept(Slot(1), 1, None);
        assert_eq!(slots(&root), [2, 3]);
        drop(answers);
    }

    #[test]
    fn the_life_before_keeps_nothing_any_more() {
        let (keeper, root) = keeper(Vec::new());
        let (first, _) = keeper.begin(Slot(0));
        let _answer = keeper.save(first, snapshot(1));
        let (_second, left) = keeper.begin(Slot(0));
        assert_eq!(left, snapshot(1));
        assert_eq!(keeper.save(first, snapshot(2)).try_recv(), Ok(Err(NotKept::Stale)));
        keeper.hand_over(first, vec![3].into(), true);
        assert_eq!(root.heard(), [(0, 1, sent(1))]);
    }

    #[test]
    fn a_handover_is_for_one_life_in_this_process_or_the_next() {
        let handed = KeptState { slot: Slot(0), state: vec![1].into(), is_snapshot: false };
        let (keeper, root) = keeper(vec![handed]);
        let (first, left) = keeper.begin(Slot(0));
        assert_eq!(left, snapshot(1));
        keeper.begun(first);
        keeper.hand_over(first, vec![2].into(), false);
        let (second, left) = keeper.begin(Slot(0));
        assert_eq!((left, root.heard().len()), (snapshot(2), 0));
        keeper.begun(second);
        assert_eq!(keeper.begin(Slot(0)).1, None);
        let (third, _) = keeper.begin(Slot(0));
        keeper.hand_over(third, vec![3].into(), true);
        assert_eq!(root.heard(), [(0, 1, Keeping::Handover(vec![3].into()))]);
    }
}
