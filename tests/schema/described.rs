//! What a program says of itself, and arguments that are checked by it.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use procession::Error;
use procession::prelude::*;
use serde_json::Value;

use crate::actors::{Most, Till};
use crate::stage::{copy, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        Trial::test("describe_is_json_schema_and_stays_as_it_is", || {
            golden();
            Ok(())
        }),
        story("h55_a_message_that_can_not_travel_is_a_finding", "same", unfit),
        story("t1_arguments_in_a_file_are_checked_before_anything_starts", "same", arguments),
        story("t1_arguments_of_another_program_are_checked_too", "nothing", others),
        story("t1_arguments_are_taken_by_any_name_of_a_field", "same", by_any_name),
    ]
}

/// `PROCESSION_BLESS=1 cargo test --test schema` writes it anew; read the difference before you commit it.
fn golden() {
    let said = Command::new(std::env::current_exe().unwrap()).arg("--describe").output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let said = String::from_utf8(said.stdout).unwrap();
    let described: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(described["$schema"], "https://json-schema.org/draft/2020-12/schema");
    // Which version of the protocol is no matter of schemas.
    let mut stable = described.clone();
    stable["procession"] = Value::Null;
    let stable = format!("{stable:#}\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/describe.json");
    if std::env::var_os("PROCESSION_BLESS").is_some() {
        return std::fs::write(&file, stable).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), stable);
}

fn told(error: &Error) -> String {
    let Error::Invalid(findings) = error else { panic!("{error}") };
    findings.to_string()
}

async fn unfit(root: Root) -> procession::Result<()> {
    let text = "name = \"demo\"\n[process.left]\nactor.desk = { type = \"shop::Desk\", args = {} }\n";
    let checked = Topology::check_toml(text, Path::new("demo.toml"), &root.catalog());
    assert!(checked.plan.is_some(), "{}", checked.findings);
    let told = checked.findings.to_string();
    let expected = "demo.toml:3:23: warning: message Free of shop::Desk can't go to another process: in it is a \
                    serde_json::value::Value, which must see what it reads to know what it is\n";
    assert!(told.starts_with(expected), "{told}");
    Ok(())
}

async fn arguments(root: Root) -> procession::Result<()> {
    for (args, place, message) in [
        ("\"seven\"", "4:50", "this is a string, and should be a whole number"),
        ("-1", "4:50", "-1 is smaller than the type takes"),
    ] {
        let text = format!(
            "name = \"demo\"\n[process.left]\n\nactor.counter = {{ type = \"shop::Counter\", args = {args} }}\n"
        );
        let topology = Topology::from_toml(&text, Path::new("demo.toml")).unwrap();
        let told = told(&root.deploy(topology).await.expect_err("it does not fit"));
        assert!(told.starts_with(&format!("demo.toml:{place}: error: {message}")), "{told}");
    }
    Ok(())
}

async fn by_any_name(root: Root) -> procession::Result<()> {
    let till = |args: &str| {
        let text = format!(
            "name = \"demo\"\n[process.left]\nactor.till = {{ type = \"shop::Till\", args = {args} }}\n"
        );
        Topology::from_toml(&text, Path::new("demo.toml")).unwrap()
    };
    for (args, message) in [
        ("{}", "`most` is missing"),
        ("{ at_mots = 3 }", "the type has no `at_mots`"),
        ("{ at_most = \"3\" }", "this is a string, and should be a whole number"),
    ] {
        let told = told(&root.deploy(till(args)).await.expect_err("it does not fit"));
        assert!(told.contains(&format!("error: {message}")), "{told}");
    }
    for (args, most) in [("{ most = 3 }", 3), ("{ at_most = 4 }", 4)] {
        let running = root.deploy(till(args)).await?;
        assert_eq!(running.addr::<Till>("till")?.send(Most).await?, most);
        running.shutdown().await?;
    }
    Ok(())
}

async fn others(root: Root) -> procession::Result<()> {
    let program = copy(0);
    let desk = |args: &str| {
        format!(
            "name = \"demo\"\n[process.left]\nprogram = {program:?}\nactor.counter = {{ type = \"shop::Counter\", args = 1 }}\nactor.desk.type = \"shop::Desk\"\nactor.desk.args = {args}\n"
        )
    };
    for (args, at, message) in [
        ("{ greeting = 3 }", "3", "this is a whole number, and should be a string"),
        ("{ greting = \"hello\" }", "greting", "the type has no `greting`"),
        ("{ counter = \"counter\" }", "\"counter\"", "this is a string, and should be an address"),
        (
            "{ counter = { addr = \"desk\" } }",
            "\"desk\"",
            "`desk` is a shop::Desk, and this should be a shop::Counter",
        ),
        ("[]", "[]", "this is a list, and should be a table"),
    ] {
        let text = desk(args);
        let column = text.lines().nth(5).and_then(|line| line.rfind(at)).unwrap() + 1;
        let topology = Topology::from_toml(&text, Path::new("demo.toml")).unwrap();
        let told = told(&root.deploy(topology).await.expect_err("it does not fit"));
        assert!(told.contains(&format!("demo.toml:6:{column}: error: {message}")), "{told}");
    }
    let topology =
        Topology::from_toml(&desk("{ counter = { addr = \"counter\" } }"), Path::new("demo.toml")).unwrap();
    root.deploy(topology).await?.shutdown().await
}
