//! What may be said on the command line, and the help that teaches it.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::code;
use crate::console::{self, Stream};

const OVERVIEW: &str = "\
Runs actors in separate processes, as a topology file says.

A topology file names processes, the programs they run, the actors in each and who may talk to whom. `procession up` \
starts them in order, connects them by pipes, restarts what dies, and stops them in reverse order.";

const EXAMPLES: &str = "\
Examples:
  procession check demo.toml                    is it sound? all mistakes at once, with place and mend
  procession up demo.toml                       build, check, run in the foreground; Ctrl-C stops in order
  procession up demo.toml --log json            the same for programs: one JSON object a line
  procession graph demo.toml > demo.mmd         who talks to whom, as a picture
  procession chaos demo.toml --seed 7           does it survive kills?
  procession call demo.toml counter Get         one message, and what is answered

The smallest topology file:
  name = \"demo\"

  [process.left]
  program = \"target/release/worker\"             # its main calls procession::Program::run
  actor.counter = { type = \"worker::Counter\", args = 0 }

`procession help up` lists the exit codes.";

const UP_EXAMPLES: &str = "\
Examples:
  procession up demo.toml                       build, check, run in the foreground
  procession up demo.toml --no-build            run what is built already
  procession up demo.toml > results.txt         results to a file: events and logs go to stderr
  RUST_LOG=debug procession up demo.toml        more logs, in every process
  procession up demo.toml --log json | jq -c 'select(.event)'
                                                only what happened: started, ready, exited, ...

Streams: what processes print to stdout comes out on stdout, each line behind `process#life | `. Their stderr, their \
logs and the events of the topology go to stderr. With `--log json` everything is on stdout, one object a line.

Logs: RUST_LOG says which, in this command and in every process; without it, `info`. The events of the topology are \
shown anyway, unless RUST_LOG names them: RUST_LOG=procession=warn.

Signals: Ctrl-C (SIGINT) and SIGTERM stop the processes in reverse order of their start, each with the time that its \
`shutdown` gives it. A second one kills what is left. If this command itself is killed, so are its processes.";

const CHECK_EXAMPLES: &str = "\
Examples:
  procession check demo.toml                    mistakes with place and mend, or what would run
  procession check demo.toml --json | jq .sound

Nothing is started and nothing is built, except that each program is asked once what it hosts (`program --describe`). \
A program that is not there yet, and has a `build` command, is a warning.";

const CALL_EXAMPLES: &str = "\
Examples:
  procession call demo.toml counter Add '{\"amount\": 2}'      prints what its handler answers, as JSON
  procession call demo.toml counter how-many                 a message without fields: null
  procession call demo.toml counter Add 3 --timeout 2s | jq .

Builds, checks and starts the topology, sends the message when every process is ready, prints the answer, and stops \
everything in order. `program --describe` shows the messages of a program and what they look like.

Streams: the answer goes to stdout, everything else to stderr.";

const GRAPH_EXAMPLES: &str = "\
Examples:
  procession graph demo.toml                    Mermaid, which code hosts show in Markdown
  procession graph demo.toml --format graphviz | dot -Tsvg > demo.svg

Boxes are processes, boxes in them actors; an arrow leads from each actor to those whose address it is given. The \
programs need not be there.";

const CHAOS_EXAMPLES: &str = "\
Examples:
  procession chaos demo.toml                    20 s of kills and stops, a fault every 0.5 to 2 s
  procession chaos demo.toml --seed 7           the same faults as last time, when it said seed 7
  procession chaos demo.toml --seconds 60 --every 50ms..300ms --kill=3 --stop --cut
                                                faster, pipes too, and three kills for each other fault
  procession chaos demo.toml --only api --spare db
                                                replicas are meant by the name of their process
  procession chaos demo.toml --json | jq .findings

Faults: --kill (SIGKILL), --stop (SIGSTOP, later SIGCONT), --stall (nothing passes a pipe for a while), --cut (a pipe \
breaks at a byte), --delay (a pipe is late). Each takes a weight, 1 if none is said; without any of them there are kills \
and stops. Only processes that this command has started are hit.

What it finds: a topology that failed, a process that is not ready again in time, one that breaks the protocol, and \
after the end processes, zombies or descriptors that are left. Then the exit code is 6. Restart rules hold as always, so \
a topology that may restart five times in 30 s is soon brought down by kills: that is a finding, too.

Streams: the report goes to stdout, everything else to stderr.";

#[derive(Parser, Debug)]
#[command(name = "procession", version, about = OVERVIEW, after_help = EXAMPLES, max_term_width = 110)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

// Parsed once in a process.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build, check and run a topology in the foreground
    #[command(after_help = UP_EXAMPLES, after_long_help = format!("{UP_EXAMPLES}\n\n{}", code::HELP))]
    Up(Up),
    /// Run a topology and kill, stop and cut what runs, by a seed; say what did not survive
    #[command(after_help = CHAOS_EXAMPLES)]
    Chaos(Chaos),
    /// Start a topology, send one message to one of its actors, print the answer, and stop
    #[command(after_help = CALL_EXAMPLES)]
    Call(Call),
    /// Say everything that is wrong with a topology, or what it would run
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Draw a topology: processes, actors and who may talk to whom
    #[command(after_help = GRAPH_EXAMPLES)]
    Graph(Graph),
}

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// The topology file
    pub(crate) file: PathBuf,
    /// Run what is built already: skip the `build` commands of the topology
    #[arg(long)]
    pub(crate) no_build: bool,
    /// How events, logs and lines are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) log: LogFormat,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// The topology file
    pub(crate) file: PathBuf,
    /// The actor's name in the topology
    pub(crate) actor: String,
    /// The message's name in the list of the actor
    pub(crate) message: String,
    /// The message, as JSON
    #[arg(default_value = "null", allow_hyphen_values = true)]
    pub(crate) json: String,
    /// How long to wait for the answer; else as long as the topology's `ask_timeout`
    #[arg(long, value_name = "TIME", value_parser = crate::call::timeout)]
    pub(crate) timeout: Option<Duration>,
    /// Run what is built already: skip the `build` commands of the topology
    #[arg(long)]
    pub(crate) no_build: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// The topology file
    pub(crate) file: PathBuf,
    /// Decides which faults there are, and when; random if it is not said, and told in any case
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How long faults are injected
    #[arg(long, value_name = "S", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) seconds: u64,
    /// The pause between two faults
    #[arg(long, value_name = "TIME[..TIME]", default_value = "500ms..2s")]
    pub(crate) every: Times,
    /// Kill processes
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kill: Option<u32>,
    /// Stop processes for a while
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stop: Option<u32>,
    /// Let nothing pass a pipe for a while
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stall: Option<u32>,
    /// Break pipes
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cut: Option<u32>,
    /// Make pipes late for a while
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) delay: Option<u32>,
    /// How long a stop, a stall or a delay lasts
    #[arg(long, value_name = "TIME[..TIME]", default_value = "50ms..500ms")]
    pub(crate) lasting: Times,
    /// By how much a late pipe is late
    #[arg(long, value_name = "TIME[..TIME]", default_value = "1ms..50ms")]
    pub(crate) late_by: Times,
    /// After so many more bytes a pipe that is cut breaks, at most
    #[arg(long, value_name = "BYTES", default_value = "4096")]
    pub(crate) cut_within: u64,
    /// Hit these processes alone
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave these processes alone
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) spare: Vec<String>,
    /// How long processes may take to be ready again after the last fault
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) settle: Duration,
    /// Run what is built already: skip the `build` commands of the topology
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// From one time to another: `50ms..300ms`, or `50ms` for always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Times(pub(crate) RangeInclusive<Duration>);

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Times, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = (time(least)?, time(most)?);
        if least > most {
            return Err("the first time is the longer one".to_owned());
        }
        Ok(Times(least..=most))
    }
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|error| format!("{error}; times are written as 50ms, 2s, 1m"))
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The topology file
    pub(crate) file: PathBuf,
    /// Print one JSON object: `sound`, `findings` and the `plan`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Graph {
    /// The topology file
    pub(crate) file: PathBuf,
    /// The language of the picture
    #[arg(long, value_name = "LANGUAGE", default_value = "mermaid")]
    pub(crate) format: GraphFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people: coloured on a terminal, unless NO_COLOR is set
    Human,
    /// For programs: one JSON object a line, everything on stdout
    Json,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphFormat {
    /// A Mermaid flowchart
    Mermaid,
    /// The DOT language of Graphviz
    Graphviz,
}

/// Shows what clap has to say: help on stdout, wrong usage on stderr, with a hint where it has none.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody is there to be told that the terminal is gone.
    let _ = error.print();
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
        && looks_like_a_file(word)
    {
        console::say(Stream::Stderr, &format!("\nto run that topology: procession up {word}\n"));
    }
    ExitCode::from(if error.use_stderr() { code::USAGE } else { code::DONE })
}

fn looks_like_a_file(word: &str) -> bool {
    let path = std::path::Path::new(word);
    path.extension() == Some(OsStr::new("toml")) || path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn times_are_one_or_two() {
        let ms = Duration::from_millis;
        assert_eq!("50ms..2s".parse(), Ok(Times(ms(50)..=ms(2000))));
        assert_eq!("1s".parse(), Ok(Times(ms(1000)..=ms(1000))));
        for wrong in ["", "50", "2s..1s", "1s..", "..1s", "1s..2s..3s"] {
            assert!(wrong.parse::<Times>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
