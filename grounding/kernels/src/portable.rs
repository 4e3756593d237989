//! The products in plain Rust. Invariant: the same integers as the vector kernels.

use crate::activations::Tile;
use crate::matrix::{Format, Line, Meeting};
use crate::{GROUP, GROUPS, LANES, PART_GROUPS, PARTS};

/// `sums`: `[row][panel][lane]`, added to.
pub(crate) fn multiply(meeting: &Meeting<'_>, sums: &mut [[f32; LANES]]) {
    let Meeting { format, lines, n_blocks, panels, blocks, tile } = meeting;
    let n = panels.len();
    for (p, panel) in panels.clone().enumerate() {
        for block in blocks.clone() {
            let lines = &lines[(panel * n_blocks + block) * format.lines()..][..format.lines()];
            for row in 0..tile.height {
                let scale = tile.scales[block * tile.height + row];
                let part_sum = |part: usize| tile.part_sums[(block * PARTS + part) * tile.height + row];
                let sum = &mut sums[row * n + p];
                match format {
                    Format::Bits8 => {
                        let dots = dot_products(&lines[..GROUPS], tile, block, 0, row, 255, 0);
                        let offset = 128 * tile.sums[block * tile.height + row];
                        for (lane, (sum, dot)) in sum.iter_mut().zip(dots).enumerate() {
                            *sum += (dot - offset) as f32 * (scale * lines[GROUPS].f32(lane));
                        }
                    }
                    Format::Bits4 => {
                        for part in 0..PARTS {
                            let nibbles = &lines[part / 2 * PART_GROUPS..][..PART_GROUPS];
                            let first = part * PART_GROUPS;
                            let dots = dot_products(nibbles, tile, block, first, row, 15, 4 * (part % 2));
                            let total = part_sum(part) as f32 * scale;
                            for (lane, (sum, dot)) in sum.iter_mut().zip(dots).enumerate() {
                                let (step, minimum) = lines[GROUPS / 2 + part].steps(lane);
                                *sum += dot as f32 * (scale * step);
                                *sum += total * minimum;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The scores of one key in all lanes: each the sum of its lane's values times the key's.
pub(crate) fn scores_of_key(lanes: &[[f32; LANES]], key: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0_f32; LANES];
    for (lanes, value) in lanes.iter().zip(key) {
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum += lane * value;
        }
    }
    sums
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
