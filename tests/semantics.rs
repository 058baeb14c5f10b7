//! What `docs/SEMANTICS.md` says is shown by tests: each test that it names is there, and every row of its tables of what a
//! sender sees names one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is no test and looks like one.
const NAMES: [&str; 7] = [
    "skip_serializing_if",
    "at_least_once",
    "look_up_or_start",
    "subscribe_dead_letters",
    "max_message_bytes",
    "one_for_one",
    "rest_for_one",
];

/// Tables whose every row is shown by a test: what they begin with.
const TABLES: [&str; 7] = [
    "| situation | cause | verdict | the message | test |",
    "| situation of C | what B sees | test |",
    "| the address | what B sees | test |",
    "| C lives | test |",
    "| situation | what is seen | test |",
    "| what happens | the consumer sees | the producer's stream |",
    "| the responder is | the asker gets |",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/SEMANTICS.md")).expect("the page is there")
}

fn walk(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(&path).expect("a text"));
        }
    }
}

/// Every test and story: functions under `#[test]`, and what libtest-mimic is told.
fn tests() -> BTreeSet<String> {
    let mut texts = Vec::new();
    for folder in ["src", "tests", "cli", "macros", "actors", "bench"] {
        walk(&root().join(folder), &mut texts);
    }
    texts.iter().flat_map(|text| tests_in(text)).collect()
}

fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.matches('_').count() >= 2 && text.chars().all(is_letter)
}

fn tests_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some((before, _)) = line.split_once('(')
            && let Some(name) = before.trim_start_matches("async ").strip_prefix("fn ")
            && is_test
        {
            found.insert(name.to_owned());
        }
        // Attributes and comments may come between.
        is_test = line == "#[test]" || line == "#[tokio::test]" || (is_test && line.starts_with(['#', '/']));
        found.extend(line.split('"').skip(1).step_by(2).filter(|text| is_name(text)).map(str::to_owned));
    }
    found
}

/// The names of tests in a text: in backticks, whole or with `...` where some begin or end so.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| is_name(quoted.trim_matches('.')) && !NAMES.contains(quoted)).collect()
}

fn is_there(name: &str, tests: &BTreeSet<String>) -> bool {
    let core = name.trim_matches('.');
    match (name.starts_with("..."), name.ends_with("...")) {
        (false, false) => tests.contains(core),
        (false, true) => tests.iter().any(|test| test.starts_with(core)),
        (true, _) => tests.iter().any(|test| test.contains(core.trim_start_matches('_'))),
    }
}

/// The rows of a table, without its head.
fn rows<'t>(page: &'t str, head: &str) -> Vec<&'t str> {
    let at = page.find(head).unwrap_or_else(|| panic!("there is no table {head}"));
    page[at..].lines().skip(2).take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let (page, tests) = (page(), tests());
    assert!(tests.len() > 600, "{} tests", tests.len());
    let missing: Vec<_> = named(&page).into_iter().filter(|name| !is_there(name, &tests)).collect();
    assert!(missing.is_empty(), "docs/SEMANTICS.md names tests that are not there: {missing:#?}");
}

#[test]
fn every_row_of_what_a_sender_sees_is_shown_by_a_test() {
    let page = page();
    let mut bare = Vec::new();
    for head in TABLES {
        let rows = rows(&page, head);
        assert!(rows.len() > 3, "{head}");
        bare.extend(rows.into_iter().filter(|row| named(row).is_empty()));
    }
    assert!(bare.is_empty(), "no test shows: {bare:#?}");
}

#[test]
fn a_name_that_is_wrong_is_found() {
    let text = "#[test]\nfn a_test_of_ours() {}\nstory(\"a_story_of_ours\", x)\nfn no_test_of_ours() {}";
    let tests = tests_in(text);
    assert_eq!(tests.len(), 2);
    for there in ["a_test_of_ours", "a_story_of_ours", "a_story_...", "..._of_ours", "..._of_..."] {
        assert!(is_there(there, &tests), "{there}");
    }
    for missing in ["no_test_of_ours", "a_test_of", "b_...", "..._of_theirs"] {
        assert!(!is_there(missing, &tests), "{missing}");
    }
    assert_eq!(named("`a_test_of_ours`\\*, `fn`, `a_b_...`, plain_text_here"), ["a_test_of_ours", "a_b_..."]);
}
