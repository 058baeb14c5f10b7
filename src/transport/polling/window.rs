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
    /// It was enough.
    Sleep,
}

/// The state of one thread.
///
/// Order of calls: [`begin`](Window::begin) when the thread has nothing to do, [`next`](Window::next) before each look
/// at the pipes until it says so or the look has found something, [`end`](Window::end) when there is work again.
#[derive(Debug, Default)]
pub(super) struct Window {
    busy_poll: BusyPoll,
    length: Duration,
    /// When the thread ran out of work, until it has some.
    began: Option<Instant>,
    /// How long it had none, the last time.
    waited: Option<Duration>,
    /// When it was last told to look.
    looked: Option<Instant>,
    /// How often in a row it was in vain.
    misses: u32,
    away: Away,
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

/// Two looks lie a microsecond apart. A gap like this is another thread's turn on this core: a scheduler's turns are
/// milliseconds, an interruption, or a host that takes the core of a virtual machine for a moment, is shorter.
const TURN: Duration = Duration::from_micros(300);

/// How long to stay away from polling after that, doubled each time up to [`MAX_DOUBLINGS`] times.
const STAY_AWAY: Duration = Duration::from_millis(2);
const MAX_DOUBLINGS: u32 = 6;

impl Window {
    pub(super) fn set(&mut self, busy_poll: BusyPoll) {
        self.busy_poll = busy_poll;
        self.length = Duration::ZERO;
    }

    /// The thread has nothing to do. `traffic`: whether anything moved since it last slept.
    pub(super) fn begin(&mut self, now: Instant, traffic: bool) {
        self.began = Some(now);
        self.looked = None;
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

    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Some(began) = self.began else { return Next::Sleep };
        // Even if the peer has answered meanwhile: who polls on takes from the time that it will need soon.
        if self.looked.is_some_and(|before| now.duration_since(before) > TURN) {
            self.stay_away(now);
            return Next::Sleep;
        }
        if now.duration_since(began) >= self.length {
            return Next::Sleep;
        }
        self.looked = Some(now);
        Next::Look
    }

    fn stay_away(&mut self, now: Instant) {
        self.away.until = Some(now + STAY_AWAY * (1 << self.away.times));
        self.away.times = (self.away.times + 1).min(MAX_DOUBLINGS);
    }

    /// The thread has something to do.
    pub(super) fn end(&mut self, now: Instant) {
        let Some(began) = self.began.take() else { return };
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

    /// Waits once, with a look each microsecond, until `news` has passed; returns for how long it polled.
    fn wait(window: &mut Window, clock: &mut Instant, news: Duration) -> Duration {
        let began = *clock;
        window.begin(*clock, true);
        while window.next(*clock) == Next::Look {
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
            clock += TURN / 20;
            assert_eq!(window.next(clock), Next::Look);
            window.end(clock);
        }
        window.begin(clock, true);
        assert_eq!(window.next(clock), Next::Look);
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
