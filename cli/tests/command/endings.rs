//! How a topology ends by itself, or never begins, and with which exit code.

use libtest_mimic::Trial;
use procession::sys::pidfd::Pidfd;

use crate::stage::{SIGINT, SIGKILL, Stage, pid, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("the_significant_process_gives_its_exit_code", significant_code),
        story("the_significant_process_gives_its_signal", significant_signal),
        story("actors_of_two_processes_talk", talk),
        story("a_process_that_can_not_start_is_told_with_its_reason", refused),
        story("a_program_that_is_none_is_told_with_its_place", not_procession),
        story("p1_a_killed_worker_is_told_with_its_last_lines_and_restarted", restarted),
        story("p5_a_process_that_fails_too_often_ends_the_topology", gave_up),
    ]
}

fn batch(end: &str) -> String {
    format!(
        "[process.other]\nactor.a = {{ type = \"command::roles::Speaker\", args = {{}} }}\n\
         [process.batch]\nsignificant = true\nrestart = {{ policy = \"temporary\" }}\n\
         actor.b = {{ type = \"command::roles::Batch\", args = {end} }}\n"
    )
}

fn significant_code(stage: Stage) {
    stage.topology(&batch("{ code = 7 }"));
    let mut up = stage.up(&[]);
    assert_eq!(up.end(), Some(7));
    assert_eq!(up.order("exited"), ["batch", "other"]);
    stage.topology(&batch("{ code = 0 }"));
    assert_eq!(stage.run(&["up", "demo.toml"]).code, Some(0));
}

fn significant_signal(stage: Stage) {
    stage.topology(
        "[process.batch]\nsignificant = true\nrestart = { policy = \"temporary\" }\n\
         actor.b = { type = \"command::roles::Speaker\", args = {} }\n",
    );
    let mut up = stage.up(&[]);
    up.running().pop().expect("the batch").signal(SIGKILL).unwrap();
    assert_eq!(up.end(), Some(128 + 9));
    let ended = up.said.last().expect("it spoke");
    assert_eq!(
        (&ended["event"], &ended["message"]),
        (&"ended".into(), &"ended: batch killed by SIGKILL".into())
    );
}

fn talk(stage: Stage) {
    stage.topology(
        "[process.store]\nactor.speaker = { type = \"command::roles::Speaker\", args = { stdout = [\"x\", \"y\"] } }\n\
         [process.front]\nsignificant = true\nrestart = { policy = \"temporary\" }\n\
         actor.asker = { type = \"command::roles::Asker\", args = { addr = \"speaker\" } }\n",
    );
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert_eq!(done.stdout, "store#1 | x\nstore#1 | y\nfront#1 | the answer is Ok(2)\n");
}

fn refused(stage: Stage) {
    stage.topology(
        "[process.good]\nactor.a = { type = \"command::roles::Speaker\", args = {} }\n\
         [process.bad]\nactor.b = { type = \"command::roles::Refuser\" }\n",
    );
    let mut up = stage.up(&[]);
    assert_eq!(up.end(), Some(3));
    let failed = up.said.iter().find(|line| line["event"] == "start_failed").expect("it is told");
    assert_eq!(failed["process"], "bad");
    let reason = failed["fields"]["reason"].as_str().unwrap();
    assert!(reason.contains("actor b") && reason.contains("the database is not there"), "{reason}");
    assert_eq!(up.order("exited"), ["good"]);
}

fn not_procession(stage: Stage) {
    stage.write(
        "demo.toml",
        "name = \"demo\"\n[process.p]\nprogram = \"/bin/true\"\nactor.a = { type = \"x::Y\" }\n",
    );
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("--> demo.toml:3:11"), "{}", done.stderr);
    assert!(
        done.stderr.contains("`/bin/true` can't be a worker: it is not a procession program"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("nothing was started"), "{}", done.stderr);
}

fn restarted(stage: Stage) {
    stage.topology(
        "[process.left]\nrestart = { backoff = { min = \"1ms\", max = \"2ms\" } }\n\
         actor.a = { type = \"command::roles::Speaker\", args = { stderr = [\"last words\"] } }\n",
    );
    let mut up = stage.up(&[]);
    let first = up.event("started", "left");
    up.wait_for_all(
        "its last words and that it runs",
        &[&|line| line["message"] == "last words", &|line| line["event"] == "running"],
    );
    Pidfd::open(pid(&first)).unwrap().signal(SIGKILL).unwrap();
    let exit = up.event("exited", "left");
    assert_eq!((exit["incarnation"].as_u64(), exit["level"].as_str()), (Some(1), Some("WARN")));
    assert_eq!(exit["fields"]["signal"], "SIGKILL");
    assert_eq!(exit["fields"]["last_stderr"], serde_json::json!(["last words"]));
    let again = up.event("restarting", "left");
    assert_eq!(again["fields"]["restarts"], 1);
    let ready = up.event("ready", "left");
    assert_eq!(ready["incarnation"], 2);
    up.signal(SIGINT);
    assert_eq!(up.end(), Some(130));
}

fn gave_up(stage: Stage) {
    stage.topology(
        "[process.left]\nrestart = { intensity = 1, period = \"1m\", backoff = { min = \"1ms\", max = \"2ms\" } }\n\
         actor.a = { type = \"command::roles::Batch\", args = { fail = [[\"why\"], 9] } }\n",
    );
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("left#2 exited with code 9"), "{}", done.stderr);
    assert!(done.stderr.contains("the last lines of its stderr:\n        why\n"), "{}", done.stderr);
}
