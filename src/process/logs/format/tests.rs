use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt;

use crate::id::{Incarnation, ProcessName};
use crate::process::event::{Line, Stream};
use crate::process::logs::{Format, format_layer, relay_line, relay_record};
use crate::protocol::control::{LogLevel, LogRecord};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("page").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written while `say` runs.
fn written(format: Format, colours: bool, say: impl FnOnce()) -> String {
    let page = Page::default();
    let writer = page.clone();
    let layer = format_layer(format, colours, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
    let bytes = page.0.lock().expect("page").clone();
    String::from_utf8(bytes).expect("text")
}

fn left() -> ProcessName {
    ProcessName::new("left").expect("a name")
}

fn record() -> LogRecord {
    LogRecord {
        time_us: 1_709_251_199_042_001,
        level: LogLevel::Warn,
        target: "demo::counter".to_owned(),
        spans: vec!["outer{id=3}".to_owned(), "inner".to_owned()],
        message: "counted".to_owned(),
        fields: vec![("total".to_owned(), "3".to_owned()), ("by".to_owned(), "\"me\"".to_owned())],
        dropped: 0,
    }
}

fn line(text: &str, dropped: u64) -> Line {
    Line { stream: Stream::Stderr, text: text.to_owned(), dropped }
}

#[test]
fn people_read_a_record_in_one_line() {
    let text = written(Format::Human, false, || relay_record(&left(), Incarnation(2), &record()));
    let expected = "23:59:59.042  WARN left#2 outer{id=3}:inner:demo::counter: counted total=3 by=\"me\"\n";
    assert_eq!(text, expected);
}

#[test]
fn people_read_raw_lines_as_they_are_and_hear_of_losses() {
    let text = written(Format::Human, false, || {
        relay_line(&left(), Incarnation(1), &line("plain", 0));
        relay_line(&left(), Incarnation(1), &line("\x1b[2Jevil\ttab", 7));
    });
    let expected = "left#1 | plain\nleft#1 | (7 lost before this line)\nleft#1 | \\u{1b}[2Jevil\ttab\n";
    assert_eq!(text, expected);
}

#[test]
fn programs_read_one_object_a_line() {
    let text = written(Format::Json, false, || {
        relay_record(&left(), Incarnation(2), &LogRecord { dropped: 4, ..record() });
    });
    let expected = concat!(
        r#"{"time":"2024-02-29T23:59:59.042001Z","level":"WARN","process":"left","incarnation":2,"#,
        r#""target":"demo::counter","spans":"outer{id=3}:inner","message":"counted","#,
        r#""fields":{"total":"3","by":"\"me\""},"lost":4}"#,
        "\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn programs_read_raw_lines_with_their_stream() {
    let text = written(Format::Json, false, || relay_line(&left(), Incarnation(1), &line("a \"line\"", 0)));
    let value: serde_json::Value = serde_json::from_str(&text).expect("an object");
    assert_eq!((value["stream"].as_str(), value["message"].as_str()), (Some("stderr"), Some("a \"line\"")));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn the_root_s_own_events_look_alike() {
    let say = || tracing::info!(target: "procession", worker = "left", "started\nagain");
    let text = written(Format::Human, false, say);
    assert_eq!(&text[12..], "  INFO root procession: started\n    again worker=left\n");
    let value: serde_json::Value =
        serde_json::from_str(&written(Format::Json, false, say)).expect("an object");
    assert_eq!((value.get("process"), value["fields"]["worker"].as_str()), (None, Some("left")));
}

#[test]
fn what_happened_is_a_sentence_for_people_and_parts_for_programs() {
    let say = || {
        let (event, process, details) = ("started", "left", r#"{"pid":7}"#);
        tracing::info!(target: "procession", event, process, incarnation = 2, details, "left#2 started as pid 7");
    };
    assert_eq!(&written(Format::Human, false, say)[12..], "  INFO left#2 started as pid 7\n");
    let value: serde_json::Value =
        serde_json::from_str(&written(Format::Json, false, say)).expect("an object");
    assert_eq!((&value["event"], &value["process"]), (&"started".into(), &"left".into()));
    assert_eq!((&value["incarnation"], &value["fields"]), (&2.into(), &serde_json::json!({ "pid": 7 })));
}

#[test]
fn colours_come_only_when_asked_for() {
    let say = || relay_record(&left(), Incarnation(2), &record());
    assert!(written(Format::Human, true, say).contains("\x1b[33m WARN\x1b[0m"));
    assert!(!written(Format::Human, false, say).contains('\x1b'));
    assert!(!written(Format::Json, true, say).contains('\x1b'));
}
