//! Descriptors, and ends, that travel through pipes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use procession::pipe::{self, Descriptor, End, Receiver, RecvError, SendError, Sender, Settings};
use procession::sys::socket;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    #[serde(with = "procession::codec::descriptor")]
    output: OwnedFd,
    extra: Vec<Descriptor>,
}

fn null() -> OwnedFd {
    File::open("/dev/null").expect("open").into()
}

fn job(extra: usize) -> (Job, std::io::PipeReader) {
    let (reading, writing) = std::io::pipe().expect("pipe");
    let extra = (0..extra).map(|_| Descriptor(null())).collect();
    (Job { name: "job".into(), output: writing.into(), extra }, reading)
}

#[test]
fn descriptors_are_fields_and_end_of_file_comes_when_the_receiver_closes_them() {
    for settings in [Settings::new(), Settings::new().json()] {
        let (mut left, mut right) = pipe::pipe_with::<Job, Job>(settings).expect("pipe");
        let (sent, mut reading) = job(2);
        left.send(sent).expect("send");
        let received = right.recv().expect("receive");
        assert_eq!((received.name.as_str(), received.extra.len()), ("job", 2));
        File::from(received.output).write_all(b"foo").expect("write");
        let mut text = String::new();
        reading.read_to_string(&mut text).expect("to the end, since nobody else has it");
        assert_eq!(text, "foo");
    }
}

#[test]
fn messages_with_and_without_descriptors_mix_and_each_gets_its_own() {
    let (mut sender, mut receiver) = pipe::simplex::<Option<Job>>().expect("simplex");
    let sending = std::thread::spawn(move || {
        let mut readings = Vec::new();
        for round in 0..20 {
            sender.feed(None).expect("feed");
            if round % 3 == 0 {
                let (mut job, reading) = job(round % 4);
                job.name = "x".repeat(round * 4000);
                sender.feed(Some(job)).expect("feed");
                readings.push(reading);
            }
            sender.feed(None).expect("feed");
            sender.flush().expect("flush");
        }
        readings
    });
    let received: Vec<_> = receiver.iter().map(|job| job.expect("receive")).collect();
    let mut readings = sending.join().expect("sender");
    assert_eq!(received.len(), 47);
    for (place, job) in received.into_iter().flatten().enumerate() {
        assert_eq!((job.name.len(), job.extra.len()), (place * 12_000, (place * 3) % 4));
        File::from(job.output).write_all(&[u8::try_from(place).expect("small")]).expect("write");
        let mut byte = [0xff];
        readings[place].read_exact(&mut byte).expect("read");
        assert_eq!(usize::from(byte[0]), place);
    }
}

#[test]
fn h14_253_descriptors_pass_and_one_more_is_refused() {
    let (mut sender, mut receiver) = pipe::simplex::<Vec<Descriptor>>().expect("simplex");
    let many = |count| (0..count).map(|_| Descriptor(null())).collect::<Vec<_>>();
    sender.send(many(253)).expect("253");
    assert_eq!(receiver.recv().expect("receive").len(), 253);
    let unsent = sender.send(many(254)).expect_err("254");
    assert!(matches!(unsent.error, SendError::TooManyDescriptors { limit: 253 }));
    assert_eq!(unsent.message.len(), 254);
    sender.send(many(1)).expect("the pipe goes on");
    assert_eq!(receiver.recv().expect("receive").len(), 1);
}

#[test]
fn h14_more_than_the_receiver_takes_is_an_error_and_the_next_message_arrives() {
    let (left, right) = socket::pair().expect("pair");
    let mut sender = Sender::<Vec<Descriptor>>::from_fd(left, Settings::new());
    let mut receiver = Receiver::<Vec<Descriptor>>::from_fd(right, Settings::new().descriptors(3));
    for count in [4, 5, 100, 253] {
        sender.send((0..count).map(|_| Descriptor(null())).collect()).expect("send");
        sender.send((0..3).map(|_| Descriptor(null())).collect()).expect("send");
        assert!(matches!(receiver.recv(), Err(RecvError::DescriptorsLost { limit: 3 })), "{count}");
        assert_eq!(receiver.recv().expect("receive").len(), 3);
    }
}

/// CPython: `_TestConnection.test_missing_fd_transfer`.
#[test]
fn a_descriptor_that_did_not_come_is_an_error() {
    let (mut sender, mut receiver) = pipe::simplex::<Descriptor>().expect("simplex");
    sender.send_bytes(&0_u32.to_le_bytes()).expect("send");
    assert!(matches!(receiver.recv(), Err(RecvError::Decode(_))));
    sender.send(Descriptor(null())).expect("send");
    receiver.recv().expect("receive");
}

#[test]
fn bytes_go_with_descriptors_too() {
    let (mut sender, mut receiver) = pipe::simplex::<()>().expect("simplex");
    for length in [0, 1, 100_000] {
        sender.send_bytes_with(&vec![5; length], vec![null(), null()]).expect("send");
        let (bytes, descriptors) = receiver.recv_bytes_with().expect("receive");
        assert_eq!((bytes.len(), descriptors.len()), (length, 2));
    }
}

#[test]
fn descriptors_of_a_large_message_are_its_own_whatever_it_is_received_into() {
    let (mut sender, mut receiver) = pipe::simplex::<()>().expect("simplex");
    let (mut reading, writing) = std::io::pipe().expect("pipe");
    let sending = std::thread::spawn(move || {
        let large = vec![5; 100_000];
        // The first makes the receiver expect another as long; the descriptors come with the third.
        sender.send_bytes(&large).expect("send");
        sender.send_bytes(&large).expect("send");
        sender.send_bytes_with(&large, vec![writing.into()]).expect("send");
        sender.send_bytes(b"small").expect("send");
        sender.send_bytes_with(&large, vec![null(), null()]).expect("send");
    });
    let mut buffer = vec![0; 100_000];
    for length in [100_000, 100_000, 100_000, 5] {
        assert_eq!(receiver.recv_bytes_into(&mut buffer).expect("receive"), length);
    }
    let (bytes, descriptors) = receiver.recv_bytes_with().expect("receive");
    assert_eq!((bytes.len(), descriptors.len()), (100_000, 2));
    sending.join().expect("sender");
    // Who receives into a buffer takes no descriptors: it was closed, and nobody else has it.
    assert_eq!(reading.read(&mut [0]).expect("read"), 0);
}

#[test]
fn an_end_is_a_message_and_takes_what_it_had_read_along() {
    let (mut outer, mut outer_in) = pipe::simplex::<End<u8, String>>().expect("simplex");
    let (inner, mut other) = pipe::pipe::<u8, String>().expect("pipe");
    let mut inner = inner;
    for text in ["one", "two", "three"] {
        other.send(text.into()).expect("send");
    }
    assert_eq!(inner.recv().expect("receive"), "one");
    outer.send(inner).expect("send an end");
    let mut inner = outer_in.recv().expect("receive an end");
    other.send("four".into()).expect("send");
    for expected in ["two", "three", "four"] {
        assert_eq!(inner.recv().expect("receive"), expected);
    }
    inner.send(7).expect("send");
    assert_eq!(other.recv().expect("receive"), 7);
    drop(inner);
    assert!(matches!(other.recv(), Err(RecvError::Closed)), "no copy was left behind");
}

#[test]
fn halves_of_one_pipe_travel_to_two_places() {
    let (mut out, mut back) = pipe::simplex::<(Option<Sender<u8>>, Option<Receiver<u8>>)>().expect("simplex");
    let (inner, other) = pipe::pipe::<u8, u8>().expect("pipe");
    let (sending, receiving) = inner.split().expect("split");
    out.send((Some(sending), None)).expect("send");
    out.send((None, Some(receiving))).expect("send");
    let (mut other_sender, mut other_receiver) = other.split().expect("split");
    let mut sending = back.recv().expect("receive").0.expect("sender");
    let mut receiving = back.recv().expect("receive").1.expect("receiver");
    sending.send(1).expect("the direction was not ended by the half that travelled");
    other_sender.send(2).expect("send");
    assert_eq!(other_receiver.recv().expect("receive"), 1);
    assert_eq!(receiving.recv().expect("receive"), 2);
}

#[test]
fn an_end_that_can_not_travel_says_why_and_comes_back() {
    let (mut out, _back) = pipe::simplex::<Sender<u8>>().expect("simplex");
    let (mut fed, mut receiver) = pipe::simplex::<u8>().expect("simplex");
    fed.feed(1).expect("feed");
    let unsent = out.send(fed).expect_err("unsent messages");
    assert!(unsent.error.to_string().contains("flush it first"), "{}", unsent.error);
    let mut fed = unsent.message;
    fed.flush().expect("flush");
    assert_eq!(receiver.recv().expect("receive"), 1);
    out.send(fed).expect("send");

    let (end, _other) = pipe::simplex::<u8>().expect("simplex");
    let error = serde_json::to_string(&end).expect_err("outside of a pipe");
    assert!(error.to_string().contains("only be sent through a pipe"), "{error}");
}

#[test]
fn an_end_of_the_wrong_direction_is_refused() {
    let (left, right) = socket::pair().expect("pair");
    let mut out = Sender::<Sender<u8>>::from_fd(left, Settings::new());
    let mut back = Receiver::<Receiver<u8>>::from_fd(right, Settings::new());
    let (sender, _receiver) = pipe::simplex::<u8>().expect("simplex");
    out.send(sender).expect("send");
    let error = back.recv().expect_err("wrong direction").to_string();
    assert!(error.contains("an end that sends came where one that receives belongs"), "{error}");
}

#[test]
fn a_received_end_has_the_limits_of_the_pipe_it_came_through() {
    let settings = Settings::new().message_bytes(100);
    let (mut out, mut back) = pipe::simplex_with::<Receiver<String>>(settings).expect("simplex");
    let (mut sender, receiver) = pipe::simplex_with::<String>(Settings::new().json()).expect("simplex");
    out.send(receiver).expect("send");
    let mut receiver = back.recv().expect("receive");
    assert_eq!(receiver.settings(), settings.json());
    sender.send("x".repeat(200)).expect("send");
    assert!(matches!(receiver.recv(), Err(RecvError::TooLarge { limit: 100, .. })));
}

#[test]
fn h08_descriptors_that_came_are_close_on_exec() {
    let (mut sender, mut receiver) = pipe::simplex::<Descriptor>().expect("simplex");
    sender.send(Descriptor(null())).expect("send");
    let Descriptor(received) = receiver.recv().expect("receive");
    let flags = rustix::io::fcntl_getfd(received.as_fd()).expect("flags");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_blob_passes_through_pipes_without_being_copied() {
    use procession::blob::Blob;

    let blob = Blob::copy_from(&vec![7; 1 << 20]).expect("works");
    for settings in [Settings::new(), Settings::new().json()] {
        let (mut first, mut second) = pipe::pipe_with::<Blob, Blob>(settings).expect("works");
        let inode = |blob: &Blob| {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("works");
            let start = format!("{:x}-", blob.as_ptr() as usize);
            let line = maps.lines().find(|line| line.starts_with(&start)).expect("works");
            line.split_whitespace().nth(4).expect("works").to_owned()
        };
        first.send(blob.clone()).expect("works");
        first.send(blob.clone()).expect("works");
        let came = second.recv().expect("works");
        second.send(came).expect("works");
        let back = first.recv().expect("works");
        assert_eq!(back, blob);
        assert_eq!(inode(&back), inode(&blob), "the same memory");
        assert_eq!(second.recv().expect("works").len(), 1 << 20);
    }
}
