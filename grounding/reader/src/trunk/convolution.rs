//! Convolutions as products of matrices: weights by patches of the picture that are gathered panel by panel.
//!
//! Invariant: a panel is a few neighbouring pixels of the output; its gathered inputs stay in the cache while all
//! output channels are computed from them. Sums run over inputs in order of channel, row and column, so the same
//! pixels give the same numbers whatever stands elsewhere and however many threads there are.
//! Source: the blocking of Goto and van de Geijn (2008), with the gathering in place of the packing.

#![expect(
    unsafe_code,
    reason = "threads write different pixels of one output, vector instructions take pointers"
)]

use crate::trunk::activation::{Activation, activate};
use crate::trunk::parallel::{Out, Threads, with_scratch};
use crate::trunk::vectors::{Isa, Vector, dispatched};

/// Output channels of a tile of weights. Times two vectors of pixels they fill the registers.
pub(super) const fn tile_channels(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 12,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 6,
        Isa::Portable => 3,
    }
}

/// Pixels of a panel: two vectors.
pub(super) const fn panel_px(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 32,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 16,
        Isa::Portable => 8,
    }
}

/// Numbers that are gathered at once: they stay in the second cache.
const AT_ONCE: usize = 48 * 1_024;

/// Channels, rows and columns.
pub(super) type Shape = [usize; 3];

/// A convolution that sees all channels.
#[derive(Debug)]
pub(super) struct Convolution {
    isa: Isa,
    n_in: usize,
    n_out: usize,
    /// Rows and columns of a patch.
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Rows and columns of zeros before the first ones, and after the last ones.
    pub(super) before: [usize; 2],
    pub(super) after: [usize; 2],
    /// `[tile][input][channel of the tile]`.
    tiles: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) activation: Activation,
}

/// One tile of weights on one panel.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) n_inputs: usize,
    pub(super) weights: *const f32,
    pub(super) gathered: *const f32,
    /// Of each channel of the tile.
    pub(super) bias: *const f32,
    pub(super) out: *mut f32,
    /// From one channel of the output to the next.
    pub(super) plane: usize,
    /// Channels and pixels that there are: the rest of the tile is thrown away.
    pub(super) n_channels: usize,
    pub(super) n_pixels: usize,
}

impl Convolution {
    /// `weights` are `[output channel][input channel][row][column]`.
    pub(super) fn new(
        weights: &[f32],
        [n_out, n_in]: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        [before, after]: [[usize; 2]; 2],
    ) -> Self {
        let isa = Isa::detect();
        let (n_inputs, height) = (n_in * kernel[0] * kernel[1], tile_channels(isa));
        let mut tiles = vec![0.0; n_out.div_ceil(height) * height * n_inputs];
        for (channel, row) in weights.chunks_exact(n_inputs).enumerate() {
            let tile = channel / height * height * n_inputs + channel % height;
            for (at, weight) in row.iter().enumerate() {
                tiles[tile + at * height] = *weight;
            }
        }
        let bias = vec![0.0; n_out.div_ceil(height) * height];
        Self { isa, n_in, n_out, kernel, stride, before, after, tiles, bias, activation: Activation::None }
    }

    /// Adds a number to each output channel.
    pub(super) fn add_bias(&mut self, bias: &[f32]) {
        self.bias.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
    }

    pub(super) fn out_shape(&self, [channels, height, width]: Shape) -> Option<Shape> {
        let side = |axis: usize, length: usize| {
            let padded = length + self.before[axis] + self.after[axis];
            Some(padded.checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
        };
        (channels == self.n_in).then_some(())?;
        Some([self.n_out, side(0, height)?, side(1, width)?])
    }

    pub(super) fn n_out(&self) -> usize {
        self.n_out
    }

    fn n_inputs(&self) -> usize {
        self.n_in * self.kernel[0] * self.kernel[1]
    }

    /// Whether a patch is a pixel.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.before == [0, 0] && self.after == [0, 0]
    }

    /// # Shapes
    /// `input` is of `shape`, `out` of [`Self::out_shape`].
    pub(super) fn compute(&self, threads: Threads<'_>, input: &[f32], shape: Shape, out: &mut [f32]) {
        let Some([n_out, rows, columns]) = self.out_shape(shape) else { panic!("no picture of this layer") };
        assert_eq!((input.len(), out.len()), (shape.iter().product(), n_out * rows * columns), "the shapes");
        let (n_pixels, panel) = (rows * columns, panel_px(self.isa));
        let n_panels = n_pixels.div_ceil(panel);
        // At least two parts for each thread, so that none waits for long.
        let most =
            (AT_ONCE / (self.n_inputs() * panel)).clamp(1, n_panels.div_ceil(2 * threads.count()).max(1));
        let out = Out::new(out);
        threads.each(n_panels.div_ceil(most), |part| {
            let panels = part * most..n_panels.min((part + 1) * most);
            with_scratch(panels.len() * self.n_inputs() * panel, |gathered| {
                for (into, at) in gathered.chunks_exact_mut(self.n_inputs() * panel).zip(panels.clone()) {
                    let pixels = at * panel..n_pixels.min((at + 1) * panel);
                    match self.is_pointwise() {
                        true => gather_pixels(input, n_pixels, pixels, panel, into),
                        false => self.gather(input, shape, columns, pixels, into),
                    }
                }
                let pixels = panels.start * panel..n_pixels.min(panels.end * panel);
                self.multiply(gathered, pixels, n_pixels, &out);
            });
        });
    }

    /// All output channels of some pixels, whose inputs were gathered.
    fn multiply(&self, gathered: &[f32], pixels: std::ops::Range<usize>, plane: usize, out: &Out<'_>) {
        let (n_inputs, panel, height) = (self.n_inputs(), panel_px(self.isa), tile_channels(self.isa));
        for first in (0..self.n_out).step_by(height) {
            let n_channels = height.min(self.n_out - first);
            let tiles = pixels.clone().step_by(panel).zip(gathered.chunks_exact(n_inputs * panel));
            for (at, gathered) in tiles {
                let tile = Tile {
                    n_inputs,
                    weights: self.tiles[first * n_inputs..][..height * n_inputs].as_ptr(),
                    gathered: gathered.as_ptr(),
                    bias: self.bias[first..][..height].as_ptr(),
                    // SAFETY: the tile's pixels are in the output, and no other part has them.
                    out: unsafe { out.at(first * plane + at) },
                    plane,
                    n_channels,
                    n_pixels: panel.min(pixels.end - at),
                };
                // SAFETY: weights, inputs and bias are as long as the tile says, its pixels are this part's.
                unsafe { multiply_tile(self.isa, tile) };
            }
            for channel in first..first + n_channels {
                // SAFETY: these pixels are this part's.
                let row = unsafe { out.slice(channel * plane + pixels.start, pixels.len()) };
                activate(self.isa, self.activation, row);
            }
        }
    }

    /// Copies what the pixels of a panel see: `[input][pixel]`.
    fn gather(
        &self,
        input: &[f32],
        [channels, height, width]: Shape,
        columns: usize,
        pixels: std::ops::Range<usize>,
        into: &mut [f32],
    ) {
        let panel = panel_px(self.isa);
        let [patch_rows, patch_columns] = self.kernel;
        let mut done = 0;
        while done < pixels.len() {
            let (row, column) = ((pixels.start + done) / columns, (pixels.start + done) % columns);
            let n = (columns - column).min(pixels.len() - done);
            for patch_row in 0..patch_rows {
                let y =
                    (row * self.stride[0] + patch_row).checked_sub(self.before[0]).filter(|y| *y < height);
                for patch_column in 0..patch_columns {
                    // The first column that is seen, counted from the first one of zeros.
                    let first = column * self.stride[1] + patch_column;
                    let (skipped, seen) = within(first, n, self.stride[1], self.before[1], width);
                    let mut at = (patch_row * patch_columns + patch_column) * panel + done;
                    for channel in 0..channels {
                        let to = &mut into[at..at + n];
                        at += patch_rows * patch_columns * panel;
                        let Some(y) = y else {
                            to.fill(0.0);
                            continue;
                        };
                        let from = &input[(channel * height + y) * width..][..width];
                        to[..skipped].fill(0.0);
                        to[skipped + seen..].fill(0.0);
                        if seen > 0 {
                            let start = first + skipped * self.stride[1] - self.before[1];
                            copy(&mut to[skipped..skipped + seen], &from[start..], self.stride[1]);
                        }
                    }
                }
            }
            done += n;
        }
    }
}

/// Of `n` columns that begin at `first`, counted from the first one of zeros: how many lie before the picture, and how
/// many in it.
fn within(first: usize, n: usize, stride: usize, before: usize, width: usize) -> (usize, usize) {
    let skipped = before.saturating_sub(first).div_ceil(stride).min(n);
    let end = (width + before).saturating_sub(first).div_ceil(stride).min(n);
    (skipped, end.saturating_sub(skipped))
}

#[inline]
fn copy(to: &mut [f32], from: &[f32], stride: usize) {
    match (stride, to.len()) {
        (1, 32) => {
            if let (Some(to), Some(from)) = (to.first_chunk_mut::<32>(), from.first_chunk::<32>()) {
                *to = *from;
            }
        }
        (1, n) => to.copy_from_slice(&from[..n]),
        (2, _) => {
            let (pairs, rest) = from.as_chunks::<2>();
            let n = pairs.len().min(to.len());
            to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            if n < to.len() {
                to[n] = rest[0];
            }
        }
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
    }
}

fn gather_pixels(
    input: &[f32],
    plane: usize,
    pixels: std::ops::Range<usize>,
    panel: usize,
    into: &mut [f32],
) {
    for (into, channel) in into.chunks_exact_mut(panel).zip(input.chunks_exact(plane)) {
        copy(&mut into[..pixels.len()], &channel[pixels.clone()], 1);
    }
}

dispatched!(
    /// # Safety
    /// The tile's pointers reach as far as it says, and no other thread has its pixels.
    pub(super) fn multiply_tile, tile_body, (tile: Tile)
);

/// Chooses the rows of the tile: constants of a trait cannot be the length of an array.
#[inline(always)]
unsafe fn tile_body<V: Vector>(tile: Tile) {
    // SAFETY: the caller's.
    unsafe {
        match V::LANES {
            16 => rows::<V, 12>(tile),
            8 => rows::<V, 6>(tile),
            _ => rows::<V, 3>(tile),
        }
    }
}

#[inline(always)]
unsafe fn rows<V: Vector, const CHANNELS: usize>(tile: Tile) {
    // SAFETY: the caller's: weights and gathered inputs are as many as `n_inputs` says.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; CHANNELS];
        for (channel, sums) in sums.iter_mut().enumerate() {
            *sums = [V::splat(*tile.bias.add(channel)); 2];
        }
        let (mut weights, mut gathered) = (tile.weights, tile.gathered);
        for _ in 0..tile.n_inputs {
            let pixels = [V::load(gathered), V::load(gathered.add(V::LANES))];
            for (channel, sums) in sums.iter_mut().enumerate() {
                let weight = V::splat(*weights.add(channel));
                *sums = [sums[0].plus_product(weight, pixels[0]), sums[1].plus_product(weight, pixels[1])];
            }
            weights = weights.add(CHANNELS);
            gathered = gathered.add(2 * V::LANES);
        }
        for (channel, sums) in sums.iter().enumerate().take(tile.n_channels) {
            let out = tile.out.add(channel * tile.plane);
            if tile.n_pixels == 2 * V::LANES {
                sums[0].store(out);
                sums[1].store(out.add(V::LANES));
            } else {
                let mut whole = [0.0_f32; 32];
                sums[0].store(whole.as_mut_ptr());
                sums[1].store(whole.as_mut_ptr().add(V::LANES));
                std::ptr::copy_nonoverlapping(whole.as_ptr(), out, tile.n_pixels);
            }
        }
    }
}
