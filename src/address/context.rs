//! Which process this is: the router that addresses use.
//!
//! One for each operating-system process, set while `Program::run` runs. Each thread keeps a copy of the pointer,
//! so that a send costs no lock to find it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::process::routing::{self, Router};

static CURRENT: Mutex<Option<Arc<Router>>> = Mutex::new(None);
/// Raised with each change of `CURRENT`.
static VERSION: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CACHED: RefCell<(u64, Option<Arc<Router>>)> = const { RefCell::new((0, None)) };
}

/// The router of this process, if a Procession runtime runs in it.
#[inline]
pub fn current() -> Option<Arc<Router>> {
    let version = VERSION.load(Ordering::Acquire);
    CACHED
        .try_with(|cached| {
            let mut cached = cached.borrow_mut();
            if cached.0 != version {
                let router = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone();
                *cached = (version, router);
            }
            cached.1.clone()
        })
        .ok()
        .flatten()
}

/// Makes a router the one of this process. False if there is one already.
pub fn enter(router: Arc<Router>) -> bool {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if current.is_some() {
        return false;
    }
    router.set_subscribing(super::letters::subscribing);
    router.set_names_desk(super::naming::Desk::enter());
    *current = Some(router);
    VERSION.fetch_add(1, Ordering::Release);
    true
}

/// Ends what `enter` began.
pub fn leave() {
    let router = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).take();
    VERSION.fetch_add(1, Ordering::Release);
    // They were of this one.
    routing::forget_routes();
    if let Some(router) = router {
        // Who still has an address of it, another thread for example, keeps no actor and no runtime with it.
        router.registry().clear();
        super::naming::Desk::leave();
    }
    super::desk::close();
    let _ = current();
}
