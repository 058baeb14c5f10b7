//! The actors of the stories.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::{Stream, StreamExt, stream};
use procession::prelude::*;
use procession::trace::{self, Finished};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::Instrument;

pub(crate) fn program() -> Program {
    Program::new().actor::<Spring>().actor::<Keeper>().actor::<crate::impostor::Impostor>()
}

messages! {
    WhoAreYou() -> "u32";
    /// The numbers from 0.
    Count(u64) -> "Streaming<u64>";
    /// So many texts of so many bytes.
    Texts(u64, usize) -> "Streaming<String>";
    /// So many numbers, and then an error.
    Fail(u64) -> "Streaming<u64, Bad>";
    /// So many numbers, and then nothing more, nor an end.
    Stall(u64) -> "Streaming<u64>";
    /// The numbers from 0, each once it was let go.
    Drip(u64) -> "Streaming<u64>";
    /// So many numbers, and a panic when it is dropped.
    Bomb(u64) -> "Streaming<u64>";
    /// As `Stall`, made by a future of the handler.
    StallSoon(u64) -> "Streaming<u64>";
    /// By one in the actor's context.
    StallInActor(u64) -> "Streaming<u64>";
    /// By one for which the actor waits.
    StallAlone(u64) -> "Streaming<u64>";
    /// As `Trip`, made by a future of the handler.
    TripSoon(u64) -> "Result<Streaming<u64>, Bad>";
    /// Takes so many texts of so many bytes of another.
    DrinkTexts { whom: ProcAddr<Spring>, count: u64, bytes: usize } -> "Result<u64, String>";
    /// So many numbers, and then a panic.
    Trip(u64) -> "Streaming<u64>";
    /// A number, and then one that can't be encoded.
    Thorny() -> "Streaming<Prickly>";
    /// What can't be read.
    GiveSour() -> "Sour";
    /// As `Count`, once it was let go.
    Later_(u64) -> "Streaming<u64>";
    /// A stream, or why there is none.
    Perhaps(bool) -> "Result<Streaming<u64>, Bad>";
    /// How many streams live in this process, and how many items they have yielded.
    Tally() -> "(u64, u64)";
    /// Answered when so many streams live here.
    Await(u64) -> "()";
    /// Adds up what another yields.
    Drink { whom: ProcAddr<Spring>, to: u64 } -> "Result<u64, String>";
    /// Takes so many items of another's stream, and keeps the stream.
    Sip { whom: ProcAddr<Spring>, count: u64 } -> "()";
    Panic() -> "()";
    Stop() -> "()";
    /// Lets go what waits.
    Release() -> "()";
    /// How many streams wait to be let go.
    Waiting() -> "u64";
    /// Pipes, with so many letters in each.
    Pipes(u64) -> "Streaming<(u64, Descriptor)>";
    /// Blobs of so many bytes.
    Blobs(u64, usize) -> "Streaming<Blob>";
    /// Answers with twice the number when it is told to.
    Ponder(u64) -> "u64";
    /// Answers all that ponder.
    Decide() -> "usize";
    /// Has another answer all that ponder here, long after they were asked.
    LetDecide(ProcAddr<Spring>) -> "usize";
    /// Gives back whatever ponders here.
    TakeBack() -> "Vec<Responder<u64>>";
    /// Forgets all that ponder.
    Forget() -> "usize";
    /// Lets another answer, perhaps through further ones.
    Delegate { value: u64, to: Vec<ProcAddr<Spring>>, how: How } -> "u64";
    /// Answers with a pipe that says so.
    Lend(String, ProcAddr<Spring>) -> "(String, Descriptor)";
    /// Asks one to lend so much through the other, and says what came of it.
    Borrow(usize, ProcAddr<Spring>, ProcAddr<Spring>) -> "String";
    /// How many responders it keeps.
    Kept() -> "usize";
    /// How many of them nobody waits for any more.
    Cancelled() -> "usize";
    /// Answers all that it keeps with 77.
    Settle() -> "usize";
    /// Has another let others answer it.
    Order(ProcAddr<Spring>, Vec<ProcAddr<Spring>>, How) -> "Option<u64>";
    /// Let go by `Release` of this process.
    Hold() -> "()";
    /// Asks a keeper, and answers with its answer.
    AskKeeper(ProcAddr<Keeper>) -> "u64";
    Keep() -> "u64";
    /// Tells of its spans.
    Report(String, ProcRecipient<Finished>) -> "()";
    /// Goes to the next, and says how many it passed.
    Walk { to: Vec<ProcAddr<Spring>>, how: By } -> "u64";
    /// A long step.
    Stride(Vec<u8>) -> "()";
}

/// A message that has a stream.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<u64, String>")]
pub(crate) struct Sum(pub(crate) Streaming<u64>);

/// A message that has a stream, and may have what can't be encoded.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct Spoiled(pub(crate) Streaming<u64>, pub(crate) Prickly);

/// Asks whoever gets it to answer somebody else.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct Task {
    pub(crate) value: u64,
    pub(crate) to: Vec<ProcAddr<Spring>>,
    pub(crate) how: How,
    pub(crate) responder: Responder<u64>,
}

/// What stands in a file, and how long the blob is.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "(String, usize)")]
pub(crate) struct ReadOut {
    #[serde(with = "procession::codec::descriptor")]
    pub(crate) file: OwnedFd,
    pub(crate) blob: Blob,
}

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct LendTask(String, Responder<(String, Descriptor)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    /// It answers.
    Answer,
    /// It drops the responder.
    Drop,
    /// It keeps it for ever.
    Keep,
    /// It answers after it has sent the responder on.
    Twice,
    /// It panics with it.
    Panic,
    /// Its process ends with it, before it can say a word.
    Die,
}

/// How a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum By {
    Ask,
    Tell,
    Now,
    Try,
    AtLeastOnce,
    /// In many chunks.
    Large,
    /// To the same actor.
    Here,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bad(pub(crate) String);

#[derive(Debug)]
pub(crate) struct Prickly(pub(crate) u64);

impl Serialize for Prickly {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_u64(0),
            _ => Err(serde::ser::Error::custom("it is prickly")),
        }
    }
}

impl<'de> Deserialize<'de> for Prickly {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Prickly)
    }
}

/// It is written, and never read.
#[derive(Debug, Serialize)]
pub(crate) struct Sour;

impl<'de> Deserialize<'de> for Sour {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is sour"))
    }
}

/// How many streams live in this process.
static LIVING: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));
static YIELDED: AtomicU64 = AtomicU64::new(0);
/// Streams that wait for `Release`.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// Let go by `Release`.
static RELEASED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

/// A stream that is counted as long as it lives, with its items.
struct Counted<S>(S);

impl<S> Counted<S> {
    fn new(items: S) -> Counted<S> {
        LIVING.send_modify(|living| *living += 1);
        Counted(items)
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        LIVING.send_modify(|living| *living -= 1);
    }
}

/// A stream that panics when it is dropped.
struct Primed<S>(S);

impl<S> Drop for Primed<S> {
    fn drop(&mut self) {
        panic!("primed");
    }
}

impl<S: Stream + Unpin> Stream for Primed<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, turn: &mut std::task::Context<'_>) -> Poll<Option<S::Item>> {
        self.0.poll_next_unpin(turn)
    }
}

fn stalling(after: u64) -> Streaming<u64> {
    counted(stream::iter(0..after).chain(stream::pending()))
}

fn tripping(after: u64) -> Streaming<u64> {
    counted(stream::iter((0..=after).inspect(move |at| assert!(*at < after, "tripped"))))
}

impl<S: Stream + Unpin> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, turn: &mut std::task::Context<'_>) -> Poll<Option<S::Item>> {
        let polled = self.0.poll_next_unpin(turn);
        if let Poll::Ready(Some(_)) = &polled {
            YIELDED.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

fn counted<T: Send + 'static, E: Send + 'static>(
    items: impl Stream<Item = T> + Send + Unpin + 'static,
) -> Streaming<T, E> {
    Streaming::of(Counted::new(items))
}

/// Yields, keeps, answers and asks, as it is told.
#[derive(Default, ProcActor)]
#[proc_actor(messages(
    WhoAreYou,
    ReadOut,
    GiveSour,
    Count,
    Texts,
    Fail,
    Stall,
    Drip,
    Trip,
    Bomb,
    StallSoon,
    StallInActor,
    StallAlone,
    TripSoon,
    DrinkTexts,
    Spoiled,
    Thorny,
    Later_,
    Perhaps,
    Tally,
    Await,
    Drink,
    Sip,
    Panic,
    Stop,
    Release,
    Waiting,
    Pipes,
    Blobs,
    Ponder,
    Decide,
    LetDecide,
    TakeBack,
    Forget,
    Delegate,
    Task,
    Lend,
    LendTask,
    Sum,
    Hold,
    AskKeeper,
    Kept,
    Cancelled,
    Settle,
    Order,
    Borrow,
    Report,
    Walk,
    Stride
))]
pub(crate) struct Spring {
    pondering: Vec<(u64, Responder<u64>)>,
    kept: Vec<Responder<u64>>,
    sipping: Vec<Streaming<u64>>,
}

impl Actor for Spring {
    type Context = Context<Self>;
}

impl Spawn for Spring {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Spring::default())
    }
}

handle! { for Spring;
    WhoAreYou -> u32: |this, _, _| std::process::id();
    Count -> Streaming<u64>: |this, Count(to), _| counted(stream::iter(0..to));
    Texts -> Streaming<String>: |this, Texts(count, bytes), _| {
        counted(stream::iter((0..count).map(move |_| "x".repeat(bytes))))
    };
    Fail -> Streaming<u64, Bad>: |this, Fail(after), _| {
        let bad = stream::iter([Err(Bad("enough".into())), Ok(99)]);
        Streaming::new(Counted::new(stream::iter((0..after).map(Ok)).chain(bad)))
    };
    Stall -> Streaming<u64>: |this, Stall(after), _| stalling(after);
    StallSoon -> ResponseFuture<Streaming<u64>>: |this, StallSoon(after), _| Box::pin(async move {
        tokio::task::yield_now().await;
        stalling(after)
    });
    StallInActor -> ResponseActFuture<Self, Streaming<u64>>: |this, StallInActor(after), _| Box::pin(
        tokio::task::yield_now().into_actor(this).map(move |(), _, _| stalling(after)),
    );
    StallAlone -> AtomicResponse<Self, Streaming<u64>>: |this, StallAlone(after), _| AtomicResponse::new(Box::pin(
        tokio::task::yield_now().into_actor(this).map(move |(), _, _| stalling(after)),
    ));
    TripSoon -> ResponseFuture<Result<Streaming<u64>, Bad>>: |this, TripSoon(after), _| Box::pin(async move {
        tokio::task::yield_now().await;
        Ok(tripping(after))
    });
    Bomb -> Streaming<u64>: |this, Bomb(to), _| Streaming::of(Primed(Counted::new(stream::iter(0..to))));
    DrinkTexts -> ResponseFuture<Result<u64, String>>: |this, DrinkTexts { whom, count, bytes }, _| Box::pin(async move {
        let texts = whom.stream(Texts(count, bytes)).credit(1000, 16 << 20);
        sum(texts.map(|text| text.map(|text| text.len() as u64))).await
    });
    Spoiled -> (): |this, _, _| ();
    Drip -> Streaming<u64>: |this, Drip(to), _| counted(Box::pin(stream::iter(0..to).then(|at| async move {
        RELEASED.acquire().await.unwrap().forget();
        at
    })));
    Trip -> Streaming<u64>: |this, Trip(after), _| tripping(after);
    Thorny -> Streaming<Prickly>: |this, _, _| counted(stream::iter([Prickly(0), Prickly(1)]));
    ReadOut -> MessageResult<ReadOut>: |this, ReadOut { file, blob }, _| {
        let text = std::io::read_to_string(std::fs::File::from(file)).unwrap();
        MessageResult((text, blob.len()))
    };
    GiveSour -> MessageResult<GiveSour>: |this, _, _| MessageResult(Sour);
    Later_ -> ResponseFuture<Streaming<u64>>: |this, Later_(to), _| Box::pin(async move {
        WAITING.fetch_add(1, Ordering::Relaxed);
        RELEASED.acquire().await.unwrap().forget();
        counted(stream::iter(0..to))
    });
    Perhaps -> Result<Streaming<u64>, Bad>: |this, Perhaps(good), _| match good {
        true => Ok(counted(stream::iter(0..3))),
        false => Err(Bad("not today".into())),
    };
    Tally -> MessageResult<Tally>: |this, _, _| {
        MessageResult((*LIVING.borrow(), YIELDED.load(Ordering::Relaxed)))
    };
    Await -> ResponseFuture<()>: |this, Await(living), _| Box::pin(async move {
        LIVING.subscribe().wait_for(|now| *now == living).await.unwrap();
    });
    Drink -> ResponseFuture<Result<u64, String>>: |this, Drink { whom, to }, _| Box::pin(async move {
        sum(whom.stream(Count(to))).await
    });
    Sip -> ResponseActFuture<Self, ()>: |this, Sip { whom, count }, _| Box::pin(async move {
        let mut stream = whom.send(Stall(count)).await.unwrap();
        for at in 0..count {
            assert_eq!(stream.next().await, Some(Ok(at)));
        }
        stream
    }.into_actor(this).map(|stream, this, _| this.sipping.push(stream)));
    Panic -> (): |this, _, _| panic!("out of luck");
    Stop -> (): |this, _, context| context.stop();
    Release -> (): |this, _, _| RELEASED.add_permits(1);
    Waiting -> MessageResult<Waiting>: |this, _, _| MessageResult(WAITING.load(Ordering::Relaxed));
    Hold -> AtomicResponse<Self, ()>: |this, _, _| AtomicResponse::new(Box::pin(
        async { RELEASED.acquire().await.unwrap().forget() }.into_actor(this),
    ));
    Pipes -> Streaming<(u64, Descriptor)>: |this, Pipes(count), _| {
        counted(stream::iter((0..count).map(|at| {
            let (reading, mut writing) = std::io::pipe().unwrap();
            std::io::Write::write_all(&mut writing, "x".repeat(usize::try_from(at).unwrap()).as_bytes()).unwrap();
            (at, Descriptor(reading.into()))
        })))
    };
    Blobs -> Streaming<Blob>: |this, Blobs(count, bytes), _| {
        counted(stream::iter((0..count).map(move |at| Blob::copy_from(&vec![u8::try_from(at).unwrap(); bytes]).unwrap())))
    };
    Ponder -> Later<u64>: |this, Ponder(value), _| {
        let (later, responder) = Later::new();
        this.pondering.push((value, responder));
        later
    };
    Decide -> usize: |this, _, _| {
        let all = std::mem::take(&mut this.pondering);
        all.into_iter().map(|(value, responder)| responder.answer(value * 2)).count()
    };
    LetDecide -> usize: |this, LetDecide(whom), _| {
        let all = std::mem::take(&mut this.pondering).into_iter();
        all.map(|(value, responder)| whom.do_send(Task { value, to: vec![], how: How::Answer, responder })).count()
    };
    TakeBack -> MessageResult<TakeBack>: |this, _, _| {
        MessageResult(std::mem::take(&mut this.pondering).into_iter().map(|(_, responder)| responder).collect())
    };
    Report -> (): |this, Report(name, whom), _| trace::on_finished(&name, move |span| whom.do_send(span));
    Stride -> (): |this, _, _| ();
    Walk -> ResponseFuture<u64>: |this, Walk { mut to, how }, context| {
        let me = (how == By::Here).then(|| ProcAddr::export(context.address()).unwrap());
        Box::pin(async move {
            if to.is_empty() {
                return 1;
            }
            let next = me.unwrap_or_else(|| to[0].clone());
            to.remove(0);
            let on = Walk { to, how };
            match how {
                By::Ask | By::Here => return 1 + next.send(on).await.unwrap(),
                By::Tell => next.tell(on).await.unwrap(),
                By::Now => next.do_send(on),
                By::Try => next.try_send(on).unwrap(),
                By::AtLeastOnce => next.at_least_once().tell(on).await.unwrap(),
                By::Large => next.send(Stride(vec![1; 1 << 20])).await.unwrap(),
            }
            1
        }.in_current_span())
    };
    Kept -> usize: |this, _, _| this.kept.len();
    Cancelled -> usize: |this, _, _| this.kept.iter().filter(|responder| responder.is_cancelled()).count();
    Settle -> usize: |this, _, _| {
        std::mem::take(&mut this.kept).into_iter().map(|responder| responder.answer(77)).count()
    };
    Order -> ResponseFuture<Option<u64>>: |this, Order(whom, to, how), _| Box::pin(async move {
        whom.send(Delegate { value: 1, to, how }).await.ok()
    });
    Borrow -> ResponseFuture<String>: |this, Borrow(bytes, whom, from), _| Box::pin(async move {
        match whom.send(Lend("x".repeat(bytes), from)).await {
            Ok((text, _)) => format!("{} bytes", text.len()),
            Err(error) => format!("{:?}: {:?}", error.verdict(), error.cause()),
        }
    });
    Forget -> usize: |this, _, _| std::mem::take(&mut this.pondering).len();
    Delegate -> Later<u64>: |this, Delegate { value, to, how }, _| {
        let (later, responder) = Later::new();
        pass_on(value, to, how, responder);
        later
    };
    Task -> (): |this, Task { value, to, how, responder }, _| match how {
        _ if !to.is_empty() => pass_on(value, to, how, responder),
        How::Answer | How::Twice => responder.answer(value * 2),
        How::Drop => drop(responder),
        How::Keep => this.kept.push(responder),
        How::Panic => panic!("with a responder"),
        How::Die => std::process::abort(),
    };
    Lend -> Later<(String, Descriptor)>: |this, Lend(text, whom), _| {
        let (later, responder) = Later::new();
        whom.do_send(LendTask(text, responder));
        later
    };
    LendTask -> (): |this, LendTask(text, responder), _| {
        let (reading, mut writing) = std::io::pipe().unwrap();
        // What a pipe has room for.
        std::io::Write::write_all(&mut writing, &text.as_bytes()[..text.len().min(1000)]).unwrap();
        responder.answer((text, Descriptor(reading.into())));
    };
    AskKeeper -> ResponseFuture<u64>: |this, AskKeeper(keeper), _| Box::pin(async move { keeper.send(Keep).await.unwrap() });
    Sum -> ResponseFuture<Result<u64, String>>: |this, Sum(stream), _| Box::pin(sum(stream));
}

fn pass_on(value: u64, mut to: Vec<ProcAddr<Spring>>, how: How, responder: Responder<u64>) {
    let next = to.remove(0);
    let task = Task { value, to, how, responder };
    if how == How::Twice {
        // The copy goes, and this one answers as well: whoever comes first.
        let sent = next.send(task);
        return drop(actix::spawn(async move {
            if let Err(error) = sent.await
                && let Some(task) = error.into_message()
            {
                task.responder.answer(1000);
            }
        }));
    }
    next.do_send(task);
}

/// Gives its responder away within its process.
#[derive(Default, ProcActor)]
#[proc_actor(messages(Keep))]
pub(crate) struct Keeper(pub(crate) Option<tokio::sync::oneshot::Sender<Responder<u64>>>);

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Spawn for Keeper {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Keeper::default())
    }
}

impl Handler<Keep> for Keeper {
    type Result = Later<u64>;

    fn handle(&mut self, _: Keep, _: &mut Context<Self>) -> Later<u64> {
        let (later, responder) = Later::new();
        let _ = self.0.take().unwrap().send(responder);
        later
    }
}

/// Passes on what has ended.
#[derive(ProcActor)]
#[proc_actor(messages(Finished))]
pub(crate) struct Collecting(pub(crate) mpsc::Sender<Finished>);

impl Actor for Collecting {
    type Context = Context<Self>;
}

impl Handler<Finished> for Collecting {
    type Result = ();

    fn handle(&mut self, span: Finished, _: &mut Context<Self>) {
        let _ = self.0.try_send(span);
    }
}

/// Adds up a stream.
pub(crate) async fn sum<E: std::fmt::Debug>(
    mut stream: impl Stream<Item = Result<u64, E>> + Unpin,
) -> Result<u64, String> {
    let mut sum = 0;
    while let Some(item) = stream.next().await {
        sum += item.map_err(|error| format!("{error:?}"))?;
    }
    Ok(sum)
}
