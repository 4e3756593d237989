//! A quantized weight matrix and its product with activations.
//!
//! Invariant: panels cover `n_out` rounded up to [`LANES`] and blocks cover `n_in` rounded up to [`BLOCK`];
//! what is beyond the matrix has scale 0, so it adds nothing.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::activations::{Activations, MAX_ROWS, Tile};
use crate::avx512;
use crate::isa::Isa;
use crate::lanes::{add_products, rounded};
use crate::portable;
use crate::{BLOCK, GROUP, GROUPS, LANES};

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 8 bits, symmetric; one f32 scale per output and 64 inputs: 8.5 bits a weight.
    Bits8,
    /// 4 bits, with a scale and a minimum (bf16 each) per output and 32 inputs: 5 bits a weight.
    Bits4,
}

/// What is added to a product.
#[derive(Debug, Clone, Copy, Default)]
pub struct Added<'a> {
    /// One value per output.
    pub bias: Option<&'a [f32]>,
    /// One value per row and output: what the product is a correction of.
    pub base: Option<&'a [f32]>,
}

/// 64 bytes, aligned to a cache line and a vector register.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

/// Panels of quantized weights.
#[derive(Debug, Clone)]
pub(crate) enum Panels {
    /// Each line is a group: 16 outputs x 4 inputs, value + 128. `scales`: `[panel][block][lane]`.
    Bits8 { lines: Vec<Line>, scales: Vec<[f32; LANES]> },
    /// Each line is two groups: group g of the block's first half in the low nibbles, of its second half in
    /// the high ones. `scales`, `minima`: `[panel][block][half][lane]`, as the upper halves of f32.
    Bits4 { lines: Vec<Line>, scales: Vec<[u16; LANES]>, minima: Vec<[u16; LANES]> },
}

/// A weight matrix (out, in), quantized.
#[derive(Debug, Clone)]
pub struct QuantizedMatrix {
    n_out: usize,
    n_in: usize,
    panels: Panels,
}

/// Lines of a block in each format.
pub(crate) const LINES_8: usize = GROUPS;
pub(crate) const LINES_4: usize = GROUPS / 2;

impl QuantizedMatrix {
    /// Quantizes a matrix whose rows (`n_in` values for each of `n_out` outputs) are given by `row`, on all
    /// threads.
    pub fn quantize(
        n_out: usize,
        n_in: usize,
        format: Format,
        row: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let (n_panels, n_blocks) = (n_out.div_ceil(LANES), n_in.div_ceil(BLOCK));
        let read_panel = |panel: usize| {
            let mut rows = vec![0.0_f32; LANES * n_blocks * BLOCK];
            for (lane, values) in rows.chunks_exact_mut(n_blocks * BLOCK).enumerate() {
                if panel * LANES + lane < n_out {
                    row(panel * LANES + lane, &mut values[..n_in]);
                }
            }
            rows
        };
        let panels = match format {
            Format::Bits8 => {
                let mut lines = vec![Line([128; 64]); n_panels * n_blocks * LINES_8];
                let mut scales = vec![[0.0; LANES]; n_panels * n_blocks];
                lines
                    .par_chunks_mut((n_blocks * LINES_8).max(1))
                    .zip(scales.par_chunks_mut(n_blocks.max(1)))
                    .enumerate()
                    .for_each(|(panel, (lines, scales))| pack_8(&read_panel(panel), lines, scales));
                Panels::Bits8 { lines, scales }
            }
            Format::Bits4 => {
                let mut lines = vec![Line([0; 64]); n_panels * n_blocks * LINES_4];
                let mut scales = vec![[0; LANES]; n_panels * n_blocks * 2];
                let mut minima = scales.clone();
                lines
                    .par_chunks_mut((n_blocks * LINES_4).max(1))
                    .zip(scales.par_chunks_mut((n_blocks * 2).max(1)))
                    .zip(minima.par_chunks_mut((n_blocks * 2).max(1)))
                    .enumerate()
                    .for_each(|(panel, ((lines, scales), minima))| {
                        pack_4(&read_panel(panel), lines, scales, minima);
                    });
                Panels::Bits4 { lines, scales, minima }
            }
        };
        Self { n_out, n_in, panels }
    }

    /// Outputs.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// Inputs.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Memory it takes.
    pub fn n_bytes(&self) -> usize {
        match &self.panels {
            Panels::Bits8 { lines, scales } => size_of_val(&lines[..]) + size_of_val(&scales[..]),
            Panels::Bits4 { lines, scales, minima } => {
                size_of_val(&lines[..]) + size_of_val(&scales[..]) + size_of_val(&minima[..])
            }
        }
    }

    /// The weights of one output, as the product sees them.
    ///
    /// # Panics
    /// If there is no such output (caller's bug).
    pub fn row(&self, output: usize) -> Vec<f32> {
        assert!(output < self.n_out, "output {output} of {}", self.n_out);
        let (panel, lane) = (output / LANES, output % LANES);
        (0..self.n_in).map(|input| self.column(panel, input)[lane]).collect()
    }

    /// `x W^T (+ bias + base)` on all threads.
    ///
    /// # Shapes
    /// x: rows of `n_in`; bias: `n_out`; base and the result: rows of `n_out`.
    ///
    /// # Panics
    /// If the lengths do not fit (caller's bug).
    pub fn multiply(&self, isa: Isa, x: &[f32], added: Added<'_>) -> Vec<f32> {
        let mut y = Vec::new();
        self.multiply_into(isa, &Activations::quantize(isa, x, self.n_in), added, &mut y);
        y
    }

    /// Replaces `y` by the product: memory that it has is used again, and none is cleared.
    pub(crate) fn multiply_into(&self, isa: Isa, x: &Activations, added: Added<'_>, y: &mut Vec<f32>) {
        let len = x.n_rows * self.n_out;
        y.clear();
        y.reserve_exact(len);
        self.fill(isa, x, added, &mut y.spare_capacity_mut()[..len]);
        // SAFETY: `fill` wrote all of it.
        #[expect(unsafe_code, reason = "memory that was just written")]
        unsafe {
            y.set_len(len);
        }
    }

    /// Writes every value of `y`.
    fn fill(&self, isa: Isa, x: &Activations, added: Added<'_>, y: &mut [MaybeUninit<f32>]) {
        assert_eq!((x.n_in, y.len()), (self.n_in, x.n_rows * self.n_out), "shapes of a product");
        assert!(added.bias.is_none_or(|bias| bias.len() == self.n_out), "length of the bias");
        assert!(added.base.is_none_or(|base| base.len() == y.len()), "length of the base");
        let n_panels = self.n_out.div_ceil(LANES);
        let width = panels_at_once(x);
        // Few large pieces: a panel's weights are read once for all rows, from the cache after the first tile.
        let n_units = n_panels.div_ceil(width);
        let per_piece = n_units.div_ceil(4 * rayon::current_num_threads()).max(1);
        let output = Output { y: y.as_mut_ptr(), n_out: self.n_out };
        (0..n_units.div_ceil(per_piece)).into_par_iter().for_each(|piece| {
            let mut sums = vec![[0.0_f32; LANES]; MAX_ROWS * width];
            let units = piece * per_piece..n_units.min((piece + 1) * per_piece);
            // Blocks of rows that stay in the second-level cache while the piece's panels pass over them.
            for tiles in x.tiles.chunks(rows_in_cache(self.n_in)) {
                for unit in units.clone() {
                    let panels = unit * width..n_panels.min((unit + 1) * width);
                    let columns = self.columns(&x.outlier_channels, panels.clone());
                    for tile in tiles {
                        self.multiply_tile(isa, tile, &columns, panels.clone(), &mut sums);
                        // SAFETY: this piece alone writes the columns of its panels.
                        #[expect(unsafe_code, reason = "threads write different columns of one output")]
                        unsafe {
                            output.write(tile, panels.clone(), &sums, added);
                        }
                    }
                }
            }
        });
    }

    /// `columns`: those of the outlier channels, `[outlier][panel][lane]`; `sums`: `[row][panel][lane]`.
    fn multiply_tile(
        &self,
        isa: Isa,
        tile: &Tile,
        columns: &[[f32; LANES]],
        panels: std::ops::Range<usize>,
        sums: &mut [[f32; LANES]],
    ) {
        let n = panels.len();
        let sums = &mut sums[..tile.height * n];
        match isa {
            Isa::Avx512Vnni => avx512::multiply(&self.panels, self.n_in, tile, panels.clone(), sums),
            Isa::Portable => portable::multiply(&self.panels, self.n_in, tile, panels.clone(), sums),
        }
        if !columns.is_empty() {
            add_products(isa, &tile.outliers, columns, sums, n);
        }
    }

    /// The weights of some inputs: `[input][panel][lane]`.
    fn columns(&self, inputs: &[usize], panels: std::ops::Range<usize>) -> Vec<[f32; LANES]> {
        inputs.iter().flat_map(|&input| panels.clone().map(move |panel| self.column(panel, input))).collect()
    }

    /// The weights of a panel's outputs for one input.
    fn column(&self, panel: usize, input: usize) -> [f32; LANES] {
        let n_blocks = self.n_in.div_ceil(BLOCK);
        let (block, group, at) = (input / BLOCK, input % BLOCK / GROUP, input % GROUP);
        let index = panel * n_blocks + block;
        match &self.panels {
            Panels::Bits8 { lines, scales } => {
                let (line, scales) = (&lines[index * LINES_8 + group].0, &scales[index]);
                std::array::from_fn(|lane| (f32::from(line[lane * GROUP + at]) - 128.0) * scales[lane])
            }
            Panels::Bits4 { lines, scales, minima } => {
                let half = group / LINES_4;
                let line = &lines[index * LINES_4 + group % LINES_4].0;
                let (scales, minima) = (&scales[index * 2 + half], &minima[index * 2 + half]);
                std::array::from_fn(|lane| {
                    let nibble = line[lane * GROUP + at] >> (4 * half) & 15;
                    f32::from(nibble) * widened(scales[lane]) + widened(minima[lane])
                })
            }
        }
    }
}

/// Panels that one kernel call multiplies: many for few rows, so that several weight streams hide latency.
fn panels_at_once(x: &Activations) -> usize {
    match x.tiles.first().map_or(1, |tile| tile.height) {
        1 | 2 => 4,
        _ => 2,
    }
}

/// Tiles whose activations fit half of a second-level cache of 1 MiB.
fn rows_in_cache(n_in: usize) -> usize {
    ((512 << 10) / (n_in.max(1) * MAX_ROWS)).max(1)
}

/// One output matrix, written by several threads.
#[derive(Clone, Copy)]
struct Output {
    y: *mut MaybeUninit<f32>,
    n_out: usize,
}

// SAFETY: threads write different columns; see `multiply`.
#[expect(unsafe_code, reason = "threads write different columns of one output")]
unsafe impl Sync for Output {}

impl Output {
    /// Writes the rows of a tile for the outputs of `panels`.
    ///
    /// # Safety
    /// The output has all rows of the tile, and nobody else writes these columns meanwhile.
    #[expect(unsafe_code, reason = "threads write different columns of one output")]
    unsafe fn write(
        &self,
        tile: &Tile,
        panels: std::ops::Range<usize>,
        sums: &[[f32; LANES]],
        added: Added<'_>,
    ) {
        let n = panels.len();
        for row in 0..tile.n_rows {
            for (p, panel) in panels.clone().enumerate() {
                let first = panel * LANES;
                let width = LANES.min(self.n_out - first);
                let at = (tile.first_row + row) * self.n_out + first;
                // SAFETY: inside the matrix by the caller's promise; `width` ends at the row's end.
                let to = unsafe { std::slice::from_raw_parts_mut(self.y.add(at), width) };
                let mut values = sums[row * n + p];
                for summand in [added.bias.map(|bias| &bias[first..]), added.base.map(|base| &base[at..])] {
                    values.iter_mut().zip(summand.unwrap_or_default()).for_each(|(v, s)| *v += s);
                }
                to.write_copy_of_slice(&values[..width]);
            }
        }
    }
}

/// The upper half of an f32 as an f32.
pub(crate) fn widened(upper: u16) -> f32 {
    f32::from_bits(u32::from(upper) << 16)
}

/// The upper half of the nearest f32 that has only that.
fn narrowed(value: f32) -> u16 {
    let bits = value.to_bits();
    // Round to nearest, halves to even.
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// `rows`: `[lane][input]`.
fn pack_8(rows: &[f32], lines: &mut [Line], scales: &mut [[f32; LANES]]) {
    let n_in = scales.len() * BLOCK;
    for (lane, row) in rows.chunks_exact(n_in).enumerate() {
        for (block, values) in row.chunks_exact(BLOCK).enumerate() {
            let largest = values.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
            scales[block][lane] = largest / 127.0;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            for (i, value) in values.iter().enumerate() {
                let quantized = rounded(value * inverse) as i32 + 128;
                lines[block * LINES_8 + i / GROUP].0[lane * GROUP + i % GROUP] = quantized as u8;
            }
        }
    }
}

fn pack_4(rows: &[f32], lines: &mut [Line], scales: &mut [[u16; LANES]], minima: &mut [[u16; LANES]]) {
    let n_in = scales.len() * BLOCK / 2;
    for (lane, row) in rows.chunks_exact(n_in).enumerate() {
        for (half, values) in row.chunks_exact(BLOCK / 2).enumerate() {
            let (scale, minimum) = best_steps(values);
            scales[half][lane] = scale;
            minima[half][lane] = minimum;
            let (scale, minimum) = (widened(scale), widened(minimum));
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            for (i, value) in values.iter().enumerate() {
                let nibble = rounded((value - minimum) * inverse).clamp(0.0, 15.0) as u8;
                let line = &mut lines[half / 2 * LINES_4 + i / GROUP].0;
                line[lane * GROUP + i % GROUP] |= nibble << (4 * (half % 2));
            }
        }
    }
}

/// Scale and minimum of 16 steps over `values` with the least squared error among some clipped ranges: the
/// outermost values cost more resolution than they are worth.
fn best_steps(values: &[f32]) -> (u16, u16) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut best = (f32::INFINITY, (0, narrowed(low)));
    for clip in [1.0, 0.95, 0.9, 0.85, 0.8] {
        let (middle, reach) = ((low + high) / 2.0, (high - low) / 2.0 * clip);
        let steps = (narrowed(2.0 * reach / 15.0), narrowed(middle - reach));
        let (scale, minimum) = (widened(steps.0), widened(steps.1));
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let error: f32 = values
            .iter()
            .map(|v| {
                let step = rounded((v - minimum) * inverse).clamp(0.0, 15.0);
                (v - minimum - step * scale).powi(2)
            })
            .sum();
        if error < best.0 {
            best = (error, steps);
        }
    }
    best.1
}
