use std::os::fd::AsFd;

use proptest::prelude::*;

use super::*;

type Pair = ((Producer, Consumer), (Producer, Consumer));

fn pair(capacity: usize) -> Pair {
    let memory = create(capacity).expect("memory");
    let end = |side| open(memory.as_fd(), side).expect("an end");
    (end(Side::First), end(Side::Second))
}

fn write(producer: &mut Producer, bytes: &[u8]) -> usize {
    producer.write(bytes, |_| ()).expect("an honest peer")
}

fn read(consumer: &mut Consumer, room: usize) -> Vec<u8> {
    let mut into = vec![0; room];
    let until = consumer.refresh().expect("an honest peer");
    let length = consumer.read(&mut into, until, |_| ());
    into.truncate(length);
    into
}

#[test]
fn both_directions_at_once_and_neither_is_heard_by_its_speaker() {
    let ((mut to_right, mut from_right), (mut to_left, mut from_left)) = pair(MIN_CAPACITY);
    assert_eq!((write(&mut to_right, b"left"), write(&mut to_left, b"right")), (4, 5));
    assert_eq!(read(&mut from_left, 64), b"left");
    assert_eq!(read(&mut from_right, 64), b"right");
    assert!(!from_left.has_bytes() && !from_right.has_bytes());
}

#[test]
fn a_full_ring_takes_nothing_until_something_was_read() {
    let ((mut producer, _), (_, mut consumer)) = pair(MIN_CAPACITY);
    assert_eq!(write(&mut producer, &[7; 100]), MIN_CAPACITY);
    assert_eq!(write(&mut producer, &[8]), 0);
    assert_eq!(read(&mut consumer, 1), [7]);
    assert_eq!(write(&mut producer, &[8, 9]), 1);
    assert_eq!(read(&mut consumer, 100), [7; MIN_CAPACITY - 1], "what was known to be there");
    assert_eq!(read(&mut consumer, 100), [8]);
}

proptest! {
    #[test]
    fn any_sizes_of_writes_and_reads_give_the_same_bytes(
        sizes in proptest::collection::vec((0_usize..150, 0_usize..150), 1..60),
    ) {
        let ((mut producer, _), (_, mut consumer)) = pair(128);
        let (mut written, mut seen) = (Vec::new(), Vec::new());
        let mut next = 0_u8;
        for (out, into) in sizes {
            let bytes: Vec<u8> = (0..out).map(|_| { next = next.wrapping_add(1); next }).collect();
            let taken = write(&mut producer, &bytes);
            prop_assert!(taken == out || producer.room() == Ok(0));
            written.extend_from_slice(&bytes[..taken]);
            next = *written.last().unwrap_or(&0);
            seen.extend(read(&mut consumer, into));
        }
        while consumer.has_bytes() {
            seen.extend(read(&mut consumer, 150));
        }
        prop_assert_eq!(seen, written);
    }
}

#[test]
fn a_waiting_writer_is_rung_for_once_there_is_a_quarter_of_room() {
    let ((mut producer, _), (_, mut consumer)) = pair(MIN_CAPACITY);
    write(&mut producer, &[0; MIN_CAPACITY]);
    assert!(!producer.await_room());
    let mut rung = Vec::new();
    for _ in 0..4 {
        let mut into = [0; MIN_CAPACITY / 8];
        let until = consumer.refresh().expect("honest");
        consumer.read(&mut into, until, |consumer| rung.push(consumer.must_ring()));
    }
    assert_eq!(rung, [false, true, false, false]);
    assert!(producer.await_room(), "there is room");
}

#[test]
fn only_a_sleeping_reader_is_rung_for_and_once() {
    let ((mut producer, _), (_, consumer)) = pair(MIN_CAPACITY);
    let mut rung = Vec::new();
    let mut publish = |producer: &mut Producer| {
        producer.write(b"x", |producer| rung.push(producer.must_ring())).expect("honest");
    };
    publish(&mut producer);
    assert!(consumer.await_bytes(), "there is something");
    publish(&mut producer);
    let ((mut producer, _), (_, consumer)) = pair(MIN_CAPACITY);
    assert!(!consumer.await_bytes());
    publish(&mut producer);
    publish(&mut producer);
    assert_eq!(rung, [false, false, true, false]);
}

/// Every word of the header that the peer may write, with every kind of nonsense.
#[test]
fn x1_impossible_indices_are_violations_and_nothing_is_touched() {
    for nonsense in [1, MIN_CAPACITY as u64 + 1, u64::MAX / 2, u64::MAX - 3, u64::MAX] {
        let ((mut producer, _), (_, mut consumer)) = pair(MIN_CAPACITY);
        producer.ring.count(TAIL_AT).store(nonsense, Ordering::Relaxed);
        assert_eq!(producer.room(), Err(Broken::Tail { tail: nonsense, seen: 0, head: 0 }));
        assert!(producer.write(b"x", |_| panic!("nothing is published")).is_err());
        if nonsense > 1 {
            producer.ring.count(HEAD_AT).store(nonsense, Ordering::Relaxed);
            assert!(consumer.has_bytes());
            assert_eq!(consumer.refresh(), Err(Broken::Head { head: nonsense, seen: 0, tail: 0 }));
        }
    }
    // Backwards.
    let ((mut producer, _), (_, mut consumer)) = pair(MIN_CAPACITY);
    write(&mut producer, &[1; 10]);
    assert_eq!(read(&mut consumer, 10).len(), 10);
    assert_eq!(producer.room(), Ok(MIN_CAPACITY));
    producer.ring.count(TAIL_AT).store(9, Ordering::Relaxed);
    assert_eq!(producer.room(), Err(Broken::Tail { tail: 9, seen: 10, head: 10 }));
    producer.ring.count(HEAD_AT).store(9, Ordering::Relaxed);
    assert_eq!(consumer.refresh(), Err(Broken::Head { head: 9, seen: 10, tail: 10 }));
}

/// A thread that writes all over the memory for as long as both ends are used: whatever comes of it is bytes,
/// or a violation, and it ends.
#[test]
fn x1_a_peer_that_scribbles_everywhere_gets_bytes_or_violations() {
    use std::sync::atomic::AtomicBool;
    let memory = create(MIN_CAPACITY).expect("memory");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let scribbler = shared_memory::Mapping::new(memory.as_fd()).expect("mapping");
            let ring = |second| Ring {
                mapping: Rc::new(shared_memory::Mapping::new(memory.as_fd()).expect("mapping")),
                capacity: MIN_CAPACITY,
                second,
            };
            let rings = [ring(false), ring(true)];
            assert_eq!(scribbler.bytes(), HEADER_BYTES + 2 * MIN_CAPACITY);
            let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
            while !stop.load(Ordering::Relaxed) {
                for ring in &rings {
                    for at in [HEAD_AT, BATCHES_AT, TAIL_AT, READER_SLEEPS_AT, WRITER_WAITS_AT] {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        ring.count(at).store(seed >> (seed % 64), Ordering::Relaxed);
                    }
                    ring.store(seed, &seed.to_ne_bytes());
                }
            }
        });
        let mut violations = 0;
        while violations < 1000 {
            let (mut producer, mut consumer) = open(memory.as_fd(), Side::First).expect("an end");
            let mut into = [0; 100];
            loop {
                let wrote = producer.write(&[1; 40], |producer| {
                    producer.must_ring();
                });
                let _ =
                    (producer.has_room(), producer.await_room(), consumer.await_bytes(), consumer.batches());
                let read = consumer.refresh().map(|until| {
                    consumer.read(&mut into, until, |consumer| {
                        consumer.must_ring();
                    })
                });
                if wrote.is_err() || read.is_err() {
                    violations += 1;
                    break;
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Both sides sleep whenever they may, woken by nothing but the bell: a lost wake would hang this.
#[test]
fn no_wake_is_lost_between_two_threads() {
    use std::sync::mpsc::sync_channel;
    const BYTES: u64 = 2_000_000;
    let memory = create(256).expect("memory");
    let (ring_reader, reader_bell) = sync_channel::<()>(1);
    let (ring_writer, writer_bell) = sync_channel::<()>(1);
    std::thread::scope(|scope| {
        let theirs = memory.as_fd();
        scope.spawn(move || {
            let (mut producer, _) = open(theirs, Side::First).expect("an end");
            let bytes: Vec<u8> = (0..=255).collect();
            let mut sent = 0;
            while sent < BYTES {
                let from = usize::try_from(sent % 256).expect("small");
                let to = (from + 1 + usize::try_from(sent % 97).expect("small")).min(256);
                let taken = producer.write(&bytes[from..to], |producer| {
                    if producer.must_ring() {
                        let _ = ring_reader.try_send(());
                    }
                });
                sent += taken.expect("honest") as u64;
                if taken == Ok(0) && !producer.await_room() {
                    writer_bell.recv().expect("the reader rings");
                }
            }
        });
        let (_, mut consumer) = open(memory.as_fd(), Side::Second).expect("an end");
        let (mut seen, mut into) = (0_u64, [0; 100]);
        while seen < BYTES {
            let until = consumer.refresh().expect("honest");
            let length = consumer.read(&mut into, until, |consumer| {
                if consumer.must_ring() {
                    let _ = ring_writer.try_send(());
                }
            });
            for byte in &into[..length] {
                assert_eq!(u64::from(*byte), seen % 256);
                seen += 1;
            }
            if length == 0 && !consumer.await_bytes() {
                reader_bell.recv().expect("the writer rings");
            }
        }
    });
}
