//! One OS process: launching it, being it, what it knows of its peers.

pub mod asks;
mod attendant;
mod birth;
pub mod bootstrap;
pub mod cgroup;
pub mod clock;
pub mod control;
pub mod event;
pub mod failure;
pub mod handling;
pub mod janitor;
pub mod keeping;
mod lane;
pub mod launcher;
pub mod logs;
pub mod orphans;
pub(crate) mod panics;
pub mod programs;
pub mod routing;
mod scratch;
pub mod status;
pub mod stdio;
pub(crate) mod text;
