//! Addresses in files and on command lines: names where these say everything, else all of the address, checked.

use libtest_mimic::Trial;
use procession::address::AddressTextError;
use procession::prelude::*;

use crate::clerks::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a2_an_address_as_text_is_parsed_back_and_checked", parsed),
        story("a2_human_readable_formats_use_names", readable),
        story("a2_a_revived_address_works_or_says_clearly_why_not", revived),
        story("a2_a_long_name_is_resolved_where_it_is_known", long_name),
    ]
}

async fn one(root: &Root) -> procession::Result<(Running, ProcAddr<Clerk>)> {
    let running = root.deploy(Topology::new("text").process(process("a"))).await?;
    let a = at(&running, "a");
    Ok((running, a))
}

async fn parsed(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    assert_eq!((a.to_string(), &"a".parse::<ProcAddr<Clerk>>().unwrap()), ("a".to_owned(), &a));
    let exported = a.send(Export).await.unwrap();
    let text = exported.to_string();
    assert!(text.starts_with("procession:1#1/+1:"), "{text}");
    let back: ProcAddr<Clerk> = text.parse().unwrap();
    assert_eq!(back, exported);
    back.send(Note("by a text".to_owned())).await.unwrap();
    let recipient: ProcRecipient<Note> = exported.recipient::<Note>().to_string().parse().unwrap();
    recipient.send(Note("by another".to_owned())).await.unwrap();
    assert_eq!(taken(&exported, 2).await, ["by a text", "by another"]);
    // A log shows whom an address names, and nothing by which one could send.
    assert_eq!(format!("{exported:?}"), "ProcAddr(1#1/+1)");
    let digits = text.rsplit(':').next().unwrap();
    for at in 0..digits.len() {
        let other = if &digits[at..=at] == "0" { "1" } else { "0" };
        let changed = format!("procession:1#1/+1:{}{other}{}", &digits[..at], &digits[at + 1..]);
        let error = changed.parse::<ProcAddr<Clerk>>().unwrap_err();
        assert!(matches!(error, AddressTextError::Damaged(_)), "{error}");
    }
    for nonsense in ["", "no name", "procession:", "-"] {
        let error = nonsense.parse::<ProcAddr<Clerk>>().unwrap_err();
        assert!(matches!(error, AddressTextError::NotAnAddress(_)), "{nonsense}: {error}");
    }
    running.shutdown().await
}

async fn readable(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let json = |address: &ProcAddr<Clerk>| serde_json::to_string(address).unwrap();
    assert_eq!(json(&a), r#"{"addr":"a"}"#);
    assert_eq!(json(&a.at_least_once()), r#"{"addr":"a","delivery":"at_least_once"}"#);
    assert_eq!(serde_json::to_string(&a.recipient::<Note>()).unwrap(), json(&a));
    a.send(Pid).await.unwrap();
    for form in
        [a.pin()?, a.revocable()?, a.limited(2)?, a.pin()?.at_least_once(), a.send(Export).await.unwrap()]
    {
        let text = json(&form);
        assert!(text.starts_with(r#"{"addr":"procession:1"#), "{text}");
        let back: ProcAddr<Clerk> = serde_json::from_str(&text).unwrap();
        assert_eq!((back.is_at_least_once(), back), (form.is_at_least_once(), form));
    }
    running.shutdown().await
}

async fn long_name(root: Root) -> procession::Result<()> {
    let name = "c".repeat(64);
    let there = Process::new("c").actor::<Clerk>(&name, vec![]);
    let running = root.deploy(Topology::new("text").process(process("a")).process(there)).await?;
    let (a, c) = (at(&running, "a"), at(&running, &name));
    // `a` was not wired to it, and knows a name alone; the root knows whose that is.
    let found = a.send(Lookup(name.clone())).await.unwrap().unwrap();
    assert_eq!((&found, found.to_string()), (&c, name.clone()));
    found.send(Note("by a long name".to_owned())).await.unwrap();
    assert_eq!(taken(&c, 1).await, ["by a long name"]);
    // Where it is not known it stands for nobody, goes on as it is, and comes back as the same.
    let other = "d".repeat(64);
    let found = a.send(Lookup(other.clone())).await.unwrap().unwrap();
    assert_eq!(ended(found.send(Note(String::new())).await), "UnknownName NotExecuted back");
    assert_eq!(found, ProcAddr::named(&other));
    assert_eq!(found.to_string().parse::<ProcAddr<Clerk>>().unwrap(), found);
    running.shutdown().await
}

async fn revived(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.send(Pid).await.unwrap();
    let (named, pinned) = (a.to_string(), a.pin()?.to_string());
    let bytes = procession::codec::encode(&a, 1 << 10).unwrap();
    running.shutdown().await?;
    // The same root deploys the same again: its processes have numbers of their own, and no address means another.
    let (running, a) = one(&root).await?;
    let by_name: ProcAddr<Clerk> = named.parse().unwrap();
    by_name.send(Note("by name".to_owned())).await.unwrap();
    for old in [pinned.parse().unwrap(), procession::codec::decode::<ProcAddr<Clerk>>(&bytes).unwrap()] {
        assert!(ended(old.send(Note("astray".to_owned())).await).starts_with("Unreachable NotExecuted"));
    }
    // A text that another root wrote is known as that, and the bytes of one prove nothing here.
    let theirs = {
        let key = procession::id::Key::new([5; 32]).of_process(procession::id::ProcessId(2));
        let slot = procession::id::Slot(0);
        procession::id::Capability::mint(&key, procession::id::ProcessId(2), slot)
    };
    let error = procession::id::to_text(7, 0, &theirs).parse::<ProcAddr<Clerk>>().unwrap_err();
    assert_eq!(error, AddressTextError::OtherRun);
    let bytes = procession::codec::encode(&theirs, 1 << 10).unwrap();
    let astray: ProcAddr<Clerk> = procession::codec::decode(&bytes).unwrap();
    assert_eq!(ended(astray.send(Note("astray".to_owned())).await), "NoRight NotExecuted back");
    assert_eq!(taken(&a, 1).await, ["by name"]);
    running.shutdown().await
}
