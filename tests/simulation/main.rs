//! A seeded world of processes that talk, on a virtual clock: pipes that are short, slow, stalled and cut, processes
//! that are killed, leave and come back, actors that answer late or never, senders that give up.
//!
//! The connections are the real ones; everything around them is simulated, and each run is its seed and nothing else.
//! What must hold is written in `ledger.rs` and `watching.rs`. `PROCESSION_SIM_SEEDS` says how many seeds are played,
//! `PROCESSION_SIM_SEED` plays one of them and prints what happens.
//!
//! `handing.rs` is a world of its own, for the order over hand-overs. `crash_points.rs` is not seeded: it plays one conversation and ends it at every byte.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test.

mod actors;
mod crash_points;
mod fates;
mod faults;
mod flow_ends;
mod flows;
mod handing;
mod joint;
mod ledger;
mod link;
mod payload;
mod scenario;
mod sending;
mod series;
mod stream;
mod watching;
mod world;

use scenario::{Kind, for_each_seed};

#[test]
fn m1_m2_m3_m5_m7_hold_whatever_happens_in_a_seeded_world() {
    for_each_seed("m1_m2_m3_m5_m7_hold_whatever_happens_in_a_seeded_world", Kind::Anything, 120);
}

#[test]
fn m2_h04_without_faults_everything_is_answered_while_time_stands_still() {
    for_each_seed("m2_h04_without_faults_everything_is_answered_while_time_stands_still", Kind::Peaceful, 40);
}

#[test]
fn m2_h41_goodbyes_and_kills_between_two_that_talk_a_lot() {
    for_each_seed("m2_h41_goodbyes_and_kills_between_two_that_talk_a_lot", Kind::Departures, 400);
}

#[test]
fn h02_mutual_floods_through_the_shortest_pipes_do_not_lock() {
    for_each_seed("h02_mutual_floods_through_the_shortest_pipes_do_not_lock", Kind::Flood, 30);
}
