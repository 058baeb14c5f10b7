use std::os::fd::AsFd;

use proptest::prelude::*;

use super::*;
use crate::pipe::frame;

fn stream(bodies: &[Vec<u8>]) -> Vec<u8> {
    bodies.iter().flat_map(|body| [frame::encode(body.len()).as_bytes(), body].concat()).collect()
}

/// Gives the reader as much of `bytes` as it wants, at most `piece` at once, until it is ready or has seen
/// all.
fn feed(reader: &mut Reader, bytes: &mut &[u8], piece: usize) {
    while !reader.is_ready() && !bytes.is_empty() {
        let want = reader.want();
        let room = want.into.capacity() - want.into.len();
        assert!(room > 0, "a reader that wants bytes has room for them");
        let (now, later) = bytes.split_at(piece.min(want.max_bytes).min(room).min(bytes.len()));
        want.into.extend_from_slice(now);
        *bytes = later;
        reader.handle_read(Vec::new(), false);
    }
}

fn read_all(
    settings: Settings,
    mut bytes: &[u8],
    mut piece: impl FnMut() -> usize,
) -> Vec<Result<Vec<u8>, String>> {
    let mut reader = Reader::new(settings);
    let mut messages = Vec::new();
    loop {
        feed(&mut reader, &mut bytes, piece().max(1));
        if !reader.is_ready() {
            reader.handle_end(Ending::Closed);
        }
        match reader.take() {
            Ok(message) => messages.push(Ok(message.bytes.into_owned())),
            Err(error) => {
                messages.push(Err(error.to_string()));
                return messages;
            }
        }
    }
}

fn byte(number: usize) -> u8 {
    u8::try_from(number % 256).expect("a byte")
}

fn closed() -> Result<Vec<u8>, String> {
    Err(RecvError::Closed.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_of_the_stream_gives_the_same_messages(
        lengths in prop::collection::vec(
            prop_oneof![0..40_usize, 4000..4200_usize, 65_500..66_000_usize, 0..300_000_usize],
            0..8,
        ),
        pieces in prop::collection::vec(prop_oneof![1..10_usize, 1..5000_usize, 1..100_000_usize], 1..20),
    ) {
        let body = |(seed, length): (usize, usize)| (0..length).map(|at| byte(at * 31 + seed)).collect();
        let bodies: Vec<Vec<u8>> = lengths.into_iter().enumerate().map(body).collect();
        let mut pieces = pieces.into_iter().cycle();
        let messages = read_all(Settings::new(), &stream(&bodies), || pieces.next().expect("cycle"));
        let expected: Vec<_> = bodies.into_iter().map(Ok).chain([closed()]).collect();
        prop_assert_eq!(messages, expected);
    }

    #[test]
    fn x1_any_bytes_end_in_an_error_and_never_in_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..4000),
        piece in 1..500_usize,
    ) {
        let messages = read_all(Settings::new().message_bytes(1000), &bytes, || piece);
        prop_assert!(messages.last().is_some_and(Result::is_err));
    }

    #[test]
    fn what_is_unread_can_be_continued_by_another_reader(
        lengths in prop::collection::vec(prop_oneof![0..40_usize, 0..200_000_usize], 1..6),
        cut in any::<prop::sample::Index>(),
        taken in 0..3_usize,
    ) {
        let bodies: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
        let all = stream(&bodies);
        let (now, later) = all.split_at(cut.index(all.len() + 1));
        let mut first = Reader::new(Settings::new());
        let mut messages = Vec::new();
        let mut rest = now;
        loop {
            feed(&mut first, &mut rest, 50_000);
            if !first.is_ready() || messages.len() == taken {
                break;
            }
            messages.push(Ok(first.take().expect("message").bytes.into_owned()));
        }
        let mut unread = first.unread();
        unread.extend_from_slice(rest);
        let mut second = Reader::resume(Settings::new(), unread);
        let mut rest = later;
        loop {
            feed(&mut second, &mut rest, 50_000);
            if !second.is_ready() {
                break;
            }
            messages.push(Ok(second.take().expect("message").bytes.into_owned()));
        }
        prop_assert_eq!(messages, bodies.into_iter().map(Ok::<_, String>).collect::<Vec<_>>());
    }
}

#[test]
fn h06_a_length_over_the_limit_allocates_nothing_and_stays_an_error() {
    let mut reader = Reader::new(Settings::new().message_bytes(10));
    let bytes = [frame::encode(10).as_bytes(), &[1; 10], frame::encode(1 << 40).as_bytes()].concat();
    feed(&mut reader, &mut bytes.as_slice(), 5);
    assert_eq!(reader.take().expect("ten bytes are permitted").bytes.len(), 10);
    let mut rest = &bytes[15..];
    feed(&mut reader, &mut rest, 100);
    for _ in 0..2 {
        assert!(matches!(reader.take(), Err(RecvError::TooLarge { length, limit: 10 }) if length == 1 << 40));
    }
    assert!(reader.large.is_none());
}

#[test]
fn h06_a_lie_within_the_limit_costs_what_is_trusted() {
    let mut reader = Reader::new(Settings::new().message_bytes(1 << 30));
    let bytes = [frame::encode(1 << 30).as_bytes(), &[1; 100]].concat();
    feed(&mut reader, &mut bytes.as_slice(), 104);
    assert!(!reader.is_ready());
    assert!(reader.want().into.capacity() <= TRUSTED_BYTES);
}

#[test]
fn h10_an_end_inside_a_message_is_its_own_error() {
    for cut in 1..9 {
        let bytes = stream(&[vec![1; 5]]);
        let messages = read_all(Settings::new(), &bytes[..cut], || 3);
        match cut {
            9 => assert_eq!(messages.len(), 2),
            _ => assert_eq!(messages, [Err(RecvError::Truncated { received: cut }.to_string())]),
        }
    }
    let long = stream(&[vec![1; 100_000]]);
    let messages = read_all(Settings::new(), &long[..99_999], || 70_000);
    assert_eq!(messages, [Err(RecvError::Truncated { received: 99_999 }.to_string())]);
}

#[test]
fn h09_messages_come_before_the_reset() {
    let mut reader = Reader::new(Settings::new());
    feed(&mut reader, &mut stream(&[vec![1]]).as_slice(), 100);
    reader.handle_end(Ending::Reset);
    assert_eq!(reader.take().expect("message").bytes, vec![1]);
    for _ in 0..2 {
        assert!(matches!(reader.take(), Err(RecvError::PeerGone)));
    }
}

#[test]
fn h14_descriptors_belong_to_the_message_of_the_last_byte() {
    let (reading, _writing) = std::io::pipe().expect("pipe");
    let one = || reading.as_fd().try_clone_to_owned().expect("clone");
    let mut reader = Reader::new(Settings::new().descriptors(2));
    // Two whole messages and the first byte of the third, with which three descriptors come: one too many.
    let bytes = stream(&[vec![1], vec![2, 2], vec![3], vec![4]]);
    let want = reader.want();
    want.into.extend_from_slice(&bytes[..12]);
    reader.handle_read(vec![one(), one(), one()], false);
    assert!(reader.has_descriptors());
    for expected in [vec![1], vec![2, 2]] {
        let message = reader.take().expect("message");
        assert_eq!((message.bytes.as_ref(), message.descriptors.len()), (expected.as_slice(), 0));
    }
    assert!(!reader.is_ready());
    reader.want().into.extend_from_slice(&bytes[12..]);
    reader.handle_read(vec![one()], false);
    assert!(matches!(reader.take(), Err(RecvError::DescriptorsLost { limit: 2 })));
    let last = reader.take().expect("the pipe goes on");
    assert_eq!((last.bytes.as_ref(), last.descriptors.len()), ([4].as_slice(), 1));
}

#[test]
#[should_panic(expected = "before one was there")]
fn taking_too_early_is_our_own_fault() {
    let _ = Reader::new(Settings::new()).take();
}
