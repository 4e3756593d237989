//! The one linear layer. Invariants: nothing else in this crate multiplies by a weight matrix, so another
//! storage (quantized blocks, another kernel) is added here and nowhere else. At inference on the CPU, of a tensor
//! (rows, 1, in) each row gets what it would get alone, however many there are.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use vigorl_kernels::{Added, Isa, MANY_ROWS, QuantizedMatrix, Rows, multiply_few, multiply_many};

use crate::error::EngineError;
use crate::ops::{add_to_rows, is_fused, with_values};
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
        self.multiply(x, None)
    }

    /// `base` plus what [`Self::forward`] gives, in one pass where that is possible.
    pub(crate) fn forward_onto(&self, base: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.multiply(x, Some(base))
    }

    fn multiply(&self, x: &Tensor, base: Option<&Tensor>) -> Result<Tensor> {
        match self {
            Self::Quantized(product) => product.multiply(x, base),
            Self::Dense { weight, bias } => {
                let is_differentiated = x.track_op() || weight.track_op();
                if are_apart(x) == Rows::Apart && is_fused(x) && !is_differentiated {
                    return rows_apart(x, weight, bias.as_ref(), base);
                }
                // One large product instead of a batch of small ones.
                let x_rows = x.reshape((rows_of(x), ()))?;
                if is_fused(x) && !is_differentiated {
                    if let Some(y) = many_rows(&x_rows, weight, bias.as_ref(), base)? {
                        return y.reshape(with_width(x, y.dim(1)?));
                    }
                    let y = x_rows.matmul(&weight.t()?)?;
                    return added(&y, bias.as_ref(), base)?.reshape(with_width(x, y.dim(1)?));
                }
                let y = dense(&x_rows, weight, bias.as_ref())?;
                let y = y.reshape(with_width(x, y.dim(1)?))?;
                base.map_or(Ok(y.clone()), |base| base + y)
            }
        }
    }
}

fn dense(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?;
    bias.map_or(Ok(y.clone()), |bias| add_to_rows(&y, bias))
}

/// A product of many rows on one thread; nothing if it is none, or not of numbers of 32 bits.
fn many_rows(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    base: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let ((n_rows, n_in), n_out) = (x.dims2()?, weight.dim(0)?);
    if n_rows < MANY_ROWS || rayon::current_num_threads() > 1 {
        return Ok(None);
    }
    let y = with_values(x, |x| {
        with_values(weight, |weight| {
            with_optional(bias, |bias| {
                with_optional(base, |base| {
                    Ok(multiply_many(Isa::detect(), x, n_in, weight, Added { bias, base }))
                })
            })
        })
    })?;
    y.map(|y| Tensor::from_vec(y, (n_rows, n_out), x.device())).transpose()
}

/// `y` plus bias and base in one pass on this thread: the tensor library adds on threads of its own, behind one lock, and
/// passes that run side by side would wait for each other.
fn added(y: &Tensor, bias: Option<&Tensor>, base: Option<&Tensor>) -> Result<Tensor> {
    if bias.is_none() && base.is_none() {
        return Ok(y.clone());
    }
    let width = y.dim(1)?;
    let sums = with_values(y, |y| {
        let mut sums = y.to_vec();
        with_optional(bias, |bias| {
            for row in sums.chunks_exact_mut(width) {
                row.iter_mut().zip(bias.unwrap_or_default()).for_each(|(sum, bias)| *sum += bias);
            }
            Ok(())
        })?;
        with_optional(base, |base| {
            let base = base.into_iter().flatten();
            sums.iter_mut().zip(base).for_each(|(sum, base)| *sum += base);
            Ok(())
        })?;
        Ok(sums)
    })?;
    Tensor::from_vec(sums, y.shape(), y.device())
}

/// As a product, without that a row depends on how many others there are.
fn rows_apart(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, base: Option<&Tensor>) -> Result<Tensor> {
    let (n_in, n_out) = (x.dim(candle_core::D::Minus1)?, weight.dim(0)?);
    let few = with_values(x, |x| {
        with_values(weight, |weight| {
            with_optional(bias, |bias| {
                with_optional(base, |base| {
                    Ok(multiply_few(Isa::detect(), x, n_in, weight, Added { bias, base }))
                })
            })
        })
    })?;
    if let Some(y) = few {
        return Tensor::from_vec(y, with_width(x, n_out), x.device());
    }
    let rows = x.reshape((rows_of(x), n_in))?;
    let row = |row| dense(&rows.narrow(0, row, 1)?.contiguous()?, weight, bias);
    let rows = (0..rows.dim(0)?).map(row).collect::<Result<Vec<_>>>()?;
    let y = Tensor::cat(&rows, 0)?.reshape(with_width(x, n_out))?;
    base.map_or(Ok(y.clone()), |base| base + y)
}

/// Whether rows are multiplied as if each were alone.
pub(crate) fn are_apart(x: &Tensor) -> Rows {
    match x.dims() {
        [.., 1, _] => Rows::Apart,
        _ => Rows::Together,
    }
}

fn rows_of(x: &Tensor) -> usize {
    x.dims().split_last().map_or(0, |(_, dims)| dims.iter().product())
}

/// The shape of `x` with another last axis.
fn with_width(x: &Tensor, width: usize) -> Vec<usize> {
    let mut dims = x.dims().to_vec();
    dims.splice(dims.len().saturating_sub(1).., [width]);
    dims
}

fn with_optional<R>(tensor: Option<&Tensor>, f: impl FnOnce(Option<&[f32]>) -> Result<R>) -> Result<R> {
    match tensor {
        Some(tensor) => with_values(tensor, |values| f(Some(values))),
        None => f(None),
    }
}

/// A quantized matrix and its bias.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    matrix: Arc<QuantizedMatrix>,
    bias: Option<Arc<[f32]>>,
}

impl Product {
    pub(crate) fn parts(&self) -> (&QuantizedMatrix, Option<&[f32]>) {
        (&self.matrix, self.bias.as_deref())
    }

    /// x: (..., in), base and result: (..., out).
    fn multiply(&self, x: &Tensor, base: Option<&Tensor>) -> Result<Tensor> {
        let n_in = x.dim(candle_core::D::Minus1)?;
        if n_in != self.matrix.n_in() {
            bail!("{n_in} inputs for a matrix of {}", self.matrix.n_in());
        }
        let y = with_values(x, |values| {
            with_optional(base, |base| {
                let added = Added { bias: self.bias.as_deref(), base };
                Ok(self.matrix.multiply(Isa::detect(), values, are_apart(x), added))
            })
        })?;
        Tensor::from_vec(y, with_width(x, self.matrix.n_out()), x.device())
    }
}
