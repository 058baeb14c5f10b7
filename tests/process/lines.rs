//! Raw stdout and stderr.

use libtest_mimic::Trial;
use procession::id::Exit;
use procession::process::event::WorkerEvent;

use crate::stage::{Stage, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h29_a_last_line_without_an_end_arrives", no_newline),
        story("h29_a_flood_that_nobody_reads_stalls_nobody_and_is_counted", unread_flood),
        story("h29_a_flood_that_is_read_arrives_whole", read_flood),
    ]
}

async fn no_newline(mut stage: Stage) {
    let what = stage.role(&["no-newline"]);
    let life = stage.run(what).await;
    assert_eq!((life.texts(), &life.death.last_stderr[..]), (vec!["no end"], &["no end".to_owned()][..]));
}

const FLOOD_BYTES: u64 = 10 << 20;

async fn unread_flood(mut stage: Stage) {
    let before = resident_bytes();
    let what = stage.role(&["flood", &FLOOD_BYTES.to_string()]);
    let worker = stage.launch(what);
    let pid = worker.pid();
    // Nobody takes events until the worker has written all and is gone: it was never stalled.
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        tokio::task::yield_now().await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more for a flood of {FLOOD_BYTES}");
    let life = stage.life().await;
    assert_eq!(life.death.exit, Exit::Code(0));
    let lines = FLOOD_BYTES / 128;
    assert_eq!(life.death.lost_lines + life.lines.len() as u64, lines);
}

async fn read_flood(mut stage: Stage) {
    (stage.events, stage.heard) = tokio::sync::mpsc::channel(4096);
    let what = stage.role(&["flood", "1048576"]);
    let worker = stage.launch(what);
    let (mut lines, mut dropped) = (0, 0);
    let death = loop {
        match stage.next().await {
            WorkerEvent::Line(line) => {
                assert_eq!(line.text.len(), 127, "whole lines only");
                lines += 1;
                dropped += line.dropped;
            }
            WorkerEvent::Exited(death) => break *death,
            _ => {}
        }
    };
    drop(worker);
    assert_eq!(lines + death.lost_lines, (1 << 20) / 128);
    assert!(dropped <= death.lost_lines);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
