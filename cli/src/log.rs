//! Where what is said goes: lines of the workers' stdout to stdout, all else to stderr; as JSON, everything to stdout.

use procession::process::logs::{self, EVENT_TARGET, Format, WORKER_TARGET};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Context, Layer, Layered, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::LogFormat;
use crate::console::{self, Stream};
use crate::output::Output;

/// Installs the subscriber of this command.
pub(crate) fn start(format: LogFormat) -> procession::Result<Output> {
    match format {
        LogFormat::Human => install(Format::Human, human_notice, Stream::Stdout, Stream::Stderr),
        LogFormat::Json => install(Format::Json, json_notice, Stream::Stdout, Stream::Stdout),
    }
}

/// As `start`, for a command that has its own to say on stdout: all else is for people, and on stderr.
pub(crate) fn start_aside() -> procession::Result<Output> {
    install(Format::Human, human_notice, Stream::Stderr, Stream::Stderr)
}

fn install(
    shape: Format,
    notice: fn(u64) -> String,
    lines: Stream,
    rest: Stream,
) -> procession::Result<Output> {
    let output = Output::start(notice)?;
    let layer = |stream| {
        logs::format_layer::<Layered<EnvFilter, Registry>, _>(
            shape,
            console::colours(stream),
            output.sink(stream),
        )
    };
    let split = Split { stdout: layer(lines), rest: layer(rest) };
    let subscriber = tracing_subscriber::registry().with(filter()).with(split);
    subscriber.try_init().map_err(procession::Error::other)?;
    Ok(output)
}

fn human_notice(lost: u64) -> String {
    format!("({lost} lines lost here: their reader did not keep up)\n")
}

fn json_notice(lost: u64) -> String {
    let fields = serde_json::json!({ "lost": lost });
    let line = serde_json::json!({
        "level": "WARN", "event": "lost", "message": "the reader did not keep up", "fields": fields,
    });
    format!("{line}\n")
}

/// `RUST_LOG`, or `info`. What workers have let through passes in any case, and so do the events of the topology,
/// which are what this command is for, unless `RUST_LOG` speaks of them.
fn filter() -> EnvFilter {
    let said = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let own = [(WORKER_TARGET, "trace", false), (EVENT_TARGET, "info", names_target(&said, EVENT_TARGET))];
    own.into_iter().filter(|(_, _, is_said)| !is_said).fold(filter, |filter, (target, level, _)| {
        match format!("{target}={level}").parse() {
            Ok(directive) => filter.add_directive(directive),
            // They are constants, which the test below parses.
            Err(_) => filter,
        }
    })
}

/// Whether one of the directives is about this very target.
fn names_target(directives: &str, target: &str) -> bool {
    let mut targets = directives.split(',').map(|directive| directive.split(['=', '[']).next().unwrap_or(""));
    targets.any(|named| named.trim() == target)
}

/// Sends raw lines of stdout one way and all else another.
struct Split<L, R> {
    stdout: L,
    rest: R,
}

impl<S, L, R> Layer<S> for Split<L, R>
where
    S: Subscriber,
    L: Layer<S>,
    R: Layer<S>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut stream = IsStdout(false);
        if event.metadata().target() == WORKER_TARGET {
            event.record(&mut stream);
        }
        match stream {
            IsStdout(true) => self.stdout.on_event(event, context),
            IsStdout(false) => self.rest.on_event(event, context),
        }
    }
}

struct IsStdout(bool);

impl Visit for IsStdout {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0 |= field.name() == "stream" && value == "stdout";
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_names_its_target_alone() {
        assert!(names_target("warn,procession=debug", EVENT_TARGET));
        assert!(names_target("procession", EVENT_TARGET));
        assert!(names_target("procession[span]=info", EVENT_TARGET));
        assert!(!names_target("procession::worker=debug,demo=info", EVENT_TARGET));
        assert!(!names_target("", EVENT_TARGET));
    }

    #[test]
    fn what_always_passes_is_in_the_filter() {
        let filter = filter().to_string();
        assert!(filter.contains("procession::worker=trace"), "{filter}");
    }
}
