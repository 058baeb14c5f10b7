//! The same actors as different programs have them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

use procession::address::WeakProcAddr;
use procession::prelude::*;

/// A shop as one program knows it: what is sold, what is answered, and how a watch ends.
macro_rules! shop {
    (
        $module:ident:
        Add { $($field:ident: $type:ty),* },
        Kind { $($kind:tt)* },
        Closed { $reason:ident: $why:ty },
        $answer:literal = $result:ty
    ) => {
        pub(crate) mod $module {
            use super::*;

            #[derive(Message, Serialize, Deserialize)]
            #[rtype(result = "u64")]
            pub(crate) struct Add { $(pub(crate) $field: $type),* }

            #[derive(Serialize, Deserialize)]
            pub(crate) struct Item {
                pub(crate) price: u32,
                pub(crate) kind: Kind,
            }

            #[derive(Serialize, Deserialize)]
            pub(crate) enum Kind { $($kind)* }

            #[derive(Message, Serialize, Deserialize)]
            #[rtype(result = $answer)]
            pub(crate) struct Count;

            /// Each number up to that of now.
            #[derive(Message, Serialize, Deserialize)]
            #[rtype(result = "Streaming<u64, Closed>")]
            pub(crate) struct Watch;

            #[derive(Debug, Serialize, Deserialize)]
            pub(crate) struct Closed {
                pub(crate) $reason: $why,
            }

            #[derive(ProcActor)]
            #[proc_actor(messages(Add, Count as "how-many", Watch), name = "shop::Counter")]
            pub(crate) struct Counter(u64);

            impl Actor for Counter {
                type Context = Context<Self>;
            }

            impl Spawn for Counter {
                type Args = u64;
                fn spawn(start: u64, _: &Birth) -> Result<Self, SpawnError> {
                    Ok(Counter(start))
                }
            }

            impl Handler<Add> for Counter {
                type Result = u64;
                fn handle(&mut self, add: Add, _: &mut Context<Self>) -> u64 {
                    self.0 += u64::try_from(add.items.len()).unwrap();
                    self.0
                }
            }

            impl Handler<Count> for Counter {
                type Result = $result;
                fn handle(&mut self, _: Count, _: &mut Context<Self>) -> $result {
                    <$result>::try_from(self.0).unwrap()
                }
            }

            impl Handler<Watch> for Counter {
                type Result = Streaming<u64, Closed>;
                fn handle(&mut self, _: Watch, _: &mut Context<Self>) -> Self::Result {
                    Streaming::of(futures_util::stream::iter(0..self.0))
                }
            }

            /// Sends to a counter, and hosts none.
            #[allow(dead_code)] // Not in every role.
            #[derive(ProcActor)]
            #[proc_actor(messages(), name = "shop::Buyer")]
            pub(crate) struct Buyer;

            impl Actor for Buyer {
                type Context = Context<Self>;
            }

            impl Spawn for Buyer {
                type Args = ProcAddr<Counter>;
                fn spawn(_: ProcAddr<Counter>, _: &Birth) -> Result<Self, SpawnError> {
                    Ok(Buyer)
                }
            }

            /// Knows a counter by a weak address alone.
            #[allow(dead_code)] // Not in every role.
            #[derive(ProcActor)]
            #[proc_actor(messages(), name = "shop::Looker")]
            pub(crate) struct Looker;

            impl Actor for Looker {
                type Context = Context<Self>;
            }

            impl Spawn for Looker {
                type Args = Option<WeakProcAddr<Counter>>;
                fn spawn(_: Self::Args, _: &Birth) -> Result<Self, SpawnError> {
                    Ok(Looker)
                }
            }
        }
    };
}

shop! { same:
    Add { amount: u64, note: Option<String>, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { reason: String },
    "u64" = u64
}

shop! { renamed:
    Add { sum: u64, note: Option<String>, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { reason: String },
    "u64" = u64
}

shop! { retyped:
    Add { amount: u64, note: Option<Vec<u8>>, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { reason: String },
    "u64" = u64
}

shop! { reordered:
    Add { note: Option<String>, amount: u64, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { reason: String },
    "u64" = u64
}

shop! { nested:
    Add { amount: u64, note: Option<String>, items: Vec<Item> },
    Kind { Small, Large { size: u16 } },
    Closed { reason: String },
    "u64" = u64
}

shop! { variants:
    Add { amount: u64, note: Option<String>, items: Vec<Item> },
    Kind { Large { size: u8 }, Small },
    Closed { reason: String },
    "u64" = u64
}

shop! { ended:
    Add { amount: u64, note: Option<String>, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { code: u32 },
    "u64" = u64
}

shop! { answered:
    Add { amount: u64, note: Option<String>, items: Vec<Item> },
    Kind { Small, Large { size: u8 } },
    Closed { reason: String },
    "u32" = u32
}

/// What to order, for the JSON stories.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<BTreeMap<String, u64>, Refusal>")]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    items: Vec<same::Item>,
    #[serde(default)]
    limit: Option<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    NothingOrdered,
    TooMany { at_most: u8 },
}

/// A tree of orders, as deep as anybody wants.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
pub(crate) struct Depth(Vec<Depth>);

/// Answers what JSON can't say.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "HashMap<(u8, u8), u8>")]
pub(crate) struct Odd;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct Break;

/// Works within a process alone.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct Free {
    any: serde_json::Value,
}

/// It counts how often it was read in this process. Answered with that.
#[derive(Message, Serialize)]
#[rtype(result = "u32")]
pub(crate) struct Shy(pub(crate) u8);

static READ: AtomicU32 = AtomicU32::new(0);

impl<'de> Deserialize<'de> for Shy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::Relaxed);
        u8::deserialize(deserializer).map(Shy)
    }
}

impl Handler<Shy> for Desk {
    type Result = u32;
    fn handle(&mut self, _: Shy, _: &mut Context<Self>) -> u32 {
        READ.load(Ordering::Relaxed)
    }
}

/// Sends JSON itself: to whom, what, and the JSON.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<String, String>")]
pub(crate) struct Pass(pub(crate) ProcAddr<Desk>, pub(crate) String, pub(crate) String);

/// Takes orders.
#[derive(ProcActor)]
#[proc_actor(messages(Order, Depth, Odd, Break, Pass, Free, Shy), name = "shop::Desk")]
pub(crate) struct Desk;

impl Actor for Desk {
    type Context = Context<Self>;
}

/// How a desk is set up.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// Who counts.
    pub(crate) counter: Option<ProcAddr<same::Counter>>,
    #[serde(default)]
    pub(crate) greeting: String,
}

impl Spawn for Desk {
    type Args = Setup;
    fn spawn(_: Setup, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Desk)
    }
}

impl Handler<Order> for Desk {
    type Result = Result<BTreeMap<String, u64>, Refusal>;
    fn handle(&mut self, Order { items, limit }: Order, _: &mut Context<Self>) -> Self::Result {
        match limit {
            _ if items.is_empty() => Err(Refusal::NothingOrdered),
            Some(at_most) if items.len() > usize::from(at_most) => Err(Refusal::TooMany { at_most }),
            _ => {
                let total = items.iter().map(|item| u64::from(item.price)).sum();
                let large = items.iter().filter(|item| matches!(item.kind, same::Kind::Large { .. })).count();
                Ok(BTreeMap::from([("total".to_owned(), total), ("large".to_owned(), large as u64)]))
            }
        }
    }
}

impl Handler<Depth> for Desk {
    type Result = u32;
    fn handle(&mut self, depth: Depth, _: &mut Context<Self>) -> u32 {
        fn measure(depth: &Depth) -> u32 {
            1 + depth.0.iter().map(measure).max().unwrap_or(0)
        }
        measure(&depth)
    }
}

impl Handler<Odd> for Desk {
    type Result = MessageResult<Odd>;
    fn handle(&mut self, _: Odd, _: &mut Context<Self>) -> Self::Result {
        MessageResult(HashMap::from([((1, 2), 3)]))
    }
}

impl Handler<Free> for Desk {
    type Result = ();
    fn handle(&mut self, _: Free, _: &mut Context<Self>) {}
}

impl Handler<Break> for Desk {
    type Result = ();
    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("broken on request");
    }
}

impl Handler<Pass> for Desk {
    type Result = ResponseFuture<Result<String, String>>;
    fn handle(&mut self, Pass(to, message, json): Pass, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move {
            let json = serde_json::from_str(&json).map_err(|error| error.to_string())?;
            let answer = to.send_json(&message, &json).await;
            answer.map(|answer| answer.to_string()).map_err(|error| error.to_string())
        })
    }
}

/// Told how much it holds, by one name or another.
#[derive(ProcActor)]
#[proc_actor(messages(Most), name = "shop::Till")]
pub(crate) struct Till(u32);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(alias = "at_most")]
    most: u32,
}

/// Answered with how much it holds.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
pub(crate) struct Most;

impl Actor for Till {
    type Context = Context<Self>;
}

impl Spawn for Till {
    type Args = Limits;
    fn spawn(limits: Limits, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Till(limits.most))
    }
}

impl Handler<Most> for Till {
    type Result = u32;
    fn handle(&mut self, _: Most, _: &mut Context<Self>) -> u32 {
        self.0
    }
}

/// What is hosted in a role.
pub(crate) fn program(role: &str) -> Program {
    let program = Program::new();
    match role {
        "nothing" => program,
        "same" => {
            let program = program.actor::<same::Counter>().actor::<same::Buyer>().actor::<same::Looker>();
            program.actor::<Desk>().actor::<Till>()
        }
        "renamed" => program.actor::<renamed::Counter>(),
        "retyped" => program.actor::<retyped::Counter>(),
        "reordered" => program.actor::<reordered::Counter>(),
        "nested" => program.actor::<nested::Counter>(),
        "variants" => program.actor::<variants::Counter>(),
        "answered" => program.actor::<answered::Counter>(),
        "ended" => program.actor::<ended::Counter>(),
        "buyer" => program.actor::<retyped::Buyer>(),
        "looker" => program.actor::<retyped::Looker>(),
        "user" => program.actor::<Desk>().uses::<nested::Counter>(),
        other => panic!("there is no role {other}"),
    }
}
