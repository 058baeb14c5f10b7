//! What is delivered at least once is blamed for the death of its actor by its own doing, and for no other end of it (M-6).

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::{Cause, Link};
use procession::prelude::*;

use crate::at_least_once::{attempt, dead_letters, enter, lines};
use crate::stage::{story, until};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m6_whose_actor_is_stopped_with_a_sibling_is_never_blamed", siblings),
        story("m6_whose_actor_stops_by_itself_is_never_blamed", stops),
        story("m6_whose_actor_is_ended_by_a_link_is_never_blamed", links),
        story("m6_whose_responder_is_dropped_with_its_actor_is_never_blamed", responders),
        story("m6_an_asynchronous_handler_that_kills_its_actor_is_parked", guilty),
        story("m6_what_never_answers_is_parked_though_its_actor_lives", silent),
    ]
}

/// More often than a message may kill its actor before it is parked.
const ENDS: u32 = 4;

messages! {
    /// Writes its value down, and is done when it is let go, within the context of its actor.
    Stay(u32) -> "u32";
    /// As `Stay`, by a responder that the actor holds.
    Owe(u32) -> "u32";
    /// As `Stay`, and panics then.
    StayAndPanic(u32) -> "u32";
    /// Drops whoever was to answer.
    Forget(u32) -> "u32";
    LetGo() -> "()";
    Break() -> "()";
    Stop() -> "()";
    LinkWith(ProcAddr<Keeper>) -> "()";
    Born() -> "u32";
}

/// Has messages under way.
#[derive(ProcActor)]
#[proc_actor(messages(Stay, Owe, StayAndPanic, Forget, LetGo, Break, Stop, LinkWith, Born))]
pub(crate) struct Keeper {
    me: ProcAddr<Keeper>,
    file: PathBuf,
    restarts: u32,
    links: Vec<Link>,
    owed: Vec<(u32, Responder<u32>)>,
    staying: std::rc::Rc<tokio::sync::Notify>,
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Spawn for Keeper {
    type Args = PathBuf;

    fn spawn(file: PathBuf, birth: &Birth) -> Result<Self, SpawnError> {
        let (me, restarts) = (birth.addr(), birth.restarts);
        Ok(Keeper { me, file, restarts, links: Vec::new(), owed: Vec::new(), staying: Default::default() })
    }
}

impl Keeper {
    fn stay(&mut self, value: u32) -> impl Future<Output = ()> + 'static {
        enter(&self.file, value, attempt());
        let staying = std::rc::Rc::clone(&self.staying);
        async move { staying.notified().await }
    }
}

handle! { for Keeper;
    Stay -> ResponseActFuture<Self, u32>: |this, Stay(value), _| {
        Box::pin(this.stay(value).into_actor(this).map(move |(), _, _| value))
    };
    Owe -> Later<u32>: |this, Owe(value), _| {
        enter(&this.file, value, attempt());
        let (later, responder) = Later::new();
        this.owed.push((value, responder));
        later
    };
    StayAndPanic -> ResponseActFuture<Self, u32>: |this, StayAndPanic(value), _| {
        Box::pin(this.stay(value).into_actor(this).map(|(), _, _| panic!("the guilty one")))
    };
    Forget -> Later<u32>: |this, Forget(value), _| {
        enter(&this.file, value, attempt());
        let (later, responder) = Later::new();
        drop(responder);
        later
    };
    LetGo -> (): |this, _, _| {
        this.staying.notify_waiters();
        this.owed.drain(..).for_each(|(value, responder)| responder.answer(value));
    };
    Break -> (): |this, _, _| panic!("not the message that waits");
    Stop -> (): |this, _, context| context.stop();
    LinkWith -> (): |this, LinkWith(other), _| this.links.push(this.me.link(&other).unwrap());
    Born -> u32: |this, _, _| this.restarts;
}

struct Stage {
    running: Running,
    innocent: ProcAddr<Keeper>,
    sibling: ProcAddr<Keeper>,
    file: PathBuf,
    told: std::sync::mpsc::Receiver<(Cause, u64)>,
    _folder: tempfile::TempDir,
}

async fn stage(root: &Root, strategy: Strategy) -> procession::Result<Stage> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stays");
    // Every end of a story is meant, and none is waited for.
    let often = Intensity { restarts: 100, period: Duration::from_secs(60) };
    let house = Process::new("house")
        .actors(
            Actors::new()
                .restart(often)
                .restart(Backoff { min: Duration::ZERO, max: Duration::ZERO })
                .restart(strategy),
        )
        .actor::<Keeper>("sibling", folder.path().join("sibling"))
        .actor::<Keeper>("innocent", file.clone());
    let told = dead_letters(root);
    let running = root.deploy(Topology::new("innocents").process(house)).await?;
    let (innocent, sibling) = (running.addr("innocent")?, running.addr("sibling")?);
    Ok(Stage { running, innocent, sibling, file, told, _folder: folder })
}

impl Stage {
    /// Until the innocent was restarted so often.
    async fn born(&self, restarts: u32) {
        while !self.innocent.send(Born).await.is_ok_and(|now| now >= restarts) {}
    }

    /// It was begun once in each life and never blamed; let go, it is answered.
    async fn ends_well<E: std::fmt::Debug>(
        self,
        asked: impl Future<Output = Result<u32, E>>,
    ) -> procession::Result<()> {
        self.innocent.send(LetGo).await?;
        assert_eq!(asked.await.unwrap(), 7);
        assert_eq!(self.told.try_iter().collect::<Vec<_>>(), []);
        self.running.shutdown().await?;
        assert!(lines(&self.file).into_iter().eq((1..=ENDS + 1).map(|attempt| (7, attempt))));
        Ok(())
    }

    async fn begun(&self, lives: u32) {
        until(|| lines(&self.file).len() == lives as usize).await;
    }
}

async fn siblings(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForAll).await?;
    let asked = stage.innocent.at_least_once().send(Stay(7));
    for end in 1..=ENDS {
        stage.begun(end).await;
        stage.sibling.send(Break).await.unwrap_err();
        stage.born(end).await;
    }
    stage.begun(ENDS + 1).await;
    stage.ends_well(asked).await
}

async fn stops(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForOne).await?;
    let asked = stage.innocent.at_least_once().send(Stay(7));
    for end in 1..=ENDS {
        stage.begun(end).await;
        stage.innocent.send(Stop).await?;
        stage.born(end).await;
    }
    stage.begun(ENDS + 1).await;
    stage.ends_well(asked).await
}

async fn links(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForOne).await?;
    let asked = stage.innocent.at_least_once().send(Stay(7));
    for end in 1..=ENDS {
        stage.begun(end).await;
        stage.innocent.send(LinkWith(stage.sibling.clone())).await?;
        stage.sibling.send(Break).await.unwrap_err();
        stage.born(end).await;
    }
    stage.begun(ENDS + 1).await;
    stage.ends_well(asked).await
}

async fn responders(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForAll).await?;
    let asked = stage.innocent.at_least_once().send(Owe(7));
    for end in 1..=ENDS {
        stage.begun(end).await;
        match end % 2 {
            0 => drop(stage.sibling.send(Break).await.unwrap_err()),
            _ => stage.innocent.send(Stop).await?,
        }
        stage.born(end).await;
    }
    stage.begun(ENDS + 1).await;
    stage.ends_well(asked).await
}

async fn guilty(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForAll).await?;
    let asked = stage.innocent.at_least_once().send(StayAndPanic(7));
    for death in 1..=3 {
        stage.begun(death).await;
        stage.innocent.send(LetGo).await?;
        stage.born(death).await;
    }
    let error = asked.await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Poison { deaths: 3 }, Verdict::Failed));
    assert_eq!(stage.told.try_iter().collect::<Vec<_>>(), [(Cause::Poison { deaths: 3 }, 1)]);
    stage.running.shutdown().await?;
    assert_eq!(lines(&stage.file), [(7, 1), (7, 2), (7, 3)]);
    Ok(())
}

async fn silent(root: Root) -> procession::Result<()> {
    let stage = stage(&root, Strategy::OneForOne).await?;
    let error = stage.innocent.at_least_once().send(Forget(7)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Poison { deaths: 3 }, Verdict::Failed));
    assert_eq!(stage.innocent.send(Born).await?, 0);
    stage.running.shutdown().await?;
    assert_eq!(lines(&stage.file), [(7, 1), (7, 2), (7, 3)]);
    Ok(())
}
