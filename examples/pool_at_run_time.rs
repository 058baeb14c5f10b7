//! A pool that an actor makes larger and smaller while the topology runs: each worker of it is a process, started by the
//! boss, which lives in a process itself. The boss dies, and its next life finds the pool as it was.
//!
//! `cargo run --example pool_at_run_time`

#![allow(clippy::print_stdout)] // What it shows, it prints.

use procession::prelude::*;
use procession::runtime::ChangeError;

/// Counts the primes below a number.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct PrimesBelow(u64);

#[derive(ProcActor)]
#[proc_actor(messages(PrimesBelow))]
struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Spawn for Worker {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Worker)
    }
}

impl Handler<PrimesBelow> for Worker {
    type Result = u64;
    fn handle(&mut self, PrimesBelow(end): PrimesBelow, _: &mut Context<Self>) -> u64 {
        (2..end).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count() as u64
    }
}

/// Makes the pool so large, whatever there is of it; answers with how many were new, and its addresses.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<(u32, Vec<ProcAddr<Worker>>), ChangeError>")]
struct Grow(u32);

/// Dies as by a fault in a C library.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Abort;

#[derive(ProcActor)]
#[proc_actor(messages(Grow, Abort))]
struct Boss;

impl Actor for Boss {
    type Context = Context<Self>;
}

impl Spawn for Boss {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Boss)
    }
}

impl Handler<Grow> for Boss {
    type Result = ResponseFuture<Result<(u32, Vec<ProcAddr<Worker>>), ChangeError>>;
    fn handle(&mut self, Grow(size): Grow, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let (mut new, mut pool) = (0, Vec::new());
            for number in 1..=size {
                let process =
                    Process::new(format!("pool-of-{number}")).actor::<Worker>(format!("worker-{number}"), ());
                match Runtime::current()?.start(process).await {
                    Ok(_) => new += 1,
                    Err(ChangeError::AlreadyThere { .. }) => {}
                    Err(error) => return Err(error),
                }
                pool.push(ProcAddr::named(&format!("worker-{number}")));
            }
            Ok((new, pool))
        })
    }
}

impl Handler<Abort> for Boss {
    type Result = ();
    fn handle(&mut self, _: Abort, _: &mut Context<Self>) {
        std::process::abort();
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Boss>().actor::<Worker>().run(async |root| {
        let office = Process::new("office").actor::<Boss>("boss", ());
        let running = root.deploy(Topology::new("pool").process(office)).await?;
        let boss = running.addr::<Boss>("boss")?;
        let (new, pool) = boss.send(Grow(3)).await??;
        let jobs: Vec<_> = pool
            .iter()
            .zip([100, 1_000, 10_000])
            .map(|(worker, end)| worker.send(PrimesBelow(end)))
            .collect();
        for job in jobs {
            println!("{} primes", job.await?);
        }
        println!("{new} started; the boss dies: {}", boss.send(Abort).await.is_err());
        let (new, pool) = boss.send(Grow(4)).await??;
        println!(
            "{new} more started, {} in the pool: {} primes",
            pool.len(),
            pool[0].send(PrimesBelow(10)).await?
        );
        running.stop("pool-of-4").await?;
        println!("{} processes run", running.processes().await?.len());
        running.shutdown().await
    })
}
