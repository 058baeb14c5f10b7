//! What processes say, and where it comes out.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{SIGINT, Stage, finish, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("lines_of_stdout_come_out_on_stdout_and_all_else_on_stderr", streams),
        story("as_json_everything_is_an_object_on_stdout", json),
        story("rust_log_works_across_processes", rust_log),
        story("h29_a_burst_of_lines_comes_through_whole", burst),
    ]
}

/// A speaker, and a process that ends the topology when the speaker has started.
fn speaker(words: &str) -> String {
    format!(
        "[process.left]\nactor.speaker = {{ type = \"command::roles::Speaker\", args = {words} }}\n\
         [process.right]\nsignificant = true\nrestart = {{ policy = \"temporary\" }}\n\
         actor.asker = {{ type = \"command::roles::Asker\", args = {{ addr = \"speaker\" }} }}\n"
    )
}

fn streams(stage: Stage) {
    stage.topology(&speaker("{ stdout = [\"result\"], stderr = [\"oops\"], info = [\"counted\"] }"));
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.stdout, "left#1 | result\nright#1 | the answer is Ok(2)\n");
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert!(lines.contains(&"left#1 | oops"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with(" INFO left#1 demo: counted length=7")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" INFO left#1 started as pid ")), "{lines:#?}");
    assert!(!done.stderr.contains('\x1b') && !done.stdout.contains('\x1b'), "colours without a terminal");
}

fn json(stage: Stage) {
    stage
        .topology(&speaker("{ stdout = [\"a \\\"result\\\"\"], stderr = [\"oops\"], info = [\"counted\"] }"));
    let done = finish(&mut stage.command(&["up", "demo.toml", "--log", "json"]));
    assert_eq!(done.stderr, "");
    let lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(
            line["time"].is_string() && line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
        assert!(line["fields"].is_object(), "{line}");
    }
    let find = |wanted: &dyn Fn(&Value) -> bool| lines.iter().find(|line| wanted(line)).expect("it is there");
    let raw = find(&|line| line["stream"] == "stdout" && line["process"] == "left");
    assert_eq!((&raw["message"], &raw["incarnation"]), (&"a \"result\"".into(), &1.into()));
    let record = find(&|line| line["target"] == "demo");
    assert_eq!((&record["process"], &record["fields"]["length"]), (&"left".into(), &"7".into()));
    let started = find(&|line| line["event"] == "started" && line["process"] == "right");
    assert!(started["fields"]["pid"].is_u64() && started["incarnation"] == 1, "{started}");
    let exited = find(&|line| line["event"] == "exited" && line["process"] == "right");
    assert_eq!((&exited["fields"]["code"], &exited["fields"]["asked"]), (&2.into(), &false.into()));
    let ended = find(&|line| line["event"] == "ended");
    assert_eq!(ended["fields"]["failed"], true);
}

fn rust_log(stage: Stage) {
    stage.topology("[process.left]\nactor.a = { type = \"command::roles::Speaker\", args = { debug = [\"deep\"], info = [\"plain\"] } }\n");
    let spoken = |log: &str| {
        let mut up = stage.up_with(&[], &[("RUST_LOG", log)]);
        up.wait_for("running", |line| line["event"] == "running");
        up.signal(SIGINT);
        assert_eq!(up.end(), Some(130));
        let messages = up.said.iter().filter(|line| line["target"] == "demo");
        messages.map(|line| line["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(spoken("demo=debug"), ["plain", "deep"]);
    assert_eq!(spoken("info"), ["plain"]);
    assert_eq!(spoken("warn"), [""; 0]);
}

fn burst(stage: Stage) {
    stage.topology(&speaker("{ flood = 20000 }"));
    let done = stage.run(&["up", "demo.toml"]);
    let expected: Vec<String> = (0..20_000).map(|number| format!("left#1 | line {number}")).collect();
    let found: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("left")).collect();
    assert_eq!(found.len(), expected.len(), "lost some of the lines");
    assert!(found == expected, "not the same lines");
}
