//! How fast the reader is: whole screenshots of text that are drawn here, and its two networks alone.
//!
//! Invariant: no line stands twice in a picture, so that nothing is known before it is read; every round begins with a
//! reader that remembers nothing. The scrolled picture is the first one moved by [`SCROLLED_PX`] rows.

use std::time::Instant;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use image::{Rgb, RgbImage, imageops};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use vigorl_reader::{Networks, Reader, ReaderError};

/// A part of DejaVu Sans (see `training/assets/LICENSE`).
const FONT_FILE: &[u8] = include_bytes!("../../training/assets/sans.ttf");
const PAPER: Rgb<u8> = Rgb([250, 250, 252]);
const INK: [f32; 3] = [40.0, 44.0, 52.0];
/// How far the scrolled picture is scrolled.
pub const SCROLLED_PX: u32 = 200;
/// Letters of the drawn words.
const LETTERS: &[u8] = b"etaoinshrdlucmfwypvbgkqjxzETAOINSHRDLU0123456789";

/// A picture full of lines of text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sheet {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Columns of lines.
    pub n_columns: u32,
    /// Lines in each column.
    pub n_rows: u32,
    /// Characters in each line.
    pub n_characters: u32,
    /// Height of a letter with its ascent and descent, in pixels.
    pub font_px: u32,
}

/// An ordinary browser window.
pub const WINDOW: Sheet =
    Sheet { width: 1280, height: 800, n_columns: 1, n_rows: 35, n_characters: 40, font_px: 16 };
/// A small one.
pub const SMALL: Sheet =
    Sheet { width: 640, height: 480, n_columns: 1, n_rows: 20, n_characters: 40, font_px: 16 };
/// A large display at a pixel ratio of 2, full of text.
pub const LARGE: Sheet =
    Sheet { width: 3840, height: 2160, n_columns: 3, n_rows: 53, n_characters: 80, font_px: 28 };

impl Sheet {
    /// Draws it, with `more` rows of pixels below and the lines that stand there.
    ///
    /// # Panics
    /// Never: the font is a part of this program.
    pub fn draw(self, more: u32) -> RgbImage {
        let font = FontRef::try_from_slice(FONT_FILE).unwrap_or_else(|error| panic!("the font: {error}"));
        let mut picture = RgbImage::from_pixel(self.width, self.height + more, PAPER);
        let pitch = self.height / self.n_rows;
        for row in 0..(self.height + more) / pitch {
            for column in 0..self.n_columns {
                let at = (column * (self.width / self.n_columns) + self.font_px, row * pitch);
                let text = words(row * self.n_columns + column, self.n_characters);
                write(&mut picture, &font, self.font_px, at, &text);
            }
        }
        picture
    }
}

/// Words that belong to line `n` alone.
fn words(n: u32, n_characters: u32) -> String {
    // A linear congruential generator (Numerical Recipes): any fixed mixture of letters will do.
    let mut state = n.wrapping_mul(747_796_405).wrapping_add(12_345);
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut text = String::new();
    let mut left = 0;
    while text.len() < n_characters as usize {
        // A space between two words, and none at the end.
        if left == 0 && !text.is_empty() && text.len() + 1 < n_characters as usize {
            text.push(' ');
            left = 2 + next(7);
        } else {
            text.push(char::from(LETTERS[next(LETTERS.len() as u32) as usize]));
            left = left.saturating_sub(1);
        }
    }
    text
}

fn write(picture: &mut RgbImage, font: &FontRef<'_>, px: u32, (left, top): (u32, u32), text: &str) {
    let scaled = font.as_scaled(PxScale::from(px as f32));
    let mut x = left as f32;
    for character in text.chars() {
        let id = scaled.glyph_id(character);
        let glyph = id.with_scale_and_position(px as f32, point(x, top as f32 + scaled.ascent()));
        x += scaled.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, cover| {
            let (x, y) = (bounds.min.x as i64 + i64::from(dx), bounds.min.y as i64 + i64::from(dy));
            let inside = |at: i64, end: u32| u32::try_from(at).ok().filter(|at| *at < end);
            let (Some(x), Some(y)) = (inside(x, picture.width()), inside(y, picture.height())) else {
                return;
            };
            let pixel = picture.get_pixel_mut(x, y);
            for (channel, ink) in pixel.0.iter_mut().zip(INK) {
                *channel = (f32::from(*channel) * (1.0 - cover) + ink * cover).round() as u8;
            }
        });
    }
}

/// Seconds of one thing that is done in every round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What is read.
    pub name: &'static str,
    /// Width and height of the picture.
    pub image_size: [u32; 2],
    /// Lines that were found on it.
    pub n_lines: usize,
    /// Median over the rounds.
    pub median_secs: f64,
    /// Fastest round.
    pub fastest_secs: f64,
    /// Median of what all cores together computed for it: other programs beside this one change it little.
    pub processor_secs: f64,
}

/// Measures whole readings with the networks of `reader`.
///
/// # Errors
/// If the networks could not be computed.
pub fn measure(
    reader: &Reader,
    n_rounds: usize,
    on_round: &mut dyn FnMut(),
) -> Result<Vec<Row>, ReaderError> {
    let tall = WINDOW.draw(SCROLLED_PX);
    let part = |top: u32| imageops::crop_imm(&tall, 0, top, WINDOW.width, WINDOW.height).to_image();
    let (window, scrolled) = (part(0), part(SCROLLED_PX));
    let (small, large) = (SMALL.draw(0), LARGE.draw(0));
    let pictures = [
        ("35 lines of 40 characters", &window),
        ("the same again", &window),
        ("scrolled by 200 px", &scrolled),
        ("20 lines of 40 characters", &small),
        ("159 lines of 80 characters", &large),
    ];
    let mut measured = vec![(0, Vec::new(), Vec::new()); pictures.len()];
    for _ in 0..n_rounds {
        // A picture of another size is read as if there had been none before.
        let mut reader = reader.beside();
        for ((_, picture), (n_lines, secs, processor)) in pictures.iter().zip(&mut measured) {
            let (clock, used) = (Instant::now(), processor_secs());
            let reading = reader.read(picture)?;
            secs.push(clock.elapsed().as_secs_f64());
            processor.push(processor_secs() - used);
            *n_lines = reading.lines.len();
        }
        on_round();
    }
    let mut rows = Vec::new();
    for ((name, picture), (n_lines, secs, processor)) in pictures.into_iter().zip(measured) {
        rows.push(Row {
            name,
            image_size: picture.dimensions().into(),
            n_lines,
            median_secs: median(&secs),
            fastest_secs: secs.into_iter().fold(f64::INFINITY, f64::min),
            processor_secs: median(&processor),
        });
    }
    Ok(rows)
}

/// What this process has computed so far, on all cores.
fn processor_secs() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// What the networks alone compute: a screenshot for the detector, lines for the recogniser.
#[derive(Debug, Clone)]
pub struct NetworkWork {
    /// For the detector.
    pub screen: RgbImage,
    /// For the recogniser, all of the same size.
    pub lines: Vec<RgbImage>,
}

/// One round of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkRound {
    /// For the screenshot.
    pub detector_secs: f64,
    /// For all lines, on all cores.
    pub lines_secs: f64,
    /// Mean of the detector's answer.
    pub detector_mean: f64,
    /// The likeliest class of each frame of each line.
    pub classes: Vec<Vec<u32>>,
}

impl NetworkWork {
    /// The screenshot of 35 lines, and 16 lines of 40 characters.
    pub fn new() -> Self {
        let sheet =
            Sheet { width: 768, height: 16 * 48, n_columns: 1, n_rows: 16, n_characters: 40, font_px: 34 };
        let lines = sheet.draw(0);
        let line = |n: u32| imageops::crop_imm(&lines, 0, n * 48, sheet.width, 48).to_image();
        Self { screen: WINDOW.draw(0), lines: (0..sheet.n_rows).map(line).collect() }
    }

    /// Computes it `n_repeats` times and keeps the median times.
    ///
    /// # Errors
    /// If the networks could not be computed.
    pub fn round(&self, networks: &Networks, n_repeats: usize) -> Result<NetworkRound, ReaderError> {
        let (mut detector, mut lines) = (Vec::new(), Vec::new());
        let (mut map, mut classes) = (Vec::new(), Vec::new());
        for _ in 0..n_repeats {
            let clock = Instant::now();
            map = networks.core_map(&self.screen)?;
            detector.push(clock.elapsed().as_secs_f64());
            let clock = Instant::now();
            classes = networks.classes_of(&self.lines)?;
            lines.push(clock.elapsed().as_secs_f64());
        }
        let mean = map.iter().copied().map(f64::from).sum::<f64>() / map.len().max(1) as f64;
        Ok(NetworkRound {
            detector_secs: median(&detector),
            lines_secs: median(&lines),
            detector_mean: mean,
            classes,
        })
    }
}

impl Default for NetworkWork {
    fn default() -> Self {
        Self::new()
    }
}

/// The middle value; not a number without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_line_stands_twice_and_all_are_as_long_as_said() {
        let lines: Vec<String> = (0..200).map(|n| words(n, 40)).collect();
        assert!(lines.iter().all(|line| line.len() == 40 && !line.ends_with(' ')), "{lines:?}");
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len());
    }

    #[test]
    fn a_taller_picture_has_the_same_lines_and_more() {
        let (first, tall) = (WINDOW.draw(0), WINDOW.draw(SCROLLED_PX));
        // The line that is cut by the border comes with the taller one.
        let whole = |picture: &RgbImage| imageops::crop_imm(picture, 0, 0, WINDOW.width, 790).to_image();
        assert!(whole(&first) == whole(&tall));
        let ink = |picture: &RgbImage| picture.pixels().filter(|pixel| pixel.0[0] < 100).count();
        assert!(ink(&tall) > ink(&first) && ink(&first) > 10_000, "{} {}", ink(&tall), ink(&first));
    }
}
