//! Groups as members of groups, and when a group ends by itself: two more tables, which are expectation and documentation.

use std::fmt::Write as _;

use super::desk::*;
use crate::supervision::AutoShutdown::{AllSignificant, AnySignificant, Never};
use crate::supervision::Policy::{Permanent, Temporary, Transient};
use crate::supervision::Strategy::{OneForAll, OneForOne, RestForOne};
use crate::supervision::*;

const STRATEGIES: [Strategy; 3] = [OneForOne, OneForAll, RestForOne];

/// Whether a group ends after the first, and after the last, of its two significant children has ended for good.
const AUTO_SHUTDOWN: [(AutoShutdown, bool, bool); 3] =
    [(Never, false, false), (AnySignificant, true, true), (AllSignificant, false, true)];

/// What follows the end of a group in the group above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Restart,
    Stay,
    /// It stays down, and the group above, whose `auto_shutdown` is `any_significant`, ends too.
    EndAbove,
}

use Then::{EndAbove, Restart, Stay};

/// Policy and significance of a group; what follows when its `auto_shutdown` ended it, and when it gave up.
const MEMBERS: [(Policy, bool, [Then; 2]); 6] = [
    (Permanent, false, [Restart, Restart]),
    (Permanent, true, [EndAbove, Restart]),
    (Transient, false, [Stay, Restart]),
    (Transient, true, [EndAbove, Restart]),
    (Temporary, false, [Stay, Stay]),
    (Temporary, true, [EndAbove, EndAbove]),
];

#[test]
fn p5_a_group_ends_with_its_significant_members_as_auto_shutdown_says() {
    for (auto_shutdown, after_one, after_both) in AUTO_SHUTDOWN {
        for (strategy, policy) in STRATEGIES.into_iter().flat_map(|s| [(s, Transient), (s, Temporary)]) {
            let cell = format!("{auto_shutdown:?}, {strategy:?}, {policy:?}");
            let job = |name| ChildSpec { significant: true, ..with_policy(name, policy) };
            let tree = GroupSpec { auto_shutdown, ..group(strategy, [child("a"), job("b"), job("c")]) };
            let mut desk = Desk::up(tree);
            desk.exit("b", DONE);
            assert_eq!(falls(&desk), after_one, "{cell}, after the first");
            if !after_one {
                desk.exit("c", DONE);
                assert_eq!(falls(&desk), after_both, "{cell}, after the last");
            }
            if falls(&desk) {
                for name in ["c", "a"] {
                    desk.exit(name, DONE);
                }
                assert!(matches!(desk.outcome, Some(Outcome::Completed { exit: DONE, .. })), "{cell}");
            }
        }
    }
}

fn falls(desk: &Desk) -> bool {
    desk.notes.iter().any(|note| matches!(note, Note::Ending(_)))
}

#[test]
fn p5_a_group_is_a_member_like_any_other() {
    for (policy, significant, row) in MEMBERS {
        for (gave_up, then) in [false, true].into_iter().zip(row) {
            for strategy in STRATEGIES {
                let cell = format!("{policy:?}, significant {significant}, gave up {gave_up}, {strategy:?}");
                assert_eq!(play(policy, significant, gave_up, strategy), then, "{cell}");
            }
        }
    }
}

/// `a`, then a group of a job and `c`, which ends by its job, or gives up because of `c`.
fn play(policy: Policy, significant: bool, gave_up: bool, strategy: Strategy) -> Then {
    let job = ChildSpec { significant: true, ..with_policy("job", Transient) };
    let inner = GroupSpec {
        policy,
        significant,
        intensity: Intensity { restarts: 0, period: SECOND },
        ..group(OneForOne, [job, child("c")])
    };
    let mut desk = Desk::up(group(strategy, [Member::from(child("a")), inner.into()]));
    let (first, other) = if gave_up { ("c", "job") } else { ("job", "c") };
    assert_eq!(desk.exit(first, if gave_up { CRASH } else { DONE }), [format!("ask {other}")]);
    let mut next = desk.exit(other, DONE);
    if strategy == OneForAll && next == ["ask a"] && !falls(&desk) {
        next = desk.exit("a", DONE);
        assert_eq!(next, ["start a"], "all start anew");
        return Restart;
    }
    match next[..] {
        [] => Stay,
        [ref only] if only == "start job" => Restart,
        [ref only] if only == "ask a" && falls(&desk) => EndAbove,
        _ => panic!("{next:?}"),
    }
}

/// Both tables as a page.
pub(super) fn render() -> String {
    let mut text = String::from(
        "\nWhen a group ends by itself. It has two significant children, which end for good one after the other:\n\n\
         | `auto_shutdown` | after the first | after the last |\n|---|---|---|\n",
    );
    let ends = |ends| if ends { "the group ends" } else { "the others run on" };
    for (auto_shutdown, after_one, after_both) in AUTO_SHUTDOWN {
        let name = serde_json::to_string(&auto_shutdown).unwrap().replace('"', "`");
        writeln!(text, "| {name} | {} | {} |", ends(after_one), ends(after_both)).unwrap();
    }
    text.push_str(
        "\nWhat follows in the group above when a group has ended. \"restart\" means what it means for a child, and \
         \"ends too\" that the `auto_shutdown` of the group above decides: here it is `any_significant`.\n\n\
         | policy of the group | its `auto_shutdown` ended it | it gave up |\n|---|---|---|\n",
    );
    for (policy, significant, row) in MEMBERS {
        let name = serde_json::to_string(&policy).unwrap().replace('"', "");
        let mark = if significant { ", significant" } else { "" };
        let cells = row.map(|then| match then {
            Restart => "restart",
            Stay => "stays down",
            EndAbove => "the group above ends too",
        });
        writeln!(text, "| {name}{mark} | {} |", cells.join(" | ")).unwrap();
    }
    text
}
