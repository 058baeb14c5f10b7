//! Introductions: who may talk to whom, who was given a pipe to whom, who waits for whom.
//!
//! Bookkeeping without I/O: requests, births and deaths go in, what must be said to whom comes out. The root's thread
//! makes the socketpairs and says it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::id::{Exit, Incarnation, ProcessId};
use crate::protocol::control::{Cursor, Unreachable};

/// A life of a process.
pub(super) type Life = (ProcessId, Incarnation);

/// What the root's thread must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// Make a pipe and give one end to each.
    Introduce(Life, Life),
    /// Tell the first that the second can't be reached.
    Unreachable(ProcessId, ProcessId, Unreachable),
    /// Tell the first that the second is dead, and how far it had come.
    Down(ProcessId, Life, Exit, Option<Box<Cursor>>),
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not ready, or being stopped: who asks for it waits.
    Away,
    /// Ready.
    Here(Incarnation),
    /// It will not come back.
    Gone(Unreachable),
}

/// A connection that broke although its process seems to live: its death is probably on its way to us. After this
/// long it is not, and the two get another pipe.
const SUSPICION: Duration = Duration::from_secs(1);

/// So many removed processes are remembered for the accusations that come late: those are on their way for as long as a
/// control pipe is read, in which this many processes can't have been stopped, each of which takes several turns.
const MOST_REMOVED: usize = 256;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Broker {
    processes: BTreeMap<ProcessId, State>,
    /// Pairs that have a pipe, the smaller life first.
    pairs: BTreeSet<(Life, Life)>,
    /// Which of these was said to be broken, by whom, by whose fault.
    accused: BTreeSet<(Life, Life)>,
    /// The last life of a process that one which lives had a pipe to. Its accusations may come after the death.
    parted: BTreeMap<(Life, ProcessId), Incarnation>,
    /// Processes that were removed, oldest first, as long as accusations of them may be on their way.
    removed: VecDeque<ProcessId>,
    /// Who waits for whom.
    waiting: BTreeSet<(ProcessId, Life)>,
    /// Who reported a broken pipe to whom, and when that is believed.
    suspected: Vec<(Instant, Life, Life)>,
    say: Vec<Say>,
    /// The topology stops: nobody who is away comes back.
    ending: bool,
}

impl Broker {
    /// A process that can be asked for.
    pub(super) fn expect(&mut self, process: ProcessId) {
        self.processes.insert(process, State::Away);
    }

    /// A process is ready: whoever waits for it is introduced.
    pub(super) fn ready(&mut self, (process, incarnation): Life) {
        self.processes.insert(process, State::Here(incarnation));
        let waiting: Vec<Life> =
            self.waiting.iter().filter(|(target, _)| *target == process).map(|(_, asker)| *asker).collect();
        for asker in waiting {
            self.waiting.remove(&(process, asker));
            self.introduce(asker, (process, incarnation));
        }
    }

    /// A process is going to end: nobody is introduced to it any more.
    pub(super) fn leaving(&mut self, process: ProcessId) {
        if let Some(state @ State::Here(_)) = self.processes.get_mut(&process) {
            *state = State::Away;
        }
        self.dismiss_if_ending();
    }

    /// The topology stops: who waits for somebody who is away waits in vain.
    pub(super) fn ending(&mut self) {
        self.ending = true;
        self.dismiss_if_ending();
    }

    fn dismiss_if_ending(&mut self) {
        if self.ending {
            let waiting = std::mem::take(&mut self.waiting).into_iter();
            let told =
                waiting.map(|(target, asker)| Say::Unreachable(asker.0, target, Unreachable::Stopping));
            self.say.extend(told);
        }
    }

    /// A life is over: those that had a pipe to it are told.
    pub(super) fn down(&mut self, dead: Life, exit: Exit, cursor: Option<&Cursor>) {
        if self.processes.get(&dead.0) == Some(&State::Here(dead.1)) {
            self.processes.insert(dead.0, State::Away);
        }
        let pairs: Vec<(Life, Life)> =
            self.pairs.iter().filter(|(left, right)| *left == dead || *right == dead).copied().collect();
        for pair in pairs {
            let survivor = if pair.0 == dead { pair.1 } else { pair.0 };
            if !self.part(pair, (survivor, dead)) {
                self.parted.insert((survivor, dead.0), dead.1);
            }
            self.say.push(Say::Down(survivor.0, dead, exit, cursor.cloned().map(Box::new)));
        }
        self.parted.retain(|(survivor, _), _| *survivor != dead);
        self.waiting.retain(|(_, asker)| *asker != dead);
        self.dismiss_if_ending();
        for (when, asker, target) in std::mem::take(&mut self.suspected) {
            // Whichever of the two is dead, the other waits for its next life: both may have asked.
            if target == dead {
                self.waiting.insert((target.0, asker));
                self.dismiss_if_ending();
            } else if asker == dead {
                self.waiting.insert((asker.0, target));
                self.dismiss_if_ending();
            } else {
                self.suspected.push((when, asker, target));
            }
        }
    }

    /// A process will not come back: whoever waits for it is told.
    pub(super) fn gone(&mut self, process: ProcessId, why: Unreachable) {
        self.processes.insert(process, State::Gone(why));
        let waiting: Vec<Life> =
            self.waiting.iter().filter(|(target, _)| *target == process).map(|(_, asker)| *asker).collect();
        for asker in waiting {
            self.waiting.remove(&(process, asker));
            self.say.push(Say::Unreachable(asker.0, process, why));
        }
    }

    /// A process was removed: as if it had never been.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.processes.remove(&process);
        self.removed.push_back(process);
        if self.removed.len() > MOST_REMOVED
            && let Some(oldest) = self.removed.pop_front()
        {
            self.parted.retain(|(_, parted), _| *parted != oldest);
        }
    }

    /// A process asks for another; `broken` is the life with which it had a connection that broke.
    pub(super) fn request(
        &mut self,
        asker: Life,
        target: ProcessId,
        broken: Option<Incarnation>,
        now: Instant,
    ) {
        match self.processes.get(&target) {
            None => self.say.push(Say::Unreachable(asker.0, target, Unreachable::NoSuchProcess)),
            Some(State::Gone(why)) => self.say.push(Say::Unreachable(asker.0, target, *why)),
            Some(State::Away) => {
                self.waiting.insert((target, asker));
                self.dismiss_if_ending();
            }
            Some(State::Here(incarnation)) if broken == Some(*incarnation) => {
                let target = (target, *incarnation);
                self.suspect(asker, target, now);
            }
            Some(State::Here(incarnation)) => self.introduce(asker, (target, *incarnation)),
        }
    }

    /// Forgets a pipe; whether this one had accused that one of having broken it.
    fn part(&mut self, pair: (Life, Life), (by, accused): (Life, Life)) -> bool {
        self.pairs.remove(&pair);
        self.accused.remove(&(accused, by));
        self.accused.remove(&(by, accused))
    }

    /// Whether a process may say of another that it broke the protocol: once for each pipe that the two have or had. Who
    /// has no pipe to somebody can't know, and lies or is broken itself (H59).
    pub(super) fn accuse(&mut self, by: Life, accused: Life) -> bool {
        let pair = if by < accused { (by, accused) } else { (accused, by) };
        if self.pairs.contains(&pair) {
            return self.accused.insert((by, accused));
        }
        match self.parted.get(&(by, accused.0)) {
            Some(life) if *life == accused.1 => self.parted.remove(&(by, accused.0)).is_some(),
            _ => false,
        }
    }

    fn introduce(&mut self, asker: Life, target: Life) {
        let pair = if asker < target { (asker, target) } else { (target, asker) };
        // Both may ask at once; one pipe serves both.
        if self.pairs.insert(pair) {
            self.say.push(Say::Introduce(asker, target));
        }
    }

    /// An introduction could not be made: it is tried again a little later.
    pub(super) fn retry(&mut self, asker: Life, target: Life, now: Instant) {
        self.suspect(asker, target, now);
    }

    /// Both sides of a broken pipe report it; one suspicion serves both.
    fn suspect(&mut self, asker: Life, target: Life, now: Instant) {
        let same =
            |left: Life, right: Life| (left, right) == (asker, target) || (left, right) == (target, asker);
        if !self.suspected.iter().any(|(_, left, right)| same(*left, *right)) {
            self.suspected.push((now + SUSPICION, asker, target));
        }
    }

    /// When `handle_timeout` should be called next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.suspected.iter().map(|(when, ..)| *when).min()
    }

    /// Believes what was suspected long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for (when, asker, target) in std::mem::take(&mut self.suspected) {
            if when > now {
                self.suspected.push((when, asker, target));
                continue;
            }
            let pair = if asker < target { (asker, target) } else { (target, asker) };
            self.part(pair, (asker, target));
            self.request(asker, target.0, None, now);
        }
    }

    /// What to do, in order.
    pub(super) fn poll(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.say)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Exit = Exit::Code(3);

    fn life(process: u32, incarnation: u32) -> Life {
        (ProcessId(process), Incarnation(incarnation))
    }

    fn broker() -> Broker {
        let mut broker = Broker::default();
        for process in [1, 2, 3] {
            broker.expect(ProcessId(process));
        }
        broker
    }

    #[test]
    fn m3_what_is_known_of_processes_that_come_and_go_is_bounded() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        for process in 10..100_010 {
            let one = life(process, 1);
            broker.expect(one.0);
            broker.request(life(1, 1), one.0, None, now);
            broker.ready(one);
            broker.request(one, ProcessId(2), None, now);
            broker.down(one, EXIT, None);
            broker.gone(one.0, Unreachable::Ended(EXIT));
            broker.forget(one.0);
            // Whoever was connected with it may still say what it did, once.
            if process % 2 == 0 {
                assert!(broker.accuse(life(1, 1), one) && !broker.accuse(life(1, 1), one));
            }
            broker.poll();
        }
        assert!(broker.parted.len() <= MOST_REMOVED && broker.removed.len() <= MOST_REMOVED);
        assert_eq!((broker.processes.len(), broker.pairs.len(), broker.accused.len()), (3, 0, 0));
        assert_eq!((broker.waiting.len(), broker.suspected.len()), (0, 0));
    }

    #[test]
    fn who_asks_early_waits_and_both_asking_get_one_pipe() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        broker.request(life(1, 1), ProcessId(2), None, now);
        assert_eq!(broker.poll(), []);
        broker.ready(life(2, 1));
        broker.request(life(2, 1), ProcessId(1), None, now);
        assert_eq!(broker.poll(), [Say::Introduce(life(1, 1), life(2, 1))]);
    }

    #[test]
    fn a1_after_a_death_the_next_life_is_introduced() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        broker.ready(life(2, 1));
        broker.request(life(1, 1), ProcessId(2), None, now);
        broker.poll();
        // The asker saw its pipe break before we saw the death.
        broker.request(life(1, 1), ProcessId(2), Some(Incarnation(1)), now);
        assert_eq!(broker.poll(), []);
        broker.down(life(2, 1), EXIT, None);
        assert_eq!(broker.poll(), [Say::Down(ProcessId(1), life(2, 1), EXIT, None)]);
        broker.ready(life(2, 2));
        assert_eq!(broker.poll(), [Say::Introduce(life(1, 1), life(2, 2))]);
    }

    #[test]
    fn a_broken_pipe_between_two_that_live_is_replaced_in_the_end() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        broker.ready(life(2, 1));
        broker.request(life(1, 1), ProcessId(2), None, now);
        broker.poll();
        broker.request(life(1, 1), ProcessId(2), Some(Incarnation(1)), now);
        let when = broker.poll_timeout().expect("suspicion");
        broker.handle_timeout(when);
        assert_eq!(broker.poll(), [Say::Introduce(life(1, 1), life(2, 1))]);
        assert_eq!(broker.poll_timeout(), None);
    }

    #[test]
    fn h59_who_has_a_pipe_may_accuse_once_and_nobody_else_may() {
        let (mut broker, now) = (broker(), Instant::now());
        for process in [1, 2, 3] {
            broker.ready(life(process, 1));
        }
        broker.request(life(1, 1), ProcessId(2), None, now);
        assert!(!broker.accuse(life(1, 1), life(3, 1)), "they have no pipe");
        assert!(!broker.accuse(life(1, 1), life(2, 2)), "there is no such life");
        assert!(!broker.accuse(life(1, 1), life(1, 1)), "itself");
        assert!(broker.accuse(life(2, 1), life(1, 1)));
        assert!(broker.accuse(life(1, 1), life(2, 1)), "each may accuse the other");
        assert!(!broker.accuse(life(1, 1), life(2, 1)), "and once");

        broker.request(life(1, 1), ProcessId(2), Some(Incarnation(1)), now);
        broker.handle_timeout(broker.poll_timeout().expect("suspicion"));
        assert!(broker.accuse(life(1, 1), life(2, 1)), "another pipe");
        broker.down(life(2, 1), EXIT, None);
        assert!(!broker.accuse(life(1, 1), life(2, 1)), "it was said before the death");
    }

    #[test]
    fn h59_an_accusation_may_come_after_the_death() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        broker.ready(life(2, 1));
        broker.request(life(1, 1), ProcessId(2), None, now);
        broker.down(life(2, 1), EXIT, None);
        assert!(broker.accuse(life(1, 1), life(2, 1)));
        assert!(!broker.accuse(life(1, 1), life(2, 1)));
    }

    #[test]
    fn who_waits_for_somebody_who_will_not_come_is_told() {
        let (mut broker, now) = (broker(), Instant::now());
        broker.ready(life(1, 1));
        broker.request(life(1, 1), ProcessId(2), None, now);
        broker.request(life(1, 1), ProcessId(9), None, now);
        broker.gone(ProcessId(2), Unreachable::Ended(EXIT));
        broker.request(life(1, 1), ProcessId(2), None, now);
        let unreachable = |target, why| Say::Unreachable(ProcessId(1), ProcessId(target), why);
        let expected = [
            unreachable(9, Unreachable::NoSuchProcess),
            unreachable(2, Unreachable::Ended(EXIT)),
            unreachable(2, Unreachable::Ended(EXIT)),
        ];
        assert_eq!(broker.poll(), expected);
    }
}
