//! Stands between processes: for each pipe a task that passes bytes and descriptors on, through two `Flow`s.
//!
//! Lives on the thread of the chaos. The root's thread hands the ends over ([`Gate`]) and never waits for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::flow::{Flow, READ_BYTES};
use super::script::Direction;
use super::settings::Chaos;
use crate::id::ProcessName;
use crate::runtime::{FarEnd, Interpose};
use crate::sys::readiness;
use crate::sys::socket::{self, MAX_DESCRIPTORS, Wait};

/// Pipes that wait to be taken over. A restart of a whole topology makes some hundred at once; one that finds no room is
/// dropped, which to its two processes is a pipe that broke.
const NEW_PIPES: usize = 4096;

/// Orders to one pipe that wait; each is taken at once, unless the thread is behind, and then it is missed.
const ORDERS: usize = 64;

/// The root's way to the relays.
pub(super) struct Gate {
    chaos: Chaos,
    pipes: mpsc::Sender<(FarEnd, FarEnd)>,
}

impl Interpose for Gate {
    fn wants(&self, left: &ProcessName, right: &ProcessName) -> bool {
        self.chaos.may_hit(left) || self.chaos.may_hit(right)
    }

    fn stand_between(&self, left: FarEnd, right: FarEnd) {
        // Without room both ends close here.
        let _ = self.pipes.try_send((left, right));
    }
}

/// What a pipe is told; a direction is that of the process that is hit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Stall(Duration),
    Delay(Duration, Duration),
    Cut { after_bytes: u64, direction: Direction },
    Calm,
}

/// A pipe that is relayed.
struct Pipe {
    number: u64,
    left: ProcessName,
    right: ProcessName,
    orders: mpsc::Sender<(Order, Side)>,
}

/// Every pipe that is relayed.
#[derive(Default)]
pub(super) struct Relays {
    pipes: RefCell<Vec<Pipe>>,
    /// How many there were.
    made: Cell<u64>,
    /// How many broke where they were told to.
    cut: Cell<u32>,
}

/// The way to the relays, and what comes through it.
pub(super) fn gate(chaos: Chaos) -> (Gate, mpsc::Receiver<(FarEnd, FarEnd)>) {
    let (pipes, arrivals) = mpsc::channel(NEW_PIPES);
    (Gate { chaos, pipes }, arrivals)
}

impl Relays {
    /// Relays what comes through the gate, until the root has dropped it and every pipe has ended.
    pub(super) async fn run(self: Rc<Relays>, mut arrivals: mpsc::Receiver<(FarEnd, FarEnd)>) {
        let mut tasks = tokio::task::JoinSet::new();
        while let Some((left, right)) = arrivals.recv().await {
            tasks.spawn_local(Rc::clone(&self).relay(left, right));
            // So that those which have ended are not kept.
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn relay(self: Rc<Relays>, left: FarEnd, right: FarEnd) {
        let (orders, queue) = mpsc::channel(ORDERS);
        let number = self.made.get();
        self.made.set(number + 1);
        let pipe = Pipe { number, left: left.process, right: right.process, orders };
        self.pipes.borrow_mut().push(pipe);
        match (readiness::watch(left.socket), readiness::watch(right.socket)) {
            (Ok(left), Ok(right)) => {
                let end = Between { left, right }.pass(queue).await;
                if end == End::Cut {
                    self.cut.set(self.cut.get() + 1);
                }
            }
            // To the two processes, a pipe that broke.
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(target: "procession", %error, "can't stand between two processes");
            }
        }
        self.pipes.borrow_mut().retain(|pipe| pipe.number != number);
    }

    /// Tells one pipe of a process: which one follows from `pick`. The other end of it, or nothing if there is none.
    pub(super) fn order(&self, process: &ProcessName, pick: u32, order: Order) -> Option<ProcessName> {
        let pipes = self.pipes.borrow();
        let mut own: Vec<(&ProcessName, &Pipe, Side)> = pipes
            .iter()
            .filter_map(|pipe| match (pipe.left == *process, pipe.right == *process) {
                (true, _) => Some((&pipe.right, pipe, Side::Left)),
                (_, true) => Some((&pipe.left, pipe, Side::Right)),
                _ => None,
            })
            .collect();
        own.sort_by_key(|(other, pipe, _)| (*other, pipe.number));
        let index = usize::try_from(pick).ok()?.checked_rem(own.len())?;
        let (other, pipe, side) = own[index];
        pipe.orders.try_send((order, side)).ok().map(|()| other.clone())
    }

    /// Ends every fault.
    pub(super) fn calm(&self) {
        for pipe in self.pipes.borrow().iter() {
            // A queue that is full belongs to a task that ends now.
            let _ = pipe.orders.try_send((Order::Calm, Side::Left));
        }
    }

    /// How many pipes broke where they were told to.
    pub(super) fn cut_count(&self) -> u32 {
        self.cut.get()
    }
}

/// Which end of a pipe a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// How a pipe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One of the two closed it.
    Closed,
    /// It was cut.
    Cut,
}

/// The two ends that are not the processes'.
struct Between {
    left: AsyncFd<OwnedFd>,
    right: AsyncFd<OwnedFd>,
}

impl Between {
    /// Passes on until one side has ended and all it had sent is on the other, or the pipe is cut. Then both ends close.
    async fn pass(self, mut orders: mpsc::Receiver<(Order, Side)>) -> End {
        let Between { left, right } = &self;
        let (mut from_left, mut from_right) = (Flow::<OwnedFd>::new(), Flow::<OwnedFd>::new());
        let (mut left_buffer, mut right_buffer) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        loop {
            let now = Instant::now();
            if from_left.is_over() || from_right.is_over() {
                let is_cut = from_left.is_cut() || from_right.is_cut();
                return if is_cut { End::Cut } else { End::Closed };
            }
            let rooms = [from_left.room(now), from_right.room(now)];
            let due = [from_left.poll_write(now), from_right.poll_write(now)];
            let timeout = from_left.poll_timeout(now).into_iter().chain(from_right.poll_timeout(now)).min();
            tokio::select! {
                // The chaos that gives them may have ended.
                Some((order, side)) = orders.recv() => {
                    obey(order, side, &mut from_left, &mut from_right, Instant::now());
                }
                sent = write(right, due[0]), if due[0].is_some() => sent_on(&mut from_left, sent),
                sent = write(left, due[1]), if due[1].is_some() => sent_on(&mut from_right, sent),
                read = read(left, &mut left_buffer[..rooms[0]]), if rooms[0] > 0 => {
                    take(&mut from_left, &left_buffer, read);
                }
                read = read(right, &mut right_buffer[..rooms[1]]), if rooms[1] > 0 => {
                    take(&mut from_right, &right_buffer, read);
                }
                () = sleep_until(timeout), if timeout.is_some() => {}
            }
        }
    }
}

fn obey(
    order: Order,
    side: Side,
    from_left: &mut Flow<OwnedFd>,
    from_right: &mut Flow<OwnedFd>,
    now: Instant,
) {
    match order {
        Order::Stall(lasts) => [from_left, from_right].map(|flow| flow.stall(now + lasts)),
        Order::Delay(by, lasts) => [from_left, from_right].map(|flow| flow.delay(by, now + lasts)),
        Order::Calm => [from_left, from_right].map(|flow| flow.calm(now)),
        Order::Cut { after_bytes, direction } => {
            let is_from_left = (side == Side::Left) == (direction == Direction::Out);
            let flow = if is_from_left { from_left } else { from_right };
            [flow.cut_after(after_bytes), ()]
        }
    };
}

fn take(flow: &mut Flow<OwnedFd>, buffer: &[u8], read: io::Result<socket::Received>) {
    match read {
        Ok(received) if received.bytes > 0 => {
            flow.handle_bytes(&buffer[..received.bytes], received.descriptors, Instant::now());
        }
        // What a dead one had written comes next, then its end (H9).
        Err(error) if socket::is_peer_gone(&error) => {}
        Ok(_) | Err(_) => flow.handle_end(),
    }
}

fn sent_on(flow: &mut Flow<OwnedFd>, sent: io::Result<usize>) {
    match sent {
        Ok(bytes) => flow.handle_written(bytes),
        // The end of the sink's own direction ends the pipe, once what it had sent is passed on.
        Err(_) => flow.handle_refusal(),
    }
}

async fn read(end: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<socket::Received> {
    let read = |fd: &OwnedFd| socket::recv_with_descriptors(fd.as_fd(), buffer, MAX_DESCRIPTORS, Wait::No);
    end.async_io(Interest::READABLE, read).await
}

async fn write(end: &AsyncFd<OwnedFd>, due: Option<(&[u8], &[OwnedFd])>) -> io::Result<usize> {
    let Some((bytes, descriptors)) = due else { return Ok(0) };
    let along: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let write = |fd: &OwnedFd| socket::send_with_descriptors(fd.as_fd(), bytes, &along, Wait::No);
    end.async_io(Interest::WRITABLE, write).await
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    fn name(name: &str) -> ProcessName {
        ProcessName::new(name).expect("a name")
    }

    /// Relays between two processes, `a` and `b`, whose ends the test has.
    async fn between(test: impl AsyncFnOnce(Rc<Relays>, AsyncFd<OwnedFd>, AsyncFd<OwnedFd>)) {
        let (gate, arrivals) = gate(Chaos::new(1));
        let (left, from_left) = socket::pair().expect("a pair");
        let (right, from_right) = socket::pair().expect("a pair");
        let far = |process, socket| FarEnd { process: name(process), socket };
        let relays = Rc::new(Relays::default());
        let local = LocalSet::new();
        local.spawn_local(Rc::clone(&relays).run(arrivals));
        gate.stand_between(far("a", from_left), far("b", from_right));
        drop(gate);
        let testing = async {
            while relays.pipes.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
            let watched = |socket| readiness::watch(socket).expect("watched");
            test(Rc::clone(&relays), watched(left), watched(right)).await;
        };
        local.run_until(testing).await;
        // Every pipe ends, and then the relays do.
        local.await;
        assert!(relays.pipes.borrow().is_empty());
    }

    async fn say(end: &AsyncFd<OwnedFd>, bytes: &[u8]) {
        assert_eq!(write(end, Some((bytes, &[]))).await.expect("sent"), bytes.len());
    }

    /// Everything until the end.
    async fn all(end: &AsyncFd<OwnedFd>) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match read(end, &mut buffer).await {
                Ok(received) if received.bytes == 0 => return all,
                Ok(received) => all.extend_from_slice(&buffer[..received.bytes]),
                Err(error) => assert!(socket::is_peer_gone(&error), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn h08_h09_what_a_dead_side_had_sent_arrives_and_then_both_ends_close() {
        between(async |_, left, right| {
            say(&right, b"never read").await;
            let (_, memory) = socket::pair().expect("a descriptor");
            let sent = write(&left, Some((b"last", std::slice::from_ref(&memory)))).await;
            assert_eq!(sent.expect("sent"), 4);
            say(&left, b" words").await;
            drop(left);
            let mut buffer = [0; 64];
            let received = read(&right, &mut buffer).await.expect("received");
            assert_eq!(received.descriptors.len(), 1, "descriptors are passed on");
            let rest = all(&right).await;
            assert_eq!([&buffer[..received.bytes], &rest].concat(), b"last words");
        })
        .await;
    }

    #[tokio::test]
    async fn h02_floods_of_both_sides_pass_whole() {
        between(async |_, left, right| {
            let flood: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
            let send = async |end: &AsyncFd<OwnedFd>| {
                let mut rest = &flood[..];
                while !rest.is_empty() {
                    let sent = write(end, Some((rest, &[]))).await.expect("sent");
                    rest = &rest[sent..];
                }
            };
            let receive = async |end: &AsyncFd<OwnedFd>| {
                let (mut got, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
                while got.len() < flood.len() {
                    let received = read(end, &mut buffer).await.expect("received");
                    assert!(received.bytes > 0, "ended after {}", got.len());
                    got.extend_from_slice(&buffer[..received.bytes]);
                }
                got
            };
            let ((), (), from_left, from_right) =
                tokio::join!(send(&left), send(&right), receive(&right), receive(&left));
            assert!(from_left == flood && from_right == flood);
        })
        .await;
    }

    #[tokio::test]
    async fn h10_a_pipe_is_cut_at_the_byte_as_the_process_sees_it() {
        for (process, direction) in [("a", Direction::Out), ("b", Direction::In)] {
            between(async |relays, left, right| {
                let order = Order::Cut { after_bytes: 3, direction };
                let other = if process == "a" { "b" } else { "a" };
                assert_eq!(relays.order(&name(process), 7, order), Some(name(other)));
                assert_eq!(relays.order(&name("c"), 7, order), None);
                say(&right, b"the other way, more than three").await;
                let mut buffer = [0; 64];
                assert_eq!(read(&left, &mut buffer).await.expect("received").bytes, 30);
                say(&left, b"abcdef").await;
                assert_eq!(all(&right).await, b"abc");
                assert_eq!(all(&left).await, b"");
                while !relays.pipes.borrow().is_empty() {
                    tokio::task::yield_now().await;
                }
                assert_eq!(relays.cut_count(), 1);
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_stalled_pipe_moves_nothing_until_it_is_calm() {
        between(async |relays, left, right| {
            let for_ever = Duration::from_secs(1_000_000);
            assert!(relays.order(&name("b"), 0, Order::Stall(for_ever)).is_some());
            say(&left, b"stalled").await;
            // The end is behind it.
            drop(left);
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            let mut buffer = [0; 64];
            let nothing = socket::recv(right.get_ref().as_fd(), &mut buffer, Wait::No);
            assert_eq!(nothing.expect_err("nothing yet").kind(), io::ErrorKind::WouldBlock);
            relays.calm();
            assert_eq!(all(&right).await, b"stalled");
        })
        .await;
    }
}
