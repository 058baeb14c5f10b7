//! Plain actix, with the same actor and messages: within one thread, and across two arbiters.

use actix::{Actor, Addr, Arbiter, System};
use bytes::Bytes;

use super::Subject;
use super::actors::{Confirm, Echo, Note, Payload, Receiver, WORDS, Who, confirmed};
use crate::cores;
use crate::drive::{self, PAYLOAD};
use crate::part::{Failure, Part, Reading, Task};

/// `do_send` knows no bound, so that the receiver of the same thread gets its turn after so many.
const TURN: u64 = 1024;

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    System::new().block_on(async {
        let receiver = match part.subject {
            Subject::ActixThread => Receiver.start(),
            _ => {
                let arbiter = Arbiter::new();
                let far = part.placement.far()?;
                Receiver::start_in_arbiter(&arbiter.handle(), move |_| {
                    // The measurement would show it.
                    let _ = cores::pin(far);
                    Receiver
                })
            }
        };
        receiver.send(Confirm).await?;
        cores::pin(part.placement.near()?)?;
        if part.task == Task::FanIn {
            return fan_in(part, &receiver).await;
        }
        // A task, as for Procession.
        actix::spawn(drive(*part, receiver)).await?
    })
}

async fn drive(part: Part, receiver: Addr<Receiver>) -> Result<Reading, Failure> {
    match part.task {
        Task::Ask => drive::asks(&part, || ask(&receiver)).await,
        Task::Ask64 => drive::asks64(&part, || ask(&receiver)).await,
        Task::Tell => drive::tells(&part, || tell(part.batch(), &receiver)).await,
        Task::Rate(rate) => drive::at_rate(&part, rate, || ask(&receiver)).await,
        Task::Payload => {
            // A copy of each, since processes that share nothing make one, too.
            let bytes = vec![1; PAYLOAD];
            let send = || receiver.do_send(Payload(Bytes::copy_from_slice(&bytes)));
            drive::payloads(&part, || payloads(part.payloads(), send, &receiver)).await
        }
        other => Err(format!("{other:?} is no task for threads").into()),
    }
}

/// Senders on arbiters of their own.
async fn fan_in(part: &Part, receiver: &Addr<Receiver>) -> Result<Reading, Failure> {
    let senders: Vec<Arbiter> = (0..part.senders()).map(|_| Arbiter::new()).collect();
    let each = part.batch() / u64::from(part.senders());
    let batch = || async {
        let (done, mut all) = tokio::sync::mpsc::channel(senders.len());
        for sender in &senders {
            let (receiver, done) = (receiver.clone(), done.clone());
            sender.spawn(async move {
                for _ in 0..each {
                    receiver.do_send(Note(WORDS));
                }
                // Behind the notes.
                let _ = done.send(receiver.send(Who).await).await;
            });
        }
        for _ in &senders {
            all.recv().await.ok_or("a sender is gone")??;
        }
        confirmed(receiver.send(Confirm).await?, each * u64::from(part.senders()))
    };
    drive::tells(part, batch).await
}

/// So many payloads, and the confirmation of the last.
async fn payloads(count: usize, send: impl Fn(), receiver: &Addr<Receiver>) -> Result<(), Failure> {
    for _ in 0..count {
        send();
        tokio::task::yield_now().await;
    }
    confirmed(receiver.send(Confirm).await?, u64::try_from(count)?)
}

/// Leaves at once, not when it is first waited for.
fn ask(receiver: &Addr<Receiver>) -> impl Future<Output = Result<(), Failure>> + use<> {
    let request = receiver.send(Echo(WORDS));
    async {
        request.await?;
        Ok(())
    }
}

async fn tell(count: u64, receiver: &Addr<Receiver>) -> Result<(), Failure> {
    for sent in 1..=count {
        receiver.do_send(Note(WORDS));
        if sent % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    confirmed(receiver.send(Confirm).await?, count)
}
