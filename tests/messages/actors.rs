//! The actors of the stories.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use procession::prelude::*;
use tokio::sync::Semaphore;

pub(crate) fn program() -> Program {
    Program::new()
        .actor::<Probe>()
        .actor::<Other>()
        .actor::<Picky>()
        .actor::<Talker>()
        .actor::<crate::carrying::Porter>()
        .actor::<crate::casts::Walker>()
        .actor::<crate::at_least_once::Ledger>()
        .actor::<crate::innocents::Keeper>()
        .actor::<crate::postmortem::Patient>()
        .actor::<crate::states::Vault>()
        .actor::<crate::states::Strict>()
        .actor::<crate::founder::Founder>()
        .actor::<crate::watchmen::Watchman>()
        .actor::<crate::watchmen::Mortal>()
        .actor::<crate::hangs::Hog>()
        .actor::<crate::linking::Chained>()
        .actor::<crate::linking::Trap>()
        .actor::<crate::letters::Clerk>()
        .actor::<crate::roots::Starter>()
}

messages! {
    Nothing() -> "()";
    Double(u64) -> "u64";
    /// Its error is a type of ours.
    Parse(String) -> "Result<u32, NotANumber>";
    InAFuture(u64) -> "u64";
    InTheActor(u64) -> "u64";
    Atomically(u64) -> "u64";
    /// Is answered when `Release` reaches any actor of that process; its actor takes nothing meanwhile.
    Hold() -> "()";
    /// As `Hold`, while its actor goes on.
    Wait() -> "()";
    Release() -> "()";
    Note(u32) -> "()";
    Notes() -> "Vec<u32>";
    WhoAreYou() -> "Life";
    Panic(String) -> "u32";
    PanicInside(String) -> "u32";
    PanicInAFuture(String) -> "u32";
    Finish(i32) -> "()";
    Length(Vec<u8>) -> "u64";
    Zeros(u64) -> "Vec<u8>";
    Ask { whom: ProcAddr<Probe>, value: u64 } -> "Result<u64, String>";
    AskVia { via: ProcAddr<Probe>, whom: ProcAddr<Probe>, value: u64 } -> "Result<u64, String>";
    AskRecipient { whom: ProcRecipient<Double>, value: u64 } -> "Result<u64, String>";
    AskByName(String) -> "Result<u64, String>";
    /// Sends so many notes, in order.
    SendNotes { whom: ProcAddr<Probe>, count: u32, how: How } -> "u32";
    /// Sends a handler's panic to another actor of its own process, and then asks it something.
    PanicAndAsk(ProcAddr<Probe>) -> "(String, Result<u64, String>)";
    GiveMeYourAddress() -> "ProcAddr<Probe>";
    Descriptors() -> "Vec<String>";
    /// Spends this long in its handler, as a slow computation does.
    Busy(u64) -> "()";
    /// Notes each value that it sends on, and only then.
    Forward { whom: ProcAddr<Probe>, note: u32 } -> "()";
    /// Asks itself, after a handler of its own that takes longer than the topology lets a request take.
    AskMyself() -> "Result<u64, String>";
    AskForEver(ProcAddr<Probe>) -> "String";
    AskForZeros { whom: ProcAddr<Probe>, count: u64 } -> "Result<usize, String>";
    /// Sends itself more requests than it has room for, stops, and counts how many of them end.
    StopWithManyWaiting(u32) -> "u32";
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum How {
    Tell,
    DoSend,
    Send,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotANumber {
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, MessageResponse)]
pub(crate) struct Life {
    pub(crate) pid: u32,
    pub(crate) incarnation: u32,
    pub(crate) restarts: u32,
    pub(crate) last_exit: Option<Exit>,
}

/// Let go by `Release`.
pub(crate) static RELEASED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

async fn released() {
    RELEASED.acquire().await.unwrap().forget();
}

/// Does what it is told.
#[derive(ProcActor)]
#[proc_actor(messages(
    Nothing,
    Double,
    Parse,
    InAFuture,
    InTheActor,
    Atomically,
    Hold,
    Wait,
    Release,
    Note,
    Notes,
    WhoAreYou,
    Panic,
    PanicInside,
    PanicInAFuture,
    Finish,
    Length,
    Zeros,
    Ask,
    AskVia,
    AskRecipient,
    AskByName,
    SendNotes,
    PanicAndAsk,
    GiveMeYourAddress,
    Descriptors,
    Busy,
    Forward,
    Moody,
    AskMyself,
    AskForEver,
    AskForZeros,
    StopWithManyWaiting,
))]
pub(crate) struct Probe {
    life: Life,
    notes: Vec<u32>,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Spawn for Probe {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Probe::new(birth.incarnation.0, birth.restarts, birth.last_exit))
    }
}

impl Probe {
    pub(crate) fn new(incarnation: u32, restarts: u32, last_exit: Option<Exit>) -> Probe {
        Probe { life: Life { pid: std::process::id(), incarnation, restarts, last_exit }, notes: Vec::new() }
    }
}

type Later<R> = ResponseFuture<R>;

handle! { for Probe;
    Nothing -> (): |this, _, _| ();
    Double -> u64: |this, Double(value), _| value * 2;
    Parse -> Result<u32, NotANumber>: |this, Parse(text), _| text.parse().map_err(|_| NotANumber { text });
    InAFuture -> Later<u64>: |this, InAFuture(value), _| Box::pin(async move {
        tokio::task::yield_now().await;
        value + 1
    });
    InTheActor -> ResponseActFuture<Self, u64>: |this, InTheActor(value), _| Box::pin(
        tokio::task::yield_now().into_actor(this).map(move |(), this, _| { this.notes.push(7); value + 2 }),
    );
    Atomically -> AtomicResponse<Self, u64>: |this, Atomically(value), _| AtomicResponse::new(Box::pin(
        tokio::task::yield_now().into_actor(this).map(move |(), _, _| value + 3),
    ));
    Hold -> AtomicResponse<Self, ()>: |this, _, _| AtomicResponse::new(Box::pin(released().into_actor(this)));
    Wait -> Later<()>: |this, _, _| Box::pin(released());
    Release -> (): |this, _, _| RELEASED.add_permits(1);
    Note -> (): |this, Note(note), _| this.notes.push(note);
    Notes -> MessageResult<Notes>: |this, _, _| MessageResult(this.notes.clone());
    WhoAreYou -> Life: |this, _, _| this.life.clone();
    Panic -> u32: |this, Panic(text), _| panic!("{text}");
    PanicInside -> ResponseActFuture<Self, u32>: |this, PanicInside(text), _| Box::pin(
        tokio::task::yield_now().into_actor(this).map(move |(), _, _| panic!("{text}")),
    );
    PanicInAFuture -> Later<u32>: |this, PanicInAFuture(text), _| Box::pin(async move {
        tokio::task::yield_now().await;
        panic!("{text}")
    });
    Finish -> (): |this, Finish(code), _| procession::finish(code);
    Length -> u64: |this, Length(bytes), _| bytes.len() as u64;
    Zeros -> MessageResult<Zeros>: |this, Zeros(count), _| MessageResult(vec![0; count.try_into().unwrap()]);
    Ask -> Later<Result<u64, String>>: |this, Ask { whom, value }, _| Box::pin(async move {
        whom.send(Double(value)).await.map_err(|error| error.to_string())
    });
    AskVia -> Later<Result<u64, String>>: |this, AskVia { via, whom, value }, _| Box::pin(async move {
        via.send(Ask { whom, value }).await.map_err(|error| error.to_string())?
    });
    AskRecipient -> Later<Result<u64, String>>: |this, AskRecipient { whom, value }, _| Box::pin(async move {
        whom.send(Double(value)).await.map_err(|error| error.to_string())
    });
    AskByName -> Later<Result<u64, String>>: |this, AskByName(name), _| Box::pin(async move {
        ProcAddr::<Probe>::named(&name).send(Double(21)).await.map_err(|error| error.to_string())
    });
    SendNotes -> Later<u32>: |this, SendNotes { whom, count, how }, _| Box::pin(async move {
        let mut lost = 0;
        for note in 0..count {
            match how {
                How::DoSend => whom.do_send(Note(note)),
                How::Tell => lost += u32::from(whom.tell(Note(note)).await.is_err()),
                How::Send => lost += u32::from(whom.send(Note(note)).await.is_err()),
            }
        }
        lost
    });
    PanicAndAsk -> Later<(String, Result<u64, String>)>: |this, PanicAndAsk(whom), _| Box::pin(async move {
        let error = whom.send(Panic("ouch".into())).await.unwrap_err().to_string();
        (error, whom.send(Double(4)).await.map_err(|error| error.to_string()))
    });
    GiveMeYourAddress -> MessageResult<GiveMeYourAddress>: |this, _, context| {
        MessageResult(ProcAddr::export(context.address()).unwrap())
    };
    Descriptors -> MessageResult<Descriptors>: |this, _, _| MessageResult(crate::stage::descriptors());
    Busy -> (): |this, Busy(ms), _| {
        let end = Instant::now() + Duration::from_millis(ms);
        while Instant::now() < end {}
    };
    Forward -> (): |this, Forward { whom, note }, _| whom.do_send(Note(note));
    Moody -> u64: |this, moody, _| moody.value;
    AskMyself -> Later<Result<u64, String>>: |this, _, context| {
        let me = ProcAddr::<Probe>::export(context.address()).unwrap();
        Box::pin(async move {
            me.do_send(Busy(150));
            let request = me.send(Double(21)).timeout(Duration::from_secs(20));
            request.await.map_err(|error| error.to_string())
        })
    };
    AskForEver -> Later<String>: |this, AskForEver(whom), _| Box::pin(async move {
        whom.send(Wait).await.unwrap_err().to_string()
    });
    AskForZeros -> Later<Result<usize, String>>: |this, AskForZeros { whom, count }, _| Box::pin(async move {
        whom.send(Zeros(count)).await.map(|zeros| zeros.len()).map_err(|error| error.to_string())
    });
    StopWithManyWaiting -> Later<u32>: |this, StopWithManyWaiting(count), _| {
        let other = Probe::new(1, 0, None).start();
        let address = ProcAddr::export(other.clone()).unwrap();
        Box::pin(async move {
            let requests: Vec<_> = (0..count).map(|note| address.send(Note(note))).collect();
            other.do_send(procession::address::StopActor);
            let mut ended = 0;
            for request in requests {
                let _ = request.await;
                ended += 1;
            }
            ended
        })
    };
}

/// What is wrong with a [`Moody`] message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Mood {
    Good,
    CantBeWritten,
    CantBeRead,
    PanicsWhenWritten,
    PanicsWhenRead,
}

/// A message that may refuse to become bytes, or to come back from them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "u64")]
pub(crate) struct Moody {
    pub(crate) value: u64,
    pub(crate) mood: Mood,
}

impl Serialize for Moody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.mood {
            Mood::CantBeWritten => Err(serde::ser::Error::custom("I will not be written")),
            Mood::PanicsWhenWritten => panic!("I can't be written"),
            mood => (self.value, mood).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (value, mood) = <(u64, Mood)>::deserialize(deserializer)?;
        match mood {
            Mood::CantBeRead => Err(serde::de::Error::custom("I will not be read")),
            Mood::PanicsWhenRead => panic!("I can't be read"),
            mood => Ok(Moody { value, mood }),
        }
    }
}

/// Another type, which takes one message of the same name.
#[derive(ProcActor)]
#[proc_actor(messages(Double))]
pub(crate) struct Other;

impl Actor for Other {
    type Context = Context<Self>;
}

impl Handler<Double> for Other {
    type Result = u64;

    fn handle(&mut self, Double(value): Double, _: &mut Context<Self>) -> u64 {
        value * 200
    }
}

impl Spawn for Other {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Other)
    }
}

/// How a [`Picky`] is born.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Mishap {
    Refuses,
    Panics,
    NeverReady,
    Exits(i32),
    None,
}

/// An actor that may not come to life.
#[derive(ProcActor)]
#[proc_actor(messages(Nothing))]
pub(crate) struct Picky;

impl Actor for Picky {
    type Context = Context<Self>;
}

impl Handler<Nothing> for Picky {
    type Result = ();

    fn handle(&mut self, _: Nothing, _: &mut Context<Self>) {}
}

impl Spawn for Picky {
    type Args = Mishap;

    fn spawn(mishap: Mishap, _: &Birth) -> Result<Self, SpawnError> {
        match mishap {
            Mishap::Refuses => Err("the database is down".into()),
            Mishap::Panics => panic!("no database at all"),
            Mishap::NeverReady => loop {
                std::thread::park();
            },
            Mishap::Exits(code) => nix_exit(code),
            Mishap::None => Ok(Picky),
        }
    }
}

/// As a C library ends a process: without a word.
fn nix_exit(code: i32) -> ! {
    procession::sys::exit::exit_now(code)
}

/// Talks to another actor for ever, and tells a file how far it has come.
#[derive(ProcActor)]
#[proc_actor(messages(Nothing))]
pub(crate) struct Talker {
    args: Talking,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Talking {
    pub(crate) to: ProcAddr<Probe>,
    pub(crate) tell: std::path::PathBuf,
}

impl Actor for Talker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let Talking { to, tell } = self.args.clone();
        context.spawn(talk(to, tell).into_actor(self));
    }
}

async fn talk(to: ProcAddr<Probe>, tell: std::path::PathBuf) {
    let round = RefCell::new(0_u64);
    let mut out = std::fs::OpenOptions::new().write(true).open(tell).unwrap();
    loop {
        let next = to.send(Double(1)).await.unwrap() / 2 + *round.borrow();
        round.replace(next);
        let partner = to.send(WhoAreYou).await.unwrap().pid;
        use std::io::Write as _;
        writeln!(out, "{next} {} {partner}", std::process::id()).unwrap();
    }
}

impl Handler<Nothing> for Talker {
    type Result = ();

    fn handle(&mut self, _: Nothing, _: &mut Context<Self>) {}
}

impl Spawn for Talker {
    type Args = Talking;

    fn spawn(args: Talking, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Talker { args })
    }
}
