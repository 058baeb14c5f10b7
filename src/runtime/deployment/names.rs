//! What the directory of names and groups decides, said to the processes that it is about.
//!
//! Answers are owed; what has changed is a mark for each process and name, and what is said is the newest when there is room
//! for it, so a process that reads slowly is told less often, and costs no more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Deployment;
use crate::id::{Capability, FullName, ProcessId};
use crate::protocol::control::ToWorker;
use crate::protocol::names::{Holder, NameError, NamesRequest, NamesToRoot, NamesToWorker};
use crate::protocol::requests::Granted;
use crate::protocol::rights::Denial;
use crate::runtime::broker::Life;
use crate::runtime::names::{
    Asker, Directory, Rights, Say, hold_to_edge, replicas, shown_in_answer, shown_in_word,
};

/// How soon it is tried again to tell a process whose control pipe was full.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Frames that may wait for a process to which names and groups are told: of a large group each is hundreds of kilobytes.
const MOST_WAITING: usize = 8;

/// Members that are told of at once, to whomever. Where there are more, what changes next is told after a pause of as many
/// microseconds, about what telling of them has cost: a large group that comes up member by member would else have the root
/// do nothing but tell of it.
const MANY_MEMBERS: usize = 4096;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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

    fn narrowed_for(&self, to: ProcessId, holder: &mut Holder) {
        hold_to_edge(to, self.plan.process_by_id(to), holder);
    }

    /// A process took an address back, and with it what was registered by that.
    pub(super) fn names_revoked(&mut self, owner: ProcessId) {
        let (revoked, keys) = (&self.revoked, &self.keys);
        let is_revoked = |addr: &Capability| revoked.check(keys, addr) == Err(Denial::Revoked);
        self.names.directory.handle_revoked(owner, is_revoked);
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
            NamesToRoot::Unuse { group } => self.names.directory.handle_unuse(life.0, &group),
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
                    if let Some(holder) = shown_in_answer(&mut answer) {
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

    fn has_room(&self, process: ProcessId) -> bool {
        self.living.get(&process).is_none_or(|living| living.worker.waiting() < MOST_WAITING)
    }

    fn tell_marked(&mut self) {
        let (mut is_full, mut told) = (false, 0);
        for (process, mark) in std::mem::take(&mut self.names.marks) {
            if !self.has_room(process) {
                is_full = true;
                self.names.marks.insert((process, mark));
                continue;
            }
            let frame = match &mark {
                Mark::Name(name) => self.names.directory.name_frame(process, name),
                Mark::Group(group) => self.names.directory.group_frame(process, group),
            };
            let Some(mut frame) = frame else { continue };
            for holder in shown_in_word(&mut frame) {
                self.narrowed_for(process, holder);
                told += 1;
            }
            if !self.hand(process, ToWorker::Names(frame), Vec::new()) {
                is_full = true;
                self.names.marks.insert((process, mark));
            }
        }
        self.names.again = pause(is_full, told).map(|pause| Instant::now() + pause);
    }
}

/// How long what changes next waits.
fn pause(is_full: bool, told: usize) -> Option<Duration> {
    let cost = Duration::from_micros(told as u64).min(LONGEST_PAUSE);
    match (is_full, told > MANY_MEMBERS) {
        (true, _) => Some(cost.max(TRY_AGAIN)),
        (false, true) => Some(cost),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_much_is_told_less_often() {
        assert_eq!(pause(false, MANY_MEMBERS), None);
        assert_eq!(pause(true, 1), Some(TRY_AGAIN));
        assert_eq!(pause(false, 100_000), Some(Duration::from_millis(100)));
        assert_eq!(pause(true, 100_000), Some(Duration::from_millis(100)));
        assert_eq!(pause(false, usize::MAX), Some(LONGEST_PAUSE));
    }
}
