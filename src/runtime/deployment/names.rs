//! What the directory of names and groups decides, said to the processes that it is about.
//!
//! Answers are owed; what has changed is a mark for each process and name, and what is said is the newest when there is room
//! for it, so a process that reads slowly is told less often, and costs no more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Deployment;
use crate::id::{Capability, Condition, FullName, ProcessId};
use crate::protocol::control::ToWorker;
use crate::protocol::names::{
    Holder, NameError, NameState, NamesGranted, NamesRequest, NamesToRoot, NamesToWorker,
};
use crate::protocol::requests::Granted;
use crate::runtime::broker::Life;
use crate::runtime::names::{Asker, Directory, Rights, Say, replicas};

/// How soon it is tried again to tell a process whose control pipe was full.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What a process is still to be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Name(FullName),
    Group(FullName),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Names {
    pub(super) directory: Directory,
    marks: BTreeSet<(ProcessId, Mark)>,
    again: Option<Instant>,
}

impl Names {
    pub(super) fn new(rights: Rights) -> Names {
        Names { directory: Directory::new(rights), marks: BTreeSet::new(), again: None }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }
}

impl Deployment {
    /// A process asks something of the directory. Only what it may send to can it give a name.
    pub(super) fn names_asked(&mut self, asker: Asker, request: NamesRequest) {
        if let NamesRequest::Register { holder, .. } | NamesRequest::Join { holder, .. } = &request
            && let Err(why) = self.revoked.check(&self.keys, &holder.addr)
        {
            let refused = Granted::Names(Err(NameError::NoRight(holder.addr.id(), why)));
            return self.answer(asker.life, ToWorker::Answer { number: asker.number, answer: Ok(refused) });
        }
        self.names.directory.handle_request(asker, request);
    }

    /// What a process is told of an actor: no more than its wiring lets it send there.
    fn narrowed_for(&self, to: ProcessId, holder: &mut Holder) {
        let wired = self.plan.process_by_id(to).map(|process| &process.wired);
        let edge = wired.into_iter().flatten().find(|wired| wired.id == holder.id);
        if edge.is_some_and(|edge| edge.messages.is_some()) {
            let narrowed = holder.addr.narrowed(Condition::Edge(to));
            holder.addr = narrowed.unwrap_or(Capability::unsealed(holder.id));
        }
    }

    /// A process says something of names and groups.
    pub(super) fn names_said(&mut self, life: Life, said: NamesToRoot) {
        match said {
            NamesToRoot::Presence { id, presence } => {
                self.names.directory.handle_presence(life, id, presence)
            }
            NamesToRoot::Use { group } => {
                if let Err(why) = self.names.directory.handle_use(life.0, group.clone()) {
                    self.answer(life, ToWorker::Names(NamesToWorker::Refused { group, why }));
                }
            }
        }
    }

    /// A life of a process is ready: it tells of its actors, and where it is a replica, they are members of their groups.
    pub(super) fn names_ready(&mut self, life: Life) {
        self.names.directory.handle_ready(life);
        let planned = self.plan.process_by_id(life.0);
        let members = planned.map(|process| replicas(process, &self.keys)).unwrap_or_default();
        for (group, holder) in members {
            self.names.directory.handle_replica(group, holder);
        }
    }

    /// Says what the directory has decided.
    pub(super) fn say_names(&mut self) {
        for say in self.names.directory.poll() {
            match say {
                Say::Answer(Asker { life, number }, mut answer) => {
                    if let Ok(NamesGranted::Held(holder)) = &mut answer {
                        self.narrowed_for(life.0, holder);
                    }
                    self.answer(life, ToWorker::Answer { number, answer: Ok(Granted::Names(answer)) });
                }
                Say::Attend(process, id) => self.say_to_whoever_lives(process, NamesToWorker::Attend { id }),
                Say::Ignore(process, id) => self.say_to_whoever_lives(process, NamesToWorker::Ignore { id }),
                Say::Name(process, name) => drop(self.names.marks.insert((process, Mark::Name(name)))),
                Say::Group(process, group) => drop(self.names.marks.insert((process, Mark::Group(group)))),
            }
        }
        if self.names.again.is_none() && !self.names.marks.is_empty() {
            self.tell_marked();
        }
    }

    /// Tries again what found no room.
    pub(super) fn say_names_again(&mut self, now: Instant) {
        if self.names.again.is_some_and(|again| again <= now) {
            self.names.again = None;
            self.tell_marked();
        }
    }

    /// In order with the answers, and as certain.
    fn say_to_whoever_lives(&mut self, process: ProcessId, what: NamesToWorker) {
        let incarnation = match process.is_root() {
            true => Some(super::ROOT_LIFE.1),
            false => self.living.get(&process).map(|living| living.incarnation),
        };
        if let Some(incarnation) = incarnation {
            self.answer((process, incarnation), ToWorker::Names(what));
        }
    }

    fn tell_marked(&mut self) {
        let mut full = BTreeSet::new();
        for (process, mark) in std::mem::take(&mut self.names.marks) {
            let frame = match &mark {
                Mark::Name(name) => self.names.directory.name_frame(process, name),
                Mark::Group(group) => self.names.directory.group_frame(process, group),
            };
            let Some(mut frame) = frame else { continue };
            match &mut frame {
                NamesToWorker::Name { state: NameState::Here(holder) | NameState::Away(holder), .. } => {
                    self.narrowed_for(process, holder);
                }
                NamesToWorker::Group { members, .. } => {
                    members.iter_mut().for_each(|holder| self.narrowed_for(process, holder));
                }
                _ => {}
            }
            if full.contains(&process) || !self.hand(process, ToWorker::Names(frame), Vec::new()) {
                full.insert(process);
                self.names.marks.insert((process, mark));
            }
        }
        self.names.again = (!full.is_empty()).then(|| Instant::now() + TRY_AGAIN);
    }
}
