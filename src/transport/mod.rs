//! Drives a connection over a pipe.

pub mod socket;
