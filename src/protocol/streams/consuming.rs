//! The consumer's side of a stream, from its pulls to its items and its end.

use serde::de::DeserializeOwned;

use super::{Batch, Credit, End, Intake, Lie, Pull, StreamId};
use crate::protocol::wire::{Cause, Failure, Verdict};

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// An item.
    Item(T),
    /// The end; asked again, it gives this no more.
    End(End),
    /// The answer to the oldest pull.
    Wait,
}

/// One stream at its consumer.
///
/// Order of calls: [`poll_pull`](Self::poll_pull) until it gives none, and each is sent; then [`poll_next`](Self::poll_next).
/// Where that says to wait, [`handle_answer`](Self::handle_answer) with what came of the oldest pull, and again. Where
/// [`is_open`](Self::is_open) still after the end, or when it is dropped, the producer is told that it is cancelled.
#[derive(Debug)]
pub struct Consuming<T> {
    intake: Intake,
    items: std::vec::IntoIter<T>,
    end: Option<End>,
    is_open: bool,
}

impl<T> Consuming<T> {
    /// Nothing was pulled yet.
    pub fn new(stream: StreamId, credit: Credit) -> Consuming<T> {
        Consuming {
            intake: Intake::new(stream, credit),
            items: Vec::new().into_iter(),
            end: None,
            is_open: true,
        }
    }

    /// See [`Intake::set_credit`].
    pub fn set_credit(&mut self, credit: Credit) {
        self.intake.set_credit(credit);
    }

    /// Whether anything was pulled.
    pub fn has_begun(&self) -> bool {
        self.intake.has_begun()
    }

    /// Whether the producer may have it still.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The producer is told that it is cancelled, or it is somebody else's now.
    pub fn close(&mut self) {
        self.is_open = false;
    }

    /// The next pull, if one may be sent.
    pub fn poll_pull(&mut self) -> Option<Pull> {
        self.intake.poll_pull()
    }

    /// What comes next of what has come.
    pub fn poll_next(&mut self) -> Next<T> {
        if let Some(item) = self.items.next() {
            if self.items.len() == 0 {
                self.intake.handle_consumed();
            }
            return Next::Item(item);
        }
        self.end.take().map_or(Next::Wait, Next::End)
    }
}

impl<T: DeserializeOwned> Consuming<T> {
    /// What came of the oldest pull. If the producer lied, how.
    pub fn handle_answer(&mut self, answer: Result<Batch, Failure>) -> Option<Lie> {
        match answer.map(|batch| self.intake.handle_batch(batch)) {
            Ok(Ok((items, end))) => {
                self.is_open &= end.is_none();
                self.items = items.into_iter();
                self.end = end;
                None
            }
            Ok(Err(lie)) => {
                self.end = Some(End::Failed(Failure::failed(Cause::Decode(lie.to_string()))));
                Some(lie)
            }
            Err(failure) => {
                // Of a pull it would be safe to try again; of the message that began the stream it is not.
                let verdict = match failure.verdict {
                    Verdict::NotExecuted => Verdict::Failed,
                    other => other,
                };
                // Who has not answered in time may have it still; any other failure is its end there, too.
                self.is_open = failure.cause == Cause::TimedOut;
                self.end = Some(End::Failed(Failure { verdict, ..failure }));
                self.intake.handle_lost();
                None
            }
        }
    }
}
