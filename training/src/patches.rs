//! The warm-up of the vision tower: every visual token learns to name what it shows.
//!
//! A policy that learns from its own turns alone needs tens of thousands of pages before it tells shapes
//! apart, because the gradient first has to find the way from a word through the decoder to the right
//! patches. Here each merged patch is compared with the token embeddings directly: it should resemble the
//! words of the widget it shows ("red", "star"), and the end-of-text token where there is none. A few
//! thousand pages are enough, and the decoder later finds visual tokens that already speak its language.
//!
//! Invariant: this objective touches no token of a conversation; the decoder's layers take no part in it. It
//! is also kept up beside conversations, on their screenshots.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_geometry::fit::ModelFit;
use vigorl_geometry::{Map, Patch, Rect, Screen, Space};
use vigorl_policy::grammar::Coordinate;
use vigorl_policy::{CropSettings, ShownCrop, View};
use vigorl_qwen::ops::rms_norm;
use vigorl_qwen::{Grid, Probe};

use crate::error::TrainingError;
use crate::lessons::LabelledPage;
use crate::loss::{Target, TokenKind};
use crate::question::on_screen;
use crate::sample::Encoder;

/// A widget owns a merged patch if it covers this share of the patch, or of itself.
const LEAST_SHARE: f64 = 0.3;
const NORM_EPSILON: f64 = 1e-6;

/// Pages whose merged patches are named together.
#[derive(Debug, Clone)]
pub struct PatchBatch {
    patches: Tensor,
    grids: Vec<Grid>,
    /// One per merged patch, in order.
    pub targets: Vec<Target>,
}

impl PatchBatch {
    /// Pages in the batch.
    pub fn n_pages(&self) -> usize {
        self.grids.len()
    }

    /// How much each visual token resembles each token of the vocabulary.
    ///
    /// # Shapes
    /// Result: (M, V).
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn logits(&self, model: &vigorl_qwen::Model) -> Result<Tensor> {
        name_logits(model, &model.embed_images(&self.patches, &self.grids, &mut Probe::default())?)
    }
}

/// How much each visual token resembles each token of the vocabulary.
///
/// # Shapes
/// `tokens`: (M, D); result: (M, V).
///
/// # Errors
/// Only if the tensor library fails.
pub fn name_logits(model: &vigorl_qwen::Model, tokens: &Tensor) -> Result<Tensor> {
    // The decoder normalizes what it reads, so only the direction of a visual token has a meaning.
    let ones = Tensor::ones(tokens.dim(1)?, tokens.dtype(), tokens.device())?;
    model.logits(&rms_norm(tokens, &ones, NORM_EPSILON)?)
}

/// Rows and columns of merged patches.
fn merged(encoder: &Encoder, grid: Grid) -> (usize, usize) {
    let merge = encoder.config().vision.spatial_merge_size;
    (grid.h / merge, grid.w / merge)
}

fn patch_at(index: usize, columns: usize) -> Rect<Patch> {
    let (column, row) = ((index % columns) as f64, (index / columns) as f64);
    Rect::new(column, row, column + 1.0, row + 1.0)
}

/// An image and the named boxes in it, in merged patches of what the network makes of it.
#[derive(Debug, Clone)]
pub struct NamedImage {
    image: Arc<RgbImage>,
    named: Vec<(Rect<Patch>, String)>,
    /// Whether what has no name is known to be empty.
    is_complete: bool,
}

impl NamedImage {
    /// A whole page.
    pub fn page(view: &View, page: &LabelledPage) -> Self {
        let named = named(page, view.shown_from_screen(), view.seen());
        Self { image: view.image().clone(), named, is_complete: page.is_complete }
    }

    /// What a zoom near a random widget shows.
    ///
    /// # Errors
    /// If the processor cannot take such a crop.
    pub fn crop(
        view: &View,
        page: &LabelledPage,
        settings: CropSettings,
        rng: &mut ChaCha8Rng,
    ) -> std::result::Result<Self, TrainingError> {
        let (width, height) = view.image().dimensions();
        let mut center = Coordinate { x: f64::from(width) / 2.0, y: f64::from(height) / 2.0 };
        if !page.things.is_empty() {
            let widget = &page.things[rng.random_range(0..page.things.len())];
            center = view.written(on_screen(widget.bounds).center());
        }
        let reach = f64::from(settings.offset_px) / 2.0;
        let mut shift = || reach * (2.0 * rng.random::<f64>() - 1.0);
        let at = Coordinate { x: center.x + shift(), y: center.y + shift() };
        let crop = view.crop(at, settings).map_err(|e| TrainingError::Row(e.to_string()))?;
        Ok(Self::of_crop(&crop, page))
    }

    /// A crop that was made.
    pub fn of_crop(crop: &ShownCrop, page: &LabelledPage) -> Self {
        let named = named(page, crop.plan.crop_from_screen, crop.seen);
        Self { image: crop.pixels.clone(), named, is_complete: page.is_complete }
    }

    /// Which of its visual tokens show part of widget number `widget`, in reading order.
    pub fn tokens_showing(&self, encoder: &Encoder, widget: usize, grid: Grid) -> Vec<usize> {
        let (rows, columns) = merged(encoder, grid);
        let bounds = self.named[widget].0;
        (0..rows * columns).filter(|&index| overlap(patch_at(index, columns), bounds) > 0.0).collect()
    }

    /// The widget whose middle is nearest to visual token number `token`; none on an empty page.
    pub fn widget_at(&self, encoder: &Encoder, token: usize, grid: Grid) -> Option<usize> {
        let (_, columns) = merged(encoder, grid);
        let at = patch_at(token, columns);
        let distance = |bounds: Rect<Patch>| {
            let gap = (at.center().x - bounds.center().x).hypot(at.center().y - bounds.center().y);
            // A token that shows a widget belongs to it, however far its middle is.
            if overlap(at, bounds) > 0.0 { gap - 1e3 * overlap(at, bounds) } else { gap }
        };
        let distances = self.named.iter().map(|(bounds, _)| distance(*bounds)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    }
}

fn named<S: Space>(
    page: &LabelledPage,
    to_image: Map<S, Screen>,
    seen: ModelFit<S>,
) -> Vec<(Rect<Patch>, String)> {
    let in_patches = |bounds| seen.patch_from_image.apply_rect(to_image.apply_rect(on_screen(bounds)));
    page.things.iter().map(|w| (in_patches(w.bounds), w.name.clone())).collect()
}

/// Cuts images into patches and writes down what each merged patch shows.
///
/// # Errors
/// If the processor cannot take an image or the tokenizer refuses a name.
pub fn patch_batch(
    encoder: &Encoder,
    images: &[NamedImage],
) -> std::result::Result<PatchBatch, TrainingError> {
    let (mut values, mut grids, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for image in images {
        let patches =
            encoder.processor().patches(&image.image).map_err(|e| TrainingError::Row(e.to_string()))?;
        values.extend(patches.values);
        grids.push(patches.grid);
        targets.extend(image_targets(encoder, image, patches.grid)?);
    }
    let width = encoder.config().vision.patch_values();
    let n_patches = values.len() / width;
    let patches = Tensor::from_vec(values, (n_patches, width), &Device::Cpu)?;
    Ok(PatchBatch { patches, grids, targets })
}

/// One target per merged patch of `image`, in order.
///
/// # Errors
/// If the tokenizer refuses a name.
pub fn image_targets(
    encoder: &Encoder,
    image: &NamedImage,
    grid: Grid,
) -> std::result::Result<Vec<Target>, TrainingError> {
    let (rows, columns) = merged(encoder, grid);
    let boxes: Vec<Rect<Patch>> = image.named.iter().map(|(bounds, _)| *bounds).collect();
    let owners: Vec<Option<usize>> =
        (0..rows * columns).map(|index| owner(patch_at(index, columns), &boxes)).collect();
    let mut targets = Vec::new();
    for owned in &owners {
        targets.push(match owned {
            Some(widget) => {
                // Every widget counts the same, however many patches it covers.
                let n_patches = owners.iter().filter(|o| *o == owned).count();
                encoder.name_target(&image.named[*widget].1, n_patches)?
            }
            None if image.is_complete => encoder.empty_target(),
            // Something may stand there that nobody named.
            None => Target { weight: 0.0, ..encoder.empty_target() },
        });
    }
    Ok(targets)
}

/// The box that covers most of `patch`, if it covers enough of the patch or of itself.
fn owner(patch: Rect<Patch>, boxes: &[Rect<Patch>]) -> Option<usize> {
    let shares = boxes.iter().map(|b| overlap(patch, *b)).enumerate();
    let enough = shares.filter(|&(i, share)| share >= LEAST_SHARE * boxes[i].size().area().min(1.0));
    enough.filter(|(_, share)| *share > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

fn overlap(a: Rect<Patch>, b: Rect<Patch>) -> f64 {
    let width = a.right.min(b.right) - a.left.max(b.left);
    let height = a.bottom.min(b.bottom) - a.top.max(b.top);
    width.max(0.0) * height.max(0.0)
}

impl Encoder {
    /// The words of a widget's name in equal parts; quotation marks and the like do not count.
    fn name_target(&self, name: &str, n_patches: usize) -> std::result::Result<Target, TrainingError> {
        let words = self.word_ids(name)?;
        let share = 1.0 / words.len().max(1) as f32;
        let truth = words.last().copied().unwrap_or(self.end_of_text());
        let mut target = self.empty_target();
        target.weight = self.loss().patch_weight as f32 / n_patches as f32;
        if !words.is_empty() {
            target.distribution = words.into_iter().map(|id| (id, share)).collect();
            target.truth = truth;
            target.kind = TokenKind::Patch;
        }
        Ok(target)
    }

    fn empty_target(&self) -> Target {
        let id = self.end_of_text();
        let weight = self.loss().empty_patch_weight as f32;
        Target { distribution: vec![(id, 1.0)], truth: id, weight, kind: TokenKind::EmptyPatch }
    }
}
