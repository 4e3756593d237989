//! One episode: the steps of a task in order, until they are done, one cannot be done, or the world fails.
//!
//! Start reading here. Invariants: the reward is the judge's, asked after the steps; an episode in which the
//! world failed has an error message and no reward; a step without an answer ends the episode, and the judge
//! still gives the reward; unknown is never success, and neither is an episode with a step that was not done;
//! what a step sees at its end is what the next one starts from.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_geometry::{Rect, Screen};
use vigorl_interface::{Driver, Effect, MouseButton, Settled};
use vigorl_tasks::Verification;

use crate::judges::in_words;
use crate::leash::Held;
use crate::look::{look_again, wait_on};
use crate::run::Run;
use crate::step::{Agent, Deed, Hands, InVain, Intent, Seen, StepError, StepOutcome, Watch, run_step, timed};
use crate::steps::{Clocks, Steps};
use vigorl_runs::RunDirError;
use vigorl_runs::record::{
    ElementRecord, EpisodeRecord, Event, MapsRecord, StepRecord, Timings, action_record, box4, millis, xy,
};

/// A task: what to do, and who decides whether it was done.
pub struct Task<'a> {
    /// For people, usually the instruction.
    pub name: &'a str,
    /// What kind of episode this is, for tables.
    pub labels: BTreeMap<String, String>,
    /// Seed of the environment.
    pub seed: Option<u64>,
    /// What to do.
    pub steps: Steps,
    /// Steps that may be taken; `None` takes all.
    pub max_steps: Option<usize>,
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
    fn judge(&mut self, driver: &mut dyn Driver) -> Result<Verdict, Failure>;

    /// Whether a verdict can change without another action, as on a page that still waits for its server. It is
    /// then asked for again until the settle cap, unless it is [`Verification::Satisfied`].
    fn may_change(&self) -> bool {
        false
    }
}

/// Why a judge cannot be asked.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A task that nobody judges: its outcome is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Judge for Nobody {
    fn judge(&mut self, _driver: &mut dyn Driver) -> Result<Verdict, Failure> {
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
    let max_steps = task.max_steps.unwrap_or(usize::MAX);
    agent.leash.start();
    let mut progress = Progress { idx: 0, seen: None, in_vain: Vec::new(), clocks: Clocks::new(&task.steps) };
    while progress.idx < task.steps.len() && record.n_steps < max_steps {
        if agent.cancel.is_set() {
            record.truncated = true;
            break;
        }
        record.n_steps += 1;
        match episode_step(agent, task, record.n_steps == max_steps, &mut progress, &mut record, run) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
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

/// How far an episode has come.
struct Progress {
    /// The step to take.
    idx: usize,
    /// What the step before saw last.
    seen: Option<Seen>,
    in_vain: Vec<InVain>,
    clocks: Clocks,
}

/// Takes a step, asks the judge if it was the last one, and writes it down.
fn episode_step(
    agent: &mut Agent<'_>,
    task: &mut Task<'_>,
    is_last_allowed: bool,
    progress: &mut Progress,
    record: &mut EpisodeRecord,
    run: &mut Run,
) -> Result<ControlFlow<()>, StepError> {
    let idx = progress.idx;
    let limit = progress.clocks.begin(&task.steps, idx).map(|(until, limit)| (until, limit.clone()));
    agent.leash.begin_step(limit.as_ref().map(|(until, limit)| (*until, limit.time)));
    let intent = task.steps.intents[idx].clone();
    let instruction = describe(&intent);
    let clock = Instant::now();
    let (step, mut recorder) = run.start_step(&instruction)?;
    let starting = clock.elapsed();
    let mut outcome = run_step(agent, &intent, progress.seen.take(), &progress.in_vain, &mut recorder)?;
    outcome.times.record += starting;
    record.point = outcome.answer().map(xy).or(record.point);
    let expired = limit.filter(|_| outcome.held.is_some_and(Held::is_of_the_step)).map(|(_, limit)| limit);
    let next = task.steps.after(idx, outcome.is_done(), expired.as_ref());
    let next = next.filter(|next| *next < task.steps.len());
    // What is held back is not tried again, unless only its own time was over.
    let held_back = outcome.held.is_some() && expired.is_none();
    let over = held_back || is_last_allowed || next.is_none();
    let mut verification = outcome.checked.unwrap_or(Verification::Unknown);
    if outcome.cancelled {
        record.truncated = true;
    } else if over {
        match verdict_of(agent, &mut *task.judge, &mut recorder, &mut outcome)? {
            Ok(verdict) => {
                verification = verdict.verification;
                let is_last = task.steps.after(idx, true, None) == Some(task.steps.len());
                let undone = undone(agent.hands, is_last, &outcome);
                record.truncated = matches!(undone, Undone::OutOfSteps | Undone::AtLimit);
                settle_account(record, verdict, undone.in_words(idx, task.steps.len(), &outcome));
            }
            Err(error) => record.err_msg = Some(message(&*error)),
        }
    }
    let written = step_record(&outcome, instruction, step, run.episode_number(), verification);
    run.end_step(&written, &outcome)?;
    if task.steps.is_tried(idx) {
        remember(&mut progress.in_vain, &intent, &outcome);
    }
    let Some(next) = next.filter(|_| !over && !outcome.cancelled) else { return Ok(ControlFlow::Break(())) };
    (progress.idx, progress.seen) = (next, outcome.seen());
    Ok(ControlFlow::Continue(()))
}

/// Keeps what did nothing, the latest few.
fn remember(in_vain: &mut Vec<InVain>, intent: &Intent, outcome: &StepOutcome) {
    /// More are not likely to be met again, and each holds a screenshot.
    const MOST: usize = 8;
    let (Intent::At { target, deed }, Effect::SuspectedNoop) = (intent, outcome.effect) else { return };
    // Of a drag it is not known which end was wrong.
    if matches!(deed, Deed::DragTo { .. }) {
        return;
    }
    let Some((before, at)) = outcome.before.as_ref().zip(outcome.answer()) else { return };
    if in_vain.len() == MOST {
        in_vain.remove(0);
    }
    let screenshot = before.clone();
    in_vain.push(InVain { target: target.clone(), deed: deed.clone(), screenshot, at });
}

/// Asks the judge, and asks again while the verdict may still change; then the step's last look is at what the
/// judge saw.
fn verdict_of(
    agent: &mut Agent<'_>,
    judge: &mut dyn Judge,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Verdict, Failure>, StepError> {
    if agent.hands == Hands::Rest {
        return Ok(Nobody.judge(agent.driver));
    }
    let patient = judge.may_change() && outcome.acted_at.is_some();
    let mut ask = |agent: &mut Agent<'_>, outcome: &mut StepOutcome| {
        timed(&mut outcome.times.verify, || judge.judge(agent.driver))
    };
    let mut verdict = ask(agent, outcome);
    let mut waited = false;
    while patient
        && outcome.page.dialog.is_none()
        && verdict.as_ref().is_ok_and(|verdict| verdict.verification != Verification::Satisfied)
        && !agent.cancel.is_set()
        && wait_on(agent, watch, outcome)?
    {
        waited = true;
        verdict = ask(agent, outcome);
    }
    if waited {
        look_again(agent, watch, outcome)?;
    }
    Ok(verdict)
}

/// Why not every step of a task was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undone {
    Nothing,
    Refused,
    AtLimit,
    OutOfSteps,
    DryRun,
}

/// What is undone behind the last step that was taken, which may not be the task's last one.
fn undone(hands: Hands, is_last: bool, outcome: &StepOutcome) -> Undone {
    match hands {
        _ if outcome.held.is_some_and(Held::is_limit) => Undone::AtLimit,
        _ if !outcome.is_done() => Undone::Refused,
        _ if !is_last => Undone::OutOfSteps,
        Hands::Rest => Undone::DryRun,
        Hands::Act => Undone::Nothing,
    }
}

impl Undone {
    fn in_words(self, idx: usize, n: usize, outcome: &StepOutcome) -> Option<String> {
        let reason = outcome.detail.as_deref().unwrap_or("nothing was done");
        match self {
            Self::Nothing => None,
            Self::Refused | Self::AtLimit if n == 1 => Some(reason.to_owned()),
            Self::AtLimit => Some(format!("step {} of {n} was not done: {reason}", idx + 1)),
            Self::Refused => Some(format!("step {} of {n} was refused: {reason}", idx + 1)),
            Self::OutOfSteps => Some(format!("out of steps: {} of {n} were taken", idx + 1)),
            Self::DryRun => Some("dry run: nothing was done".to_owned()),
        }
    }
}

/// Writes the verdict into the episode. Clauses that hold although a step was not done are no success: they may
/// have held before, and what the step was for is not known to be there.
fn settle_account(record: &mut EpisodeRecord, verdict: Verdict, undone: Option<String>) {
    record.success = match verdict.verification {
        Verification::Satisfied => Some(undone.is_none()),
        Verification::Unsatisfied => Some(false),
        Verification::Unknown => None,
    };
    record.reward = verdict.reward;
    let words: Vec<String> = undone.into_iter().chain(verdict.detail).collect();
    record.detail = (!words.is_empty()).then(|| words.join("; "));
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
pub(crate) fn describe(intent: &Intent) -> String {
    match intent {
        Intent::At { target, deed } => match deed {
            Deed::Click { count: 2, .. } => format!("double click {target}"),
            Deed::Click { button: MouseButton::Right, .. } => format!("right click {target}"),
            Deed::Click { .. } => target.to_string(),
            Deed::Hover => format!("hover over {target}"),
            Deed::Scroll { dx_px, dy_px } => format!("scroll {target} by ({dx_px}, {dy_px})"),
            Deed::Select { option } => format!("select `{option}` in {target}"),
            Deed::Upload { files } => {
                let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                format!("upload {} to {target}", files.join(", "))
            }
            Deed::DragTo { target: to } => format!("drag {target} to {to}"),
        },
        Intent::Do(action) => action.map(|at| format!("({}, {})", at.x, at.y)).to_string(),
        Intent::Expect { clause, within, .. } if within.is_zero() => {
            format!("check that {}", in_words(clause))
        }
        Intent::Expect { clause, .. } => format!("wait until {}", in_words(clause)),
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
        place: outcome.place.map(box4),
        element: outcome
            .element
            .as_ref()
            .map(|found| ElementRecord { role: found.role.clone(), name: found.name.clone() }),
        action: outcome.action.as_ref().map(action_record),
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
    let viewport_from_screen = outcome
        .before
        .as_ref()
        .map_or([1.0, 1.0, 0.0, 0.0], |before| before.viewport_from_screen().coefficients());
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
