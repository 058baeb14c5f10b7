use proptest::prelude::*;

use super::*;

fn key() -> Key {
    Key::new([9; Key::BYTES]).of_process(ProcessId(3))
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let one = prop_oneof![
        any::<u32>().prop_map(|life| Condition::Life(Incarnation(life))),
        any::<u32>().prop_map(|process| Condition::Edge(ProcessId(process))),
        any::<u32>().prop_map(Condition::Message),
        (0..1_u64 << 60).prop_map(Condition::Until),
        (any::<u32>(), any::<[u8; 6]>()).prop_map(|(most, which)| Condition::Count(most, Tag(which))),
        any::<[u8; 6]>().prop_map(|tag| Condition::Mark(Tag(tag))),
    ];
    proptest::collection::vec(one, 0..5)
}

fn narrowed(conditions: &[Condition]) -> Capability {
    let full = Capability::mint(&key(), ProcessId(3), Slot(5));
    conditions.iter().fold(full, |made, condition| made.narrowed(*condition).unwrap_or(made))
}

/// In a format that writes what serde gives it, and nothing more.
fn bytes_of(made: &Capability) -> Vec<u8> {
    let written = serde_json::to_value(made).expect("written");
    let rest = written[1].as_array().expect("bytes").iter();
    std::iter::once(&written[0])
        .chain(rest)
        .map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()).expect("a byte"))
        .collect()
}

fn address_of(bytes: &[u8]) -> Option<Capability> {
    let (head, rest) = bytes.split_first()?;
    serde_json::from_value(serde_json::json!([head, rest])).ok()
}

proptest! {
    #[test]
    fn a2_an_address_of_at_most_48_bytes_comes_back_with_its_conditions(conditions in conditions()) {
        let made = narrowed(&conditions);
        let bytes = bytes_of(&made);
        prop_assert!(bytes.len() <= Capability::MAX_BYTES);
        let back = address_of(&bytes).expect("an address");
        prop_assert_eq!(back, made);
        prop_assert_eq!(back.verify(&key()).map(|seals| seals.len()), Some(1 + made.conditions().count()));
    }

    #[test]
    fn a3_no_changed_bit_leaves_an_address_valid(conditions in conditions(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = bytes_of(&narrowed(&conditions));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Some(changed) = address_of(&bytes) {
            prop_assert!(changed.verify(&key()).is_none());
        }
    }

    #[test]
    fn a3_a_condition_can_not_be_taken_away_or_moved(conditions in conditions()) {
        let made = narrowed(&conditions);
        let kept: Vec<Condition> = made.conditions().collect();
        for gone in 0..kept.len() {
            let mut fewer = kept.clone();
            fewer.remove(gone);
            let edited = Capability { seal: made.seal, ..narrowed(&fewer) };
            prop_assert!(edited.verify(&key()).is_none());
        }
    }

    #[test]
    fn x1_no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = address_of(&bytes);
    }
}

#[test]
fn what_travels_has_room_for_a_life_an_edge_a_message_a_time_and_a_count() {
    let all = [
        Condition::Life(Incarnation(9)),
        Condition::Edge(ProcessId(100)),
        Condition::Message(u32::MAX),
        Condition::Until(30 * 24 * 3600 * 1000),
        Condition::Count(100, Tag([255; 6])),
    ];
    let made = narrowed(&all);
    assert_eq!(made.conditions().collect::<Vec<_>>(), all);
    assert_eq!((made.life(), made.message()), (Some(Incarnation(9)), Some(u32::MAX)));
    assert_eq!(made.narrowed(Condition::Message(7)), Err(TooManyConditions));
    assert!(Capability::unsealed(made.id()).verify(&key()).is_none());
    assert_eq!(std::mem::size_of::<Capability>(), 48);
}
