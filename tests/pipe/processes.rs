//! Stories with real processes.

use std::process::Command;

use procession::pipe::{self, Descriptor, End, Receiver, RecvError, Sender, SpawnError};

use crate::children::{command, finish, open_descriptors, start};

/// CPython: `_TestConnection.test_connection` and `test_spawn_close`.
#[test]
fn bytes_go_to_a_child_and_back_until_it_ends() {
    let (mut end, theirs) = pipe::pipe::<(), ()>().expect("pipe");
    let child = start("echo", theirs);
    let large: Vec<u8> = (0..16_u32 << 20).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
    for message in [&b"hello world"[..], b"\0", &large] {
        end.send_bytes(message).expect("send");
        assert!(end.recv_bytes().expect("receive") == message);
    }
    end.send_bytes(b"").expect("send");
    assert!(matches!(end.recv_bytes(), Err(RecvError::Closed)), "nobody else holds the child's end");
    finish(child);
}

#[test]
fn h08_a_child_sees_the_end_when_the_parent_closes_and_has_no_other_descriptor() {
    let (ours, theirs) = pipe::simplex::<()>().expect("simplex");
    let first = start("wait for the end", theirs);
    // A second child that was started while the first one's pipe was open must not keep it open.
    let (other, theirs) = pipe::simplex::<()>().expect("simplex");
    let second = start("wait for the end", theirs);
    drop(ours);
    finish(first);
    drop(other);
    finish(second);
}

#[test]
fn h08_a_grandchild_has_its_own_pipe_only() {
    let (mut end, theirs) = pipe::pipe::<(), String>().expect("pipe");
    let child = start("grandparent", theirs);
    assert_eq!(end.recv().expect("receive"), "1 socket");
    finish(child);
}

#[test]
fn h10_a_child_that_aborts_inside_a_message_leaves_a_truncated_one() {
    let (theirs, mut receiver) = pipe::simplex::<String>().expect("simplex");
    let mut child = start("abort inside", theirs);
    assert_eq!(receiver.recv().expect("receive"), "whole");
    assert!(matches!(receiver.recv(), Err(RecvError::Truncated { received: 8 })));
    assert!(!child.wait().expect("wait").success());
}

/// CPython: `_TestConnection.test_fd_transfer` and, with a number above 256, `test_large_fd_transfer`.
#[test]
fn a_child_writes_to_a_file_that_it_was_sent() {
    use std::io::{Read, Seek};
    let fillers: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").expect("open")).collect();
    let mut file = tempfile::tempfile().expect("file");
    let high = file.try_clone().expect("clone");
    assert!(std::os::fd::AsRawFd::as_raw_fd(&high) > 256);
    drop(fillers);
    let (mut sender, theirs) = pipe::simplex::<(Descriptor, String)>().expect("simplex");
    let child = start("writer", theirs);
    sender.send((Descriptor(high.into()), "foo".into())).expect("send");
    finish(child);
    let mut text = String::new();
    file.rewind().expect("rewind");
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "foo");
}

/// CPython: `_TestPicklingConnections.test_access`.
#[test]
fn a_child_uses_ends_of_either_direction_that_it_was_sent() {
    let (mut end, theirs) =
        pipe::pipe::<(Option<Sender<String>>, Option<Receiver<String>>), String>().expect("pipe");
    let child = start("doubler", theirs);
    let (sender, mut receiver) = pipe::simplex().expect("simplex");
    end.send((Some(sender), None)).expect("send");
    assert_eq!(receiver.recv().expect("receive"), "all is well");
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
    let (mut sender, receiver) = pipe::simplex().expect("simplex");
    end.send((None, Some(receiver))).expect("send");
    sender.send("foobar".to_string()).expect("send");
    assert_eq!(end.recv().expect("receive"), "foobarfoobar");
    finish(child);
}

/// CPython: `_TestPicklingConnections.test_pickling`.
#[test]
fn a_third_process_uses_an_end_that_it_was_sent() {
    let (mut introducer, theirs) = pipe::simplex::<End<String, u32>>().expect("simplex");
    let child = start("third", theirs);
    let (far, mut near) = pipe::pipe::<String, u32>().expect("pipe");
    introducer.send(far).expect("send an end");
    for number in 0..3 {
        near.send(number).expect("send");
        assert_eq!(near.recv().expect("receive"), format!("{number} by a third process"));
    }
    drop(near);
    finish(child);
}

#[test]
fn a_child_takes_its_end_by_name_once() {
    let (theirs, receiver) = pipe::simplex::<String>().expect("simplex");
    let child = pipe::spawn_as(command("take in many ways"), "answers", theirs).expect("spawn");
    assert_eq!(receiver.into_iter().count(), 2);
    finish(child);
}

#[test]
fn h27_a_program_that_can_not_be_started_is_an_error_with_its_name() {
    let (ours, theirs) = pipe::pipe::<u8, u8>().expect("pipe");
    let error = pipe::spawn(Command::new("/no/such/program"), theirs).expect_err("no such program");
    assert!(
        matches!(&error, SpawnError::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    assert!(error.to_string().contains("/no/such/program"));
    let mut ours = ours;
    assert!(matches!(ours.recv(), Err(RecvError::Closed)));
}

#[test]
fn an_end_with_unread_messages_is_not_handed_over() {
    let (mut ours, mut theirs) = pipe::pipe::<u8, u8>().expect("pipe");
    ours.send(1).expect("send");
    assert!(theirs.poll(None).expect("poll"));
    let error = pipe::spawn(command("echo"), theirs).expect_err("unread");
    assert!(matches!(error, SpawnError::InUse { unread_bytes: 5, unsent_bytes: 0 }));
    let (_ours, theirs) = pipe::pipe::<u8, u8>().expect("pipe");
    assert!(matches!(pipe::spawn_as(command("echo"), "not a name", theirs), Err(SpawnError::Name { .. })));
}

/// Counts in a process of its own, since other tests open descriptors meanwhile.
#[test]
fn a_thousand_spawns_and_every_failing_path_leave_no_descriptor() {
    let (theirs, mut receiver) = pipe::simplex::<Vec<(String, usize, usize)>>().expect("simplex");
    let child = start("count", theirs);
    for (what, before, after) in receiver.recv().expect("receive") {
        assert_eq!(before, after, "{what}");
    }
    finish(child);
}

/// The counting child. Its own children are `true`, which is quick.
pub(crate) fn count() {
    let mut sender = Sender::<Vec<(String, usize, usize)>>::take("pipe").expect("take");
    let mut counts = Vec::new();
    let mut story = |what: &str, times: usize, tell: &dyn Fn()| {
        // Once before, for what is opened once and kept.
        tell();
        let before = open_descriptors();
        (0..times).for_each(|_| tell());
        counts.push((what.to_string(), before, open_descriptors()));
    };
    story("spawns", 1000, &|| {
        let (mut ours, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        let mut child = pipe::spawn(Command::new("true"), theirs).expect("spawn");
        assert!(ours.recv_bytes().expect_err("it sends nothing").is_end());
        assert!(child.wait().expect("wait").success());
    });
    story("spawns that fail", 100, &|| {
        let (_ours, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        pipe::spawn(Command::new("/no/such/program"), theirs).expect_err("no such program");
    });
    let null = || Descriptor(std::fs::File::open("/dev/null").expect("open").into());
    story("descriptors that nobody takes", 100, &|| {
        let (mut sender, _receiver) = pipe::simplex::<Vec<Descriptor>>().expect("simplex");
        sender.send(vec![null(), null()]).expect("send");
    });
    story("descriptors that nobody claims", 100, &|| {
        let (mut sender, mut receiver) = pipe::simplex::<()>().expect("simplex");
        sender.send_bytes_with(b"", vec![null().into(), null().into()]).expect("send");
        receiver.recv().expect("they are closed");
        sender.send_bytes_with(b"!", vec![null().into(), null().into()]).expect("send");
        receiver.recv().expect_err("no unit");
        sender.send_bytes_with(b"!", vec![null().into(), null().into()]).expect("send");
        receiver.recv_bytes().expect("bytes without descriptors");
    });
    story("descriptors of a message that fails to decode after the first was claimed", 100, &|| {
        let (mut sender, mut receiver) = pipe::simplex::<(Descriptor, Descriptor)>().expect("simplex");
        sender.send_bytes_with(&[0; 8], vec![null().into(), null().into()]).expect("send");
        receiver.recv().expect_err("the same place twice");
    });
    story("descriptors over the receiver's limit", 100, &|| {
        let (left, right) = procession::sys::socket::pair().expect("pair");
        let mut sender = Sender::<()>::from_fd(left, pipe::Settings::new());
        let mut receiver = Receiver::<()>::from_fd(right, pipe::Settings::new().descriptors(2));
        sender.send_bytes_with(b"", (0..9).map(|_| null().into()).collect()).expect("send");
        assert!(matches!(receiver.recv(), Err(RecvError::DescriptorsLost { .. })));
    });
    story("descriptors to a peer that is gone", 100, &|| {
        let (mut sender, receiver) = pipe::simplex::<Descriptor>().expect("simplex");
        drop(receiver);
        sender.send(null()).expect_err("gone");
    });
    story("descriptors that wait in a dropped sender", 100, &|| {
        let (mut sender, receiver) = pipe::simplex::<Descriptor>().expect("simplex");
        sender.feed(null()).expect("feed");
        drop((sender, receiver));
    });
    story("halves and ends sent through pipes", 100, &|| {
        let (mut out, mut back) = pipe::simplex::<Sender<u8>>().expect("simplex");
        let (left, right) = pipe::pipe::<u8, u8>().expect("pipe");
        let (sending, _receiving) = left.split().expect("split");
        out.send(sending).expect("send");
        drop((back.recv().expect("receive"), right));
    });
    sender.send(counts).expect("send");
}
