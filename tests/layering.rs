//! The house, held by its sources: floors, file sizes, `unsafe`, and what the cores and the tests may not call.
//!
//! Each rule is a function from a path and a text to findings, so that each is also shown to find what it is for.

use std::path::{Path, PathBuf};

/// What a floor may be imported for from the root of the crate: the derive, which has no other place.
const ROOT_EXPORTS: [&str; 1] = ["ProcActor"];

/// A file that is longer hides more than one idea.
const MOST_LINES: usize = 600;

/// The floors that decide without doing.
const CORES: [&str; 3] = ["protocol", "supervision", "topology"];

/// Files of other floors that decide without doing, too.
const CORE_FILES: [&str; 3] = ["src/chaos/flow.rs", "src/chaos/script.rs", "src/chaos/settings.rs"];

/// Clocks, files, sockets, tasks, threads and locks: what makes a core untestable in virtual time.
const BANNED_IN_CORES: [&str; 12] = [
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::os::fd",
    "std::env",
    "std::process",
    "std::thread",
    "tokio::",
    "Mutex",
    "RwLock",
    "Atomic",
];

/// The first segfaults on purpose: that is what it is an example of. The second maps memory that it shares with another
/// process, to measure what the library does not do.
const MAY_BE_UNSAFE: [&str; 2] = ["examples/crash.rs", "bench/src/ring.rs"];

/// A module body may be as small as this: docs, modules, re-exports.
const LOGIC: [&str; 3] = ["fn ", "impl ", "macro_rules!"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the workspace, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "macros", "actors", "cli", "bench", "tests", "examples"] {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources are found");
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("below the root").to_str().expect("a plain name");
            found.push((name.to_owned(), std::fs::read_to_string(&path).expect("a readable file")));
        }
    }
}

/// The text with comments and the insides of literals blanked; lines stay where they are.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => find(bytes, at, b"*/"),
            b'r' if !is_word(bytes, at) && raw_string(bytes, at).is_some() => {
                raw_string(bytes, at).unwrap_or(at)
            }
            b'"' => quoted(bytes, at),
            b'\'' if is_char(bytes, at) => quoted(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    String::from_utf8(out).expect("only whole literals are blanked")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    let found = bytes[from..].windows(what.len()).position(|window| window == what);
    found.map_or(bytes.len(), |found| from + found + what.len())
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b'
}

fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let quote = at + 1 + hashes;
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    (bytes.get(quote) == Some(&b'"')).then(|| find(bytes, quote + 1, &closing))
}

fn quoted(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != bytes[at] {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// A character, not a lifetime.
fn is_char(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 1) == Some(&b'\\')
        || (2..6).any(|width| bytes.get(at + width) == Some(&b'\'')) && {
            let next = bytes.get(at + 1).copied().unwrap_or(b' ');
            !(next.is_ascii_alphabetic() || next == b'_') || bytes.get(at + 2) == Some(&b'\'')
        }
}

/// Without the unit tests, which stand at the bottom of a file or in files of their own.
fn without_tests(path: &str, code: &str) -> String {
    let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
    let inline = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    if is_test { String::new() } else { code[..inline].to_owned() }
}

fn floors(lib: &str) -> Vec<String> {
    let code = code_only(lib);
    let named = code.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    named.map(str::to_owned).collect()
}

fn floor_of(path: &str) -> Option<&str> {
    let within = path.strip_prefix("src/")?;
    let first = within.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first)).filter(|floor| *floor != "lib")
}

/// The first names after each `crate::`, those in braces included.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if at > 0
            && code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$')
        {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => paths.extend(first_names(list)),
            None => paths.extend(name_at(rest)),
        }
    }
    paths
}

fn name_at(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The names at the outer level of a braced list.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if letter.is_whitespace() => {}
            _ if begins => {
                names.extend(name_at(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn upward_imports(floors: &[String], path: &str, text: &str) -> Vec<String> {
    let Some(floor) = floor_of(path) else { return Vec::new() };
    let Some(height) = floors.iter().position(|name| name == floor) else {
        return vec![format!("{path}: `{floor}` is no floor of src/lib.rs")];
    };
    let code = code_only(text);
    let mut found = Vec::new();
    for name in crate_paths(&code) {
        match floors.iter().position(|floor| *floor == name) {
            Some(other) if other > height => {
                found.push(format!("{path}: `{floor}` imports `{name}`, which is above it"))
            }
            None if !ROOT_EXPORTS.contains(&name.as_str()) => {
                found.push(format!("{path}: imports `crate::{name}` through the root of the crate"))
            }
            _ => {}
        }
    }
    // `src/a/b.rs` is module a::b, so two steps up lead to the root; inline test modules add one.
    let depth = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").matches('/').count();
    for steps in depth..=8 {
        let escape = "super::".repeat(steps);
        let leads_out = code.match_indices(&escape).any(|(at, _)| !code[..at].ends_with("super::"));
        if leads_out && !(steps == depth && code.contains("\nmod tests {")) {
            found.push(format!("{path}: `{escape}` leads to the root of the crate"));
        }
    }
    found
}

fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > MOST_LINES { vec![format!("{path} has {lines} lines")] } else { Vec::new() }
}

fn unsafe_outside_sys(path: &str, text: &str) -> Vec<String> {
    if path.starts_with("src/sys/") || MAY_BE_UNSAFE.contains(&path) {
        return Vec::new();
    }
    let code = code_only(text);
    let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.filter(|word| *word == "unsafe").map(|_| format!("{path}: `unsafe`")).collect()
}

fn banned_in_cores(path: &str, text: &str) -> Vec<String> {
    if !floor_of(path).is_some_and(|floor| CORES.contains(&floor)) && !CORE_FILES.contains(&path) {
        return Vec::new();
    }
    let code = without_tests(path, &code_only(text));
    let found = BANNED_IN_CORES.iter().filter(|banned| code.contains(**banned));
    found.map(|banned| format!("{path}: a core uses `{banned}`")).collect()
}

/// A test waits for facts; a deadline on a wait is `timeout`.
fn sleeps_in_tests(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let tests = match path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs") {
        true => code.as_str(),
        false => &code[code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len())..],
    };
    let is_call = |at: usize| !is_word(tests.as_bytes(), at);
    let count = tests.match_indices("sleep(").filter(|(at, _)| is_call(*at)).count();
    (0..count).map(|_| format!("{path}: a test sleeps")).collect()
}

fn logic_in_mod_files(path: &str, text: &str) -> Vec<String> {
    // A macro crate must define its derives in its root; they only hand over. Tests have roots of their own.
    let is_root = path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
    if !is_root || path.starts_with("macros/") || !path.contains("src/") {
        return Vec::new();
    }
    let code = code_only(text);
    let found = LOGIC.iter().filter(|logic| code.contains(**logic));
    found.map(|logic| format!("{path}: `{logic}` in a file for modules and re-exports")).collect()
}

fn assert_none(rule: impl Fn(&str, &str) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| rule(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn floors_of_the_crate() -> Vec<String> {
    let floors = floors(&std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs"));
    assert!(floors.len() > 8, "{floors:?}");
    floors
}

#[test]
fn floors_point_downward() {
    let floors = floors_of_the_crate();
    assert_none(|path, text| upward_imports(&floors, path, text));
}

#[test]
fn files_are_short() {
    assert_none(too_long);
}

#[test]
fn unsafe_lives_in_sys() {
    assert_none(unsafe_outside_sys);
}

#[test]
fn cores_hold_no_clock_socket_task_or_lock() {
    assert_none(banned_in_cores);
}

#[test]
fn tests_do_not_sleep() {
    assert_none(sleeps_in_tests);
}

#[test]
fn files_for_modules_hold_no_logic() {
    assert_none(logic_in_mod_files);
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let floors: Vec<String> = ["id", "protocol", "process"].map(str::to_owned).into();
    let upward = |path: &str, text: &str| upward_imports(&floors, path, text).len();
    assert_eq!(upward("src/id/a.rs", "use crate::process::b;"), 1);
    assert_eq!(upward("src/id/a.rs", "use crate::{id::c, process::{b, protocol}};"), 1);
    assert_eq!(upward("src/id.rs", "fn f() { let x = crate::process::b(); }"), 1);
    assert_eq!(upward("src/id/a.rs", "use super::super::process::b;"), 1);
    assert_eq!(upward("src/id/mod.rs", "use super::process::b;"), 1);
    assert_eq!(upward("src/id/a.rs", "use crate::Thing;"), 1);
    assert_eq!(upward("src/elsewhere/a.rs", ""), 1);
    assert_eq!(upward("src/process/a.rs", "use crate::id::b; use crate::process::c; use super::d;"), 0);
    assert_eq!(upward("src/id/a.rs", "//! See crate::process::b.\nconst A: &str = \"crate::process\";"), 0);
    assert_eq!(upward("src/id/a/b.rs", "use super::super::c;"), 0);

    assert_eq!(too_long("a.rs", &"\n".repeat(MOST_LINES + 1)).len(), 1);
    assert_eq!(too_long("a.rs", &"\n".repeat(MOST_LINES)).len(), 0);

    assert_eq!(unsafe_outside_sys("src/id/a.rs", "fn f() { unsafe { g() } }").len(), 1);
    assert_eq!(unsafe_outside_sys("src/sys/a.rs", "fn f() { unsafe { g() } }").len(), 0);
    let quoted = "// unsafe\nlet a = \"unsafe\"; let b = r#\"unsafe \" unsafe\"#; let c = '\"'; /* unsafe */";
    assert_eq!(unsafe_outside_sys("src/id/a.rs", quoted).len(), 0);
    assert_eq!(unsafe_outside_sys("src/id/a.rs", "let a = '\"'; unsafe {} let b = '\"';").len(), 1);
    assert_eq!(unsafe_outside_sys("src/id/a.rs", "fn f<'a>(b: &'a u8) { unsafe {} } fn g<'a>() {}").len(), 1);

    assert_eq!(banned_in_cores("src/protocol/a.rs", "let now = Instant::now();").len(), 1);
    assert_eq!(banned_in_cores("src/chaos/flow.rs", "let now = Instant::now();").len(), 1);
    assert_eq!(banned_in_cores("src/process/a.rs", "let now = Instant::now();").len(), 0);
    assert_eq!(banned_in_cores("src/protocol/a.rs", "#[cfg(test)]\nmod tests { Instant::now() }").len(), 0);

    assert_eq!(sleeps_in_tests("tests/a.rs", "std::thread::sleep(x)").len(), 1);
    assert_eq!(sleeps_in_tests("src/a.rs", "#[cfg(test)]\nmod tests { sleep(x) }").len(), 1);
    assert_eq!(sleeps_in_tests("src/a.rs", "sleep(x)").len(), 0);
    assert_eq!(sleeps_in_tests("tests/a.rs", "fn we_do_not_sleep() {}").len(), 0);

    assert_eq!(logic_in_mod_files("src/id/mod.rs", "mod a;\nfn f() {}").len(), 1);
    assert_eq!(logic_in_mod_files("src/id/mod.rs", "//! fn \nmod a;\npub use a::B;").len(), 0);
}
