//! The engine and the oracle see the same ends and must do the same deeds, in the same order, to the same outcome.
//!
//! The world is calm: what is asked to stop stops, a start succeeds or fails at once, and nothing waits. What the
//! engine does in rougher weather is held by `races`.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::desk::{CRASH, DONE};
use super::oracle::{Deed, Oracle};
use super::trees::{any_exit, any_prompt_child, any_tree, many_cases, mixed};
use crate::id::Exit;
use crate::supervision::{Action, ChildId, Engine, GroupSpec, Outcome};

/// What happens next: after so long, one of those who live (counted round) ends so.
type Event = (Duration, usize, Exit);

/// Children that were up once are known to work, mostly; at the first start nearly all do.
fn comes_up(seed: u64, child: ChildId, life: u32) -> bool {
    let percent = if life == 1 { 99 } else { 80 };
    mixed(seed, child, life) % 100 < percent
}

struct Calm {
    engine: Engine,
    seed: u64,
    now: Instant,
    deeds: Vec<Deed>,
    outcome: Option<Outcome>,
}

impl Calm {
    /// Carries out what the engine wants, answering at once.
    fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Start { child, incarnation } => {
                    self.deeds.push(Deed::Start { child, life: incarnation.0 });
                    match comes_up(self.seed, child, incarnation.0) {
                        true => self.engine.handle_ready(child, incarnation, self.now),
                        false if mixed(self.seed, child, !incarnation.0).is_multiple_of(2) => {
                            self.engine.handle_start_failure(child, incarnation, self.now);
                        }
                        false => self.engine.handle_exit(child, incarnation, DONE, self.now),
                    }
                }
                Action::Stop { child, incarnation, .. } => {
                    self.deeds.push(Deed::Stop { child });
                    self.engine.handle_exit(child, incarnation, CRASH, self.now);
                }
                Action::Note(_) => {}
                Action::Ended(outcome) => self.outcome = Some(outcome),
            }
        }
    }
}

fn agree(tree: GroupSpec, seed: u64, events: Vec<Event>) -> Result<(), TestCaseError> {
    let engine = Engine::new(tree.clone(), seed);
    let mut calm = Calm { engine, seed, now: Instant::now(), deeds: Vec::new(), outcome: None };
    let mut oracle = Oracle::new(tree, Box::new(move |child, life| comes_up(seed, child, life)));
    oracle.start();
    calm.engine.handle_start(calm.now);
    calm.act();
    for (after, which, exit) in events {
        prop_assert_eq!(&calm.deeds, &oracle.stage.deeds);
        prop_assert_eq!(calm.outcome, oracle.outcome);
        let living = oracle.living();
        if oracle.outcome.is_some() || living.is_empty() {
            return Ok(());
        }
        if calm.engine.poll_timeout().is_some() {
            // The pace, which OTP does not have, spreads the births of a very bad moment.
            return Ok(());
        }
        let child = living[which % living.len()];
        calm.now += after;
        oracle.stage.now += after;
        let incarnation = calm.engine.state(child, calm.now).expect("the oracle knows it").incarnation;
        calm.engine.handle_exit(child, incarnation, exit, calm.now);
        oracle.exit(child, exit);
        calm.act();
    }
    if calm.engine.poll_timeout().is_none() {
        calm.engine.handle_stop(calm.now);
        calm.act();
        if oracle.outcome.is_none() {
            oracle.stop();
        }
        prop_assert_eq!(&calm.deeds, &oracle.stage.deeds);
        prop_assert_eq!(calm.outcome, oracle.outcome);
    }
    Ok(())
}

proptest! {
    #![proptest_config(many_cases())]

    #[test]
    fn p5_the_engine_does_what_otp_does(
        tree in any_tree(any_prompt_child()),
        seed: u64,
        events in prop::collection::vec(((0u64..6_000).prop_map(Duration::from_millis), 0usize..64, any_exit()), 0..24),
    ) {
        agree(tree, seed, events)?;
    }
}
