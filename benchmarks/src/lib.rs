//! Evaluation harnesses and the benchmarks of the loop's and the engine's own speed.
//!
//! Invariant: no result without its command, commit, seeds, number of episodes and interval; an episode in which
//! the world failed is counted apart and never as a failure of the policy.

mod answers;
pub mod batch;
pub mod engine;
pub mod engine_result;
mod evaluation;
pub mod miniwob;
mod pages;
mod practice;
#[cfg(feature = "reader")]
pub mod read;
pub mod speed;

use std::path::PathBuf;

pub use answers::{Answers, Fitted, fit};
pub use evaluation::{
    Evaluation, EvaluationResult, Item, Mode, ModeResult, PlayError, Played, RandomClicker, Rate, Tally, play,
};
pub use pages::PagesSet;
pub use practice::PracticeSet;

/// An evaluation that can be asked for by name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// What it measures, for people.
    pub about: &'static str,
    /// Opens it; why it cannot be, otherwise.
    pub open: fn(&Wanted) -> Result<Box<dyn Evaluation>, String>,
}

/// What was asked of an evaluation.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How many items; as many as the evaluation has by itself if absent.
    pub n: Option<u64>,
    /// For practice pages: what they are like.
    pub first_page: vigorl_tasks::practice::PageSpec,
    /// The folders of what is asked, for an evaluation that has such.
    pub data: Vec<PathBuf>,
    /// For labels: in which words they are asked for.
    pub wordings: Vec<String>,
    /// For MiniWoB++: which tasks, and under which rules.
    pub miniwob: miniwob::Choice,
}

/// Practice pages that are played unless said otherwise.
const N_PRACTICE: u64 = 500;

/// Every evaluation: what `vigorl eval NAME` takes.
pub const EVALUATIONS: [Named; 3] = [
    Named {
        name: "practice",
        about: "generated pages, live: each judges the click itself",
        open: |wanted| {
            let n = wanted.n.unwrap_or(N_PRACTICE);
            Ok(Box::new(PracticeSet::new(wanted.first_page, n)?))
        },
    },
    Named {
        name: "pages",
        about: "a folder of labelled screenshots: pages.json beside its pictures",
        open: |wanted| {
            if wanted.data.is_empty() {
                return Err("name its folder: vigorl eval pages DIR".to_owned());
            }
            let all = PagesSet::open(&wanted.data, &wanted.wordings)?;
            Ok(Box::new(all.limited(wanted.n.unwrap_or(u64::MAX))))
        },
    },
    Named {
        name: "miniwob",
        about: "the tasks of MiniWoB++, live, under a protocol that numbers are published by",
        open: |wanted| Ok(Box::new(miniwob::MiniWobSet::open(&wanted.miniwob, wanted.n)?)),
    },
];
