//! A driver that reads again and again, in turns of its thread that nobody else needs.

use std::time::{Duration, Instant};

use super::window::Next;
use super::{POLLER, Poller};

/// What a driver does with a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: others first.
    Pass,
    /// Read; another turn if there was nothing.
    Look,
    /// Wait to be woken.
    Over,
}

/// One wait of a driver. Dropping it tells that the thread has something else to do.
#[derive(Debug)]
pub struct Lingering {
    deadline: Option<Instant>,
    /// When the last turn was.
    latest: Option<Instant>,
    has_looked: bool,
}

/// A task that is alone has its next turn sooner, without optimisation too, and even if the runtime asks the kernel for events
/// meanwhile. After more, others had theirs: there is work, which comes first.
const OTHERS: Duration = Duration::from_micros(if cfg!(debug_assertions) { 50 } else { 5 });

impl Lingering {
    pub(super) fn until(deadline: Option<Instant>) -> Lingering {
        Lingering { deadline, latest: None, has_looked: false }
    }

    /// What to do now.
    pub fn turn(&mut self) -> Turn {
        POLLER.with(|poller| self.turn_of(poller, Instant::now, std::thread::yield_now))
    }

    fn turn_of(&mut self, poller: &Poller, clock: impl Fn() -> Instant, yield_core: impl Fn()) -> Turn {
        let mut now = clock();
        let Some(latest) = self.latest.replace(now) else { return Turn::Pass };
        if now.duration_since(latest) > OTHERS || self.deadline.is_some_and(|deadline| deadline <= now) {
            return Turn::Over;
        }
        let mut window = poller.window.borrow_mut();
        if !std::mem::replace(&mut self.has_looked, true) {
            window.begin(now, poller.traffic.take());
        }
        loop {
            match window.next(now) {
                Next::Look => return Turn::Look,
                Next::Sleep => return Turn::Over,
                Next::Yield => {
                    yield_core();
                    now = clock();
                    self.latest = Some(now);
                }
            }
        }
    }

    /// Whether it was its driver's turn to look at least once.
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// The look has found something.
    pub fn found(self) {
        POLLER.with(|poller| poller.window.borrow_mut().end(Instant::now()));
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.has_looked {
            // Late in the life of a thread there is nothing to tell.
            let _ = POLLER.try_with(|poller| poller.window.borrow_mut().interrupt(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::protocol::BusyPoll;

    const US: Duration = Duration::from_micros(1);
    const WORK: Duration = OTHERS.saturating_add(US);

    /// A thread with traffic whose clock is at `now`, and that polls for 20 microseconds.
    struct Thread {
        poller: Poller,
        now: Cell<Instant>,
        yields: Cell<u32>,
        /// What others do with the core when it is offered.
        others: Duration,
    }

    impl Thread {
        fn new() -> Thread {
            let poller = Poller::default();
            poller.window.borrow_mut().set(BusyPoll::For(20 * US));
            poller.traffic.set(true);
            Thread { poller, now: Cell::new(Instant::now()), yields: Cell::new(0), others: US / 2 }
        }

        fn turn(&self, lingering: &mut Lingering) -> Turn {
            lingering.turn_of(
                &self.poller,
                || self.now.get(),
                || {
                    self.yields.set(self.yields.get() + 1);
                    self.pass(self.others);
                },
            )
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }
    }

    #[test]
    fn others_come_first_then_it_looks_until_it_was_long_enough() {
        let thread = Thread::new();
        let mut lingering = Lingering::until(None);
        assert_eq!(thread.turn(&mut lingering), Turn::Pass);
        assert!(!lingering.has_looked() && thread.poller.traffic.get(), "whether there is work is not known");
        let began = thread.now.get();
        loop {
            thread.pass(US);
            match thread.turn(&mut lingering) {
                Turn::Look => assert!(lingering.has_looked() && !thread.poller.traffic.get()),
                Turn::Over => break,
                Turn::Pass => panic!("once"),
            }
        }
        assert!((20 * US..25 * US).contains(&(thread.now.get() - began)));
        let mut window = thread.poller.window.borrow_mut();
        window.begin(thread.now.get(), false);
        assert_eq!(window.next(thread.now.get()), Next::Sleep);
    }

    #[test]
    fn work_of_others_ends_it() {
        let thread = Thread::new();
        let mut lingering = Lingering::until(None);
        assert_eq!(thread.turn(&mut lingering), Turn::Pass);
        thread.pass(WORK);
        assert_eq!(thread.turn(&mut lingering), Turn::Over, "before the first look");
        assert!(!lingering.has_looked() && thread.poller.traffic.get());

        let mut lingering = Lingering::until(None);
        thread.turn(&mut lingering);
        thread.pass(US);
        assert_eq!(thread.turn(&mut lingering), Turn::Look);
        thread.pass(WORK);
        assert_eq!(thread.turn(&mut lingering), Turn::Over, "after one");
    }

    #[test]
    fn a_deadline_ends_it() {
        let thread = Thread::new();
        let mut lingering = Lingering::until(Some(thread.now.get() + 2 * US));
        assert_eq!(thread.turn(&mut lingering), Turn::Pass);
        thread.pass(US);
        assert_eq!(thread.turn(&mut lingering), Turn::Look);
        thread.pass(US);
        assert_eq!(thread.turn(&mut lingering), Turn::Over);
    }

    #[test]
    fn a_core_that_others_want_is_offered_at_each_look_and_their_turn_is_not_work_of_this_thread() {
        for (others, most) in [(US / 2, 3), (10 * US, 2)] {
            let thread = Thread { others, ..Thread::new() };
            let mut lingering = Lingering::until(None);
            let mut looks = 0;
            loop {
                thread.pass(US);
                match thread.turn(&mut lingering) {
                    Turn::Pass => {}
                    Turn::Look => looks += 1,
                    Turn::Over => break,
                }
            }
            assert!((1..=most).contains(&thread.yields.get()), "{} of {looks}", thread.yields.get());
            thread.poller.window.borrow_mut().end(thread.now.get());
        }
    }
}
