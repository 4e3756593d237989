//! The whole model: visual tokens put into the token stream, then the decoder.
//!
//! Invariant: inference and training run the same modules; training passes packed rows and no cache.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::config::Config;
use crate::error::EngineError;
use crate::kv_cache::{Branches, LayerCache, Place};
use crate::mrope::{Grid, RotaryTable};
use crate::ops::{Mask, Visible};
use crate::text::Decoder;
use crate::threads::Threads;
use crate::vision::VisionTower;
use crate::weights::Weights;

/// Qwen2.5-VL.
#[derive(Debug, Clone)]
pub struct Model {
    config: Config,
    vision: VisionTower,
    decoder: Decoder,
    threads: Arc<Threads>,
}

/// Keys and values of a conversation, one entry per layer.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    len: usize,
}

impl KvCache {
    /// An empty cache for `config`.
    pub fn new(config: &Config) -> Self {
        let layers = std::iter::repeat_with(LayerCache::default).take(config.text.num_hidden_layers);
        Self { layers: layers.collect(), len: 0 }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.layers.iter_mut().for_each(|layer| layer.truncate(len));
    }
}

/// Called with the index of a layer and its output.
pub type OnLayer<'a> = &'a mut (dyn FnMut(usize, &Tensor) + Send);

/// What a forward pass shows to whoever inspects it.
#[derive(Default)]
pub struct Probe<'a> {
    /// Called with each vision block's output, (N, D) in window order.
    pub vision_block: Option<OnLayer<'a>>,
    /// Called with each decoder layer's output, (1, T, D).
    pub layer: Option<OnLayer<'a>>,
}

impl std::fmt::Debug for Probe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

/// Training rows: each a shared prefix followed by branches that see the prefix and themselves.
///
/// # Shapes
/// `ids`, `positions`, `segments`: B rows of T entries, padded at the end.
#[derive(Debug, Clone)]
pub struct PackedBatch {
    /// Token ids; padding may be any id.
    pub ids: Vec<Vec<u32>>,
    /// Position ids, those of prefix and branch alone.
    pub positions: Vec<Vec<[u32; 3]>>,
    /// 0 for the prefix, k for branch k (contiguous, ascending), `u32::MAX` for padding.
    pub segments: Vec<Vec<u32>>,
    /// Patches of all images, row by row in order of appearance: (N, patch values).
    pub patches: Tensor,
    /// Grids of these images.
    pub grids: Vec<Grid>,
}

/// What a pass over packed rows computed. Every tensor is differentiable.
#[derive(Debug, Clone)]
pub struct PackedPass {
    /// Visual tokens of all images, (M, D).
    pub images: Option<Tensor>,
    /// What each decoder layer got, then what the last one gave: (B, T, D) each.
    pub inputs: Vec<Tensor>,
    /// After the final norm: (B, T, D).
    pub hidden: Tensor,
    table: Arc<RotaryTable>,
    visible: Arc<Vec<Visible>>,
}

impl PackedPass {
    /// Which tokens of its row the token at a (row, index) place sees.
    pub fn visible(&self, (row, index): (usize, usize)) -> Visible {
        let n_rows = self.hidden.dims()[0];
        self.visible[row * (self.visible.len() / n_rows) + index]
    }
}

impl Model {
    /// The same weights for another conversation at the same time.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { threads: Arc::new(self.threads.beside()), ..self.clone() }
    }

    /// Builds the model over `weights`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape than `config` implies.
    pub fn load(config: &Config, weights: &Weights) -> std::result::Result<Self, EngineError> {
        Ok(Self {
            config: config.clone(),
            vision: VisionTower::load(weights, &config.vision)?,
            decoder: Decoder::load(weights, &config.text)?,
            threads: Arc::new(Threads::for_weights(weights.n_weights())),
        })
    }

    /// The sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Visual tokens of images, in order.
    ///
    /// # Shapes
    /// patches: (N, patch values); result: (M, D).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn embed_images(&self, patches: &Tensor, grids: &[Grid], probe: &mut Probe<'_>) -> Result<Tensor> {
        let mut ignore = |_: usize, _: &Tensor| {};
        let each_block = probe.vision_block.as_deref_mut().unwrap_or(&mut ignore);
        self.threads.run(|| self.vision.forward(patches, grids, each_block))
    }

    /// Hidden states of new tokens behind those in `cache`, which then holds them too.
    ///
    /// # Shapes
    /// ids: T new tokens whose image pads take the rows of `images` (M, D) in order; result: (1, T, D).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn extend(
        &self,
        ids: &[u32],
        positions: &[[u32; 3]],
        images: Option<&Tensor>,
        cache: &mut KvCache,
        probe: &mut Probe<'_>,
    ) -> Result<Tensor> {
        let table = Arc::new(RotaryTable::for_text(positions, &self.config.text));
        let mask = Mask::causal(cache.len, ids.len());
        let mut ignore = |_: usize, _: &Tensor| {};
        let each_layer = probe.layer.as_deref_mut().unwrap_or(&mut ignore);
        let hidden = self.threads.run(|| {
            let x = self.embed(ids, images)?.unsqueeze(0)?;
            let caches = Some((&mut cache.layers[..], Place::End));
            self.decoder.forward(&x, &table, &mask, caches, each_layer)
        })?;
        cache.len += ids.len();
        Ok(hidden)
    }

    /// Hidden states of one more token in each of `which` branches behind the tokens that `cache` holds.
    ///
    /// # Shapes
    /// ids, positions: one entry per branch; result: (1, branches, D).
    pub(crate) fn extend_branches(
        &self,
        ids: &[u32],
        positions: &[[u32; 3]],
        which: &[usize],
        branches: &mut Branches,
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let table = Arc::new(RotaryTable::for_text(positions, &self.config.text));
        let growth = branches.grow(which);
        let place = Place::Beyond { at: &growth.at, capacity: branches.capacity() };
        self.threads.run(|| {
            let x = self.embed(ids, None)?.unsqueeze(0)?;
            let caches = Some((&mut cache.layers[..], place));
            self.decoder.forward(&x, &table, &growth.mask, caches, &mut |_, _| {})
        })
    }

    /// (..., D) → (..., V).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.threads.run(|| self.decoder.logits(hidden))
    }

    /// A differentiable pass over packed rows.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn packed(&self, batch: &PackedBatch) -> Result<PackedPass> {
        let (b, t) = (batch.ids.len(), batch.ids.first().map_or(0, Vec::len));
        let images = match batch.grids.is_empty() {
            true => None,
            false => Some(self.embed_images(&batch.patches, &batch.grids, &mut Probe::default())?),
        };
        let d = self.config.text.hidden_size;
        let x = self.embed(&batch.ids.concat(), images.as_ref())?.reshape((b, t, d))?;
        let table = Arc::new(RotaryTable::for_text(&batch.positions.concat(), &self.config.text));
        let visible: Arc<Vec<Visible>> =
            Arc::new(batch.segments.iter().flat_map(|segments| visible_in_row(segments)).collect());
        let mask = Mask { rows: Arc::clone(&visible), n_queries: t };
        let mut inputs = vec![x.clone()];
        let hidden = self.decoder.forward(&x, &table, &mask, None, &mut |_, x| inputs.push(x.clone()))?;
        Ok(PackedPass { images, inputs, hidden, table, visible })
    }

    /// Logits at (row, index) places of a pass.
    ///
    /// # Shapes
    /// Result: (places, V).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn logits_at(&self, pass: &PackedPass, places: &[(usize, usize)]) -> Result<Tensor> {
        self.decoder.logits(&rows_at(&pass.hidden, places)?)
    }

    /// How strongly one head of a layer looks from each (row, index) place at each token of its row: scaled
    /// scores before the softmax, those of invisible tokens included (see [`PackedPass::visible`]).
    ///
    /// # Shapes
    /// Result: (places, T).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    ///
    /// # Panics
    /// If there is no such layer or head (caller's bug).
    pub fn attention_scores_at(
        &self,
        pass: &PackedPass,
        layer: usize,
        head: usize,
        places: &[(usize, usize)],
    ) -> Result<Tensor> {
        let scores = self.decoder.attention_scores(layer, head, &pass.inputs[layer], &pass.table)?;
        rows_at(&scores, places)
    }

    /// Embeds tokens, image pads taking the rows of `images` in order: (T, D).
    fn embed(&self, ids: &[u32], images: Option<&Tensor>) -> Result<Tensor> {
        let table = &self.decoder.embedding;
        let text = table.lookup(ids)?;
        let Some(images) = images else { return Ok(text) };
        let pads = ids.iter().filter(|&&id| id == self.config.image_token_id).count();
        if pads != images.dim(0)? {
            candle_core::bail!("{pads} image pads for {} visual tokens", images.dim(0)?);
        }
        let mut next_image = ids.len() as u32;
        let sources: Vec<u32> = ids
            .iter()
            .enumerate()
            .map(|(at, &id)| {
                if id != self.config.image_token_id {
                    return at as u32;
                }
                next_image += 1;
                next_image - 1
            })
            .collect();
        let sources = Tensor::from_vec(sources, ids.len(), table.device())?;
        Tensor::cat(&[&text, images], 0)?.index_select(&sources, 0)
    }
}

/// (B, T, D) → (places, D).
fn rows_at(x: &Tensor, places: &[(usize, usize)]) -> Result<Tensor> {
    let (b, t, d) = x.dims3()?;
    let places: Vec<u32> = places.iter().map(|(row, index)| (row * t + index) as u32).collect();
    let places = Tensor::from_slice(&places, places.len(), x.device())?;
    x.reshape((b * t, d))?.index_select(&places, 0)
}

/// The visibility rule of one packed row.
fn visible_in_row(segments: &[u32]) -> Vec<Visible> {
    let prefix = segments.iter().take_while(|&&s| s == 0).count() as u32;
    let mut start = 0;
    (0..segments.len())
        .map(|q| {
            if q > 0 && segments[q] != segments[q - 1] {
                start = q as u32;
            }
            let end = q as u32 + 1;
            match segments[q] {
                0 => Visible { prefix: 0, start: 0, end },
                // Padding sees itself, so that its softmax is defined; nothing looks at it.
                u32::MAX => Visible { prefix: 0, start: q as u32, end },
                _ => Visible { prefix, start, end },
            }
        })
        .collect()
}
