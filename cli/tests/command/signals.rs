//! Ctrl-C, SIGTERM, and a command that is killed.

use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::sys::pidfd::Pidfd;

use crate::stage::{SIGINT, SIGKILL, SIGTERM, Stage, gone, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p4_ctrl_c_stops_in_reverse_order_and_is_no_failure", ctrl_c),
        story("p4_sigterm_does_the_same", sigterm),
        story("p4_h28_a_second_ctrl_c_kills_what_hangs", second_ctrl_c),
        story("p2_sigkill_of_the_command_leaves_no_worker_after_a_second", killed),
        story("a_reader_that_stops_reading_does_not_stop_the_stopping", unread),
    ]
}

const THREE: &str = "
[process.first]
actor.a = { type = \"command::roles::Speaker\", args = {} }
[process.second]
actor.b = { type = \"command::roles::Speaker\", args = {} }
[process.third]
actor.c = { type = \"command::roles::Speaker\", args = {} }
";

const STUCK: &str = "
[process.stuck]
shutdown = \"10m\"
actor.stuck = { type = \"command::roles::Stuck\" }
";

fn ctrl_c(stage: Stage) {
    stage.topology(THREE);
    let mut up = stage.up(&[]);
    let workers = up.running();
    up.signal(SIGINT);
    assert_eq!(up.end(), Some(130));
    assert_eq!(up.order("started"), ["first", "second", "third"]);
    assert_eq!(up.order("exited"), ["third", "second", "first"]);
    let exits: Vec<_> = up.said.iter().filter(|line| line["event"] == "exited").collect();
    assert!(
        exits.iter().all(|exit| exit["fields"]["asked"] == true && exit["level"] == "INFO"),
        "{exits:#?}"
    );
    assert!(up.said.iter().any(|line| line["event"] == "signal"), "{:#?}", up.said);
    assert_eq!(workers.len(), 3);
    gone(workers);
}

fn sigterm(stage: Stage) {
    stage.topology(THREE);
    let mut up = stage.up(&[]);
    up.running();
    up.signal(SIGTERM);
    assert_eq!(up.end(), Some(143));
    assert_eq!(up.order("exited"), ["third", "second", "first"]);
}

fn second_ctrl_c(stage: Stage) {
    stage.topology(STUCK);
    let mut up = stage.up(&[]);
    up.wait_for_all(
        "that it is stuck and that all are ready",
        &[&|line| line["message"] == "stuck", &|line| line["event"] == "running"],
    );
    up.signal(SIGINT);
    up.wait_for("stopping", |line| line["event"] == "stopping");
    up.signal(SIGINT);
    assert_eq!(up.end(), Some(130));
    let exit = up.said.iter().find(|line| line["event"] == "exited").expect("it ended");
    assert_eq!(exit["fields"]["signal"], "SIGKILL");
}

fn killed(stage: Stage) {
    stage.topology(&format!("{THREE}{STUCK}"));
    let mut up = stage.up(&[]);
    let workers = up.running();
    assert_eq!(workers.len(), 4);
    up.signal(SIGKILL);
    let took = gone(workers);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(up.end(), None);
}

/// A pager that nobody pages: its pipe is full, and Ctrl-C works all the same (H29).
fn unread(stage: Stage) {
    stage.topology(
        "[process.loud]\nactor.a = { type = \"command::roles::Speaker\", args = { flood = 100000 } }\n\
         [process.last]\nactor.b = { type = \"command::roles::Speaker\", args = { touch = \"started\" } }\n",
    );
    let (unread, full) = std::io::pipe().unwrap();
    let mut child = stage.command(&["up", "demo.toml"]).stdout(full).stderr(Stdio::null()).spawn().unwrap();
    // What the command says waits behind the flood, so the last process tells by a file that all have started.
    stage.wait_for_file("started");
    let up = Pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
    up.signal(SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(unread);
}
