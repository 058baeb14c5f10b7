//! Real workers that break the protocol of their data pipes: who is told, who is named, who is killed (X-1, H59).

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::id::Signal;
use procession::prelude::*;
use procession::runtime::{Event, Events};
use procession::topology::OnViolation;

use crate::played::{played, without_a_child_left};
use crate::program::{Forward, Hello, Honest, ROLE, program};

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("x1_what_the_root_sees_itself_ends_the_one_that_did_it", seen_by_the_root),
        story("x1_who_scribbles_over_shared_memory_is_found_out", scribbled),
        story("x1_what_a_worker_says_is_told_and_counted_and_kills_nobody", reported),
        story("x1_by_policy_what_a_worker_says_kills", killed_by_policy),
        story("h59_who_has_no_pipe_to_another_can_not_accuse_it", false_accusation),
    ]
}

fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || without_a_child_left(played(program(), PATIENCE, play)))
}

fn honest() -> Process {
    Process::new("honest").actor::<Honest>("honest", ())
}

fn evil(role: &str) -> Process {
    Process::new("evil").actor::<Honest>("evil", ()).env(ROLE, role)
}

async fn deploy(root: &Root, evil: Process) -> procession::Result<(Running, Events)> {
    let running = root.deploy(Topology::new("stories").process(honest()).process(evil)).await?;
    let events = running.events();
    Ok((running, events))
}

/// What was said of the next process that was blamed: who, by whom, how, how often, and whether it is killed.
async fn blamed(events: &mut Events) -> (String, String, String, u64, bool) {
    loop {
        if let Event::Blamed { process, by, reason, count, killed, .. } = events.next().await.unwrap() {
            return (process.to_string(), by.to_string(), reason, count, killed);
        }
    }
}

async fn seen_by_the_root(root: Root) -> procession::Result<()> {
    // Though the policy of the process is the mild one.
    let (running, mut events) = deploy(&root, evil("noise").on_violation(OnViolation::Report)).await?;
    let error = running.addr::<Honest>("evil")?.send(Hello).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Protocol { .. }), "{error}");
    let (process, by, reason, count, killed) = blamed(&mut events).await;
    assert_eq!((&process[..], &by[..], count, killed), ("evil", "root", 1, true), "{reason}");
    let exit = loop {
        if let Event::Exited { death, asked: false, .. } = events.next().await.unwrap() {
            break death.exit;
        }
    };
    assert_eq!(exit, Exit::Signal { signal: Signal(9), core_dumped: false });
    assert!(running.addr::<Honest>("honest")?.send(Hello).await.is_ok(), "nobody else is harmed");
    running.shutdown().await
}

async fn scribbled(root: Root) -> procession::Result<()> {
    let (running, mut events) = deploy(&root, evil("scribbler")).await?;
    let error = running.addr::<Honest>("evil")?.send(Hello).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Protocol { .. }), "{error}");
    let (process, by, reason, count, killed) = blamed(&mut events).await;
    assert_eq!((&process[..], &by[..], count, killed), ("evil", "root", 1, true));
    assert!(reason.contains("shared memory"), "{reason}");
    assert!(running.addr::<Honest>("honest")?.send(Hello).await.is_ok(), "nobody else is harmed");
    running.shutdown().await
}

async fn reported(root: Root) -> procession::Result<()> {
    let (running, mut events) = deploy(&root, evil("stranger")).await?;
    let (honest, evil) = (running.addr::<Honest>("honest")?, running.addr::<Honest>("evil")?);
    for count in 1..=2 {
        // The second time over another pipe, which the root makes when no death has come.
        let error = honest.send(Forward(evil.clone())).await.unwrap();
        assert!(error.contains("broke the protocol"), "{error}");
        let (process, by, reason, counted, killed) = blamed(&mut events).await;
        assert_eq!((&process[..], &by[..], counted, killed), ("evil", "honest", count, false));
        assert!(reason.contains("magic"), "{reason}");
    }
    let status = running.processes().await?;
    let evil = status.iter().find(|status| status.name.as_str() == "evil").unwrap();
    assert_eq!((evil.violations, evil.incarnation.map(|life| life.0)), (2, Some(1)));
    running.shutdown().await
}

async fn killed_by_policy(root: Root) -> procession::Result<()> {
    let (running, mut events) = deploy(&root, evil("noise").on_violation(OnViolation::Kill)).await?;
    let (honest, evil) = (running.addr::<Honest>("honest")?, running.addr::<Honest>("evil")?);
    let error = honest.send(Forward(evil)).await.unwrap();
    assert!(error.contains("broke the protocol"), "{error}");
    let (process, by, reason, count, killed) = blamed(&mut events).await;
    assert_eq!((&process[..], &by[..], count, killed), ("evil", "honest", 1, true), "{reason}");
    loop {
        // It is restarted as any process that died.
        if let Event::Ready { process, incarnation, .. } = events.next().await.unwrap() {
            assert_eq!((process.as_str(), incarnation.0), ("evil", 2));
            break;
        }
    }
    running.shutdown().await
}

async fn false_accusation(root: Root) -> procession::Result<()> {
    let processes = [honest().on_violation(OnViolation::Kill), evil("accuser")];
    let topology = processes.into_iter().fold(Topology::new("stories"), Topology::process);
    let running = root.deploy(topology).await?;
    let mut events = running.events();
    let honest = running.addr::<Honest>("honest")?;
    let before = honest.send(Hello).await.unwrap();
    // It asks for a pipe after its accusations, so they were heard when its silence on the pipe is.
    let error = honest.send(Forward(running.addr("evil")?)).timeout(Duration::from_secs(1)).await;
    assert!(error.is_err(), "it never answers");
    assert_eq!(honest.send(Hello).await.unwrap(), before, "the accused lives");
    let status = running.processes().await?;
    assert!(status.iter().all(|status| status.violations == 0));
    running.shutdown().await?;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Blamed { .. }), "{event}");
    }
    Ok(())
}
