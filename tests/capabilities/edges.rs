//! What the topology lets one process send to one actor.

use std::path::Path;

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::runtime::Event;

use crate::clerks::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a3_an_edge_carries_its_messages_alone_and_who_sends_others_is_blamed", edge),
        story("a3_an_edge_goes_with_the_address_wherever_it_is_handed", handed_on),
        story("a3_a_process_of_run_time_is_held_to_its_edges", at_run_time),
        story("t1_edges_of_a_file_are_checked_with_line_and_column", checked),
    ]
}

/// Has itself an address of `to` from its arguments.
fn wired(name: &str, to: &str) -> Process {
    Process::new(name).actor::<Clerk>(name, vec![ProcAddr::named(to)])
}

async fn deploy(root: &Root, processes: impl IntoIterator<Item = Process>) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(Topology::new("edges"), Topology::process)).await
}

/// A step by a name that who carries it out looks up for itself.
async fn by_name(clerk: &ProcAddr<Clerk>, what: Named) -> String {
    clerk.send(what).await.unwrap()
}

async fn edge(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("c"), wired("a", "c").may_send("c", ["Note", "Pid"])]).await?;
    let (a, c) = (at(&running, "a"), at(&running, "c"));
    let mut events = running.events();
    assert_eq!(by_name(&a, Named::Note("c".to_owned())).await, "done");
    assert_eq!(by_name(&a, Named::Clear("c".to_owned())).await, "NotGranted NotExecuted back");
    let (by, process, reason, killed) = event(&mut events, |event| match event {
        Event::Blamed { process, by, reason, killed, .. } => {
            Some((by.to_string(), process.to_string(), reason.clone(), *killed))
        }
        _ => None,
    })
    .await;
    assert_eq!((&by[..], &process[..], killed), ("c", "a", false), "{reason}");
    assert!(reason.contains("may not be sent to"), "{reason}");
    // It may go on with what it may, and the root is held to nothing.
    assert_eq!(by_name(&a, Named::Note("c".to_owned())).await, "done");
    assert_eq!(c.send(Taken).await.unwrap(), ["named", "named"]);
    // Blame lies on who sent, not on who refused; a policy may kill for it.
    assert_eq!(running.processes().await?.iter().map(|status| status.violations).sum::<u64>(), 1);
    running.shutdown().await
}

async fn handed_on(root: Root) -> procession::Result<()> {
    let processes = [process("c"), process("b"), wired("a", "c").may_send("c", ["Note"])];
    let running = deploy(&root, processes).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let of_a = a.send(Lookup("c".to_owned())).await.unwrap().unwrap();
    assert_ne!(of_a, at(&running, "c"));
    assert_eq!(b.send(AskToNote { to: of_a.clone(), text: String::new() }).await.unwrap(), "done");
    assert_eq!(b.send(AskToClear(of_a)).await.unwrap(), "NotGranted NotExecuted back");
    running.shutdown().await
}

async fn at_run_time(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("c")]).await?;
    running.start(wired("late", "c").may_send("c", ["Note"])).await.unwrap();
    let late = at(&running, "late");
    assert_eq!(by_name(&late, Named::Note("c".to_owned())).await, "done");
    assert_eq!(by_name(&late, Named::Clear("c".to_owned())).await, "NotGranted NotExecuted back");
    // The owner's next life knows it as well.
    kill(&running, &at(&running, "c")).await;
    let told = loop {
        let told = by_name(&late, Named::Clear("c".to_owned())).await;
        if !told.starts_with("PeerDied") {
            break told;
        }
    };
    assert_eq!(told, "NotGranted NotExecuted back");
    running.shutdown().await
}

async fn checked(root: Root) -> procession::Result<()> {
    let clerk = <Clerk as procession::address::ProcActor>::TYPE_NAME;
    let file = format!(
        r#"name = "t"
[process.c]
actor.c = {{ type = "{clerk}", args = [] }}
[process.a]
actor.a = {{ type = "{clerk}", args = [{{ addr = "c" }}] }}
may_send = {{ c = ["Note", "Nota"], d = ["Note"] }}
"#
    );
    let checked = Topology::check_toml(&file, Path::new("edges.toml"), &root.catalog());
    let found = checked.findings.to_string();
    assert!(found.contains("edges.toml:6:27"), "{found}");
    assert!(found.contains("handles no message `Nota`") && found.contains("did you mean `Note`?"), "{found}");
    assert!(found.contains("edges.toml:6:36"), "{found}");
    assert!(found.contains("`a` is not wired to `d`"), "{found}");
    let sound = file.replace(", \"Nota\"], d = [\"Note\"]", "]");
    let topology = Topology::from_toml(&sound, Path::new("edges.toml")).unwrap();
    let plan = topology.plan(&root.catalog()).unwrap();
    let wired = &plan.process("a").unwrap().wired[0];
    assert_eq!((wired.name.as_str(), wired.messages.as_deref()), ("c", Some(&["Note".to_owned()][..])));
    // As a file it is written as it was read.
    let again = Topology::from_toml(&topology.to_toml().unwrap(), Path::new("again.toml")).unwrap();
    assert_eq!(
        again.plan(&root.catalog()).unwrap().process("a").unwrap().wired,
        plan.process("a").unwrap().wired
    );
    Ok(())
}
