//! Groups: three replicas keep books, each book on the shelf that owns its title by consistent hashing. One is killed on
//! the way: who asks all is answered by the others, and its books find another shelf until it is back.

#![allow(clippy::print_stdout)] // An example prints.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use procession::prelude::*;

/// Puts a book there, if one is given; tells which shelf that is, and how many books it has.
#[derive(Clone, Message, Serialize, Deserialize)]
#[rtype(result = "(String, usize)")]
struct Keep(Option<String>);

#[derive(ProcActor)]
#[proc_actor(messages(Keep))]
struct Shelf(String, BTreeSet<String>);

impl Actor for Shelf {
    type Context = Context<Self>;
}

impl Spawn for Shelf {
    type Args = ();
    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Shelf(birth.process.to_string(), BTreeSet::new()))
    }
}

impl Handler<Keep> for Shelf {
    type Result = MessageResult<Keep>;
    fn handle(&mut self, Keep(book): Keep, _: &mut Context<Self>) -> Self::Result {
        if book.as_deref() == Some("matches") {
            std::process::abort();
        }
        self.1.extend(book);
        MessageResult((self.0.clone(), self.1.len()))
    }
}

/// Puts a hundred books on the shelves that own their titles, and tells which got which.
async fn keep_all(shelves: &GroupAddr<Shelf>) -> procession::Result<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    for title in (0..100).map(|number| format!("volume {number}")) {
        let (shelf, _) = shelves.by_key(&title).repeating().send(Keep(Some(title.clone()))).await?;
        kept.insert(title, shelf);
    }
    Ok(kept)
}

async fn lives(shelves: &GroupAddr<Shelf>, wanted: u64) {
    while shelves.members().map_or(0, |all| all.iter().map(|member| member.life).sum()) < wanted {
        actix::clock::sleep(Duration::from_millis(5)).await;
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Shelf>().run(async |root| {
        let shelf = Process::new("shelf").replicas(3).actor::<Shelf>("shelf", ());
        let running = root.deploy(Topology::new("library").process(shelf)).await?;
        let group = running.runtime().group::<Shelf>("replicas/shelf").await;
        let shelves = group.map_err(procession::Error::other)?;
        lives(&shelves, 3).await;
        let kept = keep_all(&shelves).await?;
        println!("{} books on {} shelves", kept.len(), kept.values().collect::<BTreeSet<_>>().len());

        shelves.by_key("volume 7").do_send(Keep(Some("matches".to_owned())));
        let asked = shelves.gather(Keep(None), Duration::from_secs(10)).await;
        let told = asked.map_err(procession::Error::other)?;
        let left: usize = told.replies().map(|(_, (_, books))| books).sum();
        let burnt = kept.values().filter(|shelf| **shelf == kept["volume 7"]).count();
        println!("{} shelves answer, {} does not", told.replies().count(), told.errors().count());
        println!("books and burnt ones are all: {}", left + burnt == kept.len());
        println!("each finds a shelf meanwhile: {}", keep_all(&shelves).await?.len() == kept.len());
        lives(&shelves, 4).await;
        println!("and its own once that is back: {}", keep_all(&shelves).await? == kept);
        running.shutdown().await
    })
}
