//! Where the computation runs. Invariant: a place that was not compiled in is refused with the feature's name.

use candle_core::Device;

use crate::error::EngineError;

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The processor, with the feature `mkl` or `accelerate` through their libraries.
    Cpu,
    /// The first NVIDIA card; feature `cuda`.
    Cuda,
    /// The first Apple card; feature `metal`.
    Metal,
}

impl Place {
    /// The tensor library's device.
    ///
    /// # Errors
    /// [`EngineError::NotCompiledIn`] names the feature; [`EngineError::Device`] if there is no such card.
    pub fn device(self) -> Result<Device, EngineError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Metal if !cfg!(feature = "metal") => Err(EngineError::NotCompiledIn { feature: "metal" }),
            #[cfg(feature = "cuda")]
            Self::Cuda => opened("cuda", cuda()),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(EngineError::NotCompiledIn { feature: "cuda" }),
            Self::Metal => opened("metal", Device::new_metal(0)),
        }
    }
}

/// A card that computes in the order in which it is asked, whichever thread asks: by default the tensor library has
/// a queue per thread, and results of the pool that computes would be read on another thread before they are there.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "the tensor library has no safe name for one queue")]
fn cuda() -> candle_core::Result<Device> {
    let device = Device::new_cuda_with_stream(0)?;
    // SAFETY: events order the work of several queues, and all tensors of this device have the same one.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    Ok(device)
}

fn opened(name: &'static str, device: candle_core::Result<Device>) -> Result<Device, EngineError> {
    device.map_err(|e| EngineError::Device { name, detail: e.to_string() })
}
