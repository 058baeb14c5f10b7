//! Casts that come as one, and what their actor does between two of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::stage::{deploy, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h40_casts_behind_one_that_panics_are_told_of_and_leave_their_room", panics),
        story("m1_casts_behind_one_that_pauses_its_actor_wait_for_it_in_order", pauses),
        story("m1_order_holds_over_bursts_of_casts_and_calls_of_all_sizes", bursts),
        story("m1_casts_that_are_handled_in_futures_all_are_and_begin_in_order", futures),
        story("m5_casts_behind_one_that_stops_its_actor_are_dead_letters", stops),
    ]
}

messages! {
    /// Does what its number is for.
    Step(u32) -> "()";
    /// The same, in a future.
    Later(u32) -> "()";
    /// The same, with more or less beside it.
    Loaded(u32, Vec<u8>) -> "()";
    Steps() -> "Vec<u32>";
    /// How many futures have ended.
    Done() -> "u64";
}

const PANICS: u32 = 1000;
const PAUSES: u32 = 2000;
const STOPS: u32 = 3000;

/// Counts steps.
#[derive(Default, ProcActor)]
#[proc_actor(messages(Step, Later, Loaded, Steps, Done))]
pub(crate) struct Walker(Vec<u32>);

impl Actor for Walker {
    type Context = Context<Self>;
}

impl Spawn for Walker {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Walker::default())
    }
}

impl Handler<Step> for Walker {
    type Result = ();

    fn handle(&mut self, Step(step): Step, context: &mut Context<Self>) {
        self.0.push(step);
        match step {
            PANICS => panic!("a step too far"),
            STOPS => context.stop(),
            PAUSES => {
                let pause = async {
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                };
                // What is handled meanwhile would come before it.
                context.wait(pause.into_actor(self).map(|(), walker, _| walker.0.push(PAUSES + 1)));
            }
            _ => {}
        }
    }
}

/// What futures have done in this process.
static DONE: AtomicU64 = AtomicU64::new(0);

impl Handler<Later> for Walker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Later(step): Later, _: &mut Context<Self>) -> Self::Result {
        self.0.push(step);
        Box::pin(async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            DONE.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl Handler<Loaded> for Walker {
    type Result = ();

    fn handle(&mut self, Loaded(step, load): Loaded, _: &mut Context<Self>) {
        assert!(load.iter().all(|byte| *byte == 7));
        self.0.push(step);
    }
}

impl Handler<Steps> for Walker {
    type Result = Vec<u32>;

    fn handle(&mut self, _: Steps, _: &mut Context<Self>) -> Vec<u32> {
        self.0.clone()
    }
}

impl Handler<Done> for Walker {
    type Result = u64;

    fn handle(&mut self, _: Done, _: &mut Context<Self>) -> u64 {
        DONE.load(Ordering::Relaxed)
    }
}

const WINDOW: u32 = 64;

async fn walker(root: &Root) -> procession::Result<(Running, ProcAddr<Walker>)> {
    let far = Process::new("far").actor::<Walker>("walker", ()).mailbox(WINDOW, 100_000);
    let running = deploy(root, [far]).await?;
    let walker = running.addr::<Walker>("walker")?;
    // There is a channel, so what is sent in one turn leaves as one.
    walker.send(Steps).await?;
    Ok((running, walker))
}

/// In one turn of this thread.
fn walk(walker: &ProcAddr<Walker>, steps: impl IntoIterator<Item = u32>) {
    steps.into_iter().for_each(|step| walker.do_send(Step(step)));
}

/// After this step its actor lives no more: what came behind it reaches the next life or is a dead letter.
async fn ends_at(root: &Root, last: u32) -> procession::Result<()> {
    let (running, walker) = walker(root).await?;
    walk(&walker, (0..30).chain([last]).chain(30..60));
    let steps = loop {
        // The first may reach the life that ends.
        if let Ok(steps) = walker.send(Steps).await
            && !steps.contains(&0)
        {
            break steps;
        }
    };
    let lost = running.dead_letters("far").await?.counts.get("actor_stopped").copied().unwrap_or_default();
    assert_eq!(steps.len() as u64 + lost, 30, "{steps:?}");
    assert!(steps.iter().copied().eq(60 - u32::try_from(steps.len()).unwrap()..60), "{steps:?}");
    // A place that was not given back would end this after some of them: a quarter of the window is held back.
    for step in 100..100 + 20 * WINDOW {
        walker.tell(Step(step)).await?;
    }
    running.shutdown().await
}

async fn panics(root: Root) -> procession::Result<()> {
    ends_at(&root, PANICS).await
}

async fn stops(root: Root) -> procession::Result<()> {
    ends_at(&root, STOPS).await
}

async fn pauses(root: Root) -> procession::Result<()> {
    let (running, walker) = walker(&root).await?;
    walk(&walker, (0..20).chain([PAUSES]).chain(20..40));
    let expected: Vec<u32> = (0..20).chain([PAUSES, PAUSES + 1]).chain(20..40).collect();
    assert_eq!(walker.send(Steps).await?, expected);
    running.shutdown().await
}

async fn bursts(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 6000;
    let running = deploy(&root, [Process::new("far").actor::<Walker>("walker", ())]).await?;
    let walker = running.addr::<Walker>("walker")?;
    let narrowed = walker.for_duration(Duration::from_secs(3600))?;
    walker.send(Steps).await?;
    let (mut step, mut random, mut asks) = (0, 1_u32, Vec::new());
    while step < COUNT {
        // A burst of one kind, which leaves as one.
        random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let (kind, length) = ((random >> 16) % 8, 1 + (random >> 20) % 200);
        for _ in 0..length {
            match kind {
                0..=3 => walker.tell(Step(step)).await?,
                4 => walker.tell(Loaded(step, vec![7; 40])).await?,
                5 => walker.tell(Loaded(step, vec![7; 1500])).await?,
                6 => asks.push(walker.send(Later(step))),
                _ => narrowed.tell(Step(step)).await?,
            }
            step += 1;
        }
    }
    for ask in asks {
        ask.await?;
    }
    assert!(walker.send(Steps).await?.into_iter().eq(0..step));
    running.shutdown().await
}

async fn futures(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 200;
    let (running, walker) = walker(&root).await?;
    for step in 0..COUNT {
        walker.tell(Later(step)).await?;
    }
    assert!(walker.send(Steps).await?.into_iter().eq(0..COUNT));
    while walker.send(Done).await? < u64::from(COUNT) {}
    running.shutdown().await
}
