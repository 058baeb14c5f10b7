//! Spans that have ended, for whoever collects them.

use std::cell::Cell;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// A span of a trace that has ended. A message: put it into an actor's list, and it can be told from every process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
    /// The span above it; none of the first of a trace.
    pub parent: Option<u64>,
    /// The name of the process; empty outside of any topology.
    pub process: String,
    /// The name of the span.
    pub name: String,
    /// Its first fields, cut.
    pub fields: Vec<(String, String)>,
    /// When it began: microseconds since 1970, by the clock of its machine.
    pub began_us: u64,
    /// How long it was there.
    pub lasted_us: u64,
}

type Collector = Arc<dyn Fn(Finished) + Send + Sync>;

struct Collecting {
    collector: Collector,
    process: String,
}

static COLLECTING: RwLock<Option<Collecting>> = RwLock::new(None);

/// Calls `collector` with each span of a trace of this process that has ended, on the thread where it ends, in the place of an
/// earlier one; `process` is what this one is called. What the collector sends belongs to no trace.
///
/// ```
/// # use procession::prelude::*;
/// # use procession::trace::{self, Finished};
/// fn collect(birth: &Birth, at: ProcRecipient<Finished>) {
///     trace::on_finished(birth.process.as_str(), move |span| at.do_send(span));
/// }
/// ```
pub fn on_finished(process: &str, collector: impl Fn(Finished) + Send + Sync + 'static) {
    let collecting = Collecting { collector: Arc::new(collector), process: process.to_owned() };
    *COLLECTING.write().unwrap_or_else(PoisonError::into_inner) = Some(collecting);
}

thread_local! {
    /// Whether this thread runs the collector: what that does is not collected.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

fn collecting() -> Option<(Collector, String)> {
    let collecting = COLLECTING.read().unwrap_or_else(PoisonError::into_inner);
    collecting.as_ref().map(|found| (Arc::clone(&found.collector), found.process.clone()))
}

/// Whether the collector runs on this thread.
pub(super) fn is_telling() -> bool {
    TELLING.try_with(Cell::get).unwrap_or(true)
}

pub(super) fn tell(finished: impl FnOnce(String) -> Finished) {
    /// Also where the collector panics.
    struct Told;
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = TELLING.try_with(|telling| telling.set(false));
        }
    }
    if TELLING.try_with(|telling| telling.replace(true)).unwrap_or(true) {
        return;
    }
    let _told = Told;
    if let Some((collector, process)) = collecting() {
        collector(finished(process));
    }
}
