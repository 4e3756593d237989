//! Threads that each compute whole jobs.
//!
//! Invariant: inside a job everything runs on one core. The tensor library's matrix products would spread
//! over all cores, which wastes most of the time at the sizes trained here; a job therefore runs in a thread
//! pool of its own with one thread. Results come back in the order of the jobs, whoever computed them, so
//! sums over results do not depend on timing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

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

    /// How many there are.
    pub fn n(&self) -> usize {
        self.pools.len()
    }

    /// Applies `f` to every job; the workers take jobs as they become free.
    pub fn map<T: Sync, R: Send>(&self, jobs: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let mut results = Vec::with_capacity(jobs.len());
        self.each(jobs, f, |result| results.push(result));
        results
    }

    /// Applies `f` to every job and hands each result over as soon as those before it are there: what is made of a result
    /// at once need not be kept until the last one is there.
    pub fn each<T: Sync, R: Send>(&self, jobs: &[T], f: impl Fn(&T) -> R + Sync, take: impl FnMut(R) + Send) {
        let next = AtomicUsize::new(0);
        let ordered = Mutex::new(Ordered { waiting: BTreeMap::new(), n_taken: 0, take });
        let work = || {
            while let Some((index, job)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                jobs.get(index).map(|job| (index, job))
            } {
                let result = f(job);
                ordered.lock().unwrap_or_else(PoisonError::into_inner).put(index, result);
            }
        };
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| pool.install(work));
            }
        });
    }
}

/// Results that came before those of earlier jobs.
struct Ordered<R, F> {
    waiting: BTreeMap<usize, R>,
    n_taken: usize,
    take: F,
}

impl<R, F: FnMut(R)> Ordered<R, F> {
    fn put(&mut self, index: usize, result: R) {
        self.waiting.insert(index, result);
        while let Some(result) = self.waiting.remove(&self.n_taken) {
            self.n_taken += 1;
            (self.take)(result);
        }
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

    #[test]
    fn a_result_is_handed_over_as_soon_as_those_before_it_are() {
        let workers = Workers::new(2).unwrap();
        let (n_taken, taken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let jobs: Vec<usize> = (0..6).collect();
        // Each job but the first three begins only when somebody has taken what the third before it said.
        let compute = |&n: &usize| {
            let began = std::time::Instant::now();
            while n_taken.load(Ordering::SeqCst) + 3 <= n {
                assert!(began.elapsed().as_secs() < 60, "results are kept until the last one is there");
                std::thread::yield_now();
            }
            n
        };
        workers.each(&jobs, compute, |n| {
            taken.lock().unwrap().push(n);
            n_taken.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(taken.into_inner().unwrap(), jobs);
    }
}
