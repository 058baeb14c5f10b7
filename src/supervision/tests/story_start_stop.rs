//! Starting in order, stopping in reverse order, and what may go wrong in between.

use super::desk::*;
use crate::supervision::Strategy::OneForOne;
use crate::supervision::*;

fn three() -> GroupSpec {
    group(OneForOne, [child("a"), child("b"), child("c")])
}

#[test]
fn each_starts_when_the_one_before_is_ready() {
    let mut desk = Desk::new(three());
    assert_eq!(desk.start(), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert_eq!(desk.notes, []);
    assert!(desk.ready("c").is_empty());
    assert_eq!(desk.notes, [Note::AllStarted]);
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn p4_each_stops_when_the_one_after_is_gone_and_no_end_is_a_failure() {
    let mut desk = Desk::up(three());
    assert_eq!(desk.stop(), ["ask c"]);
    assert_eq!(desk.exit("c", CRASH), ["ask b"]);
    assert_eq!(desk.exit("b", KILLED), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Stopped));
    assert_eq!(desk.notes, [Note::Ending(Outcome::Stopped)]);
}

#[test]
fn p4_a_child_that_does_not_listen_gets_sigterm_then_sigkill_each_at_its_time() {
    let patient = ChildSpec { shutdown: Shutdown::Timeout(3 * SECOND), ..child("a") };
    let mut desk = Desk::up(group(OneForOne, [patient]));
    assert_eq!(desk.stop(), ["ask a"]);
    assert!(desk.wait(3 * SECOND - MS).is_empty());
    assert_eq!(desk.wait(MS), ["terminate a"]);
    assert!(desk.wait(TERMINATE_GRACE - MS).is_empty());
    assert_eq!(desk.wait(MS), ["kill a"]);
    assert_eq!(desk.engine.poll_timeout(), None, "a killed process dies; nothing is left to do but wait");
    assert_eq!(desk.exit("a", KILLED), ["ended"]);
}

#[test]
fn a_brutal_kill_asks_nothing_and_infinity_never_presses() {
    let brutal = ChildSpec { shutdown: Shutdown::BrutalKill, ..child("brutal") };
    let endless = ChildSpec { shutdown: Shutdown::Infinity, ..child("endless") };
    let mut desk = Desk::up(group(OneForOne, [endless, brutal]));
    assert_eq!(desk.stop(), ["kill brutal"]);
    assert_eq!(desk.exit("brutal", KILLED), ["ask endless"]);
    assert_eq!(desk.engine.poll_timeout(), None);
    assert_eq!(desk.kill(), ["kill endless"]);
    assert_eq!(desk.exit("endless", KILLED), ["ended"]);
}

#[test]
fn a_child_that_fails_at_the_first_start_ends_all_in_reverse_order() {
    let mut desk = Desk::new(three());
    desk.start();
    desk.ready("a");
    desk.ready("b");
    assert_eq!(
        desk.exit("c", DONE),
        ["ask b"],
        "an end before readiness is a failed start, whatever the code"
    );
    assert_eq!(desk.exit("b", DONE), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::StartFailed { child: desk.id("c") }));
}

#[test]
fn a_child_that_is_not_ready_in_time_is_killed_and_has_failed_to_start() {
    let mut desk = Desk::new(three());
    desk.start();
    desk.ready("a");
    assert!(desk.wait(DEFAULT_START_DEADLINE - MS).is_empty());
    assert_eq!(desk.wait(MS), ["kill b"]);
    let passed = Note::StartDeadlinePassed { child: desk.id("b"), incarnation: desk.life("b") };
    assert_eq!(desk.notes, [passed]);
    assert!(desk.ready("b").is_empty(), "too late");
    assert_eq!(desk.exit("b", KILLED), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::StartFailed { child: desk.id("b") }));
}

#[test]
fn h48_a_stop_during_the_start_stops_the_one_that_starts_and_starts_none_after_it() {
    let mut desk = Desk::new(three());
    desk.start();
    desk.ready("a");
    assert_eq!(desk.stop(), ["ask b"]);
    assert!(desk.ready("b").is_empty(), "ready while it is being stopped changes nothing");
    assert_eq!(desk.exit("b", DONE), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Stopped));
}

#[test]
fn h48_a_stop_before_the_start_ends_at_once() {
    for how in [Desk::stop, Desk::kill] {
        let mut desk = Desk::new(three());
        assert_eq!(how(&mut desk), ["ended"]);
        assert!(desk.start().is_empty());
    }
}

#[test]
fn h48_a_kill_during_a_stop_kills_all_that_live_once() {
    let mut desk = Desk::up(three());
    desk.stop();
    desk.exit("c", DONE);
    assert_eq!(desk.kill(), ["kill a", "kill b"]);
    assert!(desk.kill().is_empty());
    assert!(desk.exit("a", KILLED).is_empty());
    assert_eq!(desk.exit("b", KILLED), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Stopped));
}

#[test]
fn h48_what_ended_is_deaf() {
    let mut desk = Desk::up(three());
    desk.kill();
    for name in ["a", "b", "c"] {
        desk.exit(name, KILLED);
    }
    assert!(desk.engine.is_ended());
    assert!(desk.exit("a", KILLED).is_empty() && desk.stop().is_empty() && desk.kill().is_empty());
    assert!(desk.wait(SECOND).is_empty() && desk.start().is_empty());
    assert_eq!(desk.restart("a"), Err(Refused::Stopping));
}

#[test]
fn h49_a_crash_before_its_turn_while_all_stop_is_told_but_starts_nothing() {
    let mut desk = Desk::up(three());
    desk.stop();
    assert!(desk.exit("a", CRASH).is_empty());
    let told = Note::NotRestarted { child: desk.id("a"), why: NotRestarted::GroupStopping };
    assert_eq!(desk.notes, [Note::Ending(Outcome::Stopped), told]);
    assert_eq!(desk.exit("c", DONE), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ended"]);
}

#[test]
fn the_first_reason_to_end_stands() {
    let job = ChildSpec { significant: true, ..child("job") };
    let mut desk = Desk::up(group(OneForOne, [child("a"), job]));
    assert_eq!(desk.exit("job", DONE), ["ask a"]);
    assert!(desk.stop().is_empty());
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Completed { child: desk.id("job"), exit: DONE }));
}

#[test]
fn a_topology_in_which_all_have_ended_for_good_ends() {
    let mut desk = Desk::up(group(
        OneForOne,
        [Policy::Temporary, Policy::Transient]
            .map(|p| with_policy(if p == Policy::Temporary { "a" } else { "b" }, p)),
    ));
    assert!(desk.exit("a", CRASH).is_empty());
    assert_eq!(desk.exit("b", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Completed { child: desk.id("b"), exit: DONE }));
}

#[test]
fn a_temporary_child_that_ends_while_others_start_ends_nothing() {
    let mut desk = Desk::new(group(OneForOne, ["a", "b"].map(|name| with_policy(name, Policy::Temporary))));
    desk.start();
    desk.ready("a");
    assert!(desk.exit("a", DONE).is_empty());
    assert!(desk.ready("b").is_empty());
    assert_eq!(desk.exit("b", CRASH), ["ended"]);
}

#[test]
fn an_empty_topology_is_up_until_it_is_stopped() {
    let mut desk = Desk::new(GroupSpec::default());
    assert!(desk.start().is_empty());
    assert_eq!(desk.notes, [Note::AllStarted]);
    assert_eq!(desk.stop(), ["ended"]);
}
