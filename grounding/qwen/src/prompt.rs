//! A conversation as a model takes it: token ids, positions, images.
//!
//! Invariant: what is asked and what is learned is prepared here, by one function; what a policy said in earlier turns
//! keeps the ids that it was sampled as.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use candle_core::{Tensor, bail};
use image::RgbImage;
use vigorl_policy::{Conversation, PolicyError, RenderedPrompt};

use crate::checkpoint::Checkpoint;
use crate::engine::backend;
use crate::mrope::{Grid, position_ids};
use crate::sessions::{Sessions, key_of_image};

/// A conversation as token ids, with its images.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The tokens; an image is as many pads as it has visual tokens.
    pub ids: Vec<u32>,
    /// Time, row and column of each token.
    pub positions: Vec<[u32; 3]>,
    /// The images in order.
    pub images: Vec<PromptImage>,
}

/// One image of a prompt.
#[derive(Debug, Clone)]
pub struct PromptImage {
    /// Of its pixels.
    pub(crate) hash: u64,
    /// As it was said, before the processor's own resize.
    pub pixels: Arc<RgbImage>,
    /// Its patches.
    pub grid: Grid,
    /// Index of its first pad.
    pub start: usize,
    /// How many pads it has.
    pub n_tokens: usize,
}

impl Checkpoint {
    /// Renders and tokenises a conversation and expands its image pads.
    ///
    /// # Errors
    /// If the template refuses the conversation, or the processor an image.
    pub fn prompt(&self, conversation: &Conversation) -> Result<Prompt, PolicyError> {
        let rendered = self.template.render(conversation)?;
        let merge = self.config.vision.spatial_merge_size;
        let pad = self.tokenizer.image_pad;
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
        prompt.positions = position_ids(&prompt.ids, &grids, &self.config);
        Ok(prompt)
    }

    fn grid_of(&self, pixels: &RgbImage) -> Result<Grid, PolicyError> {
        let (width, height) = vigorl_geometry::fit::smart_resize(
            pixels.width(),
            pixels.height(),
            self.processor.pixel_budget(),
        )?;
        let p = self.processor.patch_size;
        Ok(Grid { t: 1, h: height as usize / p, w: width as usize / p })
    }

    /// Tokenises rendered text; earlier completions keep the ids they were sampled as.
    fn encode(&self, RenderedPrompt { text, sampled, .. }: &RenderedPrompt) -> Result<Vec<u32>, PolicyError> {
        let tokenizer = &self.tokenizer;
        let (mut ids, mut from) = (Vec::new(), 0);
        for (at, as_sampled) in sampled {
            ids.extend(tokenizer.encode(&text[from..at.start]).map_err(backend)?);
            ids.extend(as_sampled);
            from = at.end;
        }
        ids.extend(tokenizer.encode(&text[from..]).map_err(backend)?);
        Ok(ids)
    }
}

impl Prompt {
    /// One key per token: equal keys are equal tokens, and of equal images.
    pub fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.ids.iter().map(|&id| u64::from(id)).collect();
        for image in &self.images {
            keys[image.start..image.start + image.n_tokens].fill(key_of_image(image.hash));
        }
        keys
    }

    /// The images whose pads are not all before the index `from`.
    pub(crate) fn images_from(&self, from: usize) -> impl Iterator<Item = &PromptImage> {
        self.images.iter().filter(move |image| image.start + image.n_tokens > from)
    }

    /// Visual tokens for the pads from index `from` on, whose images are known.
    pub(crate) fn visual_tokens(&self, from: usize, known: &Sessions) -> candle_core::Result<Option<Tensor>> {
        let mut parts = Vec::new();
        for image in self.images_from(from) {
            let Some(tokens) = known.image(image.hash) else { bail!("an image was not computed") };
            let skip = from.saturating_sub(image.start);
            parts.push(tokens.narrow(0, skip, image.n_tokens - skip)?);
        }
        match parts.len() {
            0 => Ok(None),
            _ => Tensor::cat(&parts, 0).map(Some),
        }
    }
}

fn hash_image(pixels: &RgbImage) -> u64 {
    let mut hasher = DefaultHasher::new();
    pixels.dimensions().hash(&mut hasher);
    pixels.as_raw().hash(&mut hasher);
    hasher.finish()
}
