//! One episode: a plan's steps in a world, until the plan stops, a limit comes, or the world fails.
//!
//! Start reading here. Invariants: the reward is the judge's, asked after the last step; an episode in which the
//! world failed has an error message and no reward; a step that cannot be done ends the episode unless the plan goes on,
//! and the judge is still asked; unknown is never success; what a step sees at its end is what the next one starts from;
//! what goes wrong inside a page is recorded, and nothing is decided by it. What a plan does before its steps is not judged:
//! where it fails, the world has failed. What it does behind the judgement is done whatever became of the steps, unless
//! somebody breaks the episode off.

use std::time::{Duration, Instant};

use vigorl_interface::Trouble;
use vigorl_tasks::scripted::Phase;
use vigorl_tasks::{Allowance, Environment, Failure, Observation, Start, Verdict, Verification};

use crate::agent::{Agent, Hands};
use crate::error::{StepError, WatchError, message};
use crate::find::InVain;
use crate::look::{look_again, wait_on};
use crate::outcome::{Ending, Episode, StepOutcome};
use crate::plan::{Decide, Decision, Planned};
use crate::step::run_step;
use crate::timed::timed;
use crate::watch::Watch;

/// Plays one episode.
///
/// # Errors
/// [`WatchError`] if a watcher failed. A failure of the world, the plan or the policy is [`Ending::Error`].
pub fn run_episode(
    agent: &mut Agent<'_>,
    plan: &mut dyn Decide,
    env: &mut dyn Environment,
    seed: u64,
    watch: &mut dyn Watch,
) -> Result<Episode, WatchError> {
    // What is left of before is none of this episode's.
    troubles_of(env);
    let start = match env.reset(seed) {
        Ok(start) => start,
        Err(error) => {
            let episode = Episode::not_begun(message(&*error));
            watch.episode_ended(&episode)?;
            return Ok(episode);
        }
    };
    watch.episode_started(&start)?;
    plan.begin(&start);
    agent.senses.begin();
    agent.leash.start();
    let (steps, in_vain) = (Vec::new(), Vec::new());
    let mut course = Course { agent, plan, env, watch, steps, n_judged: 0, in_vain };
    let end = match course.play(&start) {
        Ok(end) => end,
        Err(StepError::Watch(error)) => return Err(error),
        Err(error) => End { ending: Ending::Error(message(&error)), verdict: None, undone: None },
    };
    let (end, left) = course.wind_up(end)?;
    let Course { agent, steps, watch, .. } = course;
    // At rest nothing is done on purpose, and the world was not asked.
    let verdict = end.verdict.filter(|_| agent.hands != Hands::Rest);
    let episode = Episode::new(start, steps, end.ending, verdict, end.undone, left);
    watch.episode_ended(&episode)?;
    Ok(episode)
}

/// An episode that is being played.
struct Course<'c, 'a> {
    agent: &'c mut Agent<'a>,
    plan: &'c mut dyn Decide,
    env: &'c mut dyn Environment,
    watch: &'c mut dyn Watch,
    /// What is over, without pictures.
    steps: Vec<StepOutcome>,
    /// How many of these came before what is done behind the judgement; 0 as long as that has not begun.
    n_judged: usize,
    in_vain: Vec<InVain>,
}

/// How an episode ended, and what was left undone.
struct End {
    ending: Ending,
    verdict: Option<Verdict>,
    undone: Option<String>,
}

impl End {
    /// What the task needs could not be done: that is no failure of what it would have judged.
    fn not_prepared(undone: Option<String>) -> Self {
        let why = undone.unwrap_or_default();
        let ending = Ending::Error(format!("`before` failed, so the task was not begun: {why}"));
        Self { ending, verdict: None, undone: None }
    }
}

/// What is to be seen, and how long it took to look.
type Seen = (Observation, Duration);

/// What comes behind a step: the next one, or the end.
type Next = Result<(Planned, Seen), End>;

/// Whether the episode is over behind a step.
enum Over {
    Not(Box<Planned>),
    Cancelled,
    Yes(Undone, Option<String>),
    /// A judge who is asked behind every step has said so, or a limit came.
    Judged(Ending, Verdict),
    /// The plan itself failed.
    Failed(StepError),
}

impl Course<'_, '_> {
    fn play(&mut self, start: &Start) -> Result<End, StepError> {
        let cancelled = || End { ending: Ending::Cancelled, verdict: None, undone: None };
        let mut seen = self.observe()?;
        let mut planned = match self.plan.next(&seen.0, &self.steps) {
            Err(StepError::Plan(error)) => {
                let undone = Undone::Unplanned(error.to_string()).in_words(None, 0, "");
                if self.plan.phase() == Phase::Before {
                    return Ok(End::not_prepared(undone));
                }
                let verdict = Some(self.ask(None)?);
                return Ok(End { ending: Ending::Judged, verdict, undone });
            }
            planned => planned?,
        };
        loop {
            if self.agent.cancel.is_set() {
                return Ok(cancelled());
            }
            if let Decision::Stop(answer) = &planned.decision {
                // Only a plan without any step comes here.
                let verdict = self.ask(answer.as_deref())?;
                return Ok(End { ending: Ending::Judged, verdict: Some(verdict), undone: None });
            }
            match self.step(planned, seen, start.max_steps)? {
                Ok(next) => (planned, seen) = next,
                Err(end) => return Ok(end),
            }
        }
    }

    /// Does what the plan has to do behind the judgement: the end, and what of it failed.
    fn wind_up(&mut self, end: End) -> Result<(End, Option<String>), WatchError> {
        if !self.plan.wind_up() {
            return Ok((end, None));
        }
        let broken_off = || {
            let undone = Some("interrupted, so `after` was not played to its end".to_owned());
            Ok((End { ending: Ending::Cancelled, verdict: None, undone }, None))
        };
        if self.agent.cancel.is_set() || end.ending == Ending::Cancelled {
            return broken_off();
        }
        let why = match self.tidy() {
            Ok(End { ending: Ending::Cancelled, .. }) => return broken_off(),
            Ok(End { undone, .. }) => undone,
            Err(StepError::Watch(error)) => return Err(error),
            Err(error) => Some(message(&error)),
        };
        Ok((end, why.map(|why| format!("`after` failed: {why}"))))
    }

    /// Takes the steps behind the judgement.
    fn tidy(&mut self) -> Result<End, StepError> {
        // With limits of its own: what has used up those of the episode must not stay as it is for want of them.
        self.agent.leash.start();
        self.n_judged = self.steps.len();
        let mut seen = self.observe()?;
        let mut planned = match self.plan.next(&seen.0, &[]) {
            Err(StepError::Plan(error)) => {
                let undone = Undone::Unplanned(error.to_string()).in_words(None, 0, "");
                return Ok(End { ending: Ending::Judged, verdict: None, undone });
            }
            planned => planned?,
        };
        loop {
            if self.agent.cancel.is_set() {
                return Ok(End { ending: Ending::Cancelled, verdict: None, undone: None });
            }
            match self.step(planned, seen, None)? {
                Ok(next) => (planned, seen) = next,
                Err(end) => return Ok(end),
            }
        }
    }

    fn observe(&mut self) -> Result<Seen, StepError> {
        let clock = Instant::now();
        let seen = self.env.observe()?;
        Ok((seen, clock.elapsed()))
    }

    /// Takes a step, asks the judge if it was the last one, and tells the watcher.
    fn step(&mut self, planned: Planned, seen: Seen, max_steps: Option<usize>) -> Result<Next, StepError> {
        let phase = self.plan.phase();
        self.agent.leash.begin_step(planned.limit);
        let clock = Instant::now();
        self.watch.step_started(&planned.decision.to_string())?;
        let starting = clock.elapsed();
        let mut outcome = run_step(self.agent, self.env, &planned, seen, &self.in_vain, self.watch)?;
        outcome.times.record += starting;
        if let Some(after) = &outcome.after {
            self.agent.senses.saw(after);
        }
        let mut verification = outcome.checked.unwrap_or(Verification::Unknown);
        self.steps.push(outcome);
        let over = if planned.is_judged { self.is_judged(max_steps)? } else { self.is_over(max_steps) };
        let Some(mut outcome) = self.steps.pop() else { unreachable!("it was just pushed") };
        let end = match &over {
            Over::Not(_) | Over::Failed(_) => None,
            Over::Cancelled => Some(End { ending: Ending::Cancelled, verdict: None, undone: None }),
            Over::Judged(ending, verdict) => {
                verification = verdict.verification;
                Some(End { ending: ending.clone(), verdict: Some(verdict.clone()), undone: None })
            }
            Over::Yes(undone, _) if !undone.is_judged_in(self.phase_of(undone, phase)) => {
                let reason = outcome.detail.as_deref().unwrap_or("nothing was done");
                let left = undone.in_words(planned.number, self.n_before(), reason);
                Some(match self.phase_of(undone, phase) {
                    Phase::Before => End::not_prepared(left),
                    Phase::Steps | Phase::After => {
                        let undone = left.filter(|_| *undone != Undone::DryRun);
                        End { ending: Ending::Judged, verdict: None, undone }
                    }
                })
            }
            Over::Yes(undone, answer) => {
                let end = match self.judge(answer.as_deref(), &mut outcome)? {
                    Ok(verdict) => {
                        verification = verdict.verification;
                        let reason = outcome.detail.as_deref().unwrap_or("nothing was done");
                        let left = undone.in_words(planned.number, self.n_before(), reason);
                        End { ending: undone.ending(&outcome), verdict: Some(verdict), undone: left }
                    }
                    Err(error) => {
                        End { ending: Ending::Error(message(&*error)), verdict: None, undone: None }
                    }
                };
                Some(end)
            }
        };
        outcome.tell_status();
        outcome.troubles = timed(&mut outcome.times.record, || troubles_of(self.env));
        self.watch.step_ended(&outcome, verification)?;
        if let (true, Decision::Act(act)) = (planned.is_tried, &planned.decision) {
            InVain::remember(&mut self.in_vain, act, &outcome);
        }
        let fresh = outcome.seen();
        self.steps.push(outcome.without_pictures());
        match (over, end) {
            (_, Some(end)) => Ok(Err(end)),
            (Over::Not(next), None) => {
                let seen = fresh.map_or_else(|| self.observe(), |seen| Ok((seen, Duration::ZERO)))?;
                Ok(Ok((*next, seen)))
            }
            (Over::Failed(error), None) => Err(error),
            (Over::Cancelled | Over::Yes(..) | Over::Judged(..), None) => {
                unreachable!("what is over has an end")
            }
        }
    }

    /// What a step that is the last one belongs to: what could not be planned belongs to what was to come.
    fn phase_of(&self, undone: &Undone, phase: Phase) -> Phase {
        if matches!(undone, Undone::Unplanned(_)) { self.plan.phase() } else { phase }
    }

    /// Steps before the latest one, which is not among them while it is looked at, of those that hang together.
    fn n_before(&self) -> usize {
        self.steps.len() - self.n_judged
    }

    /// Whether the episode is over behind the latest step; otherwise what comes next.
    fn is_over(&mut self, max_steps: Option<usize>) -> Over {
        let Some(last) = self.steps.last() else { unreachable!("a step was taken") };
        if last.cancelled {
            return Over::Cancelled;
        }
        // What is held back is not tried again, unless only its own time was over.
        if let Some(held) = last.held.filter(|held| !held.is_of_the_step()) {
            return Over::Yes(if held.is_limit() { Undone::AtLimit } else { Undone::Refused }, None);
        }
        let refused = (!last.is_done()).then_some(Undone::Refused);
        let next = match self.plan.next(&last.shown(), &self.steps[self.n_judged..]) {
            Ok(next) => next,
            // What was read decides whether a step can be filled in, so that is no failure of the world.
            Err(StepError::Plan(error)) => {
                return Over::Yes(refused.unwrap_or_else(|| Undone::Unplanned(error.to_string())), None);
            }
            Err(error) => return Over::Failed(error),
        };
        match next.decision {
            Decision::Stop(answer) => {
                let rests = (self.agent.hands == Hands::Rest).then_some(Undone::DryRun);
                let refused = refused.filter(|_| !next.is_complete);
                Over::Yes(refused.or(rests).unwrap_or(Undone::Nothing), answer)
            }
            _ if max_steps.is_some_and(|most| self.steps.len() >= most) => {
                Over::Yes(refused.unwrap_or(Undone::OutOfSteps), None)
            }
            _ => Over::Not(Box::new(next)),
        }
    }

    /// Whether the episode is over behind the latest step, of a plan that the judge or a limit ends: the judge is asked
    /// once, and nobody waits for the world.
    fn is_judged(&mut self, max_steps: Option<usize>) -> Result<Over, StepError> {
        let Some(last) = self.steps.last() else { unreachable!("a step was taken") };
        if last.cancelled {
            return Ok(Over::Cancelled);
        }
        let limit = match last.held {
            // A conversation that ran out of tokens has no action, and neither have those behind it.
            None if is_cut(last) => Some(Ending::TokenLimit),
            None if max_steps.is_some_and(|most| self.steps.len() >= most) => Some(Ending::StepLimit),
            None => None,
            Some(held) if held.is_limit() => Some(Ending::StepLimit),
            Some(_) => Some(Ending::Judged),
        };
        let verdict = self.ask(None)?;
        if verdict.is_final || verdict.verification == Verification::Satisfied {
            return Ok(Over::Judged(Ending::Judged, verdict));
        }
        if let Some(limit) = limit {
            return Ok(Over::Judged(limit, verdict));
        }
        let Some(last) = self.steps.last() else { unreachable!("a step was taken") };
        let next = self.plan.next(&last.shown(), &self.steps)?;
        Ok(match next.decision {
            Decision::Stop(_) => Over::Judged(Ending::Judged, verdict),
            _ => Over::Not(Box::new(next)),
        })
    }

    /// Asks the judge once.
    fn ask(&mut self, answer: Option<&str>) -> Result<Verdict, Failure> {
        if self.agent.hands == Hands::Rest {
            return Ok(Verdict::UNKNOWN);
        }
        let cancel = self.agent.cancel;
        let allowance = Allowance { until: None, is_cancelled: &|| cancel.is_set() };
        self.env.judge(answer, self.agent.senses, &allowance)
    }

    /// Asks the judge, and asks again while the verdict may still change; then the step's last look is at what the
    /// judge saw.
    fn judge(
        &mut self,
        answer: Option<&str>,
        outcome: &mut StepOutcome,
    ) -> Result<Result<Verdict, Failure>, StepError> {
        let mut verdict = timed(&mut outcome.times.verify, || self.ask(answer));
        let may_come = |verdict: &Result<Verdict, Failure>| {
            verdict.as_ref().is_ok_and(|said| said.may_change && said.verification != Verification::Satisfied)
        };
        let mut waited = false;
        while outcome.acted_at.is_some()
            && outcome.page.dialog.is_none()
            && may_come(&verdict)
            && !self.agent.cancel.is_set()
            && wait_on(self.agent, self.env, self.watch, outcome)?
        {
            waited = true;
            verdict = timed(&mut outcome.times.verify, || self.ask(answer));
        }
        if waited {
            look_again(self.agent, self.env, self.watch, outcome)?;
        }
        Ok(verdict)
    }
}

/// What has gone wrong inside the pages since the last call.
fn troubles_of(env: &mut dyn Environment) -> Vec<Trouble> {
    env.driver().map(|driver| driver.troubles()).unwrap_or_default()
}

/// Whether tokens ran out before there was an answer.
fn is_cut(outcome: &StepOutcome) -> bool {
    outcome.sightings.iter().any(|sighting| sighting.grounding.out_of_tokens())
}

/// Why not every step of a plan was done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Undone {
    Nothing,
    Refused,
    /// The step behind it cannot be known.
    Unplanned(String),
    AtLimit,
    OutOfSteps,
    DryRun,
}

impl Undone {
    /// Whether the judge is asked behind it. What comes before the steps is never judged where something of it is undone.
    fn is_judged_in(&self, phase: Phase) -> bool {
        match phase {
            Phase::Before => matches!(self, Self::Nothing | Self::DryRun),
            Phase::Steps => true,
            Phase::After => false,
        }
    }

    fn ending(&self, last: &StepOutcome) -> Ending {
        match self {
            Self::AtLimit | Self::OutOfSteps => Ending::StepLimit,
            Self::Refused if is_cut(last) => Ending::TokenLimit,
            Self::Nothing | Self::Refused | Self::Unplanned(_) | Self::DryRun => Ending::Judged,
        }
    }

    /// In words; `n_before` steps were taken before the last one, which the plan may have numbered.
    fn in_words(&self, number: Option<(usize, usize)>, n_before: usize, reason: &str) -> Option<String> {
        let (nth, of_all) = match number {
            Some((idx, n)) => (idx + 1, format!(" of {n}")),
            None => (n_before + 1, String::new()),
        };
        match self {
            Self::Nothing => None,
            Self::Refused | Self::AtLimit if matches!(number, Some((_, 1))) => Some(reason.to_owned()),
            Self::AtLimit => Some(format!("step {nth}{of_all} was not done: {reason}")),
            Self::Refused => Some(format!("step {nth}{of_all} was refused: {reason}")),
            Self::Unplanned(why) => Some(format!("the next step cannot be taken: {why}")),
            Self::OutOfSteps => Some(format!("out of steps: {nth}{of_all} were taken")),
            Self::DryRun => Some("dry run: nothing was done".to_owned()),
        }
    }
}
