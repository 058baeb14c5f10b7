//! OTP's `supervisor.erl`, written down again as what it is there: a recursion that blocks.
//!
//! Starting a child waits until it is up or has failed; stopping one waits until it is gone. So there are no
//! states in between, no timers and no races, and the algorithm can be read beside the original: `start_children`,
//! `terminate_children`, `do_restart`, `do_auto_shutdown`, `restart` and its `try_again`. It shares no code with the engine.

use std::time::Duration;

use crate::id::Exit;
use crate::supervision::{AutoShutdown, ChildId, ChildSpec, GroupSpec, Member, Outcome, Policy, Strategy};

/// What was done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Start { child: ChildId, life: u32 },
    Stop { child: ChildId },
}

/// The world the oracle acts in.
pub(super) struct Stage {
    pub(super) comes_up: Box<dyn Fn(ChildId, u32) -> bool>,
    pub(super) now: Duration,
    pub(super) deeds: Vec<Deed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pid {
    Alive,
    Undefined,
    /// Temporary members are deleted when they end.
    Deleted,
}

enum Node {
    Child { id: ChildId, spec: ChildSpec, pid: Pid, lives: u32 },
    Supervisor(Supervisor),
}

struct Supervisor {
    policy: Policy,
    significant: bool,
    auto_shutdown: AutoShutdown,
    strategy: Strategy,
    intensity: usize,
    period: Duration,
    restarts: Vec<Duration>,
    members: Vec<Node>,
    pid: Pid,
}

/// The child that kept a supervisor from starting.
struct Down(ChildId);

/// How a supervisor that was up ended, with all its members: `shutdown`, which is normal, or that it gave up.
struct Over {
    by: ChildId,
    normal: bool,
    outcome: Outcome,
}

pub(super) struct Oracle {
    pub(super) stage: Stage,
    pub(super) outcome: Option<Outcome>,
    top: Supervisor,
}

impl Oracle {
    pub(super) fn new(tree: GroupSpec, comes_up: Box<dyn Fn(ChildId, u32) -> bool>) -> Oracle {
        let stage = Stage { comes_up, now: Duration::ZERO, deeds: Vec::new() };
        Oracle { stage, outcome: None, top: Supervisor::new(tree, &mut 0) }
    }

    pub(super) fn start(&mut self) {
        if let Err(Down(child)) = self.top.start(&mut self.stage) {
            self.outcome = Some(Outcome::StartFailed { child });
        }
    }

    pub(super) fn stop(&mut self) {
        self.top.terminate(&mut self.stage);
        self.outcome.get_or_insert(Outcome::Stopped);
    }

    pub(super) fn exit(&mut self, id: ChildId, exit: Exit) {
        if let Err(over) = self.top.handle_exit(id, exit, &mut self.stage).expect("the child is there") {
            self.outcome = Some(over.outcome);
        } else if self.living().is_empty() {
            // A rule that OTP has not.
            self.outcome = Some(Outcome::Completed { child: id, exit });
        }
    }

    pub(super) fn living(&self) -> Vec<ChildId> {
        let mut living = Vec::new();
        self.top.collect_living(&mut living);
        living
    }
}

impl Supervisor {
    fn new(spec: GroupSpec, next: &mut u32) -> Supervisor {
        let mut members = Vec::new();
        for member in spec.members {
            members.push(match member {
                Member::Child(spec) => {
                    let id = ChildId(*next);
                    *next += 1;
                    Node::Child { id, spec, pid: Pid::Undefined, lives: 0 }
                }
                Member::Group(group) => Node::Supervisor(Supervisor::new(group, next)),
            });
        }
        Supervisor {
            policy: spec.policy,
            significant: spec.significant,
            auto_shutdown: spec.auto_shutdown,
            strategy: spec.strategy,
            intensity: spec.intensity.restarts as usize,
            period: spec.intensity.period,
            restarts: Vec::new(),
            members,
            pid: Pid::Undefined,
        }
    }

    /// `init`: a new process, which knows nothing of the one before.
    fn start(&mut self, stage: &mut Stage) -> Result<(), Down> {
        self.restarts.clear();
        for node in &mut self.members {
            *node.pid() = Pid::Undefined;
        }
        for at in 0..self.members.len() {
            if let Err(down) = self.members[at].start(stage) {
                self.terminate_from(0, stage);
                return Err(down);
            }
        }
        self.pid = Pid::Alive;
        Ok(())
    }

    fn terminate(&mut self, stage: &mut Stage) {
        self.terminate_from(0, stage);
        self.pid = Pid::Undefined;
    }

    /// `terminate_children`: the last first; temporary ones are left out of what is started again.
    fn terminate_from(&mut self, from: usize, stage: &mut Stage) {
        for node in self.members[from..].iter_mut().rev() {
            let deleted = *node.pid() == Pid::Deleted || node.policy() == Policy::Temporary;
            match node {
                Node::Child { id, pid: Pid::Alive, .. } => stage.deeds.push(Deed::Stop { child: *id }),
                Node::Child { .. } => {}
                Node::Supervisor(group) => group.terminate(stage),
            }
            *node.pid() = if deleted { Pid::Deleted } else { Pid::Undefined };
        }
    }

    /// The end of a child somewhere below; none if it is not here.
    fn handle_exit(&mut self, id: ChildId, exit: Exit, stage: &mut Stage) -> Option<Result<(), Over>> {
        for at in 0..self.members.len() {
            let below = match &mut self.members[at] {
                Node::Child { id: other, .. } if *other == id => {
                    let outcome = Outcome::Completed { child: id, exit };
                    Some(Err(Over { by: id, normal: exit == Exit::Code(0), outcome }))
                }
                Node::Child { .. } => None,
                Node::Supervisor(group) => group.handle_exit(id, exit, stage),
            };
            match below {
                None => {}
                Some(Ok(())) => return Some(Ok(())),
                Some(Err(over)) => return Some(self.do_restart(at, over, stage)),
            }
        }
        None
    }

    fn do_restart(&mut self, at: usize, over: Over, stage: &mut Stage) -> Result<(), Over> {
        let node = &mut self.members[at];
        let (policy, significant) = (node.policy(), node.significant());
        *node.pid() = if policy == Policy::Temporary { Pid::Deleted } else { Pid::Undefined };
        let again = match policy {
            Policy::Permanent => !(over.normal && significant),
            Policy::Transient => !over.normal,
            Policy::Temporary => false,
        };
        if again {
            return self.restart(at, over.by, stage);
        }
        if significant && self.do_auto_shutdown() {
            self.terminate(stage);
            return Err(Over { normal: true, ..over });
        }
        Ok(())
    }

    fn do_auto_shutdown(&mut self) -> bool {
        match self.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                !self.members.iter_mut().any(|node| *node.pid() == Pid::Alive && node.significant())
            }
        }
    }

    /// `restart`, with `try_again` as a loop.
    fn restart(&mut self, mut at: usize, mut by: ChildId, stage: &mut Stage) -> Result<(), Over> {
        loop {
            let period = self.period;
            self.restarts.push(stage.now);
            self.restarts.retain(|restart| stage.now - *restart <= period);
            if self.restarts.len() > self.intensity {
                self.terminate(stage);
                let restarts = u32::try_from(self.intensity).unwrap();
                return Err(Over {
                    by,
                    normal: false,
                    outcome: Outcome::GaveUp { child: by, restarts, period },
                });
            }
            let row = match self.strategy {
                Strategy::OneForOne => at..at + 1,
                Strategy::OneForAll => 0..self.members.len(),
                Strategy::RestForOne => at..self.members.len(),
            };
            if self.strategy != Strategy::OneForOne {
                self.terminate_from(row.start, stage);
            }
            match self.start_row(row, stage) {
                Ok(()) => return Ok(()),
                Err((failed, Down(child))) => (at, by) = (failed, child),
            }
        }
    }

    fn start_row(&mut self, row: std::ops::Range<usize>, stage: &mut Stage) -> Result<(), (usize, Down)> {
        for at in row {
            if *self.members[at].pid() != Pid::Deleted {
                self.members[at].start(stage).map_err(|down| (at, down))?;
            }
        }
        Ok(())
    }

    fn collect_living(&self, living: &mut Vec<ChildId>) {
        for node in &self.members {
            match node {
                Node::Child { id, pid: Pid::Alive, .. } => living.push(*id),
                Node::Child { .. } => {}
                Node::Supervisor(group) => group.collect_living(living),
            }
        }
    }
}

impl Node {
    fn pid(&mut self) -> &mut Pid {
        match self {
            Node::Child { pid, .. } => pid,
            Node::Supervisor(group) => &mut group.pid,
        }
    }

    fn policy(&self) -> Policy {
        match self {
            Node::Child { spec, .. } => spec.policy,
            Node::Supervisor(group) => group.policy,
        }
    }

    fn significant(&self) -> bool {
        match self {
            Node::Child { spec, .. } => spec.significant,
            Node::Supervisor(group) => group.significant,
        }
    }

    fn start(&mut self, stage: &mut Stage) -> Result<(), Down> {
        match self {
            Node::Child { id, pid, lives, .. } => {
                *lives += 1;
                stage.deeds.push(Deed::Start { child: *id, life: *lives });
                if !(stage.comes_up)(*id, *lives) {
                    return Err(Down(*id));
                }
                *pid = Pid::Alive;
                Ok(())
            }
            Node::Supervisor(group) => group.start(stage),
        }
    }
}
