//! The actors of the stories' topologies.

use procession::prelude::*;

/// Everything that this program can be.
pub(crate) fn program() -> Program {
    Program::new().actor::<Speaker>().actor::<Batch>().actor::<Stuck>().actor::<Refuser>().actor::<Asker>()
}

/// Prints and logs what it is told to when it starts, and answers how much that was.
#[derive(ProcActor)]
#[proc_actor(messages(HowMuch, Repeat))]
pub(crate) struct Speaker {
    words: Words,
}

#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct Words {
    stdout: Vec<String>,
    stderr: Vec<String>,
    info: Vec<String>,
    debug: Vec<String>,
    /// So many numbered lines to stdout, as fast as they can be written.
    flood: u32,
    /// Makes this file, for stories that can't hear the command.
    touch: Option<String>,
}

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(crate) struct HowMuch;

#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "Result<u32, String>")]
pub(crate) struct Repeat {
    times: i32,
}

impl Handler<Repeat> for Speaker {
    type Result = Result<u32, String>;
    fn handle(&mut self, Repeat { times }: Repeat, _: &mut Context<Self>) -> Self::Result {
        u32::try_from(times).map_err(|_| format!("{times} times?"))
    }
}

impl Spawn for Speaker {
    type Args = Words;
    fn spawn(words: Words, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Speaker { words })
    }
}

impl Actor for Speaker {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        let Words { stdout, stderr, info, debug, flood, touch } = &self.words;
        stdout.iter().for_each(|line| println!("{line}"));
        stderr.iter().for_each(|line| eprintln!("{line}"));
        info.iter().for_each(|line| tracing::info!(target: "demo", length = line.len(), "{line}"));
        debug.iter().for_each(|line| tracing::debug!(target: "demo", "{line}"));
        let numbered: String = (0..*flood).map(|number| format!("line {number}\n")).collect();
        print!("{numbered}");
        if let Some(file) = touch {
            std::fs::File::create(file).expect("the folder is writable");
        }
    }
}

impl Handler<HowMuch> for Speaker {
    type Result = u64;
    fn handle(&mut self, _: HowMuch, _: &mut Context<Self>) -> u64 {
        [&self.words.stdout, &self.words.stderr].into_iter().map(|lines| lines.len() as u64).sum()
    }
}

/// Ends its process when it starts.
#[derive(ProcActor)]
#[proc_actor(messages())]
pub(crate) struct Batch {
    end: End,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Code(i32),
    /// Says the lines on stderr, then exits at once with this code, in every life.
    Fail(Vec<String>, i32),
}

impl Spawn for Batch {
    type Args = End;
    fn spawn(end: End, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Batch { end })
    }
}

impl Actor for Batch {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        match &self.end {
            End::Code(code) => procession::finish(*code),
            End::Fail(lines, code) => {
                lines.iter().for_each(|line| eprintln!("{line}"));
                procession::finish(*code);
            }
        }
    }
}

/// Handles a message for ever: nothing but force ends its process.
#[derive(ProcActor)]
#[proc_actor(messages())]
pub(crate) struct Stuck;

#[derive(Message)]
#[rtype(result = "()")]
struct Block;

impl Spawn for Stuck {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Stuck)
    }
}

impl Actor for Stuck {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        // A process is ready when all of this kind have run, and this is for after that.
        context.notify_later(Block, std::time::Duration::from_millis(200));
    }
}

impl Handler<Block> for Stuck {
    type Result = ();
    fn handle(&mut self, _: Block, _: &mut Context<Self>) {
        println!("stuck");
        loop {
            std::thread::park();
        }
    }
}

/// Is never born.
#[derive(ProcActor)]
#[proc_actor(messages())]
pub(crate) struct Refuser;

impl Spawn for Refuser {
    type Args = ();
    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Err("the database is not there".into())
    }
}

impl Actor for Refuser {
    type Context = Context<Self>;
}

/// Asks a speaker in another process, prints the answer and ends its process with it as its code.
#[derive(ProcActor)]
#[proc_actor(messages())]
pub(crate) struct Asker {
    speaker: ProcAddr<Speaker>,
}

impl Spawn for Asker {
    type Args = ProcAddr<Speaker>;
    fn spawn(speaker: ProcAddr<Speaker>, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Asker { speaker })
    }
}

impl Actor for Asker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let answer = self.speaker.send(HowMuch);
        context.spawn(answer.into_actor(self).map(|answer, _, _| {
            println!("the answer is {answer:?}");
            procession::finish(answer.map_or(99, |count| i32::try_from(count).unwrap_or(98)));
        }));
    }
}
