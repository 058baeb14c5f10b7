//! The build commands of a topology.

use libtest_mimic::Trial;

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("build_commands_run_first_and_in_the_folder_of_the_file", run_first),
        story("a_build_command_that_fails_is_the_end", failing),
        story("no_build_runs_what_is_there", no_build),
        story("t1_nothing_is_built_for_a_topology_that_is_not_sound", not_sound),
        story("as_json_a_build_is_objects_too", json),
    ]
}

/// A topology whose program comes into being by its build command: a link to this program.
fn built(stage: &Stage, build: &str) {
    let program = std::env::current_exe().unwrap();
    let build = build.replace("PROGRAM", program.to_str().unwrap());
    stage.write(
        "demo.toml",
        format!(
            "name = \"demo\"\n[process.batch]\nprogram = \"./built\"\nbuild = {build:?}\nsignificant = true\n\
             restart = {{ policy = \"temporary\" }}\n\
             actor.b = {{ type = \"command::roles::Batch\", args = {{ code = 5 }} }}\n"
        ),
    );
}

fn run_first(stage: Stage) {
    built(&stage, "sh -c 'echo building; ln -s PROGRAM built'");
    let file = stage.path().join("demo.toml");
    let mut command = stage.command(&["up", file.to_str().unwrap()]);
    let done = crate::stage::finish(command.current_dir("/"));
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.starts_with("build: sh -c 'echo building;"), "{}", done.stderr);
    assert!(done.stderr.contains("\nbuilding\n"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}

fn failing(stage: Stage) {
    built(&stage, "sh -c 'exit 9'");
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(3));
    assert!(
        done.stderr.contains("error: the build command `sh -c 'exit 9'` failed: it exited with code 9"),
        "{}",
        done.stderr
    );
    built(&stage, "no-such-program-anywhere");
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("`no-such-program-anywhere` can't be run in `.`"), "{}", done.stderr);
    // It succeeds and does not make what it should.
    built(&stage, "true");
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("demo.toml:3:11"), "{}", done.stderr);
    assert!(done.stderr.contains("./built` can't be a worker: there is no such file"), "{}", done.stderr);
}

fn no_build(stage: Stage) {
    built(&stage, "sh -c 'touch was-built'");
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), stage.path().join("built")).unwrap();
    assert_eq!(stage.run(&["up", "demo.toml", "--no-build"]).code, Some(5));
    assert!(!stage.path().join("was-built").exists());
    assert_eq!(stage.run(&["up", "demo.toml"]).code, Some(5));
    assert!(stage.path().join("was-built").exists());
}

fn not_sound(stage: Stage) {
    built(&stage, "sh -c 'touch was-built'");
    let text = std::fs::read_to_string(stage.path().join("demo.toml")).unwrap();
    stage.write("demo.toml", text.replace("significant", "signifcant"));
    let done = stage.run(&["up", "demo.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("did you mean `significant`?"), "{}", done.stderr);
    assert!(!stage.path().join("was-built").exists());
}

fn json(stage: Stage) {
    built(&stage, "sh -c 'echo building; ln -s PROGRAM built'");
    let mut up = stage.up(&[]);
    assert_eq!(up.end(), Some(5));
    let line = up.said.iter().find(|line| line["event"] == "build_output").expect("it is told");
    assert_eq!((&line["message"], &line["fields"]["stream"]), (&"building".into(), &"stdout".into()));
    built(&stage, "false");
    let mut up = stage.up(&[]);
    assert_eq!(up.end(), Some(3));
    assert_eq!(up.said.last().unwrap()["event"], "failed");
}
