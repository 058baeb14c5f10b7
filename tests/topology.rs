//! Topologies from outside: golden files, round trips and nonsense.

#[path = "topology/catalog.rs"]
mod catalog;
#[path = "topology/golden.rs"]
mod golden;
#[path = "topology/nonsense.rs"]
mod nonsense;
#[path = "topology/round_trip.rs"]
mod round_trip;
