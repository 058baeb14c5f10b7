//! Both ends of a stream, and whatever a hostile one sends.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use proptest::prelude::*;

use super::*;
use crate::protocol::wire::Cause;

const STREAM: StreamId = StreamId { number: 7, key: 1 << 100, hand: 0 };
const LIMITS: (usize, usize) = (1 << 20, 253);

fn too_large(limit: usize) -> Failure {
    Failure::failed(Cause::TooLarge { limit: u32::try_from(limit).expect("small") })
}

/// A producer of the items that it has, without a stream of a user.
struct Producer {
    items: VecDeque<Vec<u8>>,
    left: Option<Leftover>,
    polled: usize,
    end: End,
    limits: (usize, usize),
}

impl Producer {
    fn new(items: impl IntoIterator<Item = Vec<u8>>, end: End) -> Producer {
        Producer { items: items.into_iter().collect(), left: None, polled: 0, end, limits: LIMITS }
    }

    fn batch(&mut self, pull: &Pull) -> Batch {
        let mut filling = Filling::new(pull, self.limits);
        if let Some(left) = self.left.take() {
            filling.put_back(left);
        }
        while filling.has_room() {
            let Some(item) = self.items.pop_front() else {
                // Given back, it is the next one's.
                let _ = filling.end(self.end.clone());
                break;
            };
            self.polled += 1;
            match filling.put(&item) {
                Ok(Put::Taken) => {}
                Ok(Put::Left(left)) => {
                    self.left = Some(left);
                    break;
                }
                Err(_) => {
                    self.items.clear();
                    self.end = End::Failed(too_large(self.limits.0));
                }
            }
        }
        filling.into_batch()
    }
}

/// Through the codec, as between processes.
fn sent(batch: Batch) -> Batch {
    let mut bytes = Vec::new();
    let descriptors = crate::codec::encode_with_descriptors(&batch, &mut bytes, 1 << 24, 253).expect("bytes");
    crate::codec::Encoded { bytes: bytes.into(), descriptors }.decode().expect("a batch")
}

proptest! {
    /// T-1, T-2, T-3, whatever the credit, the sizes of the items, and the turns of both sides.
    #[test]
    fn every_item_comes_once_in_order_and_never_more_than_the_credit_is_ahead(
        sizes in proptest::collection::vec(0_usize..200, 0..60),
        items in 0_u32..12,
        bytes in 0_u32..600,
        turns in proptest::collection::vec(any::<bool>(), 1..40),
        fails in any::<bool>(),
    ) {
        let credit = Credit { items, bytes }.bounded();
        let end = if fails { End::Failed(Failure::failed(Cause::ActorStopped)) } else { End::Done };
        let all: Vec<Vec<u8>> = sizes.iter().enumerate()
            .map(|(at, size)| vec![u8::try_from(at).expect("few"); *size]).collect();
        let mut producer = Producer::new(all.clone(), end.clone());
        let mut intake = Intake::new(STREAM, credit);
        let (mut pulls, mut batches, mut taken) = (VecDeque::new(), VecDeque::new(), Vec::new());
        let mut turns = turns.iter().cycle();
        let ended = loop {
            while let Some(pull) = intake.poll_pull() {
                prop_assert_eq!(pull.stream, STREAM);
                pulls.push_back(pull);
            }
            // The producer answers now, or later.
            if *turns.next().expect("cycle") || batches.is_empty() {
                let pull = pulls.pop_front().expect("without an end something is pulled");
                let batch = producer.batch(&pull);
                let ahead = producer.polled - taken.len();
                prop_assert!(ahead <= credit.items as usize + 1, "{} are ahead of {:?}", ahead, credit);
                batches.push_back((pull, sent(batch)));
            }
            let (pull, batch) = batches.pop_front().expect("it answered");
            let length = batch.items.len();
            let (items, end) = intake.handle_batch::<Vec<u8>>(batch).expect("what was asked for");
            prop_assert!(items.len() <= pull.items as usize);
            prop_assert!(items.len() <= 1 || length - 8 <= pull.bytes as usize);
            taken.extend(items);
            intake.handle_consumed();
            if let Some(end) = end {
                break end;
            }
        };
        prop_assert_eq!((taken, ended), (all, end));
        prop_assert_eq!(intake.poll_pull(), None);
    }

    /// T-2: whatever is asked for, and however small messages are, a batch with its end is one message.
    #[test]
    fn a_batch_is_never_larger_than_a_message(
        sizes in proptest::collection::vec(0_usize..80, 0..40),
        limit in 0_usize..200,
        bytes in any::<u32>(),
        which in 0..3,
    ) {
        let end = match which {
            0 => End::Done,
            1 => End::Error(vec![1; limit].into()),
            _ => End::Failed(Failure::failed(Cause::NoStream)),
        };
        let pull = Pull { stream: STREAM, items: 100, bytes };
        let all: Vec<Vec<u8>> = sizes.iter().map(|size| vec![7; *size]).collect();
        let mut producer = Producer::new(all.clone(), end.clone());
        producer.limits.0 = limit;
        let mut taken = Vec::new();
        let ended = loop {
            let mut intake = Intake::new(STREAM, Credit { items: 200, bytes: 1000 });
            intake.poll_pull().expect("nothing was pulled");
            let batch = producer.batch(&pull);
            let encoded = crate::codec::encode(&batch, 1 << 20).expect("bytes");
            prop_assert!(encoded.len() <= limit + AROUND_BYTES, "{} of {limit}", encoded.len());
            let (items, end) = intake.handle_batch::<Vec<u8>>(batch).expect("a batch");
            taken.extend(items);
            if let Some(end) = end {
                break end;
            }
        };
        // Up to the first that is too large by itself.
        let most = all.iter().position(|item| item.len() + 8 > limit);
        let end = match most {
            Some(_) => End::Failed(too_large(limit)),
            None => end,
        };
        prop_assert_eq!(ended, end);
        prop_assert_eq!(&taken[..], &all[..most.unwrap_or(all.len())]);
    }

    #[test]
    fn any_bytes_are_a_batch_or_a_lie_and_cost_no_more_than_was_asked_for(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        count in any::<u64>(),
    ) {
        for claimed in [count, count % 4, u64::MAX] {
            let mut items = claimed.to_le_bytes().to_vec();
            items.extend_from_slice(&bytes);
            for items in [items, bytes.clone()] {
                let batch = Batch { items: items.into(), ..Batch::default() };
                let mut intake = Intake::new(STREAM, Credit { items: 4, bytes: 100 });
                intake.poll_pull().expect("nothing was pulled");
                if let Ok((items, None)) = intake.handle_batch::<String>(batch) {
                    prop_assert!(!items.is_empty() && items.len() <= 2);
                } else {
                    prop_assert_eq!(intake.poll_pull(), None);
                }
            }
        }
    }
}

#[test]
fn x1_items_without_bytes_are_counted_before_they_are_believed() {
    let mut intake = Intake::new(STREAM, Credit { items: 10, bytes: 100 });
    intake.poll_pull().expect("nothing was pulled");
    let batch = Batch { items: u64::MAX.to_le_bytes().to_vec().into(), ..Batch::default() };
    let lie = intake.handle_batch::<()>(batch).expect_err("it lies");
    assert_eq!(lie, Lie::Items { items: u64::MAX, asked: 5 });
}

#[test]
fn x1_nothing_is_taken_that_was_not_asked_for_or_says_nothing() {
    let full = || Producer::new([vec![1]], End::Done).batch(&Pull { stream: STREAM, items: 1, bytes: 9 });
    let mut intake = Intake::new(STREAM, Credit::default());
    assert_eq!(intake.handle_batch::<Vec<u8>>(full()).expect_err("a lie"), Lie::Unasked);
    let mut intake = Intake::new(STREAM, Credit::default());
    intake.poll_pull().expect("nothing was pulled");
    assert_eq!(intake.handle_batch::<Vec<u8>>(Batch::default()).expect_err("a lie"), Lie::Nothing);
    assert_eq!(intake.handle_batch::<Vec<u8>>(full()).expect_err("it is over"), Lie::Unasked);
}

#[test]
fn x1_a_pull_of_everything_is_bounded() {
    let pull = Pull { stream: STREAM, items: u32::MAX, bytes: u32::MAX };
    let mut filling = Filling::new(&pull, LIMITS);
    let mut items = 0_u32;
    while filling.has_room() {
        filling.put(&()).expect("nothing to encode");
        items += 1;
    }
    assert_eq!(items, MOST_ITEMS);
}

#[test]
fn an_item_with_descriptors_comes_alone_with_them() {
    let pull = Pull { stream: STREAM, items: 10, bytes: 1000 };
    let line = || std::io::pipe().expect("a pipe").0;
    let mut filling = Filling::new(&pull, LIMITS);
    let item = |number: u8| (number, Some(Descriptor(line().into())));
    assert!(matches!(filling.put(&(1_u8, None::<Descriptor>)), Ok(Put::Taken)));
    let Ok(Put::Left(left)) = filling.put(&item(2)) else { panic!("it shares a batch") };
    assert_eq!(filling.into_batch().descriptors.len(), 0);
    let mut filling = Filling::new(&pull, LIMITS);
    filling.put_back(left);
    assert!(!filling.has_room());
    let mut intake = Intake::new(STREAM, Credit::default());
    intake.poll_pull().expect("nothing was pulled");
    let taken = intake.handle_batch::<(u8, Option<Descriptor>)>(sent(filling.into_batch()));
    let (items, _) = taken.expect("one item");
    assert!(matches!(&items[..], [(2, Some(descriptor))] if descriptor.as_fd().try_clone_to_owned().is_ok()));
}

#[test]
fn an_item_over_the_limit_is_an_error_and_leaves_the_batch_as_it_was() {
    let mut filling = Filling::new(&Pull { stream: STREAM, items: 10, bytes: 1000 }, (16, 0));
    filling.put(&1_u8).expect("small");
    filling.put(&[0_u8; 17]).expect_err("large");
    let mut intake = Intake::new(STREAM, Credit::default());
    intake.poll_pull().expect("nothing was pulled");
    let (items, end) = intake.handle_batch::<u8>(filling.into_batch()).expect("one item");
    assert_eq!((items, end), (vec![1], None));
}

#[test]
fn after_a_lost_pull_nothing_is_pulled() {
    let mut intake = Intake::new(STREAM, Credit { items: 1, bytes: 1 });
    assert!(!intake.has_begun());
    assert_eq!(intake.poll_pull(), Some(Pull { stream: STREAM, items: 1, bytes: 1 }));
    assert_eq!(intake.poll_pull(), None);
    intake.handle_lost();
    assert!(intake.poll_pull().is_none() && intake.has_begun());
}
