//! Scaled dot-product attention with grouped heads, for both towers.
//!
//! Invariant: keys and values are never repeated per query head, and at most [`MAX_SCORES`] scores are in
//! memory at a time.

use candle_core::{Result, Tensor};

use crate::ops::{Mask, masked_softmax};

/// Scores held at once, in values: 64 Mi x 4 bytes = 256 MB.
pub(crate) const MAX_SCORES: usize = 64 << 20;

/// Attention of `q` over `k` and `v`.
///
/// # Shapes
/// q: (B, T, H, d); k, v: (B, Hkv, K, d); result: (B, T, H * d). Query head h uses key head h / (H / Hkv).
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Mask>) -> Result<Tensor> {
    let (b, t, h, d) = q.dims4()?;
    let (n_kv, n_keys) = (k.dim(1)?, k.dim(2)?);
    let rows_at_once = (MAX_SCORES / (b * h * n_keys).max(1)).clamp(1, t);
    let scale = 1.0 / (d as f64).sqrt();
    // (B, T, H, d) → (B, Hkv, H/Hkv, T, d): the heads of a group become rows of one product.
    let q = (q.reshape((b, t, n_kv, h / n_kv, d))?.permute((0, 2, 3, 1, 4))? * scale)?;
    let keys = k.transpose(2, 3)?;
    let block = |from: usize, n: usize| -> Result<Tensor> {
        let q = q.narrow(3, from, n)?.contiguous()?.reshape((b, n_kv, h / n_kv * n, d))?;
        let mask = mask.map(|m| if n == t { m.clone() } else { m.narrow(from, n) });
        let probabilities = masked_softmax(&q.matmul(&keys)?, mask.as_ref())?;
        probabilities.matmul(v)?.reshape((b, n_kv, h / n_kv, n, d))
    };
    let out = if rows_at_once >= t {
        block(0, t)?
    } else {
        let starts = (0..t).step_by(rows_at_once);
        let blocks: Vec<_> =
            starts.map(|from| block(from, rows_at_once.min(t - from))).collect::<Result<_>>()?;
        Tensor::cat(&blocks, 3)?
    };
    // (B, Hkv, H/Hkv, T, d) → (B, T, H * d)
    out.permute((0, 3, 1, 2, 4))?.contiguous()?.reshape((b, t, h * d))
}
