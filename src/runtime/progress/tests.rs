use super::*;

const AFTER: Duration = Duration::from_secs(10);

/// A worker on a virtual clock.
struct Desk {
    progress: Progress,
    now: Instant,
    sample: Sample,
}

impl Desk {
    fn new(then: OnHang) -> Desk {
        let now = Instant::now();
        let sample = Sample {
            state: State::Waiting,
            ran: Duration::ZERO,
            queued: Duration::ZERO,
            parked: false,
            moved: 0,
        };
        let mut desk = Desk { progress: Progress::new(Hang { after: AFTER, then }, now), now, sample };
        desk.run(Duration::from_secs(3), |_| {});
        desk
    }

    /// Lets time pass; `each` says what the thread does in a part of it. What was to be done is returned.
    fn run(&mut self, time: Duration, mut each: impl FnMut(&mut Sample)) -> Vec<Act> {
        let end = self.now + time;
        let mut acts = Vec::new();
        while self.progress.poll_timeout() <= end {
            self.now = self.progress.poll_timeout();
            each(&mut self.sample);
            self.progress.handle_sample(self.sample, self.now);
            acts.extend(std::iter::from_fn(|| self.progress.poll()));
        }
        self.now = end;
        acts
    }
}

const STEP: Duration = Duration::from_millis(2500);

fn kinds(acts: &[Act]) -> Vec<HangKind> {
    acts.iter()
        .filter_map(|act| match act {
            Act::Hung { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect()
}

#[test]
fn p3_an_idle_worker_is_never_probed() {
    let mut desk = Desk::new(OnHang::Log);
    assert_eq!(desk.run(Duration::from_secs(3600), |sample| sample.parked = true), []);
}

#[test]
fn p3_a_busy_worker_that_turns_is_never_probed() {
    let mut desk = Desk::new(OnHang::Log);
    let acts = desk.run(Duration::from_secs(3600), |sample| {
        sample.moved += 1;
        sample.ran += STEP;
        sample.state = State::Running;
    });
    assert_eq!(acts, []);
}

#[test]
fn p3_an_endless_loop_is_told_from_a_blocked_arbiter_and_both_recover() {
    let mut desk = Desk::new(OnHang::Log);
    let acts = desk.run(Duration::from_secs(20), |sample| {
        sample.ran += STEP;
        sample.state = State::Running;
    });
    assert_eq!((acts[0], kinds(&acts), acts.len()), (Act::Probe(1), vec![HangKind::Looping], 2));
    let acts = desk.run(Duration::from_secs(3), |sample| sample.moved += 1);
    assert!(matches!(acts[..], [Act::Recovered { stalled }] if stalled > AFTER), "{acts:?}");
    desk.sample.state = State::Waiting;
    let acts = desk.run(Duration::from_secs(20), |_| {});
    assert_eq!(kinds(&acts), [HangKind::Blocked]);
}

#[test]
fn p3_alive_and_progress_are_two_facts() {
    let mut desk = Desk::new(OnHang::Log);
    assert_eq!(desk.run(AFTER / 2, |_| {}), [Act::Probe(1)]);
    desk.progress.handle_alive(7);
    desk.progress.handle_alive(1);
    let acts = desk.run(AFTER, |_| {});
    assert!(matches!(acts[..], [Act::Hung { alive: true, .. }]), "{acts:?}");
    desk.progress.handle_progress(1, desk.now);
    assert!(matches!(desk.progress.poll(), Some(Act::Recovered { .. })));
}

#[test]
fn p3_an_answer_of_the_arbiter_clears_a_suspicion() {
    let mut desk = Desk::new(OnHang::Log);
    for probe in 1..20 {
        let acts = desk.run(AFTER * 3 / 4, |_| {});
        assert_eq!(acts, [Act::Probe(probe)], "{probe}");
        desk.progress.handle_progress(probe, desk.now);
    }
}

#[test]
fn h51_time_in_which_others_had_the_core_does_not_count() {
    let mut desk = Desk::new(OnHang::Kill);
    // A tenth of a core, for a minute.
    let acts = desk.run(Duration::from_secs(60), |sample| {
        sample.state = State::Running;
        sample.ran += STEP / 10;
        sample.queued += STEP * 9 / 10;
    });
    assert_eq!(kinds(&acts), []);
}

#[test]
fn p3_a_stopped_worker_hangs_whatever_it_was_doing_and_recovers() {
    let mut desk = Desk::new(OnHang::Log);
    desk.sample.parked = true;
    let acts = desk.run(Duration::from_secs(20), |sample| sample.state = State::Stopped);
    assert!(matches!(acts[..], [Act::Hung { kind: HangKind::Stopped, alive: false, .. }]), "{acts:?}");
    let acts = desk.run(Duration::from_secs(20), |sample| sample.state = State::Waiting);
    assert!(matches!(acts[..], [Act::Recovered { .. }]), "{acts:?}");
}

#[test]
fn p3_a_debugger_is_no_hang() {
    let mut desk = Desk::new(OnHang::Kill);
    assert_eq!(desk.run(Duration::from_secs(600), |sample| sample.state = State::Traced), []);
}

#[test]
fn p3_policy_kills_or_aborts_and_then_kills() {
    let mut desk = Desk::new(OnHang::Kill);
    let acts = desk.run(Duration::from_secs(13), |_| {});
    assert!(matches!(acts[..], [Act::Probe(_), Act::Hung { .. }, Act::Kill { .. }]), "{acts:?}");
    let mut desk = Desk::new(OnHang::Abort);
    let acts = desk.run(Duration::from_secs(13), |_| {});
    assert!(matches!(acts[..], [Act::Probe(_), Act::Hung { .. }, Act::Abort]), "{acts:?}");
    // Again and again, in case a core was being written.
    let acts = desk.run(ABORT_GRACE * 2, |_| {});
    assert_eq!(acts, [Act::Kill { spares_core: true }; 2]);
}

#[test]
fn p3_a_core_that_is_never_done_keeps_nobody_alive() {
    // It dumps core by itself when its time is up, or because it was made to.
    for then in [OnHang::Kill, OnHang::Abort] {
        let mut desk = Desk::new(then);
        let acts = desk.run(Duration::from_secs(13) + CORE_GRACE + ABORT_GRACE, |_| {});
        let kills = acts.iter().filter_map(|act| match act {
            Act::Kill { spares_core } => Some(*spares_core),
            _ => None,
        });
        let kills: Vec<bool> = kills.collect();
        let spared = kills.iter().take_while(|spares| **spares).count();
        assert!(spared >= 11 && spared < kills.len(), "{kills:?}");
        assert!(!kills[spared..].contains(&true), "{kills:?}");
    }
}
