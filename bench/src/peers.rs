//! Peers that take part only with `--peers`: who they are, what each can do, and how they come to be there. Those with
//! hundreds of dependencies are programs of their own in `bench/peers`, compiled here when they are asked for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use procession_bench_clock::peer::Errand;
use serde::{Deserialize, Serialize};

use crate::cores::Placement;
use crate::part::{Failure, Part, Reading, Task};
use crate::subjects::Subject;
use crate::workloads::STOPPED;

/// A peer in a program of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Program {
    /// Shared memory; both ends look for messages and never sleep.
    Iceoryx2,
    /// The same, woken by its events.
    Iceoryx2Events,
    /// Channels over a socket.
    Remoc,
    /// Requests over a socket.
    Tarpc,
    /// Actors of two nodes over a socket.
    RactorCluster,
    /// Actors of two swarms of libp2p over TCP.
    Kameo,
    /// Queries and publications over a socket.
    Zenoh,
}

/// Somebody to be measured beside.
pub(crate) struct Peer {
    /// As it is called in the JSON.
    pub(crate) name: &'static str,
    /// Who plays its part.
    pub(crate) subject: Subject,
    /// The tasks that it has a notion for.
    pub(crate) tasks: &'static [Task],
}

/// Whoever has messages has these.
const MESSAGES: &[Task] = &[Task::Ask, Task::Ask64, Task::Tell, Task::Payload];

/// All of them, in the order of their turns.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "python",
        subject: Subject::Python,
        tasks: &[
            Task::Ask,
            Task::Tell,
            Task::Payload,
            Task::Spawn,
            Task::Restart,
            Task::Down,
            Task::Stop(STOPPED),
            Task::RootKilled(0),
        ],
    },
    program("iceoryx2", Program::Iceoryx2),
    program("iceoryx2_events", Program::Iceoryx2Events),
    program("remoc", Program::Remoc),
    program("tarpc", Program::Tarpc),
    program("ractor_cluster", Program::RactorCluster),
    program("kameo", Program::Kameo),
    program("zenoh", Program::Zenoh),
];

const fn program(name: &'static str, program: Program) -> Peer {
    Peer { name, subject: Subject::Program(program), tasks: MESSAGES }
}

impl Peer {
    /// Whether it has a notion for such a task, whatever its size.
    pub(crate) fn can(&self, task: Task) -> bool {
        self.tasks.iter().any(|can| std::mem::discriminant(can) == std::mem::discriminant(&task))
    }

    /// Nobody answers on a core on which somebody polls and never sleeps.
    fn fits(&self, placement: Placement) -> bool {
        placement != Placement::OneCore || self.subject != Subject::Program(Program::Iceoryx2)
    }
}

impl Program {
    /// Its name in the JSON.
    fn name(self) -> &'static str {
        let of_this = |peer: &&Peer| peer.subject == Subject::Program(self);
        PEERS.iter().find(of_this).map_or("", |peer| peer.name)
    }

    /// Its folder in `bench/peers`.
    fn folder(self) -> &'static str {
        match self {
            Program::Iceoryx2 | Program::Iceoryx2Events => "iceoryx2",
            Program::Remoc => "remoc",
            Program::Tarpc => "tarpc",
            Program::RactorCluster => "ractor",
            Program::Kameo => "kameo",
            Program::Zenoh => "zenoh",
        }
    }

    /// Where the compiler puts it.
    fn executable(self) -> PathBuf {
        home().join("target/release").join(format!("procession-peer-{}", self.folder()))
    }

    /// Compiles it, with what it says on this program's stderr.
    fn build(self) -> Result<(), Failure> {
        let built = Command::new("cargo")
            .args(["build", "--release", "--locked", "--quiet", "--package"])
            .arg(format!("procession-peer-{}", self.folder()))
            .current_dir(home())
            // Nothing of the build of this program goes into that one.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if built.success() { Ok(()) } else { Err(format!("cargo build: {built}").into()) }
    }
}

fn home() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

/// Who takes part: those that were asked for, can do something of it, and are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present([bool; PEERS.len()]);

impl Present {
    /// Those who can do this task there.
    pub(crate) fn for_task(self, task: Task, placement: Placement) -> impl Iterator<Item = &'static Peer> {
        let all = PEERS.iter().zip(self.0);
        all.filter(move |(peer, here)| *here && peer.can(task) && peer.fits(placement)).map(|(peer, _)| peer)
    }
}

/// Who is not there, by name, and why.
pub(crate) type Absent = Vec<(&'static str, String)>;

/// Makes sure that those who can do one of the tasks are there, and says what becomes of each. Who is not there takes
/// no part; the others go on. Told beside who is there: who is not, and why.
pub(crate) fn gather(tasks: &[Task], say: &mut dyn Write) -> Result<(Present, Absent), Failure> {
    let (mut present, mut absent) = (Present::default(), Absent::new());
    for (place, peer) in PEERS.iter().enumerate() {
        if !tasks.iter().any(|task| peer.can(*task)) {
            continue;
        }
        let there = match peer.subject {
            Subject::Program(program) => {
                writeln!(say, "building {} in {}", peer.name, home().join(program.folder()).display())?;
                program.build()
            }
            _ => found("python3"),
        };
        match there {
            Ok(()) => present.0[place] = true,
            Err(why) => {
                writeln!(say, "{} takes no part: {why}", peer.name)?;
                absent.push((peer.name, why.to_string()));
            }
        }
    }
    Ok((present, absent))
}

fn found(program: &str) -> Result<(), Failure> {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    match status.map_err(|error| format!("{program}: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("{program} --version: {status}").into()),
    }
}

/// Has the program measure.
pub(crate) fn measure(part: &Part, program: Program) -> Result<Reading, Failure> {
    let errand = Errand { name: program.name().to_owned(), work: part.work, meeting: None };
    let output = errand.command(program.executable())?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.name(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn peers_have_the_names_that_the_json_promises() {
        let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        assert_eq!(
            names,
            ["python", "iceoryx2", "iceoryx2_events", "remoc", "tarpc", "ractor_cluster", "kameo", "zenoh"]
        );
    }

    #[test]
    fn each_program_is_a_member_of_the_workspace_of_peers_and_of_no_other() {
        let manifest = |path: &Path| std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        let programs = || {
            PEERS.iter().filter_map(|peer| match peer.subject {
                Subject::Program(program) => Some((peer.name, program)),
                _ => None,
            })
        };
        for (name, program) in programs() {
            assert_eq!(program.name(), name);
            let told = manifest(&home().join(program.folder()));
            assert!(told.contains(&format!("name = \"procession-peer-{}\"", program.folder())), "{told}");
        }
        let folders: BTreeSet<_> = programs().map(|(_, program)| program.folder()).collect();
        let workspace = manifest(home());
        let members = workspace.lines().find_map(|line| line.strip_prefix("members = ")).expect("members");
        let members: BTreeSet<String> = serde_json::from_str(members).expect("a list");
        assert!(members.iter().map(String::as_str).eq(folders), "{members:?}");
        let outer = manifest(&home().join("../.."));
        assert!(outer.contains("exclude = [\"fuzz\", \"bench/peers\"]"), "{outer}");
    }

    #[test]
    fn only_who_can_do_a_task_takes_part_in_it() {
        let all = Present([true; PEERS.len()]);
        let can = |task| all.for_task(task, Placement::TwoCores).map(|peer| peer.name).collect::<Vec<_>>();
        assert_eq!(can(Task::Spawn), ["python"]);
        assert_eq!(can(Task::Stop(7)), ["python"]);
        assert!(can(Task::Ask).len() == PEERS.len() && can(Task::Idle).is_empty());
        assert_eq!(all.for_task(Task::Ask, Placement::OneCore).count(), PEERS.len() - 1);
        assert_eq!(Present::default().for_task(Task::Ask, Placement::TwoCores).count(), 0);
    }

    #[test]
    fn who_is_not_asked_for_is_not_built() {
        let mut said = Vec::new();
        let (present, absent) = gather(&[Task::Idle], &mut said).expect("nobody");
        assert_eq!(present, Present::default());
        assert!(absent.is_empty() && said.is_empty());
        assert!(
            found("no-such-program-of-a-peer").expect_err("it is not there").to_string().contains("no-such")
        );
    }
}
