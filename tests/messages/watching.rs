//! Monitors: who watches is told of each end exactly once, behind everything that the dead one had sent.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::{Cause, Down, EndReason, Who, monitor_process};
use procession::id::{ActorId, Capability};
use procession::prelude::*;
use procession::protocol::control::Unreachable;
use procession::runtime::Event;
use procession::topology::Restart;

use crate::actors::{Probe, Release};
use crate::stage::{deploy, event, signal, story};
use crate::watchmen::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m1_h58_a_panic_is_told_once_behind_what_was_sent", panic_is_told),
        story("m1_h58_sigkill_is_told_once_behind_what_was_sent", kill_is_told),
        story("m1_h58_an_end_is_told_behind_what_waits_for_credit", behind_credit),
        story("m1_h58_an_end_is_told_behind_a_large_message", behind_a_large_one),
        story("m1_h58_an_orderly_stop_is_told_behind_what_was_sent", stop_is_told),
        story("m1_h58_within_a_process_an_end_is_told_behind_what_waits_at_the_gate", within_a_process),
        story("an_actor_that_stops_by_itself_has_ended_normally", normal_end),
        story("who_never_was_is_told_at_once", never_was),
        story("a_monitor_set_between_two_lives_watches_the_next", between_lives),
        story("each_life_is_watched_by_a_monitor_of_its_own", lives),
        story("a_dropped_monitor_is_never_told_not_even_from_the_mailbox", dropped),
        story("a_watcher_that_dies_takes_its_monitors_with_it", watcher_dies),
        story("two_that_watch_one_another_may_die_together", both_die),
        story("a_process_is_watched_as_an_actor_is", processes),
        story("a_watcher_elsewhere_is_told_through_this_process", elsewhere),
        story("an_actix_recipient_is_told_as_well", plain_recipient),
        story("many_monitors_of_many_actors_are_each_told_once", many),
        story("h58_what_stands_aside_is_not_overtaken", behind_what_stands_aside),
    ]
}

async fn panic_is_told(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watch(&watchman, &mortal).await;
    mortal.do_send(Die { to: watchman.clone(), notes: 500, large: false, how: Death::Panics });
    let seen = seen(&watchman, 1).await;
    let down = assert_behind(&seen, 500);
    assert_eq!(down.reason, EndReason::Panicked("it was a good life".to_owned()));
    assert_eq!(down.incarnation.map(|life| life.0), Some(1));
    assert!(matches!(&down.who, Who::Actor { id: Some(_), .. }), "{:?}", down.who);
    // The next life is another one's business.
    assert_eq!(mortal.send(Life1).await?.restarts, 1);
    running.shutdown().await
}

fn is_sigkill(reason: &EndReason) -> bool {
    matches!(reason, EndReason::ProcessDied(Some(Exit::Signal { signal, .. })) if signal.0 == libc_sigkill())
}

fn libc_sigkill() -> i32 {
    Signal::SIGKILL as i32
}

async fn kill_is_told(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watch(&watchman, &mortal).await;
    // What it has sent and what is with the kernel is seen; what follows is not sent any more.
    mortal.send(Die { to: watchman.clone(), notes: 300, large: false, how: Death::None }).await?;
    loop {
        if watchman.send(Seen).await?.len() == 300 {
            break;
        }
    }
    mortal.do_send(Die { to: watchman.clone(), notes: 0, large: false, how: Death::KillsItsProcess });
    let seen = seen(&watchman, 1).await;
    let down = assert_behind(&seen, 300);
    assert!(is_sigkill(&down.reason), "{down:?}");
    running.shutdown().await
}

async fn behind_credit(root: Root) -> procession::Result<()> {
    for how in [Death::Panics, Death::Stops] {
        // More than the window: the rest waits for credit when the actor dies.
        let processes = [watchman("tower", "watchman").mailbox(64, 1 << 20), mortal("field", "mortal")];
        let running = deploy(&root, processes).await?;
        let watchman = running.addr::<Watchman>("watchman")?;
        let mortal = running.addr::<Mortal>("mortal")?;
        watch(&watchman, &mortal).await;
        let held = watchman.send(Hold);
        mortal.do_send(Die { to: watchman.clone(), notes: 900, large: false, how });
        // It has died, and the watchman has heard of nothing yet.
        let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
        watch(&mine, &mortal).await;
        seen(&mine, 1).await;
        running.addr::<Probe>("watchman-gate")?.send(Release).await?;
        held.await?;
        assert_behind(&seen(&watchman, 1).await, 900);
        running.shutdown().await?;
    }
    Ok(())
}

async fn behind_a_large_one(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watch(&watchman, &mortal).await;
    mortal.do_send(Die { to: watchman.clone(), notes: 3, large: true, how: Death::Panics });
    let seen = seen(&watchman, 1).await;
    assert_behind(&seen, 3);
    assert_eq!(seen[2], Sight::Large(3 << 20));
    running.shutdown().await
}

async fn stop_is_told(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watch(&watchman, &mortal).await;
    mortal.do_send(Die { to: watchman.clone(), notes: 300, large: false, how: Death::None });
    mortal.send(Life1).await?;
    running.restart("field").await?;
    let seen = seen(&watchman, 1).await;
    assert_eq!(assert_behind(&seen, 300).reason, EndReason::Stopped);
    running.shutdown().await
}

/// More than the window, less than window and outbox.
const NOTES: u32 = 100;

async fn within_a_process(root: Root) -> procession::Result<()> {
    for how in [Death::Panics, Death::Stops] {
        let both = watchman("tower", "watchman").actor::<Mortal>("mortal", ()).mailbox(64, 1 << 20);
        let running = deploy(&root, [both]).await?;
        let watchman = running.addr::<Watchman>("watchman")?;
        let mortal = running.addr::<Mortal>("mortal")?;
        watch(&watchman, &mortal).await;
        let held = watchman.send(Hold);
        mortal.do_send(Die { to: watchman.clone(), notes: NOTES, large: false, how });
        let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
        watch(&mine, &mortal).await;
        seen(&mine, 1).await;
        running.addr::<Probe>("watchman-gate")?.send(Release).await?;
        held.await?;
        assert_behind(&seen(&watchman, 1).await, NOTES);
        running.shutdown().await?;
    }
    Ok(())
}

async fn normal_end(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    let child = mortal.send(GiveBirth).await?;
    watch(&watchman, &child).await;
    child.do_send(Die { to: watchman.clone(), notes: 10, large: false, how: Death::Stops });
    let seen_all = seen(&watchman, 1).await;
    assert_eq!(assert_behind(&seen_all, 10).reason, EndReason::Normal);
    // Who watches now watches nobody.
    watchman.send(Watch(child)).await?;
    let seen_all = seen(&watchman, 2).await;
    assert_eq!(downs(&seen_all)[1].reason, EndReason::NoActor);
    running.shutdown().await
}

/// What a watcher of the root is told first of an address.
async fn told_of(whom: &ProcAddr<Mortal>) -> Down {
    let mine = ProcAddr::export(Watchman::new(None, 0, 0).start()).unwrap();
    mine.send(Watch(whom.clone())).await.unwrap();
    let seen = seen(&mine, 1).await;
    downs(&seen)[0].clone()
}

async fn never_was(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    assert_eq!(told_of(&ProcAddr::named("nobody")).await.reason, EndReason::UnknownName("nobody".to_owned()));
    // An address that nobody was given: the last actor of its process, and one more.
    let there = bincode_address(&mortal);
    let beyond = ActorId { slot: procession::id::Slot(there.slot.0 + 1), ..there };
    assert_eq!(told_of(&address_of(beyond)).await.reason, EndReason::NoRight);
    let pid = mortal.send(Life1).await?.pid;
    assert_eq!(told_of(&address_of(beyond)).await.reason, EndReason::NoRight, "over a pipe");
    let (stale, mut events) = (mortal.pin()?, running.events());
    signal(pid, Signal::SIGKILL);
    event(&mut events, |event| matches!(event, Event::Ready { .. }).then_some(())).await;
    assert_eq!(told_of(&stale).await.reason, EndReason::Stale);
    let stopped = Watchman::new(None, 0, 0).start();
    let gone = ProcAddr::export(stopped.clone())?;
    stopped.do_send(procession::address::StopActor);
    crate::stage::until(|| !gone.connected()).await;
    let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
    let _monitor = gone.monitor(mine.recipient())?;
    assert_eq!(downs(&seen(&mine, 1).await)[0].reason, EndReason::NoActor);
    let nowhere = ActorId { process: procession::id::ProcessId(4000), ..there };
    let down = told_of(&address_of(nowhere)).await;
    assert_eq!(down.reason, EndReason::Unreachable(Unreachable::NoSuchProcess));
    assert_eq!(down.incarnation, None);
    // A worker is told the same.
    watchman.send(Watch(address_of(beyond))).await?;
    watchman.send(Watch(address_of(nowhere))).await?;
    seen(&watchman, 2).await;
    running.shutdown().await?;
    // One that ended and stays down.
    let running = deploy(&root, [mortal_once(), watchman_process()]).await?;
    let mut events = running.events();
    let mortal = running.addr::<Mortal>("mortal")?;
    let pid = mortal.send(Life1).await?.pid;
    signal(pid, Signal::SIGKILL);
    event(&mut events, |event| (event.kind() == "stays_down").then_some(())).await;
    assert!(matches!(told_of(&mortal).await.reason, EndReason::Unreachable(Unreachable::Ended(_))));
    running.shutdown().await
}

fn mortal_once() -> Process {
    mortal("field", "mortal").restart(Policy::Temporary)
}

fn watchman_process() -> Process {
    watchman("tower", "watchman")
}

fn bincode_address(whom: &ProcAddr<Mortal>) -> ActorId {
    let bytes = procession::codec::encode(whom, 1 << 10).unwrap();
    procession::codec::decode::<Capability>(&bytes).unwrap().id()
}

fn address_of(id: ActorId) -> ProcAddr<Mortal> {
    let bytes = procession::codec::encode(&Capability::unsealed(id), 1 << 10).unwrap();
    procession::codec::decode(&bytes).unwrap()
}

async fn between_lives(root: Root) -> procession::Result<()> {
    let slowly = Restart::from(Policy::Permanent).backoff(Backoff {
        min: std::time::Duration::from_millis(300),
        max: std::time::Duration::from_millis(300),
    });
    let processes = [watchman("tower", "watchman"), mortal("field", "mortal").restart(slowly)];
    let running = deploy(&root, processes).await?;
    let mut events = running.events();
    let (watchman, mortal) = (running.addr::<Watchman>("watchman")?, running.addr::<Mortal>("mortal")?);
    let pid = mortal.send(Life1).await?.pid;
    signal(pid, Signal::SIGKILL);
    event(&mut events, |event| (event.kind() == "restarting").then_some(())).await;
    watchman.send(Watch(mortal.clone())).await?;
    assert_eq!(mortal.send(Life1).await?.incarnation, 2);
    // The watch is on its way from the tower, and the panic from here: who asks after the watch knows that it is there.
    watchman.send(Settle(mortal.clone())).await?;
    assert_eq!(watchman.send(Seen).await?, []);
    mortal.do_send(Panic);
    let seen = seen(&watchman, 1).await;
    let down = downs(&seen)[0];
    assert!(matches!(down.reason, EndReason::Panicked(_)), "{down:?}");
    assert_eq!(down.incarnation.map(|life| life.0), Some(2));
    running.shutdown().await
}

async fn lives(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    for life in 1..=3_u32 {
        let now = loop {
            match mortal.send(Life1).await {
                Ok(now) => break now,
                Err(error) if matches!(error.cause(), Cause::PeerDied { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(now.incarnation, life);
        watch(&watchman, &mortal).await;
        watchman.send(WatchFor { whom: mortal.clone(), told: watchman.recipient() }).await?;
        watchman.send(Settle(mortal.clone())).await?;
        let told = 2 * life as usize;
        loop {
            signal_if_alive(now.pid);
            if downs(&watchman.send(Seen).await?).len() == told {
                break;
            }
        }
        let seen = seen(&watchman, told).await;
        for down in &downs(&seen)[told - 2..] {
            assert_eq!(down.incarnation.map(|life| life.0), Some(life), "{down:?}");
            assert!(is_sigkill(&down.reason), "{down:?}");
        }
    }
    running.shutdown().await
}

fn signal_if_alive(pid: u32) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL);
}

async fn dropped(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watchman.send(Watch(mortal.clone())).await?;
    watchman.send(Blink).await?;
    mortal.do_send(Panic);
    until_restarted(&mortal, 1).await;
    assert_eq!(watchman.send(Seen).await?, []);
    // A monitor that is set afterwards is told of later ends alone.
    let held = watchman.send(Hold);
    let (watch, blink) = (watchman.send(Watch(mortal.clone())), watchman.send(Blink));
    running.addr::<Probe>("watchman-gate")?.send(Release).await?;
    held.await?;
    watch.await?;
    blink.await?;
    // One whose notice waits in the mailbox when it is dropped.
    watchman.send(Watch(mortal.clone())).await?;
    let held = watchman.send(Hold);
    let blink = watchman.send(Blink);
    mortal.do_send(Panic);
    let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
    until_restarted(&mortal, 2).await;
    mine.send(Watch(mortal.clone())).await?;
    mortal.do_send(Panic);
    seen(&mine, 1).await;
    running.addr::<Probe>("watchman-gate")?.send(Release).await?;
    held.await?;
    blink.await?;
    assert_eq!(watchman.send(Seen).await?, []);
    running.shutdown().await
}

async fn until_restarted(mortal: &ProcAddr<Mortal>, restarts: u32) {
    loop {
        match mortal.send(Life1).await {
            Ok(life) if life.restarts >= restarts => return,
            _ => {}
        }
    }
}

async fn watcher_dies(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    for how in ["panic", "kill"] {
        watch(&watchman, &mortal).await;
        match how {
            "panic" => drop(watchman.send(Panic).await.unwrap_err()),
            _ => signal(watchman.send(Life1).await?.pid, Signal::SIGKILL),
        }
        let restarts = loop {
            match watchman.send(Life1).await {
                Ok(life) => break (life.incarnation, life.restarts),
                Err(error) if matches!(error.cause(), Cause::PeerDied { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(restarts, if how == "panic" { (1, 1) } else { (2, 0) });
        // What the former life watched is none of its business.
        assert!(mortal.send(Panic).await.is_err());
        mortal.send(Life1).await?;
        watch(&watchman, &mortal).await;
        watchman.send(Blink).await?;
        assert_eq!(watchman.send(Seen).await?, []);
    }
    running.shutdown().await
}

async fn both_die(root: Root) -> procession::Result<()> {
    let processes = [watchman("left", "one"), watchman("right", "two")];
    let running = deploy(&root, processes).await?;
    let mut events = running.events();
    let (one, two) = (running.addr::<Watchman>("one")?, running.addr::<Watchman>("two")?);
    let (left, right) = (one.send(Life1).await?.pid, two.send(Life1).await?.pid);
    let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
    let monitors = [one.monitor(&mine).unwrap(), two.monitor(&mine).unwrap()];
    one.send(WatchFor { whom: address_like(&two), told: one.recipient() }).await?;
    two.send(WatchFor { whom: address_like(&one), told: two.recipient() }).await?;
    signal(left, Signal::SIGKILL);
    signal(right, Signal::SIGKILL);
    let both = seen(&mine, 2).await;
    let mut told: Vec<_> = downs(&both).iter().map(|down| down.monitor).collect();
    told.sort_unstable();
    assert_eq!(told, [monitors[0].reference(), monitors[1].reference()]);
    for _ in 0..2 {
        event(&mut events, |event| (event.kind() == "ready").then_some(())).await;
    }
    assert_eq!(one.send(Seen).await?, []);
    assert_eq!(two.send(Seen).await?, []);
    running.shutdown().await
}

/// The same actor by an address of another type, which is all the same to a monitor.
fn address_like(whom: &ProcAddr<Watchman>) -> ProcAddr<Mortal> {
    let bytes = procession::codec::encode(whom, 1 << 10).unwrap();
    procession::codec::decode(&bytes).unwrap()
}

async fn processes(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    watchman.send(WatchProcess(mortal.clone())).await?;
    // A panic of an actor is no end of its process.
    mortal.do_send(Panic);
    until_restarted(&mortal, 1).await;
    mortal.do_send(Die { to: watchman.clone(), notes: 5, large: false, how: Death::None });
    let pid = mortal.send(Life1).await?.pid;
    loop {
        if watchman.send(Seen).await?.len() == 5 {
            break;
        }
    }
    signal(pid, Signal::SIGKILL);
    let all = seen(&watchman, 1).await;
    let down = assert_behind(&all, 5);
    assert!(is_sigkill(&down.reason), "{down:?}");
    assert!(matches!(&down.who, Who::Process { id: Some(_), .. }), "{:?}", down.who);
    // By name, and stopped in order.
    let mine = ProcAddr::export(Watchman::new(None, 0, 0).start())?;
    let by_name = monitor_process("field", &mine).unwrap();
    until_incarnation(&mortal, 2).await;
    running.restart("field").await?;
    let all = seen(&mine, 1).await;
    let down = downs(&all)[0];
    assert_eq!(
        (down.monitor, &down.reason),
        (by_name.reference(), &EndReason::ProcessDied(Some(Exit::Code(0))))
    );
    assert_eq!(down.who.to_string(), "process field");
    let _nobody = monitor_process("no-such-process", &mine).unwrap();
    let all = seen(&mine, 2).await;
    assert_eq!(downs(&all)[1].reason, EndReason::UnknownName("no-such-process".to_owned()));
    running.shutdown().await
}

async fn until_incarnation(mortal: &ProcAddr<Mortal>, incarnation: u32) {
    loop {
        match mortal.send(Life1).await {
            Ok(life) if life.incarnation >= incarnation => return,
            _ => {}
        }
    }
}

async fn elsewhere(root: Root) -> procession::Result<()> {
    let processes = [watchman("tower", "watchman"), watchman("cabin", "other"), mortal("field", "mortal")];
    let running = deploy(&root, processes).await?;
    let (watchman, other) = (running.addr::<Watchman>("watchman")?, running.addr::<Watchman>("other")?);
    let mortal = running.addr::<Mortal>("mortal")?;
    watchman.send(WatchFor { whom: mortal.clone(), told: other.recipient() }).await?;
    watchman.send(Settle(mortal.clone())).await?;
    mortal.do_send(Panic);
    let seen = seen(&other, 1).await;
    assert!(matches!(downs(&seen)[0].reason, EndReason::Panicked(_)));
    assert_eq!(watchman.send(Seen).await?, []);
    running.shutdown().await
}

/// Keeps the ends that it is told of, and is known to nobody by an address.
struct Plain(Vec<Down>);

impl Actor for Plain {
    type Context = Context<Self>;
}

impl Handler<Down> for Plain {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.0.push(down);
    }
}

#[derive(Message)]
#[rtype(result = "Vec<Down>")]
struct All;

impl Handler<All> for Plain {
    type Result = Vec<Down>;

    fn handle(&mut self, _: All, _: &mut Context<Self>) -> Vec<Down> {
        self.0.clone()
    }
}

async fn plain_recipient(root: Root) -> procession::Result<()> {
    let Stage { running, mortal, .. } = stage(&root).await?;
    let plain = Plain(Vec::new()).start();
    let monitor = mortal.monitor(plain.clone().recipient::<Down>())?;
    let by_message = mortal.recipient::<Panic>().monitor(plain.clone().recipient::<Down>())?;
    drop(mortal.monitor(plain.clone().recipient::<Down>())?);
    mortal.do_send(Panic);
    let told = loop {
        let told = plain.send(All).await.map_err(procession::Error::other)?;
        if told.len() == 2 {
            break told;
        }
    };
    let mut references: Vec<_> = told.iter().map(|down| down.monitor).collect();
    references.sort_unstable();
    assert_eq!(references, [monitor.reference(), by_message.reference()]);
    running.shutdown().await
}

async fn many(root: Root) -> procession::Result<()> {
    let Stage { running, watchman, mortal } = stage(&root).await?;
    const CHILDREN: usize = 200;
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        let child = mortal.send(GiveBirth).await?;
        for _ in 0..3 {
            watch(&watchman, &child).await;
        }
        children.push(child);
    }
    for (at, child) in children.iter().enumerate().take(CHILDREN / 2) {
        let how = if at % 2 == 0 { Death::Panics } else { Death::Stops };
        child.do_send(Die { to: watchman.clone(), notes: 0, large: false, how });
    }
    seen(&watchman, 3 * CHILDREN / 2).await;
    signal(mortal.send(Life1).await?.pid, Signal::SIGKILL);
    let all = seen(&watchman, 3 * CHILDREN).await;
    let mut references: Vec<_> = downs(&all).iter().map(|down| down.monitor).collect();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), 3 * CHILDREN);
    running.shutdown().await
}

async fn behind_what_stands_aside(root: Root) -> procession::Result<()> {
    for how in [Death::Panics, Death::KillsItsProcess] {
        let tower = watchman("tower", "watchman").max_message_bytes(1 << 20);
        let running = deploy(&root, [tower, mortal("field", "mortal")]).await?;
        let watchman = running.addr::<Watchman>("watchman")?;
        let mortal = running.addr::<Mortal>("mortal")?;
        watch(&watchman, &mortal).await;
        // Far more replies than may be held: most requests stand aside, and the note behind them.
        mortal.do_send(Flood { to: watchman.clone(), asks: 100, how });
        let all = seen(&watchman, 1).await;
        let end = all.iter().position(|sight| matches!(sight, Sight::Down(_))).unwrap();
        // What was not whole with the kernel when it died is not there at all; nothing is behind the end.
        assert!(all[end + 1..].is_empty(), "{:?}", &all[end + 1..]);
        if matches!(how, Death::Panics) {
            assert_eq!(all[end - 1], Sight::Note(1));
        }
        running.shutdown().await?;
    }
    Ok(())
}
