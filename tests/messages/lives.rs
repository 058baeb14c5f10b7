//! The life of a topology: starts, ends, and what is in between.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::prelude::*;
use procession::process::failure::LaunchFailure;
use procession::runtime::{Event, Events, Launched};

use crate::actors::*;
use crate::stage::{checked, deploy, event, left, one, probe, signal, story, two, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p4_processes_start_in_order_and_stop_in_reverse", start_and_stop_order),
        story("start_failure_stops_the_others_and_says_why", start_failure),
        story("a_panic_at_birth_is_a_typed_error", birth_panic),
        story("an_exit_at_birth_is_a_typed_error_with_the_code", birth_exit),
        story("the_start_deadline_ends_a_slow_birth", slow_birth),
        story("two_deployments_follow_one_another", sequence),
        story("a_second_deployment_at_once_is_refused", second_at_once),
        story("an_old_handle_leaves_the_next_deployment_alone", old_handle),
        story("a_dropped_deploy_stops_what_it_began", dropped_deploy),
        story("finish_ends_a_worker_with_its_code_and_a_permanent_one_comes_back", finish),
        story("significant_ends_the_topology_with_its_code", significant),
        story("significant_that_fails_ends_the_topology_with_its_code", significant_failure),
        story("p4_what_was_accepted_is_handled_before_the_end", drain),
        story("p4_what_is_handled_at_the_end_may_still_send", drain_chain),
        story("p4_a_worker_that_finishes_sends_its_outbox_first", finish_with_outbox),
        story("p4_a_requested_restart_is_no_failure", requested_restart),
        story("run_stops_what_main_leaves_running", left_running),
        checked("a_panic_of_main_stops_everything_and_run_works_again", main_panics),
    ]
}

/// What a whole deployment says, one word and a process each.
async fn whole(mut events: Events) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let event = events.next().await.expect("it ends with `Ended`");
        let process = event.process().map(|process| format!(" {process}")).unwrap_or_default();
        all.push(format!("{}{process}", event.kind()));
        if let Event::Ended { .. } = event {
            return all;
        }
    }
}

async fn start_and_stop_order(root: Root) -> procession::Result<()> {
    let topology = ["one", "two", "three"].into_iter().fold(Topology::new("order"), |topology, name| {
        topology.process(Process::new(name).actor::<Other>(name, ()))
    });
    let plan = topology.plan(&root.catalog())?;
    let Launched { running, events, started } = root.launch(plan).await?;
    let events = tokio::task::spawn_local(whole(events));
    started.await.unwrap()?;
    running.shutdown().await?;
    let events = events.await.unwrap();
    let only = |kind: &str| -> Vec<&str> {
        events.iter().filter_map(|event| event.strip_prefix(kind)).map(str::trim).collect()
    };
    assert_eq!(only("ready"), ["one", "two", "three"], "{events:?}");
    assert_eq!(only("exited"), ["three", "two", "one"], "{events:?}");
    assert_eq!(only("started").last(), Some(&"three"));
    assert_eq!(events.iter().filter(|event| event.starts_with("running")).count(), 1);
    Ok(())
}

fn picky(mishap: Mishap) -> Process {
    Process::new("picky").actor::<Picky>("picky", mishap).restart(Policy::Temporary)
}

async fn fails_to_start(root: &Root, picky: Process) -> LaunchFailure {
    match deploy(root, [left(), picky, probe("right", "b")]).await {
        Err(procession::Error::Start { process, failure }) => {
            assert_eq!(process.as_str(), "picky");
            let any = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
            assert_eq!(any, Err(nix::errno::Errno::ECHILD), "the others were stopped");
            *failure
        }
        other => panic!("{other:?}"),
    }
}

async fn start_failure(root: Root) -> procession::Result<()> {
    let failure = fails_to_start(&root, picky(Mishap::Refuses)).await;
    assert!(failure.to_string().contains("the database is down"), "{failure}");
    one(&root).await?.0.shutdown().await
}

async fn birth_panic(root: Root) -> procession::Result<()> {
    let failure = fails_to_start(&root, picky(Mishap::Panics)).await;
    assert!(failure.to_string().contains("no database at all"), "{failure}");
    Ok(())
}

async fn birth_exit(root: Root) -> procession::Result<()> {
    let failure = fails_to_start(&root, picky(Mishap::Exits(33))).await;
    assert!(failure.to_string().contains("33"), "{failure}");
    Ok(())
}

async fn slow_birth(root: Root) -> procession::Result<()> {
    let started = Instant::now();
    let slow = picky(Mishap::NeverReady).start_deadline(Duration::from_millis(200));
    let failure = fails_to_start(&root, slow).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(failure.to_string().contains("200"), "{failure}");
    Ok(())
}

async fn sequence(root: Root) -> procession::Result<()> {
    let (running, first) = one(&root).await?;
    assert_eq!(first.send(Double(1)).await?, 2);
    running.shutdown().await?;
    let (running, second) = one(&root).await?;
    assert_eq!(second.send(Double(1)).await?, 2);
    let error = first.send(Double(1)).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    assert!(first != second && ProcAddr::<Probe>::named("a") == second);
    running.shutdown().await
}

async fn second_at_once(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let second = one(&root).await;
    assert!(matches!(second, Err(procession::Error::AlreadyDeployed)), "{second:?}");
    assert_eq!(a.send(Double(1)).await?, 2);
    running.shutdown().await
}

async fn old_handle(root: Root) -> procession::Result<()> {
    let (old, _) = one(&root).await?;
    let older = old.clone();
    old.shutdown().await?;
    let (running, a) = one(&root).await?;
    assert!(older.restart("left").await.is_err());
    assert!(matches!(older.processes().await, Err(procession::Error::Ended)));
    older.shutdown().await?;
    assert_eq!(who(&a).await.incarnation, 1);
    running.shutdown().await
}

async fn dropped_deploy(root: Root) -> procession::Result<()> {
    for patience in [0, 1, 30] {
        let processes = [left(), picky(Mishap::NeverReady)];
        let deploying = deploy(&root, processes);
        let dropped = tokio::time::timeout(Duration::from_millis(patience), deploying).await;
        assert!(dropped.is_err());
        // As soon as all of it is gone, another may begin.
        loop {
            match one(&root).await {
                Ok((running, _)) => break running.shutdown().await?,
                Err(procession::Error::AlreadyDeployed) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

async fn exit_of(events: &mut Events) -> (Exit, bool) {
    event(events, |event| match event {
        Event::Exited { death, asked, .. } => Some((death.exit, *asked)),
        _ => None,
    })
    .await
}

async fn finish(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    a.send(Finish(7)).await?;
    assert_eq!(exit_of(&mut events).await, (Exit::Code(7), false));
    assert_eq!((who(&a).await.incarnation, who(&a).await.last_exit), (2, Some(Exit::Code(7))));
    running.shutdown().await
}

async fn significant(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("right", "b"), left().significant(true)]).await?;
    let events = tokio::task::spawn_local(whole(running.events()));
    running.addr::<Probe>("a")?.send(Finish(0)).await?;
    assert_eq!(running.wait().await?, Exit::Code(0));
    let events = events.await.unwrap();
    assert!(events.contains(&"exited right".to_owned()), "{events:?}");
    assert!(!events.iter().any(|event| event.starts_with("restarting")), "{events:?}");
    Ok(())
}

async fn significant_failure(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("right", "b"), left().significant(true)]).await?;
    running.addr::<Probe>("a")?.send(Finish(3)).await?;
    assert_eq!(running.wait().await?, Exit::Code(3));
    let running = deploy(&root, [left().significant(true)]).await?;
    let pid = who(&running.addr("a")?).await.pid;
    signal(pid, Signal::SIGKILL);
    assert!(matches!(running.wait().await?, Exit::Signal { .. }));
    Ok(())
}

async fn drain(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.send(Nothing).await?;
    // The first of them keeps the process busy while it is told to stop; the others wait in the mailbox.
    let asks: Vec<_> = (0..30).map(|_| a.send(Busy(2))).chain([a.send(Busy(1))]).collect();
    let waiting = asks.into_iter().enumerate().map(|(at, ask)| async move { (at, ask.await) });
    let told = tokio::task::LocalSet::new();
    let all: Vec<_> = waiting.map(|waiting| told.spawn_local(waiting)).collect();
    told.run_until(async {
        // When the first is answered, all had arrived.
        let mut answers = Vec::new();
        let mut all = all.into_iter();
        answers.push(all.next().unwrap().await.unwrap());
        let stop = tokio::task::spawn_local(running.shutdown());
        for answer in all {
            answers.push(answer.await.unwrap());
        }
        for (at, answer) in answers {
            answer.unwrap_or_else(|error| panic!("request {at}: {error}"));
        }
        stop.await.unwrap()
    })
    .await
}

async fn drain_chain(root: Root) -> procession::Result<()> {
    // `right` starts first and so stops last.
    let sink = ProcAddr::export(Probe::new(1, 0, None).start())?;
    let running = deploy(&root, [probe("right", "b"), left()]).await?;
    let a = running.addr::<Probe>("a")?;
    let b = running.addr::<Probe>("b")?;
    a.send(Forward { whom: b.clone(), note: 0 }).await?;
    a.do_send(Busy(50));
    for note in 1..100 {
        a.do_send(Forward { whom: sink.clone(), note });
    }
    a.send(Forward { whom: sink.clone(), note: 100 }).await?;
    running.shutdown().await?;
    assert!(sink.send(Notes).await?.into_iter().eq(1..=100));
    Ok(())
}

async fn finish_with_outbox(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 1900;
    let (running, a, b) = two(&root).await?;
    let mut events = running.events();
    // More than the window: the rest waits in the outbox of `left` when it is told to finish.
    a.send(Ask { whom: b.clone(), value: 1 }).await?.unwrap();
    let held = b.send(Wait);
    a.send(SendNotes { whom: b.clone(), count: COUNT, how: How::DoSend }).await?;
    a.send(Finish(5)).await?;
    assert_eq!(exit_of(&mut events).await, (Exit::Code(5), false));
    assert_eq!(b.send(Notes).await?.len(), COUNT as usize);
    b.send(Release).await?;
    held.await?;
    running.shutdown().await
}

async fn requested_restart(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    running.restart("left").await?;
    assert_eq!(exit_of(&mut events).await, (Exit::Code(0), true));
    assert_eq!(who(&a).await.incarnation, 2);
    let status = running.processes().await?;
    assert_eq!((status.len(), status[0].ready, status[0].incarnation.map(|life| life.0)), (1, true, Some(2)));
    running.shutdown().await
}

async fn left_running(root: Root) -> procession::Result<()> {
    let (_, a) = one(&root).await?;
    a.send(Nothing).await?;
    Ok(())
}

fn main_panics() -> Result<(), String> {
    for _ in 0..2 {
        let panicked = std::panic::catch_unwind(|| {
            program().run(async |root| -> procession::Result<()> {
                let (_running, a) = one(&root).await?;
                a.send(Nothing).await?;
                panic!("main is wrong")
            })
        });
        assert!(panicked.is_err());
    }
    program().run(async |root| one(&root).await?.0.shutdown().await).map_err(|error| error.to_string())
}
