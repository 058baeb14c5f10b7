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
                // The producer has not said that it is over, so it may have it still; a dead one has nothing.
                self.is_open = !matches!(failure.cause, Cause::PeerDied { .. });
                self.end = Some(End::Failed(Failure { verdict, ..failure }));
                self.intake.handle_lost();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, ProcessName};
    use crate::protocol::streams::StreamId;

    fn pulling() -> Consuming<u8> {
        let stream = StreamId { number: 1, key: 2, hand: 0 };
        let mut consuming = Consuming::new(stream, Credit::default());
        consuming.poll_pull().expect("nothing was pulled");
        consuming
    }

    #[test]
    fn m7_whatever_a_pull_fails_with_the_producer_is_told_unless_it_is_dead() {
        let process = ProcessName::new("producer").expect("a name");
        let died = Cause::PeerDied { process, incarnation: Incarnation(1), exit: None };
        let all = [
            Cause::TooLarge { limit: 9 },
            Cause::Encode("it can't".into()),
            Cause::Decode("it can't".into()),
            Cause::ActorStopped,
            Cause::TimedOut,
            Cause::NoReply,
            died.clone(),
        ];
        for cause in all {
            let mut consuming = pulling();
            assert_eq!(consuming.handle_answer(Err(Failure::not_executed(cause.clone()))), None);
            assert_eq!(consuming.is_open(), cause != died, "{cause:?}");
            assert_eq!(consuming.poll_next(), Next::End(End::Failed(Failure::failed(cause))));
            assert_eq!(consuming.poll_pull(), None);
        }
        // What is no batch of such items leaves a producer that has more; what ended by itself does not.
        let mut consuming = pulling();
        assert!(consuming.handle_answer(Ok(Batch::default())).is_some() && consuming.is_open());
        let mut consuming = pulling();
        assert!(consuming.handle_answer(Ok(Batch::ended(End::Done))).is_none() && !consuming.is_open());
    }
}
