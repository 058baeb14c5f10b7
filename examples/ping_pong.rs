//! Two actors in two processes send one another a ball, and the root asks for the score.
//!
//! `cargo run --example ping_pong`

#![allow(clippy::print_stdout)] // What it shows, it prints.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Ball {
    hits_left: u32,
}

/// Resolves when the rally is over, with the number of balls that this player hit and its process id.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "(u32, u32)")]
struct Score;

#[derive(ProcActor)]
#[proc_actor(messages(Ball, Score))]
struct Player {
    other: ProcAddr<Player>,
    hits: u32,
    over: tokio::sync::watch::Sender<bool>,
}

impl Actor for Player {
    type Context = Context<Self>;
}

impl Handler<Ball> for Player {
    type Result = ();

    fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        self.hits += 1;
        // The last two balls tell both players that the rally is over.
        if ball.hits_left <= 1 {
            self.over.send_replace(true);
        }
        if ball.hits_left > 0 {
            self.other.do_send(Ball { hits_left: ball.hits_left - 1 });
        }
    }
}

impl Handler<Score> for Player {
    type Result = ResponseActFuture<Self, (u32, u32)>;

    fn handle(&mut self, _: Score, _: &mut Context<Self>) -> Self::Result {
        let mut over = self.over.subscribe();
        let wait = async move { over.wait_for(|over| *over).await.is_ok() };
        Box::pin(wait.into_actor(self).map(|_, player, _| (player.hits, std::process::id())))
    }
}

impl Spawn for Player {
    type Args = ProcAddr<Player>;

    fn spawn(other: ProcAddr<Player>, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Player { other, hits: 0, over: tokio::sync::watch::Sender::new(false) })
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Player>().run(async |root| {
        let topology = Topology::new("ping-pong")
            .process(Process::new("left").actor::<Player>("ping", ProcAddr::named("pong")))
            .process(Process::new("right").actor::<Player>("pong", ProcAddr::named("ping")));
        let running = root.deploy(topology).await?;
        let (ping, pong) = (running.addr::<Player>("ping")?, running.addr::<Player>("pong")?);

        ping.tell(Ball { hits_left: 9_999 }).await?;
        let (ping, pong) = (ping.send(Score).await?, pong.send(Score).await?);
        println!("ping hit {} balls, pong hit {}", ping.0, pong.0);
        println!("three processes: {}", ping.1 != pong.1 && ping.1 != std::process::id());
        running.shutdown().await
    })
}
