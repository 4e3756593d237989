//! Who decides what is done next: a script, or whoever else implements [`Decide`].
//!
//! Invariant: a plan is asked after every step and knows what became of it; it acts on nothing itself.

use std::fmt;
use std::time::{Duration, Instant};

use vigorl_interface::{Act, Effect, MouseButton};
use vigorl_tasks::scripted::{Clause, Deadline, Ended, Phase, ReadStep, Script, Target, What};
use vigorl_tasks::{Observation, Start};

use crate::error::StepError;
use crate::leash::Held;
use crate::outcome::StepOutcome;

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Something is done to the screen.
    Act(Act<Target>),
    /// Nothing is done: something must hold, or come to hold within this time; nothing checks once.
    Check(Clause, Duration),
    /// Nothing is done: whether something holds, or comes to hold within this time, decides what follows.
    Ask(Clause, Duration),
    /// Something is read, for later steps.
    Read(ReadStep),
    /// No more, with a last word if there is one.
    Stop(Option<String>),
}

/// A decision, and what the plan knows of the step.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What.
    pub decision: Decision,
    /// When the step must be done, and how long the part of the plan that it belongs to may take.
    pub limit: Option<(Instant, Duration)>,
    /// How long what it names by a place may take to come.
    pub patience: Duration,
    /// Whether it is tried again if it is not done.
    pub is_tried: bool,
    /// Its number from 0, and how many steps there are at most, where the plan knows.
    pub number: Option<(usize, usize)>,
    /// Whether the judge is asked once behind the step, whatever became of it: then a verdict that is final or favourable
    /// ends the episode, and otherwise a limit does.
    pub is_judged: bool,
    /// At a stop: whether the plan was followed to its end, whatever became of single steps that it can do without.
    pub is_complete: bool,
}

impl From<Decision> for Planned {
    fn from(decision: Decision) -> Self {
        Self {
            decision,
            limit: None,
            patience: Duration::ZERO,
            is_tried: false,
            number: None,
            is_judged: false,
            is_complete: false,
        }
    }
}

/// Decides what is done next.
pub trait Decide {
    /// An episode begins.
    fn begin(&mut self, _start: &Start) {}

    /// The next step, from what is to be seen and from all steps so far.
    ///
    /// # Errors
    /// If that cannot be known. Whoever has nothing to do any more stops.
    fn next(&mut self, seen: &Observation, past: &[StepOutcome]) -> Result<Planned, StepError>;

    /// What the step is for that was planned last, or could not be planned.
    fn phase(&self) -> Phase {
        Phase::Steps
    }

    /// The judge was asked, or will not be: whether there is something to do behind that. Its steps are asked for as the
    /// others were, and its past begins with them.
    fn wind_up(&mut self) -> bool {
        false
    }
}

/// What the step is to do, in words. A click is what people call by the thing alone.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(Act::Click { at, button: MouseButton::Left, count: 1 }) => at.fmt(f),
            Self::Act(act) => act.fmt(f),
            Self::Check(clause, within) if within.is_zero() => write!(f, "check that {clause}"),
            Self::Check(clause, _) => write!(f, "wait until {clause}"),
            Self::Ask(clause, _) => write!(f, "see whether {clause}"),
            Self::Read(read) => read.fmt(f),
            Self::Stop(_) => f.write_str("stop"),
        }
    }
}

/// The steps of a task file.
#[derive(Debug)]
pub struct Scripted<'t> {
    script: Script<'t>,
    /// The open part of the step that was planned last.
    deadline: Option<Deadline>,
}

impl<'t> Scripted<'t> {
    /// From its first step on.
    pub fn new(script: Script<'t>) -> Self {
        Self { script, deadline: None }
    }

    /// What became of the last step.
    fn ended(&mut self, last: &StepOutcome) -> Ended {
        if let Some((name, text)) = &last.read {
            self.script.keep(name, text.clone());
        }
        match self.deadline.filter(|_| last.held.is_some_and(Held::is_of_the_step)) {
            _ if last.is_answered => Ended::DoesNotHold,
            _ if last.is_done() => Ended::Done,
            Some(deadline) => Ended::OutOfTime(deadline),
            None => Ended::NotDone,
        }
    }
}

impl Decide for Scripted<'_> {
    fn next(&mut self, _seen: &Observation, past: &[StepOutcome]) -> Result<Planned, StepError> {
        let last = past.last().map(|last| self.ended(last));
        let Some(line) = self.script.next(last)? else {
            let is_complete = self.script.is_complete();
            return Ok(Planned { is_complete, ..Decision::Stop(None).into() });
        };
        self.deadline = line.deadline;
        Ok(Planned {
            decision: match line.what {
                What::Act(act) => Decision::Act(act),
                What::Check { clause, within } => Decision::Check(clause, within),
                What::Ask { clause, within } => Decision::Ask(clause, within),
                What::Read(read) => Decision::Read(read),
            },
            limit: line.deadline.map(|deadline| (deadline.until, deadline.time)),
            patience: line.patience,
            is_tried: line.is_tried,
            number: Some((line.idx, self.script.n_steps())),
            is_judged: false,
            is_complete: false,
        })
    }

    fn phase(&self) -> Phase {
        self.script.phase()
    }

    fn wind_up(&mut self) -> bool {
        self.deadline = None;
        self.script.wind_up()
    }
}

/// The goal of the world, for which the eyes are asked again before every click. The judge or a limit ends the episode, never the eyes:
/// whoever finds nothing has let a step go by.
///
/// Each action is a conversation of its own. It is shown the screen as it is then, the goal, and one line for each
/// earlier action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TowardsGoal {
    goal: String,
}

/// What was done in a step, as whoever decided it wrote the place.
fn in_a_line(outcome: &StepOutcome) -> String {
    let Some(Act::Click { at, .. }) = &outcome.action else { return "nothing".to_owned() };
    let said = outcome.sightings.first().and_then(|sighting| sighting.grounding.answer_text.as_deref());
    let place = said.map_or_else(|| format!("({:.0}, {:.0})", at.x, at.y), |said| said.trim().to_owned());
    match outcome.effect {
        Effect::SuspectedNoop => format!("click {place}: nothing changed"),
        _ => format!("click {place}"),
    }
}

impl Decide for TowardsGoal {
    fn begin(&mut self, start: &Start) {
        self.goal.clone_from(&start.goal);
    }

    fn next(&mut self, _seen: &Observation, past: &[StepOutcome]) -> Result<Planned, StepError> {
        let earlier = past.iter().map(in_a_line).collect();
        let click = Act::click(Target { earlier, ..Target::from(self.goal.as_str()) });
        Ok(Planned { is_judged: true, ..Decision::Act(click).into() })
    }
}

/// These decisions in order, as long as each is done.
#[derive(Debug, Clone)]
pub struct InOrder(pub Vec<Decision>);

impl InOrder {
    /// One click.
    pub fn click(target: impl Into<Target>) -> Self {
        Self(vec![Decision::Act(Act::click(target.into()))])
    }
}

impl Decide for InOrder {
    fn next(&mut self, _seen: &Observation, past: &[StepOutcome]) -> Result<Planned, StepError> {
        let is_refused = past.last().is_some_and(|last| !last.is_done());
        let decision = self.0.get(past.len()).filter(|_| !is_refused);
        Ok(match decision {
            Some(decision) => Planned { number: Some((past.len(), self.0.len())), ..decision.clone().into() },
            None => Decision::Stop(None).into(),
        })
    }
}
