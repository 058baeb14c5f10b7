//! P-2: whoever dies, nobody is left.

use std::future::Future;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::id::{Exit, Signal};
use procession::process::event::{Death, WorkerEvent};
use procession::process::launcher::{Worker, launch};
use procession::protocol::control::ToRoot;
use procession::sys::pidfd::Pidfd;
use procession::sys::readiness;

use crate::cgroups::{groups_of, mount, no_cgroup};
use crate::roles::stay;
use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p2_h21_sigkill_of_the_root_leaves_no_worker_after_a_second", root_killed),
        story("p2_h21_end_of_file_alone_ends_workers_that_loop", root_killed_and_deaf),
        story("h22_a_grandchild_with_its_own_session_dies_with_the_worker", own_session),
        story("h22_what_a_worker_left_is_looked_for_when_its_peers_were_told", told_first),
        story("h22_without_its_environment_it_dies_too", other_environment),
        story("h22_grandchildren_of_grandchildren_die_with_the_worker", family),
        story("h22_a_daemon_of_a_daemon_dies_with_the_worker", daemon),
        story("h23_what_dies_before_its_worker_is_reaped_meanwhile", dead_before),
        story("h22_in_its_cgroup_it_dies_without_its_mark_too", cgroup),
        story("h22_in_a_group_beneath_its_cgroup_it_dies_too", nested_cgroup),
        story("h22_the_janitor_of_a_root_within_dies_and_is_not_counted", janitor_within),
        story("h22_what_the_root_started_itself_is_left_alone", bystanders),
        story("p2_the_root_adopts_orphans_only_while_it_has_workers", adopting),
        story("p2_what_a_killed_root_left_in_cgroups_is_swept_by_the_next", stale_cgroups),
        story("p2_h22_after_sigkill_of_the_root_a_session_of_its_own_lives_on_without_a_cgroup", outlives),
        story("p2_sigkill_of_the_root_at_random_moments_leaves_nobody", random_moments),
        story("p1_a_kill_for_want_of_memory_is_told_from_any_other", out_of_memory),
    ]
}

/// How long what a worker has left waits for who tells its peers.
const TELLING: Duration = Duration::from_millis(100);

/// What P-2 promises.
const GONE_AFTER: Duration = Duration::from_secs(1);

async fn root_killed(_: Stage) {
    kill_root(&["serve", "serve", "serve", "spin", "spin"], true).await;
}

/// Without the death signal of the kernel, so that the control pipe must do it.
async fn root_killed_and_deaf(_: Stage) {
    kill_root(&["deaf-spin", "deaf-spin", "serve"], false).await;
}

async fn kill_root(roles: &[&str], stop_last: bool) {
    let mut middle = Command::new(std::env::current_exe().unwrap())
        .arg("raw-middle")
        .args(roles)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(middle.stdout.take().unwrap()).lines().take(roles.len());
    let workers: Vec<Arc<Pidfd>> =
        lines.map(|line| Arc::new(Pidfd::open(line.unwrap().parse().unwrap()).unwrap())).collect();
    if stop_last {
        workers.last().unwrap().signal(Signal(libc::SIGSTOP)).unwrap();
    }
    let killed = Instant::now();
    middle.kill().unwrap();
    middle.wait().unwrap();
    for worker in workers {
        let watched = readiness::watch_process(worker).unwrap();
        watched.readable().await.unwrap().retain_ready();
    }
    assert!(killed.elapsed() < GONE_AFTER, "{:?}", killed.elapsed());
}

/// Starts that as the child of a worker, and returns when it is there: the worker and what it will leave.
async fn family_of(stage: &mut Stage, command: &str, cgroup: bool) -> (Worker, Vec<Arc<Pidfd>>) {
    let mut what = stage.role(&["grandchild", command]);
    what.cgroup = cgroup;
    let worker = stage.launch(what);
    stage.ready().await;
    let mut orphans = Vec::new();
    // The shell says who it is; the others say it when they are there.
    loop {
        let line = stage.line().await;
        let (kind, pid) = line.split_once(' ').unwrap();
        orphans.push(Arc::new(Pidfd::open(pid.parse().unwrap()).unwrap()));
        if kind == "last" {
            return (worker, orphans);
        }
    }
}

/// The worker is killed when that is there, and what became of both is returned.
async fn left_behind(mut stage: Stage, command: &str, cgroup: bool) -> (Death, Vec<Arc<Pidfd>>) {
    let (worker, orphans) = family_of(&mut stage, command, cgroup).await;
    worker.kill().unwrap();
    (stage.life().await.death, orphans)
}

/// A search of what it has left takes longer than to tell its peers, who must not wait for it.
async fn told_first(mut stage: Stage) {
    let command = "exec setsid sh -c 'echo last $$; exec sleep 60'";
    let (worker, orphans) = family_of(&mut stage, command, false).await;
    let orphan = orphans.last().unwrap();
    let killed = Instant::now();
    worker.kill().unwrap();
    let telling = loop {
        if let WorkerEvent::Died(_, _, telling) = stage.next().await {
            break telling;
        }
    };
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // On a machine that has kept this process waiting the search has begun: it waits so long for who tells, and no longer.
    assert!(!orphan.is_dead() || killed.elapsed() >= TELLING, "not before they were told");
    drop(telling);
    while !matches!(stage.next().await, WorkerEvent::Exited(_)) {}
    assert!(orphan.is_dead());
}

fn assert_gone(death: &Death, orphans: &[Arc<Pidfd>]) {
    assert!(orphans.iter().all(|orphan| orphan.is_dead()), "{orphans:?}");
    assert!(
        death.orphans.left.is_empty() && death.orphans.killed > 0 && death.drained,
        "{:?}",
        death.orphans
    );
}

async fn own_session(stage: Stage) {
    let command = "exec setsid sh -c 'echo last $$; exec sleep 60'";
    let (death, orphans) = left_behind(stage, command, false).await;
    assert_gone(&death, &orphans);
}

async fn other_environment(stage: Stage) {
    let command = "exec env -i setsid sh -c 'echo last $$; exec sleep 60'";
    let (death, orphans) = left_behind(stage, command, false).await;
    assert_gone(&death, &orphans);
}

async fn family(stage: Stage) {
    let command = "exec setsid sh -c 'setsid sleep 60 & setsid sleep 60 & echo last $$; wait'";
    let (death, orphans) = left_behind(stage, command, false).await;
    assert_gone(&death, &orphans);
    assert!(death.orphans.killed >= 3, "{:?}", death.orphans);
}

/// Its parents are dead before the worker is.
async fn daemon(stage: Stage) {
    let command = "(setsid sh -c '(sh -c \"echo last \\$\\$; exec sleep 60\") & exit 0') & exit 0";
    let (death, orphans) = left_behind(stage, command, false).await;
    assert_gone(&death, &orphans);
}

async fn dead_before(mut stage: Stage) {
    // Adopted, and dead at once; its group and session are its own.
    let what = stage.role(&["grandchild", "(setsid sh -c 'echo last $$') & exit 0"]);
    let worker = stage.launch(what);
    stage.ready().await;
    let pid = loop {
        if let Some(pid) = stage.line().await.strip_prefix("last ") {
            break pid.to_owned();
        }
    };
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        procession::process::orphans::reap_dead();
        tokio::task::yield_now().await;
    }
    worker.kill().unwrap();
    assert_eq!(
        stage.life().await.death.exit,
        Exit::Signal { signal: Signal(libc::SIGKILL), core_dumped: false }
    );
}

async fn cgroup(stage: Stage) {
    if let Some(reason) = no_cgroup() {
        return println!("SKIPPED, no cgroup may be made here: {reason}");
    }
    let (death, orphans) = left_behind(stage, OWN_SESSION, true).await;
    assert_gone(&death, &orphans);
    assert_eq!(groups_of(std::process::id()), Vec::<PathBuf>::new(), "the groups are removed");
}

/// As what a root within a worker has started, when that root is killed and nobody cleans up after it.
async fn nested_cgroup(stage: Stage) {
    if let Some(reason) = no_cgroup() {
        return println!("SKIPPED, no cgroup may be made here: {reason}");
    }
    let command = format!(
        "inner={}$(sed -n 's/^0:://p' /proc/self/cgroup)/procession-inner/1.1; mkdir -p $inner; echo $$ > $inner/cgroup.procs; {OWN_SESSION}",
        mount().unwrap().display()
    );
    let (death, orphans) = left_behind(stage, &command, true).await;
    assert_gone(&death, &orphans);
    assert_eq!(groups_of(std::process::id()), Vec::<PathBuf>::new(), "the groups are removed");
}

async fn janitor_within(stage: Stage) {
    // Stopped, it stays what it calls itself; the other one is started when it is that.
    let command = "sh -c 'kill -STOP $$; :' procession-janitor /nowhere & \
        until tr '\\0' ' ' < /proc/$!/cmdline | grep -q procession-janitor; do :; done; \
        exec setsid sh -c 'echo last $$; exec sleep 60'";
    let (death, orphans) = left_behind(stage, command, false).await;
    assert_gone(&death, &orphans);
    assert_eq!(death.orphans.killed, 1, "{:?}", death.orphans);
}

async fn bystanders(mut stage: Stage) {
    // A child of the root, and a daemon of it that the root adopts; the latter says who it is.
    let mut own = Command::new("/bin/sh")
        .args(["-c", "setsid sh -c 'echo $$; exec sleep 60' & read line; exit 7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(own.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let daemon = Arc::new(Pidfd::open(line.trim().parse().unwrap()).unwrap());
    let what = stage.role(&["exit", "3"]);
    let worker = stage.launch(what);
    // It ends while the worker lives, so its daemon becomes the root's.
    drop(own.stdin.take());
    let killed = stage.life().await.death;
    drop(worker);
    assert_eq!(killed.orphans.killed, 0);
    assert_eq!(own.wait().unwrap().code(), Some(7), "nobody else took its exit status");
    assert!(!daemon.is_dead());
    daemon.signal(Signal(libc::SIGKILL)).unwrap();
    let watched = readiness::watch_process(Arc::clone(&daemon)).unwrap();
    watched.readable().await.unwrap().retain_ready();
    // Whether it was adopted depends on who died first.
    let _ = procession::sys::pidfd::reap_adopted(&daemon);
}

async fn adopting(mut stage: Stage) {
    let adopts = || nix::sys::prctl::get_child_subreaper().unwrap();
    assert!(!adopts());
    let what = stage.role(&["serve"]);
    let worker = stage.launch(what);
    assert!(adopts());
    worker.kill().unwrap();
    stage.life().await;
    assert!(!adopts());
}

/// A root of one worker with that child, which says who it is.
fn root_with(kind: &str, command: &str) -> (std::process::Child, Arc<Pidfd>) {
    let mut middle = Command::new(std::env::current_exe().unwrap())
        .args([kind, command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(middle.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| line.unwrap().strip_prefix("last ").map(|pid| pid.parse().unwrap()));
    (middle, Arc::new(Pidfd::open(pid.unwrap()).unwrap()))
}

/// With nothing that it is known by but its cgroup.
const OWN_SESSION: &str =
    "exec env -i bash -c 'ulimit -S -x unlimited; exec setsid sh -c \"echo last \\$\\$; exec sleep 60\"'";

async fn stale_cgroups(_: Stage) {
    if let Some(reason) = no_cgroup() {
        return println!("SKIPPED, no cgroup may be made here: {reason}");
    }
    let (mut first, orphan) = root_with("raw-root-cgroup", OWN_SESSION);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!orphan.is_dead() && !groups_of(first.id()).is_empty(), "that is what is swept");
    let (mut second, other) = root_with("raw-root-cgroup", OWN_SESSION);
    let watched = readiness::watch_process(Arc::clone(&orphan)).unwrap();
    watched.readable().await.unwrap().retain_ready();
    assert!(!other.is_dead(), "a root that lives keeps its own");
    while !groups_of(first.id()).is_empty() {
        tokio::task::yield_now().await;
    }
    second.kill().unwrap();
    second.wait().unwrap();
    // Whoever comes next would do so.
    for life in groups_of(second.id()).iter().flat_map(|root| std::fs::read_dir(root).unwrap().flatten()) {
        if life.path().is_dir() {
            std::fs::write(life.path().join("cgroup.kill"), "1").unwrap();
            while std::fs::remove_dir(life.path()).is_err() {
                tokio::task::yield_now().await;
            }
        }
    }
    groups_of(second.id()).iter().for_each(|root| std::fs::remove_dir(root).unwrap());
}

/// What can't be promised, shown, so that nobody promises it.
async fn outlives(_: Stage) {
    let (mut root, orphan) = root_with("raw-root", OWN_SESSION);
    let parent = || procession::sys::proc::stat(orphan.pid()).unwrap().parent;
    let worker = Arc::new(Pidfd::open(parent()).unwrap());
    root.kill().unwrap();
    root.wait().unwrap();
    let watched = readiness::watch_process(Arc::clone(&worker)).unwrap();
    watched.readable().await.unwrap().retain_ready();
    // All that could have ended it is past: its worker is dead, and it is somebody else's child.
    while parent() == worker.pid() {
        tokio::task::yield_now().await;
    }
    assert!(!orphan.is_dead());
    orphan.signal(Signal(libc::SIGKILL)).unwrap();
    let watched = readiness::watch_process(Arc::clone(&orphan)).unwrap();
    watched.readable().await.unwrap().retain_ready();
}

/// The kill falls into births, deaths and sweeps: the root restarts workers that end at once, all the time.
async fn random_moments(_: Stage) {
    let mut dice = fastrand::Rng::with_seed(5);
    for round in 0..20 {
        let mut root = Command::new(std::env::current_exe().unwrap())
            .args(["raw-churn", "grandchild", "exec sleep 0.01"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // So many births later, wherever it is then.
        let births = dice.usize(1..12);
        let mut lines = std::io::BufReader::new(root.stdout.take().unwrap()).lines();
        let pids: Vec<i32> = lines.by_ref().take(births).map(|line| line.unwrap().parse().unwrap()).collect();
        let spins = dice.u32(0..200_000);
        (0..spins).for_each(|_| std::hint::spin_loop());
        root.kill().unwrap();
        let killed = Instant::now();
        root.wait().unwrap();
        let rest = lines.map_while(Result::ok).filter_map(|line| line.parse().ok());
        for pid in pids.into_iter().chain(rest) {
            while is_worker(pid) {
                assert!(killed.elapsed() < GONE_AFTER, "round {round}: {pid} lives");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Whether this number is that of a worker of these stories that lives.
fn is_worker(pid: i32) -> bool {
    let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    title.starts_with(b"worker-")
}

async fn out_of_memory(_: Stage) {
    let group = PathBuf::from(format!("/sys/fs/cgroup/memory/procession-test-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir(&group) {
        return println!("SKIPPED, no memory cgroup may be made here: {error}");
    }
    std::fs::write(group.join("memory.limit_in_bytes"), "64M").unwrap();
    let said = |role: &str| {
        let root = Command::new(std::env::current_exe().unwrap())
            .args(["raw-limited", group.to_str().unwrap(), role])
            .output()
            .unwrap();
        String::from_utf8(root.stdout).unwrap()
    };
    let (eaten, killed) = (said("eat"), said("die"));
    while std::fs::remove_dir(&group).is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(eaten.trim(), "killed by SIGKILL, Some(Group)");
    assert_eq!(killed.trim(), "killed by SIGKILL, None");
}

fn local<F: Future<Output = ()>>(play: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, play);
}

/// A root within a memory cgroup that says how its worker died.
pub(crate) fn limited(group: &str, role: &str) -> ! {
    std::fs::write(PathBuf::from(group).join("cgroup.procs"), "0").unwrap();
    local(async {
        let mut stage = Stage::new(64);
        let what = stage.role(&[role]);
        let death = stage.run(what).await.death;
        println!("{}, {:?}", death.exit, death.out_of_memory);
    });
    procession::sys::exit::exit_now(0)
}

/// A root that starts one worker after the other, and says their pids.
pub(crate) fn churn(role: &[String]) -> ! {
    let role: Vec<&str> = role.iter().map(String::as_str).collect();
    local(async {
        let mut stage = Stage::new(64);
        loop {
            let what = stage.role(&role);
            let worker = stage.launch(what);
            println!("{}", worker.pid());
            stage.ready().await;
            drop(worker);
            stage.life().await;
        }
    });
    stay()
}

/// A root of one worker that has a child, whose lines it repeats.
pub(crate) fn root(command: &str, cgroup: bool) -> ! {
    local(async {
        let mut stage = Stage::new(64);
        let mut what = stage.role(&["grandchild", command]);
        what.cgroup = cgroup;
        let _worker = stage.launch(what);
        loop {
            // Nobody need read it.
            let _ = writeln!(std::io::stdout(), "{}", stage.line().await);
        }
    });
    stay()
}

/// A root that starts workers of these roles, says their pids, and waits to be killed.
pub(crate) fn middle(roles: &[String]) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut stage = Stage::new(64);
        let mut workers = Vec::new();
        for role in roles {
            let what = stage.role(&[role]);
            let worker = stage.launch(what);
            stage.ready().await;
            println!("{}", worker.pid());
            workers.push(worker);
        }
        while !matches!(stage.next().await, WorkerEvent::Frame(ToRoot::Finish { .. }, _)) {}
    });
    stay()
}

/// What a program does that starts workers before `Program::run` has made it one.
pub(crate) fn deploy_without_taking_over() -> ! {
    let mut stage = Stage::new(1);
    let what = stage.role(&["raw-deploy"]);
    let failure = launch(what, stage.events.clone()).expect_err("this must not go on for ever");
    eprintln!("{failure}");
    procession::sys::exit::exit_now(0)
}
