//! Descriptors, blobs and large bytes as fields of messages.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use bytes::Bytes;
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;
use tokio::io::AsyncReadExt;

use crate::actors::{Mood, Moody};
use crate::stage::{deploy, descriptors, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("an_actor_reads_the_file_that_it_is_handed", files),
        story("within_a_process_a_descriptor_is_handed_over_as_it_is", as_it_is),
        story("m2_a_message_that_comes_back_still_has_its_descriptors", comes_back),
        story("m2_descriptors_under_way_die_with_their_receiver", killed),
        story("m7_descriptors_of_a_cancelled_request_are_closed", cancelled),
        story("m5_descriptors_of_dead_letters_are_closed", dead_letters),
        story("h14_too_many_descriptors_are_a_typed_error_and_the_connection_lives_on", too_many),
        story("h14_a_receiver_without_free_descriptors_refuses_and_the_connection_lives_on", exhausted),
        story("m3_more_descriptors_than_the_window_holds_wait", waiting),
        story("a_blob_passes_through_processes_without_a_copy", blobs),
        story("large_bytes_of_fields_that_lend_them_arrive_as_they_are", large_bytes),
        story("m7_large_bytes_that_were_lent_are_given_back_when_their_receiver_dies", lent_to_the_dead),
        story("h57_who_gets_lent_bytes_back_may_send_or_panic", given_back),
        story("h57_who_gets_back_what_was_denied_may_send_there", given_back_by_the_denied),
        story("x1_what_is_no_blob_is_a_typed_error_and_the_connection_lives_on", forged),
    ]
}

/// Handles what others carry to it.
#[derive(Default, ProcActor)]
#[proc_actor(messages(
    Recite, Number, Lend, Keep, LetGo, Pid, Stuck, Go, Thorny, Many, UseUp, Open, PassOn, Look, Fake, Mirror,
    Try, Revoked
))]
pub(crate) struct Porter {
    kept: Vec<Descriptor>,
    used_up: Vec<File>,
}

impl Actor for Porter {
    type Context = Context<Self>;
}

impl Spawn for Porter {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Porter::default())
    }
}

macro_rules! messages {
    ($($name:ident $(($($field:ty),+))? -> $result:tt |$this:ident, $what:pat_param| -> $type:ty $body:block)*) => {$(
        #[derive(Debug, Message, Serialize, Deserialize)]
        #[rtype(result = $result)]
        pub(crate) struct $name $(($(pub(crate) $field),+))?;

        impl Handler<$name> for Porter {
            type Result = $type;

            #[allow(unused_variables)]
            fn handle(&mut self, $what: $name, _: &mut Context<Self>) -> Self::Result {
                let $this = self;
                $body
            }
        }
    )*};
}

messages! {
    Recite(Descriptor) -> "String" |this, Recite(descriptor)| -> String {
        let mut text = String::new();
        File::from(OwnedFd::from(descriptor)).read_to_string(&mut text).unwrap();
        text
    }
    Number(Descriptor) -> "i32" |this, Number(descriptor)| -> i32 { descriptor.0.as_raw_fd() }
    Lend(String) -> "(String, Descriptor)" |this, Lend(text)| -> MessageResult<Lend> {
        let (reading, mut writing) = std::io::pipe().unwrap();
        writing.write_all(text.as_bytes()).unwrap();
        MessageResult((text, Descriptor(reading.into())))
    }
    Keep(Descriptor) -> "()" |this, Keep(descriptor)| -> () { this.kept.push(descriptor); }
    Pid -> "u32" |this, _| -> u32 { std::process::id() }
    LetGo -> "()" |this, _| -> () {
        this.kept.clear();
        this.used_up.clear();
    }
    Stuck -> "()" |this, _| -> AtomicResponse<Porter, ()> {
        let wait = async { crate::actors::RELEASED.acquire().await.unwrap().forget() };
        AtomicResponse::new(Box::pin(wait.into_actor(this)))
    }
    Go -> "()" |this, _| -> () { crate::actors::RELEASED.add_permits(1); }
    Thorny(Descriptor, Moody) -> "()" |this, _| -> () {}
    Many(Vec<Descriptor>) -> "usize" |this, Many(many)| -> usize { many.len() }
    UseUp -> "()" |this, _| -> () {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 200, most).unwrap();
        while let Ok(file) = File::open("/dev/null") {
            this.used_up.push(file);
        }
    }
    Open -> "Vec<String>" |this, _| -> MessageResult<Open> { MessageResult(descriptors()) }
    PassOn(Blob, Vec<ProcAddr<Porter>>) -> "Result<Blob, String>" |this, PassOn(blob, mut to)| -> ResponseFuture<Result<Blob, String>> {
        Box::pin(async move {
            let Some(next) = to.pop() else { return Ok(blob) };
            next.send(PassOn(blob, to)).await.map_err(|error| error.to_string())?
        })
    }
    Look(Blob) -> "(u64, u8, u8)" |this, Look(blob)| -> MessageResult<Look> {
        MessageResult((blob.len() as u64, blob[0], blob[blob.len() - 1]))
    }
    Fake(Forgery) -> "()" |this, _| -> () {}
    Revoked -> "ProcAddr<Porter>" |this, _| -> MessageResult<Revoked> {
        let revoked = ProcAddr::export(Porter::default().start()).unwrap().revocable().unwrap();
        revoked.revoke().unwrap();
        MessageResult(revoked)
    }
    Try(ProcAddr<Porter>, ProcAddr<Porter>) -> "()" |this, Try(denied, porter)| -> ResponseFuture<()> {
        let (is_given, mut given) = tokio::sync::mpsc::channel(1);
        denied.do_send(pooled(Pooled { bytes: vec![7; 100_000], porter, is_given, panics: false }));
        Box::pin(async move { given.recv().await.unwrap() })
    }
    Mirror(Vec<Picture>) -> "Vec<Picture>" |this, Mirror(mut pictures)| -> MessageResult<Mirror> {
        pictures.reverse();
        MessageResult(pictures)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    name: String,
    #[serde(with = "procession::codec::bytes")]
    pixels: Bytes,
}

fn picture(bytes: usize) -> Picture {
    Picture { name: format!("of {bytes} bytes"), pixels: (0..=250).cycle().take(bytes).collect() }
}

/// Reads as a blob, and is written as something that is none.
#[derive(Debug)]
pub(crate) struct Forgery(Descriptor, u64);

#[derive(Serialize)]
enum Sent<'a> {
    #[allow(dead_code)] // Its place counts.
    Inline(&'a [u8]),
    Sealed {
        place: &'a Descriptor,
        length: u64,
    },
}

impl Serialize for Forgery {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Sent::Sealed { place: &self.0, length: self.1 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Forgery {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Blob::deserialize(deserializer)?;
        panic!("it was taken for a blob");
    }
}

fn porter(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Porter>(actor, ())
}

async fn one(root: &Root) -> procession::Result<(Running, ProcAddr<Porter>)> {
    let running = deploy(root, [porter("left", "a").actor::<Porter>("a2", ())]).await?;
    let a = running.addr("a")?;
    Ok((running, a))
}

/// A pipe to send an end of, and the other to hear whether anybody still has it.
fn line() -> (tokio::net::unix::pipe::Receiver, Descriptor) {
    let (reading, writing) = std::io::pipe().unwrap();
    (tokio::net::unix::pipe::Receiver::from_owned_fd(reading.into()).unwrap(), Descriptor(writing.into()))
}

/// What was said until nobody had the other end any more.
async fn all_of(mut reading: tokio::net::unix::pipe::Receiver) -> String {
    let mut text = String::new();
    reading.read_to_string(&mut text).await.unwrap();
    text
}

async fn files(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"what the root wrote").unwrap();
    file.rewind().unwrap();
    assert_eq!(a.send(Recite(Descriptor(file.into()))).await?, "what the root wrote");
    let (text, Descriptor(lent)) = a.send(Lend("from there".into())).await?;
    let mut read = String::new();
    File::from(lent).read_to_string(&mut read).unwrap();
    assert_eq!((text, read.as_str()), ("from there".to_owned(), "from there"));
    running.shutdown().await
}

async fn as_it_is(root: Root) -> procession::Result<()> {
    let here = ProcAddr::export(Porter::default().start())?;
    let (_reading, writing) = line();
    let number = writing.0.as_raw_fd();
    assert_eq!(here.send(Number(writing)).await?, number);
    drop(root);
    Ok(())
}

async fn comes_back(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let before = a.send(Open).await?;
    for mood in [Mood::CantBeRead, Mood::PanicsWhenRead, Mood::CantBeWritten] {
        let (reading, writing) = line();
        let error = a.send(Thorny(writing, Moody { value: 1, mood })).await.unwrap_err();
        assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
        let Thorny(Descriptor(back), _) = error.into_message().unwrap();
        File::from(back).write_all(b"still mine").unwrap();
        assert_eq!(all_of(reading).await, "still mine");
    }
    assert_eq!(a.send(Open).await?, before);
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pid = a.send(Pid).await?;
    a.do_send(Stuck);
    let (readings, asks): (Vec<_>, Vec<_>) =
        (0..100).map(|_| line()).map(|(reading, writing)| (reading, a.send(Keep(writing)))).unzip();
    // They are there when this has been answered.
    running.addr::<Porter>("a2")?.send(Open).await?;
    signal(pid, Signal::SIGKILL);
    for ask in asks {
        let error = ask.await.unwrap_err();
        assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}");
    }
    for reading in readings {
        assert_eq!(all_of(reading).await, "");
    }
    running.shutdown().await
}

async fn cancelled(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.do_send(Stuck);
    let (reading, writing) = line();
    let mut ask = a.send(Keep(writing));
    let polled = tokio::select! {
        biased;
        told = &mut ask => Err(told),
        open = running.addr::<Porter>("a2")?.send(Open) => Ok(open),
    };
    assert!(polled.is_ok(), "the actor is stuck");
    drop(ask);
    running.addr::<Porter>("a2")?.send(Go).await?;
    assert_eq!(all_of(reading).await, "");
    running.shutdown().await
}

async fn dead_letters(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let (reading, writing) = line();
    ProcAddr::<Porter>::named("nobody").do_send(Keep(writing));
    assert_eq!(all_of(reading).await, "");
    // Decoded in part, and of no use there.
    let (reading, writing) = line();
    a.do_send(Thorny(writing, Moody { value: 1, mood: Mood::CantBeRead }));
    assert_eq!(all_of(reading).await, "");
    running.shutdown().await
}

async fn too_many(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let null = || Descriptor(File::open("/dev/null").unwrap().into());
    let error = a.send(Many((0..254).map(|_| null()).collect())).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Encode(reason) if reason.contains("253")), "{error}");
    let mut back = error.into_message().unwrap();
    back.0.pop();
    assert_eq!(a.send(back).await?, 253);
    running.shutdown().await
}

async fn exhausted(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.send(UseUp).await?;
    let (reading, writing) = line();
    let error = a.send(Keep(writing)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Decode(_)), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    // What comes after it is its own, and what has none is as ever.
    let back = error.into_message().unwrap();
    a.send(LetGo).await?;
    a.send(back).await?;
    a.send(LetGo).await?;
    assert_eq!(all_of(reading).await, "");
    running.shutdown().await
}

async fn waiting(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let other = running.addr::<Porter>("a2")?;
    // So that both channels are open, and what is sent first arrives first.
    a.send(LetGo).await?;
    let before = other.send(Open).await?.len();
    a.do_send(Stuck);
    let null = || Descriptor(File::open("/dev/null").unwrap().into());
    let asks: Vec<_> = (0..300).map(|_| a.send(Keep(null()))).collect();
    let under_way = other.send(Open).await?.len() - before;
    assert!((200..=256).contains(&under_way), "{under_way}");
    other.send(Go).await?;
    for ask in asks {
        ask.await?;
    }
    assert_eq!(other.send(Open).await?.len() - before, 300);
    a.send(LetGo).await?;
    running.shutdown().await
}

async fn large_bytes(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let sizes = [0, 40_000, 3_000_000, 5, 1_000_000, 32 << 10];
    for _ in 0..3 {
        // Several on their way at once, whole and among others.
        let mut asks: Vec<_> = sizes.iter().map(|bytes| a.send(Mirror(vec![picture(*bytes)]))).collect();
        asks.push(a.send(Mirror(sizes.map(picture).into())));
        let mut got = Vec::new();
        for ask in asks {
            got.push(ask.await?);
        }
        let all = got.pop().unwrap();
        assert!(all.iter().rev().eq(&sizes.map(picture)), "as they were");
        assert!(got.concat() == sizes.map(picture));
    }
    // What was kept of a message goes on as any other.
    let kept = a.send(Mirror(vec![picture(1 << 20)])).await?;
    assert!(a.send(Mirror(kept.clone())).await? == kept);
    running.shutdown().await
}

async fn lent_to_the_dead(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let pid = a.send(Pid).await?;
    let picture = picture(3_000_000);
    signal(pid, Signal::SIGSTOP);
    let ask = a.send(Mirror(vec![picture.clone()]));
    assert!(!picture.pixels.is_unique(), "more than a pipe holds");
    signal(pid, Signal::SIGKILL);
    let error = ask.await.unwrap_err();
    assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}");
    drop(error);
    assert!(picture.pixels.is_unique());
    running.shutdown().await
}

/// Memory that is used again: told when it is, and by a message to the same process.
struct Pooled {
    bytes: Vec<u8>,
    porter: ProcAddr<Porter>,
    is_given: tokio::sync::mpsc::Sender<()>,
    panics: bool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.porter.do_send(LetGo);
        self.is_given.try_send(()).unwrap();
        assert!(!self.panics, "an owner that panics");
    }
}

fn pooled(owner: Pooled) -> Mirror {
    Mirror(vec![Picture { name: String::new(), pixels: Bytes::from_owner(owner) }])
}

async fn given_back_by_the_denied(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [porter("left", "a"), porter("right", "b")]).await?;
    let (a, b) = (running.addr::<Porter>("a")?, running.addr::<Porter>("b")?);
    let revoked = b.send(Revoked).await?;
    // No pipe leads there from the other yet: the root denies it.
    a.send(Try(revoked, b)).await?;
    a.send(Pid).await?;
    running.shutdown().await
}

async fn given_back(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let (is_given, mut given) = tokio::sync::mpsc::channel(9);
    for (bytes, panics) in [(100_000, false), (3_000_000, true), (3_000_000, false)] {
        let is_given = is_given.clone();
        a.do_send(pooled(Pooled { bytes: vec![7; bytes], porter: a.clone(), is_given, panics }));
        given.recv().await.unwrap();
    }
    a.send(Pid).await?;
    running.shutdown().await
}

async fn blobs(root: Root) -> procession::Result<()> {
    let processes = [porter("left", "a"), porter("right", "b"), porter("third", "c")];
    let running = deploy(&root, processes).await?;
    let all: Vec<ProcAddr<Porter>> = vec![running.addr("a")?, running.addr("b")?, running.addr("c")?];
    // Once, so that every pipe is there.
    let small = Blob::copy_from(b"small").unwrap();
    let passed = all[0].send(PassOn(small.clone(), all.clone())).await?;
    assert_eq!(passed.as_ref(), Ok(&small));
    let mut before = Vec::new();
    for each in &all {
        before.push(each.send(Open).await?);
    }
    // Far more than a message or a window may have.
    let mut draft = Blob::builder(64 << 20).unwrap();
    draft[0] = 1;
    *draft.last_mut().unwrap() = 9;
    let blob = draft.seal().unwrap();
    for _ in 0..100 {
        let passed = all[0].send(PassOn(blob.clone(), all.clone())).await?;
        assert_eq!(passed.as_ref().map(Blob::len), Ok(64 << 20));
    }
    let passed = all[1].send(PassOn(blob.clone(), all.clone())).await?.unwrap();
    drop(blob);
    assert_eq!((passed[0], passed[passed.len() - 1]), (1, 9));
    assert_eq!(all[2].send(Look(passed.clone())).await?, (64 << 20, 1, 9));
    for (each, before) in all.iter().zip(before) {
        assert_eq!(each.send(Open).await?, before, "nobody keeps any");
    }
    running.shutdown().await
}

async fn forged(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let before = a.send(Open).await?;
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    let (_reading, writing) = line();
    let sealed = procession::sys::memfd::copy(&[1; 4096]).unwrap();
    for (fake, length) in [(file.into(), 1 << 20), (writing.0, 4096), (sealed, 1 << 40)] {
        let error = a.send(Fake(Forgery(Descriptor(fake), length))).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Decode(reason) if reason.contains("as a blob")), "{error}");
        assert_eq!(error.verdict(), Verdict::NotExecuted);
    }
    assert_eq!(a.send(Open).await?, before);
    running.shutdown().await
}
