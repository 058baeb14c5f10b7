//! `tracing` events of workers.

use libtest_mimic::Trial;
use procession::process::event::WorkerEvent;
use procession::protocol::control::{LogLevel, LogRecord, ToRoot};

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("events_arrive_with_level_target_spans_and_fields", events),
        story("rust_log_decides_in_the_worker", rust_log),
        story("m3_a_flood_of_events_is_bounded_and_its_losses_counted", flood),
    ]
}

async fn records(stage: &mut Stage, role: &str, rust_log: Option<&str>) -> Vec<LogRecord> {
    let mut what = stage.role(&[role]);
    what.environment.push(("RUST_LOG".into(), rust_log.map(Into::into)));
    let life = stage.run(what).await;
    let logs = life.frames.into_iter().filter_map(|frame| match frame {
        ToRoot::Log(record) => Some(record),
        _ => None,
    });
    logs.collect()
}

async fn events(mut stage: Stage) {
    let records = records(&mut stage, "log", None).await;
    let [counted, old] = &records[..] else { panic!("{records:?}") };
    assert_eq!((counted.level, counted.target.as_str()), (LogLevel::Warn, "demo"));
    assert_eq!((counted.message.as_str(), &counted.spans[..]), ("counted", &["outer{id=3}".to_owned()][..]));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(counted.fields, [pair("total", "3"), pair("by", "me")]);
    assert!(counted.time_us > 1_700_000_000_000_000);
    assert_eq!((old.level, old.target.as_str()), (LogLevel::Info, "old"));
    assert_eq!((old.message.as_str(), old.fields.len()), ("from the log crate", 0));
}

async fn rust_log(mut stage: Stage) {
    let messages =
        |records: Vec<LogRecord>| records.into_iter().map(|record| record.message).collect::<Vec<_>>();
    let all = records(&mut stage, "log", Some("debug")).await;
    assert_eq!(messages(all), ["counted", "details", "from the log crate"]);
    let few = records(&mut stage, "log", Some("warn")).await;
    assert_eq!(messages(few), ["counted"]);
    assert_eq!(records(&mut stage, "log", Some("off")).await, []);
}

async fn flood(mut stage: Stage) {
    const RECORDS: u64 = 50_000;
    (stage.events, stage.heard) = tokio::sync::mpsc::channel(1);
    let what = stage.role(&["log-flood", &RECORDS.to_string()]);
    let worker = stage.launch(what);
    let (mut told, mut introduced_after) = (0, None);
    loop {
        match stage.next().await {
            WorkerEvent::Frame(ToRoot::Log(record), _) => told += 1 + record.dropped,
            WorkerEvent::Frame(ToRoot::Introduce { .. }, _) => introduced_after = Some(told),
            WorkerEvent::Exited(_) => break,
            _ => {}
        }
        tokio::task::yield_now().await;
    }
    drop(worker);
    assert_eq!(told, RECORDS, "each is told or counted");
    // How much came before is a matter of speed; that it came at all, in spite of a full ring, is not.
    assert!(introduced_after.is_some());
}
