//! What a run needs to be understood and repeated: settings with origins, seeds, versions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::json;
use vigorl_benchmarks::Evaluation;
use vigorl_geometry::{Size, Viewport};
use vigorl_interface::{Certificates, Permissions, Visitor};
use vigorl_runs::record::{FORMAT, InputRecord, ModelRecord, PagesRecord, RunRecord};
use vigorl_runs::{Run, RunDir, Stamp};
use vigorl_tasks::scripted::Secret;

use crate::env;
use crate::eyes::LoadedEyes;
use crate::reading::{self, LoadedReader};
use crate::settings::{RecordText, Settings};

/// Version and commit of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from.
pub(crate) const COMMIT: &str = env!("VIGORL_COMMIT");

/// Version, and which models read texts.
pub(crate) fn version_in_words() -> &'static str {
    static WORDS: LazyLock<String> =
        LazyLock::new(|| format!("{VERSION} ({COMMIT}), text models: {}", reading::name()));
    &WORDS
}

/// Finds out before anything slow begins whether runs can be written.
pub(crate) fn check_output(settings: &Settings) -> anyhow::Result<()> {
    if settings.record_text == RecordText::All && !reading::is_there() {
        // Who cannot read says how to get what is missing.
        LoadedReader::load()?;
    }
    RunDir::check(&settings.output_dir)
        .map_err(|error| anyhow::anyhow!("{error}; choose another --output-dir"))
}

/// A run that is recorded, with as much of what is read as the settings say.
pub(crate) fn begin(
    settings: &Settings,
    name: &str,
    record: &RunRecord,
    secrets: &[Secret],
    eyes: &LoadedEyes,
) -> anyhow::Result<Run> {
    let reader = match settings.record_text {
        RecordText::All => Some(eyes.for_record(settings)?),
        RecordText::None | RecordText::Candidates => None,
    };
    let run = Run::recorded(&settings.output_dir, name, record, secrets)?;
    Ok(match (settings.record_text, reader) {
        (RecordText::None, _) => run.without_values(),
        (_, Some(reader)) => run.with_all_texts(reader),
        _ => run,
    })
}

/// A run of an evaluation.
pub(crate) fn of_evaluation(evaluation: &dyn Evaluation) -> InputRecord {
    let pages = evaluation.pages();
    let other = || json!({ "id": evaluation.id(), "set": evaluation.to_json() });
    InputRecord {
        evaluation: pages.is_none().then(other),
        viewport: evaluation.viewport().map(sides),
        pages: pages.map(|set| PagesRecord { first: set.first, n_pages: set.n_episodes }),
        ..InputRecord::default()
    }
}

/// Who really visits the pages, where that is not what the settings say.
pub(crate) fn note_visitor(record: &mut RunRecord, visitor: &Visitor) {
    let Visitor { locale, time_zone, geolocation, permissions, certificates } = visitor;
    let said = [
        ("locale", locale.as_ref().map(|locale| locale.as_str().to_owned())),
        ("time_zone", time_zone.as_ref().map(|zone| zone.as_str().to_owned())),
        ("geolocation", geolocation.map(|place| place.to_string())),
        ("permissions", permissions.as_ref().map(Permissions::to_string)),
        ("certificates", certificates.as_ref().map(Certificates::to_string)),
    ];
    for (name, value) in said {
        if let Some(value) = value.filter(|value| record.settings[name]["value"] != value.as_str()) {
            record.settings[name] = json!({ "value": value, "origin": "task" });
        }
    }
}

/// The login is that of the task, which is recorded itself, and not what the settings say.
pub(crate) fn note_login_of_task(record: &mut RunRecord) {
    record.settings["basic_auth"] = json!({ "value": null, "origin": "task" });
}

/// Whole CSS pixels.
pub(crate) fn sides(viewport: Size<Viewport>) -> [u32; 2] {
    [viewport.width as u32, viewport.height as u32]
}

/// The record of a run that starts now.
pub(crate) fn of_run(
    task: &str,
    input: InputRecord,
    model: ModelRecord,
    settings: &Settings,
    browser: String,
) -> RunRecord {
    let versions = [
        ("vigorl", VERSION.to_owned()),
        ("commit", COMMIT.to_owned()),
        ("browser", browser),
        ("reader", reading::name().to_owned()),
    ];
    let mut all = settings.to_json();
    all["command"] = env::command_line().into();
    if let Some([width, height]) = input.viewport.filter(|shown| *shown != sides(settings.viewport)) {
        all["viewport"] = json!({ "value": format!("{width}x{height}"), "origin": "task" });
    }
    RunRecord {
        format: FORMAT,
        task: task.to_owned(),
        input,
        model,
        settings: all,
        seeds: BTreeMap::from([("seed".to_owned(), settings.seed)]),
        versions: versions.map(|(name, version)| (name.to_owned(), version)).into(),
        started_at: Stamp::now().iso(),
    }
}
