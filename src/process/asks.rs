//! Requests of this process to the root that wait for their answers.
//!
//! In a worker they go over the control lane; in the root itself through its router to its own thread. Any thread may
//! ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;

use super::routing::Router;
use crate::protocol::control::ToRoot;
use crate::protocol::names::{NamesGranted, NamesRequest};
use crate::protocol::requests::{Ask, ChangeError, Granted, MAX_REQUEST_BYTES, MAX_REQUESTS, Request};

/// What came of a request.
pub type Answer = Result<Granted, ChangeError>;

/// The number of requests whose answers nobody waits for.
const UNANSWERED: u64 = 0;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Asks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    router: Option<Weak<Router>>,
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl Asks {
    /// Requests of the process with this router.
    pub fn new(router: &Arc<Router>) -> Arc<Asks> {
        let state = State { router: Some(Arc::downgrade(router)), ..State::default() };
        Arc::new(Asks { state: Mutex::new(state) })
    }

    /// Asks the root. Dropped while it waits, the request is carried out all the same.
    ///
    /// # Errors
    /// What the root says; [`ChangeError::Stopping`] if there is nobody to answer any more.
    pub async fn ask(&self, request: Request) -> Answer {
        let (_, answer) = self.begin(request)?;
        answer.await.unwrap_or(Err(ChangeError::Stopping))
    }

    /// As [`ask`](Self::ask) for something about names. Dropped while it waits, the root is told that nobody waits any more, so
    /// that it is not for ever among those that may wait.
    ///
    /// # Errors
    /// As there.
    pub async fn ask_of_names(&self, request: NamesRequest) -> Answer {
        let (number, answer) = self.begin(Request::Names(request))?;
        let _wanted = Wanted { asks: self, number };
        answer.await.unwrap_or(Err(ChangeError::Stopping))
    }

    fn begin(&self, request: Request) -> Result<(u64, oneshot::Receiver<Answer>), ChangeError> {
        let size = match &request {
            Request::Start { process, .. } => process.len(),
            Request::AddActor { start } => start.args_json.len() + start.type_name.len(),
            Request::Stop { process } => process.len(),
            Request::Processes | Request::RemoveActor { .. } => 0,
            Request::Names(_) => 0,
        };
        if size > MAX_REQUEST_BYTES {
            return Err(ChangeError::TooLarge);
        }
        let mut state = self.lock();
        let router = state.router.as_ref().and_then(Weak::upgrade).ok_or(ChangeError::NoRuntime)?;
        if router.is_stopping() {
            return Err(ChangeError::Stopping);
        }
        // What nobody waits for is under way all the same.
        if state.waiting.len() >= MAX_REQUESTS {
            return Err(ChangeError::Busy);
        }
        state.next += 1;
        let number = state.next;
        let (sender, answer) = oneshot::channel();
        state.waiting.insert(number, sender);
        drop(state);
        router.say(ToRoot::Ask(Ask { number, request }));
        Ok((number, answer))
    }

    /// The root has answered. One that nobody asked for is dropped.
    pub fn handle_answer(&self, number: u64, answer: Answer) {
        let waiting = self.lock().waiting.remove(&number);
        if let Some(Err(unwanted)) = waiting.map(|waiting| waiting.send(answer)) {
            self.give_back(unwanted);
        }
    }

    /// Whoever asked has gone. A claim would keep everybody else waiting.
    fn give_back(&self, unwanted: Answer) {
        if let Ok(Granted::Names(Ok(NamesGranted::Claimed { name, claim }))) = unwanted {
            self.tell(NamesRequest::Release { name, claim });
        }
    }

    /// Asks for what nobody waits for, whatever else is asked for at the time: it gives something back.
    pub fn tell(&self, request: NamesRequest) {
        let router = self.lock().router.as_ref().and_then(Weak::upgrade);
        if let Some(router) = router {
            router.say(ToRoot::Ask(Ask { number: UNANSWERED, request: Request::Names(request) }));
        }
    }

    /// There is nobody to answer any more.
    pub fn close(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request for whose answer somebody waits, until it is dropped.
struct Wanted<'a> {
    asks: &'a Asks,
    number: u64,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        let is_open = self.asks.lock().waiting.contains_key(&self.number);
        if is_open {
            self.asks.tell(NamesRequest::Abandon { number: self.number });
        }
    }
}
