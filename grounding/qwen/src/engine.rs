//! The engine: a checkpoint that continues conversations.
//!
//! Invariant: a conversation that begins like one that is remembered (a zoom turn, or another instruction on the same
//! screenshot) computes only what is new.

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{Asks, Completion, Conversation, Policy, PolicyError, Sampling, TokenStream, TurnForm};

use crate::batch::Serving;
use crate::checkpoint::{Checkpoint, ModelSource};
use crate::config::TextConfig;
use crate::error::EngineError;
use crate::format::WeightFormat;
use crate::hold::{Hold, ProtocolTokens};
use crate::model::{Model, Probe};
use crate::mrope::Grid;
use crate::processor::{Patches, Processor};
use crate::prompt::Prompt;
use crate::sessions::Sessions;
use crate::tokenizer::Tokenizer;
use crate::weights::OnQuantized;

/// Keys and values that are remembered, unless said otherwise, in bytes.
const REMEMBERED_BYTES: usize = 64 << 20;

/// How a checkpoint is loaded.
#[derive(Clone)]
pub struct LoadOptions {
    /// Where to compute, from [`crate::Place::device`].
    pub device: Device,
    /// Storage of the weights. Dense on the CPU means f32: the tensor library's bf16 matrix-vector product
    /// runs at 1 GB/s there, a tenth of f32.
    pub format: WeightFormat,
    /// Follows quantization.
    pub on_quantized: Option<OnQuantized>,
    /// Overrides the processor's upper pixel limit, for screenshots and crops alike: a whole merged patch at
    /// least; more than the checkpoint's own limit is possible.
    pub max_pixels: Option<u64>,
    /// Tokens of conversations that are remembered at most between turns, the one used longest ago forgotten first: as
    /// many as 64 MiB hold, unless said otherwise. The last conversation is always remembered, and as much as
    /// conversations under way have held at once.
    pub n_remembered: Option<usize>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            format: WeightFormat::Dense(DType::F32),
            on_quantized: None,
            max_pixels: None,
            n_remembered: None,
        }
    }
}

impl std::fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("device", &self.device)
            .field("format", &self.format)
            .field("max_pixels", &self.max_pixels)
            .field("n_remembered", &self.n_remembered)
            .finish_non_exhaustive()
    }
}

/// A loaded Qwen2.5-VL checkpoint.
#[derive(Debug)]
pub struct Engine {
    pub(crate) checkpoint: Checkpoint,
    own_processor: Processor,
    pub(crate) model: Model,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    protocol: ProtocolTokens,
    pub(crate) n_remembered: usize,
    sessions: Sessions,
}

impl Engine {
    /// Loads a checkpoint.
    ///
    /// # Errors
    /// [`EngineError`] names cause and cure.
    pub fn load(source: &ModelSource, options: &LoadOptions) -> Result<Self, EngineError> {
        Self::from_checkpoint(Checkpoint::open(source)?, options)
    }

    /// Loads the weights of an opened checkpoint.
    ///
    /// # Errors
    /// [`EngineError`] names cause and cure.
    pub fn from_checkpoint(checkpoint: Checkpoint, options: &LoadOptions) -> Result<Self, EngineError> {
        let (checkpoint, own_processor) = limited(checkpoint, options)?;
        let weights = checkpoint.weights(&options.device, options.format)?;
        let weights = weights.on_quantized(options.on_quantized.clone());
        let model = Model::load(&checkpoint.config, &weights)?;
        Ok(Self::assembled(checkpoint, own_processor, model, options))
    }

    /// An engine over a model that was loaded elsewhere, such as one whose tensors a trainer moves; `options` name the
    /// device and the format that it has. What the engine remembers was computed with the tensors as they were.
    ///
    /// # Errors
    /// If the processor does not take the upper pixel limit.
    pub fn from_model(
        checkpoint: Checkpoint,
        model: Model,
        options: &LoadOptions,
    ) -> Result<Self, EngineError> {
        let (checkpoint, own_processor) = limited(checkpoint, options)?;
        Ok(Self::assembled(checkpoint, own_processor, model, options))
    }

    fn assembled(
        checkpoint: Checkpoint,
        own_processor: Processor,
        model: Model,
        options: &LoadOptions,
    ) -> Self {
        let dtype = options.format.compute_dtype();
        let fits = || REMEMBERED_BYTES / bytes_of_token(&checkpoint.config.text, dtype);
        Self {
            n_remembered: options.n_remembered.unwrap_or_else(fits),
            checkpoint,
            own_processor,
            model,
            device: options.device.clone(),
            dtype,
            protocol: ProtocolTokens::default(),
            sessions: Sessions::default(),
        }
    }

    /// Another engine on the same weights, which knows nothing of this one's conversations: for a thread beside it.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            checkpoint: self.checkpoint.clone(),
            own_processor: self.own_processor.clone(),
            model: self.model.beside(),
            device: self.device.clone(),
            dtype: self.dtype,
            protocol: ProtocolTokens::default(),
            n_remembered: self.n_remembered,
            sessions: Sessions::default(),
        }
    }

    /// The checkpoint this engine runs.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint's own image processor, whatever limit this engine was loaded with.
    pub fn own_processor(&self) -> &Processor {
        &self.own_processor
    }

    /// The model, for those who compute without a conversation.
    pub fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.checkpoint.tokenizer
    }

    /// Tokens of a conversation.
    pub(crate) fn context_limit(&self) -> usize {
        self.checkpoint.config.text.max_position_embeddings
    }

    pub(crate) fn hold(&self, form: TurnForm) -> Result<Hold<'_>, EngineError> {
        Hold::new(form, &self.checkpoint.tokenizer, &self.protocol)
    }

    /// See [`Checkpoint::prompt`].
    pub(crate) fn prepare(&self, conversation: &Conversation) -> Result<Prompt, PolicyError> {
        self.checkpoint.prompt(conversation)
    }

    /// Visual tokens of one image.
    pub(crate) fn embed_image(
        &self,
        pixels: &RgbImage,
        probe: &mut Probe<'_>,
    ) -> Result<(Patches, Tensor), PolicyError> {
        let patches = self.checkpoint.processor.patches(pixels)?;
        let width = self.checkpoint.config.vision.patch_values();
        let embedded = (|| {
            let values =
                Tensor::from_slice(&patches.values, (patches.grid.n_patches(), width), &self.device)?;
            self.model.embed_images(&values.to_dtype(self.dtype)?, &[patches.grid], probe)
        })();
        Ok((patches, embedded.map_err(backend)?))
    }

    /// Visual tokens of some images, on this thread's pool.
    pub(crate) fn embed_images(&self, images: &[&RgbImage]) -> Result<Vec<Tensor>, EngineError> {
        let width = self.checkpoint.config.vision.patch_values();
        let picture = |pixels: &&RgbImage| -> Result<(Tensor, Grid), EngineError> {
            // That it can be shown is known since its grid was asked for.
            let Patches { values, grid } = self.checkpoint.processor.patches(pixels)?;
            let values = Tensor::from_vec(values, (grid.n_patches(), width), &self.device)?;
            Ok((values.to_dtype(self.dtype)?, grid))
        };
        let pictures = images.iter().map(picture).collect::<Result<Vec<_>, _>>()?;
        Ok(self.model.embed_each(&pictures)?)
    }
}

impl Policy for Engine {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let alone = self.complete_batch(&[(conversation, sampling)], &mut |_, piece| stream(piece)).pop();
        alone.unwrap_or_else(|| unreachable!("one ask has one answer"))
    }

    fn serve<'a>(&mut self, asks: &mut dyn Asks<'a>) {
        // If a caller's stream panics, nothing is remembered.
        let mut sessions = std::mem::take(&mut self.sessions);
        Serving { engine: &*self, sessions: &mut sessions, asks, rows: Vec::new() }.run();
        self.sessions = sessions;
    }

    fn holds_forms(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.checkpoint.name
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.checkpoint.processor.pixel_budget()
    }
}

/// The checkpoint with the upper pixel limit of `options`, and its own processor.
fn limited(
    mut checkpoint: Checkpoint,
    options: &LoadOptions,
) -> Result<(Checkpoint, Processor), EngineError> {
    let own_processor = checkpoint.processor.clone();
    if let Some(max_pixels) = options.max_pixels {
        checkpoint.processor = own_processor.with_max_pixels(max_pixels)?;
    }
    Ok((checkpoint, own_processor))
}

/// Keys and values of one token.
fn bytes_of_token(config: &TextConfig, dtype: DType) -> usize {
    let of_layer = 2 * config.num_key_value_heads * config.head_dim() * dtype.size_in_bytes();
    (config.num_hidden_layers * of_layer).max(1)
}

pub(crate) fn backend(error: impl Into<EngineError>) -> PolicyError {
    PolicyError::Backend(Box::new(error.into()))
}
