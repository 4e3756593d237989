//! Scaled dot-product attention with grouped heads, for both towers.
//!
//! Invariants: keys and values are never repeated per query head, and at most [`MAX_SCORES`] scores are in
//! memory at a time; what a conversation gets does not depend on those beside it. Inference on the CPU runs the one-pass
//! kernel; what has to be differentiated, or runs elsewhere, is composed of the tensor library's operations. Both agree
//! (see the tests).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use vigorl_kernels::{AttentionShape, Heads, Isa, Operands, Sequence, Stretch, attend};

use crate::kv_cache::KvCache;
use crate::ops::{Mask, Visible, is_fused, masked_softmax, with_values};

/// Scores of an attention held at once, in values: 64 Mi x 4 bytes = 256 MB.
pub const MAX_SCORES: usize = 64 << 20;

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
        let shape = AttentionShape { n_heads, n_kv_heads, head_dim };
        let Some((from, to)) = q_layout.contiguous_offsets() else { bail!("queries are not contiguous") };
        let q = &q.as_slice::<f32>()?[from..to];
        let sequence = |item| -> Result<Sequence<'_>> {
            let (keys, values) = (heads(k, k_layout, item)?, heads(v, v_layout, item)?);
            Ok(Sequence { n_queries, stretches: vec![Stretch { keys, values, n_keys }] })
        };
        let sequences = (0..batch).map(sequence).collect::<Result<Vec<_>>>()?;
        let sees = |item: usize, query: usize| match self.mask {
            None => [0..n_keys, 0..0],
            Some(mask) => mask.rows[item * mask.n_queries + query].ranges(n_keys).into(),
        };
        let out = attend(Isa::detect(), self.operands, &shape, q, &sequences, &sees);
        Ok((CpuStorage::F32(out), (batch, n_queries, n_heads * head_dim).into()))
    }
}

/// (B, Hkv, K, d) in any order whose last axis is contiguous.
fn heads<'a>(storage: &'a CpuStorage, layout: &Layout, item: usize) -> Result<Heads<'a>> {
    let &[batch_stride, head_stride, key_stride, 1] = layout.stride() else {
        bail!("keys or values whose heads are not contiguous")
    };
    let values = &storage.as_slice::<f32>()?[layout.start_offset() + item * batch_stride..];
    Ok(Heads { values, head_stride, key_stride })
}

/// A conversation whose `n` new tokens its cache has made room for.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    pub(crate) cache: &'a mut KvCache,
    pub(crate) n: usize,
}

/// Writes keys and values of new tokens into the caches of their conversations, and attends: each token sees what its
/// conversation holds before it, and itself.
///
/// # Shapes
/// q: (..., H, d), k, v: (..., Hkv, d), the new tokens of all conversations one behind the other; result: (tokens, H * d).
pub(crate) fn attention_behind(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    growing: &mut [Growing<'_>],
    layer: usize,
    operands: Operands,
) -> Result<Tensor> {
    let (n_heads, head_dim) = (q.dims()[q.rank() - 2], q.dims()[q.rank() - 1]);
    let n_kv_heads = k.dims()[k.rank() - 2];
    let tokens = |x: &Tensor, heads: usize| x.reshape(((), heads, head_dim));
    let (q, k, v) = (tokens(q, n_heads)?, tokens(k, n_kv_heads)?, tokens(v, n_kv_heads)?);
    if !is_fused(&q) {
        return behind_tensors(&q, &k, &v, growing, layer);
    }
    with_values(&k, |k| {
        with_values(&v, |v| {
            let (mut k, mut v) = (k, v);
            for Growing { cache, n } in &mut *growing {
                let (of_k, of_v);
                (of_k, k) = k.split_at(*n * n_kv_heads * head_dim);
                (of_v, v) = v.split_at(*n * n_kv_heads * head_dim);
                cache.write(layer, *n, of_k, of_v)?;
            }
            Ok(())
        })
    })?;
    let mut sequences = Vec::with_capacity(growing.len());
    for growing in &*growing {
        sequences.push(Sequence { n_queries: growing.n, stretches: growing.cache.stretches(layer)? });
    }
    let sees = |item: usize, query: usize| {
        let sequence: &Sequence<'_> = &sequences[item];
        [0..sequence.n_keys() - sequence.n_queries + query + 1, 0..0]
    };
    let shape = AttentionShape { n_heads, n_kv_heads, head_dim };
    let out = with_values(&q, |q| Ok(attend(Isa::detect(), operands, &shape, q, &sequences, &sees)))?;
    Tensor::from_vec(out, (q.dim(0)?, n_heads * head_dim), q.device())
}

/// As [`attention_behind`], of (tokens, heads, d). Conversations that follow each other and share all but their last
/// piece are one product: on a card, many small ones would take longer.
fn behind_tensors(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    growing: &mut [Growing<'_>],
    layer: usize,
) -> Result<Tensor> {
    let (mut at, mut outputs) = (0, Vec::new());
    for group in growing.chunk_by_mut(|a, b| a.cache.begins_as(b.cache)) {
        let first = at;
        for Growing { cache, n } in &mut *group {
            let new = |x: &Tensor| x.narrow(0, at, *n)?.transpose(0, 1)?.unsqueeze(0);
            cache.write_tensors(layer, *n, &new(k)?, &new(v)?)?;
            at += *n;
        }
        let (mut parts, mut rows, mut n_keys) = (Vec::new(), Vec::new(), 0);
        let mut prefix = 0;
        for (i, Growing { cache, n }) in group.iter().enumerate() {
            let mut pieces = cache.tensors(layer)?;
            let own = pieces.split_off(pieces.len() - 1);
            if i == 0 {
                prefix = cache.len() - own[0].0.dim(2)?;
                n_keys = prefix;
                parts.extend(pieces);
            }
            let start = n_keys;
            n_keys += own[0].0.dim(2)?;
            let end = |token: usize| (n_keys - n + token + 1) as u32;
            let row = |token| Visible { prefix: prefix as u32, start: start as u32, end: end(token) };
            rows.extend((0..*n).map(row));
            parts.extend(own);
        }
        let (keys, values): (Vec<Tensor>, Vec<Tensor>) = parts.into_iter().unzip();
        let mask = Mask { n_queries: rows.len(), rows: Arc::new(rows) };
        let q = q.narrow(0, first, at - first)?.unsqueeze(0)?;
        let (keys, values) = (Tensor::cat(&keys, 2)?, Tensor::cat(&values, 2)?);
        outputs.push(composed(&q, &keys.contiguous()?, &values.contiguous()?, Some(&mask))?.squeeze(0)?);
    }
    Tensor::cat(&outputs, 0)
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
