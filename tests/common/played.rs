//! How the stories of real processes are played, and how they must end. For test programs without libtest, whose
//! `story` says with which program and how patiently.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use procession::prelude::*;

/// Plays a story in a root; one that takes longer than `patience` hangs.
pub(crate) fn played<F: Future<Output = procession::Result<()>>>(
    program: Program,
    patience: Duration,
    play: impl FnOnce(Root) -> F,
) -> Result<(), String> {
    let played = program.run(async |root| {
        let told = tokio::time::timeout(patience, play(root)).await;
        told.map_err(|_| procession::Error::other("the story hangs"))?
    });
    played.map_err(|error| error.to_string())
}

/// What was played, once it is sure that no child is left for the next story.
pub(crate) fn without_a_child_left(played: Result<(), String>) -> Result<(), Failed> {
    let any = waitpid(None, Some(WaitPidFlag::WNOHANG));
    played?;
    assert_eq!(any, Err(Errno::ECHILD), "a child is left");
    Ok(())
}
