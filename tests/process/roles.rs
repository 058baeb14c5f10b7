//! What the workers of the stories do.

use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use procession::process::bootstrap::{Takeover, leave};
use procession::process::control::{ControlEvent, ControlLane};
use procession::process::handling;
use procession::protocol::control::{Ready, Refusal, ToRoot, ToWorker, Welcome};

use crate::{births, orphans};

/// Roles that never become workers.
pub(crate) fn play_raw() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("raw-deploy") => orphans::deploy_without_taking_over(),
        Some("raw-middle") => orphans::middle(&arguments[1..]),
        Some("raw-root") => orphans::root(&arguments[1], false),
        Some("raw-root-cgroup") => orphans::root(&arguments[1], true),
        Some("raw-churn") => orphans::churn(&arguments[1..]),
        Some("raw-limited") => orphans::limited(&arguments[1], &arguments[2]),
        Some("raw-unreaped") => births::unreaped(),
        Some("raw-close") => {
            // What a daemon does that closes every descriptor it does not know.
            let _ = nix::unistd::close(3);
            stay();
        }
        Some("raw-silent") => stay(),
        _ => {}
    }
}

/// Sleeps until it is killed.
pub(crate) fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

struct Part {
    welcome: Welcome,
    lane: ControlLane,
    events: Receiver<ControlEvent>,
    ready: Ready,
}

/// Everything after take-over.
pub(crate) fn play(takeover: Takeover) -> ! {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if role == ["descriptors"] {
        for descriptor in crate::stage::descriptors() {
            println!("{descriptor}");
        }
        println!("mark {:?}", std::env::var_os("PROCESSION_WORKER"));
        println!("depth {:?}", std::env::var("PROCESSION_DEPTH"));
        println!("comm {}", std::fs::read_to_string("/proc/self/comm").unwrap().trim());
        println!("signals {}", signals());
    }
    let build = takeover.build();
    let (sender, events) = sync_channel(64);
    let started = takeover.start(move |event| sender.try_send(event).expect("room"));
    let (welcome, lane) = started.unwrap_or_else(|error| error.exit());
    let ready =
        Ready { process: welcome.process, incarnation: welcome.incarnation, build, limits: welcome.limits };
    Part { welcome, lane, events, ready }.play(&role)
}

/// Ignored and blocked signals, as the kernel shows them.
fn signals() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|line| line.starts_with("SigIgn") || line.starts_with("SigBlk"));
    lines.map(|line| line.replace('\t', " ")).collect::<Vec<_>>().join(" ")
}

impl Part {
    fn say(&self, frame: ToRoot) {
        self.lane.send(frame).expect("the lane has room");
    }

    fn play(self, role: &[&str]) -> ! {
        match role {
            ["refuse"] => self.say(ToRoot::Refused(Refusal::Handshake("on request".to_owned()))),
            ["other-identity"] => {
                let process = procession::id::ProcessId(77);
                self.say(ToRoot::Ready(Ready { process, ..self.ready.clone() }));
                stay();
            }
            ["never-ready"] => stay(),
            ["die-before-ready"] => {
                eprintln!("no reason");
                leave(&self.lane, 4);
            }
            ["deaf-spin"] => {
                // As if the kernel had not tied its life to the root's.
                nix::sys::prctl::set_pdeathsig(None).unwrap();
                self.say(ToRoot::Ready(self.ready.clone()));
            }
            _ => self.say(ToRoot::Ready(self.ready.clone())),
        }
        self.act(role)
    }

    #[allow(clippy::zombie_processes)] // The grandchild is to be left alone; that is what its stories are about.
    fn act(self, role: &[&str]) -> ! {
        match role {
            ["exit", code] => leave(&self.lane, code.parse().unwrap()),
            ["ready-twice"] => {
                self.say(ToRoot::Ready(self.ready.clone()));
                // The second goes as any other frame.
                stay();
            }
            ["spin" | "deaf-spin"] => spin(),
            ["abort"] => std::process::abort(),
            ["panic"] => {
                static ADD: handling::Naming = handling::Naming {
                    actor: "counter",
                    message: "Add",
                    id: procession::protocol::wire::MessageId(1),
                };
                let work = ADD.from(procession::id::ProcessId(7), procession::id::Slot(0), 0);
                let _handling = handling::enter(&ADD, work, None);
                panic!("on request");
            }
            ["lines", count] => {
                for line in 0..count.parse().unwrap() {
                    eprintln!("line {line}");
                }
                leave(&self.lane, 3);
            }
            ["no-newline"] => {
                eprint!("no end");
                leave(&self.lane, 0);
            }
            ["flood", bytes] => flood(bytes.parse().unwrap()),
            ["introduce-many", count] => {
                for _ in 0..count.parse().unwrap() {
                    self.say(ToRoot::Introduce {
                        target: procession::id::Capability::unsealed(procession::id::ActorId::declared(
                            self.welcome.process,
                            procession::id::Slot(0),
                        )),
                        broken: None,
                    });
                }
                self.lane.flush(Duration::from_secs(20));
                leave(&self.lane, 0);
            }
            ["log"] => {
                let outer = tracing::info_span!("outer", id = 3);
                let _inside = outer.enter();
                tracing::warn!(target: "demo", total = 3, by = "me", "counted");
                tracing::debug!(target: "demo", "details");
                log::info!(target: "old", "from the log crate");
                leave(&self.lane, 0);
            }
            ["log-flood", count] => {
                for index in 0..count.parse::<u32>().unwrap() {
                    tracing::info!(target: "demo", "record {index}");
                }
                self.say(ToRoot::Introduce {
                    target: procession::id::Capability::unsealed(procession::id::ActorId::declared(
                        self.welcome.process,
                        procession::id::Slot(0),
                    )),
                    broken: None,
                });
                // A busy machine takes longer than the second that `leave` gives.
                self.lane.flush(Duration::from_secs(20));
                leave(&self.lane, 0);
            }
            ["last-words"] => {
                self.say(ToRoot::Finish { code: 9 });
                self.lane.flush(Duration::from_secs(10));
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
                stay()
            }
            ["eat"] => eat(),
            ["die"] => {
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
                stay()
            }
            ["grandchild", command] => {
                let child = std::process::Command::new("/bin/sh").args(["-c", command]).spawn().unwrap();
                println!("grandchild {}", child.id());
                self.serve()
            }
            _ => self.serve(),
        }
    }

    fn serve(self) -> ! {
        loop {
            match self.events.recv().expect("the control thread lives") {
                ControlEvent::Frame(ToWorker::Stop { .. }, _) => leave(&self.lane, 0),
                ControlEvent::Frame(ToWorker::Introduce { peer, .. }, descriptors) => {
                    println!("introduced to {} with {}", peer.name, descriptors.len());
                }
                ControlEvent::Frame(..) => {}
                ControlEvent::RootGone => leave(&self.lane, 1),
                ControlEvent::Terminate => leave(&self.lane, 5),
            }
        }
    }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Takes more memory than there is.
fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}

fn flood(bytes: usize) -> ! {
    let line = format!("{}\n", "x".repeat(127));
    let mut out = std::io::stdout().lock();
    for _ in 0..bytes / line.len() {
        out.write_all(line.as_bytes()).unwrap();
    }
    out.flush().unwrap();
    procession::sys::exit::exit_now(0)
}
