//! One ask through many processes is one trace.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::trace::{self, Finished, TraceParent};
use tokio::sync::mpsc;
use tracing::info_span;

use crate::actors::*;
use crate::stage::{deploy, spring, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("one_ask_through_four_processes_is_one_trace", one_trace),
        story("every_kind_of_message_carries_its_trace", every_kind),
        story("a_trace_from_outside_goes_on", from_outside),
        story("without_a_trace_there_is_none", none),
    ]
}

/// Tells the story of what has ended.
struct Collector(mpsc::Receiver<Finished>);

/// More than a story makes.
const SPANS: usize = 4096;

impl Collector {
    /// So many spans, by their ids.
    async fn take(&mut self, count: usize) -> BTreeMap<u64, Finished> {
        let mut spans = BTreeMap::new();
        while spans.len() < count {
            let span = self.0.recv().await.unwrap();
            assert!(spans.insert(span.span, span).is_none(), "ids differ");
        }
        spans
    }
}

async fn stage(root: &Root) -> procession::Result<(Running, Vec<ProcAddr<Spring>>, Collector)> {
    let names = ["first", "second", "third", "fourth"];
    let running = deploy(root, names.map(|name| spring(name, &format!("in-{name}")))).await?;
    let (told, spans) = mpsc::channel(SPANS);
    let collecting = ProcAddr::export(Collecting(told).start())?.recipient::<Finished>();
    let mut actors = Vec::new();
    for name in names {
        let actor = running.addr::<Spring>(&format!("in-{name}"))?;
        actor.send(Report(name.into(), collecting.clone())).await?;
        actors.push(actor);
    }
    trace::on_finished("root", move |span| collecting.do_send(span));
    Ok((running, actors, Collector(spans)))
}

/// From the first span down, by the names of the processes.
fn path(spans: &BTreeMap<u64, Finished>) -> Vec<&str> {
    let mut path = Vec::new();
    let mut parent = None;
    while let Some(span) = spans.values().find(|span| span.parent == parent) {
        path.push(span.process.as_str());
        parent = Some(span.span);
    }
    path
}

async fn one_trace(root: Root) -> procession::Result<()> {
    let (running, actors, mut collector) = stage(&root).await?;
    let order = trace::start(|| info_span!("order"));
    let walk = Walk { to: actors[1..].to_vec(), how: By::Ask };
    assert_eq!(order.in_scope(|| actors[0].send(walk)).await?, 4);
    drop(order);
    let spans = collector.take(5).await;
    assert_eq!(path(&spans), ["root", "first", "second", "third", "fourth"]);
    let traces: BTreeSet<_> = spans.values().map(|span| span.trace).collect();
    assert_eq!(traces.len(), 1);
    for span in spans.values().filter(|span| span.process != "root") {
        assert_eq!(span.name, "handle");
        let expected = [("actor", format!("in-{}", span.process)), ("message", "Walk".to_owned())];
        assert_eq!(span.fields, expected.map(|(name, value)| (name.to_owned(), value)));
    }
    // Each lasts until its answer, so as long as what is below it.
    for span in spans.values() {
        let below = spans.values().find(|below| below.parent == Some(span.span));
        assert!(below.is_none_or(|below| below.lasted_us <= span.lasted_us), "{span:?}");
    }
    running.shutdown().await
}

async fn every_kind(root: Root) -> procession::Result<()> {
    let (running, actors, mut collector) = stage(&root).await?;
    for how in [By::Tell, By::Now, By::Try, By::AtLeastOnce, By::Large, By::Here] {
        let order = trace::start(|| info_span!("order"));
        order.in_scope(|| actors[0].do_send(Walk { to: vec![actors[1].clone()], how }));
        drop(order);
        let spans = collector.take(3).await;
        let expected = if how == By::Here { ["root", "first", "first"] } else { ["root", "first", "second"] };
        assert_eq!(path(&spans), expected, "{how:?}");
    }
    running.shutdown().await
}

async fn from_outside(root: Root) -> procession::Result<()> {
    let (running, actors, mut collector) = stage(&root).await?;
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parent: TraceParent = header.parse().unwrap();
    let request = trace::with_remote_parent(parent, || info_span!("request", path = "/orders"));
    let current = request.in_scope(trace::current).unwrap();
    assert_eq!(current.trace_id(), parent.trace_id());
    assert!(current.is_sampled() && current.span_id() != parent.span_id());
    request.in_scope(|| actors[0].send(Walk { to: Vec::new(), how: By::Ask })).await?;
    drop(request);
    let spans = collector.take(2).await;
    let first = spans.values().find(|span| span.name == "request").unwrap();
    assert_eq!((first.trace, first.parent), (parent.trace_id(), Some(parent.span_id())));
    assert_eq!(first.fields, [("path".to_owned(), "/orders".to_owned())]);
    assert!(spans.values().any(|span| span.parent == Some(first.span) && span.process == "first"));
    running.shutdown().await
}

async fn none(root: Root) -> procession::Result<()> {
    let (running, actors, mut collector) = stage(&root).await?;
    let plain = info_span!("no trace");
    assert_eq!(plain.in_scope(trace::current), None);
    let walk = Walk { to: actors[1..].to_vec(), how: By::Ask };
    assert_eq!(plain.in_scope(|| actors[0].send(walk)).await?, 4);
    drop(plain);
    let marker = trace::start(|| info_span!("marker"));
    drop(marker);
    let spans = collector.take(1).await;
    assert!(spans.values().all(|span| span.name == "marker"), "nothing came before it");
    running.shutdown().await
}
