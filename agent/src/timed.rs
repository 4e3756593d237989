//! Where the time goes. Invariant: only the work that is passed is counted.

use std::time::{Duration, Instant};

/// Adds the time that some work takes.
pub(crate) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let clock = Instant::now();
    let value = work();
    *total += clock.elapsed();
    value
}
