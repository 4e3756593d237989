//! Attention in one pass over the keys.
//!
//! Invariant: a thread holds the scores of [`ROWS`] queries and [`KEYS`] keys at a time, never all of them.
//! Sources: the running maximum and sum of Milakov and Gimelshein (arXiv 1805.02867), blocked over keys as in
//! FlashAttention (arXiv 2205.14135). Differs from both in what a block is: heads that share keys are rows of
//! one product.

mod halves;

use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

use crate::lanes::{add_weighted_to_few, exponentials, largest};
use crate::{Isa, LANES};
use crate::{avx512, portable};

/// Rows of a block: queries times the heads that share keys.
const ROWS: usize = 96;
/// Keys of a block.
const KEYS: usize = 256;

/// Rows up to which the keys are met where they lie: a large product first copies them into another order, which
/// many rows pay for.
const FEW_ROWS: usize = LANES;

/// What the products of an attention multiply; their sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// f32.
    Exact,
    /// bf16 where many queries meet the keys and the processor multiplies them, else f32. Checkpoints are bf16
    /// themselves, and are run so where they are published.
    Halves,
}

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Independent sequences.
    pub batch: usize,
    /// Queries of each.
    pub n_queries: usize,
    /// Query heads; query head h reads key head h / (`n_heads` / `n_kv_heads`).
    pub n_heads: usize,
    /// Key heads.
    pub n_kv_heads: usize,
    /// Keys of each sequence.
    pub n_keys: usize,
    /// Width of a head.
    pub head_dim: usize,
}

/// Keys or values: (batch, key heads, keys, head width), the last axis contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a> {
    /// From the first value on.
    pub values: &'a [f32],
    /// Values from one sequence to the next.
    pub batch_stride: usize,
    /// Values from one head to the next.
    pub head_stride: usize,
    /// Values from one key to the next.
    pub key_stride: usize,
}

impl<'a> Heads<'a> {
    /// All keys of one head.
    fn head(&self, batch: usize, head: usize, shape: &AttentionShape) -> &'a [f32] {
        let start = batch * self.batch_stride + head * self.head_stride;
        &self.values[start..start + (shape.n_keys - 1) * self.key_stride + shape.head_dim]
    }
}

/// Which keys a query sees: two ranges, apart and in order, as a function of sequence and query.
pub type Sees<'a> = dyn Fn(usize, usize) -> [Range<usize>; 2] + Sync + 'a;

/// Softmax of the scaled products of queries and keys, times the values. A query that sees no key gets zeros.
///
/// # Shapes
/// q and the result: (batch, queries, heads, head width).
///
/// # Panics
/// If the lengths do not fit (caller's bug).
pub fn attend(
    isa: Isa,
    operands: Operands,
    shape: &AttentionShape,
    q: &[f32],
    keys: Heads<'_>,
    values: Heads<'_>,
    sees: &Sees<'_>,
) -> Vec<f32> {
    let AttentionShape { batch, n_queries, n_heads, n_kv_heads, head_dim, .. } = *shape;
    assert_eq!(q.len(), batch * n_queries * n_heads * head_dim, "queries of an attention");
    assert!(n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads), "heads in groups of equal size");
    let mut out = vec![0.0_f32; q.len()];
    if shape.n_keys == 0 || out.is_empty() {
        return out;
    }
    let is_on_halves = operands == Operands::Halves && halves::exist(isa);
    let rows = if is_on_halves { halves::ROWS } else { ROWS };
    let per_task = (rows / (n_heads / n_kv_heads)).clamp(1, n_queries);
    let n_blocks = n_queries.div_ceil(per_task);
    let task = |index: usize| {
        let (block, head, item) =
            (index % n_blocks, index / n_blocks % n_kv_heads, index / n_blocks / n_kv_heads);
        Task { isa, shape, item, head, queries: block * per_task..n_queries.min((block + 1) * per_task) }
    };
    let n_tasks = batch * n_kv_heads * n_blocks;
    let run = |task: Task<'_>| {
        if is_on_halves && task.n_rows() > FEW_ROWS {
            task.run_on_halves(q, keys, values, sees)
        } else {
            task.run(q, keys, values, sees)
        }
    };
    let done: Vec<Vec<f32>> = (0..n_tasks).into_par_iter().map(|index| run(task(index))).collect();
    // The rows of a task lie between those of others, so they are put in place afterwards.
    let width = n_heads / n_kv_heads * head_dim;
    out.par_chunks_mut(n_heads * head_dim).with_min_len(8).enumerate().for_each(|(at, out)| {
        let (item, query) = (at / n_queries, at % n_queries);
        for (head, out) in out.chunks_exact_mut(width).enumerate() {
            let rows = &done[(item * n_kv_heads + head) * n_blocks + query / per_task];
            out.copy_from_slice(&rows[query % per_task * width..][..width]);
        }
    });
    out
}

/// A block of queries of one sequence and one key head.
struct Task<'a> {
    isa: Isa,
    shape: &'a AttentionShape,
    item: usize,
    head: usize,
    queries: Range<usize>,
}

impl Task<'_> {
    /// Query heads that share the key head.
    fn group(&self) -> usize {
        self.shape.n_heads / self.shape.n_kv_heads
    }

    /// Queries times the heads of the group.
    fn n_rows(&self) -> usize {
        self.queries.len() * self.group()
    }

    /// Where the group's heads of a query begin, in the queries and in the result.
    fn start(&self, query: usize) -> usize {
        let s = self.shape;
        ((self.item * s.n_queries + query) * s.n_heads + self.head * self.group()) * s.head_dim
    }

    /// The result's rows: (queries, heads of the group, head width).
    fn run(&self, q: &[f32], keys: Heads<'_>, values: Heads<'_>, sees: &Sees<'_>) -> Vec<f32> {
        let (n_keys, d, group) = (self.shape.n_keys, self.shape.head_dim, self.group());
        let scale = 1.0 / (d as f32).sqrt();
        let of_query = |query| q[self.start(query)..][..group * d].iter().map(|v| v * scale);
        let rows: Vec<f32> = self.queries.clone().flat_map(of_query).collect();
        let seen: Vec<[Range<usize>; 2]> = self.queries.clone().map(|query| sees(self.item, query)).collect();
        let n_rows = self.n_rows();
        let (keys_of, values_of) =
            (keys.head(self.item, self.head, self.shape), values.head(self.item, self.head, self.shape));
        let mut out = vec![0.0_f32; n_rows * d];
        let mut scores = vec![0.0_f32; n_rows * KEYS.min(n_keys)];
        let mut states = vec![(f32::NEG_INFINITY, 0.0_f32); n_rows];
        for first in (0..n_keys).step_by(KEYS) {
            let block = first..n_keys.min(first + KEYS);
            if seen.iter().all(|ranges| visible(ranges, &block).is_empty()) {
                continue;
            }
            let n = block.len();
            let scores = &mut scores[..n_rows * n];
            let (keys_of, values_of) =
                (&keys_of[first * keys.key_stride..], &values_of[first * values.key_stride..]);
            if n_rows <= FEW_ROWS {
                scores_of_few(self.isa, &rows, d, keys_of, keys.key_stride, scores);
            } else {
                let keys_of = Strided { values: keys_of, row: 1, column: keys.key_stride };
                product(Strided { values: &rows, row: d, column: 1 }, keys_of, [n_rows, d, n], scores, false);
            }
            for (row, (most, sum)) in states.iter_mut().enumerate() {
                let (scores, out) = (&mut scores[row * n..][..n], &mut out[row * d..][..d]);
                if !hide(scores, &seen[row / group], &block) {
                    continue;
                }
                let new = most.max(largest(self.isa, scores));
                let shrink = (*most - new).exp();
                *sum = *sum * shrink + exponentials(self.isa, scores, new);
                *most = new;
                out.iter_mut().for_each(|v| *v *= shrink);
            }
            if n_rows <= FEW_ROWS {
                add_weighted_to_few(self.isa, scores, values_of, values.key_stride, d, &mut out);
            } else {
                let values_of = Strided { values: values_of, row: values.key_stride, column: 1 };
                product(
                    Strided { values: scores, row: n, column: 1 },
                    values_of,
                    [n_rows, n, d],
                    &mut out,
                    true,
                );
            }
        }
        for (row, (_, sum)) in out.chunks_mut(d).zip(&states) {
            // A query that saw nothing has no sum.
            let inverse = if *sum == 0.0 { 0.0 } else { 1.0 / sum };
            row.iter_mut().for_each(|v| *v *= inverse);
        }
        out
    }
}

/// The products of at most [`LANES`] rows with keys that lie `stride` apart: without the copies that a large product
/// begins with.
///
/// # Shapes
/// rows: `[row][width]`, keys: `[key]` of `width` values each, scores: `[row][key]`.
fn scores_of_few(isa: Isa, rows: &[f32], width: usize, keys: &[f32], stride: usize, scores: &mut [f32]) {
    let n_rows = rows.len() / width;
    let n_keys = scores.len() / n_rows;
    // Rows become lanes, so that no sum runs across lanes.
    let mut lanes = vec![[0.0_f32; LANES]; width];
    for (row, values) in rows.chunks_exact(width).enumerate() {
        for (lanes, value) in lanes.iter_mut().zip(values) {
            lanes[row] = *value;
        }
    }
    const AT_ONCE: usize = 8;
    for first in (0..n_keys).step_by(AT_ONCE) {
        // The last key is met again rather than that there is a kernel for fewer.
        let at: [usize; AT_ONCE] = std::array::from_fn(|k| (first + k).min(n_keys - 1));
        let keys = at.map(|key| &keys[key * stride..][..width]);
        let sums = match isa {
            Isa::Avx512Vnni => avx512::scores_of_keys(&lanes, keys),
            Isa::Portable => keys.map(|key| portable::scores_of_key(&lanes, key)),
        };
        for (sums, key) in sums.iter().zip(at) {
            for (scores, sum) in scores.chunks_exact_mut(n_keys).zip(sums) {
                scores[key] = *sum;
            }
        }
    }
}

/// The keys of a block that are seen, as ranges from its start.
fn visible(seen: &[Range<usize>; 2], block: &Range<usize>) -> Seen {
    let within = |range: &Range<usize>| {
        let (start, end) = (range.start.max(block.start), range.end.min(block.end));
        if start < end { start - block.start..end - block.start } else { 0..0 }
    };
    Seen([within(&seen[0]), within(&seen[1])])
}

struct Seen([Range<usize>; 2]);

impl Seen {
    fn is_empty(&self) -> bool {
        self.0.iter().all(Range::is_empty)
    }

    /// What of `n` keys is not seen.
    fn gaps(&self, n: usize) -> [Range<usize>; 3] {
        let [a, b] = &self.0;
        match (a.is_empty(), b.is_empty()) {
            (true, true) => [0..n, 0..0, 0..0],
            (false, true) => [0..a.start, a.end..n, 0..0],
            (true, false) => [0..b.start, b.end..n, 0..0],
            (false, false) => [0..a.start, a.end..b.start, b.end..n],
        }
    }
}

/// Takes what is not seen out of a row of scores. Whether anything is seen; without, the row is all zeros.
fn hide(scores: &mut [f32], seen: &[Range<usize>; 2], block: &Range<usize>) -> bool {
    let seen = visible(seen, block);
    if seen.is_empty() {
        scores.fill(0.0);
        return false;
    }
    for hidden in seen.gaps(scores.len()) {
        scores[hidden].fill(f32::NEG_INFINITY);
    }
    true
}

/// A matrix in memory: values from one row to the next, and from one column to the next.
#[derive(Clone, Copy)]
struct Strided<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl Strided<'_> {
    fn check(&self, rows: usize, columns: usize) {
        let last = (rows - 1) * self.row + (columns - 1) * self.column;
        assert!(last < self.values.len(), "a matrix of {rows} x {columns} in {} values", self.values.len());
    }
}

/// `out = a b`, or `out += a b`, on this thread. a: (m, k), b: (k, n), out: (m, n) row by row.
fn product(a: Strided<'_>, b: Strided<'_>, [m, k, n]: [usize; 3], out: &mut [f32], is_added: bool) {
    a.check(m, k);
    b.check(k, n);
    assert_eq!(out.len(), m * n, "result of a product");
    // SAFETY: all three matrices lie inside their slices, as just checked.
    #[expect(unsafe_code, reason = "the library takes pointers")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            is_added,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Every score of a query in f64, then the softmax.
    fn reference(shape: &AttentionShape, q: &[f32], k: Heads<'_>, v: Heads<'_>, sees: &Sees<'_>) -> Vec<f32> {
        let (d, group) = (shape.head_dim, shape.n_heads / shape.n_kv_heads);
        let mut out = Vec::new();
        for (at, q) in q.chunks(d).enumerate() {
            let (head, query) = (at % shape.n_heads, at / shape.n_heads % shape.n_queries);
            let item = at / shape.n_heads / shape.n_queries;
            let (k_of, v_of) = (k.head(item, head / group, shape), v.head(item, head / group, shape));
            let keys: Vec<usize> = sees(item, query).into_iter().flatten().collect();
            let score = |key: &usize| {
                let k = &k_of[key * k.key_stride..][..d];
                q.iter().zip(k).map(|(a, b)| f64::from(a * b)).sum::<f64>() / (d as f64).sqrt()
            };
            let powers: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
            let sum: f64 = powers.iter().sum();
            out.extend((0..d).map(|i| {
                let value = |(key, p): (&usize, &f64)| p * f64::from(v_of[key * v.key_stride + i]);
                if keys.is_empty() {
                    0.0
                } else {
                    (keys.iter().zip(&powers).map(value).sum::<f64>() / sum) as f32
                }
            }));
        }
        out
    }

    #[track_caller]
    fn check(shape: AttentionShape, sees: &Sees<'_>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() * 4.0 - 2.0).collect::<Vec<f32>>();
        let q = draw(shape.batch * shape.n_queries * shape.n_heads * shape.head_dim);
        // Keys with room behind each head, as in a cache; values with the heads of a key side by side.
        let room = (shape.n_keys + 3) * shape.head_dim;
        let keys = draw(shape.batch * shape.n_kv_heads * room);
        let wide = shape.n_kv_heads * shape.head_dim;
        let values = draw(shape.batch * shape.n_keys * wide);
        let k = Heads {
            values: &keys,
            batch_stride: shape.n_kv_heads * room,
            head_stride: room,
            key_stride: shape.head_dim,
        };
        let v = Heads {
            values: &values,
            batch_stride: shape.n_keys * wide,
            head_stride: shape.head_dim,
            key_stride: wide,
        };
        let expected = reference(&shape, &q, k, v, sees);
        for (isa, operands, limit) in [
            (Isa::detect(), Operands::Exact, 2e-6),
            (Isa::Portable, Operands::Exact, 2e-6),
            // Scores reach 10 here, and 8 bits of each factor stay.
            (Isa::detect(), Operands::Halves, 0.03),
        ] {
            let got = attend(isa, operands, &shape, &q, k, v, sees);
            let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < limit, "{operands:?}: {worst}");
        }
    }

    #[test]
    fn all_keys_are_seen_without_a_mask() {
        let shape =
            AttentionShape { batch: 2, n_queries: 130, n_heads: 3, n_kv_heads: 3, n_keys: 530, head_dim: 20 };
        check(shape, &|_, _| [0..530, 0..0]);
    }

    #[test]
    fn causal_queries_behind_a_cache_share_keys_between_heads() {
        let shape =
            AttentionShape { batch: 1, n_queries: 40, n_heads: 8, n_kv_heads: 2, n_keys: 300, head_dim: 16 };
        check(shape, &|_, query| [0..261 + query, 0..0]);
    }

    #[test]
    fn one_query_reads_the_whole_cache() {
        // Widths of whole registers, and such that leave a rest.
        for head_dim in [128, 16, 20, 150, 3] {
            let shape =
                AttentionShape { batch: 1, n_queries: 1, n_heads: 16, n_kv_heads: 2, n_keys: 1417, head_dim };
            check(shape, &|_, _| [0..1417, 0..0]);
        }
    }

    #[test]
    fn branches_see_the_prefix_and_themselves_and_some_see_nothing() {
        let shape =
            AttentionShape { batch: 2, n_queries: 600, n_heads: 2, n_kv_heads: 1, n_keys: 600, head_dim: 8 };
        check(shape, &|item, query| match (item, query) {
            (0, 7) => [0..0, 0..0],
            (_, 0..290) => [0..query + 1, 0..0],
            _ => [0..290, 290 + (query - 290) / 100 * 100..query + 1],
        });
    }
}
