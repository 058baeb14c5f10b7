//! By which addresses and types actors are known, what others are shown of them, and how long somebody may wait.

use super::*;
use crate::id::{Key, Tag};
use crate::protocol::requests::MAX_REQUESTS;
use crate::topology::WiredActor;

/// An address that can be taken back.
fn revocable(id: ActorId) -> Holder {
    Holder { addr: address(id).narrowed(Condition::Mark(Tag([7; 6]))).expect("room"), ..holder(id) }
}

fn registering(what: &str, holder: Holder) -> NamesRequest {
    NamesRequest::Register { name: name(what), holder, claim: None }
}

#[test]
fn a3_who_may_only_register_gets_no_address_of_who_has_the_name() {
    let mut stage = Stage::new();
    let sealed = Capability::mint(&Key::new([3; Key::BYTES]), ProcessId(A), Slot(0));
    stage.ask(0, registering("r/x", Holder { addr: sealed, ..holder(id(A, 0)) }));
    stage.presence(id(A, 0), Presence::Here);
    let taken = |stage: &mut Stage, by| match stage.answer(by, registering("r/x", holder(id(by, 1)))) {
        Err(NameError::Taken { holder, .. }) => holder,
        other => panic!("{other:?}"),
    };
    let shown = taken(&mut stage, A);
    assert_eq!((shown.id, shown.addr), (id(A, 0), Capability::unsealed(id(A, 0))));
    assert_eq!(taken(&mut stage, 0).addr, sealed, "the root may look up");
}

#[test]
fn who_shows_an_actor_first_names_its_type_for_nobody_else() {
    let mut stage = Stage::new();
    let of_type = |type_name: &str| Holder { type_name: type_name.into(), ..holder(id(A, 0)) };
    stage.ask(B, registering("n/x", of_type("evil")));
    stage.ask(A, registering("n/y", of_type("good")));
    stage.ask(A, NamesRequest::Join { group: name("n/g"), holder: of_type("better") });
    stage.presence(id(A, 0), Presence::Here);
    let found = |stage: &mut Stage, what: &str| match stage.look_up(B, what) {
        Ok(NamesGranted::Held(holder)) => holder.type_name,
        other => panic!("{other:?}"),
    };
    assert_eq!((found(&mut stage, "n/x"), found(&mut stage, "n/y")), ("evil".into(), "good".into()));
    stage.directory.handle_use(ProcessId(C), name("n/g")).expect("allowed");
    let Some(NamesToWorker::Group { members, type_name, .. }) =
        stage.directory.group_frame(ProcessId(C), &name("n/g"))
    else {
        panic!("no frame")
    };
    assert_eq!((members[0].type_name.as_str(), type_name.as_deref()), ("better", Some("better")));
}

#[test]
fn an_address_that_is_shown_anew_takes_the_place_of_the_one_before() {
    let mut stage = Stage::new();
    stage.ask(A, registering("n/x", revocable(id(A, 0))));
    stage.ask(A, NamesRequest::Join { group: name("n/g"), holder: revocable(id(A, 0)) });
    stage.presence(id(A, 0), Presence::Here);
    stage.ask(C, NamesRequest::Watch { name: name("n/x") });
    stage.directory.handle_use(ProcessId(C), name("n/g")).expect("allowed");
    stage.directory.poll();
    // Not by others, whose asking is no harm either.
    assert_eq!(stage.ask(B, registering("n/x", holder(id(A, 0)))), [Say::Answer(asker(B, 4), DONE)]);
    let said = stage.ask(A, registering("n/x", holder(id(A, 0))));
    assert_eq!(said, [Say::Name(ProcessId(C), name("n/x")), Say::Answer(asker(A, 5), DONE)]);
    let said = stage.ask(A, NamesRequest::Join { group: name("n/g"), holder: holder(id(A, 0)) });
    assert_eq!(said, [Say::Group(ProcessId(C), name("n/g")), Say::Answer(asker(A, 6), DONE)]);
    let NameState::Here(found) = stage.state(C, "n/x").1 else { panic!("not here") };
    assert_eq!(found.addr, address(id(A, 0)));
}

#[test]
fn what_was_given_by_an_address_that_is_revoked_is_given_no_more() {
    let mut stage = Stage::new();
    stage.ask(A, registering("n/x", revocable(id(A, 0))));
    stage.ask(A, registering("n/y", holder(id(A, 0))));
    stage.ask(A, NamesRequest::Join { group: name("n/g"), holder: revocable(id(A, 0)) });
    stage.presence(id(A, 0), Presence::Here);
    stage.directory.handle_use(ProcessId(C), name("n/g")).expect("allowed");
    stage.directory.poll();
    stage.directory.handle_revoked(ProcessId(B), |_| true);
    assert_eq!(stage.directory.poll(), []);
    let revoked = revocable(id(A, 0)).addr;
    stage.directory.handle_revoked(ProcessId(A), |addr| *addr == revoked);
    assert_eq!(stage.directory.poll(), [Say::Group(ProcessId(C), name("n/g"))]);
    assert_eq!(stage.look_up(B, "n/x"), Err(NameError::Unknown(name("n/x"))));
    assert!(stage.look_up(B, "n/y").is_ok());
    assert_eq!(stage.members(C, "n/g").1, []);
}

#[test]
fn one_actor_is_one_holder_and_one_member_whatever_its_address() {
    let mut stage = Stage::new();
    stage.held("n/x", id(A, 0));
    let first = pinned(id(A, 0)).addr.id();
    assert_eq!(
        stage.ask(A, registering("n/x", pinned(id(A, 0)))).len(),
        2,
        "asked where, and nobody is told"
    );
    assert_eq!(stage.presence(first, Presence::Here), [Say::Answer(asker(A, 2), DONE)]);
    assert!(matches!(stage.look_up(B, "n/x"), Ok(NamesGranted::Held(found)) if found.id == first));
    for holder in [holder(id(B, 0)), pinned(id(B, 0))] {
        stage.ask(B, NamesRequest::Join { group: name("n/g"), holder });
    }
    stage.directory.handle_use(ProcessId(C), name("n/g")).expect("allowed");
    stage.presence(id(B, 0), Presence::Here);
    stage.presence(pinned(id(B, 0)).addr.id(), Presence::Here);
    assert_eq!(stage.members(C, "n/g").1, [pinned(id(B, 0)).addr.id()]);
    // Whoever takes it back need not know by which.
    assert_eq!(stage.answer(B, NamesRequest::Leave { group: name("n/g"), id: id(B, 0) }), DONE);
    assert_eq!(stage.answer(A, NamesRequest::Unregister { name: name("n/x"), id: id(A, 0) }), DONE);
}

#[test]
fn a_name_that_was_forgotten_goes_on_above_its_last_version() {
    let mut stage = Stage::new();
    stage.ask(B, NamesRequest::Watch { name: name("n/x") });
    stage.held("n/x", id(A, 0));
    stage.ask(A, NamesRequest::Unregister { name: name("n/x"), id: id(A, 0) });
    let (last, _) = stage.state(B, "n/x");
    assert!(last > 0);
    // Forgotten, while what was said last is on its way.
    stage.ask(B, NamesRequest::Unwatch { name: name("n/x") });
    stage.ask(B, NamesRequest::Watch { name: name("n/x") });
    assert!(stage.state(B, "n/x").0 > last);
    stage.directory.handle_use(ProcessId(B), name("n/g")).expect("allowed");
    let (used, _) = stage.members(B, "n/g");
    stage.directory.handle_unuse(ProcessId(B), &name("n/g"));
    stage.directory.handle_use(ProcessId(B), name("n/g")).expect("allowed");
    assert!(stage.members(B, "n/g").0 > used);
}

#[test]
fn a_process_has_no_more_requests_waiting_than_it_may_and_can_give_them_up() {
    let mut stage = Stage::new();
    stage.ask(A, NamesRequest::Claim { name: name("n/x") });
    let claim = |stage: &mut Stage| stage.ask(B, NamesRequest::Claim { name: name("n/x") });
    let first = stage.number + 1;
    for _ in 0..MAX_REQUESTS {
        assert_eq!(claim(&mut stage), []);
    }
    let refused = claim(&mut stage);
    assert!(matches!(refused[..], [Say::Answer(_, Err(NameError::TooMany { most: MAX_REQUESTS, .. }))]));
    // The name of an actor of which nothing is known waits, too.
    let refused = stage.answer(B, registering("n/y", holder(id(B, 0))));
    assert!(matches!(refused, Err(NameError::TooMany { .. })), "{refused:?}");
    assert_eq!(stage.look_up(B, "n/y"), Err(NameError::Unknown(name("n/y"))), "nothing was registered");
    let said = stage.ask(B, NamesRequest::Abandon { number: first });
    assert!(
        matches!(said[..], [Say::Answer(given_up, Err(NameError::TimedOut(_))), Say::Answer(..)]
        if given_up == asker(B, first)),
        "{said:?}"
    );
    assert_eq!(stage.ask(B, NamesRequest::Abandon { number: first }).len(), 1, "it is answered once");
    assert_eq!(claim(&mut stage), []);
    // One process does not stand for another.
    assert_eq!(stage.ask(C, NamesRequest::Claim { name: name("n/x") }), []);
}

#[test]
fn a3_away_and_taken_are_held_to_the_edge() {
    let process = |name: &str| Process::new(name).actor_value(format!("of-{name}"), "t", json!(null));
    let topology = Topology::new("edges").process(process("v")).process(process("e")).process(process("w"));
    let mut plan = topology.plan(&Unasked).unwrap_or_else(|findings| panic!("{findings}"));
    let victim = &plan.process("v").expect("it").actors[0];
    let (name_of_it, victim) = (victim.name.clone(), victim.id);
    for (process, messages) in [("e", Some(vec!["Get".to_owned()])), ("w", None)] {
        let process = plan.processes.iter_mut().find(|found| found.name.as_str() == process).expect("it");
        let (name, type_name) = (name_of_it.clone(), "t".to_owned());
        process.wired.push(WiredActor { name, id: victim, type_name, messages });
    }
    let (edge, wired) = (plan.process("e").expect("it"), plan.process("w").expect("it"));
    let held = |to: &crate::topology::PlannedProcess, holder: Holder| {
        let holder = Box::new(holder);
        let answers = [
            Ok(NamesGranted::Held((*holder).clone())),
            Err(NameError::Taken { name: name("n/x"), holder: holder.clone() }),
            Err(NameError::Away { name: name("n/x"), holder }),
        ];
        answers.map(|mut answer| {
            let shown = shown_in_answer(&mut answer).expect("it shows a holder");
            hold_to_edge(to.id, Some(to), shown);
            shown.addr
        })
    };
    let full = holder(victim);
    let narrowed = full.addr.narrowed(Condition::Edge(edge.id)).expect("room");
    assert_eq!(held(edge, full.clone()), [narrowed; 3]);
    assert_eq!(held(wired, full.clone()), [full.addr; 3]);
    // Shown by an address for one life it is the same actor.
    let pinned = pinned(victim);
    let narrowed = pinned.addr.narrowed(Condition::Edge(edge.id)).expect("room");
    assert_eq!(held(edge, pinned), [narrowed; 3]);
}
