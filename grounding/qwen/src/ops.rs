//! Fused element-wise operations with their own backward passes.
//!
//! Invariant: on the CPU in f32 each of these is one pass over memory, forward and backward; on an NVIDIA card it is
//! one kernel, if nothing is differentiated, and the softmax in any case; elsewhere the same function is composed of the
//! tensor library's differentiable operations. All agree (see the tests).

use std::sync::Arc;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, D, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};
use rayon::prelude::*;
use vigorl_kernels::{Isa, swiglu_row};

use crate::mrope::RotaryTable;

/// Which keys a query may attend to: `[0, prefix)` and `[start, query]`.
///
/// A causal sequence has prefix 0 and start 0. In a packed row, a branch's token sees the shared prefix and
/// its own branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// Keys before this index are visible.
    pub prefix: u32,
    /// First visible key of the own branch.
    pub start: u32,
    /// One past the last visible key.
    pub end: u32,
}

impl Visible {
    /// Whether the key at `index` may be attended to.
    pub fn contains(self, index: usize) -> bool {
        let index = index as u32;
        index < self.prefix || (self.start..self.end).contains(&index)
    }

    pub(crate) fn ranges(self, n_keys: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (prefix, start, end) =
            (self.prefix as usize, self.start as usize, (self.end as usize).min(n_keys));
        if start <= prefix { (0..prefix.max(end).min(n_keys), 0..0) } else { (0..prefix, start..end) }
    }
}

/// Rows of the mask: row `(b, q)` of a batch with `n_queries` queries each.
#[derive(Debug, Clone)]
pub struct Mask {
    /// `(batch, n_queries)` row-major.
    pub rows: Arc<Vec<Visible>>,
    /// Queries per batch item.
    pub n_queries: usize,
}

impl Mask {
    /// Each of `n_queries` tokens sees the `n_before` cached keys, the tokens before it, and itself.
    pub fn causal(n_before: usize, n_queries: usize) -> Self {
        let rows =
            (0..n_queries).map(|q| Visible { prefix: 0, start: 0, end: (n_before + q + 1) as u32 }).collect();
        Self { rows: Arc::new(rows), n_queries }
    }

    /// The rows of queries `from..from + n`.
    pub fn narrow(&self, from: usize, n: usize) -> Self {
        let rows =
            self.rows.chunks(self.n_queries).flat_map(|item| item[from..from + n].iter().copied()).collect();
        Self { rows: Arc::new(rows), n_queries: n }
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn hides_any(&self, n_keys: usize) -> bool {
        self.rows.iter().any(|row| row.ranges(n_keys).0 != (0..n_keys))
    }
}

/// Softmax over the last axis of `scores`, with invisible keys at probability 0.
///
/// Narrow scores are computed in f32 and the result is rounded once: a running sum in bf16 stops growing at
/// 256, because it has 8 bits.
///
/// # Shapes
/// `scores`: (B, G, R, K) with R = heads-per-group x queries, query index fastest.
///
/// # Errors
/// Only if the tensor library fails.
pub fn masked_softmax(scores: &Tensor, mask: Option<&Mask>) -> Result<Tensor> {
    // On a card, too, its slope follows from what came out: nothing between needs to be kept.
    if is_fused(scores) || is_on_card(scores) {
        return scores.contiguous()?.apply_op1(MaskedSoftmax { mask: mask.cloned() });
    }
    let dtype = scores.dtype();
    let scores = widened(scores)?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(&additive_mask(mask, &scores)?)?,
        None => scores,
    };
    let max = scores.max_keepdim(D::Minus1)?.detach();
    let exp = scores.broadcast_sub(&max)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?.to_dtype(dtype)
}

/// f32 for what is narrower, so that sums do not stall.
fn widened(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::BF16 | DType::F16 => x.to_dtype(DType::F32),
        _ => Ok(x.clone()),
    }
}

fn additive_mask(mask: &Mask, scores: &Tensor) -> Result<Tensor> {
    let (b, _, r, k) = scores.dims4()?;
    let mut values = vec![f32::NEG_INFINITY; b * r * k];
    for (row, out) in values.chunks_mut(k).enumerate() {
        let visible = mask.rows[(row / r) * mask.n_queries + row % r % mask.n_queries];
        let (first, second) = visible.ranges(k);
        out[first].fill(0.0);
        out[second].fill(0.0);
    }
    Tensor::from_vec(values, (b, 1, r, k), scores.device())?.to_dtype(scores.dtype())
}

/// `x / rms(x) * weight` over the last axis.
///
/// # Errors
/// Only if the tensor library fails.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if is_fused(x) {
        return x.contiguous()?.apply_op2(weight, RmsNorm { eps: eps as f32 });
    }
    if has_kernels(x) && !weight.track_op() {
        return candle_nn::ops::rms_norm(&x.contiguous()?, weight, eps as f32);
    }
    candle_nn::ops::rms_norm_slow(x, weight, eps as f32)
}

/// `silu(gate) * up`.
///
/// # Errors
/// Only if the tensor library fails.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if is_fused(gate) {
        return gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu);
    }
    gate.silu()? * up
}

/// Rotates every head of `x` by its row's angles: pairs are (i, i + half) of a head.
///
/// # Shapes
/// `x`: (rows, heads, head_dim), one row of the table per row of `x`.
///
/// # Errors
/// Only if the tensor library fails.
pub fn rotary(x: &Tensor, table: &Arc<RotaryTable>) -> Result<Tensor> {
    if is_fused(x) {
        let x = if row_stride(x.layout()).is_some() { x.clone() } else { x.contiguous()? };
        return x.apply_op1(Rotary { table: table.clone() });
    }
    let (cos, sin) = table.tensors(x)?;
    if has_kernels(x) {
        return candle_nn::rotary_emb::rope_thd(&x.contiguous()?.unsqueeze(0)?, cos, sin)?.squeeze(0);
    }
    let (rows, _, dim) = x.dims3()?;
    let half = dim / 2;
    let (cos, sin) = (cos.reshape((rows, 1, half))?, sin.reshape((rows, 1, half))?);
    let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    Tensor::cat(&[first, second], 2)
}

/// `row` added to every row of `x`.
///
/// # Shapes
/// `x`: (rows, width), `row`: (width).
pub(crate) fn add_to_rows(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    if has_kernels(x) && !row.track_op() {
        return x.contiguous()?.apply_op2_no_bwd(row, &AddToRows);
    }
    x.broadcast_add(row)
}

/// Whether there is a kernel for an NVIDIA card that has no backward pass.
fn has_kernels(x: &Tensor) -> bool {
    is_on_card(x) && !x.track_op()
}

fn is_on_card(x: &Tensor) -> bool {
    x.device().is_cuda() && matches!(x.dtype(), DType::F32 | DType::BF16 | DType::F16)
}

pub(crate) fn is_fused(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu) && x.dtype() == DType::F32
}

/// Runs `f` over the rows of `out`, on all threads of the pool if there is more than one.
fn for_each_row(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    /// Below this many values a second thread costs more than it saves.
    const PARALLEL_FROM: usize = 1 << 15;
    if out.len() >= PARALLEL_FROM && rayon::current_num_threads() > 1 {
        out.par_chunks_mut(width).enumerate().for_each(|(row, out)| f(row, out));
    } else {
        out.chunks_mut(width).enumerate().for_each(|(row, out)| f(row, out));
    }
}

/// The values of a contiguous f32 storage.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("operand is not contiguous") };
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// Calls `f` with the values of a tensor, made contiguous first.
pub(crate) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(values(storage, layout)?),
        _ => bail!("a fused operation outside the CPU"),
    }
}

struct MaskedSoftmax {
    mask: Option<Mask>,
}

impl MaskedSoftmax {
    fn visible(&self, row: usize, r: usize, groups: usize, n_keys: usize) -> [std::ops::Range<usize>; 2] {
        match &self.mask {
            None => [0..n_keys, 0..0],
            Some(mask) => {
                let item = row / (r * groups);
                let (a, b) = mask.rows[item * mask.n_queries + row % r % mask.n_queries].ranges(n_keys);
                [a, b]
            }
        }
    }
}

impl CustomOp1 for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, groups, r, n_keys) = layout.shape().dims4()?;
        let scores = values(storage, layout)?;
        let mut out = vec![0_f32; scores.len()];
        for_each_row(&mut out, n_keys, |row, out| {
            let scores = &scores[row * n_keys..][..n_keys];
            let ranges = self.visible(row, r, groups, n_keys);
            let mut max = f32::NEG_INFINITY;
            for range in &ranges {
                max = scores[range.clone()].iter().fold(max, |m, &s| m.max(s));
            }
            let mut sum = 0_f32;
            for range in &ranges {
                for (out, score) in out[range.clone()].iter_mut().zip(&scores[range.clone()]) {
                    *out = (score - max).exp();
                    sum += *out;
                }
            }
            let scale = 1.0 / sum;
            for range in ranges {
                out[range].iter_mut().for_each(|p| *p *= scale);
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((crate::card::masked_softmax(storage, layout, self.mask.as_ref())?, layout.shape().clone()))
    }

    /// dS = P * (dP - sum(dP * P)); invisible keys have P = 0 and so no gradient.
    fn bwd(&self, _: &Tensor, probabilities: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !is_fused(probabilities) {
            return softmax_slope(probabilities, grad).map(Some);
        }
        let n_keys = probabilities.dim(D::Minus1)?;
        let out = with_values(probabilities, |p| {
            with_values(grad, |g| {
                let mut out = vec![0_f32; p.len()];
                for_each_row(&mut out, n_keys, |row, out| {
                    let (p, g) = (&p[row * n_keys..][..n_keys], &g[row * n_keys..][..n_keys]);
                    let dot = p.iter().zip(g).map(|(p, g)| p * g).sum::<f32>();
                    for ((out, p), g) in out.iter_mut().zip(p).zip(g) {
                        *out = p * (g - dot);
                    }
                });
                Ok(out)
            })
        })?;
        Ok(Some(Tensor::from_vec(out, probabilities.shape(), probabilities.device())?))
    }
}

/// P * (dP - sum(dP * P)) by the tensor library's own operations, in f32.
fn softmax_slope(probabilities: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (p, g) = (widened(&probabilities.detach())?, widened(grad)?);
    let dot = (&p * &g)?.sum_keepdim(D::Minus1)?;
    (p * g.broadcast_sub(&dot)?)?.to_dtype(probabilities.dtype())
}

struct RmsNorm {
    eps: f32,
}

impl RmsNorm {
    fn inverse_rms(&self, x: &[f32]) -> f32 {
        let mean = x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
        1.0 / (mean + self.eps).sqrt()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let width = weight.len();
        let mut out = vec![0_f32; x.len()];
        for_each_row(&mut out, width, |row, out| {
            let x = &x[row * width..][..width];
            let r = self.inverse_rms(x);
            for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                *out = x * r * w;
            }
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    /// With r = 1/rms and h = g * w: dx = r * (h - x * r² * mean(h * x)), dw = sum over rows of g * x * r.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count();
        let (dx, dw) = with_values(x, |x| {
            with_values(weight, |weight| {
                with_values(grad, |grad| {
                    let (mut dx, mut dw) = (vec![0_f32; x.len()], vec![0_f32; width]);
                    for (row, dx) in dx.chunks_mut(width).enumerate() {
                        let (x, g) = (&x[row * width..][..width], &grad[row * width..][..width]);
                        let r = self.inverse_rms(x);
                        let dot = (0..width).map(|i| g[i] * weight[i] * x[i]).sum::<f32>() / width as f32;
                        let shrink = r * r * dot;
                        for i in 0..width {
                            dx[i] = r * (g[i] * weight[i] - x[i] * shrink);
                            dw[i] += g[i] * x[i] * r;
                        }
                    }
                    Ok((dx, dw))
                })
            })
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        // The library keeps what it is given, also for a weight that does not move.
        let dw = weight.track_op().then(|| Tensor::from_vec(dw, weight.shape(), x.device())).transpose()?;
        Ok((Some(dx), dw))
    }
}

struct AddToRows;

impl CustomOp2 for AddToRows {
    fn name(&self) -> &'static str {
        "add-to-rows"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("a card's kernel on the CPU")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        row: &CudaStorage,
        row_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((crate::card::add_to_rows(x, x_layout, row, row_layout)?, x_layout.shape().clone()))
    }
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (values(gate, gate_layout)?, values(up, up_layout)?);
        let mut out = vec![0_f32; gate.len()];
        let width = out.len().clamp(1, 4096);
        let isa = Isa::detect();
        for_each_row(&mut out, width, |row, out| {
            let at = row * width;
            swiglu_row(isa, &gate[at..], &up[at..], out);
        });
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }

    /// With s = sigmoid(a): d silu(a)/da = s * (1 + a * (1 - s)).
    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (d_gate, d_up) = with_values(gate, |gate| {
            with_values(up, |up| {
                with_values(grad, |grad| {
                    let (mut d_gate, mut d_up) = (vec![0_f32; gate.len()], vec![0_f32; gate.len()]);
                    for i in 0..gate.len() {
                        let sigmoid = 1.0 / (1.0 + (-gate[i]).exp());
                        d_up[i] = grad[i] * gate[i] * sigmoid;
                        d_gate[i] = grad[i] * up[i] * sigmoid * (1.0 + gate[i] * (1.0 - sigmoid));
                    }
                    Ok((d_gate, d_up))
                })
            })
        })?;
        let shape = gate.shape();
        Ok((
            Some(Tensor::from_vec(d_gate, shape, gate.device())?),
            Some(Tensor::from_vec(d_up, shape, gate.device())?),
        ))
    }
}

/// Values from one row to the next of (rows, heads, dim), if each row is contiguous.
fn row_stride(layout: &Layout) -> Option<usize> {
    match (layout.shape().dims(), layout.stride()) {
        (&[_, _, dim], &[row, head, 1]) if head == dim => Some(row),
        _ => None,
    }
}

struct Rotary {
    table: Arc<RotaryTable>,
}

impl CustomOp1 for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, heads, dim) = layout.shape().dims3()?;
        let Some(stride) = row_stride(layout) else { bail!("rows of heads are not contiguous") };
        let (x, half) = (&x.as_slice::<f32>()?[layout.start_offset()..], dim / 2);
        if half != self.table.half || self.table.cos.len() != rows * half {
            bail!("rotary table has {} values, {rows} rows of {half} expected", self.table.cos.len());
        }
        let mut out = vec![0_f32; rows * heads * dim];
        for_each_row(&mut out, heads * dim, |row, out| {
            let (cos, sin) = (&self.table.cos[row * half..][..half], &self.table.sin[row * half..][..half]);
            for (out, x) in out.chunks_mut(dim).zip(x[row * stride..].chunks(dim)) {
                let (first, second) = out.split_at_mut(half);
                for i in 0..half {
                    first[i] = x[i] * cos[i] - x[half + i] * sin[i];
                    second[i] = x[half + i] * cos[i] + x[i] * sin[i];
                }
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    /// The transpose of a rotation is the rotation backwards.
    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let backwards = Rotary { table: Arc::new(self.table.reversed()) };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&backwards)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    /// What a card's backward pass is composed of is the same as the pass over memory of the CPU.
    #[test]
    fn the_composed_slope_of_a_softmax_is_that_of_one_pass() {
        let values =
            |seed: u32, n: usize| (0..n).map(|i| ((i as u32 * 37 + seed) % 23) as f32 / 7.0 - 1.5).collect();
        let tensor = |seed| Tensor::from_vec(values(seed, 2 * 3 * 5), (1, 2, 3, 5), &Device::Cpu).unwrap();
        let (scores, grad) = (Var::from_tensor(&tensor(1)).unwrap(), tensor(2));
        let mask = Mask::causal(2, 3);
        let p = masked_softmax(scores.as_tensor(), Some(&mask)).unwrap();
        let mut found = (&p * &grad).unwrap().sum_all().unwrap().backward().unwrap();
        let one_pass = found.remove(scores.as_tensor()).unwrap();
        let composed = softmax_slope(&p, &grad).unwrap();
        let difference = (one_pass - composed).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
    }
}
