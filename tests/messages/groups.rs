//! Groups of processes, as a file declares them.

use std::path::Path;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::ProcActor as _;
use procession::prelude::*;
use procession::runtime::Event;

use crate::actors::{Finish, Probe};
use crate::stage::{event, signal, story, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("t2_a_group_of_a_file_is_restarted_together_and_nobody_else", together),
        story("t2_a_group_ends_with_all_its_significant_processes_and_the_topology_with_it", all_significant),
    ]
}

/// The topology of a text in which `PROBE` is the type of an actor.
async fn deploy(root: &Root, text: &str) -> procession::Result<Running> {
    let text = text.replace("PROBE", &format!("{:?}", Probe::TYPE_NAME));
    let topology = Topology::from_toml(&text, Path::new("groups.toml")).unwrap_or_else(|why| panic!("{why}"));
    root.deploy(topology).await
}

async fn together(root: Root) -> procession::Result<()> {
    let text = r#"
        name = "stories"
        [process.before]
        actor.before = { type = PROBE }
        [group.pair]
        restart = { strategy = "one_for_all" }
        [group.pair.process.outer]
        actor.outer = { type = PROBE }
        [group.pair.group.nested.process.inner]
        actor.inner = { type = PROBE }
        [process.after]
        actor.after = { type = PROBE }
    "#;
    let running = deploy(&root, text).await?;
    let names: Vec<_> = running.plan().processes.iter().map(|process| process.name.to_string()).collect();
    assert_eq!(names, ["before", "outer", "inner", "after"]);
    let mut events = running.events();
    signal(who(&running.addr("outer")?).await.pid, Signal::SIGKILL);
    let ready = |name: &'static str| {
        move |event: &Event| match event {
            Event::Ready { process, incarnation, .. } if process.as_str() == name => Some(incarnation.0),
            _ => None,
        }
    };
    // They start in order again, the nested group after the process before it.
    assert_eq!(event(&mut events, ready("outer")).await, 2);
    assert_eq!(event(&mut events, ready("inner")).await, 2);
    for (name, incarnation) in [("before", 1), ("outer", 2), ("inner", 2), ("after", 1)] {
        assert_eq!(who(&running.addr(name)?).await.incarnation, incarnation, "{name}");
    }
    running.shutdown().await
}

async fn all_significant(root: Root) -> procession::Result<()> {
    let text = r#"
        name = "stories"
        [process.service]
        actor.service = { type = PROBE }
        [group.jobs]
        significant = true
        auto_shutdown = "all_significant"
        [group.jobs.process.first]
        significant = true
        actor.first = { type = PROBE }
        [group.jobs.process.second]
        significant = true
        actor.second = { type = PROBE }
    "#;
    let running = deploy(&root, text).await?;
    let mut events = running.events();
    running.addr::<Probe>("first")?.send(Finish(0)).await?;
    event(&mut events, |event| {
        matches!(event, Event::Exited { process, .. } if process.as_str() == "first").then_some(())
    })
    .await;
    // One job is left, so all goes on.
    who(&running.addr("service")?).await;
    running.addr::<Probe>("second")?.send(Finish(0)).await?;
    assert_eq!(running.wait().await?, Exit::Code(0));
    Ok(())
}
