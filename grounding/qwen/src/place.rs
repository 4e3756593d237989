//! Where the computation runs. Invariant: a place that was not compiled in is refused with the feature's name.

use candle_core::Device;

use crate::error::LoadError;

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
    /// [`LoadError::NotCompiledIn`] names the feature; [`LoadError::Device`] if there is no such card.
    pub fn device(self) -> Result<Device, LoadError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda if !cfg!(feature = "cuda") => Err(LoadError::NotCompiledIn { feature: "cuda" }),
            Self::Metal if !cfg!(feature = "metal") => Err(LoadError::NotCompiledIn { feature: "metal" }),
            Self::Cuda => opened("cuda", Device::new_cuda(0)),
            Self::Metal => opened("metal", Device::new_metal(0)),
        }
    }
}

fn opened(name: &'static str, device: candle_core::Result<Device>) -> Result<Device, LoadError> {
    device.map_err(|e| LoadError::Device { name, detail: e.to_string() })
}
