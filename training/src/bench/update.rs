//! An update of learning by reward: the last step that a run has played, all of its groups in one move of the weights.
//!
//! Invariant: rows, objective and optimizer are those of the run; lessons beside reward are left out, because a step of
//! lessons is measured by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use vigorl_qwen::{Checkpoint, WeightFormat};

use crate::bench::{Moved, Workload, named, packed_rows, write_step};
use crate::checkpoint::named_weights;
use crate::compared::Compared;
use crate::compute::Compute;
use crate::config::MatrixRule;
use crate::error::TrainingError;
use crate::files::TEMPORARY;
use crate::fresh::tensor_shapes;
use crate::grpo_config::GrpoConfig;
use crate::optim::Optimizer;
use crate::play::Players;
use crate::step::take_step;
use crate::trees::{pack, places};
use crate::update::{Batches, Said};
use crate::work::{Trained, frozen_model};
use crate::workers::Workers;

/// The policy that a run began with, before an update on its last rollouts.
pub struct UpdateStep {
    config: GrpoConfig,
    checkpoint: Checkpoint,
    trained: Trained,
    optimizer: Optimizer,
    workers: Workers,
    /// What is learned, and the weight of tokens that teach nothing and count all the same.
    said: Vec<Said>,
    weight_beside: f64,
    /// The same with a row for each conversation: what a group shares is computed for each of its samples.
    apart: Vec<Said>,
}

/// What an update computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateSize {
    /// Parts that are computed apart and added up.
    pub n_micro_batches: usize,
    /// Rows: what several samples were asked, then each of their answers.
    pub n_rows: usize,
    /// Conversations in these rows.
    pub n_conversations: usize,
    /// Tokens, images included.
    pub n_tokens: usize,
    /// The same if each conversation has a row of its own.
    pub n_tokens_apart: usize,
    /// Patches of all images.
    pub n_patches: usize,
    /// The same if each conversation has a row of its own.
    pub n_patches_apart: usize,
    /// Tokens that were sampled.
    pub n_sampled: usize,
}

impl std::fmt::Debug for UpdateStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpdateStep")
    }
}

impl UpdateStep {
    /// The update of the run in `dir` on the rollouts that it played last. AdamW moves all of it, as in other programs.
    ///
    /// # Errors
    /// If the folder is not that of a run, trains adapters, or its last rollouts teach nothing.
    pub fn of_run(dir: &Path, compute: &Compute) -> Result<Self, TrainingError> {
        let no_update =
            |detail: &str| TrainingError::Content { path: dir.to_owned(), detail: detail.to_owned() };
        let written = dir.join("config.toml");
        if !written.is_file() {
            return Err(no_update(
                "it has no `config.toml`: name the folder of a run of `vigorl train grpo`",
            ));
        }
        let mut config = GrpoConfig::read(&written, &[])?;
        dir.clone_into(&mut config.run.output_dir);
        config.optimizer.matrix_rule = MatrixRule::AdamW;
        if config.adapters().is_some() {
            return Err(no_update("it trains adapters, and only an update of whole weights is measured"));
        }
        let (checkpoint, files) = config.opened(&config.begins_with()?)?;
        let shapes = tensor_shapes(&checkpoint.config);
        let weights = || -> Result<BTreeMap<String, Tensor>, TrainingError> {
            named_weights(&checkpoint.weights(&compute.device, WeightFormat::Dense(DType::F32))?, &shapes)
        };
        let reference = match config.objective.kl > 0.0 {
            true => Some(frozen_model(&files, &weights()?, None)?),
            false => None,
        };
        let trained = Trained::new(files, weights()?, config.optimizer.freeze)?;
        let optimizer = Optimizer::new(&trained.moving, &config.optimizer)?;
        let workers = compute.workers(config.run.workers)?;
        let last = last_rollouts(&dir.join("rollouts"))?;
        let last = last.ok_or_else(|| no_update("it has no rollouts: `vigorl train grpo` writes them"))?;
        let played = Players::read(&last)?.into_iter().collect();
        let step = Compared::new(played, &config, 0);
        let jobs = |row_tokens: usize| {
            let mut config = config.clone();
            config.update.row_tokens = row_tokens;
            let reference = reference.as_ref();
            let batches = Batches { config: &config, checkpoint: &checkpoint, reference, workers: &workers };
            batches.jobs(&step, step.groups.iter(), None)
        };
        let (said, weight_beside) = jobs(config.update.row_tokens)?;
        if said.is_empty() {
            return Err(no_update(
                "no group of its last rollouts has different rewards: there is nothing to learn",
            ));
        }
        // Rows have a branch at least, however few tokens they may have.
        let (apart, _) = jobs(1)?;
        Ok(Self { config, checkpoint, trained, optimizer, workers, said, weight_beside, apart })
    }

    /// What a step computes.
    pub fn size(&self) -> UpdateSize {
        let rows = |jobs: &[Said]| jobs.iter().map(|job| job.rows.len()).sum();
        let trees = |jobs: &'_ [Said]| -> (usize, usize) {
            let rows = || jobs.iter().flat_map(|job| &job.rows);
            let grids = rows().flat_map(|row| &row.images).map(|(_, grid)| grid);
            (rows().map(|row| row.ids.len()).sum(), grids.map(|grid| grid.t * grid.h * grid.w).sum())
        };
        let ((n_tokens, n_patches), (n_tokens_apart, n_patches_apart)) =
            (trees(&self.said), trees(&self.apart));
        UpdateSize {
            n_micro_batches: self.said.len(),
            n_rows: rows(&self.said),
            n_conversations: rows(&self.apart),
            n_tokens,
            n_tokens_apart,
            n_patches,
            n_patches_apart,
            n_sampled: self.said.iter().map(|job| job.drawn.len()).sum(),
        }
    }
}

impl Workload for UpdateStep {
    fn step(&mut self) -> Result<Moved, TrainingError> {
        let Self { config, checkpoint, trained, optimizer, workers, said, weight_beside, .. } = self;
        let (objective, temperature) = (&config.objective, config.sampling.temperature);
        let compute = |said: &Said| said.learned(trained, checkpoint, objective, temperature);
        Ok(take_step(trained, optimizer, workers, 1.0, said, *weight_beside, compute)?.into())
    }

    fn trained(&self) -> &Trained {
        &self.trained
    }

    fn n_workers(&self) -> usize {
        self.workers.n()
    }

    /// For micro-batch `i` with K sampled tokens, beside what every row has: `i.sampled` (K), their ids; `i.advantages` (K);
    /// `i.weights` (K); `i.references` (K), log-probabilities, if the distance to the first model counts. `apart.i` is the
    /// same of conversations with a row each.
    fn write(&self, dir: &Path) -> Result<(), TrainingError> {
        let mut tensors = Vec::new();
        for (jobs, of) in [(&self.said, ""), (&self.apart, "apart.")] {
            for (number, job) in jobs.iter().enumerate() {
                tensors.extend(named(&format!("{of}{number}"), rows(&self.checkpoint, job)?));
            }
        }
        let of_step = Map::from_iter([
            ("n_micro_batches".to_owned(), json!(self.said.len())),
            ("n_micro_batches_apart".to_owned(), json!(self.apart.len())),
            ("weight_beside".to_owned(), json!(self.weight_beside)),
            ("objective".to_owned(), json!(self.config.objective)),
            ("temperature".to_owned(), json!(self.config.sampling.temperature)),
        ]);
        write_step(dir, &self.trained, self.optimizer.config(), tensors, of_step)
    }
}

/// See [`UpdateStep::write`](Workload::write).
fn rows(checkpoint: &Checkpoint, job: &Said) -> Result<BTreeMap<&'static str, Tensor>, TrainingError> {
    let mut rows = packed_rows(&pack(checkpoint, &job.rows)?, &places(&job.rows))?;
    let n = job.drawn.len();
    let sampled: Vec<i64> = job.drawn.iter().map(|drawn| i64::from(drawn.id)).collect();
    rows.insert("sampled", Tensor::from_vec(sampled, n, &Device::Cpu)?);
    let values = |of: Vec<f32>| Tensor::from_vec(of, n, &Device::Cpu);
    rows.insert("advantages", values(job.drawn.iter().map(|drawn| drawn.advantage).collect())?);
    rows.insert("weights", values(job.drawn.iter().map(|drawn| drawn.weight).collect())?);
    let references: Vec<f32> = job.drawn.iter().filter_map(|drawn| drawn.reference_logprob).collect();
    if references.len() == n {
        rows.insert("references", values(references)?);
    }
    Ok(rows)
}

/// The newest whole step under `rollouts`.
fn last_rollouts(rollouts: &Path) -> Result<Option<PathBuf>, TrainingError> {
    if !rollouts.exists() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(rollouts).map_err(TrainingError::file("list", rollouts))?;
    let mut steps = Vec::new();
    for entry in entries {
        let path = entry.map_err(TrainingError::file("list", rollouts))?.path();
        if path.is_dir() && path.extension().is_none_or(|extension| extension != TEMPORARY) {
            steps.push(path);
        }
    }
    Ok(steps.into_iter().max())
}
