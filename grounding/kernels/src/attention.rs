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

/// The heads of an attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Query heads; query head h reads key head h / (`n_heads` / `n_kv_heads`).
    pub n_heads: usize,
    /// Key heads.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

/// Keys or values: (key heads, keys, head width), the last axis contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a> {
    /// From the first value on.
    pub values: &'a [f32],
    /// Values from one head to the next.
    pub head_stride: usize,
    /// Values from one key to the next.
    pub key_stride: usize,
}

/// Keys and values that lie in one place.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// What queries are compared with.
    pub keys: Heads<'a>,
    /// What is read.
    pub values: Heads<'a>,
    /// How many of both.
    pub n_keys: usize,
}

/// Queries that see the same keys, or the first of them.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// How many follow each other.
    pub n_queries: usize,
    /// Its keys in order, wherever they lie: that changes no number of the result.
    pub stretches: Vec<Stretch<'a>>,
}

impl Sequence<'_> {
    /// Keys of all stretches.
    pub fn n_keys(&self) -> usize {
        self.stretches.iter().map(|stretch| stretch.n_keys).sum()
    }
}

/// Which keys a query sees: two ranges, apart and in order, as a function of sequence and query.
pub type Sees<'a> = dyn Fn(usize, usize) -> [Range<usize>; 2] + Sync + 'a;

/// Softmax of the scaled products of queries and keys, times the values. A query that sees no key gets zeros. What a
/// sequence gets depends on itself alone.
///
/// # Shapes
/// q and the result: (queries of all sequences, heads, head width).
///
/// # Panics
/// If the lengths do not fit (caller's bug).
pub fn attend(
    isa: Isa,
    operands: Operands,
    shape: &AttentionShape,
    q: &[f32],
    sequences: &[Sequence<'_>],
    sees: &Sees<'_>,
) -> Vec<f32> {
    let AttentionShape { n_heads, n_kv_heads, head_dim } = *shape;
    let n_queries: usize = sequences.iter().map(|sequence| sequence.n_queries).sum();
    assert_eq!(q.len(), n_queries * n_heads * head_dim, "queries of an attention");
    assert!(n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads), "heads in groups of equal size");
    let is_on_halves = operands == Operands::Halves && halves::exist(isa);
    let rows = if is_on_halves { halves::ROWS } else { ROWS };
    let per_task = (rows / (n_heads / n_kv_heads)).max(1);
    let (mut tasks, mut first) = (Vec::new(), 0);
    for (item, sequence) in sequences.iter().enumerate() {
        for from in (0..sequence.n_queries).step_by(per_task) {
            let queries = from..sequence.n_queries.min(from + per_task);
            tasks.extend((0..n_kv_heads).map(|head| {
                let queries = queries.clone();
                Task { isa, shape, item, sequence, first, head, queries }
            }));
        }
        first += sequence.n_queries;
    }
    let run = |task: &Task<'_>| {
        if is_on_halves && task.n_rows() > FEW_ROWS { task.run_on_halves(q, sees) } else { task.run(q, sees) }
    };
    let done: Vec<Vec<f32>> = tasks.par_iter().map(run).collect();
    // The rows of a task lie between those of others, so they are put in place afterwards.
    let mut out = vec![0.0_f32; q.len()];
    let width = n_heads / n_kv_heads * head_dim;
    for (task, rows) in tasks.iter().zip(&done) {
        for (query, row) in task.queries.clone().zip(rows.chunks_exact(width)) {
            out[task.start(query)..][..width].copy_from_slice(row);
        }
    }
    out
}

/// A block of queries of one sequence and one key head.
struct Task<'a> {
    isa: Isa,
    shape: &'a AttentionShape,
    /// Which sequence.
    item: usize,
    sequence: &'a Sequence<'a>,
    /// The first query of the sequence among all.
    first: usize,
    head: usize,
    queries: Range<usize>,
}

/// Keys and values of one head that follow each other in memory: `[key]` of a head's width, as far apart as said.
struct Met<'a> {
    /// How many.
    n: usize,
    keys: (&'a [f32], usize),
    values: (&'a [f32], usize),
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
        ((self.first + query) * s.n_heads + self.head * self.group()) * s.head_dim
    }

    /// The keys and values of a block, stretch by stretch.
    fn met(&self, block: Range<usize>) -> impl Iterator<Item = Met<'_>> {
        let mut start = 0;
        self.sequence.stretches.iter().filter_map(move |stretch| {
            let of_stretch = start..start + stretch.n_keys;
            start = of_stretch.end;
            let (from, to) = (block.start.max(of_stretch.start), block.end.min(of_stretch.end));
            let at = |heads: &Heads<'_>| {
                let first = self.head * heads.head_stride + (from - of_stretch.start) * heads.key_stride;
                first..first + (to - from - 1) * heads.key_stride + self.shape.head_dim
            };
            (from < to).then(|| Met {
                n: to - from,
                keys: (&stretch.keys.values[at(&stretch.keys)], stretch.keys.key_stride),
                values: (&stretch.values.values[at(&stretch.values)], stretch.values.key_stride),
            })
        })
    }

    /// Calls `work` with all keys and values of a block in one place: where they lie, or copied into `room`.
    fn with_whole<R>(
        &self,
        block: &Range<usize>,
        room: &mut [Vec<f32>; 2],
        work: impl FnOnce(Met<'_>) -> R,
    ) -> R {
        let mut met = self.met(block.clone());
        if let (Some(alone), None) = (met.next(), met.next()) {
            return work(alone);
        }
        let d = self.shape.head_dim;
        room.iter_mut().for_each(Vec::clear);
        for met in self.met(block.clone()) {
            for (room, (values, stride)) in room.iter_mut().zip([met.keys, met.values]) {
                values.chunks(stride).take(met.n).for_each(|value| room.extend_from_slice(&value[..d]));
            }
        }
        let [keys, values] = room;
        work(Met { n: block.len(), keys: (keys, d), values: (values, d) })
    }

    /// The result's rows: (queries, heads of the group, head width).
    fn run(&self, q: &[f32], sees: &Sees<'_>) -> Vec<f32> {
        let (n_keys, d, group) = (self.sequence.n_keys(), self.shape.head_dim, self.group());
        let scale = 1.0 / (d as f32).sqrt();
        let of_query = |query| q[self.start(query)..][..group * d].iter().map(|v| v * scale);
        let rows: Vec<f32> = self.queries.clone().flat_map(of_query).collect();
        let seen: Vec<[Range<usize>; 2]> = self.queries.clone().map(|query| sees(self.item, query)).collect();
        let n_rows = self.n_rows();
        let few = (n_rows <= FEW_ROWS).then(|| as_lanes(&rows, d));
        let mut room = [Vec::new(), Vec::new()];
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
            let rows = Strided { values: &rows, row: d, column: 1 };
            match &few {
                Some(lanes) => {
                    let mut at = 0;
                    for met in self.met(block.clone()) {
                        scores_of_few(self.isa, lanes, n_rows, met.keys, met.n, &mut scores[at..], n);
                        at += met.n;
                    }
                }
                None => self.with_whole(&block, &mut room, |met| {
                    let keys = Strided { values: met.keys.0, row: 1, column: met.keys.1 };
                    product(rows, keys, [n_rows, d, n], scores, false);
                }),
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
            if few.is_some() {
                let mut at = 0;
                for met in self.met(block.clone()) {
                    let scores = &scores[at..];
                    add_weighted_to_few(self.isa, scores, (n, met.n), met.values, d, &mut out);
                    at += met.n;
                }
            } else {
                self.with_whole(&block, &mut room, |met| {
                    let values = Strided { values: met.values.0, row: met.values.1, column: 1 };
                    let scores = Strided { values: scores, row: n, column: 1 };
                    product(scores, values, [n_rows, n, d], &mut out, true);
                });
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

/// At most [`LANES`] rows as lanes, so that no sum runs across lanes: `[width][lane]`.
fn as_lanes(rows: &[f32], width: usize) -> Vec<[f32; LANES]> {
    let mut lanes = vec![[0.0_f32; LANES]; width];
    for (row, values) in rows.chunks_exact(width).enumerate() {
        for (lanes, value) in lanes.iter_mut().zip(values) {
            lanes[row] = *value;
        }
    }
    lanes
}

/// The products of `n_rows` rows, given as lanes, with `n_keys` keys that lie as far apart as said: without the copies
/// that a large product begins with.
///
/// # Shapes
/// keys: `[key]` of a head's width each, scores: `[row][key]`, rows `to_next` apart.
fn scores_of_few(
    isa: Isa,
    lanes: &[[f32; LANES]],
    n_rows: usize,
    (keys, stride): (&[f32], usize),
    n_keys: usize,
    scores: &mut [f32],
    to_next: usize,
) {
    const AT_ONCE: usize = 8;
    for first in (0..n_keys).step_by(AT_ONCE) {
        // The last key is met again rather than that there is a kernel for fewer.
        let at: [usize; AT_ONCE] = std::array::from_fn(|k| (first + k).min(n_keys - 1));
        let keys = at.map(|key| &keys[key * stride..][..lanes.len()]);
        let sums = match isa {
            Isa::Avx512Vnni => avx512::scores_of_keys(lanes, keys),
            Isa::Portable => keys.map(|key| portable::scores_of_key(lanes, key)),
        };
        for (sums, key) in sums.iter().zip(at) {
            for (row, sum) in sums.iter().take(n_rows).enumerate() {
                scores[row * to_next + key] = *sum;
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

    /// Sequences of one size with keys of their own.
    struct Sizes {
        batch: usize,
        n_queries: usize,
        n_heads: usize,
        n_kv_heads: usize,
        n_keys: usize,
        head_dim: usize,
    }

    /// Every score of a query in f64, then the softmax.
    fn reference(sizes: &Sizes, q: &[f32], sequences: &[Sequence<'_>], sees: &Sees<'_>) -> Vec<f32> {
        let (d, group) = (sizes.head_dim, sizes.n_heads / sizes.n_kv_heads);
        let mut out = Vec::new();
        for (at, q) in q.chunks(d).enumerate() {
            let (head, query) = (at % sizes.n_heads, at / sizes.n_heads % sizes.n_queries);
            let item = at / sizes.n_heads / sizes.n_queries;
            let Stretch { keys, values, .. } = sequences[item].stretches[0];
            let of = |heads: &Heads<'_>, key: usize, i: usize| {
                heads.values[head / group * heads.head_stride + key * heads.key_stride + i]
            };
            let seen: Vec<usize> = sees(item, query).into_iter().flatten().collect();
            let score = |key: &usize| {
                let terms = q.iter().enumerate().map(|(i, q)| f64::from(q * of(&keys, *key, i)));
                terms.sum::<f64>() / (d as f64).sqrt()
            };
            let powers: Vec<f64> = seen.iter().map(|key| score(key).exp()).collect();
            let sum: f64 = powers.iter().sum();
            out.extend((0..d).map(|i| {
                let value = |(key, p): (&usize, &f64)| p * f64::from(of(&values, *key, i));
                if seen.is_empty() {
                    0.0
                } else {
                    (seen.iter().zip(&powers).map(value).sum::<f64>() / sum) as f32
                }
            }));
        }
        out
    }

    /// The same keys in stretches that end at `ends`.
    fn cut<'a>(sequence: &Sequence<'a>, ends: &[usize]) -> Sequence<'a> {
        let whole = sequence.stretches[0];
        let mut from = 0;
        let stretches = ends.iter().map(|&end| {
            let part = |heads: Heads<'a>| Heads { values: &heads.values[from * heads.key_stride..], ..heads };
            let stretch = Stretch { keys: part(whole.keys), values: part(whole.values), n_keys: end - from };
            from = end;
            stretch
        });
        Sequence { stretches: stretches.collect(), ..*sequence }
    }

    #[track_caller]
    fn check(sizes: Sizes, sees: &Sees<'_>) {
        let Sizes { batch, n_queries, n_heads, n_kv_heads, n_keys, head_dim } = sizes;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() * 4.0 - 2.0).collect::<Vec<f32>>();
        let q = draw(batch * n_queries * n_heads * head_dim);
        // Keys with room behind each head, as in a cache; values with the heads of a key side by side.
        let room = (n_keys + 3) * head_dim;
        let keys = draw(batch * n_kv_heads * room);
        let wide = n_kv_heads * head_dim;
        let values = draw(batch * n_keys * wide);
        let sequence = |item: usize| {
            let keys =
                Heads { values: &keys[item * n_kv_heads * room..], head_stride: room, key_stride: head_dim };
            let values =
                Heads { values: &values[item * n_keys * wide..], head_stride: head_dim, key_stride: wide };
            Sequence { n_queries, stretches: vec![Stretch { keys, values, n_keys }] }
        };
        let sequences: Vec<Sequence<'_>> = (0..batch).map(sequence).collect();
        let expected = reference(&sizes, &q, &sequences, sees);
        let shape = AttentionShape { n_heads, n_kv_heads, head_dim };
        let ends = [1, n_keys / 3, n_keys / 3 + 1, n_keys - 2, n_keys];
        for (isa, operands, limit) in [
            (Isa::detect(), Operands::Exact, 2e-6),
            (Isa::Portable, Operands::Exact, 2e-6),
            // Scores reach 10 here, and 8 bits of each factor stay.
            (Isa::detect(), Operands::Halves, 0.03),
        ] {
            let got = attend(isa, operands, &shape, &q, &sequences, sees);
            let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < limit, "{operands:?}: {worst}");
            // Where keys lie, and who else is there, changes no number.
            let parts: Vec<_> = sequences.iter().map(|sequence| cut(sequence, &ends)).collect();
            assert_eq!(attend(isa, operands, &shape, &q, &parts, sees), got, "{operands:?}");
            let of_one = n_queries * n_heads * head_dim;
            for (item, (part, q)) in parts.iter().zip(q.chunks(of_one)).enumerate() {
                let alone = std::slice::from_ref(part);
                let alone = attend(isa, operands, &shape, q, alone, &|_, query| sees(item, query));
                assert_eq!(alone, got[item * of_one..][..of_one], "{operands:?}");
            }
        }
    }

    #[test]
    fn all_keys_are_seen_without_a_mask() {
        let shape = Sizes { batch: 2, n_queries: 130, n_heads: 3, n_kv_heads: 3, n_keys: 530, head_dim: 20 };
        check(shape, &|_, _| [0..530, 0..0]);
    }

    #[test]
    fn causal_queries_behind_a_cache_share_keys_between_heads() {
        let shape = Sizes { batch: 1, n_queries: 40, n_heads: 8, n_kv_heads: 2, n_keys: 300, head_dim: 16 };
        check(shape, &|_, query| [0..261 + query, 0..0]);
    }

    #[test]
    fn one_query_reads_the_whole_cache() {
        // Widths of whole registers, and such that leave a rest.
        for head_dim in [128, 16, 20, 150, 3] {
            let shape = Sizes { batch: 1, n_queries: 1, n_heads: 16, n_kv_heads: 2, n_keys: 1417, head_dim };
            check(shape, &|_, _| [0..1417, 0..0]);
        }
    }

    #[test]
    fn branches_see_the_prefix_and_themselves_and_some_see_nothing() {
        let shape = Sizes { batch: 2, n_queries: 600, n_heads: 2, n_kv_heads: 1, n_keys: 600, head_dim: 8 };
        check(shape, &|item, query| match (item, query) {
            (0, 7) => [0..0, 0..0],
            (_, 0..290) => [0..query + 1, 0..0],
            _ => [0..290, 290 + (query - 290) / 100 * 100..query + 1],
        });
    }
}
