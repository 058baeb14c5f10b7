//! The same for the control pipe: every message of either side with a flipped bit.

use libtest_mimic::Trial;
use procession::id::*;
use procession::protocol::control::*;
use procession::protocol::control_frames::{self, Decoder};
use procession::protocol::keeping::{Keep, KeepRefusal, Keeping, KeptState};
use procession::protocol::letters::{LetterReport, LettersToRoot, LettersToWorker};
use procession::protocol::names::{Holder, NameState, NamesRequest, NamesToRoot, NamesToWorker, Presence};
use procession::protocol::requests::{Ask, ChangeError, Granted, Request};
use procession::protocol::rights::{Denial, Edge};
use procession::protocol::{Delivery, Limits};
use serde::de::DeserializeOwned;

use crate::memory::within;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("x1_no_flipped_bit_of_a_control_pipe_panics_or_costs_much", flips)]
}

/// What a flipped length claims of a frame is not allocated. Of a list within it serde reserves up to 1 MiB, before the
/// first element is missing; lists are nested at most twice.
const MOST_BYTES: usize = (2 << 20) + (256 << 10);

fn flips() {
    let (to_root, to_worker) = (from_workers(), from_the_root());
    let cases = each_flip::<ToRoot>(&to_root) + each_flip::<ToWorker>(&to_worker);
    println!("{cases} flipped bits");
    assert!(cases > 5000);
}

fn each_flip<T: DeserializeOwned>(stream: &[u8]) -> usize {
    for place in 0..stream.len() {
        for bit in 0..8 {
            let mut changed = stream.to_vec();
            changed[place] ^= 1 << bit;
            within(MOST_BYTES, (place, bit), || {
                let mut decoder: Decoder<T, ()> = Decoder::new();
                decoder.handle_bytes(&changed, std::iter::empty(), false);
                while let Ok(Some(_)) = decoder.poll_message() {}
                let _ = decoder.handle_end();
            });
        }
    }
    stream.len() * 8
}

fn stream<T: serde::Serialize>(messages: &[T]) -> Vec<u8> {
    let mut bytes = Preamble::ours().to_vec();
    for message in messages {
        control_frames::encode_into(message, 0, &mut bytes).unwrap();
    }
    bytes
}

fn named() -> FullName {
    FullName::new("players/alice").unwrap()
}

fn holder() -> Holder {
    let (id, process) = (ActorId::declared(ProcessId(3), Slot(0)), ProcessName::new("left").unwrap());
    let (addr, delivery) = (Capability::unsealed(id), Delivery::AtMostOnce);
    Holder { id, type_name: "Counter".to_owned(), process, addr, delivery, life: 1 }
}

pub(crate) fn from_workers() -> Vec<u8> {
    let (process, incarnation) = (ProcessId(3), Incarnation::FIRST);
    stream(&[
        ToRoot::Ready(Ready { process, incarnation, build: BuildId(1), limits: Limits::default() }),
        ToRoot::Refused(Refusal::Handshake("no".to_owned())),
        ToRoot::Introduce {
            target: Capability::unsealed(ActorId::declared(process, Slot(0))),
            broken: Some(incarnation),
        },
        ToRoot::Letters(LettersToRoot::Subscribe { number: 3, to: vec![1, 0, 0, 0] }),
        ToRoot::Letters(LettersToRoot::Report { request: 7, report: LetterReport::default() }),
        ToRoot::Blame { process, incarnation, reason: "it lies".to_owned() },
        ToRoot::Log(LogRecord {
            time_us: 1,
            level: LogLevel::Warn,
            target: "here".to_owned(),
            spans: vec!["outer".to_owned()],
            message: "counted".to_owned(),
            fields: vec![("total".to_owned(), "3".to_owned())],
            dropped: 2,
        }),
        ToRoot::Panic(PanicReport {
            message: "ouch".to_owned(),
            place: "a.rs:1:2".to_owned(),
            thread: "main".to_owned(),
            handling: Some(Handling {
                actor: "counter".to_owned(),
                message: "Add".to_owned(),
                sender: Some(process),
                waits: false,
                sender_name: None,
            }),
            backtrace: None,
        }),
        ToRoot::Keep(Keep { slot: Slot(0), number: 7, what: Keeping::Snapshot(vec![1, 2, 3].into()) }),
        ToRoot::Ask(Ask { number: 1, request: Request::Start { process: "{}".to_owned(), linked: true } }),
        ToRoot::Ask(Ask { number: 2, request: Request::Stop { process: "left".to_owned() } }),
        ToRoot::Ask(Ask { number: 3, request: Request::Processes }),
        ToRoot::Ask(Ask {
            number: 4,
            request: Request::AddActor {
                start: Box::new(ActorStart::new(ActorName::new("counter").unwrap(), "Counter", Slot(0))),
            },
        }),
        ToRoot::Ask(Ask {
            number: 5,
            request: Request::Names(NamesRequest::Register {
                name: named(),
                holder: holder(),
                claim: Some(1),
            }),
        }),
        ToRoot::Names(NamesToRoot::Presence { id: holder().id, presence: Presence::Here }),
        ToRoot::Names(NamesToRoot::Use { group: named() }),
        ToRoot::Finish { code: 3 },
        ToRoot::Shapes { build: BuildId(7), protocol: "{\"actors\":[]}".to_owned() },
    ])
}

pub(crate) fn from_the_root() -> Vec<u8> {
    let (process, incarnation) = (ProcessId(3), Incarnation::FIRST);
    let name = ProcessName::new("left").unwrap();
    let exit = Exit::Code(7);
    let running = InProgress { slot: Slot(0), message: 7, sender: process, number: 3, waits: false };
    let cursor = Cursor { handled: 5, running: 1, unread: 2, in_progress: vec![running] };
    stream(&[
        ToWorker::Letters(LettersToWorker::Report { request: 7 }),
        ToWorker::Letters(LettersToWorker::Unsubscribe { owner: ProcessId(3), number: 3 }),
        ToWorker::Names(NamesToWorker::Group {
            group: named(),
            version: 2,
            type_name: Some("Counter".to_owned()),
            members: vec![holder()],
        }),
        ToWorker::Names(NamesToWorker::Name { name: named(), version: 1, state: NameState::Away(holder()) }),
        ToWorker::State(KeptState { slot: Slot(0), state: vec![1, 2, 3].into(), is_snapshot: true }),
        ToWorker::Welcome(Box::new(Welcome {
            last_exit: Some(exit),
            build: Some(BuildId(1)),
            actors: vec![ActorStart::new(ActorName::new("counter").unwrap(), "Counter", Slot(0))],
            names: vec![KnownActor {
                name: ActorName::new("counter").unwrap(),
                id: Capability::unsealed(ActorId::declared(process, Slot(0))),
                type_name: "Counter".to_owned(),
                process: name.clone(),
                delivery: Delivery::AtLeastOnce,
            }],
            ..Welcome::new(TopologyName::new("demo").unwrap(), process, name.clone())
        })),
        ToWorker::Introduce {
            peer: Peer { process, incarnation, name },
            medium: Medium::Shared { first: true },
        },
        ToWorker::Denied {
            target: Capability::unsealed(ActorId::declared(process, Slot(0))),
            why: Denial::Revoked,
        },
        ToWorker::Edges(vec![Edge { from: process, to: Slot(0), messages: vec![7, 9] }]),
        ToWorker::Unreachable { process, why: Unreachable::Ended(exit) },
        ToWorker::Down { process, incarnation, exit, cursor: Some(cursor) },
        ToWorker::Kept { slot: Slot(0), number: 7, refused: Some(KeepRefusal::TooLarge { limit: 9 }) },
        ToWorker::Answer {
            number: 1,
            answer: Ok(Granted::Started {
                processes: vec![ProcessName::new("left").unwrap()],
                actors: vec![KnownActor {
                    name: ActorName::new("counter").unwrap(),
                    id: Capability::unsealed(ActorId::declared(process, Slot(0))),
                    type_name: "Counter".to_owned(),
                    process: ProcessName::new("left").unwrap(),
                    delivery: Delivery::AtMostOnce,
                }],
            }),
        },
        ToWorker::Answer { number: 2, answer: Err(ChangeError::Invalid("no actors".to_owned())) },
        ToWorker::Stop { grace_ms: 5000 },
    ])
}
