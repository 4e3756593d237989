//! Own kernels for NVIDIA cards, compiled when one is first needed. Invariant: operands are contiguous, and the result
//! is that of the same operation on the CPU but for rounding.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaView, DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDType, CudaStorage, WrapErr};
use candle_core::{DType, Error, Layout, Result, bail};
use half::{bf16, f16};

use crate::ops::Mask;

/// Threads of a block where there is work for all.
const THREADS: u32 = 256;

/// Softmax over the last axis of (B, G, R, K), invisible keys at probability 0.
pub(crate) fn masked_softmax(
    scores: &CudaStorage,
    layout: &Layout,
    mask: Option<&Mask>,
) -> Result<CudaStorage> {
    match scores.dtype() {
        DType::F32 => masked_softmax_of::<f32>(scores, layout, mask),
        DType::BF16 => masked_softmax_of::<bf16>(scores, layout, mask),
        DType::F16 => masked_softmax_of::<f16>(scores, layout, mask),
        other => bail!("no softmax of {other:?} on a card"),
    }
}

#[expect(unsafe_code, reason = "a kernel takes pointers")]
fn masked_softmax_of<T: CudaDType + DeviceRepr>(
    scores: &CudaStorage,
    layout: &Layout,
    mask: Option<&Mask>,
) -> Result<CudaStorage> {
    let (batch, groups, r, n_keys) = layout.shape().dims4()?;
    let device = scores.device();
    let kernel = device.get_or_load_custom_func(&named("masked_softmax", scores), MODULE, ptx()?)?;
    let visible = match mask.filter(|mask| mask.hides_any(n_keys)) {
        Some(mask) => {
            let rows: Vec<u32> = mask.rows.iter().flat_map(|row| [row.prefix, row.start, row.end]).collect();
            Some(device.clone_htod(&rows)?)
        }
        None => None,
    };
    let n_queries = mask.map_or(r, |mask| mask.n_queries) as u32;
    let (n_rows, n_keys, rows_per_item) = ((batch * groups * r) as u32, n_keys as u32, (groups * r) as u32);
    let scores = values::<T>(scores, layout)?;
    // SAFETY: the kernel writes all of it.
    let out = unsafe { device.alloc::<T>(layout.shape().elem_count())? };
    let mut launch = kernel.builder();
    launch.arg(&scores).arg(&out);
    match &visible {
        Some(visible) => launch.arg(visible),
        None => launch.arg(&0_u64),
    };
    launch.arg(&n_keys).arg(&rows_per_item).arg(&n_queries);
    let threads = n_keys.clamp(1, THREADS).next_multiple_of(32);
    let shape = LaunchConfig { grid_dim: (n_rows, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: both tensors have `n_rows` rows of `n_keys`, and `visible` three numbers for each query of each item.
    unsafe { launch.launch(shape) }.w()?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}

/// `row` added to every row of `x`, whose last axis is as long.
pub(crate) fn add_to_rows(
    x: &CudaStorage,
    x_layout: &Layout,
    row: &CudaStorage,
    row_layout: &Layout,
) -> Result<CudaStorage> {
    match x.dtype() {
        DType::F32 => add_to_rows_of::<f32>(x, x_layout, row, row_layout),
        DType::BF16 => add_to_rows_of::<bf16>(x, x_layout, row, row_layout),
        DType::F16 => add_to_rows_of::<f16>(x, x_layout, row, row_layout),
        other => bail!("no rows of {other:?} on a card"),
    }
}

#[expect(unsafe_code, reason = "a kernel takes pointers")]
fn add_to_rows_of<T: CudaDType + DeviceRepr>(
    x: &CudaStorage,
    x_layout: &Layout,
    row: &CudaStorage,
    row_layout: &Layout,
) -> Result<CudaStorage> {
    let (n, width) = (x_layout.shape().elem_count(), row_layout.shape().elem_count());
    if x_layout.dims().last() != Some(&width) {
        bail!("a row of {width} for rows of {:?}", x_layout.dims());
    }
    let device = x.device();
    let kernel = device.get_or_load_custom_func(&named("add_to_rows", x), MODULE, ptx()?)?;
    let (x, row) = (values::<T>(x, x_layout)?, values::<T>(row, row_layout)?);
    // SAFETY: the kernel writes all of it.
    let out = unsafe { device.alloc::<T>(n)? };
    let (n, width) = (n as u32, width as u32);
    let mut launch = kernel.builder();
    launch.arg(&x).arg(&row).arg(&out).arg(&n).arg(&width);
    let shape = LaunchConfig {
        grid_dim: (n.div_ceil(THREADS), 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: both tensors have `n` values, and the row has `width`.
    unsafe { launch.launch(shape) }.w()?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}

/// The name under which a device keeps the kernels.
const MODULE: &str = "vigorl";

fn named(kernel: &str, operand: &CudaStorage) -> String {
    format!("{kernel}_{}", operand.dtype().as_str())
}

fn ptx() -> Result<&'static str> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let compile = || match compile_ptx(include_str!("card/kernels.cu")) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(error) => Err(format!("the card's kernels do not compile: {error:?}")),
    };
    PTX.get_or_init(compile).as_deref().map_err(Error::msg)
}

/// The values of a contiguous tensor.
fn values<'a, T: CudaDType>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("operand is not contiguous") };
    Ok(storage.as_cuda_slice::<T>()?.slice(from..to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_compile_for_every_number_format() {
        let ptx = ptx().unwrap();
        for kernel in ["masked_softmax", "add_to_rows"] {
            for dtype in ["f32", "bf16", "f16"] {
                assert!(ptx.contains(&format!(".entry {kernel}_{dtype}(")), "{kernel} of {dtype}");
            }
        }
    }
}
