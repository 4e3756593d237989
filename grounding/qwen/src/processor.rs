//! From an image to normalised patches, exactly as the checkpoint's own processor makes them.
//!
//! Source: transformers `Qwen2VLImageProcessor`, the Pillow-based one: smart resize (BICUBIC), rescale,
//! normalise, then patches ordered so that the merge² patches of a merged patch are neighbours.

use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vigorl_geometry::fit::{FitError, PixelBudget, smart_resize};
use vigorl_policy::PixelLimits;
use vigorl_policy::resize::{Filter, resize};

use crate::config::MAX_SIDE;
use crate::error::EngineError;
use crate::mrope::Grid;

/// Patches that one thread cuts at least: fewer cost more to hand out than to cut.
const MIN_PATCHES: usize = 256;

/// `preprocessor_config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames per patch; a still image is repeated.
    pub temporal_patch_size: usize,
    /// Patches per side of a merged patch.
    pub merge_size: usize,
    /// Smaller images are enlarged to this many pixels.
    pub min_pixels: u64,
    /// Larger images are reduced to this many pixels.
    pub max_pixels: u64,
    /// Subtracted per channel, of values in 0 to 1.
    pub image_mean: [f32; 3],
    /// Divides per channel.
    pub image_std: [f32; 3],
}

/// An image as the vision tower takes it.
#[derive(Debug, Clone)]
pub struct Patches {
    /// (N, channels x frames x p x p) row-major.
    pub values: Vec<f32>,
    /// Rows and columns of patches.
    pub grid: Grid,
}

impl Processor {
    /// The file that holds nothing but the image processor.
    pub(crate) const FILE: &str = "preprocessor_config.json";
    /// The file that holds it as `image_processor`, beside other modalities.
    pub(crate) const JOINT_FILE: &str = "processor_config.json";

    /// Reads the text of a `preprocessor_config.json`, with pixel limits in either spelling.
    ///
    /// # Errors
    /// [`EngineError::Config`] names the field.
    pub fn from_json(text: &str) -> Result<Self, EngineError> {
        let json = serde_json::from_str(text).map_err(|e| EngineError::config(Self::FILE, e))?;
        Self::from_value(json, Self::FILE)
    }

    /// Reads the text of a `processor_config.json`.
    ///
    /// # Errors
    /// [`EngineError::Config`] names the field.
    pub(crate) fn from_joint_json(text: &str) -> Result<Self, EngineError> {
        let fail = |e: &dyn std::fmt::Display| EngineError::config(Self::JOINT_FILE, e);
        let mut json: Value = serde_json::from_str(text).map_err(|e| fail(&e))?;
        match json.get_mut("image_processor").map(Value::take) {
            Some(inner) if inner.is_object() => Self::from_value(inner, Self::JOINT_FILE),
            _ => Err(fail(&format!("there is no `image_processor` object, and no {}", Self::FILE))),
        }
    }

    fn from_value(mut json: Value, file: &str) -> Result<Self, EngineError> {
        for (key, in_size) in [("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge")] {
            if json[key].is_null() && !json["size"][in_size].is_null() {
                json[key] = json["size"][in_size].clone();
            }
        }
        refuse_other_steps(&json).map_err(|detail| EngineError::config(file, detail))?;
        let processor: Self = serde_json::from_value(json).map_err(|e| EngineError::config(file, e))?;
        processor.check().map_err(|detail| EngineError::config(file, detail))?;
        Ok(processor)
    }

    /// What is wrong with the values.
    fn check(&self) -> Result<(), String> {
        /// A merged patch is one image at least: 4,096 x 4,096 pixels still fit into memory.
        const MAX_FACTOR: usize = 4_096;
        /// Every image is enlarged to `min_pixels`: 64 megapixels is beyond any screen.
        const MAX_MIN_PIXELS: u64 = 64 << 20;
        let sides = [
            ("patch_size", self.patch_size),
            ("merge_size", self.merge_size),
            ("temporal_patch_size", self.temporal_patch_size),
        ];
        for (name, side) in sides {
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("{name} is {side}: 1 to {MAX_SIDE} is possible"));
            }
        }
        if self.patch_size * self.merge_size > MAX_FACTOR {
            return Err(format!("patch_size times merge_size is over {MAX_FACTOR}"));
        }
        if self.min_pixels > MAX_MIN_PIXELS {
            return Err(format!(
                "min_pixels is {}: every image would be enlarged to more than {MAX_MIN_PIXELS}",
                self.min_pixels
            ));
        }
        if self.image_std.contains(&0.0) {
            return Err("image_std contains 0".to_owned());
        }
        if self.min_pixels > self.max_pixels {
            return Err("min_pixels is larger than max_pixels".to_owned());
        }
        Ok(())
    }

    /// The file's content, loadable by transformers.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["image_processor_type"] = "Qwen2VLImageProcessor".into();
        json["processor_class"] = "Qwen2_5_VLProcessor".into();
        json
    }

    /// Pixel limits and rounding factor.
    pub fn pixel_budget(&self) -> PixelBudget {
        PixelBudget {
            factor: (self.patch_size * self.merge_size) as u32,
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
        }
    }

    /// The same processor with another upper pixel limit; the lower one gives way to it.
    ///
    /// # Errors
    /// [`EngineError::TooFewPixels`] if not even one merged patch is within the limit.
    pub fn with_max_pixels(&self, max_pixels: u64) -> Result<Self, EngineError> {
        let budget = self.pixel_budget();
        let side = u64::from(budget.factor);
        let limited = budget.with_max_pixels(max_pixels);
        let PixelBudget { min_pixels, max_pixels, .. } =
            limited.ok_or(EngineError::TooFewPixels { max_pixels, side })?;
        Ok(Self { max_pixels, min_pixels, ..self.clone() })
    }

    /// The same processor with the limits that a family is evaluated with.
    ///
    /// # Errors
    /// As [`Self::with_max_pixels`].
    pub fn with_limits(&self, limits: PixelLimits) -> Result<Self, EngineError> {
        Self { min_pixels: limits.min, ..self.clone() }.with_max_pixels(limits.max)
    }

    /// Visual tokens of an image that is `width` x `height` pixels after the resize.
    pub fn n_tokens(&self, width: u32, height: u32) -> usize {
        self.pixel_budget().n_tokens(width, height)
    }

    /// Resizes, normalises and cuts `image`.
    ///
    /// # Errors
    /// [`FitError`] for an empty or extremely elongated image.
    pub fn patches(&self, image: &RgbImage) -> Result<Patches, FitError> {
        let (width, height) = smart_resize(image.width(), image.height(), self.pixel_budget())?;
        if (width, height) == image.dimensions() {
            return Ok(self.cut(image));
        }
        Ok(self.cut(&resize(image, width, height, Filter::Bicubic)))
    }

    fn cut(&self, image: &RgbImage) -> Patches {
        let (p, m, frames) = (self.patch_size, self.merge_size, self.temporal_patch_size);
        let (width, height) = (image.width() as usize, image.height() as usize);
        let grid = Grid { t: 1, h: height / p, w: width / p };
        let normalized: [Vec<f32>; 3] = std::array::from_fn(|channel| {
            // One value per byte: the same rounding as dividing every pixel.
            (0..=255_u8)
                .map(|byte| {
                    let scaled = (f64::from(byte) * (1.0 / 255.0)) as f32;
                    (scaled - self.image_mean[channel]) / self.image_std[channel]
                })
                .collect()
        });
        let pixels = image.as_raw();
        let channel_len = frames * p * p;
        let mut values = vec![0.0; grid.n_patches() * 3 * channel_len];
        let corners: Vec<(usize, usize)> = patch_corners(grid, p, m).collect();
        let patches = values.par_chunks_exact_mut(3 * channel_len).zip(&corners);
        patches.with_min_len(MIN_PATCHES).for_each(|(patch, &(top, left))| {
            for (channel, (values, normalized)) in
                patch.chunks_exact_mut(channel_len).zip(&normalized).enumerate()
            {
                for (line, row) in values.chunks_exact_mut(p).zip(top..top + p) {
                    let pixels = &pixels[(row * width + left) * 3..(row * width + left + p) * 3];
                    for (value, pixel) in line.iter_mut().zip(pixels.chunks_exact(3)) {
                        *value = normalized[usize::from(pixel[channel])];
                    }
                }
                // A still picture is a film whose frames are all the same.
                let (first, others) = values.split_at_mut(p * p);
                others.chunks_exact_mut(p * p).for_each(|frame| frame.copy_from_slice(first));
            }
        });
        Patches { values, grid }
    }
}

/// Refuses steps that are left out or scaled otherwise; a field that is not there has the reference's default.
fn refuse_other_steps(json: &Value) -> Result<(), String> {
    /// The files hold 1/255 with as many digits as their writer printed.
    const ROUNDING: f64 = 1e-8;
    for step in ["do_resize", "do_rescale", "do_normalize"] {
        if json[step].as_bool() == Some(false) {
            return Err(format!("{step} is false: this processor always does that"));
        }
    }
    match json["rescale_factor"].as_f64() {
        Some(factor) if (factor - 1.0 / 255.0).abs() > ROUNDING => {
            Err(format!("rescale_factor is {factor}: only 1/255 is computed"))
        }
        _ => Ok(()),
    }
}

/// Top left pixels of the patches: merged patches row by row, and row by row inside each.
fn patch_corners(grid: Grid, p: usize, m: usize) -> impl Iterator<Item = (usize, usize)> {
    let (rows, columns) = (grid.h / m, grid.w / m);
    (0..rows * columns).flat_map(move |merged| {
        (0..m * m).map(move |inner| {
            let row = merged / columns * m + inner / m;
            let column = merged % columns * m + inner % m;
            (row * p, column * p)
        })
    })
}
