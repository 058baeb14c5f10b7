//! An actor that segfaults on request: the caller gets the signal in its error, the next request succeeds.
//!
//! `cargo run --example crash`

#![allow(clippy::print_stdout)] // What it shows, it prints.

use procession::address::Cause;
use procession::id::Signal;
use procession::prelude::*;

/// What a C library might do to us.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
enum Divide {
    Fairly(u32, u32),
    BySegfault,
    ByPanic,
}

#[derive(ProcActor)]
#[proc_actor(messages(Divide))]
struct Divider;

impl Actor for Divider {
    type Context = Context<Self>;
}

impl Handler<Divide> for Divider {
    type Result = u32;

    fn handle(&mut self, divide: Divide, _: &mut Context<Self>) -> u32 {
        match divide {
            Divide::Fairly(left, right) => left / right,
            Divide::ByPanic => panic!("I can't do this"),
            Divide::BySegfault => read_null(),
        }
    }
}

#[allow(unsafe_code)]
fn read_null() -> u32 {
    // SAFETY: none. It reads an address that is never mapped, on purpose: the kernel answers with SIGSEGV.
    unsafe { std::ptr::null::<u32>().read_volatile() }
}

impl Spawn for Divider {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        tracing::info!(incarnation = birth.incarnation.0, "born");
        Ok(Divider)
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Divider>().run(async |root| {
        let topology = Topology::new("crash").process(Process::new("maths").actor::<Divider>("divider", ()));
        let running = root.deploy(topology).await?;
        let divider = running.addr::<Divider>("divider")?;

        println!("84 / 2 = {}", divider.send(Divide::Fairly(84, 2)).await?);

        let error = divider.send(Divide::ByPanic).await.expect_err("it panics");
        println!("a panic ends the actor: {error}; verdict {:?}", error.verdict());
        println!("and its process restarts it: 84 / 2 = {}", divider.send(Divide::Fairly(84, 2)).await?);

        let error = divider.send(Divide::BySegfault).await.expect_err("it segfaults");
        println!("a segfault ends the process: {error}; verdict {:?}", error.verdict());
        if let Cause::PeerDied { exit: Some(Exit::Signal { signal, .. }), .. } = error.cause() {
            assert_eq!(*signal, Signal(11));
        }
        println!("and the root restarts it: 84 / 2 = {}", divider.send(Divide::Fairly(84, 2)).await?);
        running.shutdown().await
    })
}
