//! What a case may cost.

use crate::ALLOCATED;

/// Runs a case; fails if it held more than so many bytes at any moment beyond what there was before.
pub(crate) fn within<R>(limit_bytes: usize, what: impl std::fmt::Debug, case: impl FnOnce() -> R) -> R {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let result = case();
    let held = ALLOCATED.peak_usage().saturating_sub(before);
    assert!(held <= limit_bytes, "H6: {what:?} made it hold {held} bytes, {limit_bytes} are allowed");
    result
}
