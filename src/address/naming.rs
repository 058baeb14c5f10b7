//! What the root says of names that are watched and groups that are used here, and those who want to hear it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actix::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::actor::ProcActor;
use super::addr::ProcAddr;
use super::context;
use super::error::SendError;
use super::group::View;
use super::recipient::ProcRecipient;
use super::target::Target;
use crate::id::FullName;
use crate::process::routing::{NamesDesk, Router};
use crate::protocol::Delivery;
use crate::protocol::control::ToRoot;
use crate::protocol::names::{Holder, MAX_WATCHED, NameError, NameState, NamesToRoot, NamesToWorker};
use crate::protocol::wire::Cause;

/// A name changed hands; the message by which who watches it is told. Put it into the list of an actor's messages.
///
/// The first tells who holds it when the watch begins. Versions rise; one that is missing was a change that another
/// followed before there was room to tell it.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub struct NameChanged {
    /// The name.
    pub name: FullName,
    /// Rises with each change.
    pub version: u64,
    /// Who holds it.
    pub state: NameState,
}

/// Changes of a name that are kept for who is slow to take them.
const MAX_RECENT: usize = 16;

/// What this process was told of a name.
#[derive(Clone, Debug, Default)]
struct Recent(VecDeque<(u64, NameState)>);

type WatchedName = watch::Sender<Recent>;

/// Who is told. One for each router.
#[derive(Default)]
pub(crate) struct Desk {
    /// By what an address names them, so that a long name and what stands for it are one.
    views: Mutex<HashMap<String, Arc<View>>>,
    /// Each with how many here watch it.
    names: Mutex<HashMap<FullName, (Arc<WatchedName>, usize)>>,
}

static CURRENT: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn enter() -> Arc<Desk> {
        let desk = Arc::<Desk>::default();
        *lock(&CURRENT) = Some(Arc::clone(&desk));
        desk
    }

    pub(super) fn leave() {
        let desk = lock(&CURRENT).take();
        if let Some(desk) = desk {
            desk.clear();
        }
    }

    /// That of this process, if a runtime runs in it.
    pub(crate) fn current() -> Option<Arc<Desk>> {
        lock(&CURRENT).clone()
    }

    /// What is known of a group. Whoever asks first has the root tell of it; where too many are known, one that nobody uses
    /// is let go.
    pub(super) fn view(&self, group: &FullName) -> Arc<View> {
        let mut views = lock(&self.views);
        if let Some(view) = views.get(&*group.short()) {
            return Arc::clone(view);
        }
        let view = View::new(group.clone());
        // Said under the lock, so that the root hears of each group in the order in which it is used and let go.
        let say = |said| {
            if let Some(router) = context::current() {
                router.say(ToRoot::Names(said));
            }
        };
        if views.len() >= MAX_WATCHED {
            let Some(idle) = let_one_go(&mut views) else {
                let what = "groups used by this process".to_owned();
                view.handle_refused(NameError::TooMany { what, most: MAX_WATCHED });
                view.open_if_idle();
                return view;
            };
            say(NamesToRoot::Unuse { group: idle });
        }
        views.insert(group.short().into_owned(), Arc::clone(&view));
        say(NamesToRoot::Use { group: group.clone() });
        view
    }

    /// Tells `to` of each change of a name of which the root tells this process, or is about to. None outside a runtime.
    ///
    /// When the last watch of a name ends, `unwatch` is called.
    pub(crate) fn watch_name(
        self: &Arc<Desk>,
        name: &FullName,
        to: ProcRecipient<NameChanged>,
        unwatch: impl FnOnce() + Send + Sync + 'static,
    ) -> Option<Watching> {
        let mut names = lock(&self.names);
        let (watched, count) = names.entry(name.clone()).or_default();
        *count += 1;
        let (changes, same) = (watched.subscribe(), Arc::downgrade(watched));
        drop(names);
        let (desk, watched) = (Arc::clone(self), name.clone());
        let end = move || desk.forget_name(&watched, &same, unwatch);
        let watching = Watching::start(Desk::tell_of(changes, name.clone(), to));
        watching.map(|watching| watching.ending(end))
    }

    async fn tell_of(mut changes: watch::Receiver<Recent>, name: FullName, to: ProcRecipient<NameChanged>) {
        let mut told = None;
        loop {
            let newer =
                |recent: &Recent| recent.0.iter().any(|(version, _)| told.is_none_or(|told| *version > told));
            let found = changes.wait_for(newer).await.map(|recent| recent.clone());
            // The topology has ended.
            let Ok(recent) = found else { return };
            // Who comes late is told of the present alone.
            let skip = if told.is_none() { recent.0.len().saturating_sub(1) } else { 0 };
            for (version, state) in recent.0.into_iter().skip(skip) {
                if told.is_some_and(|told| version <= told) {
                    continue;
                }
                match Told::of(to.tell(NameChanged { name: name.clone(), version, state }).await) {
                    Told::Yes => told = Some(version),
                    Told::NotNow => break,
                    Told::Never => return,
                }
            }
        }
    }

    /// One watch of a name has ended. If it was the last, the root is told under the lock: who begins to watch then asks it
    /// after that.
    fn forget_name(&self, name: &FullName, same: &Weak<WatchedName>, unwatch: impl FnOnce()) {
        let mut names = lock(&self.names);
        let Some((watched, count)) = names.get_mut(name) else { return };
        if !std::ptr::eq(Arc::as_ptr(watched), same.as_ptr()) {
            return;
        }
        *count -= 1;
        if *count == 0 {
            names.remove(name);
            unwatch();
        }
    }

    fn name(&self, name: &FullName, version: u64, state: NameState) {
        let Some(watched) = lock(&self.names).get(name).map(|(watched, _)| Arc::clone(watched)) else {
            return;
        };
        watched.send_if_modified(|recent| {
            if recent.0.back().is_some_and(|(last, _)| *last >= version) {
                return false;
            }
            if recent.0.len() == MAX_RECENT {
                recent.0.pop_front();
            }
            recent.0.push_back((version, state));
            true
        });
    }
}

impl NamesDesk for Desk {
    fn handle(&self, router: &Arc<Router>, said: NamesToWorker) {
        let found = |group: &FullName| lock(&self.views).get(&*group.short()).cloned();
        match said {
            NamesToWorker::Name { name, version, state } => self.name(&name, version, state),
            NamesToWorker::Group { group, version, type_name, members } => {
                if let Some(view) = found(&group) {
                    view.handle_members(version, type_name, members);
                    view.release_parked(router);
                }
            }
            NamesToWorker::Refused { group, why } => {
                // Whoever uses it next asks anew: the root may have allowed it by then.
                let refused = lock(&self.views).remove(&*group.short());
                if let Some(view) = refused {
                    view.handle_refused(why);
                    view.release_parked(router);
                }
            }
            // Of no concern to addresses.
            NamesToWorker::Attend { .. } | NamesToWorker::Ignore { .. } => {}
        }
    }

    fn clear(&self) {
        let views = std::mem::take(&mut *lock(&self.views));
        views.into_values().for_each(|view| view.make_void());
        let names = std::mem::take(&mut *lock(&self.names));
        drop(names);
    }

    fn is_idle(&self) -> bool {
        lock(&self.views).values().all(|view| view.is_idle())
    }
}

/// One of these that is known and that nobody holds.
fn let_one_go(views: &mut HashMap<String, Arc<View>>) -> Option<FullName> {
    let is_idle = |(_, view): &(&String, &Arc<View>)| view.is_open() && Arc::strong_count(view) == 1;
    let idle: Vec<String> = views.iter().filter(is_idle).map(|(name, _)| name.clone()).collect();
    for name in idle {
        let view = views.remove(&name)?;
        match Arc::try_unwrap(view) {
            Ok(view) => return Some(view.name().clone()),
            // Somebody has taken it up meanwhile.
            Err(view) => drop(views.insert(name, view)),
        }
    }
    None
}

/// A watch of a name or group. Dropping it ends it.
#[must_use = "dropping it ends the watch; keep it, or call `keep`"]
pub struct Watching {
    task: AbortHandle,
    kept: AtomicBool,
    /// What is done when it ends.
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Watching {
    pub(super) fn start(telling: impl Future<Output = ()> + Send + 'static) -> Option<Watching> {
        let arbiter = context::current()?.arbiter().or_else(|| tokio::runtime::Handle::try_current().ok())?;
        let task = arbiter.spawn(telling).abort_handle();
        Some(Watching { task, kept: AtomicBool::new(false), end: None })
    }

    /// Also does this when it ends.
    pub(crate) fn ending(mut self, end: impl FnOnce() + Send + Sync + 'static) -> Watching {
        self.end = Some(Box::new(end));
        self
    }

    /// Lets it stand for as long as this process lives, or the topology runs.
    pub fn keep(self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.kept.load(Ordering::Relaxed) {
            return;
        }
        self.task.abort();
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

/// Whether somebody was told.
pub(super) enum Told {
    Yes,
    /// There was no room for as long as an ask may take, or the way there was lost.
    NotNow,
    /// Nobody is there, and nobody will be.
    Never,
}

impl Told {
    pub(super) fn of<M>(told: Result<(), SendError<M>>) -> Told {
        match told.as_ref().map_err(SendError::cause) {
            Ok(()) => Told::Yes,
            Err(Cause::TimedOut | Cause::PeerDied { .. } | Cause::Protocol { .. }) => Told::NotNow,
            Err(_) => Told::Never,
        }
    }
}

/// An actor, as the directory knows it.
///
/// # Errors
/// The address is of a group, or names nobody who is known here.
pub(crate) fn holder_of<A: ProcActor>(addr: &ProcAddr<A>) -> Result<Holder, NameError> {
    let router = context::current().ok_or(crate::protocol::requests::ChangeError::NoRuntime)?;
    let found = addr.target().resolve_fully(&router);
    let (addr, is_at_least_once) = found.map_err(|cause| NameError::Encode(cause.to_string()))?;
    let delivery = if is_at_least_once { Delivery::AtLeastOnce } else { Delivery::AtMostOnce };
    let (type_name, process) = (A::TYPE_NAME.to_owned(), router.identity().name.clone());
    Ok(Holder { id: addr.id(), type_name, process, addr, delivery, life: 0 })
}

impl Holder {
    /// Its address.
    ///
    /// # Errors
    /// It is of another type.
    pub fn addr<A: ProcActor>(&self) -> Result<ProcAddr<A>, NameError> {
        if self.type_name != A::TYPE_NAME {
            let found = self.type_name.clone();
            return Err(NameError::Encode(format!("it is a {found}, not a {}", A::TYPE_NAME)));
        }
        Ok(ProcAddr::new(Target::of_holder(self)))
    }
}
