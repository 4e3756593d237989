//! A press that arrives at the element that is meant, or does nothing. Between the question where an element is and the press,
//! a page may move: as the pointer comes, or by itself.
//!
//! Invariant: what a press under guard does to the page, it does to the element that was asked for.

use vigorl_interface::{Driver, DriverError};

use super::ElementPlace;
use super::element::Wanted;
use super::judge::told;
use super::page::Answer;

const GUARD: &str = include_str!("guard.js");

/// Ends a guard, and says what was kept from the page; nothing where a press was let through, or none came.
const ARRIVAL: &str = "const said = document[Symbol.for('vigorl.guard')]; return said ? said() : null;";

/// A guard that stands in a page.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    has_frames: bool,
}

impl Guard {
    /// Guards the next press, which is held for so long. Why that cannot be, where the page does not answer: nothing is pressed
    /// unguarded.
    pub(super) fn set(
        driver: &mut dyn Driver,
        place: &ElementPlace,
        hold_ms: u32,
    ) -> Result<Result<Self, String>, DriverError> {
        let wanted = match Wanted::one(driver, place, true)? {
            Ok(wanted) => wanted,
            Err(absence) => return Ok(Err(absence.reason)),
        };
        let script = format!("{GUARD}{}", wanted.question("guard", &format!(", {hold_ms}")));
        let answers = wanted.answers(driver, &script)?;
        let set = |answers: Vec<Answer>| Self { has_frames: answers.iter().any(Answer::is_of_frame) };
        Ok(answers.map(set).map_err(|absence| absence.reason))
    }

    /// What the press arrived at instead, and was kept from; nothing where it was let through.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn end(self, driver: &mut dyn Driver) -> Result<Option<String>, DriverError> {
        // A dialog is something that the press did.
        let Ok(said) = told(driver.evaluate(ARRIVAL))? else { return Ok(None) };
        let mut missed = missed_in(&said);
        if self.has_frames
            && let Ok(framed) = told(driver.evaluate_in_frames(ARRIVAL))?
        {
            // Each of them ends here.
            for frame in framed {
                missed = missed.or(missed_in(&frame.said));
            }
        }
        Ok(missed)
    }
}

fn missed_in(said: &str) -> Option<String> {
    serde_json::from_str::<Option<String>>(said).ok().flatten()
}
