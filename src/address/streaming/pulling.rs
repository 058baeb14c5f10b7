//! A stream of another process: pulled batch by batch, within the credit.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::StreamError;
use crate::address::context;
use crate::address::desk;
use crate::address::request::Request;
use crate::address::target::Target;
use crate::codec;
use crate::id::ProcessId;
use crate::process::routing::reading;
use crate::protocol::streams::{Cancel, Claim, Consuming, Credit, End, Lie, Next, Passed, Pull, StreamId};
use crate::protocol::wire::{Cause, Failure};

/// A pull waits for items as long as there are none: behind the one before it, and while its consumer is busy with
/// something else. The deadline is that of who waits for an item ([`Streaming`](super::Streaming)); this one is merely
/// within what a frame can say, 49 days.
const PULL_TIMEOUT: Duration = Duration::from_secs(40 * 24 * 60 * 60);

/// The consumer's side. Dropped before its end, it cancels.
pub(super) struct Pulling<T> {
    /// The desk of its process.
    target: Target,
    stream: StreamId,
    consuming: Consuming<T>,
    asked: VecDeque<Request<Pull>>,
    /// It was sent on, and may be somebody else's.
    is_sent: bool,
}

impl<T: DeserializeOwned> Pulling<T> {
    /// Claims a stream that came in a message.
    pub(super) fn claim(target: Target, stream: StreamId) -> Pulling<T> {
        desk::tell(&target, Claim(stream), |desk, Claim(stream)| {
            // Who has it by now is told when it asks.
            let _ = desk.claim(stream, None);
        });
        let consuming = Consuming::new(stream, Credit::default());
        Pulling { target, stream, consuming, asked: VecDeque::new(), is_sent: false }
    }

    pub(super) fn set_credit(&mut self, credit: Credit) {
        self.consuming.set_credit(credit);
    }

    /// Where who is sent it finds it, if nothing of it was pulled yet.
    pub(super) fn place(&self) -> Option<(&Target, StreamId)> {
        let on = StreamId { hand: self.stream.hand.checked_add(1)?, ..self.stream };
        (!self.consuming.has_begun()).then_some((&self.target, on))
    }

    pub(super) fn is_sent_on(&mut self) {
        self.is_sent = true;
    }

    pub(super) fn poll_item<E: DeserializeOwned>(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, StreamError<E>>>> {
        loop {
            while let Some(pull) = self.consuming.poll_pull() {
                // The message that had it came back; or who has it now has it, and this one hears so.
                self.is_sent = false;
                self.asked.push_back(desk::ask(&self.target, pull).timeout(PULL_TIMEOUT));
            }
            match self.consuming.poll_next() {
                Next::Item(item) => return Poll::Ready(Some(Ok(item))),
                Next::End(end) => {
                    self.finish();
                    return Poll::Ready(reading(self.producer(), || ended(end)));
                }
                Next::Wait => {}
            }
            let Some(oldest) = self.asked.front_mut() else { return Poll::Ready(None) };
            let answer = ready!(Pin::new(oldest).poll(context));
            self.asked.pop_front();
            let (from, answer) = (self.producer(), answer.map_err(|error| error.into_failure()));
            if let Some(lie) = reading(from, || self.consuming.handle_answer(answer)) {
                self.report(&lie);
            }
        }
    }

    /// Its producer's process is to blame.
    fn report(&self, lie: &Lie) {
        if lie.is_violation() {
            desk::accuse(self.producer(), lie.to_string());
        }
    }
}

fn ended<T, E: DeserializeOwned>(end: End) -> Option<Result<T, StreamError<E>>> {
    match end {
        End::Done => None,
        End::Failed(failure) => Some(Err(failure.into())),
        End::Error(bytes) => Some(Err(match codec::decode(&bytes) {
            Ok(error) => StreamError::Error(error),
            Err(error) => Failure::failed(Cause::Decode(error.to_string())).into(),
        })),
    }
}

impl<T> Pulling<T> {
    /// Who gives the addresses that are in its items.
    fn producer(&self) -> Option<ProcessId> {
        let router = context::current()?;
        self.target.resolve(&router).ok().map(|desk| desk.process())
    }

    /// Nothing more is wanted; where the producer has it still, it is told.
    fn finish(&mut self) {
        self.asked.clear();
        if !self.consuming.is_open() {
            return;
        }
        self.consuming.close();
        // An error says that it is over, or somebody else's.
        if self.is_sent {
            desk::tell(&self.target, Passed(self.stream), |desk, Passed(stream)| {
                let _ = desk.pass(stream, None);
            });
        } else {
            desk::tell(&self.target, Cancel(self.stream), |desk, Cancel(stream)| {
                let _ = desk.cancel(stream, None);
            });
        }
    }
}

impl<T> Drop for Pulling<T> {
    fn drop(&mut self) {
        self.finish();
    }
}
