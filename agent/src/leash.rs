//! What holds an agent back: an end of actions or of time, and a person who is asked.
//!
//! Invariants: the question comes right before the action, and what is not allowed then is not done; a limit ends
//! what comes next, never the look at what was done. A dry run asks nobody, because nothing is done.

use std::fmt;
use std::time::{Duration, Instant};

use vigorl_interface::{Action, PageState};

/// Limits of each episode, and who is asked before each action. The default holds nothing back.
#[derive(Default)]
pub struct Leash<'a> {
    max_actions: Option<usize>,
    max_time: Option<Duration>,
    confirm: Option<&'a mut dyn Confirm>,
    n_actions: usize,
    until: Option<Instant>,
    /// Until when the step may take, and the time that it was given.
    of_step: Option<(Instant, Duration)>,
}

impl fmt::Debug for Leash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Leash");
        shown.field("max_actions", &self.max_actions).field("max_time", &self.max_time);
        shown.field("asks", &self.confirm.is_some()).finish()
    }
}

/// Somebody who is asked before an action.
pub trait Confirm {
    /// Whether it may be done. Whoever cannot be reached has not consented.
    fn confirm(&mut self, question: &Question<'_>) -> Consent;
}

/// What somebody says to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It may be done.
    Given,
    /// It may not.
    Refused,
}

/// An action that is about to be done.
#[derive(Debug)]
pub struct Question<'a> {
    /// The step that it belongs to, in words.
    pub step: &'a str,
    /// What exactly would be done.
    pub action: &'a Action,
    /// Where: the page or window, and the dialog that the action would answer. Its texts are the page's own.
    pub page: &'a PageState,
    /// Why nobody is sure of the place, if nobody is: whoever is not asked about this kind of action is asked then.
    pub doubt: Option<&'a str>,
    /// When an answer comes too late.
    pub until: Option<Instant>,
}

/// Why an action was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The episode has taken this long.
    OutOfTime(Duration),
    /// The part of the task that the step belongs to has taken this long.
    StepOutOfTime(Duration),
    /// The episode has done so many.
    OutOfActions(usize),
    /// A person said no.
    ByPerson,
}

impl Held {
    /// Whether it ends the episode from outside.
    pub(crate) fn is_limit(self) -> bool {
        matches!(self, Self::OutOfTime(_) | Self::OutOfActions(_))
    }

    /// Whether it holds for the step and those that belong to it alone.
    pub(crate) fn is_of_the_step(self) -> bool {
        matches!(self, Self::StepOutOfTime(_))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime(limit) => write!(f, "out of time: {} s are over", limit.as_secs_f64()),
            Self::StepOutOfTime(limit) => {
                write!(f, "out of time: the {} s of this part are over", limit.as_secs_f64())
            }
            Self::OutOfActions(1) => f.write_str("out of actions: one was done"),
            Self::OutOfActions(n) => write!(f, "out of actions: {n} were done"),
            Self::ByPerson => f.write_str("a person refused the action"),
        }
    }
}

impl<'a> Leash<'a> {
    /// Allows each episode so many actions (clicks, texts, keys, opened pages) and so much time from its first step
    /// on, and asks before each action.
    pub fn new(
        max_actions: Option<usize>,
        max_time: Option<Duration>,
        confirm: Option<&'a mut dyn Confirm>,
    ) -> Self {
        Self { max_actions, max_time, confirm, n_actions: 0, until: None, of_step: None }
    }

    /// An episode begins.
    pub(crate) fn start(&mut self) {
        self.n_actions = 0;
        // A time too long for the clock has no end.
        self.until = self.max_time.and_then(|time| Instant::now().checked_add(time));
    }

    /// A step begins, which may take until then; the time it was given is for the message.
    pub(crate) fn begin_step(&mut self, limit: Option<(Instant, Duration)>) {
        self.of_step = limit;
    }

    /// An action was done.
    pub(crate) fn count(&mut self) {
        self.n_actions += 1;
    }

    /// When the time is over.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.of_step.map(|(until, _)| until)).min()
    }

    /// How much time is left.
    pub(crate) fn time_left(&self) -> Duration {
        self.until().map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is over.
    pub(crate) fn out_of_time(&self) -> Option<Held> {
        let is_over = |until: Instant| until <= Instant::now();
        let of_episode = self.max_time.filter(|_| self.until.is_some_and(is_over)).map(Held::OutOfTime);
        let of_step = self.of_step.filter(|(until, _)| is_over(*until));
        of_episode.or_else(|| of_step.map(|(_, time)| Held::StepOutOfTime(time)))
    }

    /// The limit that allows no further action.
    pub(crate) fn limit_reached(&self) -> Option<Held> {
        let out_of_actions = || {
            let reached = self.max_actions.filter(|max| self.n_actions >= *max);
            reached.map(Held::OutOfActions)
        };
        self.out_of_time().or_else(out_of_actions)
    }

    /// Whether somebody can be asked.
    pub(crate) fn asks(&self) -> bool {
        self.confirm.is_some()
    }

    /// Why the action may not be done, if it may not. A doubtful one is only done if somebody consents.
    pub(crate) fn holds(
        &mut self,
        step: &str,
        action: &Action,
        page: &PageState,
        doubt: Option<&str>,
    ) -> Option<Held> {
        if let Some(held) = self.limit_reached() {
            return Some(held);
        }
        let question = Question { step, action, page, doubt, until: self.until() };
        let by_itself = if doubt.is_none() { Consent::Given } else { Consent::Refused };
        let consent = self.confirm.as_mut().map_or(by_itself, |confirm| confirm.confirm(&question));
        // A person takes time: also a yes can come too late.
        self.out_of_time().or_else(|| (consent == Consent::Refused).then_some(Held::ByPerson))
    }
}
