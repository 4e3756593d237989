//! The last layer of a recogniser: how likely each character is in each frame.
//!
//! Invariant: the table of all characters is laid out once, when it is loaded; probabilities are those of the graph's
//! softmax, and only those that matter are kept.

#![expect(unsafe_code, reason = "vector instructions take pointers")]

use crate::trunk::activation::exponential;
use crate::trunk::convolution::{Tile, multiply_tile, panel_px, tile_channels};
use crate::trunk::graph::{Graph, Node};
use crate::trunk::parallel::with_scratch;
use crate::trunk::vectors::{Isa, Vector, dispatched};

/// Frames whose numbers are in memory at once.
const FRAMES_AT_ONCE: usize = 48;
/// Numbers that are looked at together.
const CHUNK: usize = 128;
/// Numbers that the compiler keeps beside each other in registers.
const BESIDE: usize = 32;
/// A class whose logit is this much below the largest adds nothing to the sum: all of them together add less than a
/// rounding.
const NOTHING: f32 = 28.0;

/// Classes with their probabilities.
pub(crate) type Likely = Vec<(u32, f32)>;

#[derive(Debug)]
pub(crate) struct Head {
    isa: Isa,
    n_inputs: usize,
    /// One for each class.
    bias: Vec<f32>,
    /// `[panel of classes][input][class of the panel]`.
    panels: Vec<f32>,
    /// The value of the graph that it takes, `[1][input][1][frame]`.
    pub(crate) input_name: String,
}

impl Head {
    /// The last layer of a graph, if it is one of this kind.
    pub(crate) fn of_graph(graph: &Graph) -> Option<Self> {
        let maker =
            |name: &str| graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == name));
        let of_kind = |name: &str, kind: &str| maker(name).filter(|node| node.operator == kind);
        let softmax = of_kind(&graph.output, "Softmax").filter(|node| node.ints("axis") == Some([2]))?;
        let sum = of_kind(softmax.inputs.first()?, "Add")?;
        let product = of_kind(sum.inputs.first()?, "MatMul")?;
        let turned = of_kind(product.inputs.first()?, "Transpose")
            .filter(|node| node.ints("perm") == Some([0, 2, 1]))?;
        let squeezed =
            of_kind(turned.inputs.first()?, "Squeeze").filter(|node| node.ints("axes") == Some([2]))?;
        let table = |node: &Node| graph.tables.get(node.inputs.get(1)?);
        let (weights, bias) = (table(product)?, table(sum)?);
        let [n_inputs, n_classes] = *weights.dims.as_slice() else { return None };
        (bias.numbers.len() == n_classes).then_some(())?;
        let isa = Isa::detect();
        let panel = panel_px(isa);
        let mut panels = vec![0.0; n_classes.div_ceil(panel) * panel * n_inputs];
        for (input, row) in weights.numbers.chunks_exact(n_classes).enumerate() {
            for (to, from) in panels.chunks_exact_mut(panel * n_inputs).zip(row.chunks(panel)) {
                to[input * panel..][..from.len()].copy_from_slice(from);
            }
        }
        let input_name = squeezed.inputs.first()?.clone();
        Some(Self { isa, n_inputs, bias: bias.numbers.clone(), panels, input_name })
    }

    pub(crate) fn n_classes(&self) -> usize {
        self.bias.len()
    }

    /// For each frame, the classes that are at least as likely as `least`. `input` is `[input][frame]`.
    ///
    /// # Panics
    /// If the input has another number of rows (caller's bug).
    pub(crate) fn likely(&self, input: &[f32], n_frames: usize, least: f32) -> Vec<Likely> {
        assert_eq!(input.len(), self.n_inputs * n_frames, "rows of the input");
        let mut found = Vec::with_capacity(n_frames);
        let mut most = vec![0.0; self.n_classes().div_ceil(CHUNK)];
        for first in (0..n_frames).step_by(FRAMES_AT_ONCE) {
            let frames = first..n_frames.min(first + FRAMES_AT_ONCE);
            with_scratch(frames.len() * self.n_classes(), |logits| {
                self.multiply(input, n_frames, frames.clone(), logits);
                let rows = logits.chunks_exact_mut(self.n_classes());
                found.extend(rows.map(|row| self.likely_of(row, &mut most, least)));
            });
        }
        found
    }

    /// `[frame][class]`, without the bias.
    fn multiply(&self, input: &[f32], n_frames: usize, frames: std::ops::Range<usize>, logits: &mut [f32]) {
        let (height, panel, n_classes) = (tile_channels(self.isa), panel_px(self.isa), self.n_classes());
        let zeros = vec![0.0; height];
        let mut tiles = vec![0.0; frames.len().div_ceil(height) * height * self.n_inputs];
        for (tile, start) in
            tiles.chunks_exact_mut(height * self.n_inputs).zip(frames.clone().step_by(height))
        {
            let n = height.min(frames.end - start);
            for (to, row) in tile.chunks_exact_mut(height).zip(input.chunks_exact(n_frames)) {
                to[..n].copy_from_slice(&row[start..start + n]);
            }
        }
        for (gathered, class) in
            self.panels.chunks_exact(panel * self.n_inputs).zip((0..n_classes).step_by(panel))
        {
            for (weights, start) in
                tiles.chunks_exact(height * self.n_inputs).zip((0..frames.len()).step_by(height))
            {
                let tile = Tile {
                    n_inputs: self.n_inputs,
                    weights: weights.as_ptr(),
                    inputs: gathered.as_ptr(),
                    taps: std::ptr::null(),
                    bias: zeros.as_ptr(),
                    out: logits[start * n_classes + class..].as_mut_ptr(),
                    plane: n_classes,
                    n_channels: height.min(frames.len() - start),
                    n_pixels: panel.min(n_classes - class),
                };
                // SAFETY: weights and inputs are as long as the tile says; its last number is in `logits`.
                unsafe { multiply_tile(self.isa, tile) };
            }
        }
    }

    fn likely_of(&self, logits: &mut [f32], most: &mut [f32], least: f32) -> Likely {
        let (mut largest, mut sum) = (f32::NEG_INFINITY, 0.0);
        // SAFETY: the instructions were detected; nothing else is asked.
        unsafe { weigh(self.isa, logits, &self.bias, most, &mut largest, &mut sum) };
        let floor = largest + (least * sum).ln();
        let probability = |logit: f32| (logit - largest).exp() / sum;
        let chunks = logits.chunks(CHUNK).zip((0..).step_by(CHUNK)).zip(most);
        let some =
            chunks.filter(|(_, most)| **most >= floor).flat_map(|((chunk, first), _)| (first..).zip(chunk));
        some.filter(|(_, logit)| **logit >= floor)
            .map(|(class, logit)| (class, probability(*logit)))
            .collect()
    }
}

/// The numbers that are at least `floor`, with their places.
pub(crate) fn at_least(numbers: &[f32], floor: f32) -> impl Iterator<Item = (u32, f32)> {
    let chunks = numbers.chunks(CHUNK).zip((0..).step_by(CHUNK));
    // Few are; whether any of a chunk is, the compiler turns into a few instructions.
    let some =
        chunks.filter(move |(chunk, _)| chunk.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b)) >= floor);
    some.flat_map(move |(chunk, first)| {
        (first..).zip(chunk.iter().copied()).filter(move |(_, number)| *number >= floor)
    })
}

dispatched!(
    /// Adds the bias; the largest number of each chunk and of all, and the sum of the exponentials of the differences to
    /// the latter.
    ///
    /// # Safety
    /// None but the instructions.
    fn weigh, weigh_body,
    (logits: &mut [f32], bias: &[f32], most: &mut [f32], largest: &mut f32, sum: &mut f32)
);

#[inline(always)]
unsafe fn weigh_body<V: Vector>(
    logits: &mut [f32],
    bias: &[f32],
    most: &mut [f32],
    largest: &mut f32,
    sum: &mut f32,
) {
    for ((logits, bias), most) in logits.chunks_mut(CHUNK).zip(bias.chunks(CHUNK)).zip(&mut *most) {
        let mut highest = [f32::NEG_INFINITY; BESIDE];
        for (logits, bias) in logits.chunks_mut(BESIDE).zip(bias.chunks(BESIDE)) {
            for ((logit, bias), highest) in logits.iter_mut().zip(bias).zip(&mut highest) {
                *logit += bias;
                *highest = highest.max(*logit);
            }
        }
        // By halves: one after the other, each would wait for the one before.
        for half in [16, 8, 4, 2, 1] {
            let (left, right) = highest.split_at_mut(half);
            left.iter_mut().zip(right).for_each(|(left, right)| *left = left.max(*right));
        }
        *most = highest[0];
    }
    *largest = most.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0_f32; BESIDE];
    let counts = |(_, most): &(&[f32], &f32)| **most >= *largest - NOTHING;
    for (logits, _) in logits.chunks(CHUNK).zip(&*most).filter(counts) {
        for logits in logits.chunks(BESIDE) {
            for (logit, sum) in logits.iter().zip(&mut sums) {
                *sum += exponential::<V>(logit - *largest);
            }
        }
    }
    *sum = sums.iter().sum();
}
