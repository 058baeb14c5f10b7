//! Peers that do not keep to what is said of rings and bells. What an honest one sees is in `transport::wire_tests`.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::*;
use crate::protocol::Limits;
use crate::protocol::connection::{Connection, Event, ProtocolError};
use crate::protocol::wire::Hello;
use crate::sys::ring::{self, MIN_CAPACITY, Side};
use crate::sys::socket::{self, Wait};
use crate::transport::driver::{Ended, Lane, drive};

/// Where the hostile side's words lie, as `docs/PROTOCOL.md` draws them: it writes into the second ring.
const HEAD: u64 = 512;
const BATCHES: u64 = 520;
/// Whether this side sleeps and wants to be rung for it.
const READER_SLEEPS: u64 = 512 + 256;
/// What it has read of the first.
const TAIL: u64 = 128;

/// Far more than a wake takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An honest wire, and what a hostile peer has in its hands.
struct Stage {
    wire: SharedWire,
    memory: std::fs::File,
    socket: OwnedFd,
}

impl Stage {
    fn new() -> Stage {
        let (ours, theirs) = socket::pair().expect("a pair");
        let memory = ring::create(MIN_CAPACITY).expect("memory");
        let rings = ring::open(memory.as_fd(), Side::First).expect("rings");
        Stage { wire: SharedWire::new(ours, rings).expect("a wire"), memory: memory.into(), socket: theirs }
    }

    fn scribble(&self, at: u64, word: u64) {
        self.memory.write_all_at(&word.to_ne_bytes(), at).expect("written");
    }

    fn is_asleep(&self) -> bool {
        let mut flag = [0; 4];
        self.memory.read_exact_at(&mut flag, READER_SLEEPS).expect("read");
        u32::from_ne_bytes(flag) != 0
    }

    fn say(&self, bytes: &[u8], descriptors: usize) {
        let file = tempfile::tempfile().expect("a file");
        let along = vec![file.as_fd(); descriptors];
        socket::send_with_descriptors(self.socket.as_fd(), bytes, &along, Wait::No).expect("room");
    }

    fn batch(&self, position: u64) {
        self.say(&[&[1], position.to_le_bytes().as_slice()].concat(), 1);
    }

    /// What comes of reading, asleep or awake.
    async fn violation(&self) -> Option<Violation> {
        let received = async {
            self.wire.readable().await?;
            self.wire.recv(&mut [0; 100], &mut Arrivals::default())
        };
        violation_of(&received.await.expect_err("nothing honest"))
    }
}

fn violation_of(error: &io::Error) -> Option<Violation> {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
}

/// A peer that was slow between its look at the flag of one sleep and lowering it lowers that of the next, and rings for
/// what was read in between.
#[tokio::test]
async fn a_bell_for_what_was_read_before_does_not_spoil_the_next_sleep() {
    let stage = Stage::new();
    let sleep = stage.wire.readable();
    tokio::pin!(sleep);
    let mut look = async || {
        tokio::select! {
            biased;
            _ = &mut sleep => panic!("there is nothing to read"),
            () = tokio::task::yield_now() => stage.is_asleep(),
        }
    };
    assert!(look().await);
    stage.memory.write_all_at(&[0; 4], READER_SLEEPS).expect("written");
    stage.say(&[0], 0);
    let again = async { while !look().await {} };
    tokio::time::timeout(PATIENCE, again).await.expect("the next sleep is told anew");
    stage.scribble(HEAD, 1);
    stage.say(&[0], 0);
    tokio::time::timeout(PATIENCE, sleep).await.expect("it is rung for").expect("readable");
}

/// Waits once, until whatever the thread has to do now is done. What it waits for has not come.
async fn wait_a_turn(wire: &SharedWire) {
    tokio::select! {
        biased;
        _ = wire.readable() => panic!("there is nothing to read"),
        () = tokio::task::yield_now() => {}
    }
}

impl Stage {
    /// The peer writes the next byte, without ringing, and it is read.
    fn exchange(&self, position: u64, by_looking: bool) {
        self.scribble(HEAD, position);
        assert!(!by_looking || self.wire.has_news());
        assert_eq!(self.wire.recv(&mut [0; 9], &mut Arrivals::default()).expect("a byte"), 1);
        assert!(!self.is_asleep(), "awake");
    }
}

#[tokio::test]
async fn who_finds_by_looking_is_not_rung_for_until_it_sleeps() {
    let stage = Stage::new();
    wait_a_turn(&stage.wire).await;
    assert!(stage.is_asleep(), "nothing is known of it");
    let (begin, mut told) = (std::time::Instant::now(), 0);
    for position in 1..100 {
        stage.exchange(position, true);
        wait_a_turn(&stage.wire).await;
        told += u128::from(stage.is_asleep());
    }
    assert!(told <= begin.elapsed().as_millis(), "{told} times");
    stage.exchange(100, true);
    let sleep = async {
        assert!(!stage.wire.before_sleep());
        assert!(stage.is_asleep());
        stage.scribble(HEAD, 101);
        // As who rings does.
        stage.memory.write_all_at(&[0; 4], READER_SLEEPS).expect("written");
        stage.say(&[0], 0);
    };
    tokio::join!(stage.wire.readable(), sleep).0.expect("rung for");
    stage.exchange(101, false);
    wait_a_turn(&stage.wire).await;
    assert!(stage.is_asleep(), "it needed a bell, so it is told at once");
}

#[tokio::test]
async fn who_looks_no_more_is_rung_for_though_it_never_sleeps() {
    let stage = Stage::new();
    stage.exchange(1, true);
    // A thread that always has other work.
    let told = async {
        while !stage.is_asleep() {
            wait_a_turn(&stage.wire).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("found out");
    stage.exchange(2, false);
    wait_a_turn(&stage.wire).await;
    assert!(stage.is_asleep(), "known from now on");
    stage.exchange(3, true);
}

#[tokio::test]
async fn what_was_written_without_a_bell_is_seen_when_the_clock_ends() {
    let stage = Stage::new();
    stage.exchange(1, true);
    let written = async { stage.scribble(HEAD, 2) };
    let both = async { tokio::join!(stage.wire.readable(), written) };
    let (seen, ()) = tokio::time::timeout(PATIENCE, both).await.expect("seen");
    seen.expect("readable");
    assert!(!stage.wire.looks.is_relied_on());
}

#[tokio::test]
async fn x1_indices_that_are_impossible_are_violations() {
    for nonsense in [MIN_CAPACITY as u64 + 1, u64::MAX / 2, u64::MAX] {
        let stage = Stage::new();
        stage.scribble(HEAD, nonsense);
        assert!(matches!(stage.violation().await, Some(Violation::Ring(_))));
        stage.scribble(TAIL, nonsense);
        let error = stage.wire.send(b"x", &[]).expect_err("impossible");
        assert!(matches!(violation_of(&error), Some(Violation::Ring(_))));
    }
}

#[tokio::test]
async fn x1_bells_that_say_nonsense_are_violations() {
    let stage = Stage::new();
    stage.say(&[0, 0, 7], 0);
    assert_eq!(stage.violation().await, Some(Violation::Record(7)));
    let stage = Stage::new();
    stage.say(&[0], 1);
    assert_eq!(stage.violation().await, Some(Violation::UnclaimedDescriptors));
    let stage = Stage::new();
    stage.say(&[1; 9], 0);
    assert_eq!(stage.violation().await, Some(Violation::MissingDescriptors));
}

#[tokio::test]
async fn x1_descriptors_that_do_not_come_or_belong_nowhere_are_violations_and_no_hang() {
    for announced in [1, u64::MAX] {
        let stage = Stage::new();
        stage.scribble(BATCHES, announced);
        stage.scribble(HEAD, 3);
        assert_eq!(stage.violation().await, Some(Violation::MissingDescriptors));
    }
    // Beyond what the ring could hold; one after another without a byte; backwards.
    let stage = Stage::new();
    stage.batch(MIN_CAPACITY as u64);
    assert_eq!(stage.violation().await, Some(Violation::Position(MIN_CAPACITY as u64)));
    let stage = Stage::new();
    stage.batch(0);
    stage.batch(1);
    assert_eq!(stage.violation().await, Some(Violation::Position(1)));
    let stage = Stage::new();
    stage.batch(5);
    stage.batch(5);
    assert_eq!(stage.violation().await, Some(Violation::Position(5)));
    // Behind what was read.
    let stage = Stage::new();
    stage.scribble(HEAD, 3);
    assert_eq!(stage.wire.recv(&mut [0; 9], &mut Arrivals::default()).expect("three"), 3);
    stage.scribble(BATCHES, 1);
    stage.batch(1);
    stage.scribble(HEAD, 4);
    assert_eq!(stage.violation().await, Some(Violation::Position(1)));
}

/// A connection that nobody uses.
struct Nobody(RefCell<Connection<()>>);

impl Nobody {
    fn new() -> Nobody {
        let (process, incarnation) = (crate::id::ProcessId(1), crate::id::Incarnation::FIRST);
        let hello = Hello::new(process, incarnation, crate::id::BuildId(0), Limits::default());
        Nobody(RefCell::new(Connection::new(hello)))
    }
}

impl Lane for Nobody {
    type Tag = ();

    fn with<R>(&self, act: impl FnOnce(&mut Connection<()>) -> R) -> R {
        act(&mut self.0.borrow_mut())
    }

    fn on_event(&self, _: Event<'_, ()>) -> Result<(), ProtocolError> {
        Ok(())
    }

    async fn wanted(&self) {
        std::future::pending().await
    }

    fn is_done(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn x1_the_peer_is_blamed_and_the_connection_ends() {
    let Stage { wire, memory, socket } = Stage::new();
    memory.write_all_at(&u64::MAX.to_ne_bytes(), HEAD).expect("written");
    let ended = drive(&Nobody::new(), wire).await;
    assert!(matches!(&ended, Ended::Violation(ProtocolError::Pipe(_))), "{ended:?}");
    let mut byte = [0];
    while socket::recv(socket.as_fd(), &mut byte, Wait::No).expect("the end") > 0 {}
}

#[tokio::test]
async fn h10_a_peer_that_dies_within_a_frame_is_a_cut() {
    let Stage { wire, memory, socket } = Stage::new();
    let preamble = crate::protocol::control::Preamble::ours();
    memory.write_all_at(&preamble, 4096 + MIN_CAPACITY as u64).expect("written");
    memory.write_all_at(&20_u64.to_ne_bytes(), HEAD).expect("written");
    drop(socket);
    let ended = drive(&Nobody::new(), wire).await;
    assert!(matches!(&ended, Ended::Violation(ProtocolError::Cut)), "{ended:?}");
}
