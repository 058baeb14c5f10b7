//! What is told of namespaces: their names, and whom they let in.

use std::collections::HashMap;

use super::expand::Instance;
use super::name;
use crate::id::{ActorName, FullName, REPLICAS};
use crate::protocol::names::{DEFAULT_MOST_NAMES, Right};
use crate::topology::declared::{Namespace, Topology};
use crate::topology::diagnostic::{Diagnostic, ValuePath, did_you_mean};
use crate::topology::plan::{PlannedNamespace, Whom};

/// More than anybody tells apart.
pub const MAX_NAMESPACES: usize = 256;

/// Names and groups of one namespace: as many as a topology may have actors.
pub const MAX_NAMES: u32 = 65_536;

/// The namespaces of a plan, and everything that is wrong with them.
pub(super) fn check(
    topology: &Topology,
    instances: &[Instance<'_>],
    findings: &mut Vec<Diagnostic>,
) -> Vec<PlannedNamespace> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut planned = Vec::new();
    for (position, namespace) in topology.namespaces.iter().enumerate() {
        let path = ValuePath::root().key("namespace").key(&namespace.name);
        if position == MAX_NAMESPACES {
            let message = format!("with this there are more than {MAX_NAMESPACES} namespaces");
            findings
                .push(Diagnostic::error(path, message).on_key().help("put more names into fewer of them"));
            break;
        }
        if let Err(error) = ActorName::new(&namespace.name) {
            findings.push(name::refused("a namespace", &namespace.name, &error, path.clone()).on_key());
        }
        if names.insert(&namespace.name, position).is_some() {
            let message = format!("a second namespace is called `{}`", namespace.name);
            findings.push(Diagnostic::error(path.clone(), message).on_key().help("join them into one"));
        }
        planned.push(one(namespace, &path, instances, findings));
    }
    planned
}

fn one(
    namespace: &Namespace,
    path: &ValuePath,
    instances: &[Instance<'_>],
    findings: &mut Vec<Diagnostic>,
) -> PlannedNamespace {
    let is_of_replicas = namespace.name == REPLICAS;
    if is_of_replicas {
        for (key, said) in [("register", !namespace.register.is_empty()), ("most", namespace.most.is_some())]
        {
            if said {
                let message =
                    format!("`{REPLICAS}` has the groups that replicas form by themselves, and no others");
                findings.push(
                    Diagnostic::error(path.key(key), message)
                        .help("say `lookup` alone here, or choose another name"),
                );
            }
        }
    }
    if namespace.register.is_empty() && namespace.lookup.is_empty() {
        let message = format!("nobody but the root may use namespace `{}`", namespace.name);
        let help = "say who: register = [\"NAME\"], lookup = [\"*\"]";
        findings.push(Diagnostic::warning(path.clone(), message).on_key().help(help));
    }
    let most = namespace.most.unwrap_or(DEFAULT_MOST_NAMES);
    if !(1..=MAX_NAMES).contains(&most) {
        let message = format!("{most} names are not possible");
        findings.push(Diagnostic::error(path.key("most"), message).help(format!("1 to {MAX_NAMES}")));
    }
    let mut whom = |key: &str, written: &[String]| -> Vec<Whom> {
        let path = path.key(key);
        written
            .iter()
            .enumerate()
            .map(|(index, written)| meant(written, path.index(index), instances, findings))
            .collect()
    };
    let register = whom("register", &namespace.register);
    let lookup = whom("lookup", &namespace.lookup);
    PlannedNamespace { name: namespace.name.clone(), register, lookup, most }
}

/// Whom a topology means, if there is such a process.
fn meant(written: &str, path: ValuePath, instances: &[Instance<'_>], findings: &mut Vec<Diagnostic>) -> Whom {
    let whom = Whom::of(written);
    let base = |instance: &Instance<'_>| instance.replica.as_ref().map(|replica| replica.base.clone());
    if !instances.iter().any(|instance| whom.means(&instance.name, base(instance).as_deref())) {
        let declared = instances
            .iter()
            .filter(|instance| instance.is_first())
            .map(|instance| instance.process.name.as_str());
        let is_replicated = instances.iter().any(|instance| base(instance).as_deref() == Some(written));
        let plain = written
            .strip_suffix("-*")
            .filter(|plain| instances.iter().any(|instance| instance.name == *plain));
        let help = match plain {
            _ if is_replicated => format!("it has replicas: write `{written}-*` for all, or `{written}-1`"),
            Some(plain) => format!("it has no replicas: write `{plain}`"),
            None => did_you_mean(written, declared, "the processes are"),
        };
        findings.push(Diagnostic::error(path, format!("no process is called `{written}`")).help(help));
    }
    whom
}

/// Whether a process may use a group of a namespace that stands in its arguments; else what is wrong, and the mend.
pub(super) fn may_use(
    namespaces: &[PlannedNamespace],
    group: &FullName,
    home: &Instance<'_>,
) -> Result<(), (String, String)> {
    let wanted = group.namespace();
    let Some(namespace) = namespaces.iter().find(|namespace| namespace.name == wanted) else {
        let names = namespaces.iter().map(|namespace| namespace.name.as_str());
        return Err((
            format!("there is no namespace `{wanted}`"),
            did_you_mean(wanted, names, "the namespaces are"),
        ));
    };
    let base = home.replica.as_ref().map(|replica| replica.base.as_str());
    match namespace.lookup.iter().any(|whom| whom.means(&home.name, base)) {
        true => Ok(()),
        false => {
            let whom = base.map_or_else(|| home.name.clone(), |base| format!("{base}-*"));
            let message =
                format!("process `{}` may not look up what is in namespace `{wanted}`", home.process.name);
            Err((message, format!("add \"{whom}\" to `{}` of [namespace.{wanted}]", Right::LookUp)))
        }
    }
}
