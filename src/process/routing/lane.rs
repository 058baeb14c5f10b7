//! What the events of a connection lead to, and the task that lives as long as it does.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::dead_letters::DeadLetter;
use super::handover::reading;
use super::peer::{Peer, Waiter};
use super::router::Router;
use crate::codec::Encoded;
use crate::protocol::connection::{Connection, Event, ProtocolError};
use crate::protocol::wire::Cause;
use crate::transport::driver::{self, Ended, Lane};
use crate::transport::looped::LoopWire;
use crate::transport::pipe::{AgreedWire, Pipe};

/// How long the failed messages of a broken connection wait to learn how the peer ended. The root reaps a dead
/// process within milliseconds; a peer that lives on is found out by this.
pub(super) const EXIT_WAIT: Duration = Duration::from_secs(1);

/// Drives one connection from its first message to the last outcome. Runs on the arbiter.
pub(super) async fn run(router: Arc<Router>, peer: Arc<Peer>) {
    let mut finish = Finish { router: &router, peer: &peer, told: false, watchers_told: false };
    let lane = PeerLane { router: &router, peer: &peer };
    let cause = match lane.wait_for_pipe().await {
        Err(cause) => cause,
        Ok(pipe) => {
            let ended = match pipe {
                None => driver::drive(&lane, LoopWire::default()).await,
                Some(pipe) => match lane.agree(pipe).await {
                    Ok(AgreedWire::Socket(wire)) => driver::drive(&lane, wire).await,
                    Ok(AgreedWire::Shared(wire)) => driver::drive(&lane, *wire).await,
                    Err(ended) => ended,
                },
            };
            router.forget(&peer);
            lane.cause_of(ended).await
        }
    };
    let lost = finish.tell(&cause);
    if lost > 0 && !router.is_stopping() {
        let cause = cause.clone();
        router.bury(DeadLetter { count: lost, ..DeadLetter::new(None, None, cause) }, || None);
    }
    // Where it died, that was waited for already.
    if peer.is_watched() && !matches!(cause, Cause::PeerDied { .. } | Cause::Unreachable { .. }) {
        peer.wait_for_exit().await;
    }
    finish.tell_watchers(&cause);
}

/// Every message gets its outcome when a connection ends, even if it ends by a panic of the task that drives it.
struct Finish<'a> {
    router: &'a Arc<Router>,
    peer: &'a Arc<Peer>,
    told: bool,
    watchers_told: bool,
}

impl Finish<'_> {
    fn tell_watchers(&mut self, cause: &Cause) {
        if !std::mem::replace(&mut self.watchers_told, true) {
            self.peer.tell_watchers(cause);
        }
    }

    fn tell(&mut self, cause: &Cause) -> u64 {
        self.told = true;
        self.router.forget(self.peer);
        let lost = self.peer.with(|connection| connection.handle_lost(cause));
        PeerLane { router: self.router, peer: self.peer }.drain();
        lost
    }
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(&self.peer.death());
        }
        self.tell_watchers(&self.peer.death());
        self.router.ended(self.peer);
    }
}

pub(super) struct PeerLane<'a> {
    pub(super) router: &'a Arc<Router>,
    pub(super) peer: &'a Arc<Peer>,
}

impl PeerLane<'_> {
    /// Until the root hands us a pipe or says that there is none; deadlines pass meanwhile. To itself a process needs
    /// none.
    async fn wait_for_pipe(&self) -> Result<Option<Pipe>, Cause> {
        if self.peer.process == self.router.identity().process {
            return Ok(None);
        }
        loop {
            if let Some(pipe) = self.peer.take_pipe() {
                return Ok(Some(pipe));
            }
            if let Some(why) = self.peer.unreachable() {
                let cause = Cause::Unreachable { process: self.peer.process, why };
                return Err(self.peer.denial().unwrap_or(cause));
            }
            if self.router.may_close() {
                return Err(Cause::ShuttingDown);
            }
            let timeout = self.peer.with_silently(Connection::poll_timeout);
            tokio::select! {
                () = self.peer.news.notified() => {}
                // A new message may have an earlier deadline.
                () = self.peer.wake.heard() => {}
                () = sleep_until(timeout) => self.handle_timeout(),
            }
        }
    }

    /// Until the peer has said what it can talk over; deadlines pass meanwhile.
    async fn agree(&self, pipe: Pipe) -> Result<AgreedWire, Ended> {
        let agreeing = pipe.agree();
        tokio::pin!(agreeing);
        loop {
            let timeout = self.peer.with_silently(Connection::poll_timeout);
            tokio::select! {
                agreed = &mut agreeing => return agreed,
                // A new message may have an earlier deadline, or this side may be done before it began.
                () = self.peer.wake.heard() => {}
                () = sleep_until(timeout) => self.handle_timeout(),
            }
            if self.is_done() {
                return Err(Ended::Done);
            }
        }
    }

    fn handle_timeout(&self) {
        let now = Instant::now();
        self.peer.with_silently(|connection| connection.handle_timeout(now));
        self.drain();
    }

    fn reply(&self, tag: Waiter, body: Encoded<'_>) {
        if let Waiter::Outcome(outcome) = tag {
            reading(self.peer.process, || outcome.reply(body));
        }
    }

    fn drain(&self) {
        while let Some(event) = self.peer.with_silently(Connection::poll_event) {
            let _ = self.on_event(event);
        }
    }

    /// Why messages on this connection fail; waits until the root tells how the peer ended.
    async fn cause_of(&self, ended: Ended) -> Cause {
        match ended {
            Ended::Done => return Cause::ShuttingDown,
            Ended::Violation(ProtocolError::Cut) | Ended::PeerGone => {}
            Ended::Violation(error) => {
                self.router.blame(self.peer, &error);
                return Cause::Protocol { process: self.peer.name(), reason: error.to_string() };
            }
            Ended::Failed(error) => {
                tracing::error!(target: "procession", peer = %self.peer.name(), %error, "data pipe failed");
            }
        }
        if self.peer.with_silently(|connection| connection.has_left()) {
            return Cause::Stopping(self.peer.name());
        }
        let deadline = Some(Instant::now() + EXIT_WAIT);
        while self.peer.exit().is_none() && deadline > Some(Instant::now()) {
            let timeout = self.peer.with_silently(Connection::poll_timeout);
            tokio::select! {
                () = self.peer.news.notified() => {}
                () = sleep_until(deadline) => {}
                () = sleep_until(timeout) => self.handle_timeout(),
            }
        }
        self.peer.death()
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl Lane for PeerLane<'_> {
    type Tag = Waiter;

    fn with<R>(&self, act: impl FnOnce(&mut Connection<Waiter>) -> R) -> R {
        self.peer.with_silently(act)
    }

    fn on_event(&self, event: Event<'_, Waiter>) -> Result<(), ProtocolError> {
        match event {
            Event::Greeted(hello) => {
                if hello.process != self.peer.process || Some(hello.incarnation) != self.peer.incarnation() {
                    let (process, incarnation) = (hello.process, hello.incarnation);
                    return Err(ProtocolError::Identity { process, incarnation });
                }
                self.peer.greeted(hello);
            }
            Event::Open { channel, open } => self.peer.opened(self.router, channel, &open.target),
            Event::Present { channel, right, capability } => {
                self.peer.presented(self.router, channel, right, &capability);
            }
            Event::Deliver(delivery) => self.deliver(delivery),
            Event::Casts(run) => self.deliver_casts(run),
            Event::Closed { channel } => {
                let mut served = self.peer.served.lock().unwrap_or_else(PoisonError::into_inner);
                let gone = served.get_mut(channel as usize).and_then(Option::take);
                // Its end may send, so it runs without the lock.
                drop(served);
                drop(gone);
            }
            Event::Watch { reference, watch, linked } => {
                self.peer.watched(self.router, reference, &watch, linked);
            }
            Event::Unwatch { reference, back } => self.peer.unwatched(reference, back),
            Event::Ended { channel, reference, back, reason } => {
                self.peer.ended(channel, reference, back, &reason);
            }
            Event::Shut { channel } => self.peer.release(channel),
            Event::Resume { channel } => self.peer.resume(channel),
            Event::Reply { tag, body } => self.reply(tag, body),
            Event::Sent { tag: Waiter::Outcome(outcome) } => outcome.sent(),
            Event::Failed { tag: Waiter::Outcome(outcome), failure } => outcome.fail(failure),
            Event::Failed { tag: Waiter::Nobody { target, message }, failure } => {
                let letter = DeadLetter::new(Some(target), Some(message.0), failure.cause);
                self.router.bury(letter, || None);
            }
            Event::Sent { tag: Waiter::Nobody { .. } } => {}
            Event::Goodbye => {
                self.router.forget(self.peer);
                let cause = Cause::Stopping(self.peer.name());
                self.peer.with_silently(|connection| connection.fail_waiting(&cause));
            }
        }
        Ok(())
    }

    fn on_events(&self, events: Vec<Event<'_, Waiter>>) -> Result<(), ProtocolError> {
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            match event {
                Event::Deliver(first) => self.deliver_run(first, &mut events),
                Event::Reply { tag, body } => self.reply(tag, body),
                event => self.on_event(event)?,
            }
        }
        Ok(())
    }

    fn wanted(&self) -> impl Future<Output = ()> {
        self.peer.wake.heard()
    }

    fn is_done(&self) -> bool {
        self.router.may_close()
            && self.peer.with_silently(|connection| {
                connection.outgoing_count() == 0 && connection.answering_count() == 0
            })
    }
}
