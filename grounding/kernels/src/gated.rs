//! The gated MLP: `down(silu(gate(x)) * up(x))`, block of rows by block of rows.
//!
//! Invariant: only a block's hidden values are ever in memory. At the sizes of a 3B checkpoint all rows together
//! would write and read some hundred megabytes of fresh memory per layer.

use crate::Isa;
use crate::activations::{Activations, MAX_ROWS, Rows};
use crate::matrix::{Added, QuantizedMatrix};

/// Rows of a block: few enough that its hidden values stay near, many enough that weights are read rarely.
const ROWS: usize = 32 * MAX_ROWS;

/// The matrices of a gated MLP and their biases.
#[derive(Debug, Clone, Copy)]
pub struct GatedMlp<'a> {
    /// (hidden, in).
    pub gate: (&'a QuantizedMatrix, Option<&'a [f32]>),
    /// (hidden, in).
    pub up: (&'a QuantizedMatrix, Option<&'a [f32]>),
    /// (out, hidden).
    pub down: (&'a QuantizedMatrix, Option<&'a [f32]>),
}

impl GatedMlp<'_> {
    /// `base + down(silu(gate(x)) * up(x))` on all threads.
    ///
    /// # Shapes
    /// x: rows of in values; base and the result: rows of out values.
    ///
    /// # Panics
    /// If the lengths do not fit (caller's bug).
    pub fn forward(&self, isa: Isa, x: &[f32], rows: Rows, base: &[f32]) -> Vec<f32> {
        let (n_in, n_out) = (self.gate.0.n_in(), self.down.0.n_out());
        assert_eq!(x.len() / n_in * n_out, base.len(), "rows of a gated MLP");
        let (mut hidden, mut out) = (vec![], vec![]);
        let mut y = Vec::with_capacity(base.len());
        for (x, base) in x.chunks(ROWS * n_in).zip(base.chunks(ROWS * n_out)) {
            let x = Activations::quantize(isa, x, n_in, rows);
            self.gate.0.gate_into(isa, &x, self.gate.1, self.up, &mut hidden);
            let hidden = Activations::quantize(isa, &hidden, self.down.0.n_in(), rows);
            self.down.0.multiply_into(isa, &hidden, Added { bias: self.down.1, base: Some(base) }, &mut out);
            y.extend_from_slice(&out);
        }
        y
    }
}
