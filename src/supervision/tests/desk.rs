//! An engine driven by hand, with its doings as short texts.

use std::time::{Duration, Instant};

use crate::id::{Exit, Incarnation, ProcessName, Signal};
use crate::supervision::*;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const CRASH: Exit = Exit::Code(1);
pub(super) const DONE: Exit = Exit::Code(0);
pub(super) const KILLED: Exit = Exit::Signal { signal: Signal(9), core_dumped: false };

/// A permanent child that is restarted without a delay.
pub(super) fn child(name: &str) -> ChildSpec {
    let mut spec = ChildSpec::new(ProcessName::new(name).unwrap());
    spec.backoff = Backoff { min: Duration::ZERO, max: Duration::ZERO };
    spec
}

/// The same with another policy.
pub(super) fn with_policy(name: &str, policy: Policy) -> ChildSpec {
    ChildSpec { policy, ..child(name) }
}

/// A group with the default intensity that ends with any significant member.
pub(super) fn group(strategy: Strategy, members: impl IntoIterator<Item = impl Into<Member>>) -> GroupSpec {
    let members = members.into_iter().map(Into::into).collect();
    GroupSpec { strategy, members, auto_shutdown: AutoShutdown::AnySignificant, ..GroupSpec::default() }
}

impl From<ChildSpec> for Member {
    fn from(child: ChildSpec) -> Member {
        Member::Child(child)
    }
}

impl From<GroupSpec> for Member {
    fn from(group: GroupSpec) -> Member {
        Member::Group(group)
    }
}

/// An engine, a clock that stands still unless told, and what came out.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) now: Instant,
    pub(super) notes: Vec<Note>,
    pub(super) outcome: Option<Outcome>,
    names: Vec<(ChildId, String)>,
}

impl Desk {
    pub(super) fn new(tree: GroupSpec) -> Desk {
        let engine = Engine::new(tree, 1);
        let names = engine.children().map(|(id, spec)| (id, spec.name.to_string())).collect();
        Desk { engine, now: Instant::now(), notes: Vec::new(), outcome: None, names }
    }

    /// An engine whose children are all ready.
    pub(super) fn up(tree: GroupSpec) -> Desk {
        let mut desk = Desk::new(tree);
        let mut doings = desk.start();
        while let Some(name) = doings.pop() {
            let name = name.strip_prefix("start ").expect("nothing but starts").to_owned();
            doings = desk.ready(&name);
        }
        assert_eq!(desk.notes, [Note::AllStarted]);
        desk.notes.clear();
        desk
    }

    pub(super) fn id(&self, name: &str) -> ChildId {
        // The last of that name, should one have been removed.
        self.names.iter().rfind(|(_, other)| other == name).expect("a child of this name").0
    }

    pub(super) fn state(&self, name: &str) -> ChildState {
        self.engine.state(self.id(name), self.now).unwrap()
    }

    pub(super) fn life(&self, name: &str) -> Incarnation {
        self.state(name).incarnation
    }

    pub(super) fn start(&mut self) -> Vec<String> {
        self.engine.handle_start(self.now);
        self.doings()
    }

    pub(super) fn ready(&mut self, name: &str) -> Vec<String> {
        self.engine.handle_ready(self.id(name), self.life(name), self.now);
        self.doings()
    }

    pub(super) fn fail_to_start(&mut self, name: &str) -> Vec<String> {
        self.engine.handle_start_failure(self.id(name), self.life(name), self.now);
        self.doings()
    }

    pub(super) fn exit(&mut self, name: &str, exit: Exit) -> Vec<String> {
        self.engine.handle_exit(self.id(name), self.life(name), exit, self.now);
        self.doings()
    }

    pub(super) fn stop(&mut self) -> Vec<String> {
        self.engine.handle_stop(self.now);
        self.doings()
    }

    pub(super) fn kill(&mut self) -> Vec<String> {
        self.engine.handle_kill(self.now);
        self.doings()
    }

    pub(super) fn restart(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        self.engine.handle_restart(self.id(name), self.now)?;
        Ok(self.doings())
    }

    pub(super) fn add(&mut self, group: GroupId, spec: ChildSpec) -> Result<Vec<String>, Refused> {
        let name = spec.name.to_string();
        let id = self.engine.handle_add_child(group, spec, self.now)?;
        self.names.push((id, name));
        Ok(self.doings())
    }

    pub(super) fn stop_child(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        self.engine.handle_stop_child(self.id(name), self.now)?;
        Ok(self.doings())
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        self.engine.handle_remove_child(self.id(name), self.now)?;
        Ok(self.doings())
    }

    pub(super) fn discard(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        self.engine.handle_discard_child(self.id(name), self.now)?;
        Ok(self.doings())
    }

    /// Lets time pass, and the engine know when it asked to.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<String> {
        let end = self.now + span;
        let mut doings = Vec::new();
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            doings.extend(self.doings());
        }
        self.now = end;
        doings
    }

    fn doings(&mut self) -> Vec<String> {
        let mut doings = Vec::new();
        while let Some(action) = self.engine.poll_action() {
            assert_eq!(self.outcome, None, "nothing follows the end");
            match action {
                Action::Start { child, .. } => doings.push(format!("start {}", self.name(child))),
                Action::Stop { child, step, .. } => {
                    doings.push(format!("{} {}", verb(step), self.name(child)))
                }
                Action::Note(note) => self.notes.push(note),
                Action::Ended(outcome) => {
                    self.outcome = Some(outcome);
                    doings.push("ended".to_owned());
                }
            }
        }
        doings
    }

    fn name(&self, child: ChildId) -> &str {
        &self.names.iter().find(|(id, _)| *id == child).expect("a child of this number").1
    }
}

fn verb(step: StopStep) -> &'static str {
    match step {
        StopStep::Ask => "ask",
        StopStep::Terminate => "terminate",
        StopStep::Kill => "kill",
    }
}
