//! How stories of narrowed and revoked addresses begin: three processes with a clerk each, who send to one another.

use procession::prelude::*;

use crate::clerks::*;

pub(crate) async fn three(root: &Root) -> procession::Result<(Running, [ProcAddr<Clerk>; 3])> {
    let processes = ["a", "b", "c"].map(process);
    let running = root.deploy(processes.into_iter().fold(Topology::new("rights"), Topology::process)).await?;
    let actors = ["a", "b", "c"].map(|name| at(&running, name));
    Ok((running, actors))
}

pub(crate) async fn note(by: &ProcAddr<Clerk>, to: &ProcAddr<Clerk>) -> String {
    by.send(AskToNote { to: to.clone(), text: "hello".to_owned() }).await.unwrap()
}
