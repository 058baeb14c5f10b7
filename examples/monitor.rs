//! A watchman in one process is told when a worker in another ends: by a panic, with its process, and at once where there
//! is nobody. Each end comes behind everything that the dead one had sent.
//!
//! `cargo run --example monitor`

#![allow(clippy::print_stdout)] // What it shows, it prints.

use procession::address::{Down, Monitor};
use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Report(String);

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Work {
    steps: u32,
    report_to: ProcRecipient<Report>,
    end: End,
}

#[derive(Serialize, Deserialize)]
enum End {
    None,
    Panic,
    Exit(i32),
}

/// Works, reports each step, and comes to the end that it is given.
#[derive(ProcActor)]
#[proc_actor(messages(Work))]
struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Work> for Worker {
    type Result = ();

    fn handle(&mut self, work: Work, _: &mut Context<Self>) {
        (1..=work.steps).for_each(|step| work.report_to.do_send(Report(format!("step {step}"))));
        match work.end {
            End::None => {}
            End::Panic => panic!("out of luck"),
            // As a C library does: at once, without a word.
            End::Exit(code) => procession::sys::exit::exit_now(code),
        }
    }
}

impl Spawn for Worker {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Worker)
    }
}

/// Lives in the root; prints what it hears.
#[derive(ProcActor)]
#[proc_actor(messages(Report, Down))]
struct Watchman(tokio::sync::mpsc::Sender<()>);

impl Actor for Watchman {
    type Context = Context<Self>;
}

impl Handler<Report> for Watchman {
    type Result = ();

    fn handle(&mut self, Report(text): Report, _: &mut Context<Self>) {
        println!("  {text}");
    }
}

impl Handler<Down> for Watchman {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        println!("  {} is down: {}", down.who, down.reason);
        let _ = self.0.try_send(());
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Worker>().run(async |root| {
        let topology = Topology::new("monitor").process(Process::new("field").actor::<Worker>("worker", ()));
        let running = root.deploy(topology).await?;
        let worker = running.addr::<Worker>("worker")?;
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let watchman = ProcAddr::export(Watchman(tell).start())?;
        let work = |steps, end| Work { steps, report_to: watchman.recipient(), end };

        println!("a panic:");
        let _monitor: Monitor = worker.monitor(&watchman)?;
        worker.do_send(work(3, End::Panic));
        told.recv().await;

        println!("the end of its process:");
        let _monitor: Monitor = worker.monitor(&watchman)?;
        worker.send(work(3, End::None)).await?;
        worker.do_send(work(0, End::Exit(7)));
        told.recv().await;

        println!("nobody:");
        let _monitor = ProcAddr::<Worker>::named("nobody").monitor(&watchman)?;
        told.recv().await;
        running.shutdown().await
    })
}
