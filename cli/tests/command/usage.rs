//! Help, wrong usage, and files that are none.

use libtest_mimic::Trial;

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("help_teaches_and_lists_the_exit_codes", help),
        story("wrong_usage_suggests", wrong_usage),
        story("a_file_that_can_not_be_read_is_told_clearly", files),
    ]
}

fn help(stage: Stage) {
    for (arguments, words) in [
        (vec!["--help"], vec!["Examples:", "procession up demo.toml", "[process.left]"]),
        (vec!["up", "--help"], vec!["Examples:", "Exit codes:", "130", "RUST_LOG", "--no-build"]),
        (vec!["help", "up"], vec!["Exit codes:"]),
        (vec!["check", "--help"], vec!["Examples:", "--json"]),
        (vec!["chaos", "--help"], vec!["Examples:", "--seed", "--seconds", "--kill", "--json", "SIGSTOP"]),
        (vec!["graph", "--help"], vec!["Examples:", "dot -Tsvg", "mermaid", "graphviz"]),
    ] {
        let done = stage.run(&arguments);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        words.iter().for_each(|word| assert!(done.stdout.contains(word), "{arguments:?} lacks {word}"));
    }
}

fn wrong_usage(stage: Stage) {
    for (arguments, words) in [
        (vec!["demo.toml"], "procession up demo.toml"),
        (vec!["chekc", "demo.toml"], "check"),
        (vec!["up", "demo.toml", "--no-buidl"], "--no-build"),
        (vec!["up"], "<FILE>"),
        (vec!["up", "demo.toml", "--log", "jsn"], "json"),
        (vec![], "Examples:"),
    ] {
        let done = stage.run(&arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
    }
}

fn files(stage: Stage) {
    stage.write("latin.toml", b"name = \"demo\"\n# caf\xe9\n");
    stage.write("huge.toml", vec![b'#'; procession::topology::MAX_SOURCE_BYTES + 1]);
    std::fs::create_dir(stage.path().join("folder")).unwrap();
    for command in ["up", "check", "graph", "chaos"] {
        for (file, words) in [
            ("missing.toml", "error: there is no file `missing.toml`"),
            ("folder", "error: `folder` is a directory"),
            ("latin.toml", "error: `latin.toml` is not text in UTF-8: line 2"),
            ("huge.toml", "error: `huge.toml` has more than 1048576 bytes"),
            ("/dev/zero", "error: `/dev/zero` has more than 1048576 bytes"),
        ] {
            let done = stage.run(&[command, file]);
            assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{command} {file}");
            assert!(done.stderr.starts_with(words), "{command} {file}: {}", done.stderr);
            assert!(done.stderr.contains("help: "), "{command} {file}: {}", done.stderr);
        }
    }
}
