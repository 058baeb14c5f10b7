//! What may be said on the command line, and the help that teaches it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

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

const GRAPH_EXAMPLES: &str = "\
Examples:
  procession graph demo.toml                    Mermaid, which code hosts show in Markdown
  procession graph demo.toml --format graphviz | dot -Tsvg > demo.svg

Boxes are processes, boxes in them actors; an arrow leads from each actor to those whose address it is given. The \
programs need not be there.";

#[derive(Parser, Debug)]
#[command(name = "procession", version, about = OVERVIEW, after_help = EXAMPLES, max_term_width = 110)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build, check and run a topology in the foreground
    #[command(after_help = UP_EXAMPLES, after_long_help = format!("{UP_EXAMPLES}\n\n{}", code::HELP))]
    Up(Up),
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
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
