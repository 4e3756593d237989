//! Random choices with a stream that never changes.
//!
//! Invariant: the choices depend on the key alone. The arithmetic is written out here because the
//! distributions of `rand` may change between versions, and a page must stay the page of its seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of `seed` in `domain`; different domains are different ChaCha keys and so never meet.
    pub(crate) fn new(domain: [u8; 24], seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..].copy_from_slice(&domain);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `0..n`; the bias of the multiplication is below 2^-32 times `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Uniform in `low..=high`, or `low` if the range is empty.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low).max(0) as usize + 1) as i32
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// One of `items`, each as probable as its weight.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(T, usize)]) -> T {
        let mut left = self.below(items.iter().map(|(_, weight)| weight).sum());
        let mut chosen = items[0].0;
        for &(item, weight) in items {
            chosen = item;
            if left < weight {
                break;
            }
            left -= weight;
        }
        chosen
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
