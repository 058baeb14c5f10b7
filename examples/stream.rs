//! One process reads files, and yields the lines that fit, one after the other; another takes as many as it wants.

#![allow(clippy::print_stdout)] // What it shows, it prints.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream;
use procession::prelude::*;

#[derive(Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Streaming<(u64, String), Unreadable>")]
struct Search {
    file: String,
    word: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unreadable(String);

/// How many lines were read.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct LinesRead;

#[derive(ProcActor)]
#[proc_actor(messages(Search, LinesRead))]
struct Reader {
    lines: Arc<AtomicU64>,
}

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Spawn for Reader {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Reader { lines: Arc::default() })
    }
}

impl Handler<Search> for Reader {
    type Result = Streaming<(u64, String), Unreadable>;

    /// A line is read when somebody asks for it, and not before.
    fn handle(&mut self, Search { file, word }: Search, _: &mut Context<Self>) -> Self::Result {
        let file = match File::open(&file) {
            Ok(file) => file,
            Err(error) => return Streaming::new(stream::iter([Err(Unreadable(format!("{file}: {error}")))])),
        };
        let read = Arc::clone(&self.lines);
        let lines = BufReader::new(file).lines().zip(1..).filter_map(move |(line, number)| {
            read.fetch_add(1, Ordering::Relaxed);
            let line = line.map_err(|error| Unreadable(error.to_string()));
            line.map(|line| line.contains(&word).then_some((number, line))).transpose()
        });
        Streaming::new(stream::iter(lines))
    }
}

impl Handler<LinesRead> for Reader {
    type Result = u64;
    fn handle(&mut self, _: LinesRead, _: &mut Context<Self>) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Reader>().run(async |root| {
        let topology = Topology::new("search").process(Process::new("disk").actor::<Reader>("reader", ()));
        let running = root.deploy(topology).await?;
        let reader: ProcAddr<Reader> = running.addr("reader")?;
        let book = std::env::temp_dir().join(format!("procession-stream-{}", std::process::id()));
        let text: String =
            (1..=100_000).map(|n| format!("line {n}{}\n", if n % 10 == 0 { " ten" } else { "" })).collect();
        std::fs::write(&book, text).map_err(procession::Error::other)?;
        let search = Search { file: book.to_string_lossy().into_owned(), word: "ten".into() };

        let mut found = reader.stream(search.clone()).credit(2, 1024);
        for _ in 0..3 {
            let (number, line) =
                found.next().await.expect("there are more").map_err(procession::Error::other)?;
            println!("{number}: {line}");
        }
        drop(found);
        let read = reader.send(LinesRead).await?;
        assert!(read <= 50, "{read} lines were read for three");
        println!("enough; the reader had read no more than 50 of 100000 lines");

        let mut all = reader.stream(search);
        let mut count = 0;
        while let Some(Ok(_)) = all.next().await {
            count += 1;
        }
        println!("all: {count} lines");
        let _ = std::fs::remove_file(&book);
        let missing = Search { file: "/nowhere".into(), word: String::new() };
        if let Some(Err(StreamError::Error(Unreadable(why)))) = reader.stream(missing).next().await {
            println!("a typed error: {why}");
        }
        running.shutdown().await
    })
}
