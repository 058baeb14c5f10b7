//! The ways out of a worker.

/// Ends the process at once: no destructors, no exit handlers, no flushing, whatever other threads do.
#[allow(unsafe_code)]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any number, touches no memory of ours and does not return.
    unsafe { libc::_exit(code) }
}

/// Ends the process through C's exit handlers, so that profilers and C's own buffers get their turn.
#[allow(clippy::disallowed_methods)] // The one orderly way out, which the bootstrap takes.
pub fn exit_in_order(code: i32) -> ! {
    std::process::exit(code)
}
