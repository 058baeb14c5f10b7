//! A listed message without its handler.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(ProcActor)]
#[proc_actor(messages(Add))]
struct Counter;

impl Actor for Counter {
    type Context = Context<Self>;
}

fn main() {}
