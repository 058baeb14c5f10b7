//! tarpc: requests over a socketpair. It has no one-way messages: what is told is a request with an empty answer,
//! sixty-four under way.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use futures::StreamExt;
use procession_bench_clock::drive::{self, PAYLOAD, WORDS, Words};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, tasks};
use serde_bytes::ByteBuf;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::length_delimited::LengthDelimitedCodec;
use tarpc::{client, context, serde_transport};

fn main() -> Result<(), Failure> {
    play(measure, answer)
}

#[tarpc::service]
trait Receiver {
    async fn echo(words: Words) -> Words;
    async fn note(words: Words);
    async fn payload(bytes: ByteBuf);
}

#[derive(Clone)]
struct Answers;

impl Receiver for Answers {
    async fn echo(self, _: context::Context, words: Words) -> Words {
        words
    }

    async fn note(self, _: context::Context, words: Words) {
        std::hint::black_box(words);
    }

    async fn payload(self, _: context::Context, bytes: ByteBuf) {
        std::hint::black_box(drive::touch(&bytes));
    }
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    let (near, far) = UnixStream::pair()?;
    let _other = errand.other_end("", OwnedFd::from(far))?;
    cores::pin(errand.work.placement.near()?)?;
    let work = errand.work;
    tasks::run(async move {
        let transport = serde_transport::new(framed(near)?, Bincode::default());
        drive(work, ReceiverClient::new(client::Config::default(), transport).spawn()).await
    })
}

fn answer(errand: &Errand, _: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    tasks::run(async move {
        let transport = serde_transport::new(framed(socket)?, Bincode::default());
        let requests = BaseChannel::with_defaults(transport).execute(Answers.serve());
        requests.for_each(|answer| async { drop(tokio::spawn(answer)) }).await;
        Ok(())
    })
}

type Framed = tarpc::tokio_util::codec::Framed<tokio::net::UnixStream, LengthDelimitedCodec>;

fn framed(socket: UnixStream) -> Result<Framed, Failure> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(socket)?;
    Ok(LengthDelimitedCodec::builder().max_frame_length(2 * PAYLOAD).new_framed(socket))
}

async fn drive(work: Work, client: ReceiverClient) -> Result<Reading, Failure> {
    let echo = {
        let client = client.clone();
        move || {
            let client = client.clone();
            async move { Ok(client.echo(context::current(), WORDS).await.map(drop)?) }
        }
    };
    match work.task {
        Task::Ask => drive::asks(&work, echo).await,
        Task::Ask64 => tasks::asks64(&work, echo).await,
        Task::Tell => {
            let note = move || {
                let client = client.clone();
                async move { Ok(client.note(context::current(), WORDS).await?) }
            };
            drive::tells(&work, async || tasks::many(work.batch(), note.clone()).await).await
        }
        Task::Payload => {
            let payload = move || {
                let client = client.clone();
                async move { Ok(client.payload(context::current(), ByteBuf::from(vec![1; PAYLOAD])).await?) }
            };
            let count = u64::try_from(work.payloads())?;
            drive::payloads(&work, async || tasks::many(count, payload.clone()).await).await
        }
        other => Err(format!("{other:?} is no task for tarpc").into()),
    }
}
