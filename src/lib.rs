//! Procession: actors that live in separate OS processes.
//!
//! You write ordinary [actix](https://docs.rs/actix) actors; Procession starts the processes they live in, connects
//! those processes by duplex pipes, and gives every actor an address that means the same in all of them. A panic, an
//! abort, a segfault, an out-of-memory kill or an endless loop takes down one process, not the program.
//!
//! ```no_run
//! use procession::prelude::*;
//!
//! #[derive(Message, Serialize, Deserialize)]
//! #[rtype(result = "u64")]
//! struct Add(u64);
//!
//! #[derive(ProcActor)]
//! #[proc_actor(messages(Add))]
//! struct Counter { total: u64 }
//!
//! impl Actor for Counter { type Context = Context<Self>; }
//! impl Handler<Add> for Counter {
//!     type Result = u64;
//!     fn handle(&mut self, add: Add, _: &mut Context<Self>) -> u64 { self.total += add.0; self.total }
//! }
//! impl Spawn for Counter {
//!     type Args = u64;
//!     fn spawn(start: u64, _: &Birth) -> Result<Self, SpawnError> { Ok(Counter { total: start }) }
//! }
//!
//! fn main() -> procession::Result<()> {
//!     Program::new().actor::<Counter>().run(async |root| {      // a worker never comes past this line
//!         let topology = Topology::new("demo")
//!             .process(Process::new("left").actor::<Counter>("counter", 40));
//!         let running = root.deploy(topology).await?;
//!         let counter: ProcAddr<Counter> = running.addr("counter")?;
//!         assert_eq!(counter.send(Add(2)).await?, 42);
//!         running.shutdown().await
//!     })
//! }
//! ```
//!
//! Where to look: [`runtime`] for programs and deployments, [`address`] for sending, [`topology`] for declaring,
//! [`pipe`] for two processes and a pipe without any actor,
//! [`chaos`] for killing what runs, on purpose. What is promised stands in `docs/SEMANTICS.md`, by number.

// Floors, lowest first: each imports only floors above it in this list; `tests/layering.rs` holds it. The empty
// lines keep rustfmt from sorting them by name.

// The derive names its types by the crate's name, here too.
extern crate self as procession;

pub mod id;

pub mod sys;

pub mod codec;

pub mod blob;

pub mod pipe;

pub mod supervision;

pub mod protocol;

pub mod topology;

pub mod transport;

pub mod trace;

pub mod process;

pub mod address;

pub mod runtime;

pub mod chaos;

pub mod prelude;

pub use actix;
pub use procession_macros::ProcActor;
pub use runtime::{Error, Result, finish};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
