//! Steps that need not be done: those that depend on something, and those that may fail.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clause::secs_fault;
use super::step::list;
use super::{Clause, Step};

/// Steps, and what they depend on.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IfStep {
    /// What decides. If nobody can tell whether it holds, the step is refused.
    pub holds: Clause,
    /// Seconds that it may take until it holds; otherwise it is looked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub within_secs: Option<f64>,
    /// What is done if it holds.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What is done if it does not.
    #[serde(default, rename = "else", deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Step>,
}

/// Steps that are done as far as they can be done.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionalStep {
    /// Seconds that they may take together; then what is behind them follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub secs: Option<f64>,
    /// What is done; the first step that cannot be done ends this block, and not the task.
    #[serde(deserialize_with = "list")]
    pub steps: Vec<Step>,
}

impl IfStep {
    pub(super) fn fault(&self) -> Option<String> {
        let is_empty = self.steps.is_empty() && self.otherwise.is_empty();
        if is_empty {
            return Some("`if` needs at least one of `steps`, or of `else`".to_owned());
        }
        secs_fault("within_secs", self.within_secs).or_else(|| self.holds.fault())
    }
}

impl OptionalStep {
    /// How long they may take together, if that is limited.
    pub(super) fn time(&self) -> Option<Duration> {
        self.secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }

    pub(super) fn fault(&self) -> Option<String> {
        if self.steps.is_empty() {
            return Some("`optional` needs at least one of `steps`".to_owned());
        }
        secs_fault("secs", self.secs)
    }
}
