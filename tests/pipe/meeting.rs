//! Strangers that meet: after CPython's `_TestListener` and `_TestListenerClient`.

use std::thread;
use std::time::Duration;

use procession::pipe::{
    self, AcceptError, Address, AuthError, AuthKey, BindError, ConnectError, Connector, End, Listener,
    ListenerSettings, Peers, Receiver, Sender, Settings, connect, wait,
};
use tempfile::TempDir;

use crate::children::{finish, start};

fn place() -> (TempDir, Address) {
    let directory = tempfile::tempdir().expect("directory");
    let address = Address::path(directory.path().join("meeting"));
    (directory, address)
}

fn bind(address: &Address) -> Listener {
    Listener::bind(address.clone(), ListenerSettings::new()).expect("bind")
}

/// An abstract name that nobody else has.
fn abstract_name(what: &str) -> Address {
    Address::abstract_name(format!("procession-test-{}-{what}", std::process::id()))
}

/// CPython: `_TestListener.test_multiple_bind`.
#[test]
fn a_living_listener_is_never_taken_from() {
    let (_directory, path) = place();
    for address in [path, abstract_name("multiple")] {
        let listener = bind(&address);
        for _ in 0..2 {
            let error = Listener::bind(address.clone(), ListenerSettings::new()).expect_err("in use");
            assert!(matches!(error, BindError::InUse { .. }), "{error}");
        }
        // Looking whether it lives has cost it a connection of no words, which is its client's end.
        if let Address::Path(_) = address {
            for _ in 0..2 {
                let mut looked: End<u8, u8> = listener.accept().expect("accept");
                assert!(looked.recv().expect_err("nothing").is_end());
            }
        }
        let mut client: End<u8, u8> = connect(&address).expect("connect");
        let mut server: End<u8, u8> = listener.accept().expect("accept");
        client.send(1).expect("send");
        assert_eq!(server.recv().expect("receive"), 1);
    }
}

/// CPython: `_TestListener.test_context` and `test_abstract_socket`.
#[test]
fn a_dropped_listener_leaves_nothing() {
    let (_directory, path) = place();
    for address in [path, abstract_name("context")] {
        let listener = bind(&address);
        let mut client: End<u32, ()> = connect(&address).expect("connect");
        let mut server: End<(), u32> = listener.accept().expect("accept");
        client.send(1729).expect("send");
        assert_eq!(server.recv().expect("receive"), 1729);
        drop(listener);
        if let Address::Path(path) = &address {
            assert!(!path.exists());
        }
        let error = connect::<u8, u8>(&address).expect_err("nobody");
        assert!(matches!(error, ConnectError::NotFound { .. }), "{error}");
        bind(&address);
    }
}

/// CPython: `_TestListenerClient.test_listener_client` and `test_issue14725`.
#[test]
fn a_client_that_has_come_spoken_and_gone_is_accepted_and_heard() {
    let (_directory, path) = place();
    for address in [path, abstract_name("gone")] {
        let listener = bind(&address);
        let (mut instructions, theirs) = pipe::simplex::<String>().expect("simplex");
        let child = start("client", theirs);
        instructions.send(address_text(&address)).expect("send");
        finish(child);
        let mut end: End<(), String> = listener.accept().expect("accept");
        assert_eq!(end.recv().expect("receive"), "hello");
        assert!(end.recv().expect_err("gone").is_end());
    }
}

/// As Python writes it.
fn address_text(address: &Address) -> String {
    match address {
        Address::Path(path) => path.to_str().expect("text").into(),
        Address::Abstract(name) => format!("\0{}", String::from_utf8_lossy(name)),
    }
}

pub(crate) fn client() {
    let address = Receiver::<String>::take("pipe").expect("take").recv().expect("receive");
    let mut end: End<String, ()> = connect(&Address::from(address.as_str())).expect("connect");
    end.send("hello".into()).expect("send");
}

/// CPython: `_TestListenerClient.test_issue16955`.
#[test]
fn an_accepted_end_can_be_polled() {
    let (_directory, address) = place();
    let listener = bind(&address);
    let mut client: End<(), ()> = connect(&address).expect("connect");
    let mut server: End<(), ()> = listener.accept().expect("accept");
    server.send_bytes(b"hello").expect("send");
    assert!(client.poll(Some(Duration::from_secs(60))).expect("poll"));
}

#[test]
fn the_file_of_a_dead_listener_is_replaced() {
    let (_directory, address) = place();
    let (mut told, theirs) = pipe::simplex::<String>().expect("simplex");
    let mut child = start("die listening", theirs);
    told.send(address_text(&address)).expect("send");
    assert!(!child.wait().expect("wait").success());
    let Address::Path(path) = &address else { return };
    assert!(path.exists(), "it died without removing its file");
    assert!(matches!(connect::<u8, u8>(&address), Err(ConnectError::Refused { .. })));
    let listener = bind(&address);
    let mut client: End<u8, u8> = connect(&address).expect("connect");
    let mut server: End<u8, u8> = listener.accept().expect("accept");
    client.send(1).expect("send");
    assert_eq!(server.recv().expect("receive"), 1);
}

pub(crate) fn die_listening() {
    let address = Receiver::<String>::take("pipe").expect("take").recv().expect("receive");
    let _listener = bind(&Address::from(address.as_str()));
    std::process::abort();
}

#[test]
fn a_file_that_is_no_socket_is_not_touched() {
    let (directory, address) = place();
    let Address::Path(path) = &address else { return };
    std::fs::write(path, "precious").expect("write");
    let error = Listener::bind(address.clone(), ListenerSettings::new()).expect_err("no socket");
    assert!(matches!(error, BindError::NotASocket { .. }));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(path, &link).expect("link");
    let error = Listener::bind(Address::path(&link), ListenerSettings::new()).expect_err("no socket");
    assert!(matches!(error, BindError::NotASocket { .. }));
    assert_eq!(std::fs::read_to_string(path).expect("read"), "precious");
    let missing = Address::path(directory.path().join("missing/meeting"));
    assert!(matches!(Listener::bind(missing, ListenerSettings::new()), Err(BindError::Io { .. })));
}

/// Many begin at once where a dead listener's file lies: one wins, and nobody takes it from the winner.
#[test]
fn of_many_that_begin_at_once_one_listens() {
    for _ in 0..20 {
        let (_directory, address) = place();
        let Address::Path(path) = &address else { return };
        drop(std::os::unix::net::UnixListener::bind(path).expect("a file that nobody listens at"));
        let bound: Vec<_> = thread::scope(|scope| {
            let begin = || Listener::bind(address.clone(), ListenerSettings::new());
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
        assert!(bound.iter().all(|bound| matches!(bound, Ok(_) | Err(BindError::InUse { .. }))));
    }
}

#[test]
fn a_listener_removes_only_its_own_file() {
    let (_directory, address) = place();
    let Address::Path(path) = &address else { return };
    let first = bind(&address);
    std::fs::remove_file(path).expect("somebody removed it");
    let second = bind(&address);
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn both_sides_know_the_key_or_neither_gets_a_pipe() {
    let (_directory, address) = place();
    let settings = ListenerSettings::new().key(AuthKey::new("secret")).pipe(Settings::new().json());
    let listener = Listener::bind(address.clone(), settings).expect("bind");
    thread::scope(|scope| {
        let right = scope.spawn(|| {
            let connector = Connector::new().key(AuthKey::new("secret").without_md5());
            let mut end: End<String, String> =
                connector.pipe(Settings::new().json()).connect(&address).expect("connect");
            end.send("hello".into()).expect("send");
            end.recv().expect("receive")
        });
        let mut end: End<String, String> = listener.accept().expect("accept");
        assert_eq!(end.recv().expect("receive"), "hello");
        end.send("x".repeat(1000)).expect("the handshake's small limit is over");
        assert_eq!(right.join().expect("client").len(), 1000);

        let wrong = scope.spawn(|| Connector::new().key(AuthKey::new("wrong")).connect::<(), ()>(&address));
        let error = listener.accept::<(), ()>().expect_err("wrong key");
        assert!(matches!(error, AcceptError::Auth(AuthError::WrongDigest)), "{error}");
        let error = wrong.join().expect("client").expect_err("wrong key");
        assert!(matches!(error, ConnectError::Auth(AuthError::Rejected)), "{error}");
    });
}

#[test]
fn a_silent_or_vanished_client_costs_one_accept_and_not_the_listener() {
    let (_directory, address) = place();
    let settings = ListenerSettings::new().key(AuthKey::new("secret")).patience(Duration::from_millis(10));
    let listener = Listener::bind(address.clone(), settings).expect("bind");
    let silent: End<(), ()> = connect(&address).expect("connect");
    let error = listener.accept::<(), ()>().expect_err("silent");
    assert!(matches!(error, AcceptError::Auth(AuthError::Timeout)), "{error}");
    drop(silent);
    drop(connect::<(), ()>(&address).expect("connect"));
    let error = listener.accept::<(), ()>().expect_err("vanished");
    assert!(matches!(error, AcceptError::Auth(AuthError::Recv(_) | AuthError::Send(_))), "{error}");
    let error = listener.accept_timeout::<(), ()>(Some(Duration::ZERO)).expect_err("nobody");
    assert!(matches!(error, AcceptError::Empty));
}

#[test]
fn the_peers_user_is_checked_where_asked() {
    let (_directory, address) = place();
    let own = rustix::process::geteuid().as_raw();
    let permits = |peers| ListenerSettings::new().peers(peers);
    let listener = Listener::bind(address.clone(), permits(Peers::Users(vec![own + 1]))).expect("bind");
    let _client: End<(), ()> = connect(&address).expect("connect");
    let error = listener.accept::<(), ()>().expect_err("refused");
    assert!(matches!(error, AcceptError::Refused { uid, .. } if uid == own), "{error}");
    let stranger = Connector::new().peers(Peers::Users(vec![own + 1]));
    assert!(
        matches!(stranger.connect::<(), ()>(&address), Err(ConnectError::Stranger { uid, .. }) if uid == own)
    );
    drop(listener);
    for peers in [Peers::SameUser, Peers::Users(vec![own]), Peers::Any] {
        let listener = Listener::bind(address.clone(), permits(peers.clone())).expect("bind");
        let _client: End<(), ()> = Connector::new().peers(peers).connect(&address).expect("connect");
        listener.accept::<(), ()>().expect("accept");
    }
}

#[test]
fn a_listener_is_waited_for_like_a_pipe() {
    let (_directory, address) = place();
    let listener = bind(&address);
    assert!(wait(&[&listener], Some(Duration::ZERO)).expect("wait").is_empty());
    let _client: Sender<u8> = connect(&address).expect("connect");
    assert_eq!(wait(&[&listener], None).expect("wait"), [0]);
    listener.accept::<u8, u8>().expect("accept");
    assert!(wait(&[&listener], Some(Duration::ZERO)).expect("wait").is_empty());
}

#[test]
fn addresses_are_read_as_python_writes_them() {
    assert_eq!(Address::from("\0name"), Address::abstract_name("name"));
    assert_eq!(Address::from("/tmp/name"), Address::path("/tmp/name"));
    assert_eq!(Address::abstract_name(b"a\0b").to_string(), "@a\\x00b");
    let long = Address::path("/tmp/".to_string() + &"x".repeat(200));
    assert!(matches!(Listener::bind(long, ListenerSettings::new()), Err(BindError::Io { .. })));
}
