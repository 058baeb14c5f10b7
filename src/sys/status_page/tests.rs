use super::*;

fn pair() -> (Writer, Reader) {
    let (reader, memory) = Reader::create().expect("a page");
    (Writer::new(memory.as_fd()).expect("the same page"), reader)
}

const ADD: Work = Work { slot: 3, message: 77, sender: 2, number: 9 };

#[test]
fn p1_what_a_thread_is_about_is_legible_elsewhere() {
    let (writer, reader) = pair();
    let seat = writer.sit(41).expect("a seat");
    seat.take(1);
    seat.begin(&ADD);
    let seen = reader.look();
    assert_eq!((seen.busy, seen.taken, seen.begun, seen.done), (vec![(41, ADD)], 1, 1, 0));
    seat.rest();
    seat.done();
    let seen = reader.look();
    assert_eq!((seen.busy, seen.begun, seen.done), (vec![], 1, 1));
}

#[test]
fn a_seat_is_given_to_the_next_thread_and_keeps_its_counts() {
    let (writer, reader) = pair();
    let seat = writer.sit(41).expect("a seat");
    seat.take(1);
    seat.leave();
    writer.sit(42).expect("the same").take(1);
    assert_eq!(reader.look().taken, 2);
    let others = (0..200).filter(|thread| writer.sit(100 + thread).is_some()).count();
    assert_eq!(others, SEATS - 1);
}

#[test]
fn what_is_put_aside_comes_oldest_first_and_has_its_limit() {
    let (writer, reader) = pair();
    let work = |number| Work { number, ..ADD };
    let kept: Vec<_> = (0..100).map_while(|number| writer.put_aside(&work(number))).collect();
    assert_eq!(kept.len(), ASIDES);
    kept[0].free();
    assert_eq!(reader.look().asides.len(), ASIDES - 1);
    assert_eq!(reader.look().asides[0].number, 1);
    writer.put_aside(&work(500)).expect("room again");
    assert_eq!(reader.look().asides.last().map(|last| last.number), Some(500));
}

#[test]
fn names_are_read_as_they_were_written_until_there_is_no_room() {
    let (writer, reader) = pair();
    assert!(writer.name(b'm', 7, ["demo::Counter", "Add"]) && writer.name(b'a', 0, ["counter", ""]));
    let names = reader.names();
    let texts: Vec<_> = names.iter().map(|name| (name.kind, name.number, &name.texts[0][..])).collect();
    assert_eq!(texts, [(b'm', 7, "demo::Counter"), (b'a', 0, "counter")]);
    let long = "x".repeat(60_000);
    assert!(!writer.name(b'm', 8, [&long, ""]) && !writer.name(b'm', 8, [&"x".repeat(70_000), ""]));
    assert_eq!(reader.names(), names);
}

#[test]
fn m3_names_of_what_comes_and_goes_take_the_room_of_those_that_live() {
    let (writer, reader) = pair();
    assert!(writer.name(b'm', 7, ["demo::Counter", "Add"]));
    for number in 0..100_000u32 {
        // As long as the names of those that come and go are, three live at once.
        let text = "x".repeat(1 + number as usize % 100);
        assert!(writer.name_for_now(b'a', number, &text), "{number}");
        writer.forget_name(b'a', number.wrapping_sub(2));
        // Reading takes longer than all of the rest.
        if number < 200 || number % 1000 == 0 {
            let names = reader.names();
            let last =
                names.iter().find(|name| (name.kind, name.number) == (b'a', number)).expect("it is there");
            assert_eq!((&last.texts[0], names.len()), (&text, 1 + (number as usize + 1).min(2)), "{number}");
        }
    }
    assert!(writer.names_field().0.load(Relaxed) < 4096);
    // Named anew it has one name, and what was never named is forgotten by nobody's harm.
    assert!(writer.name_for_now(b'a', 99_999, "other"));
    writer.forget_name(b'a', 5);
    let names: Vec<_> = reader.names().into_iter().filter(|name| name.number == 99_999).collect();
    assert!(matches!(&names[..], [one] if one.texts[0] == "other"), "{names:?}");
}

#[test]
fn the_arbiter_parks_and_turns() {
    let (writer, reader) = pair();
    writer.park();
    assert!(reader.look().parked);
    writer.unpark();
    assert_eq!((reader.look().parked, reader.look().turns), (false, 1));
}

#[test]
fn x1_a_page_of_any_bytes_is_read_without_harm() {
    let (writer, reader) = pair();
    let mut dice = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let page = page(&writer.mapping);
        page.names.iter().take(4096).for_each(|byte| byte.store(dice.u8(..), Relaxed));
        page.names_length.store(if round == 0 { u32::MAX } else { dice.u32(..) }, Relaxed);
        for seat in &page.seats {
            seat.busy.store(dice.u32(..3), Relaxed);
            seat.done.store(dice.u64(..), Relaxed);
        }
        for aside in &page.asides {
            aside.used.store(dice.u32(..3), Relaxed);
            aside.serial.store(dice.u64(..), Relaxed);
        }
        let seen = reader.look();
        assert!(seen.busy.len() <= SEATS && seen.asides.len() <= ASIDES);
        assert!(reader.names().len() <= NAME_BYTES / 9);
    }
}

#[test]
fn x1_other_memory_is_no_page() {
    let other = shared_memory::create(4096).expect("memory");
    assert!(Writer::new(other.as_fd()).is_err());
}
