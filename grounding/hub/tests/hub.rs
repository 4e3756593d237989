//! `--model ORG/NAME` with the hub's real client, against a local server that has the hub's URL layout.
//!
//! One test: the client is configured by environment variables, which belong to the whole process.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use vigorl_hub::{FetchError, HubAccess, Network, fetch};
use vigorl_qwen::{Checkpoint, Engine, LoadOptions};

use server::{Hub, TOKEN};

const REPO: &str = "someone/untied_patch14";

fn checkpoint_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/untied_patch14")
}

fn checkpoint_files() -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(checkpoint_folder()).unwrap().map(|entry| entry.unwrap());
    let mut files: BTreeMap<String, Vec<u8>> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect();
    files.insert("README.md".to_owned(), b"not needed to run the model".to_vec());
    files
}

fn folder_of(repo: &str, network: Network) -> Result<PathBuf, FetchError> {
    fetch(repo, &HubAccess { network, ..HubAccess::default() })
}

#[test]
fn a_checkpoint_comes_from_the_hub_once() {
    let hub = Hub::start(REPO, checkpoint_files());
    let home = tempfile::tempdir().unwrap();
    // SAFETY: this is the only test of this binary and no thread it has started so far reads the environment.
    #[expect(unsafe_code, reason = "the client takes its settings from the environment alone")]
    unsafe {
        for name in
            ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"]
        {
            std::env::remove_var(name);
        }
        std::env::set_var("HF_HOME", home.path());
        std::env::set_var("HF_ENDPOINT", hub.url());
        std::env::set_var("HF_TOKEN", TOKEN);
    }

    let offline = folder_of(REPO, Network::CacheOnly).unwrap_err();
    assert_eq!(offline.repo, REPO);
    assert!(hub.take_requests("").is_empty(), "the network was used although it is not allowed");

    let bytes_seen = Arc::new(Mutex::new((0, 0)));
    let seen = bytes_seen.clone();
    let on_bytes = move |done, total| *seen.lock().unwrap() = (done, total);
    let access = HubAccess { network: Network::Allowed, on_bytes: Some(Arc::new(on_bytes)) };
    let fetched = Checkpoint::open_dir(&fetch(REPO, &access).unwrap(), REPO.to_owned()).unwrap();
    let engine = Engine::from_checkpoint(fetched, &LoadOptions::default()).unwrap();
    let local = Checkpoint::open_dir(&checkpoint_folder(), "local".to_owned()).unwrap();
    assert_eq!(engine.checkpoint().weights_sha256().unwrap(), local.weights_sha256().unwrap());
    let (done, total) = *bytes_seen.lock().unwrap();
    assert!(done == total && total > 200_000, "progress ended at {done} of {total} bytes");
    let fetched = hub.take_requests("GET");
    assert!(
        fetched.iter().any(|request| request.ends_with("model-00003-of-00003.safetensors")),
        "{fetched:?}"
    );
    assert!(!fetched.iter().any(|request| request.ends_with("README.md")), "{fetched:?}");

    folder_of(REPO, Network::Allowed).unwrap();
    let fetched = hub.take_requests(&format!("GET /{REPO}/resolve"));
    assert!(fetched.is_empty(), "fetched again: {fetched:?}");

    let unknown = folder_of("someone/else", Network::Allowed).unwrap_err();
    assert!(unknown.to_string().contains("someone/else"), "{unknown}");

    hub.take_requests("");
    folder_of(REPO, Network::CacheOnly).unwrap();
    assert!(hub.take_requests("").is_empty(), "the network was used although it is not allowed");
}
