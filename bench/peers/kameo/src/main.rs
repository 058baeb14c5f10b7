//! kameo: an actor of another swarm of libp2p, over TCP on loopback. The swarm is the one that kameo makes by itself,
//! without the search on the local network.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kameo::Actor;
use kameo::actor::{RemoteActorRef, Spawn};
use kameo::message::{Context, Message};
use kameo::remote::{self, messaging};
use kameo::{RemoteActor, Reply, remote_message};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, SwarmBuilder, noise, tcp, yamux};
use procession_bench_clock::drive::{self, MESSAGE, PAYLOAD, confirmed};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, tasks};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Longer than two swarms take to meet.
const PATIENCE: Duration = Duration::from_secs(20);

/// It is slow enough for this many times fewer in a batch.
const FEWER: u64 = 20;

fn main() -> Result<(), Failure> {
    play(measure, answer)
}

#[derive(Actor, RemoteActor)]
struct Receiver {
    notes: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Echo(ByteBuf);

#[derive(Serialize, Deserialize, Reply)]
struct Echoed(ByteBuf);

#[derive(Clone, Serialize, Deserialize)]
struct Note(ByteBuf);

#[derive(Serialize, Deserialize)]
struct Confirm;

#[remote_message]
impl Message<Echo> for Receiver {
    type Reply = Echoed;

    async fn handle(&mut self, echo: Echo, _: &mut Context<Self, Self::Reply>) -> Echoed {
        Echoed(echo.0)
    }
}

#[remote_message]
impl Message<Note> for Receiver {
    type Reply = ();

    async fn handle(&mut self, note: Note, _: &mut Context<Self, Self::Reply>) {
        std::hint::black_box(drive::touch(&note.0));
        self.notes += 1;
    }
}

#[remote_message]
impl Message<Confirm> for Receiver {
    type Reply = u64;

    async fn handle(&mut self, _: Confirm, _: &mut Context<Self, Self::Reply>) -> u64 {
        std::mem::take(&mut self.notes)
    }
}

fn swarm() -> Result<Swarm<remote::Behaviour>, Failure> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let config = messaging::Config::default().with_request_size_maximum(2 * PAYLOAD as u64);
            remote::Behaviour::new(key.public().to_peer_id(), config)
        })?
        .build();
    swarm.behaviour().try_init_global()?;
    Ok(swarm)
}

/// Waits for the other swarm, and tells this one where it is: nobody else does, without a search on the network.
async fn met(swarm: &mut Swarm<remote::Behaviour>) {
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } = swarm.select_next_some().await {
            swarm.add_peer_address(peer_id, endpoint.get_remote_address().clone());
            return;
        }
    }
}

fn go_on(mut swarm: Swarm<remote::Behaviour>) {
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    let errand = errand.clone();
    tasks::run(async move {
        let mut swarm = swarm()?;
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let meeting =
            address.with_p2p(*swarm.local_peer_id()).map_err(|address| format!("{address} has a peer"))?;
        let _other = errand.other_end(&meeting.to_string(), std::process::Stdio::null())?;
        cores::pin(errand.work.placement.near()?)?;
        met(&mut swarm).await;
        go_on(swarm);
        let begin = Instant::now();
        let receiver = loop {
            // Its name can be found a moment before it gets messages.
            if let Ok(Some(receiver)) = RemoteActorRef::<Receiver>::lookup("receiver").await
                && receiver.ask(&Confirm).send().await.is_ok()
            {
                break receiver;
            }
            if begin.elapsed() > PATIENCE {
                return Err("the other swarm's actor did not appear".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        drive(errand.work, receiver).await
    })
}

fn answer(errand: &Errand, meeting: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let address: Multiaddr = meeting.parse()?;
    tasks::run(async move {
        let mut swarm = swarm()?;
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
        swarm.dial(address)?;
        met(&mut swarm).await;
        go_on(swarm);
        let receiver = Receiver::spawn(Receiver { notes: 0 });
        receiver.register("receiver").await?;
        std::future::pending().await
    })
}

async fn drive(work: Work, receiver: RemoteActorRef<Receiver>) -> Result<Reading, Failure> {
    let ask = {
        let receiver = receiver.clone();
        move || {
            let receiver = receiver.clone();
            async move { Ok(receiver.ask(&Echo(ByteBuf::from([1; MESSAGE]))).send().await.map(drop)?) }
        }
    };
    match work.task {
        Task::Ask => drive::asks(&work, ask).await,
        Task::Ask64 => tasks::asks64(&work, ask).await,
        Task::Tell => {
            let count = work.batch() / FEWER;
            let note = Rc::new(Note(ByteBuf::from([1; MESSAGE])));
            drive::tells_of(&work, count, async || tell(&receiver, count, &note).await).await
        }
        Task::Payload => {
            let count = u64::try_from(work.payloads())?;
            let note = Rc::new(Note(ByteBuf::from(vec![1; PAYLOAD])));
            drive::payloads(&work, async || tell(&receiver, count, &note).await).await
        }
        other => Err(format!("{other:?} is no task for kameo").into()),
    }
}

/// Tells, each until the actor has it in its mailbox: without that, whatever is more than a hundred under way is lost.
async fn tell(receiver: &RemoteActorRef<Receiver>, count: u64, note: &Rc<Note>) -> Result<(), Failure> {
    let (to, note) = (receiver.clone(), Rc::clone(note));
    let told = tasks::many(count, move || {
        let (to, note) = (to.clone(), Rc::clone(&note));
        async move { Ok(to.tell(&*note).send_ack().await?) }
    });
    told.await?;
    confirmed(receiver.ask(&Confirm).send().await?, count)
}
