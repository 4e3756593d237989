//! The gated MLP of both towers. Invariant: quantized layers run block by block of rows in one kernel, others are
//! composed of differentiable operations; both compute the same.

use candle_core::{Result, Tensor};
use vigorl_kernels::{GatedMlp, Isa};

use crate::error::EngineError;
use crate::linear::{Bias, Linear, are_apart};
use crate::ops::{swiglu, with_values};
use crate::weights::Weights;

/// `down(silu(gate(x)) * up(x))`. Weight names: `{prefix}.{gate,up,down}_proj.*`.
#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Mlp {
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        width: usize,
        n_hidden: usize,
        bias: Bias,
    ) -> std::result::Result<Self, EngineError> {
        let linear = |part: &str, n_out, n_in| {
            Linear::load(weights, &format!("{prefix}.{part}_proj"), n_out, n_in, bias)
        };
        Ok(Self {
            gate: linear("gate", n_hidden, width)?,
            up: linear("up", n_hidden, width)?,
            down: linear("down", width, n_hidden)?,
        })
    }

    /// `x` plus the MLP of `normed`, both (..., D).
    pub(crate) fn forward_onto(&self, x: &Tensor, normed: &Tensor) -> Result<Tensor> {
        match (&self.gate, &self.up, &self.down) {
            (Linear::Quantized(gate), Linear::Quantized(up), Linear::Quantized(down)) => {
                let mlp = GatedMlp { gate: gate.parts(), up: up.parts(), down: down.parts() };
                let out = with_values(x, |x| {
                    with_values(normed, |values| Ok(mlp.forward(Isa::detect(), values, are_apart(normed), x)))
                })?;
                Tensor::from_vec(out, x.shape(), x.device())
            }
            _ => {
                let hidden = swiglu(&self.gate.forward(normed)?, &self.up.forward(normed)?)?;
                self.down.forward_onto(x, &hidden)
            }
        }
    }
}
