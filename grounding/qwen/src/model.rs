//! The whole model: visual tokens put into the token stream, then the decoder.
//!
//! Invariant: inference and training run the same modules; training passes packed rows and no cache.

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Result, Tensor, Var};

use crate::attention::Growing;
use crate::config::Config;
use crate::error::EngineError;
use crate::kv_cache::KvCache;
use crate::mrope::{Grid, RotaryTable};
use crate::ops::{Mask, Visible};
use crate::text::{Context, Decoder};
use crate::threads::Threads;
use crate::vision::VisionTower;
use crate::weights::Weights;

/// Qwen2.5-VL.
#[derive(Debug, Clone)]
pub struct Model {
    config: Config,
    vision: VisionTower,
    decoder: Decoder,
    /// Whether prompts, and pictures, are computed in one pass: quantized products look for outliers among all rows that
    /// they get, and so what a prompt gets would depend on those beside it.
    is_joined: bool,
    threads: Arc<Threads>,
}

/// Up to so many tokens each are multiplied as if it were alone: then a step of decoding, or what a form forces, gives
/// the same numbers whoever is beside it. More tokens are one product, whose sums do not depend on their number.
const FEW_TOKENS: usize = 16;

/// Tokens of several prompts that are computed in one pass at most: more would not be faster, and take memory.
const MAX_JOINED: usize = 2048;

/// New tokens of a conversation.
#[derive(Debug)]
pub(crate) struct Extension<'a> {
    /// At least one.
    pub(crate) ids: &'a [u32],
    pub(crate) positions: &'a [[u32; 3]],
    /// Visual tokens of the pads among them.
    pub(crate) images: Option<&'a Tensor>,
    /// Holds the tokens before them, and then these too.
    pub(crate) cache: &'a mut KvCache,
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
            is_joined: weights.format().of_layer().is_none(),
            threads: Arc::new(Threads::for_weights(weights.n_weights())),
        })
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
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
        // Whoever makes patches need not know where they are computed with, and in which numbers.
        let patches = patches.to_device(self.decoder.embedding.device())?.to_dtype(self.decoder.dtype())?;
        self.threads.run(|| self.vision.forward(&patches, grids, each_block))
    }

    /// Visual tokens of each picture, on this thread's pool; what one gets does not depend on those beside it.
    ///
    /// # Shapes
    /// patches: (N, patch values) each; results: (M, D) each.
    pub(crate) fn embed_each(&self, pictures: &[(Tensor, Grid)]) -> Result<Vec<Tensor>> {
        let merge = self.config.vision.spatial_merge_size;
        let n_tokens = |(_, grid): &(Tensor, Grid)| grid.n_tokens(merge);
        let joins = |picture: &(Tensor, Grid)| self.is_joined && n_tokens(picture) > FEW_TOKENS;
        let mut embedded = Vec::new();
        for joined in pictures.chunk_by(|a, b| joins(a) && joins(b)) {
            let at_once = (MAX_JOINED / joined.iter().map(n_tokens).max().unwrap_or(1).max(1)).max(1);
            for pictures in joined.chunks(at_once) {
                let (patches, grids): (Vec<&Tensor>, Vec<Grid>) =
                    pictures.iter().map(|(p, g)| (p, *g)).unzip();
                let tokens = self.vision.forward(&Tensor::cat(&patches, 0)?, &grids, &mut |_, _| {})?;
                let mut from = 0;
                for picture in pictures {
                    embedded.push(tokens.narrow(0, from, n_tokens(picture))?);
                    from += n_tokens(picture);
                }
            }
        }
        Ok(embedded)
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
        let mut ignore = |_: usize, _: &Tensor| {};
        let each_layer = probe.layer.as_deref_mut().unwrap_or(&mut ignore);
        self.threads.run(|| self.pass(vec![Extension { ids, positions, images, cache }], each_layer))
    }

    /// The last hidden state of each conversation behind its new tokens, on this thread's pool; what one gets does not
    /// depend on those beside it.
    ///
    /// # Shapes
    /// Result: (conversations, 1, D).
    pub(crate) fn extend_each(&self, extensions: Vec<Extension<'_>>) -> Result<Tensor> {
        let n = extensions.len();
        let mut passes: Vec<(Vec<usize>, Vec<Extension<'_>>)> = vec![(vec![], vec![])];
        let mut n_joined = 0;
        for (at, extension) in extensions.into_iter().enumerate() {
            let n_tokens = extension.ids.len();
            let (which, pass) = if n_tokens <= FEW_TOKENS {
                &mut passes[0]
            } else {
                n_joined += n_tokens;
                if passes.len() == 1 || !self.is_joined || n_joined > MAX_JOINED {
                    n_joined = n_tokens;
                    passes.push((vec![], vec![]));
                }
                let last = passes.len() - 1;
                &mut passes[last]
            };
            which.push(at);
            pass.push(extension);
        }
        let (mut places, mut states) = (vec![0_u32; n], Vec::new());
        let mut n_done = 0;
        for (which, pass) in passes.into_iter().filter(|(which, _)| !which.is_empty()) {
            let ends: Vec<u32> = pass
                .iter()
                .scan(0, |end, extension| {
                    *end += extension.ids.len() as u32;
                    Some(*end - 1)
                })
                .collect();
            let n_tokens = ends.last().map_or(0, |last| *last as usize + 1);
            let hidden = self.pass(pass, &mut |_, _| {})?.squeeze(0)?;
            states.push(match ends.len() == n_tokens {
                true => hidden,
                false => hidden.index_select(&Tensor::new(ends, hidden.device())?, 0)?,
            });
            for at in which {
                places[at] = n_done;
                n_done += 1;
            }
        }
        let states = match &states[..] {
            [alone] => alone.clone(),
            _ => Tensor::cat(&states, 0)?.index_select(&Tensor::new(places, states[0].device())?, 0)?,
        };
        states.unsqueeze(1)
    }

    /// One pass over the new tokens of some conversations: (1, T, D) of all T tokens.
    fn pass(&self, extensions: Vec<Extension<'_>>, each_layer: OnLayer<'_>) -> Result<Tensor> {
        let (mut ids, mut positions, mut images, mut growing) = (vec![], vec![], vec![], vec![]);
        let (dtype, device) = (self.decoder.dtype(), self.decoder.embedding.device());
        for Extension { ids: new, positions: at, images: visual, cache } in extensions {
            cache.grow(new.len(), dtype, device)?;
            ids.extend_from_slice(new);
            positions.extend_from_slice(at);
            images.extend(visual);
            growing.push(Growing { cache, n: new.len() });
        }
        let images = match &images[..] {
            [] => None,
            [alone] => Some((*alone).clone()),
            several => Some(Tensor::cat(several, 0)?),
        };
        let table = Arc::new(RotaryTable::for_text(&positions, &self.config.text));
        let x = self.embed(&ids, images.as_ref())?;
        // In this shape each token is multiplied as if it were alone.
        let x = x.unsqueeze(usize::from(growing.iter().all(|growing| growing.n <= FEW_TOKENS)))?;
        let in_a_row = |x: &Tensor| x.reshape((1, ids.len(), x.dim(D::Minus1)?));
        let mut failed = Ok(());
        let mut each_layer = |i: usize, x: &Tensor| match in_a_row(x) {
            Ok(x) => each_layer(i, &x),
            Err(error) => failed = Err(error),
        };
        let hidden = self.decoder.forward(&x, &table, Context::Behind(&mut growing), &mut each_layer)?;
        failed?;
        in_a_row(&hidden)
    }

    /// (..., D) → (..., V).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.threads.run(|| self.decoder.logits(hidden))
    }

    /// Logits of single hidden states, (n, 1, D), on this thread's pool.
    pub(crate) fn logits_each(&self, hidden: &Tensor) -> Result<Vec<Vec<f32>>> {
        self.decoder.logits(hidden)?.squeeze(1)?.to_dtype(DType::F32)?.to_vec2()
    }

    /// A differentiable pass over packed rows.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn packed(&self, batch: &PackedBatch) -> Result<PackedPass> {
        let images = self.packed_images(batch)?;
        let x = self.packed_inputs(batch, images.as_ref())?;
        let (table, mask) = self.packed_context(batch);
        let mut inputs = vec![x.clone()];
        let hidden =
            self.decoder.forward(&x, &table, Context::Rows(&mask), &mut |_, x| inputs.push(x.clone()))?;
        Ok(PackedPass { images, inputs, hidden, table, visible: mask.rows })
    }

    /// The gradients of a loss over packed rows, in less memory than [`Self::packed`] and a backward pass take: of every
    /// decoder layer, and of the vision tower, only the output is kept, and in the backward pass each is computed again.
    ///
    /// `head` makes a scalar loss of the pass; what else it returns is handed on. The gradients, which keep nothing
    /// alive, are those of the variables that the model and `head` compute with.
    ///
    /// # Errors
    /// Those of `head`, and if the tensor library fails.
    pub fn packed_checkpointed<T, E: From<candle_core::Error>>(
        &self,
        batch: &PackedBatch,
        head: impl FnOnce(&PackedPass) -> std::result::Result<(Tensor, T), E>,
    ) -> std::result::Result<(GradStore, T), E> {
        let images = self.packed_images(batch)?.as_ref().map(cut).transpose()?;
        let mut inputs = vec![cut(&self.packed_inputs(batch, images.as_ref())?)?];
        let (table, mask) = self.packed_context(batch);
        let layer = |i, x: &Tensor| self.decoder.layer(i, x, &table, &mut Context::Rows(&mask));
        for i in 0..self.config.text.num_hidden_layers {
            inputs.push(cut(&layer(i, &inputs[i])?)?);
        }
        let hidden = self.decoder.normed(&inputs[inputs.len() - 1])?;
        let (table, visible) = (Arc::clone(&table), Arc::clone(&mask.rows));
        let pass = PackedPass { images, inputs, hidden, table, visible };
        let (loss, result) = head(&pass)?;
        let PackedPass { images, mut inputs, .. } = pass;
        let mut gradients = GradStore::default();
        add_gradients(loss, &mut gradients)?;
        while let Some(output) = inputs.pop() {
            // Nothing that moves is behind an output without a gradient, or the loss does not depend on it.
            let Some(gradient) = gradients.remove(&output) else { continue };
            let again = match inputs.last() {
                Some(input) => layer(inputs.len() - 1, input)?,
                None => self.packed_inputs(batch, images.as_ref())?,
            };
            add_gradients((again * gradient)?.sum_all()?, &mut gradients)?;
        }
        if let Some(gradient) = images.and_then(|images| gradients.remove(&images))
            && let Some(again) = self.packed_images(batch)?
        {
            add_gradients((again * gradient)?.sum_all()?, &mut gradients)?;
        }
        Ok((gradients, result))
    }

    fn packed_images(&self, batch: &PackedBatch) -> Result<Option<Tensor>> {
        match batch.grids.is_empty() {
            true => Ok(None),
            false => self.embed_images(&batch.patches, &batch.grids, &mut Probe::default()).map(Some),
        }
    }

    /// What the first layer gets: (B, T, D).
    fn packed_inputs(&self, batch: &PackedBatch, images: Option<&Tensor>) -> Result<Tensor> {
        let (b, t) = (batch.ids.len(), batch.ids.first().map_or(0, Vec::len));
        self.embed(&batch.ids.concat(), images)?.reshape((b, t, self.config.text.hidden_size))
    }

    fn packed_context(&self, batch: &PackedBatch) -> (Arc<RotaryTable>, Mask) {
        let table = Arc::new(RotaryTable::for_text(&batch.positions.concat(), &self.config.text));
        let rows = batch.segments.iter().flat_map(|segments| visible_in_row(segments)).collect();
        (table, Mask { rows: Arc::new(rows), n_queries: batch.ids.first().map_or(0, Vec::len) })
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

/// The same values as a variable of their own, where a gradient is wanted.
fn cut(x: &Tensor) -> Result<Tensor> {
    match x.track_op() {
        true => Ok(Var::from_tensor(&x.detach())?.into_inner()),
        false => Ok(x.clone()),
    }
}

/// Adds the gradients of `loss` to those of the same variables.
fn add_gradients(loss: Tensor, gradients: &mut GradStore) -> Result<()> {
    let mut found = loss.backward()?;
    for variable in loss.sorted_nodes().into_iter().filter(|node| node.is_variable()) {
        let Some(gradient) = found.remove(variable) else { continue };
        let sum = match gradients.remove(variable) {
            Some(before) => (before + gradient)?,
            None => gradient,
        };
        gradients.insert(variable, sum.detach());
    }
    Ok(())
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
