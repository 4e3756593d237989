//! What is drawn of a run: one HTML file a person can open offline, send and enjoy; the pages of `vigorl view`, which show
//! the same report, the list of all runs, and two runs side by side; the page of a suite, beside copies of its runs' reports; and a
//! film. And what is drawn of a training, from its log, and of the tokens that it learns from.
//!
//! Start with the list of panels in `run.rs`, for a suite with `suite.rs`, and for a training with `training.rs`. Invariant: a file
//! loads nothing from anywhere (the page's own policy forbids it), every image is inside, or for a suite beside it; a served page
//! loads pictures from its own server alone. Every text from the run is escaped, and nothing is said that is not in the run
//! directory.

mod align;
mod comparison;
mod deed;
mod episode;
mod evaluation;
mod film;
mod gallery;
mod html;
mod list;
pub mod marks;
mod overlay;
mod run;
mod said;
mod standing;
mod step;
mod suite;
mod tokens;
mod training;
pub mod view;

use std::path::{Path, PathBuf};

use vigorl_files::write_whole;
use vigorl_runs::{Recorded, RunDirError};

pub use comparison::{Side, render_comparison};
pub use evaluation::{EvaluationPage, Shot, ShotTurn, Table, render_evaluation};
pub use film::{FilmError, Filmed, write_film};
pub use list::{ListPage, RunRow, TrainingRow, render_list};
pub use run::{render, render_served};
pub use suite::{
    KeptRun, Sight, SuiteError, SuiteFolder, SuiteOutcome, SuitePage, SuitePlay, SuiteTask, render_suite,
};
pub use tokens::{Token, TokenBlock, render_tokens};
pub use training::{ReportError, render_training, render_training_comparison, write_training_report};

/// Writes `report.html` into the run directory and returns its path.
///
/// # Errors
/// [`RunDirError`] if the run cannot be read or the file cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, RunDirError> {
    let recorded = Recorded::read(run_dir)?;
    let path = run_dir.join("report.html");
    write_whole(&path, render(&recorded).as_bytes())
        .map_err(|source| RunDirError::Write { path: path.clone(), source })?;
    Ok(path)
}
