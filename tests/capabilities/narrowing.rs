//! Whoever holds an address can make one of it that is good for less.

use std::time::{Duration, SystemTime};

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::clerks::*;
use crate::opening::{note, three};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a3_a_count_holds_over_all_who_share_the_address", counted),
        story("a3_counts_within_counts_both_hold", counted_twice),
        story("a3_a_time_ends_an_address", timed),
        story("a3_a_recipient_carries_one_message_alone", one_message),
        story("a3_within_a_process_conditions_hold_too", at_home),
        story("a3_a_part_of_a_right_is_none_to_end_the_actor", linked),
        story("a3_only_so_many_counted_addresses_of_one_process_are_remembered", many_counts),
    ]
}

async fn counted(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    c.send(Pid).await.unwrap();
    let five = c.limited(5)?;
    let other = c.limited(5)?;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(note(&a, &five).await);
        told.push(note(&b, &five).await);
    }
    // What is narrowed further counts with it.
    told.push(ended(five.revocable()?.send(Note(String::new())).await));
    assert_eq!(told[..5], ["done"; 5]);
    assert_eq!(told[5..], ["UsedUp NotExecuted back"; 4]);
    assert_eq!(taken(&c, 5).await.len(), 5);
    assert_eq!((note(&a, &other).await, note(&a, &c).await), ("done".to_owned(), "done".to_owned()));
    // What nobody waits for is refused by the same count: a dead letter, and no sixth note.
    let steps = vec![Step::Note { to: five, text: "more".to_owned(), count: 10 }];
    a.send(Do(steps)).await.unwrap();
    note(&a, &c).await;
    assert_eq!(taken(&c, 3).await, ["hello", "hello", "hello"]);
    running.shutdown().await
}

async fn counted_twice(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    c.send(Pid).await.unwrap();
    let four = c.limited(4)?;
    let (two, three) = (four.limited(2)?, four.limited(3)?);
    let mut told = Vec::new();
    for by in [&two, &two, &two, &three, &three, &three] {
        told.push(note(&a, by).await == "done");
    }
    assert_eq!(told, [true, true, false, true, true, false], "two, and then four");
    assert_eq!(note(&b, &four).await, "UsedUp NotExecuted back");
    running.shutdown().await
}

async fn timed(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let long = c.for_duration(Duration::from_secs(3600))?;
    let past = c.until(SystemTime::UNIX_EPOCH)?;
    assert_eq!(
        (note(&a, &long).await, note(&a, &past).await),
        ("done".into(), "Expired NotExecuted back".into())
    );
    let short = c.for_duration(Duration::from_millis(100))?;
    // It is good, and then, by nobody's doing, for ever bad; a longer time on top of it changes nothing.
    let longer = short.for_duration(Duration::from_secs(3600))?;
    loop {
        match &note(&b, &short).await[..] {
            "done" => {}
            told => {
                assert_eq!(told, "Expired NotExecuted back");
                break;
            }
        }
    }
    assert_eq!(note(&b, &short).await, "Expired NotExecuted back");
    assert_eq!(note(&b, &longer).await, "Expired NotExecuted back");
    assert_eq!(note(&b, &long).await, "done");
    running.shutdown().await
}

async fn one_message(root: Root) -> procession::Result<()> {
    let (running, [a, _, c]) = three(&root).await?;
    let bytes = procession::codec::encode(&c.recipient::<Note>(), 1 << 10).unwrap();
    let asked = AskRecipient { to: c.recipient(), text: "by a recipient".to_owned() };
    assert_eq!(a.send(asked).await.unwrap(), "done");
    // Whoever takes the bytes for those of a whole address gets no further than the one message.
    let whole: ProcAddr<Clerk> = procession::codec::decode(&bytes).unwrap();
    whole.send(Note("by its bytes".to_owned())).await.unwrap();
    assert_eq!(ended(whole.send(Clear).await), "NotGranted NotExecuted back");
    assert!(whole.try_send(Clear).is_err());
    assert_eq!(taken(&c, 2).await, ["by a recipient", "by its bytes"]);
    running.shutdown().await
}

async fn at_home(root: Root) -> procession::Result<()> {
    let home = ProcAddr::export(clerk().start())?;
    let (two, past) = (home.limited(2)?, home.until(SystemTime::UNIX_EPOCH)?);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(ended(two.send(Note(String::new())).await));
    }
    assert_eq!(told, ["done", "done", "UsedUp NotExecuted back"]);
    assert_eq!(ended(past.send(Note(String::new())).await), "Expired NotExecuted back");
    let bytes = procession::codec::encode(&home.recipient::<Note>(), 1 << 10).unwrap();
    let whole: ProcAddr<Clerk> = procession::codec::decode(&bytes).unwrap();
    assert_eq!(ended(whole.send(Clear).await), "NotGranted NotExecuted back");
    // From elsewhere, home again: by the message itself, not over a pipe.
    let (running, [a, ..]) = three(&root).await?;
    a.send(Pid).await.unwrap();
    let by_a = a.limited(1)?;
    assert_eq!(
        (note(&a, &by_a).await, note(&a, &by_a).await),
        ("done".into(), "UsedUp NotExecuted back".into())
    );
    running.shutdown().await
}

/// Until an actor of this process has ended.
async fn has_ended(actor: &ProcAddr<Clerk>) {
    while actor.send(Pid).await.is_ok() {}
}

async fn linked(root: Root) -> procession::Result<()> {
    let (running, [_, _, c]) = three(&root).await?;
    c.send(Note("kept".to_owned())).await.unwrap();
    let bytes = procession::codec::encode(&c.recipient::<Note>(), 1 << 10).unwrap();
    let by_its_bytes: ProcAddr<Clerk> = procession::codec::decode(&bytes).unwrap();
    for part in [by_its_bytes, c.limited(100)?, c.until(SystemTime::UNIX_EPOCH)?] {
        let mine = ProcAddr::export(clerk().start())?;
        // As if nobody lived there: the one here ends, and the one there is not ended by it.
        mine.link(&part).unwrap();
        has_ended(&mine).await;
        // Nor within a process.
        let (mine, other) = (ProcAddr::export(clerk().start())?, ProcAddr::export(clerk().start())?);
        mine.link(&other.limited(100)?).unwrap();
        has_ended(&mine).await;
        other.send(Pid).await.unwrap();
    }
    assert_eq!(taken(&c, 1).await, ["kept"], "it lives on");
    // With all of the right there is a link.
    let mine = ProcAddr::export(clerk().start())?;
    mine.link(&c.pin()?).unwrap();
    c.send(Pid).await.unwrap();
    mine.send(Pid).await.unwrap();
    kill(&running, &c).await;
    has_ended(&mine).await;
    running.shutdown().await
}

async fn many_counts(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    c.send(Pid).await.unwrap();
    let mut told = String::new();
    let mut used = 0;
    while !told.starts_with("Full") {
        told = ended(c.limited(1)?.send(Note(String::new())).await);
        used += 1;
        assert!(used <= 4097, "{told}");
    }
    assert_eq!(used, 4097);
    // Others have room of their own, and what is not counted goes on.
    assert_eq!((note(&a, &c.limited(1)?).await, note(&b, &c).await), ("done".to_owned(), "done".to_owned()));
    c.send(Note(String::new())).await.unwrap();
    running.shutdown().await
}
