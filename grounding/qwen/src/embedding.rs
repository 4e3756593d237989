//! Rows of the embedding table. Invariant: a table that nothing multiplies by is never copied into memory; its
//! rows are read where the file is mapped.

use candle_core::{DType, Device, Result, Tensor};

use crate::error::EngineError;
use crate::weights::{StoredTensor, Weights};

/// Token id to vector. Weight name: `model.embed_tokens.weight` (V, D).
#[derive(Debug, Clone)]
pub(crate) enum Embedding {
    /// In memory, differentiable.
    Table(Tensor),
    /// In the checkpoint's file.
    Stored { rows: StoredTensor, dtype: DType, device: Device },
}

impl Embedding {
    pub(crate) const NAME: &str = "model.embed_tokens.weight";

    pub(crate) fn load(
        weights: &Weights,
        vocab: usize,
        width: usize,
    ) -> std::result::Result<Self, EngineError> {
        if weights.format().of_layer().is_none() {
            return Ok(Self::Table(weights.get(Self::NAME, &[vocab, width])?));
        }
        Ok(Self::Stored {
            rows: weights.stored(Self::NAME, &[vocab, width])?,
            dtype: weights.format().compute_dtype(),
            device: weights.device().clone(),
        })
    }

    pub(crate) fn device(&self) -> &Device {
        match self {
            Self::Table(table) => table.device(),
            Self::Stored { device, .. } => device,
        }
    }

    /// Called when nothing else reads the table any more.
    pub(crate) fn expect_lookups(&self) -> Result<()> {
        match self {
            Self::Table(_) => Ok(()),
            Self::Stored { rows, .. } => rows.expect_single_rows(),
        }
    }

    /// (T) to (T, D).
    pub(crate) fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        match self {
            Self::Table(table) => table.index_select(&Tensor::from_slice(ids, ids.len(), table.device())?, 0),
            Self::Stored { rows, dtype, device } => {
                let width = rows.row_len();
                let mut values = vec![0.0_f32; ids.len() * width];
                for (values, id) in values.chunks_exact_mut(width).zip(ids) {
                    rows.read_row(*id as usize, values)?;
                }
                Tensor::from_vec(values, (ids.len(), width), device)?.to_dtype(*dtype)
            }
        }
    }
}
