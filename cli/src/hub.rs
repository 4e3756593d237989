//! Checkpoints, and the reader's models, by their names on the hub.
//!
//! Invariant: the hub is asked only for what is not in its cache, and not at all under `HF_HUB_OFFLINE`.

use std::path::PathBuf;
use std::sync::Arc;

use vigorl_hub::{FetchError, HubAccess, Network};

use crate::{env, terminal};

/// The folder of the files of `ORG/NAME`, fetched if needed.
pub(crate) fn fetch(repo: &str) -> anyhow::Result<PathBuf> {
    with_bar(|access| vigorl_hub::fetch(repo, access))
}

/// The folder of those files of `ORG/NAME` whose paths fit a pattern, fetched if needed.
#[cfg(feature = "reader")]
pub(crate) fn fetch_files(repo: &str, patterns: &[String]) -> anyhow::Result<PathBuf> {
    with_bar(|access| vigorl_hub::fetch_files(repo, patterns, access))
}

fn with_bar(fetch: impl FnOnce(&HubAccess) -> Result<PathBuf, FetchError>) -> anyhow::Result<PathBuf> {
    let bar = terminal::bar(0, "bytes");
    let shown = bar.clone();
    let on_bytes = Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    });
    let network = if env::hub_is_offline() { Network::CacheOnly } else { Network::Allowed };
    let folder = fetch(&HubAccess { network, on_bytes: Some(on_bytes) });
    bar.finish_and_clear();
    Ok(folder?)
}
