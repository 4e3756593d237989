//! An environment whose first picture, verdicts and times are noted. Invariant: it changes nothing of what passes through.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_interface::{Action, Driver};
use vigorl_tasks::scripted::{Check, Clause, ReadStep};
use vigorl_tasks::{Allowance, Environment, Failure, Observation, Performed, Senses, Start, Verdict};

/// What was noted of an episode.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) first: Option<Arc<RgbImage>>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) in_world: Duration,
}

/// The environment with its notes.
pub struct Noted<'e> {
    env: &'e mut dyn Environment,
    pub(crate) notes: Notes,
}

impl fmt::Debug for Noted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noted").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl<'e> Noted<'e> {
    /// Notes what passes through from now on.
    pub fn new(env: &'e mut dyn Environment) -> Self {
        Self { env, notes: Notes::default() }
    }

    fn timed<T>(&mut self, what: impl FnOnce(&mut dyn Environment) -> T) -> T {
        let clock = Instant::now();
        let result = what(self.env);
        self.notes.in_world += clock.elapsed();
        result
    }
}

impl Environment for Noted<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.notes = Notes::default();
        self.timed(|env| env.reset(seed))
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        let seen = self.timed(|env| env.observe())?;
        if let (None, Some(screenshot)) = (&self.notes.first, &seen.screenshot) {
            self.notes.first = Some(Arc::clone(&screenshot.pixels));
        }
        Ok(seen)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.timed(|env| env.perform(act))
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let verdict = self.timed(|env| env.judge(answer, senses, allowance))?;
        self.notes.verdict = Some(verdict.clone());
        Ok(verdict)
    }

    fn check(
        &mut self,
        clause: &Clause,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Check, Failure> {
        self.timed(|env| env.check(clause, senses, allowance))
    }

    fn read(&mut self, read: &ReadStep, senses: &mut dyn Senses) -> Result<Result<String, String>, Failure> {
        self.timed(|env| env.read(read, senses))
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        self.env.driver()
    }
}
