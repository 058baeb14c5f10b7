//! Streams that are cut: what the receiver had, what it is told, and what the sender may still do.

use procession::pipe::memory::{self, Cut, Faults};
use procession::pipe::{RecvError, RecvIntoError, SendError, Settings};

/// Four messages of 14 bytes each, of which the stream carries so many bytes.
fn cut_after(bytes: u64, cut: Cut) -> (usize, RecvError, Vec<Result<(), SendError>>) {
    let faults =
        Faults { cut_after_bytes: Some(bytes), cut, piece_bytes: 5, seed: bytes, ..Faults::default() };
    let (mut sender, mut receiver) = memory::simplex::<()>(Settings::new(), &faults);
    let sent = (0..4).map(|_| sender.send_bytes(b"ten bytes!")).collect();
    drop(sender);
    let mut received = 0;
    loop {
        match receiver.recv_bytes() {
            Ok(message) => assert_eq!(message, b"ten bytes!"),
            Err(error) => return (received, error, sent),
        }
        received += 1;
    }
}

#[test]
fn h10_a_cut_between_messages_is_an_end_and_inside_one_is_not() {
    for bytes in 0..56 {
        let (received, error, sent) = cut_after(bytes, Cut::PeerDied);
        assert_eq!(received as u64, bytes / 14);
        match bytes % 14 {
            0 => assert!(matches!(error, RecvError::Closed), "{error:?}"),
            part => assert!(matches!(error, RecvError::Truncated { received } if received as u64 == part)),
        }
        let failed = sent.iter().find_map(|sent| sent.as_ref().err()).expect("a send failed");
        assert!(matches!(failed, SendError::PeerGone), "{failed:?}");
    }
}

#[test]
fn h09_a_reset_comes_after_the_messages() {
    let (received, error, _) = cut_after(28, Cut::Reset);
    assert_eq!(received, 2);
    assert!(matches!(error, RecvError::PeerGone));
    assert!(matches!(cut_after(30, Cut::Reset).1, RecvError::Truncated { received: 2 }));
}

#[test]
fn h11_a_pipe_is_poisoned_by_a_message_that_went_in_part() {
    for bytes in 0..56 {
        let (_, error, sent) = cut_after(bytes, Cut::WriteFails);
        let place = usize::try_from(bytes / 14).expect("small");
        assert!(sent[..place].iter().all(Result::is_ok));
        assert!(matches!(&sent[place], Err(SendError::Io(_))));
        match bytes % 14 {
            0 => {
                // The failure was between two messages: the pipe goes on, and this one was given back.
                assert!(sent[place + 1..].iter().all(Result::is_ok));
                assert!(matches!(error, RecvError::Closed), "{error:?}");
            }
            _ => {
                assert!(sent[place + 1..].iter().all(|sent| matches!(sent, Err(SendError::Poisoned))));
                assert!(matches!(error, RecvError::Truncated { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn h11_large_messages_poison_as_small_ones_do() {
    let faults = Faults { cut_after_bytes: Some(20_000), cut: Cut::WriteFails, ..Faults::default() };
    let (mut sender, receiver) = memory::simplex::<String>(Settings::new(), &faults);
    assert!(matches!(sender.send_bytes(&[0; 30_000]), Err(SendError::Io(_))));
    assert!(matches!(sender.send_bytes(b""), Err(SendError::Poisoned)));
    let unsent = sender.send("given back".into()).expect_err("poisoned");
    assert!(matches!(unsent.error, SendError::Poisoned));
    assert_eq!(unsent.message, "given back");
    drop(receiver);
}

#[test]
fn h10_a_large_message_that_is_cut_on_its_way_into_a_buffer_is_truncated() {
    // The second of two messages of 70 004 bytes each, in its header, at its body's first byte, and later.
    for (cut, bytes) in
        [(Cut::PeerDied, 70_005), (Cut::PeerDied, 70_008), (Cut::Reset, 70_009), (Cut::WriteFails, 139_000)]
    {
        let faults =
            Faults { cut_after_bytes: Some(bytes), cut, piece_bytes: 3000, seed: bytes, ..Faults::default() };
        let (mut sender, mut receiver) = memory::simplex::<()>(Settings::new(), &faults);
        let sending = std::thread::spawn(move || {
            sender.send_bytes(&[1; 70_000]).expect("send");
            sender.send_bytes(&[2; 70_000]).expect_err("cut");
            sender.send_bytes(b"")
        });
        let mut buffer = vec![0; 70_000];
        assert_eq!(receiver.recv_bytes_into(&mut buffer).expect("receive"), 70_000);
        for _ in 0..2 {
            let error = receiver.recv_bytes_into(&mut buffer).expect_err("cut");
            let RecvIntoError::Failed(RecvError::Truncated { received }) = error else { panic!("{error}") };
            assert_eq!(received as u64, bytes - 70_004);
        }
        let last = sending.join().expect("sender").expect_err("no message follows half a message");
        assert!(matches!(last, SendError::Poisoned), "{last:?}");
    }
}

#[test]
fn h06_a_peer_that_announces_too_much_is_blamed() {
    let (mut left, right) = memory::pair(&Faults::default());
    let mut right = procession::pipe::End::<(), (), _>::new(right, Settings::new().message_bytes(9));
    let length = [0xff, 0xff, 0xff, 0xff, 0, 0, 0x10, 0, 0, 0, 0, 0];
    send_raw(&mut left, &length);
    for _ in 0..2 {
        assert!(matches!(
            right.recv_bytes(),
            Err(RecvError::TooLarge { limit: 9, length: 0x1000_0000_0000 })
        ));
    }
    let (mut left, right) = memory::pair(&Faults::default());
    let mut right = procession::pipe::End::<(), (), _>::new(right, Settings::new());
    send_raw(&mut left, &(-2_i32).to_be_bytes());
    assert!(matches!(right.recv_bytes(), Err(RecvError::BadLength { length: -2 })));
}

fn send_raw(end: &mut memory::Memory, bytes: &[u8]) {
    use procession::pipe::transport::Transport;
    let wait = procession::sys::socket::Wait::Yes;
    let sent = end.send(&[std::io::IoSlice::new(bytes)], &[], wait).expect("send");
    assert_eq!(sent, bytes.len());
}
