//! Reads a run directory back, finished or not.
//!
//! Invariant: a run that ended at any moment can be read: the event log says what happened, a torn last line is left
//! out, and files that were never written are absent, not errors. What is damaged otherwise is an error and no shorter run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::record::{
    EpisodeRecord, Event, GroundingRecord, RunRecord, StepRecord, Summary, TextRecord, TurnRecord,
};
use crate::run_dir::RunDirError;

/// A run as found on disk.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The folder.
    pub root: PathBuf,
    /// `run.json`.
    pub run: RunRecord,
    /// The complete lines of `events.jsonl` that this version knows.
    pub events: Vec<Event>,
    /// Episodes in order.
    pub episodes: Vec<RecordedEpisode>,
    /// `summary.json`; absent if the run was killed.
    pub summary: Option<Summary>,
}

/// One episode of a run.
#[derive(Debug, Clone, Default)]
pub struct RecordedEpisode {
    /// Its name, usually the instruction.
    pub name: String,
    /// What kind of episode it is.
    pub labels: BTreeMap<String, String>,
    /// Its seed.
    pub seed: Option<u64>,
    /// How it ended; absent if the run was killed during it.
    pub outcome: Option<EpisodeRecord>,
    /// Its steps in order.
    pub steps: Vec<RecordedStep>,
}

/// One step of an episode.
#[derive(Debug, Clone)]
pub struct RecordedStep {
    /// Number in the run, from 1.
    pub step: usize,
    /// What it was to do.
    pub instruction: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Width and height of the screenshot; absent if there was none.
    pub image_size: Option<[u32; 2]>,
    /// `action.json`, if it was written.
    pub action: Option<StepRecord>,
    /// `model.json`, or the turns of the event log if it was not written.
    pub model: Option<GroundingRecord>,
    /// `text.json`, if the run records all that is read.
    pub texts: Option<TextRecord>,
}

impl Recorded {
    /// Reads the run in `root`.
    ///
    /// # Errors
    /// [`RunDirError`] if `run.json` or the event log cannot be read, or a complete file is damaged.
    pub fn read(root: &Path) -> Result<Self, RunDirError> {
        let run = read_json(&root.join("run.json"))?;
        let events = read_events(&root.join("events.jsonl"))?;
        let summary = read_if_present(&root.join("summary.json"))?;
        let episodes = episodes(root, &events)?;
        Ok(Self { root: root.to_owned(), run, events, episodes, summary })
    }
}

/// The complete lines of an event log; events of newer versions and a torn last line are left out.
///
/// # Errors
/// [`RunDirError::DamagedLine`] for any other line that is no event: a log that lost a line is not a shorter run.
pub(crate) fn read_events(path: &Path) -> Result<Vec<Event>, RunDirError> {
    let bytes = fs::read(path).map_err(|source| RunDirError::Read { path: path.to_owned(), source })?;
    let mut events = Vec::new();
    for (idx, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(Event::Unknown) => {}
            Ok(event) => events.push(event),
            // The end of a line is written with it: without one, a crash cut it.
            Err(_) if !line.ends_with(b"\n") => {}
            Err(source) => {
                return Err(RunDirError::DamagedLine { path: path.to_owned(), line: idx + 1, source });
            }
        }
    }
    Ok(events)
}

fn episodes(root: &Path, events: &[Event]) -> Result<Vec<RecordedEpisode>, RunDirError> {
    let mut episodes: Vec<RecordedEpisode> = Vec::new();
    for event in events {
        match event {
            Event::EpisodeStarted { name, labels, seed, .. } => episodes.push(RecordedEpisode {
                name: name.clone(),
                labels: labels.clone(),
                seed: *seed,
                ..RecordedEpisode::default()
            }),
            Event::StepStarted { step, instruction, .. } => {
                let folder = root.join("steps").join(format!("{step:04}"));
                let recorded = RecordedStep {
                    step: *step,
                    instruction: instruction.clone(),
                    image_size: image_size(events, *step),
                    action: read_if_present(&folder.join("action.json"))?,
                    model: read_if_present(&folder.join("model.json"))?.or_else(|| said(events, *step)),
                    texts: read_if_present(&folder.join("text.json"))?,
                    folder,
                };
                if let Some(episode) = episodes.last_mut() {
                    episode.steps.push(recorded);
                }
            }
            Event::EpisodeEnded { outcome, .. } => {
                if let Some(episode) = episodes.last_mut() {
                    episode.outcome = Some(outcome.clone());
                }
            }
            _ => {}
        }
    }
    Ok(episodes)
}

fn image_size(events: &[Event], wanted: usize) -> Option<[u32; 2]> {
    events.iter().find_map(|event| match event {
        Event::Observed { step, image_size } if *step == wanted => Some(*image_size),
        _ => None,
    })
}

/// What the log knows of the turns of a step; `None` if it knows of none.
fn said(events: &[Event], wanted: usize) -> Option<GroundingRecord> {
    let mut turns: Vec<TurnRecord> = Vec::new();
    for event in events {
        if let Event::TurnEnded { step, turn, completion, zoom, crop, thoughts } = event
            && *step == wanted
        {
            // A turn that went on is logged again under its number.
            turns.truncate(turn.saturating_sub(1));
            let (completion, thoughts) = (completion.clone(), thoughts.clone());
            turns.push(TurnRecord {
                completion,
                thoughts,
                zoom: *zoom,
                crop: *crop,
                ..TurnRecord::default()
            });
        }
    }
    (!turns.is_empty()).then(|| GroundingRecord { turns, ..GroundingRecord::default() })
}

pub(crate) fn read_if_present<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunDirError> {
    match read_json(path) {
        Ok(record) => Ok(Some(record)),
        Err(RunDirError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let bytes = fs::read(path).map_err(|source| RunDirError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| RunDirError::Damaged { path: path.to_owned(), source })
}
