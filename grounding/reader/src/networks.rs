//! The two networks, as functions from pixels to numbers.
//!
//! Shapes: the detector takes `(1, 3, h, w)` with sides that are multiples of 32 and gives `(1, 1, h, w)`, the
//! probability that a pixel lies in the core of a line; the recogniser takes `(1, 3, 48, w)` and gives `(1, t, classes)`,
//! probabilities over the characters, class 0 for none (CTC's blank), the last one for a space.
//! Source: PaddleOCR's export; colours are blue, green, red, from -1 to 1.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use image::RgbImage;
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::reader::ReaderError;
use crate::weights::Weights;

/// Height of a line in the recogniser's image.
pub(crate) const LINE_HEIGHT_PX: u32 = 48;
/// What the detector's sides are multiples of.
pub(crate) const DETECTOR_STEP: u32 = 32;
/// The class of no character.
pub(crate) const BLANK: u32 = 0;

/// Both networks, ready.
pub struct Networks {
    detector: Model,
    recogniser: Model,
    characters: Vec<char>,
    /// One thread each. A line is short: one core reads it faster than all of them do together.
    cores: Vec<Arc<ThreadPool>>,
}

/// Probabilities of `n_classes` for each of `n_frames`, row by row.
pub(crate) struct Probabilities {
    pub(crate) values: Vec<f32>,
    pub(crate) n_frames: usize,
    pub(crate) n_classes: usize,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Networks").field("characters", &self.characters.len()).finish_non_exhaustive()
    }
}

impl Networks {
    pub(crate) fn load(weights: Weights) -> Result<Self, ReaderError> {
        let load = |file: &str, bytes: std::borrow::Cow<'static, [u8]>| {
            let model = match bytes {
                std::borrow::Cow::Borrowed(bytes) => Model::load_static_slice(bytes),
                std::borrow::Cow::Owned(bytes) => Model::load(bytes),
            };
            model.map_err(|error| ReaderError::Weights { file: file.to_owned(), detail: error.to_string() })
        };
        let characters = weights.characters.lines().filter_map(|line| line.chars().next()).collect();
        let networks = Self {
            detector: load("the detector", weights.detector)?,
            recogniser: load("the recogniser", weights.recogniser)?,
            characters,
            cores: (0..available_parallelism().map_or(1, NonZeroUsize::get))
                .map(|_| Arc::new(ThreadPool::with_num_threads(1)))
                .collect(),
        };
        networks.check()?;
        Ok(networks)
    }

    /// Whether both are models of the kind: other ONNX files load as well.
    fn check(&self) -> Result<(), ReaderError> {
        let broken = |file: &str, detail: String| ReaderError::Weights { file: file.to_owned(), detail };
        let map = self.core_map(&RgbImage::new(DETECTOR_STEP, DETECTOR_STEP));
        let map = map.map_err(|error| broken("the detector", error.to_string()))?;
        if map.len() != (DETECTOR_STEP * DETECTOR_STEP) as usize {
            return Err(broken("the detector", "its answer is no map of the image".to_owned()));
        }
        let line = self.characters_of(&RgbImage::new(LINE_HEIGHT_PX, LINE_HEIGHT_PX), 0);
        let line = line.map_err(|error| broken("the recogniser", error.to_string()))?;
        // None, each character, and the space.
        if line.n_classes != self.characters.len() + 2 {
            let detail =
                format!("it has {} classes for {} characters", line.n_classes, self.characters.len());
            return Err(broken("the recogniser", detail));
        }
        Ok(())
    }

    /// For each pixel, whether it lies in the core of a line. Both sides are multiples of 32 pixels.
    ///
    /// # Errors
    /// [`ReaderError::Failed`].
    pub fn core_map(&self, image: &RgbImage) -> Result<Vec<f32>, ReaderError> {
        run(&self.detector, image, None).map(|map| map.into_data().to_vec())
    }

    /// Does something for each of `n` lines, one line on each core at a time.
    pub(crate) fn for_each<T: Send>(
        &self,
        n: usize,
        of_line: impl Fn(usize, usize) -> Result<T, ReaderError> + Sync,
    ) -> Result<Vec<T>, ReaderError> {
        let (next, of_line) = (&AtomicUsize::new(0), &of_line);
        let work = move |core: usize| -> Result<Vec<(usize, T)>, ReaderError> {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= n {
                    return Ok(done);
                }
                done.push((at, of_line(at, core)?));
            }
        };
        let parts = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.cores.len().min(n)).map(|core| scope.spawn(move || work(core))).collect();
            let ended = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        let mut all: Vec<_> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, of_line)| of_line).collect())
    }

    /// The likeliest class of each frame of pictures of lines, 48 pixels high: for whoever measures the networks alone.
    ///
    /// # Errors
    /// [`ReaderError::Failed`].
    pub fn classes_of(&self, lines: &[RgbImage]) -> Result<Vec<Vec<u32>>, ReaderError> {
        self.for_each(lines.len(), |at, core| {
            let said = self.characters_of(&lines[at], core)?;
            let likeliest =
                |row: &[f32]| (0..).zip(row).max_by(|a, b| a.1.total_cmp(b.1)).map_or(BLANK, |(k, _)| k);
            Ok(said.values.chunks_exact(said.n_classes.max(1)).map(likeliest).collect())
        })
    }

    /// What stands in an image of a line, [`LINE_HEIGHT_PX`] high, computed on one of the cores.
    pub(crate) fn characters_of(&self, line: &RgbImage, core: usize) -> Result<Probabilities, ReaderError> {
        let output = run(&self.recogniser, line, Some(&self.cores[core]))?;
        match *output.shape() {
            [1, n_frames, n_classes] => {
                Ok(Probabilities { values: output.into_data().to_vec(), n_frames, n_classes })
            }
            _ => Err(ReaderError::Failed { detail: format!("the answer's shape is {:?}", output.shape()) }),
        }
    }

    /// What both take: blue, green and red of each pixel from -1 to 1, colour by colour.
    pub fn input(image: &RgbImage) -> Vec<f32> {
        let n = image.width() as usize * image.height() as usize;
        let mut planes = vec![0.0_f32; 3 * n];
        let (blue, rest) = planes.split_at_mut(n);
        let (green, red) = rest.split_at_mut(n);
        for (at, pixel) in image.pixels().enumerate() {
            let scaled = pixel.0.map(|value| f32::from(value) / 127.5 - 1.0);
            (red[at], green[at], blue[at]) = (scaled[0], scaled[1], scaled[2]);
        }
        planes
    }

    /// The character of a class that is not [`BLANK`].
    pub(crate) fn character(&self, class: u32) -> char {
        self.characters.get(class as usize - 1).copied().unwrap_or(' ')
    }
}

fn run(model: &Model, image: &RgbImage, pool: Option<&Arc<ThreadPool>>) -> Result<Tensor<f32>, ReaderError> {
    let failed = |detail: String| ReaderError::Failed { detail };
    let (width, height) = (image.width() as usize, image.height() as usize);
    let input = NdTensor::from_data([1, 3, height, width], Networks::input(image));
    let mut options = RunOptions::default();
    options.thread_pool = pool.cloned();
    let output =
        model.run_one(input.view().into(), Some(options)).map_err(|error| failed(error.to_string()))?;
    output.into_tensor().ok_or_else(|| failed("the answer is no table of numbers".to_owned()))
}
