//! Threads that each compute whole jobs.
//!
//! Invariant: inside a job everything runs on one core. The tensor library's matrix products would spread
//! over all cores, which wastes most of the time at the sizes trained here; a job therefore runs in a thread
//! pool of its own with one thread. Results come back in the order of the jobs, whoever computed them, so
//! sums over results do not depend on timing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::TrainingError;

/// A fixed number of single-core workers.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<rayon::ThreadPool>,
}

impl Workers {
    /// Starts `n` workers.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(n: usize) -> Result<Self, TrainingError> {
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..n.max(1)).map(|_| pool()).collect::<Result<_, _>>();
        Ok(Self { pools: pools.map_err(candle_core::Error::wrap)? })
    }

    /// Applies `f` to every job; the workers take jobs as they become free.
    pub fn map<T: Sync, R: Send>(&self, jobs: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<R>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while let Some((job, slot)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                jobs.get(index).zip(results.get(index))
            } {
                let result = f(job);
                *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| pool.install(work));
            }
        });
        let filled = results
            .into_iter()
            .filter_map(|slot| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
        filled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_jobs() {
        let workers = Workers::new(3).unwrap();
        let jobs: Vec<u64> = (0..50).collect();
        let squares = workers.map(&jobs, |&n| {
            assert_eq!(rayon::current_num_threads(), 1);
            n * n
        });
        assert_eq!(squares, jobs.iter().map(|n| n * n).collect::<Vec<_>>());
    }
}
