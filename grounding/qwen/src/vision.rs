//! The vision tower: patches to merged visual tokens, windows computed as windows.
//!
//! Source: transformers `Qwen2_5_VisionTransformerPretrainedModel`. We differ in one way: attention inside
//! windows is computed window by window instead of through a block-diagonal mask; ragged windows at the
//! right and bottom edge are their own, smaller sequences, as in the reference.
//!
//! Shapes: N patches of all images, M = N / merge² merged patches, D hidden width.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use vigorl_kernels::Operands;

use crate::attention::attention;
use crate::config::VisionConfig;
use crate::error::EngineError;
use crate::linear::{Bias, Linear};
use crate::mlp::Mlp;
use crate::model::OnLayer;
use crate::mrope::{Grid, RotaryTable};
use crate::ops::{rms_norm, rotary};
use crate::weights::{Matrix, Weights};

/// Epsilon of the vision tower's norms; not in `config.json`, fixed in transformers.
const EPS: f64 = 1e-6;

/// The tower. Weight names: `visual.*`.
#[derive(Debug, Clone)]
pub(crate) struct VisionTower {
    patch_embed: Linear,
    blocks: Vec<Block>,
    merger: Merger,
    config: VisionConfig,
}

/// Weight names: `visual.blocks.{i}.{norm1,norm2,attn.qkv,attn.proj,mlp.*}`.
#[derive(Debug, Clone)]
struct Block {
    norm1: Tensor,
    norm2: Tensor,
    qkv: Linear,
    proj: Linear,
    mlp: Mlp,
    n_heads: usize,
    operands: Operands,
}

/// Weight names: `visual.merger.{ln_q,mlp.0,mlp.2}`.
#[derive(Debug, Clone)]
struct Merger {
    norm: Tensor,
    first: Linear,
    second: Linear,
}

/// How the patches of a batch of images are ordered and which attend to each other.
///
/// Sequences are runs of consecutive patches in window order; lengths are in patches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For each merged patch in window order, its index in image order.
    pub(crate) window_order: Vec<u32>,
    /// The inverse permutation.
    pub(crate) image_order: Vec<u32>,
    /// Lengths of the windows.
    pub(crate) windows: Vec<usize>,
    /// Lengths of whole frames.
    pub(crate) frames: Vec<usize>,
    /// Row and column of each patch, in window order.
    pub(crate) rows_columns: Vec<[u32; 2]>,
}

impl Layout {
    pub(crate) fn new(grids: &[Grid], config: &VisionConfig) -> Self {
        let merge = config.spatial_merge_size;
        let (unit, side) = (merge * merge, config.window_in_merged_patches());
        let (mut window_order, mut windows, mut frames, mut rows_columns) = (vec![], vec![], vec![], vec![]);
        let mut first = 0;
        for grid in grids {
            let (rows, columns) = (grid.h / merge, grid.w / merge);
            for _ in 0..grid.t {
                for (top, left) in corners(rows, columns, side) {
                    let (bottom, right) = ((top + side).min(rows), (left + side).min(columns));
                    windows.push((bottom - top) * (right - left) * unit);
                    for (row, column) in (top..bottom).flat_map(|r| (left..right).map(move |c| (r, c))) {
                        window_order.push((first + row * columns + column) as u32);
                        rows_columns.extend((0..unit).map(|i| {
                            [(row * merge + i / merge) as u32, (column * merge + i % merge) as u32]
                        }));
                    }
                }
                frames.push(rows * columns * unit);
                first += rows * columns;
            }
        }
        let mut image_order = vec![0; window_order.len()];
        for (at, &index) in window_order.iter().enumerate() {
            image_order[index as usize] = at as u32;
        }
        Self { window_order, image_order, windows, frames, rows_columns }
    }
}

/// Top left corners of the windows, row by row.
fn corners(rows: usize, columns: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(side).flat_map(move |top| (0..columns).step_by(side).map(move |left| (top, left)))
}

impl VisionTower {
    pub(crate) fn load(weights: &Weights, config: &VisionConfig) -> std::result::Result<Self, EngineError> {
        let c = config;
        let convolution = weights.get(
            "visual.patch_embed.proj.weight",
            &[c.hidden_size, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size],
        )?;
        // A convolution whose stride is its kernel is one matrix product over flattened patches.
        let convolution = convolution.reshape((c.hidden_size, c.patch_values()))?;
        let patch_embed = Linear::from_matrix(Matrix::Dense(convolution))?;
        let blocks =
            (0..c.depth).map(|i| Block::load(weights, i, c)).collect::<std::result::Result<_, _>>()?;
        Ok(Self { patch_embed, blocks, merger: Merger::load(weights, c)?, config: c.clone() })
    }

    /// Visual tokens of all images, in order. `each_block` sees every block's output, in window order.
    ///
    /// # Shapes
    /// patches: (N, C * frames * p * p) in the processor's order; result: (M, out_hidden_size).
    pub(crate) fn forward(
        &self,
        patches: &Tensor,
        grids: &[Grid],
        each_block: OnLayer<'_>,
    ) -> Result<Tensor> {
        let layout = Layout::new(grids, &self.config);
        let unit = self.config.spatial_merge_size.pow(2);
        let table = Arc::new(RotaryTable::for_vision(&layout.rows_columns, self.config.head_dim()));
        let device = patches.device();
        let x = self.patch_embed.forward(patches)?;
        let mut x = reorder(&x, &layout.window_order, unit, device)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let whole = self.config.fullatt_block_indexes.contains(&i);
            let sequences = if whole { &layout.frames } else { &layout.windows };
            x = block.forward(&x, sequences, &table)?;
            each_block(i, &x);
        }
        let merged = self.merger.forward(&x, unit)?;
        reorder(&merged, &layout.image_order, 1, device)
    }
}

/// Permutes groups of `unit` rows.
fn reorder(x: &Tensor, order: &[u32], unit: usize, device: &Device) -> Result<Tensor> {
    let (n, d) = x.dims2()?;
    let index = Tensor::from_slice(order, order.len(), device)?;
    x.reshape((n / unit, unit * d))?.index_select(&index, 0)?.reshape((n, d))
}

impl Block {
    fn load(weights: &Weights, index: usize, c: &VisionConfig) -> std::result::Result<Self, EngineError> {
        let name = |part: &str| format!("visual.blocks.{index}.{part}");
        let linear = |part: &str, n_out, n_in| Linear::load(weights, &name(part), n_out, n_in, Bias::Present);
        let (d, f) = (c.hidden_size, c.intermediate_size);
        Ok(Self {
            norm1: weights.get(&name("norm1.weight"), &[d])?,
            norm2: weights.get(&name("norm2.weight"), &[d])?,
            qkv: linear("attn.qkv", 3 * d, d)?,
            proj: linear("attn.proj", d, d)?,
            mlp: Mlp::load(weights, &name("mlp"), d, f, Bias::Present)?,
            n_heads: c.num_heads,
            operands: weights.format().operands(),
        })
    }

    /// `x`: (N, D) in window order.
    fn forward(&self, x: &Tensor, sequences: &[usize], table: &Arc<RotaryTable>) -> Result<Tensor> {
        let h = rms_norm(x, &self.norm1, EPS)?;
        let x = self.proj.forward_onto(x, &self.attend(&h, sequences, table)?)?;
        self.mlp.forward_onto(&x, &rms_norm(&x, &self.norm2, EPS)?)
    }

    fn attend(&self, x: &Tensor, sequences: &[usize], table: &Arc<RotaryTable>) -> Result<Tensor> {
        let (n, d) = x.dims2()?;
        let (h, head_dim) = (self.n_heads, d / self.n_heads);
        let qkv = self.qkv.forward(x)?;
        // The three lie side by side in every row; a view is enough to read them.
        let part = |i: usize| qkv.reshape((n, 3, h, head_dim))?.narrow(1, i, 1)?.squeeze(1);
        let (q, k) = (rotary(&part(0)?, table)?, rotary(&part(1)?, table)?);
        let mut outputs = Vec::new();
        let mut from = 0;
        // Sequences of equal length that follow each other are one batch.
        for run in sequences.chunk_by(|a, b| a == b) {
            let (b, t) = (run.len(), run[0]);
            let cut = |x: &Tensor| x.narrow(0, from, b * t)?.reshape((b, t, h, head_dim));
            let v =
                qkv.narrow(0, from, b * t)?.reshape((b, t, 3, h, head_dim))?.narrow(2, 2, 1)?.squeeze(2)?;
            let out =
                attention(&cut(&q)?, &cut(&k)?.transpose(1, 2)?, &v.transpose(1, 2)?, None, self.operands)?;
            outputs.push(out.reshape((b * t, d))?);
            from += b * t;
        }
        if outputs.len() == 1 { Ok(outputs.remove(0)) } else { Tensor::cat(&outputs, 0) }
    }
}

impl Merger {
    fn load(weights: &Weights, c: &VisionConfig) -> std::result::Result<Self, EngineError> {
        let wide = c.hidden_size * c.spatial_merge_size.pow(2);
        Ok(Self {
            norm: weights.get("visual.merger.ln_q.weight", &[c.hidden_size])?,
            first: Linear::load(weights, "visual.merger.mlp.0", wide, wide, Bias::Present)?,
            second: Linear::load(weights, "visual.merger.mlp.2", c.out_hidden_size, wide, Bias::Present)?,
        })
    }

    /// (N, D) → (M, out): `unit` consecutive patches are one merged patch.
    fn forward(&self, x: &Tensor, unit: usize) -> Result<Tensor> {
        let (n, d) = x.dims2()?;
        let h = rms_norm(x, &self.norm, EPS)?.reshape((n / unit, unit * d))?;
        self.second.forward(&self.first.forward(&h)?.gelu_erf()?)
    }
}
