//! Where a training computes, and in which numbers.
//!
//! Invariant: what moves is f32 everywhere, so that small steps are not lost; weights that stay as they are may be narrower.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use vigorl_qwen::{LoadOptions, WeightFormat};

use crate::error::TrainingError;
use crate::workers::Workers;

/// Where a training computes, and in which numbers.
#[derive(Debug, Clone)]
pub struct Compute {
    /// The processor or a card, from [`vigorl_qwen::Place::device`].
    pub device: Device,
    /// The numbers of weights that stay as they are beside adapters: f32 or bf16.
    pub frozen: DType,
}

impl Compute {
    /// The processor, in f32.
    pub const CPU: Self = Self { device: Device::Cpu, frozen: DType::F32 };

    /// On the processor, with weights in `format` where they stay as they are beside adapters.
    ///
    /// # Errors
    /// Why that format cannot be trained in.
    pub fn on_cpu(format: WeightFormat, has_adapters: bool) -> Result<Self, &'static str> {
        match format {
            WeightFormat::Dense(DType::F32) => Ok(Self::CPU),
            WeightFormat::Dense(frozen @ DType::BF16) if has_adapters => Ok(Self { frozen, ..Self::CPU }),
            WeightFormat::Dense(DType::BF16) => {
                Err("weights that move are f32: leave it out, or train adapters (`train grpo` with [lora])")
            }
            _ => Err("a training computes in f32, or in bf16 what stays as it is beside adapters"),
        }
    }

    /// Weights that were read elsewhere, where they are computed with.
    pub(crate) fn placed(
        &self,
        weights: BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>, TrainingError> {
        let placed = |(name, tensor): (String, Tensor)| Ok((name, tensor.to_device(&self.device)?));
        weights.into_iter().map(placed).collect()
    }

    /// An engine that computes there, with weights in `dtype`.
    pub(crate) fn engine(&self, dtype: DType) -> LoadOptions {
        let format = WeightFormat::Dense(dtype);
        LoadOptions { device: self.device.clone(), format, ..LoadOptions::default() }
    }

    /// So many workers on the processor. A card does one thing after the other whoever asks, so one worker asks.
    pub(crate) fn workers(&self, n: usize) -> Result<Workers, TrainingError> {
        Workers::new(if self.device.is_cpu() { n } else { 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_as_it_is_may_be_narrow() {
        for (dtype, has_adapters, is_fine) in [
            (DType::F32, false, true),
            (DType::F32, true, true),
            (DType::BF16, false, false),
            (DType::BF16, true, true),
            (DType::F16, true, false),
        ] {
            let found = Compute::on_cpu(WeightFormat::Dense(dtype), has_adapters);
            assert_eq!(found.is_ok(), is_fine, "{dtype:?} {has_adapters}");
            assert!(found.map_or(true, |compute| compute.frozen == dtype));
        }
        assert!(Compute::on_cpu(WeightFormat::Int8, true).unwrap_err().contains("f32"));
    }
}
