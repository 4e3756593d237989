//! Activations in the layout the kernels read. Invariant: every value of a tile is either in its 8-bit part or
//! in its outliers, never in both.

use rayon::prelude::*;

use crate::lanes::{largest_magnitude, raise, to_8_bits};
use crate::{BLOCK, GROUP, GROUPS, Isa, PART, PARTS};

/// Rows that one kernel call multiplies at most: 12 rows by 2 panels fill the 32 registers of AVX-512.
pub(crate) const MAX_ROWS: usize = 12;
/// Row counts that kernels exist for.
const ROW_COUNTS: [usize; 5] = [1, 2, 4, 8, MAX_ROWS];
/// A channel whose largest value exceeds this many times the root mean square of all values is an outlier.
const OUTLIER_RATIO: f32 = 8.0;
/// Rows that one thread looks through for outliers at a time.
const ROWS_PER_PART: usize = 64;
/// More outliers than this share of the channels are no outliers but another distribution.
const MAX_OUTLIER_SHARE: f32 = 1.0 / 32.0;

/// A few rows, quantized.
#[derive(Debug)]
pub(crate) struct Tile {
    /// First row of the matrix.
    pub(crate) first_row: usize,
    /// Rows of the matrix in it.
    pub(crate) n_rows: usize,
    /// Rows it is laid out for; those beyond `n_rows` are 0.
    pub(crate) height: usize,
    /// 8-bit values: `[block][group][row][4]`.
    pub(crate) values: Vec<i8>,
    /// Scale of each row in each block: `[block][row]`.
    pub(crate) scales: Vec<f32>,
    /// Sum of the 8-bit values of each row in each block: `[block][row]`.
    pub(crate) sums: Vec<i32>,
    /// Sum of the 8-bit values of each row in each part of a block: `[block][part][row]`.
    pub(crate) part_sums: Vec<i32>,
    /// Values of the outlier channels, 0 where the channel is none of the row's: `[outlier][row]`.
    pub(crate) outliers: Vec<f32>,
}

/// Whose largest values make a channel an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Those of all rows, which belong together: the tokens of a prompt, the patches of a picture.
    Together,
    /// Of each row its own, so that a row gets what it would get alone.
    Apart,
}

/// All rows, and which channels are outliers of any.
#[derive(Debug)]
pub(crate) struct Activations {
    pub(crate) n_rows: usize,
    pub(crate) n_in: usize,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) outlier_channels: Vec<usize>,
}

impl Activations {
    /// Quantizes `x`, rows of `n_in` values.
    ///
    /// # Panics
    /// If that is not what `x` holds (caller's bug).
    pub(crate) fn quantize(isa: Isa, x: &[f32], n_in: usize, rows: Rows) -> Self {
        let n_rows = x.len() / n_in.max(1);
        assert_eq!(x.len(), n_rows * n_in, "rows of {n_in} values");
        let outliers = match rows {
            Rows::Together => Outliers { of_all: outlier_channels(isa, x, n_in), of_row: Vec::new() },
            Rows::Apart => Outliers::apart(isa, x, n_in),
        };
        let starts: Vec<usize> = (0..n_rows).step_by(MAX_ROWS).collect();
        let tile = |&first_row: &usize| {
            let rows = &x[first_row * n_in..x.len().min((first_row + MAX_ROWS) * n_in)];
            Tile::quantize(isa, rows, n_in, first_row, &outliers)
        };
        let tiles = if n_rows > MAX_ROWS {
            starts.par_iter().map(tile).collect()
        } else {
            starts.iter().map(tile).collect()
        };
        Self { n_rows, n_in, tiles, outlier_channels: outliers.of_all }
    }
}

/// Channels that are multiplied in f32, in ascending order.
struct Outliers {
    /// Those of any row.
    of_all: Vec<usize>,
    /// Those of each row; empty if all have those of any.
    of_row: Vec<Vec<usize>>,
}

impl Outliers {
    fn apart(isa: Isa, x: &[f32], n_in: usize) -> Self {
        let of_row: Vec<Vec<usize>> =
            x.chunks_exact(n_in.max(1)).map(|row| outlier_channels(isa, row, n_in)).collect();
        let mut of_all = of_row.concat();
        of_all.sort_unstable();
        of_all.dedup();
        Self { of_all, of_row }
    }

    fn has(&self, row: usize, channel: usize) -> bool {
        self.of_row.get(row).is_none_or(|channels| channels.binary_search(&channel).is_ok())
    }
}

/// Channels that would spoil the resolution of their blocks, in ascending order.
fn outlier_channels(isa: Isa, x: &[f32], n_in: usize) -> Vec<usize> {
    if x.is_empty() {
        return Vec::new();
    }
    let of_rows = |rows: &[f32]| {
        let mut most = vec![0.0_f32; n_in];
        let squares: f32 = rows.chunks_exact(n_in).map(|row| raise(isa, row, &mut most)).sum();
        (squares, most)
    };
    let parts: Vec<(f32, Vec<f32>)> = match x.len() / n_in > MAX_ROWS {
        true => x.par_chunks(n_in * ROWS_PER_PART).map(of_rows).collect(),
        false => vec![of_rows(x)],
    };
    let sum_of_squares: f32 = parts.iter().map(|(squares, _)| squares).sum();
    // The outliers themselves raise the mean; the median of the channels' maxima is not moved by them.
    let mut largest = vec![0.0_f32; n_in];
    for (_, most) in &parts {
        largest.iter_mut().zip(most).for_each(|(largest, most)| *largest = largest.max(*most));
    }
    let mut sorted = largest.clone();
    let (_, median, _) = sorted.select_nth_unstable_by(n_in / 2, f32::total_cmp);
    let rms = (sum_of_squares / x.len() as f32).sqrt();
    let limit = OUTLIER_RATIO * rms.min(*median);
    let found: Vec<usize> = (0..n_in).filter(|&channel| largest[channel] > limit).collect();
    if found.len() as f32 > (n_in as f32 * MAX_OUTLIER_SHARE).max(1.0) { Vec::new() } else { found }
}

impl Tile {
    fn quantize(isa: Isa, x: &[f32], n_in: usize, first_row: usize, outliers: &Outliers) -> Self {
        let outlier_channels = &outliers.of_all;
        let n_rows = x.len() / n_in;
        let height = ROW_COUNTS.into_iter().find(|&h| h >= n_rows).unwrap_or(MAX_ROWS);
        let n_blocks = n_in.div_ceil(BLOCK);
        let mut tile = Self {
            first_row,
            n_rows,
            height,
            values: vec![0; n_blocks * BLOCK * height],
            scales: vec![0.0; n_blocks * height],
            sums: vec![0; n_blocks * height],
            part_sums: vec![0; n_blocks * PARTS * height],
            outliers: vec![0.0; outlier_channels.len() * height],
        };
        let mut block = [0.0_f32; BLOCK];
        for (row, values) in x.chunks_exact(n_in).enumerate() {
            let mut next_outlier = 0;
            for b in 0..n_blocks {
                let from = b * BLOCK;
                let n = BLOCK.min(n_in - from);
                block[..n].copy_from_slice(&values[from..from + n]);
                block[n..].fill(0.0);
                while let Some(&channel) = outlier_channels.get(next_outlier).filter(|&&c| c < from + n) {
                    if outliers.has(first_row + row, channel) {
                        tile.outliers[next_outlier * height + row] = block[channel - from];
                        block[channel - from] = 0.0;
                    }
                    next_outlier += 1;
                }
                tile.set_block(isa, b, row, &block);
            }
        }
        tile
    }

    fn set_block(&mut self, isa: Isa, b: usize, row: usize, block: &[f32; BLOCK]) {
        let largest = largest_magnitude(isa, block);
        let (scale, inverse) = if largest > 0.0 { (largest / 127.0, 127.0 / largest) } else { (0.0, 0.0) };
        self.scales[b * self.height + row] = scale;
        let mut quantized = [0_i8; BLOCK];
        to_8_bits(isa, block, inverse, &mut quantized);
        for (part, values) in quantized.chunks_exact(PART).enumerate() {
            let sum: i32 = values.iter().map(|&q| i32::from(q)).sum();
            self.part_sums[(b * PARTS + part) * self.height + row] = sum;
            self.sums[b * self.height + row] += sum;
        }
        for (group, values) in quantized.chunks_exact(GROUP).enumerate() {
            let at = ((b * GROUPS + group) * self.height + row) * GROUP;
            self.values[at..at + GROUP].copy_from_slice(values);
        }
    }
}
