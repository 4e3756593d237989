//! Checks the clauses of a task. Invariant: unknown is never success.

use vigorl_interface::{Driver, DriverError};

use super::{Clause, RewardRule, ScriptedTask};

/// Whether a clause holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// It was seen to hold.
    Satisfied,
    /// It was seen not to hold.
    Unsatisfied,
    /// This driver cannot tell, or cannot tell now.
    Unknown,
}

/// The judgment of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// One entry per clause, in their order.
    pub clauses: Vec<Verification>,
    /// From 0 to 1, by the task's rule.
    pub reward: f64,
}

impl Verdict {
    /// Whether every clause holds.
    pub fn success(&self) -> bool {
        self.clauses.iter().all(|clause| *clause == Verification::Satisfied)
    }
}

impl ScriptedTask {
    /// Checks every clause against the world as it is now.
    ///
    /// # Errors
    /// Only if the world failed; a driver without pages, and a dialog that covers the page, leave a clause
    /// [`Verification::Unknown`].
    pub fn judge(&self, driver: &mut dyn Driver) -> Result<Verdict, DriverError> {
        let clauses =
            self.expect.iter().map(|clause| clause.verify(driver)).collect::<Result<Vec<_>, _>>()?;
        let reward = reward(self.reward, &clauses);
        Ok(Verdict { clauses, reward })
    }
}

fn reward(rule: RewardRule, clauses: &[Verification]) -> f64 {
    let satisfied = clauses.iter().filter(|clause| **clause == Verification::Satisfied).count();
    match rule {
        RewardRule::All if satisfied == clauses.len() => 1.0,
        RewardRule::All => 0.0,
        RewardRule::Mean => satisfied as f64 / clauses.len().max(1) as f64,
    }
}

impl Clause {
    /// Whether the clause holds now.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn verify(&self, driver: &mut dyn Driver) -> Result<Verification, DriverError> {
        let holds = match self {
            Self::UrlContains(part) => driver.page_state()?.url.map(|url| url.contains(part)),
            Self::TextVisible(text) => match driver.evaluate(&text_script(text)) {
                Ok(answer) => serde_json::from_str(&answer).ok(),
                Err(DriverError::Unsupported { .. } | DriverError::DialogOpen { .. }) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(match holds {
            Some(true) => Verification::Satisfied,
            Some(false) => Verification::Unsatisfied,
            None => Verification::Unknown,
        })
    }
}

/// Rendered text and what stands in fields, with white space evened out on both sides.
fn text_script(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        "const even = (text) => text.replace(/\\s+/g, ' ').trim(); \
         const fields = [...document.querySelectorAll('input:not([type=password]), textarea')] \
             .filter((field) => field.checkVisibility()).map((field) => field.value); \
         const shown = [document.body ? document.body.innerText : '', ...fields]; \
         const wanted = even({text}); \
         return shown.some((part) => even(part).includes(wanted));"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_never_success() {
        use Verification::{Satisfied, Unknown, Unsatisfied};
        assert_eq!(reward(RewardRule::All, &[Satisfied, Satisfied]), 1.0);
        assert_eq!(reward(RewardRule::All, &[Satisfied, Unknown]), 0.0);
        assert_eq!(reward(RewardRule::Mean, &[Satisfied, Unknown, Unsatisfied, Satisfied]), 0.5);
        assert!(!Verdict { clauses: vec![Satisfied, Unknown], reward: 0.5 }.success());
    }
}
