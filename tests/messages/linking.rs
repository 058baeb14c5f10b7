//! Links: two actors that end together, unless one of them wants to be told instead.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::{EndReason, Exited, Link};
use procession::prelude::*;

use crate::actors::{Life, Note};
use crate::stage::{deploy, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("an_abnormal_end_ends_the_linked_one_and_its_supervisor_starts_it_anew", together),
        story("a_link_within_a_process_does_the_same", within),
        story("the_death_of_a_process_ends_those_linked_with_its_actors", process_death),
        story("a_normal_end_and_an_orderly_stop_end_nobody_else", normal_ends),
        story("who_traps_exits_is_told_behind_what_was_sent_and_goes_on", trapping),
        story("unlinked_ones_end_alone", unlinked),
        story("a_link_with_nobody_ends_who_made_it", nobody),
        story("a_chain_of_links_ends_as_one", chain),
        story("a_link_ends_the_lives_that_made_it_and_not_those_after_them", once),
        story("two_linked_ones_that_panic_in_one_turn_end_once_each", both_at_once),
    ]
}

messages! {
    LinkWith(ProcAddr<Chained>) -> "()";
    LinkWithTrap(ProcAddr<Trap>) -> "()";
    Unlink() -> "()";
    Settle(ProcAddr<Chained>) -> "()";
    Panic() -> "()";
    /// Panics when its process is told [`Go`], in the turn of whoever waits for that.
    PanicWithOthers() -> "()";
    Go() -> "()";
    Stop() -> "()";
    Lived() -> "Life";
    SendAndPanic { to: ProcAddr<Trap>, notes: u32 } -> "()";
    Seen() -> "Vec<Sight>";
    Child() -> "ProcAddr<Chained>";
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sight {
    Note(u32),
    Exited(Exited),
}

/// Ends with whomever it is linked with.
#[derive(ProcActor)]
#[proc_actor(messages(
    LinkWith,
    LinkWithTrap,
    Unlink,
    Settle,
    Panic,
    PanicWithOthers,
    Go,
    Stop,
    Lived,
    SendAndPanic,
    Child
))]
pub(crate) struct Chained {
    me: ProcAddr<Chained>,
    links: Vec<Link>,
    life: Life,
}

impl Actor for Chained {
    type Context = Context<Self>;
}

impl Spawn for Chained {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        let (incarnation, restarts) = (birth.incarnation.0, birth.restarts);
        let life = Life { pid: std::process::id(), incarnation, restarts, last_exit: None };
        Ok(Chained { me: birth.addr(), links: Vec::new(), life })
    }
}

/// Traps exits.
#[derive(ProcActor)]
#[proc_actor(messages(LinkWith, Settle, Note, Exited, Seen, Lived))]
pub(crate) struct Trap {
    me: ProcAddr<Trap>,
    seen: Vec<Sight>,
    life: Life,
}

impl Actor for Trap {
    type Context = Context<Self>;
}

impl Spawn for Trap {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        let (incarnation, restarts) = (birth.incarnation.0, birth.restarts);
        let life = Life { pid: std::process::id(), incarnation, restarts, last_exit: None };
        Ok(Trap { me: birth.addr(), seen: Vec::new(), life })
    }
}

handle! { for Chained;
    LinkWith -> (): |this, LinkWith(other), _| this.links.push(this.me.link(&other).unwrap());
    LinkWithTrap -> (): |this, LinkWithTrap(other), _| this.links.push(this.me.link(&other).unwrap());
    Unlink -> (): |this, _, _| this.links.drain(..).for_each(Link::unlink);
    Settle -> ResponseFuture<()>: |this, Settle(other), _| Box::pin(async move { drop(other.send(Lived).await) });
    Panic -> (): |this, _, _| panic!("the chain is cut");
    PanicWithOthers -> (): |this, _, context| {
        let told = TOLD.notified().into_actor(this).map(|(), _, _| panic!("all at once"));
        context.spawn(told);
    };
    Go -> (): |this, _, _| TOLD.notify_waiters();
    Stop -> (): |this, _, context| context.stop();
    Lived -> Life: |this, _, _| this.life.clone();
    SendAndPanic -> (): |this, SendAndPanic { to, notes }, _| {
        (0..notes).for_each(|note| to.do_send(Note(note)));
        panic!("that was all");
    };
    Child -> MessageResult<Child>: |this, _, _| MessageResult(Chained::create_exported(this.life.clone()));
}

/// In a process of linked ones.
static TOLD: tokio::sync::Notify = tokio::sync::Notify::const_new();

impl Chained {
    fn create_exported(life: Life) -> ProcAddr<Chained> {
        let child = Chained { me: ProcAddr::named("nobody"), links: Vec::new(), life }.start();
        ProcAddr::export(child).unwrap()
    }
}

handle! { for Trap;
    LinkWith -> (): |this, LinkWith(other), _| drop(this.me.link(&other).unwrap());
    Settle -> ResponseFuture<()>: |this, Settle(other), _| Box::pin(async move { drop(other.send(Lived).await) });
    Note -> (): |this, Note(note), _| this.seen.push(Sight::Note(note));
    Exited -> (): |this, exited, _| this.seen.push(Sight::Exited(exited));
    Seen -> MessageResult<Seen>: |this, _, _| MessageResult(this.seen.clone());
    Lived -> Life: |this, _, _| this.life.clone();
}

fn chained(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Chained>(actor, ())
}

async fn two(root: &Root) -> procession::Result<(Running, ProcAddr<Chained>, ProcAddr<Chained>)> {
    let running = deploy(root, [chained("left", "one"), chained("right", "two")]).await?;
    let (one, two) = (running.addr("one")?, running.addr("two")?);
    Ok((running, one, two))
}

/// Links, and returns once both halves are there.
async fn link(one: &ProcAddr<Chained>, other: &ProcAddr<Chained>) {
    one.send(LinkWith(other.clone())).await.unwrap();
    one.send(Settle(other.clone())).await.unwrap();
}

/// Until it has been restarted so often in this life of its process, or its process so often.
async fn until_born(whom: &ProcAddr<Chained>, incarnation: u32, restarts: u32) -> Life {
    loop {
        match whom.send(Lived).await {
            Ok(life) if (life.incarnation, life.restarts) >= (incarnation, restarts) => return life,
            _ => {}
        }
    }
}

async fn together(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    // From either side.
    for (restarts, dies) in [(1, &one), (2, &two)] {
        link(&one, &two).await;
        dies.do_send(Panic);
        for whom in [&one, &two] {
            assert_eq!(until_born(whom, 1, restarts).await.restarts, restarts);
        }
    }
    running.shutdown().await
}

async fn within(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [chained("left", "one").actor::<Chained>("two", ())]).await?;
    let (one, two) = (running.addr::<Chained>("one")?, running.addr::<Chained>("two")?);
    link(&one, &two).await;
    two.do_send(Panic);
    for whom in [&one, &two] {
        assert_eq!(until_born(whom, 1, 1).await.restarts, 1);
    }
    running.shutdown().await
}

async fn process_death(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    // Whoever made the link.
    for incarnation in [2, 3] {
        match incarnation {
            2 => link(&one, &two).await,
            _ => link(&two, &one).await,
        }
        let before = one.send(Lived).await?.restarts;
        signal(two.send(Lived).await?.pid, Signal::SIGKILL);
        assert_eq!(until_born(&one, 1, before + 1).await.restarts, before + 1);
        until_born(&two, incarnation, 0).await;
    }
    running.shutdown().await
}

async fn normal_ends(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    let child = two.send(Child).await?;
    link(&one, &child).await;
    child.send(Stop).await?;
    link(&one, &two).await;
    running.restart("right").await?;
    until_born(&two, 2, 0).await;
    // What the orderly stop told came before this.
    one.send(Settle(two.clone())).await?;
    assert_eq!(one.send(Lived).await?.restarts, 0);
    running.shutdown().await
}

async fn told(trap: &ProcAddr<Trap>, exits: usize) -> Vec<Sight> {
    loop {
        let seen = trap.send(Seen).await.unwrap();
        if seen.iter().filter(|sight| matches!(sight, Sight::Exited(_))).count() >= exits {
            return seen;
        }
    }
}

async fn trapping(root: Root) -> procession::Result<()> {
    let processes = [Process::new("left").actor::<Trap>("trap", ()), chained("right", "two")];
    let running = deploy(&root, processes).await?;
    let (trap, two) = (running.addr::<Trap>("trap")?, running.addr::<Chained>("two")?);
    trap.send(LinkWith(two.clone())).await?;
    trap.send(Settle(two.clone())).await?;
    two.do_send(SendAndPanic { to: trap.clone(), notes: 400 });
    let seen = told(&trap, 1).await;
    assert_eq!(seen.len(), 401);
    assert!(seen[..400].iter().cloned().eq((0..400).map(Sight::Note)));
    let Sight::Exited(exited) = &seen[400] else { panic!("{:?}", seen[400]) };
    assert_eq!(exited.reason, EndReason::Panicked("that was all".to_owned()));
    // The other way round, it is who was linked with; a normal end is told, too.
    let child = two.send(Child).await?;
    trap.send(LinkWith(child.clone())).await?;
    trap.send(Settle(child.clone())).await?;
    child.send(Stop).await?;
    let seen = told(&trap, 2).await;
    let Some(Sight::Exited(exited)) = seen.last() else { panic!("{seen:?}") };
    assert_eq!(exited.reason, EndReason::Normal);
    until_born(&two, 1, 1).await;
    two.send(LinkWithTrap(trap.clone())).await?;
    signal(two.send(Lived).await?.pid, Signal::SIGKILL);
    let seen = told(&trap, 3).await;
    let Some(Sight::Exited(exited)) = seen.last() else { panic!("{seen:?}") };
    assert!(matches!(exited.reason, EndReason::ProcessDied(Some(Exit::Signal { .. }))), "{exited:?}");
    assert_eq!(trap.send(Lived).await?.restarts, 0);
    running.shutdown().await
}

async fn unlinked(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    link(&one, &two).await;
    one.send(Unlink).await?;
    one.send(Settle(two.clone())).await?;
    two.do_send(Panic);
    until_born(&two, 1, 1).await;
    one.send(Settle(two.clone())).await?;
    assert_eq!(one.send(Lived).await?.restarts, 0);
    one.do_send(Panic);
    until_born(&one, 1, 1).await;
    one.send(Settle(two.clone())).await?;
    assert_eq!(two.send(Lived).await?.restarts, 1);
    running.shutdown().await
}

async fn nobody(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    let child = two.send(Child).await?;
    child.send(Stop).await?;
    one.send(LinkWith(child)).await?;
    assert_eq!(until_born(&one, 1, 1).await.restarts, 1);
    running.shutdown().await
}

async fn chain(root: Root) -> procession::Result<()> {
    let names = ["a", "b", "c", "d"];
    let running = deploy(&root, names.map(|name| chained(&format!("p-{name}"), name))).await?;
    let chain = names.map(|name| running.addr::<Chained>(name).unwrap());
    for pair in chain.windows(2) {
        link(&pair[0], &pair[1]).await;
    }
    chain[3].do_send(Panic);
    for whom in &chain {
        assert_eq!(until_born(whom, 1, 1).await.restarts, 1);
    }
    running.shutdown().await
}

async fn once(root: Root) -> procession::Result<()> {
    let (running, one, two) = two(&root).await?;
    for restarts in 1..=3 {
        // Both halves of it are of the life that ends.
        link(&one, &one).await;
        one.do_send(Panic);
        assert_eq!(until_born(&one, 1, restarts).await.restarts, restarts);
        // What the end of the last life could have done to this one came before this.
        one.send(Settle(two.clone())).await?;
        one.send(Settle(two.clone())).await?;
        assert_eq!(one.send(Lived).await?.restarts, restarts);
    }
    running.shutdown().await
}

async fn both_at_once(root: Root) -> procession::Result<()> {
    let often = Intensity { restarts: 100, period: std::time::Duration::from_secs(60) };
    let left = chained("left", "one").actor::<Chained>("two", ()).actor::<Chained>("third", ());
    let left = left.actors(Actors::new().restart(often));
    let running = deploy(&root, [left]).await?;
    let addr = |name: &str| running.addr::<Chained>(name).unwrap();
    let (one, two, third) = (addr("one"), addr("two"), addr("third"));
    for restarts in 1..=4 {
        link(&one, &two).await;
        // Whoever made the link, and whoever is first.
        for whom in if restarts % 2 == 0 { [&one, &two] } else { [&two, &one] } {
            whom.send(PanicWithOthers).await?;
            // It waits: what an actor spawns has its first turn before its next message has.
            whom.send(Lived).await?;
        }
        third.send(Go).await?;
        for whom in [&one, &two] {
            assert_eq!(until_born(whom, 1, restarts).await.restarts, restarts);
        }
        // What the ends could have done to the next lives came before this.
        for (from, to) in [(&one, &two), (&two, &one), (&one, &two)] {
            from.send(Settle(to.clone())).await?;
        }
        for whom in [&one, &two] {
            assert_eq!(whom.send(Lived).await?.restarts, restarts);
        }
    }
    running.shutdown().await
}
