//! The supervised warm start, from the first step to the last. Read this file to know what training does.
//!
//! Invariant: a step depends on the weights, the optimizer's state, the seed and the step number only, so a
//! run that was interrupted and resumed writes the same numbers as one that was not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use vigorl_files::write_whole;
use vigorl_policy::SpokenTo;
use vigorl_qwen::{Checkpoint, Model, ModelSource, WeightFormat};

use crate::checkpoint::{
    Checkpoints, Precision, TrainerState, export, named_weights, read_trainer, read_weights,
};
use crate::compute::Compute;
use crate::config::{InitConfig, MixConfig, SftConfig, StageConfig};
use crate::error::TrainingError;
use crate::evaluate::evaluate;
use crate::files::ModelFiles;
use crate::fresh;
use crate::loss::TokenKind;
use crate::metrics::{MetricsLog, Record, Tally};
use crate::optim::Optimizer;
use crate::plot;
use crate::schedule::lr_share;
use crate::step::{Stepped, take_step};
use crate::teacher::{LoadTexts, Teacher};
use crate::transcript::transcript;
use crate::work::{Taught, Trained, Work, draw_work};
use crate::workers::Workers;

/// How far a run has come, after every step.
#[derive(Debug, Clone)]
pub struct SftProgress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole curriculum.
    pub total_steps: u64,
    /// Name of the current stage.
    pub stage: String,
    /// Loss of this step.
    pub loss: f64,
    /// Questions per second of this step.
    pub questions_per_sec: f64,
    /// The newest measurements, if this step made some.
    pub measured: Option<Record>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SftEnd {
    /// All steps are done and the model is exported.
    Finished,
    /// Cancelled; a checkpoint of the last step is written.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

/// Trains as the configuration says, resuming the run in its output folder if there is one.
///
/// `cancelled` is looked at between steps; `texts` loads whoever reads for a policy that is told texts.
///
/// # Errors
/// [`TrainingError`]; everything up to the last checkpoint stays usable.
pub fn run_sft(
    config: SftConfig,
    texts: &mut LoadTexts<'_>,
    cancelled: &AtomicBool,
    compute: &Compute,
    progress: &mut dyn FnMut(&SftProgress),
) -> Result<SftEnd, TrainingError> {
    let mut run = Run::prepare(config, texts, compute)?;
    let total = run.config.total_steps();
    while run.state.step < total {
        if cancelled.load(Ordering::Relaxed) {
            run.save_checkpoint()?;
            return Ok(SftEnd::Interrupted { step: run.state.step });
        }
        progress(&run.step()?);
    }
    run.save_checkpoint()?;
    let Trained { files, parameters, .. } = &run.trained;
    export(&run.config.run.output_dir.join("model"), files, parameters, Precision::Half)?;
    Ok(SftEnd::Finished)
}

/// A run between two steps.
struct Run {
    config: SftConfig,
    trained: Trained,
    optimizer: Optimizer,
    teacher: Teacher,
    workers: Workers,
    checkpoints: Checkpoints,
    log: MetricsLog,
    state: TrainerState,
    since_log: SinceLog,
}

/// What has gathered since the last line of the log.
#[derive(Default)]
struct SinceLog {
    tally: Tally,
    n_steps: u64,
    n_questions: u64,
    n_tokens: u64,
    gradient_norm: f64,
    secs: f64,
}

impl Run {
    fn prepare(
        config: SftConfig,
        texts: &mut LoadTexts<'_>,
        compute: &Compute,
    ) -> Result<Self, TrainingError> {
        let dir = config.run.output_dir.clone();
        fs::create_dir_all(&dir).map_err(TrainingError::file("create", &dir))?;
        let checkpoints = Checkpoints::of_run(&dir);
        let newest = checkpoints.newest()?;
        let (files, weights) = match (&newest, &config.init) {
            (Some(folder), _) => read_model(folder)?,
            (None, InitConfig::Checkpoint(from)) => {
                let (mut files, weights) = read_model(&from.folder)?;
                from.max_pixels.map_or(Ok(()), |max_pixels| files.set_max_pixels(max_pixels))?;
                (files, weights)
            }
            (None, InitConfig::New(new)) => {
                let files = fresh::files(new)?;
                let n_numbers = new.tokenizer.numbers;
                let weights = fresh::weights(&files.config()?, &new.weights, n_numbers, config.run.seed)?;
                (files, weights)
            }
        };
        let mut files = files;
        files.set_spoken_to(&SpokenTo {
            preset: config.policy.preset.clone(),
            told_texts: config.policy.told_texts,
            max_image_pixels: config.policy.max_image_pixels,
            learned_from_reward: false,
        });
        let trained = Trained::new(files, compute.placed(weights)?, config.optimizer.freeze)?;
        let mut optimizer = Optimizer::new(&trained.moving, &config.optimizer)?;
        let mut state = TrainerState::start(config.run.seed);
        if let Some(folder) = &newest {
            let saved = read_trainer(folder)?;
            state = saved.1;
            state.check_seed(config.run.seed, &dir)?;
            optimizer.resume(&trained.moving, &saved.0, state.step, folder)?;
        }
        let teacher = Teacher::new(&config, &trained.files, texts)?;
        let workers = compute.workers(config.run.workers)?;
        let log = MetricsLog::open(&dir.join("metrics.jsonl"), state.step)?;
        write_settings(&config, state.step)?;
        write_rows(&config, &teacher, &trained.model)?;
        Ok(Self {
            config,
            trained,
            optimizer,
            teacher,
            workers,
            checkpoints,
            log,
            state,
            since_log: SinceLog::default(),
        })
    }

    /// One optimizer step: draw, compute, add up, clip, move (see [`take_step`]), record.
    fn step(&mut self) -> Result<SftProgress, TrainingError> {
        let started = Instant::now();
        let step = self.state.step;
        let stage = self.config.stage_at(step).1.clone();
        let share = self.lr_share(step, &stage);
        let Self { config, trained, optimizer, teacher, workers, .. } = self;
        let compute = |&micro: &u64| teacher.lesson(trained, &stage.mixes, config.run.seed, [step, micro]);
        let numbers: Vec<u64> = (0..stage.micro_batches as u64).collect();
        let stepped = take_step(trained, optimizer, workers, share, &numbers, 0.0, compute)?;
        if stepped.is_skipped {
            return Err(TrainingError::Diverged { step, loss: stepped.loss });
        }
        let secs = started.elapsed().as_secs_f64();
        let questions_per_sec = stepped.sum.seen.n_questions as f64 / secs;
        self.gather(&stepped, secs);
        let measured = self.record(&stage)?;
        if self.state.step.is_multiple_of(self.config.run.checkpoint_every) {
            self.save_checkpoint()?;
        }
        Ok(SftProgress {
            step: self.state.step,
            total_steps: self.config.total_steps(),
            stage: stage.name,
            loss: stepped.loss,
            questions_per_sec,
            measured,
        })
    }

    fn lr_share(&self, step: u64, stage: &StageConfig) -> f64 {
        lr_share(step, self.config.total_steps(), &self.config.optimizer.schedule) * stage.lr_scale
    }

    fn gather(&mut self, stepped: &Stepped<Taught>, secs: f64) {
        let sum = &stepped.sum.seen;
        self.state.step += 1;
        self.state.n_pages += sum.n_pages;
        self.state.n_questions += sum.n_questions;
        self.state.secs += secs;
        let since = &mut self.since_log;
        since.tally.merge(&sum.tally);
        since.n_steps += 1;
        since.n_questions += sum.n_questions;
        since.n_tokens += sum.n_tokens;
        since.gradient_norm += stepped.gradient_norm;
        since.secs += secs;
    }

    /// Writes a line of the log when it is due, with held-out measurements when they are.
    fn record(&mut self, stage: &StageConfig) -> Result<Option<Record>, TrainingError> {
        let step = self.state.step;
        let is_last = step == self.config.total_steps();
        let measures = is_last || step.is_multiple_of(self.config.run.eval_every);
        if !measures && !step.is_multiple_of(self.config.run.log_every) {
            return Ok(None);
        }
        let mut record = self.training_record(stage);
        if measures {
            for set in &self.config.heldout {
                evaluate(
                    &self.trained.model,
                    &self.teacher.encoder,
                    self.teacher.measured(&set.data),
                    set,
                    &self.workers,
                    &mut record,
                )?;
            }
        }
        self.log.append(record.clone())?;
        if measures {
            let curves = self.config.run.output_dir.join("curves.png");
            plot::draw(&curves, self.log.records(), &stage_marks(&self.config))?;
        }
        Ok(Some(record))
    }

    fn training_record(&mut self, stage: &StageConfig) -> Record {
        let since = std::mem::take(&mut self.since_log);
        let n = since.n_steps.max(1) as f64;
        let mut record = Record::at(self.state.step);
        record.set("loss/total", since.tally.mean_loss());
        record.set("loss/number", since.tally.loss(TokenKind::Number));
        record.set("loss/word", since.tally.loss(TokenKind::Word));
        record.set("loss/syntax", since.tally.loss(TokenKind::Syntax));
        record.set("loss/patch", since.tally.loss(TokenKind::Patch));
        record.set("loss/gaze", since.tally.loss(TokenKind::Gaze));
        record.set("accuracy/gaze", since.tally.accuracy(TokenKind::Gaze));
        record.set("accuracy/patch", since.tally.accuracy(TokenKind::Patch));
        record.set("accuracy/word", since.tally.accuracy(TokenKind::Word));
        record.set("accuracy/number", since.tally.accuracy(TokenKind::Number));
        record.set("error/number_median_px", since.tally.median_error_px());
        record.set("optim/lr_share", self.lr_share(self.state.step - 1, stage));
        record.set("optim/gradient_norm", since.gradient_norm / n);
        record.set("data/pages", self.state.n_pages as f64);
        record.set("data/questions", self.state.n_questions as f64);
        record.set("data/tokens_per_question", since.n_tokens as f64 / since.n_questions.max(1) as f64);
        record.set("time/secs", self.state.secs);
        record.set("time/step_secs", since.secs / n);
        record.set("time/questions_per_sec", since.n_questions as f64 / since.secs);
        record
    }

    fn save_checkpoint(&mut self) -> Result<(), TrainingError> {
        let ends: Vec<u64> = stage_marks(&self.config).into_iter().map(|(step, _)| step).collect();
        let optimizer = self.optimizer.state(&self.trained.moving);
        self.checkpoints.save(
            &self.trained.files,
            &self.trained.parameters,
            &optimizer,
            &self.state,
            &ends,
        )?;
        Ok(())
    }
}

/// A checkpoint's files and weights; a folder that is called like a policy of the binary is that policy.
fn read_model(folder: &Path) -> Result<(ModelFiles, BTreeMap<String, Tensor>), TrainingError> {
    let source = ModelSource::named(&folder.to_string_lossy());
    let files = ModelFiles::of(&source)?;
    let shapes = fresh::tensor_shapes(&files.config()?);
    let weights = match source {
        ModelSource::Dir(folder) => read_weights(&folder, &shapes)?,
        embedded => {
            let weights =
                Checkpoint::open(&embedded)?.weights(&Device::Cpu, WeightFormat::Dense(DType::F32))?;
            named_weights(&weights, &shapes)?
        }
    };
    Ok((files, weights))
}

/// The resolved configuration, beside what it led to. One that was changed for a resume stays under the name
/// of the step up to which it held.
fn write_settings(config: &SftConfig, step: u64) -> Result<(), TrainingError> {
    let path = config.run.output_dir.join("config.toml");
    let text = toml::to_string_pretty(config).map_err(TrainingError::content(&path))?;
    if step > 0 && fs::read_to_string(&path).is_ok_and(|before| before != text) {
        let kept = path.with_file_name(format!("config_until_step_{step}.toml"));
        fs::rename(&path, &kept).map_err(TrainingError::file("rename", &path))?;
    }
    write_whole(&path, text.as_bytes()).map_err(TrainingError::file("write", &path))
}

/// A few rows of every stage, for a person to look at.
fn write_rows(config: &SftConfig, teacher: &Teacher, model: &Model) -> Result<(), TrainingError> {
    let encoder = &teacher.encoder;
    let mut batches = Vec::new();
    for (number, stage) in config.stages.iter().enumerate() {
        for (index, mix) in stage.mixes.iter().enumerate() {
            let few = MixConfig { pages: mix.pages.min(2), ..mix.clone() };
            let path = [u64::MAX, number as u64, index as u64];
            let (data, seed) = (teacher.taught(mix), config.run.seed);
            if let Work::Turns(batch) = draw_work(encoder, model, data, &few, seed, &path)? {
                batches.push((format!("stage {}, {}", stage.name, mix.data.display()), batch));
            }
        }
    }
    let path = config.run.output_dir.join("rows.html");
    write_whole(&path, transcript(encoder, &batches).as_bytes()).map_err(TrainingError::file("write", &path))
}

/// The step at which each stage ends and the name of the next.
fn stage_marks(config: &SftConfig) -> Vec<plot::StageMark> {
    let mut end = 0;
    let pairs = config.stages.iter().zip(config.stages.iter().skip(1));
    pairs
        .map(|(stage, next)| {
            end += stage.steps;
            (end, next.name.clone())
        })
        .collect()
}
