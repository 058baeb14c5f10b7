//! Drives a connection over a pipe.

pub mod driver;
pub mod polling;
pub mod socket;
pub mod wire;
