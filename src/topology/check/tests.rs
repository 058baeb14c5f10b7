//! What a plan holds, looked at from Rust: the golden files of `tests/topology` look at it from TOML.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use crate::id::{ActorId, GroupName, ProcessId, Slot};
use crate::protocol::{ActorRules, Delivery, OnPanic};
use crate::supervision::{AutoShutdown, Backoff, GroupSpec, Intensity, Member, Policy, Shutdown, Strategy};
use crate::topology::{
    Actors, Catalog, DEFAULT_MAILBOX_BYTES, DeclaredActor, Defaults, Group, MAX_ARGS_DEPTH, MAX_PROCESSES,
    OnHang, Plan, Process, ProgramFacts, ProgramProblem, ProgramRef, ResolvedProgram, Restart, Severity,
    Topology,
};

/// Hosts everything under any name, and remembers what it was asked.
#[derive(Default)]
struct Generous {
    asked: RefCell<Vec<ProgramRef>>,
}

impl Catalog for Generous {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        self.asked.borrow_mut().push(program.clone());
        Ok(ProgramFacts { path: format!("/found/{program}").replace('`', "").into(), types: None })
    }
}

fn process(name: &str, actor: &str, args: Value) -> Process {
    Process::new(name).actor_value(actor, "t", args)
}

fn planned(topology: &Topology) -> Plan {
    topology.plan(&Generous::default()).unwrap_or_else(|findings| panic!("{findings}"))
}

fn told(topology: &Topology) -> String {
    topology.check(&Generous::default()).findings.to_string()
}

fn args<'p>(plan: &'p Plan, actor: &str) -> &'p Value {
    &plan.actor(actor).unwrap().1.args
}

#[test]
fn processes_are_numbered_in_start_order_and_replicas_count_from_one() {
    let topology = Topology::new("demo")
        .process(process("z", "one", json!(null)))
        .process(process("a", "two", json!(null)).actor_value("three", "t", json!(null)).replicas(2))
        .process(process("m", "four", json!(null)).replicas(1));
    let plan = planned(&topology);
    let names: Vec<_> = plan.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["z", "a-1", "a-2", "m-1"]);
    let (process, actor) = plan.actor("three-2").unwrap();
    assert_eq!((process.id, actor.slot, process.base()), (ProcessId(3), Slot(1), "a"));
    assert_eq!(actor.id, ActorId::declared(ProcessId(3), Slot(1)));
    assert_eq!(plan.actor_by_id(actor.id).unwrap().1, actor);
    assert_eq!(plan.process_by_id(ProcessId(4)), plan.process("m-1"));
    assert!(plan.process_by_id(ProcessId::ROOT).is_none() && plan.process_by_id(ProcessId(5)).is_none());
}

#[test]
fn a3_a_process_is_wired_to_those_in_its_arguments_and_no_other() {
    let topology = Topology::new("demo")
        .process(process("a", "alone", json!({ "addr": "x", "port": 1 })))
        .process(process(
            "b",
            "hub",
            json!({ "to": [{ "addr": "leaf-*" }, { "addr": "alone" }, { "addr": "alone" }] }),
        ))
        .process(
            process("c", "leaf", json!({ "up": { "addr": "hub" }, "next": { "addr": "side" } }))
                .actor_value("side", "t", json!(1))
                .replicas(2),
        );
    let plan = planned(&topology);
    let wired = |process: &str| -> Vec<_> {
        plan.process(process).unwrap().wired.iter().map(|wired| wired.name.to_string()).collect()
    };
    assert_eq!(wired("a"), Vec::<String>::new());
    assert_eq!(wired("b"), ["alone", "leaf-1", "leaf-2"]);
    assert_eq!(wired("c-1"), ["hub", "side-1"]);
    assert_eq!(wired("c-2"), ["hub", "side-2"]);
    let addr = |name: &str| json!({ "addr": name });
    assert_eq!(
        args(&plan, "hub")["to"],
        json!([addr("leaf-1"), addr("leaf-2"), addr("alone"), addr("alone")])
    );
    assert_eq!(args(&plan, "leaf-2")["next"], addr("side-2"));
    assert_eq!(args(&plan, "alone"), &json!({ "addr": "x", "port": 1 }));
}

#[test]
fn placeholders_become_numbers() {
    let placeholders = json!([{ "replica": "index" }, { "replica": "count" }]);
    let topology = Topology::new("demo")
        .process(process("many", "a", placeholders.clone()).replicas(3))
        .process(process("one", "b", placeholders));
    let plan = planned(&topology);
    assert_eq!(args(&plan, "a-3"), &json!([3, 3]));
    assert_eq!(args(&plan, "b"), &json!([1, 1]));
}

#[test]
fn what_a_process_says_goes_before_the_defaults() {
    let defaults = Defaults::new()
        .program("bin/worker")
        .restart(Policy::Transient)
        .restart(Backoff { min: Duration::from_secs(1), max: Duration::from_secs(2) })
        .env("LOG", "info")
        .env("HOME", "/")
        .max_message_bytes(DEFAULT_MAILBOX_BYTES * 2)
        .ask_timeout(Duration::from_secs(7));
    let own = process("own", "a", json!(null))
        .restart(Policy::Temporary)
        .env("LOG", "debug")
        .shutdown(Shutdown::BrutalKill)
        .mailbox(1, 100)
        .max_message_bytes(50);
    let plan = planned(&Topology::new("demo").defaults(defaults).process(own).process(process(
        "rest",
        "b",
        json!(null),
    )));
    let (own, rest) = (plan.process("own").unwrap(), plan.process("rest").unwrap());
    assert_eq!((own.child.policy, rest.child.policy), (Policy::Temporary, Policy::Transient));
    assert_eq!(own.child.backoff, rest.child.backoff);
    assert_eq!((own.child.shutdown, rest.child.shutdown), (Shutdown::BrutalKill, Shutdown::default()));
    assert_eq!(
        (own.env["LOG"].as_str(), own.env["HOME"].as_str(), rest.env["LOG"].as_str()),
        ("debug", "/", "info")
    );
    assert_eq!((own.limits.max_message_bytes, own.limits.mailbox.messages), (50, 1));
    assert_eq!(
        rest.limits.mailbox.bytes,
        DEFAULT_MAILBOX_BYTES * 2,
        "the mailbox makes room for the message"
    );
    assert_eq!((plan.ask_timeout, rest.ask_timeout), (Duration::from_secs(7), Duration::from_secs(7)));
    assert_eq!(rest.program, ResolvedProgram::Path("/found/bin/worker".into()));
}

#[test]
fn each_program_is_asked_for_once() {
    let catalog = Generous::default();
    let topology = Topology::new("demo")
        .process(process("a", "a", json!(null)).replicas(9))
        .process(process("b", "b", json!(null)))
        .process(process("c", "c", json!(null)).program("worker"));
    let plan = topology.plan(&catalog).unwrap();
    assert_eq!(*catalog.asked.borrow(), [ProgramRef::Deployer, ProgramRef::Named("worker".into())]);
    assert_eq!(plan.processes[0].program, ResolvedProgram::Deployer);
}

#[test]
fn replicas_that_speak_of_a_group_are_one() {
    let intensity = Intensity { restarts: 1, period: Duration::from_secs(9) };
    let topology = Topology::new("demo")
        .restart(Strategy::RestForOne)
        .defaults(Defaults::new().restart(intensity))
        .process(process("a", "a", json!(null)))
        .process(process("b", "b", json!(null)).replicas(2).restart(Strategy::OneForAll));
    let plan = planned(&topology);
    let child = |name: &str| Member::Child(plan.process(name).unwrap().child.clone());
    let group = |strategy, members| GroupSpec {
        strategy,
        intensity,
        members,
        auto_shutdown: AutoShutdown::AnySignificant,
        ..GroupSpec::default()
    };
    let inner = group(Strategy::OneForAll, vec![child("b-1"), child("b-2")]);
    assert_eq!(plan.group, group(Strategy::RestForOne, vec![child("a"), Member::Group(inner)]));
}

#[test]
fn groups_nest_and_start_in_the_order_of_their_declaration() {
    let intensity = Intensity { restarts: 9, period: Duration::from_secs(1) };
    let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(2) };
    let inner = Group::new("inner")
        .significant(true)
        .process(process("c", "c", json!(null)).replicas(2).restart(Strategy::OneForAll).significant(true))
        .auto_shutdown(AutoShutdown::AllSignificant);
    let outer = Group::new("outer")
        .restart(Strategy::RestForOne)
        .restart(Policy::Transient)
        .restart(backoff)
        .process(process("b", "b", json!({ "addr": "d" })))
        .group(inner)
        .process(process("d", "d", json!(null)));
    let topology = Topology::new("demo")
        .defaults(Defaults::new().restart(intensity).restart(Policy::Transient))
        .process(process("a", "a", json!(null)))
        .group(outer)
        .process(process("e", "e", json!({ "addr": "c-2" })))
        .group(Group::new("later"));
    let checked = topology.check(&Generous::default());
    assert_eq!(checked.findings.len(), 1, "{}", checked.findings);
    let plan = checked.plan.unwrap();
    let names: Vec<_> = plan.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c-1", "c-2", "d", "e"]);
    assert_eq!(plan.process("b").unwrap().wired[0].id.process, ProcessId(5));

    let child = |name: &str| Member::Child(plan.process(name).unwrap().child.clone());
    let group = |name: &str, members| GroupSpec {
        name: GroupName::new(name).ok(),
        auto_shutdown: AutoShutdown::AnySignificant,
        intensity,
        members,
        ..GroupSpec::default()
    };
    let replicas = GroupSpec {
        name: None,
        significant: true,
        strategy: Strategy::OneForAll,
        auto_shutdown: AutoShutdown::AllSignificant,
        ..group("", vec![child("c-1"), child("c-2")])
    };
    let inner = GroupSpec {
        policy: Policy::Temporary,
        significant: true,
        auto_shutdown: AutoShutdown::AllSignificant,
        ..group("inner", vec![Member::Group(replicas)])
    };
    let outer = GroupSpec {
        policy: Policy::Transient,
        backoff: Some(backoff),
        strategy: Strategy::RestForOne,
        ..group("outer", vec![child("b"), Member::Group(inner), child("d")])
    };
    let members =
        vec![child("a"), Member::Group(outer), child("e"), Member::Group(group("later", Vec::new()))];
    assert_eq!(plan.group, group("", members));
}

#[test]
fn an_actor_says_it_before_its_process_and_that_before_the_defaults() {
    let actors = |attempts| Actors::new().attempts(attempts).delivery(Delivery::AtLeastOnce);
    let defaults = Defaults::new()
        .actors(actors(7).restart(Policy::Transient).auto_shutdown(AutoShutdown::AllSignificant))
        .panic(OnPanic::Process)
        .hang(Duration::from_secs(3), OnHang::Kill);
    let own = Process::new("own")
        .actors(Actors::new().shutdown(Shutdown::BrutalKill).restart(Strategy::OneForAll))
        .declare(DeclaredActor::new("plain", "t", json!(null)))
        .declare(
            DeclaredActor::new("special", "t", json!(null))
                .restart(Policy::Temporary)
                .shutdown(Shutdown::Infinity)
                .significant(true)
                .panic(OnPanic::Actor)
                .delivery(Delivery::AtMostOnce)
                .attempts(1),
        );
    let plan = planned(&Topology::new("demo").defaults(defaults).process(own));
    let process = plan.process("own").unwrap();
    let expected = ActorRules {
        policy: Policy::Transient,
        shutdown: Shutdown::BrutalKill,
        panic: OnPanic::Process,
        delivery: Delivery::AtLeastOnce,
        attempts: 7,
        ..ActorRules::default()
    };
    assert_eq!((process.actors[0].rules, process.actor_group.rules), (expected, expected));
    let special = ActorRules {
        policy: Policy::Temporary,
        shutdown: Shutdown::Infinity,
        significant: true,
        attempts: 1,
        ..ActorRules::default()
    };
    assert_eq!(process.actors[1].rules, special);
    assert_eq!(process.actor_group.strategy, Strategy::OneForAll);
    assert_eq!(process.actor_group.auto_shutdown, AutoShutdown::AllSignificant);
    assert_eq!((process.hang.then, process.hang.after), (OnHang::Kill, Duration::from_secs(3)));
}

#[test]
fn what_is_wrong_in_rust_is_told_by_its_path() {
    let unserialisable = std::collections::HashMap::from([(vec![1], 1)]);
    let mut deep = json!(0);
    for _ in 0..MAX_ARGS_DEPTH + 2 {
        deep = json!([deep]);
    }
    let topology = Topology::new("two words")
        .process(Process::new("left").declare(DeclaredActor::serialised("counter", "t", &unserialisable)))
        .process(process("right", "deep", deep).replicas(2))
        .process(process("right", "", json!({ "addr": "conuter" })).restart(Restart::new()));
    let told = told(&topology);
    for expected in [
        "name: error: \"two words\" is no name for a topology",
        "process.left.actor.counter.args: error: the arguments can't be written as data: key must be a string",
        "process.right: error: a second process is called `right`",
        "process.right.actor.\"\": error: \"\" is no name for an actor: a name can't be empty",
        "process.right.actor.\"\".args.addr: error: no actor is called `conuter`\n  help: did you mean `counter`?",
        "error: the arguments are nested deeper than 64 levels",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in:\n{told}");
    }
    assert_eq!(
        told.matches("nested deeper").count(),
        1,
        "what is wrong in one replica is told once:\n{told}"
    );
}

#[test]
fn warnings_do_not_stand_in_the_way() {
    let topology = Topology::new("demo").process(process("a", "a", json!(null)).restart(Strategy::OneForAll));
    let checked = topology.check(&Generous::default());
    assert!(checked.plan.is_some());
    assert_eq!(
        checked.findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(),
        [Severity::Warning]
    );
}

#[test]
fn limits_hold_to_the_last() {
    let full = (0..4).map(|n| process(&format!("p{n}"), &format!("a{n}"), json!(null)).replicas(1000));
    let topology = full.fold(Topology::new("demo"), Topology::process);
    let rest = process("rest", "last", json!(null));
    let last = u32::try_from(MAX_PROCESSES - 4000).unwrap();
    assert_eq!(
        planned(&topology.clone().process(rest.clone().replicas(last))).processes.len(),
        MAX_PROCESSES
    );
    assert!(told(&topology.process(rest.replicas(last + 1))).contains("more than 4096 processes"));
}

#[test]
fn what_joins_later_is_checked_as_if_it_had_been_declared_last() {
    let declared = Topology::new("demo")
        .defaults(Defaults::new().restart(Policy::Transient).program("bin/worker"))
        .auto_shutdown(AutoShutdown::Never)
        .process(process("a", "leaf", json!(null)).replicas(2))
        .group(Group::new("g").process(process("b", "hub", json!(null))));
    let mut plan = planned(&declared);
    let joins = process("c", "new", json!({ "to": [{ "addr": "leaf-*" }, { "addr": "hub" }] })).replicas(2);
    let added =
        plan.addition(&joins, ProcessId(9), &Generous::default()).unwrap_or_else(|why| panic!("{why}"));
    let [first, second] = added.as_slice() else { panic!("{added:?}") };
    assert_eq!((first.id, second.id, second.name.as_str()), (ProcessId(9), ProcessId(10), "c-2"));
    assert_eq!(second.actors[0].id, ActorId::declared(ProcessId(10), Slot(0)));
    let wired: Vec<_> = first.wired.iter().map(|wired| wired.name.as_str()).collect();
    assert_eq!(wired, ["leaf-1", "leaf-2", "hub"]);
    assert_eq!(first.child.policy, Policy::Transient, "the defaults hold for it");

    plan.processes.extend(added);
    assert_eq!(plan.process_by_id(ProcessId(10)), plan.process("c-2"));
    assert_eq!(plan.actor("new-1").unwrap().0.id, ProcessId(9));
    assert!(crate::topology::graph::mermaid(&plan).contains("subgraph p10[\"c-2"), "pictures show it");

    let wrong = process("d", "new-1", json!({ "addr": "hubb" }))
        .significant(true)
        .restart(Intensity { restarts: 1, period: Duration::ZERO });
    let told = plan.addition(&wrong, ProcessId(11), &Generous::default()).unwrap_err().to_string();
    for expected in [
        "process.d.actor.new-1: error: a second actor is called `new-1`",
        "process.d.actor.new-1.args.addr: error: no actor is called `hubb`\n  help: did you mean `hub`?",
        "process.d.significant: error: process `d` is significant, but its end would end nothing",
        "process.d.restart: error: strategy, intensity and period belong to a group",
        "process.d.restart.period: error: `period` can't be zero",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in:\n{told}");
    }
}
