//! Replicas of a process form a group by themselves, and addresses of groups stand in arguments.

use libtest_mimic::Trial;
use procession::address::NameError;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("replicas_form_a_group_by_themselves", form),
        story("a3_replicas_are_used_by_the_wired_and_those_that_the_topology_lets", rights),
        story("a_replica_that_dies_is_passed_over_and_comes_back", dies),
        story("replicas_of_run_time_form_a_group_too", run_time),
        story("a_group_that_was_refused_is_asked_for_again", refused_before),
        story("a_group_of_a_namespace_stands_in_arguments", of_a_namespace),
    ]
}

fn workers() -> Process {
    process("worker").replicas(3)
}

fn asked(group: &str) -> Asked {
    let group = ProcAddr::group(group, Routing::RoundRobin).unwrap();
    Asked { recipient: group.recipient(), group }
}

fn asking(name: &str, group: &str) -> Process {
    Process::new(name).actor::<Asking>(name, asked(group))
}

/// The group of the replicas, once this process knows of three.
async fn all(root: &Root) -> GroupAddr<Member> {
    let group = root.runtime().group::<Member>("replicas/worker").await.unwrap();
    until(|| async { group.members().unwrap().len() == 3 }).await;
    group
}

async fn form(root: Root) -> procession::Result<()> {
    let running = root.deploy(topology().process(workers()).process(asking("front", "worker"))).await?;
    let group = all(&root).await;
    assert_eq!(group, GroupAddr::named("worker").unwrap(), "in files it is called by the actor's name");
    let answers = answers(&group.route(Routing::RoundRobin), 9).await;
    assert_eq!(answers.len(), 3);
    assert!(answers.values().all(|count| *count == 3), "{answers:?}");
    // Each actor of theirs has a group of its own.
    let too = root.runtime().group::<Member>("replicas/worker-too").await.unwrap();
    until(|| async { too.members().unwrap().len() == 3 }).await;
    let front = running.addr::<Asking>("front")?;
    for value in 0..6 {
        assert_eq!(front.send(AskYourGroup(value)).await?, Ok(value * 2));
    }
    running.shutdown().await
}

async fn rights(root: Root) -> procession::Result<()> {
    let open = Namespace::new("replicas").lookup(["b"]);
    let topology = topology().namespace(open).process(workers()).process(process("a")).process(process("b"));
    let running = root.deploy(topology).await?;
    let (a, b) = (running.addr::<Member>("a")?, running.addr::<Member>("b")?);
    let routed = all(&root).await.route(Routing::Random);
    assert_eq!(b.send(Ask { whom: routed.clone(), value: 4 }).await?, Ok(8));
    let refused = a.send(Ask { whom: routed, value: 4 }).await?;
    assert!(refused.clone().is_err_and(|error| error.contains("may not")), "{refused:?}");
    for request in ["replicas/worker", "replicas/other"] {
        let error = b.send(Join(request.into())).await?.unwrap_err();
        assert!(matches!(error, NameError::OfReplicas(_)), "{error}");
    }
    let worker = running.addr::<Member>("worker-1")?;
    assert!(matches!(worker.send(Leave("replicas/worker".into())).await?, Err(NameError::OfReplicas(_))));
    running.shutdown().await
}

async fn dies(root: Root) -> procession::Result<()> {
    let running = root.deploy(topology().process(workers())).await?;
    let group = all(&root).await;
    let routed = group.route(Routing::RoundRobin).repeating();
    let second = running.addr::<Member>("worker-2")?;
    let pid = who(&second).await.pid;
    signal(pid, nix::sys::signal::Signal::SIGKILL);
    // Whatever is known of the death as yet: none of these fails, since it may be asked twice.
    for value in 0..30 {
        assert_eq!(routed.send(Double(value)).await?, value * 2);
    }
    until(|| async { group.members().unwrap().iter().any(|member| member.life == 2) }).await;
    assert_eq!(answers(&routed, 3).await.len(), 3);
    running.shutdown().await
}

async fn run_time(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    running.start(workers()).await.unwrap();
    let group = all(&root).await;
    assert_eq!(answers(&group.route(Routing::RoundRobin), 3).await.len(), 3);
    // Started by the root, so `a` may not use it, and one that is started with its address may.
    let refused = a.send(Ask { whom: group.route(Routing::Random), value: 1 }).await?;
    assert!(refused.is_err());
    running.start(asking("front", "worker")).await.unwrap();
    assert_eq!(running.addr::<Asking>("front")?.send(AskYourGroup(4)).await?, Ok(8));
    running.stop("worker").await.unwrap();
    until(|| async { group.members().unwrap().is_empty() }).await;
    running.shutdown().await
}

async fn of_a_namespace(root: Root) -> procession::Result<()> {
    let running = root.deploy(topology().process(process("a")).process(asking("front", "all/g"))).await?;
    let (a, front) = (running.addr::<Member>("a")?, running.addr::<Asking>("front")?);
    let error = front.send(AskYourGroup(1)).await?.unwrap_err();
    assert!(error.contains("no member"), "{error}");
    a.send(Join("all/g".into())).await?.unwrap();
    until(|| async { front.send(AskYourGroup(2)).await.unwrap() == Ok(4) }).await;
    // Before anything runs, the check knows that it may not.
    let forbidden =
        with_some().process(process("a")).process(process("b")).process(asking("front", "some/g"));
    let findings = forbidden.plan(&root.catalog()).unwrap_err().to_string();
    assert!(findings.contains("add \"front\" to `lookup` of [namespace.some]"), "{findings}");
    running.shutdown().await
}

async fn refused_before(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    let pool = ProcAddr::<Member>::group("pool", Routing::RoundRobin).unwrap();
    for _ in 0..2 {
        let refused = a.send(Ask { whom: pool.clone(), value: 1 }).await?;
        assert!(refused.as_ref().is_err_and(|error| error.contains("replicas/pool")), "{refused:?}");
    }
    // Who has started it may use it, also in a process that was refused before.
    a.send(StartReplicas("pool".into())).await?.unwrap();
    until(|| async { a.send(Ask { whom: pool.clone(), value: 3 }).await.unwrap() == Ok(6) }).await;
    running.shutdown().await
}
