//! `check` and `graph`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{Stage, finish, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("t1_every_broken_topology_is_shown_with_its_lines", golden),
        story("a_sound_topology_is_summed_up", sound),
        story("t2_groups_and_what_is_said_of_actors_are_summed_up", groups),
        story("check_as_json_has_findings_and_plan", json),
        story("a_program_that_is_to_be_built_is_a_warning", to_be_built),
        story("a_process_without_a_program_is_told_so", no_program),
        story("t2_graph_draws_what_is_not_built_yet", graph),
    ]
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("tests/topology").join(name)
}

/// `PROCESSION_BLESS=1 cargo test -p procession-cli` writes the expected pages anew.
fn golden(stage: Stage) {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/broken");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder("broken")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension() == Some(OsStr::new("toml")));
    files.sort();
    assert!(!files.is_empty());
    let mut differences = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let done = finish(stage.command(&["check", name]).current_dir(folder("broken")));
        let found = format!("{}{}exit code {:?}\n", done.stdout, done.stderr, done.code.unwrap());
        let page = pages.join(name).with_extension("txt");
        if std::env::var_os("PROCESSION_BLESS").is_some() {
            std::fs::create_dir_all(&pages).unwrap();
            std::fs::write(&page, &found).unwrap();
        }
        if std::fs::read_to_string(&page).unwrap_or_default() != found {
            differences.push(format!("{}\nfound:\n{found}", page.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn sound(stage: Stage) {
    stage.topology(
        "[process.left]\nactor.speaker = { type = \"command::roles::Speaker\", args = {} }\n\
         [process.right]\nreplicas = 2\nactor.asker = { type = \"command::roles::Asker\", args = { addr = \"speaker\" } }\n",
    );
    let done = stage.run(&["check", "demo.toml"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let program = std::env::current_exe().unwrap();
    let expected = format!(
        "`demo.toml` is sound\n\n\
         demo: 3 processes in start order, 3 actors\n\
         \x20 left     {}, permanent\n\
         \x20            speaker: command::roles::Speaker\n\
         \x20 right-1  {}, permanent\n\
         \x20            asker-1: command::roles::Asker -> speaker\n\
         \x20 right-2  the same\n\
         \x20            asker-2: command::roles::Asker -> speaker\n\
         \n\
         memory of messages, at worst:\n",
        program.display(),
        program.display()
    );
    let (summary, memory) = done.stdout.split_at(expected.len().min(done.stdout.len()));
    assert_eq!(summary, expected);
    // The root may send to all three; `left` hears from the root and both askers.
    let left = "  left      234.5 MiB: mailboxes 62.5 MiB, outboxes 0.0 MiB, replies 163.0 MiB, pipes 7.0 MiB (3), state 2.0 MiB\n";
    assert!(memory.contains(left), "{memory}");
    assert_eq!(memory.lines().count(), 4, "{memory}");
}

fn groups(stage: Stage) {
    stage.topology(
        "[group.front]\nsignificant = true\nauto_shutdown = \"all_significant\"\nrestart = { policy = \"transient\", strategy = \"one_for_all\", intensity = 1 }\n\
         [group.front.process.left]\nhang.then = \"kill\"\nsignificant = true\n\
         actor.speaker = { type = \"command::roles::Speaker\", args = {}, delivery = \"at_least_once\", significant = true }\n\
         [group.front.group.askers.process.right]\nreplicas = 2\nrestart.strategy = \"one_for_all\"\n\
         actor.asker = { type = \"command::roles::Asker\", args = { addr = \"speaker\" } }\n",
    );
    let done = stage.run(&["check", "demo.toml"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{}", done.stdout);
    let expected = [
        ", temporary, significant, killed when it hangs for 10s\n",
        "speaker: command::roles::Speaker (temporary, significant, at least once, 3 attempts)\n",
        "\n\ngroups of demo (one for one, 5 restarts in 30s):\n\
         \x20 front (transient, significant, one for all, 1 restart in 30s, ends with all significant): left, askers\n\
         \x20   askers (permanent, one for one, 5 restarts in 30s): right-1, right-2\n\n",
    ];
    for expected in expected {
        assert!(done.stdout.contains(expected), "{expected}\nis not in:\n{}", done.stdout);
    }
}

fn json(stage: Stage) {
    stage.topology("[process.left]\nactor.speaker = { type = \"command::roles::Speaker\", args = {} }\n");
    let done = stage.run(&["check", "demo.toml", "--json"]);
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &object["sound"], &object["findings"]),
        (Some(0), &true.into(), &Value::Array(vec![]))
    );
    assert_eq!(object["plan"]["processes"][0]["name"], "left");
    let memory = &object["memory"][1];
    assert_eq!((&memory["process"], &memory["peers"]), (&"left".into(), &1.into()));
    assert!(memory["total"].as_u64() > memory["mailboxes"].as_u64(), "{memory}");

    stage.topology("[process.left]\nactor.speaker = { type = \"command::roles::Spaeker\", arg = {} }\n");
    let done = stage.run(&["check", "demo.toml", "--json"]);
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &object["sound"], &object["plan"]), (Some(1), &false.into(), &Value::Null));
    let first = &object["findings"][0];
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(5), Some(26)));
    assert_eq!(first["help"], "did you mean `command::roles::Speaker`?");
    assert_eq!(object["findings"].as_array().unwrap().len(), 2);
}

fn to_be_built(stage: Stage) {
    let text = "name = \"demo\"\n[process.p]\nprogram = \"./later\"\nbuild = \"make later\"\nactor.a = { type = \"x::Y\" }\n";
    stage.write("demo.toml", text);
    let done = stage.run(&["check", "demo.toml"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("warning: `./later` is still to be built"), "{}", done.stderr);
    assert!(done.stdout.starts_with("`demo.toml` is sound, with 1 warning\n"), "{}", done.stdout);
}

fn no_program(stage: Stage) {
    stage.write("demo.toml", "name = \"demo\"\n[process.p]\nactor.a = { type = \"x::Y\" }\n");
    for command in ["check", "up"] {
        let done = stage.run(&[command, "demo.toml"]);
        assert_eq!(done.code, Some(1));
        let message =
            "error: `p` names no program, and the one that deploys hosts no actors\n --> demo.toml:2:10\n";
        assert!(done.stderr.starts_with(message), "{}", done.stderr);
        assert!(done.stderr.contains("say which program hosts them: program = \"...\""), "{}", done.stderr);
    }
}

fn graph(stage: Stage) {
    let file = folder("sound").join("demo.toml");
    let file = file.to_str().unwrap();
    let mermaid = stage.run(&["graph", file]);
    assert_eq!((mermaid.code, mermaid.stderr.as_str()), (Some(0), ""));
    assert!(
        mermaid.stdout.contains("flowchart LR") && mermaid.stdout.contains(" --> "),
        "{}",
        mermaid.stdout
    );
    let dot = stage.run(&["graph", file, "--format", "graphviz"]);
    assert!(dot.stdout.starts_with("digraph"), "{}", dot.stdout);
    let broken = folder("broken").join("address_of_nobody.toml");
    let broken = stage.run(&["graph", broken.to_str().unwrap()]);
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(1), ""));
    assert!(broken.stderr.contains("no actor is called"), "{}", broken.stderr);
}
