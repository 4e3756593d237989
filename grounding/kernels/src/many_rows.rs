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
    use super::*;
    use crate::few_rows::tests::each_row_gets_its_own;

    #[test]
    fn a_row_gets_what_it_gets_alone_and_that_is_the_product() {
        let sizes = [[1, 192, 64], [23, 192, 1009], [12, 100, 7], [31, 1, 33], [300, 128, 48]];
        each_row_gets_its_own(multiply_many, sizes);
    }
}
