//! Dead letters across processes: who wants those of the whole topology, and who asked for what a process has.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::Deployment;
use crate::id::ProcessId;
use crate::protocol::control::ToWorker;
use crate::protocol::letters::{
    LetterReport, LettersToRoot, LettersToWorker, MAX_RECIPIENT_BYTES, Subscription,
};
use crate::runtime::broker::Life;
use crate::runtime::error::{Error, Result};

/// Subscriptions to the letters of a topology: each makes every process send each letter once more.
const MAX_SUBSCRIPTIONS: usize = 64;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Letters {
    subscriptions: Vec<Subscription>,
    last_request: u64,
    asked: BTreeMap<u64, (ProcessId, oneshot::Sender<Result<LetterReport>>)>,
}

impl Deployment {
    pub(super) fn letters(&mut self, life: Life, said: LettersToRoot) {
        let owner = life.0;
        match said {
            LettersToRoot::Subscribe { number, to } => {
                let is_too_much =
                    self.letters.subscriptions.len() >= MAX_SUBSCRIPTIONS || to.len() > MAX_RECIPIENT_BYTES;
                if is_too_much {
                    let process = self.name(owner);
                    tracing::warn!(target: "procession", %process, "not subscribed to the dead letters of the topology: {MAX_SUBSCRIPTIONS} are");
                    return;
                }
                let subscription = Subscription { owner, number, to };
                self.letters.subscriptions.push(subscription.clone());
                self.tell_about_letters(owner, &LettersToWorker::Subscribe(subscription));
            }
            LettersToRoot::Unsubscribe { number } => self.unsubscribe(owner, Some(number)),
            LettersToRoot::Report { request, report } => {
                let asked = self.letters.asked.remove(&request);
                if let Some((_, reply)) = asked.filter(|(process, _)| *process == owner) {
                    let _ = reply.send(Ok(report));
                }
            }
        }
    }

    fn unsubscribe(&mut self, owner: ProcessId, which: Option<u64>) {
        let all = std::mem::take(&mut self.letters.subscriptions);
        let ends = |one: &Subscription| one.owner == owner && which.is_none_or(|number| number == one.number);
        let (over, left) = all.into_iter().partition(ends);
        self.letters.subscriptions = left;
        for Subscription { number, .. } in over {
            self.tell_about_letters(owner, &LettersToWorker::Unsubscribe { owner, number });
        }
    }

    /// Tells every process that is ready, but the one whose wish it is.
    fn tell_about_letters(&self, owner: ProcessId, what: &LettersToWorker) {
        let ready = self.living.iter().filter(|(_, living)| living.ready).map(|(process, _)| *process);
        for process in ready.chain([ProcessId::ROOT]).filter(|process| *process != owner) {
            self.hand(process, ToWorker::Letters(what.clone()), Vec::new());
        }
    }

    /// A process is ready: it hears of every subscription that there is.
    pub(super) fn introduce_to_letters(&self, process: ProcessId) {
        for subscription in &self.letters.subscriptions {
            let frame = ToWorker::Letters(LettersToWorker::Subscribe(subscription.clone()));
            self.hand(process, frame, Vec::new());
        }
    }

    /// A process is gone, with its subscriptions and what it was asked.
    pub(super) fn forget_letters(&mut self, process: ProcessId) {
        self.unsubscribe(process, None);
        // Who waits learns it by the end of the channel.
        self.letters.asked.retain(|_, (asked, _)| *asked != process);
    }

    /// Asks a process for what it has.
    pub(in crate::runtime) fn ask_for_letters(
        &mut self,
        process: &str,
        reply: oneshot::Sender<Result<LetterReport>>,
    ) {
        let Some(id) = self.plan.process(process).map(|process| process.id) else {
            let _ = reply.send(Err(Error::NoSuchProcess(process.to_owned())));
            return;
        };
        if !self.living.get(&id).is_some_and(|living| living.ready) {
            let _ = reply.send(Err(Error::other(format!("process {process} is not ready"))));
            return;
        }
        self.letters.last_request += 1;
        let request = self.letters.last_request;
        self.letters.asked.insert(request, (id, reply));
        self.hand(id, ToWorker::Letters(LettersToWorker::Report { request }), Vec::new());
    }
}
