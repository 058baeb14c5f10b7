//! The actors of the stories: those that are supervised, and one that writes down what they say.

use procession::prelude::*;

pub(crate) fn program() -> Program {
    Program::new().actor::<Child>().actor::<Ledger>()
}

messages! {
    /// To the ledger.
    Said(String) -> "()";
    Read() -> "Vec<String>";
    /// To a child.
    WhoAreYou() -> "Life";
    End(How) -> "()";
    /// Goes on after its handler has returned until the ledger has [`GO_ON`], and says when it is done.
    Slowly() -> "()";
    /// Panics in a future that is a task of its own, once that was let go.
    PanicLater() -> "()";
    LetPanic() -> "()";
}

/// What the ledger has when a slow handler may end.
pub(crate) const GO_ON: &str = "go on";

/// How a child ends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum How {
    /// By itself.
    Stop,
    /// In the handler.
    Panic,
    /// In a future that the actor runs.
    PanicInside,
    /// In a future that is a task of its own.
    PanicAside,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, MessageResponse)]
pub(crate) struct Life {
    pub(crate) pid: u32,
    pub(crate) incarnation: u32,
    pub(crate) restarts: u32,
}

/// What a child is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Nature {
    #[default]
    Quiet,
    /// Says in the ledger when it starts and stops.
    Talks,
    /// Panics as it starts.
    PanicsAtStart,
    /// Does not stop when it is asked to.
    Stubborn,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Upbringing {
    pub(crate) nature: Nature,
    pub(crate) ledger: Option<ProcAddr<Ledger>>,
}

/// Lives, and ends as it is told.
#[derive(ProcActor)]
#[proc_actor(messages(WhoAreYou, End, Slowly, PanicLater, LetPanic))]
pub(crate) struct Child {
    name: String,
    life: Life,
    upbringing: Upbringing,
}

impl Child {
    fn say(&self, what: &str) {
        if let (Nature::Talks, Some(ledger)) = (self.upbringing.nature, &self.upbringing.ledger) {
            ledger.do_send(Said(format!("{} {what}", self.name)));
        }
    }
}

impl Actor for Child {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        assert_ne!(self.upbringing.nature, Nature::PanicsAtStart, "not today");
        self.say("started");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> actix::Running {
        match self.upbringing.nature {
            Nature::Stubborn => actix::Running::Continue,
            _ => actix::Running::Stop,
        }
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.say("stopped");
    }
}

impl Spawn for Child {
    type Args = Upbringing;

    fn spawn(upbringing: Upbringing, birth: &Birth) -> Result<Self, SpawnError> {
        let (pid, incarnation) = (std::process::id(), birth.incarnation.0);
        let life = Life { pid, incarnation, restarts: birth.restarts };
        Ok(Child { name: birth.actor.to_string(), life, upbringing })
    }
}

impl Handler<WhoAreYou> for Child {
    type Result = Life;

    fn handle(&mut self, _: WhoAreYou, _: &mut Context<Self>) -> Life {
        self.life.clone()
    }
}

impl Handler<End> for Child {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, End(how): End, context: &mut Context<Self>) -> ResponseFuture<()> {
        match how {
            How::Stop => context.stop(),
            How::Panic => panic!("as told"),
            How::PanicInside => {
                context.spawn(tokio::task::yield_now().into_actor(self).map(|(), _, _| panic!("as told")));
            }
            How::PanicAside => {
                return Box::pin(async {
                    tokio::task::yield_now().await;
                    panic!("as told")
                });
            }
        }
        Box::pin(async {})
    }
}

/// In a process of children: their tasks may panic.
static MAY_PANIC: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);

impl Handler<PanicLater> for Child {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: PanicLater, _: &mut Context<Self>) -> ResponseFuture<()> {
        Box::pin(async {
            MAY_PANIC.acquire().await.unwrap().forget();
            panic!("of a life before")
        })
    }
}

impl Handler<LetPanic> for Child {
    type Result = ();

    fn handle(&mut self, _: LetPanic, _: &mut Context<Self>) {
        MAY_PANIC.add_permits(1);
    }
}

impl Handler<Slowly> for Child {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Slowly, _: &mut Context<Self>) -> ResponseFuture<()> {
        let (name, ledger) = (self.name.clone(), self.upbringing.ledger.clone());
        Box::pin(async move {
            let Some(ledger) = ledger else { return };
            while !ledger.send(Read).await.is_ok_and(|lines| lines.iter().any(|line| line == GO_ON)) {
                tokio::task::yield_now().await;
            }
            ledger.do_send(Said(format!("{name} is done")));
        })
    }
}

/// Writes down.
#[derive(ProcActor)]
#[proc_actor(messages(Said, Read))]
pub(crate) struct Ledger {
    lines: Vec<String>,
}

impl Actor for Ledger {
    type Context = Context<Self>;
}

impl Spawn for Ledger {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Ledger { lines: Vec::new() })
    }
}

impl Handler<Said> for Ledger {
    type Result = ();

    fn handle(&mut self, Said(line): Said, _: &mut Context<Self>) {
        self.lines.push(line);
    }
}

impl Handler<Read> for Ledger {
    type Result = Vec<String>;

    fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<String> {
        self.lines.clone()
    }
}
