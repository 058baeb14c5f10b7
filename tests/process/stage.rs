//! Where a story plays: a root with its runtime, the workers it starts and what it hears of them.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::id::{ProcessId, ProcessName, TopologyName};
use procession::process::event::{Death, Line, Report, Violation, WorkerEvent};
use procession::process::failure::LaunchFailure;
use procession::process::launcher::{Launch, Program, Worker, launch};
use procession::process::programs::Programs;
use procession::protocol::control::{ToRoot, Welcome};
use tokio::sync::mpsc;

/// Far more than any story takes; whoever runs into it has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A test that leaves as many descriptors as it found, and no child.
pub(crate) fn story<F: Future<Output = ()>>(
    name: &'static str,
    play: impl FnOnce(Stage) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let before = descriptors();
        {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            let told = local
                .block_on(&runtime, async { tokio::time::timeout(PATIENCE, play(Stage::new(64))).await });
            told.map_err(|_| "the story hangs")?;
        }
        assert_eq!(descriptors(), before, "descriptors leaked");
        let any = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        assert_eq!(any, Err(nix::errno::Errno::ECHILD), "a child is left");
        Ok(())
    })
}

/// The open descriptors of this process, without the one that lists them.
pub(crate) fn descriptors() -> Vec<String> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| {
        let entry = entry.unwrap();
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        format!("{} -> {}", entry.file_name().display(), target.display())
    });
    let mut all: Vec<String> = links.filter(|link| !link.contains("/proc/")).collect();
    all.sort();
    all
}

pub(crate) struct Stage {
    pub(crate) events: mpsc::Sender<Report>,
    pub(crate) heard: mpsc::Receiver<Report>,
    next: u32,
    early: VecDeque<String>,
}

/// One life, as the story hears of it.
pub(crate) struct Life {
    pub(crate) frames: Vec<ToRoot>,
    pub(crate) lines: Vec<Line>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) death: Death,
}

impl Life {
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }

    pub(crate) fn failure(&self) -> &LaunchFailure {
        self.death.failure.as_ref().expect("it never was ready")
    }
}

impl Stage {
    pub(crate) fn new(room: usize) -> Stage {
        let (events, heard) = mpsc::channel(room);
        Stage { events, heard, next: 1, early: VecDeque::new() }
    }

    /// This program again, in that role.
    pub(crate) fn role(&mut self, role: &[&str]) -> Launch {
        Launch {
            program: Program::Deployer,
            arguments: role.iter().map(Into::into).collect(),
            environment: Vec::new(),
            welcome: self.welcome(),
            states: Vec::new(),
            start_deadline: PATIENCE,
            cgroup: false,
            programs: Programs::default(),
        }
    }

    /// Another program.
    pub(crate) fn program(&mut self, path: impl Into<PathBuf>, arguments: &[&str]) -> Launch {
        Launch { program: Program::Path(path.into()), ..self.role(arguments) }
    }

    fn welcome(&mut self) -> Welcome {
        let process = ProcessId(self.next);
        self.next += 1;
        let name = ProcessName::new(&format!("worker-{process}")).unwrap();
        let welcome = Welcome::new(TopologyName::new("test").unwrap(), process, name);
        Welcome { ask_timeout_ms: 1000, ..welcome }
    }

    pub(crate) fn launch(&self, what: Launch) -> Worker {
        launch(what, self.events.clone()).expect("launch")
    }

    /// The next event of any worker.
    pub(crate) async fn next(&mut self) -> WorkerEvent {
        self.heard.recv().await.expect("the stage holds a sender").2
    }

    /// Waits until the worker is ready. Lines come by pipes of their own, some of them before it.
    pub(crate) async fn ready(&mut self) {
        loop {
            match self.next().await {
                WorkerEvent::Frame(ToRoot::Ready(_), _) => return,
                WorkerEvent::Line(line) => self.early.push_back(line.text),
                other => panic!("instead of Ready: {other:?}"),
            }
        }
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> String {
        if let Some(early) = self.early.pop_front() {
            return early;
        }
        loop {
            if let WorkerEvent::Line(line) = self.next().await {
                return line.text;
            }
        }
    }

    /// Everything until the only worker is dead; nothing comes after it.
    pub(crate) async fn life(&mut self) -> Life {
        let (mut frames, mut lines, mut violations, mut died) = (Vec::new(), Vec::new(), Vec::new(), None);
        let death = loop {
            match self.next().await {
                WorkerEvent::Frame(frame, _) => frames.push(frame),
                WorkerEvent::Line(line) => lines.push(line),
                WorkerEvent::Violation(violation) => violations.push(violation),
                WorkerEvent::Died(exit, ..) => assert_eq!(died.replace(exit), None, "it dies once"),
                WorkerEvent::Exited(death) => {
                    assert_eq!(died, Some(death.exit), "that it died is known first");
                    break *death;
                }
            }
        };
        assert!(self.heard.is_empty(), "Exited is the last event");
        Life { frames, lines, violations, death }
    }

    /// A whole life.
    pub(crate) async fn run(&mut self, what: Launch) -> Life {
        let worker = self.launch(what);
        let life = self.life().await;
        drop(worker);
        life
    }
}
