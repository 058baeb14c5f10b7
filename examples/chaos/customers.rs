//! Who gives orders and asks questions. They live in the root, which nobody kills, and their ledger with them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use procession::prelude::*;

use crate::bank::{AskOn, Bank, Heard, Order, PATIENCE, Question, Transfer};

/// What was acknowledged, and what was heard: the truth against which the banks are checked.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Acknowledged transfers: from, to, amount.
    pub(crate) transfers: RefCell<Vec<(usize, usize, i64)>>,
    /// Orders that were given and not acknowledged when all had been waited for.
    pub(crate) unfinished: Cell<u64>,
    /// What became of each question, by its number; nothing, if whoever asked died before it said so.
    pub(crate) heard: RefCell<Vec<Option<Heard>>>,
    /// Plain asks: all, and those that did not end by themselves.
    pub(crate) asks: Cell<u64>,
    pub(crate) hung: Cell<u64>,
}

/// Everybody's view of the bank.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) banks: Rc<Vec<ProcAddr<Bank>>>,
    pub(crate) ledger: Rc<Ledger>,
    /// No new order, no new question.
    pub(crate) is_closing: Rc<Cell<bool>>,
}

/// An ask that did not end after so long has no deadline that works.
const HANGS: Duration = Duration::from_secs(10);

/// A transfer that is not acknowledged is ordered again after such a pause, with the same number.
const AGAIN: Duration = Duration::from_millis(20);

/// Orders one transfer after the other, each until it is acknowledged.
pub(crate) async fn order(world: World, customer: u32, mut dice: fastrand::Rng) {
    for number in 1.. {
        if world.is_closing.get() {
            return;
        }
        let from = dice.usize(..world.banks.len());
        let to = (from + dice.usize(1..world.banks.len())) % world.banks.len();
        let amount = dice.i64(1..=100);
        let order = Order { customer, number };
        world.ledger.unfinished.set(world.ledger.unfinished.get() + 1);
        let bank = world.banks[from].at_least_once();
        loop {
            let transfer = Transfer { order, to: world.banks[to].clone(), amount };
            match bank.send(transfer).await {
                Ok(Ok(())) => break,
                // Past its time, or parked: it may have been done or not, and either is right to order again.
                Ok(Err(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
        world.ledger.unfinished.set(world.ledger.unfinished.get() - 1);
        world.ledger.transfers.borrow_mut().push((from, to, amount));
    }
}

/// Asks one question after the other, itself or through another bank, at most once each.
pub(crate) async fn ask(world: World, mut dice: fastrand::Rng) {
    while !world.is_closing.get() {
        let number = {
            let mut heard = world.ledger.heard.borrow_mut();
            heard.push(None);
            heard.len() as u64 - 1
        };
        let (bank, other) = (dice.usize(..world.banks.len()), dice.usize(..world.banks.len()));
        let whom = &world.banks[bank];
        let question = Question(number);
        let heard = match dice.bool() {
            true => {
                whole(&world, whom.send(question).timeout(PATIENCE), |answer| Some(Heard::of(answer))).await
            }
            false => {
                let on = AskOn { question, whom: world.banks[other].clone() };
                whole(&world, whom.send(on).timeout(PATIENCE), Result::ok).await
            }
        };
        world.ledger.heard.borrow_mut()[usize::try_from(number).expect("it was an index")] = heard;
    }
}

/// The end of an ask, or nothing if it hangs.
async fn whole<A, R>(
    world: &World,
    ask: impl Future<Output = A>,
    read: impl FnOnce(A) -> Option<R>,
) -> Option<R> {
    world.ledger.asks.set(world.ledger.asks.get() + 1);
    match tokio::time::timeout(HANGS, ask).await {
        Ok(answer) => read(answer),
        Err(_) => {
            world.ledger.hung.set(world.ledger.hung.get() + 1);
            None
        }
    }
}
