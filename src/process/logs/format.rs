//! What a line of log looks like: the root's own events and those relayed from workers, for people or programs.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::clock::{Rfc3339, TimeOfDay};
use super::collect::Fields;
use super::relay::{EVENT_TARGET, WORKER_TARGET};
use super::subscriber::Format;

/// No event is formatted beyond this; a relayed record is far below it.
const EVENT_BYTES: usize = 1 << 20;

pub(super) struct LineFormat {
    pub(super) format: Format,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let said = Said::of(context, event);
        match self.format {
            Format::Human => said.write_human(&mut writer),
            Format::Json => {
                let line = serde_json::to_string(&said).map_err(|_| fmt::Error)?;
                writeln!(writer, "{line}")
            }
        }
    }
}

/// An event, whoever it comes from.
struct Said {
    time_us: u64,
    level: Level,
    /// The worker that said it, or that an event of the root is about.
    process: Option<String>,
    incarnation: Option<u32>,
    /// For what happened in a deployment: what, and its parts.
    event: Option<(String, serde_json::Value)>,
    target: String,
    spans: String,
    message: String,
    fields: Pairs,
    /// Set for a raw line.
    stream: Option<String>,
    lost: u64,
}

impl Said {
    fn of<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> Said
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let mut fields = Fields::new(EVENT_BYTES);
        event.record(&mut fields);
        let level = *event.metadata().level();
        let message = fields.take("message").unwrap_or_default();
        if event.metadata().target() == WORKER_TARGET
            && let Some(process) = fields.take("process")
        {
            return Said::relayed(level, process, message, fields);
        }
        if event.metadata().target() == EVENT_TARGET
            && let Some(kind) = fields.take("event")
        {
            return Said::happened(level, kind, message, fields);
        }
        let scope = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        Said {
            time_us: now_us(),
            level,
            process: None,
            incarnation: None,
            event: None,
            target: fields.take("log.target").unwrap_or_else(|| event.metadata().target().to_owned()),
            spans: scope.map(|span| span.name()).collect::<Vec<_>>().join(":"),
            message,
            fields: Pairs(fields.rest()),
            stream: None,
            lost: 0,
        }
    }

    fn relayed(level: Level, process: String, message: String, mut fields: Fields) -> Said {
        let incarnation = number(&mut fields, "incarnation");
        let time_us = number(&mut fields, "time_us").unwrap_or_else(now_us);
        let lost = number(&mut fields, "lost").unwrap_or(0);
        Said {
            time_us,
            level,
            process: Some(process),
            incarnation,
            event: None,
            target: fields.take("target").unwrap_or_default(),
            spans: fields.take("spans").unwrap_or_default(),
            message,
            fields: fields
                .take("fields")
                .and_then(|json| serde_json::from_str(&json).ok())
                .unwrap_or(Pairs(Vec::new())),
            stream: fields.take("stream"),
            lost,
        }
    }

    fn happened(level: Level, kind: String, message: String, mut fields: Fields) -> Said {
        let details = fields.take("details").and_then(|json| serde_json::from_str(&json).ok());
        Said {
            time_us: now_us(),
            level,
            process: fields.take("process"),
            incarnation: number(&mut fields, "incarnation"),
            event: Some((kind, details.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())))),
            target: EVENT_TARGET.to_owned(),
            spans: String::new(),
            message,
            fields: Pairs(Vec::new()),
            stream: None,
            lost: 0,
        }
    }

    fn write_human(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let (colour, dim, plain) = match writer.has_ansi_escapes() {
            true => (colour(self.level), "\x1b[2m", "\x1b[0m"),
            false => ("", "", ""),
        };
        let who = Process(self.process.as_deref(), self.incarnation);
        let own = if writer.has_ansi_escapes() { own_colour(self.process.as_deref()) } else { "" };
        if self.lost > 0 {
            writeln!(writer, "{dim}{who} | ({} lost before this line){plain}", self.lost)?;
        }
        if self.stream.is_some() {
            return writeln!(writer, "{own}{who} |{plain} {}", Shown(&self.message));
        }
        let time = TimeOfDay(self.time_us);
        write!(writer, "{dim}{time}{plain} {colour}{:>5}{plain} ", self.level.as_str())?;
        if self.event.is_some() {
            // The name stands out where the sentence begins with it.
            let name = if self.process.is_some() { who.to_string() } else { String::new() };
            let (name, rest) = match self.message.strip_prefix(&name) {
                Some(rest) => (name.as_str(), rest),
                None => ("", self.message.as_str()),
            };
            return writeln!(writer, "{own}{name}{plain}{}", Shown(rest));
        }
        write!(writer, "{own}{who}{plain} {dim}")?;
        if !self.spans.is_empty() {
            write!(writer, "{}:", Shown(&self.spans))?;
        }
        write!(writer, "{}:{plain} {}", Shown(&self.target), Shown(&self.message))?;
        for (key, value) in &self.fields.0 {
            write!(writer, " {dim}{}={plain}{}", Shown(key), Shown(value))?;
        }
        writeln!(writer)
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &Rfc3339(self.time_us).to_string())?;
        map.serialize_entry("level", self.level.as_str())?;
        if let Some((kind, _)) = &self.event {
            map.serialize_entry("event", kind)?;
        }
        if let Some(process) = &self.process {
            map.serialize_entry("process", process)?;
        }
        if let Some(incarnation) = self.incarnation {
            map.serialize_entry("incarnation", &incarnation)?;
        }
        if let Some(stream) = &self.stream {
            map.serialize_entry("stream", stream)?;
        } else {
            map.serialize_entry("target", &self.target)?;
        }
        if !self.spans.is_empty() {
            map.serialize_entry("spans", &self.spans)?;
        }
        map.serialize_entry("message", &self.message)?;
        match &self.event {
            Some((_, details)) => map.serialize_entry("fields", details)?,
            None => map.serialize_entry("fields", &self.fields)?,
        }
        if self.lost > 0 {
            map.serialize_entry("lost", &self.lost)?;
        }
        map.end()
    }
}

fn number<N: std::str::FromStr>(fields: &mut Fields, name: &str) -> Option<N> {
    fields.take(name)?.parse().ok()
}

/// `name#incarnation`, or `root`.
struct Process<'a>(Option<&'a str>, Option<u32>);

impl fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(name), Some(incarnation)) => write!(f, "{name}#{incarnation}"),
            (Some(name), None) => f.write_str(name),
            (None, _) => f.write_str("root"),
        }
    }
}

/// A text from a worker on somebody's terminal: further lines are indented, other control characters are shown
/// and not obeyed.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\n    ")?,
                '\t' => f.write_char('\t')?,
                control if control.is_control() => write!(f, "{}", control.escape_default())?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Fields in their order, as a JSON object.
struct Pairs(Vec<(String, String)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Always the same colour for the same process, and none that a level has; the root is plain.
fn own_colour(process: Option<&str>) -> &'static str {
    const COLOURS: [&str; 6] =
        ["\x1b[36m", "\x1b[94m", "\x1b[95m", "\x1b[96m", "\x1b[38;5;173m", "\x1b[38;5;108m"];
    let Some(name) = process else { return "" };
    // Any sum that tells `right-1` from `right-2` will do.
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    COLOURS[sum % COLOURS.len()]
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
