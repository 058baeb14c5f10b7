//! The `pipes` workload: round trips and one-way streams between two processes, at four sizes, over
//!
//! - `socketpair`: a bare blocking socketpair, without framing, that reads into one buffer whatever is there:
//!   the limit;
//! - `socketpair_whole`: the same, but each message is read as a whole, as its reader would need it;
//! - `procession`: our blocking ends, `send_bytes` and `recv_bytes`, which gives a vector of its own for each;
//! - `procession_into`: the same with `recv_bytes_into` and one buffer;
//! - `procession_feed`: the same with objects (`Bytes`) and a buffered sender, one-way only;
//! - `ipc_channel`: its `IpcBytesSender`, and typed `IpcSender<Vec<u8>>` for small objects;
//! - `python`: `multiprocessing.Pipe` with a spawned child.
//!
//! Round trip: the median of one outstanding echo. One-way: the clock stops when the receiver has confirmed
//! the last message. Both ends are pinned, each to its own core, except where `same_core` says otherwise,
//! since for receivers that sleep the two are different experiments.
//!
//! Neighbours disturb some rounds, and a machine has faster and slower moments. So the peers take turns in
//! many short rounds, every other one backwards; each figure is the median of the rounds, and each comparison
//! the median of the ratios *within* a round, with the quartiles beside it.

mod bare;
mod compare;
mod ipc;
mod ours;
mod place;
mod python;

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::json;

use self::compare::Rounds;

use crate::{Options, Outcome};

/// The sizes of the messages, with their names.
const SIZES: [(&str, usize); 4] = [("64B", 64), ("1KiB", 1 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];

/// What the child does: echo so many, then swallow so many and confirm the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Bytes of each message.
    pub(crate) size: usize,
    /// Messages that are echoed.
    pub(crate) echoes: usize,
    /// Messages that are swallowed.
    pub(crate) swallows: usize,
}

/// What one peer measured in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// The median round trip.
    pub(crate) round_trip: Duration,
    /// The time of all one-way messages; of one of them, once it is told.
    pub(crate) one_way: Duration,
}

type Measured = Result<Figures, Box<dyn Error>>;

/// A peer's name, and how it measures.
type Peer = (&'static str, fn(Work) -> Measured);

/// Each peer.
const PEERS: [Peer; 7] = [
    ("socketpair", bare::measure),
    ("socketpair_whole", bare::measure_whole),
    ("procession", ours::measure),
    ("procession_into", ours::measure_into),
    ("procession_feed", ours::measure_fed),
    ("ipc_channel", ipc::measure),
    ("python", python::measure),
];

/// The environment variable that tells a child its part.
const PART: &str = "PROCESSION_BENCH_PIPES";

/// Plays the part of a child, if this process is one.
pub(crate) fn child() -> Option<Result<(), Box<dyn Error>>> {
    let part = std::env::var(PART).ok()?;
    Some(place::pin_child().and_then(|()| play(&part)))
}

fn play(part: &str) -> Result<(), Box<dyn Error>> {
    let mut words = part.split(' ');
    let peer = words.next().unwrap_or_default();
    let mut number = || words.next().unwrap_or_default().parse::<usize>();
    let work = Work { size: number()?, echoes: number()?, swallows: number()? };
    match peer {
        "socketpair" => bare::child(work),
        "socketpair_whole" => bare::child_whole(work),
        "procession" => ours::child(work),
        "procession_into" => ours::child_into(work),
        "procession_feed" => ours::child_fed(work),
        "ipc_channel" => ipc::child(work),
        other => Err(format!("no such part: {other}").into()),
    }
}

/// This program as a child with a part.
fn command(peer: &str, work: Work) -> std::io::Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.env(PART, format!("{peer} {} {} {}", work.size, work.echoes, work.swallows));
    Ok(command)
}

/// Times each of the echoes, and then the stream of the swallowed.
fn clock(
    work: Work,
    mut echo: impl FnMut() -> Result<(), Box<dyn Error>>,
    stream: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Measured {
    // The first hundredth warms up.
    let warm = work.echoes / 100 + 1;
    let mut times = Vec::with_capacity(work.echoes);
    for place in 0..work.echoes {
        let before = Instant::now();
        echo()?;
        if place >= warm {
            times.push(before.elapsed());
        }
    }
    times.sort_unstable();
    let round_trip = times.get(times.len() / 2).copied().unwrap_or_default();
    let before = Instant::now();
    stream()?;
    Ok(Figures { round_trip, one_way: before.elapsed() })
}

/// Measures every peer at every size, on two cores and on one.
pub(crate) fn run(options: Options) -> Outcome {
    let rounds = if options.quick { 15 } else { 45 };
    let mut sizes = serde_json::Map::new();
    let mut targets = serde_json::Map::new();
    for (name, size) in SIZES {
        let work = work(size, options.quick);
        let apart = measure(work, rounds, place::Placement::TwoCores)?;
        let together = measure(work, rounds, place::Placement::OneCore)?;
        sizes.insert(name.into(), json!({ "two_cores": apart.told(size), "same_core": together.told(size) }));
        compare::targets(name, &apart, &together, &mut targets);
    }
    Ok(json!({ "sizes": sizes, "targets": targets }))
}

fn work(size: usize, quick: bool) -> Work {
    let (echoes, bytes, most) = if quick { (200, 128 << 20, 20_000) } else { (400, 256 << 20, 50_000) };
    Work { size, echoes: echoes.min(bytes / size), swallows: most.min(bytes / size) }
}

fn measure(work: Work, rounds: usize, placement: place::Placement) -> Result<Rounds, Box<dyn Error>> {
    place::choose(placement)?;
    let mut found = Rounds::default();
    for round in 0..rounds {
        for turn in 0..PEERS.len() {
            // Whoever comes after a heavy neighbour suffers from it: not always the same one.
            let (name, measure) = PEERS[if round % 2 == 0 { turn } else { PEERS.len() - 1 - turn }];
            let (one_round_in, work) = match name {
                // It is far away, and takes long to start.
                "python" => (5, Work { swallows: work.swallows.min(20_000), ..work }),
                "ipc_channel" => (3, work),
                _ => (1, work),
            };
            if round % one_round_in > 0 {
                continue;
            }
            let figures = measure(work)?;
            let one_way = figures.one_way / u32::try_from(work.swallows)?;
            found.add(round, name, Figures { one_way, ..figures });
        }
    }
    Ok(found)
}
