//! Who is restarted: what a policy says of one child's end, and how far a strategy reaches.
//!
//! Pure. The grid in `grid.md` is generated from these two functions' behaviour in the engine.

use super::action::NotRestarted;
use super::spec::{Policy, Strategy};

/// How a life ended, as far as a policy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Code 0, after it was ready; of a group, by its `auto_shutdown`.
    Normal,
    /// Any other code, a signal, or an end before it was ready; of a group, that it gave up or did not come up.
    Abnormal,
}

/// What is to be done about a member that ended of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Restart,
    Leave(NotRestarted),
}

/// What a member's policy and significance say of its end.
///
/// OTP forbids a significant permanent member. Here `significant` wins over `permanent` for a normal end: such a
/// member is work to be done, code 0 says that it is done, and any other end follows the policy.
pub(super) fn verdict(policy: Policy, significant: bool, end: End) -> Verdict {
    match (policy, end) {
        (Policy::Temporary, _) => Verdict::Leave(NotRestarted::Temporary),
        (Policy::Transient, End::Normal) => Verdict::Leave(NotRestarted::EndedNormally),
        (Policy::Permanent, End::Normal) if significant => Verdict::Leave(NotRestarted::EndedNormally),
        (Policy::Permanent | Policy::Transient, _) => Verdict::Restart,
    }
}

/// How many members share in the restart of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Only that one, beside whatever else its group does.
    Alone,
    /// All from this place on, in order.
    From(usize),
}

/// How far the restart of the member at `seat` reaches.
pub(super) fn reach(strategy: Strategy, seat: usize) -> Reach {
    match strategy {
        Strategy::OneForOne => Reach::Alone,
        Strategy::OneForAll => Reach::From(0),
        Strategy::RestForOne => Reach::From(seat),
    }
}
