//! What a run needs to be understood and repeated: settings with origins, seeds, versions.

use std::collections::BTreeMap;

use vigorl_agent::Stamp;
use vigorl_agent::record::{FORMAT, ModelRecord, RunRecord};

use crate::env;
use crate::settings::Settings;

/// Version and commit of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from.
pub(crate) const COMMIT: &str = env!("VIGORL_COMMIT");

/// The record of a run that starts now.
pub(crate) fn of_run(task: &str, model: ModelRecord, settings: &Settings, browser: String) -> RunRecord {
    let versions = [("vigorl", VERSION.to_owned()), ("commit", COMMIT.to_owned()), ("browser", browser)];
    let mut all = settings.to_json();
    all["command"] = env::command_line().into();
    RunRecord {
        format: FORMAT,
        task: task.to_owned(),
        model,
        settings: all,
        seeds: BTreeMap::from([("seed".to_owned(), settings.seed)]),
        versions: versions.map(|(name, version)| (name.to_owned(), version)).into(),
        started_at: Stamp::now().iso(),
    }
}
