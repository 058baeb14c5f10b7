//! The actor of the stories.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use procession::prelude::*;
use tokio::sync::Semaphore;

pub(crate) fn program() -> Program {
    Program::new().actor::<Peer>().actor::<Flooder>()
}

messages! {
    WhoAreYou() -> "u32";
    /// Takes bytes, and counts them.
    Take(Bytes) -> "()";
    /// How many messages were taken, and how many bytes.
    Taken() -> "(u64, u64)";
    Double(u64) -> "u64";
    /// Answers with so many bytes.
    Give(usize) -> "Bytes";
    /// How often it has given.
    Given() -> "u64";
    /// Tells so many messages of so many bytes to another, and waits for room for each.
    Flood { whom: ProcAddr<Peer>, count: u64, bytes: usize } -> "u64";
    /// Asks another for so many results of so many bytes, all at once.
    Collect { whom: ProcAddr<Peer>, count: u64, bytes: usize } -> "u64";
    /// Asks the next in the ring, which asks the next, so many times.
    Round { ring: Vec<ProcAddr<Peer>>, hops: usize } -> "u64";
    /// Tells itself more than it has room for, and asks itself.
    Myself { me: ProcAddr<Peer>, count: u64 } -> "u64";
    /// Is answered when `Release` reaches any actor of that process; its actor takes nothing meanwhile.
    Hold() -> "()";
    Release() -> "()";
    Never() -> "()";
    /// Takes bytes, and takes nothing else meanwhile: so the next waits, and the next after that.
    Chew(Bytes) -> "()";
    /// Tells another so many of these, of so many bytes, and waits for room for each.
    Feed { whom: ProcAddr<Peer>, count: u64, bytes: usize } -> "u64";
    /// Starts so many actors, and gives their addresses.
    Exports(usize) -> "Vec<ProcAddr<Peer>>";
    /// Tells so many messages, and stops its process when they have left.
    FloodAndStop { whom: ProcAddr<Peer>, count: u64 } -> "()";
    /// Sends so many messages of so many bytes as fast as it can, and waits for nothing.
    Rush { count: u64, bytes: usize } -> "Rushed";
    /// Waits until everything that it sent was taken.
    Settle() -> "()";
    /// Floods these instead, in turn.
    Aim(Vec<ProcAddr<Peer>>) -> "()";
    /// Asks so many times at once for a `Linger` with so many bytes; says how many were answered.
    Crowd { count: u64, bytes: usize } -> "u64";
    /// Answered when `Disperse` reaches its process: an asynchronous handler, beside which others are taken.
    Linger(Bytes) -> "()";
    /// How many linger.
    Lingering() -> "u64";
    Disperse() -> "()";
}

/// Does what it is told.
#[derive(Default, ProcActor)]
#[proc_actor(messages(
    WhoAreYou,
    Take,
    Taken,
    Double,
    Give,
    Given,
    Flood,
    Collect,
    Round,
    Myself,
    Hold,
    Release,
    Never,
    Chew,
    Feed,
    Exports,
    FloodAndStop,
    Linger,
    Lingering,
    Disperse
))]
pub(crate) struct Peer {
    taken: (u64, u64),
    given: u64,
}

impl Actor for Peer {
    type Context = Context<Self>;
}

impl Spawn for Peer {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Peer::default())
    }
}

/// Closed by `Disperse`.
static DISPERSED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));
static LINGERING: AtomicU64 = AtomicU64::new(0);

/// Let go by `Release`.
static RELEASED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

/// A handler whose result is at hand.
macro_rules! handle {
    ($($message:ident -> $result:ty: |$this:ident, $what:pat_param| $body:expr;)*) => {$(
        impl Handler<$message> for Peer {
            type Result = $result;

            #[allow(unused_variables)]
            fn handle(&mut self, $what: $message, _: &mut Context<Self>) -> Self::Result {
                let $this = self;
                $body
            }
        }
    )*};
}

type Later<R> = ResponseFuture<R>;

handle! {
    WhoAreYou -> u32: |this, _| std::process::id();
    Take -> (): |this, Take(bytes)| {
        this.taken.0 += 1;
        this.taken.1 += bytes.len() as u64;
    };
    Taken -> MessageResult<Taken>: |this, _| MessageResult(this.taken);
    Double -> u64: |this, Double(value)| value * 2;
    Give -> MessageResult<Give>: |this, Give(bytes)| {
        this.given += 1;
        MessageResult(vec![7; bytes].into())
    };
    Given -> u64: |this, _| this.given;
    Flood -> Later<u64>: |this, Flood { whom, count, bytes }| Box::pin(async move {
        let body = Bytes::from(vec![1; bytes]);
        let mut lost = 0;
        for _ in 0..count {
            lost += u64::from(whom.tell(Take(body.clone())).await.is_err());
        }
        lost
    });
    Collect -> Later<u64>: |this, Collect { whom, count, bytes }| Box::pin(async move {
        let asks: Vec<_> = (0..count).map(|_| whom.send(Give(bytes))).collect();
        join_all(asks).await.into_iter().map(|given| given.unwrap().len() as u64).sum()
    });
    Round -> Later<u64>: |this, Round { mut ring, hops }| Box::pin(async move {
        if hops == 0 {
            return 0;
        }
        ring.rotate_left(1);
        let next = ring[0].clone();
        next.send(Round { ring, hops: hops - 1 }).await.unwrap() + 1
    });
    Hold -> AtomicResponse<Self, ()>: |this, _| AtomicResponse::new(Box::pin(
        async { RELEASED.acquire().await.unwrap().forget() }.into_actor(this),
    ));
    Release -> (): |this, _| RELEASED.add_permits(1);
    Exports -> MessageResult<Exports>: |this, Exports(count)| {
        let exported = (0..count).map(|_| ProcAddr::export(Peer::default().start()).unwrap());
        MessageResult(exported.collect())
    };
    FloodAndStop -> Later<()>: |this, FloodAndStop { whom, count }| Box::pin(async move {
        for _ in 0..count {
            whom.tell(Take(Bytes::from_static(b"last words"))).await.unwrap();
        }
        // The driver writes in its next turn.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).unwrap();
    });
    Chew -> AtomicResponse<Self, ()>: |this, Chew(bytes)| {
        this.taken.0 += 1;
        this.taken.1 += bytes.len() as u64;
        AtomicResponse::new(Box::pin(tokio::task::yield_now().into_actor(this)))
    };
    Feed -> Later<u64>: |this, Feed { whom, count, bytes }| Box::pin(async move {
        let body = Bytes::from(vec![1; bytes]);
        let mut lost = 0;
        for _ in 0..count {
            lost += u64::from(whom.tell(Chew(body.clone())).await.is_err());
        }
        lost
    });
    Linger -> Later<()>: |this, Linger(bytes)| {
        LINGERING.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            // Until then it keeps its bytes.
            let _ = DISPERSED.acquire().await;
            drop(bytes);
        })
    };
    Lingering -> u64: |this, _| LINGERING.load(Ordering::Relaxed);
    Disperse -> (): |this, _| DISPERSED.close();
    Never -> Later<()>: |this, _| Box::pin(std::future::pending());
    Myself -> Later<u64>: |this, Myself { me, count }| Box::pin(async move {
        for _ in 0..count {
            me.tell(Take(Bytes::from_static(b"me"))).await.unwrap();
        }
        me.send(Double(count)).await.unwrap()
    });
}

/// What came of a [`Rush`].
#[derive(Clone, Debug, Serialize, Deserialize, MessageResponse)]
pub(crate) struct Rushed {
    pub(crate) pid: u32,
    /// Taken from it.
    pub(crate) sent: u64,
    /// Given back.
    pub(crate) full: u64,
    /// Left to the outbox, which made dead letters of those that did not fit.
    pub(crate) left: u64,
}

/// Floods those that the topology wires it to.
#[derive(ProcActor)]
#[proc_actor(messages(Rush, Settle, Aim, Crowd))]
pub(crate) struct Flooder {
    whom: Vec<ProcAddr<Peer>>,
}

impl Actor for Flooder {
    type Context = Context<Self>;
}

impl Spawn for Flooder {
    type Args = Vec<ProcAddr<Peer>>;

    fn spawn(whom: Self::Args, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Flooder { whom })
    }
}

/// So many attempts are a turn; between them the driver writes.
const TURN: u64 = 5000;

impl Handler<Rush> for Flooder {
    type Result = ResponseFuture<Rushed>;

    fn handle(&mut self, Rush { count, bytes }: Rush, _: &mut Context<Self>) -> Self::Result {
        let all = self.whom.clone();
        Box::pin(async move {
            let mut whom = all.iter().cycle();
            let body = Bytes::from(vec![1; bytes]);
            let mut rushed = Rushed { pid: std::process::id(), sent: 0, full: 0, left: 0 };
            for attempt in 0..count {
                let whom = whom.next().unwrap();
                // Most are refused and come back; what is left to the outbox overflows.
                if attempt % 100 == 0 {
                    whom.do_send(Take(body.clone()));
                    rushed.left += 1;
                } else {
                    match whom.try_send(Take(body.clone())) {
                        Ok(()) => rushed.sent += 1,
                        Err(_) => rushed.full += 1,
                    }
                }
                if attempt % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
            rushed
        })
    }
}

impl Handler<Settle> for Flooder {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Settle, _: &mut Context<Self>) -> Self::Result {
        let all = self.whom.clone();
        Box::pin(async move {
            for whom in all {
                whom.send(Take(Bytes::new())).await.unwrap();
            }
        })
    }
}

impl Handler<Aim> for Flooder {
    type Result = ();

    fn handle(&mut self, Aim(whom): Aim, _: &mut Context<Self>) {
        self.whom = whom;
    }
}

impl Handler<Crowd> for Flooder {
    type Result = ResponseFuture<u64>;

    fn handle(&mut self, Crowd { count, bytes }: Crowd, _: &mut Context<Self>) -> Self::Result {
        let (whom, body) = (self.whom[0].clone(), Bytes::from(vec![1; bytes]));
        Box::pin(async move {
            let asks: Vec<_> = (0..count).map(|_| whom.send(Linger(body.clone()))).collect();
            join_all(asks).await.into_iter().filter(Result::is_ok).count() as u64
        })
    }
}
