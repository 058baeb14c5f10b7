//! A sender and a receiver in virtual time, with handlers that take their time, kill their actor or their process, and
//! with deaths and broken pipes at every moment, against what is promised.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// As many deaths as a message may be held for the cause of.
const ATTEMPTS: u16 = 3;

const ROOM: Room = Room { messages: 8, bytes: 1000 };

/// What the handler of a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is done at once.
    Quick,
    /// It waits for something.
    Slow,
    /// It panics.
    Panics,
    /// It ends the process.
    Kills,
}

/// Whether the sender is told of what a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    Known,
    Unknown,
}

type Message = (u64, Kind);

struct World {
    now: Instant,
    cursor: Cursor,
    keeping: Keeping<Message>,
    submitted: u64,
    /// Those that had no room and were not to wait.
    full: Vec<u64>,
    waits: Vec<u64>,
    /// On their way or in the mailbox, in order.
    mailbox: VecDeque<(Numbering, Message)>,
    /// Slow handlers that have begun; whether somebody still hears of their end.
    running: Vec<(u64, bool)>,
    /// Answers on their way back.
    answers: VecDeque<(u64, Return)>,
    taking: Taking,
    /// How often each was begun, by its value, in the order of the first time.
    begun: Vec<u64>,
    times: BTreeMap<u64, u32>,
    ended: BTreeMap<u64, bool>,
    admitted: Vec<u64>,
    faults: u32,
}

impl World {
    fn new(cursor: Cursor) -> World {
        World {
            now: Instant::now(),
            cursor,
            keeping: Keeping::new(7, ROOM),
            submitted: 0,
            full: Vec::new(),
            waits: Vec::new(),
            mailbox: VecDeque::new(),
            running: Vec::new(),
            answers: VecDeque::new(),
            taking: Taking::default(),
            begun: Vec::new(),
            times: BTreeMap::new(),
            ended: BTreeMap::new(),
            admitted: Vec::new(),
            faults: 0,
        }
    }

    fn submit(&mut self, kind: Kind, quiet: bool, wanted: Wanted, bytes: u64) {
        self.submitted += 1;
        let value = self.submitted;
        match self.keeping.submit((value, kind), bytes, quiet, wanted) {
            Submitted::Kept => {}
            Submitted::Waits(ticket) => {
                assert_ne!(wanted, Wanted::Now);
                self.waits.push(ticket);
            }
            Submitted::Full((given_back, _)) => {
                assert_ne!(wanted, Wanted::Wait);
                self.full.push(given_back);
            }
        }
        self.send();
    }

    fn cancel(&mut self, which: usize) {
        if self.waits.is_empty() {
            return;
        }
        let ticket = self.waits[which % self.waits.len()];
        if let Some((value, _)) = self.keeping.cancel(ticket) {
            assert!(!self.times.contains_key(&value), "one that waited for room was never delivered");
            self.full.push(value);
        }
        self.send();
    }

    fn send(&mut self) {
        while let Some((value, _)) = self.keeping.poll_admitted() {
            self.admitted.push(value);
        }
        while let Some((numbering, message)) = self.keeping.poll_send(self.now) {
            assert_eq!(Numbering::split(&numbering.to_bytes()), Some((0, numbering)));
            self.mailbox.push_back((numbering, message));
        }
    }

    /// The next message of the mailbox comes to its turn.
    fn take(&mut self) {
        let Some((numbering, (value, kind))) = self.mailbox.pop_front() else { return };
        let number = numbering.number;
        if numbering.deaths >= ATTEMPTS {
            return self.answers.push_back((number, Return::Hopeless));
        }
        match self.taking.begin(&numbering) {
            Take::Early => return self.answers.push_back((number, Return::Refused)),
            Take::Done => return self.answers.push_back((number, Return::Handled)),
            Take::Handle => {}
        }
        let times = self.times.entry(value).or_default();
        *times += 1;
        if *times == 1 {
            self.begun.push(value);
        }
        assert!(*times == 1 || numbering.attempt > 1, "one that a handler may have seen before is marked");
        match kind {
            Kind::Quick => {
                self.taking.finish(number);
                self.answers.push_back((number, Return::Handled));
            }
            Kind::Slow => self.running.push((number, true)),
            Kind::Panics => self.panic(number),
            Kind::Kills => {
                self.faults += 1;
                self.die(Some(number));
            }
        }
    }

    fn finish(&mut self, which: usize) {
        if self.running.is_empty() {
            return;
        }
        let (number, is_heard) = self.running.swap_remove(which % self.running.len());
        self.taking.finish(number);
        if is_heard {
            self.answers.push_back((number, Return::Handled));
        }
    }

    /// A handler panics: the actor ends, and with it what it had begun. What is in its inbox is refused; what came too
    /// late for it waits for the next life.
    fn panic(&mut self, number: u64) {
        self.faults += 1;
        self.taking.fail(number);
        self.answers.push_back((number, Return::Killed));
        let held = self.mailbox.len() / 2;
        let inbox: Vec<_> = self.mailbox.drain(..self.mailbox.len() - held).collect();
        for (numbering, _) in inbox {
            self.answers.push_back((numbering.number, Return::Refused));
        }
        for (number, is_heard) in std::mem::take(&mut self.running) {
            self.taking.fail(number);
            if is_heard {
                self.answers.push_back((number, Return::Killed));
            }
        }
    }

    /// The process dies, by the message of that number or by a hand from outside.
    fn die(&mut self, by: Option<u64>) {
        self.taking = Taking::default();
        let running = std::mem::take(&mut self.running);
        let read = self.lose();
        for number in read.into_iter().chain(by).chain(running.iter().filter(|one| one.1).map(|one| one.0)) {
            let culprit = match (self.cursor, by) {
                (Cursor::Known, by) if by == Some(number) => Culprit::This,
                (Cursor::Known, _) => Culprit::Other,
                (Cursor::Unknown, _) => Culprit::Unknown,
            };
            self.keeping.handle_return(number, Return::Unknown(culprit));
        }
        self.send();
    }

    /// The pipe breaks, and both processes live.
    fn cut(&mut self) {
        self.faults += 1;
        let read = self.lose();
        let running: Vec<u64> = self.running.iter().filter(|one| one.1).map(|one| one.0).collect();
        self.running.iter_mut().for_each(|one| one.1 = false);
        for number in read.into_iter().chain(running) {
            self.keeping.handle_return(number, Return::Unknown(Culprit::Other));
        }
        self.send();
    }

    /// What is on its way in either direction is lost. Of some of it that is proven; the numbers of the others.
    fn lose(&mut self) -> Vec<u64> {
        let mut unknown: Vec<u64> = self.answers.drain(..).map(|(number, _)| number).collect();
        for (at, (numbering, _)) in std::mem::take(&mut self.mailbox).into_iter().enumerate() {
            match at % 2 {
                0 => unknown.push(numbering.number),
                _ => {
                    self.keeping.handle_return(numbering.number, Return::Refused);
                }
            }
        }
        unknown
    }

    fn hear(&mut self) {
        let Some((number, what)) = self.answers.pop_front() else { return };
        if let Some(settled) = self.keeping.handle_return(number, what) {
            let before = self.ended.insert(settled.value.0, what == Return::Handled);
            assert_eq!(before, None, "K-1: each is settled once");
            assert!(settled.was_kept);
        }
        self.send();
    }

    fn settle(&mut self) {
        let mut turns = 0;
        while !self.keeping.is_empty() {
            turns += 1;
            assert!(turns < 100_000, "it comes to an end: {:?}", self.keeping);
            if let Some(at) = self.keeping.poll_timeout() {
                assert!(at <= self.now + Duration::from_secs(1));
                self.now = self.now.max(at);
            }
            self.send();
            self.take();
            self.finish(0);
            self.hear();
        }
    }

    /// What holds at the end, when nothing is kept any more.
    fn check(&self, kinds: &[Kind]) {
        assert!(self.begun.is_sorted(), "K-5: first begun in the order sent: {:?}", self.begun);
        assert!(self.admitted.is_sorted());
        for (value, kind) in (1..).zip(kinds) {
            let ended = self.ended.get(&value);
            if self.full.contains(&value) {
                assert_eq!((ended, self.times.get(&value)), (None, None), "it was given back");
                continue;
            }
            let poison = matches!(kind, Kind::Panics | Kind::Kills);
            assert_eq!(ended, Some(&!poison), "value {value}, {kind:?}: the innocent are handled");
            let times = self.times[&value];
            if poison {
                assert!(times >= u32::from(ATTEMPTS) - 1, "H47: delivered {times} times");
            } else if self.faults == 0 {
                assert_eq!(times, 1, "K-6");
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Submit(Kind, bool, Wanted, u64),
    Cancel(usize),
    Take,
    Finish(usize),
    Hear,
    Kill,
    Cut,
    Wait,
}

fn kinds(poison: bool) -> impl Strategy<Value = Kind> {
    let most = if poison { 4 } else { 2 };
    (0..most, any::<bool>()).prop_map(|(at, tame)| match at {
        2 if !tame => Kind::Panics,
        3 if !tame => Kind::Kills,
        1 => Kind::Slow,
        _ => Kind::Quick,
    })
}

fn steps(poison: bool, kills: bool) -> impl Strategy<Value = Vec<Step>> {
    let wanted = prop_oneof![Just(Wanted::Wait), Just(Wanted::Now), Just(Wanted::Outbox)];
    let submit = (kinds(poison), any::<bool>(), wanted, 1_u64..400)
        .prop_map(|(kind, quiet, wanted, bytes)| Step::Submit(kind, quiet, wanted, bytes));
    let fault = if kills { 1 } else { 0 };
    let step = prop_oneof![
        8 => submit,
        1 => (0_usize..8).prop_map(Step::Cancel),
        8 => Just(Step::Take),
        4 => (0_usize..8).prop_map(Step::Finish),
        8 => Just(Step::Hear),
        1 => Just(Step::Wait),
        fault => Just(Step::Kill),
        fault => Just(Step::Cut),
    ];
    proptest::collection::vec(step, 1..200)
}

fn play(cursor: Cursor, steps: Vec<Step>) {
    let mut world = World::new(cursor);
    let mut kinds = Vec::new();
    for step in steps {
        match step {
            Step::Submit(kind, quiet, wanted, bytes) => {
                kinds.push(kind);
                world.submit(kind, quiet, wanted, bytes);
            }
            Step::Cancel(which) => world.cancel(which),
            Step::Take => world.take(),
            Step::Finish(which) => world.finish(which),
            Step::Hear => world.hear(),
            Step::Kill => {
                world.faults += 1;
                world.die(None);
            }
            Step::Cut => world.cut(),
            Step::Wait => {
                world.now += Duration::from_millis(2);
                world.send();
            }
        }
        assert!(world.keeping.under_way() <= ROOM.messages, "K-3");
    }
    world.settle();
    world.check(&kinds);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn m6_whatever_dies_everything_is_handled_in_order_and_the_next_life_gets_the_rest(
        steps in steps(false, true),
    ) {
        play(Cursor::Known, steps);
    }

    #[test]
    fn h47_those_who_kill_are_parked_and_no_other_is(steps in steps(true, true)) {
        play(Cursor::Known, steps);
    }

    #[test]
    fn h47_where_nobody_knows_of_what_a_process_died_no_innocent_is_parked(steps in steps(true, false)) {
        play(Cursor::Unknown, steps);
    }

    #[test]
    fn x1_any_bytes_are_a_numbering_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some((end, numbering)) = Numbering::split(&bytes) {
            prop_assert!(numbering.previous < numbering.number);
            prop_assert_eq!(&numbering.to_bytes()[..], &bytes[end..]);
        }
    }
}

fn keeping() -> Keeping<u64> {
    Keeping::new(1, Room { messages: 4, bytes: 100 })
}

fn submit(keeping: &mut Keeping<u64>, value: u64) {
    assert_eq!(keeping.submit(value, 1, true, Wanted::Wait), Submitted::Kept);
}

#[test]
fn k2_what_came_back_is_sent_when_all_after_it_have_come_back() {
    let (mut keeping, now) = (keeping(), Instant::now());
    (1..=3).for_each(|value| submit(&mut keeping, value));
    let sent: Vec<_> =
        std::iter::from_fn(|| keeping.poll_send(now)).map(|(numbering, _)| numbering).collect();
    assert_eq!(
        sent.iter().map(|one| (one.number, one.previous)).collect::<Vec<_>>(),
        [(1, 0), (2, 1), (3, 2)]
    );
    keeping.handle_return(2, Return::Killed);
    assert_eq!(keeping.poll_send(now), None, "3 is still under way");
    keeping.handle_return(3, Return::Refused);
    assert_eq!(keeping.poll_send(now), None, "K-4: 2 is sent alone, and 1 is under way");
    assert!(keeping.handle_return(1, Return::Handled).is_some());
    let (numbering, value) = keeping.poll_send(now).expect("2");
    assert_eq!((value, numbering.previous, numbering.attempt, numbering.deaths), (2, 0, 2, 1));
    assert_eq!(keeping.poll_send(now), None);
    keeping.handle_return(2, Return::Handled);
    let (numbering, _) = keeping.poll_send(now).expect("3");
    assert_eq!((numbering.number, numbering.previous, numbering.attempt), (3, 0, 1));
}

#[test]
fn what_comes_back_again_and_again_waits_longer_each_time_and_at_most_a_second() {
    let (mut keeping, mut now) = (keeping(), Instant::now());
    submit(&mut keeping, 1);
    let mut pauses = Vec::new();
    for _ in 0..15 {
        while keeping.poll_send(now).is_none() {
            let at = keeping.poll_timeout().expect("a pause");
            pauses.push((at - now).as_millis());
            now = at;
        }
        keeping.handle_return(1, Return::Refused);
    }
    assert_eq!(pauses[..4], [1, 2, 4, 8]);
    assert_eq!(pauses.last(), Some(&1000));
}

#[test]
fn m3_what_is_kept_and_what_waits_is_bounded() {
    let mut keeping = keeping();
    assert_eq!(keeping.submit(0, 500, true, Wanted::Now), Submitted::Kept, "K-3: a large one, alone");
    assert_eq!(keeping.submit(1, 1, true, Wanted::Now), Submitted::Full(1));
    for value in 0..100 {
        let submitted = keeping.submit(value, 1, true, Wanted::Outbox);
        assert_eq!(
            matches!(submitted, Submitted::Full(_)),
            value >= 4,
            "the outbox is as wide as the window"
        );
    }
    let given_up = keeping.give_up(|_| true);
    assert_eq!(given_up.iter().filter(|settled| settled.was_kept).count(), 1);
    assert_eq!(given_up.len(), 5);
    assert!(keeping.is_empty());
}

#[test]
fn some_are_given_up_and_those_who_waited_behind_them_have_their_room() {
    let (mut keeping, now) = (keeping(), Instant::now());
    for value in 1..=6 {
        let waits = matches!(keeping.submit(value, 1, true, Wanted::Wait), Submitted::Waits(_));
        assert_eq!(waits, value > 4);
    }
    assert_eq!(keeping.poll_send(now).map(|(_, value)| value), Some(1));
    let odd: Vec<u64> =
        keeping.give_up(|value| value % 2 == 1).into_iter().map(|settled| settled.value).collect();
    assert_eq!(odd, [3, 5], "1 is under way");
    assert_eq!((keeping.poll_admitted(), keeping.poll_admitted()), (Some(6), None));
    let sent: Vec<_> = std::iter::from_fn(|| keeping.poll_send(now)).collect();
    let sent = sent.iter().map(|(numbering, value)| (numbering.number, numbering.previous, *value));
    assert_eq!(sent.collect::<Vec<_>>(), [(2, 1, 2), (4, 2, 4), (5, 4, 6)]);
}

#[test]
fn m6_a_culprit_is_who_was_being_handled() {
    use crate::id::{ProcessId, Slot};
    use crate::protocol::control::{Cursor, InProgress};
    let busy = |number, waits| InProgress { slot: Slot(1), message: 3, sender: ProcessId(2), number, waits };
    let cursor = |running, in_progress| Cursor { handled: 9, running, unread: 0, in_progress };
    let of = |cursor: &Cursor, number| culprit(cursor, (ProcessId(2), Slot(1), number));
    let at_work = cursor(2, vec![busy(4, false), busy(3, true)]);
    assert_eq!(
        (of(&at_work, 4), of(&at_work, 3), of(&at_work, 5)),
        (Culprit::This, Culprit::Other, Culprit::Other)
    );
    let waiting = cursor(1, vec![busy(3, true)]);
    assert_eq!((of(&waiting, 3), of(&waiting, 5)), (Culprit::Unknown, Culprit::Other));
    assert_eq!(of(&cursor(40, vec![busy(3, true)]), 5), Culprit::Unknown, "not all are told one by one");
    assert_eq!(of(&cursor(0, Vec::new()), 5), Culprit::Other);
}
