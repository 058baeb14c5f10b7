//! When requests of a fixed rate are due.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A timer of the kernel, since those of runtimes count in milliseconds.
pub(crate) struct Metronome {
    timer: TimerFd,
    begin: Instant,
    period: Duration,
    told: Cell<u32>,
}

impl Metronome {
    /// Ticks so often a second from now on.
    pub(crate) fn new(rate: u32) -> io::Result<Metronome> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let period = Duration::from_secs(1) / rate;
        timer.set(Expiration::Interval(TimeSpec::from_duration(period)), TimerSetTimeFlags::empty())?;
        Ok(Metronome { timer, begin: Instant::now(), period, told: Cell::new(0) })
    }

    /// How long after the beginning the next tick is.
    pub(crate) fn due_next(&self) -> Duration {
        self.period * (self.told.get() + 1)
    }

    /// Readable when there was a tick.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.timer.as_fd().try_clone_to_owned()
    }

    /// Blocks until there was a tick.
    pub(crate) fn wait(&self) -> io::Result<()> {
        poll(&mut [PollFd::new(self.timer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        Ok(())
    }

    /// The ticks that have passed since the last call: when each was due.
    pub(crate) fn due(&self) -> io::Result<Vec<Instant>> {
        let mut ticks = [0; 8];
        // Without a tick it would block.
        nix::unistd::read(&self.timer, &mut ticks)?;
        let (first, count) = (self.told.get(), u32::try_from(u64::from_ne_bytes(ticks)).unwrap_or(u32::MAX));
        self.told.set(first.saturating_add(count));
        Ok((first..self.told.get()).map(|tick| self.begin + self.period * (tick + 1)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tick_is_told_once_and_never_before_it_is_due() {
        let metronome = Metronome::new(2_000).expect("a timer");
        let mut told = Vec::new();
        while told.len() < 20 {
            metronome.wait().expect("a tick");
            let due = metronome.due().expect("ticks");
            let now = Instant::now();
            // The timer began a little before its own clock was read.
            assert!(due.iter().all(|due| *due <= now + metronome.period));
            told.extend(due);
        }
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] == metronome.period));
        let before = metronome.due_next();
        assert!(metronome.due().is_err() || metronome.due_next() > before);
    }
}
