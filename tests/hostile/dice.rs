//! The bodies of the fuzz targets without a fuzzer: recorded conversations, changed at random.
//!
//! `PROCESSION_HOSTILE_ROUNDS` says how many changes are tried of each, `PROCESSION_HOSTILE_SEED` where they begin.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use libtest_mimic::Trial;

use crate::memory::within;
use crate::recorded::{conversation, frames};
use crate::{chunks, connection, control, control_frames, pipe_reader, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("x1_random_bytes_to_a_connection", to_a_connection),
        trial("x1_random_bytes_to_a_control_pipe", to_a_control_pipe),
        trial("x1_random_orders_of_chunks", orders_of_chunks),
        trial("x1_random_bytes_to_the_reader_of_pipes", to_the_reader_of_pipes),
    ]
}

fn said(name: &str, unsaid: u64) -> u64 {
    std::env::var(name).ok().map_or(unsaid, |text| text.parse().expect("a number"))
}

/// What a body may cost beyond a few times its input.
const SPARE_BYTES: usize = 3 << 20;

fn play(rounds: u64, corpus: &[Vec<u8>], run: fn(&[u8])) {
    let first = said("PROCESSION_HOSTILE_SEED", 0);
    let rounds = said("PROCESSION_HOSTILE_ROUNDS", rounds);
    println!("seeds {first}..{}", first + rounds);
    for seed in first..first + rounds {
        let mut dice = Rng::with_seed(seed);
        let mut input = corpus[dice.usize(..corpus.len())].clone();
        for _ in 0..dice.u32(1..6) {
            change(&mut input, &mut dice);
        }
        let played =
            catch_unwind(AssertUnwindSafe(|| within(SPARE_BYTES + 8 * input.len(), seed, || run(&input))));
        assert!(played.is_ok(), "failed: PROCESSION_HOSTILE_SEED={seed} PROCESSION_HOSTILE_ROUNDS=1");
    }
}

fn change(input: &mut Vec<u8>, dice: &mut Rng) {
    if input.is_empty() {
        input.push(dice.u8(..));
        return;
    }
    let at = dice.usize(..input.len());
    match dice.u8(..7) {
        0 => input[at] ^= 1 << dice.u8(..8),
        1 => input[at] = [0, 1, 127, 128, 255][dice.usize(..5)],
        2 => input.truncate(at),
        3 => drop(input.drain(at..(at + dice.usize(1..64)).min(input.len()))),
        4 => {
            let length = dice.usize(1..64).min(input.len() - at);
            let copied = input[at..at + length].to_vec();
            let to = dice.usize(..=input.len());
            input.splice(to..to, copied);
        }
        5 => {
            let noise: Vec<u8> = (0..dice.usize(1..40)).map(|_| dice.u8(..)).collect();
            input.splice(at..at, noise);
        }
        _ => {
            let word = [0, 1, u32::MAX, 1 << 31, 65_536, 65_537][dice.usize(..6)].to_le_bytes();
            for (byte, new) in input[at..].iter_mut().zip(word) {
                *byte = new;
            }
        }
    }
}

fn to_a_connection() {
    let stream = conversation().stream;
    // Whole, and single frames behind an honest greeting.
    let mut corpus = vec![[&[1], &stream[..]].concat()];
    for (begin, end) in frames(&stream).into_iter().skip(1) {
        corpus.push([&[0], &stream[begin..end]].concat());
    }
    let small: Vec<Vec<u8>> = corpus.iter().filter(|input| input.len() < 200).cloned().collect();
    for _ in 0..3 {
        corpus.push(
            [&[0], &small.iter().flat_map(|input| &input[1..]).copied().collect::<Vec<_>>()[..]].concat(),
        );
    }
    play(3000, &corpus, connection::run);
}

fn to_a_control_pipe() {
    let corpus: Vec<Vec<u8>> = [control_frames::from_workers(), control_frames::from_the_root()]
        .iter()
        .flat_map(|stream| [[&[9], &stream[..]].concat(), [&[8], &stream[12..]].concat()])
        .collect();
    play(3000, &corpus, control::run);
}

fn orders_of_chunks() {
    let mut dice = Rng::with_seed(0);
    let corpus: Vec<Vec<u8>> = (0..20)
        .map(|_| (0..200).flat_map(|_| [dice.u8(..), dice.u8(..), dice.u8(..), dice.u8(..4)]).collect())
        .collect();
    play(3000, &corpus, chunks::run);
}

fn to_the_reader_of_pipes() {
    // Messages in the format of Python's pipes: four bytes of length, or all ones and eight of them.
    let message = |length: u32| [&length.to_be_bytes()[..], &vec![7; length as usize]].concat();
    let small: Vec<u8> = [0, 1, 5, 300, 70_000].into_iter().flat_map(message).collect();
    let long = [&u32::MAX.to_be_bytes()[..], &20_u64.to_be_bytes(), &[7; 20]].concat();
    let promise = [&u32::MAX.to_be_bytes()[..], &(1_u64 << 40).to_be_bytes(), &[7; 20]].concat();
    let corpus: Vec<Vec<u8>> = [&small[..], &long, &promise, &(1_u32 << 19).to_be_bytes()]
        .iter()
        .flat_map(|stream| [[&[0], *stream].concat(), [&[3, 1, 90, 7], *stream].concat()])
        .collect();
    play(3000, &corpus, pipe_reader::run);
}
