//! Whether a goal holds, and what that is worth: the one vocabulary of all environments.
//!
//! Invariant: unknown is never success, and has no reward.

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
}

impl Verdict {
    /// Nobody judged.
    pub const UNKNOWN: Self =
        Self { verification: Verification::Unknown, reward: None, detail: None, may_change: false };
}
