//! Stories whose root is a process of its own: it is signalled, stopped, killed, or has another environment.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::prelude::*;

use crate::actors::*;
use crate::cgroups::{groups_of, no_cgroup};
use crate::stage::{checked, deploy, left, probe, signal, who};

/// The argument that makes this program a root for a story.
pub(crate) const ROLE: &str = "raw-root";

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        checked("h28_sigint_stops_in_order_and_run_says_so", || interrupted(Signal::SIGINT, "sleeps", 2)),
        checked("h28_sigterm_stops_in_order_and_run_says_so", || interrupted(Signal::SIGTERM, "sleeps", 15)),
        checked("h28_a_signal_while_main_waits_for_the_end_is_an_interruption", || {
            interrupted(Signal::SIGTERM, "waits", 15)
        }),
        checked("h28_a_signal_during_a_deploy_is_an_interruption", || {
            interrupted(Signal::SIGTERM, "deploys", 15)
        }),
        checked("h28_the_second_signal_kills_what_does_not_stop", second_signal),
        checked("p2_h21_sigkill_of_the_root_ends_workers_that_talk", root_killed),
        checked(
            "p2_h22_sigkill_of_the_root_leaves_nothing_that_a_worker_has_started",
            daemons_of_a_killed_root,
        ),
        checked("the_root_is_on_no_data_path", root_stopped),
    ]
}

/// A story that plays in a root of its own and must end well.
pub(crate) fn succeeds(name: &'static str, role: &'static str) -> Trial {
    checked(name, move || {
        let mut root = OwnRoot::start(role, "");
        let status = root.end();
        if status.success() { Ok(()) } else { Err(format!("{status}")) }
    })
}

/// The root of a story.
pub(crate) fn play(role: &str, path: &str) -> ExitCode {
    if role == "serialise-always" {
        // Nothing else runs yet; the variable is read when `run` begins.
        let done = program().run(crate::local::serialised);
        return ExitCode::from(u8::from(done.is_err()));
    }
    let ended = program().run(async |root| {
        let processes = match role {
            "talks" => vec![probe("right", "b"), talker(path), probe("third", "c")],
            "starts" => vec![Process::new("left").actor::<Starter>("starter", ())],
            _ => vec![left(), probe("right", "b")],
        };
        if role == "deploys" {
            println!("ready {}", std::process::id());
            let never = Process::new("picky").actor::<Picky>("picky", Mishap::NeverReady);
            deploy(&root, [left(), never]).await?;
        }
        let running = deploy(&root, processes).await?;
        let mut pids = Vec::new();
        for status in running.processes().await? {
            pids.extend(status.pid.map(|pid| pid.to_string()));
        }
        if role == "hangs" {
            let a = running.addr::<Probe>("a")?;
            a.do_send(Busy(60_000));
            who(&running.addr("b")?).await;
        }
        if role == "starts" {
            let started = running.addr::<Starter>("starter")?.send(StartTwo).await?;
            pids.extend(started.iter().map(u32::to_string));
        }
        println!("ready {}", pids.join(" "));
        match role {
            "waits" => running.wait().await.map(drop),
            _ => std::future::pending().await,
        }
    });
    match ended {
        Err(procession::Error::Interrupted(signal)) => println!("interrupted {}", signal.0),
        other => println!("{other:?}"),
    }
    ExitCode::SUCCESS
}

fn talker(path: &str) -> Process {
    let talking = Talking { to: ProcAddr::named("b"), tell: path.into() };
    Process::new("talker").actor::<Talker>("talker", talking)
}

struct OwnRoot {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl OwnRoot {
    fn start(role: &str, path: &str) -> OwnRoot {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([ROLE, role, path]).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env("RUST_LOG", "error");
        if role == "serialise-always" {
            command.env("PROCESSION_SERIALISE_ALWAYS", "1");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        OwnRoot { child, lines }
    }

    fn signal(&self, what: Signal) {
        signal(self.child.id(), what);
    }

    /// Its workers, once it is ready.
    fn workers(&mut self) -> Vec<u32> {
        let line = self.line();
        let pids = line.strip_prefix("ready").unwrap_or_else(|| panic!("{line}"));
        pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it says so").unwrap()
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for OwnRoot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_alive(pid: u32) -> bool {
    // A zombie that init has not reaped yet is dead.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

fn all_gone(pids: &[u32]) -> bool {
    !pids.iter().any(|pid| is_alive(*pid))
}

fn interrupted(what: Signal, role: &str, number: i32) -> Result<(), String> {
    let mut root = OwnRoot::start(role, "");
    let workers = root.workers();
    root.signal(what);
    let (said, status) = (root.line(), root.end());
    assert_eq!((said, status.success()), (format!("interrupted {number}"), true));
    let own = root.child.id();
    assert!(all_gone(&workers.into_iter().filter(|pid| *pid != own).collect::<Vec<_>>()));
    Ok(())
}

fn second_signal() -> Result<(), String> {
    let mut root = OwnRoot::start("hangs", "");
    let workers = root.workers();
    let begun = Instant::now();
    root.signal(Signal::SIGINT);
    // `right` stops first; when it is gone the first signal was heard.
    while is_alive(workers[1]) {
        std::thread::yield_now();
    }
    root.signal(Signal::SIGINT);
    assert_eq!(root.line(), "interrupted 2");
    assert!(root.end().success() && all_gone(&workers));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "the graces were not waited for: {:?}",
        begun.elapsed()
    );
    Ok(())
}

/// A root with two workers that talk, and where one of them says how far they are.
fn talking() -> (OwnRoot, Vec<u32>, Lines<BufReader<std::fs::File>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("progress");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut root = OwnRoot::start("talks", path.to_str().unwrap());
    let progress = BufReader::new(std::fs::File::open(&path).unwrap()).lines();
    let workers = root.workers();
    (root, workers, progress, folder)
}

fn root_killed() -> Result<(), String> {
    let (root, workers, mut progress, _folder) = talking();
    progress.next().unwrap().unwrap();
    root.signal(Signal::SIGKILL);
    let killed = Instant::now();
    while !all_gone(&workers) {
        std::thread::yield_now();
        assert!(killed.elapsed() < Duration::from_secs(1), "{workers:?}");
    }
    Ok(())
}

messages! {
    /// Starts a process of its group and one with a session and an environment of its own; their pids.
    StartTwo() -> "Vec<u32>";
}

#[derive(ProcActor)]
#[proc_actor(messages(StartTwo))]
pub(crate) struct Starter;

impl Actor for Starter {
    type Context = Context<Self>;
}

impl Spawn for Starter {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Starter)
    }
}

impl Handler<StartTwo> for Starter {
    type Result = Vec<u32>;

    fn handle(&mut self, StartTwo: StartTwo, _: &mut Context<Self>) -> Vec<u32> {
        let script = "echo $$; exec sleep 60";
        // They are to outlive this process, so nobody waits for them.
        #[allow(clippy::zombie_processes)]
        let start = |command: &mut Command| {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            line.trim().parse().unwrap()
        };
        let own_session = start(Command::new("setsid").args(["sh", "-c", script]).env_clear());
        vec![start(Command::new("sh").args(["-c", script])), own_session]
    }
}

fn daemons_of_a_killed_root() -> Result<(), String> {
    let unable = no_cgroup();
    let mut root = OwnRoot::start("starts", "");
    let pids = root.workers();
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    if let Some(reason) = &unable {
        println!("SKIPPED in part, no cgroup may be made here: {reason}");
    } else {
        assert_eq!(groups_of(root.child.id()).len(), 1);
        // It is started beside everything else.
        while !has_janitor(root.child.id()) {
            std::thread::yield_now();
        }
    }
    root.signal(Signal::SIGKILL);
    let killed = Instant::now();
    while !all_gone(&pids[..if unable.is_none() { 3 } else { 1 }]) {
        std::thread::yield_now();
        assert!(killed.elapsed() < Duration::from_secs(1), "{pids:?}");
    }
    while unable.is_none() && !groups_of(root.child.id()).is_empty() {
        std::thread::yield_now();
        assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", groups_of(root.child.id()));
    }
    for pid in pids.iter().skip(1).filter(|pid| is_alive(**pid)) {
        signal(*pid, Signal::SIGKILL);
    }
    Ok(())
}

/// Whether some process waits for the end of that root.
fn has_janitor(root: u32) -> bool {
    let folder =
        groups_of(root).first().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).ends_with(&format!("procession-janitor\0{folder}\0")))
}

fn root_stopped() -> Result<(), String> {
    let (mut root, workers, mut progress, _folder) = talking();
    progress.next().unwrap().unwrap();
    let sockets = |pid: u32| {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let links = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    };
    let of_root = sockets(root.child.id());
    // One control pipe for each worker, no data pipe; and the pair by which tokio hears of signals, with a copy for
    // each of the two runtimes.
    assert!(of_root <= workers.len() + 4, "{of_root} sockets");
    root.signal(Signal::SIGSTOP);
    while !std::fs::read_to_string(format!("/proc/{}/stat", root.child.id())).unwrap().contains(") T") {}
    for _ in 0..2000 {
        let line = progress.next().unwrap().unwrap();
        let pids: Vec<u32> = line.split(' ').skip(1).map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(pids, [workers[1], workers[0]], "they talk to one another");
    }
    root.signal(Signal::SIGCONT);
    root.signal(Signal::SIGTERM);
    assert_eq!(root.line(), "interrupted 15");
    drop(progress);
    root.end();
    Ok(())
}
