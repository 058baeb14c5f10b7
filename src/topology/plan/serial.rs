//! How a plan is shown to programs: durations in words, ids as text, supervision in the words of the TOML form.
//!
//! The types of `supervision` say nothing about serde on purpose: what they look like is a matter of this floor.

use std::fmt::Display;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::id::GroupName;
use crate::protocol::{ActorGroup, ActorRules, BusyPoll, Delivery, OnPanic};
use crate::supervision::{AutoShutdown, Backoff, ChildSpec, GroupSpec, Member, Policy, Shutdown, Strategy};
use crate::topology::declared::{Hang, OnHang};
use crate::topology::units;

/// `#[serde(with)]` for a duration in words, `30s`.
pub(super) mod words {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&units::duration_text(*duration))
    }
}

/// As the text that people see.
pub(super) fn display<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Each as the text that people see.
pub(super) fn displays<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

#[derive(Serialize)]
struct ShownChild {
    policy: Policy,
    backoff: ShownBackoff,
    shutdown: String,
    significant: bool,
    start_deadline: String,
}

#[derive(Serialize)]
struct ShownBackoff {
    min: String,
    max: String,
}

fn shown_backoff(backoff: Backoff) -> ShownBackoff {
    ShownBackoff { min: units::duration_text(backoff.min), max: units::duration_text(backoff.max) }
}

#[derive(Serialize)]
struct ShownRules {
    policy: Policy,
    backoff: ShownBackoff,
    shutdown: String,
    significant: bool,
    panic: OnPanic,
    delivery: Delivery,
    attempts: u32,
}

/// What holds for an actor.
pub(super) fn rules<S: Serializer>(rules: &ActorRules, serializer: S) -> Result<S::Ok, S::Error> {
    let ActorRules { policy, backoff, shutdown, significant, panic, delivery, attempts } = *rules;
    let (backoff, shutdown) = (shown_backoff(backoff), shutdown_text(shutdown));
    ShownRules { policy, backoff, shutdown, significant, panic, delivery, attempts }.serialize(serializer)
}

#[derive(Serialize)]
struct ShownActorGroup {
    strategy: Strategy,
    intensity: u32,
    period: String,
    auto_shutdown: AutoShutdown,
}

/// The group that the actors of a process are. What holds for each stands with each.
pub(super) fn actor_group<S: Serializer>(group: &ActorGroup, serializer: S) -> Result<S::Ok, S::Error> {
    ShownActorGroup {
        strategy: group.strategy,
        intensity: group.intensity.restarts,
        period: units::duration_text(group.intensity.period),
        auto_shutdown: group.auto_shutdown,
    }
    .serialize(serializer)
}

#[derive(Serialize)]
struct ShownHang {
    after: String,
    then: OnHang,
}

/// When a process counts as hung, in words.
pub(super) fn hang<S: Serializer>(hang: &Hang, serializer: S) -> Result<S::Ok, S::Error> {
    ShownHang { after: units::duration_text(hang.after), then: hang.then }.serialize(serializer)
}

/// A child specification, without the name that stands beside it.
pub(super) fn child<S: Serializer>(child: &ChildSpec, serializer: S) -> Result<S::Ok, S::Error> {
    ShownChild {
        policy: child.policy,
        backoff: shown_backoff(child.backoff),
        shutdown: shutdown_text(child.shutdown),
        significant: child.significant,
        start_deadline: units::duration_text(child.start_deadline),
    }
    .serialize(serializer)
}

/// `5s`, `brutal_kill` or `infinity`.
pub(in crate::topology) fn shutdown_text(shutdown: Shutdown) -> String {
    match shutdown {
        Shutdown::Timeout(grace) => units::duration_text(grace),
        Shutdown::BrutalKill => "brutal_kill".to_owned(),
        Shutdown::Infinity => "infinity".to_owned(),
    }
}

/// `auto`, `off` or a time.
pub(in crate::topology) fn busy_poll_text(busy_poll: BusyPoll) -> String {
    match busy_poll {
        BusyPoll::Auto => "auto".to_owned(),
        BusyPoll::Off => "off".to_owned(),
        BusyPoll::For(time) => units::duration_text(time),
    }
}

/// Whether to poll, as the file says it.
pub(super) fn busy_poll<S: Serializer>(busy_poll: &BusyPoll, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&busy_poll_text(*busy_poll))
}

#[derive(Serialize)]
struct ShownGroup<'g> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'g GroupName>,
    /// What it is to the group around it; nothing of the topmost.
    #[serde(flatten)]
    member: Option<ShownAsMember>,
    strategy: Strategy,
    intensity: u32,
    period: String,
    auto_shutdown: AutoShutdown,
    members: Vec<ShownMember<'g>>,
}

#[derive(Serialize)]
struct ShownAsMember {
    policy: Policy,
    /// Unsaid, it is that of the process that brought the group down.
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<ShownBackoff>,
    significant: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ShownMember<'g> {
    Process(&'g str),
    Group(ShownGroup<'g>),
}

fn shown(group: &GroupSpec, member: Option<ShownAsMember>) -> ShownGroup<'_> {
    ShownGroup {
        name: group.name.as_ref(),
        member,
        strategy: group.strategy,
        intensity: group.intensity.restarts,
        period: units::duration_text(group.intensity.period),
        auto_shutdown: group.auto_shutdown,
        members: group.members.iter().map(shown_member).collect(),
    }
}

fn shown_member(member: &Member) -> ShownMember<'_> {
    match member {
        Member::Child(child) => ShownMember::Process(child.name.as_str()),
        Member::Group(inner) => {
            let (policy, significant) = (inner.policy, inner.significant);
            let backoff = inner.backoff.map(shown_backoff);
            ShownMember::Group(shown(inner, Some(ShownAsMember { policy, backoff, significant })))
        }
    }
}

/// The group of all processes, with the names of its members.
pub(super) fn group<S: Serializer>(group: &GroupSpec, serializer: S) -> Result<S::Ok, S::Error> {
    shown(group, None).serialize(serializer)
}
