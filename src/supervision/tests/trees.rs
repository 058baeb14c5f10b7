//! Random trees and ends for the property tests.

use std::time::Duration;

use proptest::prelude::*;

use super::desk::{child, group};
use crate::id::{Exit, Signal};
use crate::supervision::Strategy as Restarts;
use crate::supervision::{
    AutoShutdown, Backoff, ChildId, ChildSpec, GroupSpec, Intensity, Member, Policy, Shutdown,
};

/// Four times proptest's number, which `PROPTEST_CASES` sets: a case takes about a millisecond.
pub(super) fn many_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.saturating_mul(4), ..usual }
}

/// Children and groups to a depth of three, small enough to be read when a test fails.
pub(super) fn any_tree(any_child: BoxedStrategy<ChildSpec>) -> BoxedStrategy<GroupSpec> {
    let leaf = any_child.prop_map(Member::from);
    let member = leaf.prop_recursive(2, 8, 3, |member| any_group(member, 0..4).prop_map(Member::from));
    any_group(member.boxed(), 0..5).boxed()
}

fn any_group(
    member: impl Strategy<Value = Member>,
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = GroupSpec> {
    let strategy =
        prop_oneof![Just(Restarts::OneForOne), Just(Restarts::OneForAll), Just(Restarts::RestForOne),];
    let intensity = (0u32..5, 1u64..20_000)
        .prop_map(|(restarts, ms)| Intensity { restarts, period: Duration::from_millis(ms) });
    let auto_shutdown = prop_oneof![
        2 => Just(AutoShutdown::Never),
        2 => Just(AutoShutdown::AnySignificant),
        1 => Just(AutoShutdown::AllSignificant),
    ];
    let as_a_member = (any_policy(), prop::bool::weighted(0.2), auto_shutdown);
    (strategy, intensity, as_a_member, prop::collection::vec(member, size)).prop_map(
        |(strategy, intensity, (policy, significant, auto_shutdown), members)| GroupSpec {
            intensity,
            policy,
            significant,
            auto_shutdown,
            ..group(strategy, members)
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        4 => Just(Policy::Permanent),
        2 => Just(Policy::Transient),
        1 => Just(Policy::Temporary),
    ]
}

/// A child of any policy that waits for nothing.
pub(super) fn any_prompt_child() -> BoxedStrategy<ChildSpec> {
    (any_policy(), prop::bool::weighted(0.15))
        .prop_map(|(policy, significant)| ChildSpec { policy, significant, ..child("c") })
        .boxed()
}

/// A child of any policy, with delays and deadlines of all sizes.
pub(super) fn any_child() -> BoxedStrategy<ChildSpec> {
    let shutdown = prop_oneof![
        3 => (0u64..8_000).prop_map(|ms| Shutdown::Timeout(Duration::from_millis(ms))),
        1 => Just(Shutdown::BrutalKill),
        1 => Just(Shutdown::Infinity),
    ];
    (any_prompt_child(), shutdown, 0u64..500, 0u64..3_000, 1u64..5_000)
        .prop_map(|(child, shutdown, min, more, deadline)| ChildSpec {
            shutdown,
            backoff: Backoff { min: Duration::from_millis(min), max: Duration::from_millis(min + more) },
            start_deadline: Duration::from_millis(deadline),
            ..child
        })
        .boxed()
}

/// As often well as badly.
pub(super) fn any_exit() -> BoxedStrategy<Exit> {
    prop_oneof![
        3 => Just(Exit::Code(0)),
        2 => (1i32..256).prop_map(Exit::Code),
        1 => (1i32..32).prop_map(|number| Exit::Signal { signal: Signal(number), core_dumped: false }),
    ]
    .boxed()
}

/// A number that looks random and depends on all of these alone.
pub(super) fn mixed(seed: u64, child: ChildId, life: u32) -> u64 {
    let mut mixed = seed ^ (u64::from(child.0) << 32 | u64::from(life)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 29)
}
