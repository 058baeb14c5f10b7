//! Answers that come later, and from somebody else than who was asked.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use procession::address::{Cause, Failure, JsonError};
use procession::codec;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, kill, spring, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h40_a_responder_that_is_kept_answers_later_and_dropped_says_no_reply", kept),
        story("a_responder_answers_from_a_third_process", delegated),
        story("a_responder_that_was_kept_may_go_to_whoever_asked", kept_and_sent_back),
        story("one_that_asks_by_json_is_answered_by_others", by_json),
        story("h40_wherever_a_responder_is_lost_the_asker_is_told", lost),
        story("h40_who_dies_in_the_handler_that_read_a_responder_is_missed_at_once", dies_with_it),
        story("a_responder_comes_back_from_who_died_before_it_came", comes_back_from_the_dead),
        story("the_death_of_who_passed_a_responder_on_harms_nobody", passed_on),
        story("m7_the_deadline_and_the_cancellation_of_the_ask_stand", late),
        story("a_responder_of_a_message_that_comes_back_still_answers", comes_back),
        story("x1_a_forged_responder_reaches_nobody_and_a_true_one_answers_once", forged),
        story("an_answer_from_elsewhere_carries_descriptors", lends),
        story("m2_an_answer_from_elsewhere_that_cant_go_is_told_as_a_failure", too_large),
        story("m7_who_has_a_responder_sees_that_nobody_waits_any_more", cancelled),
        story("m2_a_timeout_of_an_ask_that_others_answer_may_still_be_changed", changed),
        story("m6_an_at_least_once_message_is_answered_from_elsewhere", at_least_once),
        story("m6_who_dies_before_the_answer_from_elsewhere_handles_it_again", dies_before_the_answer),
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

async fn kept_and_sent_back(root: Root) -> procession::Result<()> {
    let (running, [a, _, _]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    let asked = join_all((0..20).map(|value| a.send(Ponder(value))));
    // To the asker's own process, in a message and in a reply: each is encoded for the connection on which was asked.
    let decided = async {
        let mut decided = 0;
        while decided < 20 {
            decided += a.send(LetDecide(here.clone())).await.unwrap();
        }
    };
    let (answers, ()) = tokio::join!(asked, decided);
    for (value, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer?, value as u64 * 2);
    }
    let (answer, ()) = tokio::join!(a.send(Ponder(1)), async {
        let mut back = Vec::new();
        while back.is_empty() {
            back = a.send(TakeBack).await.unwrap();
        }
        back.into_iter().for_each(|responder| responder.answer(7));
    });
    assert_eq!(answer?, 7);
    running.shutdown().await
}

async fn by_json(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let asked = a.send_json("Ponder", &serde_json::json!(4));
    let decided = async { while a.send(LetDecide(b.clone())).await.unwrap() == 0 {} };
    let (answer, ()) = tokio::join!(asked, decided);
    assert_eq!(answer.unwrap(), serde_json::json!(8));
    // Where the message with the responder can't go, the asker hears so at once: b is no name that a may look up.
    let ask = Delegate { value: 4, to: vec![b], how: How::Answer };
    let error = a.send_json("Delegate", &serde_json::to_value(&ask).unwrap()).await.unwrap_err();
    assert!(matches!(error, JsonError::Send(Failure { cause: Cause::NoReply, .. })), "{error}");
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
        let asked = ask(How::Keep);
        until_held(&c).await?;
        kill(&c).await?;
        let error = asked.await.unwrap_err();
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

async fn dies_with_it(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    // In its first message, when the asker does not know it, and again; from who was asked, and from who was passed it.
    for whom in [&a, &here] {
        for to in [vec![c.clone()], vec![b.clone(), c.clone()]] {
            let error = whom.send(Delegate { value: 1, to, how: How::Die }).await.unwrap_err();
            assert!(
                matches!(error.cause(), Cause::PeerDied { process, exit: Some(Exit::Signal { .. }), .. } if process.as_str() == "third"),
                "{error}"
            );
            assert_eq!(error.verdict(), Verdict::Unknown);
        }
    }
    running.shutdown().await
}

async fn comes_back_from_the_dead(root: Root) -> procession::Result<()> {
    let third = spring("third", "c").restart(Policy::Temporary);
    let running = deploy(&root, [spring("left", "a"), third]).await?;
    let (a, c) = (running.addr::<Spring>("a")?, running.addr::<Spring>("c")?);
    c.send(WhoAreYou).await?;
    kill(&c).await?;
    // The death is not known everywhere at once; whoever is not reached gives the responder back.
    for _ in 0..10 {
        let answer = a.send(Delegate { value: 1, to: vec![c.clone()], how: How::Twice }).await;
        match answer {
            Ok(answer) => assert_eq!(answer, 1000),
            Err(error) => assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}"),
        }
    }
    assert_eq!(a.send(Delegate { value: 1, to: vec![c], how: How::Twice }).await?, 1000);
    running.shutdown().await
}

/// Until it keeps a responder of ours, and said so: by a message whose channel is opened, and which is sent, before these are
/// answered.
async fn until_held(whom: &ProcAddr<Spring>) -> procession::Result<()> {
    until_kept(whom, 1).await?;
    for _ in 0..3 {
        whom.send(Kept).await?;
    }
    Ok(())
}

async fn passed_on(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    // It keeps what it was given, so the asker waits for `right`, not for `left`.
    let asked = a.send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
    until_held(&b).await?;
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
    let mut bytes = Vec::new();
    codec::encode_with_descriptors(&responder, &mut bytes, 1000, 0).unwrap();
    // It ends with the proof, and how often it was sent on.
    for at in [bytes.len() - 5, bytes.len() - 20, bytes.len() - 24] {
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

async fn too_large(root: Root) -> procession::Result<()> {
    let small = spring("small", "s").max_message_bytes(1 << 20);
    let running = deploy(&root, [small, spring("left", "a"), spring("right", "b")]).await?;
    let [s, a, b] = [running.addr::<Spring>("s")?, running.addr("a")?, running.addr("b")?];
    // It knows what `a` takes, and nothing of `b`.
    assert_eq!(s.send(Order(a.clone(), vec![a.clone()], How::Answer)).await?, Some(2));
    // Before the one who answers knows what the asker takes, and when it does.
    for _ in 0..2 {
        let told = s.send(Borrow(3 << 20, a.clone(), b.clone())).await?;
        assert_eq!(told, "Failed: TooLarge { limit: 1048576 }");
    }
    assert_eq!(s.send(Borrow(1000, a, b)).await?, "1000 bytes");
    running.shutdown().await
}

/// Until so many that it keeps are known to be of no use.
async fn until_cancelled(whom: &ProcAddr<Spring>, count: usize) -> procession::Result<()> {
    while whom.send(Cancelled).await? < count {}
    Ok(())
}

/// Until it keeps so many.
async fn until_kept(whom: &ProcAddr<Spring>, count: usize) -> procession::Result<()> {
    while whom.send(Kept).await? < count {}
    Ok(())
}

async fn cancelled(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    let mut known = 0;
    for whom in [&a, &here] {
        let ask = || whom.send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
        // Its time is up.
        let error = ask().timeout(Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(error.cause(), &Cause::TimedOut);
        known += 1;
        until_cancelled(&b, known).await?;
        // It is dropped, after the responder came, and before.
        let asked = ask();
        until_kept(&b, known + 1).await?;
        assert_eq!(b.send(Cancelled).await?, known);
        drop(asked);
        known += 1;
        until_cancelled(&b, known).await?;
    }
    // Somebody else has answered: the one who passed a copy on.
    let nobody = b.send(Kept).await?;
    let asked = c.send(Delegate { value: 1, to: vec![a.clone(), b.clone()], how: How::Keep });
    until_kept(&b, nobody + 1).await?;
    assert_eq!(b.send(Cancelled).await?, known);
    // The asker's process dies.
    let ordered = c.send(Order(a.clone(), vec![b.clone()], How::Keep));
    until_kept(&b, nobody + 2).await?;
    kill(&c).await?;
    ordered.await.unwrap_err();
    until_cancelled(&b, known + 1).await?;
    assert_eq!(b.send(Settle).await?, nobody + 2);
    assert_eq!(asked.await?, 77, "the death of who had passed it on harms nobody");
    running.shutdown().await
}

async fn changed(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let ask = || whom.send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
        // Shorter than it was.
        let asked = ask();
        until_kept(&b, 1).await?;
        let error = asked.timeout(Duration::from_millis(200)).await.unwrap_err();
        assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::Unknown));
        until_cancelled(&b, 1).await?;
        b.send(Settle).await?;
        // Longer than it was: it waits though another with the first time has given up.
        let (time, long) = (Duration::from_secs(1), Duration::from_secs(60));
        let asked = ask().timeout(time);
        until_kept(&b, 1).await?;
        let asked = asked.timeout(long);
        ask().timeout(time).await.unwrap_err();
        assert!(b.send(Settle).await? == 2, "both are there");
        assert_eq!(asked.await?, 77);
    }
    running.shutdown().await
}

async fn at_least_once(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let a = a.at_least_once();
    let asked = a.send(Ponder(3));
    assert_eq!(a.send(Decide).await?, 1);
    assert_eq!(asked.await?, 6);
    for to in [vec![b.clone()], vec![b.clone(), c.clone()]] {
        let asked = (0..20).map(|value| a.send(Delegate { value, to: to.clone(), how: How::Answer }));
        for (value, answer) in join_all(asked).await.into_iter().enumerate() {
            assert_eq!(answer?, value as u64 * 2, "{to:?}");
        }
    }
    // Each time its responder is lost, it is handled again, until it is held for what ends responders.
    let error = a.send(Delegate { value: 1, to: vec![b], how: How::Drop }).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Poison { .. }), "{error}");
    running.shutdown().await
}

async fn dies_before_the_answer(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    let asked = a.at_least_once().send(Delegate { value: 1, to: vec![b.clone()], how: How::Keep });
    until_kept(&b, 1).await?;
    kill(&a).await?;
    // The next life was given it again, and passed it on again.
    until_kept(&b, 2).await?;
    assert_eq!(b.send(Settle).await?, 2);
    assert_eq!(asked.await?, 77);
    running.shutdown().await
}
