//! Checkpoints: a folder in Hugging Face layout with the trainer's own state beside the weights.
//!
//! Invariant: a folder with its final name is complete. It is written under another name, flushed, and then
//! renamed; a run that dies in between leaves the previous checkpoint as the newest.
//!
//! ```text
//! OUTPUT/checkpoints/step-00001200/   config.json, tokenizer.json, … , model.safetensors   what others load
//!                                     optimizer.safetensors, trainer.json                  what a resume needs
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensorError;
use serde::{Deserialize, Serialize};
use vigorl_qwen::{WeightFormat, Weights};

use crate::adapter::Lora;
use crate::error::TrainingError;
use crate::files::{ModelFiles, TEMPORARY};
use crate::optim::Parameter;

const FORMAT: u32 = 1;
const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const TRAINER: &str = "trainer.json";

/// What a resumed run needs besides tensors. The random streams follow from seed and step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Version of this file.
    pub format: u32,
    /// Steps done.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Pages seen.
    pub n_pages: u64,
    /// Questions seen.
    pub n_questions: u64,
    /// Time spent in training steps so far; in learning by reward, in measurements, too.
    pub secs: f64,
    /// What learning by reward remembers.
    #[serde(default)]
    pub reward: RewardState,
}

/// What learning by reward remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardState {
    /// Samples played.
    pub n_episodes: u64,
    /// Moves of the weights.
    pub n_moves: u64,
    /// Updates that were skipped because their gradient was no number.
    pub n_skipped: u64,
    /// The best model so far.
    pub best: Option<Best>,
    /// The share of each environment's groups that have different rewards, as the curriculum sees it.
    #[serde(default)]
    pub teaching: BTreeMap<String, f64>,
}

/// The best model of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps behind it.
    pub step: u64,
    /// What it solves of the first held-out set.
    pub success: f64,
}

impl TrainerState {
    /// The state before the first step.
    pub fn start(seed: u64) -> Self {
        let reward = RewardState::default();
        Self { format: FORMAT, step: 0, seed, n_pages: 0, n_questions: 0, secs: 0.0, reward }
    }

    /// A resumed run goes on with the seed that it began with.
    ///
    /// # Errors
    /// [`TrainingError::Seed`].
    pub(crate) fn check_seed(&self, asked: u64, dir: &Path) -> Result<(), TrainingError> {
        match self.seed == asked {
            true => Ok(()),
            false => Err(TrainingError::Seed { dir: dir.to_owned(), saved: self.seed, asked }),
        }
    }
}

/// Numbers as they are stored in the weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As trained.
    Full,
    /// bfloat16: half the size, for use.
    Half,
}

/// The checkpoints of one run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// The checkpoints under `output_dir`.
    pub fn of_run(output_dir: &Path) -> Self {
        Self { dir: output_dir.join("checkpoints") }
    }

    /// Writes a checkpoint and returns its folder; older ones than the last two are removed unless their step
    /// is in `kept`.
    ///
    /// # Errors
    /// [`TrainingError::File`] or a tensor that cannot be written.
    pub fn save(
        &self,
        files: &ModelFiles,
        parameters: &[Parameter],
        optimizer: &[(String, Tensor)],
        state: &TrainerState,
        kept: &[u64],
    ) -> Result<PathBuf, TrainingError> {
        self.save_with(optimizer, state, kept, |dir| {
            write_model(dir, files, tensors_of(parameters), Precision::Full)
        })
    }

    /// The same of adapters alone, as a folder that PEFT loads onto the checkpoint `base`.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_adapters(
        &self,
        adapters: &Lora,
        base: &str,
        optimizer: &[(String, Tensor)],
        state: &TrainerState,
        kept: &[u64],
    ) -> Result<PathBuf, TrainingError> {
        self.save_with(optimizer, state, kept, |dir| adapters.write_files(dir, base))
    }

    fn save_with(
        &self,
        optimizer: &[(String, Tensor)],
        state: &TrainerState,
        kept: &[u64],
        write: impl FnOnce(&Path) -> Result<(), TrainingError>,
    ) -> Result<PathBuf, TrainingError> {
        let path = self.dir.join(format!("step-{:08}", state.step));
        write_atomically(&path, |dir| {
            write(dir)?;
            write_tensors(&dir.join(OPTIMIZER), optimizer.to_vec())?;
            let trainer = dir.join(TRAINER);
            let text = serde_json::to_string_pretty(state).map_err(TrainingError::content(&trainer))?;
            fs::write(&trainer, text).map_err(TrainingError::file("write", &trainer))
        })?;
        self.remove_old(kept)?;
        Ok(path)
    }

    /// The newest complete checkpoint.
    ///
    /// # Errors
    /// [`TrainingError::File`] if the folder cannot be listed.
    pub fn newest(&self) -> Result<Option<PathBuf>, TrainingError> {
        Ok(self.steps()?.pop().map(|(_, path)| path))
    }

    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, TrainingError> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.dir).map_err(TrainingError::file("list", &self.dir))?;
        let mut steps = Vec::new();
        for entry in entries {
            let path = entry.map_err(TrainingError::file("list", &self.dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(step) = name.strip_prefix("step-").and_then(|digits| digits.parse().ok()) {
                steps.push((step, path));
            }
        }
        steps.sort();
        Ok(steps)
    }

    fn remove_old(&self, kept: &[u64]) -> Result<(), TrainingError> {
        let mut steps = self.steps()?;
        steps.truncate(steps.len().saturating_sub(2));
        for (_, path) in steps.iter().filter(|(step, _)| !kept.contains(step)) {
            fs::remove_dir_all(path).map_err(TrainingError::file("remove", path))?;
        }
        Ok(())
    }
}

/// Writes a model folder for use, without the trainer's state.
///
/// # Errors
/// [`TrainingError::File`] or a tensor that cannot be written.
pub fn export(
    path: &Path,
    files: &ModelFiles,
    parameters: &[Parameter],
    precision: Precision,
) -> Result<(), TrainingError> {
    export_tensors(path, files, tensors_of(parameters), precision)
}

/// The same of tensors by name, such as weights with adapters merged into them.
///
/// # Errors
/// As [`export`].
pub fn export_tensors(
    path: &Path,
    files: &ModelFiles,
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    precision: Precision,
) -> Result<(), TrainingError> {
    write_atomically(path, |dir| write_model(dir, files, tensors, precision))
}

fn tensors_of(parameters: &[Parameter]) -> impl Iterator<Item = (String, Tensor)> {
    parameters.iter().map(|p| (p.name.clone(), p.var.as_detached_tensor()))
}

/// Reads what [`Checkpoints::save`] wrote besides the model: the optimizer's tensors and the trainer's state.
///
/// # Errors
/// [`TrainingError::File`], or [`TrainingError::Content`] if a file is not of this format.
pub fn read_trainer(dir: &Path) -> Result<(HashMap<String, Tensor>, TrainerState), TrainingError> {
    let path = dir.join(TRAINER);
    let text = fs::read_to_string(&path).map_err(TrainingError::file("read", &path))?;
    let state: TrainerState = serde_json::from_str(&text).map_err(TrainingError::content(&path))?;
    if state.format != FORMAT {
        let detail = format!("format {}, this version reads {FORMAT}", state.format);
        return Err(TrainingError::Content { path, detail });
    }
    Ok((candle_core::safetensors::load(dir.join(OPTIMIZER), &Device::Cpu)?, state))
}

/// Reads the weights of a folder by their published names, in full precision.
///
/// # Errors
/// Missing or broken files, or tensors of other shapes than `shapes`.
pub fn read_weights(
    dir: &Path,
    shapes: &[(String, Vec<usize>)],
) -> Result<BTreeMap<String, Tensor>, TrainingError> {
    named_weights(&Weights::open(dir, &Device::Cpu, WeightFormat::Dense(DType::F32))?, shapes)
}

/// Weights by their published names.
///
/// # Errors
/// Missing tensors, or tensors of other shapes than `shapes`.
pub fn named_weights(
    weights: &Weights,
    shapes: &[(String, Vec<usize>)],
) -> Result<BTreeMap<String, Tensor>, TrainingError> {
    let read = |(name, shape): &(String, Vec<usize>)| Ok((name.clone(), weights.get(name, shape)?));
    shapes.iter().map(read).collect()
}

fn write_model(
    dir: &Path,
    files: &ModelFiles,
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    precision: Precision,
) -> Result<(), TrainingError> {
    files.write(dir)?;
    let dtype = match precision {
        Precision::Full => DType::F32,
        Precision::Half => DType::BF16,
    };
    let convert = |(name, tensor): (String, Tensor)| Ok((name, tensor.to_dtype(dtype)?));
    let tensors = tensors.into_iter().map(convert).collect::<Result<Vec<_>, candle_core::Error>>()?;
    write_tensors(&dir.join(WEIGHTS), tensors)
}

/// Writes safetensors with the metadata that transformers insists on.
pub(crate) fn write_tensors(path: &Path, tensors: Vec<(String, Tensor)>) -> Result<(), TrainingError> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| match error {
        SafeTensorError::IoError(source) => TrainingError::file("write", path)(source),
        error => TrainingError::content(path)(error),
    })
}

pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), TrainingError>,
) -> Result<(), TrainingError> {
    let (partial, old) = (path.with_extension(TEMPORARY), path.with_extension("old"));
    let remove = |stale: &Path| match stale.exists() {
        true => fs::remove_dir_all(stale).map_err(TrainingError::file("remove", stale)),
        false => Ok(()),
    };
    remove(&partial)?;
    remove(&old)?;
    fs::create_dir_all(&partial).map_err(TrainingError::file("create", &partial))?;
    write(&partial)?;
    let sync = |file: &Path| fs::File::open(file).and_then(|f| f.sync_all());
    for entry in fs::read_dir(&partial).map_err(TrainingError::file("list", &partial))? {
        let file = entry.map_err(TrainingError::file("list", &partial))?.path();
        sync(&file).map_err(TrainingError::file("flush", &file))?;
    }
    // What stands there already stays until the new one is whole.
    if path.exists() {
        fs::rename(path, &old).map_err(TrainingError::file("rename", path))?;
    }
    fs::rename(&partial, path).map_err(TrainingError::file("rename", &partial))?;
    remove(&old)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    fn parameters() -> Vec<Parameter> {
        let var = Var::from_vec(vec![1.5_f32, -2.25, 3.0], 3, &Device::Cpu).unwrap();
        vec![Parameter { name: "model.norm.weight".into(), var }]
    }

    #[test]
    fn what_is_saved_is_read_back_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of_run(dir.path());
        let moments =
            vec![("first.model.norm.weight".to_owned(), Tensor::new(&[0.5_f32], &Device::Cpu).unwrap())];
        for step in [10, 20, 30, 40] {
            let state = TrainerState { step, ..TrainerState::start(7) };
            checkpoints.save(&ModelFiles::default(), &parameters(), &moments, &state, &[10]).unwrap();
        }
        let steps: Vec<u64> = checkpoints.steps().unwrap().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [10, 30, 40]);
        let newest = checkpoints.newest().unwrap().unwrap();
        let (tensors, state) = read_trainer(&newest).unwrap();
        assert_eq!((state.step, state.seed), (40, 7));
        assert_eq!(tensors["first.model.norm.weight"].to_vec1::<f32>().unwrap(), [0.5]);
        assert_eq!(
            read_weights(&newest, &[("model.norm.weight".into(), vec![3])]).unwrap()["model.norm.weight"]
                .to_vec1::<f32>()
                .unwrap(),
            [1.5, -2.25, 3.0]
        );
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        export(&path, &ModelFiles::default(), &parameters(), Precision::Full).unwrap();
        let full_disk = |_: &Path| Err(TrainingError::Row("the disk is full".to_owned()));
        assert!(write_atomically(&path, full_disk).is_err());
        assert!(path.join(WEIGHTS).exists());
        export(&path, &ModelFiles::default(), &parameters(), Precision::Half).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["model"]);
    }

    #[test]
    fn an_unfinished_checkpoint_is_not_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of_run(dir.path());
        fs::create_dir_all(dir.path().join("checkpoints/step-00000009.partial")).unwrap();
        assert_eq!(checkpoints.newest().unwrap(), None);
    }

    #[test]
    fn an_export_is_half_the_size_and_has_no_trainer_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nano");
        export(&path, &ModelFiles::default(), &parameters(), Precision::Half).unwrap();
        let stored = candle_core::safetensors::load(path.join(WEIGHTS), &Device::Cpu).unwrap();
        assert_eq!(stored["model.norm.weight"].dtype(), DType::BF16);
        assert!(!path.join(TRAINER).exists());
    }
}
