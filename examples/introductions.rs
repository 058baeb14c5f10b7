//! Introductions: a client that knows a desk alone is given the printer's address there, good for two pages. The root
//! introduces the two by that; the third page, a guess, and an address that was taken back reach nothing.

#![allow(clippy::print_stdout)] // An example prints.

use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
struct Print;

/// Asks the desk for somebody who prints.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "ProcRecipient<Print>")]
struct WhoPrints;

/// Has the client print so many pages, by this address or the desk's, and tells how each went.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Vec<String>")]
struct PrintAll(u32, Option<ProcRecipient<Print>>);

macro_rules! actors {
    ($($actor:ident($args:ty) takes $message:ident -> $result:ty: |$it:ident, $what:pat_param| $body:expr;)*) => {$(
        #[derive(ProcActor)]
        #[proc_actor(messages($message))]
        struct $actor($args);
        impl Actor for $actor { type Context = Context<Self>; }
        impl Spawn for $actor {
            type Args = $args;
            fn spawn(args: $args, _: &Birth) -> Result<Self, SpawnError> { Ok($actor(args)) }
        }
        impl Handler<$message> for $actor {
            type Result = $result;
            fn handle(&mut self, $what: $message, _: &mut Context<Self>) -> $result { let $it = self; $body }
        }
    )*};
}

actors! {
    Printer(u32) takes Print -> u32: |printer, _| { printer.0 += 1; printer.0 };
    Desk(ProcAddr<Printer>) takes WhoPrints -> ResponseFuture<ProcRecipient<Print>>: |desk, _| {
        let printer = desk.0.clone();
        Box::pin(async move {
            // A life of the printer must be known, for that counts the pages: one to see that it works.
            let _ = printer.send(Print).await;
            printer.limited(2).map_or(printer.recipient(), |two| two.recipient())
        })
    };
    Client(ProcAddr<Desk>) takes PrintAll -> ResponseFuture<Vec<String>>: |client, PrintAll(pages, given)| {
        let desk = client.0.clone();
        Box::pin(async move {
            let found = match given { Some(printer) => Ok(printer), None => desk.send(WhoPrints).await };
            let Ok(printer) = found else { return vec!["nobody prints".to_owned()] };
            let mut told = Vec::new();
            for _ in 0..pages {
                let printed = printer.send(Print).await;
                told.push(printed.map_or_else(|error| format!("not printed: {error}"), |page| format!("page {page}")));
            }
            told
        })
    };
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Printer>().actor::<Desk>().actor::<Client>().run(async |root| {
        let topology = Topology::new("introductions")
            .process(Process::new("printing").actor::<Printer>("printer", 0))
            .process(Process::new("office").actor::<Desk>("desk", ProcAddr::named("printer")))
            .process(Process::new("outside").actor::<Client>("client", ProcAddr::named("desk")));
        let running = root.deploy(topology).await?;
        let client = running.addr::<Client>("client")?;
        println!("by the desk's: {:?}", client.send(PrintAll(3, None)).await?);

        let guess = Capability::unsealed(ActorId::declared(ProcessId(1), Slot(0)));
        let bytes = procession::codec::encode(&guess, 64).map_err(procession::Error::other)?;
        let guess: ProcAddr<Printer> = procession::codec::decode(&bytes).map_err(procession::Error::other)?;
        println!("by a guess: {:?}", client.send(PrintAll(1, Some(guess.recipient()))).await?);

        let own = ProcAddr::export(Printer(0).start()).map_err(procession::Error::other)?;
        let lent = own.revocable().map_err(procession::Error::other)?;
        println!("by the root's own: {:?}", client.send(PrintAll(1, Some(lent.recipient()))).await?);
        println!("taken back: {}", lent.revoke().is_ok());
        println!("and then: {:?}", client.send(PrintAll(1, Some(lent.recipient()))).await?);
        running.shutdown().await
    })
}
