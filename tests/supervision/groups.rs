//! Groups of processes: restarted together, given up together, ended together.

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::runtime::Event;
use procession::topology::Group;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p5_a_group_of_processes_is_restarted_by_its_own_strategy", own_strategy),
        story("p5_a_group_of_processes_that_gives_up_is_restarted_by_the_one_above", escalates),
        story("p5_a_transient_group_that_has_done_its_work_stays_down", done),
        story("p5_a_significant_group_that_has_done_its_work_ends_the_topology", significant),
    ]
}

fn member(name: &str) -> Process {
    let process = Process::new(format!("p-{name}")).restart(AT_ONCE);
    quiet(process, name, |actor| actor)
}

fn back() -> Group {
    Group::new("back").restart(AT_ONCE)
}

async fn up(root: &Root, group: Group) -> procession::Result<(Running, Vec<ProcAddr<Child>>)> {
    let running = root.deploy(Topology::new("family").process(member("out")).group(group)).await?;
    let addrs = ["out", "x", "y"].map(|name| running.addr::<Child>(name));
    Ok((running, addrs.into_iter().collect::<Result<_, _>>()?))
}

async fn lives(addrs: &[ProcAddr<Child>]) -> Vec<Life> {
    let mut lives = Vec::new();
    for addr in addrs {
        lives.push(who(addr).await);
    }
    lives
}

async fn own_strategy(root: Root) -> procession::Result<()> {
    let group = back().restart(Strategy::OneForAll).process(member("x")).process(member("y"));
    let (running, addrs) = up(&root, group).await?;
    let before = lives(&addrs).await;
    kill(&before[1]);
    for (addr, before) in addrs[1..].iter().zip(&before[1..]) {
        assert_eq!(who_after(addr, before).await.incarnation, 2);
    }
    assert_eq!(who(&addrs[0]).await, before[0], "the one outside runs on");
    running.shutdown().await
}

async fn escalates(root: Root) -> procession::Result<()> {
    let never = Intensity { restarts: 0, ..Intensity::default() };
    let group = back().restart(never).process(member("x")).process(member("y"));
    let (running, addrs) = up(&root, group).await?;
    let before = lives(&addrs).await;
    kill(&before[2]);
    for (addr, before) in addrs[1..].iter().zip(&before[1..]) {
        assert_eq!(who_after(addr, before).await.incarnation, 2, "one for one, but the group is new");
    }
    assert_eq!(who(&addrs[0]).await, before[0]);
    running.shutdown().await
}

/// A group with a process whose work is done when it finishes with code 0.
fn with_a_job(group: Group) -> Group {
    let job = Process::new("p-x").restart(AT_ONCE).restart(Policy::Transient).significant(true);
    let job = quiet(job, "x", |actor| actor.significant(true).restart(Policy::Transient));
    group.process(job).process(member("y")).process(member("spare"))
}

/// The job's actor stops, which ends its process.
async fn finish(running: &Running) -> procession::Result<()> {
    running.addr::<Child>("x")?.send(End(How::Stop)).await?;
    Ok(())
}

async fn done(root: Root) -> procession::Result<()> {
    let group = with_a_job(back().restart(Policy::Transient));
    let (running, addrs) = up(&root, group).await?;
    let (before, mut events) = (lives(&addrs).await, running.events());
    finish(&running).await?;
    let mut down = Vec::new();
    while down.len() < 4 {
        down.push(
            event(&mut events, |event| match event {
                Event::StaysDown { process, .. } => Some(process.to_string()),
                _ => None,
            })
            .await,
        );
    }
    // First the job by itself, then its group.
    assert_eq!(down, ["p-x", "p-x", "p-y", "p-spare"]);
    assert!(addrs[2].send(WhoAreYou).await.is_err(), "nobody waits for a life that will not be");
    assert_eq!(who(&addrs[0]).await, before[0]);
    running.shutdown().await
}

async fn significant(root: Root) -> procession::Result<()> {
    let group = with_a_job(back().restart(Policy::Transient).significant(true));
    let (running, _) = up(&root, group).await?;
    finish(&running).await?;
    assert_eq!(running.wait().await?, Exit::Code(0));
    Ok(())
}
