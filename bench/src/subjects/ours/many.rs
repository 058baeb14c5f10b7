//! Many workers.

use procession::prelude::*;

use super::{Setting, receiver};
use crate::drive;
use crate::part::{Failure, Part, Reading};
use crate::subjects::actors::{Confirm, Feed, Receiver, confirmed};

/// Workers that tell one.
pub(super) async fn fan_in(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let place = setting.place(None);
    let topology = setting.topology().process(receiver("far", place));
    let senders = receiver("sender", place).replicas(part.senders().into());
    let running = root.deploy(topology.process(senders)).await?;
    let far = running.addr::<Receiver>("far")?;
    let names = (1..=part.senders()).map(|number| format!("sender-{number}"));
    let senders = names.map(|name| running.addr::<Receiver>(&name)).collect::<Result<Vec<_>, _>>()?;
    let notes = part.batch() / u64::from(part.senders());
    let batch = || async {
        let feeds: Vec<_> =
            senders.iter().map(|sender| sender.send(Feed { to: far.clone(), notes })).collect();
        for feed in feeds {
            feed.await??;
        }
        confirmed(far.send(Confirm).await?, notes * u64::from(part.senders()))
    };
    let reading = drive::tells(part, batch).await?;
    running.shutdown().await?;
    Ok(reading)
}
