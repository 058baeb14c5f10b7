//! The owner takes an address back.

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::runtime::Event;

use crate::clerks::*;
use crate::opening::{note, three};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a3_a_revoked_address_gives_the_message_back", revoked),
        story("a3_what_was_sent_before_is_handled_and_what_waits_comes_back", waiting),
        story("a3_a_revoked_address_stays_so_in_the_next_life_and_is_not_introduced", next_life),
        story("a3_an_exported_actor_can_be_taken_back", exported),
        story("a3_only_the_owner_can_revoke", owner),
    ]
}

async fn revoke(owner: &ProcAddr<Clerk>, address: &ProcAddr<Clerk>) {
    owner.send(Revoke(address.clone())).await.unwrap().unwrap();
}

async fn revoked(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let (copy, other) = (c.send(Revocable).await.unwrap(), c.send(Revocable).await.unwrap());
    let (narrow, recipient) = (copy.limited(100)?, copy.recipient::<Note>());
    assert_eq!((note(&a, &copy).await, note(&b, &narrow).await), ("done".into(), "done".into()));
    revoke(&c, &copy).await;
    revoke(&c, &copy).await;
    for by in [&a, &b] {
        assert_eq!(note(by, &copy).await, "Revoked NotExecuted back");
        assert_eq!(note(by, &narrow).await, "Revoked NotExecuted back", "it was made from it");
        let asked = AskRecipient { to: recipient.clone(), text: String::new() };
        assert_eq!(by.send(asked).await.unwrap(), "Revoked NotExecuted back");
        assert_eq!((note(by, &other).await, note(by, &c).await), ("done".into(), "done".into()));
    }
    assert_eq!(note(&c, &copy).await, "Revoked NotExecuted back", "at home, too");
    // Who sends without waiting learns it as well, once it was said.
    assert!(copy.try_send(Note(String::new())).is_ok() || copy.try_send(Note(String::new())).is_err());
    while copy.try_send(Note(String::new())).is_ok() {
        c.send(Pid).await.unwrap();
    }
    running.shutdown().await
}

async fn waiting(root: Root) -> procession::Result<()> {
    let there =
        Process::new("c").actor::<Clerk>("c", vec![]).actor::<Clerk>("beside", vec![]).mailbox(8, 1 << 20);
    let running = root.deploy(Topology::new("rights").process(there)).await?;
    let (c, beside) = (at(&running, "c"), at(&running, "beside"));
    let copy = c.send(Revocable).await.unwrap();
    c.send(Hold).await.unwrap();
    let asks: Vec<_> = (0..20).map(|number| copy.send(Note(format!("{number}")))).collect();
    beside.send(Revoke(copy.clone())).await.unwrap().unwrap();
    beside.send(Release).await.unwrap();
    let mut told = Vec::new();
    for ask in asks {
        told.push(ended(ask.await.map(drop)));
    }
    let done = told.iter().filter(|told| *told == "done").count();
    assert!(done >= 7, "what had arrived was handled: {told:?}");
    assert_eq!(told[done..], vec!["Revoked NotExecuted back"; 20 - done], "{told:?}");
    assert_eq!(taken(&c, done).await.len(), done);
    running.shutdown().await
}

async fn next_life(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let copy = c.send(Revocable).await.unwrap();
    assert_eq!(note(&a, &copy).await, "done");
    revoke(&c, &copy).await;
    // b has no pipe to c: the root itself says no, without asking c.
    assert_eq!(note(&b, &copy).await, "Revoked NotExecuted back");
    let mut events = running.events();
    kill(&running, &c).await;
    event(&mut events, |event| matches!(event, Event::Ready { .. }).then_some(())).await;
    assert_eq!((note(&a, &copy).await, note(&b, &copy).await), (told(), told()));
    // With a pipe that another address brought, the owner says it.
    assert_eq!((note(&b, &c).await, note(&b, &copy).await), ("done".to_owned(), told()));
    running.shutdown().await
}

fn told() -> String {
    "Revoked NotExecuted back".to_owned()
}

async fn exported(root: Root) -> procession::Result<()> {
    let (running, [a, _, c]) = three(&root).await?;
    let (mine, other) = (c.send(Export).await.unwrap(), c.send(Export).await.unwrap());
    assert_eq!((note(&a, &mine).await, note(&a, &other).await), ("done".into(), "done".into()));
    revoke(&c, &mine).await;
    assert_eq!((note(&a, &mine).await, note(&a, &other).await), (told(), "done".into()));
    assert_eq!(note(&c, &mine).await, told());
    running.shutdown().await
}

async fn owner(root: Root) -> procession::Result<()> {
    let (running, [a, _, c]) = three(&root).await?;
    let failure = c.revoke().unwrap_err();
    assert!(matches!(failure.cause, procession::address::Cause::NotOwner(_)), "{failure}");
    assert!(a.send(Revoke(c.clone())).await.unwrap().unwrap_err().contains("only the process"));
    // Nor can it be tricked into revoking what is no address of its own.
    let id = procession::id::ActorId::declared(procession::id::ProcessId(3), procession::id::Slot(0));
    let bytes = procession::codec::encode(&procession::id::Capability::unsealed(id), 1 << 10).unwrap();
    let guessed: ProcAddr<Clerk> = procession::codec::decode(&bytes).unwrap();
    assert!(c.send(Revoke(guessed)).await.unwrap().unwrap_err().contains("made up"));
    assert_eq!(note(&a, &c).await, "done");
    running.shutdown().await
}
