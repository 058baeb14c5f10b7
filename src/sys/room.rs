//! Where received bytes go: the end of a vector, whose spare capacity need not be initialised, or a slice.
//!
//! [`super::socket::recv_into`] fills it; carriers in memory do with [`Room::put`].

/// Room for bytes that come.
#[derive(Debug)]
pub enum Room<'a> {
    /// Behind what the vector holds: at most that many, and never more than its spare capacity.
    Append(&'a mut Vec<u8>, usize),
    /// Over the bytes of a slice, from its beginning.
    Fill(&'a mut [u8]),
}

impl Room<'_> {
    /// No room.
    pub fn none() -> Self {
        Room::Fill(&mut [])
    }

    /// How many bytes there is room for.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self {
            Room::Append(vector, most) => (vector.capacity() - vector.len()).min(*most),
            Room::Fill(slice) => slice.len(),
        }
    }

    /// Takes as many of the bytes as there is room for, and says how many. The room is smaller afterwards.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(self.bytes())];
        self.write_with(taken.len(), |place| place.copy_from_slice(taken));
        taken.len()
    }

    /// Has the next so many bytes written, for which there must be room, by whoever wants a slice. The room is smaller
    /// afterwards.
    ///
    /// # Panics
    /// Without that much room.
    pub fn write_with(&mut self, bytes: usize, write: impl FnOnce(&mut [u8])) {
        assert!(bytes <= self.bytes(), "no more than there is room for");
        match self {
            Room::Append(vector, most) => {
                let start = vector.len();
                vector.resize(start + bytes, 0);
                write(&mut vector[start..]);
                *most -= bytes;
            }
            Room::Fill(slice) => {
                let (now, later) = std::mem::take(slice).split_at_mut(bytes);
                write(now);
                *slice = later;
            }
        }
    }

    /// The place and the length for the kernel to write to. The bytes there need not be initialised.
    #[inline]
    pub(super) fn raw(&mut self) -> (*mut u8, usize) {
        let bytes = self.bytes();
        match self {
            Room::Append(vector, _) => (vector.spare_capacity_mut().as_mut_ptr().cast(), bytes),
            Room::Fill(slice) => (slice.as_mut_ptr(), bytes),
        }
    }

    /// Takes note of what was written to [`Self::raw`].
    ///
    /// # Safety
    /// The first `bytes` bytes from there must have been initialised, and there must have been room for them.
    #[inline]
    #[allow(unsafe_code)]
    pub(super) unsafe fn advance(&mut self, bytes: usize) {
        match self {
            Room::Append(vector, most) => {
                // SAFETY: the caller vouches that these bytes, which begin at the vector's end, are
                // initialised and within its capacity.
                unsafe { vector.set_len(vector.len() + bytes) };
                *most -= bytes;
            }
            Room::Fill(slice) => *slice = &mut std::mem::take(slice)[bytes..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_takes_what_is_permitted_and_what_it_has_capacity_for() {
        let mut vector = Vec::with_capacity(8);
        let capacity = vector.capacity();
        let mut room = Room::Append(&mut vector, 3);
        assert_eq!((room.put(b"ab"), room.bytes(), room.put(b"cd"), room.put(b"e")), (2, 1, 1, 0));
        let mut room = Room::Append(&mut vector, usize::MAX);
        assert_eq!(room.bytes(), capacity - 3);
        assert_eq!(room.put(&[1; 100]), capacity - 3);
        assert_eq!((&vector[..3], vector.capacity()), (&b"abc"[..], capacity));
    }

    #[test]
    fn a_slice_is_filled_from_its_beginning() {
        let mut slice = [0; 4];
        let mut room = Room::Fill(&mut slice);
        assert_eq!((room.put(b"ab"), room.put(b"cde"), room.bytes(), room.put(b"f")), (2, 2, 0, 0));
        assert_eq!(&slice, b"abcd");
        assert_eq!(Room::none().bytes(), 0);
    }
}
