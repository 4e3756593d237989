//! What an agent is made of: eyes, hands, and what holds them back.

use std::time::Duration;

use vigorl_tasks::Senses;

use crate::cancel::Cancel;
use crate::eyes::Eyes;
use crate::leash::Leash;

/// Whoever plays an episode; what is done comes from a plan, and where it is done from a world.
pub struct Agent<'a> {
    /// Who says where.
    pub eyes: &'a mut dyn Eyes,
    /// How sure they must be of a point, 0..=1, unless a person says that it may be done.
    pub min_confidence: f64,
    /// Who may contradict them.
    pub checks: Checks,
    /// Who looks at pixels for clauses.
    pub senses: &'a mut dyn Senses,
    /// Longest wait, after an action, for a quiet page and for what the task expects of it.
    pub settle_cap: Duration,
    /// Whether anything is done at all.
    pub hands: Hands,
    /// Ends the loop from outside.
    pub cancel: &'a Cancel,
    /// What holds it back.
    pub leash: Leash<'a>,
}

impl std::fmt::Debug for Agent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("eyes", &self.eyes.name()).finish_non_exhaustive()
    }
}

/// Who may contradict eyes that may err, before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Nobody: an evaluation measures the policy alone.
    Nobody,
    /// The page, where there is one: a point on an element that does something else than the one element which the
    /// instruction names is not clicked. The policy is asked once more.
    Elements,
}

/// Whether actions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// They are.
    Act,
    /// Everything but that: a dry run.
    Rest,
}
