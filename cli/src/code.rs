//! The exit codes. `docs/CLI.md` and the help of `up` list the same ones, which a test holds.

/// Everything went as it was meant to.
pub(crate) const DONE: u8 = 0;
/// The topology is not sound, or its file can't be read; nothing was started.
pub(crate) const NOT_SOUND: u8 = 1;
/// The command line makes no sense.
pub(crate) const USAGE: u8 = 2;
/// A build command failed or a process did not start; what had started was stopped.
pub(crate) const NOT_STARTED: u8 = 3;
/// A process failed more often than it may; everything was stopped.
pub(crate) const GAVE_UP: u8 = 4;
/// The operating system refused something that the command itself needs.
pub(crate) const BROKEN: u8 = 5;
/// What chaos did was not survived, or something was left behind.
pub(crate) const NOT_SURVIVED: u8 = 6;
/// A message was not answered: `procession call`.
pub(crate) const NOT_ANSWERED: u8 = 7;
/// Added to the number of a signal, as shells do.
pub(crate) const SIGNAL_BASE: i32 = 128;

pub(crate) const HELP: &str = "\
Exit codes:
  0      done: everything ended as it was meant to
  1      the topology is not sound, or its file can't be read; nothing was started
  2      wrong usage
  3      a build command failed, or a process did not start; what had started was stopped
  4      a process failed more often than it may; everything was stopped
  5      the operating system refused something that this command needs
  6      `procession chaos`: something did not come back, or was left behind
  7      `procession call`: the message was not answered, or is none that the actor takes
  130    stopped by Ctrl-C (SIGINT)
  143    stopped by SIGTERM
  else   the exit code of the `significant` process that ended the topology, or 128 and the number of the signal that \
killed it; a significant process can also end with one of the codes above, and the last event tells which it was";

/// What a shell shows of a process that ended so; every code of a real process fits.
pub(crate) fn of_process(shell_code: i32) -> u8 {
    u8::try_from(shell_code & 0xff).unwrap_or(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        for code in [DONE, NOT_SOUND, USAGE, NOT_STARTED, GAVE_UP, BROKEN, NOT_SURVIVED, NOT_ANSWERED] {
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code} is not in the help");
        }
        assert_eq!((of_process(7), of_process(SIGNAL_BASE + 9)), (7, 137));
    }

    #[test]
    fn the_page_about_the_command_has_the_same_codes() {
        let page = include_str!("../../docs/CLI.md");
        for line in HELP.lines().skip(1) {
            let (code, meaning) = line.trim().split_once(' ').expect("a code and its meaning");
            let meaning = meaning.trim();
            assert!(
                page.contains(&format!("| {code} | {meaning} |")),
                "docs/CLI.md lacks: | {code} | {meaning} |"
            );
        }
    }
}
