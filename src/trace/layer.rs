//! Keeps the ids of spans that belong to a trace.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::finished::{self, Finished};
use super::{context, ids};
use crate::protocol::traceparent::TraceParent;

/// How many spans of this process belong to traces.
static TRACED: AtomicUsize = AtomicUsize::new(0);

/// Of the first span of a trace.
pub(super) const NO_PARENT: u64 = u64::MAX;

#[inline]
pub(super) fn is_anything_traced() -> bool {
    TRACED.load(Ordering::Relaxed) != 0
}

/// What is kept at a span of a trace.
pub(super) struct Kept {
    /// It, as a parent.
    pub(super) own: TraceParent,
    parent: Option<u64>,
    began: Instant,
    began_us: u64,
    fields: Vec<(String, String)>,
}

/// More of a span's fields are not collected, and of each no more than this: they go to other processes.
const MOST_FIELDS: usize = 16;
const FIELD_BYTES: usize = 256;

/// The layer that gives ids to spans of traces. See [`layer`].
#[derive(Debug)]
pub struct Tracing(());

/// For a program that builds its own subscriber on `tracing_subscriber`'s `Registry`. It looks at spans of the level INFO and
/// above, whatever else is filtered.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Tracing(()).with_filter(spans())
}

fn spans<S>() -> impl Filter<S> {
    FilterFn::new(|metadata: &Metadata<'_>| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(Level::INFO)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tracing {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let told = context::take_parent();
        if told.is_none() && !is_anything_traced() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let inherited = || {
            let above = span.parent()?;
            let extensions = above.extensions();
            extensions.get::<Kept>().map(|kept| kept.own)
        };
        let Some(parent) = told.or_else(inherited) else { return };
        let Some(own) = parent.with_span(ids::random()) else { return };
        let mut fields = Vec::new();
        attributes.record(&mut Collecting(&mut fields));
        TRACED.fetch_add(1, Ordering::Relaxed);
        let began_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let parent = Some(parent.span_id()).filter(|parent| *parent != NO_PARENT);
        let began_us = u64::try_from(began_us).unwrap_or(u64::MAX);
        span.extensions_mut().insert(Kept { own, parent, began: Instant::now(), began_us, fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(kept) = span.extensions_mut().get_mut::<Kept>()
        {
            values.record(&mut Collecting(&mut kept.fields));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(kept) = span.extensions_mut().remove::<Kept>() else { return };
        TRACED.fetch_sub(1, Ordering::Relaxed);
        finished::tell(|process| Finished {
            trace: kept.own.trace_id(),
            span: kept.own.span_id(),
            parent: kept.parent,
            process,
            name: span.name().to_owned(),
            fields: kept.fields,
            began_us: kept.began_us,
            lasted_us: u64::try_from(kept.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }
}

struct Collecting<'a>(&'a mut Vec<(String, String)>);

impl Collecting<'_> {
    fn add(&mut self, field: &Field, mut value: String) {
        let mut end = value.len().min(FIELD_BYTES);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
        if self.0.len() < MOST_FIELDS {
            self.0.push((field.name().to_owned(), value));
        }
    }
}

impl Visit for Collecting<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }
}
