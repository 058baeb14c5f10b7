//! Look up or start: of all who ask at once one starts, and all get the same.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::NameError;
use procession::prelude::*;
use procession::runtime::StartError;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("of_all_who_look_up_or_start_at_once_one_starts", one_starts),
        story("a_start_that_fails_gives_the_turn_to_the_next", next_turn),
        story("a_starter_that_dies_gives_the_turn_to_the_next", starter_dies),
        story("a_start_that_is_dropped_gives_the_turn_to_the_next", dropped),
        story("a_holder_between_two_lives_is_waited_for_and_not_started_again", waited_for),
        story("a_process_can_be_looked_up_or_started", process_started),
        story("who_waits_for_a_name_no_longer_makes_room", given_up),
    ]
}

fn start(member: &ProcAddr<Member>, actor: &str) -> procession::address::Request<LookUpOrStart> {
    member.send(LookUpOrStart { name: "all/x".into(), actor: actor.into() })
}

async fn one_starts(root: Root) -> procession::Result<()> {
    let (running, members) = three(&root).await?;
    let asked = (0..30).map(|number| start(&members[number % 3], &format!("started-{number}")));
    let found: Vec<_> = join_all(asked).await.into_iter().map(|found| found.unwrap().unwrap()).collect();
    let lives = join_all(found.iter().map(who)).await;
    let names: BTreeSet<_> = lives.iter().map(|me| (me.pid, me.name.clone())).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let all: usize = running.plan().processes.iter().map(|process| process.actors.len()).sum();
    assert_eq!(all, 6 + 1, "only one was started");
    running.shutdown().await
}

async fn next_turn(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let failing = a.send(LookUpOrFail("all/x".into()));
    until(|| async { a.send(HasBegun).await.unwrap() }).await;
    // Nobody takes it meanwhile.
    let error = c.send(Register("all/x".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::BeingStarted { .. }), "{error}");
    let waiting = start(&b, "second");
    a.send(Release).await?;
    assert!(failing.await?.is_err_and(|error| error.contains("not my day")));
    assert_eq!(who(&waiting.await?.unwrap()).await.name, "second");
    running.shutdown().await
}

async fn starter_dies(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let pid = who(&a).await.pid;
    let dying = a.send(LookUpOrFail("all/x".into()));
    until(|| async { a.send(HasBegun).await.unwrap() }).await;
    // Nobody takes it meanwhile.
    let error = c.send(Register("all/x".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::BeingStarted { .. }), "{error}");
    let waiting = start(&b, "second");
    signal(pid, Signal::SIGKILL);
    assert!(dying.await.is_err());
    assert_eq!(who(&waiting.await?.unwrap()).await.name, "second");
    running.shutdown().await
}

async fn dropped(root: Root) -> procession::Result<()> {
    let (running, [_, b, _]) = three(&root).await?;
    let runtime = root.runtime().clone();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let never = async || {
        begin.send(()).unwrap();
        std::future::pending::<Result<ProcAddr<Member>, String>>().await
    };
    let mut starting = Box::pin(runtime.look_up_or_start("all/x", never));
    tokio::select! {
        started = &mut starting => panic!("{started:?}"),
        begun = begun => begun.unwrap(),
    }
    // One that waits and is dropped does not keep the turn that it gets.
    let mut waiting =
        Box::pin(runtime.look_up_or_start::<Member, _, _, _>("all/x", async || Err("never called")));
    assert!((&mut waiting).now_or_never().is_none());
    drop(waiting);
    let second = start(&b, "second");
    drop(starting);
    assert_eq!(who(&second.await?.unwrap()).await.name, "second");
    running.shutdown().await
}

async fn waited_for(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    a.send(Register("all/x".into())).await?.unwrap();
    let before = who(&a).await;
    signal(before.pid, Signal::SIGKILL);
    // Told while it is away, or before its death is known.
    let found = start(&b, "another").await?.unwrap();
    assert_eq!(found, a);
    while who(&a).await.pid == before.pid {}
    assert_eq!(start(&b, "another").await?.unwrap(), a);
    assert!(running.addr::<Member>("another").is_err());
    running.shutdown().await
}

async fn process_started(root: Root) -> procession::Result<()> {
    let (running, [_, b, _]) = three(&root).await?;
    let runtime = root.runtime();
    let start_it = async || {
        let started = runtime.start(process("extra")).await.map_err(|error| error.to_string())?;
        started.addr::<Member>("extra").map_err(|error| error.to_string())
    };
    let found = runtime.look_up_or_start("all/x", start_it).await.unwrap();
    assert_eq!(who(&found).await.name, "extra");
    assert_eq!(start(&b, "another").await?.unwrap(), found);
    let failed = runtime.look_up_or_start::<Member, _, _, _>("all/y", async || Err("no")).await;
    assert!(matches!(failed, Err(StartError::Start("no"))));
    running.shutdown().await
}

async fn given_up(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    let failing = a.send(LookUpOrFail("all/x".into()));
    until(|| async { a.send(HasBegun).await.unwrap() }).await;
    let runtime = running.runtime();
    for _ in 0..100 {
        let never = async || Err::<ProcAddr<Member>, _>("somebody else starts it");
        let waiting = runtime.look_up_or_start::<Member, _, _, _>("all/x", never).now_or_never();
        assert!(waiting.is_none(), "{waiting:?}");
        let error = runtime.look_up::<Member>("all/y").await.unwrap_err();
        assert!(matches!(error, NameError::Unknown(_)), "{error}");
    }
    a.send(Release).await?;
    assert!(failing.await?.is_err());
    running.shutdown().await
}
