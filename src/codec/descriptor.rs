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

use std::cell::{Cell, RefCell};
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
    let Table::Sending { most, sent, before, count } = TABLE.get() else {
        return Err("a descriptor can only be sent through a pipe".to_owned());
    };
    if count >= most {
        return Err(format!("the message has more descriptors than the {most} that the receiver takes"));
    }
    let carried = carried()?;
    ATTACHED.with_borrow_mut(|attached| attached.push(carried));
    TABLE.set(Table::Sending { most, sent, before, count: count + 1 });
    u32::try_from(count).map_err(|error| error.to_string())
}

/// Whether this thread is encoding a message that may have descriptors.
pub(crate) fn can_send() -> bool {
    is_sent().is_some()
}

/// Takes the descriptor in this place of the message that is being decoded.
pub(crate) fn claim(place: u32) -> Result<OwnedFd, String> {
    let Table::Receiving { any, .. } = TABLE.get() else {
        return Err("a descriptor can only be received through a pipe".to_owned());
    };
    let taken = |descriptors: &mut Vec<Option<Carried>>| {
        let slot = usize::try_from(place).ok().and_then(|place| descriptors.get_mut(place));
        slot.and_then(Option::take).ok_or(descriptors.len())
    };
    let claimed = if any { ARRIVED.with_borrow_mut(taken) } else { Err(0) };
    let claimed = claimed.map_err(|count| {
        format!("descriptor {place} is not there or was claimed before; {count} came with the message")
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
    match TABLE.get() {
        Table::Sending { sent, .. } => Some(sent),
        _ => None,
    }
}

/// Runs `encode`; descriptors that it encodes, at most so many, are collected.
#[inline]
pub(crate) fn sending<R>(most: usize, sent: Sent, encode: impl FnOnce() -> R) -> (R, Vec<Carried>) {
    let outer = Outer(TABLE.get());
    let before = outer.0.attached();
    TABLE.set(Table::Sending { most, sent, before, count: 0 });
    let result = encode();
    match TABLE.get() {
        Table::Sending { count: 0, .. } => (result, Vec::new()),
        _ => (result, attached_since(before)),
    }
}

/// The descriptors of the innermost message that is being encoded; those of the others were before it.
#[cold]
fn attached_since(before: usize) -> Vec<Carried> {
    ATTACHED.with_borrow_mut(|attached| attached.split_off(before.min(attached.len())))
}

/// Runs `decode`, which may claim the descriptors. The others are closed.
#[inline]
pub(crate) fn receiving<R>(descriptors: Vec<Carried>, decode: impl FnOnce() -> R) -> R {
    let outer = Outer(TABLE.get());
    TABLE.set(Table::Receiving { any: !descriptors.is_empty(), before: outer.0.attached() });
    if descriptors.is_empty() {
        return decode();
    }
    let _others = Others(ARRIVED.replace(descriptors.into_iter().map(Some).collect()));
    decode()
}

/// What this thread is doing with a message: its descriptors are in [`ATTACHED`] or [`ARRIVED`], which most messages touch not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Outside,
    Sending {
        most: usize,
        sent: Sent,
        /// How many descriptors the messages have within which this one is encoded.
        before: usize,
        /// How many it has.
        count: usize,
    },
    Receiving {
        /// Whether any came with the message.
        any: bool,
        /// How many the messages have within which this one is decoded.
        before: usize,
    },
}

impl Table {
    /// How many descriptors are attached, to this message and those around it.
    fn attached(self) -> usize {
        match self {
            Table::Outside => 0,
            Table::Sending { before, count, .. } => before + count,
            Table::Receiving { before, .. } => before,
        }
    }
}

thread_local! {
    static TABLE: Cell<Table> = const { Cell::new(Table::Outside) };
    /// The descriptors of the messages that are just encoded, the innermost last.
    static ATTACHED: RefCell<Vec<Carried>> = const { RefCell::new(Vec::new()) };
    /// The descriptors of the message that is just decoded.
    static ARRIVED: RefCell<Vec<Option<Carried>>> = const { RefCell::new(Vec::new()) };
}

/// What was being done with an outer message, put back when the inner one is done, or by a panic.
struct Outer(Table);

impl Drop for Outer {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Table::Sending { before, count: 1.., .. } = TABLE.get()
        {
            drop(attached_since(before));
        }
        TABLE.set(self.0);
    }
}

/// The descriptors of an outer message, likewise.
struct Others(Vec<Option<Carried>>);

impl Drop for Others {
    fn drop(&mut self) {
        drop(ARRIVED.replace(std::mem::take(&mut self.0)));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

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
        assert_eq!(TABLE.get(), Table::Outside);
    }

    #[test]
    fn a_message_within_a_message_has_descriptors_of_its_own_and_a_panic_closes_those_of_its_message() {
        let (reading, writing) = std::io::pipe().expect("pipe");
        let (reading, writing) = (Arc::new(OwnedFd::from(reading)), Arc::new(OwnedFd::from(writing)));
        let put = |descriptor: &Arc<OwnedFd>| attach(|| Ok(Carried::shared(descriptor)));
        let (inner, outer) = sending(2, Sent::Once, || {
            let first = put(&reading);
            let (places, inner) = sending(2, Sent::Again, || (put(&writing), put(&writing), put(&writing)));
            assert_eq!((first, places.0, places.1, places.2.is_err()), (Ok(0), Ok(0), Ok(1), true));
            let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                sending(1, Sent::Once, || {
                    put(&writing).expect("room");
                    panic!("in a Serialize")
                })
            }));
            assert!(panicked.is_err());
            let within = receiving(Vec::new(), || sending(1, Sent::Once, || put(&writing)));
            assert_eq!((within.0, within.1.len()), (Ok(0), 1), "its own, also within one that is decoded");
            assert_eq!(put(&reading), Ok(1), "behind the first");
            inner
        });
        assert_eq!((inner.len(), outer.len()), (2, 2));
        assert_eq!((Arc::strong_count(&writing), Arc::strong_count(&reading)), (3, 3), "none is left behind");
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
