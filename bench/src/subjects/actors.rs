//! The actor and the messages that Procession and plain actix are measured with: the same ones.

use procession::prelude::*;

use crate::cores;

/// Sixty-four bytes that want an answer of sixty-four bytes.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Words")]
pub(super) struct Echo(pub(super) Words);

/// Sixty-four bytes.
pub(super) type Words = [u64; 8];

/// Sixty-four bytes that want no answer.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(super) struct Note(pub(super) Words);

/// How many notes came since the last such question.
#[derive(Clone, Copy, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(super) struct Confirm;

/// Answers, and counts what needs no answer.
#[derive(Debug, Default, ProcActor)]
#[proc_actor(messages(Echo, Note, Confirm))]
pub(super) struct Receiver {
    notes: u64,
}

/// What plain actix keeps for an actor before a `send` has to wait: the same as a window of Procession.
const MAILBOX: usize = 1024;

impl Actor for Receiver {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Spawn for Receiver {
    /// The core of its thread.
    type Args = Option<usize>;

    fn spawn(core: Option<usize>, _: &Birth) -> Result<Self, SpawnError> {
        cores::pin(core).map_err(|error| error.to_string())?;
        Ok(Receiver::default())
    }
}

impl Handler<Echo> for Receiver {
    type Result = MessageResult<Echo>;

    fn handle(&mut self, echo: Echo, _: &mut Context<Self>) -> Self::Result {
        MessageResult(echo.0)
    }
}

impl Handler<Note> for Receiver {
    type Result = ();

    fn handle(&mut self, note: Note, _: &mut Context<Self>) {
        self.notes += note.0[0];
    }
}

impl Handler<Confirm> for Receiver {
    type Result = u64;

    fn handle(&mut self, _: Confirm, _: &mut Context<Self>) -> u64 {
        std::mem::take(&mut self.notes)
    }
}

/// The content of a message. Notes are counted by its first word.
pub(super) const WORDS: Words = [1; 8];
