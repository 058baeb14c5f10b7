//! The `root_killed` workload: a program that has started many processes is killed at a random moment, again and again.
//! How long until the last of them is gone, and whether any is left.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use procession::id::Signal;
use procession::sys::pidfd::Pidfd;
use procession::sys::poll::{Interest, poll_one};
use serde_json::{Map, Value, json};
use std::os::fd::AsFd;

use crate::comparison::spread_of;
use crate::cores::Placement;
use crate::part::{Failure, Part, Task, Work};
use crate::processes::{BETWEEN_KILLS, random_moment};
use crate::subjects::{self, Setting, Subject};
use crate::workloads::{Options, Outcome};

/// Processes that one has started.
const COUNT: u16 = 200;
const QUICK_COUNT: u16 = 20;

/// How often it is killed.
const TRIALS: usize = 100;
const QUICK_TRIALS: usize = 3;

/// Python needs ten seconds to start two hundred.
const PYTHON_TRIALS: usize = 3;

/// After this long nobody may be left.
const LIMIT: Duration = Duration::from_secs(1);

/// Who is left then is waited for this long, and killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one kill led to.
struct Trial {
    last_gone: Duration,
    left: usize,
}

pub(crate) fn run(options: Options) -> Outcome {
    let count = if options.quick { QUICK_COUNT } else { COUNT };
    let trials = options.rounds.unwrap_or(if options.quick { QUICK_TRIALS } else { TRIALS });
    let mut subjects = vec![
        ("procession", Subject::Procession(Setting::Defaults), trials),
        ("limit", Subject::Bare, trials),
    ];
    let peers = options.peers.for_task(Task::RootKilled(count), Placement::Anywhere);
    subjects.extend(peers.map(|peer| (peer.name, peer.subject, trials.min(PYTHON_TRIALS))));
    let (mut told, mut spread, mut details) = (Map::new(), Map::new(), Map::new());
    let mut verdict = String::new();
    for (name, subject, trials) in subjects {
        let task = Task::RootKilled(count);
        let part = Part::new(subject, Work { task, placement: Placement::Anywhere, quick: options.quick });
        let found = (0..trials).map(|_| trial(&part)).collect::<Result<Vec<Trial>, Failure>>()?;
        let times = found.iter().map(|trial| trial.last_gone.as_secs_f64() * 1e3).collect();
        let (least, middle, most) = spread_of(times).ok_or("no trial was made")?;
        let left: usize = found.iter().map(|trial| trial.left).sum();
        told.insert(name.into(), json!(middle));
        spread.insert(name.into(), json!([least, most]));
        details.insert(name.into(), json!({ "trials": trials, "processes": count, "left_after_1s": left }));
        if name == "procession" {
            let held = if left == 0 { "met" } else { "NOT MET" };
            verdict = format!(
                "procession: none of {count} is left 1 s after SIGKILL of the root, {trials} times: {held}"
            );
        }
    }
    told.insert("unit".into(), "ms".into());
    told.insert("spread".into(), spread.into());
    told.insert("details".into(), details.into());
    told.insert("targets".into(), json!([verdict]));
    Ok(Value::Object(told))
}

fn trial(part: &Part) -> Result<Trial, Failure> {
    let mut command = subjects::doomed(part)?;
    command.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut doomed = command.spawn()?;
    let said = doomed.stdout.take().ok_or("it has a stdout")?;
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    let pids = line.split_whitespace().map(|pid| Ok(Pidfd::open(pid.parse()?)?));
    let processes = pids.collect::<Result<Vec<Pidfd>, Failure>>()?;
    if processes.is_empty() {
        doomed.kill()?;
        return Err(format!("{:?} did not start: {}", part.subject, doomed.wait()?).into());
    }
    std::thread::sleep(random_moment(BETWEEN_KILLS));
    let before = Instant::now();
    doomed.kill()?;
    let trial = watch(&processes, before)?;
    doomed.wait()?;
    Ok(trial)
}

/// Waits for each in turn; the last one's end is when all have ended.
fn watch(processes: &[Pidfd], since: Instant) -> Result<Trial, Failure> {
    let mut left = 0;
    for process in processes {
        let is_gone = |limit: Duration| {
            poll_one(process.as_fd(), Interest::Readable, Some(limit.saturating_sub(since.elapsed())))
        };
        if !is_gone(LIMIT)? {
            left += 1;
            if !is_gone(PATIENCE)? {
                process.signal(Signal(nix::libc::SIGKILL))?;
            }
        }
    }
    Ok(Trial { last_gone: since.elapsed(), left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_and_who_is_left_are_told_apart() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let pidfd = || Pidfd::open(child.id().try_into().expect("a number")).expect("a pidfd");
        let long_ago = Instant::now().checked_sub(PATIENCE).expect("the machine runs for long");
        assert_eq!(watch(&[pidfd(), pidfd()], long_ago).expect("watched").left, 2);
        let dead = pidfd();
        assert_eq!(watch(&[dead], Instant::now()).expect("watched").left, 0, "it was killed");
        child.wait().expect("wait");
    }
}
