//! What only sockets do: the kernel's own refusals, halves, parts, descriptors that are no sockets.

use std::os::fd::AsFd;
use std::thread;

use procession::pipe::{self, End, RecvError, SendError, Settings};
use procession::sys::socket;

#[test]
fn h09_a_peer_that_died_with_unread_input_gives_its_messages_first() {
    let (mut left, mut right) = pipe::pipe::<u8, u8>().expect("pipe");
    right.send(1).expect("send");
    right.send(2).expect("send");
    left.send(3).expect("send");
    drop(right);
    assert_eq!(left.recv().expect("first"), 1);
    assert_eq!(left.recv().expect("second"), 2);
    for _ in 0..2 {
        assert!(matches!(left.recv(), Err(RecvError::PeerGone)));
    }
    assert!(matches!(left.send(4).map_err(SendError::from), Err(SendError::PeerGone)));
    assert!(left.recv().expect_err("end").is_end());
}

#[test]
fn h10_a_peer_that_dies_inside_a_message_leaves_a_truncated_one() {
    let (left, mut right) = pipe::pipe::<(), ()>().expect("pipe");
    socket::send(left.as_fd(), b"\0\0\0\x05hel", socket::Wait::Yes).expect("send");
    drop(left);
    for _ in 0..2 {
        assert!(matches!(right.recv_bytes(), Err(RecvError::Truncated { received: 7 })));
    }
}

#[test]
fn h11_a_peer_that_goes_while_a_message_is_written_poisons_the_pipe() {
    let (mut left, right) = pipe::pipe::<(), ()>().expect("pipe");
    let writing = thread::spawn(move || {
        let first = left.send_bytes(&vec![0; 16 << 20]);
        (first, left.send_bytes(b""))
    });
    // Something of the message is there, so it was begun.
    assert_eq!(pipe::wait(&[&right], None).expect("wait"), [0]);
    drop(right);
    let (first, second) = writing.join().expect("writer");
    assert!(matches!(first, Err(SendError::PeerGone)), "{first:?}");
    assert!(matches!(second, Err(SendError::Poisoned)), "{second:?}");
}

#[test]
fn h02_halves_on_two_threads_pass_floods_through_the_smallest_buffers() {
    let (left, right) = pipe::pipe::<Vec<u64>, Vec<u64>>().expect("pipe");
    socket::set_buffers(left.as_fd(), 1).expect("buffers");
    socket::set_buffers(right.as_fd(), 1).expect("buffers");
    let flood = |end: End<Vec<u64>, Vec<u64>>| {
        let (mut sender, receiver) = end.split().expect("split");
        let sending = thread::spawn(move || {
            for _ in 0..4 {
                sender.send((0..50_000).collect()).expect("send");
            }
        });
        move || {
            let received: Vec<_> = receiver.into_iter().collect::<Result<_, _>>().expect("receive");
            assert_eq!(received, vec![(0..50_000).collect::<Vec<u64>>(); 4]);
            sending.join().expect("sender");
        }
    };
    let other = thread::spawn(flood(right));
    flood(left)();
    other.join().expect("other side");
}

#[test]
fn a_dropped_sending_half_ends_its_direction_only() {
    let (left, mut right) = pipe::pipe::<u8, u8>().expect("pipe");
    let (sender, mut receiver) = left.split().expect("split");
    drop(sender);
    assert!(matches!(right.recv(), Err(RecvError::Closed)));
    right.send(1).expect("send");
    assert_eq!(receiver.recv().expect("receive"), 1);
}

#[test]
fn halves_keep_what_was_read_and_fed() {
    let (mut left, mut right) = pipe::pipe::<u8, u8>().expect("pipe");
    right.send(1).expect("send");
    right.send(2).expect("send");
    left.feed(3).expect("feed");
    assert_eq!(left.recv().expect("receive"), 1);
    let (sender, mut receiver) = left.split().expect("split");
    assert_eq!(receiver.recv().expect("receive"), 2);
    sender.close().expect("close");
    assert_eq!(right.recv().expect("receive"), 3);
}

#[test]
fn parts_make_an_end_again_and_lose_nothing() {
    let (left, mut right) = pipe::pipe::<u8, u8>().expect("pipe");
    let (mut sender, receiver) = (right, left);
    for number in 0..3 {
        sender.send(number).expect("send");
    }
    let mut receiver = receiver;
    assert_eq!(receiver.recv().expect("receive"), 0);
    let (descriptor, unread) = receiver.into_parts().expect("parts");
    assert_eq!(unread.len(), 2 * 5);
    let mut again = End::<u8, u8>::from_parts(descriptor, unread, Settings::new());
    assert_eq!((again.recv().expect("receive"), again.recv().expect("receive")), (1, 2));
    again.send(9).expect("the pipe is open");
    right = sender;
    assert_eq!(right.recv().expect("receive"), 9);
}

#[test]
fn fed_messages_go_when_the_end_is_dropped() {
    let (mut sender, receiver) = pipe::simplex::<u8>().expect("simplex");
    sender.feed(1).expect("feed");
    sender.feed(2).expect("feed");
    drop(sender);
    let received: Vec<u8> = receiver.into_iter().collect::<Result<_, _>>().expect("receive");
    assert_eq!(received, [1, 2]);
}

/// CPython: `TestInvalidHandle.test_invalid_handles`. A number that is no descriptor can't be written down in
/// Rust.
#[test]
fn a_descriptor_that_is_no_socket_is_an_error_of_every_call() {
    let file = std::fs::File::open("/dev/null").expect("open");
    let mut end = End::<u8, u8>::from_fd(file.into(), Settings::new());
    assert!(matches!(end.recv(), Err(RecvError::Io(_))));
    assert!(end.poll(Some(std::time::Duration::ZERO)).is_err());
    assert!(matches!(end.send(1).map_err(SendError::from), Err(SendError::Io(_))));
}

/// A descriptor that somebody else made non-blocking still blocks here.
#[test]
fn h12_blocking_ends_wait_on_non_blocking_sockets() {
    let (left, right) = std::os::unix::net::UnixStream::pair().expect("pair");
    left.set_nonblocking(true).expect("set");
    right.set_nonblocking(true).expect("set");
    let mut left = End::<Vec<u8>, u8>::from_fd(left.into(), Settings::new());
    let mut right = End::<u8, Vec<u8>>::from_fd(right.into(), Settings::new());
    let echo = thread::spawn(move || {
        let received = right.recv().expect("receive");
        right.send(received[0]).expect("send");
        right.recv_bytes().expect("receive").len()
    });
    left.send(vec![7; 1 << 20]).expect("send");
    assert_eq!(left.recv().expect("receive"), 7);
    left.send_bytes(&[1; 1 << 20]).expect("send");
    assert_eq!(echo.join().expect("echo"), 1 << 20);
}

/// CPython: `_TestConnection.test_sendbytes`. Slices do what offset and size do there, and can't be out of
/// range.
#[test]
fn any_slice_can_be_sent() {
    let (mut a, mut b) = pipe::pipe::<(), ()>().expect("pipe");
    let message = b"abcdefghijklmnopqrstuvwxyz";
    for slice in [&message[..], &message[5..], &message[7..7 + 8], &message[26..], &message[26..26]] {
        a.send_bytes(slice).expect("send");
        assert_eq!(b.recv_bytes().expect("receive"), slice);
    }
}

#[test]
fn ends_can_be_sent_to_other_threads_and_shown() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let (left, _right) = pipe::pipe::<std::rc::Rc<u8>, u8>().expect("pipe");
    is_send_and_sync(&left);
    assert!(format!("{left:?}").contains("unread_bytes: 0"));
}
