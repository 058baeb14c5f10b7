//! A stream of another process: pulled batch by batch, within the credit.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::StreamError;
use crate::address::desk;
use crate::address::request::Request;
use crate::address::target::Target;
use crate::codec;
use crate::protocol::streams::{Batch, Cancel, Claim, Credit, End, Intake, Pull, StreamId};
use crate::protocol::wire::{Cause, Failure, Verdict};

/// The consumer's side. Dropped before its end, it cancels.
pub(super) struct Pulling<T> {
    /// The desk of its process.
    target: Target,
    stream: StreamId,
    intake: Intake,
    asked: VecDeque<Request<Pull>>,
    items: std::vec::IntoIter<T>,
    end: Option<End>,
    timeout: Option<Duration>,
    is_over: bool,
    /// It was sent on, and is somebody else's.
    pub(super) is_sent: bool,
}

impl<T: DeserializeOwned> Pulling<T> {
    /// Claims a stream that came in a message.
    pub(super) fn claim(target: Target, stream: StreamId) -> Pulling<T> {
        desk::tell(&target, Claim(stream), |desk, Claim(stream)| desk.claim(stream, None));
        Pulling {
            target,
            stream,
            intake: Intake::new(stream, Credit::default()),
            asked: VecDeque::new(),
            items: Vec::new().into_iter(),
            end: None,
            timeout: None,
            is_over: false,
            is_sent: false,
        }
    }

    pub(super) fn set_credit(&mut self, credit: Credit) {
        self.intake.set_credit(credit);
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Where it is, if nothing of it was pulled yet: to be sent on.
    pub(super) fn place(&self) -> Option<(&Target, StreamId)> {
        (!self.intake.has_begun()).then_some((&self.target, self.stream))
    }

    pub(super) fn poll_item<E: DeserializeOwned>(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, StreamError<E>>>> {
        loop {
            while let Some(pull) = self.intake.poll_pull() {
                let request = desk::ask(&self.target, pull);
                self.asked.push_back(match self.timeout {
                    Some(timeout) => request.timeout(timeout),
                    None => request,
                });
            }
            if let Some(item) = self.items.next() {
                if self.items.len() == 0 {
                    self.intake.handle_consumed();
                }
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(self.ended(end));
            }
            let Some(oldest) = self.asked.front_mut() else { return Poll::Ready(None) };
            let answer = ready!(Pin::new(oldest).poll(context));
            self.asked.pop_front();
            match answer {
                Ok(batch) => self.take(batch),
                Err(error) => {
                    let failure = error.into_failure();
                    // Of a pull it would be safe to try again; of the message that began the stream it is not.
                    let verdict = match failure.verdict {
                        Verdict::NotExecuted => Verdict::Failed,
                        other => other,
                    };
                    self.end = Some(End::Failed(Failure { verdict, ..failure }));
                    self.intake.handle_lost();
                }
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        match self.intake.handle_batch(batch) {
            Ok((items, end)) => {
                self.items = items.into_iter();
                self.end = end;
            }
            Err(lie) => {
                self.cancel();
                self.end = Some(End::Failed(Failure::failed(Cause::Decode(lie.to_string()))));
            }
        }
    }

    fn ended<E: DeserializeOwned>(&mut self, end: End) -> Option<Result<T, StreamError<E>>> {
        self.is_over = true;
        self.asked.clear();
        match end {
            End::Done => None,
            End::Failed(failure) => {
                if failure.cause == Cause::TimedOut {
                    self.cancel();
                }
                Some(Err(failure.into()))
            }
            End::Error(bytes) => Some(Err(match codec::decode(&bytes) {
                Ok(error) => StreamError::Error(error),
                Err(error) => Failure::failed(Cause::Decode(error.to_string())).into(),
            })),
        }
    }
}

impl<T> Pulling<T> {
    fn cancel(&self) {
        desk::tell(&self.target, Cancel(self.stream), |desk, Cancel(stream)| desk.cancel(stream));
    }
}

impl<T> Drop for Pulling<T> {
    fn drop(&mut self) {
        if !self.is_over && !self.is_sent && self.end.is_none() {
            self.asked.clear();
            self.cancel();
        }
    }
}
