//! Products of f32 weights with many rows of activations, on one thread.
//!
//! Invariant: each sum runs over the inputs in their order, so what a row gets depends on that row alone. Weights are brought
//! into another order once a call, which only many rows pay for. There is no portable twin, as for few rows.

use crate::{Added, Isa, LANES, avx512};

/// From so many rows on it is faster than a product for any number of rows.
pub const MANY_ROWS: usize = 192;
/// Outputs that are computed at once: two registers.
const PANEL: usize = 2 * LANES;

/// `x W^T (+ bias + base)`; `None` if this processor has no instructions for it.
///
/// # Shapes
/// As [`multiply_few`](crate::multiply_few).
///
/// # Panics
/// If the lengths do not fit (caller's bug).
pub fn multiply_many(
    isa: Isa,
    x: &[f32],
    n_in: usize,
    weights: &[f32],
    added: Added<'_>,
) -> Option<Vec<f32>> {
    if isa == Isa::Portable || n_in == 0 {
        return None;
    }
    let (n_rows, n_out) = (x.len() / n_in, weights.len() / n_in);
    assert_eq!((x.len(), weights.len()), (n_rows * n_in, n_out * n_in), "rows of {n_in} values");
    let mut y = vec![0.0_f32; n_rows * n_out];
    let mut panel = vec![0.0_f32; n_in * PANEL];
    for first in (0..n_out).step_by(PANEL) {
        let width = PANEL.min(n_out - first);
        for (lane, row) in weights[first * n_in..][..width * n_in].chunks_exact(n_in).enumerate() {
            panel.chunks_exact_mut(PANEL).zip(row).for_each(|(inputs, weight)| inputs[lane] = *weight);
        }
        avx512::multiply_panel(x, n_in, &panel, &mut y, [first, width, n_out]);
    }
    added.add_to(&mut y, n_out);
    Some(y)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_row_gets_what_it_gets_alone_and_that_is_the_product() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect::<Vec<f32>>();
        for (n_rows, n_in, n_out) in
            [(1, 192, 64), (23, 192, 1009), (12, 100, 7), (31, 1, 33), (300, 128, 48)]
        {
            let (x, weights, bias) = (draw(n_rows * n_in), draw(n_out * n_in), draw(n_out));
            let base = draw(n_rows * n_out);
            let of = |x: &[f32], base: &[f32]| {
                let added = Added { bias: Some(&bias), base: Some(base) };
                multiply_many(Isa::detect(), x, n_in, &weights, added)
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
}
