//! Programs whose messages differ do not come together (T-3).

use libtest_mimic::{Failed, Trial};
use procession::Error;
use procession::address::Verdict;
use procession::codec::shape::Mismatch;
use procession::prelude::*;
use procession::process::failure::LaunchFailure;
use serde_json::json;

use crate::actors::{Desk, Setup, Shy, answered, same};
use crate::stage::{copy, process, story, topology};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("t3_h30_a_copy_with_the_same_messages_is_taken_in", "same", equal),
        story("t3_another_field_name_is_refused", "same", |root| refused(root, "renamed", RENAMED)),
        story("t3_another_field_type_is_refused", "same", |root| refused(root, "retyped", RETYPED)),
        story("t3_another_order_of_fields_is_refused", "same", |root| refused(root, "reordered", REORDERED)),
        story("t3_a_difference_deep_inside_is_refused", "same", |root| refused(root, "nested", NESTED)),
        story("t3_another_order_of_variants_is_refused", "same", |root| refused(root, "variants", VARIANTS)),
        story("t3_another_result_is_refused", "same", |root| refused(root, "answered", ANSWERED)),
        story("t3_another_error_of_a_stream_is_refused", "same", |root| refused(root, "ended", ENDED)),
        story("t3_who_only_sends_is_refused_too", "same", sender),
        story("t3_who_knows_a_weak_address_alone_is_refused_too", "same", looker),
        story("t3_who_says_that_it_sends_is_refused_too", "same", user),
        story("t3_two_programs_that_the_root_knows_nothing_of_are_compared", "nothing", strangers),
        story("t3_the_roots_own_address_is_compared", "nothing", address),
        story("t3_the_same_build_is_not_looked_at", "same", not_looked_at),
        Trial::test("h52_two_actor_types_of_one_name_are_refused_at_the_start", two_of_a_name),
    ]
}

async fn equal(root: Root) -> procession::Result<()> {
    let theirs = process("theirs", &copy(0), "same").actor::<same::Counter>("counter", 7);
    let buyer = Process::new("ours").actor::<same::Buyer>("buyer", ProcAddr::named("counter"));
    let running = root.deploy(topology([theirs, buyer])).await?;
    let counter = running.addr::<same::Counter>("counter")?;
    let item = || same::Item { price: 3, kind: same::Kind::Large { size: 1 } };
    let add = same::Add { amount: 1, note: None, items: vec![item(), item()] };
    assert_eq!(counter.send(add).await?, 9);
    running.restart("theirs").await?;
    // Another life of the same build; until then the first one answers, or is stopping.
    let count = loop {
        match counter.send(same::Count).await {
            Ok(9) => {}
            Ok(count) => break count,
            Err(error) if error.verdict() == Verdict::NotExecuted => {}
            Err(error) => return Err(error.into()),
        }
    };
    assert_eq!(count, 7);
    running.shutdown().await
}

const RENAMED: [&str; 4] = ["Add", ".amount", "`amount: u64` as field 1", "`sum: u64` as field 1"];
const RETYPED: [&str; 4] = ["Add", ".note", "String", "Vec<u8>"];
const REORDERED: [&str; 4] =
    ["Add", ".amount", "`amount: u64` as field 1", "`note: Option<String>` as field 1"];
const NESTED: [&str; 4] = ["Add", ".items[].kind::Large.size", "u8", "u16"];
const VARIANTS: [&str; 4] = ["Add", ".items[].kind::Small", "`Small` as variant 1", "`Large` as variant 1"];
const ENDED: [&str; 4] = ["Watch", ".error.reason", "`reason: String` as field 1", "`code: u32` as field 1"];
const ANSWERED: [&str; 4] = ["how-many", "", "u64", "u32"];

/// A second process, of another program, does not become ready.
async fn refused(root: Root, role: &str, [message, path, ours, theirs]: [&str; 4]) -> procession::Result<()> {
    let program = copy(0);
    let first = Process::new("ours").actor::<same::Counter>("counter", 0);
    let second = process("theirs", &program, role).actor_value("other", "shop::Counter", json!(0));
    let error = root.deploy(topology([first, second])).await.expect_err("they differ");
    let Error::Start { process, failure } = &error else { panic!("{error}") };
    assert_eq!(process.as_str(), "theirs");
    let LaunchFailure::Shapes { path: refused, mismatch, other } = &**failure else { panic!("{failure}") };
    assert_eq!((refused, other), (&program, &std::env::current_exe().unwrap()));
    let expected = Mismatch {
        actor: "shop::Counter".to_owned(),
        message: message.to_owned(),
        in_result: matches!(role, "answered" | "ended"),
        path: path.to_owned(),
        left: ours.to_owned(),
        right: theirs.to_owned(),
    };
    assert_eq!(**mismatch, expected);
    let text = error.to_string();
    for part in [message, path, ours, theirs, program.to_str().unwrap(), other.to_str().unwrap()] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    Ok(())
}

/// Its program hosts no counter: it is given the address of one.
async fn sender(root: Root) -> procession::Result<()> {
    let first = Process::new("ours").actor::<same::Counter>("counter", 0);
    let second = process("theirs", &copy(0), "buyer").actor_value(
        "buyer",
        "shop::Buyer",
        json!({ "addr": "counter" }),
    );
    let error = root.deploy(topology([first, second])).await.expect_err("they differ");
    assert!(error.to_string().contains("`Add.note` is String in"), "{error}");
    Ok(())
}

async fn looker(root: Root) -> procession::Result<()> {
    let first = Process::new("ours").actor::<same::Counter>("counter", 0);
    let looker = |args| process("theirs", &copy(0), "looker").actor_value("looker", "shop::Looker", args);
    let error = root.deploy(topology([first, looker(json!({ "weak": "counter" }))])).await;
    let error = error.expect_err("they differ");
    assert!(error.to_string().contains("`Add.note` is String in"), "{error}");
    // What stands in its arguments is checked as that of a weak address.
    let error = root.deploy(topology([looker(json!({ "addr": "counter" }))])).await.expect_err("not weak");
    assert!(error.to_string().contains("weak"), "{error}");
    Ok(())
}

async fn user(root: Root) -> procession::Result<()> {
    let first = Process::new("ours").actor::<same::Counter>("counter", 0);
    let second = process("theirs", &copy(0), "user").actor_value("desk", "shop::Desk", json!({}));
    let error = root.deploy(topology([first, second])).await.expect_err("they differ");
    assert!(error.to_string().contains("`Add.items[].kind::Large.size` is u8 in"), "{error}");
    Ok(())
}

async fn strangers(root: Root) -> procession::Result<()> {
    let (one, other) = (copy(0), copy(1));
    let first = process("first", &one, "same").actor_value("counter", "shop::Counter", json!(0));
    let second = process("second", &other, "retyped").actor_value("other", "shop::Counter", json!(0));
    let error = root.deploy(topology([first, second])).await.expect_err("they differ");
    let Error::Start { process: refused, failure } = &error else { panic!("{error}") };
    assert_eq!(refused.as_str(), "second");
    let LaunchFailure::Shapes { other: with, .. } = &**failure else { panic!("{failure}") };
    assert_eq!(*with, one);
    // Alone, each is sound; and once the first is gone, nobody is left to differ from.
    let second = process("second", &other, "retyped").actor_value("other", "shop::Counter", json!(0));
    let running = root.deploy(topology([second])).await?;
    running.shutdown().await
}

async fn address(root: Root) -> procession::Result<()> {
    let theirs = process("theirs", &copy(0), "same").actor_value("counter", "shop::Counter", json!(3));
    let running = root.deploy(topology([theirs])).await?;
    assert_eq!(running.addr::<same::Counter>("counter")?.send(same::Count).await?, 3);
    let error = running.addr::<answered::Counter>("counter").expect_err("it answers otherwise");
    let Error::Shapes { mismatch, .. } = &error else { panic!("{error}") };
    assert_eq!((mismatch.left.as_str(), mismatch.right.as_str()), ("u32", "u64"));
    assert!(error.to_string().contains("`how-many -> result` is u32 in this program"), "{error}");
    running.shutdown().await
}

async fn not_looked_at(root: Root) -> procession::Result<()> {
    let desk = |name: &str| Process::new(name).actor::<Desk>(name, Setup::default());
    let running = root.deploy(topology([desk("one"), desk("two")])).await?;
    for name in ["one", "two"] {
        let desk = running.addr::<Desk>(name)?;
        // It is read when it comes, and never was before.
        assert_eq!(desk.send(Shy(1)).await?, 1);
        assert_eq!(desk.send(Shy(1)).await?, 2);
    }
    running.shutdown().await
}

fn two_of_a_name() -> Result<(), Failed> {
    let program = Program::new().actor::<same::Counter>().actor::<answered::Counter>();
    let error = program.run(async |_| -> procession::Result<()> { Ok(()) }).unwrap_err();
    assert!(matches!(error, Error::DuplicateType("shop::Counter")), "{error}");
    Ok(())
}
