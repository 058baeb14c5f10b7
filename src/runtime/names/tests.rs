//! The directory by itself: what it says after what.

mod shown;

use serde_json::json;

use super::shown::Shown;
use super::*;
use crate::id::{ActorId, Capability, Condition, FullName, Incarnation, ProcessId, ProcessName, Slot};
use crate::protocol::Delivery;
use crate::protocol::names::{
    Holder, MAX_MEMBERS, NameError, NameState, NamesGranted, NamesRequest, NamesToWorker, Presence, Right,
};
use crate::runtime::broker::Life;
use crate::topology::{Catalog, Namespace, Process, ProgramFacts, ProgramProblem, ProgramRef, Topology};

struct Unasked;

impl Catalog for Unasked {
    fn program(&self, _: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        Ok(ProgramFacts { path: "/proc/self/exe".into(), types: None })
    }
}

/// Processes `a` (1), `b` (2) and `c` (3), all ready. In namespace `n` all may do all; in `r` only `a` registers and only
/// `b` looks up.
struct Stage {
    directory: Directory,
    number: u64,
}

const A: u32 = 1;
const B: u32 = 2;
const C: u32 = 3;

fn life(process: u32) -> Life {
    (ProcessId(process), Incarnation::FIRST)
}

fn name(name: &str) -> FullName {
    FullName::new(name).expect("a name")
}

fn id(process: u32, slot: u32) -> ActorId {
    ActorId::declared(ProcessId(process), Slot(slot))
}

/// Unsealed: the directory looks at no seal.
fn address(id: ActorId) -> Capability {
    let address = Capability::unsealed(ActorId::declared(id.process, id.slot));
    match id.incarnation {
        Incarnation::ANY => address,
        life => address.narrowed(Condition::Life(life)).expect("room"),
    }
}

fn holder(id: ActorId) -> Holder {
    let process = ProcessName::new("whoever").expect("a name");
    let (addr, delivery) = (address(id), Delivery::AtMostOnce);
    Holder { id, type_name: "t".into(), process, addr, delivery, life: 7 }
}

impl Stage {
    fn new() -> Stage {
        let process = |name: &str| Process::new(name).actor_value(format!("of-{name}"), "t", json!(null));
        let topology = Topology::new("names")
            .namespace(Namespace::new("n").register(["*"]).lookup(["*"]).most(3))
            .namespace(Namespace::new("many").register(["*"]).lookup(["*"]).most(10))
            .namespace(Namespace::new("r").register(["a"]).lookup(["b"]))
            .process(process("a"))
            .process(process("b"))
            .process(process("c"));
        let plan = topology.plan(&Unasked).unwrap_or_else(|findings| panic!("{findings}"));
        let mut directory = Directory::new(Rights::of(&plan));
        for process in [A, B, C] {
            directory.handle_ready(life(process));
        }
        directory.poll();
        Stage { directory, number: 0 }
    }

    /// Asks, and gives what is said.
    fn ask(&mut self, by: u32, request: NamesRequest) -> Vec<Say> {
        self.number += 1;
        self.directory.handle_request(Asker { life: life(by), number: self.number }, request);
        self.directory.poll()
    }

    /// Asks what is answered at once.
    fn answer(&mut self, by: u32, request: NamesRequest) -> Result<NamesGranted, NameError> {
        let said = self.ask(by, request);
        let answers = said.into_iter().filter_map(|say| match say {
            Say::Answer(asker, answer) if asker.number == self.number => Some(answer),
            _ => None,
        });
        let mut answers: Vec<_> = answers.collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    fn register(&mut self, by: u32, what: &str, id: ActorId) -> Vec<Say> {
        self.ask(by, NamesRequest::Register { name: name(what), holder: holder(id), claim: None })
    }

    fn look_up(&mut self, by: u32, what: &str) -> Result<NamesGranted, NameError> {
        self.answer(by, NamesRequest::LookUp { name: name(what) })
    }

    fn presence(&mut self, id: ActorId, presence: Presence) -> Vec<Say> {
        self.directory.handle_presence((id.process, Incarnation::FIRST), id, presence);
        self.directory.poll()
    }

    /// An actor that holds the name and lives.
    fn held(&mut self, what: &str, id: ActorId) {
        self.register(id.process.0, what, id);
        self.presence(id, Presence::Here);
    }

    fn state(&self, to: u32, what: &str) -> (u64, NameState) {
        match self.directory.name_frame(ProcessId(to), &name(what)) {
            Some(NamesToWorker::Name { version, state, .. }) => (version, state),
            other => panic!("{other:?}"),
        }
    }

    fn members(&self, to: u32, what: &str) -> (u64, Vec<ActorId>) {
        match self.directory.group_frame(ProcessId(to), &name(what)) {
            Some(NamesToWorker::Group { version, members, .. }) => {
                (version, members.into_iter().map(|member| member.id).collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn asker(by: u32, number: u64) -> Asker {
    Asker { life: life(by), number }
}

const DONE: Result<NamesGranted, NameError> = Ok(NamesGranted::Done);

#[test]
fn a_registration_is_answered_when_its_actor_is_known_to_live() {
    let mut stage = Stage::new();
    let said = stage.register(A, "n/x", id(A, 0));
    assert_eq!(said, [Say::Attend(ProcessId(A), id(A, 0))]);
    assert_eq!(stage.look_up(B, "n/x"), Err(NameError::Unknown(name("n/x"))));
    // What another process says of it means nothing.
    stage.directory.handle_presence(life(B), id(A, 0), Presence::Here);
    assert_eq!(stage.directory.poll(), []);
    assert_eq!(stage.presence(id(A, 0), Presence::Here), [Say::Answer(asker(A, 1), DONE)]);
    let Ok(NamesGranted::Held(found)) = stage.look_up(B, "n/x") else { panic!("not found") };
    // Its process is what the root calls it, its life the first that the directory knows of.
    assert_eq!((found.id, found.process.as_str(), found.life), (id(A, 0), "a", 1));
    // Once more is no harm; an actor that does not live is told of.
    assert_eq!(stage.register(A, "n/x", id(A, 0)), [Say::Answer(asker(A, 4), DONE)]);
    stage.register(A, "n/y", id(A, 9));
    let gone = stage.presence(id(A, 9), Presence::Gone);
    assert_eq!(gone, [Say::Answer(asker(A, 5), Err(NameError::NoActor(id(A, 9))))]);
    assert_eq!(stage.look_up(B, "n/y"), Err(NameError::Unknown(name("n/y"))));
}

#[test]
fn a_duplicate_shows_the_holder() {
    let mut stage = Stage::new();
    stage.held("n/x", id(A, 0));
    let register = NamesRequest::Register { name: name("n/x"), holder: holder(id(B, 0)), claim: None };
    let Err(NameError::Taken { holder: found, .. }) = stage.answer(B, register.clone()) else {
        panic!("not taken")
    };
    assert_eq!((found.id, found.process.as_str()), (id(A, 0), "a"));
    // Between two lives it is still its name.
    stage.presence(id(A, 0), Presence::Away);
    assert!(matches!(stage.answer(B, register), Err(NameError::Taken { .. })));
    assert!(matches!(stage.look_up(B, "n/x"), Err(NameError::Away { .. })));
}

#[test]
fn a_name_vanishes_with_its_holder_and_is_back_with_the_next_life() {
    let mut stage = Stage::new();
    stage.held("n/x", id(A, 0));
    let said = stage.ask(B, NamesRequest::Watch { name: name("n/x") });
    assert_eq!(said, [Say::Name(ProcessId(B), name("n/x")), Say::Answer(asker(B, 2), DONE)]);
    let (version, state) = stage.state(B, "n/x");
    assert!(matches!(state, NameState::Here(holder) if holder.life == 1));
    stage.directory.handle_down(life(A));
    assert_eq!(stage.directory.poll(), [Say::Name(ProcessId(B), name("n/x"))]);
    assert!(matches!(stage.state(B, "n/x"), (now, NameState::Away(_)) if now > version));
    // The next life is asked, and what the life before says late means nothing.
    let next = (ProcessId(A), Incarnation(2));
    stage.directory.handle_ready(next);
    assert_eq!(stage.directory.poll(), [Say::Attend(ProcessId(A), id(A, 0))]);
    stage.directory.handle_presence(life(A), id(A, 0), Presence::Gone);
    assert_eq!(stage.directory.poll(), []);
    stage.directory.handle_presence(next, id(A, 0), Presence::Here);
    assert_eq!(stage.directory.poll(), [Say::Name(ProcessId(B), name("n/x"))]);
    assert!(matches!(stage.state(B, "n/x"), (_, NameState::Here(holder)) if holder.life == 2));
    // Its process stays down: the name is free.
    stage.directory.handle_gone(ProcessId(A));
    assert_eq!(stage.state(B, "n/x").1, NameState::Free);
    assert_eq!(stage.look_up(B, "n/x"), Err(NameError::Unknown(name("n/x"))));
    // Nobody watches any more.
    stage.ask(B, NamesRequest::Unwatch { name: name("n/x") });
    assert_eq!(stage.directory.name_frame(ProcessId(B), &name("n/x")), None);
}

#[test]
fn who_looks_up_gets_the_address_that_was_shown_for_that_name() {
    let mut stage = Stage::new();
    stage.held("n/x", id(A, 0));
    let narrow = address(id(A, 0)).narrowed(Condition::Message(7)).expect("room");
    let shown = Holder { addr: narrow, ..holder(id(A, 0)) };
    stage.ask(A, NamesRequest::Register { name: name("n/y"), holder: shown, claim: None });
    let found = |stage: &mut Stage, what: &str| match stage.look_up(B, what) {
        Ok(NamesGranted::Held(holder)) => holder.addr,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&mut stage, "n/x"), address(id(A, 0)));
    assert_eq!(found(&mut stage, "n/y"), narrow);
}

#[test]
fn an_exported_actor_takes_its_name_with_it() {
    let mut stage = Stage::new();
    let exported = ActorId { incarnation: Incarnation::FIRST, ..id(A, 1 << 31) };
    stage.held("n/x", exported);
    stage.directory.handle_down(life(A));
    assert_eq!(stage.look_up(B, "n/x"), Err(NameError::Unknown(name("n/x"))));
}

#[test]
fn of_all_who_claim_a_name_one_starts_and_all_get_the_same() {
    let mut stage = Stage::new();
    let claim = |stage: &mut Stage, by| stage.ask(by, NamesRequest::Claim { name: name("n/x") });
    let first = claim(&mut stage, A);
    let [Say::Answer(_, Ok(NamesGranted::Claimed { claim: number, .. }))] = first[..] else {
        panic!("{first:?}")
    };
    assert_eq!(claim(&mut stage, B), []);
    assert_eq!(claim(&mut stage, C), []);
    // Nobody else may take it meanwhile.
    let register = |claim| NamesRequest::Register { name: name("n/x"), holder: holder(id(A, 0)), claim };
    assert!(
        matches!(stage.answer(C, register(None)), Err(NameError::BeingStarted { by, .. }) if by.as_str() == "a")
    );
    assert!(matches!(stage.answer(C, register(Some(number))), Err(NameError::BeingStarted { .. })));
    assert_eq!(stage.ask(A, register(Some(number))), [Say::Attend(ProcessId(A), id(A, 0))]);
    let said = stage.presence(id(A, 0), Presence::Here);
    let shown = Shown::of(holder(id(A, 0))).expect("short");
    let held = |stage: &Stage| stage.directory.holder(id(A, 0), &shown).map(NamesGranted::Held);
    let expected = [
        Say::Answer(asker(A, 6), DONE),
        Say::Answer(asker(B, 2), held(&stage)),
        Say::Answer(asker(C, 3), held(&stage)),
    ];
    assert_eq!(said, expected);
    assert_eq!(stage.answer(C, NamesRequest::Claim { name: name("n/x") }), held(&stage));
}

#[test]
fn a_claim_that_comes_to_nothing_goes_to_the_next() {
    let mut stage = Stage::new();
    let claim = |stage: &mut Stage, by| stage.ask(by, NamesRequest::Claim { name: name("n/x") });
    for by in [A, B, C] {
        claim(&mut stage, by);
    }
    stage.directory.handle_down(life(A));
    let granted = |claim| Ok(NamesGranted::Claimed { name: name("n/x"), claim });
    assert_eq!(stage.directory.poll(), [Say::Answer(asker(B, 2), granted(2))]);
    // Only who has it can give it back.
    assert!(stage.ask(C, NamesRequest::Release { name: name("n/x"), claim: 2 }).len() == 1);
    let released = stage.ask(B, NamesRequest::Release { name: name("n/x"), claim: 2 });
    assert_eq!(released, [Say::Answer(asker(C, 3), granted(3)), Say::Answer(asker(B, 5), DONE)]);
    // One whose holder is away is waited for, and claimed when it will not be back.
    stage.ask(C, NamesRequest::Register { name: name("n/x"), holder: holder(id(C, 0)), claim: Some(3) });
    stage.presence(id(C, 0), Presence::Away);
    assert_eq!(claim(&mut stage, B), []);
    let gone = stage.presence(id(C, 0), Presence::Gone);
    assert_eq!(gone, [Say::Answer(asker(B, 7), granted(4))]);
}

#[test]
fn namespaces_say_who_may_do_what() {
    let mut stage = Stage::new();
    let register = |what: &str, process| NamesRequest::Register {
        name: name(what),
        holder: holder(id(process, 0)),
        claim: None,
    };
    let refused = stage.answer(B, register("r/x", B));
    assert!(matches!(refused, Err(NameError::NotAllowed { right: Right::Register, .. })), "{refused:?}");
    stage.held("r/x", id(A, 0));
    let refused = stage.look_up(C, "r/x");
    assert!(matches!(refused, Err(NameError::NotAllowed { right: Right::LookUp, .. })), "{refused:?}");
    assert!(stage.look_up(B, "r/x").is_ok() && stage.look_up(0, "r/x").is_ok());
    assert_eq!(stage.look_up(B, "s/x"), Err(NameError::NoNamespace("s".into())));
    assert!(stage.directory.handle_use(ProcessId(C), name("r/g")).is_err());
    assert!(matches!(
        stage.answer(C, NamesRequest::Watch { name: name("r/x") }),
        Err(NameError::NotAllowed { .. })
    ));
    // The groups of replicas are nobody's to join, and only the wired and the root use them.
    let join = NamesRequest::Join { group: name("replicas/x"), holder: holder(id(A, 0)) };
    assert_eq!(stage.answer(A, join), Err(NameError::OfReplicas(name("replicas/x"))));
    assert!(stage.directory.handle_use(ProcessId(A), name("replicas/x")).is_err());
    assert!(stage.directory.handle_use(ProcessId::ROOT, name("replicas/x")).is_ok());
}

#[test]
fn a_namespace_has_as_many_names_as_it_may_and_given_back_makes_room() {
    let mut stage = Stage::new();
    for what in ["n/x", "n/y", "n/z"] {
        stage.held(what, id(A, 0));
    }
    let more = NamesRequest::Register { name: name("n/more"), holder: holder(id(A, 0)), claim: None };
    assert!(matches!(stage.answer(A, more.clone()), Err(NameError::TooMany { most: 3, .. })));
    let back = |by: u32| (by, NamesRequest::Unregister { name: name("n/x"), id: id(A, 0) });
    let (by, request) = back(B);
    assert_eq!(stage.answer(by, request), Err(NameError::NotYours(name("n/x"))));
    let (by, request) = back(A);
    assert_eq!(stage.answer(by, request.clone()), DONE);
    assert_eq!(stage.answer(by, request), Err(NameError::Unknown(name("n/x"))));
    assert_eq!(stage.answer(A, more), DONE);
}

#[test]
fn members_come_and_go_in_versions() {
    let mut stage = Stage::new();
    stage.directory.handle_use(ProcessId(C), name("n/g")).expect("allowed");
    assert_eq!(stage.members(C, "n/g"), (0, vec![]));
    let join = |id| NamesRequest::Join { group: name("n/g"), holder: holder(id) };
    for id in [id(A, 0), id(B, 0)] {
        stage.ask(id.process.0, join(id));
        stage.presence(id, Presence::Here);
    }
    assert_eq!(stage.members(C, "n/g"), (2, vec![id(A, 0), id(B, 0)]));
    // Once more changes nothing.
    assert_eq!(stage.answer(A, join(id(A, 0))), DONE);
    assert_eq!(stage.members(C, "n/g").0, 2);
    stage.directory.handle_down(life(A));
    assert_eq!(stage.members(C, "n/g"), (3, vec![id(B, 0)]));
    stage.directory.handle_ready((ProcessId(A), Incarnation(2)));
    stage.directory.handle_presence((ProcessId(A), Incarnation(2)), id(A, 0), Presence::Here);
    assert_eq!(stage.members(C, "n/g"), (4, vec![id(A, 0), id(B, 0)]));
    let leave = |id| NamesRequest::Leave { group: name("n/g"), id };
    assert_eq!(stage.answer(C, leave(id(B, 0))), Err(NameError::NotYours(name("n/g"))));
    let said = stage.ask(B, leave(id(B, 0)));
    assert!(said.contains(&Say::Ignore(ProcessId(B), id(B, 0))), "{said:?}");
    assert_eq!(stage.members(C, "n/g"), (5, vec![id(A, 0)]));
    // Of another type it is no member.
    let other = Holder { type_name: "other".into(), ..holder(id(B, 0)) };
    let refused = stage.answer(B, NamesRequest::Join { group: name("n/g"), holder: other });
    assert!(matches!(refused, Err(NameError::WrongType { .. })), "{refused:?}");
}

#[test]
fn a_group_has_as_many_members_as_it_may() {
    let mut stage = Stage::new();
    let most = u32::try_from(MAX_MEMBERS).expect("few");
    for slot in 0..most {
        stage.ask(A, NamesRequest::Join { group: name("n/g"), holder: holder(id(A, slot)) });
        // So that no more than a few wait to hear of it.
        stage.presence(id(A, slot), Presence::Here);
    }
    let more = stage.answer(A, NamesRequest::Join { group: name("n/g"), holder: holder(id(A, most)) });
    assert!(matches!(more, Err(NameError::TooMany { most: MAX_MEMBERS, .. })), "{more:?}");
}

/// Whatever happens in whatever order: the invariants hold (each call checks them), every request that its process lives to
/// hear of is answered at most once, and versions never fall.
#[test]
fn nothing_breaks_the_invariants() {
    for seed in 0..60 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut stage = Stage::new();
        let mut incarnations = [1_u32; 4];
        let mut answered = std::collections::BTreeSet::new();
        let mut versions: std::collections::BTreeMap<(u32, FullName), u64> = Default::default();
        let names = ["many/x", "many/y", "many/g"].map(name);
        for round in 0..600_u64 {
            let process = dice.u32(1..=3);
            let life = (ProcessId(process), Incarnation(incarnations[process as usize]));
            let (name, id) = (names[dice.usize(..3)].clone(), id(dice.u32(1..=3), dice.u32(0..2)));
            let claim = Some(dice.u64(0..4)).filter(|claim| *claim > 0);
            let directory = &mut stage.directory;
            let mut request = |request| directory.handle_request(Asker { life, number: round }, request);
            match dice.u32(0..18) {
                0 => request(NamesRequest::Register { name, holder: holder(id), claim }),
                1 => request(NamesRequest::Unregister { name, id }),
                2 => request(NamesRequest::Claim { name }),
                3 => request(NamesRequest::Release { name, claim: dice.u64(1..9) }),
                4 => request(NamesRequest::Watch { name }),
                5 => request(NamesRequest::Join { group: name, holder: holder(id) }),
                6 => request(NamesRequest::Leave { group: name, id }),
                7 => request(NamesRequest::LookUp { name }),
                8 => drop(directory.handle_use(life.0, name)),
                9 => directory.handle_gone(life.0),
                11 => request(NamesRequest::Abandon { number: round.saturating_sub(dice.u64(0..20)) }),
                12 => directory.handle_unuse(life.0, &name),
                13 => request(NamesRequest::Register { name, holder: pinned(id), claim }),
                14 => {
                    let some = dice.bool();
                    directory.handle_revoked(id.process, |_| some);
                }
                10 => {
                    directory.handle_down(life);
                    incarnations[process as usize] += 1;
                    directory.handle_ready((life.0, Incarnation(incarnations[process as usize])));
                }
                kind => {
                    let presence = [Presence::Here, Presence::Away, Presence::Gone][kind as usize % 3];
                    let incarnation = Incarnation(incarnations[id.process.0 as usize]);
                    directory.handle_presence((id.process, incarnation), id, presence);
                }
            }
            for say in stage.directory.poll() {
                if let Say::Answer(asker, _) = say {
                    assert!(answered.insert(asker.number), "seed {seed}: {asker:?} is answered twice");
                }
            }
            for (to, name) in (0..4).flat_map(|to| names.each_ref().map(|name| (to, name))) {
                if let Some(NamesToWorker::Name { version, .. }) =
                    stage.directory.name_frame(ProcessId(to), name)
                {
                    // Also where it was forgotten in between: what was said before may come late.
                    let before = versions.insert((to, name.clone()), version);
                    assert!(before.is_none_or(|before| before <= version), "seed {seed}: {name} fell");
                }
            }
        }
    }
}

/// An address of the same actor that is good for one life.
fn pinned(id: ActorId) -> Holder {
    Holder { addr: address(ActorId { incarnation: Incarnation::FIRST, ..id }), ..holder(id) }
}
