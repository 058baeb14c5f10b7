//! The programs of a topology, and whether they mean the same by the messages that they share (T-3, H30). Root side.
//!
//! Processes of one build need no comparing. A worker of another build tells the shapes of its messages before it is ready;
//! when it says that it is, they are compared with those of every build that lives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::codec::shape::{Mismatch, Protocol};
use crate::id::{BuildId, ProcessId};

/// Builds whose shapes are kept. Only those that live are needed; with so many that do not, they are forgotten.
const MAX_BUILDS: usize = 64;

/// Shared by those who start workers and those who attend to them. The default compares nothing.
#[derive(Clone, Default)]
pub struct Programs {
    ours: Option<Arc<Ours>>,
    others: Arc<Mutex<Others>>,
}

struct Ours {
    build: BuildId,
    path: PathBuf,
    /// Found out when the first other program comes.
    protocol: OnceLock<Arc<Protocol>>,
    look: Box<dyn Fn() -> Protocol + Send + Sync>,
}

#[derive(Default)]
struct Others {
    builds: BTreeMap<BuildId, Arc<Protocol>>,
    living: BTreeMap<ProcessId, (BuildId, PathBuf)>,
}

/// Why a process can't be one of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It did not tell the shapes of its messages.
    Untold,
    /// A message that it shares with another has another shape there.
    Differs {
        /// Which, and how: the other's side is the left one.
        mismatch: Box<Mismatch>,
        /// The other program.
        other: PathBuf,
    },
}

impl Programs {
    /// The programs of a root of this build, whose own messages are looked at when they must be.
    pub fn new(
        build: BuildId,
        path: PathBuf,
        look: impl Fn() -> Protocol + Send + Sync + 'static,
    ) -> Programs {
        let ours = Ours { build, path, protocol: OnceLock::new(), look: Box::new(look) };
        Programs { ours: Some(Arc::new(ours)), others: Arc::default() }
    }

    /// The same root, for another topology: nobody lives there as yet.
    #[must_use]
    pub fn anew(&self) -> Programs {
        Programs { ours: self.ours.clone(), others: Arc::default() }
    }

    /// Whether there is anything to compare.
    pub fn compare(&self) -> bool {
        self.ours.is_some()
    }

    /// The builds that need not tell their shapes.
    pub fn known(&self) -> Vec<BuildId> {
        let Some(ours) = &self.ours else { return Vec::new() };
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(ours.build).chain(others.builds.keys().copied()).collect()
    }

    /// A worker tells the shapes of a build, as JSON, which a reader ends where it is too deep. What is no such
    /// text is said to be so.
    pub fn learn(&self, build: BuildId, protocol: &str) -> Result<(), String> {
        let protocol: Protocol = serde_json::from_str(protocol).map_err(|error| error.to_string())?;
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.builds.len() >= MAX_BUILDS {
            let Others { builds, living } = &mut *others;
            builds.retain(|build, _| living.values().any(|(lives, _)| lives == build));
        }
        if others.builds.len() >= MAX_BUILDS && !others.builds.contains_key(&build) {
            return Err(format!("there are {MAX_BUILDS} different programs already"));
        }
        // The first word holds: nobody may speak for a program that runs.
        others.builds.entry(build).or_insert_with(|| Arc::new(protocol));
        Ok(())
    }

    /// A worker of another program is ready: it lives among the others, if it may. Looks at types and compares them, so
    /// not for a thread that others wait for.
    ///
    /// # Errors
    /// It may not, and nothing has changed.
    pub fn join(&self, process: ProcessId, path: PathBuf, build: BuildId) -> Result<(), Unfit> {
        let Some(ours) = self.ours.as_ref().filter(|ours| ours.build != build) else { return Ok(()) };
        let (protocol, living) = {
            let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            let protocol = others.builds.get(&build).cloned().ok_or(Unfit::Untold)?;
            (protocol, others.living_but(build))
        };
        let with = std::iter::once((Arc::clone(ours.protocol()), ours.path.clone())).chain(living);
        for (other, path) in with {
            if let Some(mismatch) = other.mismatch(&protocol) {
                return Err(Unfit::Differs { mismatch: Box::new(mismatch), other: path });
            }
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.living.insert(process, (build, path));
        Ok(())
    }

    /// A process is gone.
    pub fn leave(&self, process: ProcessId) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).living.remove(&process);
    }

    /// Whether who sends with these shapes and a process mean the same; the sender's side is the left one. A process of the
    /// root's own build does.
    ///
    /// # Errors
    /// They do not.
    pub fn agree(&self, process: ProcessId, protocol: impl FnOnce() -> Protocol) -> Result<(), Unfit> {
        let other = {
            let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((build, path)) = others.living.get(&process).cloned() else { return Ok(()) };
            others.builds.get(&build).cloned().zip(Some(path))
        };
        match other.and_then(|(other, path)| Some((protocol().mismatch(&other)?, path))) {
            Some((mismatch, other)) => Err(Unfit::Differs { mismatch: Box::new(mismatch), other }),
            None => Ok(()),
        }
    }
}

impl Ours {
    fn protocol(&self) -> &Arc<Protocol> {
        self.protocol.get_or_init(|| Arc::new((self.look)()))
    }
}

impl Others {
    /// What the other builds that live have told, each once.
    fn living_but(&self, build: BuildId) -> Vec<(Arc<Protocol>, PathBuf)> {
        let living: BTreeMap<BuildId, &PathBuf> =
            self.living.values().map(|(build, path)| (*build, path)).collect();
        let others = living.into_iter().filter(|(lives, _)| *lives != build);
        others.filter_map(|(lives, path)| Some((self.builds.get(&lives)?.clone(), path.clone()))).collect()
    }
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Programs").field("known", &self.known()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codec::shape::{ActorProtocol, MessageShapes, wire};

    fn protocol<T: serde::de::DeserializeOwned>(actor: &str) -> Protocol {
        let (message, result) = (wire::<T>().shapes, wire::<()>().shapes);
        let messages = vec![MessageShapes { name: "Add".to_owned(), message, result }];
        Protocol { actors: vec![ActorProtocol { actor: actor.to_owned(), messages }] }
    }

    fn told(programs: &Programs, build: u64, protocol: &Protocol) {
        programs.learn(BuildId(build), &serde_json::to_string(protocol).expect("text")).expect("learned");
    }

    fn join(programs: &Programs, process: u32, build: u64) -> Result<(), Unfit> {
        programs.join(ProcessId(process), format!("program-{build}").into(), BuildId(build))
    }

    #[test]
    fn t3_a_build_is_compared_with_the_roots_and_with_all_that_live() {
        let programs = Programs::new(BuildId(1), "root".into(), || protocol::<u8>("a"));
        assert_eq!(join(&programs, 1, 1), Ok(()), "the root's own");
        assert_eq!(join(&programs, 2, 2), Err(Unfit::Untold));
        told(&programs, 2, &protocol::<u16>("a"));
        let Err(Unfit::Differs { mismatch, other }) = join(&programs, 2, 2) else { panic!("it differs") };
        assert_eq!(
            (mismatch.place(), mismatch.left, mismatch.right),
            ("Add".into(), "u8".into(), "u16".into())
        );
        assert_eq!(other, PathBuf::from("root"));
        // Of an actor that the root does not know.
        told(&programs, 3, &protocol::<u32>("b"));
        told(&programs, 4, &protocol::<u64>("b"));
        assert_eq!(join(&programs, 3, 3), Ok(()));
        assert!(
            matches!(join(&programs, 4, 4), Err(Unfit::Differs { other, .. }) if other == Path::new("program-3"))
        );
        assert_eq!(join(&programs, 5, 3), Ok(()), "another process of it");
        programs.leave(ProcessId(3));
        assert!(join(&programs, 4, 4).is_err(), "one of it lives");
        programs.leave(ProcessId(5));
        assert_eq!(join(&programs, 4, 4), Ok(()));
        assert!(programs.agree(ProcessId(4), || protocol::<u32>("b")).is_err());
        assert_eq!(programs.agree(ProcessId(4), || protocol::<u64>("b")), Ok(()));
        assert_eq!(programs.known(), [1, 2, 3, 4].map(BuildId));
    }

    #[test]
    fn x1_what_is_no_protocol_is_refused_however_deep() {
        let programs = Programs::new(BuildId(1), "root".into(), Protocol::default);
        assert!(programs.learn(BuildId(2), "{").is_err());
        let deep = "{\"Option\":".repeat(100_000);
        let deep = format!(
            "{{\"actors\":[{{\"actor\":\"a\",\"messages\":[{{\"name\":\"m\",\"message\":{{\"root\":{deep}"
        );
        assert!(programs.learn(BuildId(2), &deep).is_err());
        for build in 0..MAX_BUILDS as u64 {
            told(&programs, build + 2, &Protocol::default());
        }
        told(&programs, 1000, &Protocol::default());
        assert_eq!(programs.known().len(), 2, "those that do not live are forgotten");
    }
}
