//! Whatever a file holds, reading it ends with a topology or with findings.

use std::path::Path;

use procession::topology::{Checked, Topology};
use proptest::prelude::*;

use crate::catalog::FakeCatalog;

fn survives(text: &str) {
    let Checked { plan, findings } = Topology::check_toml(text, Path::new("nonsense.toml"), &FakeCatalog);
    assert_eq!(plan.is_none(), findings.has_errors());
    for finding in &findings {
        let place = finding.place.as_ref().expect("a file has places");
        assert!(text.get(place.span.clone()).is_some(), "{place} lies outside of the text");
    }
    let _ = findings.to_string();
}

/// Pieces that topologies are made of, so that chance comes deep into the reader.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "[process.a]\n",
        "[process.b]\n",
        "[defaults]\n",
        "[group]\n",
        "[group.g]\n",
        "[group.g.process.a]\n",
        "[group.g.group.h.process.c]\n",
        "[[process]]\n",
        "name = \"x\"\n",
        "replicas = ",
        "actor.a = ",
        "actor.b.args = ",
        "actor.b.type = ",
        "{ addr = \"a\" }",
        "{ addr = \"a-*\" }",
        "{ replica = \"index\" }",
        "restart = ",
        "restart.backoff = ",
        "{ min = \"1s\" }",
        "mailbox = ",
        "env = ",
        "program = ",
        "\"x\"",
        "\"1s\"",
        "\"8MiB\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "= ",
        "1",
        "-1",
        "1.5",
        "nan",
        "1979-05-27",
        "true",
        "{ type = \"demo::Counter\" }\n",
        "args = ",
        "actors = ",
        "actors.restart = ",
        "{ strategy = \"one_for_all\" }",
        "auto_shutdown = ",
        "\"any_significant\"",
        "hang = ",
        "{ after = \"1s\" }",
        "panic = ",
        "\"process\"",
        "significant = ",
        "delivery = ",
        "attempts = ",
        "snapshot_limit = ",
        "shutdown = ",
        "\"brutal_kill\"\n",
        "[namespace.n]\n",
        "[namespace]\n",
        "register = ",
        "lookup = ",
        "most = ",
        "[\"*\"]\n",
        "[\"a\", \"a-*\"]\n",
        "may_send = ",
        "may_send.b = ",
        "{ addr = \"n/x\", routing = \"round_robin\" }",
        "#",
        "'''",
        "\\",
        "é",
        ".",
    ]);
    prop_oneof![9 => fixed.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_panic(text: String) {
        survives(&text);
    }

    #[test]
    fn any_mixture_of_pieces_is_read_without_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        survives(&pieces.concat());
    }
}

#[test]
fn depth_and_size_are_limited_before_anything_recurses() {
    survives(&format!("a{} = 1", ".a".repeat(200_000)));
    survives(&format!("[a{}]", ".a".repeat(200_000)));
    survives(&format!("a = {}", "[".repeat(200_000)));
    survives(&format!("a = {}", "{ a.a = ".repeat(50_000)));
    survives(&format!("name = 'x'\n[group.a{}.process.b]\nreplicas = 1", ".group.a".repeat(38)));
    survives(&"# \n".repeat(400_000));
    survives(&"unknown_key_".repeat(80_000));
    let many: String = (0..30_000).map(|n| format!("key{n} = 1\n")).collect();
    survives(&many);
}
