//! The program of the stories: honest actors, and workers that become one and then send what they like.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::sync_channel;

use procession::id::{Incarnation, ProcessId};
use procession::prelude::*;
use procession::process::bootstrap::{leave, take_over};
use procession::process::control::ControlEvent;
use procession::protocol::control::{Medium, Preamble, Ready, ToRoot, ToWorker};

/// Says to a worker what to send; an honest one has no such variable.
pub(crate) const ROLE: &str = "HOSTILE_ROLE";

/// Forwards a message to another, and tells how that ended.
#[derive(ProcActor)]
#[proc_actor(messages(Forward, Hello))]
pub(crate) struct Honest;

impl Actor for Honest {
    type Context = Context<Self>;
}

impl Spawn for Honest {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Honest)
    }
}

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
pub(crate) struct Hello;

impl Handler<Hello> for Honest {
    type Result = u32;
    fn handle(&mut self, _: Hello, _: &mut Context<Self>) -> u32 {
        std::process::id()
    }
}

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "String")]
pub(crate) struct Forward(pub(crate) ProcAddr<Honest>);

impl Handler<Forward> for Honest {
    type Result = ResponseFuture<String>;
    fn handle(&mut self, Forward(to): Forward, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            match to.send(Hello).await {
                Ok(_) => "answered".to_owned(),
                Err(error) => error.to_string(),
            }
        })
    }
}

pub(crate) fn program() -> Program {
    Program::new().actor::<Honest>()
}

/// A worker whose topology says so is hostile; it never returns.
pub(crate) fn play_hostile() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let takeover = take_over().unwrap_or_else(|error| error.exit()).expect("started as a worker");
    let build = takeover.build();
    let (sender, events) = sync_channel(64);
    let started = takeover.start(move |event| sender.try_send(event).expect("room"));
    let (welcome, lane) = started.unwrap_or_else(|error| error.exit());
    let (process, incarnation, limits) = (welcome.process, welcome.incarnation, welcome.limits);
    let say = |what| lane.send(what).expect("the lane has room");
    say(ToRoot::Ready(Ready { process, incarnation, build, limits }));
    if role == "accuser" {
        // Of the first process, to which it has no pipe, and of itself.
        for accused in [ProcessId(1), process] {
            let reason = "it broke my heart".to_owned();
            say(ToRoot::Blame { process: accused, incarnation: Incarnation::FIRST, reason });
        }
        say(ToRoot::Introduce {
            target: procession::id::Capability::unsealed(procession::id::ActorId::declared(
                ProcessId(1),
                procession::id::Slot(0),
            )),
            broken: None,
        });
    }
    let mut pipes = Vec::new();
    loop {
        match events.recv().expect("the control thread lives") {
            ControlEvent::Frame(ToWorker::Stop { .. }, _) => leave(&lane, 0),
            ControlEvent::Frame(ToWorker::Introduce { medium, .. }, descriptors) => {
                pipes.push(abuse(&role, medium, descriptors));
            }
            ControlEvent::RootGone | ControlEvent::Terminate => leave(&lane, 1),
            ControlEvent::Frame(..) => {}
        }
    }
}

/// Sends what its role is on a data pipe, and keeps the pipe.
fn abuse(role: &str, medium: Medium, descriptors: Vec<OwnedFd>) -> UnixStream {
    let mut descriptors = descriptors.into_iter();
    let mut pipe = UnixStream::from(descriptors.next().expect("a socket"));
    match (role, medium) {
        ("scribbler", _) => scribble(&descriptors.next().expect("memory").into()),
        // It will not share memory, so its bytes go over the socket.
        (_, Medium::Shared { .. }) => pipe.write_all(b"s").expect("room"),
        (_, Medium::Socket) => {}
    }
    let bytes = match role {
        "noise" => [&Preamble::ours()[..], &[0xee; 4000]].concat(),
        "stranger" => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        "scribbler" => b"m\0".to_vec(),
        _ => Vec::new(),
    };
    // The victim may have hung up before it was all written.
    let _ = pipe.write_all(&bytes);
    pipe
}

/// Every word that tells how far the rings are says nonsense.
fn scribble(memory: &std::fs::File) {
    memory.write_all_at(&[0xee; 1024], 0).expect("it can be written");
}
