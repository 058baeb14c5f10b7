//! An actor that starts and stops processes and actors at run time, as it is told.

use std::time::Duration;

use procession::prelude::*;
use procession::protocol::ActorRules;

use crate::actors::*;
use crate::stage::probe;
use crate::states::{HandsOver, Vault};

messages! {
    /// Starts a process with one probe, `of-` and its name.
    Found { name: String, linked: bool } -> "Result<ProcAddr<Probe>, String>";
    /// As `Found`; if it is there already, gives the address that the error has.
    FindOrFound(String) -> "Result<(bool, ProcAddr<Probe>), String>";
    /// Starts a process that never becomes ready.
    FoundSlow { name: String, linked: bool } -> "Result<(), String>";
    Dissolve(String) -> "Result<(), String>";
    /// Starts a probe in its own process.
    FoundActor { name: String, temporary: bool } -> "Result<ProcAddr<Probe>, String>";
    /// As `FoundActor`; if it is there already, gives the address that the error has.
    FindOrFoundActor(String) -> "Result<(bool, ProcAddr<Probe>), String>";
    FoundPicky(Mishap) -> "Result<(), String>";
    FoundVault(String) -> "Result<ProcAddr<Vault>, String>";
    DissolveActor(String) -> "Result<(), String>";
    /// The processes and who started them.
    Who() -> "Vec<(String, Option<String>)>";
}

/// Starts and stops processes as it is told.
#[derive(ProcActor)]
#[proc_actor(messages(
    Found,
    FindOrFound,
    FoundSlow,
    Dissolve,
    Who,
    WhoAreYou,
    Double,
    FoundActor,
    FindOrFoundActor,
    FoundPicky,
    FoundVault,
    DissolveActor,
))]
pub(crate) struct Founder(Life);

impl Actor for Founder {
    type Context = Context<Self>;
}

impl Spawn for Founder {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        let (pid, incarnation) = (std::process::id(), birth.incarnation.0);
        Ok(Founder(Life { pid, incarnation, restarts: birth.restarts, last_exit: birth.last_exit }))
    }
}

type Later<R> = ResponseFuture<R>;

pub(crate) fn with_probe(name: &str) -> Process {
    probe(name, &format!("of-{name}"))
}

impl Handler<Found> for Founder {
    type Result = Later<Result<ProcAddr<Probe>, String>>;

    fn handle(&mut self, Found { name, linked }: Found, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let runtime = Runtime::current().map_err(|error| error.to_string())?;
            let started = match linked {
                true => runtime.start_linked(with_probe(&name)).await,
                false => runtime.start(with_probe(&name)).await,
            };
            let started = started.map_err(|error| error.to_string())?;
            // By name, too: who started it may look it up.
            let named = ProcAddr::<Probe>::named(&format!("of-{name}"));
            assert_eq!(named.send(Double(1)).await.map_err(|error| error.to_string())?, 2);
            started.addr(&format!("of-{name}")).map_err(|error| error.to_string())
        })
    }
}

impl Handler<FindOrFound> for Founder {
    type Result = Later<Result<(bool, ProcAddr<Probe>), String>>;

    fn handle(&mut self, FindOrFound(name): FindOrFound, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let actor = format!("of-{name}");
            let (is_new, addr) = match Runtime::current().unwrap().start(with_probe(&name)).await {
                Ok(started) => (true, started.addr(&actor)),
                Err(error) => (false, error.addr(&actor)),
            };
            addr.map(|addr| (is_new, addr)).map_err(|error| error.to_string())
        })
    }
}

impl Handler<FoundSlow> for Founder {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, FoundSlow { name, linked }: FoundSlow, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let slow = Process::new(&name).actor::<Picky>(format!("of-{name}"), Mishap::NeverReady);
            let slow = slow.start_deadline(Duration::from_millis(500));
            let runtime = Runtime::current().unwrap();
            let started = if linked { runtime.start_linked(slow).await } else { runtime.start(slow).await };
            started.map(drop).map_err(|error| error.to_string())
        })
    }
}

impl Handler<Dissolve> for Founder {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, Dissolve(name): Dissolve, _: &mut Context<Self>) -> Self::Result {
        Box::pin(
            async move { Runtime::current().unwrap().stop(&name).await.map_err(|error| error.to_string()) },
        )
    }
}

impl Handler<FoundActor> for Founder {
    type Result = Later<Result<ProcAddr<Probe>, String>>;

    fn handle(&mut self, FoundActor { name, temporary }: FoundActor, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let policy = if temporary { Policy::Temporary } else { Policy::Permanent };
            let runtime = Runtime::current().unwrap();
            let rules = |rules| ActorRules { policy, ..rules };
            runtime.start_actor_with::<Probe>(&name, (), rules).await.map_err(|error| error.to_string())
        })
    }
}

impl Handler<FindOrFoundActor> for Founder {
    type Result = Later<Result<(bool, ProcAddr<Probe>), String>>;

    fn handle(&mut self, FindOrFoundActor(name): FindOrFoundActor, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            match Runtime::current().unwrap().start_actor::<Probe>(&name, ()).await {
                Ok(addr) => Ok((true, addr)),
                Err(error) => error.addr(&name).map(|addr| (false, addr)).map_err(|_| error.to_string()),
            }
        })
    }
}

impl Handler<FoundPicky> for Founder {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, FoundPicky(mishap): FoundPicky, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let started = Runtime::current().unwrap().start_actor::<Picky>("picky", mishap).await;
            started.map(drop).map_err(|error| error.to_string())
        })
    }
}

impl Handler<FoundVault> for Founder {
    type Result = Later<Result<ProcAddr<Vault>, String>>;

    fn handle(&mut self, FoundVault(name): FoundVault, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let started = Runtime::current().unwrap().start_actor::<Vault>(&name, HandsOver::Itself).await;
            started.map_err(|error| error.to_string())
        })
    }
}

impl Handler<DissolveActor> for Founder {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, DissolveActor(name): DissolveActor, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            Runtime::current().unwrap().stop_actor(&name).await.map_err(|error| error.to_string())
        })
    }
}

impl Handler<Who> for Founder {
    type Result = Later<Vec<(String, Option<String>)>>;

    fn handle(&mut self, _: Who, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let processes = Runtime::current().unwrap().processes().await.unwrap();
            let said = |by: procession::id::ProcessName| by.to_string();
            processes.into_iter().map(|info| (info.name.to_string(), info.started_by.map(said))).collect()
        })
    }
}

impl Handler<WhoAreYou> for Founder {
    type Result = Life;

    fn handle(&mut self, _: WhoAreYou, _: &mut Context<Self>) -> Life {
        self.0.clone()
    }
}

impl Handler<Double> for Founder {
    type Result = u64;

    fn handle(&mut self, Double(value): Double, _: &mut Context<Self>) -> u64 {
        value * 2
    }
}
