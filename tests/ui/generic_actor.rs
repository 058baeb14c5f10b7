//! A type that needs another to be a type.

use procession::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(ProcActor)]
#[proc_actor(messages(Add))]
struct Counter<T: 'static>(T);

impl<T: Unpin + 'static> Actor for Counter<T> {
    type Context = Context<Self>;
}

fn main() {}
