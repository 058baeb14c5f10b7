//! A bank of sixteen processes, under transfers that are sent at least once and plain asks, while its processes are killed
//! and stopped; and whether anything was lost, by a ledger that nobody kills.
//!
//! `cargo run --release --example chaos -- --seconds 20 --seed 7 --json`

#![allow(clippy::print_stdout)] // What it shows, it prints.

mod bank;
mod customers;
mod truth;

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use procession::chaos::{Census, Chaos, Report};
use procession::prelude::*;
use procession::topology::Defaults;
use serde_json::{Value, json};

use bank::{Audit, Bank, Opening};
use customers::{Ledger, World};
use truth::Truth;

/// Kills and stops the processes of a bank, and counts what that costs.
#[derive(Parser, Clone, Debug)]
struct Arguments {
    /// How long processes are killed and stopped
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Decides who is killed or stopped, and when
    #[arg(long, default_value = "1")]
    seed: u64,
    /// One object instead of lines
    #[arg(long)]
    json: bool,
}

const BANKS: usize = 16;
const OPENING: i64 = 1_000_000;

/// Customers who order, and those who ask, each one thing after the other.
const ORDERING: u32 = 32;
const ASKING: u64 = 16;

/// How long what was begun may take to come to its end, once everybody is alive again.
const LAST: Duration = Duration::from_secs(60);

/// How long what closes may take, after the last process is gone.
const CLOSING: Duration = Duration::from_secs(2);

fn main() -> procession::Result<ExitCode> {
    Program::new().actor::<Bank>().run(async |root| {
        let arguments = Arguments::parse();
        let folder = tempfile::tempdir()?;
        let found = play(&root, &arguments, &folder.path().join("begun")).await?;
        let told = found.to_json();
        match arguments.json {
            true => println!("{told:#}"),
            false => told
                .as_object()
                .into_iter()
                .flatten()
                .for_each(|(name, value)| println!("{name:<24} {value}")),
        }
        Ok(ExitCode::from(u8::from(!found.is_well())))
    })
}

/// What was found.
struct Found {
    report: Report,
    truth: Truth,
    ledger: Rc<Ledger>,
    money_before: i64,
    wrong_verdicts: usize,
    orphans: usize,
    zombies: usize,
    fd_growth: usize,
    rss_growth: i64,
}

/// The whole run.
async fn play(root: &Root, arguments: &Arguments, begun: &Path) -> procession::Result<Found> {
    std::fs::write(begun, [])?;
    let before = Census::take()?;
    let running = root.deploy(topology(begun)).await?;
    let banks: Vec<ProcAddr<Bank>> =
        (1..=BANKS).map(|number| running.addr(&format!("bank-{number}"))).collect::<Result<_, _>>()?;
    let mut money_before = 0;
    for bank in &banks {
        money_before += bank.send(Audit).await?.balance;
    }
    // The root is connected with all of them then, as it is after the last audit.
    let warm = Census::take()?;
    let world = World { banks: Rc::new(banks), ledger: Rc::default(), is_closing: Rc::default() };
    let customers = open(&world, arguments.seed);
    let ms = Duration::from_millis;
    let chaos = Chaos::new(arguments.seed).every(ms(50)..=ms(300)).kill(2).stop(1, ms(50)..=ms(300));
    let report = chaos.run(&running, Duration::from_secs(arguments.seconds)).await?;
    close(&world, customers).await;
    let truth = truth::audit(&world.banks, OPENING, &world.ledger).await?;
    let busy = settled(|census| census.descriptors <= warm.descriptors).await?;
    running.shutdown().await?;
    let is_clean = |census: &Census| {
        census.workers + census.children + census.zombies == 0 && census.descriptors <= before.descriptors
    };
    let after = settled(is_clean).await?;
    let grown = |later: Census, earlier: Census| later.descriptors.saturating_sub(earlier.descriptors);
    Ok(Found {
        report,
        truth,
        money_before,
        wrong_verdicts: truth::wrong_verdicts(&world.ledger, begun)?,
        ledger: world.ledger,
        orphans: after.workers.max(after.children),
        zombies: after.zombies,
        fd_growth: grown(busy, warm).max(grown(after, before)),
        rss_growth: busy.resident_bytes.cast_signed() - warm.resident_bytes.cast_signed(),
    })
}

/// Sixteen processes with a bank each, which may die as often as they like.
fn topology(begun: &Path) -> Topology {
    let often = Intensity { restarts: 4000, period: Duration::from_secs(1) };
    let soon = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(20) };
    let opening = Opening { balance: OPENING, begun: begun.to_owned() };
    // Who is killed from outside is killed with whatever it has in its hands: that says nothing of the message.
    let bank =
        Process::new("bank").replicas(16).actor_with::<Bank>("bank", opening, |bank| bank.attempts(100));
    Topology::new("bank").restart(often).defaults(Defaults::new().restart(soon)).process(bank)
}

type Customers = Vec<tokio::task::JoinHandle<()>>;

fn open(world: &World, seed: u64) -> Customers {
    let mut dice = fastrand::Rng::with_seed(seed);
    let ordering = (1..=ORDERING).map(|customer| (Some(customer), dice.fork()));
    let all: Vec<_> =
        ordering.collect::<Vec<_>>().into_iter().chain((0..ASKING).map(|_| (None, dice.fork()))).collect();
    all.into_iter()
        .map(|(customer, dice)| match customer {
            Some(customer) => actix::spawn(customers::order(world.clone(), customer, dice)),
            None => actix::spawn(customers::ask(world.clone(), dice)),
        })
        .collect()
}

/// Lets everything come to its end that was begun.
async fn close(world: &World, customers: Customers) {
    world.is_closing.set(true);
    let deadline = tokio::time::Instant::now() + LAST;
    for customer in customers {
        // One that is not done by then is in the count of what is unfinished.
        let _ = tokio::time::timeout_at(deadline, customer).await;
    }
}

/// What is held, once that is as little as it should be, or it is certain that it will not be.
async fn settled(is_so: impl Fn(&Census) -> bool) -> procession::Result<Census> {
    let deadline = Instant::now() + CLOSING;
    loop {
        let census = Census::take()?;
        if is_so(&census) || Instant::now() > deadline {
            return Ok(census);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Found {
    /// Whether nothing was lost, hung, untrue or left.
    fn is_well(&self) -> bool {
        let Truth { lost, doubled, wrong_balances, money } = self.truth;
        let left = self.orphans + self.zombies + self.fd_growth;
        let untrue = self.wrong_verdicts + wrong_balances;
        let undone = self.ledger.hung.get() + self.ledger.unfinished.get() + lost + doubled;
        left + untrue == 0 && undone == 0 && self.report.is_survived() && money == self.money_before
    }

    fn to_json(&self) -> Value {
        let ms = |part| {
            let time = self.report.restart_quantile(part);
            time.map(|time| (time.as_secs_f64() * 1e5).round() / 100.0)
        };
        json!({
            "seed": self.report.seed,
            "kills": self.report.kills,
            "stops": self.report.stops,
            "asks": self.ledger.asks.get(),
            "asks_hung": self.ledger.hung.get(),
            "asks_wrong_verdict": self.wrong_verdicts,
            "transfers_acknowledged": self.ledger.transfers.borrow().len(),
            "transfers_lost": self.truth.lost,
            "transfers_doubled": self.truth.doubled,
            "transfers_unfinished": self.ledger.unfinished.get(),
            "wrong_balances": self.truth.wrong_balances,
            "money_before": self.money_before,
            "money_after": self.truth.money,
            "unsettled": self.report.unsettled.len(),
            "orphans": self.orphans,
            "zombies": self.zombies,
            "fd_growth": self.fd_growth,
            "rss_growth_bytes": self.rss_growth,
            "restart_ms_p50": ms(0.5),
            "restart_ms_p99": ms(0.99),
        })
    }
}
