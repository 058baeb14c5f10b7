//! Splits pieces of text into words and counts them, until it has enough to be worth a message to the tallies.

use procession::prelude::*;
use procession_actors::files::Piece;
use procession_actors::tally::{Count, Tally, owner};
use rustc_hash::FxHashMap;

/// Everything that was counted here goes to the tallies; the reply comes when they have it.
#[derive(Message, Serialize, Deserialize, Debug)]
#[rtype(result = "Result<(), String>")]
pub(crate) struct Flush;

/// For one tally, so many bytes of words gather before they are sent: a word's second coming is then an addition
/// here instead of a message there.
const BATCH_BYTES: usize = 256 << 10;

#[derive(ProcActor)]
#[proc_actor(messages(Piece, Flush))]
pub(crate) struct Splitter {
    tallies: Vec<ProcAddr<Tally>>,
    /// For each tally what is to be sent to it.
    batches: Vec<Batch>,
}

#[derive(Default)]
struct Batch {
    counts: FxHashMap<Box<str>, u64>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, word: &str) {
        if let Some(count) = self.counts.get_mut(word) {
            *count += 1;
        } else {
            self.bytes += word.len() + size_of::<(String, u64)>();
            self.counts.insert(word.into(), 1);
        }
    }

    fn take(&mut self) -> Count {
        self.bytes = 0;
        Count(self.counts.drain().map(|(word, count)| (word.into(), count)).collect())
    }
}

impl Actor for Splitter {
    type Context = Context<Self>;
}

impl Spawn for Splitter {
    type Args = Vec<ProcAddr<Tally>>;

    fn spawn(tallies: Vec<ProcAddr<Tally>>, _: &Birth) -> Result<Self, SpawnError> {
        match tallies.is_empty() {
            true => Err("the list of tallies is empty".into()),
            false => Ok(Splitter { batches: tallies.iter().map(|_| Batch::default()).collect(), tallies }),
        }
    }
}

impl Handler<Piece> for Splitter {
    type Result = ();

    fn handle(&mut self, Piece(bytes): Piece, context: &mut Context<Self>) {
        let mut word = String::new();
        for run in bytes.split(|byte| !byte.is_ascii_alphanumeric()).filter(|run| !run.is_empty()) {
            word.clear();
            word.extend(run.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            self.batches[owner(&word, self.tallies.len())].add(&word);
        }
        let full = self.tallies.iter().zip(&mut self.batches).filter(|(_, batch)| batch.bytes >= BATCH_BYTES);
        let tells: Vec<_> = full.map(|(tally, batch)| tally.tell(batch.take())).collect();
        if tells.is_empty() {
            return;
        }
        // Nothing more is taken from the mailbox until the tallies have room: that is what slows the reader down.
        let told = async move {
            for tell in tells {
                if let Err(error) = tell.await {
                    tracing::error!("words are lost: {error}");
                    procession::finish(1);
                }
            }
        };
        context.wait(told.into_actor(self));
    }
}

impl Handler<Flush> for Splitter {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, _: Flush, _: &mut Context<Self>) -> Self::Result {
        let batches = self.tallies.iter().zip(&mut self.batches);
        let sends: Vec<_> = batches.map(|(tally, batch)| tally.send(batch.take())).collect();
        Box::pin(async move {
            for send in sends {
                send.await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}
