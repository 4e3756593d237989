//! Why the engine could not load a checkpoint or go on with a conversation. Every message names cause and cure.

use std::path::PathBuf;
use std::sync::Arc;

use vigorl_geometry::fit::FitError;

/// A checkpoint that cannot be used, or a pass of the network that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file that every checkpoint has is missing.
    #[error("`{path}` is missing: a checkpoint folder needs {needs}")]
    MissingFile {
        /// Where it was expected.
        path: PathBuf,
        /// What must be there.
        needs: &'static str,
    },
    /// A shard named by the index is missing.
    #[error("`{index}` names the shard `{shard}`, which is missing: fetch it again")]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The missing file.
        shard: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`: {detail}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`: {detail}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A weight file is shorter than its header says, or its header is broken.
    #[error("`{path}` is truncated or not a safetensors file ({detail}): fetch it again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        detail: String,
    },
    /// A configuration file with a missing or wrong field.
    #[error("`{file}`: {detail}")]
    Config {
        /// The file.
        file: String,
        /// The field and what is wrong with it.
        detail: String,
    },
    /// Another kind of model.
    #[error("model_type is `{found}`: this engine runs `qwen2_5_vl` checkpoints")]
    Architecture {
        /// What `config.json` says.
        found: String,
    },
    /// A tensor that the architecture needs is not in the files.
    #[error("the weights have no tensor `{name}`")]
    MissingTensor {
        /// Its name in the published layout.
        name: String,
    },
    /// A tensor of another shape than `config.json` implies.
    #[error("tensor `{name}` has shape {got:?}, config.json implies {expected:?}")]
    Shape {
        /// Its name in the published layout.
        name: String,
        /// Implied by `config.json`.
        expected: Vec<usize>,
        /// In the file.
        got: Vec<usize>,
    },
    /// A tensor stored in a format that is not read, such as quantised blocks.
    #[error("tensor `{name}` is stored as {dtype}: F32, F16 and BF16 are read; convert the weights")]
    StoredAs {
        /// Its name in the published layout.
        name: String,
        /// The format as the file calls it.
        dtype: String,
    },
    /// The tokenizer lacks a token of the protocol.
    #[error("the tokenizer has no token `{token}`: it does not belong to a Qwen2.5-VL checkpoint")]
    MissingToken {
        /// The token.
        token: &'static str,
    },
    /// A pass computed NaN or infinities.
    #[error(
        "the logits are not numbers: the weights are broken or overflow in this number format; fetch them again or use f32"
    )]
    NotNumbers,
    /// A file of weights quantized ahead that cannot be used.
    #[error("`{path}` is broken ({detail}): delete it, or write it anew with `vigorl quantize`")]
    BrokenQuantized {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// An adapter of a layer that is multiplied in 8 or 4 bits.
    #[error(
        "`{layer}` has an adapter, which quantized weights cannot take: merge it into the checkpoint, or load f32 or bf16"
    )]
    AdapterOnQuantized {
        /// The layer's name in the published layout.
        layer: String,
    },
    /// There are no weights to quantize ahead.
    #[error("there is nothing to quantize ahead: that needs a checkpoint folder and a dtype of int8 or int4")]
    NothingToQuantize,
    /// The form of a turn cannot be said in this vocabulary.
    #[error("no token of this tokenizer goes on with the form of a turn: leave out --constrain")]
    NoTokenAllowed,
    /// An upper pixel limit that leaves nothing to look at.
    #[error(
        "{max_pixels} pixels are too few: one visual token of this checkpoint shows {side}x{side} = {} pixels",
        side * side
    )]
    TooFewPixels {
        /// The limit.
        max_pixels: u64,
        /// Side of a merged patch in pixels.
        side: u64,
    },
    /// The weights do not fit.
    #[error(
        "the model needs about {needed_gib:.1} GiB, {available_gib:.1} GiB are available: close programs or choose a smaller model"
    )]
    Memory {
        /// Estimate for the weights and the largest screenshot.
        needed_gib: f64,
        /// Free memory now.
        available_gib: f64,
    },
    /// A device that this program was built without.
    #[error(
        "this program was built without `{feature}`: build it with `cargo build --release --features {feature}`"
    )]
    NotCompiledIn {
        /// The feature of that name.
        feature: &'static str,
    },
    /// A device that cannot be used.
    #[error("cannot use the device `{name}`: {detail}; `cpu` is always there")]
    Device {
        /// `cuda` or `metal`.
        name: &'static str,
        /// What the driver said.
        detail: String,
    },
    /// The tensor library failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// An image cannot be shown to the network.
    #[error("cannot show this image to the policy: {0}")]
    Image(#[from] FitError),
    /// What failed was computed for several conversations.
    #[error(transparent)]
    Shared(Arc<EngineError>),
    /// The chat template cannot be used.
    #[error("the chat template cannot be used: {0}")]
    Template(String),
}

impl EngineError {
    pub(crate) fn config(file: &str, detail: impl ToString) -> Self {
        Self::Config { file: file.to_owned(), detail: detail.to_string() }
    }
}
