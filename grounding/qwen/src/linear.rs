//! The one linear layer. Invariant: nothing else in this crate multiplies by a weight matrix, so another
//! storage (quantized blocks, another kernel) is added here and nowhere else.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use vigorl_kernels::{Isa, QuantizedMatrix};

use crate::error::LoadError;
use crate::weights::{Matrix, Weights};

/// `y = x W^T + b`. Weight names: `{prefix}.weight` (out, in), `{prefix}.bias` (out).
#[derive(Debug, Clone)]
pub(crate) enum Linear {
    /// Differentiable.
    Dense { weight: Tensor, bias: Option<Tensor> },
    /// For inference on the CPU.
    Quantized(Product),
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
        let matrix = weights.matrix(&format!("{prefix}.weight"), [n_out, n_in])?;
        let bias = match bias {
            Bias::Present => Some(weights.get(&format!("{prefix}.bias"), &[n_out])?),
            Bias::Absent => None,
        };
        Self::new(matrix, bias)
    }

    /// A layer without bias over an (out, in) matrix: an output layer, or a convolution seen as a product.
    pub(crate) fn from_matrix(matrix: Matrix) -> std::result::Result<Self, LoadError> {
        Self::new(matrix, None)
    }

    fn new(matrix: Matrix, bias: Option<Tensor>) -> std::result::Result<Self, LoadError> {
        Ok(match matrix {
            Matrix::Dense(weight) => Self::Dense { weight, bias },
            Matrix::Quantized(matrix) => {
                let bias = bias.map(|bias| bias.to_vec1::<f32>()).transpose()?;
                Self::Quantized(Product { matrix, bias: bias.map(Arc::from) })
            }
        })
    }

    /// # Shapes
    /// (..., in) to (..., out).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let n_in = dims.pop().unwrap_or(1);
        let rows: usize = dims.iter().product();
        // One large product instead of a batch of small ones.
        let x = x.reshape((rows, n_in))?;
        let (y, n_out) = match self {
            Self::Dense { weight, bias } => {
                let y = x.matmul(&weight.t()?)?;
                let y = match bias {
                    Some(bias) => y.broadcast_add(bias)?,
                    None => y,
                };
                (y, weight.dim(0)?)
            }
            Self::Quantized(product) => (x.contiguous()?.apply_op1_no_bwd(product)?, product.matrix.n_out()),
        };
        dims.push(n_out);
        y.reshape(dims)
    }
}

/// A quantized matrix and its bias, as an operation on a (rows, in) tensor.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    matrix: Arc<QuantizedMatrix>,
    bias: Option<Arc<[f32]>>,
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "quantized-product"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, n_in) = layout.shape().dims2()?;
        if n_in != self.matrix.n_in() {
            bail!("{n_in} inputs for a matrix of {}", self.matrix.n_in());
        }
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("operand is not contiguous") };
        let x = &storage.as_slice::<f32>()?[from..to];
        let mut y = vec![0.0_f32; rows * self.matrix.n_out()];
        self.matrix.multiply(Isa::detect(), x, self.bias.as_deref(), &mut y);
        Ok((CpuStorage::F32(y), (rows, self.matrix.n_out()).into()))
    }
}
