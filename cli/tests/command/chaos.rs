//! `procession chaos`: what it does to a topology, what it finds, and what it says.

use libtest_mimic::Trial;
use procession::sys::pidfd::Pidfd;
use serde_json::Value;

use crate::stage::{Done, SIGINT, Stage, gone, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("chaos_of_every_kind_is_survived_and_told_as_one_object", survived),
        story("chaos_of_one_seed_does_the_same_again", replay),
        story("chaos_is_told_in_words_and_leaves_stdout_to_the_report", words),
        story("chaos_that_brings_a_topology_down_is_a_finding", brought_down),
        story("chaos_finds_who_does_not_come_back", unsettled),
        story("chaos_spares_who_is_to_be_spared", spared),
        story("chaos_of_a_topology_that_can_not_start_is_no_finding", not_started),
        story("p4_ctrl_c_ends_a_chaos_and_leaves_nobody", interrupted),
        story("wrong_usage_of_chaos_is_refused", wrong_usage),
    ]
}

const ROBUST: &str = "restart = { backoff = { min = \"1ms\", max = \"2ms\" } }\n";

const TWO: &str = "
[process.first]
actor.a = { type = \"command::roles::Speaker\", args = { stdout = [\"a line\"] } }
[process.second]
actor.b = { type = \"command::roles::Speaker\", args = {} }
";

/// Two processes that may die as often as they like.
fn robust(stage: &Stage, processes: &str) {
    stage.topology(&format!("{ROBUST}[restart]\nintensity = 4000\nperiod = \"1s\"\n{processes}"));
}

fn object(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", done.stdout, done.stderr))
}

const FAST: [&str; 6] = ["chaos", "demo.toml", "--seconds", "2", "--every", "20ms..60ms"];

fn survived(stage: Stage) {
    robust(&stage, TWO);
    let kinds = [
        "--kill=2",
        "--stop",
        "--stall",
        "--cut",
        "--delay",
        "--lasting",
        "5ms..30ms",
        "--seed",
        "3",
        "--json",
    ];
    let done = stage.run(&[&FAST[..], &kinds].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let report = object(&done);
    assert_eq!((&report["seed"], &report["survived"]), (&3.into(), &true.into()));
    assert_eq!(report["findings"], serde_json::json!([]));
    for nothing in ["orphans", "zombies", "fd_growth", "blamed"] {
        assert_eq!(report[nothing], 0, "{nothing}");
    }
    let count = |key: &str| report[key].as_u64().unwrap();
    assert!(count("kills") > 5 && count("stops") > 2, "{report:#}");
    assert_eq!(count("deaths"), count("kills"), "{report:#}");
    assert!(report["restart_ms_p50"].as_f64().unwrap() > 0.1, "{report:#}");
    assert!(report["restart_ms_p99"].as_f64() >= report["restart_ms_p50"].as_f64());
    // Nobody talks to anybody there, so no pipe is there to be hit.
    assert_eq!(count("stalls") + count("cuts") + count("delays"), 0);
    let faults = report["faults"].as_array().unwrap();
    let hit = faults.iter().filter(|fault| fault["outcome"] == "hit").count() as u64;
    assert_eq!(hit, count("kills") + count("stops"));
    assert_eq!(faults.len() as u64, hit + count("missed"));
}

fn replay(stage: Stage) {
    robust(&stage, TWO);
    let faults = || -> Vec<(Value, Value)> {
        let report = object(&stage.run(&[&FAST[..], &["--seed", "12", "--json"]].concat()));
        let faults = report["faults"].as_array().unwrap().clone();
        faults.into_iter().map(|fault| (fault["process"].clone(), fault["kind"].clone())).collect()
    };
    let first = faults();
    assert!(first.len() > 20, "{first:?}");
    assert_eq!(first, faults());
}

fn words(stage: Stage) {
    robust(&stage, TWO);
    let done = stage.run(&[&FAST[..], &["--seed", "5"]].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.starts_with("chaos of seed 5 for 2."), "{}", done.stdout);
    for words in ["processes killed", "stopped for a while", "ready again after", "\nsurvived: "] {
        assert!(done.stdout.contains(words), "{words} is not in {}", done.stdout);
    }
    assert!(!done.stdout.contains("a line") && done.stderr.contains("first#1 | a line"), "{}", done.stderr);
    assert!(done.stderr.contains("killed by SIGKILL"), "{}", done.stderr);
}

fn brought_down(stage: Stage) {
    stage.topology(&format!("{ROBUST}[restart]\nintensity = 2\nperiod = \"1m\"\n{TWO}"));
    let done = stage.run(&[&FAST[..], &["--kill", "--json"]].concat());
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    let report = object(&done);
    assert_eq!((&report["survived"], &report["ended"]["failed"]), (&false.into(), &true.into()));
    let finding = report["findings"][0].as_str().unwrap();
    assert!(finding.contains("the topology failed") && finding.contains("failed too often"), "{finding}");
    assert_eq!((&report["orphans"], &report["zombies"]), (&0.into(), &0.into()));
    let done = stage.run(&[&FAST[..], &["--kill"]].concat());
    assert_eq!(done.code, Some(6));
    assert!(done.stdout.contains("\nfinding: the topology failed"), "{}", done.stdout);
}

fn unsettled(stage: Stage) {
    stage.topology(&format!("restart = {{ backoff = {{ min = \"1m\", max = \"1m\" }} }}\n{TWO}"));
    let done =
        stage.run(&[&FAST[..], &["--kill", "--only", "second", "--settle", "100ms", "--json"]].concat());
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    let report = object(&done);
    assert_eq!(report["unsettled"], serde_json::json!(["second"]));
    assert_eq!(report["findings"][0], "second was not ready again in time after the last fault");
}

fn spared(stage: Stage) {
    robust(&stage, &TWO.replace("[process.second]", "[process.second]\nreplicas = 2"));
    let done = stage.run(&[&FAST[..], &["--spare", "second", "--json"]].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let report = object(&done);
    let faults = report["faults"].as_array().unwrap();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault["process"] == "first"), "{report:#}");
}

fn not_started(stage: Stage) {
    stage.topology("[process.bad]\nactor.b = { type = \"command::roles::Refuser\" }\n");
    let done = stage.run(&["chaos", "demo.toml", "--json"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(3), ""), "{}", done.stderr);
    stage.topology("[process.bad]\nactor.b = { type = \"command::roles::Nobody\" }\n");
    let done = stage.run(&["chaos", "demo.toml"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was started"), "{}", done.stderr);
}

/// The workers are found by a file that each of them makes.
fn interrupted(stage: Stage) {
    robust(
        &stage,
        "[process.first]\nactor.a = { type = \"command::roles::Speaker\", args = { touch = \"started\" } }\n",
    );
    let mut command = stage.command(&["chaos", "demo.toml", "--seconds", "3600", "--stop"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    stage.wait_for_file("started");
    let chaos = i32::try_from(child.id()).unwrap();
    let workers: Vec<Pidfd> = children(chaos).into_iter().map(|pid| Pidfd::open(pid).unwrap()).collect();
    assert_eq!(workers.len(), 1);
    Pidfd::open(chaos).unwrap().signal(SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    gone(workers);
}

/// The children of a process, whichever of its threads started them.
fn children(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

fn wrong_usage(stage: Stage) {
    robust(&stage, TWO);
    for (arguments, words) in [
        (vec!["--every", "2s..1s"], "the first time is the longer one"),
        (vec!["--every", "50"], "times are written as 50ms"),
        (vec!["--kill=0"], "--kill"),
        (vec!["--seconds", "0"], "--seconds"),
        (vec!["--seed", "x"], "--seed"),
        (vec!["--only", "third"], "no process called `third`; it has: first, second"),
        (vec!["--spare", "first,third"], "no process called `third`"),
        (vec!["--spare", "first,second"], "no process of the topology may be hit"),
    ] {
        let done = stage.run(&[&["chaos", "demo.toml"][..], &arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
    }
}
