//! State across lives: a till that keeps its total with the root before it answers, and a clerk that hands its notes over
//! when it is stopped in order.
//!
//! `cargo run --example state`

#![allow(clippy::print_stdout)] // What it shows, it prints.

use procession::prelude::*;

/// Takes money; answers with the total when nothing can lose it any more.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<u64, String>")]
struct Pay(u64);

/// Dies as by a fault in a C library.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Abort;

#[derive(ProcActor)]
#[proc_actor(messages(Pay, Abort))]
struct Till {
    total: u64,
    snapshots: Snapshots<u64>,
}

impl Actor for Till {
    type Context = Context<Self>;
}

impl Spawn for Till {
    type Args = ();
    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Till { total: birth.state()?.unwrap_or(0), snapshots: birth.snapshots() })
    }
}

impl Handler<Pay> for Till {
    type Result = ResponseFuture<Result<u64, String>>;
    fn handle(&mut self, Pay(amount): Pay, _: &mut Context<Self>) -> Self::Result {
        self.total += amount;
        let (total, save) = (self.total, self.snapshots.save(&self.total));
        Box::pin(async move { save.await.map(|()| total).map_err(|error| error.to_string()) })
    }
}

impl Handler<Abort> for Till {
    type Result = ();
    fn handle(&mut self, _: Abort, _: &mut Context<Self>) {
        std::process::abort();
    }
}

/// Notes a word; answers with all that were noted.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Vec<String>")]
struct Note(String);

#[derive(ProcActor)]
#[proc_actor(messages(Note))]
struct Clerk(Vec<String>);

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Spawn for Clerk {
    type Args = ();
    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Clerk(birth.state()?.unwrap_or_default()))
    }
    fn handover(&mut self) -> Option<Handover> {
        Some(Handover::of(&self.0))
    }
}

impl Handler<Note> for Clerk {
    type Result = MessageResult<Note>;
    fn handle(&mut self, Note(word): Note, _: &mut Context<Self>) -> MessageResult<Note> {
        self.0.push(word);
        MessageResult(self.0.clone())
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Till>().actor::<Clerk>().run(async |root| {
        let shop = Process::new("shop").actor::<Till>("till", ());
        let office = Process::new("office").actor::<Clerk>("clerk", ());
        let running = root.deploy(Topology::new("state").process(shop).process(office)).await?;
        let (till, clerk) = (running.addr::<Till>("till")?, running.addr::<Clerk>("clerk")?);
        println!("paid 30, total {:?}", till.send(Pay(30)).await?);
        if let Err(error) = till.send(Abort).await {
            println!("{error}");
        }
        println!("paid 12, total {:?}", till.send(Pay(12)).await?);

        clerk.send(Note("before".into())).await?;
        running.restart("office").await?;
        // What the old process refuses because it stops was not executed, and is safe to repeat.
        let noted = loop {
            match clerk.send(Note("after".into())).await {
                Err(error) if error.verdict() == Verdict::NotExecuted => {}
                noted => break noted?,
            }
        };
        println!("noted {noted:?}");
        running.shutdown().await
    })
}
