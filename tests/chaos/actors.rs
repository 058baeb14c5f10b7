//! Who lives in the processes of the stories.

use procession::blob::Blob;
use procession::prelude::*;

messages! {
    /// The sum so far.
    Add(u64) -> "u64";
    /// Its process.
    WhoAreYou() -> "(u32, u32)";
    /// The sum of the bytes.
    Take(Blob) -> "u64";
    /// Sends so many `Add(1)` to another, and tells what became of them.
    Pester { whom: ProcAddr<Counter>, count: u32 } -> "Told";
}

/// What became of asks.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) done: u64,
    pub(crate) not_executed: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
}

impl Told {
    pub(crate) fn count<M>(&mut self, answer: Result<u64, procession::address::SendError<M>>) {
        let kind = match answer.map_err(|error| error.verdict()) {
            Ok(_) => &mut self.done,
            Err(Verdict::NotExecuted) => &mut self.not_executed,
            Err(Verdict::Failed) => &mut self.failed,
            Err(_) => &mut self.unknown,
        };
        *kind += 1;
    }
}

impl std::ops::AddAssign for Told {
    fn add_assign(&mut self, more: Told) {
        self.done += more.done;
        self.not_executed += more.not_executed;
        self.failed += more.failed;
        self.unknown += more.unknown;
    }
}

/// Adds.
#[derive(ProcActor)]
#[proc_actor(messages(Add, WhoAreYou, Take, Pester))]
pub(crate) struct Counter {
    total: u64,
    life: u32,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Spawn for Counter {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Counter { total: 0, life: birth.incarnation.0 })
    }
}

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, Add(count): Add, _: &mut Context<Self>) -> u64 {
        self.total += count;
        self.total
    }
}

impl Handler<WhoAreYou> for Counter {
    type Result = MessageResult<WhoAreYou>;

    fn handle(&mut self, _: WhoAreYou, _: &mut Context<Self>) -> Self::Result {
        MessageResult((std::process::id(), self.life))
    }
}

impl Handler<Take> for Counter {
    type Result = u64;

    fn handle(&mut self, Take(blob): Take, _: &mut Context<Self>) -> u64 {
        blob.iter().map(|byte| u64::from(*byte)).sum()
    }
}

impl Handler<Pester> for Counter {
    type Result = ResponseFuture<Told>;

    fn handle(&mut self, Pester { whom, count }: Pester, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let mut told = Told::default();
            for _ in 0..count {
                told.count(whom.send(Add(1)).await);
            }
            told
        })
    }
}

/// Everything that this program can be.
pub(crate) fn program() -> Program {
    Program::new().actor::<Counter>()
}
