//! Frames one right behind the other that differ in nothing but their bodies: cut, judged and copied as one.

use super::{Frames, Header, Kind};

/// A run of casts: at least one, whole, and nothing is to be known of any but its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// Of the first; those of the others have other lengths.
    pub header: Header,
    /// How many.
    pub count: usize,
    /// All of them.
    pub frames: &'a [u8],
}

impl<'a> Run<'a> {
    /// How many bytes their bodies have together.
    #[inline]
    pub fn body_bytes(&self) -> usize {
        self.frames.len() - self.count * Header::LEN
    }

    /// Their bodies, in order.
    pub fn bodies(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.frames;
        std::iter::from_fn(move || {
            let (body, behind) = first_body(rest)?;
            rest = behind;
            Some(body)
        })
    }

    /// The first so many of them; none of none.
    pub fn first(&self, count: usize) -> Option<Run<'a>> {
        let bytes: usize = self.bodies().take(count).map(|body| Header::LEN + body.len()).sum();
        let frames = &self.frames[..bytes];
        (count > 0).then_some(Run { count: count.min(self.count), frames, ..*self })
    }
}

/// The body of the first frame of a run, and the frames behind it.
#[inline]
pub fn first_body(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = frames.split_first_chunk::<{ Header::LEN }>()?;
    rest.split_at_checked(length_of(header))
}

#[inline]
fn length_of(header: &[u8; Header::LEN]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize
}

impl<'a> Frames<'a> {
    /// The casts that come next, at most `most`, if they are without flags and descriptors and no body of them has more than
    /// `longest` bytes. Whatever else comes next is for [`next`](Iterator::next) to judge.
    #[inline]
    pub fn run(&mut self, most: usize, longest: usize) -> Option<Run<'a>> {
        let held = &self.held[*self.start..];
        let first = held.first_chunk::<{ Header::LEN }>()?;
        let header = Header::from_bytes(first).ok()?;
        let plain = Header { message: header.message, channel: header.channel, ..Header::new(Kind::Cast) };
        if header != (Header { length: header.length, ..plain }) {
            return None;
        }
        let (mut count, mut rest) = (0, held);
        while count < most
            && let Some((next, behind)) = rest.split_first_chunk::<{ Header::LEN }>()
            && next[4..] == first[4..]
            && length_of(next) <= longest
            && let Some(behind) = behind.get(length_of(next)..)
        {
            (count, rest) = (count + 1, behind);
        }
        let frames = &held[..held.len() - rest.len()];
        *self.start += frames.len();
        (count > 0).then_some(Run { header, count, frames })
    }
}

#[cfg(test)]
mod tests {
    use super::super::FrameReader;
    use super::*;
    use proptest::prelude::*;

    fn held(frames: &[(Header, Vec<u8>)]) -> FrameReader {
        let mut reader = FrameReader::default();
        for (header, body) in frames {
            let length = u32::try_from(body.len()).expect("short");
            let bytes = [&Header { length, ..*header }.to_bytes()[..], body].concat();
            reader.room()[..bytes.len()].copy_from_slice(&bytes);
            reader.advance(bytes.len());
        }
        reader
    }

    fn cast(channel: u32) -> Header {
        Header { channel, message: 9, ..Header::new(Kind::Cast) }
    }

    #[test]
    fn only_what_is_plain_and_goes_the_same_way_is_in_a_run() {
        let others = [
            cast(8),
            Header { message: 10, ..cast(7) },
            Header { flags: 1, ..cast(7) },
            Header { descriptors: 1, ..cast(7) },
            Header { extra: 1, ..cast(7) },
            Header { correlation: 1, ..cast(7) },
            Header { kind: Kind::Call, ..cast(7) },
        ];
        for other in others {
            let body = |bytes: &[u8]| bytes.to_vec();
            let mut reader = held(&[
                (cast(7), body(b"a")),
                (cast(7), body(b"bcd")),
                (other, body(b"e")),
                (cast(7), body(b"f")),
            ]);
            let mut frames = reader.frames();
            let run = frames.run(64, 16).expect("two");
            assert_eq!((run.count, run.body_bytes()), (2, 4), "{other:?}");
            assert_eq!(run.bodies().collect::<Vec<_>>(), [&b"a"[..], b"bcd"]);
            assert_eq!(run.first(1).map(|first| (first.count, first.body_bytes())), Some((1, 1)));
            assert_eq!(run.first(0), None);
            if other != cast(8) && other.message == 9 {
                assert_eq!(frames.run(64, 16), None, "it is for others to judge");
            }
            let next = frames.next().expect("whole").expect("a frame");
            assert_eq!((next.header, next.body), (Header { length: 1, ..other }, &b"e"[..]));
            assert_eq!(frames.run(64, 0), None, "too long");
            assert_eq!(frames.run(64, 1).map(|run| run.count), Some(1));
            assert_eq!(frames.run(64, 1), None, "no more");
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_at_the_last_whole_frame_and_at_the_most_that_is_wanted(
            lengths in proptest::collection::vec(0_usize..40, 1..60),
            cut in 0_usize..3000,
            most in 1_usize..70,
        ) {
            let frames: Vec<_> = lengths.iter().map(|length| (cast(3), vec![7; *length])).collect();
            let whole: Vec<u8> = {
                let mut reader = held(&frames);
                reader.frames().held.to_vec()
            };
            let mut reader = FrameReader::default();
            let cut = cut.min(whole.len());
            reader.room()[..cut].copy_from_slice(&whole[..cut]);
            reader.advance(cut);
            let (mut fit, mut end) = (0, 0);
            while fit < lengths.len() && end + Header::LEN + lengths[fit] <= cut {
                end += Header::LEN + lengths[fit];
                fit += 1;
            }
            let mut frames = reader.frames();
            let mut seen = Vec::new();
            while let Some(run) = frames.run(most, 40) {
                prop_assert!(run.count <= most && run.bodies().count() == run.count);
                seen.extend(run.bodies().map(<[u8]>::len));
            }
            prop_assert_eq!(&seen[..], &lengths[..fit]);
            prop_assert_eq!(reader.is_mid_frame(), end < cut);
        }
    }
}
