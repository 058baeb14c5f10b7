//! What this process is busy with: for the report of a panic, and, on the page that the root reads, for every other
//! death (P-1) and for who looks whether it makes progress (P-3).
//!
//! The dispatch of messages enters before each handler and leaves by dropping the guard: a few plain stores, no
//! allocation, no lock. Names are written to the page once for each type of actor, never for each message.
//!
//! ```text
//!  Taken::new --dropped--------------------------------------> refused
//!     |   (ManyTaken: several at once, each a Taken when it leaves them)
//!     +-- enter --> Guard --dropped--------------------------> done
//!                     +-- put_aside (asynchronous) --> Aside --dropped--> done
//! ```

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::status::{ACTOR, HERE, MESSAGE};
use crate::id::{ActorName, ProcessId, Slot};
use crate::protocol::control::Handling;
use crate::protocol::wire::MessageId;
pub use crate::sys::status_page::Work;
use crate::sys::status_page::{self, Seat, Writer};

/// What is kept of a panic's message: it travels in the answer to whoever waits, which is one small frame.
const MAX_PANIC_BYTES: usize = 1 << 10;

/// What a message of an actor is called. One for each line of a handler table.
#[derive(Debug)]
pub struct Naming {
    /// The type of the actor.
    pub actor: &'static str,
    /// The message.
    pub message: &'static str,
    /// The message's identity on the wire.
    pub id: MessageId,
}

impl Naming {
    /// A message that comes from this process.
    #[inline]
    pub fn from_here(&self, slot: Slot) -> Work {
        Work { slot: slot.0, message: self.id.0, sender: HERE, number: 0 }
    }

    /// A message that comes from another process; `number` is 0 unless its sender numbers its messages.
    #[inline]
    pub fn from(&self, sender: ProcessId, slot: Slot, number: u64) -> Work {
        Work { slot: slot.0, message: self.id.0, sender: sender.0, number }
    }
}

/// Which call of which connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The connection's number in this process.
    pub connection: u64,
    /// The call's number on it.
    pub correlation: u64,
    /// Whether the answer of another process must come to this one and go on from here.
    pub relayed: bool,
}

/// What a thread is about.
type Current = Option<(&'static Naming, Work, Option<Asked>)>;

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether the last unwinding of this thread was the end of an actor by a link.
    static BY_LINK: Cell<bool> = const { Cell::new(false) };
    static CURRENT: Cell<Current> = const { Cell::new(None) };
    static LIFE: Cell<LifeNumber> = const { Cell::new(LifeNumber(0)) };
    /// Where this thread sits; asked for once.
    static SEAT: Cell<Sitting> = const { Cell::new(Sitting::Unknown) };
    /// Leaves the seat when the thread ends.
    static LEAVE: OnceCell<Leave> = const { OnceCell::new() };
}

#[derive(Clone, Copy)]
enum Sitting {
    Unknown,
    Nowhere,
    At(&'static Seat),
}

struct Leave(&'static Seat);

impl Drop for Leave {
    fn drop(&mut self) {
        // Whatever this thread's other destructors still handle is not seen.
        let _ = SEAT.try_with(|seat| seat.set(Sitting::Nowhere));
        self.0.leave();
    }
}

/// The page of this process, and what stands on it. A root has none.
static PAGE: OnceLock<&'static Writer> = OnceLock::new();
static KNOWN: Mutex<Known> = Mutex::new(Known { types: BTreeSet::new(), actors: BTreeMap::new() });

/// How many messages are put aside.
static ASIDES: AtomicUsize = AtomicUsize::new(0);

/// Whether an asynchronous handler is not done.
pub fn is_waiting() -> bool {
    ASIDES.load(Ordering::Acquire) != 0
}

/// Which life of an actor, of all in this process that its host began. None of an actor that nobody supervises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifeNumber(u64);

impl LifeNumber {
    /// The next one.
    pub fn next() -> LifeNumber {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LifeNumber(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// This thread runs this life until what this gives is dropped.
    pub fn enter(self) -> Within {
        Within { before: LIFE.try_with(|life| life.replace(self)).unwrap_or_default(), thread: PhantomData }
    }
}

/// Puts back the life that was run before.
#[derive(Debug)]
#[must_use = "the life is run until this is dropped"]
pub struct Within {
    before: LifeNumber,
    thread: PhantomData<*const ()>,
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = LIFE.try_with(|life| life.set(self.before));
    }
}

/// The life that this thread runs.
pub fn life() -> LifeNumber {
    LIFE.try_with(Cell::get).unwrap_or_default()
}

/// What is to be done when a task panics that an asynchronous handler left behind.
static ON_PANIC_ASIDE: OnceLock<fn(Slot, LifeNumber, String)> = OnceLock::new();

/// Says what is to be done, on its thread, when such a task of this life of the actor in this place panics. The first one
/// stands.
pub fn on_panic_aside(hook: fn(Slot, LifeNumber, String)) {
    let _ = ON_PANIC_ASIDE.set(hook);
}

/// A task of an asynchronous handler panicked: to its actor that is as if the handler had, in the life in which it was begun.
pub fn panicked_aside(slot: Slot, life: LifeNumber, text: String) {
    if let Some(hook) = ON_PANIC_ASIDE.get() {
        hook(slot, life, text);
    }
}

struct Known {
    types: BTreeSet<&'static str>,
    actors: BTreeMap<Slot, ActorName>,
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, this process says on that page what it is busy with. Once in a process; the page stays mapped.
///
/// # Errors
/// It is no page.
pub(super) fn publish(memory: BorrowedFd<'_>) -> std::io::Result<()> {
    let page = Box::leak(Box::new(Writer::new(memory)?));
    let _ = PAGE.set(page);
    Ok(())
}

/// Whoever reads the page can name these messages of an actor type.
pub fn know_type(actor: &'static str, messages: impl IntoIterator<Item = (MessageId, &'static str)>) {
    let Some(page) = PAGE.get() else { return };
    if known().types.insert(actor) {
        for (id, message) in messages {
            // Without room its number is shown.
            page.name(MESSAGE, id.0, [actor, message]);
        }
    }
}

/// Whoever reads the page can name this actor.
pub fn know_actor(slot: Slot, name: &ActorName) {
    let Some(page) = PAGE.get() else { return };
    let before = known().actors.insert(slot, name.clone());
    if before.as_ref() != Some(name) {
        // Without room its type is shown.
        page.name_for_now(ACTOR, slot.0, name.as_str());
    }
}

/// The actor in this place is no more: there is room for the name of another.
pub fn forget_actor(slot: Slot) {
    let known = known().actors.remove(&slot);
    if let (Some(page), Some(_)) = (PAGE.get(), known) {
        page.forget_name(ACTOR, slot.0);
    }
}

/// The arbiter has nothing to do.
pub fn park() {
    if let Some(page) = PAGE.get() {
        page.park();
    }
}

/// The arbiter has something to do.
pub fn unpark() {
    if let Some(page) = PAGE.get() {
        page.unpark();
    }
}

/// Where this thread sits, if there is a page and room on it.
#[inline]
fn seat() -> Option<&'static Seat> {
    match SEAT.try_with(Cell::get) {
        Ok(Sitting::At(seat)) => Some(seat),
        Ok(Sitting::Unknown) => sit(),
        Ok(Sitting::Nowhere) | Err(_) => None,
    }
}

#[cold]
fn sit() -> Option<&'static Seat> {
    let thread = nix::unistd::gettid().as_raw().unsigned_abs();
    let seat = PAGE.get().and_then(|page| page.sit(thread));
    let _ = SEAT.try_with(|sitting| sitting.set(seat.map_or(Sitting::Nowhere, Sitting::At)));
    if let Some(seat) = seat {
        let _ = LEAVE.try_with(|leave| leave.set(Leave(seat)));
    }
    seat
}

/// A message that was taken in. Dropped before a handler was entered with it, it will not be handled.
#[derive(Debug)]
#[must_use = "dropped, the message counts as refused"]
pub struct Taken(());

impl Taken {
    /// One more.
    #[inline]
    pub fn new() -> Taken {
        if let Some(seat) = seat() {
            seat.take(1);
        }
        Taken(())
    }
}

/// Messages that were taken in at once.
#[derive(Debug)]
#[must_use = "dropped, those that are left count as refused"]
pub struct ManyTaken(u64);

impl ManyTaken {
    /// So many more.
    pub fn new(count: u64) -> ManyTaken {
        if let Some(seat) = seat() {
            seat.take(count);
        }
        ManyTaken(count)
    }

    /// One of them.
    #[inline]
    pub fn one(&mut self) -> Taken {
        debug_assert!(self.0 > 0, "as many as were taken in");
        self.0 -= 1;
        Taken(())
    }

    /// Those of others as well.
    pub fn absorb(&mut self, others: &mut ManyTaken) {
        self.0 += std::mem::take(&mut others.0);
    }
}

impl Drop for ManyTaken {
    fn drop(&mut self) {
        if let (left @ 1.., Some(seat)) = (self.0, seat()) {
            seat.refuse(left);
        }
    }
}

impl Default for Taken {
    fn default() -> Self {
        Taken::new()
    }
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        if let Some(seat) = seat() {
            seat.refuse(1);
        }
    }
}

/// Says that this thread handles a message until the guard is dropped, also by a panic that unwinds through it (which
/// drops it after the hook has read what is handled).
#[inline]
pub fn enter(naming: &'static Naming, work: Work, taken: Option<Taken>) -> Guard {
    enter_call(naming, work, taken, None)
}

/// As [`enter`], with the call that is to be answered.
#[inline]
pub fn enter_call(naming: &'static Naming, work: Work, taken: Option<Taken>, asked: Option<Asked>) -> Guard {
    // It is not refused.
    std::mem::forget(taken);
    if let Some(seat) = seat() {
        seat.begin(&work);
    }
    let before = CURRENT.replace(Some((naming, work, asked)));
    Guard { before, ended: false, thread: PhantomData }
}

/// Puts back what was being handled before. Stays on its thread.
#[derive(Debug)]
#[must_use = "handling ends when the guard is dropped"]
pub struct Guard {
    before: Current,
    ended: bool,
    thread: PhantomData<*const ()>,
}

impl Guard {
    /// The handler has returned, and what it began goes on without this thread, until what this gives is dropped.
    pub fn put_aside(mut self) -> Aside {
        let current = CURRENT.try_with(Cell::get).ok().flatten();
        let place = current.and_then(|(_, work, _)| PAGE.get().and_then(|page| page.put_aside(&work)));
        self.ended = true;
        ASIDES.fetch_add(1, Ordering::AcqRel);
        Aside { place }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // A thread that is being torn down has nothing to put back.
        let _ = CURRENT.try_with(|current| current.set(self.before));
        let Some(seat) = seat() else { return };
        if !self.ended {
            seat.done();
        }
        match &self.before {
            None => seat.rest(),
            Some((_, work, _)) => seat.show(work),
        }
    }
}

/// A message whose handler has returned and is not done.
#[derive(Debug)]
#[must_use = "handling ends when it is dropped"]
pub struct Aside {
    place: Option<&'static status_page::Aside>,
}

impl Drop for Aside {
    fn drop(&mut self) {
        ASIDES.fetch_sub(1, Ordering::AcqRel);
        if let Some(place) = self.place {
            place.free();
        }
        if let Some(seat) = seat() {
            seat.done();
        }
    }
}

/// For which actor of this process this thread handles a message.
pub fn slot() -> Option<Slot> {
    CURRENT.try_with(Cell::get).ok().flatten().map(|(_, work, _)| Slot(work.slot))
}

/// Which other process sent the message that this thread handles.
pub fn sender() -> Option<ProcessId> {
    let (_, work, _) = CURRENT.try_with(Cell::get).ok().flatten()?;
    (work.sender != HERE).then_some(ProcessId(work.sender))
}

/// The call of another process that this thread handles, if it is one.
pub fn asked() -> Option<Asked> {
    CURRENT.try_with(Cell::get).ok().flatten()?.2
}

/// What this thread is busy with.
pub fn current() -> Option<Handling> {
    let (naming, work, _) = CURRENT.try_with(Cell::get).ok().flatten()?;
    let name = known().actors.get(&Slot(work.slot)).map(ToString::to_string);
    Some(Handling {
        actor: name.unwrap_or_else(|| naming.actor.to_owned()),
        message: naming.message.to_owned(),
        sender: (work.sender != HERE).then_some(ProcessId(work.sender)),
        waits: false,
        sender_name: None,
    })
}

/// Keeps the message of a panic for the answer to whoever waits for the handler that panicked.
pub fn remember_panic(message: &str) {
    remember(message, false);
}

/// Unwinds, without the hook: nothing went wrong in the actor that ends by it.
pub fn unwind_by_link(reason: &str, payload: Box<dyn Any + Send>) -> ! {
    remember(reason, true);
    std::panic::resume_unwind(payload)
}

/// Whether this thread, if it unwinds, does so because a link ends the actor that it runs.
pub fn is_unwound_by_link() -> bool {
    BY_LINK.try_with(Cell::get).unwrap_or_default()
}

fn remember(message: &str, by_link: bool) {
    let _ = BY_LINK.try_with(|last| last.set(by_link));
    let _ = LAST_PANIC.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            super::text::cut(message.to_owned(), MAX_PANIC_BYTES).clone_into(&mut last);
        }
    });
}

/// The message of the last panic of this thread; empty if nobody kept it.
pub fn last_panic() -> String {
    LAST_PANIC
        .try_with(|last| last.try_borrow().map(|last| last.clone()).unwrap_or_default())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    static ADD: Naming = Naming { actor: "counter", message: "Add", id: MessageId(1) };
    static TWICE: Naming = Naming { actor: "doubler", message: "Twice", id: MessageId(2) };

    #[test]
    fn guards_nest_and_put_back() {
        assert_eq!(current(), None);
        let outer = enter(&ADD, ADD.from(ProcessId(4), Slot(7), 0), None);
        {
            let _inner = enter(&TWICE, TWICE.from_here(Slot(8)), None);
            assert_eq!(current().map(|h| (h.message, h.sender)), Some(("Twice".to_owned(), None)));
        }
        assert_eq!(current().map(|h| (h.actor, h.sender)), Some(("counter".to_owned(), Some(ProcessId(4)))));
        drop(outer);
        assert_eq!(current(), None);
    }

    #[test]
    fn what_is_put_aside_is_not_what_the_thread_is_about() {
        let guard = enter(&ADD, ADD.from_here(Slot(7)), Some(Taken::new()));
        let aside = guard.put_aside();
        assert_eq!(current(), None);
        drop(aside);
    }
}
