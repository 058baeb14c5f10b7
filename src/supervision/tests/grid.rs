//! Every policy, significance, end and strategy. The table below is the expectation and the documentation at once.
//!
//! `PROCESSION_BLESS=1 cargo test grid` writes `grid.md` anew after the table was changed.

use std::fmt::Write as _;

use super::desk::*;
use crate::supervision::Policy::{Permanent, Temporary, Transient};
use crate::supervision::Strategy::{OneForAll, OneForOne, RestForOne};
use crate::supervision::*;

/// How the life of child `b` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Code0,
    Code1,
    Signal,
    /// An operator restarted it, and the new process did not come up.
    LaterStart,
    /// It never came up, as the topology started.
    FirstStart,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The strategy restarts whom it must.
    Restart,
    /// It stays down, and the others run on.
    Stay,
    /// The topology ends, `Completed`.
    Complete,
    /// The topology ends, `StartFailed`.
    Fail,
}

const ENDS: [End; 5] = [End::Code0, End::Code1, End::Signal, End::LaterStart, End::FirstStart];

use Then::{Complete, Fail, Restart, Stay};

/// Policy, significance, and what follows the ends in the order of [`ENDS`].
const TABLE: [(Policy, bool, [Then; 5]); 6] = [
    (Permanent, false, [Restart, Restart, Restart, Restart, Fail]),
    (Permanent, true, [Complete, Restart, Restart, Restart, Fail]),
    (Transient, false, [Stay, Restart, Restart, Restart, Fail]),
    (Transient, true, [Complete, Restart, Restart, Restart, Fail]),
    (Temporary, false, [Stay, Stay, Stay, Stay, Fail]),
    (Temporary, true, [Complete, Complete, Complete, Fail, Fail]),
];

/// Strategy; who is stopped and who started when `b` of `a`, `b`, `c` is restarted.
const REACH: [(Strategy, &[&str], &[&str]); 3] =
    [(OneForOne, &[], &["b"]), (OneForAll, &["c", "a"], &["a", "b", "c"]), (RestForOne, &["c"], &["b", "c"])];

#[test]
fn p5_every_cell_of_the_grid_holds() {
    for (policy, significant, row) in TABLE {
        for (end, then) in ENDS.into_iter().zip(row) {
            for (strategy, stopped, started) in REACH {
                let cell = format!("{policy:?}, significant {significant}, {end:?}, {strategy:?}");
                let (doings, outcome) = play(policy, significant, end, strategy);
                assert_eq!(doings, expected(then, end, stopped, started), "{cell}");
                let b = ChildId(1);
                match (then, outcome) {
                    (Restart | Stay, None) => {}
                    (Complete, Some(Outcome::Completed { child, exit })) => {
                        assert_eq!((child, Some(exit)), (b, exit_of(end)), "{cell}");
                    }
                    (Fail, Some(Outcome::StartFailed { child })) => assert_eq!(child, b, "{cell}"),
                    (_, outcome) => panic!("{cell}: {outcome:?}"),
                }
            }
        }
    }
}

/// Lets `b` end so, obeys every stop, makes every start ready, and tells what the engine did.
fn play(policy: Policy, significant: bool, end: End, strategy: Strategy) -> (Vec<String>, Option<Outcome>) {
    let b = ChildSpec { significant, ..with_policy("b", policy) };
    let tree = group(strategy, [child("a"), b, child("c")]);
    let (mut desk, first) = match end {
        End::FirstStart => {
            let mut desk = Desk::new(tree);
            desk.start();
            desk.ready("a");
            let first = desk.fail_to_start("b");
            (desk, first)
        }
        End::LaterStart => {
            let mut desk = Desk::up(tree);
            desk.restart("b").unwrap();
            desk.exit("b", DONE);
            let first = desk.fail_to_start("b");
            (desk, first)
        }
        End::Code0 | End::Code1 | End::Signal => {
            let mut desk = Desk::up(tree);
            let first = desk.exit("b", exit_of(end).unwrap());
            (desk, first)
        }
    };
    let (mut all, mut next) = (Vec::new(), first);
    while !next.is_empty() {
        let mut answers = Vec::new();
        for doing in &next {
            match doing.split_once(' ') {
                Some(("start", name)) => answers.extend(desk.ready(name)),
                Some(("ask", name)) => answers.extend(desk.exit(name, DONE)),
                _ => {}
            }
        }
        all.append(&mut next);
        next = answers;
    }
    (all, desk.outcome)
}

fn expected(then: Then, end: End, stopped: &[&str], started: &[&str]) -> Vec<String> {
    let ask = |names: &[&str]| names.iter().map(|name| format!("ask {name}")).collect::<Vec<_>>();
    let ended = || std::iter::once("ended".to_owned());
    match then {
        Then::Stay => Vec::new(),
        Then::Restart => {
            ask(stopped).into_iter().chain(started.iter().map(|name| format!("start {name}"))).collect()
        }
        Then::Fail if end == End::FirstStart => ask(&["a"]).into_iter().chain(ended()).collect(),
        Then::Complete | Then::Fail => ask(&["c", "a"]).into_iter().chain(ended()).collect(),
    }
}

fn exit_of(end: End) -> Option<crate::id::Exit> {
    match end {
        End::Code0 => Some(DONE),
        End::Code1 => Some(CRASH),
        End::Signal => Some(KILLED),
        End::LaterStart | End::FirstStart => None,
    }
}

#[test]
fn the_documentation_shows_the_grid() {
    let text = render() + &super::grid_groups::render();
    if std::env::var_os("PROCESSION_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/supervision/grid.md");
        std::fs::write(path, &text).expect("the source tree can be written");
        return;
    }
    assert_eq!(include_str!("../grid.md"), text, "write it anew with PROCESSION_BLESS=1 cargo test grid");
}

fn render() -> String {
    let mut text = String::from(
        "\nWhat follows when child `b` of a group `a`, `b`, `c` ends, whose `auto_shutdown` is `any_significant`. The tests render this page from the table\n\
         that they check the engine against, cell by cell.\n\n| policy of `b` |",
    );
    for end in ENDS {
        write!(text, " {} |", heading(end)).unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|\n");
    for (policy, significant, row) in TABLE {
        let significant = if significant { ", significant" } else { "" };
        write!(text, "| {}{significant} |", format!("{policy:?}").to_lowercase()).unwrap();
        for then in row {
            write!(text, " {} |", cell(then)).unwrap();
        }
        text.push('\n');
    }
    text.push_str("\n| \"restart\" means with | are stopped, in this order | are started, in this order |\n|---|---|---|\n");
    for (strategy, stopped, started) in REACH {
        let name = serde_json::to_string(&strategy).unwrap().replace('"', "`");
        let stopped = if stopped.is_empty() { "none".to_owned() } else { list(stopped) };
        writeln!(text, "| {name} | {stopped} | {} |", list(started)).unwrap();
    }
    text
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn heading(end: End) -> &'static str {
    match end {
        End::Code0 => "code 0",
        End::Code1 => "another code",
        End::Signal => "a signal",
        End::LaterStart => "can't be started again",
        End::FirstStart => "can't be started at first",
    }
}

fn cell(then: Then) -> &'static str {
    match then {
        Then::Restart => "restart",
        Then::Stay => "stays down",
        Then::Complete => "all end: completed",
        Then::Fail => "all end: start failed",
    }
}
