//! The two networks, as functions from pixels to numbers.
//!
//! Shapes: the detector takes `(1, 3, h, w)` with sides that are multiples of 32 and gives `(1, 1, h, w)`, the
//! probability that a pixel lies in the core of a line; the recogniser takes `(1, 3, 48, w)` and gives `(1, t, classes)`,
//! probabilities over the characters, class 0 for none (CTC's blank), the last one for a space.
//! Source: PaddleOCR's export; colours are blue, green, red, from -1 to 1.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, available_parallelism};

use image::RgbImage;
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensorView, Tensor};

use crate::reader::ReaderError;
use crate::trunk::{Graph, Head, Likely, Spare, Threads, Trunk, at_least, between};
use crate::weights::Weights;

/// Height of a line in the recogniser's image.
pub(crate) const LINE_HEIGHT_PX: u32 = 48;
/// What the detector's sides are multiples of.
pub(crate) const DETECTOR_STEP: u32 = 32;
/// The kind of the last node of the recogniser that is computed here. Behind it there is little, of many kinds.
const LAST_HERE: &str = "AveragePool";
/// Probabilities below this are not told.
const LIKELY: f32 = 1e-4;
/// The class of no character.
pub(crate) const BLANK: u32 = 0;

/// Both networks, ready.
pub struct Networks {
    detector: Network,
    recogniser: Network,
    /// The recogniser's last layer, if it is of the kind that is computed here.
    head: Option<Head>,
    characters: Vec<char>,
    /// Who says that it is enough.
    stop: OnceLock<&'static AtomicBool>,
    /// One thread each. A line is short: one core reads it faster than all of them do together.
    cores: Vec<Core>,
    /// All cores, for one large picture.
    together: rayon::ThreadPool,
    spare: Mutex<Spare>,
}

/// What one line needs while it is read.
struct Core {
    pool: Arc<ThreadPool>,
    spare: Mutex<Spare>,
}

fn locked(spare: &Mutex<Spare>) -> MutexGuard<'_, Spare> {
    // It has no state: anything may stand in spare memory.
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Networks").field("characters", &self.characters.len()).finish_non_exhaustive()
    }
}

/// A network: layers that are computed here, and what is behind them, or all of it, computed by `rten`.
struct Network {
    trunk: Option<Trunk>,
    rest: Option<Model>,
}

impl Network {
    /// All layers here, or none.
    fn detector(bytes: Cow<'static, [u8]>) -> Result<Self, ReaderError> {
        let trunk = Graph::parse(&bytes).and_then(|graph| Trunk::of_graph(&graph, None));
        let rest = if trunk.is_none() { Some(loaded("the detector", bytes)?) } else { None };
        Ok(Self { trunk, rest })
    }

    /// The first layers and the last one here, or none.
    fn recogniser(bytes: Cow<'static, [u8]>) -> Result<(Self, Option<Head>), ReaderError> {
        let file = "the recogniser";
        let ends = Graph::parse(&bytes)
            .and_then(|graph| Some((Trunk::of_graph(&graph, Some(LAST_HERE))?, Head::of_graph(&graph)?)));
        let middle = ends.and_then(|(trunk, head)| {
            let middle = between(&bytes, &trunk.output_name, &head.input_name)?;
            Some((trunk, head, middle))
        });
        let Some((trunk, head, middle)) = middle else {
            return Ok((Self { trunk: None, rest: Some(loaded(file, bytes)?) }, None));
        };
        Ok((Self { trunk: Some(trunk), rest: Some(loaded(file, middle.into())?) }, Some(head)))
    }

    /// What it gives for a picture, and the shape of that.
    fn run(
        &self,
        image: &RgbImage,
        threads: Threads<'_>,
        pool: Option<&Arc<ThreadPool>>,
        spare: &mut Spare,
    ) -> Result<(Vec<f32>, Vec<usize>), ReaderError> {
        let failed = |detail: String| ReaderError::Failed { detail };
        let shape = [3, image.height() as usize, image.width() as usize];
        let mut numbers = spare.take(shape.iter().product());
        set_input(image, &mut numbers);
        let mut shape = shape;
        if let Some(trunk) = &self.trunk {
            let computed = trunk.compute(threads, numbers, shape, spare);
            (numbers, shape) =
                computed.ok_or_else(|| failed(format!("a picture of {shape:?} does not fit the layers")))?;
        }
        let Some(rest) = &self.rest else {
            let output = numbers.to_vec();
            spare.give(numbers);
            return Ok((output, [&[1], shape.as_slice()].concat()));
        };
        let mut options = RunOptions::default();
        options.thread_pool = pool.cloned();
        let [channels, rows, columns] = shape;
        let input = NdTensorView::from_data([1, channels, rows, columns], &*numbers);
        let output = rest.run_one(input.into(), Some(options));
        spare.give(numbers);
        let output = output.map_err(|error| failed(error.to_string()))?;
        let output: Option<Tensor<f32>> = output.into_tensor();
        let output = output.ok_or_else(|| failed("the answer is no table of numbers".to_owned()))?;
        let shape = output.shape().to_vec();
        Ok((output.into_data(), shape))
    }
}

/// Blue, green and red of each pixel from -1 to 1, colour by colour.
fn set_input(image: &RgbImage, planes: &mut [f32]) {
    let n = image.width() as usize * image.height() as usize;
    let (blue, rest) = planes.split_at_mut(n);
    let (green, red) = rest.split_at_mut(n);
    for (at, pixel) in image.pixels().enumerate() {
        let scaled = pixel.0.map(|value| f32::from(value) / 127.5 - 1.0);
        (red[at], green[at], blue[at]) = (scaled[0], scaled[1], scaled[2]);
    }
}

fn loaded(file: &str, bytes: Cow<'static, [u8]>) -> Result<Model, ReaderError> {
    let model = match bytes {
        Cow::Borrowed(bytes) => Model::load_static_slice(bytes),
        Cow::Owned(bytes) => Model::load(bytes),
    };
    model.map_err(|error| ReaderError::Weights { file: file.to_owned(), detail: error.to_string() })
}

impl Networks {
    pub(crate) fn load(weights: Weights) -> Result<Self, ReaderError> {
        let characters = weights.characters.lines().filter_map(|line| line.chars().next()).collect();
        let (detector, recogniser) = thread::scope(|scope| {
            let detector = scope.spawn(|| Network::detector(weights.detector));
            let recogniser = Network::recogniser(weights.recogniser);
            match detector.join() {
                Ok(detector) => (detector, recogniser),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        let (recogniser, head) = recogniser?;
        let n_cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let together = rayon::ThreadPoolBuilder::new().num_threads(n_cores).build();
        let networks = Self {
            detector: detector?,
            recogniser,
            head,
            characters,
            stop: OnceLock::new(),
            cores: (0..n_cores)
                .map(|_| Core { pool: Arc::new(ThreadPool::with_num_threads(1)), spare: Mutex::default() })
                .collect(),
            together: together.map_err(|error| ReaderError::Failed { detail: error.to_string() })?,
            spare: Mutex::default(),
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
        let line = self.said_of(&RgbImage::new(LINE_HEIGHT_PX, LINE_HEIGHT_PX), 0);
        let (_, n_classes) = line.map_err(|error| broken("the recogniser", error.to_string()))?;
        // None, each character, and the space.
        if n_classes != self.characters.len() + 2 {
            let detail = format!("it has {n_classes} classes for {} characters", self.characters.len());
            return Err(broken("the recogniser", detail));
        }
        Ok(())
    }

    /// Computes nothing more once `stop` is set; the first one that is named counts.
    pub(crate) fn stop_when(&self, stop: &'static AtomicBool) {
        self.stop.set(stop).ok();
    }

    fn go_on(&self) -> Result<(), ReaderError> {
        let is_stopped = self.stop.get().is_some_and(|stop| stop.load(Ordering::SeqCst));
        if is_stopped { Err(ReaderError::Stopped) } else { Ok(()) }
    }

    /// For each pixel, whether it lies in the core of a line. Both sides are multiples of 32 pixels.
    ///
    /// # Errors
    /// [`ReaderError::Failed`].
    pub fn core_map(&self, image: &RgbImage) -> Result<Vec<f32>, ReaderError> {
        self.go_on()?;
        let mut spare = locked(&self.spare);
        self.detector.run(image, Threads::All(&self.together), None, &mut spare).map(|(map, _)| map)
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
            let frames = self.characters_of(&lines[at], core)?;
            let likeliest = |frame: Likely| {
                frame.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(BLANK, |(class, _)| class)
            };
            Ok(frames.into_iter().map(likeliest).collect())
        })
    }

    /// What stands in an image of a line, [`LINE_HEIGHT_PX`] high, computed on one of the cores: for each frame from left
    /// to right the classes that are at least as likely as [`LIKELY`].
    pub(crate) fn characters_of(&self, line: &RgbImage, core: usize) -> Result<Vec<Likely>, ReaderError> {
        self.said_of(line, core).map(|(frames, _)| frames)
    }

    /// The same, and how many classes there are.
    fn said_of(&self, line: &RgbImage, core: usize) -> Result<(Vec<Likely>, usize), ReaderError> {
        self.go_on()?;
        let Core { pool, spare } = &self.cores[core];
        let (values, shape) = self.recogniser.run(line, Threads::One, Some(pool), &mut locked(spare))?;
        match (&self.head, shape.as_slice()) {
            (Some(head), [1, _, 1, n_frames]) => {
                Ok((head.likely(&values, *n_frames, LIKELY), head.n_classes()))
            }
            (None, [1, _, n_classes]) => {
                let rows = values.chunks_exact((*n_classes).max(1));
                Ok((rows.map(|row| at_least(row, LIKELY).collect()).collect(), *n_classes))
            }
            _ => Err(ReaderError::Failed { detail: format!("the answer's shape is {shape:?}") }),
        }
    }

    /// Gives back the memory that makes one picture after the other faster.
    pub(crate) fn give_memory_back(&self) {
        for spare in self.cores.iter().map(|core| &core.spare).chain([&self.spare]) {
            *locked(spare) = Spare::default();
        }
    }

    /// What both take: blue, green and red of each pixel from -1 to 1, colour by colour.
    pub fn input(image: &RgbImage) -> Vec<f32> {
        let mut planes = vec![0.0; 3 * image.width() as usize * image.height() as usize];
        set_input(image, &mut planes);
        planes
    }

    /// The character of a class that is not [`BLANK`].
    pub(crate) fn character(&self, class: u32) -> char {
        self.characters.get(class as usize - 1).copied().unwrap_or(' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> RgbImage {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reader/page.png");
        image::open(path).unwrap().into_rgb8()
    }

    fn weights() -> Weights {
        Weights::embedded().expect("the text models are missing: `make setup` fetches them")
    }

    #[test]
    fn layers_that_are_computed_here_give_what_the_whole_graph_gives() {
        let bytes = weights().detector;
        let here = Network::detector(bytes.clone()).unwrap();
        assert!(here.trunk.is_some(), "the detector has layers that are not known here");
        let there = Network { trunk: None, rest: Some(Model::load(bytes.into_owned()).unwrap()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut spare = Spare::default();
        for (width, height) in [(640, 416), (32, 32), (224, 96)] {
            let part = image::imageops::crop_imm(&page(), 0, 0, width, height).to_image();
            let (ours, shape) = here.run(&part, Threads::All(&pool), None, &mut spare).unwrap();
            let (alone, _) = here.run(&part, Threads::One, None, &mut spare).unwrap();
            assert_eq!(ours, alone, "one thread gives something else");
            let (theirs, their_shape) = there.run(&part, Threads::One, None, &mut spare).unwrap();
            assert_eq!(shape, their_shape);
            let by = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(by < 2e-3, "{width}x{height}: {by}");
        }
    }

    #[test]
    fn a_line_has_the_probabilities_of_the_whole_graph() {
        let weights = weights();
        let whole = Model::load(weights.recogniser.to_vec()).unwrap();
        let mut networks = Networks::load(weights).unwrap();
        assert!(networks.head.is_some(), "the recogniser has layers that are not known here");
        let lines: Vec<RgbImage> = [(100, 400), (0, 48), (20, 333)]
            .map(|(left, width)| image::imageops::crop_imm(&page(), left, 0, width, 48).to_image())
            .into();
        let all = |networks: &Networks| -> Vec<_> {
            lines.iter().flat_map(|line| networks.characters_of(line, 0).unwrap()).collect()
        };
        let here = all(&networks);
        networks.head = None;
        networks.recogniser = Network { trunk: None, rest: Some(whole) };
        let there = all(&networks);
        assert_eq!(here.len(), there.len());
        let surely = |frame: &Likely| frame.iter().copied().filter(|(_, p)| *p > 5e-3).collect::<Vec<_>>();
        for (here, there) in here.iter().zip(&there) {
            for (class, p) in surely(there) {
                let ours = here.iter().find(|(k, _)| *k == class).map_or(0.0, |(_, p)| *p);
                assert!((ours - p).abs() < 2e-3, "class {class}: {ours}, {p}");
            }
        }
        assert!(here.iter().flatten().any(|(class, p)| *class != BLANK && *p > 0.9), "nothing is read");
    }
}
