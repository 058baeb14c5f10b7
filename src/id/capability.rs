//! An address as it travels: whom it reaches, under which conditions, and the seal that proves it.
//!
//! ```text
//!  0      1         5      9        25
//!  +------+---------+------+--------+----- - - - -----+
//!  | head | process | slot | seal   | conditions      |   little-endian, at most 48 bytes
//!  | u8   | u32     | u32  | 16     | head & 31 bytes |
//!  +------+---------+------+--------+----- - - - -----+
//! ```
//!
//! A condition is a kind, u8, and what it says. Conditions stand in the order in which they were added, which is the
//! order in which the seal was hashed. Whoever holds an address can add some; nobody can take one away.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::actor::{ActorId, Slot};
use super::process::{Incarnation, ProcessId};
use super::seal::{Key, Seal};

/// What an address is good for, beyond whom it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// One life of the actor's process alone.
    Life(Incarnation),
    /// What the topology lets this process send to the actor.
    Edge(ProcessId),
    /// One message alone, by its identity.
    Message(u32),
    /// Until this moment: milliseconds since the machine was started.
    Until(u64),
    /// So many messages, whoever sends them. The tag tells it from any other such condition.
    Count(u32, Tag),
    /// Nothing less: a copy that can be revoked alone. The tag tells it from any other.
    Mark(Tag),
}

/// Random bytes that tell one condition from all others like it. Two alike would be one address, which shares its count and
/// is revoked with the other: of four bytes, one in five hundred who makes four thousand addresses would meet that; of six,
/// one in thirty million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; 6]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// There is no room for another condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address has as many conditions as an address can bear")]
pub struct TooManyConditions;

/// An address as a right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    process: ProcessId,
    slot: Slot,
    seal: Seal,
    length: u8,
    conditions: [u8; Capability::MAX_CONDITION_BYTES],
}

/// Of the head, what says how many bytes of conditions follow.
const LENGTH_BITS: u8 = 31;
/// Process, slot and seal.
const FIXED_BYTES: usize = 8 + Seal::BYTES;

impl Capability {
    /// An address takes no more of a message.
    pub const MAX_BYTES: usize = 48;
    /// What is left of that for conditions.
    pub const MAX_CONDITION_BYTES: usize = Self::MAX_BYTES - 1 - FIXED_BYTES;

    /// The right to send to an actor of the process with this key.
    pub fn mint(key: &Key, process: ProcessId, slot: Slot) -> Capability {
        Capability { seal: key.seal(process, slot), ..Capability::unsealed(ActorId::declared(process, slot)) }
    }

    /// What anybody can write down: it reaches nobody.
    pub fn unsealed(id: ActorId) -> Capability {
        let (length, conditions) = (0, [0; Capability::MAX_CONDITION_BYTES]);
        let seal = Seal::from_bytes([0; Seal::BYTES]);
        Capability { process: id.process, slot: id.slot, seal, length, conditions }
    }

    /// The process that owns the actor.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// The actor's place in it.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// What proves it.
    pub fn seal(&self) -> Seal {
        self.seal
    }

    /// Whom it names, and in which life.
    pub fn id(&self) -> ActorId {
        let incarnation = self.life().unwrap_or(Incarnation::ANY);
        ActorId { process: self.process, incarnation, slot: self.slot }
    }

    /// Which life of its process it is for, if for one alone.
    pub fn life(&self) -> Option<Incarnation> {
        self.conditions().find_map(|condition| match condition {
            Condition::Life(life) => Some(life),
            _ => None,
        })
    }

    /// Which message it is for, if for one alone.
    pub fn message(&self) -> Option<u32> {
        self.conditions().find_map(|condition| match condition {
            Condition::Message(message) => Some(message),
            _ => None,
        })
    }

    /// Whether it is good for everything.
    pub fn is_full(&self) -> bool {
        self.length == 0
    }

    /// The same with one more condition.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn narrowed(&self, condition: Condition) -> Result<Capability, TooManyConditions> {
        let mut bytes = Bytes::default();
        bytes.push(condition);
        let bytes = bytes.as_slice();
        let begins = usize::from(self.length);
        let mut narrowed = *self;
        let place = narrowed.conditions.get_mut(begins..begins + bytes.len()).ok_or(TooManyConditions)?;
        place.copy_from_slice(bytes);
        narrowed.length += u8::try_from(bytes.len()).map_err(|_| TooManyConditions)?;
        narrowed.seal = self.seal.narrowed(bytes);
        Ok(narrowed)
    }

    /// Its conditions, the oldest first.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> + '_ {
        Steps { rest: &self.conditions[..usize::from(self.length)] }.map(|(condition, _)| condition)
    }

    /// Whether it was made under the key of its process, by whoever holds what it was made from. Then the seals through
    /// which it came, from that of the actor to its own.
    pub fn verify(&self, key: &Key) -> Option<Vec<Seal>> {
        let mut seals = vec![key.seal(self.process, self.slot)];
        for (_, bytes) in (Steps { rest: &self.conditions[..usize::from(self.length)] }) {
            seals.push(seals[seals.len() - 1].narrowed(bytes));
        }
        (seals.last() == Some(&self.seal)).then_some(seals)
    }

    /// All but the head, and how many bytes that is.
    fn to_bytes(self) -> ([u8; Self::MAX_BYTES], usize) {
        let mut bytes = [0; Self::MAX_BYTES];
        bytes[..4].copy_from_slice(&self.process.0.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.slot.0.to_le_bytes());
        bytes[8..FIXED_BYTES].copy_from_slice(&self.seal.to_bytes());
        let length = FIXED_BYTES + usize::from(self.length);
        bytes[FIXED_BYTES..length].copy_from_slice(&self.conditions[..usize::from(self.length)]);
        (bytes, length)
    }

    /// What `to_bytes` made; none if the conditions are none.
    fn from_bytes(bytes: &[u8]) -> Option<Capability> {
        let (process, rest) = bytes.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (seal, rest) = rest.split_first_chunk()?;
        let mut conditions = [0; Self::MAX_CONDITION_BYTES];
        conditions.get_mut(..rest.len())?.copy_from_slice(rest);
        let mut steps = Steps { rest };
        steps.by_ref().for_each(drop);
        steps.rest.is_empty().then_some(Capability {
            process: ProcessId(u32::from_le_bytes(*process)),
            slot: Slot(u32::from_le_bytes(*slot)),
            seal: Seal::from_bytes(*seal),
            length: u8::try_from(rest.len()).ok()?,
            conditions,
        })
    }

    /// As it travels, with three bits of the caller's, the upper ones of the head.
    pub(super) fn to_wire(self, head: u8) -> Vec<u8> {
        let (bytes, length) = self.to_bytes();
        let head = head & !LENGTH_BITS | self.length;
        std::iter::once(head).chain(bytes[..length].iter().copied()).collect()
    }

    /// What `to_wire` made: the caller's bits, and the address.
    pub(super) fn of_wire(bytes: &[u8]) -> Option<(u8, Capability)> {
        let (head, rest) = bytes.split_first()?;
        let whole = rest.len() == FIXED_BYTES + usize::from(head & LENGTH_BITS);
        Some((head & !LENGTH_BITS, Capability::from_bytes(rest).filter(|_| whole)?))
    }

    /// Writes it with three bits of the caller's, the upper ones of the head.
    pub fn serialize_with<S: Serializer>(&self, head: u8, serializer: S) -> Result<S::Ok, S::Error> {
        let (bytes, length) = self.to_bytes();
        serialize_head(head & !LENGTH_BITS | self.length, &Raw(&bytes[..length]), serializer)
    }

    /// As `serialize_with`, and something behind it.
    pub fn serialize_before<T: Serialize, S: Serializer>(
        &self,
        head: u8,
        behind: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let (bytes, length) = self.to_bytes();
        serialize_head(head & !LENGTH_BITS | self.length, &(Raw(&bytes[..length]), behind), serializer)
    }

    /// How many bytes its conditions have.
    pub fn condition_bytes(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether a head of these bits can be followed by `deserialize_rest`.
    pub fn rest_of(head: u8) -> RestOf {
        RestOf(usize::from(head & LENGTH_BITS))
    }
}

/// Writes a head and what follows it.
pub fn serialize_head<T: Serialize + ?Sized, S: Serializer>(
    head: u8,
    rest: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(2)?;
    tuple.serialize_element(&head)?;
    tuple.serialize_element(rest)?;
    tuple.end()
}

/// Bytes without their number.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

/// Reads what follows a head: so many bytes of conditions, and what is before them.
#[derive(Clone, Copy, Debug)]
pub struct RestOf(usize);

impl<'de> DeserializeSeed<'de> for RestOf {
    type Value = Capability;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Capability, D::Error> {
        if self.0 > Capability::MAX_CONDITION_BYTES {
            return Err(D::Error::custom("an address can't have conditions of so many bytes"));
        }
        deserializer.deserialize_tuple(FIXED_BYTES + self.0, self)
    }
}

impl<'de> Visitor<'de> for RestOf {
    type Value = Capability;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} bytes of an address", FIXED_BYTES + self.0)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Capability, S::Error> {
        let mut bytes = [0; Capability::MAX_BYTES];
        let length = FIXED_BYTES + self.0;
        for (at, byte) in bytes[..length].iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| S::Error::invalid_length(at, &self))?;
        }
        Capability::from_bytes(&bytes[..length])
            .ok_or_else(|| S::Error::custom("the conditions of an address are none"))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_with(0, serializer)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Capability, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Capability;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Capability, S::Error> {
                let head: u8 = seq.next_element()?.ok_or_else(|| S::Error::invalid_length(0, &self))?;
                if head & !LENGTH_BITS != 0 {
                    return Err(S::Error::custom("the head of an address is none"));
                }
                seq.next_element_seed(Capability::rest_of(head))?
                    .ok_or_else(|| S::Error::invalid_length(1, &self))
            }
        }
        deserializer.deserialize_tuple(2, Whole)
    }
}

impl Hash for Capability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Whom it names and what proves it: what else there is follows from the seal, unless somebody lies.
        (self.process, self.slot, self.seal).hash(state);
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())?;
        for condition in self.conditions() {
            match condition {
                Condition::Life(_) => {}
                Condition::Edge(process) => write!(f, ", as process {process} may")?,
                Condition::Message(message) => write!(f, ", message {message:08x} alone")?,
                Condition::Until(_) => f.write_str(", for a time")?,
                Condition::Count(most, _) => write!(f, ", {most} messages at most")?,
                Condition::Mark(tag) => write!(f, ", copy {tag}")?,
            }
        }
        Ok(())
    }
}

const LIFE: u8 = 1;
const EDGE: u8 = 2;
const MESSAGE: u8 = 3;
const UNTIL: u8 = 4;
const COUNT: u8 = 5;
const MARK: u8 = 6;

/// A condition is at most a kind and nine bytes of a number, or a kind, five of one and a tag.
#[derive(Default)]
struct Bytes {
    bytes: [u8; 16],
    length: usize,
}

impl Bytes {
    fn push(&mut self, condition: Condition) {
        match condition {
            Condition::Life(life) => self.kind(LIFE).number(life.0.into()),
            Condition::Edge(process) => self.kind(EDGE).number(process.0.into()),
            Condition::Message(message) => self.kind(MESSAGE).all(&message.to_le_bytes()),
            Condition::Until(moment) => self.kind(UNTIL).number(moment),
            Condition::Count(most, Tag(which)) => self.kind(COUNT).number(most.into()).all(&which),
            Condition::Mark(Tag(which)) => self.kind(MARK).all(&which),
        };
    }

    fn kind(&mut self, kind: u8) -> &mut Bytes {
        self.byte(kind)
    }

    fn byte(&mut self, byte: u8) -> &mut Bytes {
        self.bytes[self.length] = byte;
        self.length += 1;
        self
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u64) -> &mut Bytes {
        while number > 127 {
            self.byte((number & 127) as u8 | 128);
            number >>= 7;
        }
        self.byte((number & 127) as u8)
    }

    fn all(&mut self, bytes: &[u8]) -> &mut Bytes {
        bytes.iter().fold(self, |written, byte| written.byte(*byte))
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Conditions, each with its bytes. Ends before what is none.
struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Steps<'a> {
    type Item = (Condition, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let begins = self.rest;
        let (kind, rest) = begins.split_first()?;
        let small = |(number, rest): (u64, _)| Some((u32::try_from(number).ok()?, rest));
        let (condition, rest) = match *kind {
            LIFE => {
                let (life, rest) = number(rest).and_then(small)?;
                (Condition::Life(Incarnation(life)), rest)
            }
            EDGE => {
                let (process, rest) = number(rest).and_then(small)?;
                (Condition::Edge(ProcessId(process)), rest)
            }
            MESSAGE => {
                let (message, rest) = rest.split_first_chunk()?;
                (Condition::Message(u32::from_le_bytes(*message)), rest)
            }
            UNTIL => {
                let (moment, rest) = number(rest)?;
                (Condition::Until(moment), rest)
            }
            COUNT => {
                let (most, rest) = number(rest).and_then(small)?;
                let (which, rest) = rest.split_first_chunk()?;
                (Condition::Count(most, Tag(*which)), rest)
            }
            MARK => {
                let (which, rest) = rest.split_first_chunk()?;
                (Condition::Mark(Tag(*which)), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some((condition, &begins[..begins.len() - rest.len()]))
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        number |= u64::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
