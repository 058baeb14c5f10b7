//! What is told of a death: what was being handled, from whom, how far the process had come.

use std::sync::Arc;

use libtest_mimic::Trial;
use nix::sys::signal::{Signal as Name, raise};
use procession::id::Signal;
use procession::prelude::*;
use procession::process::event::Death;
use procession::runtime::{Event, Events};

use crate::actors::{Probe, Release};
use crate::stage::{deploy, event, probe, story, until};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p1_a_sigsegv_in_a_handler_names_message_and_sender", segfault),
        story("p1_a_sigkill_in_a_handler_names_message_and_sender", killed),
        story("p1_an_asynchronous_handler_is_named_too", asleep),
        story("p1_a_panic_that_ends_the_process_is_part_of_its_death", panicked),
        story("p1_the_cursor_tells_handled_running_and_unread", cursor),
        story("p1_a_death_between_messages_names_none", between),
    ]
}

messages! {
    /// A fault, as a C library makes it.
    Fault() -> "()";
    /// As somebody else kills it.
    Die(i32) -> "()";
    /// As `Die`, in a future.
    DieLater(i32) -> "()";
    /// Ends the process by a panic.
    PanicOften() -> "()";
    /// Waits for `Go` of another thread: never.
    Block(std::path::PathBuf) -> "()";
    Fine() -> "()";
    /// Has another patient told to die.
    Tell(ProcAddr<Patient>) -> "()";
}

/// Dies in the ways that processes die.
#[derive(ProcActor)]
#[proc_actor(messages(Fault, Die, DieLater, PanicOften, Block, Fine, Tell))]
pub(crate) struct Patient;

impl Actor for Patient {
    type Context = Context<Self>;
}

impl Spawn for Patient {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Patient)
    }
}

impl Handler<Fault> for Patient {
    type Result = ();

    fn handle(&mut self, _: Fault, _: &mut Context<Self>) {
        // Rust's own handler takes the first one, and finds that it is no overflow of the stack.
        loop {
            raise(Name::SIGSEGV).unwrap();
        }
    }
}

fn die(signal: i32) {
    raise(Name::try_from(signal).unwrap()).unwrap();
}

impl Handler<Die> for Patient {
    type Result = ();

    fn handle(&mut self, Die(signal): Die, _: &mut Context<Self>) {
        die(signal);
    }
}

impl Handler<DieLater> for Patient {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, DieLater(signal): DieLater, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            tokio::task::yield_now().await;
            die(signal);
        })
    }
}

impl Handler<PanicOften> for Patient {
    type Result = ();

    fn handle(&mut self, _: PanicOften, _: &mut Context<Self>) {
        panic!("once more");
    }
}

impl Handler<Block> for Patient {
    type Result = ();

    fn handle(&mut self, Block(tell): Block, _: &mut Context<Self>) {
        std::fs::write(tell, "here").unwrap();
        loop {
            std::thread::park();
        }
    }
}

impl Handler<Fine> for Patient {
    type Result = ();

    fn handle(&mut self, _: Fine, _: &mut Context<Self>) {}
}

impl Handler<Tell> for Patient {
    type Result = ();

    fn handle(&mut self, Tell(whom): Tell, _: &mut Context<Self>) {
        whom.do_send(Die(libc::SIGKILL));
    }
}

fn patient(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Patient>(actor, ())
}

async fn death(events: &mut Events) -> Arc<Death> {
    event(events, |event| match event {
        Event::Exited { death, asked: false, .. } => Some(death.clone()),
        _ => None,
    })
    .await
}

/// Actor, message, sender, and whether it waited.
fn handled(death: &Death) -> Vec<(&str, &str, Option<u32>, bool)> {
    let words = death.handling.iter().map(|handling| {
        let sender = handling.sender.map(|sender| sender.0);
        (&handling.actor[..], &handling.message[..], sender, handling.waits)
    });
    words.collect()
}

async fn segfault(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a")]).await?;
    let mut events = running.events();
    running.addr::<Patient>("a")?.send(Fault).await.unwrap_err();
    let death = death(&mut events).await;
    assert!(matches!(death.exit, Exit::Signal { signal: Signal(libc::SIGSEGV), .. }), "{:?}", death.exit);
    assert_eq!(handled(&death), [("a", "Fault", Some(0), false)]);
    assert_eq!(death.cursor.in_progress[0].sender.0, 0);
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a"), patient("right", "b")]).await?;
    let mut events = running.events();
    running.addr::<Patient>("b")?.send(Tell(running.addr("a")?)).await?;
    let death = death(&mut events).await;
    assert_eq!(handled(&death), [("a", "Die", Some(2), false)]);
    running.shutdown().await
}

async fn asleep(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a")]).await?;
    let mut events = running.events();
    running.addr::<Patient>("a")?.send(DieLater(libc::SIGKILL)).await.unwrap_err();
    let death = death(&mut events).await;
    assert_eq!(handled(&death), [("a", "DieLater", Some(0), true)]);
    assert!(death.cursor.in_progress[0].waits);
    running.shutdown().await
}

async fn panicked(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a").env("RUST_BACKTRACE", "1")]).await?;
    let mut events = running.events();
    let a = running.addr::<Patient>("a")?;
    for _ in 0..6 {
        a.send(PanicOften).await.unwrap_err();
    }
    let death = death(&mut events).await;
    let panic = death.panic.as_ref().expect("it ended by a panic");
    assert_eq!((panic.message.as_str(), death.exit), ("once more", Exit::Code(101)));
    assert!(panic.place.contains("postmortem.rs"), "{}", panic.place);
    assert_eq!(panic.handling.as_ref().map(|handling| handling.message.as_str()), Some("PanicOften"));
    let backtrace = panic.backtrace.as_ref().expect("it was asked for");
    assert!(backtrace.contains("postmortem"), "{backtrace}");
    let kept = (death.restarts, death.budget_left.is_some(), death.resources.peak_resident_bytes > 0);
    assert_eq!(kept, (0, true, true));
    assert!(!death.uptime.is_zero() && !death.last_stderr.is_empty());
    running.shutdown().await
}

async fn cursor(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a"), probe("right", "b")]).await?;
    let mut events = running.events();
    let a = running.addr::<Patient>("a")?;
    for _ in 0..3 {
        a.send(Fine).await?;
    }
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    a.do_send(Block(there.clone()));
    for _ in 0..2 {
        a.do_send(Fine);
    }
    until(|| there.exists()).await;
    // They are in the outgoing bytes; this answer has made the root's driver run meanwhile.
    running.addr::<Probe>("b")?.send(Release).await?;
    let pid = running
        .processes()
        .await?
        .iter()
        .find(|process| process.name.as_str() == "left")
        .unwrap()
        .pid
        .unwrap();
    crate::stage::signal(pid.unsigned_abs(), Name::SIGKILL);
    let death = death(&mut events).await;
    let cursor = &death.cursor;
    assert_eq!((cursor.handled, cursor.running, cursor.in_progress.len()), (3, 1, 1));
    // The arbiter is blocked, so what it has not read from the pipe is not among them.
    assert!(cursor.unread <= 2, "{}", cursor.unread);
    running.shutdown().await
}

async fn between(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [patient("left", "a")]).await?;
    let mut events = running.events();
    running.addr::<Patient>("a")?.send(Fine).await?;
    let pid = running.processes().await?[0].pid.unwrap();
    crate::stage::signal(pid.unsigned_abs(), Name::SIGKILL);
    let death = death(&mut events).await;
    assert_eq!(handled(&death), []);
    assert_eq!((death.cursor.handled, death.cursor.running, death.panic.is_none()), (1, 0, true));
    running.shutdown().await
}
