//! A step of a training, to measure and to hand to another program.
//!
//! Invariant: rows, losses and the step itself are those of a run; what is measured is taken again and again on the
//! same rows, because another program cannot draw them.

mod lessons;
mod update;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vigorl_qwen::PackedBatch;

use crate::checkpoint::{Precision, export, write_tensors};
use crate::config::OptimizerConfig;
use crate::error::TrainingError;
use crate::optim::{ADAM_EPSILON, is_matrix};
use crate::step::Stepped;
use crate::work::Trained;

pub use lessons::{LessonsSize, LessonsStep};
pub use update::{UpdateSize, UpdateStep};

/// Steps before those that count: they touch all memory for the first time.
pub const WARM_UP: usize = 2;

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
    /// Loss of the first step, before the weights moved, per token.
    pub first_loss: f64,
    /// Length of the first step's gradient before clipping.
    pub first_gradient_norm: f64,
    /// Loss of the last step.
    pub last_loss: f64,
}

/// What a step came to, before it moved the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// Weighted mean loss, per token.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
}

impl<S> From<Stepped<S>> for Moved {
    fn from(stepped: Stepped<S>) -> Self {
        Self { loss: stepped.loss, gradient_norm: stepped.gradient_norm }
    }
}

/// A step on rows that stay the same.
pub trait Workload {
    /// One step at the peak learning rate: forward, backward, sum, clip, move.
    ///
    /// # Errors
    /// As [`crate::step::take_step`].
    fn step(&mut self) -> Result<Moved, TrainingError>;

    /// The model that moves.
    fn trained(&self) -> &Trained;

    /// Threads that compute.
    fn n_workers(&self) -> usize;

    /// Writes what another program needs to take the same step.
    ///
    /// # Errors
    /// [`TrainingError::File`] or a tensor that cannot be written.
    fn write(&self, dir: &Path) -> Result<(), TrainingError>;

    /// Whether it is computed on an NVIDIA card.
    fn is_on_card(&self) -> bool {
        self.trained().moving.iter().any(|parameter| parameter.var.device().is_cuda())
    }
}

/// Times `n_steps` steps. `on_step` is called after each step, the uncounted ones included.
///
/// # Errors
/// As [`Workload::step`].
///
/// # Panics
/// If `n_steps` is 0 (caller's bug).
pub fn measure(
    workload: &mut dyn Workload,
    n_steps: usize,
    on_step: &mut dyn FnMut(),
) -> Result<StepSpeed, TrainingError> {
    let (mut secs, mut processor, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_gradient_norm = None;
    for _ in 0..WARM_UP + n_steps {
        let (start, used) = (Instant::now(), processor_secs());
        let moved = workload.step()?;
        // A card is waited for until it has done what it was asked.
        if let Some(parameter) = workload.trained().moving.first() {
            parameter.var.device().synchronize()?;
        }
        secs.push(start.elapsed().as_secs_f64());
        processor.push(processor_secs() - used);
        losses.push(moved.loss);
        first_gradient_norm.get_or_insert(moved.gradient_norm);
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

/// What this process has used of processors so far.
fn processor_secs() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 * 1e-9
}

/// Writes `model/`, a folder in Hugging Face layout with the weights as they are now; `rows.safetensors`; and `step.json`,
/// which says how weights move, beside what else `of_step` says.
fn write_step(
    dir: &Path,
    trained: &Trained,
    rule: &OptimizerConfig,
    rows: Vec<(String, Tensor)>,
    of_step: Map<String, Value>,
) -> Result<(), TrainingError> {
    export(&dir.join("model"), &trained.files, &trained.parameters, Precision::Full)?;
    write_tensors(&dir.join("rows.safetensors"), rows)?;
    let matrices = trained.moving.iter().filter(|p| is_matrix(&p.name, p.var.rank()));
    let mut step = json!({
        "moving": trained.moving.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        "matrices": matrices.map(|p| p.name.as_str()).collect::<Vec<_>>(),
        "matrix_lr": rule.matrix_lr,
        "weight_decay": rule.weight_decay,
        "vector_lr": rule.vector_lr,
        "betas": rule.vector_betas,
        "epsilon": ADAM_EPSILON,
        "clip_norm": rule.clip_norm,
    });
    if let Some(step) = step.as_object_mut() {
        step.extend(of_step);
    }
    let path = dir.join("step.json");
    std::fs::write(&path, step.to_string()).map_err(TrainingError::file("write", &path))
}

/// What the model takes for B rows of T tokens with N patches in I images, and the K places that are learned: `ids` (B, T);
/// `positions` (3, B, T); `segments` (B, T), 0 for what all of a row sees, -1 for padding; `patches` (N, values); `grids`
/// (I, 3); `places` (K, 2), row and index of the token before. Integers are i64, all else f32.
fn packed_rows(
    packed: &PackedBatch,
    places: &[(usize, usize)],
) -> Result<BTreeMap<&'static str, Tensor>, TrainingError> {
    let (b, t) = (packed.ids.len(), packed.ids.first().map_or(0, Vec::len));
    let whole = |values: Vec<i64>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu);
    let of_axis = |axis: usize| packed.positions.iter().flatten().map(move |at| i64::from(at[axis]));
    let segment = |s: &u32| if *s == u32::MAX { -1 } else { i64::from(*s) };
    let grids = packed.grids.iter().flat_map(|grid| [grid.t, grid.h, grid.w].map(|n| n as i64)).collect();
    Ok(BTreeMap::from([
        ("ids", whole(packed.ids.iter().flatten().map(|&id| id.into()).collect(), &[b, t])?),
        ("positions", whole((0..3).flat_map(of_axis).collect(), &[3, b, t])?),
        ("segments", whole(packed.segments.iter().flatten().map(segment).collect(), &[b, t])?),
        ("patches", packed.patches.clone()),
        ("grids", whole(grids, &[packed.grids.len(), 3])?),
        ("places", pairs(places)?),
    ]))
}

/// Tensors of a micro-batch, with its name in front of theirs.
fn named(batch: &str, rows: BTreeMap<&'static str, Tensor>) -> impl Iterator<Item = (String, Tensor)> {
    rows.into_iter().map(move |(name, tensor)| (format!("{batch}.{name}"), tensor))
}

/// Rows and indices (K, 2).
fn pairs(places: &[(usize, usize)]) -> Result<Tensor, TrainingError> {
    let values = places.iter().flat_map(|&(row, index)| [row as i64, index as i64]).collect();
    Ok(Tensor::from_vec(values, (places.len(), 2), &Device::Cpu)?)
}
