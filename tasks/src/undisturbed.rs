//! Worlds in which no dialog stays: whoever answers with points cannot answer one.
//!
//! Invariants: before every look and every verdict, a dialog that covers the page is dismissed, as Playwright does by itself;
//! the verdict names what was dismissed. A page that opens one dialog after the other is a failure of the world.

use std::fmt;
use std::time::Duration;

use vigorl_interface::{Action, Driver};

use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, behind_dialog, perform,
};
use crate::scripted::{Check, Clause, ReadStep};
use crate::{Verdict, Verification};

/// So many dialogs in a row mean that there is always another one.
const MOST_IN_A_ROW: usize = 20;
/// Letters of a dialog that are told: a page can write as many as it likes.
const MOST_LETTERS: usize = 200;

/// Dismisses the dialogs that cover the page, and waits until it is quiet behind them; the texts of those that were there.
///
/// # Errors
/// If the world failed, or there is always another one.
pub fn dismiss_dialogs(driver: &mut dyn Driver, settle_cap: Duration) -> Result<Vec<String>, Failure> {
    let mut dismissed = Vec::new();
    while let Some(text) = driver.page_state()?.dialog {
        let text: String = text.chars().take(MOST_LETTERS).collect();
        if dismissed.len() == MOST_IN_A_ROW {
            return Err(format!("the page opens one dialog after the other, the last one: {text}").into());
        }
        // It may have been closed by the page meanwhile: then there is nothing to refuse.
        perform(driver, &Action::AnswerDialog { accept: false, text: None })?;
        behind_dialog(driver.settle(settle_cap))?;
        dismissed.push(text);
    }
    Ok(dismissed)
}

/// An environment whose dialogs are dismissed.
pub struct Undisturbed<'e> {
    env: &'e mut dyn Environment,
    settle_cap: Duration,
    /// In this episode.
    dismissed: Vec<String>,
}

impl fmt::Debug for Undisturbed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undisturbed").field("dismissed", &self.dismissed).finish_non_exhaustive()
    }
}

impl<'e> Undisturbed<'e> {
    /// Dismisses what covers its pages from now on. They get `settle_cap` to become quiet behind a dialog.
    pub fn new(env: &'e mut dyn Environment, settle_cap: Duration) -> Self {
        Self { env, settle_cap, dismissed: Vec::new() }
    }

    /// Whether something was dismissed.
    fn dismiss(&mut self) -> Result<bool, Failure> {
        let Some(driver) = self.env.driver() else { return Ok(false) };
        let dismissed = dismiss_dialogs(driver, self.settle_cap)?;
        self.dismissed.extend_from_slice(&dismissed);
        Ok(!dismissed.is_empty())
    }

    /// The verdict, with what was dismissed before it.
    fn noted(&self, verdict: Verdict) -> Verdict {
        let said = match &self.dismissed[..] {
            [] => return verdict,
            [one] => format!("a dialog was dismissed: {one}"),
            [.., last] => format!("{} dialogs were dismissed, the last one: {last}", self.dismissed.len()),
        };
        let detail = verdict.detail.into_iter().chain([said]).collect::<Vec<_>>().join("; ");
        Verdict { detail: Some(detail), ..verdict }
    }
}

impl Environment for Undisturbed<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.dismissed.clear();
        self.env.reset(seed)
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        loop {
            let seen = self.env.observe()?;
            if seen.page.dialog.is_none() || !self.dismiss()? {
                return Ok(seen);
            }
        }
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let performed = self.env.perform(act)?;
        // What the action opened is closed before its effect is looked at.
        self.dismiss()?;
        Ok(performed)
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let verdict = self.env.judge(answer, senses, allowance);
        let is_told = verdict.as_ref().is_ok_and(|verdict| verdict.verification != Verification::Unknown);
        // A dialog that opened late can be what nobody could see through.
        let verdict =
            if !is_told && self.dismiss()? { self.env.judge(answer, senses, allowance) } else { verdict };
        verdict.map(|verdict| self.noted(verdict))
    }

    fn check(
        &mut self,
        clause: &Clause,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Check, Failure> {
        self.env.check(clause, senses, allowance)
    }

    fn read(&mut self, read: &ReadStep, senses: &mut dyn Senses) -> Result<Result<String, String>, Failure> {
        self.env.read(read, senses)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        self.env.driver()
    }
}
