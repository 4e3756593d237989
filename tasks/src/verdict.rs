//! Whether a goal holds, and what that is worth: the one vocabulary of all environments.
//!
//! Invariant: unknown is never success, and has no reward.

use vigorl_geometry::{Point, Rect, Screen};
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

    /// Of a world that the first click decides: it must be in one of the `targets`, whose edges belong to them, or must not
    /// be made if there is none.
    pub fn of_click(clicked: Option<Point<Screen>>, targets: &[Rect<Screen>]) -> Self {
        Self::of_point(clicked, targets.is_empty(), |at| targets.iter().any(|target| target.touches(at)))
    }

    /// The same where targets have any shape: `is_hit` says whether a point is in one, and `is_absent` that there is none.
    pub fn of_point(
        clicked: Option<Point<Screen>>,
        is_absent: bool,
        is_hit: impl Fn(Point<Screen>) -> bool,
    ) -> Self {
        let is_right = clicked.map_or(is_absent, is_hit);
        let detail = match clicked {
            _ if is_right => None,
            None => Some("nothing was clicked".to_owned()),
            Some(at) => Some(format!("({}, {}) is beside the target", at.x, at.y)),
        };
        Self::of(is_right, clicked.is_some(), detail)
    }
}
