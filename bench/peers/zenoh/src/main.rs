//! zenoh: queries and publications between two peers over a unix socket, without the search on the local network.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use procession_bench_clock::drive::{self, MESSAGE, OUTSTANDING, PAYLOAD, at_once};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, traces};
use zenoh::bytes::ZBytes;
use zenoh::qos::CongestionControl;
use zenoh::query::Querier;
use zenoh::{Config, Session, Wait};

/// How the name of the folder of the socket begins.
const PREFIX: &str = "procession-zenoh-";

/// Longer than two peers take to meet, or a batch.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    play(measure, answer)
}

/// Its errors can be sent between threads, which those of the bench need not.
fn told(error: impl std::fmt::Display) -> Failure {
    error.to_string().into()
}

fn session(what: &str, path: &str) -> Result<Session, Failure> {
    let config = format!(
        r#"{{ mode: "peer", {what}: {{ endpoints: ["unixsock-stream/{path}"] }},
              scouting: {{ multicast: {{ enabled: false }}, gossip: {{ enabled: false }} }} {} }}"#,
        if what == "listen" { "" } else { ", listen: { endpoints: [] }" }
    );
    zenoh::open(Config::from_json5(&config).map_err(told)?).wait().map_err(told)
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    let _traces = traces::Traces::new(PREFIX);
    let folder = traces::folder(PREFIX, &std::process::id().to_string());
    std::fs::create_dir(&folder)?;
    let path = folder.join("socket").to_str().ok_or("a path that is no text")?.to_owned();
    // Its threads start with its session, and stay where this one is.
    cores::pin(errand.work.placement.near()?)?;
    let session = session("listen", &path)?;
    let _other = errand.other_end(&path, std::process::Stdio::null())?;
    drive(&errand.work, &session)
}

fn answer(errand: &Errand, path: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let session = session("connect", path)?;
    let confirms = session
        .declare_publisher("bench/confirms")
        .congestion_control(CongestionControl::Block)
        .wait()
        .map_err(told)?;
    let batch = match errand.work.task {
        Task::Payload => u64::try_from(errand.work.payloads())?,
        _ => errand.work.batch(),
    };
    let notes = AtomicU64::new(0);
    let _notes = session
        .declare_subscriber("bench/notes")
        .callback(move |sample| {
            for slice in sample.payload().slices() {
                std::hint::black_box(drive::touch(slice));
            }
            if (notes.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(batch) {
                // Who measures would miss it.
                let _ = confirms.put([1; MESSAGE]).wait();
            }
        })
        .wait()
        .map_err(told)?;
    let _echoes = session
        .declare_queryable("bench/echo")
        .callback(|query| {
            let words = query.payload().cloned().unwrap_or_default();
            // Who measures would miss it.
            let _ = query.reply("bench/echo", words).wait();
        })
        .wait()
        .map_err(told)?;
    loop {
        std::thread::park();
    }
}

/// Waits until the other end is known.
fn met(there: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begin = Instant::now();
    while !there()? {
        if begin.elapsed() > PATIENCE {
            return Err("the other peer did not appear".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

type Replies = zenoh::handlers::FifoChannelHandler<zenoh::query::Reply>;

fn ask(querier: &Querier<'_>) -> Result<Replies, Failure> {
    querier.get().payload([1; MESSAGE]).wait().map_err(told)
}

fn answered(replies: &Replies) -> Result<(), Failure> {
    let reply = replies.recv().map_err(told)?;
    reply.result().map(drop).map_err(told)
}

fn drive(work: &Work, session: &Session) -> Result<Reading, Failure> {
    let querier = session.declare_querier("bench/echo").wait().map_err(told)?;
    let notes = session
        .declare_publisher("bench/notes")
        .congestion_control(CongestionControl::Block)
        .wait()
        .map_err(told)?;
    let confirms = session.declare_subscriber("bench/confirms").wait().map_err(told)?;
    met(|| Ok(querier.matching_status().wait().map_err(told)?.matching()))?;
    met(|| Ok(notes.matching_status().wait().map_err(told)?.matching()))?;
    let ready = std::future::ready::<Result<(), Failure>>;
    let tell = |count: u64, content: &ZBytes| {
        (0..count).try_for_each(|_| notes.put(content.clone()).wait().map_err(told))?;
        let confirmed = confirms.recv_timeout(PATIENCE).map_err(told)?;
        confirmed.map(drop).ok_or_else(|| Failure::from("no confirmation came"))
    };
    match work.task {
        Task::Ask => {
            at_once(drive::asks(work, || ready(ask(&querier).and_then(|replies| answered(&replies)))))
        }
        Task::Ask64 => {
            let under_way = (1..OUTSTANDING).map(|_| ask(&querier)).collect::<Result<VecDeque<_>, Failure>>();
            let mut under_way = under_way?;
            drive::one_by_one(work, || {
                under_way.push_back(ask(&querier)?);
                answered(&under_way.pop_front().ok_or("sixty-three are under way")?)
            })
        }
        Task::Tell => {
            let content = ZBytes::from([1; MESSAGE]);
            at_once(drive::tells(work, || ready(tell(work.batch(), &content))))
        }
        Task::Payload => {
            let (count, content) = (u64::try_from(work.payloads())?, ZBytes::from(vec![1; PAYLOAD]));
            at_once(drive::payloads(work, || ready(tell(count, &content))))
        }
        other => Err(format!("{other:?} is no task for zenoh").into()),
    }
}
