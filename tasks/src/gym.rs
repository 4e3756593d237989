//! An environment played action by action, in gymnasium's words.
//!
//! Invariants: a step is to perform, to observe the world as soon as it is quiet, and to judge once; nothing waits for a verdict
//! that may still change. A dialog is dismissed before the world is looked at. Only a limit truncates, only the judge terminates, and behind an end nothing is performed until the next
//! reset. A failure of the world is an error, never a reward.

use std::fmt;
use std::time::Duration;

use vigorl_interface::Action;

use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, behind_dialog,
};
use crate::{Undisturbed, Verdict, Verification};

/// What a step led to.
#[derive(Debug, Clone)]
pub struct Transition {
    /// What is to be seen behind it.
    pub observation: Observation,
    /// What the judge says it is worth; none where nobody can tell.
    pub reward: Option<f64>,
    /// Whether the world is decided: no action can change the verdict, or the goal is reached.
    pub terminated: bool,
    /// Whether a limit of steps came first.
    pub truncated: bool,
    /// What else is known of it.
    pub info: Info,
}

/// What else is known of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Why the action was refused, if it was.
    pub refused: Option<String>,
    /// The whole verdict.
    pub verdict: Verdict,
}

/// Why no step can be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// There is no episode.
    #[error("a step before a reset: reset the environment first")]
    NotReset,
    /// The episode is over.
    #[error("the episode is over: reset the environment before the next step")]
    IsOver,
    /// The world failed; there is no reward, and the episode is over.
    #[error("{0}")]
    World(#[from] Failure),
}

/// An environment, and how far its episode has come.
pub struct Gym<'e> {
    env: Undisturbed<'e>,
    senses: &'e mut dyn Senses,
    settle_cap: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    NotReset,
    Playing { n_steps: usize, max_steps: Option<usize> },
    Over,
}

impl fmt::Debug for Gym<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gym").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<'e> Gym<'e> {
    /// Before the first episode. `senses` look at pixels for the judge; a page may take `settle_cap` to become quiet behind
    /// an action.
    pub fn new(env: &'e mut dyn Environment, senses: &'e mut dyn Senses, settle_cap: Duration) -> Self {
        Self { env: Undisturbed::new(env, settle_cap), senses, settle_cap, state: State::NotReset }
    }

    /// Begins an episode. The same seed gives the same first screenshot.
    ///
    /// # Errors
    /// If the world failed: then there is no episode.
    pub fn reset(&mut self, seed: u64) -> Result<(Start, Observation), Failure> {
        self.state = State::NotReset;
        let start = self.env.reset(seed)?;
        let observation = self.env.observe()?;
        self.senses.begin();
        if let Some(screenshot) = &observation.screenshot {
            self.senses.saw(screenshot);
        }
        self.state = State::Playing { n_steps: 0, max_steps: start.max_steps };
        Ok((start, observation))
    }

    /// Performs an action, or lets a step go by without one, looks, and asks the judge once.
    ///
    /// # Errors
    /// [`StepError`]; what the world refuses to do is in [`Info::refused`], and counts as a step.
    pub fn step(&mut self, action: Option<&Action>) -> Result<Transition, StepError> {
        let State::Playing { n_steps, max_steps } = self.state else {
            return Err(if matches!(self.state, State::Over) {
                StepError::IsOver
            } else {
                StepError::NotReset
            });
        };
        // Whatever fails below ends the episode.
        self.state = State::Over;
        let refused = match action.map(|action| self.env.perform(action)).transpose()? {
            Some(Performed::Refused(reason)) => Some(reason),
            Some(Performed::Done) | None => None,
        };
        if let Some(driver) = self.env.driver() {
            behind_dialog(driver.settle(self.settle_cap)).map_err(Failure::from)?;
        }
        let observation = self.env.observe()?;
        if let Some(screenshot) = &observation.screenshot {
            self.senses.saw(screenshot);
        }
        let verdict = self.env.judge(None, self.senses, &Allowance::UNLIMITED)?;
        let terminated = verdict.is_final || verdict.verification == Verification::Satisfied;
        let truncated = !terminated && max_steps.is_some_and(|most| n_steps + 1 >= most);
        if !terminated && !truncated {
            self.state = State::Playing { n_steps: n_steps + 1, max_steps };
        }
        Ok(Transition {
            observation,
            reward: verdict.reward,
            terminated,
            truncated,
            info: Info { refused, verdict },
        })
    }
}
