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

/// What a judge says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether the goal holds.
    pub verification: Verification,
    /// The reward; none if the goal cannot be judged.
    pub reward: Option<f64>,
    /// In words, where there is something to say.
    pub detail: Option<String>,
    /// Whether the verdict can change without another action, as on a page that still waits for its server.
    pub may_change: bool,
}

impl Verdict {
    /// Nobody judged.
    pub const UNKNOWN: Self =
        Self { verification: Verification::Unknown, reward: None, detail: None, may_change: false };
}
