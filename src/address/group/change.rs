//! Telling of changes of a group.

use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};

use super::view::View;
use crate::address::naming::{Told, Watching};
use crate::address::recipient::ProcRecipient;
use crate::id::FullName;
use crate::protocol::names::Holder;

/// Members came or went; the message by which who watches a group is told. Put it into the list of an actor's messages.
///
/// The first tells of all that there are. A member that died and lives again between two of them is in both lists, each time
/// with its [`life`](Holder::life).
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub struct GroupChanged {
    /// The group.
    pub group: FullName,
    /// Which membership this is; it rises.
    pub version: u64,
    /// Who came.
    pub joined: Vec<Holder>,
    /// Who went.
    pub left: Vec<Holder>,
    /// How many there are now.
    pub members: u32,
}

/// None outside a runtime.
pub(super) fn watch(view: Arc<View>, to: ProcRecipient<GroupChanged>) -> Option<Watching> {
    Watching::start(async move {
        let mut told = None;
        while let Some(now) = view.after(told.as_ref().map(|told: &Arc<super::Members>| told.version)).await {
            let changed = GroupChanged {
                group: view.name().clone(),
                version: now.version,
                joined: now.without(told.as_deref()),
                left: told.as_ref().map(|told| told.without(Some(&now))).unwrap_or_default(),
                members: u32::try_from(now.list.len()).unwrap_or(u32::MAX),
            };
            match Told::of(to.tell(changed).await) {
                Told::Yes => told = Some(now),
                // What is the newest by then is told then.
                Told::NotNow => {}
                Told::Never => return,
            }
        }
    })
}
