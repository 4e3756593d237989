//! A run as an animated GIF: each step before the action, with what the policy pointed at, and after it.
//!
//! Invariant: the pictures are those of the record, in order, and one is in memory at a time. The file appears
//! whole, by rename.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gif::{Encoder, Frame, Repeat};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use vigorl_files::write_whole_with;
use vigorl_interface::pixel_change;
use vigorl_runs::record::{ActionRecord, GroundingRecord, Xy};
use vigorl_runs::{Recorded, RecordedStep};

use crate::marks;

/// Widest film in pixels.
const MAX_WIDTH: u32 = 960;
/// How long pictures are shown, in hundredths of a second: with points to read, without, and the very last one.
const WITH_POINTS: u16 = 180;
const WITHOUT: u16 = 100;
const AT_THE_END: u16 = 300;
/// The strip below that shows how far the film is.
const STRIP: u32 = 5;
const TRACK: Rgb<u8> = Rgb([223, 227, 236]);
const DONE: Rgb<u8> = Rgb([59, 108, 246]);
/// Where a frame needs more than 256 colors: a compromise of the encoder between speed and quality, of 1 to 30.
const QUANTIZER_SPEED: i32 = 10;

/// Something to show for a while.
struct Shot<'a> {
    picture: PathBuf,
    said: Option<&'a GroundingRecord>,
    pointer: Option<Xy>,
    hundredths: u16,
}

/// A film cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmError {
    /// The run was recorded without pictures, or they were removed.
    #[error("`{run}` has no screenshots to show")]
    NoPictures {
        /// Its folder.
        run: PathBuf,
    },
    /// A picture of the record is damaged.
    #[error("cannot read `{path}`: {source}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// A GIF's sides are 16 bits.
    #[error("a GIF is at most 65,535 pixels wide and high")]
    TooLarge,
    /// Disk full, no permission, no such folder.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The film.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How the writing of a film ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filmed {
    /// The file is there.
    Whole,
    /// Whoever was asked wanted no more: there is no file.
    BrokenOff,
}

/// Writes the film of a run into `path`. Before each frame, `go_on` is told how many are done, of how many, and
/// says whether to go on.
///
/// # Errors
/// [`FilmError`] if the run has no pictures, one of them cannot be read, or the file cannot be written.
pub fn write_film(
    recorded: &Recorded,
    path: &Path,
    go_on: impl FnMut(usize, usize) -> bool,
) -> Result<Filmed, FilmError> {
    let shots = shots(recorded);
    if shots.is_empty() {
        return Err(FilmError::NoPictures { run: recorded.root.clone() });
    }
    match write_whole_with(path, |out| encode(&shots, out, go_on)) {
        Ok(()) => Ok(Filmed::Whole),
        Err(Ended::BrokenOff) => Ok(Filmed::BrokenOff),
        Err(Ended::Film(error)) => Err(error),
        Err(Ended::Write(source)) => Err(FilmError::Write { path: path.to_owned(), source }),
    }
}

/// Why there is no film: the encoder does not know where it writes.
enum Ended {
    BrokenOff,
    Film(FilmError),
    Write(io::Error),
}

impl From<FilmError> for Ended {
    fn from(error: FilmError) -> Self {
        Self::Film(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<gif::EncodingError> for Ended {
    fn from(error: gif::EncodingError) -> Self {
        Self::Write(match error {
            gif::EncodingError::Io(source) => source,
            other => io::Error::other(other),
        })
    }
}

fn shots(recorded: &Recorded) -> Vec<Shot<'_>> {
    let mut shots = Vec::new();
    let mut pointer = None;
    for step in recorded.episodes.iter().flat_map(|episode| &episode.steps) {
        of_step(&mut shots, step, &mut pointer);
    }
    shots.retain(|shot: &Shot<'_>| shot.picture.is_file());
    if let Some(last) = shots.last_mut() {
        last.hundredths = last.hundredths.max(AT_THE_END);
    }
    shots
}

/// The pointer stays where the last action left it.
fn of_step<'a>(shots: &mut Vec<Shot<'a>>, step: &'a RecordedStep, pointer: &mut Option<Xy>) {
    let action = step.action.as_ref().and_then(|record| record.action.as_ref());
    *pointer = action.and_then(ActionRecord::at).copied().or(*pointer);
    let said = step.model.as_ref();
    let shot = |file: &str, said: Option<&'a GroundingRecord>, pointer: Option<Xy>| Shot {
        picture: step.folder.join(file),
        said,
        pointer,
        hundredths: if said.is_some() { WITH_POINTS } else { WITHOUT },
    };
    shots.push(shot("before.png", said, *pointer));
    if let Some(to) = action.and_then(ActionRecord::to).copied() {
        *pointer = Some(to);
        shots.push(shot("before.png", None, *pointer));
    }
    shots.push(shot("after.png", None, *pointer));
}

fn encode(
    shots: &[Shot<'_>],
    out: &mut impl Write,
    mut go_on: impl FnMut(usize, usize) -> bool,
) -> Result<(), Ended> {
    let [width, height] = canvas(shots)?;
    let mut encoder = Encoder::new(out, side(width)?, side(height + STRIP)?, &[])?;
    encoder.set_repeat(Repeat::Infinite)?;
    let mut last: Option<RgbImage> = None;
    for (idx, shot) in shots.iter().enumerate() {
        if !go_on(idx, shots.len()) {
            return Err(Ended::BrokenOff);
        }
        let picture = drawn(shot, [width, height], (idx + 1) as f64 / shots.len() as f64)?;
        encoder.write_frame(&changed_part(last.as_ref(), &picture, shot.hundredths)?)?;
        last = Some(picture);
    }
    Ok(())
}

/// A side as the format writes it.
fn side(pixels: u32) -> Result<u16, FilmError> {
    u16::try_from(pixels).map_err(|_| FilmError::TooLarge)
}

/// The part of a picture that differs from the one before: all else stays on the screen.
fn changed_part(
    last: Option<&RgbImage>,
    picture: &RgbImage,
    hundredths: u16,
) -> Result<Frame<'static>, FilmError> {
    let (width, height) = picture.dimensions();
    let [left, top, right, bottom] = match last.map(|last| pixel_change(last, picture)) {
        None => [0, 0, width, height],
        // Nothing changed, but the time passes: a single pixel is drawn again.
        Some(None) => [0, 0, 1, 1],
        // Whole pixels inside the picture, so the casts are exact.
        Some(Some(change)) => {
            let b = change.bounds;
            [b.left as u32, b.top as u32, b.right as u32, b.bottom as u32]
        }
    };
    let part = imageops::crop_imm(picture, left, top, right - left, bottom - top).to_image();
    let (left, top) = (side(left)?, side(top)?);
    let frame =
        Frame::from_rgb_speed(side(part.width())?, side(part.height())?, part.as_raw(), QUANTIZER_SPEED);
    Ok(Frame { left, top, delay: hundredths, ..frame })
}

/// Width and height that hold every picture.
fn canvas(shots: &[Shot<'_>]) -> Result<[u32; 2], FilmError> {
    let mut most = [1, 1];
    for shot in shots {
        let (width, height) = image::image_dimensions(&shot.picture)
            .map_err(|source| FilmError::Picture { path: shot.picture.clone(), source })?;
        let times = marks::enlargement(width);
        let [width, height] = fitted(width * times, height * times);
        most = [most[0].max(width), most[1].max(height)];
    }
    Ok(most)
}

/// The size at which a picture is shown.
fn fitted(width: u32, height: u32) -> [u32; 2] {
    if width <= MAX_WIDTH {
        return [width, height];
    }
    let scaled = u64::from(height) * u64::from(MAX_WIDTH) / u64::from(width);
    [MAX_WIDTH, u32::try_from(scaled).unwrap_or(u32::MAX).max(1)]
}

fn drawn(shot: &Shot<'_>, canvas: [u32; 2], share: f64) -> Result<RgbImage, FilmError> {
    let picture = image::open(&shot.picture)
        .map_err(|source| FilmError::Picture { path: shot.picture.clone(), source })?
        .into_rgb8();
    let nothing = GroundingRecord::default();
    let marked = marks::drawn_with_pointer(&picture, shot.said.unwrap_or(&nothing), shot.pointer);
    let [width, height] = fitted(marked.width(), marked.height());
    let shown = if (width, height) == marked.dimensions() {
        marked
    } else {
        imageops::resize(&marked, width, height, FilterType::CatmullRom)
    };
    let mut out = RgbImage::from_pixel(canvas[0], canvas[1] + STRIP, Rgb([255; 3]));
    imageops::replace(&mut out, &shown, 0, 0);
    let done = (f64::from(canvas[0]) * share).round() as u32;
    for (x, y) in (0..canvas[0]).flat_map(|x| (canvas[1]..canvas[1] + STRIP).map(move |y| (x, y))) {
        out.put_pixel(x, y, if x < done { DONE } else { TRACK });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_pictures_are_made_smaller_and_others_are_not() {
        assert_eq!(fitted(1920, 1080), [960, 540]);
        assert_eq!(fitted(960, 700), [960, 700]);
        assert_eq!(fitted(192, 160), [192, 160]);
        assert_eq!(fitted(50_000, 1), [960, 1]);
    }

    #[test]
    fn a_frame_holds_what_changed_and_no_more() {
        let white = RgbImage::from_pixel(20, 10, Rgb([255; 3]));
        let mut dotted = white.clone();
        dotted.put_pixel(7, 3, Rgb([9, 9, 9]));
        let sides = |frame: &Frame<'_>| [frame.left, frame.top, frame.width, frame.height];
        assert_eq!(sides(&changed_part(None, &white, 5).unwrap()), [0, 0, 20, 10]);
        assert_eq!(sides(&changed_part(Some(&white), &dotted, 5).unwrap()), [7, 3, 1, 1]);
        assert_eq!(sides(&changed_part(Some(&white), &white, 5).unwrap()), [0, 0, 1, 1]);
    }
}
