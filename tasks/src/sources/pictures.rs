//! A file of screenshots, instructions and boxes as a source of episodes: what policies are usually trained on.
//!
//! Two forms of lines, which a file may mix:
//!
//! - the reference's: `{"problem": "<image>\nthe Save button", "answer": "(10, 20, 110, 50)", "images": ["a.png"]}`
//!   (specification, section 7.2)
//! - ours: `{"image": "a.png", "instruction": "the Save button", "box": [10, 20, 110, 50]}`, and `"split": "train"`,
//!   `"held_out"` or `"held-out"` where the file says it
//!
//! What is not on its picture is no episode: every answer that cannot be read would be right.
//!
//! Boxes are left, top, right and bottom in pixels of the picture, whose edges belong to them. Paths begin in the folder of
//! the file. Invariant: a line that is wrong is an error with its number before anything is played.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use serde::Deserialize;
use vigorl_files::open_picture;
use vigorl_geometry::{DevicePixelRatio, Rect, Screen, Size};
use vigorl_interface::{Action, Screenshot};

use super::{Part, Source, Stage, stable_hash};
use crate::Verdict;
use crate::environment::{Allowance, Environment, Failure, Observation, Performed, Senses, Start};
use crate::picture::PictureWorld;

/// Of as many pictures one is held out, where the file says nothing.
const HELD_OUT_IN: u64 = 10;
/// What the reference writes where the picture belongs.
const IMAGE_MARK: &str = "<image>";

/// Labelled pictures in a file.
#[derive(Debug, Clone)]
pub struct PictureSource {
    name: String,
    rows: Vec<Row>,
    /// The rows of each part, by their numbers.
    parts: [Vec<u64>; 2],
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    image: PathBuf,
    instruction: String,
    target: Rect<Screen>,
    told: Option<Vec<Told>>,
}

/// A text of the picture that stands in the instruction, and its middle.
pub type Told = (String, f64, f64);

/// What is asked of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'s> {
    /// The file of the picture.
    pub image: &'s Path,
    /// In words.
    pub instruction: &'s str,
    /// What is meant.
    pub target: Rect<Screen>,
    /// Texts of the picture that stand in the instruction, if the file says that somebody has looked.
    pub told: Option<&'s [Told]>,
}

/// A line of a file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Reference {
        problem: String,
        answer: String,
        images: Vec<PathBuf>,
    },
    Own {
        image: PathBuf,
        instruction: String,
        #[serde(rename = "box")]
        rect: [f64; 4],
        #[serde(default)]
        split: serde_json::Value,
        #[serde(default)]
        told: Option<Vec<Told>>,
    },
}

impl PictureSource {
    /// Reads the list, and of its pictures how large they are; their pixels are read when they are shown.
    ///
    /// # Errors
    /// What is wrong with which line, for people.
    pub fn open(name: impl Into<String>, file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let text =
            vigorl_files::read_text(file).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let (mut rows, mut parts) = (Vec::new(), [Vec::new(), Vec::new()]);
        let mut sizes = Sizes::default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (row, part) = row(line, folder, &mut sizes)
                .map_err(|error| format!("`{shown}`, line {number}: {error}"))?;
            parts[usize::from(part == Part::HeldOut)].push(rows.len() as u64);
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(format!("`{shown}` has no line: there is nothing to play"));
        }
        Ok(Self { name: name.into(), rows, parts })
    }

    /// The rows of a part: picture, instruction, and the box, whose edges belong to it.
    pub fn labelled(&self, part: Part) -> impl Iterator<Item = Pair<'_>> {
        let rows =
            self.parts[usize::from(part == Part::HeldOut)].iter().map(|number| &self.rows[*number as usize]);
        rows.map(|row| Pair {
            image: &row.image,
            instruction: &row.instruction,
            target: row.target,
            told: row.told.as_deref(),
        })
    }
}

/// How large pictures are; many lines ask for something on the same one.
#[derive(Default)]
struct Sizes(BTreeMap<PathBuf, Size<Screen>>);

impl Sizes {
    fn of(&mut self, file: &Path) -> Result<Size<Screen>, String> {
        if let Some(size) = self.0.get(file) {
            return Ok(*size);
        }
        if !file.is_file() {
            return Err(format!("there is no picture `{}`", file.display()));
        }
        let (width, height) = image::image_dimensions(file)
            .map_err(|error| format!("the picture `{}` cannot be read: {error}", file.display()))?;
        let size = Size::of_pixels(width, height);
        self.0.insert(file.to_owned(), size);
        Ok(size)
    }
}

/// The part that a line names, if it names one.
fn split_of(written: &serde_json::Value) -> Result<Option<Part>, String> {
    match written {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(word) if word == "train" => Ok(Some(Part::Train)),
        serde_json::Value::String(word) if word == "held_out" || word == "held-out" => {
            Ok(Some(Part::HeldOut))
        }
        other => Err(format!("its split is {other}: a split is \"train\" or \"held_out\"")),
    }
}

fn row(line: &str, folder: &Path, sizes: &mut Sizes) -> Result<(Row, Part), String> {
    let written: Written = serde_json::from_str(line).map_err(|_| {
        "it is neither {\"problem\", \"answer\", \"images\"} nor {\"image\", \"instruction\", \"box\"}"
            .to_owned()
    })?;
    let (image, instruction, rect, split, told) = match written {
        Written::Own { image, instruction, rect, split, told } => {
            (image, instruction, rect, split_of(&split)?, told)
        }
        Written::Reference { problem, answer, images } => {
            let [image] = &images[..] else { return Err(format!("it has {} images, not one", images.len())) };
            (image.clone(), problem.replace(IMAGE_MARK, "").trim().to_owned(), edges(&answer)?, None, None)
        }
    };
    if instruction.trim().is_empty() {
        return Err("it asks for nothing".to_owned());
    }
    let [left, top, right, bottom] = rect;
    if !(rect.iter().all(|edge| edge.is_finite()) && left <= right && top <= bottom) {
        return Err("its box is not left, top, right, bottom: the left edge comes first, and the upper one"
            .to_owned());
    }
    let place = folder.join(&image);
    let (size, target) = (sizes.of(&place)?, Rect::new(left, top, right, bottom));
    // Screenshots of pages have things that go on beyond their edge.
    if !size.contains(target.center()) {
        return Err(format!(
            "its box [{left}, {top}, {right}, {bottom}] lies outside of `{}`, which has {}x{} pixels",
            place.display(),
            size.width,
            size.height
        ));
    }
    // All that is asked of a picture is in one part.
    let hashed = stable_hash(image.to_string_lossy().as_bytes()).is_multiple_of(HELD_OUT_IN);
    let part = split.unwrap_or(if hashed { Part::HeldOut } else { Part::Train });
    Ok((Row { image: place, instruction, target, told }, part))
}

/// The box in the reference's answer.
fn edges(answer: &str) -> Result<[f64; 4], String> {
    let inner = answer.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let edges: Option<Vec<f64>> = inner.split(',').map(|edge| edge.trim().parse().ok()).collect();
    edges
        .and_then(|edges| edges.try_into().ok())
        .ok_or_else(|| format!("its answer `{answer}` is no box of four numbers"))
}

impl Source for PictureSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        format!("{} labelled screenshots, of which {} are held out", self.rows.len(), self.parts[1].len())
    }

    fn n_episodes(&self, part: Part) -> Option<u64> {
        Some(self.parts[usize::from(part == Part::HeldOut)].len() as u64)
    }

    /// The number of a row, from 0; behind the last one it begins again.
    fn seed(&self, part: Part, number: u64) -> u64 {
        let rows = &self.parts[usize::from(part == Part::HeldOut)];
        match rows.len() as u64 {
            // No row has this number, and a reset says so.
            0 => u64::MAX,
            n => rows[(number % n) as usize],
        }
    }

    fn world<'w>(&'w self, _stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(Pictures { rows: &self.rows, decoded: None, shown: None }))
    }

    fn is_list(&self) -> bool {
        true
    }
}

/// One of the pictures at a time.
struct Pictures<'s> {
    rows: &'s [Row],
    /// The picture that was read last: rows of one picture stand together.
    decoded: Option<(&'s Path, Arc<RgbImage>)>,
    shown: Option<(u64, PictureWorld)>,
}

impl Pictures<'_> {
    fn pixels(&mut self, row: usize) -> Result<Arc<RgbImage>, Failure> {
        let rows = self.rows;
        let file = &*rows[row].image;
        if let Some((_, pixels)) = self.decoded.as_ref().filter(|(decoded, _)| *decoded == file) {
            return Ok(Arc::clone(pixels));
        }
        let pixels =
            open_picture(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        let pixels = Arc::new(pixels.into_rgb8());
        self.decoded = Some((file, Arc::clone(&pixels)));
        Ok(pixels)
    }

    fn shown(&mut self) -> Result<&mut PictureWorld, Failure> {
        let shown = self.shown.as_mut().map(|(_, world)| world);
        shown.ok_or_else(|| "no picture is shown: reset the environment first".into())
    }
}

impl Environment for Pictures<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        if self.shown.as_ref().is_none_or(|(shown, _)| *shown != seed) {
            self.shown = None;
            let number = usize::try_from(seed).ok().filter(|number| *number < self.rows.len());
            let number = number.ok_or_else(|| {
                format!("there is no row {seed}: this part of the file is empty, or the seed is none of it")
            })?;
            let screenshot =
                Screenshot { pixels: self.pixels(number)?, device_pixel_ratio: DevicePixelRatio::ONE };
            let row = &self.rows[number];
            self.shown =
                Some((seed, PictureWorld::new(screenshot, row.instruction.clone(), vec![row.target])));
        }
        // The first click decides.
        Ok(Start { max_steps: Some(1), ..self.shown()?.reset(seed)? })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        self.shown()?.observe()
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.shown()?.perform(act)
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.shown()?.judge(answer, senses, allowance)
    }
}
