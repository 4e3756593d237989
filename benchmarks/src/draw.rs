//! What is drawn by chance, and the same in every run: by the name of what it is for.
//!
//! Invariant: a draw depends on a name alone, and neither on the order in which things are read nor on the machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use vigorl_tasks::sources::stable_hash;

/// The numbers that belong to a name.
pub(crate) fn of_name(name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(stable_hash(name.as_bytes()))
}

/// A number below `n`, each as likely to within 2^-32 of its share.
pub(crate) fn below(random: &mut ChaCha8Rng, n: usize) -> usize {
    ((u128::from(random.next_u64()) * n as u128) >> 64) as usize
}

/// The place of a name in a shuffle of names.
pub(crate) fn rank(name: &str) -> u64 {
    of_name(name).next_u64()
}

/// The first `limit` of a shuffle of things by their ranks, in the order in which they were given; all without a limit.
pub(crate) fn first_of_shuffle<T>(things: Vec<T>, limit: Option<u64>, rank: impl Fn(&T) -> u64) -> Vec<T> {
    let Some(limit) = limit else { return things };
    let mut order: Vec<(u64, usize)> =
        things.iter().enumerate().map(|(idx, thing)| (rank(thing), idx)).collect();
    order.sort_unstable();
    order.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let kept: std::collections::BTreeSet<usize> = order.into_iter().map(|(_, idx)| idx).collect();
    things.into_iter().enumerate().filter(|(idx, _)| kept.contains(idx)).map(|(_, thing)| thing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[String], limit: u64) -> Vec<String> {
        first_of_shuffle(names.to_vec(), Some(limit), |name| rank(name))
    }

    #[test]
    fn a_larger_part_holds_the_smaller_one_and_keeps_the_order() {
        let names: Vec<String> = (0..50).map(|at| format!("item {at}")).collect();
        let all = of(&names, u64::MAX);
        assert_eq!(all, names);
        for limit in [0, 1, 7, 49] {
            let (few, more) = (of(&names, limit), of(&names, limit + 1));
            assert_eq!(few.len() as u64, limit);
            assert!(few.iter().all(|name| more.contains(name)), "{limit}");
            assert!(more.is_sorted_by_key(|name| names.iter().position(|other| other == name)));
        }
    }

    #[test]
    fn which_are_drawn_depends_on_the_names_alone() {
        let names: Vec<String> = (0..50).map(|at| format!("item {at}")).collect();
        let backwards: Vec<String> = names.iter().rev().cloned().collect();
        let mut few = of(&backwards, 9);
        few.reverse();
        assert_eq!(few, of(&names, 9));
        assert_ne!(few, names[..9], "not simply the first ones");
    }
}
