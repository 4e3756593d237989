//! Image resize, bit-equal to Pillow 12 on RGB8, because the networks were trained on its pixels.
//!
//! Invariant: the horizontal pass always runs first and rounds to bytes before the vertical pass. Pillow 12.3
//! and older do the same; Pillow 13 chooses the order by size and differs by up to 24 on real screenshots.
//! Parity is checked by `tests/pillow_parity.rs` against hashes written by `reference/pillow_resize.py`.

use std::ops::Range;

use image::RgbImage;
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

/// A reconstruction filter. Both widen when an image shrinks, so that no source pixel is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Cubic convolution with a = -0.5, two pixels to each side.
    Bicubic,
    /// Windowed sinc, three pixels to each side.
    Lanczos,
}

impl Filter {
    /// Reach to each side, in source pixels, when the image is not reduced.
    fn support(self) -> f64 {
        match self {
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// Weight of a source pixel at `distance` from the center.
    fn weight(self, distance: f64) -> f64 {
        match self {
            Self::Bicubic => bicubic(distance.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&distance) => sinc(distance) * sinc(distance / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

// The order of the operations below is part of the contract: another order rounds some weights differently.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Resizes the whole image.
///
/// # Panics
/// If a side of the image or of the target is 0: [`vigorl_geometry::fit`] refuses such images.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let (old_width, old_height) = image.dimensions();
    assert!(old_width.min(old_height).min(width).min(height) > 0, "cannot resize from or to an empty image");
    // A pass that keeps its side is skipped; with all weights 1 it would not change a byte.
    let rows = (old_height != height).then(|| Taps::new(old_height as usize, height as usize, filter));
    let needed = rows.as_ref().map_or(0..old_height as usize, Taps::reach);
    let old_row_len = old_width as usize * 3;
    let old_bytes = &image.as_raw()[needed.start * old_row_len..needed.end * old_row_len];
    let narrowed = if old_width == width {
        old_bytes.to_vec()
    } else {
        let columns = Taps::new(old_width as usize, width as usize, filter);
        horizontal_pass(old_bytes, old_row_len, &columns)
    };
    let bytes = match rows {
        Some(rows) => vertical_pass(narrowed, width as usize * 3, needed.start, &rows),
        None => narrowed,
    };
    RgbImage::from_raw(width, height, bytes).expect("both passes produce width * height * 3 bytes")
}

/// Weights are integers with this many fraction bits: 32 less the 8 of a byte and 2 for overshoot.
const FRACTION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// For every output position the source positions it reads, and their weights.
struct Taps {
    sources: Vec<Range<usize>>,
    weights: Vec<i32>,
    /// Weights per output position in `weights`, used or not.
    stride: usize,
}

impl Taps {
    fn new(old_side: usize, new_side: usize, filter: Filter) -> Self {
        let scale = old_side as f64 / new_side as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let stride = support.ceil() as usize * 2 + 1;
        let mut taps =
            Self { sources: Vec::with_capacity(new_side), weights: vec![0; new_side * stride], stride };
        let mut exact = vec![0.0; stride];
        for (idx, weights) in taps.weights.chunks_exact_mut(stride).enumerate() {
            let center = (idx as f64 + 0.5) * scale;
            // Casts to usize truncate and stop at 0, as intended.
            let first = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(old_side);
            let exact = &mut exact[..end - first];
            for (offset, weight) in exact.iter_mut().enumerate() {
                let distance = (offset + first) as f64 - center + 0.5;
                *weight = filter.weight(distance * (1.0 / stretch));
            }
            let total: f64 = exact.iter().sum();
            for (fixed, weight) in weights.iter_mut().zip(exact) {
                *fixed = to_fixed(if total == 0.0 { *weight } else { *weight / total });
            }
            taps.sources.push(first..end);
        }
        taps
    }

    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[i32])> {
        (0..self.sources.len()).map(|idx| self.get(idx))
    }

    fn get(&self, idx: usize) -> (Range<usize>, &[i32]) {
        let range = self.sources[idx].clone();
        let first = idx * self.stride;
        let weights = &self.weights[first..first + range.len()];
        (range, weights)
    }

    /// All source positions that are read at all.
    fn reach(&self) -> Range<usize> {
        let first = self.sources.first().map_or(0, |range| range.start);
        first..self.sources.last().map_or(first, |range| range.end)
    }
}

/// Rounds half away from zero.
fn to_fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << FRACTION_BITS) + 0.5_f64.copysign(weight)) as i32
}

/// Rows that one thread takes at least: fewer cost more to hand out than to compute.
const MIN_ROWS: usize = 64;

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Changes the width of every row.
fn horizontal_pass(bytes: &[u8], old_row_len: usize, columns: &Taps) -> Vec<u8> {
    let row_len = columns.sources.len() * 3;
    let mut out = vec![0; bytes.len() / old_row_len * row_len];
    let rows = out.par_chunks_exact_mut(row_len).zip(bytes.par_chunks_exact(old_row_len));
    rows.with_min_len(MIN_ROWS).for_each(|(row, old_row)| {
        for (pixel, (range, weights)) in row.chunks_exact_mut(3).zip(columns.iter()) {
            let mut sums = [HALF; 3];
            let old_pixels = old_row[range.start * 3..range.end * 3].chunks_exact(3);
            for (old_pixel, &weight) in old_pixels.zip(weights) {
                for (sum, &byte) in sums.iter_mut().zip(old_pixel) {
                    *sum = plus_weighted(*sum, byte, weight);
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sums) {
                *byte = to_byte(sum);
            }
        }
    });
    out
}

/// Bytes of a row that are summed together: few enough for their sums to stay in vector registers.
const LANES: usize = 16;

/// Changes the height; `bytes` begins with row `first_row` of the source.
fn vertical_pass(mut bytes: Vec<u8>, row_len: usize, first_row: usize, rows: &Taps) -> Vec<u8> {
    // Spare bytes let the last block of a row be whole; what it reads beyond its row is thrown away.
    bytes.resize(bytes.len() + LANES, 0);
    let mut out = vec![0; rows.sources.len() * row_len];
    let out_rows = out.par_chunks_exact_mut(row_len).enumerate();
    let arch = Arch::new();
    out_rows.with_min_len(MIN_ROWS).for_each(|(idx, row)| {
        let (range, weights) = rows.get(idx);
        let old_rows = &bytes[(range.start - first_row) * row_len..];
        arch.dispatch(BlendRows { row, old_rows, weights });
    });
    out
}

/// One row of [`vertical_pass`]. A type instead of a closure, because only this way the processor's vector
/// instructions reach the loop inside.
struct BlendRows<'a> {
    row: &'a mut [u8],
    /// From the first row that is read.
    old_rows: &'a [u8],
    weights: &'a [i32],
}

impl NullaryFnOnce for BlendRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { row, old_rows, weights } = self;
        let row_len = row.len();
        for (block_idx, block) in row.chunks_mut(LANES).enumerate() {
            let mut start = block_idx * LANES;
            let mut sums = [HALF; LANES];
            for &weight in weights {
                for (sum, &byte) in sums.iter_mut().zip(&old_rows[start..start + LANES]) {
                    *sum = plus_weighted(*sum, byte, weight);
                }
                start += row_len;
            }
            let whole = sums.map(to_byte);
            block.copy_from_slice(&whole[..block.len()]);
        }
    }
}

/// The weights of one position sum to 1 with an overshoot far below 2, so no sum can wrap; wrapping
/// arithmetic only keeps overflow checks out of the inner loops.
#[inline(always)]
fn plus_weighted(sum: i32, byte: u8, weight: i32) -> i32 {
    sum.wrapping_add(weight.wrapping_mul(i32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_image_stays_flat_at_any_size() {
        let image = RgbImage::from_pixel(31, 17, image::Rgb([3, 128, 255]));
        for filter in [Filter::Bicubic, Filter::Lanczos] {
            for (width, height) in [(1, 1), (31, 5), (5, 17), (200, 3)] {
                let resized = resize(&image, width, height, filter);
                assert_eq!(resized.dimensions(), (width, height));
                assert!(
                    resized.pixels().all(|pixel| pixel.0 == [3, 128, 255]),
                    "{filter:?} {width}x{height}"
                );
            }
        }
    }
}
