//! The random draws of a sample. Invariant: a seed depends on what a sample is and on nothing else: neither on the order in
//! which samples are played, nor on who plays them.

use serde::{Deserialize, Serialize};
use vigorl_tasks::sources::stable_hash;

/// What a sample is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SampleKey {
    /// The seed of the run.
    pub run: u64,
    /// The step of the training; 0 outside of one.
    pub step: u64,
    /// The source of its episode, by its name.
    pub source: String,
    /// The seed of its episode.
    pub seed: u64,
    /// Its number in its group, from 0.
    pub sample: u64,
}

impl SampleKey {
    /// The seed of the draws of an action by its number, from 0. Each turn of the action adds its own number.
    pub fn of_action(&self, action: u64) -> u64 {
        let mut bytes = self.source.as_bytes().to_vec();
        for part in [self.run, self.step, self.seed, self.sample, action] {
            bytes.extend(part.to_le_bytes());
        }
        mixed(stable_hash(&bytes))
    }
}

/// Spreads every bit over all others (splitmix64), so that the seeds of neighbours are far apart and no turn of one action
/// meets a turn of another.
fn mixed(hash: u64) -> u64 {
    let mut z = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_of_a_key_counts_and_no_turn_meets_another() {
        let key = SampleKey { run: 1, step: 2, source: "practice".to_owned(), seed: 3, sample: 4 };
        let others = [
            SampleKey { run: 2, ..key.clone() },
            SampleKey { step: 3, ..key.clone() },
            SampleKey { source: "other".to_owned(), ..key.clone() },
            SampleKey { seed: 4, ..key.clone() },
            SampleKey { sample: 5, ..key.clone() },
        ];
        let mut seeds: Vec<u64> = others.iter().map(|other| other.of_action(0)).collect();
        seeds.extend((0..100).map(|action| key.of_action(action)));
        let turns: BTreeSet<u64> =
            seeds.iter().flat_map(|seed| (0..10).map(|turn| seed.wrapping_add(turn))).collect();
        assert_eq!(turns.len(), seeds.len() * 10);
        // A seed stays the same for ever: what was recorded can be repeated.
        assert_eq!(key.of_action(0), 17_381_527_761_782_476_336);
    }
}
