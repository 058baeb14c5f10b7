//! One body of tests, under which a socket and the pipe in memory, with and without faults, behave the same.

use std::thread;
use std::time::Duration;

use procession::pipe::memory::{self, Faults, Memory};
use procession::pipe::transport::{Socket, Transport};
use procession::pipe::{
    self, End, Receiver, RecvError, RecvIntoError, SendError, Sender, Settings, TryRecvError,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// The two ends of a pipe.
type Ends<Out, In, T> = (End<Out, In, T>, End<In, Out, T>);

/// What makes pipes of one kind.
trait Maker {
    type Carrier: Transport + Send + 'static;
    fn pipe<Out, In>(&self, settings: Settings) -> Ends<Out, In, Self::Carrier>;
    fn simplex<T>(&self) -> (Sender<T, Self::Carrier>, Receiver<T, Self::Carrier>);
}

struct Sockets;

impl Maker for Sockets {
    type Carrier = Socket;
    fn pipe<Out, In>(&self, settings: Settings) -> (End<Out, In>, End<In, Out>) {
        pipe::pipe_with(settings).expect("pipe")
    }
    fn simplex<T>(&self) -> (Sender<T>, Receiver<T>) {
        pipe::simplex().expect("simplex")
    }
}

impl Maker for Faults {
    type Carrier = Memory;
    fn pipe<Out, In>(&self, settings: Settings) -> (End<Out, In, Memory>, End<In, Out, Memory>) {
        memory::pipe(settings, self)
    }
    fn simplex<T>(&self) -> (Sender<T, Memory>, Receiver<T, Memory>) {
        memory::simplex(Settings::new(), self)
    }
}

/// Small pieces, refusals, stalls, and little room.
fn awkward(seed: u64) -> Faults {
    Faults {
        seed,
        piece_bytes: [20, 100, 700, 5000][(seed % 4) as usize],
        capacity_bytes: [100, 300, 70_000][(seed % 3) as usize],
        would_block_one_in: 3,
        stalls: (seed % 5) as u32,
        ..Faults::default()
    }
}

const SEEDS: std::ops::Range<u64> = 0..8;

/// Runs a body over each kind of pipe. A failure over memory names the seed.
macro_rules! over_every_pipe {
    ($($name:ident)*) => {
        mod over_sockets { $(#[test] fn $name() { super::$name(&super::Sockets); })* }
        mod over_memory { $(#[test] fn $name() { super::$name(&super::Faults::default()); })* }
        mod over_awkward_memory { $(#[test] fn $name() {
            for seed in super::SEEDS {
                println!("seed {seed}");
                super::$name(&super::awkward(seed));
            }
        })* }
    };
}

over_every_pipe! {
    objects_arrive_in_order
    both_directions_carry_bytes_and_objects
    an_empty_message_is_a_message
    large_messages_arrive
    messages_are_not_merged
    poll_says_whether_there_is_something
    a_part_of_a_message_is_nothing_yet
    end_of_file_comes_after_the_last_message
    half_close_ends_one_direction
    a_message_over_the_limit_is_refused_on_both_sides
    a_message_of_another_type_is_an_error_and_the_next_one_arrives
    a_buffer_too_short_gives_the_message
    a_buffer_takes_messages_of_any_order_of_lengths
    a_buffer_too_short_for_a_large_message_harms_nobody
    a_send_to_nobody_gives_the_message_back
    try_send_gives_back_what_does_not_fit
    fed_messages_go_together
    json_is_json
    floods_in_both_directions_pass_with_two_threads
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: f64 },
    Named(String, Vec<Shape>),
}

fn shapes() -> Vec<Shape> {
    let circle = Shape::Circle { radius: 2.25 };
    vec![Shape::Point, circle.clone(), Shape::Named("both".into(), vec![Shape::Point, circle])]
}

fn objects_arrive_in_order(maker: &impl Maker) {
    let (mut sender, receiver) = maker.simplex::<Shape>();
    let sending = thread::spawn(move || {
        for _ in 0..50 {
            for shape in shapes() {
                sender.send(shape).expect("send");
            }
        }
    });
    let received: Vec<Shape> = receiver.into_iter().collect::<Result<_, _>>().expect("receive");
    sending.join().expect("sender");
    assert_eq!(received, (0..50).flat_map(|_| shapes()).collect::<Vec<_>>());
}

fn both_directions_carry_bytes_and_objects(maker: &impl Maker) {
    let (mut left, mut right) = maker.pipe::<(u8, f64, Option<u8>), String>(Settings::new());
    let echo = thread::spawn(move || {
        let (one, two, three) = right.recv().expect("object");
        right.send(format!("{one} {two} {three:?}")).expect("send");
        let bytes = right.recv_bytes().expect("bytes");
        right.send_bytes(&bytes).expect("send bytes");
    });
    left.send((1, 2.25, None)).expect("send");
    assert_eq!(left.recv().expect("receive"), "1 2.25 None");
    left.send_bytes(b"hello world").expect("send bytes");
    assert_eq!(left.recv_bytes().expect("receive bytes"), b"hello world");
    echo.join().expect("echo");
    assert!(matches!(left.recv(), Err(RecvError::Closed)));
}

/// CPython: `_TestPoll.test_empty_string`.
fn an_empty_message_is_a_message(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    assert!(!receiver.poll(Some(Duration::ZERO)).expect("poll"));
    sender.send_bytes(b"").expect("send");
    for _ in 0..2 {
        assert!(receiver.poll(None).expect("poll"));
    }
    assert_eq!(receiver.recv_bytes().expect("receive"), b"");
    sender.send(()).expect("send");
    receiver.recv().expect("receive");
}

/// The byte at a place.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).expect("below 251")
}

/// CPython: the 16 MiB message of `_TestConnection.test_connection`; here on both sides of every threshold.
fn large_messages_arrive(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    let lengths = [0, 1, 4092, 16_383, 16_384, 16_385, 65_532, 65_533, 65_536, 100_000, 300_001];
    let sending = thread::spawn(move || {
        for length in lengths {
            let bytes: Vec<u8> = (0..length).map(pattern).collect();
            sender.send_bytes(&bytes).expect("send");
        }
    });
    let mut buffer = vec![0; 300_001];
    for (round, length) in lengths.into_iter().enumerate() {
        let bytes = match round % 2 {
            0 => receiver.recv_bytes().expect("receive"),
            _ => {
                let received = receiver.recv_bytes_into(&mut buffer).expect("receive into");
                buffer[..received].to_vec()
            }
        };
        assert_eq!(bytes.len(), length);
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
    }
    sending.join().expect("sender");
}

/// CPython: `_TestPoll.test_strings` and `test_dont_merge`.
fn messages_are_not_merged(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    let messages: [&[u8]; 8] = [b"hello", b"", b"a", b"b", b"", b"bye", b"", b"lop"];
    let sending = thread::spawn(move || {
        for message in messages {
            sender.send_bytes(message).expect("send");
        }
    });
    for message in messages {
        for _ in 0..2 {
            assert!(receiver.poll(None).expect("poll"));
        }
        assert_eq!(receiver.recv_bytes().expect("receive"), message);
    }
    sending.join().expect("sender");
}

/// CPython: the polls of `_TestConnection.test_connection`.
fn poll_says_whether_there_is_something(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<u8>();
    assert!(!receiver.poll(Some(Duration::ZERO)).expect("poll"));
    assert!(!receiver.poll(Some(Duration::from_millis(1))).expect("poll"));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(1)), Err(TryRecvError::Empty)));
    sender.send(1).expect("send");
    sender.send(2).expect("send");
    assert!(receiver.poll(Some(Duration::MAX)).expect("poll"));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)).expect("receive"), 1);
    assert_eq!(receiver.try_recv().expect("receive"), 2);
    drop(sender);
    assert!(receiver.poll(None).expect("end-of-file counts"));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Failed(RecvError::Closed))));
}

/// CPython: `_TestPoll.test_boundaries`.
fn a_part_of_a_message_is_nothing_yet(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    // Larger than any pipe here holds, so that a part of it comes and the rest waits in the sender.
    let large = vec![3; 600_000];
    while sender.try_send_bytes(&large).is_err() {}
    assert!(!receiver.poll(Some(Duration::ZERO)).expect("poll"));
    assert!(matches!(receiver.try_recv_bytes(), Err(TryRecvError::Empty)));
    let sending = thread::spawn(move || sender.flush());
    assert_eq!(receiver.recv_bytes().expect("receive"), large);
    sending.join().expect("sender").expect("flush");
}

/// H9: CPython leaves it at EOFError.
fn end_of_file_comes_after_the_last_message(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<u8>();
    sender.send(1).expect("send");
    sender.close().expect("close");
    assert_eq!(receiver.recv().expect("receive"), 1);
    for _ in 0..2 {
        assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
    }
    assert!(receiver.iter().next().is_none());
}

fn half_close_ends_one_direction(maker: &impl Maker) {
    let (mut left, mut right) = maker.pipe::<u8, u8>(Settings::new());
    left.feed(1).expect("feed");
    left.half_close().expect("half close");
    assert!(matches!(left.send(2).map_err(SendError::from), Err(SendError::HalfClosed)));
    assert_eq!(right.recv().expect("receive"), 1);
    assert!(matches!(right.recv(), Err(RecvError::Closed)));
    right.send(3).expect("the other direction is open");
    assert_eq!(left.recv().expect("receive"), 3);
}

fn a_message_over_the_limit_is_refused_on_both_sides(maker: &impl Maker) {
    let (mut strict, mut right) = maker.pipe::<String, ()>(Settings::new().message_bytes(20));
    let refused = strict.send("more than twenty bytes".into()).expect_err("too large");
    assert!(matches!(refused.error, SendError::TooLarge { limit: 20 }));
    assert_eq!(refused.message, "more than twenty bytes");
    assert!(matches!(strict.send_bytes(&[0; 21]), Err(SendError::TooLarge { limit: 20 })));
    strict.send("twelve bytes".into()).expect("8 + 12 are 20");
    assert_eq!(right.recv().expect("receive"), "twelve bytes");
}

/// H7: a bad message harms nobody but itself.
fn a_message_of_another_type_is_an_error_and_the_next_one_arrives(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<String>();
    for bad in [&b"\xff"[..], b"", &[0xff; 8], &[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe], &[0; 9]] {
        sender.send_bytes(bad).expect("send");
        sender.send("good".into()).expect("send");
        assert!(matches!(receiver.recv(), Err(RecvError::Decode(_))), "{bad:?}");
        assert_eq!(receiver.recv().expect("receive"), "good");
    }
}

/// CPython: `BufferTooShort` in `_TestConnection.test_connection`.
fn a_buffer_too_short_gives_the_message(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    sender.send_bytes(b"hello").expect("send");
    let refused = receiver.recv_bytes_into(&mut [0; 4]).expect_err("too short");
    assert!(matches!(refused, RecvIntoError::BufferTooShort { message, room: 4 } if message == b"hello"));
    sender.send_bytes(b"next").expect("send");
    let mut buffer = [9; 6];
    assert_eq!(receiver.recv_bytes_into(&mut buffer).expect("receive"), 4);
    assert_eq!(&buffer, b"next\x09\x09");
}

/// Large messages are read straight into the buffer, and small ones through the read-ahead: in every order.
fn a_buffer_takes_messages_of_any_order_of_lengths(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    let lengths = [100_000, 100_000, 0, 100_000, 99_000, 3, 70_000, 120_000, 1, 1, 80_000, 65_532, 65_533, 0];
    let sending = thread::spawn(move || {
        for length in lengths {
            let bytes: Vec<u8> = (0..length).map(pattern).collect();
            sender.send_bytes(&bytes).expect("send");
        }
    });
    let mut buffer = vec![0; 120_000];
    for (round, length) in lengths.into_iter().enumerate() {
        // Something has come already, or nothing.
        if round % 3 == 0 {
            receiver.poll(Some(Duration::ZERO)).expect("poll");
        }
        assert_eq!(receiver.recv_bytes_into(&mut buffer).expect("receive"), length);
        assert!(buffer[..length].iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "{round}");
    }
    assert!(matches!(receiver.recv_bytes_into(&mut buffer), Err(RecvIntoError::Failed(RecvError::Closed))));
    sending.join().expect("sender");
}

fn a_buffer_too_short_for_a_large_message_harms_nobody(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<()>();
    let sending = thread::spawn(move || {
        for byte in 0..6 {
            sender.send_bytes(&[byte; 100_000]).expect("send");
        }
    });
    let mut buffer = vec![9; 100_000];
    for (byte, room) in [(0, 100_000), (1, 99_999), (2, 100_000), (3, 0), (4, 70_000), (5, 100_000)] {
        match receiver.recv_bytes_into(&mut buffer[..room]) {
            Ok(length) => assert!(room == length && buffer == [byte; 100_000], "{byte}"),
            Err(RecvIntoError::BufferTooShort { message, room: told }) => {
                assert!(room < 100_000 && told == room && message == [byte; 100_000], "{byte}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    sending.join().expect("sender");
}

/// H9, H13.
fn a_send_to_nobody_gives_the_message_back(maker: &impl Maker) {
    let (mut sender, receiver) = maker.simplex::<String>();
    drop(receiver);
    for _ in 0..2 {
        let unsent = sender.send("back".into()).expect_err("nobody");
        assert_eq!(unsent.message, "back");
        assert!(matches!(unsent.error, SendError::PeerGone), "{:?}", unsent.error);
    }
}

fn try_send_gives_back_what_does_not_fit(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<u64>();
    let mut taken = 0;
    // The faults say that a pipe is full which is not, so it takes a few in a row to believe it.
    let mut refused = 0;
    while refused < 20 {
        match sender.try_send(taken) {
            Ok(()) => (taken, refused) = (taken + 1, 0),
            Err(unsent) => {
                assert_eq!(unsent.message, taken);
                refused += 1;
            }
        }
    }
    let receiving =
        thread::spawn(move || receiver.iter().map(|number| number.expect("receive")).collect::<Vec<_>>());
    sender.close().expect("close");
    assert_eq!(receiving.join().expect("receiver"), (0..taken).collect::<Vec<_>>());
}

fn fed_messages_go_together(maker: &impl Maker) {
    let (mut sender, mut receiver) = maker.simplex::<u32>();
    sender.feed(0).expect("feed");
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)), "nothing goes before the flush");
    let sending = thread::spawn(move || {
        for number in 1..20_000 {
            sender.feed(number).expect("feed");
        }
        sender.flush().expect("flush");
        sender
    });
    for expected in 0..20_000 {
        assert_eq!(receiver.recv().expect("receive"), expected);
    }
    drop(sending.join().expect("sender"));
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
}

fn json_is_json(maker: &impl Maker) {
    let (mut left, mut right) = maker.pipe::<Shape, Shape>(Settings::new().json());
    left.send(Shape::Circle { radius: 0.5 }).expect("send");
    assert_eq!(right.recv_bytes().expect("receive"), br#"{"Circle":{"radius":0.5}}"#);
    right.send_bytes(br#" {"Named": ["x", ["Point"]]} "#).expect("send");
    assert_eq!(left.recv().expect("receive"), Shape::Named("x".into(), vec![Shape::Point]));
    right.send_bytes(b"{").expect("send");
    assert!(matches!(left.recv(), Err(RecvError::Decode(_))));
}

/// H2, for blocking ends: two threads on each side.
fn floods_in_both_directions_pass_with_two_threads(maker: &impl Maker) {
    let (left, right) = maker.pipe::<u32, u32>(Settings::new());
    let flood = |mut end: End<u32, u32, _>| {
        // One thread suffices where nothing blocks.
        move || {
            let (mut sent, mut received) = (0, 0);
            let mut flushed = false;
            while !flushed || received < 200 {
                if sent < 200 && end.try_send(sent).is_ok() {
                    sent += 1;
                }
                if let Ok(number) = end.try_recv() {
                    assert_eq!(number, received);
                    received += 1;
                }
                // A message may have gone in part, and its rest must follow.
                flushed = end.try_flush().expect("flush") && sent == 200;
            }
        }
    };
    let other = thread::spawn(flood(right));
    flood(left)();
    other.join().expect("other side");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_is_sent_arrives_over_any_faults(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20),
        seed in any::<u64>(),
    ) {
        let (mut sender, mut receiver) = awkward(seed).simplex::<()>();
        let sending = thread::spawn({
            let bodies = bodies.clone();
            move || bodies.iter().for_each(|body| sender.send_bytes(body).expect("send"))
        });
        for body in &bodies {
            prop_assert_eq!(&receiver.recv_bytes().expect("receive"), body);
        }
        prop_assert!(matches!(receiver.recv_bytes(), Err(RecvError::Closed)));
        sending.join().expect("sender");
    }
}
