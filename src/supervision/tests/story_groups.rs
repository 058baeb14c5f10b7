//! Nested groups: starting and stopping as one, giving up, being started anew.

use std::time::Duration;

use super::desk::*;
use crate::supervision::Strategy::{OneForAll, OneForOne, RestForOne};
use crate::supervision::*;

fn budget(restarts: u32, mut tree: GroupSpec) -> GroupSpec {
    tree.intensity = Intensity { restarts, period: 10 * SECOND };
    tree
}

/// `a`, then a group of `b` and `c`, then `d`.
fn nested(outer: Strategy, inner: Strategy, inner_restarts: u32) -> GroupSpec {
    let inner = budget(inner_restarts, group(inner, [child("b"), child("c")]));
    budget(3, group(outer, [Member::from(child("a")), inner.into(), child("d").into()]))
}

#[test]
fn a_tree_starts_and_stops_like_one_row() {
    let mut desk = Desk::up(nested(OneForOne, OneForAll, 1));
    assert_eq!(desk.stop(), ["ask d"]);
    assert_eq!(desk.exit("d", DONE), ["ask c"]);
    assert_eq!(desk.exit("c", DONE), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
}

#[test]
fn p5_a_group_keeps_its_failures_to_itself_while_it_can() {
    let mut desk = Desk::up(nested(OneForAll, OneForAll, 1));
    assert_eq!(desk.exit("b", CRASH), ["ask c"]);
    assert_eq!(desk.exit("c", DONE), ["start b"]);
    assert_eq!((desk.state("a").budget_left, desk.state("b").budget_left), (3, 0));
}

#[test]
fn p5_a_group_that_gives_up_is_started_anew_by_the_group_above() {
    let mut desk = Desk::up(nested(RestForOne, OneForOne, 0));
    assert_eq!(desk.exit("b", CRASH), ["ask c"], "the group stops its members first");
    let gave_up =
        Note::GroupGaveUp { group: GroupId(1), child: desk.id("b"), restarts: 0, period: 10 * SECOND };
    assert_eq!(desk.notes, [gave_up]);
    assert_eq!(desk.exit("c", DONE), ["ask d"], "then it is a failed member, and d comes after it");
    assert_eq!(desk.exit("d", DONE), ["start b"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert_eq!(desk.ready("c"), ["start d"]);
    assert_eq!(desk.state("a").budget_left, 2);
}

#[test]
fn p5_a_group_that_does_not_come_up_again_has_failed_in_the_group_above() {
    let mut desk = Desk::up(nested(OneForOne, OneForOne, 0));
    desk.exit("c", CRASH);
    assert_eq!(desk.exit("b", DONE), ["start b"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert_eq!(desk.fail_to_start("c"), ["ask b"], "a first start in this life of the group");
    assert_eq!(desk.exit("b", DONE), ["start b"]);
    assert_eq!(desk.state("a").budget_left, 1);
}

#[test]
fn p5_what_no_group_can_hold_ends_the_topology() {
    let mut desk =
        Desk::up(budget(0, group(OneForOne, [budget(0, group(OneForOne, [child("a"), child("b")]))])));
    assert_eq!(desk.exit("a", CRASH), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ended"]);
    let child = desk.id("a");
    assert_eq!(desk.outcome, Some(Outcome::GaveUp { child, restarts: 0, period: 10 * SECOND }));
}

#[test]
fn a_group_that_fails_at_the_first_start_ends_the_topology() {
    let mut desk = Desk::new(nested(OneForOne, OneForOne, 5));
    desk.start();
    desk.ready("a");
    desk.ready("b");
    assert_eq!(desk.fail_to_start("c"), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    assert_eq!(desk.outcome, Some(Outcome::StartFailed { child: desk.id("c") }));
}

#[test]
fn a_new_life_of_a_group_has_its_whole_budget_and_its_temporary_children() {
    let inner = budget(1, group(OneForOne, [child("b"), with_policy("t", Policy::Temporary)]));
    let mut desk = Desk::up(group(OneForOne, [Member::from(child("a")), inner.into()]));
    desk.exit("t", DONE);
    desk.exit("b", CRASH);
    desk.ready("b");
    assert_eq!(desk.exit("b", CRASH), ["start b"], "the group had nothing left to stop");
    assert_eq!(desk.state("b").budget_left, 1);
    assert_eq!(desk.ready("b"), ["start t"]);
}

#[test]
fn a_group_waits_with_the_backoff_of_the_child_that_brought_it_down() {
    let backoff = Backoff { min: Duration::from_millis(100), max: SECOND };
    let inner = budget(0, group(OneForOne, [ChildSpec { backoff, ..child("b") }]));
    let mut desk = Desk::up(group(OneForOne, [Member::from(child("a")), inner.into()]));
    assert!(desk.exit("b", CRASH).is_empty());
    assert!(desk.wait(backoff.min - MS).is_empty());
    assert_eq!(desk.wait(backoff.min + MS), ["start b"]);
}

#[test]
fn a_group_that_is_first_in_a_restart_of_several_waits_too() {
    let slow = ChildSpec { backoff: Backoff::default(), ..child("b") };
    let tree = [Member::from(group(OneForOne, [child("a")])), slow.into()];
    let mut desk = Desk::up(group(OneForAll, tree));
    assert_eq!(desk.exit("b", CRASH), ["ask a"]);
    assert!(desk.exit("a", DONE).is_empty());
    assert_eq!(desk.wait(Backoff::default().min * 2), ["start a"]);
}

#[test]
fn h48_a_group_that_is_falling_is_taken_along_by_the_group_above() {
    let mut desk = Desk::up(nested(OneForAll, OneForOne, 0));
    assert_eq!(desk.exit("b", CRASH), ["ask c"]);
    assert_eq!(desk.exit("a", CRASH), ["ask d"]);
    assert!(desk.exit("c", DONE).is_empty(), "the group above has taken over");
    assert_eq!(desk.exit("d", DONE), ["start a"]);
    assert_eq!(desk.state("a").budget_left, 2, "one incident, not two");
}
