//! Addresses: as fields, in files, over restarts, from elsewhere.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;
use procession::runtime::Event;

use crate::actors::*;
use crate::stage::{deploy, event, one, probe, release, signal, story, two, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a1_an_address_reaches_the_next_incarnation_and_a_pin_does_not", incarnations),
        story("a2_addresses_travel_in_messages", travelling),
        story("a2_recipients_travel_in_messages", recipients),
        story("a2_an_exported_address_comes_from_a_worker_and_goes_to_a_third", exported),
        story("a2_in_files_an_address_is_its_name", files),
        story("a4_descriptors_are_constant_in_the_number_of_addresses", descriptors),
        story("actors_on_other_arbiters_and_in_pools_answer_behind_exports", arbiters),
        story("requests_of_other_threads_end", threads),
        story("an_exported_actor_that_stops_says_so", stopped),
        story("p1_an_export_of_a_dead_life_is_stale", stale_export),
    ]
}

async fn incarnations(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut events = running.events();
    let first = who(&a).await;
    let pinned = a.pin()?;
    assert_eq!(who(&pinned).await, first);
    signal(first.pid, Signal::SIGKILL);
    event(&mut events, |event| matches!(event, Event::Exited { .. }).then_some(())).await;
    let second = who(&a).await;
    assert_eq!((second.incarnation, second.last_exit.map(|exit| exit.is_success())), (2, Some(false)));
    let error = pinned.send(WhoAreYou).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Stale { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    assert_eq!(who(&a.pin()?).await, second);
    running.shutdown().await
}

async fn travelling(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let a2 = running.addr::<Probe>("a2")?;
    for whom in [&b, &a2, &a] {
        let asked = a.send(AskVia { via: b.clone(), whom: whom.clone(), value: 21 }).await?;
        assert_eq!(asked, Ok(42), "about {whom:?}");
    }
    let of_root = ProcAddr::export(Probe::new(1, 0, None).start())?;
    assert_eq!(a.send(AskVia { via: b.clone(), whom: of_root.clone(), value: 2 }).await?, Ok(4));
    assert_eq!(b.send(Ask { whom: of_root, value: 3 }).await?, Ok(6));
    let unknown = ProcAddr::named("nobody");
    let told = a.send(Ask { whom: unknown, value: 1 }).await?.unwrap_err();
    assert!(told.contains("nobody"), "{told}");
    running.shutdown().await
}

async fn recipients(root: Root) -> procession::Result<()> {
    let running =
        deploy(&root, [probe("left", "a"), Process::new("right").actor::<Other>("other", ())]).await?;
    let (a, other) = (running.addr::<Probe>("a")?, running.addr::<Other>("other")?);
    assert_eq!(a.send(AskRecipient { whom: a.recipient(), value: 1 }).await?, Ok(2));
    assert_eq!(a.send(AskRecipient { whom: other.recipient(), value: 1 }).await?, Ok(200));
    assert_eq!(ProcRecipient::<Double>::named("other").send(Double(1)).await?, 200);
    let error = ProcRecipient::<Note>::named("other").send(Note(1)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotAccepted { .. }), "{error}");
    running.shutdown().await
}

async fn exported(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let exported = a.send(GiveMeYourAddress).await?;
    assert_eq!(exported.send(Double(1)).await?, 2);
    assert_eq!(b.send(Ask { whom: exported, value: 4 }).await?, Ok(8));
    running.shutdown().await
}

async fn files(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let text = serde_json::to_string(&a).unwrap();
    assert_eq!(text, r#"{"addr":"a"}"#);
    let back: ProcAddr<Probe> = serde_json::from_str(&text).unwrap();
    assert_eq!((back.send(Double(1)).await?, back == a), (2, true));
    let recipient = serde_json::to_string(&a.recipient::<Double>()).unwrap();
    assert_eq!(recipient, text);
    let recipient: ProcRecipient<Double> = serde_json::from_str(&recipient).unwrap();
    assert_eq!(recipient.send(Double(3)).await?, 6);
    let nameless = a.send(GiveMeYourAddress).await?;
    let text = serde_json::to_string(&nameless).unwrap();
    assert!(text.starts_with(r#"{"addr":"procession:1#1/+1:"#), "{text}");
    let back: ProcAddr<Probe> = serde_json::from_str(&text).unwrap();
    assert_eq!((back.send(Double(4)).await?, back == nameless), (8, true));
    running.shutdown().await
}

async fn descriptors(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let ask = |whom: &ProcAddr<Probe>| a.send(Ask { whom: whom.clone(), value: 1 });
    ask(&b).await?.unwrap();
    let before = (a.send(Descriptors).await?, b.send(Descriptors).await?, crate::stage::descriptors());
    for _ in 0..100 {
        let exported = b.send(GiveMeYourAddress).await?;
        ask(&exported).await?.unwrap();
    }
    let after = (a.send(Descriptors).await?, b.send(Descriptors).await?, crate::stage::descriptors());
    assert_eq!(before, after);
    running.shutdown().await
}

/// One of a pool of threads.
#[derive(ProcActor)]
#[proc_actor(messages(Double))]
struct Pooled;

impl Actor for Pooled {
    type Context = SyncContext<Self>;
}

impl Handler<Double> for Pooled {
    type Result = u64;

    fn handle(&mut self, Double(value): Double, _: &mut SyncContext<Self>) -> u64 {
        value * 2
    }
}

async fn arbiters(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pool = ProcAddr::export(SyncArbiter::start(3, || Pooled))?;
    let asks: Vec<_> = (0..5000).map(|value| pool.send(Double(value))).collect();
    for (value, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await?, 2 * value as u64);
    }
    assert_eq!(a.send(AskRecipient { whom: pool.recipient(), value: 4 }).await?, Ok(8));

    let arbiter = Arbiter::new();
    let elsewhere = Probe::start_in_arbiter(&arbiter.handle(), |_| Probe::new(1, 0, None));
    let elsewhere = ProcAddr::export(elsewhere)?;
    assert_eq!(a.send(Ask { whom: elsewhere.clone(), value: 4 }).await?, Ok(8));
    let asks: Vec<_> = (0..5000).map(|value| elsewhere.send(InAFuture(value))).collect();
    for (value, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await?, value as u64 + 1);
    }
    arbiter.stop();
    arbiter.join().unwrap();
    running.shutdown().await
}

/// A thread without a runtime drives a future by itself.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

async fn threads(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let local = ProcAddr::export(Probe::new(1, 0, None).start())?;
    let asking = |whom: &ProcAddr<Probe>| {
        let whom = whom.clone();
        tokio::task::spawn_blocking(move || {
            let asks: Vec<_> = (0..3000).map(|value| whom.send(Double(value))).collect();
            asks.into_iter().map(|ask| block_on(ask).map_err(|error| error.to_string())).collect::<Vec<_>>()
        })
    };
    let told = [asking(&a), asking(&a), asking(&local), asking(&local)];
    for told in told {
        let told = told.await.unwrap();
        assert!(told.iter().enumerate().all(|(value, told)| *told == Ok(2 * value as u64)));
    }
    // A deadline passes on such a thread, too.
    let plain = std::thread::spawn(move || {
        let error = block_on(local.send(Wait).timeout(std::time::Duration::from_millis(20))).unwrap_err();
        error.cause().clone()
    });
    crate::stage::until(|| plain.is_finished()).await;
    assert_eq!(plain.join().unwrap(), Cause::TimedOut);
    RELEASED.add_permits(1);
    running.shutdown().await
}

async fn stopped(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let actor = Probe::new(1, 0, None).start();
    let address = ProcAddr::export(actor.clone())?;
    assert_eq!(a.send(Ask { whom: address.clone(), value: 1 }).await?, Ok(2));
    actor.do_send(procession::address::StopActor);
    crate::stage::until(|| !address.connected()).await;
    let error = address.send(Double(7)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::ActorStopped, Verdict::NotExecuted));
    assert_eq!(error.into_message().map(|double| double.0), Some(7));
    let told = a.send(Ask { whom: address, value: 1 }).await?.unwrap_err();
    assert!(told.contains("the actor stopped"), "{told}");
    // Many that wait for room end, too, without eating the stack.
    assert_eq!(a.send(StopWithManyWaiting(200_000)).await?, 200_000);
    running.shutdown().await
}

async fn stale_export(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let exported = a.send(GiveMeYourAddress).await?;
    let mut events = running.events();
    signal(who(&a).await.pid, Signal::SIGKILL);
    event(&mut events, |event| matches!(event, Event::Ready { .. }).then_some(())).await;
    let error = exported.send(Double(1)).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    release(&running).await?;
    running.shutdown().await
}
