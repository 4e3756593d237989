//! The one linear layer. Invariant: nothing else in this crate multiplies by a weight matrix, so another
//! storage (quantized blocks, another kernel) is added here and nowhere else.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use vigorl_kernels::{Added, Isa, QuantizedMatrix};

use crate::error::EngineError;
use crate::ops::{add_to_rows, values};
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
    ) -> std::result::Result<Self, EngineError> {
        let matrix = weights.matrix(&format!("{prefix}.weight"), [n_out, n_in])?;
        let bias = match bias {
            Bias::Present => Some(weights.get(&format!("{prefix}.bias"), &[n_out])?),
            Bias::Absent => None,
        };
        Self::new(matrix, bias)
    }

    /// A layer without bias over an (out, in) matrix: an output layer, or a convolution seen as a product.
    pub(crate) fn from_matrix(matrix: Matrix) -> std::result::Result<Self, EngineError> {
        Self::new(matrix, None)
    }

    fn new(matrix: Matrix, bias: Option<Tensor>) -> std::result::Result<Self, EngineError> {
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
        let (rows, n_in, dims) = rows_of(x)?;
        // One large product instead of a batch of small ones.
        let x = x.reshape((rows, n_in))?;
        let y = match self {
            Self::Dense { weight, bias } => {
                let y = x.matmul(&weight.t()?)?;
                match bias {
                    Some(bias) => add_to_rows(&y, bias)?,
                    None => y,
                }
            }
            Self::Quantized(product) => x.contiguous()?.apply_op1_no_bwd(product)?,
        };
        y.reshape([dims, vec![y.dim(1)?]].concat())
    }

    /// `base` plus what [`Self::forward`] gives, in one pass where that is possible.
    pub(crate) fn forward_onto(&self, base: &Tensor, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense { .. } => base + self.forward(x)?,
            Self::Quantized(product) => {
                let (rows, n_in, _) = rows_of(x)?;
                let x = x.reshape((rows, n_in))?.contiguous()?;
                base.contiguous()?.apply_op2_no_bwd(&x, product)
            }
        }
    }
}

/// Rows, the width of a row, and all dimensions but the last.
fn rows_of(x: &Tensor) -> Result<(usize, usize, Vec<usize>)> {
    let mut dims = x.dims().to_vec();
    let width = dims.pop().unwrap_or(1);
    Ok((dims.iter().product(), width, dims))
}

/// A quantized matrix and its bias, as an operation on a (rows, in) tensor.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    matrix: Arc<QuantizedMatrix>,
    bias: Option<Arc<[f32]>>,
}

impl Product {
    pub(crate) fn parts(&self) -> (&QuantizedMatrix, Option<&[f32]>) {
        (&self.matrix, self.bias.as_deref())
    }

    fn multiply(&self, x: &CpuStorage, layout: &Layout, base: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (rows, n_in) = layout.shape().dims2()?;
        if n_in != self.matrix.n_in() {
            bail!("{n_in} inputs for a matrix of {}", self.matrix.n_in());
        }
        let added = Added { bias: self.bias.as_deref(), base };
        let y = self.matrix.multiply(Isa::detect(), values(x, layout)?, added);
        Ok((CpuStorage::F32(y), (rows, self.matrix.n_out()).into()))
    }
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "quantized-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.multiply(x, layout, None)
    }
}

/// The first operand is what the product is added to, of any shape that ends in the outputs.
impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "quantized-product-onto"
    }

    fn cpu_fwd(
        &self,
        base: &CpuStorage,
        base_layout: &Layout,
        x: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, _) = self.multiply(x, layout, Some(values(base, base_layout)?))?;
        Ok((y, base_layout.shape().clone()))
    }
}
