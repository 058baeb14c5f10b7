//! What every story needs: a folder with a topology in it, and the command run on it, listened to and signalled.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::id::Signal;
use procession::sys::{pidfd::Pidfd, readiness};
use serde_json::Value;

/// Nothing here takes so long, but for a command that hangs.
const HANGS: Duration = Duration::from_secs(60);

pub(crate) const SIGINT: Signal = Signal(2);
pub(crate) const SIGKILL: Signal = Signal(9);
pub(crate) const SIGTERM: Signal = Signal(15);

/// A story is a function that panics when it does not go as told.
pub(crate) fn story(name: &str, tell: fn(Stage)) -> Trial {
    Trial::test(name, move || {
        tell(Stage { folder: tempfile::tempdir()? });
        Ok(())
    })
}

/// A folder for the files of a story.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

/// What a command that has ended said.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Waits until a process has made this file.
    pub(crate) fn wait_for_file(&self, name: &str) {
        let deadline = Instant::now() + HANGS;
        while !self.path().join(name).exists() {
            assert!(Instant::now() < deadline, "nobody made {name}");
            std::thread::yield_now();
        }
    }

    /// Writes `demo.toml`, whose processes run this very program.
    pub(crate) fn topology(&self, processes: &str) {
        let program = std::env::current_exe().unwrap();
        let head = format!("name = \"demo\"\n[defaults]\nprogram = {program:?}\n");
        self.write("demo.toml", head + processes);
    }

    /// The command, in the folder, with nothing of this environment that it would obey.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_procession"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG").env_remove("NO_COLOR").env("RUST_BACKTRACE", "0");
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        finish(&mut self.command(arguments))
    }

    /// Starts `procession up demo.toml --log json`, with further arguments.
    pub(crate) fn up(&self, further: &[&str]) -> Up {
        self.up_with(further, &[])
    }

    pub(crate) fn up_with(&self, further: &[&str], environment: &[(&str, &str)]) -> Up {
        let mut command = self.command(&["up", "demo.toml", "--log", "json"]);
        command.args(further).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1 << 16);
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let object = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(object).is_err() {
                    break;
                }
            }
        });
        let pidfd = Pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
        Up { child, pidfd, lines, said: Vec::new() }
    }
}

/// Runs a command to its end; one that hangs is killed and says so.
pub(crate) fn finish(command: &mut Command) -> Done {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pidfd = Pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
    let (sender, ended) = sync_channel(1);
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = ended.recv_timeout(HANGS).unwrap_or_else(|_| {
        pidfd.signal(SIGKILL).unwrap();
        panic!("the command hangs: {:?}", ended.recv());
    });
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("what the command says is text");
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A running `procession up --log json`. Dropped, it is killed, and its workers with it.
pub(crate) struct Up {
    child: Child,
    pidfd: Pidfd,
    lines: Receiver<Value>,
    /// Every line so far.
    pub(crate) said: Vec<Value>,
}

impl Up {
    /// Waits for the first line from here on that is as wanted.
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(HANGS) else {
                panic!("the command did not say {what}, but {:#?}", self.said);
            };
            self.said.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits until each of these was said, in whatever order.
    pub(crate) fn wait_for_all(&mut self, what: &str, wanted: &[&dyn Fn(&Value) -> bool]) {
        while !wanted.iter().all(|wanted| self.said.iter().any(wanted)) {
            self.wait_for(what, |_| true);
        }
    }

    /// Waits for an event of a process.
    pub(crate) fn event(&mut self, event: &str, process: &str) -> Value {
        self.wait_for(&format!("{event} of {process}"), |line| {
            line["event"] == event && line["process"] == process
        })
    }

    /// Waits until all processes are ready; the pids of all so far.
    pub(crate) fn running(&mut self) -> Vec<Pidfd> {
        self.wait_for("running", |line| line["event"] == "running");
        let started = self.said.iter().filter(|line| line["event"] == "started");
        started.map(|line| Pidfd::open(pid(line)).unwrap()).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.pidfd.signal(signal).unwrap();
    }

    /// Waits for the end: the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + HANGS;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.push(line);
        }
        assert!(Instant::now() < deadline, "the command does not end: {:#?}", self.said);
        self.child.wait().unwrap().code()
    }

    /// Every line about an event of that kind so far, by process.
    pub(crate) fn order(&self, event: &str) -> Vec<&str> {
        let lines = self.said.iter().filter(|line| line["event"] == event);
        lines.filter_map(|line| line["process"].as_str()).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pid that an event tells.
pub(crate) fn pid(line: &Value) -> i32 {
    i32::try_from(line["fields"]["pid"].as_i64().expect("an event with a pid")).unwrap()
}

/// Waits until all of them are gone; how long that took.
pub(crate) fn gone(processes: Vec<Pidfd>) -> Duration {
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for process in processes {
            let watched = readiness::watch_process(process.into()).unwrap();
            tokio::time::timeout(HANGS, watched.readable()).await.expect("gone").unwrap().retain_ready();
        }
    });
    began.elapsed()
}
