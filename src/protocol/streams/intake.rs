//! What a consumer may pull, and whether what it gets is what it asked for.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use super::{Batch, Credit, End, Pull, StreamId};
use crate::codec::Encoded;
use crate::codec::descriptor::Carried;

/// The consumer's side of a stream.
///
/// Order of calls: [`poll_pull`](Self::poll_pull) until it gives none; [`handle_batch`](Self::handle_batch) for the answer to
/// the oldest pull, and [`handle_consumed`](Self::handle_consumed) when its items were handed on.
#[derive(Debug)]
pub struct Intake {
    stream: StreamId,
    credit: Credit,
    /// The items that each pull under way asks for.
    pulled: VecDeque<u32>,
    holds: bool,
    over: bool,
}

/// A batch that is not what was asked for. The stream is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Nothing was asked for.
    #[error("items that were not asked for")]
    Unasked,
    /// More items than were asked for.
    #[error("{items} items where at most {asked} were asked for")]
    Items {
        /// What it claims.
        items: u64,
        /// What was asked for.
        asked: u32,
    },
    /// Neither items nor an end.
    #[error("neither an item nor an end")]
    Nothing,
    /// They are no such items.
    #[error("{0}")]
    Decode(String),
}

impl Lie {
    /// Whether no honest producer does it. What can't be read may be the opinion of a user's type.
    pub fn is_violation(&self) -> bool {
        !matches!(self, Lie::Decode(_))
    }
}

impl Intake {
    /// Nothing was pulled yet.
    pub fn new(stream: StreamId, credit: Credit) -> Intake {
        let credit = credit.bounded();
        Intake { stream, credit, pulled: VecDeque::new(), holds: false, over: false }
    }

    /// Says how much may be under way from now on. What was pulled already comes.
    pub fn set_credit(&mut self, credit: Credit) {
        self.credit = credit.bounded();
    }

    /// Whether anything was pulled.
    pub fn has_begun(&self) -> bool {
        self.over || self.holds || !self.pulled.is_empty()
    }

    /// The next thing to say, if anything may be.
    pub fn poll_pull(&mut self) -> Option<Pull> {
        let (items, bytes) = self.credit.pull();
        let batches = self.pulled.len() + usize::from(self.holds);
        if self.over || batches >= self.credit.batches() as usize {
            return None;
        }
        self.pulled.push_back(items);
        Some(Pull { stream: self.stream, items, bytes })
    }

    /// Takes the answer to the oldest pull: its items, and the end if there is one.
    ///
    /// # Errors
    /// It is not what was asked for; the stream is over then.
    pub fn handle_batch<T: DeserializeOwned>(&mut self, batch: Batch) -> Result<(Vec<T>, Option<End>), Lie> {
        let taken = self.take(batch);
        self.over |= !matches!(taken, Ok((_, None)));
        self.holds = matches!(&taken, Ok((items, _)) if !items.is_empty());
        taken
    }

    fn take<T: DeserializeOwned>(&mut self, batch: Batch) -> Result<(Vec<T>, Option<End>), Lie> {
        let asked = self.pulled.pop_front().filter(|_| !self.over).ok_or(Lie::Unasked)?;
        let Batch { items, descriptors, end } = batch;
        if items.is_empty() {
            return if end.is_some() { Ok((Vec::new(), end)) } else { Err(Lie::Nothing) };
        }
        // Looked at before it is believed: items without bytes could be any number of them.
        let count = items.first_chunk().map_or(u64::MAX, |count| u64::from_le_bytes(*count));
        match count {
            0 => return Err(Lie::Nothing),
            items if items > u64::from(asked) => return Err(Lie::Items { items, asked }),
            _ => {}
        }
        let descriptors = descriptors.into_iter().map(|descriptor| Carried::from(descriptor.0)).collect();
        let encoded = Encoded { bytes: (&items[..]).into(), descriptors };
        let items = encoded.decode().map_err(|error| Lie::Decode(error.to_string()))?;
        Ok((items, end))
    }

    /// Everything that came was handed on.
    pub fn handle_consumed(&mut self) {
        self.holds = false;
    }

    /// There will be nothing more: a pull failed.
    pub fn handle_lost(&mut self) {
        self.over = true;
        self.pulled.clear();
    }
}
