//! The whole count, from the folder to the summary: run by the root of the program, or by an actor of its own where
//! the topology comes from a file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use procession::prelude::*;
use procession_actors::files::{Files, ReadAll};
use procession_actors::tally::{Tally, Total, Totals};

use crate::splitter::{Flush, Splitter};

/// Who takes part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crew {
    pub(crate) files: ProcAddr<Files>,
    pub(crate) splitters: Vec<ProcAddr<Splitter>>,
    pub(crate) tallies: Vec<ProcAddr<Tally>>,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    files: u64,
    unreadable: u64,
    bytes: u64,
    words: u64,
    distinct: u64,
    processes: usize,
    seconds: f64,
    top: Vec<(String, u64)>,
}

/// How many of the most frequent words are told.
const TOP: usize = 10;

/// Reading a large folder takes as long as it takes; a process that dies is noticed at once all the same.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Counts the words below a folder.
pub(crate) async fn count(folder: PathBuf, crew: &Crew, processes: usize) -> procession::Result<Summary> {
    let start = Instant::now();
    let read = crew.files.send(ReadAll { folder }).timeout(PATIENCE).await?;
    let read = read.map_err(procession::Error::other)?;
    for name in &read.named {
        eprintln!("unreadable: {name}");
    }
    // All at once: each splitter has pieces to finish.
    let flushes: Vec<_> =
        crew.splitters.iter().map(|splitter| splitter.send(Flush).timeout(PATIENCE)).collect();
    for flush in flushes {
        flush.await?.map_err(procession::Error::other)?;
    }
    let mut totals = Totals::default();
    for tally in &crew.tallies {
        totals.merge(tally.send(Total { top: TOP }).timeout(PATIENCE).await?, TOP);
    }
    Ok(Summary {
        files: read.files,
        unreadable: read.unreadable,
        bytes: read.bytes,
        words: totals.total,
        distinct: totals.distinct,
        processes,
        seconds: start.elapsed().as_secs_f64(),
        top: totals.top,
    })
}

impl Summary {
    /// One object, or a table for people.
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("numbers and texts"));
            return;
        }
        let rate = self.bytes as f64 / self.seconds / f64::from(1 << 20);
        println!("{} files, {} unreadable, {} bytes", self.files, self.unreadable, self.bytes);
        println!("{} words, {} distinct", self.words, self.distinct);
        println!("{} processes, {:.2} s, {rate:.0} MiB/s", self.processes, self.seconds);
        for (word, count) in &self.top {
            println!("{count:>12} {word}");
        }
    }
}

/// Does the count when it is born, prints the summary and ends its process: a batch job for a topology in a file.
#[derive(ProcActor)]
#[proc_actor(messages())]
pub(crate) struct Job {
    args: JobArgs,
}

/// What the topology says about the job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobArgs {
    folder: PathBuf,
    #[serde(flatten)]
    crew: Crew,
    processes: usize,
    #[serde(default)]
    json: bool,
}

impl Actor for Job {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let JobArgs { folder, crew, processes, json } = self.args.clone();
        let work = async move {
            match count(folder, &crew, processes).await {
                Ok(summary) => {
                    summary.print(json);
                    procession::finish(0);
                }
                Err(error) => {
                    eprintln!("error: {error}");
                    procession::finish(1);
                }
            }
        };
        context.spawn(work.into_actor(self));
    }
}

impl Spawn for Job {
    type Args = JobArgs;

    fn spawn(args: JobArgs, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Job { args })
    }
}
