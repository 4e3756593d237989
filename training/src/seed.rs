//! Random streams. Invariant: every draw derives from the run's seed and the draw's own coordinates (step,
//! micro-batch, page, …), never from what was drawn before, so a resumed run draws the same.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The stream at `path` of the run with `seed`.
pub fn stream(seed: u64, path: &[u64]) -> ChaCha8Rng {
    let key = path.iter().fold(mix(seed), |key, &part| mix(key ^ mix(part)));
    ChaCha8Rng::seed_from_u64(key)
}

/// SplitMix64's finalizer: every input bit moves about half of the output bits.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number per text, the same in every process.
pub fn number_of(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn neighbors_in_the_path_have_unrelated_streams() {
        let first = |path: &[u64]| stream(7, path).random::<u64>();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        let mut seen: Vec<u64> =
            (0..40).flat_map(|a| (0..40).map(move |b| (a, b))).map(|(a, b)| first(&[a, b])).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1600);
    }
}
