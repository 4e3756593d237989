//! Whether a goal holds, and what that is worth: the one vocabulary of all environments.
//!
//! Invariant: unknown is never success, and has no reward.

use vigorl_judges::Entry;
pub use vigorl_judges::Verification;

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
    /// Whether no action can change it any more: what is done afterwards is not judged.
    pub is_final: bool,
    /// What the judge looked at, one entry for each thing, in its own order; empty where it looks at one thing alone.
    pub clauses: Vec<Entry>,
}

impl Verdict {
    /// Nobody judged.
    pub const UNKNOWN: Self = Self {
        verification: Verification::Unknown,
        reward: None,
        detail: None,
        may_change: false,
        is_final: false,
        clauses: Vec::new(),
    };

    /// Of a world that is right or wrong, and whose verdict only an action can change.
    pub fn of(is_right: bool, is_final: bool, detail: Option<String>) -> Self {
        let (verification, reward) = match is_right {
            true => (Verification::Satisfied, 1.0),
            false => (Verification::Unsatisfied, 0.0),
        };
        Self { verification, reward: Some(reward), detail, is_final, ..Self::UNKNOWN }
    }
}
