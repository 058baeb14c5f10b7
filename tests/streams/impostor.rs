//! A worker that is no honest program, and tells the desk of another one what no honest one says; or gives streams that
//! lie. It ends with code 42 if it got what nobody gave it nowhere, else it panics.

use procession::address::{Cause, ProcActor};
use procession::codec;
use procession::id::{ActorId, Capability, Incarnation, ProcessId, Slot};
use procession::prelude::*;
use procession::protocol::connection::Mode;
use procession::protocol::responders::{Answer, Hold, Lost, ReplyTicket};
use procession::protocol::streams::{Batch, Cancel, Claim, End, Pull, StreamId};
use procession::protocol::wire::{Failure, MessageId};

use crate::actors::{Count, Ponder, Spring, Stall};
use crate::bare::{Bare, Heard, Pipe, Raw};

/// Says to a worker that it is this one, and in which way; an honest one has no such variable.
pub(crate) const ROLE: &str = "IMPOSTOR";
/// How it ends when nothing that it tried worked.
pub(crate) const FAILED: i32 = 42;

/// What the topology believes to live in it.
#[derive(ProcActor)]
#[proc_actor(messages(Count))]
pub(crate) struct Impostor;

impl Actor for Impostor {
    type Context = Context<Self>;
}

impl Spawn for Impostor {
    type Args = Vec<ProcAddr<Spring>>;

    fn spawn(_: Self::Args, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Impostor)
    }
}

impl Handler<Count> for Impostor {
    type Result = Streaming<u64>;

    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> Streaming<u64> {
        panic!("it never runs")
    }
}

/// A worker whose topology says so; it never returns.
pub(crate) fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut bare = Bare::new();
    match role.as_str() {
        "consumer" => consume(&bare),
        "guesser" => guess(&bare),
        "hoarder" => hoard(&bare),
        "producer" => produce(&bare),
        "stuck" => stick(&mut bare),
        other => panic!("{other}"),
    }
    bare.leave(FAILED);
}

/// A message of the desk, or of the actor.
fn desk(name: &str) -> MessageId {
    MessageId::of("procession::Clerk", name)
}

fn spring(name: &str) -> MessageId {
    MessageId::of(<Spring as ProcActor>::TYPE_NAME, name)
}

/// The way to the honest one's actor, and to its desk.
struct Victim {
    pipe: Pipe,
    actor: u32,
    desk: u32,
}

/// Behind the address of the desk.
const PLACE_BYTES: usize = 8 + 16 + 4;

impl Victim {
    fn new(bare: &Bare) -> Victim {
        let target = bare.wired("a");
        let mut pipe = bare.connect(target);
        let actor = pipe.open(target);
        let address = pipe.hello().desk;
        let desk = pipe.open(codec::decode::<Capability>(&address).expect("the address of a desk"));
        Victim { pipe, actor, desk }
    }

    fn stream<M: serde::Serialize>(&mut self, name: &str, message: &M) -> StreamId {
        let place = self.pipe.ask(self.actor, spring(name), message).expect("a stream");
        codec::decode(&place[place.len() - PLACE_BYTES..]).expect("a place")
    }

    fn tell<M: serde::Serialize>(&mut self, name: &str, message: &M) {
        self.pipe.submit(self.desk, desk(name), message, Mode::Tell).expect("an honest message");
    }

    fn pull(&mut self, stream: StreamId) -> Batch {
        let pull = Pull { stream, items: 100, bytes: 10_000 };
        let batch = self.pipe.ask(self.desk, desk("Pull"), &pull).expect("an answer");
        codec::decode(&batch).expect("a batch")
    }

    /// The honest one is asked for nothing that it would not give.
    fn is_refused(&mut self, stream: StreamId) {
        assert!(is_no_stream(&self.pull(stream)));
    }
}

fn is_no_stream(batch: &Batch) -> bool {
    batch.items.is_empty() && batch.end == Some(End::Failed(Failure::failed(Cause::NoStream)))
}

/// Whatever looks like a place and is none: of other streams, with other keys, of none.
fn forgeries(stream: StreamId) -> Vec<StreamId> {
    let StreamId { number, key, .. } = stream;
    let mut all = vec![
        StreamId { key: key ^ 1, ..stream },
        StreamId { key: key ^ 1 << 127, ..stream },
        StreamId { key: 0, ..stream },
        StreamId { key: u128::MAX, number: 0, hand: u32::MAX },
    ];
    // Those of others, by the key of this one.
    all.extend((0..20).filter(|other| *other != number).map(|number| StreamId { number, ..stream }));
    all
}

/// It has a stream, and asks for more than that.
fn consume(bare: &Bare) {
    let mut victim = Victim::new(bare);
    // Pulled as often as it likes: two are answered in turn, the others at once.
    let stalled = victim.stream("Stall", &Stall(0));
    let pull = Pull { stream: stalled, items: u32::MAX, bytes: u32::MAX };
    let crowd: Vec<_> = (0..200)
        .map(|_| victim.pipe.submit(victim.desk, desk("Pull"), &pull, Mode::Call).expect("room"))
        .collect();
    for asked in crowd.into_iter().skip(2) {
        let batch = victim.pipe.outcome(asked).expect("an answer");
        assert!(is_no_stream(&codec::decode(&batch).unwrap()));
    }
    victim.tell("Cancel", &stalled);
    // Everything at once: no more than anybody may ask for.
    let endless = victim.stream("Count", &Count(u64::MAX));
    let pull = Pull { stream: endless, items: u32::MAX, bytes: u32::MAX };
    let batch = victim.pipe.ask(victim.desk, desk("Pull"), &pull).expect("an answer");
    let batch: Batch = codec::decode(&batch).unwrap();
    let (bytes, most) = (batch.items.len(), bare.welcome.limits.max_message_bytes as usize);
    assert!(bytes > 1 << 20 && bytes < most && batch.end.is_none(), "{bytes} bytes");
    victim.tell("Cancel", &endless);
    // After the end.
    let short = victim.stream("Count", &Count(3));
    assert!(matches!(victim.pull(short), Batch { end: Some(End::Done), .. }));
    victim.is_refused(short);
    // Sent on, and then asked for as before.
    let sent = victim.stream("Count", &Count(3));
    victim.tell("Claim", &StreamId { hand: u32::MAX, ..sent });
    victim.is_refused(sent);
    victim.tell("Claim", &sent);
    assert!(matches!(victim.pull(StreamId { hand: u32::MAX, ..sent }), Batch { end: Some(End::Done), .. }));
    victim.tell("Cancel", &sent);
}

/// It guesses, edits and replays keys, and sends the desk what is no message.
fn guess(bare: &Bare) {
    let mut victim = Victim::new(bare);
    let stream = victim.stream("Count", &Count(3));
    for forged in forgeries(stream) {
        victim.tell("Claim", &Claim(forged));
        victim.tell("Cancel", &Cancel(forged));
        victim.is_refused(forged);
    }
    let whole = codec::encode(&Pull { stream, items: 1, bytes: 1 }, 100).unwrap();
    let too_long = [whole.clone(), vec![7]].concat();
    for wrong in [&whole[..0], &whole[..whole.len() - 1], &too_long, &[255; 400]] {
        let failure = victim.pipe.ask(victim.desk, desk("Pull"), &Raw(wrong)).expect_err("nonsense");
        assert!(matches!(failure.cause, Cause::Decode(_)), "{failure:?}");
    }
    let failure = victim.pipe.ask(victim.desk, desk("Nothing"), &()).expect_err("no such message");
    assert!(matches!(failure.cause, Cause::NotAccepted { .. }), "{failure:?}");
    // Answers to asks that it was never given.
    let call = |process, correlation| ReplyTicket::Call {
        process: ProcessId(process),
        incarnation: Incarnation(1),
        correlation,
        proof: 7,
    };
    let mut tickets = vec![ReplyTicket::Nobody];
    tickets.extend((0..20).map(|number| ReplyTicket::Kept { number, key: stream.key }));
    tickets.extend((0..4).flat_map(|process| (0..20).map(move |correlation| call(process, correlation))));
    for ticket in tickets {
        victim.tell("Hold", &Hold { ticket, hand: u32::MAX, life: Incarnation::FIRST });
        let failure = Failure::failed(Cause::NoReply);
        victim.tell("Lost", &Lost { ticket, hand: u32::MAX, holder: None, failure });
        let result = Ok(codec::encode(&666_u64, 100).unwrap().into());
        victim.tell("Answer", &Answer { ticket, result, descriptors: Vec::new() });
    }
    // What it was given is there as before.
    assert!(matches!(victim.pull(stream), Batch { end: Some(End::Done), .. }));
}

/// It asks for streams, keeps them, and never takes anything.
fn hoard(bare: &Bare) {
    let mut victim = Victim::new(bare);
    let (mut given, mut refused, mut last) = (0, 0, None);
    while refused < 10 {
        let asked: Vec<_> = (0..100)
            .map(|_| victim.pipe.submit(victim.actor, spring("Stall"), &Stall(1), Mode::Call).expect("room"))
            .collect();
        for asked in asked {
            match victim.pipe.outcome(asked) {
                Ok(place) => {
                    let stream: StreamId =
                        codec::decode(&place[place.len() - PLACE_BYTES..]).expect("a place");
                    victim.tell("Claim", &Claim(stream));
                    (given, last) = (given + 1, Some(stream));
                }
                Err(failure) => {
                    assert!(matches!(failure.cause, Cause::Encode(_)), "{failure:?}");
                    refused += 1;
                }
            }
        }
        assert!(given <= 1 << 14, "it gives as many as one likes");
    }
    // Behind all the claims: they have come.
    let batch = victim.pull(last.expect("some were given"));
    assert!(batch.end.is_none() && !batch.items.is_empty());
}

/// It answers those who ask it for a stream, each in another wrong way, until it is told to stop.
fn produce(bare: &Bare) {
    let mut pipe = bare.introduced();
    let (process, key) = (bare.welcome.process, &bare.welcome.key);
    // An address of its own that nobody else knows: it is good, as everything is that a process says of itself.
    let own = Capability::mint(key, process, Slot(1));
    let place = |desk: Capability, number: u64| {
        let mut place = codec::encode(&desk, 1000).unwrap();
        place.extend(codec::encode(&StreamId { number, key: 7, hand: 0 }, 100).unwrap());
        place
    };
    let mut cancelled = Vec::new();
    loop {
        match pipe.next() {
            Heard::Told { message, body } if message == desk("Cancel").0 => {
                let Ok(Cancel(stream)) = codec::decode(&body) else { panic!("a stream") };
                cancelled.push(stream.number);
            }
            Heard::Asked { message, body, correlation } if message == spring("Count").0 => {
                let Ok(Count(way)) = codec::decode(&body) else { panic!("a count") };
                let wrong_desk = Capability::unsealed(ActorId::declared(ProcessId(0), Slot(0)));
                let lie = match way {
                    100 => vec![1, 2, 3],
                    101 => place(wrong_desk, 1),
                    // Whatever it did, it was told when nobody wanted more; but where it had said that there is no more.
                    102 if cancelled == CANCELLED => place(own, 9),
                    102 => panic!("{cancelled:?} were cancelled"),
                    way => place(own, way),
                };
                pipe.connection.reply(correlation, &Raw(&lie));
            }
            Heard::Asked { message, body, correlation } if message == desk("Pull").0 => {
                let pull: Pull = codec::decode(&body).expect("an honest pull");
                lie(&mut pipe, &pull, correlation);
            }
            Heard::Gone => return,
            _ => {}
        }
    }
}

/// How much the one asks that lets nobody answer.
pub(crate) const STUCK_ASKS: usize = 500;

/// It asks, and never lets in who answers in the place of who was asked.
fn stick(bare: &mut Bare) {
    let own = Capability::mint(&bare.welcome.key, bare.welcome.process, Slot(1));
    bare.desk = codec::encode(&own, 1000).unwrap();
    let target = bare.wired("a");
    let mut pipe = bare.connect(target);
    let actor = pipe.open(target);
    for value in 0..STUCK_ASKS {
        let ask = Ponder(value as u64);
        pipe.submit(actor, spring("Ponder"), &ask, Mode::Call).expect("room");
    }
    while !matches!(pipe.next(), Heard::Gone) {}
}

/// It lies in another way in each stream of a lower number; the pulls of this one fail, though it has the stream still.
pub(crate) const FAILS: u64 = 10;
/// Those that have not ended by themselves.
const CANCELLED: [u64; 9] = [0, 1, 2, 3, 4, 5, 6, 8, FAILS];

fn lie(pipe: &mut Pipe, pull: &Pull, correlation: u64) {
    let numbers = |count: u64, listed: u64| {
        let mut items = count.to_le_bytes().to_vec();
        (0..listed).for_each(|number| items.extend(number.to_le_bytes()));
        Batch { items: items.into(), ..Batch::default() }
    };
    let asked = u64::from(pull.items);
    let batch = match pull.stream.number {
        // More than were asked for; and as many as there can't be.
        0 => numbers(asked + 1, asked + 1),
        1 => numbers(u64::MAX, 0),
        // Neither items nor an end; a number of nothing.
        2 => Batch::default(),
        3 => numbers(0, 0),
        // Fewer than it says; bytes behind them; no number.
        4 => numbers(9, 3),
        5 => numbers(3, 9),
        6 => Batch { items: vec![1, 2].into(), ..Batch::default() },
        // An error that is none.
        7 => Batch::ended(End::Error(vec![1].into())),
        FAILS => {
            let failure = Failure::failed(Cause::TooLarge { limit: 1 });
            return pipe.connection.reply_failure(correlation, &failure);
        }
        // No batch at all.
        8 => return pipe.connection.reply(correlation, &Raw(&[9; 50])),
        // The same twice, and once more.
        _ => {
            (0..2).for_each(|_| pipe.connection.reply(correlation, &Batch::ended(End::Done)));
            return;
        }
    };
    pipe.connection.reply(correlation, &batch);
}
