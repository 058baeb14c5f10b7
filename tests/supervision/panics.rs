//! What a panic ends, wherever in an actor it happens.

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::runtime::Event;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p5_a_panic_in_a_handler_restarts_its_actor", |root| restarts(root, How::Panic)),
        story("p5_a_panic_in_a_future_of_the_actor_restarts_it", |root| restarts(root, How::PanicInside)),
        story("p5_a_panic_in_a_future_of_its_own_restarts_its_actor", |root| restarts(root, How::PanicAside)),
        story("p5_a_panic_of_what_an_earlier_life_began_ends_no_later_one", earlier_life),
        story("p1_a_panic_that_is_to_end_its_process_does_so_at_once", |root| ends_process(root, How::Panic)),
        story("p1_so_does_one_in_a_future_of_its_own", |root| ends_process(root, How::PanicAside)),
    ]
}

async fn restarts(root: Root, how: How) -> procession::Result<()> {
    let running = deploy(&root, [quiet(quiet(house(), "a", |a| a), "b", |b| b)]).await?;
    let (a, b) = (running.addr::<Child>("a")?, running.addr::<Child>("b")?);
    // Nobody waits for this one, and it is noticed all the same.
    a.do_send(End(how));
    while who(&a).await.restarts == 0 {
        tokio::task::yield_now().await;
    }
    let (first, other) = (who(&a).await, who(&b).await);
    assert_eq!((first.incarnation, first.restarts, other.restarts), (1, 1, 0));
    running.shutdown().await
}

async fn ends_process(root: Root, how: How) -> procession::Result<()> {
    let house = quiet(house(), "a", |a| a.panic(OnPanic::Process));
    let running = deploy(&root, [quiet(house, "b", |b| b)]).await?;
    let (a, b) = (running.addr::<Child>("a")?, running.addr::<Child>("b")?);
    let (before, mut events) = (who(&b).await, running.events());
    a.do_send(End(how));
    let death = event(&mut events, |event| match event {
        Event::Exited { death, .. } => Some(death.clone()),
        _ => None,
    })
    .await;
    assert_eq!(death.exit, Exit::Code(101));
    let panic = death.panic.as_ref().expect("it is told before the end");
    assert_eq!(panic.message, "as told");
    let after = who_after(&b, &before).await;
    assert_eq!((after.incarnation, after.restarts), (2, 0));
    running.shutdown().await
}

async fn earlier_life(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [quiet(quiet(house(), "a", |a| a), "b", |b| b)]).await?;
    let (a, b) = (running.addr::<Child>("a")?, running.addr::<Child>("b")?);
    let mut events = running.events();
    a.do_send(PanicLater);
    a.send(End(How::Panic)).await.unwrap_err();
    assert_eq!(who(&a).await.restarts, 1);
    b.send(LetPanic).await?;
    let of_before = |event: &Event| match event {
        Event::Panicked { report, .. } if report.message == "of a life before" => Some(()),
        _ => None,
    };
    event(&mut events, of_before).await;
    // What it could have done was done before these are handled.
    assert_eq!((who(&b).await.restarts, who(&a).await.restarts), (0, 1));
    // One of this life ends it.
    a.do_send(PanicLater);
    b.send(LetPanic).await?;
    while who(&a).await.restarts == 1 {
        tokio::task::yield_now().await;
    }
    running.shutdown().await
}
