//! The bench as it is called: real processes, few rounds, and the shape of what it prints.

use std::process::Command;

use serde_json::Value;

fn run(arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_procession-bench")).args(arguments).output();
    let output = output.expect("the bench starts");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).expect("text"), output.status.success())
}

/// The object of the workloads, and whether the bench ended well.
fn measured(arguments: &[&str]) -> serde_json::Map<String, Value> {
    let (printed, well) = run(&[arguments, &["--quick", "--json", "--rounds", "1"]].concat());
    assert!(well, "{arguments:?}");
    let mut told: Value = serde_json::from_str(&printed).expect("JSON and nothing else");
    assert_eq!(told.as_object().map(serde_json::Map::len), Some(1), "nobody is absent who was not asked for");
    serde_json::from_value(told["workloads"].take()).expect("an object")
}

/// The figures that each workload must have, in the unit that it must have. What the others can't do they lack.
const PROMISED: &[(&str, &str, &[&str])] = &[
    ("ask", "µs", &["procession", "procession_no_polling", "procession_shared", "limit", "limit_polling"]),
    ("ask", "µs", &["limit_ring", "actix_thread", "actix_arbiters", "ipc_channel"]),
    ("ask_one_core", "µs", &["procession", "limit", "actix_thread", "actix_arbiters", "ipc_channel"]),
    ("ask64", "M/s", &["procession", "limit", "limit_ring", "actix_thread", "actix_arbiters", "ipc_channel"]),
    ("tell", "M/s", &["procession", "limit", "limit_ring", "actix_thread", "actix_arbiters", "ipc_channel"]),
    ("payload", "GiB/s", &["procession", "procession_blob", "limit", "limit_ring"]),
    ("payload", "GiB/s", &["actix_thread", "actix_arbiters", "ipc_channel", "ipc_channel_shared"]),
    ("blob", "µs", &["procession", "limit"]),
    ("spawn", "ms", &["procession", "limit", "ipc_channel"]),
    ("restart", "ms", &["procession", "limit"]),
    ("down", "ms", &["procession", "limit"]),
    ("down_halting", "ms", &["procession", "limit"]),
    ("idle", "MiB", &["procession", "limit"]),
    ("fan_in", "M/s", &["procession", "limit", "actix_arbiters"]),
    ("control", "ms", &["procession", "procession_socket"]),
    ("growth", "x", &["procession"]),
    ("latency", "µs", &["procession", "limit", "actix_arbiters"]),
];

fn check(workload: &Value, unit: &str, figures: &[&str]) {
    assert_eq!(workload["unit"], unit, "{workload}");
    for name in figures {
        let figure = workload[*name].as_f64().unwrap_or_else(|| panic!("no {name} in {workload}"));
        assert!(figure > 0.0 && figure < 1e9, "{name}: {figure}");
        if let Some(spread) = workload.get("spread") {
            assert_eq!(spread[*name].as_array().map(Vec::len), Some(2), "{name} in {workload}");
        }
    }
}

#[test]
fn json_is_one_object_with_plain_figures_of_every_workload() {
    let names: std::collections::BTreeSet<&str> = PROMISED.iter().map(|(name, ..)| *name).collect();
    let workloads = measured(&names.iter().copied().collect::<Vec<_>>());
    assert!(workloads.keys().map(String::as_str).eq(names), "{:?}", workloads.keys());
    for (name, unit, figures) in PROMISED {
        check(&workloads[*name], unit, figures);
    }
    let control = &workloads["control"];
    assert!(control["details"]["procession"]["messages"].as_f64() > Some(0.0), "nothing flooded: {control}");
    assert!(control["targets"][0].as_str().expect("a verdict").contains("must be at most 10"), "{control}");
}

#[test]
fn a_workload_alone_is_an_object_of_its_own() {
    let workloads = measured(&["ask-one-core"]);
    assert_eq!(workloads.keys().collect::<Vec<_>>(), ["ask_one_core"]);
    check(&workloads["ask_one_core"], "µs", &["procession", "limit"]);
    assert_eq!(workloads["ask_one_core"]["rounds"], 1);
}

#[test]
fn a_mistake_in_the_command_line_measures_nothing() {
    let (printed, well) = run(&["ask", "--fast"]);
    assert!(!well && printed.is_empty());
}
