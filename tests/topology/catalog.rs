//! A small world for plans to ask about.

use std::path::Path;

use procession::topology::{Catalog, HostedType, ProgramFacts, ProgramProblem, ProgramRef};
use serde_json::{Value, json};

/// Answers by the name of the program alone.
pub(crate) struct FakeCatalog;

fn hosts(path: &Path, types: &[&str]) -> Result<ProgramFacts, ProgramProblem> {
    let types = types.iter().map(|name| HostedType {
        name: (*name).to_owned(),
        messages: vec!["Add".to_owned()],
        args: None,
        unfit: Vec::new(),
    });
    Ok(ProgramFacts { path: path.to_owned(), types: Some(types.collect()) })
}

fn unfit(name: &str) -> Vec<String> {
    let why = "message Say of shop::Counter can't go to another process: in it is a serde_json::value::Value";
    if name == "shop::Counter" { vec![why.to_owned()] } else { Vec::new() }
}

/// What a program says of the arguments of an actor with one of each kind.
fn desk() -> Value {
    json!({
        "$id": "procession:shop::Desk/args",
        "$ref": "#/$defs/Desk",
        "$defs": {
            "Desk": {
                "type": "object",
                "properties": {
                    "port": { "type": "integer", "minimum": 0, "maximum": 65535 },
                    "label": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                    "counters": { "type": "array", "items": address("shop::Counter") },
                    "pair": { "type": "array", "prefixItems": [{ "type": "number" }, { "type": "boolean" }], "minItems": 2, "maxItems": 2 },
                    "prices": { "type": "object", "additionalProperties": { "type": "integer" } },
                    "mode": { "$ref": "#/$defs/Mode" },
                    "child": { "anyOf": [{ "$ref": "#/$defs/Desk" }, { "type": "null" }] },
                    "file": { "not": {}, "$comment": "a file descriptor can't be written as JSON" },
                },
                "required": ["port"],
                "additionalProperties": false,
            },
            "Mode": {
                "oneOf": [
                    { "const": "quiet" },
                    {
                        "type": "object",
                        "properties": { "loud": { "type": "object", "properties": { "volume": { "type": "number" } }, "required": ["volume"] } },
                        "required": ["loud"],
                        "additionalProperties": false,
                    },
                ],
            },
        },
    })
}

fn address(actor: &str) -> Value {
    json!({ "type": "object", "properties": { "addr": { "type": "string" } }, "required": ["addr"], "x-procession-actor": actor })
}

impl Catalog for FakeCatalog {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        let path = match program {
            ProgramRef::Deployer => {
                return hosts(
                    Path::new("/proc/self/exe"),
                    &["demo::Counter", "demo::Doubler", "demo::Router"],
                );
            }
            ProgramRef::Named(name) if name == "demo-front" => {
                return Ok(ProgramFacts { path: "/usr/bin/demo-front".into(), types: None });
            }
            ProgramRef::Named(_) => return Err(ProgramProblem::Missing),
            ProgramRef::Path(path) => path,
        };
        if path.ends_with("target/release/demo-worker") {
            return hosts(path, &["demo::Counter", "demo::Doubler", "demo::Router"]);
        }
        if path.ends_with("target/release/shop") {
            let hosted = |name: &str, args| HostedType {
                name: name.to_owned(),
                messages: Vec::new(),
                args: Some(args),
                unfit: unfit(name),
            };
            let types =
                vec![hosted("shop::Desk", desk()), hosted("shop::Counter", json!({ "type": "integer" }))];
            return Ok(ProgramFacts { path: path.to_owned(), types: Some(types) });
        }
        if path.ends_with("README.md") {
            return Err(ProgramProblem::NotExecutable);
        }
        if path.ends_with("bin/ls") {
            return Err(ProgramProblem::NotProcession {
                detail: "it exited with code 2 and said nothing".into(),
            });
        }
        Err(ProgramProblem::Missing)
    }
}
