//! Keys and values of the tokens computed so far. Invariant: `len` tokens are valid; shortening keeps the
//! storage, so a conversation that shares a prefix with the last one continues from there.

use candle_core::{Result, Tensor};

/// One layer's cache.
// Not `Clone`: clones would share the storage that each appends to in place.
#[derive(Debug, Default)]
pub(crate) struct LayerCache {
    /// (1, Hkv, capacity, d) each.
    storage: Option<(Tensor, Tensor)>,
    len: usize,
}

impl LayerCache {
    /// Appends the new tokens and returns views of all keys and values.
    ///
    /// # Shapes
    /// k, v: (1, Hkv, T, d); result: (1, Hkv, len, d).
    pub(crate) fn append(&mut self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let added = k.dim(2)?;
        self.reserve(self.len + added, k)?;
        let Some((keys, values)) = &self.storage else { candle_core::bail!("the cache has no storage") };
        keys.slice_set(&k.contiguous()?, 2, self.len)?;
        values.slice_set(&v.contiguous()?, 2, self.len)?;
        self.len += added;
        Ok((keys.narrow(2, 0, self.len)?, values.narrow(2, 0, self.len)?))
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
