//! An operator restarts a child by hand.

use super::desk::*;
use crate::supervision::Strategy::{OneForAll, OneForOne};
use crate::supervision::*;

#[test]
fn p6_the_old_one_is_stopped_first_and_nothing_is_counted() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b")]));
    assert_eq!(desk.restart("a"), Ok(vec!["ask a".to_owned()]));
    assert_eq!(desk.restart("a"), Err(Refused::Underway));
    assert_eq!(desk.exit("a", CRASH), ["start a"], "a stop that was asked for is no failure, and b runs on");
    assert!(desk.ready("a").is_empty());
    assert_eq!((desk.state("a").budget_left, desk.state("a").restarts), (5, 1));
    assert_eq!(desk.notes, []);
}

#[test]
fn one_that_does_not_listen_is_pressed_as_in_any_stop() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    desk.restart("a").unwrap();
    assert_eq!(desk.wait(6 * SECOND), ["terminate a", "kill a"]);
    assert_eq!(desk.exit("a", KILLED), ["start a"]);
}

#[test]
fn a_waiting_one_starts_at_once_and_an_ended_one_lives_again() {
    let waiting = ChildSpec { backoff: Backoff::default(), ..child("w") };
    let mut desk = Desk::up(group(OneForOne, [waiting, with_policy("t", Policy::Temporary)]));
    desk.exit("w", CRASH);
    assert_eq!(desk.restart("w"), Ok(vec!["start w".to_owned()]));
    desk.exit("t", DONE);
    assert_eq!(desk.restart("t"), Ok(vec!["start t".to_owned()]));
}

#[test]
fn one_that_hangs_in_its_start_can_be_restarted() {
    let mut desk = Desk::new(group(OneForOne, [child("a"), child("b")]));
    desk.start();
    assert_eq!(desk.restart("a"), Ok(vec!["ask a".to_owned()]));
    assert_eq!(desk.restart("b"), Err(Refused::Underway), "its turn comes");
    assert_eq!(desk.exit("a", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
}

#[test]
fn a_failure_after_it_is_a_failure_like_any_other() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b")]));
    desk.restart("b").unwrap();
    desk.exit("b", DONE);
    assert_eq!(desk.fail_to_start("b"), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["start a"]);
    assert_eq!(desk.state("a").budget_left, 4);
}

#[test]
fn h48_a_restart_that_meets_another_restart_happens_once() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b")]));
    desk.restart("b").unwrap();
    assert!(desk.exit("a", CRASH).is_empty(), "b is on its way down already");
    assert_eq!(desk.exit("b", DONE), ["start a"]);
    assert_eq!(desk.restart("b"), Err(Refused::Underway));
    assert_eq!(desk.ready("a"), ["start b"]);
}

#[test]
fn h48_a_stop_overrides_it() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    desk.restart("a").unwrap();
    assert!(desk.stop().is_empty());
    assert_eq!(desk.restart("a"), Err(Refused::Stopping));
    assert_eq!(desk.exit("a", DONE), ["ended"]);
}

#[test]
fn it_is_refused_where_there_is_nothing_to_restart() {
    let mut desk = Desk::new(group(OneForOne, [child("a")]));
    assert_eq!(desk.restart("a"), Err(Refused::Underway), "not deployed yet");
    assert_eq!(desk.engine.handle_restart(ChildId(1), desk.now), Err(Refused::Unknown));
}
