//! How weights are held in memory. Invariant: quantized matrices compute in f32, and only matrices are quantized.

use candle_core::DType;
use vigorl_kernels::{Format, Operands};

/// `--dtype`: storage of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFormat {
    /// As the tensor library stores and computes them.
    Dense(DType),
    /// 8 bits, quantized while loading; for the CPU.
    Int8,
    /// 4 bits, the output layer 8; for the CPU.
    Int4,
}

impl Default for WeightFormat {
    fn default() -> Self {
        Self::Dense(DType::F32)
    }
}

impl WeightFormat {
    /// Every format by its name on the command line.
    pub const NAMED: [(&str, Self); 5] = [
        ("f32", Self::Dense(DType::F32)),
        ("bf16", Self::Dense(DType::BF16)),
        ("f16", Self::Dense(DType::F16)),
        ("int8", Self::Int8),
        ("int4", Self::Int4),
    ];

    /// What the quantized formats were called at first, after GGUF formats that are others.
    pub const FORMERLY: [(&str, Self); 2] = [("q8_0", Self::Int8), ("q4_k", Self::Int4)];

    /// The format of a name, also of a former one.
    pub fn named(name: &str) -> Option<Self> {
        let mut known = Self::NAMED.into_iter().chain(Self::FORMERLY);
        known.find(|(known, _)| *known == name).map(|(_, format)| format)
    }

    /// The name of [`Self::NAMED`].
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, format)| *format == self).map_or("dense", |(name, _)| name)
    }

    /// What activations are computed in.
    pub fn compute_dtype(self) -> DType {
        match self {
            Self::Dense(dtype) => dtype,
            Self::Int8 | Self::Int4 => DType::F32,
        }
    }

    /// What attention multiplies: what was rounded to 8 bits does not miss the lower half of an f32.
    pub(crate) fn operands(self) -> Operands {
        match self {
            Self::Dense(_) => Operands::Exact,
            Self::Int8 | Self::Int4 => Operands::Halves,
        }
    }

    /// How a layer's matrix is quantized, if it is.
    pub(crate) fn of_layer(self) -> Option<Format> {
        match self {
            Self::Dense(_) => None,
            Self::Int8 => Some(Format::Bits8),
            Self::Int4 => Some(Format::Bits4),
        }
    }

    /// The same for the output layer, whose errors are the logits' own.
    pub(crate) fn of_output_layer(self) -> Option<Format> {
        self.of_layer().map(|_| Format::Bits8)
    }

    /// Bytes of `n` weights of the output layer, scales included.
    pub fn bytes_of_output(self, n: u64) -> u64 {
        match self {
            Self::Dense(_) => self.bytes_of(n),
            Self::Int8 | Self::Int4 => Self::Int8.bytes_of(n),
        }
    }

    /// Bytes of `n` weights, scales included.
    pub fn bytes_of(self, n: u64) -> u64 {
        match self {
            Self::Dense(dtype) => n * dtype.size_in_bytes() as u64,
            Self::Int8 => n * 33 / 32,
            Self::Int4 => n * 9 / 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_name_means_the_same_format() {
        for (name, format) in WeightFormat::NAMED {
            assert_eq!((WeightFormat::named(name), format.name()), (Some(format), name));
        }
        for (former, format) in WeightFormat::FORMERLY {
            assert_eq!(WeightFormat::named(former), Some(format));
            assert_ne!(format.name(), former);
        }
        assert_eq!(WeightFormat::named("q8_k"), None);
    }

    #[test]
    fn eight_and_four_bits_count_their_scales() {
        assert_eq!(WeightFormat::Int8.bytes_of(6400), 6600);
        assert_eq!(WeightFormat::Int4.bytes_of(6400), 3600);
        assert_eq!(WeightFormat::Dense(DType::BF16).bytes_of(6400), 12_800);
    }
}
