//! A run: episodes one after the other, recorded as they happen, summed up at the end.
//!
//! Invariant: whatever ends a run, its summary says how far it came. Without an output folder nothing is
//! written and everything else is the same, so that an evaluation measures what a recorded run does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use vigorl_interface::{Action, Screenshot};
use vigorl_policy::{Grounding, Turn};
use vigorl_tasks::scripted::Secret;

use crate::step::{StepOutcome, Watch};
use vigorl_runs::record::{
    EpisodeRecord, Event, GroundingRecord, Plain, RunRecord, StepRecord, Summary, Timings, TokensRecord,
    TurnRecord, action_record, millis,
};
use vigorl_runs::wilson95;
use vigorl_runs::{RunDir, RunDirError};

/// An ongoing run.
#[derive(Debug)]
pub struct Run {
    dir: Option<RunDir>,
    started: Instant,
    n_steps: usize,
    episodes: Vec<EpisodeRecord>,
    timings: Timings,
    tokens: TokensRecord,
    n_zooms: usize,
    interrupted: bool,
    failure: Option<String>,
    step_started: Instant,
    costs: Vec<StepCost>,
}

/// What one step took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepCost {
    /// Wall clock from the start of the step until it was recorded, the judge included, in milliseconds.
    pub wall_millis: f64,
    /// The parts.
    pub parts: Timings,
}

impl Run {
    /// A run that is recorded in a new folder under `output_dir`, named by time and `name`; see [`RunDir::create`].
    ///
    /// # Errors
    /// [`RunDirError`] if the folder cannot be created.
    pub fn recorded(
        output_dir: &Path,
        name: &str,
        record: &RunRecord,
        secrets: &[Secret],
    ) -> Result<Self, RunDirError> {
        Ok(Self { dir: Some(RunDir::create(output_dir, name, record, secrets)?), ..Self::unrecorded() })
    }

    /// A run that leaves no files.
    pub fn unrecorded() -> Self {
        Self {
            dir: None,
            started: Instant::now(),
            n_steps: 0,
            episodes: Vec::new(),
            timings: Timings::default(),
            tokens: TokensRecord::default(),
            n_zooms: 0,
            interrupted: false,
            failure: None,
            step_started: Instant::now(),
            costs: Vec::new(),
        }
    }

    /// The folder of a recorded run.
    pub fn path(&self) -> Option<&Path> {
        self.dir.as_ref().map(RunDir::path)
    }

    /// Episodes so far.
    pub fn episodes(&self) -> &[EpisodeRecord] {
        &self.episodes
    }

    /// Notes that the run ends before all its episodes were played.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Notes that the world failed before an episode could begin.
    ///
    /// # Errors
    /// [`RunDirError`] if the record cannot be written.
    pub fn fail(&mut self, err_msg: String) -> Result<(), RunDirError> {
        self.event(&Event::RunFailed { err_msg: err_msg.clone() })?;
        self.failure.get_or_insert(err_msg);
        Ok(())
    }

    /// Where the time of all steps so far went.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// What each finished step took.
    pub fn costs(&self) -> &[StepCost] {
        &self.costs
    }

    /// Tokens of all steps so far.
    pub fn tokens(&self) -> TokensRecord {
        self.tokens
    }

    /// Zooms of all steps so far.
    pub fn n_zooms(&self) -> usize {
        self.n_zooms
    }

    pub(crate) fn event(&mut self, event: &Event) -> Result<(), RunDirError> {
        self.dir.as_mut().map_or(Ok(()), |dir| dir.event(event))
    }

    pub(crate) fn episode_number(&self) -> usize {
        self.episodes.len() + 1
    }

    /// Starts the next step and returns its number and its recorder.
    pub(crate) fn start_step(&mut self, instruction: &str) -> Result<(usize, Recorder<'_>), RunDirError> {
        self.n_steps += 1;
        self.step_started = Instant::now();
        let (step, episode) = (self.n_steps, self.episode_number());
        self.event(&Event::StepStarted { step, episode, instruction: instruction.to_owned() })?;
        Ok((step, Recorder { dir: self.dir.as_mut(), step, said: GroundingRecord::default() }))
    }

    /// Writes what is known at the end of a step.
    pub(crate) fn end_step(&mut self, record: &StepRecord, outcome: &StepOutcome) -> Result<(), RunDirError> {
        self.timings.add(&record.millis);
        let model = GroundingRecord::of(&outcome.groundings);
        if let Some(model) = &model {
            self.tokens.prompt += model.turns.iter().map(|turn| turn.n_prompt_tokens).sum::<usize>();
            self.tokens.cached += model.turns.iter().map(|turn| turn.n_cached_tokens).sum::<usize>();
            self.n_zooms += model.turns.iter().filter(|turn| turn.crop.is_some()).count();
            self.tokens.completion += model.turns.iter().map(|turn| turn.n_completion_tokens).sum::<usize>();
        }
        self.write_step(record, outcome)?;
        let wall_millis = millis(self.step_started.elapsed()).0;
        self.costs.push(StepCost { wall_millis, parts: record.millis });
        Ok(())
    }

    fn write_step(&mut self, record: &StepRecord, outcome: &StepOutcome) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        if let Some(after) = &outcome.after {
            dir.image(record.step, "after.png", &after.pixels)?;
        }
        dir.json(record.step, "action.json", record)?;
        dir.event(&Event::StepEnded {
            step: record.step,
            effect: record.effect,
            detail: record.detail.clone(),
            dialog: record.dialog.clone(),
            millis: record.millis,
        })
    }

    pub(crate) fn end_episode(&mut self, outcome: EpisodeRecord) -> Result<(), RunDirError> {
        let episode = self.episode_number();
        self.event(&Event::EpisodeEnded { episode, outcome: outcome.clone() })?;
        self.episodes.push(outcome);
        Ok(())
    }

    /// Ends the run: sums it up and, if it is recorded, writes the summary and returns the folder.
    ///
    /// # Errors
    /// [`RunDirError`] if a file could not be written.
    pub fn finish(mut self) -> Result<(Summary, Option<PathBuf>), RunDirError> {
        let summary = self.summary();
        let path = self.dir.take().map(|dir| dir.finish(&summary)).transpose()?;
        Ok((summary, path))
    }

    fn summary(&self) -> Summary {
        let judged: Vec<bool> = self.episodes.iter().filter_map(|episode| episode.success).collect();
        let rewards: Vec<f64> = self.episodes.iter().filter_map(|episode| episode.reward).collect();
        let n_success = judged.iter().filter(|success| **success).count();
        let all_judged = !judged.is_empty() && judged.len() == self.episodes.len();
        Summary {
            success: all_judged.then_some(n_success == judged.len()),
            reward: (!rewards.is_empty()).then(|| rewards.iter().sum::<f64>() / rewards.len() as f64),
            terminated: !self.interrupted
                && !self.episodes.is_empty()
                && self.episodes.iter().all(|episode| episode.terminated),
            truncated: self.interrupted || self.episodes.iter().any(|episode| episode.truncated),
            n_steps: self.n_steps,
            err_msg: self
                .episodes
                .iter()
                .find_map(|episode| episode.err_msg.clone())
                .or_else(|| self.failure.clone()),
            timings: self.timings,
            tokens: self.tokens,
            n_episodes: judged.len(),
            n_success,
            success_wilson95: wilson95(n_success, judged.len()),
            wall_millis: Plain(millis(self.started.elapsed()).0.round()),
        }
    }
}

/// Writes what happens in a step while it happens.
pub(crate) struct Recorder<'a> {
    dir: Option<&'a mut RunDir>,
    step: usize,
    /// So far: a step that fails leaves what was said.
    said: GroundingRecord,
}

impl Watch for Recorder<'_> {
    fn observed(&mut self, before: &Screenshot) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        dir.image(self.step, "before.png", &before.pixels)?;
        let (width, height) = before.pixels.dimensions();
        dir.event(&Event::Observed { step: self.step, image_size: [width, height] })
    }

    fn turn_amended(&mut self, turn: &Turn) -> Result<(), RunDirError> {
        self.said.turns.pop();
        self.turn(turn)
    }

    fn turn(&mut self, turn: &Turn) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        let record = TurnRecord::from(turn);
        self.said.turns.push(record.clone());
        if let Some(pixels) = turn.crop.as_ref().and_then(|crop| crop.pixels.as_ref()) {
            let n_crops = self.said.turns.iter().filter(|turn| turn.crop.is_some()).count();
            dir.image(self.step, &format!("crop_{n_crops}.png"), pixels)?;
        }
        dir.json(self.step, "model.json", &self.said)?;
        let TurnRecord { completion, zoom, crop, thoughts, .. } = record;
        let turn = self.said.turns.len();
        dir.event(&Event::TurnEnded { step: self.step, turn, completion, zoom, crop, thoughts })
    }

    fn grounded(&mut self, groundings: &[Grounding]) -> Result<(), RunDirError> {
        let Some((dir, said)) = self.dir.as_mut().zip(GroundingRecord::of(groundings)) else { return Ok(()) };
        dir.json(self.step, "model.json", &said)
    }

    fn acting(&mut self, action: &Action) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        dir.event(&Event::Acting { step: self.step, action: action_record(action) })
    }

    fn tab_opened(&mut self, n_tabs: usize) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        dir.event(&Event::TabOpened { step: self.step, n_tabs })
    }
}
