//! Position ids with three axes (time, height, width) and the rotary tables made from them.
//!
//! Source: transformers `Qwen2_5_VLModel.get_rope_index` for images (videos are not used here): text tokens
//! advance all three axes together; an image's merged patches keep the time of its start and count rows and
//! columns from there; the next text token follows the largest id so far. The frequencies of a head are
//! divided among the axes by `mrope_section`.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use crate::config::{Config, TextConfig};

/// Patches of one image: frames, rows, columns, before merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Frame groups, 1 for a still image.
    pub t: usize,
    /// Rows of patches.
    pub h: usize,
    /// Columns of patches.
    pub w: usize,
}

impl Grid {
    /// Number of patches.
    pub fn n_patches(self) -> usize {
        self.t * self.h * self.w
    }

    /// Number of tokens in the decoder.
    pub fn n_tokens(self, merge_size: usize) -> usize {
        self.n_patches() / (merge_size * merge_size)
    }
}

/// Position ids of a whole sequence whose image pads are already expanded.
///
/// A run of pads that belongs to no grid, or a grid with too few pads, is the caller's bug.
///
/// # Panics
/// If pads and grids do not match.
pub fn position_ids(ids: &[u32], grids: &[Grid], config: &Config) -> Vec<[u32; 3]> {
    let merge = config.vision.spatial_merge_size;
    let mut positions = Vec::with_capacity(ids.len());
    let (mut next, mut grids) = (0_u32, grids.iter());
    while positions.len() < ids.len() {
        if ids[positions.len()] != config.image_token_id {
            positions.push([next; 3]);
            next += 1;
            continue;
        }
        let grid = grids.next().expect("every run of image pads has a grid");
        let (rows, columns) = (grid.h / merge, grid.w / merge);
        let end = positions.len() + grid.n_tokens(merge);
        assert!(
            end <= ids.len() && ids[end - 1] == config.image_token_id,
            "an image has as many pads as merged patches"
        );
        for index in 0..grid.n_tokens(merge) {
            let (row, column) = (index / columns % rows, index % columns);
            positions.push([next, next + row as u32, next + column as u32]);
        }
        next += rows.max(columns).max(1) as u32;
    }
    positions
}

/// The position all axes of the next text token have.
pub fn next_position(positions: &[[u32; 3]]) -> u32 {
    positions.iter().flatten().max().map_or(0, |largest| largest + 1)
}

/// Cosines and sines, one row of half a head's width per token.
#[derive(Debug, Clone)]
pub struct RotaryTable {
    /// `(rows, half)` row-major.
    pub cos: Vec<f32>,
    /// `(rows, half)` row-major.
    pub sin: Vec<f32>,
    /// Half a head's width.
    pub half: usize,
    /// Both on a device, made once for all layers.
    tensors: OnceLock<(Tensor, Tensor)>,
}

impl RotaryTable {
    /// The decoder's table for tokens at `positions`.
    pub fn for_text(positions: &[[u32; 3]], config: &TextConfig) -> Self {
        let half = config.head_dim() / 2;
        let inverse = inverse_frequencies(half, config.rope_theta);
        let [time, height, _] = config.rope_scaling.mrope_section;
        let axis = |i: usize| {
            if i < time {
                0
            } else if i < time + height {
                1
            } else {
                2
            }
        };
        Self::build(positions.len(), half, |row, i| positions[row][axis(i)] as f32 * inverse[i])
    }

    /// The vision tower's table: the first half of the frequencies turns with the row, the second with the
    /// column. `rows_columns` are patch positions in the order of the sequence.
    pub fn for_vision(rows_columns: &[[u32; 2]], head_dim: usize) -> Self {
        /// Base of the vision tower's frequencies; not in `config.json`, fixed in transformers.
        const THETA: f64 = 10_000.0;
        let half = head_dim / 2;
        let quarter = half / 2;
        let inverse = inverse_frequencies(quarter, THETA);
        Self::build(rows_columns.len(), half, |row, i| {
            rows_columns[row][i / quarter] as f32 * inverse[i % quarter]
        })
    }

    /// The same table with every sine negated: the rotation backwards.
    pub fn reversed(&self) -> Self {
        let sin = self.sin.iter().map(|s| -s).collect();
        Self { cos: self.cos.clone(), sin, half: self.half, tensors: OnceLock::new() }
    }

    /// Cosines and sines where the first `like` is and in its numbers, which must be those of all: (rows, half) each.
    pub(crate) fn tensors(&self, like: &Tensor) -> Result<(&Tensor, &Tensor)> {
        let (cos, sin) = match self.tensors.get() {
            Some(made) => made,
            None => {
                let load = |values: &[f32]| {
                    let shape = (values.len() / self.half, self.half);
                    Tensor::from_slice(values, shape, like.device())?.to_dtype(like.dtype())
                };
                let made = (load(&self.cos)?, load(&self.sin)?);
                self.tensors.get_or_init(|| made)
            }
        };
        Ok((cos, sin))
    }

    fn build(rows: usize, half: usize, angle: impl Fn(usize, usize) -> f32) -> Self {
        let angles = (0..rows * half).map(|at| angle(at / half, at % half));
        let (cos, sin) = angles.map(|a| (a.cos(), a.sin())).unzip();
        Self { cos, sin, half, tensors: OnceLock::new() }
    }
}

/// `theta^(-i/n)` for i in 0..n, computed in f32 as the reference does.
fn inverse_frequencies(n: usize, theta: f64) -> Vec<f32> {
    (0..n).map(|i| 1.0 / (theta as f32).powf(2.0 * i as f32 / (2 * n) as f32)).collect()
}
