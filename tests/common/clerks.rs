//! Actors that pass addresses on and write down what reaches them, for the stories of addresses and of rights.

use std::sync::LazyLock;

use libtest_mimic::Trial;
use procession::address::{Cause, JsonError, SendError, WeakProcAddr};
use procession::prelude::*;
use procession::runtime::{Event, Events};
use tokio::sync::Semaphore;

use crate::played::{played, without_a_child_left};

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || without_a_child_left(played(program(), PATIENCE, play)))
}

pub(crate) fn program() -> Program {
    Program::new().actor::<Clerk>()
}

/// Has whoever gets it look a name up for itself, and send what this says.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "String")]
pub(crate) enum Named {
    Note(String),
    Clear(String),
}

impl Handler<Named> for Clerk {
    type Result = ResponseFuture<String>;
    fn handle(&mut self, named: Named, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            match named {
                Named::Note(name) => {
                    ended(ProcAddr::<Clerk>::named(&name).send(Note("named".to_owned())).await)
                }
                Named::Clear(name) => ended(ProcAddr::<Clerk>::named(&name).send(Clear).await),
            }
        })
    }
}

/// An address as it stands in a message: in enums, lists, maps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Send so many notes of this text, without waiting for anything.
    Note { to: ProcAddr<Clerk>, text: String, count: u32 },
    /// Send one to whoever takes notes.
    NoteBy { to: ProcRecipient<Note>, text: String },
    /// Have it take nothing until it is released.
    Hold { to: ProcAddr<Clerk> },
    /// Have it forget what it noted.
    Clear { to: ProcAddr<Clerk> },
    /// Have another do this.
    Hand { to: ProcAddr<Clerk>, steps: Vec<Step> },
}

messages! {
    Note(String) -> "()";
    Taken() -> "Vec<String>";
    Clear() -> "()";
    Do(Vec<Step>) -> "()";
    /// Asks one to take a note, and tells how that ended: "done", or cause, verdict and whether the note came back.
    AskToNote { to: ProcAddr<Clerk>, text: String } -> "String";
    AskRecipient { to: ProcRecipient<Note>, text: String } -> "String";
    AskWeak { to: WeakProcAddr<Clerk>, text: String } -> "String";
    /// Takes nothing until `Release` reaches an actor of its process.
    Hold() -> "()";
    Release() -> "()";
    Pid() -> "u32";
    /// Notes there, and gives its address in the reply.
    NoteAndGive { to: ProcAddr<Clerk>, count: u32 } -> "ProcAddr<Clerk>";
    AskForIt { from: ProcAddr<Clerk>, to: ProcAddr<Clerk>, count: u32, text: String } -> "()";
    /// As `AskForIt`, and another than who is asked answers.
    AskForItByAnother { from: ProcAddr<Clerk>, ask: GiveByAnother, text: String } -> "()";
    /// An address of its own that only this life has.
    Export() -> "ProcAddr<Clerk>";
    /// Keeps it for its next lives.
    Keep(Option<ProcAddr<Clerk>>) -> "()";
    Kept() -> "Option<ProcAddr<Clerk>>";
    Descriptors() -> "usize";
    Revoke(ProcAddr<Clerk>) -> "Result<(), String>";
    Revocable() -> "ProcAddr<Clerk>";
    AskToClear(ProcAddr<Clerk>) -> "String";
    /// Sends a message by its name, and tells its result, or cause and verdict.
    AskJson { to: ProcAddr<Clerk>, message: String, json: String } -> "String";
    /// The address that it finds under a name, if that resolves.
    Lookup(String) -> "Option<ProcAddr<Clerk>>";
}

/// Has another answer for it, who notes as in `NoteAndGive`.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "ProcAddr<Clerk>")]
pub(crate) struct GiveByAnother {
    pub(crate) by: ProcAddr<Clerk>,
    pub(crate) to: ProcAddr<Clerk>,
    pub(crate) count: u32,
}

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct AnswerFor(Responder<ProcAddr<Clerk>>, NoteAndGive);

impl Handler<GiveByAnother> for Clerk {
    type Result = Later<ProcAddr<Clerk>>;
    fn handle(&mut self, ask: GiveByAnother, _: &mut Context<Self>) -> Self::Result {
        let (later, responder) = Later::new();
        ask.by.do_send(AnswerFor(responder, NoteAndGive { to: ask.to, count: ask.count }));
        later
    }
}

impl Handler<AnswerFor> for Clerk {
    type Result = ();
    fn handle(&mut self, AnswerFor(responder, NoteAndGive { to, count }): AnswerFor, _: &mut Context<Self>) {
        (0..count).for_each(|number| to.do_send(Note(format!("old{number}"))));
        responder.answer(to);
    }
}

static RELEASED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

#[derive(ProcActor)]
#[proc_actor(messages(
    Note,
    Taken,
    Clear,
    Do,
    AskToNote,
    AskRecipient,
    AskWeak,
    Hold,
    Release,
    Pid,
    NoteAndGive,
    AskForIt,
    AskForItByAnother,
    GiveByAnother,
    AnswerFor,
    Export,
    Keep,
    Kept,
    Descriptors,
    Revoke,
    Revocable,
    AskToClear,
    AskJson,
    Lookup,
    Named
))]
pub(crate) struct Clerk {
    taken: Vec<String>,
    kept: Option<ProcAddr<Clerk>>,
    me: Option<ProcAddr<Clerk>>,
    snapshots: Snapshots<Option<ProcAddr<Clerk>>>,
}

/// The environment of a process names a pipe: its clerks are born once somebody has written there.
pub(crate) const WAITS_FOR: &str = "CLERK_WAITS_FOR";

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Spawn for Clerk {
    /// Whom it knows by its arguments.
    type Args = Vec<ProcAddr<Clerk>>;

    fn spawn(_: Vec<ProcAddr<Clerk>>, birth: &Birth) -> Result<Self, SpawnError> {
        if let Ok(gate) = std::env::var(WAITS_FOR) {
            std::fs::read(gate)?;
        }
        let kept = birth.state::<Option<ProcAddr<Clerk>>>()?.flatten();
        Ok(Clerk { taken: Vec::new(), kept, me: Some(birth.addr()), snapshots: birth.snapshots() })
    }
}

/// One of no topology.
pub(crate) fn clerk() -> Clerk {
    Clerk { taken: Vec::new(), kept: None, me: None, snapshots: Snapshots::default() }
}

/// What a cause is called, without what it says beside.
fn called(cause: &Cause) -> String {
    let whole = format!("{cause:?}");
    whole.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

pub(crate) fn ended<M>(outcome: Result<(), SendError<M>>) -> String {
    match outcome {
        Ok(()) => "done".to_owned(),
        Err(error) => {
            let (verdict, cause) = (error.verdict(), called(error.cause()));
            format!("{cause} {verdict:?} {}", if error.into_message().is_some() { "back" } else { "gone" })
        }
    }
}

pub(crate) async fn by_json(to: &ProcAddr<Clerk>, message: &str, json: &str) -> String {
    match to.send_json(message, &serde_json::from_str(json).unwrap()).await {
        Ok(result) => result.to_string(),
        Err(JsonError::Send(failure)) => format!("{} {:?}", called(&failure.cause), failure.verdict),
        Err(error) => error.to_string(),
    }
}

fn carry_out(steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Note { to, text, count } => {
                (0..count).for_each(|number| to.do_send(Note(format!("{text}{number}"))));
            }
            Step::NoteBy { to, text } => to.do_send(Note(text)),
            Step::Hold { to } => to.do_send(Hold),
            Step::Clear { to } => to.do_send(Clear),
            Step::Hand { to, steps } => to.do_send(Do(steps)),
        }
    }
}

macro_rules! handles {
    ($($message:ident -> $result:ty: |$clerk:ident, $it:pat_param| $body:expr;)*) => {$(
        impl Handler<$message> for Clerk {
            type Result = $result;
            fn handle(&mut self, $it: $message, _: &mut Context<Self>) -> $result {
                let $clerk = self;
                $body
            }
        }
    )*};
}

handles! {
    Note -> (): |clerk, Note(text)| clerk.taken.push(text);
    Taken -> Vec<String>: |clerk, _| std::mem::take(&mut clerk.taken);
    Clear -> (): |clerk, _| clerk.taken.clear();
    Do -> (): |_clerk, Do(steps)| carry_out(steps);
    Release -> (): |_clerk, _| RELEASED.add_permits(1);
    Pid -> u32: |_clerk, _| std::process::id();
    Descriptors -> usize: |_clerk, _| std::fs::read_dir("/proc/self/fd").unwrap().count();
    AskToNote -> ResponseFuture<String>: |_clerk, ask| Box::pin(async move { ended(ask.to.send(Note(ask.text)).await) });
    AskRecipient -> ResponseFuture<String>: |_clerk, ask| Box::pin(async move { ended(ask.to.send(Note(ask.text)).await) });
    AskWeak -> ResponseFuture<String>: |_clerk, ask| Box::pin(async move {
        match ask.to.upgrade() {
            Some(to) => ended(to.send(Note(ask.text)).await),
            None => "nobody".to_owned(),
        }
    });
    AskForIt -> ResponseFuture<()>: |_clerk, ask| Box::pin(async move {
        let to = ask.from.send(NoteAndGive { to: ask.to, count: ask.count }).await.unwrap();
        to.do_send(Note(ask.text));
    });
    AskForItByAnother -> ResponseFuture<()>: |_clerk, it| Box::pin(async move {
        it.from.send(it.ask).await.unwrap().do_send(Note(it.text));
    });
    AskToClear -> ResponseFuture<String>: |_clerk, AskToClear(to)| Box::pin(async move { ended(to.send(Clear).await) });
    AskJson -> ResponseFuture<String>: |_clerk, ask| Box::pin(async move { by_json(&ask.to, &ask.message, &ask.json).await });
    Lookup -> MessageResult<Lookup>: |_clerk, Lookup(name)| MessageResult(Some(ProcAddr::named(&name)));
    Revoke -> Result<(), String>: |_clerk, Revoke(address)| address.revoke().map_err(|failure| failure.to_string());
    Kept -> MessageResult<Kept>: |clerk, _| MessageResult(clerk.kept.clone());
    Revocable -> MessageResult<Revocable>: |clerk, _| MessageResult(clerk.me.as_ref().unwrap().revocable().unwrap());
    Export -> MessageResult<Export>: |_clerk, _| MessageResult(ProcAddr::export(self::clerk().start()).unwrap());
    NoteAndGive -> MessageResult<NoteAndGive>: |_clerk, NoteAndGive { to, count }| {
        (0..count).for_each(|number| to.do_send(Note(format!("old{number}"))));
        MessageResult(to)
    };
}

impl Handler<Hold> for Clerk {
    type Result = ();
    fn handle(&mut self, _: Hold, context: &mut Context<Self>) {
        context.wait(actix::fut::wrap_future(async {
            RELEASED.acquire().await.unwrap().forget();
        }));
    }
}

impl Handler<Keep> for Clerk {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, Keep(kept): Keep, _: &mut Context<Self>) -> Self::Result {
        self.kept.clone_from(&kept);
        let saving = self.snapshots.save(&kept);
        Box::pin(async move { saving.await.unwrap() })
    }
}

pub(crate) fn process(name: &str) -> Process {
    Process::new(name).actor::<Clerk>(name, vec![]).mailbox(64, 1 << 20)
}

pub(crate) fn at(running: &Running, name: &str) -> ProcAddr<Clerk> {
    running.addr(name).unwrap()
}

/// What one has written down, once it is so many.
pub(crate) async fn taken(clerk: &ProcAddr<Clerk>, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(clerk.send(Taken).await.unwrap());
    }
    all
}

/// The next event that fits.
pub(crate) async fn event<T>(events: &mut Events, mut fits: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("it happens before the end");
        if let Some(found) = fits(&event) {
            return found;
        }
    }
}

/// Kills the process of an actor, and waits for its death.
pub(crate) async fn kill(running: &Running, clerk: &ProcAddr<Clerk>) {
    let mut events = running.events();
    let pid = clerk.send(Pid).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    event(&mut events, |event| matches!(event, Event::Exited { .. }).then_some(())).await;
}
