//! ipc-channel, between two processes and between two threads of one.

use std::future::ready;
use std::time::Instant;

use ipc_channel::ipc::{
    self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory,
};
use serde::{Deserialize, Serialize};

use super::Subject;
use super::actors::{WORDS, Words};
use crate::cores;
use crate::drive::{self, OUTSTANDING, PAYLOAD, at_once};
use crate::other_end::{OtherEnd, other_end};
use crate::part::{Failure, Part, Reading, Task};

/// What the end that answers sends to the one that measures.
#[derive(Serialize, Deserialize)]
struct Channels {
    words: IpcSender<Words>,
    echoes: IpcReceiver<Words>,
    bytes: IpcBytesSender,
    shared: IpcSender<IpcSharedMemory>,
}

/// The ends of [`Channels`] that stay.
struct Answering {
    words: IpcReceiver<Words>,
    echoes: IpcSender<Words>,
    bytes: IpcBytesReceiver,
    shared: IpcReceiver<IpcSharedMemory>,
}

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    match (part.task, part.subject) {
        (Task::Spawn, _) => spawn(part),
        (_, Subject::IpcChannelThreads) => {
            let (channels, answering) = channels()?;
            let part = *part;
            // Ends with the process.
            std::thread::spawn(move || {
                if let Err(error) = cores::pin(part.placement.far().unwrap_or(None)) {
                    eprintln!("{error}");
                }
                answering.serve(&part)
            });
            drive(&part, &channels)
        }
        _ => {
            let (_other, channels) = start(part)?;
            drive(part, &channels)
        }
    }
}

fn start(part: &Part) -> Result<(OtherEnd, Channels), Failure> {
    let (server, name) = IpcOneShotServer::<Channels>::new()?;
    // The name of the server goes where other parts have their connection.
    let (reader, mut writer) = std::io::pipe()?;
    let other = other_end(part, reader)?;
    std::io::Write::write_all(&mut writer, name.as_bytes())?;
    drop(writer);
    Ok((other, server.accept()?.1))
}

pub(super) fn answer(part: &Part) -> Result<(), Failure> {
    cores::pin(part.placement.far()?)?;
    let name = std::io::read_to_string(std::io::stdin())?;
    let (channels, answering) = channels()?;
    IpcSender::connect(name)?.send(channels)?;
    // It ends when who measures is gone, which is no failure.
    let _ = answering.serve(part);
    Ok(())
}

fn channels() -> std::io::Result<(Channels, Answering)> {
    let (words, incoming_words) = ipc::channel()?;
    let (outgoing_echoes, echoes) = ipc::channel()?;
    let (bytes, incoming_bytes) = ipc::bytes_channel()?;
    let (shared, incoming_shared) = ipc::channel()?;
    let ours = Channels { words, echoes, bytes, shared };
    let theirs = Answering {
        words: incoming_words,
        echoes: outgoing_echoes,
        bytes: incoming_bytes,
        shared: incoming_shared,
    };
    Ok((ours, theirs))
}

impl Answering {
    /// Until it is killed, or the process ends.
    fn serve(&self, part: &Part) -> Result<(), ipc_channel::IpcError> {
        loop {
            match (part.task, part.subject) {
                (Task::Tell, _) => {
                    for _ in 0..part.batch() {
                        self.words.recv()?;
                    }
                }
                (Task::Payload, Subject::IpcChannelShared) => {
                    for _ in 0..part.payloads() {
                        std::hint::black_box(drive::touch(&self.shared.recv()?));
                    }
                }
                (Task::Payload, _) => {
                    for _ in 0..part.payloads() {
                        std::hint::black_box(drive::touch(&self.bytes.recv()?));
                    }
                }
                _ => {
                    self.echoes.send(self.words.recv()?)?;
                    continue;
                }
            }
            self.echoes.send(WORDS)?;
        }
    }
}

fn drive(part: &Part, channels: &Channels) -> Result<Reading, Failure> {
    cores::pin(part.placement.near()?)?;
    let ask = || {
        channels.words.send(WORDS)?;
        Ok(std::hint::black_box(channels.echoes.recv()).map(drop)?)
    };
    match part.task {
        Task::Ask => at_once(drive::asks(part, || ready(ask()))),
        Task::Ask64 => {
            for _ in 1..OUTSTANDING {
                channels.words.send(WORDS)?;
            }
            drive::one_by_one(part, ask)
        }
        Task::Tell => at_once(drive::tells(part, || {
            ready((0..part.batch()).try_for_each(|_| Ok(channels.words.send(WORDS)?)).and_then(|()| {
                channels.echoes.recv()?;
                Ok(())
            }))
        })),
        Task::Payload => {
            let payload = vec![1; PAYLOAD];
            let send = || match part.subject {
                Subject::IpcChannelShared => {
                    Ok::<_, Failure>(channels.shared.send(IpcSharedMemory::from_bytes(&payload))?)
                }
                _ => Ok(channels.bytes.send(&payload)?),
            };
            at_once(drive::payloads(part, || {
                ready((0..part.payloads()).try_for_each(|_| send()).and_then(|()| {
                    channels.echoes.recv()?;
                    Ok(())
                }))
            }))
        }
        other => Err(format!("{other:?} is no task for ipc-channel").into()),
    }
}

fn spawn(part: &Part) -> Result<Reading, Failure> {
    let mut times = Vec::new();
    for _ in 0..part.lives() {
        let before = Instant::now();
        let (other, channels) = start(part)?;
        channels.words.send(WORDS)?;
        channels.echoes.recv()?;
        times.push(before.elapsed());
        drop(other);
    }
    Ok(drive::milliseconds(times))
}
