//! P-2: whoever dies, nobody is left.

use std::io::BufRead;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::id::Signal;
use procession::process::event::WorkerEvent;
use procession::process::launcher::launch;
use procession::protocol::control::ToRoot;
use procession::sys::pidfd::Pidfd;
use procession::sys::readiness;

use crate::roles::stay;
use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p2_h21_sigkill_of_the_root_leaves_no_worker_after_a_second", root_killed),
        story("p2_h21_end_of_file_alone_ends_workers_that_loop", root_killed_and_deaf),
    ]
}

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
