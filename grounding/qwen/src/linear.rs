//! The one linear layer. Invariant: nothing else in this crate multiplies by a weight matrix, so another
//! storage (quantised blocks, another kernel) is added here and nowhere else.

use candle_core::{Result, Tensor};

use crate::error::LoadError;
use crate::weights::Weights;

/// `y = x W^T + b`. Weight names: `{prefix}.weight` (out, in), `{prefix}.bias` (out).
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

/// Whether a layer has a bias vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    Present,
    Absent,
}

impl Linear {
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        n_out: usize,
        n_in: usize,
        bias: Bias,
    ) -> std::result::Result<Self, LoadError> {
        let weight = weights.get(&format!("{prefix}.weight"), &[n_out, n_in])?;
        let bias = match bias {
            Bias::Present => Some(weights.get(&format!("{prefix}.bias"), &[n_out])?),
            Bias::Absent => None,
        };
        Ok(Self { weight, bias })
    }

    /// A layer over an existing (out, in) matrix: a tied output layer, or a convolution seen as a product.
    pub(crate) fn from_matrix(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    /// # Shapes
    /// (..., in) to (..., out).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let n_in = dims.pop().unwrap_or(1);
        let rows: usize = dims.iter().product();
        // One large product instead of a batch of small ones.
        let y = x.reshape((rows, n_in))?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        dims.push(self.weight.dim(0)?);
        y.reshape(dims)
    }
}
