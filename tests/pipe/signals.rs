//! Signals that interrupt system calls do not show: after CPython's `TestIgnoreEINTR` and `_TestPollEintr`.
//!
//! A handler alone does not make `recv` fail with `EINTR`, but poll(2) is never restarted, so that `wait`,
//! `poll`, `recv_timeout` and `accept` are interrupted by each of these signals. The tests of `sys` interrupt
//! the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procession::pipe::{self, Address, End, Listener, ListenerSettings, connect, wait};

use crate::children::{finish, start};

const LONG: Duration = Duration::from_secs(600);

/// Sends the signal once the process sleeps in a system call, so many times.
fn interrupt_sleeping(pid: u32, times: usize) {
    let pid = i32::try_from(pid).expect("pid");
    for _ in 0..times {
        while !threads_sleep(pid) {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("kill");
    }
}

/// Whether every thread of the process sleeps.
fn threads_sleep(pid: i32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("proc").all(|task| {
        let path = task.expect("task").path().join("stat");
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    })
}

fn catch() -> Arc<AtomicBool> {
    let caught = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&caught)).expect("register");
    caught
}

/// CPython: `TestIgnoreEINTR.test_ignore`.
#[test]
fn receiving_waiting_and_sending_go_on_after_signals() {
    let (mut end, theirs) = pipe::pipe::<u32, String>().expect("pipe");
    let child = start("interrupted", theirs);
    assert_eq!(end.recv().expect("receive"), "ready");
    for round in 0..4 {
        interrupt_sleeping(child.id(), 20);
        end.send(round).expect("send");
        assert_eq!(end.recv().expect("receive"), format!("{round} after signals: true"));
    }
    // Now it blocks in a send.
    interrupt_sleeping(child.id(), 20);
    assert!(end.recv_bytes().expect("receive") == vec![b'x'; 8 << 20]);
    finish(child);
}

pub(crate) fn interrupted() {
    let mut end = End::<String, u32>::take("pipe").expect("take");
    let caught = catch();
    end.send("ready".into()).expect("send");
    for round in 0..4 {
        match round {
            0 => {}
            1 => assert_eq!(wait(&[&end], Some(LONG)).expect("wait"), [0]),
            2 => assert!(end.poll(Some(LONG)).expect("poll")),
            _ => assert!(end.poll(None).expect("poll")),
        }
        let number = match round {
            0 => end.recv().expect("receive"),
            _ => end.recv_timeout(LONG).expect("receive"),
        };
        let answer = format!("{number} after signals: {}", caught.swap(false, Ordering::SeqCst));
        end.send(answer).expect("send");
    }
    end.send_bytes(&vec![b'x'; 8 << 20]).expect("send");
}

/// CPython: `TestIgnoreEINTR.test_ignore_listener`.
#[test]
fn accepting_goes_on_after_signals() {
    let (theirs, mut receiver) = pipe::simplex::<String>().expect("simplex");
    let child = start("interrupted listener", theirs);
    let path = receiver.recv().expect("receive");
    interrupt_sleeping(child.id(), 20);
    let mut client: End<(), String> = connect(&Address::path(path)).expect("connect");
    assert_eq!(client.recv().expect("receive"), "welcome after signals: true");
    finish(child);
}

pub(crate) fn interrupted_listener() {
    let mut sender = pipe::Sender::<String>::take("pipe").expect("take");
    let caught = catch();
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("meeting");
    let listener = Listener::bind(Address::path(&path), ListenerSettings::new()).expect("bind");
    sender.send(path.to_str().expect("text").into()).expect("send");
    let mut end: End<String, ()> = listener.accept_timeout(Some(LONG)).expect("accept");
    end.send(format!("welcome after signals: {}", caught.load(Ordering::SeqCst))).expect("send");
}
