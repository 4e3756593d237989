//! Convolutions as products of matrices: weights by patches of the picture that are gathered panel by panel.
//!
//! Invariant: a panel is a few neighbouring pixels of the output; its inputs stay in the cache while all output channels
//! are computed from them. Where neighbouring pixels see neighbouring ones, nothing is gathered: rows get their borders
//! of zeros, and each tap of the kernel reads them from another place. Sums run over inputs in order of channel, row and column, so the same
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

/// Numbers of rows with their borders that are in memory at once.
const ROWS_AT_ONCE: usize = 160 * 1_024;
/// Rows of fewer panels are gathered: the last panel of a row is only partly used.
const MIN_PANELS: usize = 4;

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
    /// The inputs of the first pixel: one panel after the other, or where `taps` says.
    pub(super) inputs: *const f32,
    /// How far each input of a pixel is from `inputs`; null for panels.
    pub(super) taps: *const usize,
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
        if self.stride == [1, 1] && self.kernel != [1, 1] && columns >= MIN_PANELS * panel {
            return self.compute_rows(threads, input, shape, out);
        }
        let n_panels = n_pixels.div_ceil(panel);
        // At least two parts for each thread, so that none waits for long.
        let most =
            (AT_ONCE / (self.n_inputs() * panel)).clamp(1, n_panels.div_ceil(2 * threads.count()).max(1));
        let out = Out::new(out);
        threads.each(n_panels.div_ceil(most), |part| {
            let panels = part * most..n_panels.min((part + 1) * most);
            with_scratch(panels.len() * self.n_inputs() * panel, |gathered| {
                let pixels = panels.start * panel..n_pixels.min(panels.end * panel);
                if self.is_pointwise() {
                    // SAFETY: the instructions were detected; nothing else is asked.
                    unsafe { gather_pixels(self.isa, input, n_pixels, pixels.clone(), gathered) };
                } else {
                    for (into, at) in gathered.chunks_exact_mut(self.n_inputs() * panel).zip(panels) {
                        let pixels = at * panel..n_pixels.min((at + 1) * panel);
                        self.gather(input, shape, columns, pixels, into);
                    }
                }
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
                    weights: self.tile(first).as_ptr(),
                    inputs: gathered.as_ptr(),
                    taps: std::ptr::null(),
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

    /// The same for a kernel that moves by one pixel: rows with their borders in place of panels.
    fn compute_rows(&self, threads: Threads<'_>, input: &[f32], shape: Shape, out: &mut [f32]) {
        let ([channels, _, width], panel) = (shape, panel_px(self.isa));
        let [patch_rows, patch_columns] = self.kernel;
        let pitch = width + self.before[1] + self.after[1];
        let columns = pitch + 1 - patch_columns;
        let n_rows = out.len() / (self.n_out * columns);
        let most = (ROWS_AT_ONCE / (channels * pitch)).saturating_sub(patch_rows - 1);
        let most = most.clamp(1, n_rows.div_ceil(2 * threads.count()).max(1));
        let out = Out::new(out);
        threads.each(n_rows.div_ceil(most), |part| {
            let rows = part * most..n_rows.min((part + 1) * most);
            let plane = (rows.len() + patch_rows - 1) * pitch;
            let taps: Vec<usize> = (0..channels)
                .flat_map(|channel| (0..patch_rows).map(move |row| channel * plane + row * pitch))
                .flat_map(|first| first..first + patch_columns)
                .collect();
            // The last panel of a row reads behind it.
            with_scratch(channels * plane + panel, |padded| {
                self.copy_rows(input, shape, rows.start, &mut padded[..channels * plane]);
                for first in (0..self.n_out).step_by(tile_channels(self.isa)) {
                    for row in rows.clone() {
                        for column in (0..columns).step_by(panel) {
                            let tile = Tile {
                                n_inputs: taps.len(),
                                weights: self.tile(first).as_ptr(),
                                inputs: padded[(row - rows.start) * pitch + column..].as_ptr(),
                                taps: taps.as_ptr(),
                                bias: self.bias[first..][..tile_channels(self.isa)].as_ptr(),
                                // SAFETY: the row is in the output, and no other part has it.
                                out: unsafe { out.at((first * n_rows + row) * columns + column) },
                                plane: n_rows * columns,
                                n_channels: tile_channels(self.isa).min(self.n_out - first),
                                n_pixels: panel.min(columns - column),
                            };
                            // SAFETY: the last tap of the last panel ends within the scratch; the rest as above.
                            unsafe { multiply_tile(self.isa, tile) };
                        }
                    }
                }
                for channel in 0..self.n_out {
                    // SAFETY: these rows are this part's.
                    let numbers =
                        unsafe { out.slice((channel * n_rows + rows.start) * columns, rows.len() * columns) };
                    activate(self.isa, self.activation, numbers);
                }
            });
        });
    }

    /// Rows of all channels from `first` on, counted from the first one of zeros, with their borders.
    fn copy_rows(&self, input: &[f32], [channels, height, width]: Shape, first: usize, padded: &mut [f32]) {
        let pitch = width + self.before[1] + self.after[1];
        let planes = padded.chunks_exact_mut(padded.len() / channels).zip(input.chunks_exact(height * width));
        for (to, from) in planes {
            for (y, to) in to.chunks_exact_mut(pitch).enumerate() {
                match (first + y).checked_sub(self.before[0]).filter(|y| *y < height) {
                    Some(y) => {
                        to[..self.before[1]].fill(0.0);
                        to[self.before[1]..][..width].copy_from_slice(&from[y * width..][..width]);
                        to[self.before[1] + width..].fill(0.0);
                    }
                    None => to.fill(0.0),
                }
            }
        }
    }

    /// The weights of the output channels from `first` on.
    fn tile(&self, first: usize) -> &[f32] {
        &self.tiles[first * self.n_inputs()..][..tile_channels(self.isa) * self.n_inputs()]
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

dispatched!(
    /// All panels of `pixels`, channel by channel: neighbouring numbers are read together.
    ///
    /// # Safety
    /// None but the instructions.
    fn gather_pixels, gather_pixels_body,
    (input: &[f32], plane: usize, pixels: std::ops::Range<usize>, into: &mut [f32])
);

#[inline(always)]
unsafe fn gather_pixels_body<V: Vector>(
    input: &[f32],
    plane: usize,
    pixels: std::ops::Range<usize>,
    into: &mut [f32],
) {
    let (n_channels, panel) = (input.len() / plane, 2 * V::LANES);
    for (channel, numbers) in input.chunks_exact(plane).enumerate() {
        let panels = into.chunks_exact_mut(n_channels * panel);
        for (into, numbers) in panels.zip(numbers[pixels.clone()].chunks(panel)) {
            let into = &mut into[channel * panel..][..panel];
            if numbers.len() == panel {
                // SAFETY: both are as long as two vectors.
                unsafe {
                    V::load(numbers.as_ptr()).store(into.as_mut_ptr());
                    V::load(numbers[V::LANES..].as_ptr()).store(into[V::LANES..].as_mut_ptr());
                }
            } else {
                into[..numbers.len()].copy_from_slice(numbers);
            }
        }
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
        match (V::LANES, tile.taps.is_null()) {
            (16, true) => rows::<V, 12, true>(tile),
            (16, false) => rows::<V, 12, false>(tile),
            (8, true) => rows::<V, 6, true>(tile),
            (8, false) => rows::<V, 6, false>(tile),
            (_, true) => rows::<V, 3, true>(tile),
            (_, false) => rows::<V, 3, false>(tile),
        }
    }
}

#[inline(always)]
unsafe fn rows<V: Vector, const CHANNELS: usize, const IS_GATHERED: bool>(tile: Tile) {
    // SAFETY: the caller's: weights and inputs are as many as `n_inputs` says.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; CHANNELS];
        for (channel, sums) in sums.iter_mut().enumerate() {
            *sums = [V::splat(*tile.bias.add(channel)); 2];
        }
        let mut weights = tile.weights;
        for input in 0..tile.n_inputs {
            let at = if IS_GATHERED { input * 2 * V::LANES } else { *tile.taps.add(input) };
            let inputs = tile.inputs.add(at);
            let pixels = [V::load(inputs), V::load(inputs.add(V::LANES))];
            for (channel, sums) in sums.iter_mut().enumerate() {
                let weight = V::splat(*weights.add(channel));
                *sums = [sums[0].plus_product(weight, pixels[0]), sums[1].plus_product(weight, pixels[1])];
            }
            weights = weights.add(CHANNELS);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each number of the output as the sum that it is.
    fn plain(layer: &Convolution, weights: &[f32], input: &[f32], shape: Shape) -> Vec<f32> {
        let ([channels, height, width], [n_out, rows, columns]) = (shape, layer.out_shape(shape).unwrap());
        let [down, across] = layer.kernel;
        let mut out = Vec::new();
        for (channel, y, x) in
            (0..n_out * rows * columns).map(|at| (at / (rows * columns), at / columns % rows, at % columns))
        {
            let mut sum = layer.bias[channel];
            for (input_channel, dy, dx) in (0..channels * down * across)
                .map(|at| (at / (down * across), at / across % down, at % across))
            {
                let at = |place: usize, axis: usize, end: usize| {
                    place.checked_sub(layer.before[axis]).filter(|place| *place < end)
                };
                let seen =
                    at(y * layer.stride[0] + dy, 0, height).zip(at(x * layer.stride[1] + dx, 1, width));
                if let Some((y, x)) = seen {
                    let weight = weights[((channel * channels + input_channel) * down + dy) * across + dx];
                    sum += weight * input[(input_channel * height + y) * width + x];
                }
            }
            out.push(sum);
        }
        out
    }

    #[test]
    fn a_convolution_is_the_sum_over_its_patch() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let numbers = |n: usize, step: usize| -> Vec<f32> {
            (0..n).map(|at| (at * step % 101) as f32 / 101.0 - 0.5).collect()
        };
        // Kernels, strides and borders of both networks; widths below, at and above whole panels.
        let kinds = [
            ([1, 1], [1, 1], [[0, 0], [0, 0]]),
            ([3, 3], [1, 1], [[1, 1], [1, 1]]),
            ([3, 3], [2, 2], [[1, 1], [1, 1]]),
            ([2, 2], [1, 1], [[0, 0], [1, 1]]),
            ([3, 3], [2, 1], [[1, 1], [1, 1]]),
            ([1, 3], [1, 1], [[0, 1], [0, 1]]),
        ];
        for (kernel, stride, borders) in kinds {
            for ([n_out, n_in], [height, width]) in
                [([13, 5], [7, 161]), ([12, 3], [1, 128]), ([1, 2], [40, 333]), ([7, 4], [9, 31])]
            {
                let weights = numbers(n_out * n_in * kernel[0] * kernel[1], 37);
                let mut layer = Convolution::new(&weights, [n_out, n_in], kernel, stride, borders);
                layer.add_bias(&numbers(n_out, 53));
                let shape = [n_in, height, width];
                let input = numbers(n_in * height * width, 29);
                let expected = plain(&layer, &weights, &input, shape);
                for threads in [Threads::One, Threads::All(&pool)] {
                    let mut out = vec![f32::NAN; expected.len()];
                    layer.compute(threads, &input, shape, &mut out);
                    let is_near = out.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4);
                    assert!(is_near, "{kernel:?} by {stride:?} on {shape:?}");
                }
            }
        }
    }
}
