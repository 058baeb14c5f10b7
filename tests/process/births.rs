//! How workers begin, and why they don't.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::id::{Exit, Incarnation, ProcessId, ProcessName, Signal};
use procession::process::event::Violation;
use procession::process::failure::{Errno, LaunchFailure, NotProcession};
use procession::process::launcher::launch;
use procession::protocol::control::{Medium, Peer, Refusal, ToRoot, ToWorker};
use procession::sys::socket;

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p2_a_worker_is_ready_stops_when_told_and_leaves_nothing", ready_and_stop),
        story("h08_descriptors_reach_the_worker_over_the_control_pipe", descriptors_travel),
        story("x2_a_worker_holds_four_descriptors_and_no_marks", four_descriptors),
        story("h27_what_can_not_be_executed_is_said_at_once_with_path_and_errno", not_executable),
        story("h27_so_it_is_where_the_kernel_reaps_children_by_itself", not_executable_unreaped),
        story("h27_programs_that_are_not_procession_are_told_from_others", not_procession),
        story("h25_a_program_that_deploys_before_it_takes_over_is_stopped", deploys_first),
        story("h25_roots_do_not_nest_for_ever", too_deep),
        story("h30_another_executable_is_refused_by_its_build", another_build),
        story("h48_a_refusal_reaches_the_root", refused),
        story("h59_a_worker_that_is_somebody_else_is_killed", other_identity),
        story("h59_a_second_ready_is_a_violation", ready_twice),
        story("p1_death_before_ready_tells_how", dies_before_ready),
        story("p3_a_worker_that_is_never_ready_is_killed_at_its_deadline", start_deadline),
    ]
}

async fn ready_and_stop(mut stage: Stage) {
    let what = stage.role(&["serve"]);
    let worker = stage.launch(what);
    stage.ready().await;
    worker.send(&ToWorker::Stop { grace_ms: 1000 }, None).unwrap();
    let life = stage.life().await;
    assert_eq!((life.death.exit, life.death.failure.clone()), (Exit::Code(0), None));
    assert!(life.death.drained && !life.death.torn && life.death.resources.peak_resident_bytes > 0);
    assert_eq!(life.death.pid, worker.pid());
    assert!(worker.send(&ToWorker::Stop { grace_ms: 0 }, None).is_err());
}

async fn descriptors_travel(mut stage: Stage) {
    let what = stage.role(&["serve"]);
    let worker = stage.launch(what);
    stage.ready().await;
    let peer = Peer {
        process: ProcessId(9),
        incarnation: Incarnation::FIRST,
        name: ProcessName::new("nine").unwrap(),
    };
    let (end, _other) = socket::pair().unwrap();
    worker.send(&ToWorker::Introduce { peer, medium: Medium::Socket }, Some(end)).unwrap();
    assert_eq!(stage.line().await, "introduced to nine with 1");
    drop(worker);
    stage.life().await;
}

/// Even if the root itself holds descriptors that are not close-on-exec, ignores signals and has threads.
async fn four_descriptors(mut stage: Stage) {
    let leaked: Vec<_> = (0..3).map(|_| nix::unistd::dup(std::io::stdin()).unwrap()).collect();
    let mut what = stage.role(&["descriptors"]);
    what.environment.push(("PROCESSION_DEPTH".into(), Some("7".into())));
    let worker = stage.launch(what);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.starts_with("signals")) {
        lines.push(stage.line().await);
    }
    drop((worker, leaked));
    stage.life().await;
    let numbers: Vec<_> = lines.iter().filter_map(|line| line.split_once(" -> ")).collect();
    assert_eq!(numbers.iter().map(|(number, _)| *number).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!(numbers[0].1, "/dev/null");
    assert!(numbers[1].1.starts_with("pipe:") && numbers[3].1.starts_with("socket:"), "{numbers:?}");
    let rest = &lines[4..];
    assert_eq!(rest[..3], ["mark None", "depth Ok(\"1\")", "comm worker-1"]);
    // std ignores SIGPIPE (bit 12) in every Rust program before main; all else is the default. Above bit 31 are
    // signals of the C library's own.
    let (blocked, ignored) = rest[3].split_once(" SigIgn: ").unwrap();
    assert_eq!(blocked, "signals SigBlk: 0000000000000000");
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 1 << 12);
}

async fn not_executable(mut stage: Stage) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let cases = [
        (folder.path().join("missing"), libc::ENOENT),
        (folder.path().to_owned(), libc::EACCES),
        (file("not-executable", "#!/bin/sh\n", 0o644), libc::EACCES),
        (file("bad-interpreter", "#!/no/such/interpreter\n", 0o755), libc::ENOENT),
        (file("no-format", "just text\n", 0o755), libc::ENOEXEC),
    ];
    for (path, errno) in cases {
        let what = stage.program(&path, &[]);
        let failure = launch(what, stage.events.clone()).expect_err("can't be executed");
        assert_eq!(failure, LaunchFailure::NotExecutable { path: path.clone(), errno: Errno(errno) });
        assert!(failure.to_string().contains(&*path.to_string_lossy()), "{failure}");
    }
    let what = stage.program("/bin/true", &["a\0b"]);
    let failure = launch(what, stage.events.clone()).expect_err("a zero byte");
    assert!(matches!(failure, LaunchFailure::ZeroByte { .. }), "{failure:?}");
    assert!(stage.heard.is_empty(), "a launch that fails at once reports nothing");
}

/// The kernel reaps such children by itself, before anybody has looked at them.
async fn not_executable_unreaped(_: Stage) {
    let root = Command::new("/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$0\" raw-unreaped"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&root.stdout);
    assert!(
        root.status.success() && told.lines().count() == 100,
        "{}",
        String::from_utf8_lossy(&root.stderr)
    );
    assert!(told.lines().all(|line| line.contains("/no/such/program")), "{told}");
}

/// A root whose children are reaped by the kernel, and whose workers can't be executed.
pub(crate) fn unreaped() -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stage = Stage::new(1);
        for _ in 0..100 {
            let what = stage.program("/no/such/program", &[]);
            let failure = launch(what, stage.events.clone()).expect_err("there is no such program");
            assert!(matches!(failure, LaunchFailure::NotExecutable { .. }), "{failure:?}");
            println!("{failure}");
        }
    });
    procession::sys::exit::exit_now(0)
}

async fn not_procession(mut stage: Stage) {
    let shell = |command| ("/bin/sh", vec!["-c", command]);
    let cases = [
        (("/bin/true", vec![]), NotProcession::Ended(Exit::Code(0)), vec![]),
        (("/bin/cat", vec![]), NotProcession::Ended(Exit::Code(0)), vec![]),
        (shell("echo oops >&2; exit 3"), NotProcession::Ended(Exit::Code(3)), vec!["oops"]),
        (shell("echo garbage >&3; sleep 60"), NotProcession::Garbage, vec![]),
        (shell("printf prcss >&3"), NotProcession::Ended(Exit::Code(0)), vec![]),
    ];
    for ((path, arguments), why, last_stderr) in cases {
        let what = stage.program(path, &arguments);
        let life = stage.run(what).await;
        let LaunchFailure::NotProcession { path: told, why: said, last_stderr: last } = life.failure() else {
            panic!("{path} {arguments:?}: {:?}", life.failure())
        };
        assert_eq!((told.as_path(), said, last), (Path::new(path), &why, &own(&last_stderr)));
    }
    let version = stage.program("/bin/sh", &["-c", r"printf 'prcssion\377\0\0\0' >&3; sleep 60"]);
    let life = stage.run(version).await;
    assert!(matches!(life.failure(), LaunchFailure::Version { theirs: 255, .. }), "{:?}", life.failure());
    // One that is killed may have been any program.
    let killed = stage.program("/bin/sh", &["-c", "kill -KILL $$"]);
    let life = stage.run(killed).await;
    let exit = Exit::Signal { signal: Signal(libc::SIGKILL), core_dumped: false };
    assert!(
        matches!(life.failure(), LaunchFailure::DiedBeforeReady { exit: told, .. } if *told == exit),
        "{:?}",
        life.failure()
    );
    let closes = stage.role(&["raw-close"]);
    let life = stage.run(closes).await;
    assert!(matches!(life.failure(), LaunchFailure::NotProcession { why: NotProcession::Closed, .. }));
}

fn own(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

async fn deploys_first(mut stage: Stage) {
    let what = stage.role(&["raw-deploy"]);
    let life = stage.run(what).await;
    assert_eq!(life.death.exit, Exit::Code(0), "{:?}", life.death.last_stderr);
    assert!(life.death.last_stderr[0].contains("call `Program::run` first"), "{:?}", life.death.last_stderr);
}

async fn too_deep(_: Stage) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.arg("raw-deploy").env("PROCESSION_DEPTH", "8").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("nested 8 workers deep"), "{text}");
}

async fn another_build(mut stage: Stage) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    // Not the deployer, but told that it should be.
    let mut what = stage.program(&copy, &["serve"]);
    what.welcome.build = Some(procession::sys::executable::build_id().unwrap());
    let life = stage.run(what).await;
    assert!(matches!(life.failure(), LaunchFailure::Refused(Refusal::Build { .. })), "{:?}", life.failure());
    let what = stage.program(&copy, &["exit", "0"]);
    assert_eq!(stage.run(what).await.death.failure, None);
}

async fn refused(mut stage: Stage) {
    let what = stage.role(&["refuse"]);
    let worker = stage.launch(what);
    worker.send(&ToWorker::Stop { grace_ms: 0 }, None).unwrap();
    let life = stage.life().await;
    assert_eq!(life.failure(), &LaunchFailure::Refused(Refusal::Handshake("on request".to_owned())));
    assert!(matches!(life.frames[..], [ToRoot::Refused(_)]));
}

async fn other_identity(mut stage: Stage) {
    let what = stage.role(&["other-identity"]);
    let life = stage.run(what).await;
    let violation = Violation::Identity { process: ProcessId(77), incarnation: Incarnation::FIRST };
    assert_eq!(life.violations, [violation]);
    assert!(life.frames.is_empty() && matches!(life.failure(), LaunchFailure::Violation { .. }));
}

async fn ready_twice(mut stage: Stage) {
    let what = stage.role(&["ready-twice"]);
    let life = stage.run(what).await;
    assert_eq!(life.violations, [Violation::SecondStart("Ready")]);
    assert_eq!((life.frames.len(), life.death.failure), (1, None));
}

async fn dies_before_ready(mut stage: Stage) {
    let what = stage.role(&["die-before-ready"]);
    let life = stage.run(what).await;
    let expected = LaunchFailure::DiedBeforeReady { exit: Exit::Code(4), last_stderr: own(&["no reason"]) };
    assert_eq!(life.failure(), &expected);
}

async fn start_deadline(mut stage: Stage) {
    let deadline = Duration::from_millis(300);
    let mut what = stage.role(&["never-ready"]);
    what.start_deadline = deadline;
    let life = stage.run(what).await;
    assert!(matches!(life.failure(), LaunchFailure::StartDeadline { .. }), "{:?}", life.failure());
    let mut what = stage.role(&["raw-silent"]);
    what.start_deadline = deadline;
    let life = stage.run(what).await;
    let LaunchFailure::NotProcession { why, .. } = life.failure() else { panic!("{:?}", life.failure()) };
    assert_eq!(*why, NotProcession::Silent(deadline));
}
