//! The sizes an image is resized to before the network sees it, and the maps that go with them.
//!
//! Invariant: both sides are multiples of the factor and at least one factor; the area is within the pixel
//! budget unless a side is clamped to the factor itself.
//! Source: Qwen2-VL's `smart_resize` (transformers 4.57 and 5, `image_processing_qwen2_vl.py`): Python's
//! `round`, which takes exact halves to the even neighbour. A side shorter than half a factor rounds to 0,
//! which makes the area 0 and so enlarges the image; only a reduced side is clamped. We differ in one way: a
//! side that is still 0 at the end, which takes a budget without a minimum, becomes one factor.

use std::fmt;

use crate::crop::PlannedCrop;
use crate::map::Map;
use crate::shape::Size;
use crate::space::{Model, Patch, Screen, Shown, Space};

/// How many pixels the network may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBudget {
    /// Both sides become multiples of this (patch size times merge size).
    pub factor: u32,
    /// Smaller images are enlarged to at least this many pixels.
    pub min_pixels: u64,
    /// Larger images are reduced to at most this many pixels.
    pub max_pixels: u64,
}

impl PixelBudget {
    /// The same with another upper limit, to which the lower one gives way; `None` if not even one merged patch is within it.
    pub fn with_max_pixels(self, max_pixels: u64) -> Option<Self> {
        let is_enough = max_pixels >= u64::from(self.factor).pow(2);
        is_enough.then_some(Self { max_pixels, min_pixels: self.min_pixels.min(max_pixels), ..self })
    }

    /// Merged patches, and so visual tokens, of an image that is `width` x `height` pixels after the resize.
    pub fn n_tokens(self, width: u32, height: u32) -> usize {
        let along = |side: u32| (side / self.factor.max(1)) as usize;
        along(width) * along(height)
    }
}

/// Why an image cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitError {
    /// A side is 0.
    Empty,
    /// One side is more than 200 times the other.
    TooElongated {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the image has no pixels"),
            Self::TooElongated { width, height } => {
                write!(f, "the image is {width}x{height}: one side is more than 200 times the other")
            }
        }
    }
}

impl std::error::Error for FitError {}

/// The image that a policy is spoken to about: a screenshot, or what is left of it under a limit of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShownFit {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// From screenshot pixels to pixels of the shown image.
    pub shown_from_screen: Map<Shown, Screen>,
}

impl ShownFit {
    /// The screenshot as it is, of whole pixels.
    ///
    /// # Panics
    /// If it has none (caller's bug).
    pub fn unchanged(screenshot: Size<Screen>) -> Self {
        Self::to(screenshot, (screenshot.width as u32, screenshot.height as u32))
    }

    /// Plans the resize of a screenshot that has more pixels than `limit` allows.
    ///
    /// # Errors
    /// [`FitError`] for an empty image or an aspect ratio above 200.
    pub fn within(screenshot: Size<Screen>, limit: PixelBudget) -> Result<Self, FitError> {
        let whole = smart_resize(screenshot.width as u32, screenshot.height as u32, limit)?;
        Ok(Self::to(screenshot, whole))
    }

    /// A part of the screenshot, as it was planned.
    pub fn of_part(plan: &PlannedCrop) -> Self {
        let shown_from_screen = Map::stretch(plan.window, Size::of_pixels(plan.side_px, plan.side_px));
        Self { width: plan.side_px, height: plan.side_px, shown_from_screen }
    }

    fn to(screenshot: Size<Screen>, (width, height): (u32, u32)) -> Self {
        let shown_from_screen = Map::stretch(screenshot.whole(), Size::of_pixels(width, height));
        Self { width, height, shown_from_screen }
    }

    /// Size of the shown image.
    pub fn size(&self) -> Size<Shown> {
        Size::of_pixels(self.width, self.height)
    }
}

/// What the network makes of an image of space `S`, a shown image or a crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelFit<S: Space> {
    /// Width of the network's image in pixels.
    pub width: u32,
    /// Height of the network's image in pixels.
    pub height: u32,
    /// From pixels of the image to pixels of the network's image.
    pub model_from_image: Map<Model, S>,
    /// From pixels of the image to merged patches, as they are cut out of the network's image.
    pub patch_from_image: Map<Patch, S>,
}

/// Plans what the network makes of an image of whole pixels.
///
/// # Errors
/// [`FitError`] for an empty image or an aspect ratio above 200.
pub fn fit_to_network<S: Space>(image: Size<S>, budget: PixelBudget) -> Result<ModelFit<S>, FitError> {
    let (width, height) = smart_resize(image.width as u32, image.height as u32, budget)?;
    // Both sides are multiples of the factor.
    let patches = Size::of_pixels(width / budget.factor, height / budget.factor);
    Ok(ModelFit {
        width,
        height,
        model_from_image: Map::stretch(image.whole(), Size::of_pixels(width, height)),
        patch_from_image: Map::stretch(image.whole(), patches),
    })
}

/// Target width and height for an image of `width` x `height`.
///
/// # Errors
/// [`FitError`] for an empty image or an aspect ratio above 200.
pub fn smart_resize(width: u32, height: u32, budget: PixelBudget) -> Result<(u32, u32), FitError> {
    if width == 0 || height == 0 {
        return Err(FitError::Empty);
    }
    if f64::from(width.max(height)) / f64::from(width.min(height)) > 200.0 {
        return Err(FitError::TooElongated { width, height });
    }
    let factor = f64::from(budget.factor);
    let (w, h) = (f64::from(width), f64::from(height));
    let units = |v: f64| (v / factor).round_ties_even();
    let (mut units_w, mut units_h) = (units(w), units(h));
    let area = units_w * factor * units_h * factor;
    if area > budget.max_pixels as f64 {
        let beta = (h * w / budget.max_pixels as f64).sqrt();
        (units_w, units_h) = ((w / beta / factor).floor().max(1.0), (h / beta / factor).floor().max(1.0));
    } else if area < budget.min_pixels as f64 {
        let beta = (budget.min_pixels as f64 / (h * w)).sqrt();
        (units_w, units_h) = ((w * beta / factor).ceil(), (h * beta / factor).ceil());
    }
    let side = |units: f64| (units.max(1.0) * factor) as u32;
    Ok((side(units_w), side(units_h)))
}
