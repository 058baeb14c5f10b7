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
        let mut rooms = reader.want();
        assert!(rooms[0].bytes() + rooms[1].bytes() > 0, "a reader that wants bytes has room for them");
        put(&mut rooms, bytes, piece);
        reader.handle_read(Vec::new(), false);
    }
}

/// Moves at most `piece` bytes to the rooms, and says how many.
fn put(rooms: &mut [Room<'_>; 2], bytes: &mut &[u8], piece: usize) -> usize {
    let (now, _) = bytes.split_at(piece.min(bytes.len()));
    let mut moved = 0;
    for room in rooms {
        moved += room.put(&now[moved..]);
    }
    *bytes = &bytes[moved..];
    moved
}

/// Reads pieces into the slice until it is over, or until there were `most`.
fn land(
    reader: &mut Reader,
    mut landing: Landing,
    slice: &mut [u8],
    bytes: &mut &[u8],
    piece: usize,
    most: usize,
) -> Result<Option<usize>, RecvError> {
    for _ in 0..most {
        let Some(mut rooms) = reader.want_landing(&landing, slice) else { break };
        match put(&mut rooms, bytes, piece) {
            0 => {
                reader.handle_end(Ending::Closed);
                break;
            }
            came => reader.handle_landed(&mut landing, slice, came, Vec::new(), false),
        }
    }
    reader.end_landing(landing, slice)
}

/// A reader that has just taken a message of 100 000 bytes, and so expects another.
fn expecting() -> Reader {
    let mut reader = Reader::new(Settings::new().descriptors(2));
    feed(&mut reader, &mut stream(&[vec![0; 100_000]]).as_slice(), usize::MAX);
    reader.take().expect("message");
    reader
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
    fn any_split_of_the_stream_gives_the_same_messages_in_a_slice(
        lengths in prop::collection::vec(
            prop_oneof![0..40_usize, 65_500..66_000_usize, 100_000..100_010_usize, 0..200_000_usize],
            0..10,
        ),
        pieces in prop::collection::vec(prop_oneof![1..10_usize, 1..5000_usize, 1..300_000_usize], 1..20),
        slices in prop::collection::vec(prop_oneof![0..10_usize, 65_000..300_000_usize], 1..5),
        gives_up_one_in in 1..6_usize,
    ) {
        let body = |(seed, length): (usize, usize)| (0..length).map(|at| byte(at * 31 + seed)).collect();
        let bodies: Vec<Vec<u8>> = lengths.into_iter().enumerate().map(body).collect();
        let all = stream(&bodies);
        let (mut bytes, mut pieces, mut turn) = (all.as_slice(), pieces.into_iter().cycle(), 0);
        let mut reader = Reader::new(Settings::new());
        for (body, length) in bodies.iter().zip(slices.into_iter().cycle()) {
            let mut slice = vec![0; length];
            let mut landed = None;
            while landed.is_none() && !reader.is_ready() {
                turn += 1;
                let piece = pieces.next().expect("cycle");
                match reader.begin_landing(&mut slice) {
                    // Now and then somebody gives up in the middle.
                    Some(landing) => {
                        let most = if turn % gives_up_one_in == 0 { turn % 3 } else { usize::MAX };
                        let fallible = land(&mut reader, landing, &mut slice, &mut bytes, piece, most);
                        landed = fallible.expect("no descriptors");
                    }
                    None => {
                        put(&mut reader.want(), &mut bytes, piece);
                        reader.handle_read(Vec::new(), false);
                    }
                }
            }
            match landed {
                Some(length) => prop_assert_eq!(&slice[..length], body),
                None => prop_assert_eq!(&*reader.take().expect("message").bytes, body),
            }
        }
        prop_assert!(bytes.is_empty() && reader.unread_bytes() == 0);
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
    assert!(reader.want()[0].bytes() <= TRUSTED_BYTES);
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
fn an_expected_message_is_read_without_a_copy_and_another_one_is_not_lost() {
    let mut reader = expecting();
    let [header, body] = reader.want();
    assert_eq!((header.bytes(), body.bytes() >= 100_000), (4, true));
    let bytes = stream(&[vec![1; 100_000], vec![2; 3], vec![3; 70_000], vec![]]);
    feed(&mut reader, &mut &bytes[..100_004], usize::MAX);
    let first = reader.take().expect("message").bytes.into_owned();
    assert_eq!(first, vec![1; 100_000]);
    let mut rest = &bytes[100_004..];
    for expected in [vec![2; 3], vec![3; 70_000], vec![]] {
        feed(&mut reader, &mut rest, usize::MAX);
        assert_eq!(*reader.take().expect("message").bytes, expected);
    }
    // After a message that is not large, none is expected.
    assert_eq!(reader.want()[1].bytes(), 0);
}

#[test]
fn a_vector_made_for_a_longer_message_is_not_kept_by_a_shorter_one() {
    let mut reader = Reader::new(Settings::new());
    for length in [1_000_000, 70_000] {
        feed(&mut reader, &mut stream(&[vec![1; length]]).as_slice(), usize::MAX);
        let body = reader.take().expect("message").bytes.into_owned();
        assert!(body.len() == length && body.capacity() <= 2 * length, "{}", body.capacity());
    }
}

#[test]
fn h10_an_end_inside_a_message_in_a_slice_is_its_own_error() {
    for cut in [1, 3, 4, 5, 90_000] {
        let (mut reader, mut slice) = (expecting(), vec![0; 200_000]);
        let landing = reader.begin_landing(&mut slice).expect("one is expected");
        let bytes = stream(&[vec![1; 100_000]]);
        let landed = land(&mut reader, landing, &mut slice, &mut &bytes[..cut], 40_000, usize::MAX);
        assert!(landed.expect("no descriptors").is_none());
        assert!(reader.is_ready());
        assert!(matches!(reader.take(), Err(RecvError::Truncated { received }) if received == cut));
    }
}

#[test]
fn h06_a_bad_header_before_a_slice_is_the_same_error() {
    let long_but_small = [&[0xff; 4][..], &10_u64.to_be_bytes(), &[5; 10]].concat();
    for (bytes, expected) in [
        ((-2_i32).to_be_bytes().to_vec(), Err("-2 bytes")),
        (0x7000_0000_i32.to_be_bytes().to_vec(), Err("more than the limit")),
        (long_but_small, Ok(vec![5; 10])),
    ] {
        let (mut reader, mut slice) = (expecting(), vec![0; 200_000]);
        let landing = reader.begin_landing(&mut slice).expect("one is expected");
        let mut rest = bytes.as_slice();
        let landed = land(&mut reader, landing, &mut slice, &mut rest, usize::MAX, 1);
        assert!(landed.expect("no descriptors").is_none());
        assert!(rest.is_empty() && reader.is_ready(), "it must not wait for more");
        match (reader.take(), expected) {
            (Ok(message), Ok(body)) => assert_eq!(*message.bytes, body),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn h14_descriptors_that_come_with_a_slice_belong_to_their_message() {
    let (reading, _writing) = std::io::pipe().expect("pipe");
    let one = || reading.as_fd().try_clone_to_owned().expect("clone");
    // With the message that was expected, two, or one too many.
    for (count, lost) in [(2, false), (3, true)] {
        let (mut reader, mut slice) = (expecting(), vec![0; 100_000]);
        let mut landing = reader.begin_landing(&mut slice).expect("one is expected");
        let bytes = stream(&[vec![1; 100_000]]);
        let mut rooms = reader.want_landing(&landing, &mut slice).expect("rooms");
        let came = put(&mut rooms, &mut bytes.as_slice(), 50_000);
        reader.handle_landed(&mut landing, &slice, came, (0..count).map(|_| one()).collect(), false);
        let landed = land(&mut reader, landing, &mut slice, &mut &bytes[came..], 50_000, usize::MAX);
        assert_eq!(matches!(landed, Err(RecvError::DescriptorsLost { limit: 2 })), lost);
        assert!(!reader.has_descriptors());
    }
    // With the beginning of a second one, after one that was not expected.
    let (mut reader, mut slice) = (expecting(), vec![0; 100_000]);
    let mut landing = reader.begin_landing(&mut slice).expect("one is expected");
    let bytes = stream(&[vec![1; 3], vec![2; 5]]);
    let mut rooms = reader.want_landing(&landing, &mut slice).expect("rooms");
    let came = put(&mut rooms, &mut bytes.as_slice(), 10);
    reader.handle_landed(&mut landing, &slice, came, vec![one()], false);
    assert!(reader.end_landing(landing, &slice).expect("given back").is_none());
    assert_eq!(reader.take().expect("the first message").descriptors.len(), 0);
    feed(&mut reader, &mut &bytes[came..], usize::MAX);
    assert_eq!(reader.take().expect("the second one").descriptors.len(), 1);
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
    put(&mut reader.want(), &mut &bytes[..12], 12);
    reader.handle_read(vec![one(), one(), one()], false);
    assert!(reader.has_descriptors());
    for expected in [vec![1], vec![2, 2]] {
        let message = reader.take().expect("message");
        assert_eq!((message.bytes.as_ref(), message.descriptors.len()), (expected.as_slice(), 0));
    }
    assert!(!reader.is_ready());
    put(&mut reader.want(), &mut &bytes[12..], 100);
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
