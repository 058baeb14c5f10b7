//! The `pipes` workload: round trips and one-way streams between two processes, at four sizes, over
//!
//! - `socketpair`: a bare blocking socketpair, without framing: the limit;
//! - `procession`: our blocking ends, `send_bytes` and `recv_bytes`;
//! - `procession_feed`: the same with objects (`Bytes`) and a buffered sender, one-way only;
//! - `ipc_channel`: its `IpcBytesSender`, and typed `IpcSender<Vec<u8>>` for small objects;
//! - `python`: `multiprocessing.Pipe` with a spawned child.
//!
//! Round trip: the median of one outstanding echo. One-way: the clock stops when the receiver has confirmed
//! the last message. Both ends are pinned, each to its own core, except where `same_core` says otherwise,
//! since for receivers that sleep the two are different experiments. Each figure is the best of several
//! rounds, and the rounds of the different peers take turns, because neighbours on the machine disturb some
//! of them.

mod bare;
mod ipc;
mod ours;
mod place;
mod python;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
    /// The time of all one-way messages.
    pub(crate) one_way: Duration,
}

type Measured = Result<Figures, Box<dyn Error>>;

/// A peer's name, and how it measures.
type Peer = (&'static str, fn(Work) -> Measured);

/// Each peer.
const PEERS: [Peer; 5] = [
    ("socketpair", bare::measure),
    ("procession", ours::measure),
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
        "procession" => ours::child(work),
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

/// Measures every peer at every size, on two cores, and the round trip on one core as well.
pub(crate) fn run(options: Options) -> Outcome {
    let rounds = if options.quick { 1 } else { 5 };
    let mut sizes = serde_json::Map::new();
    for (name, size) in SIZES {
        let work = work(size, options.quick);
        let apart = measure(work, rounds, place::Placement::TwoCores)?;
        let together = measure(work, rounds, place::Placement::OneCore)?;
        sizes.insert(name.into(), json!({ "two_cores": apart, "same_core": together }));
    }
    let targets = targets(&sizes);
    Ok(json!({ "sizes": sizes, "targets": targets }))
}

fn work(size: usize, quick: bool) -> Work {
    let (echoes, bytes, most) = if quick { (300, 16 << 20, 20_000) } else { (2000, 128 << 20, 200_000) };
    Work { size, echoes: echoes.min((bytes >> 2) / size), swallows: most.min(bytes / size) }
}

fn measure(work: Work, rounds: usize, placement: place::Placement) -> Result<Value, Box<dyn Error>> {
    let mut best: BTreeMap<&str, Figures> = BTreeMap::new();
    place::choose(placement)?;
    for _ in 0..rounds {
        for (name, measure) in PEERS {
            let work = match name {
                // It is slow enough for fewer.
                "python" => Work { swallows: work.swallows.min(50_000), ..work },
                _ => work,
            };
            let figures = measure(work)?;
            let per_message = figures.one_way / u32::try_from(work.swallows)?;
            let found = Figures { one_way: per_message, ..figures };
            let best = best.entry(name).or_insert(found);
            best.round_trip = best.round_trip.min(found.round_trip);
            best.one_way = best.one_way.min(found.one_way);
        }
    }
    let mut peers = serde_json::Map::new();
    for (name, figures) in best {
        let one_way = figures.one_way.as_secs_f64();
        let mut told = json!({
            "one_way_per_s": (1.0 / one_way).round(),
            "one_way_gib_per_s": work.size as f64 / one_way / f64::from(1 << 30),
        });
        // A buffered sender has no round trip of its own.
        if name != "procession_feed" {
            told["round_trip_us"] = json!(figures.round_trip.as_secs_f64() * 1e6);
        }
        peers.insert(name.into(), told);
    }
    Ok(Value::Object(peers))
}

/// What must hold, with what was found.
fn targets(sizes: &serde_json::Map<String, Value>) -> Value {
    let figure = |size: &str, peer: &str, what: &str| {
        sizes[size]["two_cores"][peer][what].as_f64().unwrap_or(f64::NAN)
    };
    let one_way = |size, peer| figure(size, peer, "one_way_per_s");
    let round_trip =
        |size| figure(size, "procession", "round_trip_us") / figure(size, "socketpair", "round_trip_us");
    let fed = |size, peer| one_way(size, "procession_feed") / one_way(size, peer);
    json!({
        "round_trip_64B_over_socketpair_at_most_1.1": round_trip("64B"),
        "round_trip_1KiB_over_socketpair_at_most_1.1": round_trip("1KiB"),
        "one_way_64B_over_python_at_least_10": fed("64B", "python"),
        "one_way_64B_over_ipc_channel_at_least_3": fed("64B", "ipc_channel"),
        "one_way_1MiB_over_socketpair_at_least_0.8": one_way("1MiB", "procession") / one_way("1MiB", "socketpair"),
    })
}
