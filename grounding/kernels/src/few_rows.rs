//! Products of f32 weights with few rows of activations.
//!
//! Invariant: what a row gets depends on that row alone, however many others there are. A large product sums in an order
//! that may depend on their number, and it first copies the weights into another order, which few rows do not pay for.
//! There is no portable twin: without the instructions, the caller multiplies row by row.

use rayon::prelude::*;

use crate::{Added, Isa, avx512};

/// Products fewer than this, and one thread is done with them before another wakes up.
const PARALLEL_FROM: usize = 1 << 18;

/// `x W^T (+ bias + base)`; `None` if this processor has no instructions for it.
///
/// # Shapes
/// x: rows of `n_in`; weights: rows of `n_in`, one for each output; bias: one value per output; base and the result: rows
/// of outputs.
///
/// # Panics
/// If the lengths do not fit (caller's bug).
pub fn multiply_few(isa: Isa, x: &[f32], n_in: usize, weights: &[f32], added: Added<'_>) -> Option<Vec<f32>> {
    if isa == Isa::Portable || n_in == 0 {
        return None;
    }
    let (n_rows, n_out) = (x.len() / n_in, weights.len() / n_in);
    assert_eq!((x.len(), weights.len()), (n_rows * n_in, n_out * n_in), "rows of {n_in} values");
    let mut y = vec![0.0_f32; n_rows * n_out];
    let n_threads = rayon::current_num_threads();
    if n_threads == 1 || x.len() * n_out < PARALLEL_FROM {
        avx512::dot_products(x, n_in, weights, &mut y);
    } else {
        // A part of the outputs for all rows, so that weights are read once.
        let per_part = n_out.div_ceil(4 * n_threads).next_multiple_of(4);
        let parts: Vec<Vec<f32>> = weights
            .par_chunks(per_part * n_in)
            .map(|weights| {
                let mut y = vec![0.0_f32; n_rows * (weights.len() / n_in)];
                avx512::dot_products(x, n_in, weights, &mut y);
                y
            })
            .collect();
        for (part, values) in parts.iter().enumerate() {
            let width = values.len() / n_rows.max(1);
            for (y, values) in y.chunks_exact_mut(n_out).zip(values.chunks_exact(width)) {
                y[part * per_part..][..width].copy_from_slice(values);
            }
        }
    }
    added.add_to(&mut y, n_out);
    Some(y)
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Checks products of so many rows, inputs and outputs: against their definition, and each row against itself alone.
    pub(crate) fn each_row_gets_its_own(
        multiply: impl Fn(Isa, &[f32], usize, &[f32], Added<'_>) -> Option<Vec<f32>>,
        sizes: [[usize; 3]; 5],
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect::<Vec<f32>>();
        for [n_rows, n_in, n_out] in sizes {
            let (x, weights, bias) = (draw(n_rows * n_in), draw(n_out * n_in), draw(n_out));
            let base = draw(n_rows * n_out);
            let of = |x: &[f32], base: &[f32]| {
                let added = Added { bias: Some(&bias), base: Some(base) };
                multiply(Isa::detect(), x, n_in, &weights, added)
            };
            let Some(together) = of(&x, &base) else { return };
            for (row, together) in together.chunks(n_out).enumerate() {
                let (x, base) = (&x[row * n_in..][..n_in], &base[row * n_out..][..n_out]);
                assert_eq!(of(x, base).as_deref(), Some(together), "{n_rows} {n_in} {n_out}");
                for (output, got) in together.iter().enumerate() {
                    let weights = &weights[output * n_in..][..n_in];
                    let dot: f64 = x.iter().zip(weights).map(|(a, b)| f64::from(a * b)).sum();
                    let expected = dot + f64::from(bias[output] + base[output]);
                    assert!((f64::from(*got) - expected).abs() < 2e-5, "{got} instead of {expected}");
                }
            }
        }
    }

    #[test]
    fn a_row_gets_what_it_gets_alone_and_that_is_the_product() {
        let sizes = [[1, 192, 64], [8, 192, 1009], [17, 100, 7], [5, 15, 33], [40, 2048, 300]];
        each_row_gets_its_own(multiply_few, sizes);
    }
}
