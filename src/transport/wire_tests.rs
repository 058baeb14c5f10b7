//! One body of tests for every wire: whatever a pipe is made of, the driver may believe what [`Wire`] says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::shared::SharedWire;
use super::socket::SocketWire;
use super::wire::{Arrivals, Wire};
use crate::sys::ring::{self, MIN_CAPACITY, Side};
use crate::sys::room::Room;
use crate::sys::socket as sys_socket;

/// Long enough for any machine; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn sockets() -> (SocketWire, SocketWire) {
    let (left, right) = sys_socket::pair().expect("a pair");
    (SocketWire::new(left).expect("a wire"), SocketWire::new(right).expect("a wire"))
}

/// The smallest buffers that the kernel allows.
fn narrow_sockets() -> (SocketWire, SocketWire) {
    let (left, right) = sys_socket::pair().expect("a pair");
    for end in [&left, &right] {
        sys_socket::set_buffers(end.as_fd(), 1).expect("buffers");
    }
    (SocketWire::new(left).expect("a wire"), SocketWire::new(right).expect("a wire"))
}

fn shared_of(capacity: usize) -> (SharedWire, SharedWire) {
    let (left, right) = sys_socket::pair().expect("a pair");
    let memory = ring::create(capacity).expect("memory");
    let wire = |socket, side| {
        SharedWire::new(socket, ring::open(memory.as_fd(), side).expect("rings")).expect("a wire")
    };
    (wire(left, Side::First), wire(right, Side::Second))
}

fn shared() -> (SharedWire, SharedWire) {
    shared_of(ring::CAPACITY)
}

fn narrow_shared() -> (SharedWire, SharedWire) {
    shared_of(MIN_CAPACITY)
}

/// Runs twice: on a thread that tells of its sleep, as those of actors do, and on one that does not.
fn run(test: impl AsyncFn() + Sync) {
    for tells_of_sleep in [true, false] {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| run_once(tells_of_sleep, &test));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }
}

fn run_once(tells_of_sleep: bool, test: &impl AsyncFn()) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if tells_of_sleep {
        builder.on_thread_park(super::polling::before_park).on_thread_unpark(super::polling::after_unpark);
    }
    let runtime = builder.enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let within = async { tokio::time::timeout(PATIENCE, test()).await.expect("nothing hangs") };
    local.block_on(&runtime, within);
}

/// A wire as a driver has it: looked at before the thread sleeps.
struct Watched<W> {
    wire: Rc<W>,
    watch: super::polling::Watch,
}

impl<W: Wire + 'static> Watched<W> {
    fn new(wire: W) -> Watched<W> {
        Watched::another(Rc::new(wire))
    }

    /// For a second task, as each has its own waker.
    fn another(wire: Rc<W>) -> Watched<W> {
        let (polled, sleeping) = (Rc::clone(&wire), Rc::clone(&wire));
        let watch = super::polling::watch(move || polled.has_news(), move || sleeping.before_sleep());
        Watched { wire, watch }
    }

    /// The next bytes, at most `room`; none at end-of-file.
    async fn recv(&self, room: usize, arrivals: &mut Arrivals) -> Vec<u8> {
        let mut buffer = vec![0; room];
        let read = self.read(|wire| wire.recv(&mut buffer, arrivals)).await;
        buffer.truncate(read.unwrap_or(0));
        buffer
    }

    /// How many bytes came into the rooms; none at end-of-file.
    async fn recv_into(&self, rooms: &mut [Room<'_>; 2]) -> Option<usize> {
        self.read(|wire| wire.recv_into(rooms, &mut Arrivals::default())).await
    }

    async fn read(&self, mut read: impl FnMut(&W) -> io::Result<usize>) -> Option<usize> {
        loop {
            tokio::select! {
                biased;
                () = self.watch.poked() => {}
                ready = self.wire.readable() => ready.expect("readable"),
            }
            match read(&self.wire) {
                Ok(length) => {
                    self.watch.note_traffic();
                    return Some(length).filter(|length| *length > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if sys_socket::is_peer_gone(&error) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn writable(&self) {
        tokio::select! {
            biased;
            () = self.watch.poked() => {}
            ready = self.wire.writable() => ready.expect("writable"),
        }
    }

    /// All that comes until end-of-file, reading as much at a time as `sizes` say.
    async fn recv_all(&self, sizes: &[usize]) -> Vec<u8> {
        let mut seen = Vec::new();
        for size in sizes.iter().cycle() {
            match self.recv(*size, &mut Arrivals::default()).await {
                bytes if bytes.is_empty() => break,
                bytes => seen.extend(bytes),
            }
        }
        seen
    }

    async fn send(&self, mut bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        let mut along: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        while !bytes.is_empty() {
            match self.wire.send(bytes, &along) {
                Ok(sent) => {
                    self.watch.note_traffic();
                    along.clear();
                    bytes = &bytes[sent..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).expect("small")).collect()
}

async fn any_split_of_writes_and_reads_gives_the_same_bytes<W: Wire + 'static>((left, right): (W, W)) {
    let (left, right) = (Watched::new(left), Watched::new(right));
    let bytes = pattern(300_000);
    let written = bytes.clone();
    let writing = tokio::task::spawn_local(async move {
        let mut rest = &written[..];
        for size in [1, 7, 64, 100, 4096, 1, 70_000, 3].into_iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(size));
            left.send(now, &[]).await.expect("the peer reads");
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    });
    assert!(
        right.recv_all(&[1, 100, 28, 8192, 3, 131_072]).await == bytes,
        "the same bytes in the same order"
    );
    writing.await.expect("written");
}

async fn what_is_gathered_and_scattered_keeps_its_order<W: Wire + 'static>((left, right): (W, W)) {
    let (left, right) = (Watched::new(left), Watched::new(right));
    let bytes = pattern(300_000);
    let written = bytes.clone();
    let writing = tokio::task::spawn_local(async move {
        let mut rest = &written[..];
        for (head, tail) in [(28, 32_768), (1, 0), (28, 1), (5000, 70_000)].into_iter().cycle() {
            let (first, later) = rest.split_at(rest.len().min(head));
            let tail = &later[..later.len().min(tail)];
            match left.wire.send_with_tail(first, tail, &[]) {
                Ok(sent) => {
                    assert!(sent > 0 && sent <= first.len() + tail.len());
                    rest = &rest[sent..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => left.writable().await,
                Err(error) => panic!("{error}"),
            }
            if rest.is_empty() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    for (first, second) in [(100, 2000), (32_768, 64), (1, 1), (40_000, 0)].into_iter().cycle() {
        let (mut body, mut beside) = (Vec::with_capacity(first), vec![0; second]);
        let rooms = |body, beside| [Room::Append(body, first), Room::Fill(beside)];
        let Some(read) = right.recv_into(&mut rooms(&mut body, &mut beside)).await else { break };
        let in_body = read.min(first);
        assert_eq!(body.len(), in_body, "the first room is filled before the second");
        seen.extend_from_slice(&body);
        seen.extend_from_slice(&beside[..read - in_body]);
    }
    assert!(seen == bytes, "the same bytes in the same order");
    writing.await.expect("written");
}

async fn h02_two_that_flood_one_another_both_end<W: Wire + 'static>((left, right): (W, W)) {
    let end = |wire: W| {
        let bytes = pattern(1_000_000);
        let wire = Watched::new(wire);
        let writer = Watched::another(Rc::clone(&wire.wire));
        let writing = tokio::task::spawn_local(async move { writer.send(&pattern(1_000_000), &[]).await });
        async move {
            let mut seen = Vec::new();
            while seen.len() < bytes.len() {
                seen.extend(wire.recv(8192, &mut Arrivals::default()).await);
            }
            writing.await.expect("joined").expect("written");
            assert!(seen == bytes, "what was sent");
        }
    };
    tokio::join!(end(left), end(right));
}

async fn h09_what_was_written_comes_before_the_end<W: Wire + 'static>((left, right): (W, W)) {
    let left = Watched::new(left);
    // What the left has not read must cost the right nothing of what the left has written.
    right.send(b"unread", &[]).expect("room");
    left.send(&pattern(60), &[]).await.expect("room");
    drop(left);
    let right = Watched::new(right);
    assert_eq!(right.recv_all(&[7]).await, pattern(60));
    assert_eq!(right.recv(7, &mut Arrivals::default()).await, b"", "the end stays the end");
}

async fn the_end_is_heard_while_asleep_and_by_a_blocked_writer<W: Wire + 'static>((left, right): (W, W)) {
    let (reader, right) = (Watched::new(left), Watched::new(right));
    let writer = Watched::another(Rc::clone(&reader.wire));
    let writing = tokio::task::spawn_local(async move { writer.send(&pattern(2_000_000), &[]).await });
    let reading = tokio::task::spawn_local(async move { reader.recv(1, &mut Arrivals::default()).await });
    right.recv(10, &mut Arrivals::default()).await;
    drop(right);
    assert_eq!(reading.await.expect("joined"), b"");
    let error = writing.await.expect("joined").expect_err("nobody reads");
    assert!(sys_socket::is_peer_gone(&error), "{error}");
}

async fn news_is_seen_by_looking<W: Wire + 'static>((left, right): (W, W)) {
    assert!(!right.has_news());
    let would_block = right.recv(&mut [0; 9], &mut Arrivals::default()).expect_err("nothing there");
    assert_eq!(would_block.kind(), io::ErrorKind::WouldBlock);
    left.send(b"news", &[]).expect("room");
    assert!(right.has_news());
    assert_eq!(right.recv(&mut [0; 9], &mut Arrivals::default()).expect("there"), 4);
    assert!(!right.has_news());
    // Room, for one that was told that there is none.
    let mut taken = 0;
    while let Ok(more) = left.send(&[0; 64], &[]) {
        taken += more;
    }
    assert!(!left.has_news(), "full");
    let right = Watched::new(right);
    let mut seen = 0;
    while seen < taken {
        seen += right.recv(4096, &mut Arrivals::default()).await.len();
    }
    assert!(left.has_news(), "there is room again");
    left.writable().await.expect("writable");
    left.send(b"x", &[]).expect("room");
    assert!(!left.has_news(), "nothing waits for room");
}

fn inode(descriptor: &OwnedFd) -> u64 {
    nix::sys::stat::fstat(descriptor).expect("fstat").st_ino
}

async fn descriptors_come_with_their_bytes_and_not_with_earlier_ones<W: Wire + 'static>(
    (left, right): (W, W),
) {
    let (left, right) = (Watched::new(left), Watched::new(right));
    let files: Vec<OwnedFd> = (0..4).map(|_| tempfile::tempfile().expect("a file").into()).collect();
    let numbers: Vec<u64> = files.iter().map(inode).collect();
    left.send(b"plain", &[]).await.expect("room");
    left.send(b"one", &files[..1]).await.expect("room");
    left.send(b"+", &[]).await.expect("room");
    left.send(b"two and three", &files[1..3]).await.expect("room");
    left.send(b"four", &files[3..]).await.expect("room");
    drop(left);
    let (mut arrivals, mut seen) = (Arrivals::default(), Vec::new());
    // Where each descriptor must be there at the latest, and must not be there yet.
    let due = |seen: usize| match seen {
        0..=5 => 0,
        6..=9 => 1,
        10..=22 => 3,
        _ => 4,
    };
    loop {
        let bytes = right.recv(6, &mut arrivals).await;
        if bytes.is_empty() {
            break;
        }
        seen.extend(bytes);
        assert_eq!(arrivals.descriptors.len(), due(seen.len()), "after {} bytes", seen.len());
    }
    assert_eq!(seen, b"plainone+two and threefour");
    assert_eq!(arrivals.descriptors.iter().map(inode).collect::<Vec<_>>(), numbers);
}

async fn many_descriptors_wait_for_room_and_none_is_lost<W: Wire + 'static>((left, right): (W, W)) {
    const SENDINGS: usize = 2000;
    let (left, right) = (Watched::new(left), Watched::new(right));
    let sending = tokio::task::spawn_local(async move {
        let file: OwnedFd = tempfile::tempfile().expect("a file").into();
        for _ in 0..SENDINGS {
            left.send(&pattern(20), std::slice::from_ref(&file)).await.expect("the peer reads");
        }
    });
    let (mut bytes, mut count) = (0, 0);
    while bytes < SENDINGS * 20 {
        let mut arrivals = Arrivals::default();
        bytes += right.recv(4096, &mut arrivals).await.len();
        count += arrivals.descriptors.len();
        assert!(count >= bytes.div_ceil(20), "never later than their bytes");
    }
    assert_eq!(count, SENDINGS);
    sending.await.expect("sent");
}

/// The body, over each wire.
macro_rules! over_every_wire {
    ($($test:ident),* $(,)?) => {
        over_every_wire!(@ over_sockets, super::sockets, $($test)*);
        over_every_wire!(@ over_narrow_sockets, super::narrow_sockets, $($test)*);
        over_every_wire!(@ over_shared_memory, super::shared, $($test)*);
        over_every_wire!(@ over_narrow_shared_memory, super::narrow_shared, $($test)*);
    };
    (@ $name:ident, $wires:path, $($test:ident)*) => {
        mod $name {
            $(#[test] fn $test() { super::run(async || super::$test($wires()).await); })*
        }
    };
}

over_every_wire![
    any_split_of_writes_and_reads_gives_the_same_bytes,
    what_is_gathered_and_scattered_keeps_its_order,
    h02_two_that_flood_one_another_both_end,
    h09_what_was_written_comes_before_the_end,
    the_end_is_heard_while_asleep_and_by_a_blocked_writer,
    news_is_seen_by_looking,
    descriptors_come_with_their_bytes_and_not_with_earlier_ones,
    many_descriptors_wait_for_room_and_none_is_lost,
];
