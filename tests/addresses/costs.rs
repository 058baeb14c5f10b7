//! What addresses cost: bytes on the wire and in memory, descriptors, and nothing on the way of a message.

use libtest_mimic::Trial;
use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;

use crate::ALLOCATED;
use crate::clerks::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a2_an_address_is_at_most_48_bytes_on_the_wire", on_the_wire),
        story("a4_a_million_addresses_cost_80_bytes_each_and_no_descriptor", a_million),
        story("a2_sending_to_a_known_address_allocates_nothing", known),
    ]
}

async fn two(root: &Root) -> procession::Result<(Running, ProcAddr<Clerk>, ProcAddr<Clerk>)> {
    let running = root.deploy(Topology::new("costs").process(process("a")).process(process("b"))).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    Ok((running, a, b))
}

async fn on_the_wire(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let bytes = |address: &ProcAddr<Clerk>| procession::codec::encode(address, 1 << 10).unwrap().len();
    a.send(Pid).await.unwrap();
    let exported = a.send(Export).await.unwrap();
    assert_eq!((bytes(&a), bytes(&exported)), (25, 27));
    let recipient = procession::codec::encode(&exported.recipient::<Note>(), 1 << 10).unwrap();
    assert_eq!(recipient.len(), 32);
    for name in ["a", &"c".repeat(32), &"c".repeat(64)] {
        let named = ProcAddr::<Clerk>::named(name);
        let weak = procession::codec::encode(&named.downgrade(), 1 << 10).unwrap();
        assert!(bytes(&named) <= 48 && weak.len() <= 48, "{name}");
    }
    // Conditions are added until there is room for no more, and none of it is over the limit.
    let mut narrow = exported.at_least_once();
    let error = loop {
        match narrow.limited(1_000_000) {
            Ok(narrower) => narrow = narrower,
            Err(failure) => break failure,
        }
        assert!(bytes(&narrow) <= 48, "{}", bytes(&narrow));
    };
    assert!(matches!(error.cause, procession::address::Cause::NotNarrowed(_)), "{error}");
    running.shutdown().await
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn a_million(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    a.send(AskToNote { to: b.clone(), text: String::new() }).await.unwrap();
    let before = (descriptors(), a.send(Descriptors).await.unwrap(), b.send(Descriptors).await.unwrap());
    assert_eq!(std::mem::size_of::<ProcAddr<Clerk>>(), 80);
    let held = ALLOCATED.current_usage();
    let addresses: Vec<ProcAddr<Clerk>> = (0..1_000_000)
        .map(|slot| {
            let id = ActorId::declared(ProcessId(1), Slot(slot));
            let bytes = procession::codec::encode(&Capability::unsealed(id), 1 << 10).unwrap();
            procession::codec::decode(&bytes).unwrap()
        })
        .collect();
    let each = (ALLOCATED.current_usage() - held) / addresses.len();
    // A vector that grew by doubling has some room to spare.
    assert!(each <= 2 * 80, "{each} bytes each");
    let exact = addresses.clone();
    drop(addresses);
    let each = (ALLOCATED.current_usage() - held) / exact.len();
    assert!((79..=81).contains(&each), "{each} bytes each");
    // A thousand that are used over the one pipe that there is.
    for _ in 0..300 {
        let exported = b.send(Export).await.unwrap();
        let told = a.send(AskToNote { to: exported, text: String::new() }).await.unwrap();
        assert_eq!(told, "done");
    }
    let after = (descriptors(), a.send(Descriptors).await.unwrap(), b.send(Descriptors).await.unwrap());
    assert_eq!((before.1, before.2), (after.1, after.2));
    // The root's own threads open and close some of their own meanwhile.
    assert!(after.0 < before.0 + 10, "{} and then {}", before.0, after.0);
    running.shutdown().await
}

async fn known(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let narrow = a.revocable()?;
    let recipient = a.recipient::<Clear>();
    let send = |times: usize| {
        for _ in 0..times {
            a.do_send(Clear);
            narrow.try_send(Clear).unwrap();
            recipient.do_send(Clear);
        }
    };
    // The bytes and queues have grown to their size by then.
    send(15);
    a.send(Pid).await.unwrap();
    // Other threads of this process may have their own business meanwhile, and none of them every time.
    let mut least = usize::MAX;
    for _ in 0..200 {
        ALLOCATED.reset_peak_usage();
        let before = ALLOCATED.current_usage();
        send(5);
        least = least.min(ALLOCATED.peak_usage().saturating_sub(before));
        a.send(Pid).await.unwrap();
    }
    assert_eq!(least, 0, "bytes for 15 messages");
    running.shutdown().await
}
