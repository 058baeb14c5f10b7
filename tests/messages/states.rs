//! State across lives: what is saved outlives any death, what is handed over reaches the next life.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;
use procession::runtime::{Event, SaveError};

use crate::stage::{deploy, event, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p5_what_was_saved_before_a_sigkill_is_there_afterwards", killed_between_save_and_reply),
        story("p5_what_was_saved_is_there_after_a_panic", panicked),
        story("p5_a_restart_in_order_hands_the_state_over_to_one_life", handed_over),
        story("p5_a_handover_takes_the_place_of_a_snapshot", handover_over_snapshot),
        story("p5_a_process_that_finishes_hands_over", finished),
        story("p5_a_handover_that_panics_leaves_what_was_kept_before", handover_panics),
        story("p5_a_state_over_the_limit_is_a_typed_error_and_the_last_one_stays", too_large),
        story("p5_a_state_of_another_shape_is_a_typed_error", undecodable),
        story("p5_of_many_saves_the_newest_is_kept", newest_wins),
        story("p5_what_was_cleared_is_gone", cleared),
        story("p5_states_end_with_their_topology", next_topology),
        story("p5_the_states_of_many_actors_are_more_than_a_control_frame", many_large),
        story("p5_who_has_no_topology_has_no_keeper", no_keeper),
    ]
}

messages! {
    /// Keeps it, and answers when it is kept.
    Put(u64) -> "Result<(), String>";
    /// Keeps it, and dies by SIGKILL before it answers.
    PutAndDie(u64) -> "()";
    /// Changes the value and keeps nothing.
    Change(u64) -> "()";
    /// Keeps so many values without waiting, and answers when the last is kept.
    PutMany(u64) -> "Result<(), String>";
    /// Keeps a state of so many bytes.
    PutBytes(usize) -> "Result<(), String>";
    /// Keeps a state of another shape.
    PutText(String) -> "Result<(), String>";
    Clear() -> "Result<(), String>";
    Fail() -> "()";
    End(i32) -> "()";
    Tell() -> "Told";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, MessageResponse)]
pub(crate) struct Told {
    pid: u32,
    incarnation: u32,
    restarts: u32,
    /// What the last life left.
    left: Result<Option<Pot>, String>,
    value: u64,
}

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pot {
    value: u64,
    padding: Vec<u8>,
}

fn pot(value: u64) -> Pot {
    Pot { value, padding: Vec::new() }
}

/// What a vault does at an orderly stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HandsOver {
    Nothing,
    Itself,
    Panic,
}

#[derive(ProcActor)]
#[proc_actor(messages(Put, PutAndDie, Change, PutMany, PutBytes, PutText, Clear, Fail, End, Tell))]
pub(crate) struct Vault {
    told: Told,
    hands_over: HandsOver,
    snapshots: Snapshots<Pot>,
    texts: Snapshots<String>,
}

impl Actor for Vault {
    type Context = Context<Self>;
}

impl Spawn for Vault {
    type Args = HandsOver;

    fn spawn(hands_over: HandsOver, birth: &Birth) -> Result<Self, SpawnError> {
        let left = birth.state::<Pot>().map_err(|error| error.to_string());
        let value = left.clone().ok().flatten().map_or(0, |pot| pot.value);
        let (incarnation, restarts) = (birth.incarnation.0, birth.restarts);
        let told = Told { pid: std::process::id(), incarnation, restarts, left, value };
        Ok(Vault { told, hands_over, snapshots: birth.snapshots(), texts: birth.snapshots() })
    }

    fn handover(&mut self) -> Option<Handover> {
        match self.hands_over {
            HandsOver::Nothing => None,
            HandsOver::Itself => Some(Handover::of(&pot(self.told.value))),
            HandsOver::Panic => panic!("nothing to hand over"),
        }
    }
}

type Saved = ResponseFuture<Result<(), String>>;

fn saved(save: procession::runtime::Save) -> Saved {
    Box::pin(async move { save.await.map_err(|error| error.to_string()) })
}

impl Handler<Put> for Vault {
    type Result = Saved;

    fn handle(&mut self, Put(value): Put, _: &mut Context<Self>) -> Saved {
        self.told.value = value;
        saved(self.snapshots.save(&pot(value)))
    }
}

impl Handler<PutAndDie> for Vault {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, PutAndDie(value): PutAndDie, _: &mut Context<Self>) -> Self::Result {
        let save = self.snapshots.save(&pot(value));
        Box::pin(async move {
            save.await.unwrap();
            signal(std::process::id(), Signal::SIGKILL);
        })
    }
}

impl Handler<Change> for Vault {
    type Result = ();

    fn handle(&mut self, Change(value): Change, _: &mut Context<Self>) {
        self.told.value = value;
    }
}

impl Handler<PutMany> for Vault {
    type Result = Saved;

    fn handle(&mut self, PutMany(count): PutMany, _: &mut Context<Self>) -> Saved {
        let saves: Vec<_> = (1..=count).map(|value| self.snapshots.save(&pot(value))).collect();
        Box::pin(async move {
            for save in saves {
                save.await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}

impl Handler<PutBytes> for Vault {
    type Result = Saved;

    fn handle(&mut self, PutBytes(count): PutBytes, _: &mut Context<Self>) -> Saved {
        saved(self.snapshots.save(&Pot { value: count as u64, padding: vec![7; count] }))
    }
}

impl Handler<PutText> for Vault {
    type Result = Saved;

    fn handle(&mut self, PutText(text): PutText, _: &mut Context<Self>) -> Saved {
        saved(self.texts.save(&text))
    }
}

impl Handler<Clear> for Vault {
    type Result = Saved;

    fn handle(&mut self, _: Clear, _: &mut Context<Self>) -> Saved {
        saved(self.snapshots.clear())
    }
}

impl Handler<Fail> for Vault {
    type Result = ();

    fn handle(&mut self, _: Fail, _: &mut Context<Self>) {
        panic!("as asked");
    }
}

impl Handler<End> for Vault {
    type Result = ();

    fn handle(&mut self, End(code): End, _: &mut Context<Self>) {
        procession::finish(code);
    }
}

impl Handler<Tell> for Vault {
    type Result = Told;

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) -> Told {
        self.told.clone()
    }
}

/// An actor that is not born without what it was left.
#[derive(ProcActor)]
#[proc_actor(messages(Put, PutText))]
pub(crate) struct Strict {
    snapshots: Snapshots<String>,
}

impl Actor for Strict {
    type Context = Context<Self>;
}

impl Spawn for Strict {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        birth.state::<Pot>()?;
        Ok(Strict { snapshots: birth.snapshots() })
    }
}

impl Handler<PutText> for Strict {
    type Result = Saved;

    fn handle(&mut self, PutText(text): PutText, _: &mut Context<Self>) -> Saved {
        saved(self.snapshots.save(&text))
    }
}

impl Handler<Put> for Strict {
    type Result = Saved;

    fn handle(&mut self, _: Put, _: &mut Context<Self>) -> Saved {
        Box::pin(async { Ok(()) })
    }
}

fn vault(process: &str, actor: &str, hands_over: HandsOver) -> Process {
    Process::new(process).actor::<Vault>(actor, hands_over)
}

fn vault_of_100_bytes() -> Process {
    vault("left", "vault", HandsOver::Nothing).snapshot_limit(100)
}

async fn one(root: &Root, hands_over: HandsOver) -> procession::Result<(Running, ProcAddr<Vault>)> {
    let running = deploy(root, [vault("left", "vault", hands_over)]).await?;
    let vault = running.addr("vault")?;
    Ok((running, vault))
}

/// What the life that lives now says.
async fn tell(vault: &ProcAddr<Vault>) -> Told {
    loop {
        match vault.send(Tell).await {
            Ok(told) => return told,
            Err(error) if matches!(error.cause(), Cause::PeerDied { .. } | Cause::Stopping(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether it was left nothing.
pub(crate) async fn is_empty(vault: &ProcAddr<Vault>) -> bool {
    tell(vault).await.left == Ok(None)
}

/// Kills the process and asks its next life.
async fn killed(vault: &ProcAddr<Vault>) -> Told {
    let before = tell(vault).await;
    signal(before.pid, Signal::SIGKILL);
    // Who is to die may handle another message before it does.
    let told = loop {
        let told = tell(vault).await;
        if told.incarnation != before.incarnation {
            break told;
        }
    };
    assert_eq!(told.incarnation, before.incarnation + 1);
    told
}

/// Restarts the process in order and asks its next life.
async fn restarted(running: &Running, vault: &ProcAddr<Vault>) -> procession::Result<Told> {
    let before = tell(vault).await;
    running.restart("left").await?;
    let told = loop {
        let told = tell(vault).await;
        if told.incarnation != before.incarnation {
            break told;
        }
    };
    Ok(told)
}

async fn killed_between_save_and_reply(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Itself).await?;
    assert_eq!(tell(&vault).await.left, Ok(None));
    let error = vault.send(PutAndDie(41)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::Unknown);
    let told = tell(&vault).await;
    assert_eq!((told.incarnation, told.left), (2, Ok(Some(pot(41)))));
    // Kept on, for every further life, until another is saved.
    assert_eq!(killed(&vault).await.left, Ok(Some(pot(41))));
    vault.send(Put(42)).await?.unwrap();
    assert_eq!(killed(&vault).await.left, Ok(Some(pot(42))));
    running.shutdown().await
}

async fn panicked(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Itself).await?;
    vault.send(Put(7)).await?.unwrap();
    vault.send(Change(8)).await?;
    assert!(matches!(vault.send(Fail).await.unwrap_err().cause(), Cause::Panicked(_)));
    let told = tell(&vault).await;
    assert_eq!((told.incarnation, told.restarts, told.left), (1, 1, Ok(Some(pot(7)))));
    running.shutdown().await
}

async fn handed_over(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Itself).await?;
    vault.send(Change(5)).await?;
    let told = restarted(&running, &vault).await?;
    assert_eq!((told.left, told.value), (Ok(Some(pot(5))), 5));
    // It was for that life alone: what it knew when it was killed is not what the life before had handed over.
    vault.send(Change(6)).await?;
    assert_eq!(killed(&vault).await.left, Ok(None));
    running.shutdown().await
}

async fn handover_over_snapshot(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Itself).await?;
    vault.send(Put(1)).await?.unwrap();
    vault.send(Change(2)).await?;
    assert_eq!(restarted(&running, &vault).await?.left, Ok(Some(pot(2))));
    // An actor that keeps snapshots never falls back behind what it was born with.
    assert_eq!(killed(&vault).await.left, Ok(Some(pot(2))));
    running.shutdown().await
}

async fn finished(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Itself).await?;
    vault.send(Change(9)).await?;
    vault.send(End(3)).await?;
    let told = loop {
        let told = tell(&vault).await;
        if told.incarnation == 2 {
            break told;
        }
    };
    assert_eq!(told.left, Ok(Some(pot(9))));
    running.shutdown().await
}

async fn handover_panics(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Panic).await?;
    let mut events = running.events();
    vault.send(Put(3)).await?.unwrap();
    let told = restarted(&running, &vault).await?;
    assert_eq!(told.left, Ok(Some(pot(3))));
    // It stopped in order all the same.
    let exit = event(&mut events, |event| match event {
        Event::Exited { death, asked, .. } => Some((death.exit, *asked)),
        _ => None,
    });
    assert_eq!(exit.await, (Exit::Code(0), true));
    running.shutdown().await
}

async fn too_large(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Nothing).await?;
    vault.send(Put(1)).await?.unwrap();
    let error = vault.send(PutBytes(1 << 20)).await?.unwrap_err();
    assert_eq!(error, SaveError::TooLarge { limit: 1 << 20 }.to_string());
    assert_eq!(killed(&vault).await.left, Ok(Some(pot(1))));
    // All but the value and the length of the padding.
    vault.send(PutBytes((1 << 20) - 16)).await?.unwrap();
    assert_eq!(killed(&vault).await.value, (1 << 20) - 16);
    running.shutdown().await?;
    let running = deploy(&root, [vault_of_100_bytes()]).await?;
    let vault = running.addr::<Vault>("vault")?;
    let error = vault.send(PutBytes(85)).await?.unwrap_err();
    assert_eq!(error, SaveError::TooLarge { limit: 100 }.to_string());
    vault.send(PutBytes(84)).await?.unwrap();
    assert_eq!(killed(&vault).await.value, 84);
    running.shutdown().await
}

async fn undecodable(root: Root) -> procession::Result<()> {
    let strict = Process::new("strict").actor::<Strict>("strict", ()).restart(Policy::Temporary);
    let running = deploy(&root, [vault("left", "vault", HandsOver::Nothing), strict]).await?;
    let vault = running.addr::<Vault>("vault")?;
    vault.send(PutText("seven".into())).await?.unwrap();
    let told = killed(&vault).await;
    let error = told.left.unwrap_err();
    assert!(error.contains("Pot"), "{error}");
    // Who ignores the error begins anew, and what it saves then is kept.
    vault.send(Put(4)).await?.unwrap();
    assert_eq!(killed(&vault).await.left, Ok(Some(pot(4))));
    // Who does not ignore it is not born, and the root is told why.
    let mut events = running.events();
    running.addr::<Strict>("strict")?.send(PutText("seven".into())).await?.unwrap();
    running.restart("strict").await?;
    let why = event(&mut events, |event| match event {
        Event::StartFailed { failure, .. } => Some(failure.to_string()),
        _ => None,
    });
    let why = why.await;
    assert!(why.contains("strict") && why.contains("Pot"), "{why}");
    running.shutdown().await
}

async fn newest_wins(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Nothing).await?;
    for count in [1, 2, 1000] {
        vault.send(PutMany(count)).await?.unwrap();
        assert_eq!(killed(&vault).await.left, Ok(Some(pot(count))));
    }
    running.shutdown().await
}

async fn cleared(root: Root) -> procession::Result<()> {
    let (running, vault) = one(&root, HandsOver::Nothing).await?;
    vault.send(Put(1)).await?.unwrap();
    vault.send(Clear).await?.unwrap();
    assert_eq!(killed(&vault).await.left, Ok(None));
    running.shutdown().await
}

async fn next_topology(root: Root) -> procession::Result<()> {
    for _ in 0..2 {
        let (running, vault) = one(&root, HandsOver::Itself).await?;
        assert_eq!(tell(&vault).await.left, Ok(None));
        vault.send(Put(1)).await?.unwrap();
        running.shutdown().await?;
    }
    Ok(())
}

async fn many_large(root: Root) -> procession::Result<()> {
    const ACTORS: usize = 20;
    const BYTES: usize = 1_000_000;
    let process = (0..ACTORS).fold(Process::new("left"), |process, at| {
        process.actor::<Vault>(format!("vault-of-{at}"), HandsOver::Nothing)
    });
    let running = deploy(&root, [process]).await?;
    let vaults = (0..ACTORS).map(|at| running.addr::<Vault>(&format!("vault-of-{at}")));
    let vaults: Vec<_> = vaults.collect::<Result<_, _>>()?;
    let saves: Vec<_> = vaults.iter().map(|vault| vault.send(PutBytes(BYTES))).collect();
    for save in saves {
        save.await?.unwrap();
    }
    killed(&vaults[0]).await;
    for vault in &vaults {
        assert_eq!(tell(vault).await.value, BYTES as u64);
    }
    running.shutdown().await
}

async fn no_keeper(root: Root) -> procession::Result<()> {
    let (running, _) = one(&root, HandsOver::Nothing).await?;
    let orphan = Vault {
        told: Told { pid: 0, incarnation: 1, restarts: 0, left: Ok(None), value: 0 },
        hands_over: HandsOver::Nothing,
        snapshots: Snapshots::default(),
        texts: Snapshots::default(),
    };
    let error = ProcAddr::export(orphan.start())?.send(Put(1)).await?.unwrap_err();
    assert_eq!(error, SaveError::NoKeeper.to_string());
    running.shutdown().await
}
