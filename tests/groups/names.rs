//! Names: who may give and look them up, whom they lead to, and what deaths do to them.

use libtest_mimic::Trial;
use procession::address::{Cause, NameError, Right};
use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;
use procession::protocol::rights::Denial;
use procession::runtime::ChangeError;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a_name_leads_to_who_registered_it", leads),
        story("a3_only_those_look_up_and_register_that_the_topology_lets", rights),
        story("a_duplicate_is_an_error_that_shows_the_holder", duplicate),
        story("a_name_vanishes_with_the_process_of_its_holder_and_is_back_with_the_next_life", killed),
        story("a_name_vanishes_with_a_panic_of_its_holder_and_is_back_with_the_next_life", panicked),
        story("a_name_is_free_when_its_holder_will_not_come_back", gone),
        story("an_exported_actor_takes_its_name_with_it", exported),
        story("a_name_is_taken_back_by_those_who_may", taken_back),
        story("an_actor_of_another_process_can_be_named", others),
        story("a3_a_name_is_not_given_to_an_address_that_is_no_right", no_right),
        story("a_watch_ends_when_it_is_dropped", unwatched),
        story("a_namespace_is_full_at_its_limit", full),
        story("names_end_with_the_topology", end),
    ]
}

async fn registered(member: &ProcAddr<Member>, name: &str) {
    member.send(Register(name.into())).await.unwrap().unwrap();
}

async fn leads(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    registered(&a, "all/x").await;
    for who in [&a, &b, &c] {
        let found = who.send(LookUp("all/x".into())).await?.unwrap();
        assert_eq!(found, a);
        assert_eq!(who.send(Ask { whom: found, value: 3 }).await?, Ok(6));
    }
    let found = running.runtime().look_up::<Member>("all/x").await.unwrap();
    assert_eq!(who(&found).await.name, "a");
    let error = b.send(LookUp("all/y".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    let error = b.send(LookUpOther("all/x".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::WrongType { .. }), "{error}");
    let error = b.send(LookUp("no name".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::Invalid { .. }), "{error}");
    // The same name once more is no harm.
    registered(&a, "all/x").await;
    running.shutdown().await
}

async fn rights(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    registered(&a, "some/x").await;
    assert_eq!(b.send(LookUp("some/x".into())).await?.unwrap(), a);
    let refused = |error: NameError, wanted: Right| match error {
        NameError::NotAllowed { right, .. } => assert_eq!(right, wanted),
        error => panic!("{error}"),
    };
    refused(b.send(Register("some/y".into())).await?.unwrap_err(), Right::Register);
    refused(c.send(LookUp("some/x".into())).await?.unwrap_err(), Right::LookUp);
    refused(c.send(WatchName("some/x".into())).await?.unwrap_err(), Right::LookUp);
    refused(c.send(Join("some/g".into())).await?.unwrap_err(), Right::Register);
    refused(c.send(WatchGroup("some/g".into())).await?.unwrap_err(), Right::LookUp);
    // To start one takes both.
    let started = a.send(LookUpOrStart { name: "some/y".into(), actor: "y".into() }).await?;
    assert!(started.is_err_and(|error| error.contains("lookup")));
    assert_eq!(running.runtime().look_up::<Member>("some/x").await.unwrap(), a, "the root may all");
    let error = a.send(Register("none/x".into())).await?.unwrap_err();
    assert_eq!(error, NameError::NoNamespace("none".into()));
    running.shutdown().await
}

async fn duplicate(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    registered(&a, "all/x").await;
    let error = b.send(Register("all/x".into())).await?.unwrap_err();
    let NameError::Taken { holder, .. } = error else { panic!("{error}") };
    assert_eq!((holder.process.as_str(), holder.addr::<Member>().unwrap()), ("a", a.clone()));
    assert!(holder.addr::<Other>().is_err());
    // Its own second actor is another, too.
    let too = running.addr::<Member>("a-too")?;
    assert!(matches!(too.send(Register("all/x".into())).await?, Err(NameError::Taken { .. })));
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    registered(&a, "all/x").await;
    for watcher in [&b, &c] {
        watcher.send(WatchName("all/x".into())).await?.unwrap();
        told(watcher, is_here(1)).await;
    }
    kill(&a).await;
    for watcher in [&b, &c] {
        let states = told(watcher, is_here(2)).await;
        assert!(states.iter().any(is_away), "{states:?}");
    }
    // Nobody registered it anew.
    let found = b.send(LookUp("all/x".into())).await?.unwrap();
    assert_eq!((found.clone(), who(&found).await.incarnation), (a, 2));
    running.shutdown().await
}

async fn panicked(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    registered(&a, "all/x").await;
    b.send(WatchName("all/x".into())).await?.unwrap();
    told(&b, is_here(1)).await;
    assert!(a.send(Panic).await.is_err());
    let states = told(&b, is_here(2)).await;
    assert!(states.iter().any(is_away), "{states:?}");
    assert_eq!((who(&a).await.incarnation, who(&a).await.restarts), (1, 1));
    running.shutdown().await
}

async fn gone(root: Root) -> procession::Result<()> {
    let once = Process::new("once").actor::<Member>("once", ()).restart(Policy::Temporary);
    let running = root.deploy(topology().process(process("a")).process(once).process(process("b"))).await?;
    let (a, once) = (running.addr::<Member>("a")?, running.addr::<Member>("once")?);
    a.send(WatchName("all/x".into())).await?.unwrap();
    told(&a, is_free).await;
    registered(&once, "all/x").await;
    told(&a, is_here(1)).await;
    signal(who(&once).await.pid, nix::sys::signal::Signal::SIGKILL);
    told(&a, is_free).await;
    registered(&a, "all/x").await;
    // An actor that is stopped for good, in a process that lives.
    let started = a.send(LookUpOrStart { name: "all/y".into(), actor: "y".into() }).await?.unwrap();
    a.send(Unwatch).await?;
    a.send(WatchName("all/y".into())).await?.unwrap();
    told(&a, is_here(1)).await;
    running.stop("a").await.unwrap();
    let error = running.runtime().look_up::<Member>("all/y").await.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    drop(started);
    running.shutdown().await
}

async fn exported(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    b.send(WatchName("all/x".into())).await?.unwrap();
    let exported = a.send(Export("all/x".into())).await?.unwrap();
    told(&b, is_here(1)).await;
    exported.send(Stop).await?;
    told(&b, is_free).await;
    let exported = a.send(Export("all/x".into())).await?.unwrap();
    told(&b, is_here(1)).await;
    kill(&a).await;
    told(&b, is_free).await;
    let error = exported.send(Double(1)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Stale { .. } | Cause::PeerDied { .. }), "{error}");
    running.shutdown().await
}

async fn taken_back(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    registered(&a, "all/x").await;
    let error = b.send(Unregister("all/x".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "it is not its own: {error}");
    a.send(Unregister("all/x".into())).await?.unwrap();
    assert!(b.send(LookUp("all/x".into())).await?.is_err());
    registered(&b, "all/x").await;
    running.runtime().unregister("all/x", &b).await.unwrap();
    assert!(b.send(LookUp("all/x".into())).await?.is_err());
    running.shutdown().await
}

async fn others(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    running.runtime().register("all/x", &a).await.unwrap();
    b.send(RegisterFor { name: "all/y".into(), whom: a.clone() }).await?.unwrap();
    for name in ["all/x", "all/y"] {
        assert_eq!(c.send(LookUp(name.into())).await?.unwrap(), a);
    }
    // It is no matter what becomes of who gave it.
    kill(&b).await;
    assert_eq!(c.send(LookUp("all/y".into())).await?.unwrap(), a);
    // An actor of the root.
    let own = ProcAddr::export(Member::new("own").start()).unwrap();
    running.runtime().register("all/root", &own).await.unwrap();
    let found = c.send(LookUp("all/root".into())).await?.unwrap();
    assert_eq!(c.send(Ask { whom: found, value: 4 }).await?, Ok(8));
    // By an address that is taken back: the name is free, and that address is good for no other.
    let copy = own.revocable().unwrap();
    running.runtime().register("all/copy", &copy).await.unwrap();
    assert_eq!(c.send(LookUp("all/copy".into())).await?.unwrap(), copy);
    copy.revoke().unwrap();
    until(|| async { c.send(LookUp("all/copy".into())).await.unwrap().is_err() }).await;
    let error = running.runtime().register("all/copy", &copy).await.unwrap_err();
    assert!(matches!(error, NameError::NoRight(..)), "{error}");
    own.send(Stop).await?;
    until(|| async { c.send(LookUp("all/root".into())).await.unwrap().is_err() }).await;
    // One that does not live.
    let error = c.send(RegisterFor { name: "all/z".into(), whom: own }).await?.unwrap_err();
    assert!(matches!(error, NameError::NoActor(_)), "{error}");
    running.shutdown().await
}

async fn no_right(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    // The number of an actor that lives, which nobody has proved a right to.
    let bytes =
        procession::codec::encode(&Capability::unsealed(ActorId::declared(ProcessId(1), Slot(0))), 1 << 10)
            .unwrap();
    let guess: ProcAddr<Member> = procession::codec::decode(&bytes).unwrap();
    for error in [
        running.runtime().register("all/x", &guess).await.unwrap_err(),
        running.runtime().join("all/g", &guess).await.unwrap_err(),
        b.send(RegisterFor { name: "all/x".into(), whom: guess.clone() }).await?.unwrap_err(),
    ] {
        assert!(matches!(error, NameError::NoRight(_, Denial::NoRight)), "{error}");
    }
    // Nothing has changed: nobody is called so, and whoever has a right may be.
    let error = b.send(LookUp("all/x".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    registered(&a, "all/x").await;
    running.shutdown().await
}

async fn unwatched(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    for watcher in [&a, &b] {
        watcher.send(WatchName("all/x".into())).await?.unwrap();
        told(watcher, is_free).await;
    }
    a.send(Unwatch).await?;
    registered(&b, "all/x").await;
    told(&b, is_here(1)).await;
    assert!(a.send(NameChanges).await?.is_empty());
    // A new watch is told of the present.
    a.send(WatchName("all/x".into())).await?.unwrap();
    told(&a, is_here(1)).await;
    running.shutdown().await
}

async fn full(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    for number in 0..20 {
        registered(&a, &format!("all/{number}")).await;
    }
    for refused in [Register("all/more".into())] {
        let error = b.send(refused).await?.unwrap_err();
        assert!(matches!(error, NameError::TooMany { most: 20, .. }), "{error}");
    }
    assert!(matches!(b.send(Join("all/g".into())).await?, Err(NameError::TooMany { .. })));
    a.send(Unregister("all/7".into())).await?.unwrap();
    registered(&b, "all/more").await;
    running.shutdown().await
}

async fn end(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    registered(&a, "all/x").await;
    let group = root.runtime().group::<Member>("all/g").await.unwrap();
    assert!(group.members().unwrap().is_empty());
    running.shutdown().await?;
    let error = root.runtime().look_up::<Member>("all/x").await.unwrap_err();
    assert!(matches!(error, NameError::Request(ChangeError::NoRuntime | ChangeError::Stopping)), "{error}");
    // The next topology begins without names, and what was known of the last one's groups is void.
    let (running, [a, b, _]) = three(&root).await?;
    let error = root.runtime().look_up::<Member>("all/x").await.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    a.send(Join("all/g".into())).await?.unwrap();
    assert_eq!(group.route(Routing::Random).send(Double(2)).await?, 4);
    assert_eq!(b.send(Members(group)).await?, 1);
    running.shutdown().await
}
