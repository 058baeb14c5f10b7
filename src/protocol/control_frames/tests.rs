use proptest::prelude::*;

use super::*;
use crate::id::ProcessId;
use crate::protocol::control::ToRoot;

type TestDecoder = Decoder<ToRoot, u32>;

fn introduce(process: u32) -> ToRoot {
    ToRoot::Introduce {
        target: crate::id::Capability::unsealed(crate::id::ActorId::declared(
            ProcessId(process),
            crate::id::Slot(0),
        )),
        broken: None,
    }
}

fn stream(frames: &[(ToRoot, u8)]) -> Vec<u8> {
    let mut bytes = Preamble::ours().to_vec();
    for (frame, descriptors) in frames {
        encode_into(frame, *descriptors, &mut bytes).expect("small");
    }
    bytes
}

fn drain(decoder: &mut TestDecoder) -> Result<Vec<(ToRoot, Vec<u32>)>, ControlError> {
    std::iter::from_fn(|| decoder.poll_message().transpose()).collect()
}

/// Everything up to the first error, or to the end.
fn decode_all(bytes: &[u8], descriptors: &[u32]) -> Result<Vec<(ToRoot, Vec<u32>)>, ControlError> {
    let mut decoder = TestDecoder::new();
    decoder.handle_bytes(bytes, descriptors.iter().copied(), false);
    let messages = drain(&mut decoder)?;
    decoder.handle_end()?;
    Ok(messages)
}

#[test]
fn h14_descriptors_go_to_the_frames_that_announce_them() {
    let bytes = stream(&[(introduce(1), 0), (introduce(2), 2), (introduce(3), 1)]);
    let messages = decode_all(&bytes, &[7, 8, 9]).expect("all announced");
    assert_eq!(messages, [(introduce(1), vec![]), (introduce(2), vec![7, 8]), (introduce(3), vec![9])]);
    let missing = ControlError::MissingDescriptors { announced: 1, arrived: 0 };
    assert_eq!(decode_all(&bytes, &[7, 8]), Err(missing));
    assert_eq!(decode_all(&bytes, &[1, 2, 3, 4]), Err(ControlError::UnclaimedDescriptors { count: 1 }));
}

#[test]
fn h14_descriptors_lost_on_the_way_are_an_error() {
    let mut decoder = TestDecoder::new();
    decoder.handle_bytes(&stream(&[(introduce(1), 1)]), [5], true);
    assert_eq!(decoder.poll_message(), Err(ControlError::LostDescriptors));
    assert_eq!(decoder.poll_message(), Err(ControlError::LostDescriptors), "an error stays");
}

#[test]
fn h06_a_frame_over_the_limit_is_refused_at_its_header() {
    let mut bytes = Preamble::ours().to_vec();
    bytes.extend_from_slice(&(MAX_CONTROL_FRAME_BYTES + 1).to_le_bytes());
    bytes.push(0);
    assert!(matches!(decode_all(&bytes, &[]), Err(ControlError::TooLong { .. })));
}

#[test]
fn h10_an_end_within_a_frame_is_an_error_of_its_own() {
    let bytes = stream(&[(introduce(1), 0)]);
    for end in 1..bytes.len() {
        let torn = decode_all(&bytes[..end], &[]);
        match end == Preamble::LEN {
            true => assert_eq!(torn, Ok(vec![])),
            false => assert!(matches!(torn, Err(ControlError::Torn { .. })), "{end}: {torn:?}"),
        }
    }
    assert_eq!(decode_all(&[], &[]), Ok(vec![]));
}

#[test]
fn garbage_is_refused_at_its_first_wrong_byte() {
    assert_eq!(decode_all(b"GET", &[]), Err(PreambleError::Magic.into()));
    let mut other = Preamble::ours();
    other[8] = 9;
    assert_eq!(decode_all(&other, &[]), Err(PreambleError::Version { theirs: 9 }.into()));
}

#[test]
fn a_message_that_can_not_be_encoded_leaves_no_bytes() {
    let huge = ToRoot::Panic(crate::protocol::control::PanicReport {
        message: "x".repeat(MAX_CONTROL_FRAME_BYTES as usize),
        place: String::new(),
        thread: String::new(),
        handling: None,
        backtrace: None,
    });
    let mut out = vec![1, 2];
    assert!(encode_into(&huge, 0, &mut out).is_err());
    assert_eq!(out, [1, 2]);
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_messages(
        frames in proptest::collection::vec((any::<u32>(), 0_u8..4), 0..20),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        let sent: Vec<_> = frames.iter().map(|(process, count)| (introduce(*process), *count)).collect();
        let mut ends: Vec<usize> = Vec::new();
        let mut decoder = TestDecoder::new();
        let bytes = stream(&sent);
        ends.extend(cuts.iter().map(|cut| cut.index(bytes.len() + 1)));
        ends.push(bytes.len());
        ends.sort_unstable();
        // A descriptor arrives with the chunk that holds the first byte of its frame, as the kernel does it.
        let mut starts = Vec::new();
        for index in 0..sent.len() {
            starts.push((stream(&sent[..index]).len(), sent[index].1));
        }
        let (mut from, mut got, mut number) = (0, Vec::new(), 0_u32);
        for to in ends {
            let along: u32 =
                starts.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, n)| u32::from(*n)).sum();
            decoder.handle_bytes(&bytes[from..to], number..number + along, false);
            number += along;
            from = to;
            got.extend(drain(&mut decoder).expect("a good stream"));
        }
        decoder.handle_end().expect("whole frames");
        let mut next = 0..;
        let expected: Vec<_> = sent
            .into_iter()
            .map(|(frame, count)| (frame, next.by_ref().take(usize::from(count)).collect::<Vec<u32>>()))
            .collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn x1_flipped_and_missing_bytes_never_panic(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = stream(&[(introduce(1), 1), (ToRoot::Finish { code: 3 }, 0), (introduce(2), 1)]);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(keep.index(bytes.len() + 1));
        // Any result is good, as long as there is one.
        let _ = decode_all(&bytes, &[1, 2]);
    }
}
