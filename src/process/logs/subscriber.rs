//! The subscriber that a root installs, if the program brings none of its own.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::format::LineFormat;
use super::relay::WORKER_TARGET;
use super::sink::Stderr;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people:
    ///
    /// ```text
    /// 12:00:00.123  INFO left#1 demo::counter: counted total=3
    /// 12:00:00.124  WARN left#1 killed by SIGSEGV after 3.2s
    /// left#2 | a raw line of stdout or stderr
    /// ```
    #[default]
    Human,
    /// For programs: one object a line, with `time` (RFC 3339), `level`, `target`, `message`, `fields` (an object of
    /// texts), and where they apply `process`, `incarnation`, `stream`, `spans` (a text) and `lost` (how many were
    /// lost just before). What the root says itself has no `process`, except for what happened in a deployment: that has
    /// `event` (one word), where it applies `process` and `incarnation`, and its parts as `fields`.
    Json,
}

/// The program has a subscriber already.
#[derive(Debug, thiserror::Error)]
#[error("logs can't be installed, since the program has a `tracing` subscriber already: {0}")]
pub struct InitError(#[from] TryInitError);

/// Installs the root's subscriber: filtered by `RUST_LOG` (`info` if there is none), written to stderr, coloured
/// on a terminal unless `NO_COLOR` is set.
pub fn init(format: Format) -> Result<(), InitError> {
    install(format, LevelFilter::INFO)
}

/// For a root whose program has installed no subscriber: as [`init`], but without `RUST_LOG` only warnings and what
/// the workers say, so that a program's own output stays readable.
pub fn init_if_none() {
    if !tracing::dispatcher::has_been_set() {
        // Somebody else's, installed in this moment, is as good.
        let _ = install(Format::Human, LevelFilter::WARN);
    }
}

fn install(format: Format, unsaid: LevelFilter) -> Result<(), InitError> {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colours = wanted && std::io::stderr().is_terminal();
    tracing_subscriber::registry()
        .with(layer(format, colours, Stderr).with_filter(root_filter(unsaid)))
        .with(crate::trace::layer())
        .try_init()
        .map_err(InitError)
}

/// The layer that [`init`] installs, for a program that builds its own subscriber, and for tests.
pub fn layer<S, W>(format: Format, colours: bool, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let line = LineFormat { format };
    tracing_subscriber::fmt::layer().event_format(line).with_ansi(colours).with_writer(writer)
}

/// What a worker lets through.
pub(super) fn worker_filter() -> EnvFilter {
    filter(LevelFilter::INFO)
}

fn filter(unsaid: LevelFilter) -> EnvFilter {
    EnvFilter::builder().with_default_directive(unsaid.into()).from_env_lossy()
}

/// Likewise, and everything that workers let through already, whatever `RUST_LOG` says here.
fn root_filter(unsaid: LevelFilter) -> EnvFilter {
    let all = format!("{WORKER_TARGET}=trace").parse();
    match all {
        Ok(directive) => filter(unsaid).add_directive(directive),
        // The directive is a constant, which the test below parses.
        Err(_) => filter(unsaid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_said_passes_the_root_s_filter() {
        assert!(root_filter(LevelFilter::WARN).to_string().contains("procession::worker=trace"));
    }
}
