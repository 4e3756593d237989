//! Attention of many queries with operands rounded to bf16; sums, maxima and exponentials stay in f32.
//!
//! Invariant: nothing is transposed in memory. Queries are lanes of the scores (keys are broadcast as they lie), and
//! the softmax of a lane runs down its column; widths of the values are lanes of the result (weights are broadcast as
//! the softmax leaves them). Two neighbours along the sum share 32 bits, since one instruction adds both products.

use std::ops::Range;

use super::{Sees, Task, visible};
use crate::avx512::{Pairs, multiply_pairs};
use crate::lanes::{round_pairs, round_rows, scale_rows, softmax_of_lanes};
use crate::{Isa, LANES};

/// Rows of a task: queries times the heads that share keys. Each task rounds the keys and values for itself.
pub(super) const ROWS: usize = 384;
/// Keys of a block: scores and weights of all rows of a task stay in the second-level cache.
const KEYS: usize = 128;

/// Whether this processor multiplies bf16.
pub(super) fn exist(isa: Isa) -> bool {
    #[cfg(target_arch = "x86_64")]
    return isa == Isa::Avx512Vnni && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        false
    }
}

impl Task<'_> {
    /// As [`Task::run`].
    pub(super) fn run_on_halves(&self, q: &[f32], sees: &Sees<'_>) -> Vec<f32> {
        let (n_keys, d, group) = (self.sequence.n_keys(), self.shape.head_dim, self.group());
        let seen: Vec<[Range<usize>; 2]> = self.queries.clone().map(|query| sees(self.item, query)).collect();
        let mut room = [Vec::new(), Vec::new()];
        let n_rows = self.queries.len() * group;
        let (n_panels, n_wide, n_pairs) = (n_rows.div_ceil(LANES), d.div_ceil(LANES), d.div_ceil(2));
        let queries = self.queries_as_lanes(q, n_panels, n_pairs);

        let most_keys = KEYS.min(n_keys);
        let mut rounded_keys = vec![[0_u16; 2]; most_keys * n_pairs];
        let mut rounded_values = vec![[0_u32; LANES]; most_keys.div_ceil(2) * n_wide];
        let mut scores = vec![[0.0_f32; LANES]; most_keys * n_panels];
        let mut weights = vec![[0_u32; LANES]; most_keys.div_ceil(2) * n_panels];
        let mut states = vec![State::default(); n_panels];
        let mut out = vec![[0.0_f32; LANES]; n_panels * LANES * n_wide];
        for first in (0..n_keys).step_by(KEYS) {
            let block = first..n_keys.min(first + KEYS);
            if seen.iter().all(|ranges| visible(ranges, &block).is_empty()) {
                continue;
            }
            let (n, n_key_pairs) = (block.len(), block.len().div_ceil(2));
            let rounded_keys = &mut rounded_keys[..n * n_pairs];
            let rounded_values = &mut rounded_values[..n_key_pairs * n_wide];
            self.with_whole(&block, &mut room, |met| {
                round_rows(self.isa, met.keys.0, met.keys.1, d, rounded_keys);
                round_pairs(self.isa, met.values.0, met.values.1, n, d, rounded_values);
            });
            let scores = &mut scores[..n * n_panels];
            scores.as_flattened_mut().fill(0.0);
            // Scores lie [panel of rows][key][lane].
            multiply_pairs(
                Pairs { values: bytemuck::cast_slice(rounded_keys), row: n_pairs, pair: 1 },
                &queries,
                [n, n_pairs, n_panels],
                scores,
                [1, n],
            );
            self.hide(scores, n, &seen, &block);

            let weights = &mut weights[..n_key_pairs * n_panels];
            for (((scores, weights), state), out) in scores
                .chunks_exact_mut(n)
                .zip(weights.chunks_exact_mut(n_key_pairs))
                .zip(&mut states)
                .zip(out.chunks_exact_mut(LANES * n_wide))
            {
                let shrink = softmax_of_lanes(self.isa, scores, &mut state.most, &mut state.sum, weights);
                scale_rows(self.isa, out, &shrink);
            }

            for (weights, out) in weights.chunks_exact(n_key_pairs).zip(out.chunks_exact_mut(LANES * n_wide))
            {
                multiply_pairs(
                    Pairs { values: weights.as_flattened(), row: 1, pair: LANES },
                    rounded_values,
                    [LANES, n_key_pairs, n_wide],
                    out,
                    [n_wide, 1],
                );
            }
        }
        let mut rows = Vec::with_capacity(n_rows * d);
        for (row, out) in out.chunks_exact(n_wide).take(n_rows).enumerate() {
            let sum = states[row / LANES].sum[row % LANES];
            // A query that saw nothing has no sum.
            let inverse = if sum == 0.0 { 0.0 } else { 1.0 / sum };
            rows.extend(out.as_flattened()[..d].iter().map(|v| v * inverse));
        }
        rows
    }

    /// The queries of the task, scaled: `[panel][pair][lane]`; what is beyond them is 0.
    fn queries_as_lanes(&self, q: &[f32], n_panels: usize, n_pairs: usize) -> Vec<[u32; LANES]> {
        let (d, group) = (self.shape.head_dim, self.group());
        let scale = 1.0 / (d as f32).sqrt();
        let mut lanes = vec![[0_u32; LANES]; n_panels * n_pairs];
        let mut scaled = vec![0.0_f32; d];
        let mut rounded = vec![[0_u16; 2]; n_pairs];
        let heads =
            self.queries.clone().flat_map(|query| q[self.start(query)..][..group * d].chunks_exact(d));
        for (row, values) in heads.enumerate() {
            scaled.iter_mut().zip(values).for_each(|(to, value)| *to = value * scale);
            round_rows(self.isa, &scaled, d, d, &mut rounded);
            let panel = &mut lanes[row / LANES * n_pairs..][..n_pairs];
            for (lanes, pair) in panel.iter_mut().zip(&rounded) {
                lanes[row % LANES] = bytemuck::cast(*pair);
            }
        }
        lanes
    }

    /// Takes what is not seen out of a block of scores.
    fn hide(&self, scores: &mut [[f32; LANES]], n: usize, seen: &[[Range<usize>; 2]], block: &Range<usize>) {
        for (query, ranges) in seen.iter().enumerate() {
            let hidden = visible(ranges, block).gaps(n);
            if hidden.iter().all(Range::is_empty) {
                continue;
            }
            for row in query * self.group()..(query + 1) * self.group() {
                let column = &mut scores[row / LANES * n..][..n];
                for key in hidden.iter().flat_map(Clone::clone) {
                    column[key][row % LANES] = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// The largest score and the sum of exponentials of each lane, over the blocks so far.
#[derive(Clone)]
struct State {
    most: [f32; LANES],
    sum: [f32; LANES],
}

impl Default for State {
    fn default() -> Self {
        Self { most: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES] }
    }
}
