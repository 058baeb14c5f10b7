//! Plain actix, with the same actor and messages: within one thread, and across two arbiters.

use actix::{Actor, Addr, Arbiter, System};

use super::Subject;
use super::actors::{Confirm, Echo, Note, Receiver, WORDS};
use super::ours::confirmed;
use crate::cores;
use crate::drive;
use crate::part::{Failure, Part, Reading, Task};

/// `do_send` knows no bound, so that the receiver of the same thread gets its turn after so many.
const TURN: u64 = 1024;

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    System::new().block_on(async {
        let receiver = match part.subject {
            Subject::ActixThread => Receiver::default().start(),
            _ => {
                let arbiter = Arbiter::new();
                let far = part.placement.far()?;
                Receiver::start_in_arbiter(&arbiter.handle(), move |_| {
                    // The measurement would show it.
                    let _ = cores::pin(far);
                    Receiver::default()
                })
            }
        };
        receiver.send(Confirm).await?;
        cores::pin(part.placement.near()?)?;
        // A task, as for Procession.
        actix::spawn(drive(*part, receiver)).await?
    })
}

async fn drive(part: Part, receiver: Addr<Receiver>) -> Result<Reading, Failure> {
    match part.task {
        Task::Ask => drive::asks(&part, || ask(&receiver)).await,
        Task::Ask64 => drive::asks64(&part, || ask(&receiver)).await,
        Task::Tell => drive::tells(&part, || tell(part.batch(), &receiver)).await,
    }
}

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
