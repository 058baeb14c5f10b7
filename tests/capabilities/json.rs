//! Messages as JSON, by name, are held to the address that they are sent by, as any other.

use std::time::Duration;

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::clerks::*;
use crate::opening::three;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a3_json_by_a_narrowed_address_meets_every_condition", narrowed),
        story("a3_json_by_an_edge_carries_its_messages_alone", edges),
    ]
}

const NOTE: &str = "\"hello\"";

/// Sends a message as JSON from there.
async fn json(by: &ProcAddr<Clerk>, to: &ProcAddr<Clerk>, message: &str, json: &str) -> String {
    let ask = AskJson { to: to.clone(), message: message.to_owned(), json: json.to_owned() };
    by.send(ask).await.unwrap()
}

/// An address for one message, by which any is sent as by a whole one.
fn for_notes(address: &ProcAddr<Clerk>) -> ProcAddr<Clerk> {
    let bytes = procession::codec::encode(&address.recipient::<Note>(), 1 << 10).unwrap();
    procession::codec::decode(&bytes).unwrap()
}

async fn narrowed(root: Root) -> procession::Result<()> {
    let (running, [a, _, c]) = three(&root).await?;
    c.send(Pid).await.unwrap();
    // From another process, and from the actor's own.
    for by in [&a, &c] {
        let two = c.limited(2)?;
        assert_eq!(json(by, &two, "Note", NOTE).await, "null");
        // What is no such message was sent, too.
        assert!(json(by, &two, "Note", "7").await.starts_with("Note: "));
        assert_eq!(json(by, &two, "Note", NOTE).await, "UsedUp NotExecuted");
        let note = for_notes(&c);
        assert_eq!(json(by, &note, "Note", NOTE).await, "null");
        assert_eq!(json(by, &note, "Clear", "null").await, "NotGranted NotExecuted");
        assert_eq!(json(by, &c.for_duration(Duration::ZERO)?, "Note", NOTE).await, "Expired NotExecuted");
        let lent = c.send(Revocable).await.unwrap();
        assert_eq!(json(by, &lent, "Note", NOTE).await, "null");
        c.send(Revoke(lent.clone())).await.unwrap().unwrap();
        assert_eq!(json(by, &lent, "Note", NOTE).await, "Revoked NotExecuted");
        assert_eq!(taken(&c, 3).await, ["hello"; 3]);
    }
    // Whoever has the whole right goes on as before.
    assert_eq!(json(&a, &c, "Clear", "null").await, "null");
    running.shutdown().await
}

async fn edges(root: Root) -> procession::Result<()> {
    let edged =
        Process::new("a").actor::<Clerk>("a", vec![ProcAddr::named("c")]).may_send("c", ["Note", "Pid"]);
    let running = root.deploy(Topology::new("rights").process(edged).process(process("c"))).await?;
    let (a, c) = (at(&running, "a"), at(&running, "c"));
    // As the process itself finds it, by name.
    let named = a.send(Lookup("c".to_owned())).await.unwrap().unwrap();
    assert_eq!(json(&a, &named, "Note", NOTE).await, "null");
    assert_eq!(json(&a, &named, "Clear", "null").await, "NotGranted NotExecuted");
    assert_eq!(taken(&c, 1).await, ["hello"]);
    running.shutdown().await
}
