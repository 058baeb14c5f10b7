//! A pool of worker processes over `wait`: each gets a new job as soon as it has answered, whoever is first.
//!
//! The jobs are uneven on purpose: the number of steps of the Collatz sequence, for ranges of numbers. When a
//! worker dies, its pipe says end-of-file, and its job goes to another: worker 0 aborts in its second job to
//! show it.

use std::error::Error;
use std::io::Write;
use std::process::{Child, Command};

use procession::pipe::{self, End, Waitable};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    first: u64,
    last: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    number: u64,
    steps: u32,
}

struct Worker {
    child: Child,
    end: End<Job, Answer>,
    job: Job,
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(number) => work(number == "0"),
        None => parent(),
    }
}

/// A worker: answers jobs until its pipe ends.
fn work(dies: bool) -> Result<(), Box<dyn Error>> {
    let mut end = End::<Answer, Job>::take("pipe")?;
    let mut done = 0;
    while let Some(job) = end.iter().next().transpose()? {
        done += 1;
        if dies && done == 2 {
            std::process::abort();
        }
        let steps = |mut number: u64| {
            let mut steps = 0;
            while number != 1 {
                number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
                steps += 1;
            }
            steps
        };
        let best = (job.first..=job.last).map(|number| Answer { number, steps: steps(number) });
        end.send(best.max_by_key(|answer| answer.steps).ok_or("an empty job")?)?;
    }
    Ok(())
}

fn parent() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let mut jobs: Vec<Job> =
        (0..20).map(|at| Job { first: at * 20_000 + 1, last: (at + 1) * 20_000 }).collect();
    let (mut workers, mut finished) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let (mut end, theirs) = pipe::pipe::<Job, Answer>()?;
        let mut program = Command::new(std::env::current_exe()?);
        program.arg(number.to_string());
        let child = pipe::spawn(program, theirs)?;
        let job = jobs.pop().ok_or("fewer jobs than workers")?;
        end.send(job.clone())?;
        workers.push(Worker { child, end, job });
    }
    let (mut best, mut lost) = (Answer { number: 1, steps: 0 }, 0);
    while !workers.is_empty() {
        let sources: Vec<&dyn Waitable> = workers.iter().map(|worker| &worker.end as _).collect();
        // From the last to the first, because some are removed.
        for place in pipe::wait(&sources, None)?.into_iter().rev() {
            let worker = &mut workers[place];
            match worker.end.recv() {
                Ok(answer) if answer.steps > best.steps => best = answer,
                Ok(_) => {}
                Err(error) if error.is_end() => {
                    lost += 1;
                    jobs.push(worker.job.clone());
                    workers.remove(place).child.wait()?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            match jobs.pop() {
                Some(job) => {
                    worker.job = job.clone();
                    worker.end.send(job)?;
                }
                None => finished.push(workers.remove(place)),
            }
        }
    }
    for Worker { mut child, end, .. } in finished {
        end.close()?;
        child.wait()?;
    }
    writeln!(
        out,
        "{} takes {} steps; {lost} worker died and its job was done by another",
        best.number, best.steps
    )?;
    Ok(())
}
