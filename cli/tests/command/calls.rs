//! `call`.

use libtest_mimic::Trial;

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("call_prints_what_is_answered_and_leaves_nothing", answered),
        story("call_says_what_is_wrong_with_a_message", wrong),
        story("call_starts_nothing_for_what_can_not_be_sent", nothing_started),
        story("t1_check_shows_the_wrong_argument_with_its_line", checked),
    ]
}

fn speaker(stage: &Stage) {
    stage.topology(
        "[process.left]\nactor.speaker = { type = \"command::roles::Speaker\", args = { stdout = [\"hello\"] } }\n",
    );
}

fn answered(stage: Stage) {
    speaker(&stage);
    let done = stage.run(&["call", "demo.toml", "speaker", "HowMuch"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "1\n"), "{}", done.stderr);
    // What a process says is not the answer.
    assert!(done.stderr.contains("hello"), "{}", done.stderr);
    let done = stage.run(&["call", "demo.toml", "speaker", "Repeat", "{\"times\": -2}", "--timeout", "30s"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "{\n  \"Err\": \"-2 times?\"\n}\n"),
        "{}",
        done.stderr
    );
}

fn wrong(stage: Stage) {
    speaker(&stage);
    for (message, json, told) in [
        (
            "HowMush",
            "null",
            "a command::roles::Speaker takes no message called `HowMush`: did you mean `HowMuch`?",
        ),
        ("HowMuch", "3", "HowMuch: invalid type: integer `3`, expected unit struct HowMuch"),
        ("Repeat", "{\"times\": \"twice\"}", "Repeat.times: invalid type: string \"twice\", expected i32"),
    ] {
        let done = stage.run(&["call", "demo.toml", "speaker", message, json]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(7), ""), "{}", done.stderr);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
}

fn nothing_started(stage: Stage) {
    speaker(&stage);
    for (arguments, told) in [
        (
            ["speaker", "HowMuch", "{"],
            "the message is no JSON: EOF while parsing an object at line 1 column 1",
        ),
        (["speeker", "HowMuch", "null"], "the topology has no actor called `speeker`; it has: speaker"),
    ] {
        let done = stage.run(&[&["call", "demo.toml"], &arguments[..]].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
        assert!(done.stderr.contains(told) && !done.stderr.contains("hello"), "{}", done.stderr);
    }
}

fn checked(stage: Stage) {
    stage.topology(
        "[process.left]\nactor.speaker = { type = \"command::roles::Speaker\", args = { stdout = [\"hello\", 3] } }\n",
    );
    let done = stage.run(&["check", "demo.toml"]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    let told = "error: this is a whole number, and should be a string\n --> demo.toml:5:";
    assert!(done.stderr.starts_with(told), "{}", done.stderr);
}
