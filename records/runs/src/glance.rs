//! A run at a glance, for lists of runs.
//!
//! Invariant: of a finished run only `run.json` and `summary.json` are read, so that a folder of many long runs is
//! listed at once. Of one without a summary, the event log says how far it came.

use std::fs;
use std::path::Path;

use crate::record::{Event, RunRecord, Summary};
use crate::recorded::{read_events, read_if_present, read_json};
use crate::run_dir::RunDirError;
use crate::totals::Judged;

/// A run at a glance.
#[derive(Debug, Clone)]
pub struct Glance {
    /// `run.json`.
    pub run: RunRecord,
    /// `summary.json`; absent if the run goes on, or was killed.
    pub summary: Option<Summary>,
    /// Whether all episodes were solved; absent where that is not known.
    pub success: Option<bool>,
    /// The mean reward; absent where there is none.
    pub reward: Option<f64>,
    /// Steps begun.
    pub n_steps: usize,
    /// Episodes judged.
    pub n_judged: usize,
    /// Episodes solved.
    pub n_success: usize,
}

impl Glance {
    /// Looks at the run in `root`.
    ///
    /// # Errors
    /// [`RunDirError`] if `run.json` or, without a summary, the event log cannot be read, or a file is damaged.
    pub fn read(root: &Path) -> Result<Self, RunDirError> {
        let run = read_json(&root.join("run.json"))?;
        let summary: Option<Summary> = read_if_present(&root.join("summary.json"))?;
        let glance = match summary {
            Some(summary) => Self {
                run,
                success: summary.success,
                reward: summary.reward,
                n_steps: summary.n_steps,
                n_judged: summary.judged(),
                n_success: summary.n_success,
                summary: Some(summary),
            },
            None => Self::of_events(run, &read_events(&root.join("events.jsonl"))?),
        };
        Ok(glance)
    }

    fn of_events(run: RunRecord, events: &[Event]) -> Self {
        let judged = Judged::of(events.iter().filter_map(|event| match event {
            Event::EpisodeEnded { outcome, .. } => Some(outcome),
            _ => None,
        }));
        Self {
            run,
            summary: None,
            // More episodes may come.
            success: None,
            reward: judged.reward,
            n_steps: events.iter().filter(|event| matches!(event, Event::StepStarted { .. })).count(),
            n_judged: judged.n,
            n_success: judged.n_success,
        }
    }
}

/// What changes when a run goes on, cheap to ask for: its log grows, its newest step gets files, and in the end
/// there is a summary.
pub fn run_version(root: &Path) -> String {
    let n_bytes = fs::metadata(root.join("events.jsonl")).map_or(0, |file| file.len());
    if root.join("summary.json").is_file() {
        return format!("{n_bytes}-ended");
    }
    // Pictures are written after the event that tells of them.
    let newest = names(&root.join("steps")).into_iter().max();
    let n_files = newest.map_or(0, |step| {
        let files = names(&root.join("steps").join(step));
        files.iter().filter(|file| !file.ends_with(".partial")).count()
    });
    format!("{n_bytes}-{n_files}")
}

/// What lies in a folder; nothing if it is not there yet.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_with_the_log_with_pictures_and_with_the_summary() {
        let folder = tempfile::tempdir().unwrap();
        let step = folder.path().join("steps/0002");
        fs::create_dir_all(&step).unwrap();
        let mut last = run_version(folder.path());
        for (file, changes) in [
            ("events.jsonl", true),
            ("steps/0002/before.png", true),
            ("steps/0002/after.partial", false),
            ("summary.json", true),
        ] {
            fs::write(folder.path().join(file), "{}").unwrap();
            let now = run_version(folder.path());
            assert_eq!(now != last, changes, "{file}");
            last = now;
        }
    }
}
