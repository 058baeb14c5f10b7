//! From the plan to what a worker is told.

use std::ffi::OsString;
use std::time::Duration;

use super::keys::Keys;
use crate::id::{ActorId, Capability, Condition, Exit, Incarnation, ProcessId, ProcessName};
use crate::process::launcher::{Launch, Program};
use crate::process::programs::Programs;
use crate::protocol::control::{ActorStart, KnownActor, Welcome};
use crate::protocol::keeping::KeptState;
use crate::protocol::rights::Edge;
use crate::protocol::wire::MessageId;
use crate::protocol::{Limits, MAX_DESCRIPTORS};
use crate::supervision::Shutdown;
use crate::topology::{MessageLimits, Plan, PlannedActor, PlannedProcess, ResolvedProgram, WiredActor};

/// Test switch: serialise also what stays in a process, in every worker and the root.
pub(super) const SERIALISE_ALWAYS: &str = "PROCESSION_SERIALISE_ALWAYS";

pub(super) fn serialise_always() -> bool {
    std::env::var_os(SERIALISE_ALWAYS).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Moves a plan's process numbers up, so that no number is ever used for two processes of one root (H43).
pub(super) fn rebase(plan: &mut Plan, base: u32) {
    let moved = |id: &mut ProcessId| id.0 += base;
    for process in &mut plan.processes {
        moved(&mut process.id);
        process.actors.iter_mut().for_each(|actor| moved(&mut actor.id.process));
        process.wired.iter_mut().for_each(|wired| moved(&mut wired.id.process));
    }
}

/// The launcher's clock starts with the process and knows what it has said; the engine's, which goes by this much
/// later, is there for the day when the launcher fails.
pub(super) const DEADLINE_SLACK: Duration = Duration::from_secs(1);

pub(super) fn launch(
    (plan, keys): (&Plan, &Keys),
    process: &PlannedProcess,
    incarnation: Incarnation,
    last_exit: Option<Exit>,
    states: Vec<KeptState>,
    programs: &Programs,
) -> Launch {
    let program = match &process.program {
        ResolvedProgram::Deployer => Program::Deployer,
        ResolvedProgram::Path(path) => Program::Path(path.clone()),
    };
    let environment =
        process.env.iter().map(|(key, value)| (OsString::from(key), Some(OsString::from(value)))).collect();
    Launch {
        program,
        arguments: process.args.iter().map(OsString::from).collect(),
        environment,
        welcome: welcome((plan, keys), process, incarnation, last_exit),
        states,
        start_deadline: process.child.start_deadline,
        cgroup: true,
        programs: programs.clone(),
    }
}

fn welcome(
    (plan, keys): (&Plan, &Keys),
    process: &PlannedProcess,
    incarnation: Incarnation,
    last_exit: Option<Exit>,
) -> Welcome {
    let actors = process.actors.iter().map(|actor| ActorStart {
        name: actor.name.clone(),
        type_name: actor.type_name.clone(),
        slot: actor.slot,
        args_json: actor.args.to_string(),
        rules: actor.rules,
    });
    Welcome {
        topology: plan.name.clone(),
        process: process.id,
        name: process.name.clone(),
        incarnation,
        last_exit,
        build: None,
        limits: limits(&process.limits),
        ask_timeout_ms: u64::try_from(process.ask_timeout.as_millis()).unwrap_or(u64::MAX),
        busy_poll: process.busy_poll,
        serialise_always: serialise_always(),
        snapshot_limit: process.snapshot_limit,
        states: 0,
        known_builds: Vec::new(),
        group: process.actor_group,
        actors: actors.collect(),
        names: process.wired.iter().filter_map(|wired| wired_to(plan, keys, process, wired)).collect(),
        key: keys.of_process(process.id),
        run: keys.run,
        edges: edges_to(plan, process.id),
        revoked: Vec::new(),
    }
}

/// An actor of the plan, as others know it.
pub(super) fn known(plan: &Plan, keys: &Keys, id: ActorId) -> Option<KnownActor> {
    let (process, actor) = plan.actor_by_id(id)?;
    Some(known_of(&process.name, keys, actor))
}

/// An actor as this process knows it, whom the topology may let send it some messages alone.
fn wired_to(plan: &Plan, keys: &Keys, process: &PlannedProcess, wired: &WiredActor) -> Option<KnownActor> {
    let mut known = known(plan, keys, wired.id)?;
    if wired.messages.is_some() {
        // The first condition always has room.
        known.id = known.id.narrowed(Condition::Edge(process.id)).unwrap_or(Capability::unsealed(wired.id));
    }
    Some(known)
}

/// Who may send only some messages to actors of this process.
fn edges_to(plan: &Plan, process: ProcessId) -> Vec<Edge> {
    plan.processes.iter().flat_map(edges_of).filter(|(to, _)| *to == process).map(|(_, edge)| edge).collect()
}

/// To whom a process may send only some messages: the process, and what that must know.
pub(super) fn edges_of(process: &PlannedProcess) -> impl Iterator<Item = (ProcessId, Edge)> + '_ {
    process.wired.iter().filter_map(|wired| {
        let names = wired.messages.as_ref()?;
        let mut messages: Vec<u32> =
            names.iter().map(|name| MessageId::of(&wired.type_name, name).0).collect();
        messages.sort_unstable();
        Some((wired.id.process, Edge { from: process.id, to: wired.id.slot, messages }))
    })
}

/// An actor of a process of this name, as others know it.
pub(super) fn known_of(process: &ProcessName, keys: &Keys, actor: &PlannedActor) -> KnownActor {
    KnownActor {
        name: actor.name.clone(),
        id: keys.mint(actor.id),
        type_name: actor.type_name.clone(),
        process: process.clone(),
        delivery: actor.rules.delivery,
    }
}

/// Every actor of the plan: what the root may reach.
pub(super) fn everybody(plan: &Plan, keys: &Keys) -> impl Iterator<Item = KnownActor> {
    plan.actors().filter_map(|(_, actor)| known(plan, keys, actor.id))
}

pub(super) fn limits(planned: &MessageLimits) -> Limits {
    let narrow = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    Limits {
        max_message_bytes: narrow(planned.max_message_bytes),
        window_messages: planned.mailbox.messages,
        window_bytes: narrow(planned.mailbox.bytes),
        reply_bytes: narrow(planned.reply_budget),
        max_descriptors: MAX_DESCRIPTORS,
    }
}

/// What a worker is told about the time that it has to stop.
pub(super) fn grace_ms(shutdown: Shutdown) -> u64 {
    match shutdown {
        Shutdown::Timeout(timeout) => u64::try_from(timeout.as_millis()).unwrap_or(NO_HURRY_MS),
        Shutdown::BrutalKill => 0,
        Shutdown::Infinity => NO_HURRY_MS,
    }
}

/// "As long as it takes", in a form that fits a timer: ten years.
const NO_HURRY_MS: u64 = 10 * 365 * 24 * 3_600_000;

/// The name of a process, `root` for the root.
pub(super) fn name_of(plan: Option<&Plan>, process: ProcessId) -> ProcessName {
    let planned = plan.and_then(|plan| plan.process_by_id(process));
    match planned {
        Some(planned) => planned.name.clone(),
        None if process.is_root() => ProcessName::new(crate::topology::ROOT_NAME).expect("a name"),
        None => ProcessName::new(&process.to_string()).expect("a number is a name"),
    }
}
