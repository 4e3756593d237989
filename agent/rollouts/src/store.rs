//! The files of rollouts: `rollouts.jsonl`, one line for each sample, and their pictures under `images/`.
//!
//! Invariants: a line is written whole and handed to the system at once, so that a crash can cut the last one at most; a
//! picture is written before the first line that names it, once, under the hash of its pixels.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use vigorl_files::write_whole;
use vigorl_tasks::sources::stable_hash;

use crate::sample::Sample;

/// The file of the lines.
pub(crate) const LINES: &str = "rollouts.jsonl";
/// The folder of the pictures.
const IMAGES: &str = "images";

/// Why rollouts cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A full disk, no permission.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not there, or may not be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("`{path}`, line {line} is damaged: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// Pictures that are kept under the hash of their pixels.
#[derive(Debug)]
pub struct Images {
    /// Nothing if none is kept.
    folder: Option<PathBuf>,
    known: Mutex<BTreeSet<u64>>,
}

impl Images {
    /// In a folder of `root`.
    pub fn under(root: &Path) -> Self {
        Self { folder: Some(root.join(IMAGES)), known: Mutex::default() }
    }

    /// Nowhere: their names are told all the same.
    pub fn nowhere() -> Self {
        Self { folder: None, known: Mutex::default() }
    }

    /// Keeps a picture, and tells its name, relative to the lines.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn keep(&self, pixels: &Arc<RgbImage>) -> Result<String, StoreError> {
        let (width, height) = pixels.dimensions();
        let hash = stable_hash(pixels.as_raw()) ^ (u64::from(width) << 32 | u64::from(height));
        let name = format!("{IMAGES}/{hash:016x}.png");
        let Some(folder) = &self.folder else { return Ok(name) };
        // Whoever comes second waits until the first has written: a line must not name a picture that is not there.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&hash) {
            return Ok(name);
        }
        let path = folder.join(format!("{hash:016x}.png"));
        let written = |source: io::Error| StoreError::Write { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(written)?;
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
            .write_image(pixels.as_raw(), width, height, ExtendedColorType::Rgb8)
            .map_err(|error| written(io::Error::other(error)))?;
        write_whole(&path, &bytes).map_err(written)?;
        known.insert(hash);
        Ok(name)
    }
}

/// The lines of a run, as they are written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
}

impl Store {
    /// A new file in `root`, which is there.
    ///
    /// # Errors
    /// [`StoreError::Write`], also if there is one already.
    pub fn create(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(LINES);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(StoreError::Write { path, source }),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn add(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let failed = |source| StoreError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(sample).map_err(|error| failed(io::Error::other(error)))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.map_err(failed)
    }
}

/// The samples of a run directory, or of a file of lines, one at a time. The last line may be cut off.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    file: BufReader<File>,
    line: usize,
}

impl Samples {
    /// Opens them.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn open(of: &Path) -> Result<Self, StoreError> {
        let path = if of.is_dir() { of.join(LINES) } else { of.to_owned() };
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file: BufReader::new(file), line: 0 }),
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }

    /// The file of the lines. Their pictures have names in its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line that was read last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl Iterator for Samples {
    type Item = Result<Sample, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut written = Vec::new();
            match self.file.read_until(b'\n', &mut written) {
                Ok(0) => return None,
                Ok(_) => self.line += 1,
                Err(source) => return Some(Err(StoreError::Read { path: self.path.clone(), source })),
            }
            if written.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice(&written) {
                Ok(sample) => Some(Ok(sample)),
                // It was being written when the program ended.
                Err(_) if !written.ends_with(b"\n") => None,
                Err(source) => {
                    Some(Err(StoreError::Damaged { path: self.path.clone(), line: self.line, source }))
                }
            };
        }
    }
}

/// All of [`Samples`].
///
/// # Errors
/// [`StoreError`] names the file and the line.
pub fn read_samples(of: &Path) -> Result<Vec<Sample>, StoreError> {
    Samples::open(of)?.collect()
}
