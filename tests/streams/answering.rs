//! Answers that come later, and from somebody else than who was asked.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use procession::address::Cause;
use procession::codec;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, kill, spring, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h40_a_responder_that_is_kept_answers_later_and_dropped_says_no_reply", kept),
        story("a_responder_answers_from_a_third_process", delegated),
        story("h40_wherever_a_responder_is_lost_the_asker_is_told", lost),
        story("the_death_of_who_passed_a_responder_on_harms_nobody", passed_on),
        story("m7_the_deadline_and_the_cancellation_of_the_ask_stand", late),
        story("a_responder_of_a_message_that_comes_back_still_answers", comes_back),
        story("x1_a_forged_responder_reaches_nobody_and_a_true_one_answers_once", forged),
        story("an_answer_from_elsewhere_carries_descriptors", lends),
        story("m6_an_at_least_once_message_is_answered_where_it_was_handled", at_least_once),
    ]
}

/// Processes `left`, `right` and `third` with actors `a`, `b`, `c`.
async fn three(root: &Root) -> procession::Result<(Running, [ProcAddr<Spring>; 3])> {
    let left = spring("left", "a").actor::<Spring>("a2", ());
    let running = deploy(root, [left, spring("right", "b"), spring("third", "c")]).await?;
    let all = [running.addr("a")?, running.addr("b")?, running.addr("c")?];
    Ok((running, all))
}

async fn kept(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let asked: Vec<_> = (0..10).map(|value| whom.send(Ponder(value))).collect();
        assert_eq!(whom.send(Decide).await?, 10);
        for (value, answer) in join_all(asked).await.into_iter().enumerate() {
            assert_eq!(answer?, value as u64 * 2);
        }
        let asked = whom.send(Ponder(1));
        assert_eq!(whom.send(Forget).await?, 1);
        let error = asked.await.unwrap_err();
        assert_eq!((error.cause(), error.verdict()), (&Cause::NoReply, Verdict::Failed));
        let asked = whom.send(Ponder(1));
        whom.send(Panic).await.unwrap_err();
        let error = asked.await.unwrap_err();
        assert_eq!(error.verdict(), Verdict::Failed, "{error}");
    }
    // By actix alone it is actix's own.
    let plain = Spring::default().start();
    let asked = plain.send(Ponder(4));
    assert_eq!(plain.send(Decide).await.unwrap(), 1);
    assert_eq!(asked.await.unwrap(), 8);
    running.shutdown().await
}

async fn delegated(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let here = ProcAddr::export(Spring::default().start())?;
    let ways: [(&ProcAddr<Spring>, Vec<&ProcAddr<Spring>>); 8] = [
        (&a, vec![&b]),
        (&a, vec![&b, &c]),
        (&a, vec![&b, &c, &a, &b]),
        // To another actor of the same process, and back to the asker's.
        (&a, vec![&a2]),
        (&a, vec![&here]),
        (&a, vec![&b, &here]),
        // The asker is an actor's client of the same process.
        (&here, vec![&a]),
        (&here, vec![&a, &b]),
    ];
    for (whom, to) in ways {
        let to: Vec<_> = to.into_iter().cloned().collect();
        let asked = (0..20).map(|value| whom.send(Delegate { value, to: to.clone(), how: How::Answer }));
        for (value, answer) in join_all(asked).await.into_iter().enumerate() {
            assert_eq!(answer?, value as u64 * 2, "{to:?}");
        }
    }
    running.shutdown().await
}

async fn lost(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let ask = |how| whom.send(Delegate { value: 1, to: vec![b.clone(), c.clone()], how });
        let error = ask(How::Drop).await.unwrap_err();
        assert_eq!((error.cause(), error.verdict()), (&Cause::NoReply, Verdict::Failed));
        let error = ask(How::Panic).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Panicked(why) if why.contains("responder")), "{error}");
        let error = ask(How::Die).await.unwrap_err();
        assert!(
            matches!(error.cause(), Cause::PeerDied { process, exit: Some(Exit::Signal { .. }), .. } if process.as_str() == "third"),
            "{error}"
        );
        assert_eq!(error.verdict(), Verdict::Unknown);
        // The next life is there.
        loop {
            match ask(How::Answer).timeout(Duration::from_secs(2)).await {
                Ok(answer) => break assert_eq!(answer, 2),
                Err(error) => assert_ne!(error.verdict(), Verdict::NotExecuted, "{error}"),
            }
        }
    }
    running.shutdown().await
}

async fn passed_on(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    // It keeps what it was given, so the asker waits for `right`, not for `left`.
    let asked = a.send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
    while b.send(Kept).await? == 0 {}
    // That it holds the responder it said by a message, whose channel is opened and which is sent before these are answered.
    for _ in 0..3 {
        b.send(Kept).await?;
    }
    kill(&a).await?;
    loop {
        // Another life of `left` answers, so the death is known here.
        if a.send(WhoAreYou).await.is_ok() {
            break;
        }
    }
    kill(&b).await?;
    let error = asked.await.unwrap_err();
    assert!(
        matches!(error.cause(), Cause::PeerDied { process, .. } if process.as_str() == "right"),
        "{error}"
    );
    running.shutdown().await
}

async fn late(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let ask = || whom.send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
        let error = ask().timeout(Duration::from_millis(300)).await.unwrap_err();
        assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::Unknown));
        drop(ask());
    }
    // Nothing of it is left over that answers somebody else.
    assert_eq!(a.send(Delegate { value: 5, to: vec![b], how: How::Answer }).await?, 10);
    running.shutdown().await
}

async fn comes_back(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    // Nobody lives there, so the message comes back to who sent it, with the responder.
    let nobody = ProcAddr::<Spring>::named("nobody");
    let answer = a.send(Delegate { value: 1, to: vec![nobody], how: How::Twice }).await?;
    assert_eq!(answer, 1000);
    running.shutdown().await
}

async fn forged(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    let here = Spring::default().start();
    let addr = ProcAddr::export(here)?;
    // The root is given a responder of `a`'s ask, and changes it.
    let (tell, told) = tokio::sync::oneshot::channel();
    let keeper = Keeper(Some(tell)).start();
    let keeper = ProcAddr::export(keeper)?;
    let asked = a.send(AskKeeper(keeper));
    let responder = told.await.unwrap();
    let bytes = codec::encode(&responder, 1000).unwrap();
    for at in [bytes.len() - 1, bytes.len() - 16, bytes.len() - 20] {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let forged: Responder<u64> = codec::decode(&forged).unwrap();
        forged.answer(666);
    }
    let copy: Responder<u64> = codec::decode(&bytes).unwrap();
    copy.answer(1);
    responder.answer(2);
    assert_eq!(asked.await?, 1);
    drop(addr);
    running.shutdown().await
}

async fn lends(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let (text, Descriptor(lent)) = a.send(Lend("from there".into(), b)).await?;
    let mut read = String::new();
    File::from(lent).read_to_string(&mut read).unwrap();
    assert_eq!((text.as_str(), read.as_str()), ("from there", "from there"));
    running.shutdown().await
}

async fn at_least_once(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let a = a.at_least_once();
    let asked = a.send(Ponder(3));
    assert_eq!(a.send(Decide).await?, 1);
    assert_eq!(asked.await?, 6);
    let error = a.send(Delegate { value: 1, to: vec![b], how: How::Answer }).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Poison { .. }), "no delivery was answered: {error}");
    running.shutdown().await
}
