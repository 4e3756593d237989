//! Learning by reward, from the first step to the last. Read this file to know what it does.
//!
//! A step: play groups with the weights as they stand -> what each sample is worth beside its group -> log-probabilities of
//! what was said -> loss -> move the weights. Source: GRPO (arXiv 2402.03300) as ViGoRL uses it (arXiv 2505.23678, section
//! 4.2 and table A3). What differs, and what is decided here where papers are silent:
//!
//! - The loss is a mean over all tokens of an update ([`Denominator::Global`](crate::objective::Denominator::Global)): one micro-batch of eight rows is eight of
//!   one. The reference takes the mean of each micro-batch and then the mean of these ([`Denominator::MicroBatch`](crate::objective::Denominator::MicroBatch)).
//! - Groups whose rewards do not differ have no advantage. Their tokens count in the denominator all the same, as in the
//!   reference, so a step of which little can be learned is a small one; `groups/with_variance` is their counterpart. With
//!   dynamic sampling (`group.rounds` above 1) they are left out altogether.
//! - An episode that ends at the limit of steps is a sample like others: it was paid what it was paid. One that a limit of
//!   tokens cut off counts in its group with its reward, and its tokens teach nothing ([`CutOff::Mask`](crate::objective::CutOff::Mask), as in the
//!   reference). One in which the world failed is no sample: the group is smaller, and below two samples it is dropped.
//! - The distance to the reference is that to the model that the run began with, with whatever adapter it had merged.
//! - Old log-probabilities are the trainer's own. In the first update of a step they are the value itself, so the ratio is
//!   1; what the sampler recorded must agree with them, or the run ends.
//! - Sampling cuts the least likely hundredth off (`top_p`), the loss does not, as in the reference.
//!
//! Invariants: a step depends on the weights, the optimizer's state, the seed, the step number and the recorded rollouts
//! only, so a run that was killed and resumed loses the step that was under way at most. The weights stand still while a
//! step is played.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::DType;
use vigorl_files::write_whole;
use vigorl_policy::SpokenTo;
use vigorl_qwen::{Checkpoint, Model, ModelSource, WeightFormat};
use vigorl_rollouts::Tape;

use crate::adapter::Lora;
use crate::checkpoint::{
    Best, Checkpoints, Precision, TrainerState, export, export_tensors, named_weights, read_trainer,
    read_weights,
};
use crate::compared::{Compared, n_with_variance};
use crate::drawn::{remember_teaching, wanted};
use crate::error::TrainingError;
use crate::fresh::tensor_shapes;
use crate::grpo_config::GrpoConfig;
use crate::metrics::{MetricsLog, Record, held_out_key};
use crate::optim::Optimizer;
use crate::play::{PlayedStep, Player, Players, Sources, Worlds};
use crate::plot;
use crate::said::said;
use crate::schedule::lr_share;
use crate::step::{Stepped, take_step};
use crate::update::{Batches, Job, Reinforced, Said};
use crate::warm_start::Lessons;
use crate::work::{Contribution, Seen as _, Trained, frozen_model};
use crate::workers::Workers;

/// How far the ratio of a token may be from 1 before its first update: sampler and trainer run the same modules in f32.
const RATIO_TOLERANCE: f64 = 1e-3;
/// In bf16, whose numbers have 8 bits, how far that of all tokens may be in the mean: a single one may be far off.
const MEAN_TOLERANCE_BF16: f64 = 0.05;
/// Below this share of groups with different rewards a run learns little, and says so.
const LEAST_VARIANCE: f64 = 0.2;
/// Names of films: the policy as it was given, behind its warm start, and as it was measured last.
const BEFORE: &str = "before";
const WARM_START: &str = "warm-start";
const AFTER: &str = "after";

/// How far a run has come.
#[derive(Debug, Clone)]
pub enum GrpoProgress {
    /// Episodes of the step, or of the measurement, that is under way.
    Playing {
        /// What is played.
        what: String,
        /// So far.
        n: usize,
        /// In all.
        of: usize,
    },
    /// A step is done.
    Stepped {
        /// Steps done.
        step: u64,
        /// Steps at most.
        total_steps: u64,
        /// Time since the start, of all sessions.
        secs: f64,
        /// What was logged.
        record: Record,
    },
    /// What a person should know.
    Warning(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum GrpoEnd {
    /// All steps, or all minutes, are over, and the model is exported.
    Finished {
        /// Steps done.
        step: u64,
    },
    /// Cancelled; a checkpoint of the last whole step is written.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

/// Trains as the configuration says, resuming the run in its output folder if there is one.
///
/// # Errors
/// [`TrainingError`]; everything up to the last checkpoint stays usable.
pub fn run_grpo(
    config: GrpoConfig,
    worlds: &Worlds<'_>,
    progress: &mut dyn FnMut(&GrpoProgress),
) -> Result<GrpoEnd, TrainingError> {
    let sources = Sources::open(&config, worlds)?;
    let mut run = Run::prepare(config, worlds, &sources)?;
    if !run.measure_what_is_due(progress)? {
        return run.interrupted();
    }
    while !run.is_over() {
        if !run.step(progress)? || !run.measure_what_is_due(progress)? {
            return run.interrupted();
        }
        if run.state.step.is_multiple_of(run.config.run.checkpoint_every) {
            run.save_checkpoint()?;
        }
    }
    run.save_checkpoint()?;
    run.export("model")?;
    if !run.calibrate(progress)? {
        return run.interrupted();
    }
    Ok(GrpoEnd::Finished { step: run.state.step })
}

/// A run between two steps.
struct Run<'a> {
    config: GrpoConfig,
    worlds: &'a Worlds<'a>,
    sources: &'a Sources,
    /// Tokenizer, template and processor, as they were sampled with.
    checkpoint: Checkpoint,
    trained: Trained,
    /// The model that the run began with, if the distance to it counts.
    reference: Option<Model>,
    /// What is taught beside rewards.
    lessons: Option<Lessons>,
    /// The model that the run began with, by its name.
    begins_with: String,
    /// What the one that it was given says of itself.
    given: Option<SpokenTo>,
    optimizer: Optimizer,
    workers: Workers,
    checkpoints: Checkpoints,
    log: MetricsLog,
    state: TrainerState,
}

impl<'a> Run<'a> {
    fn prepare(
        config: GrpoConfig,
        worlds: &'a Worlds<'a>,
        sources: &'a Sources,
    ) -> Result<Self, TrainingError> {
        let dir = config.run.output_dir.clone();
        fs::create_dir_all(&dir).map_err(TrainingError::file("create", &dir))?;
        let begins_with = config.begins_with()?;
        let given = Checkpoint::open(&ModelSource::named(&config.init.model))?.spoken_to()?;
        let (checkpoint, mut files) = config.opened(&begins_with)?;
        files.set_spoken_to(&SpokenTo {
            preset: config.init.preset.clone(),
            told_texts: config.init.told_texts,
            max_image_pixels: config.init.max_pixels,
            learned_from_reward: true,
        });
        let shapes = tensor_shapes(&checkpoint.config);
        let compute = worlds.compute;
        let first = |dtype: DType| -> Result<_, TrainingError> {
            named_weights(&checkpoint.weights(&compute.device, WeightFormat::Dense(dtype))?, &shapes)
        };
        let checkpoints = Checkpoints::of_run(&dir);
        let newest = checkpoints.newest()?;
        let (mut trained, reference) = match config.adapters() {
            Some(lora) => {
                let base = first(compute.frozen)?;
                let adapters = match &newest {
                    Some(folder) => Lora::read(folder, &checkpoint.config)?,
                    None => Lora::fresh(lora.clone(), &checkpoint.config, config.run.seed)?,
                };
                // The reference is the same memory without adapters.
                let reference = frozen_model(&files, &base, None)?;
                (Trained::with_adapters(files, &base, &adapters)?, Some(reference))
            }
            None => {
                let weights = match &newest {
                    Some(folder) => compute.placed(read_weights(folder, &shapes)?)?,
                    None => first(DType::F32)?,
                };
                let reference = match config.objective.kl > 0.0 {
                    true => Some(frozen_model(&files, &first(DType::F32)?, None)?),
                    false => None,
                };
                (Trained::new(files, weights, config.optimizer.freeze)?, reference)
            }
        };
        let reference = reference.filter(|_| config.objective.kl > 0.0);
        trained.is_checkpointed = config.update.recompute_layers;
        let mut optimizer = Optimizer::new(&trained.moving, &config.optimizer)?;
        let mut state = TrainerState::start(config.run.seed);
        if let Some(folder) = &newest {
            let saved = read_trainer(folder)?;
            state = saved.1;
            state.check_seed(config.run.seed, &dir)?;
            optimizer.resume(&trained.moving, &saved.0, state.reward.n_moves, folder)?;
        }
        let lessons = Lessons::open(&config, &trained.files, worlds)?;
        let workers = compute.workers(config.run.workers)?;
        let log = MetricsLog::open(&dir.join("metrics.jsonl"), state.step)?;
        let path = dir.join("config.toml");
        let text = toml::to_string_pretty(&config).map_err(TrainingError::content(&path))?;
        write_whole(&path, text.as_bytes()).map_err(TrainingError::file("write", &path))?;
        Ok(Self {
            config,
            worlds,
            sources,
            checkpoint,
            trained,
            reference,
            lessons,
            begins_with,
            given,
            optimizer,
            workers,
            checkpoints,
            log,
            state,
        })
    }

    /// One step: play, compare, learn, record. False if somebody ended it; then nothing has moved.
    fn step(&mut self, progress: &mut dyn FnMut(&GrpoProgress)) -> Result<bool, TrainingError> {
        let clock = Instant::now();
        let Some(played) = self.play(progress)? else { return Ok(false) };
        let rollout_secs = clock.elapsed().as_secs_f64();
        let step = Compared::new(played, &self.config, self.state.step);
        let updates = self.learn(&step)?;
        self.state.step += 1;
        self.state.reward.n_episodes += step.samples.len() as u64;
        remember_teaching(&mut self.state.reward, &step.teaching_of);
        let mut record = self.record(&step, &updates);
        record.set("time/rollout_secs", rollout_secs);
        record.set("time/update_secs", clock.elapsed().as_secs_f64() - rollout_secs);
        record.set("time/episodes_per_min", 60.0 * step.samples.len() as f64 / clock.elapsed().as_secs_f64());
        if self.state.step == 1 {
            self.warn_of_little_variance(&record, progress);
        }
        self.state.secs += clock.elapsed().as_secs_f64();
        self.forget_rollouts()?;
        self.log(record)?;
        self.show(progress);
        Ok(true)
    }

    /// The samples of this step: played now, or before the run was killed.
    fn play(
        &self,
        progress: &mut dyn FnMut(&GrpoProgress),
    ) -> Result<Option<Vec<PlayedStep>>, TrainingError> {
        let GrpoConfig { group, .. } = &self.config;
        let (mut rounds, mut n_teaching) = (Vec::new(), 0);
        for round in 0..group.rounds {
            let folder = self.folder_of_round(self.state.step, round);
            let wanted = wanted(&self.config, self.sources, &self.state, round);
            let of = wanted.len();
            let what = format!("step {}", self.state.step + 1);
            let played = match Players::read(&folder)? {
                Some(played) => Some(played),
                None => self.players().play(&folder, &wanted, &mut |n| {
                    progress(&GrpoProgress::Playing { what: what.clone(), n, of });
                })?,
            };
            let Some(played) = played else { return Ok(None) };
            n_teaching += n_with_variance(&played.samples);
            rounds.push(played);
            if n_teaching >= group.per_step {
                break;
            }
        }
        Ok(Some(rounds))
    }

    /// Moves the weights, once for each share of the groups.
    fn learn(&mut self, step: &Compared) -> Result<Vec<Stepped<Reinforced>>, TrainingError> {
        let GrpoConfig { update, objective, sampling, .. } = &self.config;
        let n_shares = update.per_step.clamp(1, step.groups.len().max(1));
        let batches = Batches {
            config: &self.config,
            checkpoint: &self.checkpoint,
            reference: self.reference.as_ref(),
            workers: &self.workers,
        };
        // Behind the first of several shares the weights are others than those that were sampled.
        let old = (n_shares > 1).then(|| self.trained.sampler()).transpose()?;
        let mut jobs_of_share = Vec::new();
        for share in 0..n_shares {
            let groups = step.groups.iter().skip(share).step_by(n_shares);
            jobs_of_share.push(batches.jobs(step, groups, old.as_ref())?);
        }
        let moves = (0..update.epochs).flat_map(|_| &jobs_of_share);
        if self.state.step.is_multiple_of(self.config.run.eval_every) {
            self.write_rows(step, &jobs_of_share[0].0)?;
        }
        let mut first_use = true;
        let n_steps = self.config.run.steps;
        let lr = lr_share(self.state.step, n_steps, &self.config.optimizer.schedule);
        let mut updates = Vec::new();
        for (number, (said, n_beside)) in moves.enumerate() {
            if said.is_empty() {
                continue;
            }
            let Self { trained, optimizer, workers, checkpoint, lessons, .. } = self;
            let weight = said.iter().map(Said::weight).sum::<f64>() + n_beside;
            let n_lessons = lessons.as_ref().map_or(0, |lessons| lessons.per_move as u64);
            let path = [self.state.step, number as u64 * n_lessons];
            let taught = (0..n_lessons).map(|number| Job::Taught([path[0], path[1] + number]));
            let jobs: Vec<Job<'_>> = said.iter().map(Job::Said).chain(taught).collect();
            let compute = |job: &Job<'_>| -> Result<Contribution<Reinforced>, TrainingError> {
                match (job, lessons.as_ref()) {
                    (Job::Said(said), _) => {
                        said.learned(trained, checkpoint, objective, sampling.temperature)
                    }
                    (Job::Taught(path), Some(lessons)) => lessons.contribution(trained, *path, weight),
                    (Job::Taught(_), None) => unreachable!("lessons are numbered where there are some"),
                }
            };
            let stepped = take_step(trained, optimizer, workers, lr, &jobs, *n_beside, compute)?;
            if stepped.is_skipped {
                self.state.reward.n_skipped += 1;
            } else {
                self.state.reward.n_moves += 1;
            }
            // Recorded log-probabilities are those of temperature 1; with another one there is nothing to compare.
            let seen = &stepped.sum.seen;
            let (error, tolerance) = match trained.dtype() {
                DType::F32 => (seen.ratio_error, RATIO_TOLERANCE),
                _ => (seen.ratio_errors / seen.n_tokens.max(1) as f64, MEAN_TOLERANCE_BF16),
            };
            if first_use && sampling.temperature == 1.0 && error > tolerance {
                return Err(TrainingError::Mismatch { step: self.state.step, error });
            }
            first_use = false;
            updates.push(stepped);
        }
        Ok(updates)
    }

    /// A few rows of the step, for a person to look at.
    fn write_rows(&self, step: &Compared, jobs: &[Said]) -> Result<(), TrainingError> {
        const ROWS: usize = 4;
        let rows: Vec<_> = jobs.iter().flat_map(|job| &job.rows).take(ROWS).collect();
        let page = said(&self.checkpoint, &rows, &step.advantage_of, self.state.step + 1);
        let path = self.folder("rows.html");
        write_whole(&path, page.as_bytes()).map_err(TrainingError::file("write", &path))
    }

    fn record(&self, step: &Compared, updates: &[Stepped<Reinforced>]) -> Record {
        let mut record = Record::at(self.state.step);
        step.record(&mut record);
        let mut seen = Reinforced::default();
        updates.iter().for_each(|update| seen.merge(&update.sum.seen));
        let n_updates = updates.len() as f64;
        if !updates.is_empty() {
            let mean = |of: fn(&Stepped<Reinforced>) -> f64| updates.iter().map(of).sum::<f64>() / n_updates;
            record.set("policy/loss", mean(|update| update.loss));
            record.set("optim/gradient_norm", mean(|update| update.gradient_norm));
            record.set("policy/ratio_error", updates[0].sum.seen.ratio_error);
        }
        if seen.n_tokens > 0 {
            let share = |sum: f64| sum / seen.n_tokens as f64;
            record.set("policy/kl", self.reference.as_ref().map(|_| share(seen.kl)));
            record.set("policy/clip_share", share(seen.n_clipped as f64));
            record.set("policy/dual_clip_share", share(seen.n_dual_clipped as f64));
            record.set("policy/entropy", share(seen.entropy));
        }
        if seen.n_lessons > 0 {
            record.set("loss/lessons", seen.lessons_loss / seen.n_lessons as f64);
        }
        record.set("optim/skipped_steps", self.state.reward.n_skipped as f64);
        record.set(
            "optim/lr_share",
            lr_share(self.state.step - 1, self.config.run.steps, &self.config.optimizer.schedule),
        );
        record.set("data/episodes", self.state.reward.n_episodes as f64);
        record
    }

    fn warn_of_little_variance(&self, record: &Record, progress: &mut dyn FnMut(&GrpoProgress)) {
        let share = record.values.get("groups/with_variance").copied().unwrap_or(0.0);
        if share >= LEAST_VARIANCE {
            return;
        }
        let failed = record.values.get("groups/failed").copied().unwrap_or(0.0);
        let cure = if failed > 0.5 {
            "it hardly ever succeeds: begin with a supervised warm start (`vigorl data app`, `vigorl train sft`), with \
             easier environments, or with larger groups (--set group.size=16)"
        } else {
            "it nearly always succeeds: take harder environments, or play groups over until they differ \
             (--set group.rounds=4)"
        };
        progress(&GrpoProgress::Warning(format!(
            "only {:.0} % of the groups have different rewards, and only those teach something; {cure}",
            100.0 * share
        )));
    }

    /// Measures the policy on what is held out where that is due and the log does not have it yet; false if somebody ended it.
    /// What was measured of a part is not logged: the next session measures it whole.
    fn measure_what_is_due(
        &mut self,
        progress: &mut dyn FnMut(&GrpoProgress),
    ) -> Result<bool, TrainingError> {
        let GrpoConfig { run, heldout, .. } = &self.config;
        let step = self.state.step;
        let is_due = step.is_multiple_of(run.eval_every) || self.is_over();
        let last = self.log.records().last().filter(|record| record.step == step);
        let has = |name: &str| last.is_some_and(|record| record.values.contains_key(name));
        if !is_due || heldout.iter().all(|set| has(&held_out_key(&set.name, "greedy"))) {
            return Ok(true);
        }
        // Where a warm start made another policy of the one that was given, that one is measured as well, and once.
        let is_other = self.begins_with != self.config.init.model;
        if step == 0 && is_other && !self.folder(BEFORE).exists() {
            let given = Players { player: Player::Given, ..self.players() };
            let Some((record, tapes)) = self.measure(&given, progress)? else { return Ok(false) };
            self.log(record)?;
            self.film(BEFORE, &tapes)?;
        }
        let clock = Instant::now();
        let measured = self.measure(&self.players(), progress)?;
        self.state.secs += clock.elapsed().as_secs_f64();
        let Some((record, tapes)) = measured else { return Ok(false) };
        let film = match (step, is_other) {
            (0, true) => WARM_START,
            (0, false) => BEFORE,
            _ => AFTER,
        };
        self.film(film, &tapes)?;
        self.keep_best(&record)?;
        self.log(record)?;
        self.show(progress);
        Ok(true)
    }

    /// Measures players on what is held out, and films some of it; nothing if somebody ended it.
    fn measure(
        &self,
        players: &Players<'_>,
        progress: &mut dyn FnMut(&GrpoProgress),
    ) -> Result<Option<(Record, Vec<Tape>)>, TrainingError> {
        let (mut record, mut tapes) = (Record::at(self.state.step), Vec::new());
        for (set, of) in self.config.heldout.iter().enumerate() {
            let (what, n_of) = (format!("held out: {}", of.name), of.n_played());
            let mut playing = |n| progress(&GrpoProgress::Playing { what: what.clone(), n, of: n_of });
            if !players.measure(set, &mut record, &mut tapes, &mut playing)? {
                return Ok(None);
            }
        }
        Ok(Some((record, tapes)))
    }

    fn film(&self, name: &str, tapes: &[Tape]) -> Result<(), TrainingError> {
        if tapes.is_empty() {
            return Ok(());
        }
        (self.worlds.film)(name, tapes).map_err(|error| TrainingError::Film(error.to_string()))
    }

    /// Fits what the confidences of the written models mean, on episodes to learn from; false if somebody ended it.
    fn calibrate(&self, progress: &mut dyn FnMut(&GrpoProgress)) -> Result<bool, TrainingError> {
        for name in ["model", "best"] {
            let folder = self.folder(name);
            if !folder.is_dir() {
                continue;
            }
            let players = Players { player: Player::Written(folder.clone()), ..self.players() };
            let mut playing =
                |n, of| progress(&GrpoProgress::Playing { what: format!("how sure it is: {name}"), n, of });
            let Some(answers) = players.answers(&mut playing)? else { return Ok(false) };
            answers.write(&folder)?;
        }
        Ok(true)
    }

    /// The best model is the first of those that solve most of the first held-out set without search.
    fn keep_best(&mut self, record: &Record) -> Result<(), TrainingError> {
        let Some(first) = self.config.heldout.first() else { return Ok(()) };
        let Some(&success) = record.values.get(&held_out_key(&first.name, "greedy")) else { return Ok(()) };
        if self.state.reward.best.is_none_or(|best| success > best.success) {
            self.state.reward.best = Some(Best { step: record.step, success });
            self.export("best")?;
        }
        Ok(())
    }

    /// Adds to the log what is known of this step.
    fn log(&mut self, mut record: Record) -> Result<(), TrainingError> {
        record.set("time/secs", self.state.secs);
        self.log.add(record)?;
        plot::draw(&self.folder("curves.png"), self.log.records(), &[])
    }

    /// Shows what the log knows of this step.
    fn show(&self, progress: &mut dyn FnMut(&GrpoProgress)) {
        let (step, total_steps, secs) = (self.state.step, self.config.run.steps, self.state.secs);
        if let Some(record) = self.log.records().last().cloned() {
            progress(&GrpoProgress::Stepped { step, total_steps, secs, record });
        }
    }

    fn is_over(&self) -> bool {
        let GrpoConfig { run, .. } = &self.config;
        self.state.step >= run.steps || (run.minutes > 0.0 && self.state.secs >= 60.0 * run.minutes)
    }

    fn interrupted(&mut self) -> Result<GrpoEnd, TrainingError> {
        if self.state.step > 0 {
            self.save_checkpoint()?;
        }
        Ok(GrpoEnd::Interrupted { step: self.state.step })
    }

    fn save_checkpoint(&mut self) -> Result<(), TrainingError> {
        let optimizer = self.optimizer.state(&self.trained.moving);
        let Trained { files, parameters, .. } = &self.trained;
        match self.trained.adapters() {
            Some(adapters) => {
                let base = &self.begins_with;
                self.checkpoints.save_adapters(&adapters, base, &optimizer, &self.state, &[])?;
            }
            None => {
                self.checkpoints.save(files, parameters, &optimizer, &self.state, &[])?;
            }
        }
        Ok(())
    }

    /// Writes the model as it is now, for use; adapters are merged into it, and lie beside it as PEFT reads them.
    fn export(&self, name: &str) -> Result<(), TrainingError> {
        let Trained { files, parameters, base, .. } = &self.trained;
        let folder = self.folder(name);
        match self.trained.adapters() {
            Some(adapters) => {
                let merged = adapters.merged(base)?;
                export_tensors(&folder, files, merged, Precision::Half)?;
                adapters.write(&self.folder(&format!("{name}-adapter")), &self.begins_with)
            }
            None => export(&folder, files, parameters, Precision::Half),
        }
    }

    fn players(&self) -> Players<'_> {
        Players {
            config: &self.config,
            worlds: self.worlds,
            sources: self.sources,
            given: &self.given,
            player: Player::Trained {
                checkpoint: &self.checkpoint,
                trained: &self.trained,
                version: self.state.reward.n_moves,
            },
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.config.run.output_dir.join(name)
    }

    fn folder_of_round(&self, step: u64, round: u64) -> PathBuf {
        self.folder("rollouts").join(format!("step-{:08}-{round}", step + 1))
    }

    /// Removes the rollouts of the steps before the last checkpoint, but for those that stay.
    fn forget_rollouts(&self) -> Result<(), TrainingError> {
        let every = self.config.run.checkpoint_every;
        let newest = self.state.step / every * every;
        for step in 1..newest.min(self.state.step) {
            if step.is_multiple_of(self.config.run.keep_rollouts_every) {
                continue;
            }
            for round in 0..self.config.group.rounds {
                let folder = self.folder_of_round(step - 1, round);
                if folder.exists() {
                    fs::remove_dir_all(&folder).map_err(TrainingError::file("remove", &folder))?;
                }
            }
        }
        Ok(())
    }
}
