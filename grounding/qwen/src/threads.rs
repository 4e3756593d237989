//! How many threads compute.
//!
//! Invariant: a pass of a small model computes on one thread. A product of so few numbers is done before another core
//! wakes up: with all of two cores the embedded policy takes three times as long, most of it in the kernel. Several
//! conversations are spread over threads instead, each with a pass of its own.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Models with fewer weights than this are small.
const SMALL_BELOW: u64 = 16_000_000;

/// The threads of one model.
#[derive(Debug)]
pub(crate) struct Threads {
    is_small: bool,
    /// Of a small model, pools of one thread each. Started when they are first needed; `None` for one that cannot be.
    lanes: OnceLock<Vec<OnceLock<Option<ThreadPool>>>>,
}

impl Threads {
    pub(crate) fn for_weights(n_weights: u64) -> Self {
        Self { is_small: n_weights < SMALL_BELOW, lanes: OnceLock::new() }
    }

    /// Threads of another conversation with the same model: what computes on one thread does so on one of its own.
    pub(crate) fn beside(&self) -> Self {
        Self { is_small: self.is_small, lanes: OnceLock::new() }
    }

    /// Runs `work` where its parallel parts take as many threads as are good for the model.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self.lanes().first() {
            Some(lane) => on(lane, work),
            // On a thread of the pool: from outside, every parallel part would put this thread to sleep and wake it.
            None => rayon::scope(|_| work()),
        }
    }

    /// Runs `work` on parts of `items`, each at least `least` long but the last: side by side for a small model, and all
    /// of them as one part otherwise.
    pub(crate) fn spread<T: Send, R: Send>(
        &self,
        items: &mut [T],
        least: usize,
        work: impl Fn(&mut [T]) -> R + Sync,
    ) -> Vec<R> {
        if items.is_empty() {
            return Vec::new();
        }
        let lanes = self.lanes();
        let n_parts = (items.len() / least.max(1)).clamp(1, lanes.len().max(1));
        if n_parts == 1 {
            return vec![self.run(|| work(items))];
        }
        let mut done: Vec<Option<R>> = Vec::new();
        done.resize_with(n_parts, || None);
        let parts = items.chunks_mut(items.len().div_ceil(n_parts)).zip(&mut done);
        let work = &work;
        let parts: Vec<_> = parts.map(|(part, done)| move || *done = Some(work(part))).collect();
        side_by_side(lanes, parts);
        done.into_iter().flatten().collect()
    }

    /// None for a large model.
    fn lanes(&self) -> &[OnceLock<Option<ThreadPool>>] {
        let n_lanes = || if self.is_small { rayon::current_num_threads() } else { 0 };
        self.lanes.get_or_init(|| (0..n_lanes()).map(|_| OnceLock::new()).collect())
    }
}

fn pool(lane: &OnceLock<Option<ThreadPool>>) -> Option<&ThreadPool> {
    lane.get_or_init(|| ThreadPoolBuilder::new().num_threads(1).build().ok()).as_ref()
}

fn on<R: Send>(lane: &OnceLock<Option<ThreadPool>>, work: impl FnOnce() -> R + Send) -> R {
    match pool(lane) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Runs each part on a lane of its own; there are as many lanes at least.
fn side_by_side<W: FnOnce() + Send>(lanes: &[OnceLock<Option<ThreadPool>>], mut parts: Vec<W>) {
    let (Some(part), Some((lane, lanes))) = (parts.pop(), lanes.split_first()) else { return };
    match pool(lane) {
        Some(pool) if !parts.is_empty() => pool.in_place_scope(|scope| {
            scope.spawn(|_| part());
            side_by_side(lanes, parts);
        }),
        _ => {
            on(lane, part);
            side_by_side(lanes, parts);
        }
    }
}
