//! At-least-once delivery (M-6, H47): what a death of the actor or its process does to what was sent.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::{Arrival, Cause};
use procession::prelude::*;
use procession::runtime::Event;

use crate::actors::RELEASED;
use crate::stage::{event, signal, story, until};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m6_without_a_death_everything_is_handled_once_and_in_order", calm),
        story("m6_after_a_sigkill_everything_is_handled_in_order_by_the_next_life", killed),
        story("m6_after_a_panic_what_came_later_waits_for_what_was_not_handled", panics),
        story("m6_h47_a_message_that_kills_its_actor_is_parked_and_the_next_go_on", poison),
        story("m6_h47_a_message_that_kills_its_process_is_parked_and_the_innocent_are_not", deadly),
        story("m6_h47_addresses_of_one_actor_share_one_series", shared),
        story("m6_an_asynchronous_handler_is_acknowledged_when_it_is_done", asynchronous),
        story("m6_a_restart_that_was_asked_for_loses_nothing", restarted),
        story("m3_m6_what_the_consumer_grants_bounds_what_is_kept", bounded),
        story("m6_within_a_process_a_panic_loses_nothing", local),
        story("m6_what_can_never_be_delivered_ends_with_its_cause", hopeless),
        story("m6_the_topology_says_it_for_an_actor", declared),
    ]
}

messages! {
    /// Writes its value into the file of its actor, with who sent it and which delivery it was.
    Enter(u32) -> "u32";
    /// As `Enter`, in a future that waits for a `Release`.
    EnterLater(u32) -> "u32";
    /// Kills its actor by a panic.
    Ouch(u32) -> "u32";
    /// Kills its process.
    Deadly(u32) -> "u32";
    /// Panics the first time that it is delivered.
    OnceBad(u32) -> "u32";
    Bulk(Vec<u8>) -> "u64";
    Pid() -> "u32";
    /// Waits in its handler, blocking everything, until the file exists.
    Until(PathBuf) -> "()";
    /// Has notes entered at an actor, at least once, from where it is handled.
    HaveEntered { whom: ProcAddr<Ledger>, from: u32, to: u32 } -> "u32";
}

/// Writes down what it handles.
#[derive(ProcActor)]
#[proc_actor(messages(Enter, EnterLater, Ouch, Deadly, OnceBad, Bulk, Pid, Until, HaveEntered))]
pub(crate) struct Ledger {
    file: PathBuf,
}

impl Actor for Ledger {
    type Context = Context<Self>;
}

impl Spawn for Ledger {
    type Args = PathBuf;

    fn spawn(file: PathBuf, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Ledger { file })
    }
}

pub(crate) fn enter(file: &Path, value: u32, attempt: u32) {
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    // One write, so that a death leaves whole lines.
    file.write_all(format!("{value} {attempt}\n").as_bytes()).unwrap();
}

pub(crate) fn attempt() -> u32 {
    Arrival::current().map_or(0, |arrival| arrival.attempt)
}

macro_rules! handle {
    ($($message:ident -> $result:ty: |$this:ident, $what:pat_param| $body:expr;)*) => {$(
        impl Handler<$message> for Ledger {
            type Result = $result;

            #[allow(unused_variables)]
            fn handle(&mut self, $what: $message, _: &mut Context<Self>) -> Self::Result {
                let $this = self;
                $body
            }
        }
    )*};
}

handle! {
    Enter -> u32: |this, Enter(value)| {
        enter(&this.file, value, attempt());
        value
    };
    EnterLater -> ResponseFuture<u32>: |this, EnterLater(value)| {
        let (file, attempt) = (this.file.clone(), attempt());
        enter(&file, value, attempt);
        Box::pin(async move {
            RELEASED.acquire().await.unwrap().forget();
            enter(&file, value + 1000, attempt);
            value
        })
    };
    Ouch -> u32: |this, Ouch(value)| {
        enter(&this.file, value, attempt());
        panic!("ouch {value}")
    };
    Deadly -> u32: |this, Deadly(value)| {
        enter(&this.file, value, attempt());
        nix::sys::signal::raise(Signal::SIGKILL).unwrap();
        value
    };
    OnceBad -> u32: |this, OnceBad(value)| {
        enter(&this.file, value, attempt());
        assert!(attempt() > 1, "the first time");
        value
    };
    Bulk -> u64: |this, Bulk(bytes)| bytes.len() as u64;
    Pid -> u32: |this, _| std::process::id();
    Until -> (): |this, Until(path)| while !path.exists() {
        std::thread::yield_now();
    };
    HaveEntered -> ResponseFuture<u32>: |this, HaveEntered { whom, from, to }| Box::pin(async move {
        let whom = whom.at_least_once();
        for value in from..to {
            whom.tell(Enter(value)).await.unwrap();
        }
        whom.send(Enter(to)).await.unwrap()
    });
}

/// The lines of a ledger: value, and which delivery it was.
pub(crate) fn lines(file: &Path) -> Vec<(u32, u32)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let number = |text: &str| text.parse().unwrap();
    text.lines()
        .map(|line| line.split_once(' ').map(|(value, attempt)| (number(value), number(attempt))).unwrap())
        .collect()
}

/// Each value as it was first entered.
fn firsts(file: &Path) -> Vec<u32> {
    let mut seen = Vec::new();
    for (value, _) in lines(file) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

struct Stage {
    running: Running,
    ledger: ProcAddr<Ledger>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn process(name: &str, actor: &str, file: &Path) -> Process {
    Process::new(name).actor::<Ledger>(actor, file.to_owned())
}

async fn stage(root: &Root) -> procession::Result<Stage> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    // Every death of a story is meant.
    let often = procession::topology::Restart::new()
        .intensity(Intensity { restarts: 100, period: Duration::from_secs(60) });
    let topology = Topology::new("ledgers")
        .restart(often)
        .process(process("left", "ledger", &file))
        .process(process("right", "other", &folder.path().join("other")));
    let running = root.deploy(topology).await?;
    let ledger = running.addr::<Ledger>("ledger")?;
    Ok(Stage { running, ledger, file, _folder: folder })
}

async fn calm(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    assert!(kept.is_at_least_once() && !stage.ledger.is_at_least_once() && kept == stage.ledger);
    for value in 0..3000 {
        match value % 3 {
            0 => kept.tell(Enter(value)).await?,
            1 => assert_eq!(kept.send(Enter(value)).await?, value),
            _ => kept.do_send(Enter(value)),
        }
    }
    let other = stage.running.addr::<Ledger>("other")?;
    assert_eq!(other.send(HaveEntered { whom: kept.clone(), from: 5000, to: 7000 }).await?, 7000);
    kept.send(Enter(3000)).await?;
    // Between whole messages of the same channel small ones of another kind.
    assert_eq!(kept.send(Bulk(vec![1; 300_000])).await?, 300_000);
    stage.ledger.send(Enter(9)).await?;
    stage.running.shutdown().await?;
    let lines = lines(&stage.file);
    let values = |range: std::ops::RangeInclusive<u32>| -> Vec<u32> {
        lines.iter().map(|(value, _)| *value).filter(|value| range.contains(value)).collect()
    };
    assert!(values(5000..=7000).into_iter().eq(5000..=7000));
    assert!(lines[..3000].iter().copied().eq((0..3000).map(|value| (value, 1))));
    assert_eq!(lines.last(), Some(&(9, 0)), "one that was sent at most once has no number");
    Ok(())
}

async fn killed(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let mut pid = stage.ledger.send(Pid).await?;
    for round in 0..5 {
        let values = round * 200..(round + 1) * 200;
        let mut asks = Vec::new();
        for value in values {
            match value % 2 {
                0 => kept.tell(Enter(value)).await?,
                _ => asks.push((value, kept.send(Enter(value)))),
            }
            if value % 200 == 100 {
                signal(pid, Signal::SIGKILL);
            }
        }
        for (value, ask) in asks {
            assert_eq!(ask.await?, value);
        }
        pid = stage.ledger.send(Pid).await?;
    }
    stage.running.shutdown().await?;
    assert!(firsts(&stage.file).into_iter().eq(0..1000));
    Ok(())
}

async fn panics(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let mut asks = Vec::new();
    for value in 0..100 {
        match value {
            10 | 11 | 50 => asks.push((value, kept.send(OnceBad(value)))),
            _ => kept.tell(Enter(value)).await?,
        }
    }
    for (value, ask) in asks {
        assert_eq!(ask.await?, value);
    }
    assert_eq!(kept.send(Enter(100)).await?, 100);
    stage.running.shutdown().await?;
    let mut expected: Vec<(u32, u32)> = (0..=100).map(|value| (value, 1)).collect();
    for (shift, bad) in [10, 11, 50].into_iter().enumerate() {
        expected.insert(bad + shift + 1, (u32::try_from(bad).unwrap(), 2));
    }
    assert_eq!(lines(&stage.file), expected);
    Ok(())
}

/// The dead letters of the root from now on, as they come: cause, and how many.
pub(crate) fn dead_letters(root: &Root) -> std::sync::mpsc::Receiver<(Cause, u64)> {
    let (tell, told) = std::sync::mpsc::sync_channel(4096);
    root.on_dead_letter(move |letter| {
        let _ = tell.try_send((letter.cause.clone(), letter.count));
        true
    });
    told
}

async fn poison(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let told = dead_letters(&root);
    kept.tell(Enter(1)).await?;
    kept.tell(Ouch(2)).await?;
    let asked = kept.send(Ouch(3));
    kept.do_send(Enter(4));
    assert_eq!(kept.send(Enter(5)).await?, 5);
    let error = asked.await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Poison { deaths: 3 }, Verdict::Failed));
    let parked: Vec<_> = told.try_iter().collect();
    assert_eq!(parked, [(Cause::Poison { deaths: 3 }, 1), (Cause::Poison { deaths: 3 }, 1)]);
    stage.running.shutdown().await?;
    let expected = [(1, 1), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (4, 1), (5, 1)];
    assert_eq!(lines(&stage.file), expected);
    Ok(())
}

async fn deadly(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let told = dead_letters(&root);
    let asks: Vec<_> = (0..20).map(|value| kept.send(Enter(value))).collect();
    let bad = kept.send(Deadly(20));
    let late: Vec<_> = (21..40).map(|value| kept.send(Enter(value))).collect();
    for ask in asks.into_iter().chain(late) {
        ask.await?;
    }
    let error = bad.await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Poison { deaths: 3 }, Verdict::Failed));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(Cause::Poison { deaths: 3 }, 1)]);
    stage.running.shutdown().await?;
    assert!(firsts(&stage.file).into_iter().eq(0..40));
    let deaths = lines(&stage.file).into_iter().filter(|(value, _)| *value == 20);
    assert_eq!(deaths.collect::<Vec<_>>(), [(20, 1), (20, 2), (20, 3)]);
    Ok(())
}

/// The first message by each address of an actor is not the first of a series: who kills is told from who waits.
async fn shared(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let told = dead_letters(&root);
    // As another process would have it: for this message alone.
    let narrow = procession::codec::round_trip(&kept.recipient::<Enter>()).unwrap();
    let bad = kept.send(Deadly(0));
    let mut asks = Vec::new();
    for value in 1..40 {
        asks.push(match value % 2 {
            0 => kept.send(Enter(value)),
            _ => narrow.send(Enter(value)),
        });
    }
    for ask in asks {
        ask.await?;
    }
    let error = bad.await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Poison { deaths: 3 }, Verdict::Failed));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(Cause::Poison { deaths: 3 }, 1)]);
    // Who is good for one life alone ends with it, and nobody else does.
    let pinned = kept.pin()?;
    pinned.send(Enter(40)).await?;
    let mut events = stage.running.events();
    stage.running.restart("left").await?;
    event(&mut events, |event| matches!(event, Event::Exited { asked: true, .. }).then_some(())).await;
    let stale = pinned.send(Enter(99));
    assert_eq!(kept.send(Enter(41)).await?, 41);
    let error = stale.await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Stale { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    stage.running.shutdown().await?;
    assert!(firsts(&stage.file).into_iter().eq(0..42), "in the order of the sends");
    Ok(())
}

async fn asynchronous(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let pid = stage.ledger.send(Pid).await?;
    kept.tell(EnterLater(1)).await?;
    kept.tell(Enter(2)).await?;
    until(|| lines(&stage.file).len() == 2).await;
    // It has begun and has not ended: the next life gets it again, and what was acknowledged not.
    kept.send(Enter(3)).await?;
    signal(pid, Signal::SIGKILL);
    let release = async {
        until(|| lines(&stage.file).len() == 4).await;
        assert_eq!(lines(&stage.file), [(1, 1), (2, 1), (3, 1), (1, 2)]);
        Ok::<_, procession::Error>(())
    };
    release.await?;
    stage.running.shutdown().await?;
    Ok(())
}

async fn restarted(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let kept = stage.ledger.at_least_once();
    let mut events = stage.running.events();
    let mut asks = Vec::new();
    for value in 0..300 {
        asks.push(kept.send(Enter(value)));
        if value == 150 {
            stage.running.restart("left").await?;
        }
    }
    for (value, ask) in (0..).zip(asks) {
        assert_eq!(ask.await?, value);
    }
    event(&mut events, |event| matches!(event, Event::Exited { asked: true, .. }).then_some(())).await;
    stage.running.shutdown().await?;
    assert!(lines(&stage.file).into_iter().map(|(value, _)| value).eq(0..300), "once, and in order");
    Ok(())
}

async fn bounded(root: Root) -> procession::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let left = process("left", "ledger", &file).mailbox(4, 1 << 20);
    let running = root.deploy(Topology::new("narrow").process(left)).await?;
    let kept = running.addr::<Ledger>("ledger")?.at_least_once();
    // What it grants is known from now on.
    kept.send(Enter(0)).await?;
    kept.send(Enter(1)).await?;
    let told = dead_letters(&root);
    let gate = folder.path().join("gate");
    kept.tell(Until(gate.clone())).await?;
    for value in 2..5 {
        kept.try_send(Enter(value)).unwrap();
    }
    let error = kept.try_send(Enter(99)).unwrap_err();
    assert!(matches!(error.cause(), Cause::Full), "{error}");
    assert_eq!(error.into_message().map(|Enter(value)| value), Some(99));
    let error = kept.tell(Enter(99)).timeout(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::NotExecuted));
    let error = kept.send(Enter(99)).timeout(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::NotExecuted));
    for value in 5..12 {
        kept.do_send(Enter(value));
    }
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(Cause::Full, 1), (Cause::Full, 1), (Cause::Full, 1)]);
    drop(kept.tell(Enter(99)));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(kept.send(Enter(12)).await?, 12);
    running.shutdown().await?;
    assert!(lines(&file).into_iter().map(|(value, _)| value).eq((0..9).chain([12])));
    Ok(())
}

async fn local(root: Root) -> procession::Result<()> {
    let stage = stage(&root).await?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("here");
    // In the root: an actor of its own, which nobody restarts.
    let here = ProcAddr::export(Ledger { file: file.clone() }.start())?.at_least_once();
    for value in 0..2000 {
        here.tell(Enter(value)).await?;
    }
    assert_eq!(here.send(Enter(2000)).await?, 2000);
    assert!(lines(&file).into_iter().eq((0..=2000).map(|value| (value, 1))));
    let error = here.send(Ouch(1)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::ActorStopped | Cause::Panicked(_)), "{error}");
    // In a worker: to itself, restarted after a panic.
    let ledger = &stage.ledger;
    let asked = ledger.send(HaveEntered { whom: ledger.clone(), from: 0, to: 500 });
    let bad = ledger.at_least_once().send(OnceBad(7000));
    assert_eq!(bad.await?, 7000);
    let _ = asked.await;
    stage.running.shutdown().await
}

async fn hopeless(root: Root) -> procession::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let left = process("left", "ledger", &file).restart(Policy::Temporary).max_message_bytes(1 << 20);
    let topology = Topology::new("mortal").process(left).process(process("right", "other", &file));
    let running = root.deploy(topology).await?;
    let kept = running.addr::<Ledger>("ledger")?.at_least_once();
    kept.send(Enter(1)).await?;
    // More than the actor accepts, less than the sender would.
    let error = kept.send(Bulk(vec![0; 1 << 20])).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::TooLarge { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    assert_eq!(kept.send(Enter(2)).await?, 2);
    let told = dead_letters(&root);
    let pid = kept.send(Pid).await?;
    signal(pid, Signal::SIGSTOP);
    for value in 3..10 {
        kept.tell(Enter(value)).await?;
    }
    let asked = kept.send(Enter(10));
    signal(pid, Signal::SIGKILL);
    let error = asked.await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Unreachable { .. }), "{error}");
    let letters: Vec<_> = told.try_iter().collect();
    assert!(letters.iter().all(|(cause, _)| matches!(cause, Cause::Unreachable { .. })), "{letters:?}");
    assert_eq!(letters.len(), 7, "those that somebody waits for are no dead letters");
    running.shutdown().await
}

async fn declared(root: Root) -> procession::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let left = Process::new("left").actor_with::<Ledger>("ledger", file.clone(), |actor| {
        actor.delivery(Delivery::AtLeastOnce).attempts(2)
    });
    let running = root.deploy(Topology::new("declared").process(left)).await?;
    let ledger = running.addr::<Ledger>("ledger")?;
    assert!(ledger.is_at_least_once() && ProcAddr::<Ledger>::named("ledger").is_at_least_once());
    let error = ledger.send(Ouch(1)).await.unwrap_err();
    assert_eq!(error.cause(), &Cause::Poison { deaths: 2 });
    ledger.do_send(Enter(2));
    ledger.recipient::<Enter>().tell(Enter(3)).await?;
    ProcRecipient::<Enter>::named("ledger").send(Enter(4)).await?;
    running.shutdown().await?;
    assert_eq!(lines(&file), [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)]);
    Ok(())
}
