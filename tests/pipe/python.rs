//! Pipes to Python programs that use nothing but their standard library.
//!
//! Each story runs with every Python 3 that is found: `python3`, and those of pyenv. The challenge of 3.12
//! and later is told by `modern.py` too, so that it is tested where there is an older Python only. Without any
//! Python the stories say so and test nothing, unless `PROCESSION_REQUIRE_PYTHON` is set, as CI does.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use procession::pipe::{
    self, AcceptError, Address, AuthError, AuthKey, ConnectError, Connector, Descriptor, End, Listener,
    ListenerSettings, RecvError, Settings, spawn,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::children::finish;

/// The minor versions of the Pythons here, and their programs.
static PYTHONS: LazyLock<BTreeMap<u32, PathBuf>> = LazyLock::new(|| {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let of_pyenv = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let candidates = of_pyenv.map(|entry| entry.path().join("bin/python3")).chain(["python3".into()]);
    let found = candidates.filter_map(|program| {
        let asked = Command::new(&program).args(["-c", "import sys; print(sys.version_info[1])"]).output();
        let told = String::from_utf8(asked.ok()?.stdout).ok()?;
        Some((told.trim().parse().ok()?, program))
    });
    let found: BTreeMap<u32, PathBuf> = found.collect();
    let required = std::env::var_os("PROCESSION_REQUIRE_PYTHON").is_some();
    assert!(!(required && found.is_empty()), "these tests need a python3 in the path");
    if found.is_empty() {
        eprintln!("skipped: there is no python3 in the path, so nothing is told of pipes to Python");
    }
    found
});

/// A Python that plays a role of `peer.py` or `modern.py`.
fn python<Out, In>(program: &PathBuf, script: &str, arguments: &[&str], end: End<Out, In>) -> Child {
    let script = format!("{}/tests/pipe/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(program);
    // Isolated, and writing no caches beside the script.
    command.args(["-I", "-B", &script]).args(arguments);
    spawn(command, end).expect("spawn")
}

#[test]
fn bytes_of_every_length_go_there_and_back() {
    for program in PYTHONS.values() {
        let (mut end, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        let child = python(program, "peer.py", &["echo"], theirs);
        for length in [0, 1, 16_384, 16_385, 3 << 20] {
            let bytes: Vec<u8> =
                (0..length).map(|at: u32| u8::try_from(at % 251).expect("below 251")).collect();
            end.send_bytes(&bytes).expect("send");
            assert!(end.recv_bytes().expect("receive") == bytes, "{length} bytes");
        }
        end.half_close().expect("half close");
        assert!(matches!(end.recv_bytes(), Err(RecvError::Closed)), "Python ends at end-of-file");
        finish(child);
    }
}

#[test]
fn objects_go_as_json() {
    #[derive(Serialize)]
    struct Question {
        name: &'static str,
        numbers: Vec<f64>,
    }
    #[derive(Debug, Deserialize)]
    struct Answer {
        received: Value,
        again: Vec<Value>,
    }
    for program in PYTHONS.values() {
        let (mut end, theirs) = pipe::pipe_with::<Question, Answer>(Settings::new().json()).expect("pipe");
        let child = python(program, "peer.py", &["objects"], theirs);
        end.send(Question { name: "snäke", numbers: vec![1.0, 2.5] }).expect("send");
        let answer = end.recv().expect("receive");
        assert_eq!(answer.received, json!({ "name": "snäke", "numbers": [1.0, 2.5] }));
        assert_eq!(answer.again, vec![answer.received.clone(), answer.received]);
        drop(end);
        finish(child);
    }
}

#[test]
fn h12_a_python_gets_a_blocking_end_even_from_an_async_one() {
    let Some(program) = PYTHONS.values().next_back() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let (ours, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        let mut ours = ours.into_async().expect("async");
        let theirs = theirs.into_async().expect("async").into_blocking();
        let child = python(program, "peer.py", &["echo"], theirs);
        // Python fails with EAGAIN, or loses its place, if its end does not block.
        for _ in 0..3 {
            ours.send_bytes(&vec![1; 2 << 20]).await.expect("send");
            assert_eq!(ours.recv_bytes().await.expect("receive").len(), 2 << 20);
        }
        drop(ours);
        finish(child);
    });
}

#[test]
fn h10_a_python_that_ends_inside_a_message_is_noticed_and_long_headers_are_read() {
    let Some(program) = PYTHONS.values().next() else { return };
    let (mut end, theirs) = pipe::pipe::<(), ()>().expect("pipe");
    finish(python(program, "peer.py", &["truncated"], theirs));
    assert!(matches!(end.recv_bytes(), Err(RecvError::Truncated { received: 7 })));
    let (mut end, theirs) = pipe::pipe::<(), ()>().expect("pipe");
    finish(python(program, "peer.py", &["long_header"], theirs));
    assert_eq!(end.recv_bytes().expect("receive"), b"hello");
}

#[test]
fn a_python_takes_descriptors() {
    #[derive(Serialize)]
    struct Job {
        output: Descriptor,
    }
    // `socket.recv_fds` came with 3.9.
    for program in PYTHONS.range(9..).map(|(_, program)| program) {
        let (mut end, theirs) = pipe::pipe_with::<Job, ()>(Settings::new().json()).expect("pipe");
        let child = python(program, "peer.py", &["descriptor"], theirs);
        let (mut reading, writing) = std::io::pipe().expect("pipe");
        end.send(Job { output: Descriptor(writing.into()) }).expect("send");
        finish(child);
        let mut text = String::new();
        reading.read_to_string(&mut text).expect("read");
        assert_eq!(text, "from Python");
    }
}

/// A place to meet, as Rust and as an argument for Python. Tests run beside one another, so each has a name of its own.
fn places(directory: &tempfile::TempDir, version: u32) -> [(Address, String); 2] {
    let path = directory.path().join("meeting");
    let text = path.to_str().expect("text").to_string();
    static PLACES: AtomicU32 = AtomicU32::new(0);
    let place = PLACES.fetch_add(1, Ordering::Relaxed);
    let name = format!("procession-python-{}-{version}-{place}", std::process::id());
    [(Address::path(path), text), (Address::abstract_name(&name), format!("@{name}"))]
}

#[test]
fn a_python_client_meets_our_listener() {
    for (version, program) in PYTHONS.iter() {
        for key in [None, Some("secret")] {
            let directory = tempfile::tempdir().expect("directory");
            for (address, text) in places(&directory, *version) {
                let settings = ListenerSettings::new();
                let settings = key.map_or(settings.clone(), |key| settings.key(AuthKey::new(key)));
                let listener = Listener::bind(address.clone(), settings).expect("bind");
                let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
                let arguments: Vec<&str> = ["client", &text].into_iter().chain(key).collect();
                let child = python(program, "peer.py", &arguments, theirs);
                let mut end: End<(), ()> = listener.accept().expect("accept");
                assert_eq!(end.recv_bytes().expect("receive"), b"hello from Python");
                end.send_bytes(b"hello from Rust").expect("send");
                assert_eq!(told.recv_bytes().expect("receive"), b"hello from Rust");
                finish(child);
            }
        }
    }
}

#[test]
fn our_client_meets_a_python_listener() {
    for (version, program) in PYTHONS.iter() {
        for key in [None, Some("secret")] {
            let directory = tempfile::tempdir().expect("directory");
            // Listening at an abstract name came with 3.9.
            let kinds = if *version < 9 { 1 } else { 2 };
            for (address, text) in places(&directory, *version).into_iter().take(kinds) {
                let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
                let arguments: Vec<&str> = ["listener", &text].into_iter().chain(key).collect();
                let child = python(program, "peer.py", &arguments, theirs);
                assert_eq!(told.recv_bytes().expect("receive"), b"listening");
                let connector = key.map_or(Connector::new(), |key| Connector::new().key(AuthKey::new(key)));
                let mut end: End<(), ()> = connector.connect(&address).expect("connect");
                end.send_bytes(b"hello").expect("send");
                assert_eq!(end.recv_bytes().expect("receive"), b"HELLO");
                finish(child);
            }
        }
    }
}

#[test]
fn a_wrong_key_is_refused_by_either_side() {
    for (version, program) in PYTHONS.iter() {
        let directory = tempfile::tempdir().expect("directory");
        let [(address, text), _] = places(&directory, *version);
        let settings = ListenerSettings::new().key(AuthKey::new("right"));
        let listener = Listener::bind(address.clone(), settings).expect("bind");
        let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        let child = python(program, "peer.py", &["client", &text, "wrong"], theirs);
        let error = listener.accept::<(), ()>().expect_err("wrong key");
        assert!(matches!(error, AcceptError::Auth(AuthError::WrongDigest)), "{error}");
        assert_eq!(told.recv_bytes().expect("receive"), b"digest sent was rejected");
        finish(child);
        drop(listener);

        let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
        let child = python(program, "peer.py", &["listener", &text, "right"], theirs);
        assert_eq!(told.recv_bytes().expect("receive"), b"listening");
        let wrong = Connector::new().key(AuthKey::new("wrong")).connect::<(), ()>(&address);
        let error = wrong.expect_err("wrong key");
        assert!(matches!(error, ConnectError::Auth(AuthError::Rejected)), "{error}");
        assert_eq!(told.recv_bytes().expect("receive"), b"digest received was wrong");
        finish(child);
    }
}

#[test]
fn a_python_of_md5_is_refused_where_that_is_asked() {
    let Some((version, program)) = PYTHONS.range(..12).next_back() else { return };
    let directory = tempfile::tempdir().expect("directory");
    let [(address, text), _] = places(&directory, *version);
    let settings = ListenerSettings::new().key(AuthKey::new("secret").without_md5());
    let listener = Listener::bind(address, settings).expect("bind");
    let (_told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
    let child = python(program, "peer.py", &["client", &text, "secret"], theirs);
    let error = listener.accept::<(), ()>().expect_err("MD5");
    assert!(matches!(error, AcceptError::Auth(AuthError::Digest { .. })), "{error}");
    finish(child);
}

/// The form of Python 3.12, in both roles, with each digest.
#[test]
fn the_challenge_of_new_pythons_is_spoken() {
    let Some(program) = PYTHONS.values().next_back() else { return };
    for digest in ["sha256", "sha384", "md5"] {
        let directory = tempfile::tempdir().expect("directory");
        let [(address, text), _] = places(&directory, 0);
        for (key, right) in [("secret", true), ("wrong", false)] {
            let settings = ListenerSettings::new().key(AuthKey::new("secret"));
            let listener = Listener::bind(address.clone(), settings).expect("bind");
            let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
            let child = python(program, "modern.py", &["client", &text, key, digest], theirs);
            match listener.accept::<(), ()>() {
                Ok(mut end) => {
                    assert!(right);
                    assert_eq!(end.recv_bytes().expect("receive"), b"hello from Python");
                    end.send_bytes(b"hello").expect("send");
                    assert_eq!(told.recv_bytes().expect("receive"), b"hello");
                }
                Err(error) => {
                    assert!(!right, "{error}");
                    assert_eq!(told.recv_bytes().expect("receive"), b"refused");
                }
            }
            finish(child);
            drop(listener);

            let (mut told, theirs) = pipe::pipe::<(), ()>().expect("pipe");
            let child = python(program, "modern.py", &["listener", &text, key, digest], theirs);
            assert_eq!(told.recv_bytes().expect("receive"), b"listening");
            match Connector::new().key(AuthKey::new("secret")).connect::<(), ()>(&address) {
                Ok(mut end) => {
                    assert!(right);
                    end.send_bytes(b"hello").expect("send");
                    assert_eq!(end.recv_bytes().expect("receive"), b"HELLO");
                }
                Err(error) => {
                    assert!(!right && matches!(error, ConnectError::Auth(AuthError::Rejected)), "{error}");
                    assert_eq!(told.recv_bytes().expect("receive"), b"refused");
                }
            }
            finish(child);
            if let Address::Path(path) = &address {
                std::fs::remove_file(path).expect("the script leaves its file");
            }
        }
    }
}
