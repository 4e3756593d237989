//! Evaluation harnesses and the benchmarks of the loop's and the engine's own speed.
//!
//! Invariant: no result without its command, commit, seeds, number of episodes and interval; an episode in which
//! the world failed is counted apart and never as a failure of the policy.

pub mod engine;
pub mod engine_result;
mod evaluation;
mod practice;
pub mod speed;

pub use evaluation::{
    Evaluation, EvaluationResult, Item, Mode, ModeResult, PlayError, Played, RandomClicker, Rate, Tally, play,
};
pub use practice::PracticeSet;

/// An evaluation that can be asked for by name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// What it measures, for people.
    pub about: &'static str,
    /// Items that are played unless said otherwise.
    pub n_default: u64,
    /// Opens it with so many items; why it cannot be, otherwise.
    pub open: fn(&Wanted) -> Result<Box<dyn Evaluation>, String>,
}

/// What was asked of an evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How many items.
    pub n: u64,
    /// The first one.
    pub seed: u64,
    /// For practice pages: what they are like.
    pub first_page: vigorl_tasks::practice::PageSpec,
}

/// Every evaluation: what `vigorl eval NAME` takes.
pub const EVALUATIONS: [Named; 1] = [Named {
    name: "practice",
    about: "generated pages, live: each judges the click itself",
    n_default: 500,
    open: |wanted| Ok(Box::new(PracticeSet::new(wanted.first_page, wanted.n)?)),
}];
