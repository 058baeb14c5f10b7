//! Addresses of groups as values: on the wire, as text, in files, and in another run.

use libtest_mimic::Trial;
use procession::address::{AddressTextError, Cause};
use procession::prelude::*;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a2_the_address_of_a_group_is_at_most_48_bytes_on_the_wire", on_the_wire),
        story("a2_a_long_name_of_a_group_is_resolved_by_the_root", long_name),
        story("a2_the_address_of_a_group_as_text_is_parsed_back_and_checked", text),
        story("a2_the_address_of_a_group_means_the_group_of_that_name_in_any_run", revived),
    ]
}

/// As long as a name can be.
fn longest(namespace: &str) -> String {
    format!("{namespace}/{}", "g".repeat(64))
}

/// Every form of a group's address.
fn forms(name: &str) -> Vec<ProcAddr<Member>> {
    let group = GroupAddr::<Member>::named(name).unwrap();
    let mut forms: Vec<_> = [Routing::RoundRobin, Routing::Random, Routing::LeastOutstanding]
        .into_iter()
        .map(|routing| group.route(routing))
        .collect();
    forms.push(group.by_key("a key"));
    forms.extend(forms.clone().iter().map(ProcAddr::repeating));
    forms.extend(forms.clone().iter().map(ProcAddr::at_least_once));
    forms
}

async fn on_the_wire(root: Root) -> procession::Result<()> {
    let running = root.deploy(topology().process(process("a"))).await?;
    for name in
        ["all/g", "worker", "all/g234567890123456789012345678", &longest("all"), &longest(&"n".repeat(64))]
    {
        for form in forms(name) {
            for bytes in [
                procession::codec::encode(&form, 1 << 10).unwrap(),
                procession::codec::encode(&form.recipient::<Double>(), 1 << 10).unwrap(),
                procession::codec::encode(&form.downgrade(), 1 << 10).unwrap(),
            ] {
                assert!(bytes.len() <= 48, "{name}: {}", bytes.len());
                let back: ProcAddr<Member> = procession::codec::decode(&bytes).unwrap();
                assert_eq!((&back, back.is_at_least_once()), (&form, form.is_at_least_once()));
                for end in 0..bytes.len() {
                    assert!(procession::codec::decode::<ProcAddr<Member>>(&bytes[..end]).is_err());
                }
            }
        }
    }
    running.shutdown().await
}

async fn long_name(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let name = longest("all");
    let routed = GroupAddr::<Member>::named(&name).unwrap().route(Routing::RoundRobin);
    // A group of which the root has not heard is as one that nobody has joined.
    let error = b.send(Ask { whom: routed.clone(), value: 3 }).await?.unwrap_err();
    assert!(error.contains("no member"), "{error}");
    a.send(Join(name.clone())).await?.unwrap();
    // Its members may not be known here yet.
    until(|| async { b.send(Ask { whom: routed.clone(), value: 3 }).await.unwrap() == Ok(6) }).await;
    // It is the same group, whichever way one came to know it.
    c.send(Join(name.clone())).await?.unwrap();
    let group = GroupAddr::<Member>::named(&name).unwrap();
    until(|| async { b.send(Members(group.clone())).await.unwrap() == 2 }).await;
    // Whoever may not use the group may not do so by a hash.
    let some = longest("some");
    a.send(Join(some.clone())).await?.unwrap();
    let routed = GroupAddr::<Member>::named(&some).unwrap().route(Routing::RoundRobin);
    until(|| async { b.send(Ask { whom: routed.clone(), value: 4 }).await.unwrap() == Ok(8) }).await;
    let refused = c.send(Ask { whom: routed, value: 4 }).await?.unwrap_err();
    assert!(refused.contains("may not"), "{refused}");
    running.shutdown().await
}

async fn text(root: Root) -> procession::Result<()> {
    let running = root.deploy(topology().process(process("a"))).await?;
    for name in ["all/g", "worker", &longest("all")] {
        for form in forms(name) {
            let shown = form.to_string();
            assert!(shown.starts_with("procession:group:") && shown.contains(name), "{shown}");
            let back: ProcAddr<Member> = shown.parse().unwrap();
            assert_eq!((&back, back.is_at_least_once()), (&form, form.is_at_least_once()));
            let recipient = form.recipient::<Double>();
            assert_eq!(recipient.to_string().parse::<ProcRecipient<Double>>().unwrap(), recipient);
            let json = serde_json::to_string(&form).unwrap();
            assert!(json.starts_with(&format!(r#"{{"addr":"{name}""#)), "in files it is its name: {json}");
            assert_eq!(serde_json::from_str::<ProcAddr<Member>>(&json).unwrap(), form);
        }
    }
    let shown = forms("all/g")[3].to_string();
    for at in 0..shown.len() {
        let other = if &shown[at..=at] == "0" { "1" } else { "0" };
        let changed = format!("{}{other}{}", &shown[..at], &shown[at + 1..]);
        assert!(changed.parse::<ProcAddr<Member>>().is_err(), "{changed}");
        // What is left of it before the first colon is a name.
        let is_name = at > 0 && !shown[..at].contains(':');
        assert!(is_name || shown[..at].parse::<ProcAddr<Member>>().is_err(), "{}", &shown[..at]);
    }
    let last = if shown.ends_with('0') { "1" } else { "0" };
    let error = format!("{}{last}", &shown[..shown.len() - 1]).parse::<ProcAddr<Member>>().unwrap_err();
    assert_eq!(error, AddressTextError::Damaged("its checksum is wrong"));
    running.shutdown().await
}

async fn revived(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    a.send(Join("all/g".to_owned())).await?.unwrap();
    let routed = GroupAddr::<Member>::named("all/g").unwrap().route(Routing::RoundRobin);
    let kept = (
        routed.to_string(),
        procession::codec::encode(&routed, 1 << 10).unwrap(),
        serde_json::to_string(&routed).unwrap(),
    );
    running.shutdown().await?;
    let revived = || -> [ProcAddr<Member>; 3] {
        [
            kept.0.parse().unwrap(),
            procession::codec::decode(&kept.1).unwrap(),
            serde_json::from_str(&kept.2).unwrap(),
        ]
    };
    // Another run: those who have joined there, and nobody from before.
    let (running, [_, b, _]) = three(&root).await?;
    b.send(Join("all/g".to_owned())).await?.unwrap();
    for group in revived() {
        until(|| async { who_answers(&group).await.as_deref() == Some("b") }).await;
    }
    running.shutdown().await?;
    // One without that namespace.
    let running = root.deploy(Topology::new("other").process(process("a"))).await?;
    for group in revived() {
        let error = group.send(Double(1)).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::GroupRefused { .. }), "{error}");
    }
    running.shutdown().await
}

async fn who_answers(group: &ProcAddr<Member>) -> Option<String> {
    Some(group.send(WhoAreYou).await.ok()?.name)
}
