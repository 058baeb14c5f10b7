//! Dead letters: an actor in any process hears of them, they are counted, and the last ones can be looked at.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::{
    Cause, DeadLetter, LetterSubscription, LettersOf, dead_letters, subscribe_dead_letters,
};
use procession::prelude::*;

use crate::actors::{How, Note, Nothing, Probe, SendNotes};
use crate::stage::{deploy, event, one, probe, signal, story, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m5_an_actor_in_a_worker_hears_of_the_letters_of_its_process", of_this_process),
        story("m5_an_actor_in_a_worker_hears_of_the_letters_of_the_topology", of_the_topology),
        story("m5_processes_that_are_born_later_tell_their_letters_too", born_later),
        story("m5_a_subscription_ends_with_its_guard_and_with_its_process", ends),
        story("m5_the_last_letters_of_a_process_can_be_looked_at_with_their_bytes", inspected),
    ]
}

messages! {
    Subscribe(bool) -> "()";
    EndSubscription() -> "()";
    Read() -> "Vec<DeadLetter>";
}

/// Keeps the letters that it is told of.
#[derive(ProcActor)]
#[proc_actor(messages(Subscribe, EndSubscription, Read, DeadLetter))]
pub(crate) struct Clerk {
    me: ProcAddr<Clerk>,
    subscriptions: Vec<LetterSubscription>,
    letters: Vec<DeadLetter>,
}

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Spawn for Clerk {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Clerk { me: birth.addr(), subscriptions: Vec::new(), letters: Vec::new() })
    }
}

impl Handler<Subscribe> for Clerk {
    type Result = ();

    fn handle(&mut self, Subscribe(to_all): Subscribe, _: &mut Context<Self>) {
        let of = if to_all { LettersOf::Topology } else { LettersOf::ThisProcess };
        self.subscriptions.push(subscribe_dead_letters(self.me.recipient(), of).unwrap());
    }
}

impl Handler<EndSubscription> for Clerk {
    type Result = ();

    fn handle(&mut self, _: EndSubscription, _: &mut Context<Self>) {
        self.subscriptions.clear();
    }
}

impl Handler<Read> for Clerk {
    type Result = MessageResult<Read>;

    fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.letters.clone())
    }
}

impl Handler<DeadLetter> for Clerk {
    type Result = ();

    fn handle(&mut self, letter: DeadLetter, _: &mut Context<Self>) {
        self.letters.push(letter);
    }
}

fn office() -> Process {
    Process::new("office").actor::<Clerk>("clerk", ()).actor::<Probe>("helper", ())
}

/// An actor of a process that the topology does not have: what is sent there dies where it was sent.
fn nobody() -> ProcAddr<Probe> {
    let slot = procession::id::Slot(0);
    let id = procession::id::ActorId::declared(procession::id::ProcessId(4000), slot);
    let bytes = procession::codec::encode(&procession::id::Capability::unsealed(id), 1 << 10).unwrap();
    procession::codec::decode(&bytes).unwrap()
}

/// Waits until so many letters about notes were read.
async fn read(clerk: &ProcAddr<Clerk>, count: usize) -> Vec<DeadLetter> {
    loop {
        let letters = clerk.send(Read).await.unwrap();
        let notes = letters.iter().filter(|letter| letter.message.as_deref() == Some("Note"));
        if notes.count() >= count {
            return letters;
        }
    }
}

async fn of_this_process(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [office(), probe("left", "a")]).await?;
    let clerk = running.addr::<Clerk>("clerk")?;
    let nobody = nobody();
    clerk.send(Subscribe(false)).await?;
    let notes = |whom: &ProcAddr<Probe>| SendNotes { whom: whom.clone(), count: 3, how: How::DoSend };
    running.addr::<Probe>("a")?.send(notes(&nobody)).await?;
    running.addr::<Probe>("helper")?.send(notes(&nobody)).await?;
    let letters = read(&clerk, 3).await;
    assert_eq!(letters.len(), 3, "{letters:?}");
    for letter in &letters {
        assert_eq!(letter.process.as_ref().map(|name| name.as_str()), Some("office"));
        assert_eq!((letter.count, letter.target.map(|target| target.process.0)), (1, Some(4000)));
        assert!(matches!(letter.cause, Cause::Unreachable { .. }), "{letter:?}");
    }
    running.shutdown().await
}

async fn of_the_topology(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [office(), probe("left", "a"), probe("right", "b")]).await?;
    let clerk = running.addr::<Clerk>("clerk")?;
    let nobody = nobody();
    clerk.send(Subscribe(true)).await?;
    for (at, actor) in ["a", "b", "helper"].into_iter().enumerate() {
        // The root's word is on its way to the others: letters that die before it is there are not told.
        loop {
            let notes = SendNotes { whom: nobody.clone(), count: 1, how: How::DoSend };
            running.addr::<Probe>(actor)?.send(notes).await?;
            running.addr::<Probe>(actor)?.send(Nothing).await?;
            let letters = clerk.send(Read).await?;
            let mut from: Vec<_> = letters.iter().filter_map(|letter| letter.process.clone()).collect();
            from.sort();
            from.dedup();
            if from.len() == at + 1 {
                break;
            }
        }
    }
    // And the root's own.
    loop {
        nobody.do_send(Note(7));
        let letters = clerk.send(Read).await?;
        if letters.iter().any(|letter| letter.process.as_ref().is_some_and(|name| name.as_str() == "root")) {
            break;
        }
    }
    running.shutdown().await
}

async fn born_later(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [office(), probe("left", "a")]).await?;
    let clerk = running.addr::<Clerk>("clerk")?;
    let nobody = nobody();
    clerk.send(Subscribe(true)).await?;
    let a = running.addr::<Probe>("a")?;
    signal(who(&a).await.pid, Signal::SIGKILL);
    assert_eq!(who(&a).await.incarnation, 2);
    // It was told before it was introduced to anybody.
    a.send(SendNotes { whom: nobody, count: 2, how: How::DoSend }).await?;
    let letters = read(&clerk, 2).await;
    assert!(letters.iter().any(|letter| letter.process.as_ref().is_some_and(|name| name.as_str() == "left")));
    running.shutdown().await
}

async fn ends(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [office(), probe("left", "a")]).await?;
    let mut events = running.events();
    let clerk = running.addr::<Clerk>("clerk")?;
    let (a, helper) = (running.addr::<Probe>("a")?, running.addr::<Probe>("helper")?);
    let nobody = nobody();
    let notes = || SendNotes { whom: nobody.clone(), count: 1, how: How::DoSend };
    clerk.send(Subscribe(false)).await?;
    helper.send(notes()).await?;
    read(&clerk, 1).await;
    clerk.send(EndSubscription).await?;
    helper.send(notes()).await?;
    helper.send(Nothing).await?;
    assert_eq!(clerk.send(Read).await?.len(), 1);
    // The next life of the clerk's process has subscribed to nothing.
    clerk.send(Subscribe(true)).await?;
    signal(who(&helper).await.pid, Signal::SIGKILL);
    event(&mut events, |event| (event.kind() == "exited").then_some(())).await;
    assert_eq!(who(&helper).await.incarnation, 2);
    for _ in 0..10 {
        a.send(notes()).await?;
    }
    a.send(Nothing).await?;
    assert_eq!(clerk.send(Read).await?, []);
    running.shutdown().await
}

async fn inspected(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let nobody = nobody();
    a.send(SendNotes { whom: nobody.clone(), count: 5, how: How::DoSend }).await?;
    let report = loop {
        let report = running.dead_letters("left").await?;
        if report.counts.values().sum::<u64>() == 5 {
            break report;
        }
    };
    assert_eq!(report.last.len(), 5);
    assert!(report.last.windows(2).all(|pair| pair[1].number == pair[0].number + 1));
    assert!(matches!(running.dead_letters("no-such").await, Err(procession::Error::NoSuchProcess(_))));
    // Those of the root, with the message itself.
    let stopped = Probe::new(1, 0, None).start();
    let stopped_address = ProcAddr::export(stopped.clone())?;
    stopped.send(procession::address::StopActor).await.map_err(procession::Error::other)?;
    let before = dead_letters().unwrap().counts.values().sum::<u64>();
    stopped_address.do_send(Note(42));
    let report = dead_letters().unwrap();
    assert_eq!(report.counts.values().sum::<u64>(), before + 1);
    let letter = report.last.last().unwrap();
    let Note(note) = procession::codec::decode(letter.body.as_ref().unwrap()).unwrap();
    assert_eq!((note, letter.message.as_deref()), (42, Some("Note")));
    running.shutdown().await
}
