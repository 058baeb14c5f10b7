//! The OS edge: sockets, descriptors, spawning, pidfds, signals. The only floor with unsafe code.
//!
//! Each file wraps one facility of Linux 5.10 and newer behind owned descriptors and `io::Result`; what is
//! sent and when is decided by the floors above. Another operating system is another set of these files.

pub mod buffer;
pub mod clock;
pub mod environment;
pub mod executable;
pub mod exit;
pub mod inherit;
pub mod memfd;
pub mod pidfd;
pub mod poll;
pub mod proc;
pub mod readiness;
pub mod rendezvous;
pub mod ring;
pub mod room;
pub mod shared_memory;
pub mod signals;
pub mod slice;
pub mod socket;
pub mod spawn;
pub mod status_page;
pub mod wake;
