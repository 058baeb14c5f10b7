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
use super::relay::WORKER_TARGET;
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
    /// Name and incarnation of a worker; `None` for the root itself.
    process: Option<(String, u32)>,
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
        let scope = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        Said {
            time_us: now_us(),
            level,
            process: None,
            target: fields.take("log.target").unwrap_or_else(|| event.metadata().target().to_owned()),
            spans: scope.map(|span| span.name()).collect::<Vec<_>>().join(":"),
            message,
            fields: Pairs(fields.rest()),
            stream: None,
            lost: 0,
        }
    }

    fn relayed(level: Level, process: String, message: String, mut fields: Fields) -> Said {
        let mut number = |name| fields.take(name).and_then(|text| text.parse::<u64>().ok());
        let incarnation = number("incarnation").and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let (time_us, lost) = (number("time_us").unwrap_or_else(now_us), number("lost").unwrap_or(0));
        Said {
            time_us,
            level,
            process: Some((process, incarnation)),
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

    fn write_human(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let (colour, dim, plain) = match writer.has_ansi_escapes() {
            true => (colour(self.level), "\x1b[2m", "\x1b[0m"),
            false => ("", "", ""),
        };
        if self.lost > 0 {
            let who = Process(self.process.as_ref());
            writeln!(writer, "{dim}{who} | ({} lost before this line){plain}", self.lost)?;
        }
        let who = Process(self.process.as_ref());
        if self.stream.is_some() {
            return writeln!(writer, "{dim}{who} |{plain} {}", Shown(&self.message));
        }
        let time = TimeOfDay(self.time_us);
        write!(writer, "{dim}{time}{plain} {colour}{:>5}{plain} {who} {dim}", self.level.as_str())?;
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
        if let Some((process, incarnation)) = &self.process {
            map.serialize_entry("process", process)?;
            map.serialize_entry("incarnation", incarnation)?;
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
        map.serialize_entry("fields", &self.fields)?;
        if self.lost > 0 {
            map.serialize_entry("lost", &self.lost)?;
        }
        map.end()
    }
}

/// `name#incarnation`, or `root`.
struct Process<'a>(Option<&'a (String, u32)>);

impl fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((name, incarnation)) => write!(f, "{name}#{incarnation}"),
            None => f.write_str("root"),
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
