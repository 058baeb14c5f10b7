//! M-2: every send ends at its deadline, also while a handler blocks the thread that drives the pipes.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, peer, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![story("m2_deadlines_fire_on_other_threads_while_the_arbiter_is_blocked", blocked)]
}

/// Far more than the deadlines below take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on a thread that has no runtime.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Waits on a thread with a runtime of its own.
fn wait_in_tokio<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

async fn blocked(root: Root) -> procession::Result<()> {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let running = deploy(
        &root,
        [
            peer("left", "a"),
            peer("right", "b").actor::<Peer>("c", ()).mailbox(1, 1 << 20).max_message_bytes(1 << 20),
        ],
    )
    .await?;
    let (a, b) = (running.addr::<Peer>("a")?, running.addr::<Peer>("b")?);
    a.send(Double(1)).await?;
    let here = ProcAddr::export(Peer::default().start())?;
    // `b` has no room: its one message holds its actor.
    let hold = b.send(Hold);
    let fill = b.send(Double(1));
    let (tell, told) = mpsc::sync_channel(2);
    for runtime in [true, false] {
        let (tell, a, b, here) = (tell.clone(), a.clone(), b.clone(), here.clone());
        std::thread::spawn(move || {
            let run = async {
                let sent = a.send(Never).timeout(TIMEOUT).await.unwrap_err();
                let waits = b.send(Double(3)).timeout(TIMEOUT).await.unwrap_err();
                let local = here.send(Double(4)).timeout(TIMEOUT).await.unwrap_err();
                (sent, waits, local)
            };
            tell.send(if runtime { wait_in_tokio(run) } else { wait(run) }).unwrap();
        });
    }
    for _ in 0..2 {
        // This is the arbiter, and it is blocked here.
        let (sent, waits, local) = told.recv_timeout(PATIENCE).expect("every send ends");
        assert_eq!((sent.cause(), sent.verdict()), (&Cause::TimedOut, Verdict::Unknown));
        assert_eq!((waits.cause(), waits.verdict()), (&Cause::TimedOut, Verdict::NotExecuted));
        assert_eq!(waits.into_message().map(|double| double.0), Some(3));
        assert_eq!(local.cause(), &Cause::TimedOut);
    }
    // Later on nothing is left over, and the connection goes on.
    b.send(Release).timeout(Duration::from_millis(1)).await.unwrap_err();
    running.addr::<Peer>("c")?.send(Release).await?;
    hold.await?;
    assert_eq!((fill.await?, b.send(Double(8)).await?, a.send(Double(9)).await?), (2, 16, 18));
    running.shutdown().await
}
