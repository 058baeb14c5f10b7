//! A clock that all processes of a machine share, for moments that travel between them.

/// Milliseconds since the machine was started, those in which it slept included. No change of the time of day moves it
/// (H56).
pub fn now_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a `timespec` of this frame, to which the call writes and which it does not keep. Every kernel that
    // has pidfds, without which nothing of this crate runs, has this clock, so the call can't fail; if it did, `now` would
    // still be the zeros above.
    #[allow(unsafe_code)]
    unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now);
    }
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanoseconds / 1_000_000
}

#[cfg(test)]
mod tests {
    #[test]
    fn h56_the_shared_clock_never_goes_back() {
        let first = super::now_ms();
        assert!(first > 0);
        assert!(super::now_ms() >= first);
    }
}
