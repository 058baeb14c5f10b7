//! The actor and the messages that Procession and plain actix are measured with: the same ones.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bytes::Bytes;
use procession::address::{Down, Monitor};
use procession::blob::Blob;
use procession::prelude::*;
use procession::protocol::BusyPoll;
use procession::transport::polling;

pub(super) use procession_bench_clock::drive::{WORDS, Words, confirmed};

use crate::cores;
use crate::drive;
use crate::part::Failure;

/// Sixty-four bytes that want an answer of sixty-four bytes.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Words")]
pub(super) struct Echo(pub(super) Words);

/// Sixty-four bytes that want no answer.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(super) struct Note(pub(super) Words);

/// How many notes came to all receivers of the thread since the last such question.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(super) struct Confirm;

/// Many bytes that want no answer.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(super) struct Payload(#[serde(with = "procession::codec::bytes")] pub(super) Bytes);

/// Likewise, in memory that is handed over.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(super) struct BlobPayload(pub(super) Blob);

/// Have a look at a blob, and say how long it is.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(super) struct Look(pub(super) Blob);

/// The number of its process with the kernel.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
pub(super) struct Who;

/// Make so many more receivers, and say where they are.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Vec<ProcAddr<Receiver>>")]
pub(super) struct Hatch(pub(super) u32);

/// Watch somebody.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), String>")]
pub(super) struct Watch(pub(super) ProcAddr<Receiver>);

/// When it was told of the end of whom it watched, by the clock of the machine in ns.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Option<u64>")]
pub(super) struct WasDown;

/// Send somebody so many notes; answered when he has handled them.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), String>")]
pub(super) struct Feed {
    pub(super) to: ProcAddr<Receiver>,
    pub(super) notes: u64,
}

/// Answers, and counts what needs no answer.
#[derive(Clone, Copy, Debug, ProcActor)]
#[proc_actor(messages(
    Echo,
    Note,
    Confirm,
    Payload,
    BlobPayload,
    Look,
    Who,
    Feed,
    Hatch,
    Watch,
    Down,
    WasDown
))]
pub(super) struct Receiver;

thread_local! {
    static NOTES: Cell<u64> = const { Cell::new(0) };
    static WATCHED: RefCell<Option<Monitor>> = const { RefCell::new(None) };
    static DOWN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What plain actix keeps for an actor before a `send` has to wait: the same as a window of Procession.
const MAILBOX: usize = 1024;

impl Actor for Receiver {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

/// How a receiver's thread is to be.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// The core that it is pinned to.
    pub(super) core: Option<usize>,
    /// Whether it may look at its pipes before it sleeps.
    pub(super) polls: bool,
}

impl Place {
    /// Makes this thread so.
    pub(super) fn take(self) -> Result<(), Failure> {
        if !self.polls {
            polling::set(BusyPoll::Off);
        }
        cores::pin(self.core)
    }
}

impl Spawn for Receiver {
    type Args = Place;

    fn spawn(place: Place, _: &Birth) -> Result<Self, SpawnError> {
        place.take().map_err(|error| error.to_string())?;
        Ok(Receiver)
    }
}

impl Handler<Echo> for Receiver {
    type Result = MessageResult<Echo>;

    fn handle(&mut self, echo: Echo, _: &mut Context<Self>) -> Self::Result {
        MessageResult(echo.0)
    }
}

impl Handler<Note> for Receiver {
    type Result = ();

    fn handle(&mut self, note: Note, _: &mut Context<Self>) {
        NOTES.set(NOTES.get() + note.0[0]);
    }
}

impl Handler<Payload> for Receiver {
    type Result = ();

    fn handle(&mut self, payload: Payload, _: &mut Context<Self>) {
        std::hint::black_box(drive::touch(&payload.0));
        NOTES.set(NOTES.get() + 1);
    }
}

impl Handler<BlobPayload> for Receiver {
    type Result = ();

    fn handle(&mut self, payload: BlobPayload, _: &mut Context<Self>) {
        std::hint::black_box(drive::touch(&payload.0));
        NOTES.set(NOTES.get() + 1);
    }
}

impl Handler<Look> for Receiver {
    type Result = u64;

    fn handle(&mut self, look: Look, _: &mut Context<Self>) -> u64 {
        std::hint::black_box(look.0.first());
        look.0.len() as u64
    }
}

impl Handler<Who> for Receiver {
    type Result = u32;

    fn handle(&mut self, _: Who, _: &mut Context<Self>) -> u32 {
        std::process::id()
    }
}

impl Handler<Watch> for Receiver {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, watch: Watch, context: &mut Context<Self>) -> Self::Result {
        let told = context.address().recipient::<Down>();
        let monitor = watch.0.monitor(told).map_err(|error| error.to_string());
        Box::pin(async move {
            let monitor = monitor?;
            WATCHED.with_borrow_mut(|watched| *watched = Some(monitor));
            // Whoever answers what was asked behind it has it: else the next life might be watched instead of this one.
            watch.0.send(Who).await.map(drop).map_err(|error| error.to_string())
        })
    }
}

impl Handler<Down> for Receiver {
    type Result = ();

    fn handle(&mut self, _: Down, _: &mut Context<Self>) {
        DOWN.set(now().ok().and_then(|now| u64::try_from(now.as_nanos()).ok()));
    }
}

impl Handler<WasDown> for Receiver {
    type Result = Option<u64>;

    fn handle(&mut self, _: WasDown, _: &mut Context<Self>) -> Self::Result {
        DOWN.take()
    }
}

/// The clock that all processes of the machine share.
pub(super) fn now() -> Result<Duration, Failure> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?.into())
}

impl Handler<Hatch> for Receiver {
    type Result = MessageResult<Hatch>;

    fn handle(&mut self, hatch: Hatch, _: &mut Context<Self>) -> Self::Result {
        // Only outside a deployment could an export fail.
        MessageResult((0..hatch.0).filter_map(|_| ProcAddr::export(Receiver.start()).ok()).collect())
    }
}

impl Handler<Feed> for Receiver {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, feed: Feed, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            for _ in 0..feed.notes {
                feed.to.tell(Note(WORDS)).await.map_err(|error| error.to_string())?;
            }
            // Behind the notes, on the same way.
            feed.to.send(Who).await.map(drop).map_err(|error| error.to_string())
        })
    }
}

impl Handler<Confirm> for Receiver {
    type Result = u64;

    fn handle(&mut self, _: Confirm, _: &mut Context<Self>) -> u64 {
        NOTES.take()
    }
}
