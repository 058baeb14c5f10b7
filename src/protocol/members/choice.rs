//! Which member: by turns, by chance, by load, or by a key.

use serde::{Deserialize, Serialize};

use super::ring::{Ring, mix};

/// How a message to a group finds its member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Routing {
    /// One after the other. Each process has its own turn.
    #[default]
    RoundRobin,
    /// Any, each as probable as every other.
    Random,
    /// The one that owes this process the fewest replies; of several, by turns.
    LeastOutstanding,
    /// The owner of this point on the group's ring, see [`hash_key`](super::hash_key).
    Key(u64),
}

/// What a choice is made from.
pub struct Choice<'c> {
    /// How many members there are.
    pub count: usize,
    /// How many replies each owes.
    pub outstanding: &'c dyn Fn(usize) -> u32,
    /// Whether one is not to be chosen.
    pub is_excluded: &'c dyn Fn(usize) -> bool,
    /// Whose turn it is; rises with each message.
    pub turn: usize,
    /// Any number, another for each message.
    pub random: u64,
    /// The ring of these members; asked for where there is a key.
    pub ring: &'c dyn Fn() -> &'c Ring,
}

/// The member that gets a message; none if all are excluded.
pub fn choose(routing: Routing, choice: &Choice<'_>) -> Option<usize> {
    let count = choice.count;
    if count == 0 {
        return None;
    }
    let from = |first: usize| (0..count).map(move |step| (first + step) % count);
    let free = |member: &usize| !(choice.is_excluded)(*member);
    match routing {
        Routing::RoundRobin => from(choice.turn % count).find(free),
        Routing::Random => {
            // Among those that may be chosen, so that the one after an excluded one is not chosen twice as often.
            let left = (0..count).filter(free).count();
            let nth = usize::try_from(mix(choice.random) % u64::try_from(left.max(1)).ok()?).ok()?;
            (0..count).filter(free).nth(nth)
        }
        Routing::LeastOutstanding => {
            from(choice.turn % count).filter(free).min_by_key(|member| (choice.outstanding)(*member))
        }
        Routing::Key(key) => (choice.ring)().owners(key).find(free),
    }
}

impl std::fmt::Debug for Choice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choice").field("count", &self.count).field("turn", &self.turn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::hash_key;
    use super::*;

    fn chosen(routing: Routing, turn: usize, outstanding: &[u32], excluded: &[usize]) -> Option<usize> {
        let ring = Ring::new((0..outstanding.len()).map(|member| mix(member as u64)));
        choose(
            routing,
            &Choice {
                count: outstanding.len(),
                outstanding: &|member| outstanding[member],
                is_excluded: &|member| excluded.contains(&member),
                turn,
                random: turn as u64,
                ring: &|| &ring,
            },
        )
    }

    const ALL: [Routing; 4] = [
        Routing::RoundRobin,
        Routing::Random,
        Routing::LeastOutstanding,
        Routing::Key(0x1234_5678_9abc_def0),
    ];

    #[test]
    fn turns_go_round_and_pass_over_the_excluded() {
        let turns: Vec<_> = (0..6).map(|turn| chosen(Routing::RoundRobin, turn, &[0; 3], &[])).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(chosen(Routing::RoundRobin, 1, &[0; 3], &[1]), Some(2));
        assert_eq!(chosen(Routing::RoundRobin, usize::MAX, &[0; 3], &[]), Some(usize::MAX % 3));
    }

    #[test]
    fn chance_is_even_also_beside_an_excluded_one() {
        let mut counts = [0; 4];
        for turn in 0..9000 {
            counts[chosen(Routing::Random, turn, &[0; 4], &[1]).expect("one")] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!([0, 2, 3].iter().all(|member| (2700..3300).contains(&counts[*member])), "{counts:?}");
    }

    #[test]
    fn the_least_loaded_is_chosen_and_of_equals_by_turns() {
        assert_eq!(chosen(Routing::LeastOutstanding, 0, &[3, 1, 2], &[]), Some(1));
        assert_eq!(chosen(Routing::LeastOutstanding, 0, &[3, 1, 2], &[1]), Some(2));
        let turns: Vec<_> =
            (0..4).map(|turn| chosen(Routing::LeastOutstanding, turn, &[1, 0, 0], &[])).collect();
        assert_eq!(turns, [1, 1, 2, 1].map(Some));
    }

    #[test]
    fn a_key_has_one_owner_and_a_next_one() {
        let key = Routing::Key(hash_key(b"alice"));
        let owner = chosen(key, 0, &[0; 5], &[]).expect("one");
        assert_eq!(chosen(key, 99, &[7; 5], &[]), Some(owner));
        let next = chosen(key, 0, &[0; 5], &[owner]).expect("one");
        assert_ne!(next, owner);
    }

    #[test]
    fn where_nobody_is_left_nobody_is_chosen() {
        for routing in ALL {
            assert_eq!(chosen(routing, 3, &[], &[]), None);
            assert_eq!(chosen(routing, 3, &[0, 0], &[0, 1]), None);
            assert_eq!(chosen(routing, 3, &[0], &[]), Some(0));
        }
    }
}
