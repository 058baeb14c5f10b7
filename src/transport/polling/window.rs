//! For how long to poll before sleep: a pure decision from what it gained so far.
//!
//! As hypervisors poll for a halted processor: when the last sleep was short, polling a little longer would have
//! spared it, so the window grows; when it was long, polling is in vain, and the window closes. And when another
//! thread wanted the core meanwhile, nothing is polled for a while: a process that waits must not slow down one that works.

use std::time::{Duration, Instant};

use crate::protocol::BusyPoll;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at the pipes once.
    Look,
    /// Let others have the core, and ask again.
    Yield,
    /// It was enough.
    Sleep,
}

/// The state of one thread.
///
/// Order of calls: [`begin`](Window::begin) when the thread has nothing to do, [`next`](Window::next) before each look
/// at the pipes until it says so or the look has found something, [`end`](Window::end) when that or a sleep is over. A wait in which
/// the thread found work of its own is [interrupted](Window::interrupt), and goes on when it [begins](Window::begin) anew
/// without traffic.
#[derive(Debug, Default)]
pub(super) struct Window {
    busy_poll: BusyPoll,
    length: Duration,
    wait: Wait,
    /// How long it had none, the last time.
    waited: Option<Duration>,
    /// Somebody took the core the last time that it was offered.
    is_shared: bool,
    /// How often in a row it was in vain.
    misses: u32,
    away: Away,
}

/// Of the thread, for its pipes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// It has work.
    #[default]
    None,
    /// It has had none since it began, and looks.
    Looking(Looking),
    /// The same, and was told not to look any more.
    Enough { began: Instant, told: Instant },
    /// It had none for so long, and then some of its own.
    Interrupted { waited: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looking {
    began: Instant,
    /// When it was last told to look.
    looked: Option<Instant>,
    /// When it was last told to let others have the core, or began.
    yielded: Instant,
    /// It was told so just now.
    is_yielding: bool,
}

/// It was in vain, or other threads want the core.
#[derive(Clone, Copy, Debug, Default)]
struct Away {
    until: Option<Instant>,
    times: u32,
}

/// The first window: a peer that is awake answers one message within it.
const FIRST: Duration = Duration::from_micros(25);

/// The longest window of `auto`: what two wakes of a core cost, and the peer's work on a batch of messages.
const LONGEST: Duration = Duration::from_micros(200);

/// A wait up to this could have been shorter if both sides had polled: two wakes each, and that work.
const WORTH: Duration = Duration::from_micros(500);

/// So often in a row it may be in vain: what it takes to grow to the longest, and twice more.
const MISSES: u32 = 5;

/// A core that nobody took the last time is offered again after this, since to offer it takes as long as some looks.
const OFFER: Duration = Duration::from_micros(5);

/// Nobody took the core if it is back sooner.
const BACK: Duration = Duration::from_micros(2);

/// Two looks lie a microsecond apart. A gap like this is another thread's turn on this core: a scheduler's turns are
/// milliseconds, an interruption, or a host that takes the core of a virtual machine for a moment, is shorter.
const TURN: Duration = Duration::from_micros(300);

/// From the last look of a driver to the thread's sleep it takes less, unless there was work.
const STILL: Duration = Duration::from_micros(50);

/// How long to stay away from polling after that, doubled each time up to [`MAX_DOUBLINGS`] times.
const STAY_AWAY: Duration = Duration::from_millis(2);
const MAX_DOUBLINGS: u32 = 6;

impl Window {
    pub(super) fn set(&mut self, busy_poll: BusyPoll) {
        self.busy_poll = busy_poll;
        self.length = Duration::ZERO;
        self.wait = Wait::None;
    }

    /// Whether this thread polls at all.
    pub(super) fn may_open(&self) -> bool {
        self.busy_poll != BusyPoll::Off
    }

    /// Whether a wait was interrupted, and nothing else began since.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self.wait, Wait::Interrupted { .. })
    }

    /// The thread has nothing to do. `traffic`: whether anything moved since it last had nothing to do.
    pub(super) fn begin(&mut self, now: Instant, traffic: bool) {
        match self.wait {
            Wait::Interrupted { waited } if !traffic => {
                return self.look_from(now.checked_sub(waited).unwrap_or(now), now);
            }
            Wait::Enough { told, .. } if !traffic && now.duration_since(told) <= STILL => return,
            // There was work since, which is not to be waited for.
            Wait::Enough { told, .. } => self.end(told),
            _ => {}
        }
        self.look_from(now, now);
        let waited = self.waited.take();
        match self.busy_poll {
            BusyPoll::Off => self.length = Duration::ZERO,
            BusyPoll::For(time) => self.length = if traffic { time } else { Duration::ZERO },
            // A timer, or a message of this process: it says nothing about the pipes.
            BusyPoll::Auto if !traffic => self.length = Duration::ZERO,
            BusyPoll::Auto if self.away.until.is_some_and(|until| now < until) => {
                self.length = Duration::ZERO
            }
            BusyPoll::Auto => match waited {
                Some(waited) if waited > WORTH => self.length = Duration::ZERO,
                Some(waited) if waited > self.length => self.length = (self.length * 2).clamp(FIRST, LONGEST),
                _ => {}
            },
        }
    }

    fn look_from(&mut self, began: Instant, now: Instant) {
        self.wait = Wait::Looking(Looking { began, looked: None, yielded: now, is_yielding: false });
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Wait::Looking(mut looking) = self.wait else { return Next::Sleep };
        let since = now.duration_since(looking.yielded);
        let was_yielding = std::mem::take(&mut looking.is_yielding);
        if was_yielding {
            self.is_shared = since > BACK;
            looking.yielded = now;
        }
        // Even if the peer has answered meanwhile: who polls on takes from the time that it will need soon.
        let is_crowded = looking.looked.is_some_and(|before| now.duration_since(before) > TURN);
        if is_crowded {
            self.stay_away(now);
        }
        if is_crowded || now.duration_since(looking.began) >= self.length {
            self.wait = Wait::Enough { began: looking.began, told: now };
            return Next::Sleep;
        }
        let next = match looking.looked {
            // Whoever else wants this core comes first: if both share one, the peer that is to answer.
            Some(_) if !was_yielding && (self.is_shared || since > OFFER) => {
                (looking.is_yielding, looking.yielded) = (true, now);
                Next::Yield
            }
            _ => {
                looking.looked = Some(now);
                Next::Look
            }
        };
        self.wait = Wait::Looking(looking);
        next
    }

    fn stay_away(&mut self, now: Instant) {
        self.away.until = Some(now + STAY_AWAY * (1 << self.away.times));
        self.away.times = (self.away.times + 1).min(MAX_DOUBLINGS);
    }

    /// The thread has work of its own, which says nothing about the pipes.
    pub(super) fn interrupt(&mut self, now: Instant) {
        if let Wait::Looking(Looking { began, .. }) = self.wait {
            self.wait = Wait::Interrupted { waited: now.duration_since(began) };
        }
    }

    /// The wait is over.
    pub(super) fn end(&mut self, now: Instant) {
        let (Wait::Looking(Looking { began, .. }) | Wait::Enough { began, .. }) = self.wait else { return };
        self.wait = Wait::None;
        let waited = now.duration_since(began);
        if waited < self.length {
            self.misses = 0;
            self.away.times = 0;
        } else if !self.length.is_zero() {
            self.misses += 1;
            if self.misses == MISSES {
                self.misses = 0;
                self.stay_away(now);
            }
        }
        self.waited = Some(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    /// What to do after nobody took the core that was offered.
    fn look(window: &mut Window, now: Instant) -> Next {
        match window.next(now) {
            Next::Yield => window.next(now),
            next => next,
        }
    }

    /// Waits once, with a look each microsecond, until `news` has passed; returns for how long it polled.
    fn wait(window: &mut Window, clock: &mut Instant, news: Duration) -> Duration {
        let began = *clock;
        window.begin(*clock, true);
        while look(window, *clock) == Next::Look {
            if *clock - began >= news {
                break;
            }
            *clock += US;
        }
        let polled = *clock - began;
        *clock = (began + news).max(*clock);
        window.end(*clock);
        *clock += 5 * US;
        polled
    }

    #[test]
    fn it_opens_for_a_peer_that_answers_soon_and_closes_when_none_does() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        for _ in 0..5 {
            wait(&mut window, &mut clock, 150 * US);
        }
        assert_eq!(wait(&mut window, &mut clock, 150 * US), 150 * US, "found while polling");
        assert_eq!(wait(&mut window, &mut clock, 10_000 * US), LONGEST, "in vain, once");
        assert_eq!(wait(&mut window, &mut clock, 10_000 * US), Duration::ZERO, "not again");
    }

    #[test]
    fn a_rare_message_is_never_polled_for() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        let polled: Duration = (0..100).map(|_| wait(&mut window, &mut clock, 1_000 * US)).sum();
        assert_eq!(polled, Duration::ZERO);
    }

    #[test]
    fn what_comes_again_and_again_too_late_is_polled_for_less_and_less() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        let polled = |window: &mut Window, clock: &mut Instant| -> Duration {
            (0..3_000).map(|_| wait(window, clock, 300 * US)).sum()
        };
        polled(&mut window, &mut clock);
        let later = polled(&mut window, &mut clock);
        assert!(later < 3_000 * 300 * US / 50, "{later:?} of 900 ms");
    }

    #[test]
    fn without_traffic_nothing_is_polled() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        for _ in 0..5 {
            wait(&mut window, &mut clock, 5 * US);
        }
        window.begin(clock, false);
        assert_eq!(window.next(clock), Next::Sleep);
    }

    #[test]
    fn another_thread_that_works_ends_it_for_a_while_that_doubles() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        let mut away = STAY_AWAY;
        for _ in 0..3 {
            for _ in 0..5 {
                wait(&mut window, &mut clock, 45 * US);
            }
            window.begin(clock, true);
            assert_eq!(window.next(clock), Next::Look);
            clock += 3_000 * US;
            assert_eq!(window.next(clock), Next::Sleep);
            window.end(clock);
            assert_eq!(wait(&mut window, &mut clock, 20 * US), Duration::ZERO);
            clock += away;
            away *= 2;
            // The doubling is forgotten with the first wait that polling has shortened, so none may succeed here.
            window.waited = Some(45 * US);
            window.begin(clock, true);
            assert_eq!(window.next(clock), Next::Look, "the time is over");
            window.end(clock + window.length);
            clock += LONGEST;
        }
    }

    #[test]
    fn the_peers_turn_on_the_same_core_is_no_crowd() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        for _ in 0..5 {
            wait(&mut window, &mut clock, 45 * US);
        }
        for _ in 0..10 {
            window.begin(clock, true);
            assert_eq!(window.next(clock), Next::Look);
            assert_eq!(window.next(clock + OFFER + US), Next::Yield);
            clock += OFFER + TURN / 20;
            assert_eq!(window.next(clock), Next::Look);
            window.end(clock);
        }
        window.begin(clock, true);
        assert_eq!(window.next(clock), Next::Look);
    }

    #[test]
    fn a_core_that_nobody_takes_is_offered_now_and_then_and_one_that_is_taken_at_each_look() {
        let (mut window, began) = (Window::default(), Instant::now());
        window.set(BusyPoll::For(1_000 * US));
        let offers = |window: &mut Window, mut clock: Instant, taken: Duration| {
            window.begin(clock, true);
            let mut offers = Vec::new();
            for look in 0..20 {
                clock += US;
                if window.next(clock) == Next::Yield {
                    offers.push(look);
                    clock += taken;
                    assert_eq!(window.next(clock), Next::Look);
                }
            }
            window.end(clock);
            offers
        };
        assert_eq!(offers(&mut window, began, US), [5, 11, 17]);
        assert_eq!(offers(&mut window, began + 100 * US, 8 * US), (5..20).collect::<Vec<_>>());
        assert_eq!(
            offers(&mut window, began + 500 * US, US)[..2],
            [1, 7],
            "the first, since it was taken last"
        );
    }

    #[test]
    fn a_core_is_known_to_be_shared_even_if_the_others_turn_was_longer_than_the_window() {
        let (mut window, began) = (Window::default(), Instant::now());
        window.set(BusyPoll::For(10 * US));
        window.begin(began, true);
        assert_eq!(window.next(began), Next::Look);
        assert_eq!(window.next(began + 6 * US), Next::Yield);
        assert_eq!(window.next(began + 30 * US), Next::Sleep);
        window.end(began + 40 * US);
        window.begin(began + 50 * US, true);
        assert_eq!(window.next(began + 50 * US), Next::Look);
        assert_eq!(window.next(began + 51 * US), Next::Yield, "at once");
    }

    #[test]
    fn work_of_its_own_is_neither_a_success_nor_a_reason_to_wait_for_longer() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        let mut polled = Duration::ZERO;
        for _ in 0..1_000 {
            // It waits for 300 us, in which it has to do something twice.
            window.begin(clock, true);
            for work in [true, true, false] {
                for _ in 0..100 {
                    polled += if look(&mut window, clock) == Next::Look { US } else { Duration::ZERO };
                    clock += US;
                }
                if work {
                    window.interrupt(clock);
                    clock += 5 * US;
                    window.begin(clock, false);
                }
            }
            window.end(clock);
            clock += 5 * US;
        }
        assert!(polled < 1_000 * 300 * US / 20, "{polled:?} of 300 ms");
    }

    #[test]
    fn after_an_interruption_it_looks_for_the_rest_of_the_time() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        window.set(BusyPoll::For(20 * US));
        let mut looks = 0;
        window.begin(clock, true);
        for _ in 0..10 {
            for _ in 0..4 {
                looks += u32::from(look(&mut window, clock) == Next::Look);
                clock += US;
            }
            window.interrupt(clock);
            clock += 1_000 * US;
            window.begin(clock, false);
        }
        assert_eq!(looks, 20, "and none after that");
        window.end(clock);
        window.begin(clock, false);
        assert_eq!(window.next(clock), Next::Sleep);
    }

    #[test]
    fn one_turn_of_others_is_one_reason_to_stay_away() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        wait(&mut window, &mut clock, 45 * US);
        window.begin(clock, true);
        assert_eq!(window.next(clock), Next::Look);
        clock += 400 * US;
        assert_eq!(window.next(clock), Next::Sleep);
        // A driver was told, and then the thread that goes to sleep asks.
        window.begin(clock + US, false);
        assert_eq!(window.next(clock + US), Next::Sleep);
        assert_eq!(window.away.times, 1);
    }

    #[test]
    fn what_it_did_after_the_last_look_was_no_waiting() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        window.set(BusyPoll::For(20 * US));
        window.begin(clock, true);
        assert_eq!(window.next(clock + 20 * US), Next::Sleep);
        clock += 10_000 * US;
        window.begin(clock, true);
        assert_eq!(window.next(clock), Next::Look, "it had traffic meanwhile");
        window.end(clock + 10 * US);
        assert_eq!(window.waited, Some(10 * US));
    }

    #[test]
    fn off_is_off_and_a_time_is_that_time() {
        let (mut window, mut clock) = (Window::default(), Instant::now());
        window.set(BusyPoll::For(300 * US));
        assert_eq!(wait(&mut window, &mut clock, 10_000 * US), 300 * US);
        assert_eq!(wait(&mut window, &mut clock, 10_000 * US), 300 * US);
        window.set(BusyPoll::Off);
        assert_eq!(wait(&mut window, &mut clock, 5 * US), Duration::ZERO);
    }
}
