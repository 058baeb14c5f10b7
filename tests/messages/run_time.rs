//! Processes that come and go while the topology runs, asked for by the root and by actors in workers.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;
use procession::runtime::{ChangeError, Event, Events};

use crate::actors::*;
use crate::founder::*;
use crate::stage::{deploy, event, left, long_story, one, probe, signal, story, until, who};
use crate::states::{HandsOver, Put, Vault};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p5_the_root_starts_and_stops_a_process_at_run_time", root_starts_and_stops),
        story("p5_a_process_started_at_run_time_is_restarted_at_the_same_address", restarted),
        story("p5_an_actor_starts_a_process_that_outlives_it", outlives_its_starter),
        story("p5_a_linked_process_ends_with_the_life_that_started_it", linked),
        story("p5_a_restarted_starter_is_told_what_is_there", already_there),
        story("p5_clashes_and_faults_are_typed_and_change_nothing", refused),
        story("p5_a_first_start_that_fails_leaves_nothing", fails_to_start),
        story("p5_only_the_starter_and_the_root_may_stop", not_yours),
        story("p5_replicas_start_and_stop_together", replicas),
        story("p5_a_temporary_process_that_ends_is_forgotten", temporary),
        story("p4_processes_of_run_time_stop_first_and_in_reverse", stop_order),
        story("p4_a_start_that_waits_at_the_shutdown_is_refused", refused_at_the_end),
        story("p2_a_starter_that_dies_while_its_process_starts_leaves_no_orphan", dies_while_starting),
        story("p5_states_of_a_removed_process_are_forgotten", states_are_forgotten),
        story("p5_an_actor_started_at_run_time_lives_with_its_process", actor_lives_with_its_process),
        story("p5_an_actor_that_is_stopped_leaves_its_name_and_no_address", actor_is_stopped),
        story("p5_a_temporary_actor_that_ends_is_forgotten", temporary_actor),
        story("p5_actors_that_cant_be_started_leave_nothing", actors_refused),
        story("p5_states_of_actors_started_at_run_time_outlive_their_process", actor_with_state),
        long_story("m3_those_that_come_and_go_leave_nothing", LONG, come_and_go),
    ]
}

/// Some thousand starts and stops, on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(240);

/// The process `base` with the founder, and `left` with two probes.
async fn founded(root: &Root) -> procession::Result<(Running, ProcAddr<Founder>)> {
    let base = Process::new("base").actor::<Founder>("founder", ());
    let running = deploy(root, [base, left()]).await?;
    let founder = running.addr("founder")?;
    Ok((running, founder))
}

async fn found(founder: &ProcAddr<Founder>, name: &str, linked: bool) -> ProcAddr<Probe> {
    founder.send(Found { name: name.into(), linked }).await.unwrap().unwrap()
}

/// Who the founder is now.
async fn the_founder(founder: &ProcAddr<Founder>) -> Life {
    loop {
        match founder.send(WhoAreYou).await {
            Ok(life) => return life,
            Err(error) if matches!(error.cause(), Cause::PeerDied { .. } | Cause::Stopping(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn kill_the_founder(founder: &ProcAddr<Founder>) {
    let before = the_founder(founder).await;
    signal(before.pid, Signal::SIGKILL);
    assert_eq!(the_founder(founder).await.incarnation, before.incarnation + 1);
}

async fn removed(events: &mut Events, name: &str) {
    event(events, |event| match event {
        Event::Removed { process } if process.as_str() == name => Some(()),
        _ => None,
    })
    .await;
}

async fn names(running: &Running) -> Vec<String> {
    running.processes().await.unwrap().into_iter().map(|status| status.name.to_string()).collect()
}

async fn root_starts_and_stops(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    for _ in 0..2 {
        let started = running.start(with_probe("extra")).await?;
        assert_eq!(started.processes()[0].as_str(), "extra");
        let extra = started.addr::<Probe>("of-extra")?;
        assert_eq!(extra, running.addr("of-extra")?);
        assert_eq!(extra.send(Double(4)).await?, 8);
        // One worker reaches it as it reaches any other.
        assert_eq!(a.send(Ask { whom: extra.clone(), value: 5 }).await?, Ok(10));
        let by = event(&mut events, |event| match event {
            Event::Added { process, by } if process.as_str() == "extra" => Some(by.to_string()),
            _ => None,
        });
        assert_eq!(by.await, "root");
        assert_eq!(names(&running).await, ["left", "extra"]);
        assert!(running.plan().process("extra").is_some());
        running.stop("extra").await?;
        removed(&mut events, "extra").await;
        assert_eq!(names(&running).await, ["left"]);
        assert!(running.plan().process("extra").is_none() && running.addr::<Probe>("of-extra").is_err());
        let error = extra.send(Double(1)).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Unreachable { .. } | Cause::PeerDied { .. }), "{error}");
        assert_eq!(error.verdict(), Verdict::NotExecuted);
    }
    running.shutdown().await
}

async fn restarted(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root).await?;
    let extra = running.start(with_probe("extra")).await?.addr::<Probe>("of-extra")?;
    let life = who(&extra).await;
    signal(life.pid, Signal::SIGKILL);
    let next = who(&extra).await;
    assert_eq!((next.incarnation, next.last_exit.is_some()), (2, true));
    running.restart("extra").await?;
    loop {
        if who(&extra).await.incarnation == 3 {
            break;
        }
    }
    running.shutdown().await
}

async fn outlives_its_starter(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let extra = found(&founder, "extra", false).await;
    assert_eq!(who(&extra).await.incarnation, 1);
    let told = founder.send(Who).await?;
    let expected = [("base", None), ("left", None), ("extra", Some("base"))];
    assert_eq!(told, expected.map(|(name, by)| (name.to_owned(), by.map(str::to_owned))));
    kill_the_founder(&founder).await;
    assert_eq!(who(&extra).await.incarnation, 1);
    // Its next life may stop it.
    founder.send(Dissolve("extra".into())).await?.unwrap();
    assert_eq!(names(&running).await, ["base", "left"]);
    running.shutdown().await
}

async fn linked(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let mut events = running.events();
    let extra = found(&founder, "extra", true).await;
    let pid = who(&extra).await.pid;
    kill_the_founder(&founder).await;
    removed(&mut events, "extra").await;
    until(|| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), None).is_err())
        .await;
    assert_eq!(names(&running).await, ["base", "left"]);
    // The name is free.
    found(&founder, "extra", true).await;
    running.shutdown().await
}

async fn already_there(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let (is_new, extra) = founder.send(FindOrFound("extra".into())).await?.unwrap();
    assert!(is_new);
    let life = who(&extra).await;
    kill_the_founder(&founder).await;
    let (is_new, again) = founder.send(FindOrFound("extra".into())).await?.unwrap();
    assert_eq!((is_new, &again), (false, &extra));
    assert_eq!(who(&again).await, life);
    // Its next lives know the name by themselves.
    kill_the_founder(&founder).await;
    running.shutdown().await
}

async fn refused(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let clash = running.start(with_probe("left")).await.unwrap_err();
    assert!(matches!(&clash, ChangeError::AlreadyThere { process, .. } if process.as_str() == "left"));
    assert_eq!(clash.addr::<Probe>("a")?.send(Double(2)).await?, 4);
    // A worker is not given the addresses of what it did not start.
    let told = founder.send(FindOrFound("left".into())).await?;
    assert!(told.is_err());
    let cases = [
        (probe("extra", "a"), "a second actor is called `a`"),
        (Process::new("extra"), "has no actors"),
        (probe("not a name", "x"), "is no name"),
        (Process::new("extra").actor_value("x", "no::Such", ().into()), "no::Such"),
        (with_probe("extra").restart(Strategy::OneForAll), "belong to a group"),
        (with_probe("extra").program("/no/such/program"), "/no/such/program"),
        (
            Process::new("extra")
                .actor::<Talker>("x", Talking { to: ProcAddr::named("nobody"), tell: "/dev/null".into() }),
            "no actor is called `nobody`",
        ),
    ];
    for (process, expected) in cases {
        let error = running.start(process).await.unwrap_err();
        assert!(matches!(error, ChangeError::Invalid(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let large = Process::new("extra").arg("x".repeat(2 << 20)).actor::<Probe>("x", ());
    assert_eq!(running.start(large).await.unwrap_err(), ChangeError::TooLarge);
    assert_eq!(running.stop("nobody").await.unwrap_err(), ChangeError::Unknown("nobody".into()));
    assert_eq!(names(&running).await, ["base", "left"]);
    let old = running.clone();
    running.shutdown().await?;
    assert_eq!(old.start(with_probe("extra")).await.unwrap_err(), ChangeError::Stopping);
    assert_eq!(Runtime::current().unwrap().processes().await.unwrap_err(), ChangeError::NoRuntime);
    Ok(())
}

async fn fails_to_start(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    for (mishap, expected) in [
        (Mishap::Refuses, "the database is down"),
        (Mishap::Panics, "no database"),
        (Mishap::Exits(33), "33"),
    ] {
        let picky = Process::new("picky").actor::<Picky>("picky", mishap);
        let error = running.start(picky).await.unwrap_err();
        assert!(matches!(&error, ChangeError::NotStarted { name, .. } if name == "picky"), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(names(&running).await, ["left"]);
    }
    running.start(Process::new("picky").actor::<Picky>("picky", Mishap::None)).await?;
    assert_eq!(who(&a).await.incarnation, 1);
    running.shutdown().await
}

async fn not_yours(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    running.start(with_probe("extra")).await?;
    for name in ["left", "extra"] {
        let error = founder.send(Dissolve(name.into())).await?.unwrap_err();
        assert_eq!(error, ChangeError::NotYours(name.into()).to_string());
    }
    let error = founder.send(Dissolve("nobody".into())).await?.unwrap_err();
    assert_eq!(error, ChangeError::Unknown("nobody".into()).to_string());
    // The root may stop whatever there is.
    running.stop("left").await?;
    running.stop("extra").await?;
    assert_eq!(names(&running).await, ["base"]);
    running.shutdown().await
}

async fn replicas(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root).await?;
    let started = running.start(with_probe("many").replicas(3)).await?;
    assert_eq!(started.processes().len(), 3);
    for index in 1..=3 {
        let probe = started.addr::<Probe>(&format!("of-many-{index}"))?;
        assert_eq!(probe.send(Double(index)).await?, 2 * index);
    }
    let clash = running.start(with_probe("many-2")).await.unwrap_err();
    assert!(matches!(clash, ChangeError::AlreadyThere { .. }), "{clash}");
    running.stop("many").await?;
    assert_eq!(names(&running).await, ["left"]);
    running.shutdown().await
}

async fn temporary(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root).await?;
    let mut events = running.events();
    let job = with_probe("job").restart(Policy::Temporary);
    for code in [0, 3] {
        let probe = running.start(job.clone()).await?.addr::<Probe>("of-job")?;
        probe.send(Finish(code)).await?;
        removed(&mut events, "job").await;
        assert_eq!(names(&running).await, ["left"]);
    }
    running.shutdown().await
}

async fn stop_order(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    running.start(with_probe("second")).await?;
    found(&founder, "third", false).await;
    let mut events = running.events();
    let exits = tokio::task::spawn_local(async move {
        let mut exits = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Exited { process, asked, death, .. } = event {
                assert!(asked && death.exit.is_success(), "{process}");
                exits.push(process.to_string());
            }
        }
        exits
    });
    running.shutdown().await?;
    assert_eq!(exits.await.unwrap(), ["third", "second", "left", "base"]);
    Ok(())
}

async fn refused_at_the_end(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root).await?;
    let mut events = running.events();
    let slow = Process::new("slow").actor::<Picky>("slow", Mishap::NeverReady);
    let slow = slow.shutdown(Shutdown::BrutalKill);
    let starter = running.clone();
    let starting = tokio::task::spawn_local(async move { starter.start(slow).await });
    event(&mut events, |event| matches!(event, Event::Started { .. }).then_some(())).await;
    running.shutdown().await?;
    assert_eq!(starting.await.unwrap().unwrap_err(), ChangeError::Stopping);
    Ok(())
}

async fn dies_while_starting(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    for linked in [true, false] {
        let mut events = running.events();
        let asked = founder.send(FoundSlow { name: "slow".into(), linked });
        let started = event(&mut events, |event| match event {
            Event::Started { process, .. } if process.as_str() == "slow" => Some(()),
            _ => None,
        });
        started.await;
        kill_the_founder(&founder).await;
        assert!(asked.await.is_err());
        // At once, or at its deadline.
        removed(&mut events, "slow").await;
        assert_eq!(names(&running).await, ["base", "left"]);
    }
    running.shutdown().await
}

async fn states_are_forgotten(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root).await?;
    for _ in 0..2 {
        let process = Process::new("extra").actor::<Vault>("vault", HandsOver::Itself);
        let vault = running.start(process).await?.addr::<Vault>("vault")?;
        assert!(crate::states::is_empty(&vault).await);
        vault.send(Put(7)).await?.unwrap();
        running.stop("extra").await?;
    }
    running.shutdown().await
}

/// Whether the channel to it was open or not.
fn is_gone<M>(error: &procession::address::SendError<M>) {
    assert!(matches!(error.cause(), Cause::NoActor(_) | Cause::ActorStopped), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
}

async fn found_actor(founder: &ProcAddr<Founder>, name: &str, temporary: bool) -> ProcAddr<Probe> {
    founder.send(FoundActor { name: name.into(), temporary }).await.unwrap().unwrap()
}

async fn actor_lives_with_its_process(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let extra = found_actor(&founder, "extra", false).await;
    assert_eq!(extra, running.addr("extra")?);
    // From another worker, too.
    let a = running.addr::<Probe>("a")?;
    assert_eq!(a.send(Ask { whom: extra.clone(), value: 5 }).await?, Ok(10));
    let status = running.processes().await?;
    assert_eq!(status[0].actors, ["founder", "extra"]);
    // A panic restarts it as any other.
    assert!(extra.send(Panic("ouch".into())).await.is_err());
    assert_eq!((who(&extra).await.incarnation, who(&extra).await.restarts), (1, 1));
    kill_the_founder(&founder).await;
    assert_eq!(who(&extra).await.incarnation, 2);
    let (is_new, again) = founder.send(FindOrFoundActor("extra".into())).await?.unwrap();
    assert_eq!((is_new, again), (false, extra.clone()));
    founder.send(DissolveActor("extra".into())).await?.unwrap();
    let error = extra.send(Double(1)).await.unwrap_err();
    is_gone(&error);
    kill_the_founder(&founder).await;
    assert!(running.addr::<Probe>("extra").is_err());
    running.shutdown().await
}

async fn actor_is_stopped(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let mut before: Option<ProcAddr<Probe>> = None;
    for _ in 0..3 {
        let extra = found_actor(&founder, "extra", false).await;
        assert_eq!(extra.send(Double(3)).await?, 6);
        if let Some(before) = before.replace(extra) {
            let error = before.send(Double(1)).await.unwrap_err();
            is_gone(&error);
        }
        founder.send(DissolveActor("extra".into())).await?.unwrap();
        let error = founder.send(DissolveActor("extra".into())).await?.unwrap_err();
        assert_eq!(error, ChangeError::Unknown("extra".into()).to_string());
    }
    running.shutdown().await
}

async fn temporary_actor(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    for _ in 0..2 {
        let job = found_actor(&founder, "job", true).await;
        assert!(job.send(Panic("done".into())).await.is_err());
        // The name is free as soon as the root knows.
        loop {
            if running.addr::<Probe>("job").is_err() {
                break;
            }
            running.processes().await?;
        }
    }
    // It is not born again with its process.
    found_actor(&founder, "job", true).await;
    kill_the_founder(&founder).await;
    assert!(running.addr::<Probe>("job").is_err());
    running.shutdown().await
}

async fn actors_refused(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    // Of another process: without its address.
    let error = founder.send(FindOrFoundActor("a".into())).await?.unwrap_err();
    assert!(error.contains("an actor called a already"), "{error}");
    let error = founder.send(FindOrFoundActor("not a name".into())).await?.unwrap_err();
    assert!(error.contains("a name"), "{error}");
    for (mishap, expected) in
        [(Mishap::Refuses, "the database is down"), (Mishap::Panics, "no database at all")]
    {
        let error = founder.send(FoundPicky(mishap)).await?.unwrap_err();
        assert!(error.contains("picky did not start") && error.contains(expected), "{error}");
    }
    founder.send(FoundPicky(Mishap::None)).await?.unwrap();
    // What was declared stays.
    let error = founder.send(DissolveActor("founder".into())).await?.unwrap_err();
    assert_eq!(error, ChangeError::Unknown("founder".into()).to_string());
    let in_root = Runtime::current().unwrap().start_actor::<Probe>("mine", ()).await;
    assert_eq!(in_root.unwrap_err(), ChangeError::InRoot);
    assert_eq!(the_founder(&founder).await.restarts, 0);
    running.shutdown().await
}

async fn actor_with_state(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let vault = founder.send(FoundVault("vault".into())).await?.unwrap();
    vault.send(Put(7)).await?.unwrap();
    kill_the_founder(&founder).await;
    assert!(!crate::states::is_empty(&vault).await);
    founder.send(DissolveActor("vault".into())).await?.unwrap();
    let vault = founder.send(FoundVault("vault".into())).await?.unwrap();
    assert!(crate::states::is_empty(&vault).await);
    running.shutdown().await
}

/// Anonymous memory of a process, in bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
}

/// What those leave that came and went, in each process that knew them: first some, so that all is there that is kept
/// for the next, then as many as `counted`.
async fn grown<F: Future<Output = procession::Result<()>>>(
    pids: &[u32],
    (first, counted): (u32, u32),
    come_and_go: impl Fn(u32) -> F,
) -> procession::Result<u64> {
    for number in 0..first {
        come_and_go(number).await?;
    }
    let before: Vec<u64> = pids.iter().map(|pid| memory(*pid)).collect();
    for number in first..first + counted {
        come_and_go(number).await?;
    }
    let grown = pids.iter().zip(before).map(|(pid, before)| memory(*pid).saturating_sub(before));
    let grown: Vec<u64> = grown.map(|bytes| bytes / u64::from(counted)).collect();
    println!("each left in the root, its founder and its user: {grown:?} bytes");
    Ok(grown.into_iter().max().unwrap_or_default())
}

async fn come_and_go(root: Root) -> procession::Result<()> {
    let (running, founder) = founded(&root).await?;
    let a = running.addr::<Probe>("a")?;
    let pids = [std::process::id(), the_founder(&founder).await.pid, who(&a).await.pid];
    // Channels of addresses that nobody uses any more are looked for when there are some thousand.
    let actors = grown(&pids, (2200, 800), async |number| {
        let name = format!("actor-{number}");
        let found = FoundActor { name: name.clone(), temporary: false };
        let actor = founder.send(found).await.unwrap().unwrap();
        assert_eq!(a.send(Ask { whom: actor, value: 5 }).await?, Ok(10));
        founder.send(DissolveActor(name)).await.unwrap().unwrap();
        Ok(())
    });
    let bytes = actors.await?;
    assert!(bytes < 1024, "an actor that came and went left {bytes} bytes");
    let processes = grown(&pids, (50, 150), async |number| {
        let name = format!("process-{number}");
        let process = found(&founder, &name, false).await;
        assert_eq!(a.send(Ask { whom: process.clone(), value: 5 }).await?, Ok(10));
        founder.send(Dissolve(name)).await.unwrap().unwrap();
        // Whoever still has its address is told that it is gone.
        assert!(a.send(Ask { whom: process, value: 5 }).await?.is_err());
        Ok(())
    });
    let bytes = processes.await?;
    assert!(bytes < 8192, "a process that came and went left {bytes} bytes");
    running.shutdown().await
}
