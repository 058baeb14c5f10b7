//! The conversation over a pipe in memory, with the peer played by hand.

use std::thread;

use super::*;
use crate::pipe::memory::{self, Faults, Memory};

fn connections() -> (Connection<Memory>, Connection<Memory>) {
    let (left, right) = memory::pair(&Faults::default());
    (Connection::new(left, settings()), Connection::new(right, settings()))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn send(peer: &mut Connection<Memory>, bytes: &[u8]) {
    peer.send_bytes(bytes, Vec::new()).expect("send");
}

fn recv(peer: &mut Connection<Memory>) -> Vec<u8> {
    peer.receive(Patience::Forever).expect("receive");
    peer.take().expect("take").bytes.into_owned()
}

#[test]
fn two_that_know_the_key_agree() {
    let (mut ours, mut theirs) = connections();
    let client = thread::spawn(move || {
        authenticate(&mut theirs, &AuthKey::new("secret").without_md5(), Role::Client, soon())
    });
    authenticate(&mut ours, &AuthKey::new("secret"), Role::Listener, soon()).expect("listener");
    client.join().expect("join").expect("client");
}

#[test]
fn two_with_different_keys_do_not() {
    let (mut ours, mut theirs) = connections();
    let client =
        thread::spawn(move || authenticate(&mut theirs, &AuthKey::new("wrong"), Role::Client, soon()));
    let listener = authenticate(&mut ours, &AuthKey::new("secret"), Role::Listener, soon());
    assert!(matches!(listener, Err(AuthError::WrongDigest)));
    assert!(matches!(client.join().expect("join"), Err(AuthError::Rejected)));
}

/// CPython: `OtherTest.test_deliver_challenge_auth_failure`.
#[test]
fn a_bogus_answer_is_a_failure() {
    let (mut ours, mut theirs) = connections();
    send(&mut theirs, b"something bogus");
    let listener = authenticate(&mut ours, &AuthKey::new("abc"), Role::Listener, soon());
    assert!(matches!(listener, Err(AuthError::Protocol)));
    assert!(recv(&mut theirs).starts_with(CHALLENGE));
    assert_eq!(recv(&mut theirs), FAILURE);
}

/// CPython: `OtherTest.test_answer_challenge_auth_failure`.
#[test]
fn a_bogus_verdict_is_a_failure() {
    let (mut ours, mut theirs) = connections();
    send(&mut theirs, &[CHALLENGE, &[1; 20]].concat());
    send(&mut theirs, b"something bogus");
    let client = authenticate(&mut ours, &AuthKey::new("abc"), Role::Client, soon());
    assert!(matches!(client, Err(AuthError::Protocol)));
}

#[test]
fn a_challenge_without_its_word_is_a_failure() {
    let (mut ours, mut theirs) = connections();
    send(&mut theirs, b"GET / HTTP/1.1 and some more");
    let client = authenticate(&mut ours, &AuthKey::new("abc"), Role::Client, soon());
    assert!(matches!(client, Err(AuthError::Protocol)));
}

#[test]
fn an_own_challenge_that_comes_back_is_not_answered() {
    let (mut ours, mut theirs) = connections();
    let listener =
        thread::spawn(move || authenticate(&mut ours, &AuthKey::new("abc"), Role::Listener, soon()));
    let challenge = recv(&mut theirs);
    // It knows the answer to the first half, having had it from elsewhere, and asks back the same.
    let message = challenge.strip_prefix(CHALLENGE).expect("word");
    send(&mut theirs, &challenge::answer(b"abc", message, true).expect("answer"));
    assert_eq!(recv(&mut theirs), WELCOME);
    send(&mut theirs, &challenge);
    assert!(matches!(listener.join().expect("join"), Err(AuthError::Reflected)));
}

#[test]
fn h06_a_long_answer_is_refused_before_it_is_read() {
    let (mut ours, theirs) = connections();
    let mut theirs = theirs.with_settings(Settings::new());
    send(&mut theirs, &[0; 257]);
    let listener = authenticate(&mut ours, &AuthKey::new("abc"), Role::Listener, soon());
    assert!(matches!(listener, Err(AuthError::Recv(crate::pipe::RecvError::TooLarge { length: 257, .. }))));
}

#[test]
fn silence_is_a_timeout_and_a_hang_up_is_not() {
    let (mut ours, theirs) = connections();
    let silence = authenticate(&mut ours, &AuthKey::new("abc"), Role::Listener, Instant::now());
    assert!(matches!(silence, Err(AuthError::Timeout)));
    drop(theirs);
    let gone = authenticate(&mut ours, &AuthKey::new("abc"), Role::Client, soon());
    assert!(matches!(gone, Err(AuthError::Recv(_))));
}
