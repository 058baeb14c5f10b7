//! What every subject of the bench shares, in this program or in one of its own: the work that is to be done, the
//! cores, and the clocks. Peers with hundreds of dependencies are programs of their own, which need nothing else.

pub mod cores;
pub mod drive;
pub mod peer;
#[cfg(feature = "tokio")]
pub mod tasks;
pub mod traces;
pub mod work;
