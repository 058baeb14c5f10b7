//! How actors are stopped: in which order, how patiently, and what is waited for.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p4_actors_start_in_order_and_stop_in_reverse", order),
        story("p4_a_stop_waits_for_asynchronous_handlers_of_casts", waits),
        story("p4_an_actor_that_does_not_stop_in_time_is_ended", |root| {
            stubborn(root, Shutdown::Timeout(Duration::from_millis(50)))
        }),
        story("p4_an_actor_that_is_killed_brutally_is_not_asked", |root| {
            stubborn(root, Shutdown::BrutalKill)
        }),
    ]
}

async fn order(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [archive(), ["a", "b", "c"].into_iter().fold(house(), talks)]).await?;
    running.restart("house").await?;
    let lines = read(&running, |lines| lines.len() == 9).await?;
    let whole =
        "a started, b started, c started, c stopped, b stopped, a stopped, a started, b started, c started";
    assert_eq!(lines.join(", "), whole);
    running.shutdown().await
}

async fn waits(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [archive(), talks(house(), "a")]).await?;
    let a = running.addr::<Child>("a")?;
    a.tell(Slowly).await?;
    // What was handled before this was, so that its handler has returned and its future has not.
    who(&a).await;
    read(&running, |lines| lines == ["a started"]).await?;
    running.restart("house").await?;
    running.addr::<Ledger>("ledger")?.tell(Said(GO_ON.to_owned())).await?;
    let lines = read(&running, |lines| lines.len() == 5).await?;
    assert_eq!(lines, ["a started", GO_ON, "a is done", "a stopped", "a started"]);
    running.shutdown().await
}

async fn stubborn(root: Root, shutdown: Shutdown) -> procession::Result<()> {
    let stubborn = Upbringing { nature: Nature::Stubborn, ledger: None };
    let house = talks(house(), "a").actor_with::<Child>("b", stubborn, |b| b.shutdown(shutdown));
    let running = deploy(&root, [archive(), house]).await?;
    let (before, mut events) = (who(&running.addr("b")?).await, running.events());
    let asked = Instant::now();
    running.restart("house").await?;
    assert_eq!(exit_of(&mut events).await, Exit::Code(0), "the process ends in order");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    let lines = read(&running, |lines| lines.len() == 3).await?;
    assert_eq!(lines, ["a started", "a stopped", "a started"], "the others have their turn");
    who_after(&running.addr("b")?, &before).await;
    running.shutdown().await
}
