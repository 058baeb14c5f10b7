//! Consistent hashing: a key belongs to the member whose point on a ring of 63-bit numbers (which every
//! format has) is the next after its own.
//!
//! The points follow from the places of the members alone, so all who know the same members agree on the owner of each
//! key; one who comes takes about its share of the keys from all others, and no key moves between others.

use crate::id::ActorId;

/// Points of each member: with 128 the shares of members differ by some ten percent, and a group of the largest size has a
/// ring of two megabytes.
pub const POINTS: u32 = 128;

/// The ring of one membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Ascending, each with the index of its member.
    points: Vec<(u64, u32)>,
}

impl Ring {
    /// The ring of these members, by their places.
    pub fn new(places: impl IntoIterator<Item = u64>) -> Ring {
        let mut points = Vec::new();
        for (index, place) in (0..).zip(places) {
            points.extend((0..POINTS).map(|point| (mix(place ^ mix(u64::from(point) + 1)) >> 1, index)));
        }
        points.sort_unstable();
        Ring { points }
    }

    /// The members in the order in which they would own a key, some more than once: the owner, then who would be if that
    /// was not there.
    pub fn owners(&self, key: u64) -> impl Iterator<Item = usize> {
        let first = self.points.partition_point(|(point, _)| *point < key);
        let (before, after) = self.points.split_at(first);
        after.iter().chain(before).map(|(_, member)| *member as usize)
    }
}

/// Where a key lies on every ring.
pub fn hash_key(key: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash) >> 1
}

/// What an actor's points are made of: its place, so that its next life has the same ones.
pub fn hash_place(id: ActorId) -> u64 {
    let place = (u64::from(id.process.0) << 32) | u64::from(id.slot.0);
    mix(mix(place) ^ u64::from(id.incarnation.0))
}

/// Spreads what differs a little over all bits (the finaliser of splitmix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ProcessId, Slot};

    const KEYS: u32 = 20_000;

    fn place(process: u32) -> u64 {
        hash_place(ActorId::declared(ProcessId(process), Slot(0)))
    }

    fn owners(processes: &[u32]) -> Vec<u32> {
        let ring = Ring::new(processes.iter().map(|process| place(*process)));
        let owner = |key: u32| ring.owners(hash_key(&key.to_le_bytes())).next().expect("an owner");
        (0..KEYS).map(|key| processes[owner(key)]).collect()
    }

    #[test]
    fn a_member_that_comes_takes_its_share_and_moves_no_other_key() {
        for count in [1, 2, 5, 10, 40] {
            let members: Vec<u32> = (1..=count).collect();
            let more: Vec<u32> = (1..=count + 1).collect();
            let (before, after) = (owners(&members), owners(&more));
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
            let (mut count_moved, share) = (0, KEYS / (count + 1));
            for (_, to) in moved {
                assert_eq!(*to, count + 1, "a key moved between two that stayed");
                count_moved += 1;
            }
            assert!(
                (share / 2..=share * 3 / 2).contains(&count_moved),
                "{count_moved} of {share}, {count} members"
            );
        }
    }

    #[test]
    fn a_member_that_goes_leaves_its_keys_alone_and_gets_them_back() {
        let (all, without) = (owners(&[1, 2, 3, 4]), owners(&[1, 2, 4]));
        for (before, after) in all.iter().zip(&without) {
            assert!(before == after || *before == 3);
        }
        // In whatever order the members are told.
        assert_eq!(all, owners(&[3, 1, 4, 2]));
    }

    #[test]
    fn shares_are_alike() {
        let owners = owners(&[1, 2, 3, 4, 5, 6, 7, 8]);
        for member in 1..=8 {
            let share = owners.iter().filter(|owner| **owner == member).count();
            assert!((1500..3600).contains(&share), "{share} of 2500");
        }
    }

    #[test]
    fn the_next_owner_is_another_and_an_empty_ring_has_none() {
        let ring = Ring::new([place(1), place(2)]);
        let mut owners: Vec<usize> = ring.owners(hash_key(b"alice")).collect();
        owners.dedup();
        assert!(owners.len() > 1);
        assert_eq!(Ring::default().owners(7).next(), None);
    }
}
