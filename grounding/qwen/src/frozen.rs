//! Products with a matrix that does not move.
//!
//! Invariant: the backward pass computes and keeps nothing for what does not move. The tensor library's own product
//! computes the gradients of both sides, whichever of them is asked for, and keeps them until the pass is over.

use candle_core::backend::BackendStorage;
use candle_core::op::Add;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp3, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};

/// `x W^T + b`, and with an adapter `+ scale · (x A^T) B^T`. Neither `W` nor `b` moves.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    pub(crate) scale: f64,
}

/// An operand as it lies in memory.
type Operand<'a, S> = (&'a S, &'a Layout);

impl Frozen {
    /// # Shapes
    /// x: (rows, in), `a_b`: (rank, in) and (out, rank); result: (rows, out).
    fn compute<S: BackendStorage>(
        &self,
        (x, x_layout): Operand<'_, S>,
        a_b: Option<(Operand<'_, S>, Operand<'_, S>)>,
        own: impl Fn(&Storage) -> Result<&S>,
    ) -> Result<(S, Shape)> {
        let (n_rows, n_in) = x_layout.shape().dims2()?;
        let n_out = self.weight.dim(0)?;
        let shape = Shape::from((n_rows, n_out));
        let layout = Layout::contiguous(shape.clone());
        let weight = self.weight.t()?;
        let (weight, weight_layout) = weight.storage_and_layout();
        let mut y = x.matmul(own(&weight)?, (1, n_rows, n_out, n_in), x_layout, weight_layout)?;
        if let Some(bias) = &self.bias {
            let (bias, bias_layout) = bias.storage_and_layout();
            y = y.binary_impl::<Add>(own(&bias)?, &layout, &bias_layout.broadcast_as(shape.clone())?)?;
        }
        if let Some(((a, a_layout), (b, b_layout))) = a_b {
            let rank = a_layout.shape().dims2()?.0;
            let low_layout = Layout::contiguous((n_rows, rank));
            let low = x.matmul(a, (1, n_rows, rank, n_in), x_layout, &a_layout.transpose(0, 1)?)?;
            let low = low.affine(&low_layout, self.scale, 0.0)?;
            let update = low.matmul(b, (1, n_rows, n_out, rank), &low_layout, &b_layout.transpose(0, 1)?)?;
            y = y.binary_impl::<Add>(&update, &layout, &layout)?;
        }
        Ok((y, shape))
    }
}

fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => bail!("a matrix that is not where its inputs are"),
    }
}

fn cuda(storage: &Storage) -> Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        _ => bail!("a matrix that is not where its inputs are"),
    }
}

fn metal(storage: &Storage) -> Result<&MetalStorage> {
    match storage {
        Storage::Metal(storage) => Ok(storage),
        _ => bail!("a matrix that is not where its inputs are"),
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.compute((x, layout), None, cpu)
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.compute((x, layout), None, cuda)
    }

    fn metal_fwd(&self, x: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        self.compute((x, layout), None, metal)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.matmul(&self.weight)?))
    }
}

/// Of x, A and B.
impl CustomOp3 for Frozen {
    fn name(&self) -> &'static str {
        "adapted-product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.compute((x, x_layout), Some(((a, a_layout), (b, b_layout))), cpu)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.compute((x, x_layout), Some(((a, a_layout), (b, b_layout))), cuda)
    }

    fn metal_fwd(
        &self,
        x: &MetalStorage,
        x_layout: &Layout,
        a: &MetalStorage,
        a_layout: &Layout,
        b: &MetalStorage,
        b_layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.compute((x, x_layout), Some(((a, a_layout), (b, b_layout))), metal)
    }

    /// With g the gradient of the result: dB = scale · g^T (x A^T), dA = scale · (g B)^T x, dx = g W + scale · (g B) A.
    /// What is as narrow as the rank is computed again instead of kept.
    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        // Detached, or the results would keep alive what they were computed from.
        let (x_values, a, b) = (x.detach(), a.detach(), b.detach());
        let low_grad = (grad.matmul(&b)? * self.scale)?;
        let dx = match x.track_op() {
            true => Some((grad.matmul(&self.weight)? + low_grad.matmul(&a)?)?),
            false => None,
        };
        let low = (x_values.matmul(&a.t()?)? * self.scale)?;
        Ok((dx, Some(low_grad.t()?.matmul(&x_values)?), Some(grad.t()?.matmul(&low)?)))
    }
}
