//! What holds for the actors of a process in the end: their own words, then those of the process, the defaults, and
//! Procession's.

use super::merge::{backoff, check_backoff_at, policy};
use crate::protocol::{ActorGroup, ActorRules, DEFAULT_ATTEMPTS};
use crate::supervision::{AutoShutdown, Intensity, Policy};
use crate::topology::declared::{ActorSettings, DeclaredActor, Process, Settings};
use crate::topology::diagnostic::{Diagnostic, ValuePath};

/// The group that the actors are, from the merged settings of their process.
pub(super) fn group(settings: &Settings) -> ActorGroup {
    let restart = &settings.actors.restart;
    let unsaid = Intensity::default();
    ActorGroup {
        strategy: restart.strategy.unwrap_or_default(),
        intensity: Intensity {
            restarts: restart.intensity.unwrap_or(unsaid.restarts),
            period: restart.period.unwrap_or(unsaid.period),
        },
        auto_shutdown: settings.actors.auto_shutdown.unwrap_or(AutoShutdown::AnySignificant),
        rules: rules(&ActorSettings::default(), settings),
    }
}

/// What holds for one actor.
pub(super) fn rules(own: &ActorSettings, settings: &Settings) -> ActorRules {
    let all = &settings.actors;
    let restart = own.restart.or(&all.restart);
    ActorRules {
        policy: policy(&restart, own.significant),
        backoff: backoff(&restart),
        shutdown: own.shutdown.or(all.shutdown).unwrap_or_default(),
        significant: own.significant,
        panic: own.panic.or(settings.panic).unwrap_or_default(),
        delivery: own.delivery.or(all.delivery).unwrap_or_default(),
        attempts: own.attempts.or(all.attempts).unwrap_or(DEFAULT_ATTEMPTS),
    }
}

/// Tells of settings of actors that are well each but not together. `path` is where the process is declared, `settings`
/// what holds for it.
pub(super) fn check(
    process: &Process,
    path: &ValuePath,
    settings: &Settings,
    findings: &mut Vec<Diagnostic>,
) {
    let said = &process.settings.actors;
    let scope = |own: bool| if own { path.clone() } else { super::defaults_path() }.key("actors");
    let own_backoff = said.restart.backoff_min.is_some() || said.restart.backoff_max.is_some();
    check_backoff_at(&settings.actors.restart, scope(own_backoff), findings);
    for actor in &process.actors {
        check_actor(actor, path, settings, findings);
    }
    let significant = process.actors.iter().find(|actor| actor.settings.significant);
    let auto_shutdown = scope(said.auto_shutdown.is_some()).key("auto_shutdown");
    match (settings.actors.auto_shutdown, significant) {
        (Some(AutoShutdown::Never), Some(actor)) => {
            findings.push(never(auto_shutdown, "actor", &actor.name));
        }
        (Some(AutoShutdown::AnySignificant | AutoShutdown::AllSignificant), None)
            if said.auto_shutdown.is_some() =>
        {
            let message =
                format!("no actor of `{}` is significant, so it never ends by itself", process.name);
            let help = "say which: actor.NAME = { significant = true }; or leave it out";
            findings.push(Diagnostic::warning(auto_shutdown, message).help(help));
        }
        _ => {}
    }
}

/// OTP refuses this pair as well: a member whose end is to end a group that does not end.
pub(super) fn never(path: ValuePath, kind: &str, name: &str) -> Diagnostic {
    let message = format!("{kind} `{name}` is significant, but its end would end nothing");
    Diagnostic::error(path, message)
        .help("\"any_significant\" or \"all_significant\", or leave `significant` out of its members")
}

fn check_actor(
    actor: &DeclaredActor,
    process: &ValuePath,
    settings: &Settings,
    findings: &mut Vec<Diagnostic>,
) {
    let path = process.key("actor").key(&actor.name);
    let own = &actor.settings;
    let rules = rules(own, settings);
    let said = own.restart.backoff_min.or(own.restart.backoff_max).is_some();
    if said {
        check_backoff_at(&own.restart.or(&settings.actors.restart), path.clone(), findings);
    }
    if own.significant && rules.policy == Policy::Permanent {
        let message = "a permanent actor is always restarted, so its end never ends its process";
        let help =
            "leave the policy out, or restart = { policy = \"transient\" }, or leave `significant` out";
        findings.push(Diagnostic::error(path.key("significant"), message).help(help));
    }
    if said && rules.policy == Policy::Temporary {
        let message = "a temporary actor is never restarted, so its backoff is never used";
        let path = path.key("restart").key("backoff");
        findings.push(Diagnostic::warning(path, message).help("leave it out"));
    }
}
