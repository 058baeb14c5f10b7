//! `wait` on many: after CPython's `TestWait`.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use procession::pipe::{self, Receiver, RecvError, Sentinel, Waitable, wait};

use crate::children::{finish, start};

/// CPython: `TestWait.test_wait` and `test_wait_slow`.
#[test]
fn four_children_are_received_from_as_they_speak() {
    let mut readers: Vec<Receiver<(u32, u32)>> = Vec::new();
    let mut children = Vec::new();
    for _ in 0..4 {
        let (theirs, receiver) = pipe::simplex().expect("simplex");
        children.push(start("ten", theirs));
        readers.push(receiver);
    }
    let mut messages = Vec::new();
    while !readers.is_empty() {
        let sources: Vec<&dyn Waitable> = readers.iter().map(|reader| reader as _).collect();
        for place in wait(&sources, None).expect("wait").into_iter().rev() {
            match readers[place].recv() {
                Ok(message) => messages.push(message),
                Err(RecvError::Closed) => drop(readers.remove(place)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    messages.sort_unstable();
    let mut pids: Vec<u32> = children.iter().map(std::process::Child::id).collect();
    pids.sort_unstable();
    let expected: Vec<_> = pids.iter().flat_map(|pid| (0..10).map(|number| (*pid, number))).collect();
    assert_eq!(messages, expected);
    children.into_iter().for_each(finish);
}

/// CPython: `TestWait.test_wait_socket` and `test_wait_socket_slow`.
#[test]
fn other_sockets_are_waited_for_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let writers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                use std::io::Write;
                let mut stream = TcpStream::connect(address).expect("connect");
                (0..10).for_each(|number| writeln!(stream, "{number}").expect("write"));
            })
        })
        .collect();
    let mut readers: BTreeMap<usize, TcpStream> = BTreeMap::new();
    let mut texts = vec![String::new(); 4];
    for place in 0..4 {
        assert_eq!(wait(&[&listener], None).expect("wait"), [0]);
        readers.insert(place, listener.accept().expect("accept").0);
    }
    while !readers.is_empty() {
        let places: Vec<usize> = readers.keys().copied().collect();
        let sources: Vec<&dyn Waitable> = readers.values().map(|reader| reader as _).collect();
        for ready in wait(&sources, None).expect("wait") {
            let mut bytes = [0; 32];
            let reader = readers.get_mut(&places[ready]).expect("reader");
            match reader.read(&mut bytes).expect("read") {
                0 => drop(readers.remove(&places[ready])),
                length => texts[places[ready]].push_str(std::str::from_utf8(&bytes[..length]).expect("text")),
            }
        }
    }
    let expected: String = (0..10).map(|number| format!("{number}\n")).collect();
    assert!(texts.iter().all(|text| *text == expected));
    writers.into_iter().for_each(|writer| writer.join().expect("writer"));
}

/// CPython: `TestWait.test_wait_timeout` and `test_neg_timeout`.
#[test]
fn a_timeout_is_kept() {
    let (a, mut b) = pipe::pipe::<u8, u8>().expect("pipe");
    let timeout = Duration::from_millis(50);
    let before = Instant::now();
    assert!(wait(&[&a, &b], Some(timeout)).expect("wait").is_empty());
    assert!(before.elapsed() >= timeout);
    assert!(wait(&[&a, &b], Some(Duration::ZERO)).expect("wait").is_empty());
    assert!(wait(&[], Some(Duration::ZERO)).expect("wait").is_empty());
    b.send(1).expect("send");
    assert_eq!(wait(&[&a, &b], Some(Duration::from_secs(60))).expect("wait"), [0]);
    assert_eq!(wait(&[&a, &b], None).expect("wait"), [0]);
}

/// CPython: `TestWait.test_wait_integer`: a process's sentinel beside two ends.
#[test]
fn a_process_is_waited_for_like_a_pipe() {
    let (mut a, mut b) = pipe::pipe::<u8, u8>().expect("pipe");
    let (hold, theirs) = pipe::simplex::<()>().expect("simplex");
    let child = start("wait for the end", theirs);
    let pid = rustix::process::Pid::from_child(&child);
    let sentinel =
        Sentinel(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("pidfd"));
    assert!(wait(&[&a, &sentinel, &b], Some(Duration::ZERO)).expect("wait").is_empty());
    drop(hold);
    assert_eq!(wait(&[&a, &sentinel, &b], None).expect("wait"), [1]);
    a.send(1).expect("send");
    assert_eq!(wait(&[&a, &sentinel, &b], None).expect("wait"), [1, 2]);
    b.send(2).expect("send");
    assert_eq!(wait(&[&a, &sentinel, &b], None).expect("wait"), [0, 1, 2]);
    finish(child);
}

#[test]
fn what_was_read_ahead_counts_and_end_of_file_too() {
    let (mut sender, mut receiver) = pipe::simplex::<u8>().expect("simplex");
    sender.feed(1).expect("feed");
    sender.feed(2).expect("feed");
    sender.flush().expect("flush");
    assert_eq!(receiver.recv().expect("receive"), 1);
    // The kernel has nothing any more; the end has.
    assert_eq!(wait(&[&receiver], None).expect("wait"), [0]);
    assert_eq!(receiver.recv().expect("receive"), 2);
    assert!(wait(&[&receiver], Some(Duration::ZERO)).expect("wait").is_empty());
    drop(sender);
    assert_eq!(wait(&[&receiver], None).expect("wait"), [0]);
    assert!(receiver.recv().expect_err("end").is_end());
    assert_eq!(wait(&[&receiver], None).expect("it stays ready"), [0]);
}
