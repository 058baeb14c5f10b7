//! Introductions: a client that knows a desk alone is given the printer's address there, good for two pages. The root
//! introduces the two by that; the third page, a guess, and an address that was taken back reach nothing.

#![allow(clippy::print_stdout)] // An example prints.

use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
struct Print(String);

/// Asks the desk for somebody who prints.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "ProcRecipient<Print>")]
struct WhoPrints;

/// Has the client print these pages, and tells how each went. With an address, by that.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Vec<String>")]
struct PrintAll(Vec<String>, Option<ProcRecipient<Print>>);

/// Has the printer take an address back.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "bool")]
struct TakeBack(ProcRecipient<Print>);

#[derive(ProcActor)]
#[proc_actor(messages(Print, TakeBack))]
struct Printer(u32);

#[derive(ProcActor)]
#[proc_actor(messages(WhoPrints))]
struct Desk(ProcAddr<Printer>);

#[derive(ProcActor)]
#[proc_actor(messages(PrintAll))]
struct Client(ProcAddr<Desk>);

macro_rules! actors {
    ($($actor:ident($args:ty);)*) => {$(
        impl Actor for $actor { type Context = Context<Self>; }
        impl Spawn for $actor {
            type Args = $args;
            fn spawn(args: $args, _: &Birth) -> Result<Self, SpawnError> { Ok($actor(args)) }
        }
    )*};
}
actors! { Printer(u32); Desk(ProcAddr<Printer>); Client(ProcAddr<Desk>); }

impl Handler<Print> for Printer {
    type Result = u32;
    fn handle(&mut self, _: Print, _: &mut Context<Self>) -> u32 {
        self.0 += 1;
        self.0
    }
}

impl Handler<TakeBack> for Printer {
    type Result = bool;
    fn handle(&mut self, TakeBack(address): TakeBack, _: &mut Context<Self>) -> bool {
        address.revoke().is_ok()
    }
}

impl Handler<WhoPrints> for Desk {
    type Result = ResponseFuture<ProcRecipient<Print>>;
    fn handle(&mut self, _: WhoPrints, _: &mut Context<Self>) -> Self::Result {
        let printer = self.0.clone();
        Box::pin(async move {
            // A life of the printer must be known, for that counts the pages.
            let _ = printer.send(Print("a page to see that it works".to_owned())).await;
            printer.limited(2).map_or(printer.recipient(), |two| two.recipient())
        })
    }
}

impl Handler<PrintAll> for Client {
    type Result = ResponseFuture<Vec<String>>;
    fn handle(&mut self, PrintAll(pages, given): PrintAll, _: &mut Context<Self>) -> Self::Result {
        let desk = self.0.clone();
        Box::pin(async move {
            let printer = match given {
                Some(printer) => Ok(printer),
                None => desk.send(WhoPrints).await,
            };
            let Ok(printer) = printer else { return vec!["nobody prints".to_owned()] };
            let mut told = Vec::new();
            for page in pages {
                told.push(match printer.send(Print(page)).await {
                    Ok(number) => format!("page {number}"),
                    Err(error) => format!("not printed: {error}"),
                });
            }
            told
        })
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Printer>().actor::<Desk>().actor::<Client>().run(async |root| {
        let running = root
            .deploy(
                Topology::new("introductions")
                    .process(Process::new("printing").actor::<Printer>("printer", 0))
                    .process(Process::new("office").actor::<Desk>("desk", ProcAddr::named("printer")))
                    .process(Process::new("outside").actor::<Client>("client", ProcAddr::named("desk"))),
            )
            .await?;
        let (client, printer) = (running.addr::<Client>("client")?, running.addr::<Printer>("printer")?);
        let pages = |count: u32| (0..count).map(|page| format!("page {page}")).collect();
        println!("by the desk's: {:?}", client.send(PrintAll(pages(3), None)).await?);

        let guess = Capability::unsealed(ActorId::declared(ProcessId(1), Slot(0)));
        let bytes = procession::codec::encode(&guess, 64).map_err(procession::Error::other)?;
        let guess: ProcAddr<Printer> = procession::codec::decode(&bytes).map_err(procession::Error::other)?;
        println!("by a guess: {:?}", client.send(PrintAll(pages(1), Some(guess.recipient()))).await?);

        let lent = printer.revocable().map_err(procession::Error::other)?.recipient();
        println!("by the root's: {:?}", client.send(PrintAll(pages(1), Some(lent.clone()))).await?);
        println!("taken back: {}", printer.send(TakeBack(lent.clone())).await?);
        println!("and then: {:?}", client.send(PrintAll(pages(1), Some(lent))).await?);
        running.shutdown().await
    })
}
