//! What can happen to a run directory, and what its reader makes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::{Path, PathBuf};

use vigorl_runs::record::{Event, InputRecord, RunRecord, Summary};
use vigorl_runs::{Glance, Recorded, RunDir};
use vigorl_tasks::scripted::Secret;

/// A run of one episode of one step, whose record has the number 1280 and the names `text` and `step` in it.
fn recorded(output: &Path, secrets: &[Secret]) -> PathBuf {
    let run = RunRecord {
        task: "type 1280 into the text field".to_owned(),
        input: InputRecord { viewport: Some([1280, 800]), ..InputRecord::default() },
        ..RunRecord::default()
    };
    let mut dir = RunDir::create(output, "it", &run, secrets).unwrap();
    for event in [
        Event::EpisodeStarted { episode: 1, name: "1280".into(), labels: [].into(), seed: Some(1280) },
        Event::StepStarted { step: 1, episode: 1, instruction: "type \"1280\"".into() },
        Event::Observed { step: 1, image_size: [1280, 800] },
    ] {
        dir.event(&event).unwrap();
    }
    dir.finish(&Summary::default()).unwrap()
}

#[test]
fn a_secret_that_looks_like_a_number_or_a_name_of_a_field_leaves_the_record_readable() {
    let output = tempfile::tempdir().unwrap();
    let secret =
        |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned(), is_stored: false };
    let path = recorded(output.path(), &[secret("PIN", "1280"), secret("WORD", "step"), secret("Q", "text")]);
    let run = Recorded::read(&path).unwrap();
    assert_eq!(run.run.input.viewport, Some([1280, 800]));
    assert_eq!(run.run.task, "type ${secret:PIN} into the ${secret:Q} field");
    assert_eq!((run.events.len(), run.episodes.len()), (5, 1));
    let episode = &run.episodes[0];
    assert_eq!((episode.name.as_str(), episode.seed), ("${secret:PIN}", Some(1280)));
    assert_eq!(episode.steps[0].instruction, "type \"${secret:PIN}\"");
    assert_eq!(episode.steps[0].image_size, Some([1280, 800]));
}

#[test]
fn a_damaged_line_of_the_log_is_an_error_and_no_shorter_run() {
    let output = tempfile::tempdir().unwrap();
    let path = recorded(output.path(), &[]);
    let log = path.join("events.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for damaged in [0, 2, lines.len() - 1] {
        for instead in ["", "{\"event\":", "{}", "{\"event\":\"observed\",\"step\":\"one\"}"] {
            let mut lines = lines.clone();
            lines[damaged] = instead;
            fs::write(&log, lines.join("\n") + "\n").unwrap();
            let error = Recorded::read(&path).unwrap_err().to_string();
            let place = format!("events.jsonl`, line {} is damaged", damaged + 1);
            assert!(error.contains(&place) && error.contains("without that line"), "{error}");
        }
    }
    fs::remove_file(path.join("summary.json")).unwrap();
    assert!(Glance::read(&path).is_err(), "a list asks the same log");
}

#[test]
fn a_torn_last_line_and_events_of_newer_versions_are_left_out() {
    let output = tempfile::tempdir().unwrap();
    let path = recorded(output.path(), &[]);
    let log = path.join("events.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    let known = Recorded::read(&path).unwrap().events;
    fs::write(&log, format!("{{\"event\":\"dreamt\",\"of\":[1]}}\n{whole}{{\"event\":\"run_fai")).unwrap();
    assert_eq!(Recorded::read(&path).unwrap().events, known);
}
