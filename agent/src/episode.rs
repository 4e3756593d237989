//! One episode: the steps of a task in order, until they are done, one cannot be done, or the world fails.
//!
//! Start reading here. Invariants: the reward is the judge's, asked after the steps; an episode in which the
//! world failed has an error message and no reward; a step without an answer ends the episode, and the judge
//! still decides; unknown is never success; what a step sees at its end is what the next one starts from.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use vigorl_geometry::{Rect, Screen};
use vigorl_interface::{Driver, Settled};

use crate::effect::Verification;
use crate::record::{
    ActionRecord, EpisodeRecord, Event, GroundingRecord, MapsRecord, StepRecord, Timings, box4, millis, xy,
};
use crate::run::Run;
use crate::run_dir::RunDirError;
use crate::step::{Agent, Intent, Seen, StepError, StepOutcome, run_step};

/// A task: what to do, and who decides whether it was done.
pub struct Task<'a> {
    /// For people, usually the instruction.
    pub name: &'a str,
    /// What kind of episode this is, for tables.
    pub labels: BTreeMap<String, String>,
    /// Seed of the environment.
    pub seed: Option<u64>,
    /// The steps in order; the policy sees each target's description and nothing else.
    pub steps: Vec<Intent>,
    /// The box that should be hit, for the report; the policy never sees it.
    pub target: Option<Rect<Screen>>,
    /// Decides.
    pub judge: &'a mut dyn Judge,
}

impl std::fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("name", &self.name).field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// Says whether a task is done, by looking at the world.
pub trait Judge {
    /// The verdict after the last step that was taken.
    ///
    /// # Errors
    /// If the world failed or does not answer: then there is no reward.
    fn judge(&mut self, driver: &mut dyn Driver) -> Result<Verdict, Box<dyn Error + Send + Sync>>;
}

/// A task that nobody judges: its outcome is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Judge for Nobody {
    fn judge(&mut self, _driver: &mut dyn Driver) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        Ok(Verdict { verification: Verification::Unknown, reward: None, detail: None })
    }
}

/// What a judge says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether the goal holds.
    pub verification: Verification,
    /// The reward; none if the goal cannot be judged.
    pub reward: Option<f64>,
    /// In words.
    pub detail: Option<String>,
}

/// Runs one episode and records it in `run`.
///
/// # Errors
/// [`RunDirError`] if the record cannot be written. A failure of the world or of the policy is
/// [`EpisodeRecord::err_msg`].
pub fn run_episode(
    agent: &mut Agent<'_>,
    task: &mut Task<'_>,
    run: &mut Run,
) -> Result<EpisodeRecord, RunDirError> {
    run.event(&Event::EpisodeStarted {
        episode: run.episode_number(),
        name: task.name.to_owned(),
        labels: task.labels.clone(),
        seed: task.seed,
    })?;
    let mut record = EpisodeRecord { target: task.target.map(box4), ..EpisodeRecord::default() };
    let n_steps = task.steps.len();
    let mut seen = None;
    for idx in 0..n_steps {
        if agent.cancel.is_set() {
            record.truncated = true;
            break;
        }
        let place = if idx + 1 == n_steps { Place::Last } else { Place::Before };
        record.n_steps += 1;
        match episode_step(agent, task, idx, place, seen.take(), &mut record, run) {
            Ok(Next::Step(last)) => seen = last,
            Ok(Next::End) => break,
            Err(StepError::Record(error)) => return Err(error),
            Err(error) => {
                record.err_msg = Some(message(&error));
                break;
            }
        }
    }
    record.terminated = !record.truncated && record.err_msg.is_none();
    run.end_episode(record.clone())?;
    Ok(record)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Last,
}

enum Next {
    Step(Option<Seen>),
    End,
}

/// Takes step `idx`, asks the judge if it was the last one, and writes it down.
fn episode_step(
    agent: &mut Agent<'_>,
    task: &mut Task<'_>,
    idx: usize,
    place: Place,
    seen: Option<Seen>,
    record: &mut EpisodeRecord,
    run: &mut Run,
) -> Result<Next, StepError> {
    let intent = task.steps[idx].clone();
    let instruction = describe(&intent);
    let clock = Instant::now();
    let (step, mut recorder) = run.start_step(&instruction)?;
    let starting = clock.elapsed();
    let outcome = run_step(agent, &intent, seen, &mut recorder)?;
    let clock = Instant::now();
    record.point = outcome.answer().map(xy).or(record.point);
    let over = outcome.action.is_none() || place == Place::Last;
    let mut verification = Verification::Unknown;
    if outcome.cancelled {
        record.truncated = true;
    } else if over {
        match task.judge.judge(agent.driver) {
            Ok(verdict) => {
                verification = verdict.verification;
                settle_account(record, verdict, &outcome);
            }
            Err(error) => record.err_msg = Some(message(&*error)),
        }
    }
    let judging = clock.elapsed();
    let mut written = step_record(&outcome, instruction, step, run.episode_number(), verification);
    written.millis.verify.0 += millis(judging).0;
    written.millis.record.0 += millis(starting).0;
    run.end_step(&written, &outcome)?;
    Ok(if over || outcome.cancelled { Next::End } else { Next::Step(outcome.seen()) })
}

/// Writes the verdict into the episode.
fn settle_account(record: &mut EpisodeRecord, verdict: Verdict, outcome: &StepOutcome) {
    record.success = match verdict.verification {
        Verification::Satisfied => Some(true),
        Verification::Unsatisfied => Some(false),
        Verification::Unknown => None,
    };
    record.reward = verdict.reward;
    record.detail = verdict.detail.or_else(|| outcome.detail.clone());
}

/// The error and its causes.
fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Transparent wrappers repeat their cause.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// What a step is to do, in words.
fn describe(intent: &Intent) -> String {
    use crate::step::Deed;
    match intent {
        Intent::At { target, deed } => match deed {
            Deed::Click { .. } => target.clone(),
            Deed::Hover => format!("hover over {target}"),
            Deed::Scroll { dx_px, dy_px } => format!("scroll {target} by ({dx_px}, {dy_px})"),
            Deed::DragTo { target: to } => format!("drag {target} to {to}"),
        },
        Intent::Do(action) => match ActionRecord::from(action) {
            ActionRecord::Type { text } => format!("type {text:?}"),
            ActionRecord::Press { chord } => format!("press {chord}"),
            ActionRecord::Navigate { url } => format!("open {url}"),
            ActionRecord::Back => "go back".to_owned(),
            other => format!("{other:?}"),
        },
    }
}

fn step_record(
    outcome: &StepOutcome,
    instruction: String,
    step: usize,
    episode: usize,
    verification: Verification,
) -> StepRecord {
    let size = outcome.before.as_ref().map_or((0, 0), |before| before.pixels.dimensions());
    let both = outcome.before.is_some() && outcome.after.is_some();
    StepRecord {
        step,
        episode,
        instruction,
        action: outcome.action.as_ref().map(ActionRecord::from),
        effect: outcome.effect,
        detail: outcome.detail.clone(),
        verification,
        image_size: [size.0, size.1],
        n_changed_pixels: both.then(|| outcome.change.map_or(0, |change| change.n_pixels)),
        url: outcome.page.url.clone(),
        title: outcome.page.title.clone(),
        dialog: outcome.page.dialog.clone(),
        settled: matches!(outcome.settled, Settled::Quiet { .. }),
        maps: maps(outcome),
        millis: timings(outcome),
    }
}

fn maps(outcome: &StepOutcome) -> MapsRecord {
    let viewport_from_screen = outcome.before.as_ref().map_or([1.0, 1.0, 0.0, 0.0], |before| {
        before.device_pixel_ratio.viewport_from_screen().coefficients()
    });
    let turns = outcome.groundings.iter().flat_map(|grounding| &grounding.turns);
    let crops = turns.filter_map(|turn| turn.crop.as_ref());
    MapsRecord {
        viewport_from_screen,
        crop_from_screen: crops.map(|crop| crop.plan.crop_from_screen.coefficients()).collect(),
    }
}

fn timings(outcome: &StepOutcome) -> Timings {
    let turns = || outcome.groundings.iter().flat_map(|grounding| &grounding.turns);
    let vision: Duration = turns().map(|turn| turn.completion.vision).sum();
    let prefill: Duration = turns().map(|turn| turn.completion.prefill).sum();
    let decode: Duration = turns().map(|turn| turn.completion.decode).sum();
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

impl GroundingRecord {
    /// The record of what was said in one step; `None` if nothing was asked.
    ///
    /// With two things to find (a drag), the turns of both are listed and the answer is the first one's.
    pub(crate) fn of(groundings: &[vigorl_policy::Grounding]) -> Option<Self> {
        let mut record = Self::from(groundings.first()?);
        for further in groundings[1..].iter().map(Self::from) {
            record.turns.extend(further.turns);
            record.malformed = record.malformed.or(further.malformed);
        }
        Some(record)
    }
}
