//! A file is read once, and three processes look at it, one after the other, each in its own way: nobody copies it.
//!
//! `cargo run --release --example blob [FILE]`; without a file, some text is made up.

#![allow(clippy::print_stdout)] // What it shows, it prints.

use std::fs::File;
use std::io::Read;
use std::time::Instant;

use procession::prelude::*;

/// Asks for the counts of everybody that the blob is still to go through.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<(String, u64)>, String>")]
struct Count(Blob);

/// Goes the same way, unread.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), String>")]
struct Pass(Blob);

/// Counts one letter, and hands on.
#[derive(ProcActor)]
#[proc_actor(messages(Count, Pass))]
struct Counter(Counting);

#[derive(Serialize, Deserialize)]
struct Counting {
    letter: u8,
    next: Option<ProcAddr<Counter>>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Spawn for Counter {
    type Args = Counting;

    fn spawn(counting: Counting, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Counter(counting))
    }
}

impl Handler<Count> for Counter {
    type Result = ResponseFuture<Result<Vec<(String, u64)>, String>>;

    fn handle(&mut self, Count(text): Count, _: &mut Context<Self>) -> Self::Result {
        // The first look maps the pages that the process of the root has written.
        let count = text.iter().filter(|letter| **letter == self.0.letter).count() as u64;
        let ours = (char::from(self.0.letter).escape_default().to_string(), count);
        let next = self.0.next.clone();
        Box::pin(async move {
            let Some(next) = next else { return Ok(vec![ours]) };
            let mut all = next.send(Count(text)).await.map_err(|error| error.to_string())??;
            all.insert(0, ours);
            Ok(all)
        })
    }
}

impl Handler<Pass> for Counter {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, pass: Pass, _: &mut Context<Self>) -> Self::Result {
        let next = self.0.next.clone();
        Box::pin(async move {
            let Some(next) = next else { return Ok(()) };
            next.send(pass).await.map_err(|error| error.to_string())?
        })
    }
}

/// Reads a file straight into a blob; the sizes of files change, and then it is an error.
fn load(path: Option<String>) -> procession::Result<Blob> {
    let told = |error: std::io::Error| procession::Error::other(error.to_string());
    let Some(path) = path else {
        return Blob::copy_from("To be, or not to be: that is the question.\n".repeat(100_000).as_bytes())
            .map_err(told);
    };
    let mut file = File::open(path).map_err(told)?;
    let length = file.metadata().map_err(told)?.len();
    let mut draft = Blob::builder(usize::try_from(length).unwrap_or(usize::MAX)).map_err(told)?;
    file.read_exact(&mut draft).map_err(told)?;
    draft.seal().map_err(told)
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Counter>().run(async |root| {
        let stage = |name: &str, letter, next: Option<&str>| {
            let counting = Counting { letter, next: next.map(ProcAddr::named) };
            Process::new(name).actor::<Counter>(&format!("{name}-counter"), counting)
        };
        let topology = Topology::new("blob")
            .process(stage("lines", b'\n', Some("words-counter")))
            .process(stage("words", b' ', Some("colons-counter")))
            .process(stage("colons", b':', None));
        let running = root.deploy(topology).await?;
        let first = running.addr::<Counter>("lines-counter")?;

        let text = load(std::env::args().nth(1))?;
        let counts = first.send(Count(text.clone())).await?.map_err(procession::Error::other)?;
        println!("three processes counted in {} bytes:", text.len());
        counts.iter().for_each(|(letter, count)| println!("  {letter:?} {count} times"));

        for mebibytes in [1, 16, 256] {
            let blob = Blob::builder(mebibytes << 20).and_then(|draft| draft.seal());
            let blob = blob.map_err(|error| procession::Error::other(error.to_string()))?;
            let begun = Instant::now();
            for _ in 0..100 {
                first.send(Pass(blob.clone())).await?.map_err(procession::Error::other)?;
            }
            println!(
                "{mebibytes} MiB went through all three and the answer came back in {:?}",
                begun.elapsed() / 100
            );
        }
        running.shutdown().await
    })
}
