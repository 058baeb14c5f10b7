//! Drives a connection over a pipe.

pub mod driver;
mod duplex;
pub mod looped;
pub mod pipe;
pub mod polling;
pub mod shared;
pub mod socket;
mod turn;
pub mod wire;

#[cfg(test)]
mod wire_tests;
