//! Why a step cannot be taken. Invariant: what a model says, and what a world refuses, is never one of these.

use std::error::Error;

use vigorl_policy::PolicyError;
use vigorl_tasks::Failure;
use vigorl_tasks::scripted::ScriptError;

/// A watcher could not keep what happened: a disk is full, a reader is gone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WatchError(#[source] pub Failure);

/// The world, the plan, the policy or a watcher failed. Never a reward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The browser or window failed, or whatever else the world is.
    #[error("{0}")]
    World(#[from] Failure),
    /// The policy could not be asked.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The next step is not known.
    #[error(transparent)]
    Plan(#[from] ScriptError),
    /// The step could not be kept.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

impl From<vigorl_interface::DriverError> for StepError {
    fn from(error: vigorl_interface::DriverError) -> Self {
        Self::World(error.into())
    }
}

/// The error and its causes.
pub(crate) fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Transparent wrappers repeat their cause.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
