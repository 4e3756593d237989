//! The one linear layer. Invariants: nothing else in this crate multiplies by a weight matrix, so another
//! storage (quantized blocks, another kernel) is added here and nowhere else. At inference on the CPU, of a tensor
//! (rows, 1, in) each row gets what it would get alone, however many there are.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use vigorl_kernels::{Added, Isa, MANY_ROWS, QuantizedMatrix, Rows, multiply_few, multiply_many};

use crate::error::EngineError;
use crate::frozen::Frozen;
use crate::ops::{add_to_rows, is_fused, with_values};
use crate::weights::{Matrix, Weights};

/// `y = x W^T + b`, and with an adapter `+ scale · (x A^T) B^T`. Weight names: `{prefix}.weight` (out, in),
/// `{prefix}.bias` (out), `{prefix}.lora_A.weight` (rank, in), `{prefix}.lora_B.weight` (out, rank).
#[derive(Debug, Clone)]
pub(crate) enum Linear {
    /// Differentiable.
    Dense { weight: Tensor, bias: Option<Tensor>, adapter: Option<Adapter> },
    /// For inference on the CPU.
    Quantized(Product),
}

/// What is added to a matrix: the product of two narrow ones.
#[derive(Debug, Clone)]
pub(crate) struct Adapter {
    /// (rank, in).
    pub(crate) a: Tensor,
    /// (out, rank).
    pub(crate) b: Tensor,
    pub(crate) scale: f64,
}

impl Adapter {
    fn is_tracked(&self) -> bool {
        self.a.track_op() || self.b.track_op()
    }

    /// Both matrices in the numbers of the inputs.
    fn matrices(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.a.to_dtype(x.dtype())?, self.b.to_dtype(x.dtype())?))
    }
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
        let adapter = weights.adapter(prefix, n_out, n_in)?;
        if adapter.is_some() && matches!(matrix, Matrix::Quantized(_)) {
            return Err(EngineError::AdapterOnQuantized { layer: prefix.to_owned() });
        }
        Self::new(matrix, bias, adapter)
    }

    /// A layer without bias over an (out, in) matrix: an output layer, or a convolution seen as a product.
    pub(crate) fn from_matrix(matrix: Matrix) -> std::result::Result<Self, EngineError> {
        Self::new(matrix, None, None)
    }

    fn new(
        matrix: Matrix,
        bias: Option<Tensor>,
        adapter: Option<Adapter>,
    ) -> std::result::Result<Self, EngineError> {
        Ok(match matrix {
            Matrix::Dense(weight) => Self::Dense { weight, bias, adapter },
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
            Self::Dense { weight, bias, adapter } => {
                let (bias, adapter) = (bias.as_ref(), adapter.as_ref());
                let moves = weight.track_op() || adapter.is_some_and(Adapter::is_tracked);
                if is_fused(x) && !x.track_op() && !moves {
                    let y = inferred(x, weight, bias, base)?;
                    let Some(Adapter { a, b, scale }) = adapter else { return Ok(y) };
                    let low = scaled(&inferred(x, a, None, None)?, *scale as f32)?;
                    return inferred(&low, b, None, Some(&y));
                }
                // One large product instead of a batch of small ones.
                let y = differentiable(&x.reshape((rows_of(x), ()))?, weight, bias, adapter)?;
                let y = y.reshape(with_width(x, y.dim(1)?))?;
                base.map_or(Ok(y.clone()), |base| base + y)
            }
        }
    }
}

/// x: (rows, in).
fn differentiable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    adapter: Option<&Adapter>,
) -> Result<Tensor> {
    let is_frozen = !weight.track_op() && !bias.is_some_and(Tensor::track_op) && x.elem_count() > 0;
    let frozen = |scale| Frozen { weight: weight.clone(), bias: bias.cloned(), scale };
    let Some(adapter) = adapter else {
        return if is_frozen && x.track_op() { x.apply_op1(frozen(0.0)) } else { dense(x, weight, bias) };
    };
    let (a, b) = adapter.matrices(x)?;
    if is_frozen && (x.track_op() || adapter.is_tracked()) {
        return x.apply_op3(&a, &b, frozen(adapter.scale));
    }
    let low = (x.matmul(&a.t()?)? * adapter.scale)?;
    dense(x, weight, bias)? + low.matmul(&b.t()?)?
}

/// On the CPU, where nothing is differentiated. x: (..., in).
fn inferred(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, base: Option<&Tensor>) -> Result<Tensor> {
    if are_apart(x) == Rows::Apart {
        return rows_apart(x, weight, bias, base);
    }
    let x_rows = x.reshape((rows_of(x), ()))?;
    let y = match many_rows(&x_rows, weight, bias, base)? {
        Some(y) => y,
        None => added(&x_rows.matmul(&weight.t()?)?, bias, base)?,
    };
    y.reshape(with_width(x, y.dim(1)?))
}

/// On this thread, for the reason of [`added`].
fn scaled(x: &Tensor, scale: f32) -> Result<Tensor> {
    let values = with_values(x, |x| Ok(x.iter().map(|value| value * scale).collect::<Vec<_>>()))?;
    Tensor::from_vec(values, x.shape(), x.device())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::{Device, Var};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::format::WeightFormat;
    use crate::weights::Adapters;

    const N_IN: usize = 70;
    const N_OUT: usize = 33;
    const RANK: usize = 3;
    const SCALE: f64 = 0.75;

    fn drawn(seed: u64, shape: &[usize]) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0_f32..1.0)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn tensors() -> BTreeMap<String, Tensor> {
        let shapes: [(&str, &[usize]); 4] = [
            ("p.weight", &[N_OUT, N_IN]),
            ("p.bias", &[N_OUT]),
            ("p.lora_A.weight", &[RANK, N_IN]),
            ("p.lora_B.weight", &[N_OUT, RANK]),
        ];
        (1..).zip(shapes).map(|(seed, (name, shape))| (name.to_owned(), drawn(seed, shape))).collect()
    }

    fn layer(tensors: &BTreeMap<String, Tensor>) -> Linear {
        let adapters = Adapters { tensors: tensors.clone(), scale: SCALE };
        let weights = Weights::shared(tensors.clone(), &Device::Cpu).adapted(adapters);
        Linear::load(&weights, "p", N_OUT, N_IN, Bias::Present).unwrap()
    }

    fn by_definition(x: &Tensor, tensors: &BTreeMap<String, Tensor>) -> Tensor {
        let update = tensors["p.lora_B.weight"].matmul(&tensors["p.lora_A.weight"]).unwrap();
        let weight = (&tensors["p.weight"] + (update * SCALE).unwrap()).unwrap();
        let x = x.reshape((rows_of(x), N_IN)).unwrap();
        x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&tensors["p.bias"]).unwrap()
    }

    fn difference(a: &Tensor, b: &Tensor) -> f32 {
        let (a, b) = (a.flatten_all().unwrap(), b.flatten_all().unwrap());
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn an_adapter_is_added_in_every_pass() {
        let tensors = tensors();
        let layer = layer(&tensors);
        for shape in [vec![5, 1, N_IN], vec![1, 40, N_IN], vec![3, N_IN]] {
            let x = drawn(7, &shape);
            let expected = by_definition(&x, &tensors);
            let y = layer.forward(&x).unwrap();
            assert_eq!(y.dims(), with_width(&x, N_OUT));
            assert!(difference(&y, &expected) < 1e-4, "{shape:?}");
            let base = drawn(8, &with_width(&x, N_OUT));
            let onto = layer.forward_onto(&base, &x).unwrap();
            assert!(difference(&onto, &(&y + &base).unwrap()) < 1e-4, "{shape:?}");
            let tracked = Var::from_tensor(&x).unwrap();
            assert!(difference(&layer.forward(&tracked).unwrap(), &expected) < 1e-4, "{shape:?}");
        }
    }

    #[test]
    fn a_row_of_an_adapted_layer_gets_what_it_gets_alone() {
        let layer = layer(&tensors());
        let x = drawn(9, &[16, 1, N_IN]);
        let together = layer.forward(&x).unwrap();
        for row in 0..16 {
            let alone = layer.forward(&x.narrow(0, row, 1).unwrap()).unwrap();
            assert_eq!(difference(&alone, &together.narrow(0, row, 1).unwrap()), 0.0, "row {row}");
        }
    }

    /// Gradients by name of the sum of squares of what the layer makes of a variable.
    fn gradients(tensors: &BTreeMap<String, Tensor>, moving: &[&str]) -> BTreeMap<String, Tensor> {
        let mut tensors = tensors.clone();
        let mut variables =
            BTreeMap::from([("x".to_owned(), Var::from_tensor(&drawn(11, &[1, 6, N_IN])).unwrap())]);
        for name in moving {
            let variable = Var::from_tensor(&tensors[*name]).unwrap();
            tensors.insert((*name).to_owned(), variable.as_tensor().clone());
            variables.insert((*name).to_owned(), variable);
        }
        let loss = layer(&tensors).forward(&variables["x"]).unwrap().sqr().unwrap().sum_all().unwrap();
        let found = loss.backward().unwrap();
        let n_kept = found.get_ids().count();
        if !moving.contains(&"p.weight") {
            assert_eq!(n_kept, variables.len(), "nothing is kept of what does not move");
        }
        variables
            .iter()
            .map(|(name, variable)| (name.clone(), found.get(variable).unwrap().clone()))
            .collect()
    }

    #[test]
    fn gradients_around_a_frozen_matrix_are_those_around_a_moving_one() {
        let adapted = tensors();
        let mut plain = adapted.clone();
        plain.retain(|name, _| !name.contains("lora"));
        for (tensors, moving) in [(&adapted, &["p.lora_A.weight", "p.lora_B.weight"][..]), (&plain, &[])] {
            let expected = gradients(tensors, &[moving, &["p.weight"]].concat());
            for (name, gradient) in gradients(tensors, moving) {
                let size = difference(&expected[&name], &expected[&name].zeros_like().unwrap());
                assert!(size > 0.1 && difference(&gradient, &expected[&name]) < 1e-5 * size, "{name}");
            }
        }
    }

    #[test]
    fn a_quantized_layer_refuses_an_adapter_and_a_wrong_one_is_named() {
        let mut tensors = tensors();
        let load = |tensors: &BTreeMap<String, Tensor>, format| {
            let stored: Vec<_> = tensors.iter().filter(|(name, _)| !name.contains("lora")).collect();
            let bytes = safetensors::serialize(stored, None).unwrap();
            let weights = Weights::from_bytes(bytes, &Device::Cpu, format).unwrap();
            let weights = weights.adapted(Adapters { tensors: tensors.clone(), scale: SCALE });
            Linear::load(&weights, "p", N_OUT, N_IN, Bias::Present).map_err(|e| e.to_string())
        };
        let dense = WeightFormat::Dense(candle_core::DType::F32);
        assert!(load(&tensors, dense).is_ok());
        let refused = load(&tensors, WeightFormat::Int8).unwrap_err();
        assert!(refused.contains("`p`") && refused.contains("merge"), "{refused}");
        tensors.insert("p.lora_B.weight".to_owned(), drawn(1, &[N_OUT, RANK + 1]));
        assert!(load(&tensors, dense).unwrap_err().contains("`p.lora_B.weight` has shape [33, 4]"));
        tensors.remove("p.lora_A.weight");
        assert!(load(&tensors, dense).unwrap_err().contains("no tensor `p.lora_A.weight`"));
    }
}
