//! Two names with one hash: a message's identity would be ambiguous.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Take(u64);

#[derive(ProcActor)]
#[proc_actor(name = "ui::Counter", messages(Add as "message-162789", Take as "message-379192"))]
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

impl Handler<Take> for Counter {
    type Result = u64;

    fn handle(&mut self, Take(value): Take, _: &mut Context<Self>) -> u64 {
        value
    }
}

fn main() {}
