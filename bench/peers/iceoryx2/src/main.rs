//! iceoryx2: publications in shared memory. By its name it polls and never sleeps; as `iceoryx2_events` each end
//! sleeps until the other's event wakes it.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use procession_bench_clock::drive::{self, OUTSTANDING, PAYLOAD, WORDS, Words, at_once};
use procession_bench_clock::peer::{Errand, play};
use procession_bench_clock::work::{Failure, Reading, Task, Work};
use procession_bench_clock::{cores, traces};

type Ipc = ipc::Service;

/// How the names of all files and memory begin.
const PREFIX: &str = "procession-iox2-";

/// As many messages wait for a receiver as in a window of Procession.
const WAITING: usize = 1024;

/// Payloads that wait: each takes its memory in advance.
const WAITING_PAYLOADS: usize = 8;

/// How long an end sleeps before it looks again. Of iceoryx2 0.10 an event can get lost: who waits empties the socket
/// after the state has become idle, while who notifies, between the write and the mark that it has notified, is
/// preempted; all further events then find the mark, and write nothing. Without another look, one run in twelve of
/// `tell` never ended on a machine that had other things to do.
const DOUBT: Duration = Duration::from_millis(10);

/// Tells the other end that all was measured, so that it ends in order.
const END: Words = [0; 8];

fn main() -> Result<(), Failure> {
    set_log_level(LogLevel::Error);
    play(measure, answer)
}

/// Both ends of what two processes share, seen from one of them.
struct End {
    words: Publisher<Ipc, Words, ()>,
    incoming: Subscriber<Ipc, Words, ()>,
    payloads: Publisher<Ipc, [u8], ()>,
    incoming_payloads: Subscriber<Ipc, [u8], ()>,
    /// Wakes the other end, and waits to be woken; none who polls.
    events: Option<(Notifier<Ipc>, Listener<Ipc>)>,
    _node: Node<Ipc>,
}

/// Where ends meet that the process with this number has started.
fn config(meeting: &str) -> Result<Config, Failure> {
    let mut config = Config::default();
    let folder = traces::folder(PREFIX, meeting);
    let folder = folder.to_str().ok_or("a path that is no text")?;
    config.global.set_root_path(&Path::new(folder.as_bytes())?);
    config.global.prefix = FileName::new(format!("{PREFIX}{meeting}_").as_bytes())?;
    Ok(config)
}

/// Messages to one end, and the event that wakes it.
fn way(node: &Node<Ipc>, to: &str) -> Result<Way, Failure> {
    let name = |what: &str| ServiceName::new(&format!("procession-bench/{to}/{what}"));
    let words = node
        .service_builder(&name("words")?)
        .publish_subscribe::<Words>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(WAITING)
        .open_or_create()?;
    let payloads = node
        .service_builder(&name("payloads")?)
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(WAITING_PAYLOADS)
        .open_or_create()?;
    let events = node.service_builder(&name("events")?).event().open_or_create()?;
    Ok(Way { words, payloads, events })
}

struct Way {
    words: iceoryx2::service::port_factory::publish_subscribe::PortFactory<Ipc, Words, ()>,
    payloads: iceoryx2::service::port_factory::publish_subscribe::PortFactory<Ipc, [u8], ()>,
    events: iceoryx2::service::port_factory::event::PortFactory<Ipc>,
}

impl End {
    fn new(meeting: &str, this: &str, other: &str, sleeps: bool) -> Result<End, Failure> {
        let node = NodeBuilder::new().config(&config(meeting)?).create::<Ipc>()?;
        let (here, there) = (way(&node, this)?, way(&node, other)?);
        let waits = BackpressureStrategy::RetryUntilDelivered;
        let events = match sleeps {
            true => {
                Some((there.events.notifier_builder().create()?, here.events.listener_builder().create()?))
            }
            false => None,
        };
        Ok(End {
            incoming: here.words.subscriber_builder().create()?,
            incoming_payloads: here.payloads.subscriber_builder().create()?,
            words: there.words.publisher_builder().backpressure_strategy(waits).create()?,
            payloads: there
                .payloads
                .publisher_builder()
                .initial_max_slice_len(PAYLOAD)
                .backpressure_strategy(waits)
                .create()?,
            events,
            _node: node,
        })
    }

    fn send(&self, words: Words) -> Result<(), Failure> {
        let sample = self.words.loan_uninit()?;
        sample.write_payload(words).send()?;
        self.wake()
    }

    fn send_payload(&self, payload: &[u8]) -> Result<(), Failure> {
        let sample = self.payloads.loan_slice_uninit(payload.len())?;
        sample.write_from_slice(payload).send()?;
        self.wake()
    }

    fn wake(&self) -> Result<(), Failure> {
        if let Some((other, _)) = &self.events {
            other.notify()?;
        }
        Ok(())
    }

    fn receive(&self) -> Result<Words, Failure> {
        self.patiently(|| Ok(self.incoming.receive()?.map(|sample| *sample)))
    }

    fn receive_payload(&self) -> Result<u64, Failure> {
        self.patiently(|| Ok(self.incoming_payloads.receive()?.map(|sample| drive::touch(&sample))))
    }

    fn patiently<T>(&self, look: impl Fn() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            match &self.events {
                // An event that came since the look is still there, if it wasn't lost.
                Some((_, events)) => drop(events.timed_wait(|_| {}, DOUBT)?),
                None => std::hint::spin_loop(),
            }
        }
    }
}

fn sleeps(errand: &Errand) -> bool {
    errand.name == "iceoryx2_events"
}

fn measure(errand: &Errand) -> Result<Reading, Failure> {
    // Dropped last, when nothing is in use any more.
    let _traces = traces::Traces::new(PREFIX);
    let meeting = std::process::id().to_string();
    let end = End::new(&meeting, "near", "far", sleeps(errand))?;
    let (near, far) = UnixStream::pair()?;
    let mut other = errand.other_end(&meeting, OwnedFd::from(far))?;
    let watched = Watched::new(near);
    cores::pin(errand.work.placement.near()?)?;
    // The other end says that it is there.
    end.receive()?;
    let reading = drive(&errand.work, &end)?;
    drop(watched);
    end.send(END)?;
    other.ended()?;
    Ok(reading)
}

/// As long as it lives, this process ends if the other one does, which has the far end of the socket: whoever waits for
/// messages of somebody who is gone waits for ever.
struct Watched(Arc<AtomicBool>);

impl Watched {
    fn new(mut near: UnixStream) -> Watched {
        let may_end = Arc::new(AtomicBool::new(false));
        let watched = Watched(Arc::clone(&may_end));
        std::thread::spawn(move || {
            // It never writes.
            let _ = near.read(&mut [0]);
            if !may_end.load(Ordering::Relaxed) {
                eprintln!("iceoryx2: the other end has ended");
                traces::sweep(PREFIX);
                std::process::exit(1);
            }
        });
        watched
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answer(errand: &Errand, meeting: &str) -> Result<(), Failure> {
    cores::pin(errand.work.placement.far()?)?;
    let end = End::new(meeting, "far", "near", sleeps(errand))?;
    end.send(WORDS)?;
    let (batch, payloads) = (errand.work.batch(), errand.work.payloads());
    let mut notes = 0;
    loop {
        if errand.work.task == Task::Payload {
            // A batch begins with words, as the end does.
            if end.receive()? == END {
                return Ok(());
            }
            for _ in 0..payloads {
                std::hint::black_box(end.receive_payload()?);
            }
            end.send(WORDS)?;
            continue;
        }
        let words = end.receive()?;
        notes += 1;
        match words {
            END => return Ok(()),
            words if errand.work.task != Task::Tell => end.send(words)?,
            _ if notes % batch == 0 => end.send(WORDS)?,
            _ => {}
        }
    }
}

fn drive(work: &Work, end: &End) -> Result<Reading, Failure> {
    let ready = std::future::ready::<Result<(), Failure>>;
    match work.task {
        Task::Ask => {
            at_once(drive::asks(work, || ready(end.send(WORDS).and_then(|()| end.receive()).map(drop))))
        }
        Task::Ask64 => {
            for _ in 1..OUTSTANDING {
                end.send(WORDS)?;
            }
            let reading = drive::one_by_one(work, || {
                end.send(WORDS)?;
                end.receive().map(drop)
            })?;
            for _ in 1..OUTSTANDING {
                end.receive()?;
            }
            Ok(reading)
        }
        Task::Tell => at_once(drive::tells(work, || {
            ready((0..work.batch()).try_for_each(|_| end.send(WORDS)).and_then(|()| end.receive()).map(drop))
        })),
        Task::Payload => {
            let payload = vec![1; PAYLOAD];
            at_once(drive::payloads(work, || {
                let sent = end.send(WORDS);
                let sent =
                    sent.and_then(|()| (0..work.payloads()).try_for_each(|_| end.send_payload(&payload)));
                ready(sent.and_then(|()| end.receive()).map(drop))
            }))
        }
        other => Err(format!("{other:?} is no task for iceoryx2").into()),
    }
}
