//! How workers end, and what is known of it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::id::{Exit, ProcessId, Signal};
use procession::process::event::{Stream, WorkerEvent};
use procession::protocol::control::{Handling, ToRoot};

use crate::stage::{Life, Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p1_an_exit_code_is_reported", exit_code),
        story("p1_a_kill_is_reported_as_its_signal", killed),
        story("p1_an_abort_is_told_from_a_core_dump", aborted),
        story("p1_a_panic_comes_with_place_handling_and_stderr", panicked),
        story("p1_the_last_lines_of_stderr_are_in_the_death", last_lines),
        story("p1_frames_written_before_a_kill_arrive_before_exited", last_words),
        story("p4_the_first_sigterm_asks_the_second_forces", terminated),
        story("h21_sigterm_ends_an_endless_loop_at_the_second_one", terminated_loop),
        story("h29_a_grandchild_outside_the_group_delays_no_death", grandchild_outside),
        story("h22_a_grandchild_in_the_group_dies_with_the_worker", grandchild_inside),
        story("h49_dropping_the_handle_kills", dropped),
        story("h50_a_full_channel_loses_neither_frames_nor_the_death", full_channel),
        story("h23_a_root_that_ends_leaves_no_zombie", runtime_dropped),
        story("h20_death_follows_the_spawning_thread", thread_ends),
    ]
}

fn signalled(signal: i32) -> Exit {
    Exit::Signal { signal: Signal(signal), core_dumped: false }
}

async fn exit_code(mut stage: Stage) {
    let what = stage.role(&["exit", "42"]);
    let life = stage.run(what).await;
    assert_eq!((life.death.exit, life.death.failure), (Exit::Code(42), None));
}

async fn killed(mut stage: Stage) {
    let what = stage.role(&["spin"]);
    let worker = stage.launch(what);
    stage.ready().await;
    worker.kill().unwrap();
    let life = stage.life().await;
    assert_eq!(life.death.exit, signalled(libc::SIGKILL));
    worker.kill().expect("a second kill of the dead is no error");
}

/// The kernel's flag is read from where it is: with cores forbidden it is never set, with cores allowed it is
/// whatever the machine's core pattern makes of it.
async fn aborted(mut stage: Stage) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    let run = async |stage: &mut Stage, limit: u64| {
        setrlimit(Resource::RLIMIT_CORE, limit, hard).unwrap();
        let what = stage.role(&["abort"]);
        let life = stage.run(what).await;
        setrlimit(Resource::RLIMIT_CORE, soft, hard).unwrap();
        life.death.exit
    };
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if !pattern.starts_with('|') {
        assert_eq!(run(&mut stage, 0).await, signalled(libc::SIGABRT));
    }
    let folder = tempfile::tempdir().unwrap();
    let home = std::env::current_dir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let exit = run(&mut stage, hard).await;
    std::env::set_current_dir(home).unwrap();
    let dumped = std::fs::read_dir(folder.path()).unwrap().count() > 0;
    if pattern.starts_with("core") && hard > 0 {
        assert!(dumped, "{pattern:?}");
    }
    if dumped {
        assert_eq!(exit, Exit::Signal { signal: Signal(libc::SIGABRT), core_dumped: true });
    }
}

async fn panicked(mut stage: Stage) {
    let what = stage.role(&["panic"]);
    let life = stage.run(what).await;
    let Some(ToRoot::Panic(report)) = life.frames.iter().find(|frame| matches!(frame, ToRoot::Panic(_)))
    else {
        panic!("no report in {:?}", life.frames)
    };
    assert_eq!((report.message.as_str(), report.thread.as_str()), ("on request", "main"));
    assert!(report.place.contains("roles.rs:"), "{}", report.place);
    let handling = Handling {
        actor: "counter".to_owned(),
        message: "Add".to_owned(),
        sender: Some(ProcessId(7)),
        waits: false,
        sender_name: None,
    };
    assert_eq!(report.handling, Some(handling));
    assert_eq!(life.death.exit, Exit::Code(101));
    assert!(life.death.last_stderr.iter().any(|line| line.contains("on request")));
}

async fn last_lines(mut stage: Stage) {
    let what = stage.role(&["lines", "30"]);
    let life = stage.run(what).await;
    let expected: Vec<String> = (10..30).map(|line| format!("line {line}")).collect();
    assert_eq!((life.death.exit, life.death.last_stderr), (Exit::Code(3), expected));
    assert_eq!(life.lines.len(), 30);
    assert!(life.lines.iter().all(|line| line.stream == Stream::Stderr));
}

async fn last_words(mut stage: Stage) {
    let what = stage.role(&["last-words"]);
    let life = stage.run(what).await;
    assert_eq!(life.frames.last(), Some(&ToRoot::Finish { code: 9 }));
    assert_eq!(life.death.exit, signalled(libc::SIGKILL));
}

async fn terminated(mut stage: Stage) {
    let what = stage.role(&["serve"]);
    let worker = stage.launch(what);
    stage.ready().await;
    worker.terminate().unwrap();
    assert_eq!(stage.life().await.death.exit, Exit::Code(5));
}

async fn terminated_loop(mut stage: Stage) {
    let what = stage.role(&["spin"]);
    let worker = stage.launch(what);
    stage.ready().await;
    let started = Instant::now();
    let mut life = std::pin::pin!(stage.life());
    // Signals of one kind merge while one is pending, so the second is sent until the worker is gone.
    let death = loop {
        worker.terminate().unwrap();
        if let Ok(life) = tokio::time::timeout(Duration::from_millis(10), &mut life).await {
            break life.death;
        }
    };
    assert_eq!(death.exit, Exit::Code(143));
    assert!(started.elapsed() < Duration::from_secs(4), "the grace is not waited for");
}

async fn grandchild_outside(mut stage: Stage) {
    let what = stage.role(&["grandchild", UNMARKED]);
    let worker = stage.launch(what);
    stage.ready().await;
    let line = stage.line().await;
    let pid: i32 = line.strip_prefix("grandchild ").unwrap().parse().unwrap();
    let grandchild = procession::sys::pidfd::Pidfd::open(pid).unwrap();
    wait_for_own_session(pid).await;
    let killed = Instant::now();
    worker.kill().unwrap();
    let Life { death, .. } = stage.life().await;
    assert!(!death.drained && killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    grandchild.signal(Signal(libc::SIGKILL)).unwrap();
    let watched = procession::sys::readiness::watch_process(grandchild.into()).unwrap();
    watched.readable().await.unwrap().retain_ready();
    assert_eq!(procession::sys::pidfd::reap_adopted(watched.get_ref()).ok(), Some(true), "it was adopted");
}

/// Nothing by which it is known is left of it.
const UNMARKED: &str = "exec env -i bash -c 'ulimit -S -x unlimited; exec setsid sleep 60'";

/// `setsid` has done its work when the process leads a session.
async fn wait_for_own_session(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    while nix::unistd::getsid(Some(pid)) != Ok(pid) {
        tokio::task::yield_now().await;
    }
}

async fn grandchild_inside(mut stage: Stage) {
    let what = stage.role(&["grandchild", "exec sleep 60"]);
    let worker = stage.launch(what);
    stage.ready().await;
    let line = stage.line().await;
    let pid: i32 = line.strip_prefix("grandchild ").unwrap().parse().unwrap();
    let grandchild = procession::sys::pidfd::Pidfd::open(pid).unwrap();
    let grandchild = procession::sys::readiness::watch_process(grandchild.into()).unwrap();
    worker.kill().unwrap();
    assert!(stage.life().await.death.drained);
    grandchild.readable().await.unwrap().retain_ready();
}

async fn dropped(mut stage: Stage) {
    let what = stage.role(&["spin"]);
    drop(stage.launch(what));
    assert_eq!(stage.life().await.death.exit, signalled(libc::SIGKILL));
}

async fn full_channel(mut stage: Stage) {
    (stage.events, stage.heard) = tokio::sync::mpsc::channel(1);
    // As many as a worker can say in the second that it has at its end, on a busy machine too.
    let what = stage.role(&["introduce-many", "4000"]);
    let worker = stage.launch(what);
    let mut introductions = 0;
    let death = loop {
        match stage.next().await {
            WorkerEvent::Frame(ToRoot::Introduce { .. }, _) => introductions += 1,
            WorkerEvent::Exited(death) => break *death,
            _ => {}
        }
        tokio::task::yield_now().await;
    };
    drop(worker);
    assert_eq!((introductions, death.exit), (4_000, Exit::Code(0)));
}

/// The attendant goes with its runtime, and takes the worker along.
async fn runtime_dropped(mut stage: Stage) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    let what = stage.role(&["spin"]);
    let root = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let worker = procession::process::launcher::launch(what, sender).unwrap();
            while !matches!(receiver.recv().await.unwrap().2, WorkerEvent::Frame(ToRoot::Ready(_), _)) {}
            worker
        })
    });
    let worker = root.join().unwrap();
    let trace = format!("/proc/{}", worker.pid());
    assert!(!std::path::Path::new(&trace).exists(), "killed and reaped");
}

/// What H20 warns of, shown, so that nobody moves spawning to a short-lived thread.
async fn thread_ends(_: Stage) {
    let (ours, theirs) = procession::sys::socket::pair().unwrap();
    let spawn = move || {
        let order = procession::sys::spawn::Order {
            program: std::path::Path::new("/bin/sleep"),
            title: "sleep",
            arguments: &["60".into()],
            environment: &[],
            control: theirs.as_fd(),
            group: None,
            mark: u64::MAX,
        };
        procession::sys::spawn::spawn(&order).unwrap()
    };
    let mut spawned = std::thread::spawn(spawn).join().unwrap();
    let watched = procession::sys::readiness::watch_process(spawned.child.pidfd().clone()).unwrap();
    watched.readable().await.unwrap().retain_ready();
    let reaped = spawned.child.try_reap().unwrap().expect("it is dead");
    assert_eq!(reaped.exit, signalled(libc::SIGKILL));
    drop(ours);
}
