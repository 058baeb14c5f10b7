//! A bank that may be killed at any moment, and loses nothing of what it has acknowledged.
//!
//! The recipe, for an actor whose messages come at least once:
//! 1. its state knows what it has done: here the number of the last order of each customer, who numbers his orders and
//!    gives the next one when the last is acknowledged;
//! 2. what comes a second time changes nothing;
//! 3. the state is with the root (`Snapshots`) before anything is acknowledged.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use procession::prelude::*;

/// Names an order: a customer, and a number that rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: u32,
    pub(crate) number: u64,
}

/// Take so much from this bank and bring it to another; answered when it is there.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), String>")]
pub(crate) struct Transfer {
    pub(crate) order: Order,
    pub(crate) to: ProcAddr<Bank>,
    pub(crate) amount: i64,
}

/// What one bank brings to another.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), String>")]
pub(crate) struct Deposit {
    pub(crate) order: Order,
    pub(crate) amount: i64,
}

/// A plain question, at most once. That it was begun is written where no kill reaches it.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(crate) struct Question(pub(crate) u64);

/// Ask another bank a question, and say what became of it.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Heard")]
pub(crate) struct AskOn {
    pub(crate) question: Question,
    pub(crate) whom: ProcAddr<Bank>,
}

/// What became of a question, for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Heard {
    /// It was answered.
    Answer(u64),
    /// It ran and failed.
    Failed,
    /// It never ran, and never will.
    NotExecuted,
    /// It may have run.
    Unknown,
}

impl Heard {
    pub(crate) fn of<M>(answer: Result<u64, SendError<M>>) -> Heard {
        match answer.map_err(|error| error.verdict()) {
            Ok(answer) => Heard::Answer(answer),
            Err(Verdict::Failed) => Heard::Failed,
            Err(Verdict::NotExecuted) => Heard::NotExecuted,
            Err(Verdict::Unknown) => Heard::Unknown,
        }
    }
}

/// How long a question may take: longer than a process is stopped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The books, as they are.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Books")]
pub(crate) struct Audit;

/// The state of a bank.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Books {
    pub(crate) balance: i64,
    /// How many transfers left, and how many arrived.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// The last order of each customer that was done here, as the one who gives and as the one who takes.
    given: BTreeMap<u32, u64>,
    taken: BTreeMap<u32, u64>,
}

impl Books {
    pub(crate) fn new(balance: i64) -> Books {
        Books { balance, ..Books::default() }
    }
}

/// Whether an order is a new one; then it is noted.
fn is_new(done: &mut BTreeMap<u32, u64>, order: Order) -> bool {
    let last = done.entry(order.customer).or_default();
    let is_new = order.number > *last;
    *last = order.number.max(*last);
    is_new
}

#[derive(ProcActor)]
#[proc_actor(messages(Transfer, Deposit, Question, AskOn, Audit))]
pub(crate) struct Bank {
    books: Books,
    snapshots: Snapshots<Books>,
    /// What was begun: a line for each question, of all banks.
    begun: File,
}

/// What a bank is born with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) balance: i64,
    pub(crate) begun: PathBuf,
}

impl Actor for Bank {
    type Context = Context<Self>;
}

impl Spawn for Bank {
    type Args = Opening;

    fn spawn(opening: Opening, birth: &Birth) -> Result<Self, SpawnError> {
        let begun = OpenOptions::new().append(true).open(opening.begun)?;
        Ok(Bank {
            books: birth.state()?.unwrap_or(Books::new(opening.balance)),
            snapshots: birth.snapshots(),
            begun,
        })
    }
}

impl Handler<Transfer> for Bank {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, Transfer { order, to, amount }: Transfer, _: &mut Context<Self>) -> Self::Result {
        if is_new(&mut self.books.given, order) {
            self.books.balance -= amount;
            self.books.sent += 1;
        }
        // Not for a new one alone: nobody knows whether the last life had brought it.
        let saved = self.snapshots.save(&self.books);
        let brought = to.at_least_once();
        Box::pin(async move {
            saved.await.map_err(|error| error.to_string())?;
            brought.send(Deposit { order, amount }).await.map_err(|error| error.to_string())?
        })
    }
}

impl Handler<Deposit> for Bank {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, Deposit { order, amount }: Deposit, _: &mut Context<Self>) -> Self::Result {
        if is_new(&mut self.books.taken, order) {
            self.books.balance += amount;
            self.books.received += 1;
        }
        let saved = self.snapshots.save(&self.books);
        Box::pin(async move { saved.await.map_err(|error| error.to_string()) })
    }
}

impl Handler<Question> for Bank {
    type Result = u64;

    fn handle(&mut self, Question(number): Question, _: &mut Context<Self>) -> u64 {
        // One write, which a kill can't halve. Without it nobody could check a verdict, so its failure ends the process.
        self.begun.write_all(&number.to_le_bytes()).expect("the file of the questions can be written");
        number
    }
}

impl Handler<AskOn> for Bank {
    type Result = ResponseFuture<Heard>;

    fn handle(&mut self, AskOn { question, whom }: AskOn, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move { Heard::of(whom.send(question).timeout(PATIENCE / 2).await) })
    }
}

impl Handler<Audit> for Bank {
    type Result = MessageResult<Audit>;

    fn handle(&mut self, _: Audit, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.books.clone())
    }
}
