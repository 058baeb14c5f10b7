//! The life of a worker: born by the root's welcome, ended by the root's stop, its own wish or the root's death.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::drain::drained;
use super::host::{Factories, Host, Orders, PANIC_CODE, Stage, take_orders};
use super::local::{self, HostOrder, Hosting, Runtime};
use super::spawn::Birth;
use super::state::Keeping;
use crate::address;
use crate::id::{ActorName, BuildId, Capability, Slot};
use crate::process::asks::Asks;
use crate::process::bootstrap::{self, BOOTSTRAP_CODE, Takeover};
use crate::process::control::{
    ControlEvent, ControlLane, ROOT_GONE_CODE, ROOT_GONE_GRACE, TERMINATE_GRACE, TERMINATED_CODE,
};
use crate::process::handling;
use crate::process::keeping::Keeper;
use crate::process::routing::{Broker, Identity, Router};
use crate::protocol::Delivery;
use crate::protocol::control::{KnownActor, Ready, Refusal, ToRoot, ToWorker, Welcome};
use crate::sys::slice;
use crate::transport::polling;

/// The runtime of every arbiter of ours.
pub(super) fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(|| {
            polling::before_park();
            handling::park();
        })
        .on_thread_unpark(|| {
            handling::unpark();
            polling::after_unpark();
        })
        .build()
        .expect("a tokio runtime needs an epoll")
}

/// How long a process that ends by its own wish, or because an actor panics too often, may take to drain.
const OWN_GRACE: Duration = Duration::from_secs(5);

/// Why and how soon the worker ends.
#[derive(Clone, Copy, Debug)]
struct End {
    code: i32,
    grace: Duration,
    /// Of its own accord: then what was begun is finished first, also the start.
    own: bool,
}

/// What the control thread and the arbiter share.
#[derive(Debug)]
struct Inbox {
    state: Mutex<InboxState>,
    end: watch::Sender<Option<End>>,
}

#[derive(Debug, Default)]
struct InboxState {
    desks: Option<Desks>,
    /// What came before there was a router.
    early: Vec<(ToWorker, Vec<OwnedFd>)>,
}

impl Inbox {
    fn new() -> Arc<Inbox> {
        Arc::new(Inbox { state: Mutex::default(), end: watch::Sender::new(None) })
    }

    /// On the control thread.
    fn take(&self, event: ControlEvent) {
        match event {
            ControlEvent::Frame(ToWorker::Stop { grace_ms }, _) => {
                self.end(End { code: 0, grace: Duration::from_millis(grace_ms), own: false });
            }
            ControlEvent::Frame(frame, descriptors) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                match &state.desks {
                    Some(desks) => desks.take(frame, descriptors),
                    None => state.early.push((frame, descriptors)),
                }
            }
            ControlEvent::RootGone => {
                self.end(End { code: ROOT_GONE_CODE, grace: ROOT_GONE_GRACE, own: false })
            }
            ControlEvent::Terminate => {
                self.end(End { code: TERMINATED_CODE, grace: TERMINATE_GRACE, own: false })
            }
        }
    }

    fn set_desks(&self, desks: Desks) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (frame, descriptors) in std::mem::take(&mut state.early) {
            desks.take(frame, descriptors);
        }
        state.desks = Some(desks);
    }

    /// The first reason to end gives the code; a later one can only make it sooner.
    fn end(&self, end: End) {
        self.end.send_modify(|current| {
            *current = Some(match *current {
                Some(first) => {
                    let (grace, own) = (first.grace.min(end.grace), first.own && end.own);
                    End { code: first.code, grace, own }
                }
                None => end,
            });
        });
    }
}

/// Who takes what the root says.
#[derive(Clone, Debug)]
struct Desks {
    router: Arc<Router>,
    keeper: Arc<Keeper>,
    asks: Arc<Asks>,
}

impl Desks {
    fn take(&self, frame: ToWorker, descriptors: Vec<OwnedFd>) {
        match self.router.handle_control(frame, descriptors) {
            Some(ToWorker::Kept { slot, number, refused }) => self.keeper.handle_kept(slot, number, refused),
            Some(ToWorker::Answer { number, answer }) => self.asks.handle_answer(number, answer),
            _ => {}
        }
    }
}

struct Lane(ControlLane);

impl Broker for Lane {
    fn say(&self, what: ToRoot) {
        // What is said here is refused only when the root is gone, and then this process ends.
        let _ = self.0.send(what);
    }
}

/// The inbox of this process, for `finish`.
static INBOX: Mutex<Option<Arc<Inbox>>> = Mutex::new(None);

/// Ends this process in order with this code, as a batch job does when its work is done: intake is closed, what was
/// taken in is handled, actors stop. What that means for the topology is said there, by the process's restart policy
/// and by `significant`.
///
/// Returns at once. Only a worker can be ended so; in a root this does nothing, since there `main` returns.
pub fn finish(code: i32) {
    let inbox = INBOX.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match inbox {
        Some(inbox) => inbox.end(End { code, grace: OWN_GRACE, own: true }),
        None => tracing::warn!(target: "procession", "`finish` does nothing outside a worker"),
    }
}

/// Lives as a worker until the process ends.
pub(super) fn live(factories: &Factories, duplicate: Option<&'static str>, mut takeover: Takeover) -> ! {
    let (build, states) = (takeover.build(), takeover.take_states());
    let inbox = Inbox::new();
    *INBOX.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&inbox));
    let control = Arc::clone(&inbox);
    let (welcome, lane) = match takeover.start(move |event| control.take(event)) {
        Ok(started) => started,
        Err(error) => error.exit(),
    };
    let router = Router::new(identity(&welcome, build), Box::new(Lane(lane.clone())));
    router.learn(welcome.names.iter().cloned());
    // A process may look up its own.
    router.learn(welcome.actors.iter().map(|actor| KnownActor {
        name: actor.name.clone(),
        id: router.rights().mint(actor.slot),
        type_name: actor.type_name.clone(),
        process: welcome.name.clone(),
        delivery: actor.rules.delivery,
    }));
    router.rights().learn_edges(&welcome.edges);
    router.rights().learn_revoked(&welcome.revoked);
    address::enter(Arc::clone(&router));
    let keeper = Keeper::new(Arc::clone(&router), welcome.snapshot_limit, states);
    let asks = Asks::new(&router);
    inbox.set_desks(Desks {
        router: Arc::clone(&router),
        keeper: Arc::clone(&keeper),
        asks: Arc::clone(&asks),
    });
    let (hosting, changes) = Hosting::new(welcome.group.rules);
    local::set_current(Some(Runtime::new(asks, Arc::clone(&router), Some(hosting))));
    let system = actix::System::with_tokio_rt(tokio_runtime);
    let dying = lane.clone();
    let orders = Orders {
        end: Box::new({
            let inbox = Arc::clone(&inbox);
            move |code| inbox.end(End { code, grace: OWN_GRACE, own: true })
        }),
        die: Box::new(move || bootstrap::die(&dying, PANIC_CODE)),
    };
    let host = match (duplicate, welcome.actors.first()) {
        (Some(name), Some(first)) => {
            let reason = super::Error::DuplicateType(name).to_string();
            Err(Refusal::Spawn { actor: first.name.clone(), reason })
        }
        _ => Host::new(&router, Rc::clone(factories), (birth(&welcome), keeper), &welcome, orders),
    };
    let code = system.block_on(serve(host, changes, &welcome, &router, &inbox, build));
    bootstrap::leave(&lane, code)
}

fn identity(welcome: &Welcome, build: BuildId) -> Identity {
    Identity {
        process: welcome.process,
        incarnation: welcome.incarnation,
        name: welcome.name.clone(),
        build,
        limits: welcome.limits,
        ask_timeout: Duration::from_millis(welcome.ask_timeout_ms),
        serialise_always: welcome.serialise_always,
        key: welcome.key.clone(),
        run: welcome.run,
    }
}

/// Starts the actors, waits for the end, and stops them. Returns the exit code.
async fn serve(
    host: Result<Rc<Host>, Refusal>,
    changes: mpsc::Receiver<HostOrder>,
    welcome: &Welcome,
    router: &Arc<Router>,
    inbox: &Arc<Inbox>,
    build: BuildId,
) -> i32 {
    polling::set(welcome.busy_poll);
    address::serve(router);
    let refuse = |refusal| {
        router.say(ToRoot::Refused(refusal));
        BOOTSTRAP_CODE
    };
    let host = match host {
        Ok(host) => host,
        Err(refusal) => return refuse(refusal),
    };
    handling::on_panic_aside(|slot, life, text| {
        if let Some(host) = Host::current() {
            host.panicked_aside(slot, life, text);
        }
    });
    actix::spawn(Rc::clone(&host).run());
    actix::spawn(take_orders(Rc::clone(&host), changes));
    let mut ending = inbox.end.subscribe();
    let (mut stage, mut asked) = (host.stage(), inbox.end.subscribe());
    let begun = tokio::select! {
        biased;
        _ = asked.wait_for(|end| end.is_some_and(|end| !end.own)) => None,
        begun = stage.wait_for(|stage| *stage != Stage::Starting) => begun.ok().map(|stage| stage.clone()),
    };
    match begun {
        Some(Stage::Over(Some(refusal))) => return refuse(refusal),
        Some(_) => {
            let (process, incarnation, limits) = (welcome.process, welcome.incarnation, welcome.limits);
            router.say(ToRoot::Ready(Ready { process, incarnation, build, limits }));
            // Not sooner: the start of a process is work that others go before. Where it is forbidden, they wait longer.
            let _ = slice::shorten();
        }
        // Asked to end before it was ready: nothing may be said before that.
        None => {}
    }
    let end = match ending.wait_for(Option::is_some).await {
        Ok(end) => *end,
        Err(_) => None,
    };
    let end = end.unwrap_or(End { code: ROOT_GONE_CODE, grace: ROOT_GONE_GRACE, own: false });
    if begun.is_some() {
        router.say(ToRoot::Finish { code: end.code });
    }
    stop(&host, router, end.grace).await;
    end.code
}

/// Of the grace, what is left for replies that were given to leave the process.
const FLUSH_SHARE: u32 = 4;

/// Of the grace, what is left at least for the actors to stop in.
const STOP_SHARE: u32 = 4;

/// Closes intake, drains, stops the actors, closes the connections (P-4). Ends when the grace does, whatever is left.
async fn stop(host: &Host, router: &Router, grace: Duration) {
    router.stop();
    let flushing = grace / FLUSH_SHARE;
    let stopping = grace / STOP_SHARE;
    let until = tokio::time::Instant::now() + (grace - flushing);
    let drained = tokio::time::timeout_at(until - stopping, drained(router)).await;
    // Whatever was not handled, as the ask of an actor that keeps the right to answer it: actors still end in order.
    let stopped = tokio::time::timeout_at(until, host.stop()).await;
    if drained.is_err() || stopped.is_err() {
        tracing::warn!(target: "procession", ?grace, "not everything was handled before this process had to end");
    }
    let _ = tokio::time::timeout(flushing, router.close()).await;
}

fn birth(welcome: &Welcome) -> Birth {
    Birth {
        topology: welcome.topology.clone(),
        process: welcome.name.clone(),
        incarnation: welcome.incarnation,
        last_exit: welcome.last_exit,
        actor: ActorName::new("unborn").expect("a name"),
        restarts: 0,
        keeping: Keeping::default(),
        id: Capability::mint(&welcome.key, welcome.process, Slot(0)),
        delivery: Delivery::default(),
    }
}
