//! Which messages a process may send to whom it is wired to: `may_send = { counter = ["Add"] }`.

use super::expand::{Instance, numbered};
use super::program::Programs;
use crate::topology::diagnostic::{Diagnostic, did_you_mean};
use crate::topology::plan::WiredActor;

/// Restricts what a process is wired to as it says, and tells what is wrong with that.
pub(super) fn restrict(
    home: &Instance<'_>,
    wired: &mut [WiredActor],
    programs: &Programs,
    findings: &mut Vec<Diagnostic>,
) {
    let is_first = home.is_first();
    let mut tell = |finding: Diagnostic| {
        if is_first {
            findings.push(finding);
        }
    };
    for (to, messages) in &home.process.may_send {
        let path = home.path.key("may_send").key(to);
        let own = numbered(to, home.replica.as_ref().map(|replica| replica.index));
        let meant = |name: &str| match to.strip_suffix("-*") {
            Some(base) => name
                .strip_prefix(base)
                .is_some_and(|rest| rest.strip_prefix('-').is_some_and(|index| index.parse::<u32>().is_ok())),
            None => name == to || name == own,
        };
        let mut found = false;
        for actor in wired.iter_mut().filter(|actor| meant(actor.name.as_str())) {
            found = true;
            actor.messages = Some(messages.clone());
            let Some(known) = programs.messages_of(&actor.type_name) else { continue };
            for (at, message) in messages.iter().enumerate().filter(|(_, message)| !known.contains(message)) {
                let names = known.iter().map(String::as_str);
                let help = did_you_mean(message, names, "it handles");
                let message = format!("`{}` handles no message `{message}`", actor.type_name);
                tell(Diagnostic::error(path.index(at), message).help(help));
            }
        }
        if !found {
            let message = format!("`{}` is not wired to `{to}`, so there is nothing to restrict", home.name);
            let names = wired.iter().map(|actor| actor.name.as_str());
            let help =
                did_you_mean(to, names, "give one of its actors the address as an argument; it is wired to");
            tell(Diagnostic::error(path, message).on_key().help(help));
        }
    }
}
