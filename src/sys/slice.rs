//! The slice of a thread: how long another may keep the processor from it once it is woken.
//!
//! A thread that sleeps most of the time and has something to do at once when it is woken, as an arbiter does, waits
//! for whatever happens to run where it slept, until that has used up its slice, which is looked at once in a tick of the
//! clock: up to four milliseconds. Who has a shorter slice than the other interrupts it instead. Linux 6.12 and newer
//! have that.

use std::io;

use nix::errno::Errno;

/// The shortest that the kernel takes, in nanoseconds. It is no more processor time; a thread that computes for long is
/// interrupted more often where others wait.
const SHORTEST_NS: u64 = 100_000;

/// As the kernel takes it for the slice that it gives to all.
const USUAL_NS: u64 = 0;

/// Gives the calling thread the shortest slice, which threads that it starts inherit. Changes nothing where the thread was
/// given a class of its own, by whoever started the process, or where the kernel has no slices.
///
/// # Errors
/// What the kernel says, where the call is forbidden. The thread then goes on as it was.
pub fn shorten() -> io::Result<()> {
    set(SHORTEST_NS)
}

/// Gives the calling thread the slice that all have, for what is no more urgent than others: the program of a new process.
/// Allocates nothing and takes no lock.
///
/// # Errors
/// As [`shorten`].
pub(super) fn restore() -> io::Result<()> {
    set(USUAL_NS)
}

/// Puts the calling thread into the class of those that run where nobody else wants the processor, and give way at once.
///
/// # Errors
/// As [`shorten`].
pub fn give_way() -> io::Result<()> {
    let mut attributes = read()?;
    attributes.sched_policy = libc::SCHED_IDLE.cast_unsigned();
    write(&attributes)
}

fn set(slice_ns: u64) -> io::Result<()> {
    let mut attributes = read()?;
    // The kernel tells the slice of this class, if it has one.
    if attributes.sched_policy != libc::SCHED_OTHER.cast_unsigned() || attributes.sched_runtime == 0 {
        return Ok(());
    }
    attributes.sched_runtime = slice_ns;
    write(&attributes)
}

/// As many bytes as every kernel knows.
#[allow(clippy::cast_possible_truncation)] // 48.
const BYTES: u32 = size_of::<libc::sched_attr>() as u32;

#[allow(unsafe_code)]
fn read() -> io::Result<libc::sched_attr> {
    let mut attributes = libc::sched_attr {
        size: BYTES,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: thread 0 is the calling one. The kernel writes at most `BYTES` bytes, which is what the struct of this frame
    // has, and keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, BYTES, 0) };
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

    /// Everything but the slice.
    fn rest(attributes: &libc::sched_attr) -> (u32, u64, i32) {
        (attributes.sched_policy, attributes.sched_flags, attributes.sched_nice)
    }

    /// A thread of the usual class, however urgent the tests are.
    fn be_usual() -> libc::sched_attr {
        let mut usual = read().expect("it is read");
        usual.sched_policy = libc::SCHED_OTHER.cast_unsigned();
        usual.sched_runtime = USUAL_NS;
        write(&usual).expect("a thread may have the usual slice");
        read().expect("it is read")
    }

    #[test]
    fn a_thread_shortens_its_slice_and_restores_it_and_changes_nothing_else() {
        let [before, short, after] = on_a_thread(|| {
            let before = be_usual();
            shorten().expect("nothing forbids it");
            let short = read().expect("it is read");
            restore().expect("nothing forbids it");
            [before, short, read().expect("it is read")]
        });
        assert_eq!((rest(&short), rest(&after)), (rest(&before), rest(&before)));
        assert_eq!(after.sched_runtime, before.sched_runtime);
        // Kernels before 6.12 tell none.
        let expected = if before.sched_runtime == 0 { 0 } else { SHORTEST_NS };
        assert_eq!(short.sched_runtime, expected);
    }

    #[test]
    fn a_thread_that_gives_way_is_of_the_idle_class() {
        let policy = on_a_thread(|| {
            give_way().expect("any thread may be less urgent");
            read().expect("it is read").sched_policy
        });
        assert_eq!(policy, libc::SCHED_IDLE.cast_unsigned());
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
        assert_eq!((rest(&before), before.sched_runtime), (rest(&after), after.sched_runtime));
    }
}
