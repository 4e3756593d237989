//! Whether a goal holds, and what that is worth: the one vocabulary of all environments.
//!
//! Invariant: unknown is never success, and has no reward.

use serde::{Deserialize, Serialize};

/// Whether something that was wanted holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// It was checked and holds.
    Satisfied,
    /// It was checked and does not hold.
    Unsatisfied,
    /// Nobody could tell. Never counted as success.
    Unknown,
}

impl Verification {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::Unsatisfied => "unsatisfied",
            Self::Unknown => "unknown",
        }
    }
}
