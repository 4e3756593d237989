//! Evaluation harnesses and the benchmarks of the loop's and the engine's own speed.
//!
//! Invariant: no result without its command, commit, seeds, number of episodes and interval; an episode in which
//! the world failed is counted apart and never as a failure of the policy.

mod answers;
pub mod batch;
mod behaviour;
mod draw;
pub mod engine;
pub mod engine_result;
pub mod eval_speed;
mod evaluation;
mod fields;
mod folder;
mod head;
mod line;
mod merged;
pub mod miniwob;
mod pages;
mod pictures;
mod practice;
pub mod published;
pub mod questions;
#[cfg(feature = "reader")]
pub mod read;
mod rescored;
mod result;
pub mod runner;
pub mod sets;
pub mod speed;
mod statistics;

use std::path::PathBuf;

pub use answers::{Answers, Fitted, fit};
pub use behaviour::{BEHAVIOURS, Behaviour, Looks};
pub use evaluation::{Circle, Evaluation, InWords, Item, Mode, Pictured, PlayError, Played, play};
pub use folder::{Folder, FolderError, LINES, Recorded, parse, written};
pub use head::{Asked, Described, Head, Shard};
pub use line::{Key, Line, Outcome, Said};
pub use merged::{Column, Compared, Merged, compare, merge};
pub use pages::PagesSet;
pub use practice::PracticeSet;
pub use questions::{KnownQuestions, OptionOrder, QuestionChoice, QuestionSet};
pub use rescored::Rejudge;
pub use result::{Average, Draws, EvaluationResult, ModeResult, RandomClicker, Rate};
pub use sets::{GroundingSet, SetChoice};
pub use statistics::{Clustered, Paired};

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
    /// For published data sets: where one is, and what of it.
    pub set: SetChoice,
    /// For sets of questions: the same.
    pub questions: QuestionChoice,
}

/// Practice pages that are played unless said otherwise.
const N_PRACTICE: u64 = 500;

/// Every evaluation: what `vigorl eval NAME` takes.
pub const EVALUATIONS: [Named; 12] = [
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
    Named {
        name: "screenspot",
        about: "ScreenSpot: lists or parquet; without --data, practice pictures of this program",
        open: |wanted| set(sets::Known::ScreenSpot, wanted),
    },
    Named {
        name: "screenspot-v2",
        about: "ScreenSpot-v2: lists or parquet",
        open: |wanted| set(sets::Known::ScreenSpotV2, wanted),
    },
    Named {
        name: "screenspot-pro",
        about: "ScreenSpot-Pro: professional programs on large screens",
        open: |wanted| set(sets::Known::ScreenSpotPro, wanted),
    },
    Named {
        name: "osworld-g",
        about: "OSWorld-G: boxes, outlines, and things that are not there",
        open: |wanted| set(sets::Known::OsworldG, wanted),
    },
    Named {
        name: "ui-vision",
        about: "UI-Vision: element grounding in desktop programs",
        open: |wanted| set(sets::Known::UiVision, wanted),
    },
    Named {
        name: "mmbench-gui",
        about: "MMBench-GUI L2: element grounding on six platforms",
        open: |wanted| set(sets::Known::MmbenchGui, wanted),
    },
    Named {
        name: "vstar",
        about: "V*Bench: questions about small things on large pictures, answered in words",
        open: |wanted| questions(KnownQuestions::VStar, wanted),
    },
    Named {
        name: "blink",
        about: "BLINK: questions of fourteen kinds about one picture or several",
        open: |wanted| questions(KnownQuestions::Blink, wanted),
    },
    Named {
        name: "sat2",
        about: "SAT-2: questions about where things are and how they move",
        open: |wanted| questions(KnownQuestions::Sat2, wanted),
    },
];

/// A set of questions.
fn questions(known: KnownQuestions, wanted: &Wanted) -> Result<Box<dyn Evaluation>, String> {
    Ok(Box::new(QuestionSet::open(known, &wanted.questions)?))
}

/// A published data set.
fn set(known: sets::Known, wanted: &Wanted) -> Result<Box<dyn Evaluation>, String> {
    if wanted.n.is_some() {
        return Err(
            "--episodes counts pages that are played: --limit counts the items of a data set".to_owned()
        );
    }
    Ok(Box::new(GroundingSet::open(known, &wanted.set)?))
}
