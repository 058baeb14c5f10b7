//! A batch that is being filled, at the producer's side.

use bytes::Bytes;
use serde::Serialize;

use super::{Batch, Credit, DESCRIPTOR_BYTES, End, Pull};
use crate::codec::descriptor::Carried;
use crate::codec::{self, EncodeError};

/// Collects what one pull asks for.
///
/// Order of calls: [`put_back`](Self::put_back) what the batch before had no room for; then, while
/// [`has_room`](Self::has_room), [`put`](Self::put), or [`end`](Self::end); at last [`into_batch`](Self::into_batch).
#[derive(Debug)]
pub struct Filling {
    items: u64,
    most_items: u64,
    most_bytes: usize,
    out: Vec<u8>,
    /// Of its only item.
    descriptors: Vec<Carried>,
    end: Option<End>,
    limits: (usize, usize),
}

/// An encoded item that had no room.
#[derive(Debug)]
pub struct Leftover {
    bytes: Vec<u8>,
    descriptors: Vec<Carried>,
}

/// What became of an item.
#[derive(Debug)]
pub enum Put {
    /// It is in.
    Taken,
    /// It is the first of the next batch.
    Left(Leftover),
}

/// Where the items begin: behind their number.
const COUNT_BYTES: usize = 8;

/// A buffer is not made longer than this for what is merely asked for.
const FIRST_BYTES: usize = 32 << 10;

impl Filling {
    /// An empty batch; it may have at most so many bytes of items, of which one may be all, and so many descriptors.
    pub fn new(pull: &Pull, limits: (usize, usize)) -> Filling {
        let credit = Credit { items: pull.items, bytes: pull.bytes }.bounded();
        let most_bytes = (credit.bytes as usize).min(limits.0);
        let mut out = Vec::with_capacity(most_bytes.min(FIRST_BYTES) + COUNT_BYTES);
        out.extend_from_slice(&[0; COUNT_BYTES]);
        Filling {
            items: 0,
            most_items: u64::from(credit.items),
            most_bytes,
            out,
            descriptors: Vec::new(),
            end: None,
            limits,
        }
    }

    /// The first item, which had no room before.
    pub fn put_back(&mut self, left: Leftover) {
        self.out.extend_from_slice(&left.bytes);
        self.descriptors = left.descriptors;
        self.items += 1;
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.items == 0 && self.end.is_none()
    }

    /// Whether another item may have room.
    pub fn has_room(&self) -> bool {
        let bytes = self.out.len() - COUNT_BYTES;
        let begun = self.items > 0;
        self.end.is_none()
            && self.items < self.most_items
            && self.descriptors.is_empty()
            && (!begun || bytes < self.most_bytes)
    }

    /// What one item, or an error, may have.
    pub fn most_item_bytes(&self) -> usize {
        self.limits.0
    }

    /// Puts an item in; one that is larger than the pull asks for, or that has descriptors, comes alone.
    ///
    /// # Errors
    /// It can't be encoded, or is over the limits.
    pub fn put<T: Serialize>(&mut self, item: &T) -> Result<Put, EncodeError> {
        let start = self.out.len();
        let descriptors = codec::encode_with_descriptors(item, &mut self.out, self.limits.0, self.limits.1)?;
        let limit = self.limits.0.saturating_sub(descriptors.len() * DESCRIPTOR_BYTES);
        if self.out.len() - start > limit {
            self.out.truncate(start);
            return Err(EncodeError::TooLarge { limit });
        }
        let too_much = self.out.len() - COUNT_BYTES > self.most_bytes || !descriptors.is_empty();
        if too_much && self.items > 0 {
            let bytes = self.out.split_off(start);
            return Ok(Put::Left(Leftover { bytes, descriptors }));
        }
        self.descriptors = descriptors;
        self.items += 1;
        Ok(Put::Taken)
    }

    /// Nothing comes after what is in it. An end that says why comes alone, so that there is room for it: behind items it is
    /// given back, for the next batch.
    #[must_use = "what is given back is the end of the next batch"]
    pub fn end(&mut self, end: End) -> Option<End> {
        if self.items > 0 && end != End::Done {
            return Some(end);
        }
        self.end = Some(end);
        None
    }

    /// The batch.
    pub fn into_batch(mut self) -> Batch {
        if self.items == 0 {
            return Batch { end: self.end, ..Batch::default() };
        }
        self.out[..COUNT_BYTES].copy_from_slice(&self.items.to_le_bytes());
        let mut descriptors = Vec::with_capacity(self.descriptors.len());
        for carried in self.descriptors {
            match carried.into_owned() {
                Ok(descriptor) => descriptors.push(descriptor.into()),
                // Without it the item can't be decoded, which ends the stream with that cause.
                Err(_) => break,
            }
        }
        Batch { items: Bytes::from(self.out), descriptors, end: self.end }
    }
}
