//! Faults on purpose: kills, stops and broken pipes, injected into a topology that runs, from a seed.
//!
//! For tests of what users build, and for `procession chaos FILE`. A [`Chaos`] says what may happen, how often and to
//! whom; [`Chaos::run`] does it to a [`Running`](crate::runtime::Running) topology and gives a [`Report`].
//!
//! ```no_run
//! use std::time::Duration;
//! use procession::chaos::{Census, Chaos};
//! # async fn of(running: procession::runtime::Running) -> procession::Result<()> {
//! let before = Census::take()?;
//! let ms = Duration::from_millis;
//! let report = Chaos::new(7)                        // the same seed, the same faults at the same times
//!     .every(ms(50)..=ms(300))
//!     .kill(3)
//!     .stop(1, ms(50)..=ms(500))
//!     .run(&running, Duration::from_secs(20))
//!     .await?;
//! assert!(report.unsettled.is_empty(), "{report}"); // everybody came back
//! running.shutdown().await?;
//! assert_eq!(Census::take()?.children, before.children);
//! # Ok(()) }
//! ```
//!
//! What is decided is decided without I/O: [`Script`] is the list of faults, and the bytes of a disturbed pipe pass a
//! state machine (`flow`). The rest is a thin driver: it runs on a thread of its own, so that a stopped process goes on
//! in time whatever the caller's thread does, and asks the root's thread to signal. **Only processes that this root
//! started are signalled, and through their pidfds.**
//!
//! Pipes can be disturbed only if they go through somebody: while faults of pipes are on, each new pipe of a process that
//! may be hit is two sockets, with this module between them. A pipe that was there before stays as it is, so whoever
//! wants all pipes disturbed starts the chaos right after [`Root::launch`](crate::runtime::Root::launch).

mod census;
mod driver;
mod flow;
mod relay;
mod report;
mod script;
mod settings;

pub use census::Census;
pub use driver::{ChaosError, Rampage};
pub use report::{Ended, Injected, Outcome, Report, Restarted};
pub use script::{Direction, Fault, Script, Step};
pub use settings::Chaos;
