//! What a seed means, and how seeds are played.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fastrand::Rng;
use procession::protocol::Limits;

use super::world::World;

/// What kind of world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Anything,
    /// No faults, no deadlines, nobody gives up.
    Peaceful,
    /// Two or three processes that leave and are killed all the time.
    Departures,
    /// Everybody sends to everybody as fast as it can through pipes of a few bytes.
    Flood,
}

/// One world, before anything happens.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) processes: usize,
    pub(crate) actors: usize,
    pub(crate) limits: Limits,
    pub(crate) capacity_bytes: usize,
    pub(crate) piece_bytes: usize,
    pub(crate) rounds: u32,
    /// Messages that a process submits in a round, at most.
    pub(crate) submits: u32,
    pub(crate) large: f64,
    pub(crate) deadlines: f64,
    pub(crate) cancels: f64,
    pub(crate) forwards: f64,
    /// Per round.
    pub(crate) stalls: f64,
    pub(crate) cuts: f64,
    pub(crate) kills: f64,
    pub(crate) leaves: f64,
    /// Whether actors are pools: two threads take messages in order, and begin them in any.
    pub(crate) pools: bool,
    /// How willing an actor is to take its next message.
    pub(crate) pace: f64,
    /// Requests that are never answered by themselves, and refused ones.
    pub(crate) silent: f64,
    pub(crate) refused: f64,
    /// How often a process watches somebody, each round.
    pub(crate) watches: f64,
}

impl Scenario {
    fn new(kind: Kind, dice: &mut Rng) -> Scenario {
        let pick = |dice: &mut Rng, from: &[usize]| from[dice.usize(..from.len())];
        let word = |dice: &mut Rng, from: &[usize]| u32::try_from(from[dice.usize(..from.len())]).unwrap();
        let sometimes = |dice: &mut Rng, most: f64| if dice.bool() { 0.0 } else { dice.f64() * most };
        let mut scenario = Scenario {
            kind,
            processes: dice.usize(2..=8),
            actors: dice.usize(1..=3),
            limits: Limits {
                max_message_bytes: 1 << 20,
                window_messages: word(dice, &[1, 2, 3, 8, 64]),
                window_bytes: word(dice, &[1, 7, 100, 1 << 10, 8 << 10, 64 << 10]),
                reply_bytes: word(dice, &[1, 500, 100_000, 1 << 20]),
                ..Limits::default()
            },
            capacity_bytes: pick(dice, &[64, 500, 4 << 10, 64 << 10]),
            piece_bytes: pick(dice, &[16, 300, 5000, 1 << 20]),
            rounds: dice.u32(60..250),
            submits: dice.u32(1..6),
            large: sometimes(dice, 0.1),
            deadlines: dice.f64(),
            cancels: sometimes(dice, 0.5),
            forwards: sometimes(dice, 0.3),
            stalls: sometimes(dice, 0.3),
            cuts: sometimes(dice, 0.05),
            kills: sometimes(dice, 0.05),
            leaves: sometimes(dice, 0.05),
            pools: dice.u8(..3) == 0,
            pace: 0.1 + dice.f64(),
            silent: sometimes(dice, 0.2),
            refused: sometimes(dice, 0.1),
            watches: sometimes(dice, 0.5),
        };
        match kind {
            Kind::Anything => {}
            Kind::Peaceful | Kind::Flood => {
                (scenario.deadlines, scenario.cancels, scenario.silent, scenario.refused) =
                    (0.0, 0.0, 0.0, 0.0);
                (scenario.stalls, scenario.cuts, scenario.kills, scenario.leaves) = (0.0, 0.0, 0.0, 0.0);
            }
            Kind::Departures => {
                scenario.processes = dice.usize(2..=3);
                (scenario.actors, scenario.cuts, scenario.large) = (1, 0.0, dice.f64() * 0.05);
                (scenario.kills, scenario.leaves) = (0.05, 0.1);
                (scenario.stalls, scenario.submits) = (0.3, 6);
            }
        }
        if kind == Kind::Flood {
            scenario.processes = dice.usize(2..=4);
            scenario.capacity_bytes = pick(dice, &[1, 3, 29, 300]);
            (scenario.rounds, scenario.submits) = (30, 20);
            scenario.large = if scenario.capacity_bytes < 100 { 0.0 } else { 0.02 };
        }
        scenario
    }

    /// Longer than any deadline that a message is given.
    pub(crate) const LONGEST: Duration = Duration::from_secs(2);
}

/// Plays so many worlds, or the one that is asked for.
///
/// `PROCESSION_SIM_SEEDS` is how many of each kind are played, and a fourth of it of floods, which take half a second each.
pub(crate) fn for_each_seed(test: &str, kind: Kind, seeds: u64) {
    let share = if kind == Kind::Flood { 4 } else { 1 };
    each_seed_with(test, (seeds, share), |seed, loud| play(kind, seed, loud));
}

/// Plays so many stories of some other kind, or the one that is asked for.
pub(crate) fn each_seed(test: &str, seeds: u64, play: impl Fn(u64, bool)) {
    each_seed_with(test, (seeds, 1), play);
}

fn each_seed_with(test: &str, (seeds, share): (u64, u64), play: impl Fn(u64, bool)) {
    let said = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = said("PROCESSION_SIM_SEED") {
        println!("seed {seed}");
        return play(seed, true);
    }
    let seeds = said("PROCESSION_SIM_SEEDS").map_or(seeds, |all| all.div_ceil(share));
    println!("seeds 0..{seeds}");
    for seed in 0..seeds {
        let played = catch_unwind(AssertUnwindSafe(|| play(seed, false)));
        assert!(
            played.is_ok(),
            "seed {seed} failed, see above; to see it happen: \
             PROCESSION_SIM_SEED={seed} cargo test --test simulation {test} -- --nocapture"
        );
    }
}

fn play(kind: Kind, seed: u64, loud: bool) {
    let mut dice = Rng::with_seed(seed);
    let scenario = Scenario::new(kind, &mut dice);
    if loud {
        println!("{scenario:#?}");
    }
    World::new(scenario, dice, loud).play();
}
