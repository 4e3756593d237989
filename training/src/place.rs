//! The warm-up of the decoder's sense of place: every visual token learns to say where it is.
//!
//! The architecture knows positions only relative to each other. Before a policy can point, its first layers
//! must find out how far a visual token is from the words in front of the image, and turn that into numbers.
//! From answers alone this takes tens of thousands of pages, because it has to be learned together with what
//! is shown. Here it is learned alone, in a few hundred cheap steps: the first layers look at a prompt whose
//! image slots hold random tokens, and each slot should resemble the numbers of its middle, x and y alike.
//!
//! Invariant: no image is looked at and no word of a conversation is learned.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::{Conversation, Message, Part, Role};
use vigorl_qwen::mrope::position_ids;
use vigorl_qwen::{Grid, PackedBatch};

use candle_core::{DType, Device, Tensor};

use crate::error::TrainingError;
use crate::loss::{Target, TokenKind, bell};
use crate::sample::Encoder;

/// Layers that take part: later ones must find the place already known.
pub const N_LAYERS: usize = 2;
/// Share of image slots that hold a random token; the others look like empty ground.
const RANDOM_SHARE: f64 = 0.3;
/// Spread of a target, as a share of a merged patch's side.
const SIGMA_PER_SIDE: f64 = 0.4;

/// Prompts without images and the places of their image slots.
#[derive(Debug, Clone)]
pub struct PlaceBatch {
    /// What the shortened model takes.
    pub packed: PackedBatch,
    /// The (row, index) places of the image slots.
    pub places: Vec<(usize, usize)>,
    /// One per place.
    pub targets: Vec<Target>,
}

/// Prompts for images of the given size.
///
/// # Errors
/// If the prompt cannot be rendered or tokenized.
pub fn place_batch(
    encoder: &Encoder,
    (width, height): (u32, u32),
    n_rows: usize,
    rng: &mut ChaCha8Rng,
) -> Result<PlaceBatch, TrainingError> {
    let image = image::RgbImage::new(width, height);
    let grid = encoder.processor().patches(&image).map_err(|e| TrainingError::Row(e.to_string()))?.grid;
    let message = Message { role: Role::User, parts: vec![Part::Image(image.into())] };
    let conversation = Conversation { messages: vec![message], forced_prefix: None };
    let prompt = encoder.prefix_ids(&conversation.messages, grid)?;
    let positions = position_ids(&prompt, &[grid], encoder.config());
    let slots: Vec<usize> = slots(&prompt, encoder.config().image_token_id);
    let middles = middles(encoder, grid, (width, height));
    let (mut ids, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..n_rows {
        let mut prompt = prompt.clone();
        for (&slot, &middle) in slots.iter().zip(&middles) {
            prompt[slot] = match rng.random::<f64>() < RANDOM_SHARE {
                true => encoder.random_word(rng),
                false => encoder.end_of_text(),
            };
            places.push((row, slot));
            targets.push(target(encoder, middle, f64::from(width) / (grid.w as f64)));
        }
        ids.push(prompt);
    }
    let segments = vec![vec![0; positions.len()]; n_rows];
    let patches = Tensor::zeros((0, encoder.config().vision.patch_values()), DType::F32, &Device::Cpu)?;
    let packed =
        PackedBatch { ids, positions: vec![positions; n_rows], segments, patches, grids: Vec::new() };
    Ok(PlaceBatch { packed, places, targets })
}

fn slots(ids: &[u32], pad: u32) -> Vec<usize> {
    ids.iter().enumerate().filter(|(_, id)| **id == pad).map(|(index, _)| index).collect()
}

/// Middle of each merged patch in pixels of the image.
fn middles(encoder: &Encoder, grid: Grid, (width, height): (u32, u32)) -> Vec<(f64, f64)> {
    let merge = encoder.config().vision.spatial_merge_size;
    let (rows, columns) = (grid.h / merge, grid.w / merge);
    let middle = |index: usize, n: usize, side: u32| (index as f64 + 0.5) * f64::from(side) / n as f64;
    let at = |i: usize| (middle(i % columns, columns, width), middle(i / columns, rows, height));
    (0..rows * columns).map(at).collect()
}

fn target(encoder: &Encoder, (x, y): (f64, f64), patch_side_px: f64) -> Target {
    let merged_side_px = patch_side_px * encoder.config().vision.spatial_merge_size as f64;
    let half = |value: f64| {
        let numbers = encoder.numbers();
        let bell = bell(value as u32, SIGMA_PER_SIDE * merged_side_px, numbers.len(), |v| numbers.id_of(v));
        bell.into_iter().map(|(id, p)| (id, p / 2.0))
    };
    let mut distribution: Vec<(u32, f32)> = half(x).collect();
    for (id, p) in half(y) {
        match distribution.iter_mut().find(|(known, _)| *known == id) {
            Some((_, sum)) => *sum += p,
            None => distribution.push((id, p)),
        }
    }
    let truth = encoder.numbers().id_of(x as u32);
    Target { distribution, truth, weight: 1.0, kind: TokenKind::Place }
}
