//! A message that is not in the actor's list.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Subtract(u64);

#[derive(ProcActor)]
#[proc_actor(messages(Add))]
struct Counter;

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, Add(value): Add, _: &mut Context<Self>) -> u64 {
        value
    }
}

fn main() {
    let counter = ProcAddr::<Counter>::named("counter");
    let _ = counter.send(Subtract(1));
    let _ = counter.recipient::<Subtract>();
}
