//! Turns the `tracing` events of a worker, and those of the `log` crate, into records for the root.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::collect::Fields;
use super::subscriber::worker_filter;
use crate::process::lane::ControlLane;
use crate::protocol::control::{LogLevel, LogRecord, ToRoot};

/// From now on, this process's events go to the root, unless the program has chosen a subscriber of its own.
pub(in crate::process) fn send_to(lane: ControlLane) {
    // The error means that there is one already.
    let records = RecordLayer { lane }.with_filter(worker_filter());
    let _ = tracing_subscriber::registry().with(records).with(crate::trace::layer()).try_init();
}

/// A record holds so many bytes of text at most; what is over is cut, with a mark. A page of log is plenty, and
/// the ring holds at least sixteen of these.
const RECORD_BYTES: usize = 64 << 10;

/// Likewise of the fields of one span.
const SPAN_BYTES: usize = 1 << 10;

struct RecordLayer {
    lane: ControlLane,
}

/// What is kept at a span: `name{field=value other=value}`, without the closing brace.
struct SpanText(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RecordLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut text = format!("{}{{", attributes.metadata().name());
            attributes.record(&mut SpanVisitor(&mut text));
            span.extensions_mut().insert(SpanText(text));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanText(text)) = span.extensions_mut().get_mut::<SpanText>()
        {
            values.record(&mut SpanVisitor(text));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.filter_map(|span| {
            let extensions = span.extensions();
            extensions.get::<SpanText>().map(|SpanText(text)| match text.strip_suffix('{') {
                Some(name) => name.to_owned(),
                None => format!("{text}}}"),
            })
        });
        let mut fields = Fields::new(RECORD_BYTES);
        event.record(&mut fields);
        // A lane that is closed has nobody to tell; the ring itself is never full.
        let _ = self.lane.send(ToRoot::Log(LogRecord {
            time_us: now_us(),
            level: level(*event.metadata().level()),
            target: fields.take("log.target").unwrap_or_else(|| event.metadata().target().to_owned()),
            spans: spans.collect(),
            message: fields.take("message").unwrap_or_default(),
            fields: fields.rest(),
            dropped: 0,
        }));
    }
}

struct SpanVisitor<'a>(&'a mut String);

impl Visit for SpanVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let separator = if self.0.ends_with('{') { "" } else { " " };
        if self.0.len() < SPAN_BYTES {
            let mut one = Fields::new(SPAN_BYTES);
            one.record_debug(field, value);
            for (key, value) in one.rest() {
                // Writing to a string can't fail.
                let _ = write!(self.0, "{separator}{key}={value}");
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

fn now_us() -> u64 {
    // A clock before 1970 is wrong anyway.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::TRACE => LogLevel::Trace,
        Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warn,
        Level::ERROR => LogLevel::Error,
    }
}
