//! Descriptors as fields of messages.
//!
//! While a message is encoded for another process, a field of type [`Descriptor`] puts a duplicate of its descriptor
//! into a table of this thread and writes the number of its place; the table goes along with the first byte
//! of the message. While a message is decoded, the number claims what came in that place. What nobody claims
//! is closed.
//!
//! Otherwise there is no table: then such a field is an error of the serializer that says so, because
//! a descriptor's number means nothing to anybody else.
//!
//! Whoever sends bytes opens the table: the plain pipes, the connections of actors, and [`super::round_trip`].

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::shape::{self, Whom};

/// What the kernel lets through at once (`SCM_MAX_FD`), so the most that one message may have (H14).
pub const MAX_DESCRIPTORS: usize = crate::sys::socket::MAX_DESCRIPTORS;

/// A descriptor that travels in a message: to be used as a field.
///
/// Encoding duplicates it, so that the sender's is as open as before until the message is dropped, and the
/// receiver gets one of its own, close-on-exec. For an `OwnedFd` field write `#[serde(with =
/// "procession::codec::descriptor")]` instead.
///
/// ```
/// use procession::pipe::{self, Descriptor};
/// use std::io::{Read, Write};
///
/// let (mut sender, mut receiver) = pipe::simplex::<(String, Descriptor)>()?;
/// let (mut reading, writing) = std::io::pipe()?;
/// sender.send(("log".into(), Descriptor(writing.into())))?;
///
/// let (name, Descriptor(log)) = receiver.recv()?;
/// std::fs::File::from(log).write_all(name.as_bytes())?;
/// let mut text = String::new();
/// reading.read_to_string(&mut text)?;
/// assert_eq!(text, "log");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Descriptor(pub OwnedFd);

impl From<OwnedFd> for Descriptor {
    fn from(descriptor: OwnedFd) -> Self {
        Descriptor(descriptor)
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.0
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

/// For `#[serde(with = "procession::codec::descriptor")]` on a field that is a descriptor.
///
/// # Errors
/// When the message is not being encoded for another process, or this one has no free descriptor.
pub fn serialize<S: Serializer>(fd: &impl AsFd, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error;
    let duplicate = || {
        let owned = fd.as_fd().try_clone_to_owned();
        owned.map(Carried::from).map_err(|error| format!("a descriptor can't be duplicated: {error}"))
    };
    serializer.serialize_u32(attach(duplicate).map_err(S::Error::custom)?)
}

/// For `#[serde(with = "procession::codec::descriptor")]` on a field that is a descriptor.
///
/// # Errors
/// When the message did not come from another process, or this descriptor did not come with it or was claimed
/// already.
pub fn deserialize<'de, D: Deserializer<'de>, F: From<OwnedFd>>(deserializer: D) -> Result<F, D::Error> {
    use serde::de::Error;
    let Some(deserializer) = shape::mention(deserializer, Whom::Descriptor)? else {
        // Whichever: it is dropped at once.
        let (any, _) = std::io::pipe().map_err(D::Error::custom)?;
        return Ok(F::from(any.into()));
    };
    let place = u32::deserialize(deserializer)?;
    claim(place).map(F::from).map_err(serde::de::Error::custom)
}

/// Puts a descriptor into the table of the message that is being encoded, and says in which place.
pub(crate) fn attach(carried: impl FnOnce() -> Result<Carried, String>) -> Result<u32, String> {
    TABLE.with_borrow_mut(|table| {
        let Table::Sending { descriptors, most, .. } = table else {
            return Err("a descriptor can only be sent through a pipe".to_owned());
        };
        if descriptors.len() >= *most {
            return Err(format!("the message has more descriptors than the {most} that the receiver takes"));
        }
        descriptors.push(carried()?);
        u32::try_from(descriptors.len() - 1).map_err(|error| error.to_string())
    })
}

/// Whether this thread is encoding a message that may have descriptors.
pub(crate) fn can_send() -> bool {
    TABLE.with_borrow(|table| matches!(table, Table::Sending { .. }))
}

/// Takes the descriptor in this place of the message that is being decoded.
pub(crate) fn claim(place: u32) -> Result<OwnedFd, String> {
    let claimed = TABLE.with_borrow_mut(|table| {
        let Table::Receiving(descriptors) = table else {
            return Err("a descriptor can only be received through a pipe".to_owned());
        };
        let count = descriptors.len();
        let slot = usize::try_from(place).ok().and_then(|place| descriptors.get_mut(place));
        slot.and_then(Option::take).ok_or_else(|| {
            format!("descriptor {place} is not there or was claimed before; {count} came with the message")
        })
    })?;
    claimed.into_owned().map_err(|error| format!("a descriptor can't be duplicated: {error}"))
}

/// A descriptor on its way with a message.
#[derive(Debug)]
pub struct Carried(Held);

#[derive(Debug)]
enum Held {
    Owned(OwnedFd),
    /// Of something that stays here as well; no duplicate is made for it, so it costs no descriptor.
    Shared(Arc<OwnedFd>),
}

impl Carried {
    pub(crate) fn shared(descriptor: &Arc<OwnedFd>) -> Carried {
        Carried(Held::Shared(Arc::clone(descriptor)))
    }

    /// To be carried again and again.
    pub(crate) fn into_shared(self) -> Arc<OwnedFd> {
        match self.0 {
            Held::Owned(descriptor) => Arc::new(descriptor),
            Held::Shared(descriptor) => descriptor,
        }
    }

    /// For itself alone.
    ///
    /// # Errors
    /// It is shared, and this process has no free descriptor for another.
    pub fn into_owned(self) -> io::Result<OwnedFd> {
        match self.0 {
            Held::Owned(descriptor) => Ok(descriptor),
            Held::Shared(descriptor) => {
                Arc::try_unwrap(descriptor).or_else(|descriptor| descriptor.try_clone())
            }
        }
    }
}

impl From<OwnedFd> for Carried {
    fn from(descriptor: OwnedFd) -> Self {
        Carried(Held::Owned(descriptor))
    }
}

impl AsFd for Carried {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Held::Owned(descriptor) => descriptor.as_fd(),
            Held::Shared(descriptor) => descriptor.as_fd(),
        }
    }
}

/// The same number, so the same descriptor, since both are open.
impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        self.as_fd().as_raw_fd() == other.as_fd().as_raw_fd()
    }
}

impl Eq for Carried {}

/// How the message that is being encoded will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Once.
    Once,
    /// Perhaps again and again, by these bytes (M-6).
    Again,
}

/// How the message that is being encoded will be sent; not at all if it is merely looked at, as that of a dead letter is.
pub(crate) fn is_sent() -> Option<Sent> {
    TABLE.with_borrow(|table| match table {
        Table::Sending { sent, .. } => Some(*sent),
        _ => None,
    })
}

/// Runs `encode`; descriptors that it encodes, at most so many, are collected.
#[inline]
pub(crate) fn sending<R>(most: usize, sent: Sent, encode: impl FnOnce() -> R) -> (R, Vec<Carried>) {
    let outer = Outer::replace(Table::Sending { descriptors: Vec::new(), most, sent });
    let result = encode();
    match outer.restore() {
        Table::Sending { descriptors, .. } => (result, descriptors),
        _ => (result, Vec::new()),
    }
}

/// Runs `decode`, which may claim the descriptors. The others are closed.
#[inline]
pub(crate) fn receiving<R>(descriptors: Vec<Carried>, decode: impl FnOnce() -> R) -> R {
    let outer = Outer::replace(Table::Receiving(descriptors.into_iter().map(Some).collect()));
    let result = decode();
    drop(outer.restore());
    result
}

/// The descriptors of the message that this thread is just encoding or decoding.
#[derive(Debug, Default)]
enum Table {
    #[default]
    Outside,
    Sending {
        descriptors: Vec<Carried>,
        most: usize,
        sent: Sent,
    },
    Receiving(Vec<Option<Carried>>),
}

thread_local! {
    static TABLE: RefCell<Table> = const { RefCell::new(Table::Outside) };
}

/// The table of an outer message, put back when the inner one is done; dropped only by a panic.
struct Outer(Table);

impl Outer {
    #[inline]
    fn replace(table: Table) -> Self {
        Outer(TABLE.replace(table))
    }

    #[inline]
    fn restore(mut self) -> Table {
        let inner = TABLE.replace(std::mem::take(&mut self.0));
        std::mem::forget(self);
        inner
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        TABLE.set(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_pipe_a_descriptor_is_an_error_that_says_so() {
        let (reading, _writing) = std::io::pipe().expect("pipe");
        let error = serde_json::to_string(&Descriptor(reading.into())).expect_err("outside");
        assert!(error.to_string().contains("only be sent through a pipe"), "{error}");
        let error = serde_json::from_str::<Descriptor>("0").expect_err("outside");
        assert!(error.to_string().contains("only be received through a pipe"), "{error}");
    }

    #[test]
    fn h14_a_place_is_claimed_once_and_only_if_something_came() {
        let (reading, _writing) = std::io::pipe().expect("pipe");
        let (claimed, twice, beyond) = receiving(vec![OwnedFd::from(reading).into()], || {
            let claim = |place| serde_json::from_str::<Descriptor>(place);
            (claim("0").is_ok(), claim("0").is_ok(), claim("1").is_ok())
        });
        assert_eq!((claimed, twice, beyond), (true, false, false));
    }

    #[test]
    fn a_panic_while_encoding_leaves_no_table_behind() {
        let panicked = std::panic::catch_unwind(|| sending(1, Sent::Once, || panic!("in a Serialize")));
        assert!(panicked.is_err());
        assert!(TABLE.with_borrow(|table| matches!(table, Table::Outside)));
    }

    #[test]
    fn h14_no_more_go_than_the_receiver_takes() {
        let (reading, _writing) = std::io::pipe().expect("pipe");
        let pair = (Descriptor(reading.try_clone().expect("clone").into()), Descriptor(reading.into()));
        let (encoded, descriptors) = sending(1, Sent::Once, || serde_json::to_string(&pair));
        assert!(encoded.expect_err("two").to_string().contains("more descriptors than the 1"));
        assert_eq!(descriptors.len(), 1, "given back, and closed by whoever drops them");
    }

    #[test]
    fn what_is_shared_is_duplicated_only_for_an_owner_of_its_own() {
        let (reading, _writing) = std::io::pipe().expect("pipe");
        let shared = Arc::new(OwnedFd::from(reading));
        let (place, mut sent) = sending(1, Sent::Once, || attach(|| Ok(Carried::shared(&shared))));
        assert_eq!((place, sent.len()), (Ok(0), 1));
        let carried = sent.remove(0);
        assert_eq!(carried.as_fd().as_raw_fd(), shared.as_raw_fd());
        assert_ne!(carried.into_owned().expect("a duplicate").as_raw_fd(), shared.as_raw_fd());
    }
}
