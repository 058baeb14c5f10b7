//! remoc: channels over a socketpair.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use bytes::{Buf, Bytes};
use procession_bench_clock::drive::{self, OUTSTANDING, PAYLOAD, WORDS, Words};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, tasks};
use remoc::rch;
use serde::{Deserialize, Serialize};

fn main() -> Result<(), Failure> {
    play(measure, answer)
}

/// What the end that measures sends to the one that answers.
#[derive(Serialize, Deserialize)]
struct Channels {
    words: rch::mpsc::Receiver<Words>,
    echoes: rch::mpsc::Sender<Words>,
    bytes: rch::bin::Receiver,
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    let (near, far) = UnixStream::pair()?;
    let _other = errand.other_end("", OwnedFd::from(far))?;
    cores::pin(errand.work.placement.near()?)?;
    tasks::run(drive(errand.work, near))
}

fn answer(errand: &Errand, _: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let work = errand.work;
    tasks::run(async move {
        let mut first = connect::<Channels>(socket).await?.1;
        let channels = first.recv().await?.ok_or("no channels came")?;
        // It ends when who measures is gone, which is no failure.
        let _ = serve(work, channels).await;
        Ok(())
    })
}

/// Both ends connect alike; the first channel takes one kind of message either way.
async fn connect<T: remoc::RemoteSend>(
    socket: UnixStream,
) -> Result<(rch::base::Sender<T>, rch::base::Receiver<T>), Failure> {
    socket.set_nonblocking(true)?;
    let (reader, writer) = tokio::net::UnixStream::from_std(socket)?.into_split();
    let (connection, sender, receiver) = remoc::Connect::io(remoc::Cfg::default(), reader, writer).await?;
    tokio::spawn(connection);
    Ok((sender, receiver))
}

async fn serve(work: Work, mut channels: Channels) -> Result<(), Failure> {
    let mut bytes = channels.bytes.into_inner().await?;
    bytes.set_max_data_size(2 * PAYLOAD);
    loop {
        match work.task {
            Task::Tell => {
                for _ in 0..work.batch() {
                    channels.words.recv().await?.ok_or("closed")?;
                }
            }
            Task::Payload => {
                for _ in 0..work.payloads() {
                    let mut payload = bytes.recv().await?.ok_or("closed")?;
                    while payload.has_remaining() {
                        let length = payload.chunk().len();
                        std::hint::black_box(drive::touch(payload.chunk()));
                        payload.advance(length);
                    }
                }
            }
            _ => {
                let words = channels.words.recv().await?.ok_or("closed")?;
                channels.echoes.send(words).await?;
                continue;
            }
        }
        channels.echoes.send(WORDS).await?;
    }
}

async fn drive(work: Work, near: UnixStream) -> Result<Reading, Failure> {
    let mut first = connect::<Channels>(near).await?.0;
    let (words, their_words) = rch::mpsc::channel::<Words, _>();
    let (their_echoes, mut echoes) = rch::mpsc::channel::<Words, _>();
    let (bytes, their_bytes) = rch::bin::channel();
    let channels = Channels { words: their_words, echoes: their_echoes, bytes: their_bytes };
    first.send(channels).await.map_err(|error| error.to_string())?;
    let mut bytes = bytes.into_inner().await?;
    match work.task {
        Task::Ask => {
            drive::asks(&work, async || {
                words.send(WORDS).await?;
                Ok(echoes.recv().await?.map(drop).ok_or("closed")?)
            })
            .await
        }
        Task::Ask64 => {
            // More than a channel holds by itself may be under way, since the answers are taken out.
            let mut under_way = 0;
            drive::in_turn(&work, async || {
                while under_way < OUTSTANDING {
                    words.send(WORDS).await?;
                    under_way += 1;
                }
                echoes.recv().await?.ok_or("closed")?;
                under_way -= 1;
                Ok(())
            })
            .await
        }
        Task::Tell => {
            drive::tells(&work, async || {
                for _ in 0..work.batch() {
                    words.send(WORDS).await?;
                }
                Ok(echoes.recv().await?.map(drop).ok_or("closed")?)
            })
            .await
        }
        Task::Payload => {
            let payload = Bytes::from(vec![1; PAYLOAD]);
            drive::payloads(&work, async || {
                for _ in 0..work.payloads() {
                    bytes.send(payload.clone()).await?;
                }
                Ok(echoes.recv().await?.map(drop).ok_or("closed")?)
            })
            .await
        }
        other => Err(format!("{other:?} is no task for remoc").into()),
    }
}
