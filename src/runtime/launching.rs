//! From the plan to what a worker is told.

use std::ffi::OsString;
use std::time::Duration;

use crate::id::{ActorId, Exit, Incarnation, ProcessId, ProcessName};
use crate::process::launcher::{Launch, Program};
use crate::protocol::control::{ActorStart, KnownActor, Welcome};
use crate::protocol::keeping::KeptState;
use crate::protocol::{Limits, MAX_DESCRIPTORS};
use crate::supervision::Shutdown;
use crate::topology::{MessageLimits, Plan, PlannedActor, PlannedProcess, ResolvedProgram};

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
    plan: &Plan,
    process: &PlannedProcess,
    incarnation: Incarnation,
    last_exit: Option<Exit>,
    states: Vec<KeptState>,
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
        welcome: welcome(plan, process, incarnation, last_exit),
        states,
        start_deadline: process.child.start_deadline,
        cgroup: true,
    }
}

fn welcome(
    plan: &Plan,
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
        group: process.actor_group,
        actors: actors.collect(),
        names: process.wired.iter().filter_map(|wired| known(plan, wired.id)).collect(),
    }
}

/// An actor of the plan, as others know it.
pub(super) fn known(plan: &Plan, id: ActorId) -> Option<KnownActor> {
    let (process, actor) = plan.actor_by_id(id)?;
    Some(known_of(&process.name, actor))
}

/// An actor of a process of this name, as others know it.
pub(super) fn known_of(process: &ProcessName, actor: &PlannedActor) -> KnownActor {
    KnownActor {
        name: actor.name.clone(),
        id: actor.id,
        type_name: actor.type_name.clone(),
        process: process.clone(),
        delivery: actor.rules.delivery,
    }
}

/// Every actor of the plan: what the root may reach.
pub(super) fn everybody(plan: &Plan) -> impl Iterator<Item = KnownActor> {
    plan.actors().filter_map(|(_, actor)| known(plan, actor.id))
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
