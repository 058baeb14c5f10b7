//! How a child is stopped: the steps of OTP's shutdown values, each with its deadline.
//!
//! Pure arithmetic; the engine keeps the step reached and sends the signals through its driver.

use std::time::{Duration, Instant};

use super::action::StopStep;
use super::spec::{Shutdown, TERMINATE_GRACE};

/// The first step, and when the next is due.
pub(super) fn first_step(shutdown: Shutdown, now: Instant) -> (StopStep, Option<Instant>) {
    match shutdown {
        Shutdown::Timeout(patience) => (StopStep::Ask, later(now, patience)),
        Shutdown::BrutalKill => (StopStep::Kill, None),
        Shutdown::Infinity => (StopStep::Ask, None),
    }
}

/// The step after one whose deadline passed. After SIGKILL there is none: the kernel always delivers it.
pub(super) fn next_step(step: StopStep, now: Instant) -> (StopStep, Option<Instant>) {
    match step {
        StopStep::Ask => (StopStep::Terminate, later(now, TERMINATE_GRACE)),
        StopStep::Terminate | StopStep::Kill => (StopStep::Kill, None),
    }
}

/// A deadline, or none where it lies beyond what the clock can say: such a one never comes.
pub(super) fn later(now: Instant, span: Duration) -> Option<Instant> {
    now.checked_add(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_stop_goes_from_asking_over_sigterm_to_sigkill() {
        let now = Instant::now();
        let patience = Duration::from_secs(5);
        assert_eq!(first_step(Shutdown::Timeout(patience), now), (StopStep::Ask, Some(now + patience)));
        assert_eq!(next_step(StopStep::Ask, now), (StopStep::Terminate, Some(now + TERMINATE_GRACE)));
        assert_eq!(next_step(StopStep::Terminate, now), (StopStep::Kill, None));
    }

    #[test]
    fn a_brutal_kill_and_an_endless_wait_have_one_step() {
        let now = Instant::now();
        assert_eq!(first_step(Shutdown::BrutalKill, now), (StopStep::Kill, None));
        assert_eq!(first_step(Shutdown::Infinity, now), (StopStep::Ask, None));
        assert_eq!(first_step(Shutdown::Timeout(Duration::MAX), now), (StopStep::Ask, None));
    }
}
