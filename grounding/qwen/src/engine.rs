//! The engine: a checkpoint that continues conversations.
//!
//! Invariant: the cache always holds exactly the tokens in `Session::keys`, so a conversation that begins
//! like the last one (a zoom turn, or another instruction on the same screenshot) computes only what is new.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{
    Completion, Conversation, ManyTokenStream, Policy, PolicyError, RenderedPrompt, Sampling, TokenStream,
};

use crate::checkpoint::{Checkpoint, ModelSource};
use crate::error::EngineError;
use crate::format::WeightFormat;
use crate::generate::{Decoding, PromptCost, lap};
use crate::hold::{Hold, ProtocolTokens};
use crate::model::{KvCache, Model, Probe};
use crate::mrope::{Grid, next_position, position_ids};
use crate::processor::{Patches, Processor};
use crate::weights::OnQuantized;

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
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            format: WeightFormat::Dense(DType::F32),
            on_quantized: None,
            max_pixels: None,
        }
    }
}

impl std::fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("device", &self.device)
            .field("format", &self.format)
            .field("max_pixels", &self.max_pixels)
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
    session: Session,
}

/// What is remembered between turns.
#[derive(Debug)]
struct Session {
    /// One per cached token: its id, or the hash of the image it belongs to.
    keys: Vec<u64>,
    cache: KvCache,
    /// Visual tokens by image hash.
    images: BTreeMap<u64, Tensor>,
}

/// A conversation as token ids, with its images.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) ids: Vec<u32>,
    pub(crate) positions: Vec<[u32; 3]>,
    pub(crate) images: Vec<PromptImage>,
}

/// One image of a prompt.
#[derive(Debug)]
pub(crate) struct PromptImage {
    pub(crate) hash: u64,
    pub(crate) pixels: Arc<RgbImage>,
    pub(crate) grid: Grid,
    /// Index of its first pad.
    pub(crate) start: usize,
    pub(crate) n_tokens: usize,
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
    pub fn from_checkpoint(mut checkpoint: Checkpoint, options: &LoadOptions) -> Result<Self, EngineError> {
        let own_processor = checkpoint.processor.clone();
        if let Some(max_pixels) = options.max_pixels {
            checkpoint.processor = own_processor.with_max_pixels(max_pixels)?;
        }
        let weights = checkpoint.weights(&options.device, options.format)?;
        let weights = weights.on_quantized(options.on_quantized.clone());
        let model = Model::load(&checkpoint.config, &weights)?;
        let session = Session::new(&model);
        Ok(Self {
            checkpoint,
            own_processor,
            model,
            device: options.device.clone(),
            dtype: options.format.compute_dtype(),
            protocol: ProtocolTokens::default(),
            session,
        })
    }

    /// Another engine on the same weights, which knows nothing of this one's conversations: for a thread beside it.
    #[must_use]
    pub fn beside(&self) -> Self {
        let model = self.model.beside();
        Self {
            checkpoint: self.checkpoint.clone(),
            own_processor: self.own_processor.clone(),
            session: Session::new(&model),
            model,
            device: self.device.clone(),
            dtype: self.dtype,
            protocol: ProtocolTokens::default(),
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

    /// Renders and tokenises a conversation and expands its image pads.
    pub(crate) fn prepare(&self, conversation: &Conversation) -> Result<Prompt, PolicyError> {
        let rendered = self.checkpoint.template.render(conversation)?;
        let merge = self.checkpoint.config.vision.spatial_merge_size;
        let pad = self.checkpoint.tokenizer.image_pad;
        let mut prompt = Prompt { ids: vec![], positions: vec![], images: vec![] };
        let mut pixels = rendered.images.iter();
        for id in self.encode(&rendered)? {
            if id != pad {
                prompt.ids.push(id);
                continue;
            }
            let Some(pixels) = pixels.next() else {
                let detail = "it writes more image pads than the conversation has images";
                return Err(PolicyError::Template(detail.to_owned()));
            };
            let grid = self.grid_of(pixels)?;
            let image = PromptImage {
                hash: hash_image(pixels),
                pixels: pixels.clone(),
                grid,
                start: prompt.ids.len(),
                n_tokens: grid.n_tokens(merge),
            };
            prompt.ids.extend(std::iter::repeat_n(pad, image.n_tokens));
            prompt.images.push(image);
        }
        if pixels.next().is_some() {
            return Err(PolicyError::Template("it leaves out an image of the conversation".to_owned()));
        }
        let grids: Vec<Grid> = prompt.images.iter().map(|image| image.grid).collect();
        prompt.positions = position_ids(&prompt.ids, &grids, &self.checkpoint.config);
        Ok(prompt)
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

    fn grid_of(&self, pixels: &RgbImage) -> Result<Grid, PolicyError> {
        let (width, height) = vigorl_geometry::fit::smart_resize(
            pixels.width(),
            pixels.height(),
            self.checkpoint.processor.pixel_budget(),
        )?;
        let p = self.checkpoint.processor.patch_size;
        Ok(Grid { t: 1, h: height as usize / p, w: width as usize / p })
    }

    /// Tokenises rendered text; earlier completions keep the ids they were sampled as.
    fn encode(&self, RenderedPrompt { text, sampled, .. }: &RenderedPrompt) -> Result<Vec<u32>, PolicyError> {
        let tokenizer = &self.checkpoint.tokenizer;
        let (mut ids, mut from) = (Vec::new(), 0);
        for (at, as_sampled) in sampled {
            ids.extend(tokenizer.encode(&text[from..at.start]).map_err(backend)?);
            ids.extend(as_sampled);
            from = at.end;
        }
        ids.extend(tokenizer.encode(&text[from..]).map_err(backend)?);
        Ok(ids)
    }

    /// Visual tokens for the pads from index `from` on, computing only unknown images.
    fn visual_tokens(&mut self, prompt: &Prompt, from: usize) -> Result<Option<Tensor>, PolicyError> {
        let mut parts = Vec::new();
        for image in &prompt.images {
            let end = image.start + image.n_tokens;
            if end <= from {
                continue;
            }
            let tokens = match self.session.images.get(&image.hash) {
                Some(tokens) => tokens.clone(),
                None => self.embed_image(&image.pixels, &mut Probe::default())?.1,
            };
            self.session.images.insert(image.hash, tokens.clone());
            let skip = from.saturating_sub(image.start);
            parts.push(tokens.narrow(0, skip, image.n_tokens - skip).map_err(backend)?);
        }
        match parts.len() {
            0 => Ok(None),
            _ => Tensor::cat(&parts, 0).map(Some).map_err(backend),
        }
    }
}

impl Engine {
    /// What the forms of all completions begin with: it is computed with the prompt. Nothing if they differ.
    fn common_lead(&self, samplings: &[Sampling], room: usize) -> Result<Vec<u32>, EngineError> {
        let Some((first, others)) = samplings.split_first() else { return Ok(Vec::new()) };
        let Some(form) = first.form.filter(|form| others.iter().all(|s| s.form == Some(*form))) else {
            return Ok(Vec::new());
        };
        let room = samplings.iter().map(|sampling| sampling.max_new_tokens).min().unwrap_or(0).min(room);
        Hold::new(form, &self.checkpoint.tokenizer, &self.protocol)?.lead(room)
    }

    /// Puts the prompt into the cache, and samples behind it.
    fn complete_all(
        &mut self,
        conversation: &Conversation,
        samplings: &[Sampling],
        stream: &mut ManyTokenStream<'_>,
    ) -> Result<Vec<Completion>, PolicyError> {
        let mut clock = Instant::now();
        let mut prompt = self.prepare(conversation)?;
        let limit = self.checkpoint.config.text.max_position_embeddings;
        if prompt.ids.len() >= limit {
            return Err(PolicyError::TooLong { n_tokens: prompt.ids.len(), limit });
        }
        let n_prompt = prompt.ids.len();
        let lead = self.common_lead(samplings, limit - n_prompt).map_err(backend)?;
        prompt.positions.extend((next_position(&prompt.positions)..).take(lead.len()).map(|at| [at; 3]));
        prompt.ids.extend(&lead);
        let keys = prompt.keys();
        let n_cached = self.session.reuse(&keys);
        let visual = self.visual_tokens(&prompt, n_cached)?;
        self.device.synchronize().map_err(backend)?;
        let vision = lap(&mut clock);

        // If computing fails half way, the cache no longer matches its keys: start afresh next time.
        let mut session = std::mem::replace(&mut self.session, Session::new(&self.model));
        let (new_ids, new_positions) = (&prompt.ids[n_cached..], &prompt.positions[n_cached..]);
        let hidden = self
            .model
            .extend(new_ids, new_positions, visual.as_ref(), &mut session.cache, &mut Probe::default())
            .and_then(|h| h.narrow(1, new_ids.len() - 1, 1))
            .map_err(backend)?;
        // A card is still computing by now; what is not awaited would count as decoding.
        self.device.synchronize().map_err(backend)?;
        let prefill = lap(&mut clock);

        let decoding = Decoding {
            model: &self.model,
            tokenizer: &self.checkpoint.tokenizer,
            protocol: &self.protocol,
            cache: &mut session.cache,
            prompt: &prompt.ids,
            n_lead: lead.len(),
            next_position: next_position(&prompt.positions),
            context_limit: limit,
        };
        let generated = decoding.run(&hidden, samplings, stream).map_err(backend)?;
        session.keys = keys;
        if let [alone] = &generated[..] {
            // The lead is among the keys already, also of a completion that was cancelled inside it.
            let fed = alone.ids.get(lead.len()..alone.n_fed).unwrap_or_default();
            session.keys.extend(fed.iter().map(|&id| u64::from(id)));
        }
        session.images.retain(|hash, _| prompt.images.iter().any(|image| image.hash == *hash));
        self.session = session;
        let decode = lap(&mut clock);
        let cost =
            PromptCost { n_tokens: n_prompt, n_cached: n_cached.min(n_prompt), vision, prefill, decode };
        Ok(generated.into_iter().map(|generated| generated.completion(cost)).collect())
    }
}

impl Policy for Engine {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let alone = std::slice::from_ref(sampling);
        let mut completed = self.complete_all(conversation, alone, &mut |_, piece| stream(piece))?;
        let Some(completion) = completed.pop() else { unreachable!("one sampling gives one completion") };
        Ok(completion)
    }

    fn complete_many(
        &mut self,
        conversation: &Conversation,
        samplings: &[Sampling],
        stream: &mut ManyTokenStream<'_>,
    ) -> Result<Vec<Completion>, PolicyError> {
        match samplings {
            [] => Ok(Vec::new()),
            _ => self.complete_all(conversation, samplings, stream),
        }
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

impl Session {
    fn new(model: &Model) -> Self {
        Self { keys: vec![], cache: KvCache::new(model.config()), images: BTreeMap::new() }
    }

    /// Shortens the cache to what it shares with `keys`; the last token is always computed again, because
    /// its hidden state is needed. Returns the tokens kept.
    fn reuse(&mut self, keys: &[u64]) -> usize {
        let shared = self.keys.iter().zip(keys).take_while(|(a, b)| a == b).count();
        let kept = shared.min(keys.len().saturating_sub(1));
        self.keys.truncate(kept);
        self.cache.truncate(kept);
        kept
    }
}

impl Prompt {
    /// One key per token: equal keys mean equal tokens, images included.
    fn keys(&self) -> Vec<u64> {
        /// Keeps image hashes apart from ids.
        const IMAGE: u64 = 1 << 63;
        let mut keys: Vec<u64> = self.ids.iter().map(|&id| u64::from(id)).collect();
        for image in &self.images {
            keys[image.start..image.start + image.n_tokens].fill(IMAGE | image.hash);
        }
        keys
    }
}

fn hash_image(pixels: &RgbImage) -> u64 {
    let mut hasher = DefaultHasher::new();
    pixels.dimensions().hash(&mut hasher);
    pixels.as_raw().hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn backend(error: impl Into<EngineError>) -> PolicyError {
    PolicyError::Backend(Box::new(error.into()))
}
