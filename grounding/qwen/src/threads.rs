//! How many threads compute.
//!
//! Invariant: small models compute on one thread. A product of so few numbers is done before another core wakes
//! up: with all of two cores the embedded policy takes three times as long, most of it in the kernel.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Models with fewer weights than this are small.
const SMALL_BELOW: u64 = 16_000_000;

/// The threads of one model.
#[derive(Debug)]
pub(crate) struct Threads {
    is_small: bool,
    /// Started when it is first needed; `None` where all threads compute, or if it cannot be started.
    single: OnceLock<Option<ThreadPool>>,
}

impl Threads {
    pub(crate) fn for_weights(n_weights: u64) -> Self {
        Self { is_small: n_weights < SMALL_BELOW, single: OnceLock::new() }
    }

    /// Threads of another conversation with the same model: what computes on one thread does so on one of its own.
    pub(crate) fn beside(&self) -> Self {
        Self { is_small: self.is_small, single: OnceLock::new() }
    }

    /// Runs `work` where its parallel parts take as many threads as are good for the model.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let start = || self.is_small.then(|| ThreadPoolBuilder::new().num_threads(1).build().ok()).flatten();
        match self.single.get_or_init(start) {
            Some(pool) => pool.install(work),
            // On a thread of the pool: from outside, every parallel part would put this thread to sleep and wake it.
            None => rayon::scope(|_| work()),
        }
    }
}
