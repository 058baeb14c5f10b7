//! A child that shares the memory of its parent until it executes its program, and is born in its control group.
//!
//! Against [`libc::fork`] it saves the copy of the page tables, which grows with the parent's memory, and the faults that follow
//! on both sides. To be born in a control group saves the kernel's lock over all thread groups, which a process takes that
//! moves into one: some ten milliseconds in which nobody on the machine may fork or exit.

#[cfg(target_arch = "x86_64")]
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;

use super::Plan;

/// A child, and the descriptor that names it. The kernel opens that with the child: one that could not execute its program may be
/// gone before anybody could open it, where SIGCHLD is ignored.
pub(super) struct Born {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// Makes the child; the calling thread waits until it executes its program, or has ended. `None` if the kernel or a filter of system
/// calls refuses this way, or it is not known for this processor; then nothing was made.
#[cfg(target_arch = "x86_64")]
pub(super) fn start(plan: &mut Plan) -> Option<Born> {
    plan.born_in_group = plan.group >= 0;
    if plan.born_in_group
        && let Some(child) = clone(plan)
    {
        return Some(child);
    }
    // A group that takes no newborn may take one that comes.
    plan.born_in_group = false;
    clone(plan)
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn start(_: &mut Plan) -> Option<Born> {
    None
}

/// Does not fit into the type that `libc` gives it.
#[cfg(target_arch = "x86_64")]
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// More than the part of the stack below its pointer that the compiler may use without moving it, which is 128; a multiple of 16,
/// so that the stack stays aligned.
#[cfg(target_arch = "x86_64")]
const BELOW_THE_STACK: usize = 256;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn clone(plan: &Plan) -> Option<Born> {
    // SAFETY: plain data for which zeroes are valid: no stack of its own, nothing else to be written.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    let mut pidfd: i32 = -1;
    order.flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD).unsigned_abs().into();
    // Exposed, since the kernel writes there.
    order.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    order.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    if plan.born_in_group {
        order.flags |= CLONE_INTO_CGROUP;
        order.cgroup = plan.group.unsigned_abs().into();
    }
    let result: i64;
    // SAFETY: the kernel reads the order, which is as long as said, and writes the number of a descriptor to where that says. The child begins with our registers, on our stack, and
    // we stand still until it has left our memory (CLONE_VFORK), with all signals blocked: so it may use the stack below
    // what this function and the compiler use, as a function that we call does, and must not return from here, which
    // `enter` never does. When we go on, nothing above has changed, and the kernel has changed the three registers named.
    unsafe {
        std::arch::asm!(
            "sub rsp, {below}",
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "call {enter}",
            "ud2",
            "2:",
            "add rsp, {below}",
            below = const BELOW_THE_STACK,
            enter = sym enter,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const order,
            in("rsi") size_of_val(&order),
            in("r12") plan,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    let pid = i32::try_from(result).ok().filter(|pid| *pid > 0)?;
    // SAFETY: the kernel has made a child, so it has opened this descriptor (close-on-exec) for this call alone.
    Some(Born { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// The child, from its first instruction on.
#[cfg(target_arch = "x86_64")]
extern "C" fn enter(plan: &Plan) -> ! {
    super::follow(plan)
}
