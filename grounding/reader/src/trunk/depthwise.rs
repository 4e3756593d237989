//! Convolutions of each channel with a kernel of its own.
//!
//! Invariant: a channel is copied once with its border of zeros, columns sorted by their remainder to the stride, so that
//! every tap reads neighbouring numbers.

#![expect(unsafe_code, reason = "vector instructions take pointers, threads write different channels")]

use crate::trunk::activation::{Activation, activate};
use crate::trunk::convolution::Shape;
use crate::trunk::parallel::{Out, Threads, with_scratch};
use crate::trunk::vectors::{Isa, Vector, dispatched};

/// Numbers that may be read behind a row: as many as a vector has at most.
const SLACK: usize = 16;

#[derive(Debug)]
pub(super) struct Depthwise {
    isa: Isa,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) before: [usize; 2],
    pub(super) after: [usize; 2],
    /// `[channel][row][column]`.
    weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) activation: Activation,
}

/// One channel.
#[derive(Clone, Copy)]
struct Channel {
    /// The first number that the first tap of the first pixel reads.
    padded: *const f32,
    /// From one row of the output to the next, in `padded`.
    row: usize,
    /// How far each tap reads from the first one.
    taps: *const usize,
    weights: *const f32,
    n_taps: usize,
    bias: f32,
    out: *mut f32,
    rows: usize,
    columns: usize,
}

impl Depthwise {
    /// `weights` are `[channel][row][column]`.
    pub(super) fn new(
        weights: &[f32],
        n: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
        [before, after]: [[usize; 2]; 2],
    ) -> Self {
        let (weights, bias) = (weights.to_vec(), vec![0.0; n]);
        Self {
            isa: Isa::detect(),
            kernel,
            stride,
            before,
            after,
            weights,
            bias,
            activation: Activation::None,
        }
    }

    pub(super) fn out_shape(&self, [channels, height, width]: Shape) -> Option<Shape> {
        let side = |axis: usize, length: usize| {
            let padded = length + self.before[axis] + self.after[axis];
            Some(padded.checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
        };
        (channels == self.bias.len()).then_some(())?;
        Some([channels, side(0, height)?, side(1, width)?])
    }

    /// # Shapes
    /// `input` is of `shape`, `out` of [`Self::out_shape`].
    pub(super) fn compute(&self, threads: Threads<'_>, input: &[f32], shape: Shape, out: &mut [f32]) {
        let Some([n, rows, columns]) = self.out_shape(shape) else { panic!("no picture of this layer") };
        let [_, height, width] = shape;
        assert_eq!((input.len(), out.len()), (n * height * width, n * rows * columns), "the shapes");
        let step = self.stride[1];
        // Columns of one remainder, one after the other.
        let part = (width + self.before[1] + self.after[1]).div_ceil(step);
        let row = part * step;
        let tap = |at: usize| {
            let [y, x] = [at / self.kernel[1], at % self.kernel[1]];
            y * row + x % step * part + x / step
        };
        let taps: Vec<usize> = (0..self.kernel[0] * self.kernel[1]).map(tap).collect();
        let out = Out::new(out);
        threads.each(n, |channel| {
            let plane = &input[channel * height * width..][..height * width];
            with_scratch(row * (height + self.before[0] + self.after[0]) + SLACK, |padded| {
                padded.fill(0.0);
                for (y, from) in plane.chunks_exact(width).enumerate() {
                    let to = &mut padded[(y + self.before[0]) * row..][..row];
                    match step {
                        1 => to[self.before[1]..][..width].copy_from_slice(from),
                        _ => from.iter().enumerate().for_each(|(x, number)| {
                            let x = x + self.before[1];
                            to[x % step * part + x / step] = *number;
                        }),
                    }
                }
                let plane = Channel {
                    padded: padded.as_ptr(),
                    row: row * self.stride[0],
                    taps: taps.as_ptr(),
                    weights: self.weights[channel * taps.len()..][..taps.len()].as_ptr(),
                    n_taps: taps.len(),
                    bias: self.bias[channel],
                    // SAFETY: the channel is in the output, and this part's alone.
                    out: unsafe { out.at(channel * rows * columns) },
                    rows,
                    columns,
                };
                // SAFETY: the last tap of the last pixel is in the last row, behind which there is the slack.
                unsafe { convolve(self.isa, plane) };
                // SAFETY: the channel is this part's alone.
                activate(self.isa, self.activation, unsafe {
                    out.slice(channel * rows * columns, rows * columns)
                });
            });
        });
    }
}

dispatched!(
    /// # Safety
    /// All taps of all pixels can be read, with a vector behind the last one; the output is nobody else's.
    fn convolve, convolve_body, (channel: Channel)
);

#[inline(always)]
unsafe fn convolve_body<V: Vector>(channel: Channel) {
    // SAFETY: the caller's.
    unsafe {
        for y in 0..channel.rows {
            let (from, out) = (channel.padded.add(y * channel.row), channel.out.add(y * channel.columns));
            let mut x = 0;
            while x + 4 * V::LANES <= channel.columns {
                let sums = pixels::<V, 4>(channel, from.add(x));
                for (n, sum) in sums.into_iter().enumerate() {
                    sum.store(out.add(x + n * V::LANES));
                }
                x += 4 * V::LANES;
            }
            while x < channel.columns {
                let [sum] = pixels::<V, 1>(channel, from.add(x));
                let n = V::LANES.min(channel.columns - x);
                if n == V::LANES {
                    sum.store(out.add(x));
                } else {
                    let mut whole = [0.0_f32; 16];
                    sum.store(whole.as_mut_ptr());
                    std::ptr::copy_nonoverlapping(whole.as_ptr(), out.add(x), n);
                }
                x += V::LANES;
            }
        }
    }
}

#[inline(always)]
unsafe fn pixels<V: Vector, const N: usize>(channel: Channel, from: *const f32) -> [V; N] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [V::splat(channel.bias); N];
        for tap in 0..channel.n_taps {
            let (from, weight) = (from.add(*channel.taps.add(tap)), V::splat(*channel.weights.add(tap)));
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = sum.plus_product(V::load(from.add(n * V::LANES)), weight);
            }
        }
        sums
    }
}
