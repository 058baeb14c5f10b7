//! Descriptors as fields of messages.
//!
//! While a message is encoded for a pipe, a field of type [`Descriptor`] puts a duplicate of its descriptor
//! into a table of this thread and writes the number of its place; the table goes along with the first byte
//! of the message. While a message is decoded, the number claims what came in that place. What nobody claims
//! is closed.
//!
//! Outside of a pipe there is no table: then such a field is an error of the serializer that says so, because
//! a descriptor's number means nothing to anybody else.
//!
//! The number of descriptors of a message is nowhere on the wire but in its body. The frame is Python's and
//! has no room for it, and no need: each place that the body names is checked against what came.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::settings::Settings;

/// A descriptor that travels in a message: to be used as a field.
///
/// Encoding duplicates it, so that the sender's is as open as before until the message is dropped, and the
/// receiver gets one of its own, close-on-exec. For an `OwnedFd` field write `#[serde(with =
/// "procession::pipe::descriptor")]` instead.
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

/// For `#[serde(with = "procession::pipe::descriptor")]` on a field that is a descriptor.
///
/// # Errors
/// When the message is not being encoded for a pipe, or the process has no free descriptor.
pub fn serialize<S: Serializer>(fd: &impl AsFd, serializer: S) -> Result<S::Ok, S::Error> {
    let place = TABLE.with_borrow_mut(|table| match table {
        Table::Sending(descriptors) => {
            let owned = fd.as_fd().try_clone_to_owned().map_err(|error| {
                serde::ser::Error::custom(format_args!("a descriptor can't be duplicated: {error}"))
            })?;
            descriptors.push(owned);
            u32::try_from(descriptors.len() - 1).map_err(serde::ser::Error::custom)
        }
        _ => Err(serde::ser::Error::custom("a descriptor can only be sent through a pipe")),
    })?;
    serializer.serialize_u32(place)
}

/// For `#[serde(with = "procession::pipe::descriptor")]` on a field that is a descriptor.
///
/// # Errors
/// When the message did not come through a pipe, or this descriptor did not come with it or was claimed
/// already.
pub fn deserialize<'de, D: Deserializer<'de>, F: From<OwnedFd>>(deserializer: D) -> Result<F, D::Error> {
    let place = u32::deserialize(deserializer)?;
    TABLE.with_borrow_mut(|table| match table {
        Table::Receiving { descriptors, .. } => {
            let count = descriptors.len();
            let slot = usize::try_from(place).ok().and_then(|place| descriptors.get_mut(place));
            slot.and_then(Option::take).map(F::from).ok_or_else(|| {
                let told = format_args!(
                    "descriptor {place} is not there or was claimed before; {count} came with the message"
                );
                serde::de::Error::custom(told)
            })
        }
        _ => Err(serde::de::Error::custom("a descriptor can only be received through a pipe")),
    })
}

/// Runs `encode`; descriptors that it encodes are collected.
pub(super) fn sending<R>(encode: impl FnOnce() -> R) -> (R, Vec<OwnedFd>) {
    let outer = Outer::replace(Table::Sending(Vec::new()));
    let result = encode();
    match outer.restore() {
        Table::Sending(descriptors) => (result, descriptors),
        _ => (result, Vec::new()),
    }
}

/// Runs `decode`, which may claim the descriptors. The others are closed.
pub(super) fn receiving<R>(descriptors: Vec<OwnedFd>, settings: Settings, decode: impl FnOnce() -> R) -> R {
    let descriptors = descriptors.into_iter().map(Some).collect();
    let outer = Outer::replace(Table::Receiving { descriptors, settings });
    let result = decode();
    drop(outer.restore());
    result
}

/// The settings of the pipe whose message is being decoded.
pub(super) fn settings() -> Option<Settings> {
    TABLE.with_borrow(|table| match table {
        Table::Receiving { settings, .. } => Some(*settings),
        _ => None,
    })
}

/// The descriptors of the message that this thread is just encoding or decoding.
#[derive(Debug, Default)]
enum Table {
    #[default]
    Outside,
    Sending(Vec<OwnedFd>),
    Receiving {
        descriptors: Vec<Option<OwnedFd>>,
        settings: Settings,
    },
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
        let (claimed, twice, beyond) = receiving(vec![reading.into()], Settings::new(), || {
            let claim = |place| serde_json::from_str::<Descriptor>(place);
            (claim("0").is_ok(), claim("0").is_ok(), claim("1").is_ok())
        });
        assert_eq!((claimed, twice, beyond), (true, false, false));
    }

    #[test]
    fn a_panic_while_encoding_leaves_no_table_behind() {
        let panicked = std::panic::catch_unwind(|| sending(|| panic!("in a Serialize")));
        assert!(panicked.is_err());
        assert!(TABLE.with_borrow(|table| matches!(table, Table::Outside)));
    }
}
