//! The slice of a thread: how long another may keep the processor from it once it is woken.
//!
//! A thread that sleeps most of the time and has something to do at once when it is woken, as an arbiter does, waits
//! for whatever happens to run where it slept, until that has used up its slice: three or four milliseconds. Who asks
//! for a shorter slice than the other has interrupts it instead. Linux 6.12 and newer have that; older kernels take the
//! same call and change nothing.

use std::io;
use std::mem::size_of;

use nix::errno::Errno;

/// The shortest that the kernel takes, in nanoseconds. It is no promise of more processor time and costs none: who runs
/// longer is interrupted by the clock's tick as before.
const SHORTEST_NS: u64 = 100_000;

/// Gives the calling thread the shortest slice, unless whoever started the process has given it a class or an urgency of
/// its own. Threads and processes that it starts have the usual slice: what computes for long is no more urgent than
/// what others compute.
///
/// # Errors
/// What the kernel says, where the call is forbidden. The thread then goes on as it was.
pub fn shorten() -> io::Result<()> {
    let mut attributes = read()?;
    // A negative urgency would not be passed on to what the thread starts.
    if attributes.sched_policy != libc::SCHED_OTHER.cast_unsigned() || attributes.sched_nice < 0 {
        return Ok(());
    }
    attributes.sched_flags |= u64::from(libc::SCHED_FLAG_RESET_ON_FORK.cast_unsigned());
    attributes.sched_runtime = SHORTEST_NS;
    write(&attributes)
}

/// As many bytes as every kernel knows.
fn size() -> u32 {
    size_of::<libc::sched_attr>().try_into().expect("a small struct")
}

#[allow(unsafe_code)]
fn read() -> io::Result<libc::sched_attr> {
    let mut attributes = libc::sched_attr {
        size: size(),
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: thread 0 is the calling one. The kernel writes at most `size` bytes, which is what the struct of this frame
    // has, and keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size(), 0) };
    Errno::result(result)?;
    Ok(attributes)
}

#[allow(unsafe_code)]
fn write(attributes: &libc::sched_attr) -> io::Result<()> {
    // SAFETY: thread 0 is the calling one. The kernel reads `attributes.size` bytes, which is what the struct has, writes
    // none and keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) };
    Errno::result(result)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(run).join().expect("the thread ends")
    }

    #[test]
    fn a_thread_shortens_its_slice_and_not_that_of_those_it_starts() {
        let (before, after, child) = on_a_thread(|| {
            let before = read().expect("it is read");
            shorten().expect("nothing forbids it");
            (before, read().expect("it is read"), on_a_thread(|| read().expect("it is read")))
        });
        assert_eq!((before.sched_policy, before.sched_nice), (after.sched_policy, after.sched_nice));
        assert_eq!((before.sched_policy, before.sched_nice), (child.sched_policy, child.sched_nice));
        assert_eq!(before.sched_runtime, child.sched_runtime);
        // Kernels before 6.12 have nothing to shorten, and say nothing about it.
        if before.sched_runtime > 0 {
            assert_eq!(after.sched_runtime, SHORTEST_NS);
        }
    }

    #[test]
    fn a_thread_of_another_class_stays_as_it_is() {
        let (before, after) = on_a_thread(|| {
            let mut batch = read().expect("it is read");
            batch.sched_policy = libc::SCHED_BATCH.cast_unsigned();
            write(&batch).expect("any thread may be less urgent");
            let before = read().expect("it is read");
            shorten().expect("nothing is asked for");
            (before, read().expect("it is read"))
        });
        assert_eq!(before.sched_policy, libc::SCHED_BATCH.cast_unsigned());
        assert_eq!((before.sched_policy, before.sched_runtime), (after.sched_policy, after.sched_runtime));
    }
}
