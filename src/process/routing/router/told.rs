//! What the root says to this process about others: who they are, where they can't be reached, how they ended.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Router;
use crate::id::{Exit, Incarnation, ProcessId};
use crate::process::routing::peer::Peer;
use crate::process::routing::route;
use crate::protocol::control::{self, Cursor, Medium, ToRoot, ToWorker};
use crate::protocol::letters::{LettersToRoot, LettersToWorker};
use crate::sys::ring::Side;
use crate::transport::pipe::Pipe;

/// What came with an introduction; none if it is not what was announced.
fn pipe_of(medium: Medium, descriptors: Vec<OwnedFd>) -> Option<Pipe> {
    let mut descriptors = descriptors.into_iter();
    let socket = descriptors.next()?;
    Some(match medium {
        Medium::Socket => Pipe::of_socket(socket),
        Medium::Shared { first } => {
            let side = if first { Side::First } else { Side::Second };
            Pipe::of_memory(socket, descriptors.next()?, side)
        }
    })
}

impl Router {
    /// Takes what the root says about peers; gives back what is about something else.
    pub fn handle_control(
        self: &Arc<Router>,
        frame: ToWorker,
        descriptors: Vec<OwnedFd>,
    ) -> Option<ToWorker> {
        match frame {
            ToWorker::Introduce { peer, medium } => match pipe_of(medium, descriptors) {
                Some(pipe) => self.introduced(&peer, pipe),
                None => return Some(ToWorker::Introduce { peer, medium }),
            },
            ToWorker::Denied { target, why } => self.denied(&target, why),
            ToWorker::Edges(edges) => self.rights.learn_edges(&edges),
            ToWorker::Unreachable { process, why } => {
                let mut state = self.lock();
                state.reach.handle_unreachable(process);
                if let Some(peer) = state.current.get(&process).filter(|peer| peer.incarnation().is_none()) {
                    peer.set_unreachable(why);
                }
            }
            ToWorker::Down { process, incarnation, exit, cursor } => {
                self.down(process, incarnation, exit, cursor);
            }
            ToWorker::Probe { number } => self.answer_probe(number),
            ToWorker::Letters(asked) => self.about_letters(asked),
            ToWorker::Names(said) => self.about_names(said),
            other => return Some(other),
        }
        None
    }

    /// On the control thread, which is alive; the arbiter says itself whether it makes progress.
    fn answer_probe(self: &Arc<Router>, number: u64) {
        self.broker.say(ToRoot::Alive { number });
        if let Some(arbiter) = self.arbiter() {
            let router = Arc::clone(self);
            arbiter.spawn(async move { router.broker.say(ToRoot::Progress { number }) });
        }
    }

    fn introduced(self: &Arc<Router>, introduced: &control::Peer, pipe: Pipe) {
        route::invalidate();
        let mut state = self.lock();
        state.reach.introduced(introduced.process);
        match state.current.get(&introduced.process).cloned() {
            Some(waiting) if waiting.incarnation().is_none() => {
                waiting.introduce(introduced, pipe);
                drop(state);
                waiting.announce();
            }
            _ => {
                // The peer asked. A connection that we still have is to an earlier life, or was broken at its end.
                let peer = Peer::new(introduced.process, self);
                peer.introduce(introduced, pipe);
                state.current.insert(introduced.process, Arc::clone(&peer));
                self.start(state, peer);
            }
        }
    }

    fn down(&self, process: ProcessId, incarnation: Incarnation, exit: Exit, cursor: Option<Cursor>) {
        let mut connections = Vec::new();
        let mut state = self.lock();
        state.reach.down(process, incarnation);
        for peer in &state.all {
            if peer.process == process && peer.incarnation() == Some(incarnation) {
                peer.set_exit(exit, cursor.clone());
                connections.push(Arc::clone(peer));
            }
        }
        drop(state);
        for peer in connections {
            peer.announce();
        }
    }

    fn about_letters(self: &Arc<Router>, asked: LettersToWorker) {
        match asked {
            LettersToWorker::Report { request } => {
                let report = self.dead_letters.report();
                self.say(ToRoot::Letters(LettersToRoot::Report { request, report }));
            }
            asked => {
                if let Some(subscribing) = self.subscribing.get() {
                    subscribing(self, &asked);
                }
            }
        }
    }
}
