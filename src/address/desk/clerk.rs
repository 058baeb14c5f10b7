//! The actor that is asked.

use std::sync::Arc;

use actix::prelude::*;
use procession_macros::ProcActor;

use super::Desk;
use crate::address::actor::{Accepts, ProcMessage};
use crate::address::addr::{ProcAddr, which};
use crate::address::context;
use crate::address::dispatch;
use crate::address::request::Request;
use crate::address::target::Target;
use crate::codec;
use crate::id::ProcessId;
use crate::process::handling;
use crate::process::routing::Router;
use crate::protocol::connection::Mode;
use crate::protocol::responders::{Answer, Hold, Lost, MOST_DESK_BYTES, Released, ReplyTicket};
use crate::protocol::streams::{Batch, Cancel, Claim, Passed, Pull, Wrong};

impl Message for Claim {
    type Result = ();
}

impl Message for Pull {
    type Result = Batch;
}

impl Message for Cancel {
    type Result = ();
}

impl Message for Passed {
    type Result = ();
}

impl Message for Hold {
    type Result = ();
}

impl Message for Lost {
    type Result = ();
}

impl Message for Answer {
    type Result = ();
}

impl Message for Released {
    type Result = ();
}

/// See [`Desk`].
#[derive(ProcActor)]
#[proc_actor(messages(Claim, Pull, Cancel, Passed, Hold, Lost, Answer, Released), name = "procession::Clerk")]
pub(in crate::address) struct Clerk {
    desk: Arc<Desk>,
}

impl Actor for Clerk {
    type Context = Context<Self>;
}

/// Starts the drivers of connections, and the desk, on the arbiter that calls this.
pub fn serve(router: &Arc<Router>) {
    actix::spawn(Arc::clone(router).run());
    // Without randomness there are neither streams nor answers by others, and whoever tries is told so.
    let Some(desk) = Desk::new(router).map(Arc::new) else { return };
    let clerk = Clerk { desk: Arc::clone(&desk) }.start();
    // There is a runtime, or nobody would be served.
    if let Ok(addr) = ProcAddr::export(clerk) {
        if let Ok(encoded) = codec::encode(&addr, MOST_DESK_BYTES) {
            router.set_desk(encoded);
        }
        desk.open(addr.target().clone());
        router.set_on_stop(super::stop);
    }
}

/// Asks a desk, of whichever process.
pub(in crate::address) fn ask<M: ProcMessage>(target: &Target, message: M) -> Request<M>
where
    Clerk: Accepts<M>,
{
    Request(dispatch::submit(target, which::<Clerk, M>(), message, Mode::Call))
}

/// Tells a desk, and waits for nothing; that of this process at once.
pub(in crate::address) fn tell<M: ProcMessage>(target: &Target, message: M, here: impl FnOnce(&Arc<Desk>, M))
where
    Clerk: Accepts<M>,
{
    let Some(router) = context::current() else { return };
    let Ok(id) = target.resolve(&router) else { return };
    match (router.is_local(id.process()), super::desk()) {
        (false, Some(desk)) => desk.owe_small(&router, &id, (which::<Clerk, M>(), &message)),
        (false, None) => dispatch::tell_and_forget(&router, &id, which::<Clerk, M>(), &message),
        (true, Some(desk)) => here(&desk, message),
        (true, None) => {}
    }
}

/// Gives a desk an answer; one that can't go there is told as a failure.
pub(in crate::address) fn tell_answer(target: &Target, answer: Answer) {
    let (Some(router), Some(desk)) = (context::current(), super::desk()) else { return };
    let Ok(id) = target.resolve(&router) else { return };
    match router.is_local(id.process()) {
        true => desk.answer(answer, None),
        false => desk.owe_answer(&router, &id, &answer),
    }
}

/// That process did what no honest one does: the root is told, once for each pipe.
pub(in crate::address) fn accuse(process: Option<ProcessId>, reason: String) {
    if let (Some(router), Some(process)) = (context::current(), process) {
        router.accuse(process, reason);
    }
}

impl Clerk {
    fn judge(result: Result<(), Wrong>) {
        if let Err(wrong) = result
            && wrong.is_violation()
        {
            accuse(handling::sender(), wrong.to_string());
        }
    }

    /// Whether a ticket can be one of ours; who shows another is blamed.
    fn knows(&self, ticket: ReplyTicket) -> bool {
        let may_be_ours = self.desk.may_be_ours(ticket);
        if !may_be_ours {
            accuse(handling::sender(), "it has a responder that nobody gave it".to_owned());
        }
        may_be_ours
    }
}

impl Handler<Claim> for Clerk {
    type Result = ();

    fn handle(&mut self, Claim(stream): Claim, _: &mut Context<Self>) {
        Clerk::judge(self.desk.claim(stream, handling::sender()));
    }
}

impl Handler<Cancel> for Clerk {
    type Result = ();

    fn handle(&mut self, Cancel(stream): Cancel, _: &mut Context<Self>) {
        Clerk::judge(self.desk.cancel(stream, handling::sender()));
    }
}

impl Handler<Passed> for Clerk {
    type Result = ();

    fn handle(&mut self, Passed(stream): Passed, _: &mut Context<Self>) {
        Clerk::judge(self.desk.pass(stream, handling::sender()));
    }
}

impl Handler<Pull> for Clerk {
    type Result = ResponseFuture<Batch>;

    fn handle(&mut self, pull: Pull, _: &mut Context<Self>) -> ResponseFuture<Batch> {
        let (desk, sender) = (Arc::clone(&self.desk), handling::sender());
        Box::pin(async move {
            let (batch, wrong) = desk.pull(pull, sender).await;
            if let Some(wrong) = wrong.filter(|wrong| wrong.is_violation()) {
                accuse(sender, wrong.to_string());
            }
            batch
        })
    }
}

impl Handler<Hold> for Clerk {
    type Result = ();

    fn handle(&mut self, hold: Hold, _: &mut Context<Self>) {
        if self.knows(hold.ticket) {
            self.desk.hold(hold, handling::sender());
        }
    }
}

impl Handler<Lost> for Clerk {
    type Result = ();

    fn handle(&mut self, lost: Lost, _: &mut Context<Self>) {
        if self.knows(lost.ticket) {
            self.desk.lost(lost);
        }
    }
}

impl Handler<Answer> for Clerk {
    type Result = ();

    fn handle(&mut self, answer: Answer, _: &mut Context<Self>) {
        if self.knows(answer.ticket) {
            self.desk.answer(answer, handling::sender());
        }
    }
}

impl Handler<Released> for Clerk {
    type Result = ();

    fn handle(&mut self, Released(ticket): Released, _: &mut Context<Self>) {
        self.desk.released(ticket);
    }
}
