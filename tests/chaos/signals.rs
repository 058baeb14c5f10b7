//! Kills and stops.

use std::time::Duration;

use libtest_mimic::Trial;
use procession::chaos::{Chaos, ChaosError, Fault, Outcome, Report};
use procession::prelude::*;
use procession::process::event::Killed;
use procession::runtime::Event;

use crate::actors::*;
use crate::stage::{counter, deploy, ms, stands, story, until, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p6_kills_hit_those_who_are_meant_and_everybody_comes_back", kills),
        story("the_same_seed_does_the_same_again", replay),
        story("who_is_stopped_goes_on_in_time", stops),
        story("who_is_stopped_goes_on_when_the_chaos_is_dropped", dropped),
        story("who_is_stopped_goes_on_when_it_was_enough", enough),
        story("a_stopped_process_that_is_killed_comes_back_and_does_not_stand", stopped_and_killed),
        story("a_topology_that_gives_up_is_in_the_report", given_up),
        story("a_process_that_stays_down_is_not_waited_for", temporary),
        story("a_process_that_does_not_come_back_is_named", unsettled),
        story("who_can_not_be_hit_is_an_error_with_the_names", nobody),
        story("a_topology_that_is_stopped_meanwhile_ends_the_chaos", stopped_meanwhile),
    ]
}

async fn kills(root: Root) -> procession::Result<()> {
    let (running, [left, right, spared]) = deploy(&root, ["left", "right", "spared"]).await?;
    let (before, unharmed) = (who(&left).await, who(&spared).await);
    let chaos = Chaos::new(11).every(ms(5)..=ms(15)).kill(1).spare(["spared"]);
    let mut events = running.events();
    let report = chaos.run(&running, ms(600)).await?;
    assert!(report.is_survived() && report.settled.is_some(), "{report}");
    assert!(report.kills >= 10, "{report}");
    assert_eq!(report.deaths, report.kills, "nobody else died: {report}");
    assert!(report.restarts.len() <= report.kills as usize && !report.restarts.is_empty(), "{report}");
    assert!(report.faults.iter().all(|fault| fault.process.as_str() != "spared"), "{report}");
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        if let Event::Exited { death, .. } | Event::StartFailed { death: Some(death), .. } = event {
            assert_eq!((death.killed, death.out_of_memory), (Some(Killed::Chaos), None));
        }
    }
    // Each kill was of another life, so as many lives as kills followed the first ones.
    let lives = (who(&left).await.1 - 1) + (who(&right).await.1 - 1);
    assert_eq!(lives, report.kills, "{report}");
    assert_ne!(who(&left).await.0, before.0);
    assert_eq!(who(&spared).await, unharmed);
    running.shutdown().await
}

async fn replay(root: Root) -> procession::Result<()> {
    let faults = async |root: &Root| -> procession::Result<Vec<(String, Fault)>> {
        let (running, _) = deploy(root, ["left", "right"]).await?;
        let chaos =
            Chaos::new(5).every(ms(10)..=ms(30)).kill(1).stop(1, ms(1)..=ms(5)).stall(1, ms(1)..=ms(5));
        let report = chaos.run(&running, ms(400)).await?;
        running.shutdown().await?;
        assert_eq!(report.seed, 5);
        Ok(report.faults.into_iter().map(|fault| (fault.process.to_string(), fault.fault)).collect())
    };
    let first = faults(&root).await?;
    assert!(first.len() >= 10, "{first:?}");
    assert_eq!(first, faults(&root).await?);
    Ok(())
}

async fn stops(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let before = who(&left).await;
    let chaos = Chaos::new(1).every(ms(20)..=ms(40)).stop(1, ms(5)..=ms(10));
    let mut rampage = chaos.start(&running, ms(500)).await?;
    let seen = async {
        until(|| stands(before.0)).await;
        // The answer comes when it goes on.
        left.send(Add(1)).await
    };
    let (report, answer) = tokio::join!(rampage.finish(), seen);
    assert_eq!(answer?, 1);
    assert!(report.stops >= 5 && report.deaths == 0 && report.is_survived(), "{report}");
    assert_eq!(who(&left).await, before, "it is the same life");
    running.shutdown().await
}

/// A chaos that has stopped the process of an actor, for ever.
async fn for_ever(
    running: &Running,
    left: &ProcAddr<Counter>,
) -> procession::Result<procession::chaos::Rampage> {
    let (pid, _) = who(left).await;
    let day = Duration::from_secs(86_400);
    let rampage = Chaos::new(1).every(ms(1)..=ms(1)).stop(1, day..=day).start(running, day).await?;
    until(|| stands(pid)).await;
    Ok(rampage)
}

async fn dropped(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    drop(for_ever(&running, &left).await?);
    assert_eq!(left.send(Add(3)).await?, 3);
    running.shutdown().await
}

async fn enough(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let report = for_ever(&running, &left).await?.enough().await;
    assert!(report.stops >= 1 && report.settled.is_some(), "{report}");
    assert_eq!(left.send(Add(3)).await?, 3);
    running.shutdown().await
}

async fn stopped_and_killed(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let chaos = Chaos::new(3).every(ms(2)..=ms(8)).kill(1).stop(2, ms(20)..=ms(40));
    let report = chaos.run(&running, ms(500)).await?;
    assert!(report.kills > 3 && report.stops > 3 && report.is_survived(), "{report}");
    let (pid, life) = who(&left).await;
    assert!(!stands(pid) && life > 1);
    running.shutdown().await
}

async fn given_up(root: Root) -> procession::Result<()> {
    let rarely = Intensity { restarts: 2, period: Duration::from_secs(60) };
    let left = counter("left").restart(Backoff { min: ms(1), max: ms(2) });
    let topology = Topology::new("weak").restart(rarely).process(left);
    let running = root.deploy(topology).await?;
    let report = Chaos::new(1).every(ms(5)..=ms(10)).kill(1).run(&running, Duration::from_secs(60)).await?;
    let ended = report.ended.clone().expect("it ended");
    assert!(ended.failed && ended.why.contains("left failed too often"), "{report}");
    assert!(!report.is_survived() && report.kills >= 3 && report.took < Duration::from_secs(30), "{report}");
    running.wait().await.unwrap_err();
    let again = Chaos::new(1).run(&running, ms(1)).await;
    assert!(matches!(again, Err(ChaosError::Ended)), "{again:?}");
    Ok(())
}

async fn temporary(root: Root) -> procession::Result<()> {
    let topology = Topology::new("temporary")
        .process(counter("left").restart(Policy::Temporary))
        .process(counter("right"));
    let running = root.deploy(topology).await?;
    let report = Chaos::new(1).every(ms(5)..=ms(10)).kill(1).only(["left"]).run(&running, ms(200)).await?;
    assert_eq!((report.kills, report.deaths), (1, 1), "{report}");
    assert!(report.is_survived() && report.settled.is_some() && report.missed > 0, "{report}");
    let missed = report.faults.iter().filter(|fault| fault.outcome == Outcome::NotAlive).count();
    assert_eq!(u32::try_from(missed).unwrap(), report.missed);
    running.shutdown().await
}

async fn unsettled(root: Root) -> procession::Result<()> {
    let minute = Duration::from_secs(60);
    let left = counter("left").restart(Backoff { min: minute, max: minute });
    let running = root.deploy(Topology::new("slow").process(left)).await?;
    let chaos = Chaos::new(1).every(ms(5)..=ms(10)).kill(1).settle_within(ms(50));
    let report = chaos.run(&running, ms(100)).await?;
    let names: Vec<&str> = report.unsettled.iter().map(|name| name.as_str()).collect();
    assert!(names == ["left"] && report.settled.is_none() && !report.is_survived(), "{report}");
    running.shutdown().await
}

async fn nobody(root: Root) -> procession::Result<()> {
    let (running, _) = deploy(&root, ["left", "right"]).await?;
    let error = Chaos::new(1).only(["middle"]).run(&running, ms(1)).await.unwrap_err();
    assert!(matches!(error, ChaosError::Nobody { .. }));
    let words = error.to_string();
    assert!(words.contains("middle") && words.contains("left, right"), "{words}");
    running.shutdown().await
}

async fn stopped_meanwhile(root: Root) -> procession::Result<()> {
    let (running, _) = deploy(&root, ["left", "right"]).await?;
    let lasts = Duration::from_secs(3600);
    let chaos = Chaos::new(1).every(ms(5)..=ms(10)).stop(1, lasts..=lasts).stall(1, lasts..=lasts);
    let mut rampage = chaos.start(&running, lasts).await?;
    let (report, done): (Report, _) = tokio::join!(rampage.finish(), running.clone().shutdown());
    done?;
    let ended = report.ended.clone().expect("it ended");
    assert!(!ended.failed && report.is_survived(), "{report}");
    Ok(())
}
