//! Keys and values of the tokens computed so far. Invariant: `len` tokens are valid; shortening keeps the
//! storage, so a conversation that shares a prefix with the last one continues from there.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::ops::{Mask, Visible};

/// Where new tokens go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Behind the tokens held, which they then belong to.
    End,
    /// Each at an index of its own beyond the tokens held, in a storage for `capacity` tokens. They are not held:
    /// what comes later may overwrite them.
    Beyond { at: &'a [usize], capacity: usize },
}

/// One layer's cache.
// Not `Clone`: clones would share the storage that each appends to in place.
#[derive(Debug, Default)]
pub(crate) struct LayerCache {
    /// (1, Hkv, capacity, d) each.
    storage: Option<(Tensor, Tensor)>,
    len: usize,
}

impl LayerCache {
    /// Puts the new tokens in their place and returns views of all keys and values up to the last one.
    ///
    /// # Shapes
    /// k, v: (1, Hkv, T, d); result: (1, Hkv, keys, d).
    pub(crate) fn put(&mut self, k: &Tensor, v: &Tensor, place: Place<'_>) -> Result<(Tensor, Tensor)> {
        let added = k.dim(2)?;
        let (n_keys, capacity) = match place {
            Place::End => (self.len + added, self.len + added),
            Place::Beyond { at, capacity } => (at.iter().max().map_or(self.len, |last| last + 1), capacity),
        };
        self.reserve(capacity, k)?;
        let Some((keys, values)) = &self.storage else { candle_core::bail!("the cache has no storage") };
        match place {
            Place::End => {
                keys.slice_set(&k.contiguous()?, 2, self.len)?;
                values.slice_set(&v.contiguous()?, 2, self.len)?;
                self.len += added;
            }
            Place::Beyond { at, .. } => {
                for (token, &at) in at.iter().enumerate() {
                    keys.slice_set(&k.narrow(2, token, 1)?.contiguous()?, 2, at)?;
                    values.slice_set(&v.narrow(2, token, 1)?.contiguous()?, 2, at)?;
                }
            }
        }
        Ok((keys.narrow(2, 0, n_keys)?, values.narrow(2, 0, n_keys)?))
    }

    /// Forgets all but the first `len` tokens.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Grows by at least half, so that a long generation copies each token a bounded number of times.
    fn reserve(&mut self, needed: usize, like: &Tensor) -> Result<()> {
        let (_, heads, _, dim) = like.dims4()?;
        let capacity = self.storage.as_ref().map_or(0, |(k, _)| k.dims()[2]);
        if needed <= capacity {
            return Ok(());
        }
        let capacity = needed.max(capacity + capacity / 2).next_multiple_of(128);
        let fresh = || Tensor::zeros((1, heads, capacity, dim), like.dtype(), like.device());
        let (keys, values) = (fresh()?, fresh()?);
        if let (Some((old_keys, old_values)), true) = (&self.storage, self.len > 0) {
            keys.slice_set(&old_keys.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
            values.slice_set(&old_values.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
        }
        self.storage = Some((keys, values));
        Ok(())
    }
}

/// Continuations of one prefix that grow side by side, each in room of its own behind the prefix.
#[derive(Debug)]
pub(crate) struct Branches {
    n_prefix: usize,
    /// Tokens that each branch has room for.
    room: usize,
    /// Tokens in each branch.
    lens: Vec<usize>,
}

/// The next tokens of some branches.
pub(crate) struct Growth {
    pub(crate) at: Vec<usize>,
    pub(crate) mask: Mask,
}

impl Branches {
    pub(crate) fn new(n_prefix: usize, n_branches: usize, room: usize) -> Self {
        Self { n_prefix, room, lens: vec![0; n_branches] }
    }

    /// Tokens that prefix and branches take.
    pub(crate) fn capacity(&self) -> usize {
        self.n_prefix + self.lens.len() * self.room
    }

    /// Tokens in one branch.
    pub(crate) fn len(&self, branch: usize) -> usize {
        self.lens[branch]
    }

    /// Room for one more token in each of `branches`, and what that token sees: the prefix and its branch.
    ///
    /// # Panics
    /// If a branch is full (caller's bug).
    pub(crate) fn grow(&mut self, branches: &[usize]) -> Growth {
        let (mut at, mut rows) = (Vec::new(), Vec::new());
        for &branch in branches {
            assert!(self.lens[branch] < self.room, "branch {branch} is full");
            let start = self.n_prefix + branch * self.room;
            let index = start + self.lens[branch];
            self.lens[branch] += 1;
            at.push(index);
            rows.push(Visible { prefix: self.n_prefix as u32, start: start as u32, end: index as u32 + 1 });
        }
        Growth { at, mask: Mask { n_queries: rows.len(), rows: Arc::new(rows) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_grow_side_by_side_and_see_the_prefix_and_themselves() {
        let mut branches = Branches::new(10, 3, 4);
        assert_eq!(branches.capacity(), 22);
        assert_eq!(branches.grow(&[0, 1, 2]).at, [10, 14, 18]);
        let growth = branches.grow(&[0, 2]);
        assert_eq!(growth.at, [11, 19]);
        assert_eq!([0, 1, 2].map(|branch| branches.len(branch)), [2, 1, 2]);
        let seen: Vec<_> = growth.mask.rows.iter().map(|row| row.ranges(20)).collect();
        assert_eq!(seen, [(0..12, 0..0), (0..10, 18..20)]);
    }
}
