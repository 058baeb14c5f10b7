//! What the banks say, and what was begun, against the ledger.

use std::path::Path;

use procession::prelude::*;

use crate::bank::{Audit, Bank, Books, Heard};
use crate::customers::Ledger;

/// What came of the checks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Truth {
    /// What all banks hold together.
    pub(crate) money: i64,
    /// Transfers of the ledger that a bank's books lack, and those that they have more than the ledger.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Banks whose balance is not what the ledger makes it.
    pub(crate) wrong_balances: usize,
}

/// Asks each bank for its books, and compares.
pub(crate) async fn audit(
    banks: &[ProcAddr<Bank>],
    opening: i64,
    ledger: &Ledger,
) -> procession::Result<Truth> {
    let mut expected = vec![Books::new(opening); banks.len()];
    for (from, to, amount) in ledger.transfers.borrow().iter().copied() {
        expected[from].balance -= amount;
        expected[from].sent += 1;
        expected[to].balance += amount;
        expected[to].received += 1;
    }
    let mut truth = Truth::default();
    for (bank, expected) in banks.iter().zip(expected) {
        let found = bank.send(Audit).await?;
        truth.money += found.balance;
        truth.wrong_balances += usize::from(found.balance != expected.balance);
        for (expected, found) in [(expected.sent, found.sent), (expected.received, found.received)] {
            truth.lost += expected.saturating_sub(found);
            truth.doubled += found.saturating_sub(expected);
        }
    }
    Ok(truth)
}

/// Verdicts that are not true: of what was begun, whoever was told "never ran"; of what was not, whoever got an answer;
/// and what was begun twice.
pub(crate) fn wrong_verdicts(ledger: &Ledger, begun: &Path) -> std::io::Result<usize> {
    let heard = ledger.heard.borrow();
    let mut times = vec![0_u32; heard.len()];
    let bytes = std::fs::read(begun)?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    let mut wrong = usize::from(!rest.is_empty());
    for number in numbers {
        let begun = usize::try_from(u64::from_le_bytes(*number)).ok().and_then(|index| times.get_mut(index));
        match begun {
            Some(times) => *times += 1,
            None => wrong += 1,
        }
    }
    let is_wrong = |number: usize, heard: Option<Heard>, times: u32| match heard {
        Some(Heard::Answer(answer)) => times != 1 || answer != number as u64,
        Some(Heard::Failed) => times != 1,
        Some(Heard::NotExecuted) => times != 0,
        Some(Heard::Unknown) | None => times > 1,
    };
    let told = heard.iter().zip(times).enumerate();
    wrong += told.filter(|(number, (heard, times))| is_wrong(*number, **heard, *times)).count();
    Ok(wrong)
}
