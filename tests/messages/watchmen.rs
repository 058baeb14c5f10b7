//! Who watches, and who dies: the actors of the stories about ends.

use nix::sys::signal::Signal;
use procession::address::{Down, Monitor};
use procession::prelude::*;

use crate::actors::{Life, Note, Probe, RELEASED};
use crate::stage::{deploy, signal};

messages! {
    Watch(ProcAddr<Mortal>) -> "()";
    WatchProcess(ProcAddr<Mortal>) -> "()";
    /// Asks the other something, over the pipe that a watch went before it.
    Settle(ProcAddr<Mortal>) -> "()";
    /// Drops every monitor.
    Blink() -> "()";
    Seen() -> "Vec<Sight>";
    /// Takes nothing until `Release` reaches a `Probe` of its process.
    Hold() -> "()";
    Large(Vec<u8>) -> "()";
    /// Sends so many notes, and a large one before the last, if wanted; then dies so.
    Die { to: ProcAddr<Watchman>, notes: u32, large: bool, how: Death } -> "()";
    /// Has a monitor told that is set here.
    WatchFor { whom: ProcAddr<Mortal>, told: ProcRecipient<Down> } -> "()";
    Panic() -> "()";
    Life1() -> "Life";
    GiveBirth() -> "ProcAddr<Mortal>";
    /// Asks for so many zeros without waiting for them.
    Flood { to: ProcAddr<Watchman>, asks: u32, how: Death } -> "()";
    Zeros(u32) -> "Vec<u8>";
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Death {
    Stops,
    Panics,
    KillsItsProcess,
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sight {
    Note(u32),
    Large(usize),
    Zeros,
    Down(Down),
}

/// Watches, and keeps what it was told in order.
#[derive(ProcActor)]
#[proc_actor(messages(
    Watch,
    WatchProcess,
    Settle,
    Blink,
    Seen,
    Hold,
    Large,
    Note,
    Down,
    WatchFor,
    Panic,
    Life1,
    Zeros
))]
pub(crate) struct Watchman {
    me: Option<ProcAddr<Watchman>>,
    monitors: Vec<Monitor>,
    seen: Vec<Sight>,
    life: Life,
}

impl Watchman {
    pub(crate) fn new(me: Option<ProcAddr<Watchman>>, incarnation: u32, restarts: u32) -> Watchman {
        let life = Life { pid: std::process::id(), incarnation, restarts, last_exit: None };
        Watchman { me, monitors: Vec::new(), seen: Vec::new(), life }
    }
}

impl Actor for Watchman {
    type Context = Context<Self>;
}

impl Spawn for Watchman {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Watchman::new(Some(birth.addr()), birth.incarnation.0, birth.restarts))
    }
}

impl Watchman {
    fn address(&self, context: &Context<Self>) -> ProcAddr<Watchman> {
        self.me.clone().unwrap_or_else(|| ProcAddr::export(context.address()).unwrap())
    }
}

handle! { for Watchman;
    Watch -> (): |this, Watch(whom), context| {
        let me = this.address(context);
        this.monitors.push(whom.monitor(me).unwrap());
    };
    WatchProcess -> (): |this, WatchProcess(whom), context| {
        let me = this.address(context);
        this.monitors.push(whom.monitor_process(me).unwrap());
    };
    Settle -> ResponseFuture<()>: |this, Settle(whom), _| Box::pin(async move { drop(whom.send(Life1).await) });
    Blink -> (): |this, _, _| this.monitors.clear();
    Seen -> MessageResult<Seen>: |this, _, _| MessageResult(this.seen.clone());
    Hold -> AtomicResponse<Self, ()>: |this, _, _| AtomicResponse::new(Box::pin(
        async { RELEASED.acquire().await.unwrap().forget() }.into_actor(this),
    ));
    Large -> (): |this, Large(bytes), _| this.seen.push(Sight::Large(bytes.len()));
    Note -> (): |this, Note(note), _| this.seen.push(Sight::Note(note));
    Down -> (): |this, down, _| this.seen.push(Sight::Down(down));
    WatchFor -> (): |this, WatchFor { whom, told }, _| this.monitors.push(whom.monitor(told).unwrap());
    Panic -> (): |this, _, _| panic!("the watchman is shot");
    Life1 -> Life: |this, _, _| this.life.clone();
    Zeros -> MessageResult<Zeros>: |this, Zeros(count), _| {
        this.seen.push(Sight::Zeros);
        MessageResult(vec![0; count as usize])
    };
}

/// Dies on request.
#[derive(ProcActor)]
#[proc_actor(messages(Die, Panic, Life1, GiveBirth, Flood, Down))]
pub(crate) struct Mortal {
    life: Life,
}

impl Actor for Mortal {
    type Context = Context<Self>;
}

impl Spawn for Mortal {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Mortal::new(birth.incarnation.0, birth.restarts))
    }
}

impl Mortal {
    pub(crate) fn new(incarnation: u32, restarts: u32) -> Mortal {
        Mortal { life: Life { pid: std::process::id(), incarnation, restarts, last_exit: None } }
    }
}

fn die(how: Death, context: &mut Context<Mortal>) {
    match how {
        Death::Stops => context.stop(),
        Death::Panics => panic!("it was a good life"),
        Death::KillsItsProcess => signal(std::process::id(), Signal::SIGKILL),
        Death::None => {}
    }
}

handle! { for Mortal;
    Die -> ResponseActFuture<Self, ()>: |this, Die { to, notes, large, how }, _| {
        for note in 0..notes {
            if large && note + 1 == notes {
                to.do_send(Large(vec![7; 3 << 20]));
            }
            to.do_send(Note(note));
        }
        // What was sent leaves when its handler is done.
        Box::pin(actix::fut::ready(()).map(move |(), _: &mut Mortal, context| die(how, context)))
    };
    Panic -> (): |this, _, _| panic!("it was a good life");
    Life1 -> Life: |this, _, _| this.life.clone();
    GiveBirth -> MessageResult<GiveBirth>: |this, _, _| {
        MessageResult(ProcAddr::export(Mortal::new(1, 0).start()).unwrap())
    };
    Down -> (): |this, _, _| ();
    Flood -> ResponseActFuture<Self, ()>: |this, Flood { to, asks, how }, _| {
        for _ in 0..asks {
            // Nobody reads them: each lives until its process does.
            let ask = to.send(Zeros(400_000));
            actix::spawn(async move { drop(ask.await) });
        }
        to.do_send(Note(1));
        Box::pin(actix::fut::ready(()).map(move |(), _: &mut Mortal, context| die(how, context)))
    };
}

pub(crate) fn watchman(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Watchman>(actor, ()).actor::<Probe>(format!("{actor}-gate"), ())
}

pub(crate) fn mortal(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Mortal>(actor, ())
}

pub(crate) struct Stage {
    pub(crate) running: Running,
    pub(crate) watchman: ProcAddr<Watchman>,
    pub(crate) mortal: ProcAddr<Mortal>,
}

/// A watchman in one process, a mortal in another.
pub(crate) async fn stage(root: &Root) -> procession::Result<Stage> {
    let running = deploy(root, [watchman("tower", "watchman"), mortal("field", "mortal")]).await?;
    let (watchman, mortal) = (running.addr("watchman")?, running.addr("mortal")?);
    Ok(Stage { running, watchman, mortal })
}

/// What was seen once it has so many ends.
pub(crate) async fn seen(watchman: &ProcAddr<Watchman>, ends: usize) -> Vec<Sight> {
    loop {
        let seen = watchman.send(Seen).await.unwrap();
        if downs(&seen).len() >= ends {
            // Were it told twice, the second would be behind the first.
            assert_eq!(downs(&watchman.send(Seen).await.unwrap()).len(), ends, "{seen:?}");
            return seen;
        }
    }
}

pub(crate) fn downs(seen: &[Sight]) -> Vec<&Down> {
    let downs = seen.iter().filter_map(|sight| match sight {
        Sight::Down(down) => Some(down),
        _ => None,
    });
    downs.collect()
}

/// The end is behind so many notes, in order.
pub(crate) fn assert_behind(seen: &[Sight], notes: u32) -> &Down {
    let (last, before) = seen.split_last().expect("something was seen");
    let Sight::Down(down) = last else { panic!("something was seen behind the end: {last:?}") };
    let notes_seen: Vec<u32> = before
        .iter()
        .filter_map(|sight| if let Sight::Note(note) = sight { Some(*note) } else { None })
        .collect();
    assert!(notes_seen.iter().copied().eq(0..notes), "{} of {notes} notes", notes_seen.len());
    down
}

/// Watches, and returns once the watch is where it leads to: what others send there now is behind it.
pub(crate) async fn watch(watchman: &ProcAddr<Watchman>, whom: &ProcAddr<Mortal>) {
    watchman.send(Watch(whom.clone())).await.unwrap();
    watchman.send(Settle(whom.clone())).await.unwrap();
}
