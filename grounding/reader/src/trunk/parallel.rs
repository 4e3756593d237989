//! Work that is shared out to threads. Invariant: what is computed does not depend on how many there are.

use std::cell::RefCell;
use std::marker::PhantomData;

use rayon::ThreadPool;
use rayon::prelude::*;

/// Who computes: all threads of a pool, or the one that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Threads<'a> {
    All(&'a ThreadPool),
    One,
}

impl Threads<'_> {
    pub(super) fn count(self) -> usize {
        match self {
            Self::All(pool) => pool.current_num_threads(),
            Self::One => 1,
        }
    }

    /// Does each of `n` parts.
    pub(super) fn each(self, n: usize, part: impl Fn(usize) + Sync) {
        match self {
            Self::All(pool) if n > 1 => pool.install(|| (0..n).into_par_iter().for_each(&part)),
            Self::All(_) | Self::One => (0..n).for_each(part),
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Some memory of this thread, in which anything may stand; it may not be asked for again inside.
pub(super) fn with_scratch(n: usize, work: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < n {
            scratch.resize(n, 0.0);
        }
        work(&mut scratch[..n]);
    });
}

/// An output that several threads write, each its own numbers.
pub(super) struct Out<'a> {
    first: *mut f32,
    len: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

#[expect(unsafe_code, reason = "threads write different numbers of one output")]
mod shared {
    use super::Out;

    // SAFETY: whoever writes through it promises that nobody else has these numbers.
    unsafe impl Sync for Out<'_> {}

    impl<'a> Out<'a> {
        pub(in crate::trunk) fn new(out: &'a mut [f32]) -> Self {
            Self { first: out.as_mut_ptr(), len: out.len(), borrowed: std::marker::PhantomData }
        }

        /// A place in it.
        ///
        /// # Safety
        /// What is written there is nobody else's, and ends within the output.
        pub(in crate::trunk) unsafe fn at(&self, at: usize) -> *mut f32 {
            assert!(at < self.len, "beyond the output");
            // SAFETY: within the output.
            unsafe { self.first.add(at) }
        }

        /// Some of it.
        ///
        /// # Safety
        /// These numbers are nobody else's.
        #[expect(clippy::mut_from_ref, reason = "the caller promises that they are nobody else's")]
        pub(in crate::trunk) unsafe fn slice(&self, at: usize, len: usize) -> &mut [f32] {
            assert!(at + len <= self.len, "beyond the output");
            // SAFETY: within the output, and the caller's alone.
            unsafe { std::slice::from_raw_parts_mut(self.first.add(at), len) }
        }
    }
}
