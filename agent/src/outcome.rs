//! What happened in a step and in an episode, as values.
//!
//! Invariants: an effect is read off observations; an episode keeps no pictures, so that many fit in memory: whoever
//! wants pictures watches; success and reward are decided in one place, [`Episode::new`].

use std::time::{Duration, Instant};

use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{
    ActKind, Action, Effect, PageState, PixelChange, Screenshot, Settled, TabId, Trouble,
};
use vigorl_tasks::scripted::ElementAt;
use vigorl_tasks::{Observation, Start, Verdict, Verification};

use crate::eyes::Sighting;
use crate::leash::Held;

/// Where the time of a step went, besides what the policy reports of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// Screenshots and page state.
    pub capture: Duration,
    /// Everything between the first observation and the action.
    pub grounding: Duration,
    /// The input events.
    pub act: Duration,
    /// Waiting for a quiet page.
    pub settle: Duration,
    /// Comparing before and after, and asking the judge.
    pub verify: Duration,
    /// In watchers.
    pub record: Duration,
}

/// What happened in a step.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// What it was to do, in words.
    pub instruction: String,
    /// The first observation; absent while a dialog covers the page, and in an [`Episode`].
    pub before: Option<Screenshot>,
    /// The second one; absent after a refusal, behind a dialog, and in an [`Episode`].
    pub after: Option<Screenshot>,
    /// Address, title and dialog at the end.
    pub page: PageState,
    /// What was found, one entry for each thing that had to be.
    pub sightings: Vec<Sighting>,
    /// Where the first target is, if the task says so and it is there.
    pub place: Option<Rect<Screen>>,
    /// What the page says is at the point, if it was asked.
    pub element: Option<ElementAt>,
    /// Whether what was answered last was contradicted, by the page or by what is written there.
    pub is_vetoed: bool,
    /// Why nobody is sure of a target's place; somebody was asked then.
    pub doubt: Option<String>,
    /// What was executed.
    pub action: Option<Action>,
    /// What it did.
    pub effect: Effect,
    /// Why it was refused, or what else is known of it.
    pub detail: Option<String>,
    /// What has gone wrong inside the pages since the step before, or since the episode began; absent in an [`Episode`].
    pub troubles: Vec<Trouble>,
    /// Files that were downloaded before the action, or were under way.
    pub(crate) n_downloads: usize,
    /// Which pixels changed.
    pub change: Option<PixelChange>,
    /// How the wait ended.
    pub settled: Settled,
    /// Where the time went.
    pub times: StepTimes,
    /// For a step that does nothing but look: whether it held, or could be read.
    pub checked: Option<Verification>,
    /// Whether it was asked if something holds, and the answer is that it does not.
    pub is_answered: bool,
    /// What was read, and into which variable.
    pub read: Option<(String, String)>,
    /// The step was broken off before its action.
    pub cancelled: bool,
    /// What kept the agent from the action, besides an interruption.
    pub held: Option<Held>,
    /// All tabs at the end, the current one first; empty where there are none.
    pub(crate) tabs: Vec<TabId>,
    /// Address, title and dialog before the action.
    pub(crate) page_before: PageState,
    /// Whether it was looked up that what the action is for is there.
    pub(crate) is_there: bool,
    /// When the action was done.
    pub(crate) acted_at: Option<Instant>,
}

impl StepOutcome {
    pub(crate) fn nothing_done(instruction: String, seen: Observation, observing: Duration) -> Self {
        Self {
            instruction,
            before: seen.screenshot,
            after: None,
            page_before: seen.page.clone(),
            page: seen.page,
            tabs: seen.tabs,
            is_there: false,
            acted_at: None,
            sightings: Vec::new(),
            place: None,
            element: None,
            is_vetoed: false,
            doubt: None,
            action: None,
            effect: Effect::Refused,
            detail: None,
            troubles: Vec::new(),
            n_downloads: 0,
            change: None,
            settled: Settled::Quiet { after: Duration::ZERO },
            times: StepTimes { capture: observing, ..StepTimes::default() },
            checked: None,
            is_answered: false,
            read: None,
            cancelled: false,
            held: None,
        }
    }

    /// Whether the step did what it was to do; in a dry run, as far as one does anything.
    pub fn is_done(&self) -> bool {
        let is_passed_by = self.checked.is_some() && self.effect == Effect::Unverifiable;
        self.action.is_some()
            || self.checked == Some(Verification::Satisfied)
            || self.is_answered
            || is_passed_by
    }

    pub(crate) fn refuse(&mut self, reason: String) {
        self.detail = Some(reason);
    }

    /// In a dry run, an action stays undone.
    pub(crate) fn rest(&mut self, action: Action) {
        (self.action, self.effect) = (Some(action), Effect::Unverifiable);
        self.detail = Some("dry run".to_owned());
    }

    pub(crate) fn hold_back(&mut self, held: Held) {
        self.held = Some(held);
        self.refuse(held.to_string());
    }

    pub(crate) fn interrupt(&mut self) {
        self.cancelled = true;
        self.refuse("interrupted".to_owned());
    }

    /// Says so if the step has come to a page that answered with an error. Nothing is decided by that.
    pub(crate) fn tell_status(&mut self) {
        let Some(status) = self.page.error_status().filter(|_| self.acted_at.is_some()) else { return };
        let loads = self.action.as_ref().is_some_and(|action| action.kind() == ActKind::Navigate);
        if loads || self.page.url != self.page_before.url {
            let known = self.detail.take().map_or_else(String::new, |detail| format!("{detail}; "));
            self.detail = Some(format!("{known}the page answered {status}"));
        }
    }

    /// What the next step may start from; nothing if it must look again.
    pub fn seen(&self) -> Option<Observation> {
        let screenshot = Some(self.after.clone()?);
        Some(Observation { screenshot, page: self.page.clone(), tabs: self.tabs.clone() })
    }

    /// What is to be seen behind the step: the second look, or the first one where there was none.
    pub(crate) fn shown(&self) -> Observation {
        let screenshot = self.after.clone().or_else(|| self.before.clone());
        Observation { screenshot, page: self.page.clone(), tabs: self.tabs.clone() }
    }

    /// In one word what the eyes found last, or that they were contradicted; nothing where nothing had to be found.
    pub fn finding(&self) -> Option<&'static str> {
        let found = self.sightings.last().map(|sighting| sighting.finding.name());
        if self.is_vetoed { Some("vetoed") } else { found }
    }

    /// The point that was answered first.
    pub fn answer(&self) -> Option<Point<Screen>> {
        self.sightings.first().and_then(|sighting| sighting.grounding.answer)
    }

    /// The same without pictures, and without what else is for records alone.
    pub(crate) fn without_pictures(mut self) -> Self {
        (self.before, self.after) = (None, None);
        self.troubles.clear();
        for sighting in &mut self.sightings {
            sighting.grounding = sighting.grounding.clone().without_pictures();
        }
        self
    }
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Whoever acts was done, or could not go on.
    Judged,
    /// A limit of steps, actions or time came first.
    StepLimit,
    /// A limit of tokens cut the policy off before it had answered.
    TokenLimit,
    /// Somebody broke it off; nobody judged.
    Cancelled,
    /// The world failed: there is no reward.
    Error(String),
}

/// One episode.
#[derive(Debug, Clone)]
pub struct Episode {
    /// What it began with; absent if the world could not begin.
    pub start: Option<Start>,
    /// Its steps, without pictures.
    pub steps: Vec<StepOutcome>,
    /// How it ended.
    pub ending: Ending,
    /// Solved or not; unknown if it could not be judged.
    pub success: Option<bool>,
    /// What it is worth; nothing if it could not be judged. Never 0 because the world failed.
    pub reward: Option<f64>,
    /// What was left undone, and what the judge says, in words.
    pub detail: Option<String>,
}

impl Episode {
    /// Decides success and reward. An `undone` step is no success and pays nothing in a world that was asked, whatever
    /// its `verdict`: clauses that hold may have held before, and what the step was for is not known to be there.
    ///
    /// What failed behind the judgement, `left`, makes a failure of a success: the world is not as the task should leave it,
    /// and whoever plays the next task in it must know. Of what was not solved nothing changes but the words.
    pub(crate) fn new(
        start: Start,
        steps: Vec<StepOutcome>,
        ending: Ending,
        verdict: Option<Verdict>,
        undone: Option<String>,
        left: Option<String>,
    ) -> Self {
        let verdict = verdict.filter(|_| !matches!(ending, Ending::Error(_)));
        let is_undone = undone.is_some() && verdict.is_some();
        let verdict = verdict.unwrap_or(Verdict::UNKNOWN);
        let (success, reward) = match verdict.verification {
            _ if is_undone => (Some(false), Some(0.0)),
            // Nobody judges, or nobody can tell: that is neither success nor failure.
            Verification::Unknown => (None, None),
            holds => (Some(holds == Verification::Satisfied), verdict.reward),
        };
        let (ending, success, reward, left) = match (ending, left) {
            (_, Some(left)) if success == Some(true) => {
                (Ending::Error(format!("the task was solved, but {left}")), None, None, None)
            }
            (Ending::Error(error), Some(left)) => {
                (Ending::Error(format!("{error}; besides, {left}")), success, reward, None)
            }
            (ending, left) => (ending, success, reward, left),
        };
        let words: Vec<String> = undone.into_iter().chain(verdict.detail).chain(left).collect();
        let detail = (!words.is_empty()).then(|| words.join("; "));
        Self { start: Some(start), steps, ending, success, reward, detail }
    }

    /// The world failed before anything could be done.
    pub(crate) fn not_begun(error: String) -> Self {
        Self {
            start: None,
            steps: Vec::new(),
            ending: Ending::Error(error),
            success: None,
            reward: None,
            detail: None,
        }
    }

    /// Whether it was ended from outside.
    pub fn is_truncated(&self) -> bool {
        matches!(self.ending, Ending::StepLimit | Ending::TokenLimit | Ending::Cancelled)
    }

    /// What failed in the world.
    pub fn error(&self) -> Option<&str> {
        match &self.ending {
            Ending::Error(message) => Some(message),
            _ => None,
        }
    }

    /// The point that was answered last.
    pub fn point(&self) -> Option<Point<Screen>> {
        self.steps.iter().rev().find_map(StepOutcome::answer)
    }

    /// Zooms of all steps.
    pub fn n_zooms(&self) -> usize {
        let sightings = self.steps.iter().flat_map(|step| &step.sightings);
        let turns = sightings.flat_map(|sighting| &sighting.grounding.turns);
        turns.filter(|turn| turn.crop.is_some()).count()
    }
}
