//! The names on the page: texts for numbers, one entry after the other.
//!
//! ```text
//!  kind  number  length, text  length, text
//!   1      4       2    n        2    m      bytes
//! ```
//!
//! What stands for a while (an actor) has room in steps, filled up with zeros, which are no part of its text. Forgotten, its
//! kind is 0 and its room is given to the next that fits: lengths never change, so the page is legible at every moment.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{Reader, Writer, page};

/// The kind of an entry that is forgotten.
const FREE: u8 = 0;

/// The room of a text that stands for a while is a multiple of this, so that most fit where others were.
const STEP_BYTES: usize = 32;

/// Before the first text.
const HEAD_BYTES: usize = 1 + 4 + 2;

/// Where the writer has what.
#[derive(Debug, Default)]
pub(super) struct Names {
    end: usize,
    /// What stands for a while.
    standing: BTreeMap<(u8, u32), Room>,
    free: Vec<Room>,
}

/// An entry, and how long its first text may be.
#[derive(Clone, Copy, Debug)]
struct Room {
    at: usize,
    bytes: usize,
}

impl Writer {
    /// Writes two texts down for a number, for whoever reads the page. False if there is no room left.
    pub fn name(&self, kind: u8, number: u32, texts: [&str; 2]) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.append(&mut names, kind, number, texts.map(str::as_bytes)).is_some()
    }

    /// Writes a text down for a number until that is forgotten; in the place of what stood there for it before. False if
    /// there is no room left.
    pub fn name_for_now(&self, kind: u8, number: u32, text: &str) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_off(&mut names, kind, number);
        let bytes = text.len().next_multiple_of(STEP_BYTES);
        let mut padded = text.as_bytes().to_vec();
        let reused = names.free.iter().position(|room| room.bytes == bytes);
        let room = match reused.map(|at| names.free.swap_remove(at)) {
            Some(room) => {
                padded.resize(room.bytes, 0);
                let (_, all) = self.names_field();
                let put = |at: usize, bytes: &[u8]| {
                    all[at..at + bytes.len()]
                        .iter()
                        .zip(bytes)
                        .for_each(|(to, from)| to.store(*from, Relaxed));
                };
                put(room.at + 1, &number.to_le_bytes());
                put(room.at + HEAD_BYTES, &padded);
                all[room.at].store(kind, Release);
                Some(room)
            }
            None => {
                padded.resize(bytes, 0);
                self.append(&mut names, kind, number, [&padded, &[]]).map(|at| Room { at, bytes })
            }
        };
        room.is_some_and(|room| names.standing.insert((kind, number), room).is_none())
    }

    /// What stood there for a while is no more: its room is free.
    pub fn forget_name(&self, kind: u8, number: u32) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_off(&mut names, kind, number);
    }

    fn take_off(&self, names: &mut Names, kind: u8, number: u32) {
        if let Some(room) = names.standing.remove(&(kind, number)) {
            self.names_field().1[room.at].store(FREE, Release);
            names.free.push(room);
        }
    }

    /// Behind everything else; where it begins.
    fn append(&self, names: &mut Names, kind: u8, number: u32, texts: [&[u8]; 2]) -> Option<usize> {
        let mut entry = vec![kind];
        entry.extend_from_slice(&number.to_le_bytes());
        for text in texts {
            entry.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
            entry.extend_from_slice(text);
        }
        let (at, (length, all)) = (names.end, self.names_field());
        let room: &[AtomicU8] = all.get(at..at + entry.len())?;
        room.iter().zip(&entry).for_each(|(byte, value)| byte.store(*value, Relaxed));
        names.end += entry.len();
        length.store(u32::try_from(names.end).unwrap_or(u32::MAX), Release);
        Some(at)
    }
}

/// A text that the writer has written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Of what kind.
    pub kind: u8,
    /// For which number.
    pub number: u32,
    /// The texts; bytes that are no UTF-8 are replaced.
    pub texts: [String; 2],
}

impl Reader {
    /// What was written down and not forgotten, in order, as far as it can be read.
    pub fn names(&self) -> Vec<Name> {
        let page = page(&self.0);
        let length = page.names_length.load(Acquire) as usize;
        let bytes: Vec<u8> = page.names.iter().take(length).map(|byte| byte.load(Acquire)).collect();
        let mut rest = &bytes[..];
        std::iter::from_fn(|| parse(&mut rest)).filter(|name| name.kind != FREE).collect()
    }
}

fn parse(rest: &mut &[u8]) -> Option<Name> {
    let (kind, after) = rest.split_first()?;
    let (number, mut after) = after.split_first_chunk()?;
    let mut texts = [String::new(), String::new()];
    for text in &mut texts {
        let (length, bytes) = after.split_first_chunk()?;
        let (bytes, next) = bytes.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        *text = String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        after = next;
    }
    *rest = after;
    Some(Name { kind: *kind, number: u32::from_le_bytes(*number), texts })
}
