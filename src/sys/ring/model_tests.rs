//! The handshake's own source, under a model checker that tries every order of its steps.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU32, Ordering, fence};
}
#[allow(clippy::duplicate_mod)] // with other atomics
#[path = "handshake.rs"]
mod handshake;

use self::atomic::{AtomicU32, Ordering};
use self::handshake::{Flag, Raised};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

struct Shared {
    news: AtomicU32,
    asleep: Flag,
    bell: (Mutex<bool>, Condvar),
}

/// A sleeper that is never woken is a deadlock, which the checker reports.
#[test]
fn no_wake_is_lost_in_any_order() {
    let mut checker = loom::model::Builder::new();
    // Four interruptions are more than a lost wake needs, and all of them would take a quarter of a minute.
    checker.preemption_bound = Some(4);
    checker.check(|| {
        let shared = Arc::new(Shared {
            news: AtomicU32::new(0),
            asleep: Flag(AtomicU32::new(0)),
            bell: (Mutex::new(false), Condvar::new()),
        });
        let writer = Arc::clone(&shared);
        let writing = thread::spawn(move || {
            for news in 1..=2 {
                writer.news.store(news, Ordering::Release);
                if writer.asleep.take(|| true) {
                    *writer.bell.0.lock().expect("bell") = true;
                    writer.bell.1.notify_one();
                }
            }
        });
        let mut seen = 0;
        while seen < 2 {
            let raised = shared.asleep.raise(|| shared.news.load(Ordering::Acquire) != seen);
            if raised == Raised::Sleep {
                let mut rung = shared.bell.0.lock().expect("bell");
                while !*rung {
                    rung = shared.bell.1.wait(rung).expect("bell");
                }
                *rung = false;
            }
            seen = shared.news.load(Ordering::Acquire);
        }
        writing.join().expect("the writer");
    });
}
