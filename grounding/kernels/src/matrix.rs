//! A quantized weight matrix and its product with activations.
//!
//! Invariant: panels cover `n_out` rounded up to [`LANES`] and blocks cover `n_in` rounded up to [`BLOCK`];
//! what is beyond the matrix has scale 0, so it adds nothing.

use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::sync::Arc;

use rayon::prelude::*;

pub use crate::activations::Rows;
use crate::activations::{Activations, MAX_ROWS, Tile};
use crate::avx512;
use crate::isa::Isa;
use crate::lanes::{add_products, add_to_rows, gate_in_place, rounded};
use crate::portable;
use crate::{BLOCK, GROUP, GROUPS, LANES, PART, PART_GROUPS, PARTS};

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 8 bits, symmetric; one f32 scale per output and 128 inputs: 8.25 bits a weight.
    Bits8,
    /// 4 bits, with a scale and a minimum (bf16 each) per output and 64 inputs: 4.5 bits a weight.
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

impl Added<'_> {
    /// Adds it to rows of `n_out` values.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub(crate) fn add_to(self, y: &mut [f32], n_out: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == n_out), "length of the bias");
        assert!(self.base.is_none_or(|base| base.len() == y.len()), "length of the base");
        if let Some(bias) = self.bias {
            for y in y.chunks_exact_mut(n_out) {
                y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
        if let Some(base) = self.base {
            y.iter_mut().zip(base).for_each(|(y, base)| *y += base);
        }
    }
}

/// 64 bytes, aligned to a cache line and a vector register.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

impl Line {
    /// One of 16 f32.
    pub(crate) fn f32(&self, lane: usize) -> f32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[lane * 4..][..4]);
        f32::from_le_bytes(bytes)
    }

    fn set_f32(&mut self, lane: usize, value: f32) {
        self.0[lane * 4..][..4].copy_from_slice(&value.to_le_bytes());
    }

    /// The upper half of an f32, one of 32.
    fn upper(&self, at: usize) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes([self.0[at * 2], self.0[at * 2 + 1]])) << 16)
    }

    /// Scale and minimum of a lane.
    pub(crate) fn steps(&self, lane: usize) -> (f32, f32) {
        (self.upper(lane), self.upper(LANES + lane))
    }

    fn set_steps(&mut self, lane: usize, steps: (u16, u16)) {
        self.0[lane * 2..][..2].copy_from_slice(&steps.0.to_le_bytes());
        self.0[(LANES + lane) * 2..][..2].copy_from_slice(&steps.1.to_le_bytes());
    }
}

/// A weight matrix (out, in), quantized.
///
/// `lines` is `[panel][block]`, so that a panel is one stream of memory. A block of 8 bits is a line per group
/// (16 outputs x 4 inputs, value + 128) and a line of the outputs' f32 scales. A block of 4 bits is a line per two
/// groups (group g of an even part in the low nibbles, of the odd part behind it in the high ones), then for each
/// part a line of the outputs' scales and minima, each the upper half of an f32.
#[derive(Debug, Clone)]
pub struct QuantizedMatrix {
    n_out: usize,
    n_in: usize,
    format: Format,
    lines: Lines,
}

/// Bytes that several matrices lie in, such as those of a mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The version of what a matrix's bytes mean.
pub const LAYOUT: &str = "2";

/// Lines of a matrix alone, or those in shared bytes.
#[derive(Clone)]
enum Lines {
    Own(Vec<Line>),
    /// Aligned, and whole lines.
    Shared {
        bytes: SharedBytes,
        at: Range<usize>,
    },
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        match self {
            Self::Own(lines) => lines,
            Self::Shared { bytes, at } => bytemuck::cast_slice(&(**bytes).as_ref()[at.clone()]),
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lines", self.len())
    }
}

impl Format {
    /// Bytes of a matrix.
    pub fn n_bytes(self, n_out: usize, n_in: usize) -> usize {
        n_out.div_ceil(LANES) * n_in.div_ceil(BLOCK) * self.lines() * size_of::<Line>()
    }

    /// Lines of a block and panel.
    pub(crate) const fn lines(self) -> usize {
        match self {
            Self::Bits8 => GROUPS + 1,
            Self::Bits4 => GROUPS / 2 + PARTS,
        }
    }
}

/// A rectangle of weights and the rows that meet it.
#[derive(Debug, Clone)]
pub(crate) struct Meeting<'a> {
    pub(crate) format: Format,
    pub(crate) lines: &'a [Line],
    /// Blocks of each panel of the matrix.
    pub(crate) n_blocks: usize,
    pub(crate) panels: Range<usize>,
    pub(crate) blocks: Range<usize>,
    pub(crate) tile: &'a Tile,
}

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
        // Memory that the system clears when a thread first writes to it, not this one now.
        let mut lines: Vec<Line> = bytemuck::zeroed_vec(n_panels * n_blocks * format.lines());
        let pack = match format {
            Format::Bits8 => pack_8,
            Format::Bits4 => pack_4,
        };
        lines
            .par_chunks_mut((n_blocks * format.lines()).max(1))
            .enumerate()
            .for_each(|(panel, lines)| pack(&read_panel(panel), lines));
        Self { n_out, n_in, format, lines: Lines::Own(lines) }
    }

    /// A matrix whose [`Self::as_bytes`] lie in `bytes`, which is not copied. `None` if there is not as much as
    /// [`Format::n_bytes`], or not on a boundary of 64 bytes.
    pub fn from_bytes(
        n_out: usize,
        n_in: usize,
        format: Format,
        bytes: SharedBytes,
        at: Range<usize>,
    ) -> Option<Self> {
        let found = (*bytes).as_ref().get(at.clone())?;
        let fits = found.len() == format.n_bytes(n_out, n_in);
        (fits && bytemuck::try_cast_slice::<u8, Line>(found).is_ok()).then(|| Self {
            n_out,
            n_in,
            format,
            lines: Lines::Shared { bytes, at },
        })
    }

    /// What the matrix is in memory, in the layout of version [`LAYOUT`].
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.lines)
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
        size_of_val(&self.lines[..])
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
    pub fn multiply(&self, isa: Isa, x: &[f32], rows: Rows, added: Added<'_>) -> Vec<f32> {
        let mut y = Vec::new();
        self.multiply_into(isa, &Activations::quantize(isa, x, self.n_in, rows), added, &mut y);
        y
    }

    /// Replaces `y` by the product: memory that it has is used again, and none is cleared.
    pub(crate) fn multiply_into(&self, isa: Isa, x: &Activations, added: Added<'_>, y: &mut Vec<f32>) {
        replace(y, x.n_rows * self.n_out, |y| self.fill(isa, x, added, y));
    }

    /// Writes every value of `y`.
    fn fill(&self, isa: Isa, x: &Activations, added: Added<'_>, y: &mut [MaybeUninit<f32>]) {
        assert_eq!((x.n_in, y.len()), (self.n_in, x.n_rows * self.n_out), "shapes of a product");
        assert!(added.bias.is_none_or(|bias| bias.len() == self.n_out), "length of the bias");
        assert!(added.base.is_none_or(|base| base.len() == y.len()), "length of the base");
        let bias = added.bias.map(in_panels);
        let finish = |sums: &mut [[f32; LANES]], _: &[Tile], panels: Range<usize>| {
            if let Some(bias) = &bias {
                add_to_rows(isa, &bias[panels], sums);
            }
        };
        self.walk(isa, x, added.base, y, &finish);
    }

    /// Writes `silu(x self^T + gate_bias) * (x up^T + up_bias)`: neither factor is ever in memory as a whole.
    ///
    /// # Panics
    /// If the shapes differ (caller's bug).
    pub(crate) fn gate_into(
        &self,
        isa: Isa,
        x: &Activations,
        gate_bias: Option<&[f32]>,
        (up, up_bias): (&Self, Option<&[f32]>),
        y: &mut Vec<f32>,
    ) {
        assert_eq!((self.n_in, self.n_out), (up.n_in, up.n_out), "shapes of a gate");
        let (gate_bias, up_bias) = (gate_bias.map(in_panels), up_bias.map(in_panels));
        let finish = |gate: &mut [[f32; LANES]], tiles: &[Tile], panels: Range<usize>| {
            let mut factor = vec![[0.0_f32; LANES]; gate.len()];
            up.multiply_tiles(isa, tiles, x, panels.clone(), &mut factor);
            if let Some(bias) = &gate_bias {
                add_to_rows(isa, &bias[panels.clone()], gate);
            }
            if let Some(bias) = &up_bias {
                add_to_rows(isa, &bias[panels], &mut factor);
            }
            gate_in_place(isa, gate.as_flattened_mut(), factor.as_flattened());
        };
        replace(y, x.n_rows * self.n_out, |y| self.walk(isa, x, None, y, &finish));
    }

    /// Computes the product unit by unit of panels; `finish` gets the sums of each (`[tile][row][panel][lane]`) before
    /// they are written, with `base` added.
    fn walk(
        &self,
        isa: Isa,
        x: &Activations,
        base: Option<&[f32]>,
        y: &mut [MaybeUninit<f32>],
        finish: &(impl Fn(&mut [[f32; LANES]], &[Tile], Range<usize>) + Sync),
    ) {
        let n_panels = self.n_out.div_ceil(LANES);
        let width = panels_at_once(self.format, x);
        // Few large pieces: a panel's weights are read once for all rows, from the cache after the first tile.
        let n_units = n_panels.div_ceil(width);
        let per_piece = n_units.div_ceil(4 * rayon::current_num_threads()).max(1);
        let output = Output { y: y.as_mut_ptr(), n_out: self.n_out, width, base };
        let in_cache = tiles_in_cache(self.n_in).min(x.tiles.len());
        let at_once = if x.tiles.len() > 1 { UNITS_PER_WRITE } else { 1 };
        (0..n_units.div_ceil(per_piece)).into_par_iter().for_each(|piece| {
            let of_unit = in_cache * MAX_ROWS * width;
            let mut sums = vec![[0.0_f32; LANES]; of_unit * at_once];
            let units = piece * per_piece..n_units.min((piece + 1) * per_piece);
            // Blocks of rows that stay in the second-level cache while the piece's panels pass over them.
            for tiles in x.tiles.chunks(in_cache.max(1)) {
                for first in units.clone().step_by(at_once) {
                    let group = first..units.end.min(first + at_once);
                    for (unit, sums) in group.clone().zip(sums.chunks_mut(of_unit)) {
                        let panels = unit * width..n_panels.min((unit + 1) * width);
                        let sums = &mut sums[..tiles.len() * MAX_ROWS * panels.len()];
                        self.multiply_tiles(isa, tiles, x, panels.clone(), sums);
                        finish(sums, tiles, panels);
                    }
                    let panels = group.start * width..n_panels.min(group.end * width);
                    for (at, tile) in tiles.iter().enumerate() {
                        // SAFETY: this piece alone writes the columns of its panels.
                        #[expect(unsafe_code, reason = "threads write different columns of one output")]
                        unsafe {
                            output.write(tile, at, panels.clone(), sums.chunks(of_unit));
                        }
                    }
                }
            }
        });
    }

    /// `tiles` are some of `x`; `sums`: `[tile][row][panel][lane]`, each tile as if it had all its rows, overwritten.
    fn multiply_tiles(
        &self,
        isa: Isa,
        tiles: &[Tile],
        x: &Activations,
        panels: Range<usize>,
        sums: &mut [[f32; LANES]],
    ) {
        sums.fill([0.0; LANES]);
        let n_blocks = self.n_in.div_ceil(BLOCK);
        let of_tile = sums.len() / tiles.len().max(1);
        // The weights of a few blocks stay in the first-level cache while the tiles pass over them.
        let step = if tiles.len() > 1 { BLOCKS_IN_CACHE } else { n_blocks.max(1) };
        for first in (0..n_blocks).step_by(step) {
            let blocks = first..n_blocks.min(first + step);
            for (tile, sums) in tiles.iter().zip(sums.chunks_mut(of_tile)) {
                let meeting = Meeting {
                    format: self.format,
                    lines: &self.lines,
                    n_blocks,
                    panels: panels.clone(),
                    blocks: blocks.clone(),
                    tile,
                };
                let sums = &mut sums[..tile.height * panels.len()];
                match isa {
                    Isa::Avx512Vnni => avx512::multiply(&meeting, sums),
                    Isa::Portable => portable::multiply(&meeting, sums),
                }
            }
        }
        if !x.outlier_channels.is_empty() {
            let columns = self.columns(&x.outlier_channels, panels.clone());
            for (tile, sums) in tiles.iter().zip(sums.chunks_mut(of_tile)) {
                let sums = &mut sums[..tile.height * panels.len()];
                add_products(isa, &tile.outliers, &columns, sums, panels.len());
            }
        }
    }

    /// The weights of some inputs: `[input][panel][lane]`.
    fn columns(&self, inputs: &[usize], panels: Range<usize>) -> Vec<[f32; LANES]> {
        inputs.iter().flat_map(|&input| panels.clone().map(move |panel| self.column(panel, input))).collect()
    }

    /// The weights of a panel's outputs for one input.
    fn column(&self, panel: usize, input: usize) -> [f32; LANES] {
        let (block, group, at) = (input / BLOCK, input % BLOCK / GROUP, input % GROUP);
        let of_block = self.format.lines();
        let lines = &self.lines[(panel * self.n_in.div_ceil(BLOCK) + block) * of_block..][..of_block];
        match self.format {
            Format::Bits8 => {
                let (line, scales) = (&lines[group].0, &lines[GROUPS]);
                std::array::from_fn(|lane| (f32::from(line[lane * GROUP + at]) - 128.0) * scales.f32(lane))
            }
            Format::Bits4 => {
                let (part, group) = (group / PART_GROUPS, group % PART_GROUPS);
                let line = &lines[part / 2 * PART_GROUPS + group].0;
                let steps = &lines[GROUPS / 2 + part];
                std::array::from_fn(|lane| {
                    let nibble = line[lane * GROUP + at] >> (4 * (part % 2)) & 15;
                    let (scale, minimum) = steps.steps(lane);
                    f32::from(nibble) * scale + minimum
                })
            }
        }
    }
}

/// Blocks of two panels that take half of a first-level cache of 32 KiB.
const BLOCKS_IN_CACHE: usize = 4;

/// Panels that one kernel call multiplies. Few rows wait for memory: 8 bits come fastest as several streams, 4
/// bits as one.
fn panels_at_once(format: Format, x: &Activations) -> usize {
    match (x.tiles.first().map_or(1, |tile| tile.height), format) {
        (1 | 2, Format::Bits8) => 4,
        (1 | 2, Format::Bits4) => 1,
        _ => 2,
    }
}

/// Tiles whose activations fit half of a second-level cache of 1 MiB.
fn tiles_in_cache(n_in: usize) -> usize {
    ((512 << 10) / (n_in.max(1) * MAX_ROWS)).max(1)
}

/// Replaces `y` by `len` values that `fill` writes, all of them: memory that it has is used again, and none is cleared.
fn replace(y: &mut Vec<f32>, len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) {
    y.clear();
    y.reserve_exact(len);
    fill(&mut y.spare_capacity_mut()[..len]);
    // SAFETY: `fill` wrote all of it.
    #[expect(unsafe_code, reason = "memory that was just written")]
    unsafe {
        y.set_len(len);
    }
}

/// One value per output as whole panels, filled up with zeros.
fn in_panels(values: &[f32]) -> Vec<[f32; LANES]> {
    let panel = |some: &[f32]| std::array::from_fn(|lane| some.get(lane).copied().unwrap_or(0.0));
    values.chunks(LANES).map(panel).collect()
}

/// Units whose sums are collected before they are written: single lines of far rows would be written slowly.
const UNITS_PER_WRITE: usize = 4;

/// One output matrix, written by several threads.
#[derive(Clone, Copy)]
struct Output<'a> {
    y: *mut MaybeUninit<f32>,
    n_out: usize,
    /// Panels of a unit.
    width: usize,
    base: Option<&'a [f32]>,
}

// SAFETY: threads write different columns; see `walk`.
#[expect(unsafe_code, reason = "threads write different columns of one output")]
unsafe impl Sync for Output<'_> {}

impl Output<'_> {
    /// Writes the rows of the tile at `at` for the outputs of `panels`; `units` are their sums, unit by unit.
    ///
    /// # Safety
    /// The output has all rows of the tile, and nobody else writes these columns meanwhile.
    #[expect(unsafe_code, reason = "threads write different columns of one output")]
    unsafe fn write<'s>(
        &self,
        tile: &Tile,
        at: usize,
        panels: Range<usize>,
        units: impl Iterator<Item = &'s [[f32; LANES]]> + Clone,
    ) {
        for row in 0..tile.n_rows {
            let mut left = panels.clone();
            for unit in units.clone() {
                let of_unit = left.start..left.end.min(left.start + self.width);
                left.start = of_unit.end;
                let sums = &unit[(at * MAX_ROWS + row) * of_unit.len()..];
                for (panel, values) in of_unit.zip(sums) {
                    let first = panel * LANES;
                    let width = LANES.min(self.n_out - first);
                    let to = (tile.first_row + row) * self.n_out + first;
                    let mut values = *values;
                    if let Some(base) = self.base {
                        values.iter_mut().zip(&base[to..to + width]).for_each(|(v, b)| *v += b);
                    }
                    // SAFETY: inside the matrix by the caller's promise; `width` ends at the row's end.
                    let to = unsafe { std::slice::from_raw_parts_mut(self.y.add(to), width) };
                    // A length that the compiler knows needs no call.
                    match to.as_chunks_mut::<LANES>().0 {
                        [whole] => *whole = values.map(MaybeUninit::new),
                        _ => {
                            to.write_copy_of_slice(&values[..width]);
                        }
                    }
                }
            }
        }
    }
}

/// The upper half of the nearest f32 that has only that.
fn narrowed(value: f32) -> u16 {
    let bits = value.to_bits();
    // Round to nearest, halves to even.
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// `rows`: `[lane][input]`; `lines` of one panel.
fn pack_8(rows: &[f32], lines: &mut [Line]) {
    for (lane, row) in rows.chunks_exact(rows.len() / LANES).enumerate() {
        for (values, lines) in row.chunks_exact(BLOCK).zip(lines.chunks_exact_mut(Format::Bits8.lines())) {
            let largest = values.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
            lines[GROUPS].set_f32(lane, largest / 127.0);
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            for (i, value) in values.iter().enumerate() {
                let quantized = rounded(value * inverse) as i32 + 128;
                lines[i / GROUP].0[lane * GROUP + i % GROUP] = quantized as u8;
            }
        }
    }
}

fn pack_4(rows: &[f32], lines: &mut [Line]) {
    for (lane, row) in rows.chunks_exact(rows.len() / LANES).enumerate() {
        for (values, lines) in row.chunks_exact(BLOCK).zip(lines.chunks_exact_mut(Format::Bits4.lines())) {
            for (part, values) in values.chunks_exact(PART).enumerate() {
                lines[GROUPS / 2 + part].set_steps(lane, best_steps(values));
                let (scale, minimum) = lines[GROUPS / 2 + part].steps(lane);
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                for (i, value) in values.iter().enumerate() {
                    let nibble = rounded((value - minimum) * inverse).clamp(0.0, 15.0) as u8;
                    let line = &mut lines[part / 2 * PART_GROUPS + i / GROUP].0;
                    line[lane * GROUP + i % GROUP] |= nibble << (4 * (part % 2));
                }
            }
        }
    }
}

/// Scale and minimum of 16 steps over `values` with the least squared error among some clipped ranges: the
/// outermost values cost more resolution than they are worth.
fn best_steps(values: &[f32]) -> (u16, u16) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let widened = |upper: u16| f32::from_bits(u32::from(upper) << 16);
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
