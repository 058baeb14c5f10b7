//! Answers to what workers ask: handed over at once, or, where a control pipe is full, a little later.
//!
//! An introduction that finds no room is asked for again; an answer is waited for, and so is a word about a peer, so it may
//! not be lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Deployment;
use crate::id::ProcessId;
use crate::protocol::control::ToWorker;
use crate::runtime::broker::Life;

/// Answers that may wait for one process. A worker of ours asks for fewer at a time; one that asks for more and does not
/// read is broken, and ended.
const MOST_OWED: usize = 1024;

/// How soon it is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct Owed {
    answers: VecDeque<(Life, ToWorker)>,
    again: Option<Instant>,
}

impl Owed {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }
}

impl Deployment {
    /// Answers a life of a process; one that is dead needs no answer.
    pub(super) fn answer(&mut self, life: Life, answer: ToWorker) {
        let waiting = self.owed_to(life);
        // Behind what waits already.
        if waiting == 0 && self.hand_to_life(life, &answer) {
            return;
        }
        if waiting >= MOST_OWED {
            let reason = format!("it does not read its control pipe, and {MOST_OWED} answers wait for it");
            let killed = self.kill_life(life);
            return self.blamed(life, ProcessId::ROOT, reason, killed);
        }
        self.owed.answers.push_back((life, answer));
        self.owed.again.get_or_insert_with(|| Instant::now() + TRY_AGAIN);
    }

    fn owed_to(&self, life: Life) -> usize {
        self.owed.answers.iter().filter(|(whose, _)| *whose == life).count()
    }

    /// Whether something waits for room in its control pipe.
    pub(super) fn owes(&self, life: Life) -> bool {
        self.owed_to(life) > 0
    }

    /// Tries again what found no room.
    pub(super) fn answer_again(&mut self, now: Instant) {
        if self.owed.again.is_none_or(|again| again > now) {
            return;
        }
        let answers = std::mem::take(&mut self.owed.answers);
        self.owed.again = None;
        for (life, answer) in answers {
            self.answer(life, answer);
        }
    }

    fn hand_to_life(&self, (process, incarnation): Life, answer: &ToWorker) -> bool {
        let is_over = !process.is_root()
            && self.living.get(&process).is_none_or(|living| living.incarnation != incarnation);
        is_over || self.hand(process, answer.clone(), Vec::new())
    }
}
