//! The folder of a suite: its page, and under `runs/` a copy of the report of every run and what was seen when one failed.
//!
//! Invariant: nothing is put into a folder that is somebody else's; the page appears whole, by rename, and never names a file
//! that was not written before it. What is copied are files of a run directory, which name no secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vigorl_files::write_whole;
use vigorl_interface::Effect;
use vigorl_runs::{Recorded, RecordedStep, RunDirError};
use vigorl_tasks::Verification;

use super::{BRAND, SuitePage, render_suite};
use crate::view::encoded;

/// The page.
const INDEX: &str = "index.html";
/// The folder of what is copied.
const RUNS: &str = "runs";

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// Somebody's files would lie beside ours.
    #[error("`{0}` holds other files: name a folder that is new or empty, or that of an earlier report")]
    Taken(PathBuf),
    /// Disk full, no permission, not a folder.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A run that is to be copied cannot be read.
    #[error(transparent)]
    Run(#[from] RunDirError),
}

/// What is kept of a run, by its addresses from the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRun {
    /// Its report.
    pub report: String,
    /// What was seen when it failed; absent if it did not, or nothing was seen.
    pub sight: Option<Sight>,
}

/// What was seen when a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// In which step of the run, from 1.
    pub step: usize,
    /// The screenshot.
    pub picture: String,
    /// Its width and height.
    pub size: [u32; 2],
}

/// A folder that a page and its runs are written to.
#[derive(Debug)]
pub struct SuiteFolder {
    root: PathBuf,
}

impl SuiteFolder {
    /// Makes the folder, or takes one of an earlier suite, whose page is replaced.
    ///
    /// # Errors
    /// [`SuiteError::Taken`] if there are other files in it, [`SuiteError::Write`] if it cannot be made.
    pub fn open(root: &Path) -> Result<Self, SuiteError> {
        let runs = root.join(RUNS);
        match fs::read_dir(root) {
            Ok(mut entries) => {
                let index = fs::read_to_string(root.join(INDEX)).unwrap_or_default();
                if entries.next().is_some() && !index.contains(&format!("<span>{BRAND}</span>")) {
                    return Err(SuiteError::Taken(root.to_owned()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SuiteError::Write { path: root.to_owned(), source }),
        }
        fs::create_dir_all(&runs).map_err(|source| SuiteError::Write { path: runs, source })?;
        Ok(Self { root: root.to_owned() })
    }

    /// The page's file.
    pub fn index(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    /// Copies the report of a run, and if it failed, what was seen then.
    ///
    /// # Errors
    /// [`SuiteError`] if the run cannot be read, or a file cannot be written.
    pub fn keep(&self, run_dir: &Path, has_failed: bool) -> Result<KeptRun, SuiteError> {
        let name = run_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = self.copy(&run_dir.join("report.html"), &format!("{name}.html"))?;
        let sight = if has_failed { self.sight(run_dir, &name)? } else { None };
        Ok(KeptRun { report, sight })
    }

    /// Writes the page anew.
    ///
    /// # Errors
    /// [`SuiteError::Write`].
    pub fn write(&self, page: &SuitePage) -> Result<(), SuiteError> {
        let path = self.index();
        write_whole(&path, render_suite(page).as_bytes()).map_err(|source| SuiteError::Write { path, source })
    }

    fn sight(&self, run_dir: &Path, name: &str) -> Result<Option<Sight>, SuiteError> {
        let recorded = Recorded::read(run_dir)?;
        let Some((step, size)) = telling(&recorded).and_then(|step| Some((step, step.image_size?))) else {
            return Ok(None);
        };
        let pictures = ["after.png", "before.png"].map(|file| step.folder.join(file));
        let Some(from) = pictures.into_iter().find(|path| path.is_file()) else { return Ok(None) };
        let picture = self.copy(&from, &format!("{name}.png"))?;
        Ok(Some(Sight { step: step.step, picture, size }))
    }

    /// Copies a file among those of the runs; its address from the page.
    fn copy(&self, from: &Path, name: &str) -> Result<String, SuiteError> {
        let to = self.root.join(RUNS).join(name);
        let bytes = fs::read(from).map_err(|source| RunDirError::Read { path: from.to_owned(), source })?;
        write_whole(&to, &bytes).map_err(|source| SuiteError::Write { path: to, source })?;
        Ok(format!("{RUNS}/{}", encoded(name)))
    }
}

/// The step that shows why a run failed: one that was refused for the reason of the whole, or behind which the judge said no, or
/// the last one of which there is a picture. Steps of `after` come behind it.
fn telling(recorded: &Recorded) -> Option<&RecordedStep> {
    let episode = recorded.episodes.last()?;
    let outcome = episode.outcome.as_ref();
    let why = outcome.into_iter().flat_map(|outcome| outcome.detail.iter().chain(&outcome.err_msg));
    let why: Vec<&String> = why.collect();
    let is_reason = |detail: &str| !detail.is_empty() && why.iter().any(|why| why.contains(detail));
    let is_refused = |step: &&RecordedStep| {
        step.action.as_ref().is_some_and(|action| {
            action.effect == Effect::Refused && action.detail.as_deref().is_some_and(is_reason)
        })
    };
    let is_judged = |step: &&RecordedStep| {
        step.action.as_ref().is_some_and(|action| action.verification == Verification::Unsatisfied)
    };
    let last = || episode.steps.iter().rev();
    last()
        .find(is_refused)
        .or_else(|| last().find(is_judged))
        .or_else(|| last().find(|step| step.image_size.is_some()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use image::RgbImage;
    use serde_json::json;
    use vigorl_runs::RunDir;
    use vigorl_runs::record::{EpisodeRecord, Event, RunRecord, StepRecord, Summary, Timings};

    use super::*;

    /// A run whose steps have these effects, details and verdicts, and screenshots as wide as their numbers.
    fn run(folder: &Path, steps: &[(Effect, &str, &str)], detail: &str) -> PathBuf {
        let mut dir = RunDir::create(folder, "a b", &RunRecord::default(), &[]).unwrap();
        let (name, labels) = ("n".to_owned(), std::collections::BTreeMap::new());
        dir.event(&Event::EpisodeStarted { episode: 1, name, labels, seed: None }).unwrap();
        for (step, (effect, detail, verification)) in (1..).zip(steps) {
            let image_size = [step as u32, 3];
            dir.event(&Event::StepStarted { step, episode: 1, instruction: String::new() }).unwrap();
            dir.event(&Event::Observed { step, image_size }).unwrap();
            dir.image(step, "before.png", &Arc::new(RgbImage::new(step as u32, 3))).unwrap();
            let record: StepRecord = serde_json::from_value(json!({
                "step": step, "episode": 1, "instruction": "", "effect": effect, "action": null, "detail": detail,
                "verification": verification, "image_size": image_size, "n_changed_pixels": null, "url": null,
                "title": null, "dialog": null, "settled": true, "millis": Timings::default(),
                "maps": { "viewport_from_screen": [1, 1, 0, 0], "crop_from_screen": [] },
            }))
            .unwrap();
            dir.json(step, "action.json", &record).unwrap();
        }
        let outcome = EpisodeRecord { detail: Some(detail.to_owned()), ..EpisodeRecord::default() };
        dir.event(&Event::EpisodeEnded { episode: 1, outcome }).unwrap();
        let path = dir.finish(&Summary::default()).unwrap();
        fs::write(path.join("report.html"), "the report").unwrap();
        path
    }

    #[test]
    fn what_is_shown_is_the_step_that_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        let suite = SuiteFolder::open(&folder.path().join("suite")).unwrap();
        let (done, no) = (Effect::Confirmed, Effect::Refused);
        for (steps, detail, expected) in [
            (vec![(done, "", "unknown"), (done, "", "unsatisfied")], "it does not hold", 2),
            // An optional step that was refused is not the reason, nor is what tidies up.
            (
                vec![(no, "no banner", "unknown"), (done, "", "unsatisfied"), (done, "", "unknown")],
                "it does not hold",
                2,
            ),
            (
                vec![(done, "", "unknown"), (no, "`a` is hidden", "unknown"), (done, "", "unknown")],
                "step 2 of 2 was refused: `a` is hidden; it does not hold",
                2,
            ),
            (vec![(done, "", "unknown"), (done, "", "unknown")], "out of time", 2),
        ] {
            let run = run(folder.path(), &steps, detail);
            let kept = suite.keep(&run, true).unwrap();
            let sight = kept.sight.unwrap();
            assert_eq!((sight.step, sight.size), (expected, [expected as u32, 3]), "{steps:?}");
            let root = folder.path().join("suite");
            assert_eq!(fs::read_to_string(root.join(&kept.report)).unwrap(), "the report");
            assert_eq!(image::image_dimensions(root.join(&sight.picture)).unwrap(), (expected as u32, 3));
            assert_eq!(suite.keep(&run, false).unwrap().sight, None, "what did not fail needs no picture");
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("report");
        SuiteFolder::open(&root).unwrap().write(&SuitePage::default()).unwrap();
        // That of an earlier suite, and a folder that is empty.
        SuiteFolder::open(&root).unwrap();
        SuiteFolder::open(folder.path().join("new").as_path()).unwrap();
        for file in ["notes.txt", "index.html"] {
            let other = folder.path().join(format!("of-{file}"));
            fs::create_dir(&other).unwrap();
            fs::write(other.join(file), "mine").unwrap();
            let error = SuiteFolder::open(&other).unwrap_err();
            assert!(matches!(error, SuiteError::Taken(_)), "{error}");
            assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing was put there");
        }
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(SuiteFolder::open(&file), Err(SuiteError::Write { .. })));
    }

    #[test]
    fn a_run_without_a_screenshot_has_a_report_and_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let suite = SuiteFolder::open(&folder.path().join("suite")).unwrap();
        let run = run(folder.path(), &[], "no page");
        assert_eq!(suite.keep(&run, true).unwrap().sight, None);
        fs::remove_file(run.join("report.html")).unwrap();
        assert!(matches!(suite.keep(&run, true), Err(SuiteError::Run(_))));
    }
}
