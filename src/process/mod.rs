//! One OS process: launching it, being it, what it knows of its peers.

pub mod bootstrap;
pub mod control;
pub mod event;
pub mod failure;
pub mod handling;
pub mod launcher;
pub mod routing;
pub mod stdio;
