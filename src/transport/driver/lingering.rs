//! Waiting for the next part of a conversation, awake.

use std::io;
use std::task::Poll;
use std::time::Instant;

use super::{Driver, Ended, Lane};
use crate::transport::polling::Turn;
use crate::transport::wire::Wire;

#[derive(Debug)]
enum Found {
    Read(io::Result<usize>),
    /// There may be something to transmit.
    Wanted,
    Nothing,
}

/// So often a driver may find something to transmit before it had its first look. Who always has something would never read.
const UNSEEING: u32 = 2;

impl<L: Lane, W: Wire> Driver<'_, L, W> {
    /// Whether more may be expected soon, of a kind that it is worth being awake for.
    pub(super) fn may_linger(&self) -> bool {
        self.conversing && self.chunk.is_none() && self.unseeing < UNSEEING && self.wire.has_peer()
    }

    /// Reads again and again, while nobody else of the thread needs it and until `timeout`. False if that was in vain.
    pub(super) async fn linger(&mut self, timeout: Option<Instant>) -> Result<bool, Ended> {
        let Some(mut lingering) = self.watch.linger(timeout) else { return Ok(false) };
        let wanted = self.lane.wanted();
        tokio::pin!(wanted);
        let (wire, reader, arrivals) = (&self.wire, &mut self.reader, &mut self.arrivals);
        let chunk_next = self.chunk_next;
        let found = std::future::poll_fn(|context| {
            if wanted.as_mut().poll(context).is_ready() {
                return Poll::Ready(Found::Wanted);
            }
            match lingering.turn() {
                Turn::Over => return Poll::Ready(Found::Nothing),
                Turn::Look if wire.may_have_news() => {
                    match wire.recv(reader.room_before(chunk_next), arrivals) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => return Poll::Ready(Found::Read(read)),
                    }
                }
                Turn::Look | Turn::Pass => {}
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.unseeing = if lingering.has_looked() { 0 } else { self.unseeing + 1 };
        match found {
            Found::Read(read) => {
                lingering.found();
                self.received(read).map(|()| true)
            }
            Found::Wanted => Ok(true),
            Found::Nothing => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
