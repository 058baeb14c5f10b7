use super::*;

fn writer() -> Writer {
    Writer::new(Settings::new().message_bytes(100).descriptors(2))
}

fn descriptors(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| std::fs::File::open("/dev/null").expect("open").into()).collect()
}

#[test]
fn messages_come_out_as_frames_in_any_pieces() {
    for piece in 1..8 {
        let mut writer = writer();
        writer.push(b"one", Vec::new()).expect("push");
        writer.push(b"", Vec::new()).expect("push");
        let mut out = Vec::new();
        while writer.is_pending() {
            let chunk = writer.chunk().bytes;
            let taken = piece.min(chunk.len());
            out.extend_from_slice(&chunk[..taken]);
            writer.handle_sent(taken);
        }
        assert_eq!(out, b"\0\0\0\x03one\0\0\0\0");
    }
}

#[test]
fn h14_a_message_with_descriptors_is_a_chunk_of_its_own() {
    let mut writer = writer();
    for (body, count) in [(&b"a"[..], 0), (b"bb", 2), (b"c", 1), (b"d", 0), (b"e", 0)] {
        writer.push(body, descriptors(count)).expect("push");
    }
    let mut chunks = Vec::new();
    while writer.is_pending() {
        let chunk = writer.chunk();
        chunks.push((chunk.bytes.len(), chunk.descriptors.len()));
        let length = chunk.bytes.len();
        writer.handle_sent(length);
    }
    assert_eq!(chunks, [(5, 0), (6, 2), (5, 1), (10, 0)]);
}

#[test]
fn h14_descriptors_go_with_the_first_byte_only() {
    let mut writer = writer();
    writer.push(b"abc", descriptors(1)).expect("push");
    writer.push(b"d", Vec::new()).expect("push");
    writer.handle_sent(1);
    let chunk = writer.chunk();
    assert_eq!((chunk.bytes.len(), chunk.descriptors.len()), (11, 0));
}

#[test]
fn limits_are_checked_before_anything_is_queued() {
    let mut writer = writer();
    assert!(matches!(writer.push(&[0; 101], Vec::new()), Err(SendError::TooLarge { limit: 100 })));
    assert!(matches!(writer.push(b"", descriptors(3)), Err(SendError::TooManyDescriptors { limit: 2 })));
    let failed = writer.push_with(|out| {
        out.extend_from_slice(b"part of a value");
        Err(SendError::Encode { reason: "no".into() })
    });
    assert!(failed.is_err());
    assert!(!writer.is_pending());
}

#[test]
fn h11_a_failure_inside_a_message_poisons_and_one_between_does_not() {
    let mut between = writer();
    between.push(b"one", Vec::new()).expect("push");
    between.push(b"two", Vec::new()).expect("push");
    between.handle_sent(7);
    between.handle_failed();
    assert_eq!(between.chunk().bytes, b"\0\0\0\x03two");

    let mut inside = writer();
    inside.push(b"one", Vec::new()).expect("push");
    inside.push(b"two", Vec::new()).expect("push");
    inside.handle_sent(8);
    inside.handle_failed();
    assert!(matches!(inside.push(b"three", Vec::new()), Err(SendError::Poisoned)));
    assert!(!inside.is_pending());
}

#[test]
fn h11_a_message_is_taken_back_only_before_its_first_byte() {
    let mut writer = writer();
    writer.push(b"one", Vec::new()).expect("push");
    let second = writer.push(b"two", descriptors(1)).expect("push");
    writer.handle_sent(7);
    assert!(writer.take_back(second));
    assert!(!writer.is_pending());
    let third = writer.push(b"three", Vec::new()).expect("push");
    writer.handle_sent(1);
    assert!(!writer.take_back(third));
    assert_eq!(writer.pending_bytes(), 8);
    writer.handle_sent(8);
    assert!(!writer.take_back(third), "it is gone altogether");
}

#[test]
fn nothing_is_queued_after_the_end_was_said() {
    let mut writer = writer();
    writer.half_close();
    assert!(matches!(writer.push(b"", Vec::new()), Err(SendError::HalfClosed)));
}
