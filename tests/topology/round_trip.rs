//! Rust and TOML say the same.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use procession::protocol::{Delivery, OnPanic};
use procession::supervision::{AutoShutdown, Backoff, Intensity, Policy, Shutdown, Strategy as Restarting};
use procession::topology::{
    Actors, DeclaredActor, Defaults, Group, Namespace, OnHang, OnViolation, Process, Restart, Topology,
    Transport,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::catalog::FakeCatalog;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z][a-z0-9_.-]{0,8}", 1 => any::<String>()]
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..100_000_000_u64, prop_oneof![Just(0), 0..1_000_000_000_u32]).prop_map(|(s, ns)| Duration::new(s, ns))
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (duration(), duration()).prop_map(|(min, max)| Backoff { min, max })
}

fn restart() -> impl Strategy<Value = Restart> {
    let policy = prop::sample::select(vec![Policy::Permanent, Policy::Transient, Policy::Temporary]);
    let strategy =
        prop::sample::select(vec![Restarting::OneForOne, Restarting::OneForAll, Restarting::RestForOne]);
    let intensity = (any::<u32>(), duration()).prop_map(|(restarts, period)| Intensity { restarts, period });
    (option::of(policy), option::of(strategy), option::of(intensity), option::of(backoff())).prop_map(
        |(policy, strategy, intensity, backoff)| {
            let restart = policy.map_or_else(Restart::new, Restart::from);
            let restart = strategy.into_iter().fold(restart, Restart::strategy);
            let restart = intensity.into_iter().fold(restart, Restart::intensity);
            backoff.into_iter().fold(restart, Restart::backoff)
        },
    )
}

fn shutdown() -> impl Strategy<Value = Shutdown> {
    prop_oneof![Just(Shutdown::BrutalKill), Just(Shutdown::Infinity), duration().prop_map(Shutdown::Timeout)]
}

fn auto_shutdown() -> impl Strategy<Value = AutoShutdown> {
    prop::sample::select(vec![
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ])
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::AtMostOnce), Just(Delivery::AtLeastOnce)]
}

fn panic() -> impl Strategy<Value = OnPanic> {
    prop_oneof![Just(OnPanic::Actor), Just(OnPanic::Process)]
}

fn actors() -> impl Strategy<Value = Actors> {
    let each = (option::of(shutdown()), option::of(delivery()), option::of(any::<u32>()));
    (restart(), option::of(auto_shutdown()), each).prop_map(
        |(restart, auto_shutdown, (shutdown, delivery, attempts))| {
            let actors =
                auto_shutdown.into_iter().fold(Actors::new().restart(restart), Actors::auto_shutdown);
            let actors = shutdown.into_iter().fold(actors, Actors::shutdown);
            let actors = delivery.into_iter().fold(actors, Actors::delivery);
            attempts.into_iter().fold(actors, Actors::attempts)
        },
    )
}

fn actor(name: String) -> impl Strategy<Value = DeclaredActor> {
    let made = (any::<String>(), prop_oneof![Just(Value::Null), value()]);
    let messages = (option::of(panic()), option::of(delivery()), option::of(any::<u32>()));
    (made, restart(), option::of(shutdown()), any::<bool>(), messages).prop_map(
        move |((type_name, args), restart, shutdown, significant, (panic, delivery, attempts))| {
            let actor = DeclaredActor::new(name.clone(), type_name, args).restart(restart);
            let actor = shutdown.into_iter().fold(actor.significant(significant), DeclaredActor::shutdown);
            let actor = panic.into_iter().fold(actor, DeclaredActor::panic);
            let actor = delivery.into_iter().fold(actor, DeclaredActor::delivery);
            attempts.into_iter().fold(actor, DeclaredActor::attempts)
        },
    )
}

/// What both can be told: the macro spares a trait that only this test would have.
macro_rules! settings {
    ($start:expr) => {{
        let text = || option::of(any::<String>());
        let size = || option::of(any::<u64>());
        let violation = prop_oneof![Just(OnViolation::Report), Just(OnViolation::Kill)];
        let mailbox = option::of((any::<u32>(), any::<u64>()));
        let limits = (size(), mailbox, size(), size(), option::of(violation));
        let env = vec((name(), any::<String>()), 0..3);
        let transport =
            option::of(prop_oneof![Just(Transport::Auto), Just(Transport::Socket), Just(Transport::Shared)]);
        let spans = (option::of(duration()), option::of(duration()), option::of(shutdown()), transport);
        let then = prop_oneof![Just(OnHang::Log), Just(OnHang::Kill), Just(OnHang::Abort)];
        let lives = (actors(), option::of(panic()), option::of((duration(), then)), size());
        ($start, text(), text(), limits, env, spans, (restart(), lives)).prop_map(
            |(
                it,
                program,
                build,
                (message, mailbox, replies, pipe, violation),
                env,
                (ask, deadline, shutdown, transport),
                (restart, (actors, panic, hang, snapshot)),
            )| {
                let it = panic.into_iter().fold(it.actors(actors), |it, panic| it.panic(panic));
                let it = hang.into_iter().fold(it, |it, (after, then)| it.hang(after, then));
                let it = snapshot.into_iter().fold(it, |it, bytes| it.snapshot_limit(bytes));
                let it = program.into_iter().fold(it.restart(restart), |it, path| it.program(path));
                let it = build.into_iter().fold(it, |it, command| it.build(command));
                let it = env.into_iter().fold(it, |it, (name, value)| it.env(name, value));
                let it = message.into_iter().fold(it, |it, bytes| it.max_message_bytes(bytes));
                let it = mailbox.into_iter().fold(it, |it, (messages, bytes)| it.mailbox(messages, bytes));
                let it = replies.into_iter().fold(it, |it, bytes| it.reply_budget(bytes));
                let it = pipe.into_iter().fold(it, |it, bytes| it.pipe_buffer(bytes));
                let it = violation.into_iter().fold(it, |it, policy| it.on_violation(policy));
                let it = ask.into_iter().fold(it, |it, span| it.ask_timeout(span));
                let it = transport.into_iter().fold(it, |it, transport| it.transport(transport));
                let it = deadline.into_iter().fold(it, |it, span| it.start_deadline(span));
                shutdown.into_iter().fold(it, |it, shutdown| it.shutdown(shutdown))
            },
        )
    }};
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |float| float.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        name().prop_map(|name| json!({ "addr": name })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn process() -> impl Strategy<Value = Process> {
    let actors = prop::collection::btree_set(name(), 0..4)
        .prop_flat_map(|names| names.into_iter().map(actor).collect::<Vec<_>>());
    let edges = prop::collection::btree_map(name(), vec(any::<String>(), 0..3), 0..3);
    let own = (name(), actors, option::of(any::<u32>()), vec(any::<String>(), 0..3), any::<bool>(), edges);
    settings!(own.prop_map(|(name, actors, replicas, args, significant, edges)| {
        let process = Process::new(name).args(args).significant(significant);
        let process =
            edges.into_iter().fold(process, |process, (to, messages)| process.may_send(to, messages));
        let process = replicas.into_iter().fold(process, Process::replicas);
        actors.into_iter().fold(process, Process::declare)
    }))
}

/// What is in a group: processes and groups, each kind of unique names.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // Made once for each case.
enum Part {
    Process(Process),
    Group(Group),
}

fn unique(parts: Vec<Part>) -> impl Iterator<Item = Part> {
    let (mut processes, mut groups) = (HashSet::new(), HashSet::new());
    parts.into_iter().filter(move |part| match part {
        Part::Process(process) => processes.insert(process.name().to_owned()),
        Part::Group(group) => groups.insert(group.name().to_owned()),
    })
}

fn part() -> impl Strategy<Value = Part> {
    process().boxed().prop_map(Part::Process).prop_recursive(3, 8, 3, |inner| {
        let own = (name(), restart(), any::<bool>(), option::of(auto_shutdown()));
        (own, vec(inner, 0..3)).prop_map(|((name, restart, significant, auto_shutdown), parts)| {
            let group = Group::new(name).restart(restart).significant(significant);
            let group = auto_shutdown.into_iter().fold(group, Group::auto_shutdown);
            Part::Group(unique(parts).fold(group, |group, part| match part {
                Part::Process(process) => group.process(process),
                Part::Group(inner) => group.group(inner),
            }))
        })
    })
}

fn namespaces() -> impl Strategy<Value = Vec<Namespace>> {
    let whom =
        || vec(prop_oneof![3 => name(), 1 => Just("*".to_owned()), 1 => Just("room-*".to_owned())], 0..3);
    let rights = (whom(), whom(), option::of(any::<u32>()));
    prop::collection::btree_map(name(), rights, 0..3).prop_map(|namespaces| {
        let namespaces = namespaces.into_iter().map(|(name, (register, lookup, most))| {
            let namespace = Namespace::new(name).register(register).lookup(lookup);
            most.into_iter().fold(namespace, Namespace::most)
        });
        namespaces.collect()
    })
}

fn topology() -> impl Strategy<Value = Topology> {
    let top = (name(), restart(), option::of(auto_shutdown()), namespaces());
    (top, settings!(Just(Defaults::new())).boxed(), vec(part(), 0..4)).prop_map(
        |((name, restart, auto_shutdown, namespaces), defaults, parts)| {
            let topology = Topology::new(name).restart(restart).defaults(defaults);
            let topology = namespaces.into_iter().fold(topology, Topology::namespace);
            let topology = auto_shutdown.into_iter().fold(topology, Topology::auto_shutdown);
            unique(parts).fold(topology, |topology, part| match part {
                Part::Process(process) => topology.process(process),
                Part::Group(group) => topology.group(group),
            })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(topology in topology()) {
        let text = topology.to_toml().expect("nothing here that TOML can't say");
        let read = Topology::from_toml(&text, Path::new("written.toml"));
        let read = read.unwrap_or_else(|findings| panic!("{findings}\nin:\n{text}"));
        prop_assert_eq!(read, topology);
    }
}

/// The topology of `sound/demo.toml` as a value.
fn demo() -> Topology {
    Topology::new("demo")
        .defaults(
            Defaults::new()
                .restart(Policy::Permanent)
                .restart(Intensity { restarts: 5, period: Duration::from_secs(30) })
                .restart(Backoff { min: Duration::from_millis(50), max: Duration::from_secs(5) })
                .ask_timeout(Duration::from_secs(30)),
        )
        .process(Process::new("left").actor_value("counter", "demo::Counter", json!(0)))
        .process(
            Process::new("right")
                .replicas(4)
                .program("target/release/demo-worker")
                .restart(Restarting::RestForOne)
                .actor_value("doubler", "demo::Doubler", json!({ "out": { "addr": "counter" } })),
        )
}

#[test]
fn the_same_topology_in_rust_and_toml_gives_the_same_plan() {
    let text = include_str!("sound/demo.toml");
    let read = Topology::from_toml(text, Path::new("demo.toml")).expect("it is sound");
    assert_eq!(read, demo());
    let plan = read.plan(&FakeCatalog).expect("it is sound");
    assert_eq!(plan, demo().plan(&FakeCatalog).expect("it is sound"));
    let written = demo().to_toml().expect("it can be written");
    let again = Topology::from_toml(&written, Path::new("again.toml")).expect("what was written is sound");
    assert_eq!(again.plan(&FakeCatalog).expect("it is sound"), plan);
}

#[test]
fn what_toml_can_not_say_is_told_and_not_lost() {
    let twice = Topology::new("demo").process(Process::new("a")).process(Process::new("a"));
    let told = twice.to_toml().expect_err("two tables of one name").to_string();
    assert_eq!(told, "process.a: error: a second table can't be called `a`");
    let null = Topology::new("demo").process(Process::new("a").actor_value("b", "t", json!([1, null])));
    let told = null.to_toml().expect_err("no null").to_string();
    assert!(told.starts_with("process.a.actor.b.args[1]: error: TOML has no null"), "{told}");
}
