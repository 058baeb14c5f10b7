//! A tells B of C, wherever C lives and whatever becomes of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use libtest_mimic::Trial;
use procession::address::{WeakProcAddr, WeakProcRecipient};
use procession::prelude::*;
use procession::runtime::{Event, Launched};
use procession::topology::Restart;

use crate::clerks::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a2_c_may_live_with_b_with_a_or_elsewhere", wherever),
        story("a2_c_may_be_yet_to_start", not_started),
        story("a2_c_may_be_yet_to_start_while_its_address_goes_from_a_to_b", not_started_and_told),
        story("a2_c_may_be_restarted_on_the_way", restarted),
        story("a2_c_may_be_gone_for_ever", gone),
        story("a2_addresses_are_ordinary_values", values),
        story("a2_an_address_is_kept_in_a_snapshot", snapshots),
        story("a2_weak_addresses_travel_and_do_not_wire", weak),
        story("a1_pinned_and_narrowed_forms_travel", pinned),
    ]
}

async fn note(by: &ProcAddr<Clerk>, to: &ProcAddr<Clerk>) -> String {
    by.send(AskToNote { to: to.clone(), text: "hello".to_owned() }).await.unwrap()
}

async fn deploy(root: &Root, processes: impl IntoIterator<Item = Process>) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(Topology::new("addresses"), Topology::process)).await
}

async fn wherever(root: Root) -> procession::Result<()> {
    let in_b = Process::new("b").actor::<Clerk>("b", vec![]).actor::<Clerk>("with-b", vec![]);
    let running = deploy(&root, [process("a"), in_b, process("c")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    for whom in ["with-b", "a", "c", "b"] {
        let whom = at(&running, whom);
        let steps = vec![Step::Note { to: whom.clone(), text: "by b ".to_owned(), count: 1 }];
        a.send(Do(vec![Step::Hand { to: b.clone(), steps }])).await.unwrap();
        assert_eq!(taken(&whom, 1).await, ["by b 0"]);
    }
    // An exported one comes as a result, and goes on to a third; so does a recipient of it.
    let exported = at(&running, "c").send(Export).await.unwrap();
    assert_eq!(note(&b, &exported).await, "done");
    let recipient = AskRecipient { to: exported.recipient(), text: "too".to_owned() };
    assert_eq!(a.send(recipient).await.unwrap(), "done");
    assert_eq!(taken(&exported, 2).await, ["hello", "too"]);
    running.shutdown().await
}

async fn not_started(root: Root) -> procession::Result<()> {
    let topology = Topology::new("addresses").process(process("c"));
    let Launched { running, started, .. } = root.launch(topology.plan(&root.catalog()).unwrap()).await?;
    let c = at(&running, "c");
    let mine = ProcAddr::export(clerk().start())?;
    // Nothing runs yet; the root passes the address to an actor of its own, which uses it.
    assert_eq!(note(&mine, &c).await, "done");
    started.await.unwrap()?;
    assert_eq!(taken(&c, 1).await, ["hello"]);
    running.shutdown().await
}

async fn not_started_and_told(root: Root) -> procession::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let late = process("c").env(WAITS_FOR, gate.to_str().unwrap());
    let topology =
        [process("a"), process("b"), late].into_iter().fold(Topology::new("addresses"), Topology::process);
    let Launched { running, started, .. } = root.launch(topology.plan(&root.catalog()).unwrap()).await?;
    let (a, b, c) = (at(&running, "a"), at(&running, "b"), at(&running, "c"));
    let steps = vec![Step::Note { to: c.clone(), text: "early ".to_owned(), count: 1 }];
    a.send(Do(vec![Step::Hand { to: b.clone(), steps }])).await.unwrap();
    b.send(Pid).await.unwrap();
    // Both have done what they were told, and `c` is not born yet: it waits for this.
    assert!(running.processes().await?.iter().any(|one| one.name.as_str() == "c" && !one.ready));
    std::fs::write(&gate, "").unwrap();
    started.await.unwrap()?;
    assert_eq!(taken(&c, 1).await, ["early 0"]);
    running.shutdown().await
}

async fn restarted(root: Root) -> procession::Result<()> {
    let slowly = std::time::Duration::from_millis(300);
    let restart = Restart::from(Policy::Permanent).backoff(Backoff { min: slowly, max: slowly });
    let running = deploy(&root, [process("a"), process("b"), process("c").restart(restart)]).await?;
    let (a, b, c) = (at(&running, "a"), at(&running, "b"), at(&running, "c"));
    kill(&running, &c).await;
    // It is dead while its address goes from the root to a and from a to b, and the next life gets the note.
    let steps = vec![Step::Note { to: c.clone(), text: "to the next ".to_owned(), count: 1 }];
    a.send(Do(vec![Step::Hand { to: b, steps }])).await.unwrap();
    assert_eq!(taken(&c, 1).await, ["to the next 0"]);
    running.shutdown().await
}

async fn gone(root: Root) -> procession::Result<()> {
    let mortal = process("c").restart(Policy::Temporary);
    let running = deploy(&root, [process("a"), process("b"), mortal]).await?;
    let (b, c) = (at(&running, "b"), at(&running, "c"));
    let exported = c.send(Export).await.unwrap();
    let mut events = running.events();
    kill(&running, &c).await;
    event(&mut events, |event| (event.kind() == "stays_down").then_some(())).await;
    for whom in [c, exported] {
        assert_eq!(note(&b, &whom).await, "Unreachable NotExecuted back");
    }
    running.shutdown().await
}

// What an address remembers of its way is no part of what it is.
#[allow(clippy::mutable_key_type)]
async fn values(root: Root) -> procession::Result<()> {
    fn ordinary<
        T: Clone + Eq + std::hash::Hash + std::fmt::Debug + Serialize + for<'d> Deserialize<'d> + Send + Sync,
    >() {
    }
    ordinary::<ProcAddr<Clerk>>();
    ordinary::<ProcRecipient<Note>>();
    ordinary::<WeakProcAddr<Clerk>>();
    ordinary::<WeakProcRecipient<Note>>();
    let running = deploy(&root, [process("a"), process("b")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let set: HashSet<_> = [&a, &b, &a.clone(), &ProcAddr::named("a")].into_iter().cloned().collect();
    assert_eq!(set.len(), 2);
    let map = HashMap::from([(a.clone(), BTreeMap::from([("b".to_owned(), Some(b.recipient::<Note>()))]))]);
    let bytes = procession::codec::encode(&map, 1 << 10).unwrap();
    let back: HashMap<ProcAddr<Clerk>, BTreeMap<String, Option<ProcRecipient<Note>>>> =
        procession::codec::decode(&bytes).unwrap();
    let recipient = back[&a]["b"].clone().unwrap();
    recipient.send(Note("by a value in a map".to_owned())).await.unwrap();
    assert_eq!(taken(&b, 1).await, ["by a value in a map"]);
    let shown = format!("{a:?} {:?}", a.recipient::<Note>());
    assert!(shown.starts_with("ProcAddr(a (1/0)) ProcRecipient(a (1/0"), "{shown}");
    running.shutdown().await
}

async fn snapshots(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    a.send(Keep(Some(b.clone()))).await.unwrap();
    kill(&running, &a).await;
    // A request that still reaches the old life comes back, and is asked again.
    let kept = loop {
        if let Ok(kept) = a.send(Kept).await {
            break kept.expect("the next life has it");
        }
    };
    assert_eq!(kept, b);
    assert_eq!(note(&a, &kept).await, "done");
    running.shutdown().await
}

async fn weak(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b").restart(Policy::Temporary)]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let ask = |to: WeakProcAddr<Clerk>| a.send(AskWeak { to, text: "weakly".to_owned() });
    assert_eq!(ask(b.downgrade()).await.unwrap(), "done");
    // As a file has it, it is a name that nothing wires.
    let text = serde_json::to_string(&b.downgrade()).unwrap();
    assert_eq!(text, r#"{"weak":"b"}"#);
    assert_eq!(serde_json::from_str::<WeakProcAddr<Clerk>>(&text).unwrap(), b.downgrade());
    let clerk_type = <Clerk as procession::address::ProcActor>::TYPE_NAME;
    for (address, wired) in [("weak", 0), ("addr", 1)] {
        let args = serde_json::json!([{ address: "b" }]);
        let plan = Topology::new("t")
            .process(process("b"))
            .process(Process::new("c").actor_value("c", clerk_type, args))
            .plan(&root.catalog())
            .unwrap();
        assert_eq!(plan.process("c").unwrap().wired.len(), wired, "{address}");
    }
    // An exported actor that stopped can't be upgraded to, nor can one whose process is gone.
    let actor = clerk().start();
    let mine = ProcAddr::export(actor.clone())?.downgrade();
    assert!(mine.upgrade().is_some());
    actor.do_send(procession::address::StopActor);
    while mine.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    let mut events = running.events();
    kill(&running, &b).await;
    event(&mut events, |event| (event.kind() == "stays_down").then_some(())).await;
    // A request that met the end of the connection says nothing of what is next; one after it does.
    while b.downgrade().upgrade().is_some() {
        b.send(Pid).await.unwrap_err();
    }
    running.shutdown().await
}

async fn pinned(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    b.send(Pid).await.unwrap();
    let forms =
        [b.pin()?, b.limited(1)?, b.revocable()?, b.for_duration(std::time::Duration::from_secs(600))?];
    for form in &forms {
        assert_ne!(*form, b);
        assert_eq!(note(&a, form).await, "done", "{form:?}");
        let again: ProcAddr<Clerk> = form.to_string().parse().unwrap();
        assert_eq!(again, *form);
    }
    taken(&b, 4).await;
    let mut events = running.events();
    kill(&running, &b).await;
    event(&mut events, |event| matches!(event, Event::Ready { .. }).then_some(())).await;
    for (form, told) in forms.iter().zip(["Stale NotExecuted back", "Stale NotExecuted back", "done", "done"])
    {
        assert_eq!(note(&a, form).await, told, "{form:?}");
    }
    running.shutdown().await
}
