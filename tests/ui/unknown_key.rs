//! A word that the attribute does not know.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(ProcActor)]
#[proc_actor(mesages(Add))]
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

fn main() {}
