//! Restarts within one group: delays, budgets, walks that are overtaken by further failures.

use std::time::Duration;

use super::desk::*;
use crate::id::Incarnation;
use crate::supervision::Strategy::{OneForAll, OneForOne, RestForOne};
use crate::supervision::*;

const BACKOFF: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_millis(400) };

fn slow(name: &str) -> ChildSpec {
    ChildSpec { backoff: BACKOFF, ..child(name) }
}

fn few(restarts: u32, period: Duration, mut tree: GroupSpec) -> GroupSpec {
    tree.intensity = Intensity { restarts, period };
    tree
}

#[test]
fn p5_a_restart_waits_for_its_backoff_and_says_so() {
    let mut desk = Desk::up(group(OneForOne, [slow("a")]));
    assert!(desk.exit("a", CRASH).is_empty());
    let [Note::Restarting { child, group, delay, restarts, budget_left }] = desk.notes[..] else {
        panic!("{:?}", desk.notes)
    };
    assert_eq!((child, group, restarts, budget_left), (desk.id("a"), GroupId::TOP, 1, 4));
    assert!(BACKOFF.min <= delay && delay <= BACKOFF.max);
    assert_eq!(desk.engine.poll_timeout(), Some(desk.now + delay));
    assert!(desk.wait(delay - Duration::from_nanos(1)).is_empty());
    assert_eq!(desk.wait(Duration::from_nanos(1)), ["start a"]);
    assert_eq!((desk.life("a"), desk.state("a").restarts), (Incarnation(2), 1));
}

#[test]
fn p5_each_child_waits_for_itself_in_one_for_one() {
    let mut desk = Desk::up(group(OneForOne, [slow("a"), child("b")]));
    assert!(desk.exit("a", CRASH).is_empty());
    assert_eq!(desk.exit("b", CRASH), ["start b"]);
    assert_eq!(desk.wait(BACKOFF.max), ["start a"]);
}

#[test]
fn h46_one_restart_too_many_ends_it_and_the_budget_is_visible() {
    let mut desk = Desk::up(few(2, 10 * SECOND, group(OneForOne, [child("a"), child("b")])));
    for left in [1, 0] {
        assert_eq!(desk.exit("b", CRASH), ["start b"]);
        assert_eq!(desk.state("a").budget_left, left, "the budget belongs to the group");
        desk.ready("b");
    }
    assert_eq!(desk.exit("b", CRASH), ["ask a"]);
    assert_eq!(desk.exit("a", DONE), ["ended"]);
    let (child, period) = (desk.id("b"), 10 * SECOND);
    assert_eq!(desk.outcome, Some(Outcome::GaveUp { child, restarts: 2, period }));
    assert!(desk.notes.contains(&Note::GroupGaveUp { group: GroupId::TOP, child, restarts: 2, period }));
}

#[test]
fn h46_restarts_far_enough_apart_never_end_it() {
    let mut desk = Desk::up(few(1, SECOND, group(OneForOne, [child("a")])));
    for _ in 0..100 {
        assert_eq!(desk.exit("a", CRASH), ["start a"]);
        desk.ready("a");
        desk.wait(SECOND + MS);
        assert_eq!(desk.state("a").budget_left, 1);
    }
}

#[test]
fn h46_a_restart_that_fails_counts_and_is_tried_again() {
    let mut desk = Desk::up(few(2, SECOND, group(OneForOne, [child("a")])));
    assert_eq!(desk.exit("a", CRASH), ["start a"]);
    assert_eq!(desk.fail_to_start("a"), ["start a"]);
    assert_eq!(desk.fail_to_start("a"), ["ended"]);
    assert!(matches!(desk.outcome, Some(Outcome::GaveUp { restarts: 2, .. })));
}

#[test]
fn a_restart_that_is_not_ready_in_time_counts_too() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    desk.exit("a", CRASH);
    assert_eq!(desk.wait(DEFAULT_START_DEADLINE), ["kill a"]);
    assert_eq!(desk.exit("a", KILLED), ["start a"]);
    assert_eq!(desk.state("a").budget_left, 3);
}

#[test]
fn p5_one_incident_of_one_for_all_counts_once() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b"), child("c")]));
    assert_eq!(desk.exit("b", CRASH), ["ask c"]);
    assert!(desk.exit("a", CRASH).is_empty(), "it would have been stopped anyway");
    assert_eq!(desk.exit("c", CRASH), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert!(desk.ready("c").is_empty());
    assert_eq!(desk.state("a").budget_left, 4);
}

#[test]
fn p6_the_delay_of_one_for_all_starts_with_the_failure_and_ends_after_the_last_death() {
    let mut desk = Desk::up(group(OneForAll, [slow("a"), slow("b")]));
    desk.exit("a", CRASH);
    assert!(desk.wait(SECOND).is_empty(), "b still lives");
    assert_eq!(desk.exit("b", DONE), ["start a"], "the delay is over since long");
    desk.ready("a");
    assert_eq!(desk.exit("b", CRASH), ["ask a"]);
    assert!(desk.exit("a", DONE).is_empty(), "the delay is not over");
    assert_eq!(desk.wait(BACKOFF.max), ["start a"]);
}

#[test]
fn rest_for_one_is_widened_by_a_failure_before_it() {
    let mut desk = Desk::up(group(RestForOne, [child("a"), child("b"), child("c"), child("d")]));
    assert_eq!(desk.exit("c", CRASH), ["ask d"]);
    assert!(desk.exit("b", CRASH).is_empty(), "d is on its way down already");
    assert_eq!(desk.exit("d", DONE), ["start b"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert_eq!(desk.exit("b", CRASH), ["ask c"], "the walk turns round");
    assert_eq!(desk.exit("c", DONE), ["start b"]);
}

#[test]
fn a_failure_beside_a_wait_does_not_shorten_it() {
    let mut desk = Desk::up(group(RestForOne, [child("a"), slow("b")]));
    desk.exit("b", CRASH);
    assert!(desk.exit("a", CRASH).is_empty(), "a has no delay of its own, and b's is not over");
    assert!(desk.wait(BACKOFF.min - MS).is_empty());
    assert_eq!(desk.wait(BACKOFF.min + MS), ["start a"]);
}

#[test]
fn a_failure_of_a_group_after_a_long_time_waits_as_for_the_first_time() {
    let mut inner = group(OneForOne, [slow("a")]);
    inner.intensity = Intensity { restarts: 0, period: SECOND };
    let mut desk = Desk::up(few(9, 3 * SECOND, group(OneForOne, [inner])));
    for pause in [MS, MS, 4 * SECOND] {
        desk.wait(pause);
        desk.exit("a", CRASH);
        desk.wait(BACKOFF.max);
        desk.ready("a");
    }
    let delays: Vec<Duration> = desk.notes.iter().filter_map(delay_of).collect();
    assert!(delays[1] >= BACKOFF.min * 2 && delays[2] <= BACKOFF.min * 2, "{delays:?}");
}

fn delay_of(note: &Note) -> Option<Duration> {
    match note {
        Note::Restarting { delay, .. } => Some(*delay),
        _ => None,
    }
}

#[test]
fn rest_for_one_goes_on_from_the_one_that_failed_to_start() {
    let mut desk = Desk::up(group(RestForOne, [child("a"), child("b"), child("c")]));
    assert_eq!(desk.exit("a", CRASH), ["ask c"]);
    desk.exit("c", DONE);
    assert_eq!(desk.exit("b", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start b"]);
    assert_eq!(desk.fail_to_start("b"), ["start b"], "a runs on");
}

#[test]
fn a_restart_of_several_revives_the_finished_and_buries_the_temporary() {
    let [finished, temporary] =
        [("t", Policy::Transient), ("x", Policy::Temporary)].map(|(n, p)| with_policy(n, p));
    let mut desk = Desk::up(group(OneForAll, [child("a"), finished, temporary]));
    assert!(desk.exit("t", DONE).is_empty());
    assert_eq!(desk.exit("a", CRASH), ["ask x"]);
    assert_eq!(desk.exit("x", DONE), ["start a"]);
    assert_eq!(desk.ready("a"), ["start t"]);
    assert!(desk.ready("t").is_empty());
    assert_eq!(desk.state("x").phase, Phase::Ended);
}

#[test]
fn a_member_that_fails_while_later_ones_start_for_the_first_time_is_restarted() {
    let mut desk = Desk::new(group(OneForOne, [child("a"), child("b"), child("c")]));
    desk.start();
    desk.ready("a");
    assert_eq!(desk.exit("a", CRASH), ["start a"]);
    assert_eq!(desk.ready("b"), ["start c"]);
    assert!(desk.ready("a").is_empty());
    assert!(desk.ready("c").is_empty());
    assert!(desk.notes.contains(&Note::AllStarted));
}

#[test]
fn h48_a_stop_during_a_backoff_forgets_the_restart() {
    let mut desk = Desk::up(group(OneForOne, [slow("a"), child("b")]));
    desk.exit("a", CRASH);
    assert_eq!(desk.stop(), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ended"]);
    assert!(desk.wait(SECOND).is_empty());
}

#[test]
fn h48_a_stop_during_a_restart_of_all_goes_on_downward() {
    let mut desk = Desk::up(group(OneForAll, [child("a"), child("b"), child("c")]));
    assert_eq!(desk.exit("a", CRASH), ["ask c"]);
    assert!(desk.stop().is_empty());
    assert_eq!(desk.exit("c", DONE), ["ask b"]);
    assert_eq!(desk.exit("b", DONE), ["ended"]);
}

#[test]
fn h48_news_from_a_former_life_and_from_nobody_is_ignored() {
    let mut desk = Desk::up(group(OneForOne, [child("a")]));
    let (a, former, now) = (desk.id("a"), desk.life("a"), desk.now);
    assert_eq!(desk.exit("a", CRASH), ["start a"]);
    for (child, incarnation) in
        [(a, former), (a, Incarnation(9)), (a, Incarnation::ANY), (ChildId(7), former)]
    {
        desk.engine.handle_ready(child, incarnation, now);
        desk.engine.handle_exit(child, incarnation, CRASH, now);
        desk.engine.handle_start_failure(child, incarnation, now);
    }
    assert_eq!(desk.engine.poll_action(), None);
    assert!(matches!(desk.state("a").phase, Phase::Starting { .. }));
    assert_eq!(desk.state("a").budget_left, 4);
}

#[test]
fn h46_the_whole_topology_has_a_pace() {
    let names: Vec<String> = (0..120).map(|n| format!("c{n}")).collect();
    let mut desk = Desk::up(few(1000, SECOND, group(OneForOne, names.iter().map(|name| child(name)))));
    let at_once: usize = names.iter().map(|name| desk.exit(name, CRASH).len()).sum();
    assert_eq!(at_once, MAX_RESTARTS_PER_SECOND);
    assert!(desk.wait(SECOND - MS).is_empty());
    assert_eq!(desk.wait(MS).len(), MAX_RESTARTS_PER_SECOND);
    assert_eq!(desk.wait(SECOND).len(), 20);
}
