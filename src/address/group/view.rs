//! What this process knows of a group: the newest membership that the root has told.
//!
//! ```text
//!  Unknown --Group--> Members(version) --Group of a higher version--> Members
//!     '--Refused----> Refused          any of these --the topology ends--> void: whoever uses it gets a new one,
//!                                      as after Refused: what the root forbids it may allow later
//! ```
//!
//! - V-1 it is *open* once it is known and all that was sent before is on its way. Until then what is sent waits, behind what
//!   waits already: nothing passes anything (M-1).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::address::target::Target;
use crate::id::{ActorId, FullName};
use crate::process::routing::Router;
use crate::protocol::members::{Choice, Ring, Routing, choose, hash_place};
use crate::protocol::names::{Holder, NameError};
use crate::protocol::wire::Cause;

/// Messages that nobody waits for, sent before the members are known: they are known a round trip to the root later.
const MAX_PARKED: usize = 1024;

/// See the [module](self).
pub(in crate::address) struct View {
    name: FullName,
    known: watch::Sender<Known>,
    is_void: AtomicBool,
    /// Set under `parked`, once.
    is_open: AtomicBool,
    /// Whose turn it is.
    turn: AtomicUsize,
    random: AtomicU64,
    parked: Mutex<Parking>,
}

/// Sends what has waited, by the view for which it waited.
type Parked = Box<dyn FnOnce(&View) + Send>;

#[derive(Default)]
struct Parking {
    waiting: VecDeque<Parked>,
    /// Somebody sends what waits.
    releasing: bool,
}

/// Why something does not wait.
pub(in crate::address) enum NotParked {
    /// It need not: the view is open.
    Open,
    /// As much waits as may.
    Full,
}

#[derive(Clone)]
enum Known {
    Unknown,
    Refused(NameError),
    Members(Arc<Members>),
}

/// One membership.
pub(in crate::address) struct Members {
    pub(in crate::address) version: u64,
    pub(in crate::address) type_name: Option<String>,
    pub(in crate::address) list: Vec<Member>,
    ring: OnceLock<Ring>,
}

/// One member, as this process sends to it.
pub(in crate::address) struct Member {
    pub(in crate::address) holder: Holder,
    pub(in crate::address) target: Target,
    /// Requests of this process that it has not answered.
    outstanding: Arc<AtomicU32>,
}

/// A request that a member has not answered, until it is dropped.
pub(in crate::address) struct Owed(Arc<AtomicU32>);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Member {
    pub(in crate::address) fn owes(&self) -> Owed {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Owed(Arc::clone(&self.outstanding))
    }
}

impl View {
    pub(in crate::address) fn new(name: FullName) -> Arc<View> {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        Arc::new(View {
            name,
            known: watch::Sender::new(Known::Unknown),
            is_void: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            random: AtomicU64::new(seed),
            parked: Mutex::default(),
        })
    }

    pub(in crate::address) fn name(&self) -> &FullName {
        &self.name
    }

    /// The members that are known.
    ///
    /// # Errors
    /// None are, or this process may not use the group.
    pub(in crate::address) fn members(&self) -> Result<Arc<Members>, Cause> {
        if self.is_void() {
            return Err(Cause::NoRuntime);
        }
        match &*self.known.borrow() {
            Known::Members(members) => Ok(Arc::clone(members)),
            Known::Refused(why) => {
                Err(Cause::GroupRefused { group: self.name.clone(), why: why.to_string() })
            }
            Known::Unknown => Err(Cause::NoMember(self.name.clone())),
        }
    }

    /// Whether something is known of it.
    pub(in crate::address) fn is_known(&self) -> bool {
        !matches!(*self.known.borrow(), Known::Unknown)
    }

    pub(in crate::address) fn is_refused(&self) -> bool {
        matches!(*self.known.borrow(), Known::Refused(_))
    }

    /// Whether what is sent goes on its way at once (V-1).
    pub(in crate::address) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Resolves when it is open, or never will be.
    pub(in crate::address) async fn opened(&self) {
        // The sender is of `self`.
        let _ = self.known.subscribe().wait_for(|_| self.is_void() || self.is_open()).await;
    }

    /// Resolves when something is known, or never will be.
    ///
    /// # Errors
    /// Why this process may not use it.
    pub(in crate::address) async fn known(&self) -> Result<(), NameError> {
        let mut known = self.known.subscribe();
        let found = known.wait_for(|known| self.is_void() || !matches!(known, Known::Unknown)).await;
        match found.as_deref() {
            Ok(Known::Refused(why)) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Resolves when there are other members than those of this version; none if the topology ends.
    pub(in crate::address) async fn after(&self, version: Option<u64>) -> Option<Arc<Members>> {
        let mut known = self.known.subscribe();
        let is_news = |known: &Known| match known {
            Known::Members(members) => version.is_none_or(|version| members.version > version),
            Known::Refused(_) => true,
            Known::Unknown => false,
        };
        let found = known.wait_for(|known| self.is_void() || is_news(known)).await;
        match found.as_deref() {
            Ok(Known::Members(members)) if !self.is_void() => Some(Arc::clone(members)),
            _ => None,
        }
    }

    /// What the root has told. What is older than what is known is not looked at.
    pub(in crate::address) fn handle_members(
        &self,
        version: u64,
        type_name: Option<String>,
        holders: Vec<Holder>,
    ) {
        self.known.send_if_modified(|known| {
            let before = match known {
                Known::Members(before) if before.version >= version => return false,
                Known::Members(before) => Some(Arc::clone(before)),
                Known::Unknown | Known::Refused(_) => None,
            };
            let outstanding = |id: ActorId| {
                let same = before.as_ref().and_then(|before| before.find(id));
                same.map_or_else(Arc::default, |member| Arc::clone(&member.outstanding))
            };
            let member = |holder: Holder| {
                let target = Target::of_holder(&holder);
                Member { outstanding: outstanding(holder.id), holder, target }
            };
            let list = holders.into_iter().map(member).collect();
            *known = Known::Members(Arc::new(Members { version, type_name, list, ring: OnceLock::new() }));
            true
        });
    }

    pub(in crate::address) fn handle_refused(&self, why: NameError) {
        self.known.send_replace(Known::Refused(why));
    }

    /// The topology has ended.
    pub(in crate::address) fn make_void(&self) {
        self.is_void.store(true, Ordering::Release);
        self.known.send_modify(|_| {});
        // Each becomes a dead letter.
        let waiting = std::mem::take(&mut self.lock_parked().waiting);
        waiting.into_iter().for_each(|act| act(self));
    }

    pub(in crate::address) fn is_void(&self) -> bool {
        self.is_void.load(Ordering::Acquire)
    }

    /// Who gets the next message; none of those that were tried.
    pub(in crate::address) fn choose(
        &self,
        members: &Members,
        routing: Routing,
        tried: &[ActorId],
    ) -> Option<usize> {
        let choice = Choice {
            count: members.list.len(),
            outstanding: &|member| members.list[member].outstanding.load(Ordering::Relaxed),
            is_excluded: &|member| tried.contains(&members.list[member].holder.id),
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            random: self.random.fetch_add(1, Ordering::Relaxed),
            ring: &|| members.ring(),
        };
        choose(routing, &choice)
    }

    /// Keeps something to do until the members are known, and what waits longer is done.
    ///
    /// # Errors
    /// It comes back, if it need not wait, or if there is no room.
    pub(in crate::address) fn park(&self, act: Parked) -> Result<(), (NotParked, Parked)> {
        let mut parked = self.lock_parked();
        // Looked at under the lock under which it is opened.
        if self.is_open() || self.is_void() {
            return Err((NotParked::Open, act));
        }
        if parked.waiting.len() >= MAX_PARKED {
            return Err((NotParked::Full, act));
        }
        parked.waiting.push_back(act);
        Ok(())
    }

    /// Something is known now: does what waited, on the arbiter, in order, and then opens.
    pub(in crate::address) fn release_parked(self: &Arc<View>, router: &Router) {
        if self.is_open() || self.open_if_idle() || std::mem::replace(&mut self.lock_parked().releasing, true)
        {
            return;
        }
        let view = Arc::clone(self);
        match router.arbiter() {
            Some(arbiter) => drop(arbiter.spawn(async move {
                while view.release_some() {
                    // Others have their turn, and wait behind these meanwhile.
                    tokio::task::yield_now().await;
                }
            })),
            None => while view.release_some() {},
        }
    }

    /// Does what waits now. False when it is open.
    fn release_some(&self) -> bool {
        let waiting = std::mem::take(&mut self.lock_parked().waiting);
        waiting.into_iter().for_each(|act| act(self));
        !self.open_if_idle()
    }

    /// Opens, if nothing waits.
    pub(in crate::address) fn open_if_idle(&self) -> bool {
        let parked = self.lock_parked();
        let is_idle = parked.waiting.is_empty();
        if is_idle {
            self.is_open.store(true, Ordering::Release);
            drop(parked);
            self.known.send_modify(|_| {});
        }
        is_idle
    }

    /// Whether nothing waits.
    pub(in crate::address) fn is_idle(&self) -> bool {
        self.is_open() || self.lock_parked().waiting.is_empty()
    }

    fn lock_parked(&self) -> MutexGuard<'_, Parking> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    pub(in crate::address) fn find(&self, id: ActorId) -> Option<&Member> {
        self.list.iter().find(|member| member.holder.id == id)
    }

    fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| Ring::new(self.list.iter().map(|member| hash_place(member.holder.id))))
    }

    /// Those that another membership has not, in the same life.
    pub(in crate::address) fn without(&self, other: Option<&Members>) -> Vec<Holder> {
        let is_in = |holder: &Holder| {
            let same = other.and_then(|other| other.find(holder.id));
            same.is_some_and(|member| member.holder.life == holder.life)
        };
        self.list.iter().map(|member| &member.holder).filter(|holder| !is_in(holder)).cloned().collect()
    }
}
