//! The actor of the stories.

use bytes::Bytes;
use futures_util::future::join_all;
use procession::prelude::*;

pub(crate) fn program() -> Program {
    Program::new().actor::<Peer>()
}

/// Declares messages with their results.
macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident $body:tt -> $result:tt;)*) => {$(
        messages!(@one [$(#[$meta])* #[derive(Clone, Debug, Message, Serialize, Deserialize)] #[rtype(result = $result)]] $name $body);
    )*};
    (@one [$($attributes:tt)*] $name:ident ()) => { $($attributes)* pub(crate) struct $name; };
    (@one [$($attributes:tt)*] $name:ident ($($field:ty),+)) => { $($attributes)* pub(crate) struct $name($(pub(crate) $field),+); };
    (@one [$($attributes:tt)*] $name:ident {$($field:ident: $type:ty),+}) => { $($attributes)* pub(crate) struct $name { $(pub(crate) $field: $type),+ } };
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
}

/// Does what it is told.
#[derive(Default, ProcActor)]
#[proc_actor(messages(WhoAreYou, Take, Taken, Double, Give, Given, Flood, Collect, Round, Myself))]
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
    Myself -> Later<u64>: |this, Myself { me, count }| Box::pin(async move {
        for _ in 0..count {
            me.tell(Take(Bytes::from_static(b"me"))).await.unwrap();
        }
        me.send(Double(count)).await.unwrap()
    });
}
