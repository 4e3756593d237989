//! What a line says, and where each of its characters stands.
//!
//! The recogniser cuts a line into slices of equal width (frames) and tells for each which character it belongs to, or
//! none. Equal neighbours are one character (CTC, arXiv 1312.4569 section 3). The likeliest reading is kept, and the
//! other likely characters beside it: whoever looks for a text can ask how likely that text is instead.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{RgbImage, imageops};
use vigorl_geometry::Rect;

use crate::boxes::LineBox;
use crate::networks::{BLANK, LINE_HEIGHT_PX, Networks};
use crate::reader::ReaderError;
use crate::reading::{Frame, Glyph, Line};
use crate::trunk::Likely;

/// What is kept of a frame.
const MAX_LIKELY: usize = 8;
/// A line that is longer than this many times its height is read in parts.
const MAX_RATIO: f64 = 60.0;
/// Narrowest picture of a line: a single letter is told better with something around it.
const MIN_WIDTH_PX: u32 = 48;
/// How far a glyph reaches from its middle at most, in heights of its line.
pub(crate) const REACH: f64 = 0.45;

/// The pixels of a line, and how they were cut out.
pub(crate) struct LinePicture {
    pub(crate) pixels: RgbImage,
    left: u32,
    top: u32,
}

impl LinePicture {
    /// The line's pixels, whole.
    pub(crate) fn cut(image: &RgbImage, edges: LineBox) -> Self {
        let (left, top) = (edges.left.floor() as u32, edges.top.floor() as u32);
        let (right, bottom) = (edges.right.ceil() as u32, edges.bottom.ceil() as u32);
        let view = imageops::crop_imm(image, left, top, right - left, bottom - top);
        Self { pixels: view.to_image(), left, top }
    }

    /// Its top left corner on the screenshot.
    pub(crate) fn origin(&self) -> (u32, u32) {
        (self.left, self.top)
    }

    /// How wide it is when it is as high as the recogniser's image, in pixels.
    pub(crate) fn width_when_read(&self) -> u32 {
        let (width, height) = self.pixels.dimensions();
        width.saturating_mul(LINE_HEIGHT_PX) / height.max(1)
    }

    /// Reads it; nothing if there is no character in it.
    pub(crate) fn read(&self, networks: &Networks, core: usize) -> Result<Option<Line>, ReaderError> {
        let (width, height) = self.pixels.dimensions();
        let n_parts = (f64::from(width) / (f64::from(height) * MAX_RATIO)).ceil().max(1.0) as u32;
        let mut line = Line {
            text: String::new(),
            rect: Rect::new(
                f64::from(self.left),
                f64::from(self.top),
                f64::from(self.left + width),
                f64::from(self.top + height),
            ),
            confidence: 0.0,
            glyphs: Vec::new(),
            frames: Vec::new(),
        };
        for part in 0..n_parts {
            let [left, right] = [part, part + 1].map(|n| self.near_gap(width * n / n_parts));
            self.read_part(networks, core, left..right, &mut line)?;
        }
        if line.glyphs.iter().all(|glyph| glyph.character.is_whitespace()) {
            return Ok(None);
        }
        set_edges(&mut line);
        line.text = line.glyphs.iter().map(|glyph| glyph.character).collect();
        let sum: f32 = line.glyphs.iter().map(|glyph| glyph.confidence).sum();
        line.confidence = sum / line.glyphs.len() as f32;
        Ok(Some(line))
    }

    /// The column nearest to `x` in which nothing is drawn; `x` if there is none nearby.
    fn near_gap(&self, x: u32) -> u32 {
        let (width, height) = self.pixels.dimensions();
        if x == 0 || x == width {
            return x;
        }
        let is_empty = |x: u32| {
            let top = self.pixels.get_pixel(x, 0);
            (1..height).all(|y| self.pixels.get_pixel(x, y) == top)
        };
        let nearby = (0..4 * height).flat_map(|by| [x.checked_sub(by), Some(x + by)]).flatten();
        nearby.filter(|x| (1..width).contains(x)).find(|x| is_empty(*x)).unwrap_or(x)
    }

    /// The columns of the line, as high as the recogniser's image.
    fn resized(&self, left: u32, across: u32, width: u32) -> Result<RgbImage, ReaderError> {
        let failed = |error: &dyn std::fmt::Display| ReaderError::Failed { detail: error.to_string() };
        let (whole, down) = self.pixels.dimensions();
        let from =
            ImageRef::new(whole, down, self.pixels.as_raw(), PixelType::U8x3).map_err(|e| failed(&e))?;
        let mut to = Image::new(width, LINE_HEIGHT_PX, PixelType::U8x3);
        let part = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
            f64::from(left),
            0.0,
            f64::from(across),
            f64::from(down),
        );
        Resizer::new().resize(&from, &mut to, &part).map_err(|e| failed(&e))?;
        Ok(RgbImage::from_raw(width, LINE_HEIGHT_PX, to.into_vec()).expect("three bytes a pixel"))
    }

    fn read_part(
        &self,
        networks: &Networks,
        core: usize,
        columns: std::ops::Range<u32>,
        line: &mut Line,
    ) -> Result<(), ReaderError> {
        let (across, down) = (columns.end - columns.start, self.pixels.height());
        let scale = f64::from(LINE_HEIGHT_PX) / f64::from(down);
        let width = (f64::from(across) * scale).ceil().max(1.0) as u32;
        let mut picture = self.resized(columns.start, across, width)?;
        if width < MIN_WIDTH_PX {
            picture = centred(&picture, MIN_WIDTH_PX);
        }
        let before = f64::from(picture.width() - width) / 2.0;
        let said = networks.characters_of(&picture, core)?;
        let frame_px = f64::from(picture.width()) / said.len().max(1) as f64;
        let left = f64::from(self.left + columns.start);
        let on_screen = |frame: f64| left + (frame * frame_px - before.floor()) / scale;
        let first_frame = line.frames.len();
        line.frames.extend(frames(networks, said));
        let mut last = None;
        for frame in first_frame..line.frames.len() {
            let best = line.frames[frame].best();
            let at = (frame - first_frame) as f64;
            if let Some((character, confidence)) = best {
                let (from, to) = (on_screen(at), on_screen(at + 1.0));
                match line.glyphs.last_mut().filter(|_| last == Some(character)) {
                    Some(glyph) => {
                        glyph.right = to;
                        if confidence > glyph.confidence {
                            (glyph.confidence, glyph.frame) = (confidence, frame);
                        }
                    }
                    None => line.glyphs.push(Glyph { character, left: from, right: to, confidence, frame }),
                }
            }
            last = best.map(|(character, _)| character);
        }
        Ok(())
    }
}

impl Frame {
    /// The likeliest character, unless it is likelier that there is none.
    fn best(&self) -> Option<(char, f32)> {
        self.likely.first().copied().filter(|(_, probability)| *probability > self.blank)
    }
}

/// The picture in the middle of a wider one of the colour of its corner.
fn centred(picture: &RgbImage, width: u32) -> RgbImage {
    let mut wider = RgbImage::from_pixel(width, picture.height(), *picture.get_pixel(0, 0));
    imageops::replace(&mut wider, picture, i64::from((width - picture.width()) / 2), 0);
    wider
}

fn frames(networks: &Networks, said: Vec<Likely>) -> impl Iterator<Item = Frame> {
    said.into_iter().map(|mut likely| {
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        let of_class = |class: u32| likely.iter().find(|(k, _)| *k == class).map_or(0.0, |(_, p)| *p);
        Frame {
            blank: of_class(BLANK),
            likely: likely
                .iter()
                .filter(|(class, _)| *class != BLANK)
                .take(MAX_LIKELY)
                .map(|(class, p)| (networks.character(*class), *p))
                .collect(),
        }
    })
}

/// A glyph's frames are where it is told, not where its ink is: its edges are half way to its neighbours, and never far
/// from its middle.
fn set_edges(line: &mut Line) {
    let reach = line.rect.height() * REACH;
    let middles: Vec<f64> = line.glyphs.iter().map(|glyph| (glyph.left + glyph.right) / 2.0).collect();
    for (n, glyph) in line.glyphs.iter_mut().enumerate() {
        let middle = middles[n];
        let half_way = |other: f64| (middle + other) / 2.0;
        let before = n.checked_sub(1).map_or(line.rect.left, |before| half_way(middles[before]));
        let after = middles.get(n + 1).map_or(line.rect.right, |after| half_way(*after));
        glyph.left = before.max(middle - reach).max(line.rect.left);
        glyph.right = after.min(middle + reach).min(line.rect.right);
    }
}
