//! As what an actor is known by a name or in a group, and what of that others are shown.

use crate::id::{ActorId, Capability, Condition, ProcessId};
use crate::protocol::Delivery;
use crate::protocol::names::{
    Holder, MAX_TYPE_NAME_BYTES, NameError, NameState, NamesGranted, NamesToWorker,
};
use crate::topology::PlannedProcess;

/// By an address as narrow as it was shown, and of the type that was said for that name or group: each has its own, since
/// they need not be given by the same process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) addr: Capability,
    pub(super) delivery: Delivery,
    pub(super) type_name: String,
}

impl Shown {
    /// # Errors
    /// The name of its type is too long.
    pub(super) fn of(holder: Holder) -> Result<Shown, NameError> {
        let Holder { addr, delivery, type_name, .. } = holder;
        match type_name.len() > MAX_TYPE_NAME_BYTES {
            true => Err(NameError::Encode("the name of its type is too long".to_owned())),
            false => Ok(Shown { addr, delivery, type_name }),
        }
    }
}

/// Whether these name one actor: in whichever life.
pub(super) fn is_same_actor(left: ActorId, right: ActorId) -> bool {
    (left.process, left.slot) == (right.process, right.slot)
}

/// Everybody whose address is in an answer, be it an error.
pub(in crate::runtime) fn shown_in_answer(
    answer: &mut Result<NamesGranted, NameError>,
) -> Option<&mut Holder> {
    match answer {
        Ok(NamesGranted::Held(holder)) => Some(holder),
        Ok(NamesGranted::Done | NamesGranted::Claimed { .. }) => None,
        Err(NameError::Taken { holder, .. } | NameError::Away { holder, .. }) => Some(holder.as_mut()),
        // Each by its name, so that one that shows a holder is not forgotten here.
        Err(
            NameError::Invalid { .. }
            | NameError::NoNamespace(_)
            | NameError::NotAllowed { .. }
            | NameError::BeingStarted { .. }
            | NameError::Unknown(_)
            | NameError::WrongType { .. }
            | NameError::NoActor(_)
            | NameError::NoRight(..)
            | NameError::NotYours(_)
            | NameError::OfReplicas(_)
            | NameError::TooMany { .. }
            | NameError::Encode(_)
            | NameError::TimedOut(_)
            | NameError::Request(_),
        ) => None,
    }
}

/// Everybody whose address is in a word about a name or group.
pub(in crate::runtime) fn shown_in_word(word: &mut NamesToWorker) -> Vec<&mut Holder> {
    match word {
        NamesToWorker::Name { state: NameState::Here(holder) | NameState::Away(holder), .. } => vec![holder],
        NamesToWorker::Group { members, .. } => members.iter_mut().collect(),
        NamesToWorker::Name { state: NameState::Free, .. }
        | NamesToWorker::Attend { .. }
        | NamesToWorker::Ignore { .. }
        | NamesToWorker::Refused { .. } => Vec::new(),
    }
}

/// What a process is shown of an actor: no more than its wiring lets it send there.
pub(in crate::runtime) fn hold_to_edge(to: ProcessId, planned: Option<&PlannedProcess>, holder: &mut Holder) {
    let wired = planned.map(|process| &process.wired).into_iter().flatten();
    let mut edges = wired.filter(|wired| is_same_actor(wired.id, holder.id));
    if edges.any(|edge| edge.messages.is_some()) {
        let narrowed = holder.addr.narrowed(Condition::Edge(to));
        holder.addr = narrowed.unwrap_or(Capability::unsealed(holder.id));
    }
}
