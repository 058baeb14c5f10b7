//! What a dead worker has left behind: processes that it started, and they in turn. Root side.
//!
//! While it has workers, a root adopts the orphans among its descendants (a "child subreaper"). Each worker bears marks of
//! its life that everything which it starts inherits. So whatever has one of them and has become a child of the root is the
//! dead worker's, also when it has a session of its own; it is killed and reaped. Nothing else ever is: neither children
//! that the root's own program has started, nor what it has adopted from them (H22, H23).
//!
//! | mark | of whom | how it is lost |
//! |---|---|---|
//! | process group | those that made none of their own | `setsid`, `setpgid` |
//! | limit of file locks | all, dead ones too; not those of a root within | the limit is set |
//! | environment | all that live; also those of a root within | another environment, as `env -i` |
//! | control group ([`super::cgroup`]) | all, dead ones too | it is moved, which takes rights |

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::cgroup::{Cgroup, Place};
use super::janitor;
use crate::id::{Incarnation, ProcessId, Signal};
use crate::sys::environment;
use crate::sys::pidfd::{self, Pidfd};
use crate::sys::proc::{self, Stat, State};
use crate::sys::readiness;

/// How long what was killed may take to be gone: far more than a kill takes, and a worker's next life waits for it.
const SWEEP_DEADLINE: Duration = Duration::from_millis(500);

/// What dies leaves its own children to us, and so on: more often than this only something that starts processes faster
/// than it is killed.
const ROUNDS: usize = 32;

/// A process that outlives its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its number with the kernel.
    pub pid: i32,
    /// What it is called.
    pub name: String,
}

/// What a worker had left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many were killed. What a root within the worker had left to clean up after it is not counted, nor what was ending
    /// already with the worker's process group.
    pub killed: usize,
    /// Who could not be killed in time, or at all.
    pub left: Vec<Orphan>,
}

/// The mark of one life.
#[derive(Clone, Debug)]
pub(super) struct LifeMark {
    text: String,
    number: u64,
}

impl LifeMark {
    pub(super) fn new(process: ProcessId, incarnation: Incarnation) -> LifeMark {
        // Different for each root that ever was, also one that has the number of an earlier one.
        static ROOT: OnceLock<u64> = OnceLock::new();
        let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let root = *ROOT.get_or_init(random);
        let text = format!("{root:016x}.{process}.{incarnation}");
        let life = (u64::from(process.0) << 32) | u64::from(incarnation.0);
        // Any two lives of a root differ, and no limit is one that a person sets.
        let number = (root ^ life.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 1 | 1 << 62;
        LifeMark { text, number }
    }

    /// The value of the variable: the marks of the lives within which this one is, and this one's.
    pub(super) fn value(&self) -> OsString {
        let mut value = std::env::var_os(environment::LIFE).unwrap_or_default();
        if !value.is_empty() {
            value.push(":");
        }
        value.push(&self.text);
        value
    }

    /// The number that is inherited.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a child of this process bears it.
    fn is_of(&self, pid: i32) -> bool {
        proc::locks_limit(pid) == Some(self.number)
            || proc::environment(pid).is_ok_and(|environment| self.is_in(&environment))
    }

    /// Whether an environment has it.
    fn is_in(&self, environment: &[u8]) -> bool {
        let variables = environment.split(|byte| *byte == 0);
        let values = variables
            .filter_map(|variable| variable.strip_prefix(environment::LIFE.as_bytes())?.strip_prefix(b"="));
        values.flat_map(|value| value.split(|byte| *byte == b':')).any(|mark| mark == self.text.as_bytes())
    }
}

/// While one of these lives, this process adopts the orphans among its descendants.
#[derive(Debug)]
pub(super) struct Adopting(());

static ADOPTING: AtomicUsize = AtomicUsize::new(0);

/// Whether the program itself had asked for it, so that it stays.
static BEFORE: OnceLock<bool> = OnceLock::new();

impl Adopting {
    pub(super) fn begin() -> Adopting {
        if ADOPTING.fetch_add(1, Ordering::SeqCst) == 0 {
            let is_set = nix::sys::prctl::get_child_subreaper().unwrap_or(false);
            if !*BEFORE.get_or_init(|| is_set) {
                // Without it, orphans go to init, as they would anyway.
                let _ = nix::sys::prctl::set_child_subreaper(true);
            }
        }
        Adopting(())
    }
}

impl Drop for Adopting {
    fn drop(&mut self) {
        if ADOPTING.fetch_sub(1, Ordering::SeqCst) == 1 && BEFORE.get() == Some(&false) {
            let _ = nix::sys::prctl::set_child_subreaper(false);
        }
    }
}

/// What may be left of a worker, until it is swept.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) mark: LifeMark,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) adopting: Adopting,
    pub(super) living: Option<Living>,
}

/// The worker whose life a number marks lives.
#[derive(Debug)]
pub(super) struct Living(u64);

/// The numbers of lives, and the workers.
static LIVING: Mutex<BTreeMap<u64, i32>> = Mutex::new(BTreeMap::new());

impl Drop for Living {
    fn drop(&mut self) {
        LIVING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Reaps what workers that live have started, left to this process and survived: a daemon's parent, for one. To be
/// called from time to time; it costs nothing while nobody is dead.
pub fn reap_dead() {
    if !pidfd::has_dead_children() {
        return;
    }
    let living = LIVING.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (pid, stat) in proc::children() {
        let Some(worker) = (stat.state == State::Dead).then(|| proc::locks_limit(pid)).flatten() else {
            continue;
        };
        // The worker itself bears the mark, too, and is reaped by its attendant.
        if living.get(&worker).is_some_and(|worker| *worker != pid)
            && let Some(orphan) = open(pid)
        {
            reap(&orphan);
        }
    }
}

impl Estate {
    /// It is that of this worker, which is not reaped and is there.
    pub(super) fn begin(&mut self, worker: i32, place: &Place) {
        LIVING.lock().unwrap_or_else(PoisonError::into_inner).insert(self.mark.number, worker);
        self.living = Some(Living(self.mark.number));
        // A group that did not take it knows nothing of what it starts.
        self.cgroup = self.cgroup.take().filter(|cgroup| cgroup.holds(place));
    }

    /// Kills and reaps everything that a dead worker, reaped at that time, has left.
    pub(super) async fn sweep(self, group: i32, died: Instant) -> Orphans {
        let Estate { mark, cgroup, adopting, living } = self;
        drop(living);
        let mut orphans = Orphans::default();
        let until = Instant::now() + SWEEP_DEADLINE;
        // What it left is ours since it died, and what those left that are killed here since then.
        let mut ours_since = died;
        let mut left = Vec::new();
        // Most workers leave nobody; then nobody is looked for among all processes of the machine.
        let mut may_be_left = cgroup.is_none() || pidfd::has_dead_children();
        if let Some(cgroup) = &cgroup {
            let is_populated = cgroup.is_populated();
            may_be_left |= is_populated;
            let members = if is_populated { cgroup.members() } else { Vec::new() };
            let forgotten = members.iter().filter(|member| is_forgotten(**member)).count();
            let members: Vec<Arc<Pidfd>> = members.into_iter().flat_map(open).collect();
            if is_populated {
                cgroup.kill();
            }
            orphans.killed += forgotten.min(members.len());
            for member in members {
                left.extend(await_end(member, until).await);
                ours_since = Instant::now();
            }
        }
        for _ in 0..if may_be_left { ROUNDS } else { 0 } {
            let Found { alive, dead, have_changed } = found(&mark, group, cgroup.as_ref(), ours_since).await;
            dead.iter().for_each(reap);
            if alive.is_empty() && !have_changed || Instant::now() >= until {
                break;
            }
            for orphan in alive {
                let is_forgotten = is_forgotten(orphan.pid());
                // One that may not be killed is another user's.
                let refused = orphan.signal(Signal(libc::SIGKILL)).is_err();
                let rest = if refused { Some(orphan) } else { await_end(orphan, until).await };
                orphans.killed += usize::from(rest.is_none() && is_forgotten);
                left.extend(rest);
            }
            ours_since = Instant::now();
        }
        let mut pids: Vec<i32> =
            left.iter().filter(|orphan| !orphan.is_dead()).map(|orphan| orphan.pid()).collect();
        if let Some(cgroup) = cgroup {
            pids.extend(cgroup.end().await);
        }
        pids.sort_unstable();
        pids.dedup();
        orphans.left = pids.into_iter().map(|pid| Orphan { pid, name: proc::name(pid) }).collect();
        drop(adopting);
        orphans
    }
}

/// Whether nobody has seen to its end: no janitor, which does nothing but clean up, and nothing that is ending, as whatever
/// else was in the worker's process group. Asked in this order, since one that is ending may not tell any more what it was.
fn is_forgotten(pid: i32) -> bool {
    !janitor::is_one(pid) && proc::stat(pid).is_ok_and(|stat| !stat.is_ending)
}

fn open(pid: i32) -> Option<Arc<Pidfd>> {
    Pidfd::open(pid).ok().map(Arc::new)
}

/// Until it is dead, and reaped where it is ours; itself, if it is not dead in time.
async fn await_end(orphan: Arc<Pidfd>, until: Instant) -> Option<Arc<Pidfd>> {
    let Ok(watched) = readiness::watch_process(Arc::clone(&orphan)) else { return Some(orphan) };
    let dead = tokio::time::timeout_at(until, watched.readable()).await.is_ok();
    drop(watched);
    if !dead {
        return Some(orphan);
    }
    reap(&orphan);
    None
}

fn reap(orphan: &Arc<Pidfd>) {
    // An error says that it is not our child, but that of something which dies, too, and leaves it to us then.
    let _ = pidfd::reap_adopted(orphan);
}

/// The process that was seen there. Between the look and the opening it may have died and been reaped by the program itself,
/// and its number be another's, which is nobody to kill: who started when that one did, after the opening, was there at
/// the opening, too.
fn open_seen(pid: i32, seen: &Stat) -> Option<(Arc<Pidfd>, Stat)> {
    let opened = open(pid)?;
    let now = proc::stat(pid).ok()?;
    ((now.started, now.parent) == (seen.started, seen.parent)).then_some((opened, now))
}

#[derive(Default)]
struct Found {
    alive: Vec<Arc<Pidfd>>,
    dead: Vec<Arc<Pidfd>>,
    /// Some have ended since they were looked up, so what they left is not among these.
    have_changed: bool,
}

/// The children of this process that a worker has left to it, at that time or later.
async fn found(mark: &LifeMark, group: i32, cgroup: Option<&Cgroup>, time: Instant) -> Found {
    let mut found = Found::default();
    for (pid, stat) in children_after(time).await.iter() {
        let was_dead = stat.state == State::Dead;
        let Some((orphan, stat)) = open_seen(*pid, stat) else {
            found.have_changed = true;
            continue;
        };
        // The number of a process group is not used again while the group has members.
        let is_left = stat.group == group
            || mark.is_of(*pid)
            || cgroup.is_some_and(|cgroup| cgroup.holds(&Place::of(*pid)));
        match stat.state {
            State::Dead if is_left => {
                found.have_changed |= !was_dead;
                found.dead.push(orphan);
            }
            _ if is_left => found.alive.push(orphan),
            _ => {}
        }
    }
    found
}

/// The children and when they were looked up.
type Children = Rc<Vec<(i32, Stat)>>;

thread_local! {
    static LAST: RefCell<Option<(Instant, Children)>> = const { RefCell::new(None) };
}

/// The children of this process, looked up at that time or later. Workers that die together share one look.
async fn children_after(time: Instant) -> Children {
    tokio::task::yield_now().await;
    if let Some((when, children)) = LAST.with_borrow(Clone::clone)
        && when > time
    {
        return children;
    }
    let looked = (Instant::now(), Rc::new(proc::children()));
    LAST.with_borrow_mut(|last| last.insert(looked).1.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The children of a test, killed and reaped whatever becomes of it.
    struct Shell(std::process::Child);

    impl Shell {
        fn start(arguments: &[&str]) -> Shell {
            let mut shell = std::process::Command::new("/bin/sh");
            let started = shell.args(arguments).stdin(std::process::Stdio::piped()).spawn();
            Shell(started.expect("a shell"))
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.0.id()).expect("a number of a process")
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn h22_a_number_that_was_given_to_another_process_is_not_opened() {
        let child = Shell::start(&["-c", "read line"]);
        let seen = proc::stat(child.pid()).expect("it lives");
        assert!(open_seen(child.pid(), &seen).is_some_and(|(opened, _)| opened.pid() == child.pid()));
        // As if the one that was seen had this number before.
        let earlier = Stat { started: seen.started - 1, ..seen };
        assert!(open_seen(child.pid(), &earlier).is_none());
        let elsewhere = Stat { parent: 1, ..seen };
        assert!(open_seen(child.pid(), &elsewhere).is_none(), "it became nobody's child but ours");
    }

    #[test]
    fn a_janitor_is_known_by_what_it_calls_itself() {
        let name = |name| Shell::start(&["-c", "read line", name, "/nowhere"]);
        let (one, other) = (name("procession-janitor"), name("janitor"));
        // They are shells when they execute that.
        for (shell, expected) in [(&one, true), (&other, false)] {
            while proc::arguments(shell.pid()).split(|byte| *byte == 0).next() != Some(b"/bin/sh") {
                std::thread::yield_now();
            }
            assert_eq!(janitor::is_one(shell.pid()), expected);
        }
    }

    #[test]
    fn h22_a_mark_is_found_among_others_and_taken_for_no_other() {
        let life = |process, incarnation| LifeMark::new(ProcessId(process), Incarnation(incarnation));
        let mark = life(3, 1);
        let environment = |value: &str| format!("A=b\0{}={value}\0C=d\0", environment::LIFE).into_bytes();
        assert!(mark.is_in(&environment(&mark.text)));
        assert!(mark.is_in(&environment(&format!("ff.1.1:{}:ff.2.2", mark.text))), "roots within roots");
        for other in [life(3, 2), life(3, 11), life(13, 1)] {
            assert!(!mark.is_in(&environment(&other.text)) && mark.number != other.number, "{other:?}");
        }
        assert!(!mark.is_in(format!("OTHER={}\0", mark.text).as_bytes()) && !mark.is_in(b""));
    }
}
