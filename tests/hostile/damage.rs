//! A conversation with one thing wrong in it: a bit, a byte that is missing, a frame that comes twice, late or never.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use procession::protocol::frame::{Header, Kind};
use procession::protocol::wire::Verdict;

use crate::connection::{Ended, LOSS, Victim};
use crate::memory::within;
use crate::recorded::{Recorded, conversation, frames, places, replay};
use crate::trial;

/// Both windows of the three channels, the large body in each direction, and the buffers around them.
const MOST_BYTES: usize = 2 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("x1_the_recorded_conversation_is_sound", sound),
        trial("x1_h07_no_flipped_bit_does_more_than_harm_its_own_frame", flips),
        trial("x1_h10_a_conversation_may_end_at_any_byte", cuts),
        trial("x1_h10_every_frame_may_come_shorter_than_it_was", shortened),
        trial("x1_frames_that_are_missing_repeated_or_reordered_are_survived", reorders),
    ]
}

fn sound() {
    let recorded = conversation();
    let (victim, is_honest) = replay(recorded.now, &recorded.stream);
    assert!(is_honest);
    assert_eq!(victim.outcomes, recorded.outcomes);
    let replied = victim.outcomes.values().filter(|ended| matches!(ended, Ended::Replied(_))).count();
    assert!(replied >= 4, "{:?}", victim.outcomes.keys());
    assert!(recorded.delivered.iter().any(|bytes| *bytes > 40_000), "a large message came");
}

fn flips() {
    let recorded = conversation();
    let (mut refused, mut cases) = (0, 0);
    for place in places(&recorded.stream) {
        for bit in 0..8 {
            let mut stream = recorded.stream.clone();
            stream[place] ^= 1 << bit;
            let (victim, is_honest) = within(MOST_BYTES, (place, bit), || replay(recorded.now, &stream));
            judge(&recorded, &victim, (place, bit));
            (refused, cases) = (refused + usize::from(!is_honest), cases + 1);
        }
    }
    println!("{cases} flipped bits, of which {refused} were violations");
    assert!(refused > cases / 10 && cases > 5000);
}

/// Whatever one frame says, no other message may come to harm: it ends as it did, or with the pipe, or as not executed
/// before it left. The frame's own message, and one for which it claims to be, may end otherwise.
fn judge(recorded: &Recorded, victim: &Victim, what: (usize, u32)) {
    let left = on_the_wire(&victim.written);
    let harmed: Vec<_> = victim
        .outcomes
        .iter()
        .filter(|(tag, ended)| {
            let is_told = match ended {
                Ended::Failed(failure) => {
                    failure.cause == LOSS || failure.verdict == Verdict::NotExecuted && !left.contains(tag)
                }
                _ => false,
            };
            recorded.outcomes.get(tag) != Some(ended) && !is_told
        })
        .collect();
    assert!(harmed.len() <= 2, "{what:?} harmed {harmed:?}");
}

/// The messages in what somebody wrote.
fn on_the_wire(written: &[u8]) -> BTreeSet<u32> {
    let headers = frames(written).into_iter().filter_map(|(begin, _)| written[begin..].first_chunk());
    let headers = headers.filter_map(|bytes| Header::from_bytes(bytes).ok());
    headers
        .filter(|header| matches!(header.kind, Kind::Call | Kind::Cast))
        .map(|header| header.message)
        .collect()
}

fn cuts() {
    let recorded = conversation();
    for place in places(&recorded.stream) {
        let stream = &recorded.stream[..place];
        let (victim, is_honest) = within(MOST_BYTES, place, || replay(recorded.now, stream));
        assert!(is_honest, "what came until byte {place} was right");
        for (tag, ended) in &victim.outcomes {
            let by_loss = matches!(ended, Ended::Failed(failure) if failure.cause == LOSS);
            assert!(by_loss || recorded.outcomes.get(tag) == Some(ended), "message {tag} at {place}");
        }
    }
}

/// How much of a body is left: every length of small ones, of large ones the ends and one now and then.
fn remainders(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |left| *left < 48 || length - left <= 16 || left % 3989 == 0)
}

fn shortened() {
    let recorded = conversation();
    let (mut refused, mut cases) = (0, 0);
    for (begin, end) in frames(&recorded.stream) {
        let (before, after) = (&recorded.stream[..begin], &recorded.stream[end..]);
        let header = Header::from_bytes(recorded.stream[begin..].first_chunk().unwrap()).unwrap();
        let body = &recorded.stream[begin + Header::LEN..end];
        for left in remainders(body.len()) {
            // With a header that owns up to it the next frame is read as it is; else its bytes are taken for the rest.
            let honest = Header { length: left.try_into().unwrap(), ..header };
            for header in [honest, header] {
                let stream = [before, &header.to_bytes(), &body[..left], after].concat();
                let what = (begin, left.try_into().unwrap());
                let (victim, is_honest) = within(MOST_BYTES, what, || replay(recorded.now, &stream));
                judge(&recorded, &victim, what);
                (refused, cases) = (refused + usize::from(!is_honest), cases + 1);
            }
        }
    }
    println!("{cases} frames cut short, of which {refused} were violations");
    assert!(refused > cases / 10 && cases > 1000, "{refused} of {cases}");
}

fn reorders() {
    let recorded = conversation();
    let stream = &recorded.stream;
    let all = frames(stream);
    let piece = |index: usize| &stream[all[index].0..all[index].1];
    let preamble = &stream[..all[0].0];
    for index in 0..all.len() {
        let (before, after) = (&stream[all[0].0..all[index].0], &stream[all[index].1..]);
        let missing = [preamble, before, after].concat();
        let twice = [preamble, before, piece(index), piece(index), after].concat();
        let at_the_end = [preamble, before, after, piece(index)].concat();
        let first = [preamble, piece(index), before, after].concat();
        for changed in [missing, twice, at_the_end, first] {
            within(MOST_BYTES, index, || replay(recorded.now, &changed));
        }
        for other in index + 1..all.len() {
            let between = &stream[all[index].1..all[other].0];
            let rest = &stream[all[other].1..];
            let swapped = [preamble, before, piece(other), between, piece(index), rest].concat();
            if swapped.len() < 200_000 && (other - index < 4 || other % 7 == 0) {
                within(MOST_BYTES, (index, other), || replay(recorded.now, &swapped));
            }
        }
    }
}
