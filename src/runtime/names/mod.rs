//! Names and groups that are given at run time: the root's directory of them, and what programs do with it.
//!
//! ```text
//!  Runtime::register, look_up, ...  --NamesRequest-->  Directory (root) --Say--> Attend --> routing/presence
//!  GroupAddr, ProcAddr of a group   --Use----------->      |        ^               Here, Away, Gone
//!        ^                                                 |        '-------------------'
//!        '--views, watchers (address/group) <--Name, Group-'
//! ```
//!
//! The directory decides without I/O; `deployment/names.rs` carries it out on the root's thread.

mod calls;
mod directory;
mod group_table;
mod name_table;
mod rights;
mod shown;

#[cfg(test)]
mod tests;

pub use calls::StartError;
pub(super) use directory::{Asker, Directory, Say};
pub(super) use rights::{Rights, replicas};
pub(super) use shown::{hold_to_edge, shown_in_answer, shown_in_word};
