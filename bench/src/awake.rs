//! Processors that never halt while something is measured.
//!
//! A halted processor of a virtual machine is at its host's mercy: woken, it waits for one of the host's, which may take some
//! milliseconds where neighbours are busy. Where a tail is measured that passes several sleeping threads, it is the host's.
//! A thread of the idle class on each processor keeps it from halting, and gives way to every other thread at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use procession::sys::slice;

use crate::cores;
use crate::part::Failure;

/// They halt again when it is dropped.
pub(crate) struct Awake {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    /// All processors that this process may use, from now on.
    pub(crate) fn keep() -> Result<Awake, Failure> {
        let mut awake = Awake { over: Arc::default(), threads: Vec::new() };
        for core in cores::allowed()? {
            let (over, (ready, is_ready)) = (Arc::clone(&awake.over), mpsc::sync_channel(1));
            awake.threads.push(std::thread::spawn(move || {
                let begun = be_idle(core).map_err(|error| error.to_string());
                let goes_on = begun.is_ok();
                // Who does not wait for it any more has set `over`.
                let _ = ready.send(begun);
                while goes_on && !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }));
            is_ready.recv()??;
        }
        Ok(awake)
    }
}

/// This thread runs on that processor, when nobody else wants it.
fn be_idle(core: usize) -> Result<(), Failure> {
    cores::pin(Some(core))?;
    Ok(slice::give_way()?)
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing that could panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> Vec<i32> {
        let threads = std::fs::read_dir("/proc/self/task").expect("threads");
        let stats =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        // The 41st field, behind the name, which ends with the last parenthesis.
        let policy = |stat: String| stat.rsplit(')').next()?.split_whitespace().nth(38)?.parse().ok();
        stats.filter_map(policy).collect()
    }

    #[test]
    fn a_thread_of_the_idle_class_runs_for_each_core_until_it_is_over() {
        let idle = || policies().into_iter().filter(|policy| *policy == nix::libc::SCHED_IDLE).count();
        let awake = Awake::keep().expect("any thread may be less urgent");
        assert_eq!(idle(), cores::allowed().expect("cores").len());
        drop(awake);
        // Who waits for a thread hears of its end a little before the kernel has forgotten it.
        let begin = std::time::Instant::now();
        while idle() > 0 {
            assert!(begin.elapsed() < std::time::Duration::from_secs(10), "they run on");
        }
    }
}
