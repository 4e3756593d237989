//! A step of supervised training: the embedded policy and the recipe that it was made by.
//!
//! Invariant: it is a step of that recipe but for one thing: the pages are painted here as plain boxes, because no number
//! of tokens or patches depends on what a widget looks like.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use vigorl_qwen::{Checkpoint, ModelSource, WeightFormat};
use vigorl_tasks::practice::dataset::{DatasetError, Record};
use vigorl_tasks::practice::{PageSpec, PracticePage, Split};

use crate::bench::{Moved, Workload, named, packed_rows, pairs, write_step};
use crate::checkpoint::named_weights;
use crate::compute::Compute;
use crate::config::{MatrixRule, SftConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::fresh::tensor_shapes;
use crate::lessons::LabelledPage;
use crate::loss::Target;
use crate::optim::Optimizer;
use crate::sample::{Encoder, MicroBatch};
use crate::seed::stream;
use crate::step::{Stepped, take_step};
use crate::work::{Taught, Trained, Work, contribution, draw_page};
use crate::workers::Workers;

/// The recipe whose step is measured: the last part of the embedded policy's training.
const RECIPE: &str = include_str!("../../configs/nano_small.toml");
/// Pages are taken from here on, in order.
const FIRST_PAGE: u64 = 0;
/// What is painted between widgets.
const PAPER: [u8; 3] = [250, 250, 250];

/// The embedded policy before a step on rows that stay the same.
#[derive(Debug)]
pub struct LessonsStep {
    trained: Trained,
    optimizer: Optimizer,
    encoder: Encoder,
    workers: Workers,
    work: Vec<Work>,
}

/// What a step computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonsSize {
    /// Parts that are computed apart and added up.
    pub n_micro_batches: usize,
    /// Rows, one page each.
    pub n_pages: usize,
    /// Questions, several to a row behind one copy of the page.
    pub n_questions: usize,
    /// Tokens, images included.
    pub n_tokens: usize,
    /// The same with the padding of rows.
    pub n_padded_tokens: usize,
    /// Screenshots and crops.
    pub n_images: usize,
    /// Patches of these.
    pub n_patches: usize,
    /// Visual tokens made of the patches.
    pub n_visual_tokens: usize,
    /// Tokens whose distribution is learned.
    pub n_targets: usize,
    /// Tokens that also learn where to look.
    pub n_looks: usize,
    /// Visual tokens that learn to name what they show.
    pub n_named: usize,
}

impl LessonsStep {
    /// The first step of the recipe's first mixture, with the embedded weights and a fresh optimizer.
    ///
    /// # Errors
    /// [`TrainingError`]; none is expected of embedded files.
    pub fn nano(matrices: MatrixRule, compute: &Compute) -> Result<Self, TrainingError> {
        let mut config = SftConfig::parse(RECIPE, Path::new("nano_small.toml"))?;
        config.optimizer.matrix_rule = matrices;
        let files = ModelFiles::embedded();
        let shapes = tensor_shapes(&files.config()?);
        let checkpoint = Checkpoint::open(&ModelSource::Nano)?;
        let weights = checkpoint.weights(&Device::Cpu, WeightFormat::Dense(DType::F32))?;
        let weights = compute.placed(named_weights(&weights, &shapes)?)?;
        let trained = Trained::new(files, weights, config.optimizer.freeze)?;
        let optimizer = Optimizer::new(&trained.moving, &config.optimizer)?;
        let encoder = Encoder::new(&trained.files, config.policy.preset(), &config.loss)?;
        let workers = compute.workers(config.run.workers)?;
        let (stage, seed) = (&config.stages[0], config.run.seed);
        let mix = &stage.mixes[0];
        let micro_batches: Vec<u64> = (0..stage.micro_batches as u64).collect();
        let drawn = workers.map(&micro_batches, |&micro| {
            let pages = (0..mix.pages as u64).map(|page| {
                let spec = PageSpec::icons(FIRST_PAGE + micro * mix.pages as u64 + page, Split::Train);
                let (image, record) = painted(&spec)?;
                let rng = &mut stream(seed, &[0, micro, page]);
                draw_page(&encoder, &trained.model, encoder.view(image)?, &record, mix, rng)
            });
            Ok(Work::Turns(encoder.pack(&pages.collect::<Result<Vec<_>, TrainingError>>()?)?))
        });
        let work = drawn.into_iter().collect::<Result<_, TrainingError>>()?;
        Ok(Self { trained, optimizer, encoder, workers, work })
    }

    /// What a step computes.
    pub fn size(&self) -> LessonsSize {
        let merge = self.encoder.config().vision.spatial_merge_size;
        self.batches().fold(LessonsSize::default(), |sum, batch| LessonsSize {
            n_micro_batches: sum.n_micro_batches + 1,
            n_pages: sum.n_pages + batch.packed.ids.len(),
            n_questions: sum.n_questions + batch.asked.len(),
            n_tokens: sum.n_tokens + batch.n_tokens,
            n_padded_tokens: sum.n_padded_tokens + batch.packed.ids.iter().map(Vec::len).sum::<usize>(),
            n_images: sum.n_images + batch.packed.grids.len(),
            n_patches: sum.n_patches + batch.packed.patches.dims()[0],
            n_visual_tokens: sum.n_visual_tokens
                + batch.packed.grids.iter().map(|grid| grid.n_tokens(merge)).sum::<usize>(),
            n_targets: sum.n_targets + batch.targets.len(),
            n_looks: sum.n_looks + batch.gazes().len(),
            n_named: sum.n_named + batch.shown.len(),
        })
    }

    fn stepped(&mut self) -> Result<Stepped<Taught>, TrainingError> {
        let Self { trained, optimizer, encoder, workers, work } = self;
        take_step(trained, optimizer, workers, 1.0, work, 0.0, |work| contribution(trained, work, encoder))
    }

    fn batches(&self) -> impl Iterator<Item = &MicroBatch> {
        self.work.iter().filter_map(|work| match work {
            Work::Turns(batch) => Some(batch),
            Work::Patches(_) => None,
        })
    }
}

impl Workload for LessonsStep {
    fn step(&mut self) -> Result<Moved, TrainingError> {
        Ok(self.stepped()?.into())
    }

    fn trained(&self) -> &Trained {
        &self.trained
    }

    fn n_workers(&self) -> usize {
        self.workers.n()
    }

    /// For micro-batch `i` of rows of T tokens, with K targets, G looks, S named visual tokens and a vocabulary of V, beside
    /// what every row has: `i.targets` (K, V) probabilities; `i.weights` (K); `i.look_places` (G, 2); `i.look_wanted` (G, T),
    /// 1 where to look; `i.named` (S), indices of visual tokens; `i.named_targets` (S, V); `i.named_weights` (S).
    fn write(&self, dir: &Path) -> Result<(), TrainingError> {
        let mut tensors = Vec::new();
        for (number, batch) in self.batches().enumerate() {
            let rows = rows(batch, self.encoder.config().text.vocab_size)?;
            tensors.extend(named(&number.to_string(), rows));
        }
        let loss = self.encoder.loss();
        let of_step = Map::from_iter([
            ("n_micro_batches".to_owned(), json!(self.work.len())),
            ("look_weight".to_owned(), json!(loss.gaze_weight)),
            ("look_layer".to_owned(), json!(loss.gaze_layer)),
            ("look_head".to_owned(), json!(loss.gaze_head)),
        ]);
        write_step(dir, &self.trained, self.optimizer.config(), tensors, of_step)
    }
}

/// A page whose widgets are plain boxes in their colors, and its truth.
fn painted(spec: &PageSpec) -> Result<(RgbImage, LabelledPage), TrainingError> {
    let page =
        PracticePage::generate(spec).map_err(|source| DatasetError::Page { seed: spec.seed, source })?;
    let (width, height) = (spec.canvas.width, spec.canvas.height);
    let mut image = RgbImage::from_pixel(width, height, Rgb(PAPER));
    for widget in &page.widgets {
        let bounds = widget.bounds;
        for (x, y) in
            (bounds.top..bounds.bottom).flat_map(|y| (bounds.left..bounds.right).map(move |x| (x, y)))
        {
            image.put_pixel(x as u32, y as u32, Rgb(widget.rgb));
        }
    }
    let record = Record {
        sheet: String::new(),
        x: 0,
        y: 0,
        width,
        height,
        spec: page.spec,
        look: page.look,
        layout: page.layout,
        held_out: page.held_out,
        widgets: page.widgets,
        tasks: page.tasks,
    };
    Ok((image, LabelledPage::from(&record)))
}

/// See [`LessonsStep::write`](Workload::write).
fn rows(batch: &MicroBatch, vocabulary: usize) -> Result<BTreeMap<&'static str, Tensor>, TrainingError> {
    let mut rows = packed_rows(&batch.packed, &batch.places())?;
    let t = batch.packed.ids.first().map_or(0, Vec::len);
    let gazes = batch.gazes();
    let look_places: Vec<(usize, usize)> = gazes.iter().map(|gaze| gaze.place).collect();
    let mut wanted = vec![0_f32; gazes.len() * t];
    for (row, gaze) in wanted.chunks_mut(t.max(1)).zip(&gazes) {
        gaze.wanted.iter().for_each(|&index| row[index] = 1.0);
    }
    let (targets, weights) = dense(&batch.plain_targets(), vocabulary)?;
    let shown: Vec<Target> = batch.shown.iter().map(|(_, target)| target.clone()).collect();
    let (named_targets, named_weights) = dense(&shown, vocabulary)?;
    let named: Vec<i64> = batch.shown.iter().map(|(index, _)| *index as i64).collect();
    rows.extend([
        ("targets", targets),
        ("weights", weights),
        ("look_places", pairs(&look_places)?),
        ("look_wanted", Tensor::from_vec(wanted, (gazes.len(), t), &Device::Cpu)?),
        ("named", Tensor::from_vec(named, batch.shown.len(), &Device::Cpu)?),
        ("named_targets", named_targets),
        ("named_weights", named_weights),
    ]);
    Ok(rows)
}

/// Probabilities (targets, vocabulary) and weights (targets).
fn dense(targets: &[Target], vocabulary: usize) -> Result<(Tensor, Tensor), TrainingError> {
    let mut values = vec![0_f32; targets.len() * vocabulary];
    for (row, target) in values.chunks_mut(vocabulary).zip(targets) {
        target.distribution.iter().for_each(|&(id, p)| row[id as usize] += p);
    }
    let weights: Vec<f32> = targets.iter().map(|target| target.weight).collect();
    let values = Tensor::from_vec(values, (targets.len(), vocabulary), &Device::Cpu)?;
    Ok((values, Tensor::from_vec(weights, targets.len(), &Device::Cpu)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{WARM_UP, measure};

    #[test]
    fn the_workload_is_a_step_of_the_recipe_and_the_same_each_time() {
        let config = SftConfig::parse(RECIPE, Path::new("nano_small.toml")).unwrap();
        let (stage, mix) = (&config.stages[0], &config.stages[0].mixes[0]);
        let workload = LessonsStep::nano(MatrixRule::Muon, &Compute::CPU).unwrap();
        let size = workload.size();
        assert_eq!(workload.n_workers(), config.run.workers);
        assert_eq!(size.n_micro_batches, stage.micro_batches);
        assert_eq!(size.n_pages, stage.micro_batches * mix.pages);
        // A page with few widgets has fewer different questions.
        let most = size.n_pages * mix.questions_per_page;
        assert!((most / 2..=most).contains(&size.n_questions), "{size:?}");
        // A page is seen as 80x64, a crop as 80x80.
        let n_crops = size.n_images - size.n_pages;
        assert!(n_crops > 0);
        assert_eq!(size.n_patches, 80 * size.n_pages + 100 * n_crops);
        assert_eq!(4 * size.n_visual_tokens, size.n_patches);
        assert_eq!(size.n_named, size.n_visual_tokens);
        assert!(0 < size.n_looks && size.n_looks < size.n_targets && size.n_targets < size.n_tokens);
        let again = LessonsStep::nano(MatrixRule::AdamW, &Compute::CPU).unwrap();
        assert_eq!(again.size(), size);
        let both = workload.batches().zip(again.batches());
        assert!(both.into_iter().all(|(a, b)| a.packed.ids == b.packed.ids && a.targets == b.targets));
    }

    #[test]
    fn a_step_learns_and_another_program_gets_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let mut workload = LessonsStep::nano(MatrixRule::AdamW, &Compute::CPU).unwrap();
        workload.write(dir.path()).unwrap();
        let size = workload.size();
        let tensors =
            candle_core::safetensors::load(dir.path().join("rows.safetensors"), &Device::Cpu).unwrap();
        let sum = |name: &str, axis: usize| {
            (0..size.n_micro_batches).map(|i| tensors[&format!("{i}.{name}")].dims()[axis]).sum::<usize>()
        };
        assert_eq!(sum("ids", 0), size.n_pages);
        assert_eq!(sum("patches", 0), size.n_patches);
        assert_eq!(sum("grids", 0), size.n_images);
        assert_eq!(sum("places", 0), size.n_targets);
        assert_eq!(sum("look_wanted", 0), size.n_looks);
        assert_eq!(sum("named_targets", 0), size.n_named);
        for name in ["targets", "named_targets"] {
            let sums = tensors[&format!("0.{name}")].sum(1).unwrap().to_vec1::<f32>().unwrap();
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{name}");
        }
        let mut n = 0;
        let speed = measure(&mut workload, 1, &mut || n += 1).unwrap();
        assert_eq!((n, speed.n_steps), (WARM_UP + 1, 1));
        assert!(0.0 < speed.fastest_secs && speed.fastest_secs <= speed.step_secs);
        assert!(speed.last_loss < speed.first_loss && speed.first_gradient_norm > 0.0, "{speed:?}");
        let weights: f32 = (0..size.n_micro_batches)
            .flat_map(|i| ["weights", "named_weights"].map(|name| format!("{i}.{name}")))
            .map(|name| tensors[&name].sum_all().unwrap().to_scalar::<f32>().unwrap())
            .sum();
        let of_looks = size.n_looks as f64 * workload.encoder.loss().gaze_weight;
        let last = workload.stepped().unwrap();
        assert!((f64::from(weights) + of_looks - last.sum.weight).abs() < 1e-2);
    }
}
