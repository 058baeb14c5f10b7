//! What processes say to one another, without I/O: control messages, and the connection that carries messages
//! of actors.

pub mod control;
pub mod control_frames;
mod limits;

pub use limits::Limits;
