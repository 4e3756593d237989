//! Whatever a driver shows, judged by nobody: for steps whose cost is measured, and for tests of the loop.

use std::fmt;

use vigorl_interface::{Action, Driver};

use crate::Verdict;
use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, observe, perform,
};

/// What a driver shows now. A reset changes nothing.
pub struct Unjudged<'d> {
    driver: &'d mut dyn Driver,
    goal: String,
}

impl fmt::Debug for Unjudged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unjudged").field("goal", &self.goal).finish_non_exhaustive()
    }
}

impl<'d> Unjudged<'d> {
    /// With the name that the episode gets.
    pub fn new(driver: &'d mut dyn Driver, goal: impl Into<String>) -> Self {
        Self { driver, goal: goal.into() }
    }
}

impl Environment for Unjudged<'_> {
    fn reset(&mut self, _seed: u64) -> Result<Start, Failure> {
        Ok(Start { goal: self.goal.clone(), ..Start::default() })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(self.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        Ok(perform(self.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        Ok(Verdict::UNKNOWN)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self.driver)
    }
}
