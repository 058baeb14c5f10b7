//! From the figures of the rounds to what is told: medians, and ratios within a round.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Figures;

/// What each peer measured in each round that it took part in.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<&'static str, BTreeMap<usize, Figures>>);

/// What is measured of a message, in seconds.
type Aspect = fn(&Figures) -> f64;

const ROUND_TRIP: Aspect = |figures| figures.round_trip.as_secs_f64();
const ONE_WAY: Aspect = |figures| figures.one_way.as_secs_f64();

impl Rounds {
    /// Adds a peer's figures of a round.
    pub(crate) fn add(&mut self, round: usize, peer: &'static str, figures: Figures) {
        self.0.entry(peer).or_default().insert(round, figures);
    }

    /// Each peer's medians, and the quartiles of its round trips.
    pub(crate) fn told(&self, size: usize) -> Value {
        let peers = self.0.iter().map(|(name, rounds)| {
            let [_, one_way, _] = quartiles(rounds.values().map(ONE_WAY));
            let mut told = json!({
                "one_way_per_s": (1.0 / one_way).round(),
                "one_way_gib_per_s": size as f64 / one_way / f64::from(1 << 30),
            });
            // A buffered sender has no round trip of its own.
            if *name != "procession_feed" {
                let [low, median, high] = quartiles(rounds.values().map(ROUND_TRIP)).map(|time| time * 1e6);
                told["round_trip_us"] = json!(median);
                told["round_trip_us_quartiles"] = json!([low, high]);
            }
            ((*name).into(), told)
        });
        Value::Object(peers.collect())
    }

    /// How much longer the first peer takes than the second, within each round of both: quartiles.
    fn ratio(&self, aspect: Aspect, first: &str, second: &str) -> [f64; 3] {
        let (Some(first), Some(second)) = (self.0.get(first), self.0.get(second)) else {
            return [f64::NAN; 3];
        };
        let both = first.iter().filter_map(|(round, first)| Some((first, second.get(round)?)));
        quartiles(both.map(|(first, second)| aspect(first) / aspect(second)))
    }
}

/// What must hold at that size, with what was found on two cores and on one.
pub(crate) fn targets(size: &str, two_cores: &Rounds, same_core: &Rounds, targets: &mut Map<String, Value>) {
    let mut add = |what: String, ratio: &dyn Fn(&Rounds) -> [f64; 3]| {
        let [two_cores, same_core] = [two_cores, same_core].map(|rounds| {
            let [low, median, high] = ratio(rounds).map(|ratio| (ratio * 1000.0).round() / 1000.0);
            json!({ "median": median, "quartiles": [low, high] })
        });
        targets.insert(what, json!({ "two_cores": two_cores, "same_core": same_core }));
    };
    for ours in ["procession", "procession_into"] {
        add(format!("{ours}_round_trip_{size}_over_socketpair_at_most_1.1"), &|rounds| {
            rounds.ratio(ROUND_TRIP, ours, "socketpair")
        });
    }
    match size {
        "64B" => {
            for (peer, least) in [("python", 10), ("ipc_channel", 3)] {
                add(format!("procession_feed_one_way_{size}_over_{peer}_at_least_{least}"), &|rounds| {
                    rounds.ratio(ONE_WAY, peer, "procession_feed")
                });
            }
        }
        "1MiB" => {
            for ours in ["procession", "procession_into", "socketpair_whole"] {
                add(format!("{ours}_one_way_{size}_over_socketpair_at_least_0.8"), &|rounds| {
                    rounds.ratio(ONE_WAY, "socketpair", ours)
                });
            }
        }
        _ => {}
    }
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted.get(sorted.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let mut rounds = Rounds::default();
        // The machine is ten times as slow in the second round.
        for (round, (slow, ours)) in [(1_u64, 11), (10, 12), (1, 13)].into_iter().enumerate() {
            let figures = |micros: u64| Figures {
                round_trip: Duration::from_micros(micros * slow),
                one_way: Duration::from_micros(10),
            };
            rounds.add(round, "bare", figures(10));
            rounds.add(round, "ours", figures(ours));
        }
        // Alone in its round, it is compared with nobody.
        rounds.add(7, "ours", Figures { round_trip: Duration::MAX, one_way: Duration::MAX });
        let [_, median, high] = rounds.ratio(ROUND_TRIP, "ours", "bare");
        assert!((median - 1.2).abs() < 1e-9 && (high - 1.3).abs() < 1e-9, "{median} {high}");
        assert!(rounds.ratio(ONE_WAY, "ours", "nobody")[1].is_nan());
    }
}
