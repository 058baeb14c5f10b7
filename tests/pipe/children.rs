//! The children of the stories: this same test program, started again to play a role.
//!
//! A child runs the one test [`play`], which does nothing when nobody gave it a role.

use std::process::{Child, Command, Stdio};

use procession::pipe::{self, Descriptor, End, Receiver, RecvError, Sender};

const ROLE: &str = "PROCESSION_TEST_ROLE";

/// Starts a child that plays the role, with the end.
pub(crate) fn start<Out, In>(role: &str, end: End<Out, In>) -> Child {
    pipe::spawn(command(role), end).expect("spawn")
}

/// The command for a child that plays the role.
pub(crate) fn command(role: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(["--exact", "children::play", "--nocapture"]).env(ROLE, role).stdout(Stdio::null());
    program
}

/// Waits for a child, which must have played well.
pub(crate) fn finish(mut child: Child) {
    let status = child.wait().expect("wait");
    assert!(status.success(), "a child failed: {status}");
}

/// The number of descriptors of this process.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "echo" => echo(),
        "doubler" => doubler(),
        "writer" => writer(),
        "third" => third(),
        "ten" => ten(),
        "wait for the end" => wait_for_the_end(),
        "abort inside" => abort_inside(),
        "take in many ways" => take_in_many_ways(),
        "count" => crate::processes::count(),
        "grandparent" => grandparent(),
        "interrupted" => crate::signals::interrupted(),
        "interrupted listener" => crate::signals::interrupted_listener(),
        "client" => crate::meeting::client(),
        "die listening" => crate::meeting::die_listening(),
        other => panic!("no such role: {other}"),
    }
}

/// Sends every message back, as bytes, until the empty one.
fn echo() {
    let mut end = End::<(), ()>::take("pipe").expect("take");
    loop {
        let bytes = end.recv_bytes().expect("receive");
        if bytes.is_empty() {
            return;
        }
        end.send_bytes(&bytes).expect("send");
    }
}

/// Gets a sender and sends, gets a receiver and answers with what it received, doubled.
fn doubler() {
    let mut end =
        End::<String, (Option<Sender<String>>, Option<Receiver<String>>)>::take("pipe").expect("take");
    let mut sender = end.recv().expect("receive").0.expect("sender");
    sender.send("all is well".into()).expect("send");
    drop(sender);
    let mut receiver = end.recv().expect("receive").1.expect("receiver");
    let text = receiver.recv().expect("receive");
    end.send(text.repeat(2)).expect("send");
}

/// Writes to a descriptor that it gets.
fn writer() {
    use std::io::Write;
    let mut end = Receiver::<(Descriptor, String)>::take("pipe").expect("take");
    let (Descriptor(file), text) = end.recv().expect("receive");
    std::fs::File::from(file).write_all(text.as_bytes()).expect("write");
}

/// Gets an end of a pipe to somebody it does not know, and talks to them until they stop.
fn third() {
    let mut end = Receiver::<End<String, u32>>::take("pipe").expect("take");
    let mut stranger = end.recv().expect("receive an end");
    loop {
        match stranger.recv() {
            Ok(number) => stranger.send(format!("{number} by a third process")).expect("send"),
            Err(error) => return assert!(error.is_end(), "{error}"),
        }
    }
}

/// Sends ten numbers with its process id.
fn ten() {
    let mut sender = Sender::<(u32, u32)>::take("pipe").expect("take");
    for number in 0..10 {
        sender.send((std::process::id(), number)).expect("send");
    }
}

/// Ends when its pipe does.
fn wait_for_the_end() {
    let mut receiver = Receiver::<()>::take("pipe").expect("take");
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
}

/// Sends a message, and dies in the middle of the next.
fn abort_inside() {
    use procession::sys::socket;
    use std::os::fd::AsFd;
    let mut end = Sender::<String>::take("pipe").expect("take");
    end.send("whole".into()).expect("send");
    socket::send(end.as_fd(), b"\0\0\0\x09part", socket::Wait::Yes).expect("send");
    std::process::abort();
}

/// What can go wrong when an end is taken.
fn take_in_many_ways() {
    use procession::pipe::TakeError;
    assert!(matches!(Sender::<u8>::take("other"), Err(TakeError::NotGiven { .. })));
    let wrong = Receiver::<u8>::take("answers").expect_err("it is a sender").to_string();
    assert!(wrong.contains(r#"the pipe "answers" is an end that sends"#), "{wrong}");
    let mut sender = Sender::<String>::take("answers").expect("take");
    let twice = Sender::<String>::take("answers").expect_err("twice").to_string();
    assert!(twice.contains("taken before"), "{twice}");
    sender.send(wrong).expect("send");
    sender.send(twice).expect("send");
}

/// Starts a child of its own, which has its own pipe and not this one.
fn grandparent() {
    let mut end = End::<String, ()>::take("pipe").expect("take");
    let (mut ours, theirs) = pipe::pipe::<(), ()>().expect("pipe");
    let child = start("echo", theirs);
    let listing = std::fs::read_dir(format!("/proc/{}/fd", child.id())).expect("proc");
    let sockets = listing.filter(|entry| {
        let path = entry.as_ref().expect("entry").path();
        let is_standard = ["0", "1", "2"].iter().any(|stream| path.ends_with(stream));
        let target = std::fs::read_link(path);
        !is_standard && target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    });
    let count = sockets.count();
    ours.send_bytes(b"").expect("send");
    finish(child);
    end.send(format!("{count} socket")).expect("send");
}
