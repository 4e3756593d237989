//! A run: episodes one after the other, recorded as they happen, summed up at the end.
//!
//! A run watches episodes; the loop knows nothing of it. Invariant: whatever ends a run, its summary says how far it
//! came. Without an output folder nothing is written and everything else is the same, so that an evaluation measures
//! what a recorded run does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_agent::{Episode, Sighting, StepOutcome, Watch, WatchError, Watched};
use vigorl_interface::{Action, Screenshot};
use vigorl_policy::Turn;
use vigorl_tasks::scripted::Secret;
use vigorl_tasks::{Start, Verification};

use crate::interval::wilson95;
use crate::record::{
    ElementRecord, EpisodeRecord, Event, GroundingRecord, LineRecord, MapsRecord, Plain, ReadingRecord,
    RunRecord, StepRecord, Summary, TextRecord, Timings, TokensRecord, TurnRecord, action_record, box4,
    millis, xy,
};
use crate::run_dir::{RunDir, RunDirError};
use crate::totals::{Judged, Totals};
use crate::troubles::told;

/// An ongoing run.
#[derive(Debug)]
pub struct Run {
    dir: Option<RunDir>,
    started: Instant,
    episodes: Vec<EpisodeRecord>,
    totals: Totals,
    interrupted: bool,
    failure: Option<String>,
    /// Steps begun in this episode.
    n_of_episode: usize,
    step_started: Instant,
    /// So far: a step that fails leaves what was said.
    said: GroundingRecord,
    /// Reads all of every screenshot, where that is recorded.
    reader: Option<Box<dyn ReadTexts>>,
    /// What was read in this step.
    texts: TextRecord,
    /// Whether what a step reads is written down.
    tells_values: bool,
    costs: Vec<StepCost>,
}

/// Reads the text of screenshots, for a record.
pub trait ReadTexts: std::fmt::Debug + Send {
    /// All lines of a picture.
    ///
    /// # Errors
    /// Why this picture cannot be read, which is recorded.
    fn lines(&mut self, picture: &RgbImage) -> Result<Vec<LineRecord>, String>;
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
            episodes: Vec::new(),
            totals: Totals::default(),
            interrupted: false,
            failure: None,
            n_of_episode: 0,
            step_started: Instant::now(),
            said: GroundingRecord::default(),
            reader: None,
            texts: TextRecord::default(),
            tells_values: true,
            costs: Vec::new(),
        }
    }

    /// The same run, whose record has all text of every screenshot.
    #[must_use]
    pub fn with_all_texts(self, reader: Box<dyn ReadTexts>) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// The same run, whose record names the variable instead of what a step reads into it.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self { tells_values: false, ..self }
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

    /// Notes that the world failed where no episode is recorded.
    ///
    /// # Errors
    /// [`WatchError`] if that cannot be written.
    pub fn fail(&mut self, error: &str) -> Watched {
        self.failure.get_or_insert(error.to_owned());
        self.event(&Event::RunFailed { err_msg: error.to_owned() })
    }

    /// Where the time of all steps so far went.
    pub fn timings(&self) -> Timings {
        self.totals.timings
    }

    /// What each finished step took.
    pub fn costs(&self) -> &[StepCost] {
        &self.costs
    }

    /// Tokens of all steps so far.
    pub fn tokens(&self) -> TokensRecord {
        self.totals.tokens
    }

    /// Zooms of all steps so far.
    pub fn n_zooms(&self) -> usize {
        self.totals.n_zooms
    }

    fn event(&mut self, event: &Event) -> Watched {
        match &mut self.dir {
            Some(dir) => kept(dir.event(event)),
            None => Ok(()),
        }
    }

    fn episode_number(&self) -> usize {
        self.episodes.len() + 1
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

    /// Reads a screenshot of this step, where that is recorded.
    fn read(&mut self, picture: &RgbImage) -> Option<ReadingRecord> {
        let reader = self.reader.as_mut().filter(|_| self.dir.is_some())?;
        let (lines, unread) = match reader.lines(picture) {
            Ok(lines) => (lines, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        Some(ReadingRecord { lines, unread })
    }

    fn write_texts(&mut self) -> Result<(), RunDirError> {
        match &mut self.dir {
            Some(dir) if self.reader.is_some() => dir.texts(self.totals.n_steps, self.texts.clone()),
            _ => Ok(()),
        }
    }

    fn write_turn(&mut self, turn: &Turn) -> Result<(), RunDirError> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        let record = TurnRecord::from(turn);
        self.said.turns.push(record.clone());
        if let Some(pixels) = turn.crop.as_ref().and_then(|crop| crop.pixels.as_ref()) {
            let n_crops = self.said.turns.iter().filter(|turn| turn.crop.is_some()).count();
            dir.image(self.totals.n_steps, &format!("crop_{n_crops}.png"), pixels)?;
        }
        dir.json(self.totals.n_steps, "model.json", &self.said)?;
        let TurnRecord { completion, zoom, crop, thoughts, .. } = record;
        let turn = self.said.turns.len();
        dir.event(&Event::TurnEnded { step: self.totals.n_steps, turn, completion, zoom, crop, thoughts })
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
        let Judged { n, n_success, reward } = Judged::of(&self.episodes);
        let all_judged = n > 0 && n == self.episodes.len();
        Summary {
            success: all_judged.then_some(n_success == n),
            reward,
            terminated: !self.interrupted
                && !self.episodes.is_empty()
                && self.episodes.iter().all(|episode| episode.terminated),
            truncated: self.interrupted || self.episodes.iter().any(|episode| episode.truncated),
            n_steps: self.totals.n_steps,
            err_msg: self
                .episodes
                .iter()
                .find_map(|episode| episode.err_msg.clone())
                .or_else(|| self.failure.clone()),
            timings: self.totals.timings,
            tokens: self.totals.tokens,
            n_episodes: self.episodes.len(),
            n_judged: Some(n),
            n_success,
            success_wilson95: wilson95(n_success, n),
            wall_millis: Plain(millis(self.started.elapsed()).0.round()),
        }
    }
}

/// What could not be written ends the episode.
fn kept(written: Result<(), RunDirError>) -> Watched {
    written.map_err(|error| WatchError(error.into()))
}

impl Watch for Run {
    fn episode_started(&mut self, start: &Start) -> Watched {
        self.n_of_episode = 0;
        self.event(&Event::EpisodeStarted {
            episode: self.episode_number(),
            name: start.goal.clone(),
            labels: start.labels.clone(),
            seed: start.seed,
        })
    }

    fn step_started(&mut self, instruction: &str) -> Watched {
        self.totals.n_steps += 1;
        self.n_of_episode += 1;
        self.step_started = Instant::now();
        (self.said, self.texts) = (GroundingRecord::default(), TextRecord::default());
        let (step, episode) = (self.totals.n_steps, self.episode_number());
        self.event(&Event::StepStarted { step, episode, instruction: instruction.to_owned() })
    }

    fn observed(&mut self, before: &Screenshot) -> Watched {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        let (width, height) = before.pixels.dimensions();
        kept(dir.image(self.totals.n_steps, "before.png", &before.pixels))?;
        kept(dir.event(&Event::Observed { step: self.totals.n_steps, image_size: [width, height] }))?;
        self.texts.before = self.read(&before.pixels);
        kept(self.write_texts())
    }

    fn turn(&mut self, turn: &Turn) -> Watched {
        kept(self.write_turn(turn))
    }

    fn turn_amended(&mut self, turn: &Turn) -> Watched {
        self.said.turns.pop();
        self.turn(turn)
    }

    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        let said = GroundingRecord::of(sightings);
        // A place that the task names is found without a word.
        let said = said.filter(|said| !said.turns.is_empty());
        let Some((dir, said)) = self.dir.as_mut().zip(said) else { return Ok(()) };
        kept(dir.json(self.totals.n_steps, "model.json", &said))
    }

    fn acting(&mut self, action: &Action) -> Watched {
        self.event(&Event::Acting { step: self.totals.n_steps, action: action_record(action) })
    }

    fn tab_opened(&mut self, n_tabs: usize) -> Watched {
        self.event(&Event::TabOpened { step: self.totals.n_steps, n_tabs })
    }

    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        if let (Some(dir), Some((name, value))) = (&mut self.dir, &outcome.read) {
            dir.hide_value(name, value, self.tells_values);
        }
        if let Some(after) = &outcome.after {
            self.texts.after = self.read(&after.pixels);
            kept(self.write_texts())?;
        }
        let mut record = step_record(outcome, self.totals.n_steps, self.episode_number(), verification);
        if let Some(dir) = &self.dir {
            (record.troubles, record.n_more_troubles) = told(&outcome.troubles, |text| dir.hidden_text(text));
        }
        self.totals.add_time(&record.millis);
        if let Some(said) = GroundingRecord::of(&outcome.sightings) {
            self.totals.add_said(&said);
        }
        kept(self.write_step(&record, outcome))?;
        let wall_millis = millis(self.step_started.elapsed()).0;
        self.costs.push(StepCost { wall_millis, parts: record.millis });
        Ok(())
    }

    fn episode_ended(&mut self, episode: &Episode) -> Watched {
        if let (None, Some(error)) = (&episode.start, episode.error()) {
            return self.fail(error);
        }
        let record = episode_record(episode, self.n_of_episode);
        self.event(&Event::EpisodeEnded { episode: self.episode_number(), outcome: record.clone() })?;
        self.episodes.push(record);
        Ok(())
    }
}

fn episode_record(episode: &Episode, n_steps: usize) -> EpisodeRecord {
    EpisodeRecord {
        success: episode.success,
        reward: episode.reward,
        terminated: !episode.is_truncated() && episode.error().is_none(),
        truncated: episode.is_truncated(),
        n_steps,
        err_msg: episode.error().map(str::to_owned),
        detail: episode.detail.clone(),
        target: episode.start.as_ref().and_then(|start| start.target).map(box4),
        point: episode.point().map(xy),
    }
}

fn step_record(outcome: &StepOutcome, step: usize, episode: usize, verification: Verification) -> StepRecord {
    let size = outcome.before.as_ref().map_or((0, 0), |before| before.pixels.dimensions());
    let both = outcome.before.is_some() && outcome.after.is_some();
    let element = outcome.element.as_ref();
    StepRecord {
        step,
        episode,
        instruction: outcome.instruction.clone(),
        place: outcome.place.map(box4),
        element: element.map(|found| ElementRecord { role: found.role.clone(), name: found.name.clone() }),
        finding: outcome.finding().map(str::to_owned),
        action: outcome.action.as_ref().map(action_record),
        effect: outcome.effect,
        detail: outcome.detail.clone(),
        verification,
        image_size: [size.0, size.1],
        n_changed_pixels: both.then(|| outcome.change.map_or(0, |change| change.n_pixels)),
        url: outcome.page.url.clone(),
        title: outcome.page.title.clone(),
        dialog: outcome.page.dialog.clone(),
        settled: outcome.settled.is_over(),
        troubles: Vec::new(),
        n_more_troubles: 0,
        maps: maps(outcome),
        millis: timings(outcome),
    }
}

fn turns(outcome: &StepOutcome) -> impl Iterator<Item = &Turn> {
    outcome.sightings.iter().flat_map(|sighting| &sighting.grounding.turns)
}

fn maps(outcome: &StepOutcome) -> MapsRecord {
    let viewport_from_screen = outcome
        .before
        .as_ref()
        .map_or([1.0, 1.0, 0.0, 0.0], |before| before.viewport_from_screen().coefficients());
    let crops = turns(outcome).filter_map(|turn| turn.crop.as_ref());
    MapsRecord {
        viewport_from_screen,
        crop_from_screen: crops.map(|crop| crop.plan.crop_from_screen.coefficients()).collect(),
    }
}

fn timings(outcome: &StepOutcome) -> Timings {
    let sum = |of: fn(&Turn) -> Duration| turns(outcome).map(of).sum::<Duration>();
    let vision = sum(|turn| turn.completion.vision);
    let prefill = sum(|turn| turn.completion.prefill);
    let decode = sum(|turn| turn.completion.decode);
    let times = &outcome.times;
    Timings {
        capture: millis(times.capture),
        vision: millis(vision),
        prefill: millis(prefill),
        decode: millis(decode),
        protocol: millis(times.grounding.saturating_sub(vision + prefill + decode)),
        act: millis(times.act),
        settle: millis(times.settle),
        verify: millis(times.verify),
        record: millis(times.record),
    }
}
