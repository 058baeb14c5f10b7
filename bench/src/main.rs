//! Measurements beside the limits and the peers.
fn main() {}
