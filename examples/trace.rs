//! One ask goes through four processes and back, and is one trace: printed as a tree, with the times.

#![allow(clippy::print_stdout)] // What it shows, it prints.

use std::time::Duration;

use procession::prelude::*;
use procession::trace::{self, Finished};
use tracing::{Instrument, info_span};

/// Asks a desk to do its part, and to have the others do theirs.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u32")]
struct Order(Vec<Vec<ProcAddr<Desk>>>);

/// Has a process tell of its spans.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct TellOfSpans(ProcRecipient<Finished>);

#[derive(ProcActor)]
#[proc_actor(messages(Order, TellOfSpans))]
struct Desk {
    process: String,
    work: Duration,
}

impl Actor for Desk {
    type Context = Context<Self>;
}

impl Spawn for Desk {
    type Args = u64;
    fn spawn(work_ms: u64, birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Desk { process: birth.process.to_string(), work: Duration::from_millis(work_ms) })
    }
}

impl Handler<Order> for Desk {
    type Result = ResponseFuture<u32>;

    fn handle(&mut self, Order(mut to): Order, _: &mut Context<Self>) -> ResponseFuture<u32> {
        let (work, next) = (self.work, if to.is_empty() { Vec::new() } else { to.remove(0) });
        // The handler's span goes along into the future.
        let order = async move {
            tokio::time::sleep(work).instrument(info_span!("work")).await;
            let mut done = 1;
            for desk in next {
                done += desk.send(Order(to.clone())).await.unwrap_or_default();
            }
            done
        };
        Box::pin(order.in_current_span())
    }
}

impl Handler<TellOfSpans> for Desk {
    type Result = ();
    fn handle(&mut self, TellOfSpans(whom): TellOfSpans, _: &mut Context<Self>) {
        trace::on_finished(&self.process, move |span| whom.do_send(span));
    }
}

/// Has every span of the trace until the first one comes, which ends last.
#[derive(ProcActor)]
#[proc_actor(messages(Finished))]
struct Collector(tokio::sync::mpsc::Sender<Finished>);

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Finished> for Collector {
    type Result = ();
    fn handle(&mut self, span: Finished, _: &mut Context<Self>) {
        // There is room for more spans than one order has.
        let _ = self.0.try_send(span);
    }
}

fn print(spans: &[Finished], parent: Option<u64>, depth: usize) {
    for span in spans.iter().filter(|span| span.parent == parent) {
        let of = |name| span.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value);
        let name = format!("{}{} {} {}", "  ".repeat(depth), span.name, of("actor"), of("message"));
        println!("{:<34} {:<10} {:>8.1} ms", name.trim_end(), span.process, span.lasted_us as f64 / 1e3);
        print(spans, Some(span.span), depth + 1);
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Desk>().run(async |root| {
        let desks = [("shop", 2), ("stock", 5), ("bank", 8), ("carrier", 3)];
        let desk = |topology: Topology, (name, work): (&str, u64)| {
            topology.process(Process::new(format!("{name}-process")).actor::<Desk>(name, work))
        };
        let running = root.deploy(desks.into_iter().fold(Topology::new("order"), desk)).await?;
        let (told, mut spans) = tokio::sync::mpsc::channel(64);
        let collector = ProcAddr::export(Collector(told).start())?.recipient::<Finished>();
        for (name, _) in desks {
            running.addr::<Desk>(name)?.send(TellOfSpans(collector.clone())).await?;
        }
        trace::on_finished("root", move |span| collector.do_send(span));

        let [shop, stock, bank, carrier] = desks.map(|(name, _)| ProcAddr::<Desk>::named(name));
        let order = trace::start(|| info_span!("order"));
        let asked = order.in_scope(|| shop.send(Order(vec![vec![stock, bank], vec![carrier]])));
        println!("{} desks did their part", asked.await?);
        drop(order);

        let mut all = Vec::new();
        // Five handlers, their work, and the order itself.
        while all.len() < 11 {
            all.extend(spans.recv().await);
        }
        assert!(all.iter().all(|span| span.trace == all[0].trace), "one trace");
        all.sort_by_key(|span| span.began_us);
        print(&all, None, 0);
        running.shutdown().await
    })
}
