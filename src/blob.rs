//! Bytes that go through any number of processes without being copied.
//!
//! A large [`Blob`] is sealed memory: what travels is a descriptor, whatever its size, and each process maps the same
//! pages when it first looks at them. A message that passes one on never looks, and pays nothing. A small one travels
//! as the few bytes that it is, since a descriptor and a mapping would cost more.
//!
//! Not for bytes that are made anew for each message and read once: making sealed memory costs more than sending
//! the bytes (decisions/0160), which [`codec::bytes`](crate::codec::bytes) does without a copy of ours. It is for what is large and goes on, goes to many, or is looked at in part.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::descriptor::{self, Carried};
use crate::sys::memfd::{self, Draft, Mapping};

/// Up to this size a blob is plain bytes. About here one hop costs the same either way (decisions/0160).
pub const INLINE_BYTES: usize = 32 << 10;

/// The largest blob. A hostile one costs its receiver addresses, and, where its maker hid that some of its memory is not
/// there, at most that memory when it is read; this keeps what a process may have under way well within the addresses of every 64-bit machine.
pub const MAX_BLOB_BYTES: u64 = 64 << 30;

/// Bytes that never change, shared between processes.
///
/// A clone is the same bytes. In a message it goes to another process as a descriptor, or, up to [`INLINE_BYTES`], as
/// bytes; within a process as it is. It can be sent through pipes and to actors, and nowhere else: text, files and
/// networks carry no descriptors, and serializers for them get an error that says so.
///
/// A large blob holds one descriptor in each process that has it, or a clone of it, until the last is dropped. Its
/// memory is charged to the process that made it, as long as anybody has it: it does not count towards the bytes of
/// mailboxes and messages, the descriptor does.
///
/// ```
/// use procession::blob::Blob;
///
/// let mut draft = Blob::builder(1 << 20)?;
/// draft[..5].copy_from_slice(b"hello");
/// let blob = draft.seal()?;
/// assert_eq!((blob.len(), &blob[..5]), (1 << 20, &b"hello"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Blob(Content);

#[derive(Clone)]
enum Content {
    Inline(Bytes),
    Sealed(Arc<Sealed>),
}

struct Sealed {
    memory: Arc<OwnedFd>,
    length: NonZeroUsize,
    seen: OnceLock<Seen>,
}

/// The bytes, once somebody wants them.
enum Seen {
    Mapped(Mapping),
    /// This process has no room for another mapping.
    Copied(Vec<u8>),
}

impl Blob {
    /// A blob with these bytes: copies them once, which for a large one is the last time.
    ///
    /// # Errors
    /// It is larger than [`MAX_BLOB_BYTES`]; there is no memory or descriptor for it.
    pub fn copy_from(bytes: &[u8]) -> io::Result<Blob> {
        match NonZeroUsize::new(bytes.len()) {
            Some(length) if bytes.len() > INLINE_BYTES => {
                check_size(bytes.len())?;
                Ok(Blob::sealed(memfd::copy(bytes)?, length))
            }
            _ => Ok(Blob(Content::Inline(Bytes::copy_from_slice(bytes)))),
        }
    }

    /// A blob to be filled in place, with zeroes for now: for what is read or computed straight into it.
    ///
    /// # Errors
    /// As [`copy_from`](Self::copy_from).
    pub fn builder(length: usize) -> io::Result<BlobBuilder> {
        check_size(length)?;
        Ok(BlobBuilder(match NonZeroUsize::new(length) {
            Some(length) if length.get() > INLINE_BYTES => Filling::Draft(Draft::new(length)?, length),
            _ => Filling::Inline(vec![0; length]),
        }))
    }

    fn sealed(memory: OwnedFd, length: NonZeroUsize) -> Blob {
        Blob(Content::Sealed(Arc::new(Sealed { memory: Arc::new(memory), length, seen: OnceLock::new() })))
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Inline(bytes) => bytes.len(),
            Content::Sealed(sealed) => sealed.length.get(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes. The first look at a large one maps it, which touches none of its pages.
    ///
    /// # Panics
    /// The process has neither room for a mapping nor memory for a copy.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Content::Inline(bytes) => bytes,
            Content::Sealed(sealed) => sealed.bytes(),
        }
    }

    /// The same bytes, without a copy, as long as these live.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Content::Inline(bytes) => bytes.clone(),
            Content::Sealed(_) => Bytes::from_owner(self.clone()),
        }
    }
}

impl Sealed {
    fn bytes(&self) -> &[u8] {
        let seen = self.seen.get_or_init(|| match Mapping::new(self.memory.as_fd(), self.length) {
            Ok(mapping) => Seen::Mapped(mapping),
            // It was found to be sealed when it came, so this process has too many mappings.
            Err(_) => Seen::Copied(self.copy().expect("sealed memory can be read")),
        });
        match seen {
            Seen::Mapped(mapping) => mapping,
            Seen::Copied(bytes) => bytes,
        }
    }

    fn copy(&self) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; self.length.get()];
        // Not `read`: the position is shared with everybody who has it.
        std::fs::File::from(self.memory.try_clone()?).read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

fn check_size(length: usize) -> io::Result<()> {
    if length as u64 <= MAX_BLOB_BYTES {
        return Ok(());
    }
    let told = format!("a blob of {length} bytes is over the limit of {MAX_BLOB_BYTES}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, told))
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Default for Blob {
    fn default() -> Self {
        Blob(Content::Inline(Bytes::new()))
    }
}

/// The same bytes.
impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (self.is_same(other) || self.as_slice() == other.as_slice())
    }
}

impl Eq for Blob {}

impl Blob {
    fn is_same(&self, other: &Blob) -> bool {
        match (&self.0, &other.0) {
            (Content::Sealed(ours), Content::Sealed(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

/// A blob that is being filled: a slice of bytes until it is sealed.
#[derive(Debug)]
pub struct BlobBuilder(Filling);

#[derive(Debug)]
enum Filling {
    Inline(Vec<u8>),
    Draft(Draft, NonZeroUsize),
}

impl BlobBuilder {
    /// The blob. No byte of it changes from now on.
    ///
    /// # Errors
    /// A process that was forked since the builder was made could still write to it.
    pub fn seal(self) -> io::Result<Blob> {
        match self.0 {
            Filling::Inline(bytes) => Ok(Blob(Content::Inline(bytes.into()))),
            Filling::Draft(draft, length) => Ok(Blob::sealed(draft.seal()?, length)),
        }
    }
}

impl Deref for BlobBuilder {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Filling::Inline(bytes) => bytes,
            Filling::Draft(draft, _) => draft,
        }
    }
}

impl DerefMut for BlobBuilder {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Filling::Inline(bytes) => bytes,
            Filling::Draft(draft, _) => draft,
        }
    }
}

/// A blob as it travels.
#[derive(Serialize, Deserialize)]
enum Travelling {
    Inline(Bytes),
    Sealed { place: u32, length: u64 },
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        if !descriptor::can_send() {
            return Err(S::Error::custom("a blob can only be sent through a pipe"));
        }
        let travelling = match &self.0 {
            Content::Inline(bytes) => Travelling::Inline(bytes.clone()),
            Content::Sealed(sealed) => {
                let carried = || Ok(Carried::shared(&sealed.memory));
                let place = descriptor::attach(carried).map_err(S::Error::custom)?;
                Travelling::Sealed { place, length: sealed.length.get() as u64 }
            }
        };
        travelling.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Travelling::deserialize(deserializer)? {
            Travelling::Inline(bytes) => Ok(Blob(Content::Inline(bytes))),
            Travelling::Sealed { place, length } => arrived(place, length).map_err(D::Error::custom),
        }
    }
}

/// Believes nothing of what came (X-1): neither that it is sealed memory nor how long it is.
fn arrived(place: u32, length: u64) -> Result<Blob, String> {
    let memory = descriptor::claim(place)?;
    let found = memfd::sealed_length(memory.as_fd()).map_err(|why| format!("what came as a blob: {why}"))?;
    if found != length || found > MAX_BLOB_BYTES {
        return Err(format!("what came as a blob of {length} bytes has {found}"));
    }
    match usize::try_from(found).ok().and_then(NonZeroUsize::new) {
        Some(length) => Ok(Blob::sealed(memory, length)),
        None => Err("what came as a blob is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests;
