//! Processes and actors that come and go while the topology runs.
//!
//! ```text
//!  Start --check--> plan, engine --ready, all of them--> Started
//!                        |
//!                        +--first start fails--> out of plan and tree --> NotStarted
//!  Stop --> engine stops it --Removed--> out of plan, names, states --> Done
//! ```
//!
//! The engine decides as for declared processes; here is only who asked for what, and what must be told to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::{Deployment, child_with_slack};
use crate::id::{ActorId, ProcessId, ProcessName, Slot};
use crate::protocol::control::{ActorStart, KnownActor, ToWorker};
use crate::protocol::requests::{Ask, ChangeError, Granted, MAX_REQUESTS, ProcessInfo, Request};
use crate::runtime::broker::Life;
use crate::runtime::event::Event;
use crate::runtime::launching;
use crate::supervision::{GroupId, Policy, Refused};
use crate::topology::{PlannedActor, PlannedProcess, Process};

type Answer = Result<Granted, ChangeError>;

/// A request that waits, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Asker {
    life: Life,
    number: u64,
}

/// What is known of processes and actors that the topology does not declare.
#[derive(Debug, Default)]
pub(super) struct Additions {
    processes: BTreeMap<ProcessId, Added>,
    actors: BTreeMap<(ProcessId, Slot), Policy>,
    /// Starts that wait for readiness.
    starts: Vec<Start>,
    /// Who waits for the end of a process.
    stops: Vec<Stop>,
    /// The next place for an actor of a process.
    next_slots: BTreeMap<ProcessId, u32>,
    /// Everything goes down.
    closed: bool,
}

impl Additions {
    /// Whether nothing is added any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[derive(Debug)]
struct Added {
    by: ProcessId,
    /// With which life it ends.
    linked: Option<Life>,
}

#[derive(Debug)]
struct Start {
    asker: Asker,
    processes: Vec<ProcessId>,
    left: BTreeSet<ProcessId>,
}

#[derive(Debug)]
struct Stop {
    asker: Asker,
    left: BTreeSet<ProcessId>,
}

impl Deployment {
    /// A process asks for a change.
    pub(super) fn asked(&mut self, life: Life, Ask { number, request }: Ask) {
        let asker = Asker { life, number };
        let done = match request {
            Request::Start { process, linked } => self.add(asker, &process, linked),
            Request::Stop { process } => self.discard(asker, &process),
            Request::Processes => Ok(Some(Granted::Processes(self.infos()))),
            Request::AddActor { start } => self.add_actor(life, *start).map(Some),
            Request::RemoveActor { slot } => match self.remove_actor(life.0, slot) {
                true => Ok(Some(Granted::Done)),
                false => Err(ChangeError::Unknown(ActorId::declared(life.0, slot).to_string())),
            },
            Request::Names(request) => {
                let asker = crate::runtime::names::Asker { life, number };
                return self.names_asked(asker, request);
            }
        };
        match done {
            Ok(None) => {}
            Ok(Some(granted)) => self.reply(asker, Ok(granted)),
            Err(error) => self.reply(asker, Err(error)),
        }
    }

    fn reply(&mut self, Asker { life, number }: Asker, answer: Answer) {
        self.answer(life, ToWorker::Answer { number, answer });
    }

    fn add(&mut self, asker: Asker, json: &str, linked: bool) -> Result<Option<Granted>, ChangeError> {
        let process = Process::from_json(json).map_err(ChangeError::Encode)?;
        if self.is_ending() {
            return Err(ChangeError::Stopping);
        }
        self.none_of_that_name(asker.life.0, &process)?;
        let first = ProcessId(self.base + self.numbered + 1);
        let added = self
            .plan
            .addition(&process, first, &self.catalog)
            .map_err(|findings| ChangeError::Invalid(findings.to_string()))?;
        let ids: Vec<ProcessId> = added.iter().map(|planned| planned.id).collect();
        for planned in added {
            if let Err(refused) = self.join(asker.life, planned, linked) {
                // Those of its likes that were taken in already go again.
                ids.iter().for_each(|id| self.give_up(*id));
                return Err(refused);
            }
        }
        let left = ids.iter().copied().collect();
        self.additions.starts.push(Start { asker, processes: ids, left });
        Ok(None)
    }

    /// Whoever started what has this name may have its addresses.
    fn none_of_that_name(&self, by: ProcessId, process: &Process) -> Result<(), ChangeError> {
        let mut names = process.names();
        let Some(there) = names.find_map(|name| self.plan.process(&name)) else { return Ok(()) };
        let added = self.additions.processes.get(&there.id);
        let may_know = by.is_root() || added.is_some_and(|added| added.by == by);
        let base = there.base();
        let family = self.plan.processes.iter().filter(|other| may_know && other.base() == base);
        let actors = family.flat_map(|process| self.known(process)).collect();
        Err(ChangeError::AlreadyThere { process: there.name.clone(), actors })
    }

    /// Takes a process into plan and tree.
    fn join(&mut self, by: Life, planned: PlannedProcess, linked: bool) -> Result<(), ChangeError> {
        let spec = child_with_slack(planned.child.clone());
        let id = planned.id;
        let added = Added { by: by.0, linked: linked.then_some(by) };
        let name = planned.name.clone();
        self.broker.expect(id);
        let known: Vec<KnownActor> = self.known(&planned).collect();
        let edges: Vec<_> = launching::edges_of(&planned).collect();
        self.names.directory.rights_mut().learn(&planned);
        for (group, _) in crate::runtime::names::replicas(&planned, &self.keys) {
            self.names.directory.rights_mut().allow(by.0, group);
        }
        self.change_plan(|plan| plan.processes.push(planned));
        match self.engine.handle_add_child(GroupId::TOP, spec, Instant::now()) {
            Ok(child) => debug_assert_eq!(self.process_of(child), id, "numbers of both go on together"),
            Err(refused) => {
                self.change_plan(|plan| plan.processes.retain(|process| process.id != id));
                self.names.directory.rights_mut().forget(id);
                return Err(not_now(refused));
            }
        }
        self.numbered += 1;
        // Before it can be introduced to them; a next life learns it in its welcome.
        for (owner, edge) in edges {
            self.word(owner, ToWorker::Edges(vec![edge]));
        }
        self.router.learn(known);
        self.additions.processes.insert(id, added);
        self.tell(Event::Added { process: name, by: self.name(by.0) });
        Ok(())
    }

    /// A process that is not wanted any more, for whatever reason.
    fn give_up(&mut self, id: ProcessId) {
        if self.additions.processes.contains_key(&id) {
            // What is ending goes anyway.
            let _ = self.engine.handle_discard_child(self.child_of(id), Instant::now());
        }
    }

    fn discard(&mut self, asker: Asker, name: &str) -> Result<Option<Granted>, ChangeError> {
        let by = asker.life.0;
        let fits = |process: &&PlannedProcess| process.name.as_str() == name || process.base() == name;
        let ids: BTreeSet<ProcessId> =
            self.plan.processes.iter().filter(fits).map(|found| found.id).collect();
        if ids.is_empty() {
            return Err(ChangeError::Unknown(name.to_owned()));
        }
        let is_mine =
            |id| by.is_root() || self.additions.processes.get(id).is_some_and(|added| added.by == by);
        if !ids.iter().all(is_mine) {
            return Err(ChangeError::NotYours(name.to_owned()));
        }
        if self.additions.stops.iter().filter(|stop| stop.asker.life == asker.life).count() >= MAX_REQUESTS {
            // A process of ours asks for no more at a time.
            return Err(ChangeError::Busy);
        }
        // Before the engine is asked: one that is down is removed at once.
        self.additions.stops.push(Stop { asker, left: ids.clone() });
        let mut refused = None;
        for id in ids {
            let asked = self.engine.handle_discard_child(self.child_of(id), Instant::now());
            refused = refused.or(asked.err());
        }
        if let Some(refused) = refused {
            self.additions
                .stops
                .retain(|stop| stop.asker.number != asker.number || stop.asker.life != asker.life);
            return Err(not_now(refused));
        }
        Ok(None)
    }

    /// A process is ready: perhaps the last that a start waits for.
    pub(super) fn added_is_ready(&mut self, id: ProcessId) {
        self.additions.starts.iter_mut().for_each(|start| {
            start.left.remove(&id);
        });
        let done: Vec<Start> = self.additions.starts.extract_if(.., |start| start.left.is_empty()).collect();
        for Start { asker, processes, .. } in done {
            let plan = Arc::clone(&self.plan);
            let planned = || processes.iter().filter_map(|id| plan.process_by_id(*id));
            let actors = planned().flat_map(|process| self.known(process)).collect();
            let processes = planned().map(|process| process.name.clone()).collect();
            self.reply(asker, Ok(Granted::Started { processes, actors }));
        }
    }

    /// The first start of a process failed, or it is in the tree no more: all trace of it goes.
    pub(super) fn removed(&mut self, id: ProcessId) {
        let name = self.name(id);
        let reason = match (self.failures.remove(&id), self.last_exits.get(&id)) {
            (Some(failure), _) => failure.to_string(),
            (None, Some(exit)) => exit.to_string(),
            (None, None) => "it was stopped before it was ready".to_owned(),
        };
        let failed: Vec<Start> =
            self.additions.starts.extract_if(.., |start| start.left.contains(&id)).collect();
        for Start { asker, processes, .. } in failed {
            self.reply(
                asker,
                Err(ChangeError::NotStarted { name: name.to_string(), reason: reason.clone() }),
            );
            processes.into_iter().filter(|other| *other != id).for_each(|other| self.give_up(other));
        }
        if let Some(planned) = self.plan.process_by_id(id) {
            self.router.forget_actors(planned.actors.iter().map(|actor| &actor.name));
        }
        self.change_plan(|plan| plan.processes.retain(|process| process.id != id));
        self.broker.forget(id);
        self.revoked.forget(id);
        self.names.directory.handle_gone(id);
        self.names.directory.rights_mut().forget(id);
        self.additions.processes.remove(&id);
        self.additions.next_slots.remove(&id);
        self.additions.actors.retain(|(process, _), _| *process != id);
        self.states.forget_all(id);
        self.last_exits.remove(&id);
        self.violations.remove(&id);
        self.tell(Event::Removed { process: name });
        self.additions.stops.iter_mut().for_each(|stop| {
            stop.left.remove(&id);
        });
        let done: Vec<Stop> = self.additions.stops.extract_if(.., |stop| stop.left.is_empty()).collect();
        done.into_iter().for_each(|stop| self.reply(stop.asker, Ok(Granted::Done)));
    }

    /// A life is over: what was linked to it goes, and temporary actors are not born again with their process.
    pub(super) fn starter_is_gone(&mut self, life: Life) {
        let linked = self.additions.processes.iter().filter(|(_, added)| added.linked == Some(life));
        for id in linked.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.give_up(id);
        }
        let temporary: Vec<Slot> = (self.additions.actors.iter())
            .filter(|((process, _), policy)| *process == life.0 && **policy == Policy::Temporary)
            .map(|((_, slot), _)| *slot)
            .collect();
        for slot in temporary {
            self.remove_actor(life.0, slot);
        }
        self.additions.starts.retain(|start| start.asker.life != life);
        self.additions.stops.retain(|stop| stop.asker.life != life);
    }

    /// Everything goes down: nobody's wish is fulfilled any more.
    pub(super) fn refuse_the_waiting(&mut self) {
        self.additions.closed = true;
        let starts = std::mem::take(&mut self.additions.starts).into_iter().map(|start| start.asker);
        let stops = std::mem::take(&mut self.additions.stops).into_iter().map(|stop| stop.asker);
        for asker in starts.chain(stops).collect::<Vec<_>>() {
            self.reply(asker, Err(ChangeError::Stopping));
        }
    }

    fn add_actor(&mut self, by: Life, start: ActorStart) -> Result<Granted, ChangeError> {
        let name = start.name.clone();
        if let Some((process, actor)) = self.plan.actor(name.as_str()) {
            let known = || launching::known(&self.plan, &self.keys, actor.id).map(Box::new);
            let actor = if process.id == by.0 { known() } else { None };
            return Err(ChangeError::ActorAlreadyThere { name, actor });
        }
        let args =
            serde_json::from_str(&start.args_json).map_err(|error| ChangeError::Encode(error.to_string()))?;
        let Some(home) = self.plan.process_by_id(by.0) else { return Err(ChangeError::InRoot) };
        let most = crate::topology::MAX_ACTORS;
        if self.plan.actors().count() >= most {
            return Err(ChangeError::Invalid(format!("a topology may have {most} actors")));
        }
        // No place is used twice in one life, so that an old address never leads to another actor.
        let last = home.actors.last().map_or(0, |actor| actor.slot.0 + 1);
        let next = self.additions.next_slots.entry(by.0).or_insert(last);
        let slot = Slot((*next).max(last));
        *next = slot.0 + 1;
        let id = ActorId::declared(by.0, slot);
        let (type_name, rules) = (start.type_name, start.rules);
        let planned = PlannedActor { name, type_name, args, slot, id, rules };
        self.change_plan(|plan| {
            let home = plan.processes.iter_mut().find(|process| process.id == by.0);
            if let Some(home) = home {
                home.actors.push(planned);
            }
        });
        self.additions.actors.insert((by.0, slot), rules.policy);
        self.router.learn(launching::known(&self.plan, &self.keys, id));
        Ok(Granted::Place(id))
    }

    /// Forgets an actor that was started at run time; false for others, which stay.
    fn remove_actor(&mut self, process: ProcessId, slot: Slot) -> bool {
        if self.additions.actors.remove(&(process, slot)).is_none() {
            return false;
        }
        if let Some((_, actor)) = self.plan.actor_by_id(ActorId::declared(process, slot)) {
            self.router.forget_actors([&actor.name]);
        }
        self.change_plan(|plan| {
            let home = plan.processes.iter_mut().find(|home| home.id == process);
            if let Some(home) = home {
                home.actors.retain(|actor| actor.slot != slot);
            }
        });
        self.states.forget(process, slot);
        true
    }

    /// Whom a process may look up beside those that it was wired to: its own actors that it started, and those of the
    /// processes that it started, in whatever life.
    pub(super) fn started_by(&self, by: ProcessId) -> Vec<KnownActor> {
        let own = self.additions.actors.keys().filter(|(process, _)| *process == by);
        let own = own
            .filter_map(|(_, slot)| launching::known(&self.plan, &self.keys, ActorId::declared(by, *slot)));
        let processes = self.additions.processes.iter().filter(|(_, added)| added.by == by);
        let others = processes.filter_map(|(id, _)| self.plan.process_by_id(*id));
        own.chain(others.flat_map(|process| self.known(process))).collect()
    }

    fn infos(&self) -> Vec<ProcessInfo> {
        let info = |process: &PlannedProcess| {
            let living = self.living.get(&process.id);
            let added = self.additions.processes.get(&process.id);
            ProcessInfo {
                name: process.name.clone(),
                incarnation: living.map(|living| living.incarnation),
                pid: living.map(|living| living.worker.pid()),
                ready: living.is_some_and(|living| living.ready),
                actors: process.actors.iter().map(|actor| actor.name.clone()).collect(),
                started_by: added.map(|added| self.name(added.by)),
            }
        };
        self.plan.processes.iter().map(info).collect()
    }

    fn known(&self, process: &PlannedProcess) -> impl Iterator<Item = KnownActor> + use<> {
        let name: ProcessName = process.name.clone();
        let known: Vec<_> =
            process.actors.iter().map(|actor| launching::known_of(&name, &self.keys, actor)).collect();
        known.into_iter()
    }
}

fn not_now(refused: Refused) -> ChangeError {
    match refused {
        Refused::Stopping => ChangeError::Stopping,
        other => ChangeError::NotNow(other.to_string()),
    }
}
