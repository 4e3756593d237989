//! Functions of many values at once, written so that the compiler turns them into vector instructions.
//!
//! Invariant: each body is plain Rust and compiled twice, for AVX-512 and for the oldest processor of the
//! target; both give the same values up to the rounding of fused products.

use crate::{Isa, LANES};

/// Defines a function that runs as AVX-512 code where the processor has it.
macro_rules! dispatched {
    ($(#[$doc:meta])* $vis:vis fn $name:ident, $body:ident, ($($arg:ident: $type:ty),*) $(-> $out:ty)?) => {
        $(#[$doc])*
        $vis fn $name(isa: Isa, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
                fn wide($($arg: $type),*) $(-> $out)? {
                    $body($($arg),*)
                }
                if isa == Isa::Avx512Vnni {
                    // SAFETY: `Isa::detect` looks for each of these instructions.
                    #[expect(unsafe_code, reason = "instructions that were detected at run time")]
                    return unsafe { wide($($arg),*) };
                }
            }
            let _ = isa;
            $body($($arg),*)
        }
    };
}

dispatched!(
    /// `out = silu(gate) * up`.
    ///
    /// # Shapes
    /// All three have one length; what is beyond the shortest is left alone.
    pub fn swiglu_row, swiglu_body, (gate: &[f32], up: &[f32], out: &mut [f32])
);
dispatched!(
    /// The largest value; minus infinity if there is none.
    pub(crate) fn largest, largest_body, (values: &[f32]) -> f32
);
dispatched!(
    /// Replaces each value by the exponential of its difference to `largest`, which none exceeds; the sum of these.
    pub(crate) fn exponentials, exponentials_body, (values: &mut [f32], largest: f32) -> f32
);
dispatched!(
    /// The largest magnitude; 0 if there is no value.
    pub(crate) fn largest_magnitude, largest_magnitude_body, (values: &[f32]) -> f32
);
dispatched!(
    /// Multiplies by `factor` and rounds to 8 bits, halves to even; no product may exceed 127.
    pub(crate) fn to_8_bits, to_8_bits_body, (values: &[f32], factor: f32, out: &mut [i8])
);
dispatched!(
    /// Raises each entry of `most` to the magnitude of its value. The sum of the squares.
    pub(crate) fn raise, raise_body, (values: &[f32], most: &mut [f32]) -> f32
);

dispatched!(
    /// Adds products of single inputs: to each row and panel, the sum over inputs of the row's value times the
    /// panel's weights.
    ///
    /// # Shapes
    /// values: `[input][row]`, columns: `[input][panel][lane]`, sums: `[row][panel][lane]`.
    pub(crate) fn add_products, add_products_body,
    (values: &[f32], columns: &[[f32; LANES]], sums: &mut [[f32; LANES]], n_panels: usize)
);

dispatched!(
    /// Adds to each of few rows the sum of values, weighted by the row's scores.
    ///
    /// # Shapes
    /// scores: `[row][key]`, rows as far apart as said first, and as many keys as said second; values: `[key]` of
    /// `width` values each, as far apart as said; out: `[row][width]`.
    pub(crate) fn add_weighted_to_few, add_weighted_to_few_body,
    (scores: &[f32], of_scores: (usize, usize), values: (&[f32], usize), width: usize, out: &mut [f32])
);
dispatched!(
    /// Adds the same panels to every row.
    ///
    /// # Shapes
    /// panels: `[panel][lane]`, sums: `[row][panel][lane]`.
    pub(crate) fn add_to_rows, add_to_rows_body, (panels: &[[f32; LANES]], sums: &mut [[f32; LANES]])
);
dispatched!(
    /// `gate = silu(gate) * up`.
    pub(crate) fn gate_in_place, gate_in_place_body, (gate: &mut [f32], up: &[f32])
);

dispatched!(
    /// Rounds rows of `width` values, which lie `stride` apart, to bf16; 0 beside an odd last one.
    ///
    /// # Shapes
    /// out: `[row][pair]`.
    pub(crate) fn round_rows, round_rows_body,
    (values: &[f32], stride: usize, width: usize, out: &mut [[u16; 2]])
);
dispatched!(
    /// Rounds `n` rows of `width` values, which lie `stride` apart, to bf16: a pair is the same column of two rows; 0
    /// beyond rows and columns.
    ///
    /// # Shapes
    /// out: `[panel of columns][pair of rows][lane]`.
    pub(crate) fn round_pairs, round_pairs_body,
    (values: &[f32], stride: usize, n: usize, width: usize, out: &mut [[u32; LANES]])
);
dispatched!(
    /// One more block of a softmax in every lane: raises `most` to the largest score, adds the exponentials to `sum`,
    /// and rounds them to bf16. What earlier blocks' results have to be multiplied by.
    ///
    /// # Shapes
    /// scores: `[key][lane]`, weights: `[pair of keys][lane]`.
    pub(crate) fn softmax_of_lanes, softmax_of_lanes_body,
    (scores: &[[f32; LANES]], most: &mut [f32; LANES], sum: &mut [f32; LANES], weights: &mut [[u32; LANES]])
    -> [f32; LANES]
);
dispatched!(
    /// Multiplies each of [`LANES`] rows by its factor.
    ///
    /// # Shapes
    /// rows: `[row][panel][lane]`.
    pub(crate) fn scale_rows, scale_rows_body, (rows: &mut [[f32; LANES]], factors: &[f32; LANES])
);

/// Values that are reduced side by side.
const WIDTH: usize = 16;

#[inline(always)]
fn swiglu_body(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &g), &u) in out.iter_mut().zip(gate).zip(up) {
        *out = swiglu(g, u);
    }
}

#[inline(always)]
fn gate_in_place_body(gate: &mut [f32], up: &[f32]) {
    for (g, &u) in gate.iter_mut().zip(up) {
        *g = swiglu(*g, u);
    }
}

#[inline(always)]
fn swiglu(g: f32, u: f32) -> f32 {
    // exp(-|g|) never overflows.
    let e = exp_of_negative(-g.abs());
    let numerator = if g < 0.0 { e } else { 1.0 };
    g * u * numerator / (1.0 + e)
}

#[inline(always)]
fn add_to_rows_body(panels: &[[f32; LANES]], sums: &mut [[f32; LANES]]) {
    for row in sums.chunks_exact_mut(panels.len()) {
        for (sum, panel) in row.iter_mut().zip(panels) {
            sum.iter_mut().zip(panel).for_each(|(sum, value)| *sum += value);
        }
    }
}

#[inline(always)]
fn add_products_body(values: &[f32], columns: &[[f32; LANES]], sums: &mut [[f32; LANES]], n_panels: usize) {
    let height = sums.len() / n_panels;
    for (row, sums) in sums.chunks_exact_mut(n_panels).enumerate() {
        for (panel, sum) in sums.iter_mut().enumerate() {
            let mut total = *sum;
            let weights = columns.iter().skip(panel).step_by(n_panels);
            for (value, weights) in values.iter().skip(row).step_by(height).zip(weights) {
                for (total, weight) in total.iter_mut().zip(weights) {
                    *total += value * weight;
                }
            }
            *sum = total;
        }
    }
}

/// Keys whose values stay in the first-level cache while the rows pass over them.
const KEYS_IN_CACHE: usize = 32;

#[inline(always)]
fn add_weighted_to_few_body(
    scores: &[f32],
    (to_next, n_keys): (usize, usize),
    (values, stride): (&[f32], usize),
    width: usize,
    out: &mut [f32],
) {
    for first in (0..n_keys).step_by(KEYS_IN_CACHE) {
        let last = n_keys.min(first + KEYS_IN_CACHE);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let scores = &scores[row * to_next..][first..last];
            let values = &values[first * stride..];
            // As many sums as registers hold, then what is left of the width.
            let (wide, rest) = out.as_chunks_mut::<{ 8 * WIDTH }>();
            let done = wide.len() * 8 * WIDTH;
            for (at, sums) in wide.iter_mut().enumerate() {
                add_weighted(scores, &values[at * 8 * WIDTH..], stride, sums);
            }
            let (narrow, rest) = rest.as_chunks_mut::<WIDTH>();
            for (at, sums) in narrow.iter_mut().enumerate() {
                add_weighted(scores, &values[done + at * WIDTH..], stride, sums);
            }
            let done = width - rest.len();
            for (key, score) in scores.iter().enumerate() {
                for (at, sum) in rest.iter_mut().enumerate() {
                    *sum += score * values[key * stride + done + at];
                }
            }
        }
    }
}

#[inline(always)]
fn add_weighted<const N: usize>(scores: &[f32], values: &[f32], stride: usize, sums: &mut [f32; N]) {
    let mut total = *sums;
    for (key, score) in scores.iter().enumerate() {
        let Some(values) = values[key * stride..].first_chunk::<N>() else { break };
        for (total, value) in total.iter_mut().zip(values) {
            *total += score * value;
        }
    }
    *sums = total;
}

/// The upper half of an f32, rounded to nearest, halves to even.
#[inline(always)]
fn half(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
}

/// Two bf16, the first in the low bits.
#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    half(low) | half(high) << 16
}

#[inline(always)]
fn round_rows_body(values: &[f32], stride: usize, width: usize, out: &mut [[u16; 2]]) {
    for (row, out) in out.chunks_exact_mut(width.div_ceil(2)).enumerate() {
        let out = out.as_flattened_mut();
        for (out, value) in out.iter_mut().zip(&values[row * stride..][..width]) {
            *out = half(*value) as u16;
        }
        if let Some(beyond) = out.get_mut(width) {
            *beyond = 0;
        }
    }
}

#[inline(always)]
fn round_pairs_body(values: &[f32], stride: usize, n: usize, width: usize, out: &mut [[u32; LANES]]) {
    for (panel, out) in out.chunks_exact_mut(n.div_ceil(2)).enumerate() {
        let columns = panel * LANES..width.min((panel + 1) * LANES);
        for (at, out) in out.iter_mut().enumerate() {
            let first = &values[2 * at * stride..][columns.clone()];
            let second = (2 * at + 1 < n).then(|| &values[(2 * at + 1) * stride..][columns.clone()]);
            match (first.first_chunk::<LANES>(), second.and_then(|second| second.first_chunk::<LANES>())) {
                (Some(first), Some(second)) => {
                    for ((out, low), high) in out.iter_mut().zip(first).zip(second) {
                        *out = pair(*low, *high);
                    }
                }
                _ => {
                    for (lane, out) in out.iter_mut().enumerate() {
                        let low = first.get(lane).copied().unwrap_or(0.0);
                        let high = second.and_then(|second| second.get(lane)).copied().unwrap_or(0.0);
                        *out = pair(low, high);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn softmax_of_lanes_body(
    scores: &[[f32; LANES]],
    most: &mut [f32; LANES],
    sum: &mut [f32; LANES],
    weights: &mut [[u32; LANES]],
) -> [f32; LANES] {
    let mut new = *most;
    for scores in scores {
        for (new, &score) in new.iter_mut().zip(scores) {
            *new = if score > *new { score } else { *new };
        }
    }
    // A lane that has seen nothing has no largest score; every exponential is 0 below any number.
    let from = new.map(|new| if new == f32::NEG_INFINITY { 0.0 } else { new });
    let mut shrink = [0.0_f32; LANES];
    for ((shrink, most), from) in shrink.iter_mut().zip(&*most).zip(&from) {
        *shrink = exp_of_negative(most - from);
    }
    let mut total = [0.0_f32; LANES];
    let (pairs, odd) = scores.as_chunks::<2>();
    for ([low, high], weights) in pairs.iter().zip(&mut *weights) {
        for lane in 0..LANES {
            let (low, high) =
                (exp_of_negative(low[lane] - from[lane]), exp_of_negative(high[lane] - from[lane]));
            total[lane] += low + high;
            weights[lane] = pair(low, high);
        }
    }
    if let ([odd], Some(weights)) = (odd, weights.last_mut()) {
        for lane in 0..LANES {
            let low = exp_of_negative(odd[lane] - from[lane]);
            total[lane] += low;
            weights[lane] = pair(low, 0.0);
        }
    }
    for ((sum, shrink), total) in sum.iter_mut().zip(&shrink).zip(&total) {
        *sum = *sum * shrink + total;
    }
    *most = new;
    shrink
}

#[inline(always)]
fn scale_rows_body(rows: &mut [[f32; LANES]], factors: &[f32; LANES]) {
    for (row, factor) in rows.chunks_exact_mut(rows.len() / LANES).zip(factors) {
        row.as_flattened_mut().iter_mut().for_each(|value| *value *= factor);
    }
}

#[inline(always)]
fn largest_body(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<WIDTH>();
    let mut most = [f32::NEG_INFINITY; WIDTH];
    for chunk in chunks {
        for (most, &value) in most.iter_mut().zip(chunk) {
            *most = if value > *most { value } else { *most };
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &value| most.max(value))
}

#[inline(always)]
fn largest_magnitude_body(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<WIDTH>();
    let mut most = [0.0_f32; WIDTH];
    for chunk in chunks {
        for (most, value) in most.iter_mut().zip(chunk) {
            let size = value.abs();
            *most = if size > *most { size } else { *most };
        }
    }
    most.iter().chain(rest).fold(0.0, |most, value| most.max(value.abs()))
}

#[inline(always)]
fn to_8_bits_body(values: &[f32], factor: f32, out: &mut [i8]) {
    for (out, value) in out.iter_mut().zip(values) {
        // The low byte of the rounded sum is the whole number in two's complement.
        *out = (value * factor + ROUND).to_bits() as i8;
    }
}

#[inline(always)]
fn raise_body(values: &[f32], most: &mut [f32]) -> f32 {
    let mut squares = [0.0_f32; WIDTH];
    let (chunks, rest) = values.as_chunks::<WIDTH>();
    let (most_chunks, most_rest) = most.as_chunks_mut::<WIDTH>();
    for (chunk, most) in chunks.iter().zip(most_chunks) {
        for ((square, most), value) in squares.iter_mut().zip(most).zip(chunk) {
            let size = value.abs();
            *most = if size > *most { size } else { *most };
            *square += size * size;
        }
    }
    for ((square, most), value) in squares.iter_mut().zip(most_rest).zip(rest) {
        *most = most.max(value.abs());
        *square += value * value;
    }
    squares.iter().sum()
}

/// 1.5 * 2^23: adding it rounds to the nearest whole number, halves to even, and leaves that in the low bits.
const ROUND: f32 = 12_582_912.0;

/// The nearest whole number, halves to even, of magnitudes below 2^22: without SSE4.1 the standard library calls
/// a function for it.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> f32 {
    (value + ROUND) - ROUND
}

#[inline(always)]
fn exponentials_body(values: &mut [f32], largest: f32) -> f32 {
    let (chunks, rest) = values.as_chunks_mut::<WIDTH>();
    let mut sums = [0.0_f32; WIDTH];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *value = exp_of_negative(*value - largest);
            *sum += *value;
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *value = exp_of_negative(*value - largest);
        *sum += *value;
    }
    sums.iter().sum()
}

/// e^x for x <= 0, within 3e-7 of it relatively; 0 below -87, where f32 loses its precision. NaN stays NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and a Taylor polynomial for e^r (the Cody-Waite reduction).
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    /// ln 2 in two parts; the first has trailing zeros, so that its small multiples are exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN2[0]) - n * LN2[1];
    let mut p = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let y = p * power;
    if x < -87.0 { 0.0 } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_bits() {
        for step in 0..=87_000 {
            let x = -(step as f32) / 1000.0;
            let (got, expected) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!((got / expected - 1.0).abs() < 3e-7, "exp({x}): {got} instead of {expected}");
        }
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert_eq!([exp_of_negative(-88.0), exp_of_negative(f32::NEG_INFINITY)], [0.0, 0.0]);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    #[test]
    fn both_codes_agree() {
        let values: Vec<f32> = (0..77).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
        for isa in [Isa::detect(), Isa::Portable] {
            assert_eq!(largest(isa, &values), values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let mut powers = values.clone();
            let sum = exponentials(isa, &mut powers, 30.0);
            let expected: f32 = values.iter().map(|v| (v - 30.0).exp()).sum();
            assert!((sum / expected - 1.0).abs() < 1e-5);
            let mut out = vec![f32::NAN; values.len()];
            swiglu_row(isa, &values, &powers, &mut out);
            for ((out, g), u) in out.iter().zip(&values).zip(&powers) {
                let expected = g / (1.0 + (-g).exp()) * u;
                assert!((out - expected).abs() <= 1e-6 * expected.abs() + 1e-30, "{out} {expected}");
            }
        }
        assert_eq!(largest(Isa::detect(), &[]), f32::NEG_INFINITY);
    }

    #[test]
    fn values_are_rounded_to_8_bits_with_halves_to_even() {
        let values: Vec<f32> = (-254..=254).map(|i| i as f32 / 4.0).collect();
        for isa in [Isa::detect(), Isa::Portable] {
            let mut got = vec![0_i8; values.len()];
            to_8_bits(isa, &values, 2.0, &mut got);
            for (got, value) in got.iter().zip(&values) {
                let expected = (value * 2.0).round_ties_even();
                assert_eq!((f32::from(*got), rounded(value * 2.0)), (expected, expected));
            }
            let mut most = vec![3.0_f32; values.len()];
            let squares = raise(isa, &values, &mut most);
            let expected: f32 = values.iter().map(|v| v * v).sum();
            assert!((squares / expected - 1.0).abs() < 1e-5);
            assert!(most.iter().zip(&values).all(|(most, value)| *most == value.abs().max(3.0)));
            assert_eq!(largest_magnitude(isa, &values), 63.5);
        }
    }
}
