//! The window of this process to an actor of its own: what a connection's credit is between processes (M-3).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the messages that this process has under way to one of its own actors, and holds the senders that wait
/// in order (M-1).
///
/// Whoever makes or finds room delivers for those who wait, one thread at a time and in order: `is_delivering`.
/// While one does, nobody passes by, and whoever comes joins the line; so a delivery that ends at once (the actor is
/// gone) makes the next one a turn of a loop, not a deeper call.
pub struct Gate {
    state: Mutex<State>,
}

struct State {
    window: u32,
    free: u32,
    /// How many of `do_send` wait.
    in_outbox: u32,
    /// How many holds are in the line.
    holds: usize,
    next_ticket: u64,
    waiting: VecDeque<Waiting>,
    is_delivering: bool,
}

struct Waiting {
    ticket: u64,
    in_outbox: bool,
    /// None is a hold: what came after it waits until it is released.
    deliver: Option<Deliver>,
}

type Deliver = Box<dyn FnOnce(Pass) + Send>;

/// Tickets from one to the next in the line: between them are those of who comes before a hold.
const TICKETS: u64 = 1 << 16;

/// Room for one message; given back when it is dropped, which is when the message leaves the mailbox.
pub struct Pass(Arc<Gate>);

impl Gate {
    /// A gate for `window` messages.
    pub fn new(window: u32) -> Arc<Gate> {
        Arc::new(Gate {
            state: Mutex::new(State {
                window,
                free: window,
                in_outbox: 0,
                holds: 0,
                next_ticket: 0,
                waiting: VecDeque::new(),
                is_delivering: false,
            }),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No code of others runs under the lock, so a poisoned one is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is under way through it.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.free == state.window && state.waiting.iter().all(|waiting| waiting.deliver.is_none())
    }

    /// Room now, for who is next; or none.
    pub fn try_pass(self: &Arc<Gate>) -> Option<Pass> {
        let mut state = self.lock();
        if state.free == 0 || !state.waiting.is_empty() || state.is_delivering {
            return None;
        }
        state.free -= 1;
        Some(Pass(Arc::clone(self)))
    }

    /// Calls `deliver` once there is room, on the thread that makes it. The ticket cancels.
    pub fn wait(self: &Arc<Gate>, deliver: impl FnOnce(Pass) + Send + 'static) -> u64 {
        let ticket = Self::push(&mut self.lock(), false, Some(Box::new(deliver)));
        self.deliver();
        ticket
    }

    /// As `wait`, before a hold that still stands, by its ticket.
    pub fn wait_ahead(self: &Arc<Gate>, hold: Option<u64>, deliver: impl FnOnce(Pass) + Send + 'static) {
        let mut state = self.lock();
        let at =
            hold.and_then(|hold| state.waiting.binary_search_by_key(&hold, |waiting| waiting.ticket).ok());
        let Some(at) = at else {
            drop(state);
            self.wait(deliver);
            return;
        };
        let before = at.checked_sub(1).map_or(0, |before| state.waiting[before].ticket);
        let after = state.waiting[at].ticket;
        // Between them there is room for more than ever ask of one hold; past that they share a ticket that nobody cancels.
        let ticket = (before.max(after.saturating_sub(TICKETS)) + 1).min(after);
        state.waiting.insert(at, Waiting { ticket, in_outbox: false, deliver: Some(Box::new(deliver)) });
        drop(state);
        self.deliver();
    }

    /// As `wait`, for `try_send`: false, and nothing is called, if there is no room for it now.
    pub fn wait_if_room(self: &Arc<Gate>, deliver: impl FnOnce(Pass) + Send + 'static) -> bool {
        let mut state = self.lock();
        if state.waiting.len() - state.holds >= state.free as usize {
            return false;
        }
        Self::push(&mut state, false, Some(Box::new(deliver)));
        drop(state);
        self.deliver();
        true
    }

    /// As `wait`, for `do_send`: false if as many wait already as the window is wide, beside those for which there is room
    /// and that a hold keeps.
    pub fn wait_in_outbox(self: &Arc<Gate>, deliver: impl FnOnce(Pass) + Send + 'static) -> bool {
        let mut state = self.lock();
        if state.in_outbox >= state.window.saturating_add(state.free) {
            return false;
        }
        state.in_outbox += 1;
        Self::push(&mut state, true, Some(Box::new(deliver)));
        drop(state);
        self.deliver();
        true
    }

    /// Whoever comes from now on waits until this is released, by its ticket.
    pub fn hold(&self) -> u64 {
        let mut state = self.lock();
        state.holds += 1;
        Self::push(&mut state, false, None)
    }

    /// Ends a hold.
    pub fn release_hold(self: &Arc<Gate>, ticket: u64) {
        if self.cancel(ticket) {
            self.deliver();
        }
    }

    fn push(state: &mut State, in_outbox: bool, deliver: Option<Deliver>) -> u64 {
        state.next_ticket += TICKETS;
        let ticket = state.next_ticket;
        state.waiting.push_back(Waiting { ticket, in_outbox, deliver });
        ticket
    }

    /// Whoever waits with this ticket waits no more; its `deliver` is dropped. Returns whether it still waited.
    pub fn cancel(&self, ticket: u64) -> bool {
        let mut state = self.lock();
        // Tickets rise along the line.
        let Ok(at) = state.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket) else {
            return false;
        };
        let cancelled = state.waiting.remove(at);
        state.holds -= usize::from(cancelled.as_ref().is_some_and(|waiting| waiting.deliver.is_none()));
        drop(state);
        drop(cancelled);
        true
    }

    /// Lets in who waits, as long as there is room, unless another does so already.
    fn deliver(self: &Arc<Gate>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.is_delivering, true) {
            return;
        }
        while state.free > 0 {
            if state.waiting.front().is_none_or(|waiting| waiting.deliver.is_none()) {
                break;
            }
            let Some(Waiting { in_outbox, deliver: Some(deliver), .. }) = state.waiting.pop_front() else {
                break;
            };
            state.in_outbox -= u32::from(in_outbox);
            state.free -= 1;
            drop(state);
            let pass = Pass(Arc::clone(self));
            // Others' code may run in there, a waker or a `Drop`; who waits next must not pay for its panic.
            if catch_unwind(AssertUnwindSafe(|| deliver(pass))).is_err() {
                tracing::error!(target: "procession", "a message panicked while it was delivered");
            }
            state = self.lock();
        }
        state.is_delivering = false;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.free += 1;
        let somebody_waits = !state.waiting.is_empty();
        drop(state);
        if somebody_waits {
            self.0.deliver();
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Gate").field("free", &state.free).field("waiting", &state.waiting.len()).finish()
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_senders_pass_in_order_and_cancelled_ones_are_skipped() {
        let gate = Gate::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = gate.try_pass().expect("room");
        assert!(gate.try_pass().is_none());
        let tickets: Vec<u64> = (0..3)
            .map(|number| {
                let order = Arc::clone(&order);
                gate.wait(move |pass| {
                    order.lock().expect("order").push(number);
                    drop(pass);
                })
            })
            .collect();
        gate.cancel(tickets[1]);
        drop(first);
        assert_eq!(*order.lock().expect("order"), [0, 2]);
        assert!(gate.try_pass().is_some());
    }

    #[test]
    fn m2_who_comes_to_wait_when_room_was_just_made_does_not_wait() {
        let gate = Gate::new(1);
        let first = gate.try_pass().expect("room");
        assert!(gate.try_pass().is_none());
        // Another thread ends its message between the two calls of one that sends.
        drop(first);
        let passed = Arc::new(Mutex::new(false));
        let told = Arc::clone(&passed);
        gate.wait(move |_| *told.lock().expect("told") = true);
        assert!(*passed.lock().expect("told"));
    }

    #[test]
    fn many_deliveries_that_end_at_once_are_turns_of_a_loop() {
        let gate = Gate::new(1);
        let first = gate.try_pass();
        for _ in 0..200_000 {
            gate.wait(drop);
        }
        drop(first);
        assert!(gate.is_idle());
    }

    #[test]
    fn m3_cancelled_senders_leave_the_line() {
        let gate = Gate::new(1);
        let first = gate.try_pass();
        for _ in 0..1000 {
            let ticket = gate.wait(drop);
            assert!(gate.cancel(ticket) && !gate.cancel(ticket));
        }
        assert_eq!(gate.lock().waiting.len(), 0);
        drop(first);
    }

    #[test]
    fn a2_a_hold_has_the_room_of_the_window_and_of_the_outbox() {
        let gate = Gate::new(2);
        let one = gate.try_pass();
        let hold = gate.hold();
        for _ in 0..3 {
            assert!(gate.wait_in_outbox(drop));
        }
        assert!(!gate.wait_in_outbox(drop));
        gate.release_hold(hold);
        drop(one);
        assert!(gate.is_idle() && gate.wait_in_outbox(drop));
        let (hold, passed) = (gate.hold(), Arc::new(Mutex::new(0)));
        let count = |passed: &Arc<Mutex<u32>>| {
            let passed = Arc::clone(passed);
            move |_| *passed.lock().expect("passed") += 1
        };
        assert!(gate.wait_if_room(count(&passed)) && gate.wait_if_room(count(&passed)));
        assert!(!gate.wait_if_room(count(&passed)), "the window is full");
        assert_eq!(*passed.lock().expect("passed"), 0);
        gate.release_hold(hold);
        assert_eq!(*passed.lock().expect("passed"), 2);
    }

    #[test]
    fn a2_who_asks_may_stand_before_a_hold() {
        let gate = Gate::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |number: u32| {
            let order = Arc::clone(&order);
            move |pass: Pass| {
                order.lock().expect("order").push(number);
                drop(pass);
            }
        };
        let room = gate.try_pass();
        gate.wait(note(1));
        let hold = gate.hold();
        let behind = gate.wait(note(4));
        gate.wait_ahead(Some(hold), note(2));
        gate.wait_ahead(Some(hold), note(3));
        gate.wait_ahead(None, note(5));
        drop(room);
        assert_eq!(*order.lock().expect("order"), [1, 2, 3]);
        assert!(gate.cancel(behind));
        gate.release_hold(hold);
        assert_eq!(*order.lock().expect("order"), [1, 2, 3, 5]);
    }

    #[test]
    fn m3_the_outbox_is_bounded() {
        let gate = Gate::new(2);
        let passes = [gate.try_pass(), gate.try_pass()];
        assert!(gate.wait_in_outbox(drop) && gate.wait_in_outbox(drop));
        assert!(!gate.wait_in_outbox(drop));
        drop(passes);
        assert!(gate.try_pass().is_some() && gate.wait_in_outbox(drop));
    }
}
