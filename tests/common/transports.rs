//! The same stories over pipes of another kind: what a pipe is made of must make no difference.

use std::sync::{Mutex, PoisonError};

use libtest_mimic::Trial;
use procession::topology::Transport;

/// What the pipes of the story that is told or played are made of.
static TRANSPORT: Mutex<Transport> = Mutex::new(Transport::Auto);

pub(crate) fn transport() -> Transport {
    *TRANSPORT.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn set_transport(transport: Transport) {
    *TRANSPORT.lock().unwrap_or_else(PoisonError::into_inner) = transport;
}

/// The same stories, over pipes of another kind.
pub(crate) fn over(other: Transport, stories: fn() -> Vec<Trial>) -> Vec<Trial> {
    set_transport(other);
    let stories = stories();
    set_transport(Transport::Auto);
    stories.into_iter().map(|story| story.with_kind(format!("{other:?}"))).collect()
}
