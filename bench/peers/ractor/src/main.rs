//! ractor_cluster: an actor of another node, over a socketpair.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use procession_bench_clock::drive::{self, MESSAGE, PAYLOAD, confirmed};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, tasks};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::{
    BoxRead, BoxWrite, ClusterBidiStream, NodeServer, NodeServerMessage, RactorClusterMessage,
};

/// The group by which the other node finds the actor.
const GROUP: &str = "receivers";

/// Longer than two nodes take to meet.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    play(measure, answer)
}

/// Its messages are bytes in any case.
#[derive(RactorClusterMessage)]
enum Message {
    #[rpc]
    Echo(Vec<u8>, RpcReplyPort<Vec<u8>>),
    Note(Vec<u8>),
    #[rpc]
    Confirm(RpcReplyPort<u64>),
}

struct Receiver;

impl Actor for Receiver {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        notes: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Echo(words, reply) => reply.send(words)?,
            Message::Note(bytes) => {
                std::hint::black_box(drive::touch(&bytes));
                *notes += 1;
            }
            Message::Confirm(reply) => reply.send(std::mem::take(notes))?,
        }
        Ok(())
    }
}

/// A stream that somebody else has connected.
struct Connected(tokio::net::UnixStream);

impl ClusterBidiStream for Connected {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let (reader, writer) = self.0.into_split();
        (Box::new(reader), Box::new(writer))
    }
}

/// A node with one connection. It listens on loopback, too, since there is no node that does not.
async fn node(name: &str, socket: UnixStream, is_server: bool) -> Result<(), Failure> {
    socket.set_nonblocking(true)?;
    let stream = Box::new(Connected(tokio::net::UnixStream::from_std(socket)?));
    let server = NodeServer::new(0, "bench".into(), name.into(), "localhost".into(), None, None)
        .with_listen_addr(std::net::Ipv4Addr::LOCALHOST.into());
    let (server, _) = Actor::spawn(None, server, ()).await?;
    server.cast(NodeServerMessage::ConnectionOpenedExternal { stream, is_server }).map_err(told)
}

/// Its errors hold messages, which can't be shared.
fn told(error: impl std::fmt::Display) -> Failure {
    error.to_string().into()
}

fn answered<T>(asked: CallResult<T>) -> Result<T, Failure> {
    match asked {
        CallResult::Success(answer) => Ok(answer),
        CallResult::Timeout => Err("no answer in time".into()),
        CallResult::SenderError => Err("the other node has ended".into()),
    }
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    let (near, far) = UnixStream::pair()?;
    let _other = errand.other_end("", OwnedFd::from(far))?;
    cores::pin(errand.work.placement.near()?)?;
    let work = errand.work;
    tasks::run(async move {
        node("near", near, false).await?;
        let begin = Instant::now();
        let receiver = loop {
            if let Some(cell) = ractor::pg::get_members(&GROUP.to_owned()).into_iter().next() {
                break ActorRef::<Message>::from(cell);
            }
            if begin.elapsed() > PATIENCE {
                return Err("the other node's actor did not appear".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        drive(work, receiver).await
    })
}

fn answer(errand: &Errand, _: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    tasks::run(async move {
        let (receiver, ended) = Actor::spawn(None, Receiver, ()).await?;
        ractor::pg::join(GROUP.to_owned(), vec![receiver.get_cell()]);
        node("far", socket, true).await?;
        Ok(ended.await?)
    })
}

async fn drive(work: Work, receiver: ActorRef<Message>) -> Result<Reading, Failure> {
    let ask = {
        let receiver = receiver.clone();
        move || {
            let receiver = receiver.clone();
            async move {
                let asked = receiver.call(|reply| Message::Echo(vec![1; MESSAGE], reply), None).await;
                answered(asked.map_err(told)?).map(drop)
            }
        }
    };
    match work.task {
        Task::Ask => drive::asks(&work, ask).await,
        Task::Ask64 => tasks::asks64(&work, ask).await,
        Task::Tell => drive::tells(&work, async || cast(&receiver, work.batch(), MESSAGE).await).await,
        Task::Payload => {
            let count = u64::try_from(work.payloads())?;
            drive::payloads(&work, async || cast(&receiver, count, PAYLOAD).await).await
        }
        other => Err(format!("{other:?} is no task for ractor_cluster").into()),
    }
}

/// It has no bound: all are in the memory of this process before the first leaves.
async fn cast(receiver: &ActorRef<Message>, count: u64, bytes: usize) -> Result<(), Failure> {
    for _ in 0..count {
        receiver.cast(Message::Note(vec![1; bytes])).map_err(told)?;
    }
    let asked = receiver.call(Message::Confirm, None).await.map_err(told)?;
    confirmed(answered(asked)?, count)
}
