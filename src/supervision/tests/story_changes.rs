//! Children that come and go while the rest runs.

use super::desk::*;
use crate::supervision::Strategy::{OneForAll, OneForOne, RestForOne};
use crate::supervision::*;

#[test]
fn an_added_child_starts_at_once_and_is_supervised_like_the_others() {
    let mut desk = Desk::up(group(OneForAll, [child("a")]));
    assert_eq!(desk.add(GroupId::TOP, child("new")), Ok(vec!["start new".to_owned()]));
    assert!(desk.ready("new").is_empty());
    assert_eq!(desk.exit("new", CRASH), ["ask a"], "one for all");
    assert_eq!(desk.exit("a", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start new"]);
    desk.ready("new");
    assert_eq!(desk.stop(), ["ask new"], "the last to start is the first to stop");
}

#[test]
fn an_added_child_waits_for_its_turn_in_a_walk() {
    let mut desk = Desk::up(group(RestForOne, [child("a"), child("b")]));
    assert_eq!(desk.exit("a", CRASH), ["ask b"]);
    assert_eq!(desk.add(GroupId::TOP, child("new")), Ok(vec![]));
    assert_eq!(desk.exit("b", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
    assert_eq!(desk.ready("b"), ["start new"]);
}

#[test]
fn it_stops_with_its_group_and_not_at_the_end_of_all() {
    let inner = GroupSpec { name: Some("inner".parse().unwrap()), ..group(OneForOne, [child("b")]) };
    let mut desk = Desk::up(group(OneForOne, [Member::from(child("a")), inner.into(), child("z").into()]));
    let inner = desk.engine.group_named("inner").unwrap();
    desk.add(inner, child("new")).unwrap();
    desk.ready("new");
    assert_eq!(desk.engine.group_of(desk.id("new")), Some(inner));
    assert_eq!(desk.stop(), ["ask z"]);
    assert_eq!(desk.exit("z", DONE), ["ask new"]);
    assert_eq!(desk.exit("new", DONE), ["ask b"]);
}

#[test]
fn an_added_child_that_never_comes_up_is_nobodys_failure() {
    let mut desk = Desk::up(group(OneForAll, [child("a")]));
    desk.add(GroupId::TOP, child("new")).unwrap();
    let new = desk.id("new");
    assert!(desk.fail_to_start("new").is_empty());
    assert_eq!(desk.notes, [Note::AddFailed { child: new }]);
    assert_eq!(desk.engine.state(new, desk.now), None);
    assert_eq!(desk.state("a").budget_left, 5);
}

#[test]
fn once_it_was_ready_a_failed_start_is_a_failed_restart() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    desk.add(GroupId::TOP, child("new")).unwrap();
    desk.ready("new");
    assert_eq!(desk.exit("new", CRASH), ["start new"]);
    assert_eq!(desk.fail_to_start("new"), ["start new"]);
    assert_eq!(desk.state("a").budget_left, 3);
}

#[test]
fn an_added_temporary_child_leaves_nothing_behind() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    desk.add(GroupId::TOP, with_policy("job", Policy::Temporary)).unwrap();
    let job = desk.id("job");
    desk.ready("job");
    desk.exit("job", CRASH);
    assert!(desk.notes.contains(&Note::Removed { child: job }));
    assert_eq!(desk.engine.children().count(), 1);
}

#[test]
fn a_number_is_never_used_twice() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    for expected in 1..4 {
        desk.add(GroupId::TOP, child("new")).unwrap();
        assert_eq!(desk.id("new"), ChildId(expected));
        desk.ready("new");
        assert_eq!(desk.discard("new"), Ok(vec!["ask new".to_owned()]));
        desk.exit("new", DONE);
    }
}

#[test]
fn a_child_that_is_stopped_by_hand_stays_down_and_ends_nothing() {
    let job = ChildSpec { significant: true, ..child("job") };
    let mut desk = Desk::up(group(OneForAll, [child("a"), job]));
    assert_eq!(desk.stop_child("job"), Ok(vec!["ask job".to_owned()]));
    assert!(desk.exit("job", KILLED).is_empty());
    assert_eq!(desk.notes, [Note::StoppedByHand { child: desk.id("job") }]);
    assert!(desk.wait(60 * SECOND).is_empty());
    assert_eq!(desk.stop_child("job"), Ok(vec![]), "it is down already");
    assert_eq!(desk.restart("job"), Ok(vec!["start job".to_owned()]));
}

#[test]
fn what_was_stopped_by_hand_comes_back_with_its_group_as_in_otp() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b")]));
    desk.stop_child("b").unwrap();
    desk.exit("b", DONE);
    assert_eq!(desk.exit("a", CRASH), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
}

#[test]
fn a_stop_by_hand_ends_a_wait_for_a_restart() {
    let slow = ChildSpec { backoff: Backoff::default(), ..child("slow") };
    let mut desk = Desk::up(group(OneForOne, [child("a"), slow]));
    desk.exit("slow", CRASH);
    assert_eq!(desk.stop_child("slow"), Ok(vec![]));
    assert!(desk.wait(60 * SECOND).is_empty());
    assert_eq!(desk.state("slow").phase, Phase::Ended);
}

#[test]
fn only_what_is_down_can_be_removed_but_anything_can_be_discarded() {
    let mut desk = Desk::up(group(OneForOne, [child("a"), child("b")]));
    assert_eq!(desk.remove("b"), Err(Refused::Alive));
    desk.stop_child("b").unwrap();
    assert_eq!(desk.remove("b"), Err(Refused::Alive), "not yet");
    desk.exit("b", DONE);
    assert_eq!(desk.remove("b"), Ok(vec![]));
    assert_eq!(desk.remove("b"), Err(Refused::Unknown));
    assert_eq!(desk.discard("a"), Ok(vec!["ask a".to_owned()]));
    assert!(desk.exit("a", CRASH).is_empty());
    assert!(desk.outcome.is_none(), "an empty topology is up until it is stopped");
}

#[test]
fn h48_a_child_that_is_discarded_while_its_group_restarts_does_not_come_back() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b"), child("c")]));
    assert_eq!(desk.exit("a", CRASH), ["ask c"]);
    assert_eq!(desk.discard("b"), Ok(vec![]), "it has its turn");
    assert_eq!(desk.exit("c", DONE), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start c"]);
}

#[test]
fn h48_nothing_is_added_to_what_is_down_or_ends() {
    let inner = GroupSpec { policy: Policy::Temporary, ..group(OneForOne, [child("b")]) };
    let inner = GroupSpec { intensity: Intensity { restarts: 0, period: SECOND }, ..inner };
    let mut desk = Desk::up(group(OneForOne, [Member::from(child("a")), inner.into()]));
    desk.exit("b", CRASH);
    assert_eq!(desk.add(GroupId(1), child("new")), Err(Refused::GroupDown));
    assert_eq!(desk.add(GroupId(2), child("new")), Err(Refused::Unknown));
    desk.stop();
    assert_eq!(desk.add(GroupId::TOP, child("new")), Err(Refused::Stopping));
    assert_eq!(desk.discard("a"), Err(Refused::Stopping));
    assert_eq!(desk.stop_child("a"), Err(Refused::Stopping));
}

#[test]
fn a_lasting_engine_goes_on_when_all_have_ended() {
    let mut desk = Desk::new(group(OneForOne, [with_policy("a", Policy::Temporary)]));
    desk.engine = Engine::new(group(OneForOne, [with_policy("a", Policy::Temporary)]), 1).lasting();
    desk.start();
    desk.ready("a");
    assert!(desk.exit("a", DONE).is_empty());
    assert_eq!(desk.add(GroupId::TOP, child("new")), Ok(vec!["start new".to_owned()]));
    assert_eq!(desk.outcome, None);
}

#[test]
fn a_group_with_a_backoff_of_its_own_waits_with_that() {
    let backoff = Backoff { min: SECOND, max: 2 * SECOND };
    let inner = GroupSpec { backoff: Some(backoff), ..group(OneForOne, [child("b")]) };
    let inner = GroupSpec { intensity: Intensity { restarts: 0, period: SECOND }, ..inner };
    let mut desk = Desk::up(group(OneForOne, [Member::from(child("a")), inner.into()]));
    assert!(desk.exit("b", CRASH).is_empty());
    assert!(desk.wait(SECOND - MS).is_empty());
    assert_eq!(desk.wait(SECOND + MS), ["start b"]);
}

#[test]
fn the_end_of_a_significant_group_ends_the_group_above_and_so_on() {
    let job = ChildSpec { significant: true, ..child("job") };
    let inner = GroupSpec { significant: true, ..group(OneForOne, [child("b"), job]) };
    let mut desk = Desk::up(group(OneForAll, [Member::from(child("a")), inner.into(), child("d").into()]));
    assert_eq!(desk.exit("job", DONE), ["ask b"], "its own group first");
    assert_eq!(desk.exit("b", DONE), ["ask d"]);
    assert_eq!(desk.exit("d", DONE), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::Completed { child: desk.id("job"), exit: DONE }));
}

#[test]
fn a_topology_whose_last_group_gave_up_for_good_does_not_end_as_a_success() {
    let inner = GroupSpec { policy: Policy::Temporary, ..group(OneForOne, [child("b")]) };
    let inner = GroupSpec { intensity: Intensity { restarts: 1, period: SECOND }, ..inner };
    let mut desk = Desk::up(group(OneForOne, [inner]));
    assert_eq!(desk.exit("b", CRASH), ["start b"]);
    assert_eq!(desk.exit("b", DONE), ["ended"], "code 0 of a start that failed is none");
    assert_eq!(desk.outcome, Some(Outcome::Completed { child: desk.id("b"), exit: CRASH }));
}
