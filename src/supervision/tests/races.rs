//! Random inputs at random times: whatever happens, the laws of the `world` hold, a stop comes to its end in
//! bounded time, and in calm weather everything heals.

use std::time::Duration;

use proptest::prelude::*;

use super::desk::{DONE, KILLED};
use super::trees::{any_child, any_exit, any_tree, many_cases, mixed};
use super::world::World;
use crate::id::{Exit, Incarnation};
use crate::supervision::{ChildId, ChildSpec, GroupId, Phase, Shutdown, StopStep, TERMINATE_GRACE};

/// What happens next. Numbers choose among those whom it can happen to, counted round.
#[derive(Clone, Debug)]
enum Event {
    Ready(usize),
    FailToStart(usize),
    Exit(usize, Exit),
    /// One that was urged to end does.
    Obey(usize),
    Restart(usize),
    Add(u32, ChildSpec),
    StopChild(usize),
    RemoveChild(usize),
    Discard(usize),
    Babble(u32, u32, u8),
    Wait(Duration),
    Stop,
    Kill,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => any::<usize>().prop_map(Event::Ready),
        4 => any::<usize>().prop_map(Event::FailToStart),
        16 => (any::<usize>(), any_exit()).prop_map(|(which, exit)| Event::Exit(which, exit)),
        20 => any::<usize>().prop_map(Event::Obey),
        5 => any::<usize>().prop_map(Event::Restart),
        5 => (0u32..5, any_child()).prop_map(|(group, child)| Event::Add(group, child)),
        4 => any::<usize>().prop_map(Event::StopChild),
        3 => any::<usize>().prop_map(Event::RemoveChild),
        3 => any::<usize>().prop_map(Event::Discard),
        5 => (0u32..9, 0u32..5, any::<u8>()).prop_map(|(child, life, what)| Event::Babble(child, life, what)),
        10 => (0u64..50).prop_map(|ms| Event::Wait(Duration::from_millis(ms))),
        10 => (0u64..6_000).prop_map(|ms| Event::Wait(Duration::from_millis(ms))),
        1 => Just(Event::Stop),
        1 => Just(Event::Kill),
    ]
}

fn happen(world: &mut World, event: Event) {
    let choose = |which: usize, among: Vec<ChildId>| (!among.is_empty()).then(|| among[which % among.len()]);
    // One more than there are: the last is nobody.
    let any = |world: &World, which: usize| {
        let children: Vec<ChildId> = world.engine.children().map(|(child, _)| child).collect();
        children.get(which % (children.len() + 1)).copied().unwrap_or(ChildId(u32::MAX))
    };
    let starting = |world: &World| {
        world.living.iter().filter(|(_, process)| !process.ready).map(|(child, _)| *child).collect::<Vec<_>>()
    };
    match event {
        Event::Ready(which) => {
            choose(which, starting(world)).into_iter().for_each(|child| world.ready(child))
        }
        Event::FailToStart(which) => {
            choose(which, starting(world)).into_iter().for_each(|child| world.fail_to_start(child));
        }
        Event::Exit(which, exit) => {
            choose(which, world.living.keys().copied().collect())
                .into_iter()
                .for_each(|child| world.exit(child, exit));
        }
        Event::Obey(which) => {
            choose(which, urged(world)).into_iter().for_each(|child| world.exit(child, DONE));
        }
        Event::Restart(which) => world.restart(any(world, which)),
        Event::Add(group, child) => world.add(GroupId(group), child),
        Event::StopChild(which) => world.stop_child(any(world, which)),
        Event::RemoveChild(which) => world.remove_child(any(world, which)),
        Event::Discard(which) => world.discard_child(any(world, which)),
        Event::Babble(child, life, what) => world.babble(ChildId(child), Incarnation(life), what),
        Event::Wait(span) => world.wait(span),
        Event::Stop => world.stop(),
        Event::Kill => world.kill(),
    }
}

fn urged(world: &World) -> Vec<ChildId> {
    world.living.iter().filter(|(_, process)| process.urged.is_some()).map(|(child, _)| *child).collect()
}

/// Some children ignore everything but SIGKILL.
fn is_stubborn(world: &World, seed: u64, child: ChildId) -> bool {
    world.spec(child).shutdown != Shutdown::Infinity && mixed(seed, child, 0).is_multiple_of(2)
}

/// Stops everything, and lets each child obey or resist; fails if that takes longer than the deadlines add up to.
fn wind_down(world: &mut World, seed: u64) {
    world.stop();
    let began = world.now;
    let patience: Duration = world
        .living
        .keys()
        .map(|child| match world.spec(*child).shutdown {
            Shutdown::Timeout(span) => span + TERMINATE_GRACE,
            Shutdown::BrutalKill | Shutdown::Infinity => Duration::ZERO,
        })
        .sum();
    while world.outcome.is_none() {
        let obeys = urged(world).into_iter().find(|child| {
            let killed = matches!(world.living[child].urged, Some((StopStep::Kill, _)));
            killed || !is_stubborn(world, seed, *child)
        });
        match (obeys, world.engine.poll_timeout()) {
            (Some(child), _) => world.exit(child, KILLED),
            (None, Some(due)) => world.wait(due.saturating_duration_since(world.now)),
            (None, None) => panic!("{} processes live, and nothing will ever happen", world.living.len()),
        }
    }
    let took = world.now - began;
    assert!(took <= patience, "the stop took {took:?} of {patience:?}");
}

/// Turns it takes at most to heal; each is a birth, a death or a wait.
const MANY_TURNS: usize = 2_000;

/// Lets every start succeed and every stop be obeyed, until nothing more happens.
fn calm_down(world: &mut World) {
    for _ in 0..MANY_TURNS {
        let urged = urged(world).into_iter().next();
        let starting = world.living.iter().find(|(_, process)| !process.ready).map(|(child, _)| *child);
        match (urged, starting, world.engine.poll_timeout()) {
            (Some(child), ..) => world.exit(child, DONE),
            (None, Some(child), _) => world.ready(child),
            (None, None, Some(due)) => world.wait(due.saturating_duration_since(world.now)),
            (None, None, None) => return,
        }
    }
    panic!("it never comes to rest");
}

fn is_well(world: &World, child: ChildId) -> bool {
    match world.engine.state(child, world.now).expect("a child").phase {
        Phase::Ready { .. } => true,
        Phase::Ended | Phase::Idle => world.may_be_down(child),
        _ => false,
    }
}

proptest! {
    #![proptest_config(many_cases())]

    #[test]
    fn h48_no_race_breaks_a_law_and_every_stop_comes_to_its_end(
        tree in any_tree(any_child()),
        seed: u64,
        calm_start in prop::bool::weighted(0.8),
        events in prop::collection::vec(any_event(), 0..150),
    ) {
        let mut world = World::new(tree, seed);
        world.start();
        if calm_start {
            calm_down(&mut world);
        }
        for event in events {
            happen(&mut world, event);
        }
        wind_down(&mut world, seed);
    }

    #[test]
    fn in_calm_weather_everything_heals(
        tree in any_tree(any_child()),
        seed: u64,
        events in prop::collection::vec(any_event(), 0..80),
    ) {
        let mut world = World::new(tree, seed);
        world.start();
        calm_down(&mut world);
        for event in events {
            match event {
                Event::Stop | Event::Kill => {}
                event => happen(&mut world, event),
            }
        }
        calm_down(&mut world);
        if world.outcome.is_none() {
            let unwell = world.engine.children().map(|(child, _)| child).find(|child| !is_well(&world, *child));
            prop_assert_eq!(unwell, None);
        }
    }
}
