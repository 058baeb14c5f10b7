//! Messages as JSON, by name.

use libtest_mimic::Trial;
use procession::address::{Cause, JsonError, Verdict};
use procession::prelude::*;
use serde_json::{Value, json};

use crate::actors::{Desk, Pass};
use crate::stage::{copy, process, story, topology};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story(
            "json_reaches_an_actor_of_a_program_that_the_root_knows_nothing_of",
            "nothing",
            |root| async move {
                let desk = process("theirs", &copy(0), "same").actor_value("desk", "shop::Desk", json!({}));
                all(root.deploy(topology([desk])).await?).await
            },
        ),
        story("json_reaches_an_actor_of_the_same_program", "same", |root| async move {
            all(root
                .deploy(topology([Process::new("ours").actor::<Desk>("desk", Default::default())]))
                .await?)
            .await
        }),
        story("json_is_sent_by_whoever_has_an_address", "same", passed),
        story("x1_json_that_is_too_deep_or_too_long_is_a_typed_error", "same", hostile),
    ]
}

async fn all(running: Running) -> procession::Result<()> {
    let order = |order: Value| running.send_json("desk", "Order", &order);
    let two = json!({ "items": [{ "price": 3, "kind": "Small" }, { "price": 4, "kind": { "Large": { "size": 1 } } }] });
    assert_eq!(order(two.clone()).await, Ok(json!({ "Ok": { "total": 7, "large": 1 } })));
    let mut limited = two;
    limited["limit"] = 1.into();
    assert_eq!(order(limited).await, Ok(json!({ "Err": { "TooMany": { "at_most": 1 } } })));
    assert_eq!(order(json!({ "items": [] })).await, Ok(json!({ "Err": "NothingOrdered" })));

    for (wrong, at, why) in [
        (json!({ "items": [{ "price": "3", "kind": "Small" }] }), "items[0].price", "expected u32"),
        (
            json!({ "items": [{ "price": 3, "kind": { "Large": {} } }] }),
            "items[0].kind.Large",
            "missing field `size`",
        ),
        (json!({ "items": [], "limmit": 3 }), "limmit", "unknown field `limmit`"),
        (json!([1, 2, 3]), "[0]", "invalid type"),
        (json!("all"), ".", "invalid type"),
    ] {
        let Err(JsonError::Wrong { message, path, reason }) = order(wrong).await else { panic!("{at}") };
        assert_eq!((message.as_str(), path.as_str()), ("Order", at), "{reason}");
        assert!(reason.contains(why), "{reason}");
    }
    let error = running.send_json("desk", "Oder", &json!(null)).await.expect_err("no such message");
    let known = ["Order", "Depth", "Odd", "Break", "Pass", "Free", "Shy"].map(str::to_owned).to_vec();
    let (actor, message) = ("shop::Desk".to_owned(), "Oder".to_owned());
    assert_eq!(error, JsonError::UnknownMessage { actor, message, known });
    assert_eq!(error.to_string(), "a shop::Desk takes no message called `Oder`: did you mean `Order`?");

    let error = running.send_json("dusk", "Order", &json!(null)).await.expect_err("no such actor");
    assert_eq!(error.to_string(), "no actor is called `dusk`: did you mean `desk`?");

    let error = running.send_json("desk", "Odd", &json!(null)).await.expect_err("no JSON");
    assert!(
        matches!(&error, JsonError::Result { reason, .. } if reason.contains("key must be a string")),
        "{error}"
    );

    let error = running.send_json("desk", "Break", &json!(null)).await.expect_err("it panics");
    let JsonError::Send(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.verdict, Verdict::Failed);
    assert!(
        matches!(&failure.cause, Cause::Panicked(text) if text.contains("broken on request")),
        "{failure}"
    );
    // Its next life answers.
    assert_eq!(running.send_json("desk", "Depth", &json!([[], [[]]])).await, Ok(json!(3)));
    running.shutdown().await
}

/// From one worker to another, and to an actor of its own process.
async fn passed(root: Root) -> procession::Result<()> {
    let desk = |name: &str| Process::new(name).actor::<Desk>(format!("{name}-desk"), Default::default());
    let left = desk("left").actor::<Desk>("third", Default::default());
    let running = root.deploy(topology([left, desk("right")])).await?;
    let sender = running.addr::<Desk>("left-desk")?;
    for to in ["right-desk", "third", "left-desk"] {
        let pass = Pass(running.addr(to)?, "Depth".to_owned(), "[[[]]]".to_owned());
        assert_eq!(sender.send(pass).await?, Ok("3".to_owned()), "{to}");
        let pass = Pass(running.addr(to)?, "Depth".to_owned(), "[[1]]".to_owned());
        let error = sender.send(pass).await?.expect_err("no number is a list");
        assert!(error.starts_with("Depth[0][0]: invalid type"), "{error}");
    }
    running.shutdown().await
}

async fn hostile(root: Root) -> procession::Result<()> {
    let desk = Process::new("ours").max_message_bytes(100_000).actor::<Desk>("desk", Default::default());
    let running = root.deploy(topology([desk])).await?;
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| Value::Array(vec![inner]));
    assert_eq!(running.send_json("desk", "Depth", &nested(120)).await, Ok(json!(120)));
    assert_eq!(running.send_json("desk", "Depth", &nested(121)).await, Err(JsonError::TooDeep));
    // As deep as memory: it is looked at no deeper than it may be. Dropping it recurses, so it is not.
    let deep = std::mem::ManuallyDrop::new(nested(200_000));
    assert_eq!(running.send_json("desk", "Depth", &deep).await, Err(JsonError::TooDeep));
    let long = Value::Array(vec![json!([]); 100_000]);
    let error = running.send_json("desk", "Depth", &long).await.expect_err("too long");
    assert!(
        matches!(&error, JsonError::Send(failure) if matches!(failure.cause, Cause::TooLarge { .. })),
        "{error}"
    );
    assert_eq!(running.send_json("desk", "Depth", &json!([])).await, Ok(json!(1)), "it lives on");
    running.shutdown().await
}
