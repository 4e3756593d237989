//! Scaled dot-product attention with grouped heads, for both towers.
//!
//! Invariant: keys and values are never repeated per query head, and at most [`MAX_SCORES`] scores are in
//! memory at a time. Inference on the CPU runs the one-pass kernel; what has to be differentiated, or runs
//! elsewhere, is composed of the tensor library's operations. Both agree (see the tests).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use vigorl_kernels::{AttentionShape, Heads, Isa, Operands, attend};

use crate::ops::{Mask, is_fused, masked_softmax};

/// Scores held at once, in values: 64 Mi x 4 bytes = 256 MB.
pub(crate) const MAX_SCORES: usize = 64 << 20;

/// Attention of `q` over `k` and `v`.
///
/// # Shapes
/// q: (B, T, H, d); k, v: (B, Hkv, K, d); result: (B, T, H * d). Query head h uses key head h / (H / Hkv).
///
/// `operands` counts for the one-pass kernel only.
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Mask>,
    operands: Operands,
) -> Result<Tensor> {
    if is_fused(q) && [q, k, v].iter().all(|x| !x.track_op()) {
        return q.contiguous()?.apply_op3_no_bwd(k, v, &OnePass { mask, operands });
    }
    composed(q, &k.contiguous()?, &v.contiguous()?, mask)
}

/// As [`attention`], block of queries by block of queries.
fn composed(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Mask>) -> Result<Tensor> {
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

struct OnePass<'a> {
    mask: Option<&'a Mask>,
    operands: Operands,
}

impl CustomOp3 for OnePass<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, n_queries, n_heads, head_dim) = q_layout.shape().dims4()?;
        let (_, n_kv_heads, n_keys, _) = k_layout.shape().dims4()?;
        let shape = AttentionShape { batch, n_queries, n_heads, n_kv_heads, n_keys, head_dim };
        let Some((from, to)) = q_layout.contiguous_offsets() else { bail!("queries are not contiguous") };
        let q = &q.as_slice::<f32>()?[from..to];
        let (keys, values) = (heads(k, k_layout)?, heads(v, v_layout)?);
        let sees = |item: usize, query: usize| match self.mask {
            None => [0..n_keys, 0..0],
            Some(mask) => mask.rows[item * mask.n_queries + query].ranges(n_keys).into(),
        };
        let out = attend(Isa::detect(), self.operands, &shape, q, keys, values, &sees);
        Ok((CpuStorage::F32(out), (batch, n_queries, n_heads * head_dim).into()))
    }
}

/// (B, Hkv, K, d) in any order whose last axis is contiguous.
fn heads<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Heads<'a>> {
    let &[batch_stride, head_stride, key_stride, 1] = layout.stride() else {
        bail!("keys or values whose heads are not contiguous")
    };
    let values = &storage.as_slice::<f32>()?[layout.start_offset()..];
    Ok(Heads { values, batch_stride, head_stride, key_stride })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn both_ways_agree_behind_a_cache_and_over_strided_heads() {
        let draw = |shape: &[usize]| Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).unwrap();
        // Four query heads, two key heads, 300 keys in a cache with room for 320; values side by side.
        let (q, k) = (draw(&[1, 37, 4, 16]), draw(&[1, 2, 320, 16]).narrow(2, 0, 300).unwrap());
        let v = draw(&[1, 300, 2, 16]).transpose(1, 2).unwrap();
        for mask in [None, Some(Mask::causal(263, 37))] {
            let one_pass = attention(&q, &k, &v, mask.as_ref(), Operands::Exact).unwrap();
            let composed = composed(&q, &k.contiguous().unwrap(), &v.contiguous().unwrap(), mask.as_ref());
            let difference = (one_pass - composed.unwrap()).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f32>().unwrap() < 2e-6, "{difference}");
        }
    }
}
