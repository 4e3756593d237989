//! The products in plain Rust. Invariant: the same integers as the vector kernels.

use std::ops::Range;

use crate::activations::Tile;
use crate::matrix::{LINES_4, LINES_8, Line, Panels, widened};
use crate::{BLOCK, GROUP, GROUPS, LANES};

/// `sums`: `[row][panel][lane]`, overwritten.
pub(crate) fn multiply(
    weights: &Panels,
    n_in: usize,
    tile: &Tile,
    panels: Range<usize>,
    sums: &mut [[f32; LANES]],
) {
    let (n_blocks, n) = (n_in.div_ceil(BLOCK), panels.len());
    sums.fill([0.0; LANES]);
    for (p, panel) in panels.enumerate() {
        for block in 0..n_blocks {
            let index = panel * n_blocks + block;
            for row in 0..tile.height {
                let scale = tile.scales[block * tile.height + row];
                let sum = &mut sums[row * n + p];
                match weights {
                    Panels::Bits8 { lines, scales } => {
                        let lines = &lines[index * LINES_8..][..LINES_8];
                        let dots = dot_products(lines, tile, block, 0, row, 255, 0);
                        let half_sum = |half: usize| tile.half_sums[(block * 2 + half) * tile.height + row];
                        let offset = 128 * (half_sum(0) + half_sum(1));
                        for ((sum, dot), weight) in sum.iter_mut().zip(dots).zip(&scales[index]) {
                            *sum += (dot - offset) as f32 * (scale * weight);
                        }
                    }
                    Panels::Bits4 { lines, scales, minima } => {
                        let lines = &lines[index * LINES_4..][..LINES_4];
                        for half in 0..2 {
                            let dots = dot_products(lines, tile, block, half * LINES_4, row, 15, 4 * half);
                            let total = tile.half_sums[(block * 2 + half) * tile.height + row] as f32 * scale;
                            let (scales, minima) = (&scales[index * 2 + half], &minima[index * 2 + half]);
                            for lane in 0..LANES {
                                sum[lane] += dots[lane] as f32 * (scale * widened(scales[lane]));
                                sum[lane] += total * widened(minima[lane]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Dot products of a row's 8-bit values with the (masked, shifted) bytes of consecutive groups.
fn dot_products(
    lines: &[Line],
    tile: &Tile,
    block: usize,
    first_group: usize,
    row: usize,
    mask: u8,
    shift: usize,
) -> [i32; LANES] {
    let mut dots = [0_i32; LANES];
    for (group, line) in lines.iter().enumerate() {
        let at = ((block * GROUPS + first_group + group) * tile.height + row) * GROUP;
        let values = &tile.values[at..at + GROUP];
        for (dot, weights) in dots.iter_mut().zip(line.0.chunks_exact(GROUP)) {
            for (weight, value) in weights.iter().zip(values) {
                *dot += i32::from(weight >> shift & mask) * i32::from(*value);
            }
        }
    }
    dots
}
