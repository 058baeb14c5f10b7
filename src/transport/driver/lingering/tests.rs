//! Conversations of two threads, over both wires.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::super::drive;
use super::super::tests::{Echoing, UNANSWERED, on_one_thread};
use super::*;
use crate::protocol::connection::{Mode, Waiting};
use crate::protocol::{BusyPoll, MAX_BUSY_POLL};
use crate::sys::ring::{self, Side};
use crate::sys::room::Room;
use crate::sys::socket;
use crate::transport::polling;
use crate::transport::shared::SharedWire;
use crate::transport::socket::SocketWire;
use crate::transport::wire::Arrivals;

const POLLING: BusyPoll = BusyPoll::For(MAX_BUSY_POLL);

const PATIENCE: Duration = Duration::from_secs(60);

/// Makes one end of a pipe.
type Make<W> = fn(OwnedFd, &OwnedFd, Side) -> W;

fn over_sockets(socket: OwnedFd, _: &OwnedFd, _: Side) -> SocketWire {
    SocketWire::new(socket).expect("a wire")
}

fn over_memory(socket: OwnedFd, memory: &OwnedFd, side: Side) -> SharedWire {
    SharedWire::new(socket, ring::open(memory.as_fd(), side).expect("rings")).expect("a wire")
}

/// Counts how often a driver that lingers looks at it.
struct Counting<W> {
    wire: W,
    looks: Rc<Cell<u32>>,
}

impl<W: Wire> Wire for Counting<W> {
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.wire.send(bytes, descriptors)
    }

    fn recv_into(&self, rooms: &mut [Room<'_>; 2], arrivals: &mut Arrivals) -> io::Result<usize> {
        self.wire.recv_into(rooms, arrivals)
    }

    fn has_news(&self) -> bool {
        self.wire.has_news()
    }

    fn may_have_news(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.wire.may_have_news()
    }

    fn before_sleep(&self) -> bool {
        self.wire.before_sleep()
    }

    async fn readable(&self) -> io::Result<()> {
        self.wire.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.wire.writable().await
    }
}

/// Who asks, and an echo in another thread that ends when the asker's end does.
struct Conversation {
    asker: Rc<Echoing>,
    channel: u32,
    looks: Rc<Cell<u32>>,
    driving: tokio::task::JoinHandle<Ended>,
    echo: std::thread::JoinHandle<Ended>,
}

impl Conversation {
    fn begin<W: Wire + 'static>(busy_poll: BusyPoll, make: Make<W>) -> Conversation {
        polling::set(busy_poll);
        let (ours, theirs) = socket::pair().expect("a pair");
        let memory = ring::create(ring::CAPACITY).expect("memory");
        let far_memory = memory.try_clone().expect("a descriptor");
        let echo = std::thread::spawn(move || {
            on_one_thread(async {
                polling::set(busy_poll);
                drive(&Echoing::new(2), make(theirs, &far_memory, Side::Second)).await
            })
        });
        let (asker, looks) = (Rc::new(Echoing::new(1)), Rc::new(Cell::new(0)));
        let wire = Counting { wire: make(ours, &memory, Side::First), looks: Rc::clone(&looks) };
        let here = Rc::clone(&asker);
        let driving = tokio::task::spawn_local(async move { drive(&*here, wire).await });
        Conversation { channel: asker.open(2), asker, looks, driving, echo }
    }

    /// Asks again as soon as there is an answer, until `enough` says so.
    async fn ask_until(&self, mut enough: impl FnMut() -> bool) {
        let talk = async {
            for tag in 0.. {
                self.asker.call(self.channel, b"again", tag);
                let is_answered = || self.asker.answered.borrow_mut().pop().is_some_and(|(of, _)| of == tag);
                while !is_answered() {
                    self.asker.ended.notified().await;
                }
                if enough() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("in time");
    }

    async fn end(self) {
        self.driving.abort();
        let _ = self.driving.await;
        let ended = self.echo.join().expect("no panic");
        assert!(matches!(ended, Ended::PeerGone), "{ended:?}");
    }
}

async fn a_conversation_is_waited_for_awake<W: Wire + 'static>(make: Make<W>) {
    let awake = Conversation::begin(POLLING, make);
    awake.ask_until(|| awake.looks.get() > 1000).await;
    awake.end().await;

    let asleep = Conversation::begin(BusyPoll::Off, make);
    let asked = Cell::new(0);
    asleep.ask_until(|| asked.replace(asked.get() + 1) == 1000).await;
    assert_eq!(asleep.looks.get(), 0);
    asleep.end().await;
}

#[test]
fn a_conversation_is_waited_for_awake_unless_polling_is_off() {
    on_one_thread(async {
        a_conversation_is_waited_for_awake(over_sockets).await;
        a_conversation_is_waited_for_awake(over_memory).await;
    });
}

#[test]
fn m2_a_deadline_passes_in_the_middle_of_a_conversation() {
    on_one_thread(async {
        let talk = Conversation::begin(POLLING, over_memory);
        talk.ask_until(|| talk.looks.get() > 100).await;
        let deadline = Some(Instant::now() + Duration::from_millis(20));
        let waiting = Waiting { tag: u32::MAX, deadline };
        talk.asker.submit(talk.channel, UNANSWERED, Mode::Call, waiting);
        talk.ask_until(|| *talk.asker.failed.borrow() == [u32::MAX]).await;
        talk.end().await;
    });
}

#[test]
fn who_lingers_at_one_pipe_does_not_leave_the_others_waiting() {
    on_one_thread(async {
        let first = Conversation::begin(POLLING, over_memory);
        first.ask_until(|| first.looks.get() > 100).await;
        let second = Conversation::begin(POLLING, over_memory);
        let (firsts, seconds) = (Cell::new(0), Cell::new(0));
        let enough = || firsts.get() > 100 && seconds.get() > 100;
        tokio::join!(
            first.ask_until(|| {
                firsts.set(firsts.get() + 1);
                enough()
            }),
            second.ask_until(|| {
                seconds.set(seconds.get() + 1);
                enough()
            }),
        );
        first.end().await;
        second.end().await;
    });
}

async fn its_end_is_found<W: Wire + 'static>(make: Make<W>) {
    // Its own driver ends while the other lingers, and the other way round.
    for _ in 0..20 {
        let talk = Conversation::begin(POLLING, make);
        talk.ask_until(|| talk.looks.get() > 10).await;
        talk.end().await;
    }
}

#[test]
fn h09_the_end_of_a_pipe_is_found_by_who_lingers() {
    on_one_thread(async {
        its_end_is_found(over_sockets).await;
        its_end_is_found(over_memory).await;
    });
}

#[test]
fn who_always_has_something_to_say_still_listens() {
    on_one_thread(async {
        let talk = Conversation::begin(POLLING, over_sockets);
        talk.ask_until(|| talk.looks.get() > 100).await;
        // In each of its turns it says something that no answer comes to.
        let (asker, channel) = (Rc::clone(&talk.asker), talk.channel);
        let chatting = tokio::task::spawn_local(async move {
            loop {
                asker.say(channel, b"by the way");
                tokio::task::yield_now().await;
            }
        });
        let asked = Cell::new(0);
        talk.ask_until(|| asked.replace(asked.get() + 1) == 100).await;
        chatting.abort();
        talk.end().await;
    });
}
