//! A fixed training step of the embedded policy, to measure and to hand to another program.
//!
//! Invariant: rows, losses and the step itself are those of a run with the recipe; only two things differ. The
//! pages are painted here as plain boxes, because no number of tokens or patches depends on what a widget looks
//! like, and the rows are drawn once, because another program cannot draw them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vigorl_qwen::{Checkpoint, ModelSource, WeightFormat};
use vigorl_tasks::practice::dataset::{DatasetError, Record};
use vigorl_tasks::practice::{PageSpec, PracticePage, Split};

use crate::checkpoint::{Precision, export, named_weights, write_tensors};
use crate::compute::Compute;
use crate::config::{MatrixRule, SftConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::fresh::tensor_shapes;
use crate::lessons::LabelledPage;
use crate::loss::Target;
use crate::optim::{ADAM_EPSILON, Optimizer, is_matrix};
use crate::sample::{Encoder, MicroBatch};
use crate::seed::stream;
use crate::step::{Stepped, take_step};
use crate::work::{Taught, Trained, Work, contribution, draw_page};
use crate::workers::Workers;

/// The recipe whose step is measured: the last part of the embedded policy's training.
pub const RECIPE: &str = include_str!("../configs/nano_small.toml");
/// Pages are taken from here on, in order.
const FIRST_PAGE: u64 = 0;
/// What is painted between widgets.
const PAPER: [u8; 3] = [250, 250, 250];
/// Steps before those that count: they touch all memory for the first time.
pub const WARM_UP: usize = 2;

/// The embedded policy before a step on rows that stay the same.
#[derive(Debug)]
pub struct Workload {
    trained: Trained,
    optimizer: Optimizer,
    encoder: Encoder,
    workers: Workers,
    n_workers: usize,
    work: Vec<Work>,
}

/// Speed of a step, and what was computed: another program on the same rows must come to the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepSpeed {
    /// Counted steps, behind [`WARM_UP`] that are not.
    pub n_steps: usize,
    /// Median time of a step.
    pub step_secs: f64,
    /// Time of the fastest step.
    pub fastest_secs: f64,
    /// Median time that processors spent on a step, all threads together: what a busy machine does not lengthen.
    pub processor_secs: f64,
    /// Loss of the first step, before the weights moved, nats per token.
    pub first_loss: f64,
    /// Length of the first step's gradient before clipping.
    pub first_gradient_norm: f64,
    /// Loss of the last step.
    pub last_loss: f64,
}

/// What a step computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadSize {
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

impl Workload {
    /// The first step of [`RECIPE`]'s first mixture, with the embedded weights and a fresh optimizer.
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
        let n_workers = workers.n();
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
        Ok(Self { trained, optimizer, encoder, workers, n_workers, work })
    }

    /// Whether it is computed on an NVIDIA card.
    pub fn is_on_card(&self) -> bool {
        self.trained.moving.iter().any(|parameter| parameter.var.device().is_cuda())
    }

    /// Until a card has done what it was asked.
    fn wait(&self) -> Result<(), TrainingError> {
        let first = self.trained.moving.first();
        Ok(first.map_or(Ok(()), |parameter| parameter.var.device().synchronize())?)
    }

    /// Threads that compute: on the processor as many as the recipe says, on a card one.
    pub fn n_workers(&self) -> usize {
        self.n_workers
    }

    /// One step at the peak learning rate: forward, backward, sum, clip, move.
    ///
    /// # Errors
    /// As [`take_step`].
    pub fn step(&mut self) -> Result<Stepped<Taught>, TrainingError> {
        let Self { trained, optimizer, encoder, workers, work, .. } = self;
        take_step(trained, optimizer, workers, 1.0, work, 0.0, |work| contribution(trained, work, encoder))
    }

    /// Times `n_steps` steps. `on_step` is called after each step, the uncounted ones included.
    ///
    /// # Errors
    /// As [`take_step`].
    ///
    /// # Panics
    /// If `n_steps` is 0 (caller's bug).
    pub fn measure(&mut self, n_steps: usize, on_step: &mut dyn FnMut()) -> Result<StepSpeed, TrainingError> {
        let (mut secs, mut processor, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        let mut first_gradient_norm = None;
        for _ in 0..WARM_UP + n_steps {
            let (start, used) = (Instant::now(), processor_secs());
            let stepped = self.step()?;
            self.wait()?;
            secs.push(start.elapsed().as_secs_f64());
            processor.push(processor_secs() - used);
            losses.push(stepped.loss);
            first_gradient_norm.get_or_insert(stepped.gradient_norm);
            on_step();
        }
        let (secs, processor) = (&mut secs[WARM_UP..], &mut processor[WARM_UP..]);
        secs.sort_by(f64::total_cmp);
        processor.sort_by(f64::total_cmp);
        Ok(StepSpeed {
            n_steps,
            step_secs: secs[n_steps / 2],
            fastest_secs: secs[0],
            processor_secs: processor[n_steps / 2],
            first_loss: losses[0],
            first_gradient_norm: first_gradient_norm.unwrap_or(f64::NAN),
            last_loss: losses[losses.len() - 1],
        })
    }

    /// What a step computes.
    pub fn size(&self) -> WorkloadSize {
        let merge = self.encoder.config().vision.spatial_merge_size;
        self.batches().fold(WorkloadSize::default(), |sum, batch| WorkloadSize {
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

    fn batches(&self) -> impl Iterator<Item = &MicroBatch> {
        self.work.iter().filter_map(|work| match work {
            Work::Turns(batch) => Some(batch),
            Work::Patches(_) => None,
        })
    }

    /// Writes what another program needs to take the same step: `model/`, a folder in Hugging Face layout with the
    /// weights as they are now; `rows.safetensors`; and `step.json`, which says how weights move.
    ///
    /// # Shapes
    /// For micro-batch `i` of B rows of T tokens, with N patches in I images, K targets, G looks, S named visual
    /// tokens and a vocabulary of V: `i.ids` (B, T); `i.positions` (3, B, T); `i.segments` (B, T), 0 for what all
    /// of a row sees, -1 for padding; `i.patches` (N, values); `i.grids` (I, 3); `i.places` (K, 2), row and index
    /// of the token before; `i.targets` (K, V) probabilities; `i.weights` (K); `i.look_places` (G, 2);
    /// `i.look_wanted` (G, T), 1 where to look; `i.named` (S), indices of visual tokens; `i.named_targets` (S, V);
    /// `i.named_weights` (S). Integers are i64, all else f32.
    ///
    /// # Errors
    /// [`TrainingError::File`] or a tensor that cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), TrainingError> {
        export(&dir.join("model"), &self.trained.files, &self.trained.parameters, Precision::Full)?;
        let mut tensors = Vec::new();
        for (number, batch) in self.batches().enumerate() {
            let named = rows(batch, self.encoder.config().text.vocab_size)?;
            tensors.extend(named.into_iter().map(|(name, tensor)| (format!("{number}.{name}"), tensor)));
        }
        write_tensors(&dir.join("rows.safetensors"), tensors)?;
        let (rule, loss) = (self.optimizer.config(), self.encoder.loss());
        let matrices =
            self.trained.moving.iter().filter(|p| is_matrix(&p.name, p.var.rank())).map(|p| p.name.as_str());
        let step = json!({
            "n_micro_batches": self.work.len(),
            "matrices": matrices.collect::<Vec<_>>(),
            "matrix_lr": rule.matrix_lr,
            "weight_decay": rule.weight_decay,
            "vector_lr": rule.vector_lr,
            "betas": rule.vector_betas,
            "epsilon": ADAM_EPSILON,
            "clip_norm": rule.clip_norm,
            "look_weight": loss.gaze_weight,
            "look_layer": loss.gaze_layer,
            "look_head": loss.gaze_head,
        });
        let path = dir.join("step.json");
        std::fs::write(&path, step.to_string()).map_err(TrainingError::file("write", &path))
    }
}

/// What this process has used of processors so far.
fn processor_secs() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 * 1e-9
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

/// See [`Workload::write`].
fn rows(batch: &MicroBatch, vocabulary: usize) -> Result<BTreeMap<&'static str, Tensor>, TrainingError> {
    let packed = &batch.packed;
    let (b, t) = (packed.ids.len(), packed.ids.first().map_or(0, Vec::len));
    let whole = |values: Vec<i64>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu);
    let of_axis = |axis: usize| packed.positions.iter().flatten().map(move |at| i64::from(at[axis]));
    let segment = |s: &u32| if *s == u32::MAX { -1 } else { i64::from(*s) };
    let pairs = |places: &[(usize, usize)]| {
        let values = places.iter().flat_map(|&(row, index)| [row as i64, index as i64]).collect();
        whole(values, &[places.len(), 2])
    };
    let gazes = batch.gazes();
    let look_places: Vec<(usize, usize)> = gazes.iter().map(|gaze| gaze.place).collect();
    let mut wanted = vec![0_f32; gazes.len() * t];
    for (row, gaze) in wanted.chunks_mut(t.max(1)).zip(&gazes) {
        gaze.wanted.iter().for_each(|&index| row[index] = 1.0);
    }
    let (targets, weights) = dense(&batch.plain_targets(), vocabulary)?;
    let shown: Vec<Target> = batch.shown.iter().map(|(_, target)| target.clone()).collect();
    let (named_targets, named_weights) = dense(&shown, vocabulary)?;
    let named = batch.shown.iter().map(|(index, _)| *index as i64).collect();
    let grids = packed.grids.iter().flat_map(|grid| [grid.t, grid.h, grid.w].map(|n| n as i64)).collect();
    Ok(BTreeMap::from([
        ("ids", whole(packed.ids.iter().flatten().map(|&id| id.into()).collect(), &[b, t])?),
        ("positions", whole((0..3).flat_map(of_axis).collect(), &[3, b, t])?),
        ("segments", whole(packed.segments.iter().flatten().map(segment).collect(), &[b, t])?),
        ("patches", packed.patches.clone()),
        ("grids", whole(grids, &[packed.grids.len(), 3])?),
        ("places", pairs(&batch.places())?),
        ("targets", targets),
        ("weights", weights),
        ("look_places", pairs(&look_places)?),
        ("look_wanted", Tensor::from_vec(wanted, (gazes.len(), t), &Device::Cpu)?),
        ("named", whole(named, &[batch.shown.len()])?),
        ("named_targets", named_targets),
        ("named_weights", named_weights),
    ]))
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

    #[test]
    fn the_workload_is_a_step_of_the_recipe_and_the_same_each_time() {
        let config = SftConfig::parse(RECIPE, Path::new("nano_small.toml")).unwrap();
        let (stage, mix) = (&config.stages[0], &config.stages[0].mixes[0]);
        let workload = Workload::nano(MatrixRule::Muon, &Compute::CPU).unwrap();
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
        let again = Workload::nano(MatrixRule::AdamW, &Compute::CPU).unwrap();
        assert_eq!(again.size(), size);
        let both = workload.batches().zip(again.batches());
        assert!(both.into_iter().all(|(a, b)| a.packed.ids == b.packed.ids && a.targets == b.targets));
    }

    #[test]
    fn a_step_learns_and_another_program_gets_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let mut workload = Workload::nano(MatrixRule::AdamW, &Compute::CPU).unwrap();
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
        let speed = workload.measure(1, &mut || n += 1).unwrap();
        assert_eq!((n, speed.n_steps), (WARM_UP + 1, 1));
        assert!(0.0 < speed.fastest_secs && speed.fastest_secs <= speed.step_secs);
        assert!(speed.last_loss < speed.first_loss && speed.first_gradient_norm > 0.0, "{speed:?}");
        let weights: f32 = (0..size.n_micro_batches)
            .flat_map(|i| ["weights", "named_weights"].map(|name| format!("{i}.{name}")))
            .map(|name| tensors[&name].sum_all().unwrap().to_scalar::<f32>().unwrap())
            .sum();
        let of_looks = size.n_looks as f64 * workload.encoder.loss().gaze_weight;
        let last = workload.step().unwrap();
        assert!((f64::from(weights) + of_looks - last.sum.weight).abs() < 1e-2);
    }
}
