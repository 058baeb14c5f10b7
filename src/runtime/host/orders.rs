//! Starts and stops actors as those of this process wish: a task on the arbiter, for whichever thread asks.
//!
//! All of a change is done here, whether who asked for it still waits or not, so that root and host agree.

use std::rc::Rc;

use tokio::sync::mpsc;

use super::driver::Host;
use crate::id::Capability;
use crate::protocol::control::{ActorStart, KnownActor};
use crate::runtime::local::{ChangeError, HostOrder, Runtime};

/// Takes orders until the process ends.
pub(in crate::runtime) async fn take_orders(host: Rc<Host>, mut orders: mpsc::Receiver<HostOrder>) {
    while let Some(order) = orders.recv().await {
        let host = Rc::clone(&host);
        // One that takes long holds up no other; an actor may even start more in its `started`.
        actix::spawn(async move {
            match order {
                HostOrder::Add(start, done) => drop(done.send(add(&host, start).await)),
                HostOrder::Remove(name, gone) => drop(gone.send(remove(&host, &name).await)),
            }
        });
    }
}

async fn add(host: &Host, mut start: ActorStart) -> Result<Capability, ChangeError> {
    let runtime = Runtime::current()?;
    let name = start.name.clone();
    let known: KnownActor = runtime.reserve(&start).await?;
    let id = known.id;
    start.slot = id.slot();
    match host.add(start).await {
        Ok(()) => {
            // A temporary actor that ends is forgotten without being asked to.
            if let Some(gone) = host.gone(id.slot()) {
                actix::spawn(async move {
                    // An error says that all end with their process, whose next life has them again.
                    if gone.await.is_ok() {
                        runtime.forget_actor(&known).await;
                    }
                });
            }
            Ok(id)
        }
        Err(refused) => {
            runtime.forget_actor(&known).await;
            Err(ChangeError::NotStarted { name: name.to_string(), reason: refused.to_string() })
        }
    }
}

async fn remove(host: &Host, name: &str) -> Result<(), ChangeError> {
    let runtime = Runtime::current()?;
    let known = runtime.own_actor(name).ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
    // The root knows which of them were declared.
    runtime.release(&known).await.map_err(|error| match error {
        ChangeError::Unknown(_) => ChangeError::Unknown(name.to_owned()),
        error => error,
    })?;
    // One that is not there any more is gone.
    let _ = host.remove(known.id.slot()).await;
    Ok(())
}
