//! The bench as it is called: real processes, few rounds, and the shape of what it prints.

use std::process::Command;

use serde_json::Value;

fn run(arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_procession-bench")).args(arguments).output();
    let output = output.expect("the bench starts");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).expect("text"), output.status.success())
}

#[test]
fn json_is_one_object_with_plain_figures() {
    let (printed, well) = run(&["ask_one_core", "--quick", "--json", "--rounds", "1"]);
    assert!(well);
    let told: Value = serde_json::from_str(&printed).expect("JSON and nothing else");
    let workloads = told["workloads"].as_object().expect("workloads");
    assert_eq!(workloads.keys().collect::<Vec<_>>(), ["ask_one_core"]);
    let ask = &workloads["ask_one_core"];
    assert_eq!(ask["unit"], "µs");
    for subject in ["procession", "limit", "actix_thread", "actix_arbiters"] {
        let figure = ask[subject].as_f64().expect("a plain number");
        assert!(figure > 0.0 && figure < 1e6, "{subject}: {figure}");
        assert_eq!(ask["spread"][subject].as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn a_mistake_in_the_command_line_measures_nothing() {
    let (printed, well) = run(&["ask", "--fast"]);
    assert!(!well && printed.is_empty());
}
