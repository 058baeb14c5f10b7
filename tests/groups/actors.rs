//! The actors of the stories.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use procession::address::{GroupChanged, NameChanged, NameError, Watching};
use procession::prelude::*;
use tokio::sync::Semaphore;

pub(crate) fn program() -> Program {
    Program::new().actor::<Member>().actor::<Other>().actor::<Asking>()
}

messages! {
    WhoAreYou() -> "Me";
    Double(u64) -> "u64";
    /// How many it was asked to double, in this life.
    Doubled() -> "u32";
    Note(u32) -> "()";
    Notes() -> "Vec<u32>";
    /// Is answered when `Release` reaches any actor of that process; its actor takes nothing meanwhile.
    Hold() -> "()";
    /// As `Hold`, while its actor goes on.
    Wait() -> "()";
    Release() -> "()";
    Panic() -> "()";
    Stop() -> "()";
    /// Registers itself.
    Register(String) -> "Result<(), NameError>";
    RegisterFor { name: String, whom: ProcAddr<Member> } -> "Result<(), NameError>";
    Unregister(String) -> "Result<(), NameError>";
    /// Exports an actor of its process and gives it a name.
    Export(String) -> "Result<ProcAddr<Member>, NameError>";
    LookUp(String) -> "Result<ProcAddr<Member>, NameError>";
    LookUpOther(String) -> "Result<ProcAddr<Other>, NameError>";
    /// Looks up, or starts an actor of this name in its process.
    LookUpOrStart { name: String, actor: String } -> "Result<ProcAddr<Member>, String>";
    /// As above, and fails to start, once `Release` lets it.
    LookUpOrFail(String) -> "Result<ProcAddr<Member>, String>";
    /// Whether one that fails has begun to start in this process.
    HasBegun() -> "bool";
    Join(String) -> "Result<(), NameError>";
    Leave(String) -> "Result<(), NameError>";
    WatchName(String) -> "Result<(), NameError>";
    WatchGroup(String) -> "Result<(), NameError>";
    Unwatch() -> "()";
    NameChanges() -> "Vec<NameChanged>";
    GroupChanges() -> "Vec<GroupChanged>";
    Ask { whom: ProcAddr<Member>, value: u64 } -> "Result<u64, String>";
    AskRecipient { whom: ProcRecipient<Double>, value: u64 } -> "Result<u64, String>";
    /// Who answers each of so many, asked one after the other.
    WhoAnswers { whom: ProcAddr<Member>, count: u32 } -> "BTreeMap<String, u32>";
    /// Who owns each of these keys, as this process sees it.
    Owners { group: GroupAddr<Member>, keys: u32 } -> "Vec<String>";
    /// How many there are, as this process sees it.
    Members(GroupAddr<Member>) -> "u32";
    Gather { group: GroupAddr<Member>, value: u64 } -> "Result<Vec<u64>, String>";
    /// Sends the group one note before its members are known and one after, without giving its thread away in between.
    NoteAcross(GroupAddr<Member>) -> "()";
    /// Starts two replicas of a process of this name.
    StartReplicas(String) -> "Result<(), String>";
    /// Which group it was born with.
    AskYourGroup(u64) -> "Result<u64, String>";
}

/// Who an actor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, MessageResponse)]
pub(crate) struct Me {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) incarnation: u32,
    pub(crate) restarts: u32,
}

/// Let go by `Release`.
static RELEASED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

/// Set when `LookUpOrFail` has its turn.
static BEGUN: AtomicBool = AtomicBool::new(false);

async fn released() {
    RELEASED.acquire().await.unwrap().forget();
}

/// Does what it is told.
#[derive(ProcActor)]
#[proc_actor(messages(
    WhoAreYou,
    Double,
    Doubled,
    Note,
    Notes,
    Hold,
    Wait,
    Release,
    Panic,
    Stop,
    Register,
    RegisterFor,
    Unregister,
    Export,
    LookUp,
    LookUpOther,
    LookUpOrStart,
    LookUpOrFail,
    HasBegun,
    Join,
    Leave,
    WatchName,
    WatchGroup,
    Unwatch,
    NameChanges,
    GroupChanges,
    NameChanged,
    GroupChanged,
    Ask,
    AskRecipient,
    WhoAnswers,
    Owners,
    Members,
    Gather,
    NoteAcross,
    StartReplicas
))]
pub(crate) struct Member {
    me: Me,
    addr: Option<ProcAddr<Member>>,
    doubled: u32,
    notes: Vec<u32>,
    watching: Vec<Watching>,
    names: Vec<NameChanged>,
    groups: Vec<GroupChanged>,
}

impl Member {
    pub(crate) fn new(name: &str) -> Member {
        let me = Me { name: name.into(), pid: std::process::id(), incarnation: 0, restarts: 0 };
        let (doubled, notes, watching, names, groups) = Default::default();
        Member { me, addr: None, doubled, notes, watching, names, groups }
    }

    fn addr(&self) -> ProcAddr<Member> {
        self.addr.clone().unwrap()
    }
}

impl Actor for Member {
    type Context = Context<Self>;
}

impl Spawn for Member {
    type Args = ();

    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        let mut member = Member::new(birth.actor.as_str());
        (member.me.incarnation, member.me.restarts) = (birth.incarnation.0, birth.restarts);
        member.addr = Some(birth.addr());
        Ok(member)
    }
}

type Later<R> = ResponseFuture<R>;
type Within<R> = ResponseActFuture<Member, R>;

fn runtime() -> Runtime {
    Runtime::current().unwrap()
}

handle! { for Member;
    WhoAreYou -> Me: |this, _, _| this.me.clone();
    Double -> u64: |this, Double(value), _| { this.doubled += 1; value * 2 };
    Doubled -> u32: |this, _, _| this.doubled;
    Note -> (): |this, Note(note), _| this.notes.push(note);
    Notes -> MessageResult<Notes>: |this, _, _| MessageResult(this.notes.clone());
    Hold -> AtomicResponse<Self, ()>: |this, _, _| AtomicResponse::new(Box::pin(released().into_actor(this)));
    Wait -> Later<()>: |this, _, _| Box::pin(released());
    Release -> (): |this, _, _| RELEASED.add_permits(1);
    Panic -> (): |this, _, _| panic!("as I was told");
    Stop -> (): |this, _, context| context.stop();
    Register -> Later<Result<(), NameError>>: |this, Register(name), _| {
        let addr = this.addr();
        Box::pin(async move { runtime().register(&name, &addr).await })
    };
    RegisterFor -> Later<Result<(), NameError>>: |this, RegisterFor { name, whom }, _| Box::pin(async move {
        runtime().register(&name, &whom).await
    });
    Unregister -> Later<Result<(), NameError>>: |this, Unregister(name), _| {
        let addr = this.addr();
        Box::pin(async move { runtime().unregister(&name, &addr).await })
    };
    Export -> Later<Result<ProcAddr<Member>, NameError>>: |this, Export(name), _| {
        let exported = ProcAddr::export(Member::new(&name).start()).unwrap();
        Box::pin(async move { runtime().register(&name, &exported).await.map(|()| exported) })
    };
    LookUp -> Later<Result<ProcAddr<Member>, NameError>>: |this, LookUp(name), _| Box::pin(async move {
        runtime().look_up(&name).await
    });
    LookUpOther -> Later<Result<ProcAddr<Other>, NameError>>: |this, LookUpOther(name), _| Box::pin(async move {
        runtime().look_up(&name).await
    });
    LookUpOrStart -> Later<Result<ProcAddr<Member>, String>>: |this, LookUpOrStart { name, actor }, _| Box::pin(async move {
        let runtime = runtime();
        let start = async || runtime.start_actor::<Member>(&actor, ()).await;
        runtime.look_up_or_start(&name, start).await.map_err(|error| error.to_string())
    });
    LookUpOrFail -> Later<Result<ProcAddr<Member>, String>>: |this, LookUpOrFail(name), _| Box::pin(async move {
        let fail = async || {
            BEGUN.store(true, Ordering::SeqCst);
            released().await;
            Err("it is not my day")
        };
        runtime().look_up_or_start(&name, fail).await.map_err(|error| error.to_string())
    });
    HasBegun -> bool: |this, _, _| BEGUN.load(Ordering::SeqCst);
    Join -> Later<Result<(), NameError>>: |this, Join(group), _| {
        let addr = this.addr();
        Box::pin(async move { runtime().join(&group, &addr).await })
    };
    Leave -> Later<Result<(), NameError>>: |this, Leave(group), _| {
        let addr = this.addr();
        Box::pin(async move { runtime().leave(&group, &addr).await })
    };
    WatchName -> Within<Result<(), NameError>>: |this, WatchName(name), _| {
        let to = this.addr().recipient::<NameChanged>();
        let watch = async move { runtime().watch_name(&name, to).await };
        Box::pin(watch.into_actor(this).map(|watching, this, _| watching.map(|watching| this.watching.push(watching))))
    };
    WatchGroup -> Within<Result<(), NameError>>: |this, WatchGroup(name), _| {
        let to = this.addr().recipient::<GroupChanged>();
        let watch = async move { runtime().watch_group::<Member>(&name, to).await };
        Box::pin(watch.into_actor(this).map(|watching, this, _| watching.map(|watching| this.watching.push(watching))))
    };
    Unwatch -> (): |this, _, _| {
        this.watching.clear();
        this.names.clear();
    };
    NameChanged -> (): |this, changed, _| this.names.push(changed);
    GroupChanged -> (): |this, changed, _| this.groups.push(changed);
    NameChanges -> MessageResult<NameChanges>: |this, _, _| MessageResult(this.names.clone());
    GroupChanges -> MessageResult<GroupChanges>: |this, _, _| MessageResult(this.groups.clone());
    NoteAcross -> (): |this, NoteAcross(group), _| {
        let routed = group.route(Routing::RoundRobin);
        routed.do_send(Note(1));
        while group.members().is_err() {
            std::thread::yield_now();
        }
        routed.do_send(Note(2));
    };
    StartReplicas -> Later<Result<(), String>>: |this, StartReplicas(name), _| Box::pin(async move {
        let started = runtime().start(crate::stage::process(&name).replicas(2)).await;
        started.map(drop).map_err(|error| error.to_string())
    });
    Ask -> Later<Result<u64, String>>: |this, Ask { whom, value }, _| Box::pin(async move {
        whom.send(Double(value)).await.map_err(|error| error.to_string())
    });
    AskRecipient -> Later<Result<u64, String>>: |this, AskRecipient { whom, value }, _| Box::pin(async move {
        whom.send(Double(value)).await.map_err(|error| error.to_string())
    });
    WhoAnswers -> Later<BTreeMap<String, u32>>: |this, WhoAnswers { whom, count }, _| Box::pin(async move {
        answers(&whom, count).await
    });
    Owners -> Later<Vec<String>>: |this, Owners { group, keys }, _| Box::pin(async move { owners(&group, keys).await });
    Members -> Later<u32>: |this, Members(group), _| Box::pin(async move {
        runtime().group::<Member>(group.name().as_str()).await.unwrap();
        u32::try_from(group.members().unwrap().len()).unwrap()
    });
    Gather -> Later<Result<Vec<u64>, String>>: |this, Gather { group, value }, _| Box::pin(async move {
        let gathered = group.gather(Double(value), Duration::from_secs(30)).await.map_err(|error| error.to_string())?;
        Ok(gathered.replies().map(|(_, reply)| *reply).collect())
    });
}

pub(crate) async fn answers(whom: &ProcAddr<Member>, count: u32) -> BTreeMap<String, u32> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        *answers.entry(whom.send(WhoAreYou).await.unwrap().name).or_default() += 1;
    }
    answers
}

pub(crate) async fn owners(group: &GroupAddr<Member>, keys: u32) -> Vec<String> {
    let asked = (0..keys).map(|key| group.by_key(key.to_le_bytes()).send(WhoAreYou));
    join_all(asked).await.into_iter().map(|me| me.unwrap().name).collect()
}

/// Another type.
#[derive(ProcActor)]
#[proc_actor(messages(Double))]
pub(crate) struct Other;

impl Actor for Other {
    type Context = Context<Self>;
}

impl Handler<Double> for Other {
    type Result = u64;

    fn handle(&mut self, Double(value): Double, _: &mut Context<Self>) -> u64 {
        value * 200
    }
}

impl Spawn for Other {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Other)
    }
}

/// Is born with the address of a group, and asks it.
#[derive(ProcActor)]
#[proc_actor(messages(AskYourGroup))]
pub(crate) struct Asking(Asked);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) group: ProcAddr<Member>,
    pub(crate) recipient: ProcRecipient<Double>,
}

impl Actor for Asking {
    type Context = Context<Self>;
}

impl Spawn for Asking {
    type Args = Asked;

    fn spawn(asked: Asked, _: &Birth) -> Result<Self, SpawnError> {
        Ok(Asking(asked))
    }
}

impl Handler<AskYourGroup> for Asking {
    type Result = ResponseFuture<Result<u64, String>>;

    /// By both, which must agree.
    fn handle(&mut self, AskYourGroup(value): AskYourGroup, _: &mut Context<Self>) -> Self::Result {
        let Asked { group, recipient } = self.0.clone();
        Box::pin(async move {
            let doubled = recipient.send(Double(value)).await.map_err(|error| error.to_string())?;
            assert_eq!(group.send(Double(value)).await.map_err(|error| error.to_string())?, doubled);
            Ok(doubled)
        })
    }
}
