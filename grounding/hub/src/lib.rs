//! Fetches checkpoints with the hub's own client, which honours `HF_HOME`, `HF_ENDPOINT` and `HF_TOKEN`.
//!
//! Invariant: a folder is returned only when it is complete; nothing but the files of a checkpoint, or those that were
//! asked for, is fetched, and without permission the network is not touched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hf_hub::HFClientSync;
use hf_hub::progress::{DownloadEvent, Progress, ProgressEvent, ProgressHandler};

/// Called with bytes fetched and bytes in total (0 while unknown).
pub type OnBytes = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// The hub could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch `{repo}` from the hub: {detail}")]
pub struct FetchError {
    /// `ORG/NAME`.
    pub repo: String,
    /// What the client said.
    pub detail: String,
}

/// How the hub may be used.
#[derive(Clone, Default)]
pub struct HubAccess {
    /// Where files come from.
    pub network: Network,
    /// Told about progress.
    pub on_bytes: Option<OnBytes>,
}

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Fetch what is not in the cache.
    #[default]
    Allowed,
    /// Use the cache alone (`HF_HUB_OFFLINE`).
    CacheOnly,
}

impl std::fmt::Debug for HubAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubAccess").field("network", &self.network).finish_non_exhaustive()
    }
}

/// What a checkpoint consists of; anything else in a repository stays there.
const FILES: [&str; 3] = ["*.json", "*.safetensors", "*.jinja"];

/// The folder of the files of `ORG/NAME`, fetched if needed.
///
/// # Errors
/// What the client says: no network, no such repository, no permission, no room.
pub fn fetch(repo: &str, access: &HubAccess) -> Result<PathBuf, FetchError> {
    fetch_files(repo, &FILES.map(str::to_owned), access)
}

/// The folder of the files of `ORG/NAME` whose paths fit a pattern, fetched if needed.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_files(repo: &str, patterns: &[String], access: &HubAccess) -> Result<PathBuf, FetchError> {
    let failed = |e: hf_hub::HFError| FetchError { repo: repo.to_owned(), detail: chain(&e) };
    let (owner, name) = repo.split_once('/').unwrap_or(("", repo));
    let client = HFClientSync::new().map_err(failed)?;
    let handler =
        access.on_bytes.clone().map(|on_bytes| Progress::new(Bytes { on_bytes, files: Mutex::default() }));
    client
        .model(owner, name)
        .snapshot_download()
        .allow_patterns(patterns.to_vec())
        .local_files_only(access.network == Network::CacheOnly)
        .maybe_progress(handler)
        .send()
        .map_err(failed)
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

struct Bytes {
    on_bytes: OnBytes,
    /// Bytes fetched and in total, by file.
    files: Mutex<BTreeMap<String, (u64, u64)>>,
}

impl ProgressHandler for Bytes {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(event) = event else { return };
        let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            DownloadEvent::Progress { files } => {
                known.extend(files.iter().map(|f| (f.filename.clone(), (f.bytes_completed, f.total_bytes))));
            }
            // Large files travel as one batch that is only reported as a whole.
            DownloadEvent::AggregateProgress { bytes_completed, total_bytes, .. } => {
                known.insert(String::new(), (*bytes_completed, *total_bytes));
            }
            _ => return,
        }
        let (done, total) = known.values().fold((0, 0), |sum, f| (sum.0 + f.0, sum.1 + f.1));
        (self.on_bytes)(done, total);
    }
}
