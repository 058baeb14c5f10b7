//! Panics, kills and stops, as those who send see them.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::id::Signal as Number;
use procession::prelude::*;
use procession::runtime::Event;

use crate::actors::*;
use crate::stage::{AT_ONCE, event, one, signal, story, two, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m2_a_panic_fails_the_request_and_the_actor_is_restarted", panic),
        story("m2_a_panic_in_an_asynchronous_handler_is_named", late_panics),
        story("a1_the_next_request_of_the_same_process_reaches_the_next_life", panic_next_door),
        story("p5_an_actor_that_panics_too_often_ends_its_process", panics_too_often),
        story("m2_h41_sigkill_fails_all_pending_requests_at_once_with_the_signal", killed),
        story("m2_sigkill_between_workers_is_told_the_sender", killed_between),
        story("m2_a_stopped_peer_times_out_as_unknown", stopped),
        story("m5_what_a_dead_process_had_not_taken_is_counted", casts_to_the_dead),
        story("p5_a_crashing_process_is_given_up_in_the_end", given_up),
    ]
}

async fn panic(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    let first = who(&a).await;
    let error = a.send(Panic("ouch".into())).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Panicked("ouch".into()), Verdict::Failed));
    assert!(error.into_message().is_none());
    let report = event(&mut events, |event| match event {
        Event::Panicked { report, .. } => Some(report.clone()),
        _ => None,
    });
    let report = report.await;
    assert_eq!(report.message, "ouch");
    assert!(report.place.contains("actors.rs"), "{}", report.place);
    assert_eq!(report.handling.as_ref().map(|handling| handling.message.as_str()), Some("Panic"));
    let second = who(&a).await;
    assert_eq!((second.pid, second.incarnation, second.restarts), (first.pid, 1, 1), "only the actor is new");
    running.shutdown().await
}

async fn late_panics(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let error = a.send(PanicInside("later".into())).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Panicked("later".into()), Verdict::Failed));
    assert_eq!(who(&a).await.restarts, 1, "it was the actor's future");
    let error = a.send(PanicInAFuture("elsewhere".into())).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Panicked("elsewhere".into()), Verdict::Failed));
    assert_eq!(who(&a).await.restarts, 2, "also where its future is a task of its own");
    running.shutdown().await
}

async fn panic_next_door(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let a2 = running.addr::<Probe>("a2")?;
    for _ in 0..3 {
        let (error, next) = a2.send(PanicAndAsk(a.clone())).await?;
        assert_eq!((error.as_str(), next), ("the handler panicked: ouch", Ok(8)));
    }
    running.shutdown().await
}

async fn panics_too_often(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    let first = who(&a).await;
    for _ in 0..6 {
        a.send(Panic("again".into())).await.unwrap_err();
    }
    let exit = event(&mut events, |event| match event {
        Event::Exited { death, asked: false, .. } => Some(death.exit),
        _ => None,
    });
    assert_eq!(exit.await, Exit::Code(101));
    let second = who(&a).await;
    assert_eq!((second.incarnation, second.restarts, second.pid == first.pid), (2, 0, false));
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pid = who(&a).await.pid;
    let asks: Vec<_> = (0..100).map(|_| a.send(Wait)).collect();
    a.send(Nothing).await?;
    let killed = Instant::now();
    signal(pid, Signal::SIGKILL);
    for ask in asks {
        let error = ask.await.unwrap_err();
        let Cause::PeerDied { process, incarnation, exit: Some(exit) } = error.cause() else {
            panic!("{error}")
        };
        assert_eq!((process.as_str(), incarnation.0), ("left", 1));
        assert!(matches!(exit, Exit::Signal { signal: Number(9), .. }), "{exit}");
        assert_eq!(error.verdict(), Verdict::Unknown);
    }
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    assert_eq!(a.send(Double(4)).await?, 8, "the next request succeeds");
    running.shutdown().await
}

async fn killed_between(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let pid = who(&b).await.pid;
    let asks: Vec<_> = (0..20).map(|_| a.send(AskForEver(b.clone()))).collect();
    // Each of them has arrived at `b` when this has.
    a.send(Ask { whom: b.clone(), value: 1 }).await?.unwrap();
    signal(pid, Signal::SIGKILL);
    for ask in asks {
        let told = ask.await?;
        assert!(told.contains("process right #1") && told.contains("SIGKILL"), "{told}");
    }
    assert_eq!(a.send(Ask { whom: b, value: 4 }).await?, Ok(8));
    running.shutdown().await
}

async fn stopped(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pid = who(&a).await.pid;
    signal(pid, Signal::SIGSTOP);
    let error = a.send(Double(1)).timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::Unknown));
    signal(pid, Signal::SIGCONT);
    assert_eq!(a.send(Double(2)).await?, 4);
    running.shutdown().await
}

async fn casts_to_the_dead(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pid = who(&a).await.pid;
    let (tell, told) = std::sync::mpsc::sync_channel(4096);
    root.on_dead_letter(move |letter| {
        let _ = tell.try_send((letter.count, letter.cause.clone()));
        true
    });
    signal(pid, Signal::SIGSTOP);
    for note in 0..1500 {
        a.do_send(Note(note));
    }
    // The deadline passes after some of them have left.
    a.send(Nothing).timeout(Duration::from_millis(20)).await.unwrap_err();
    signal(pid, Signal::SIGKILL);
    assert_eq!(who(&a).await.incarnation, 2);
    let (mut count, mut last) = (0, None);
    for (letters, cause) in told.try_iter() {
        count += letters;
        last = Some(cause);
    }
    assert_eq!(count, 1500, "{last:?}");
    assert!(matches!(last, Some(Cause::PeerDied { exit: Some(_), .. })), "{last:?}");
    assert_eq!(a.send(Notes).await?, Vec::<u32>::new(), "nothing of the old life reaches the new one (H44)");
    running.shutdown().await
}

async fn given_up(root: Root) -> procession::Result<()> {
    let topology = Topology::new("crashing")
        .restart(
            procession::topology::Restart::new()
                .intensity(Intensity { restarts: 2, period: Duration::from_secs(60) }),
        )
        .process(crate::stage::probe("left", "a"));
    let running = root.deploy(topology).await?;
    let a = running.addr::<Probe>("a")?;
    for _ in 0..3 {
        signal(who(&a).await.pid, Signal::SIGKILL);
        let _ = a.send(Wait).await;
    }
    let error = running.wait().await.unwrap_err();
    assert!(matches!(error, procession::Error::GaveUp { restarts: 2.., .. }), "{error}");
    let error = a.send(Double(1)).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    Ok(())
}
