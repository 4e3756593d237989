//! `vigorl fetch reader` with the hub's real client, against a local server that has the hub's URL layout.
//!
//! The files are those that `make setup` fetches; without them these tests fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "../../grounding/hub/tests/server/mod.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use server::{Hub, TOKEN};

const REPO: &str = "someone/models";
const NAMES: [&str; 2] = ["PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"];

fn models() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grounding/reader/weights");
    let read = |name: &str| {
        fs::read(folder.join(name)).expect("the text models are missing: `make setup` fetches them")
    };
    let mut files: BTreeMap<String, Vec<u8>> =
        NAMES.iter().map(|name| (format!("onnx/some/{name}"), read(name))).collect();
    files.insert("onnx/other.onnx".to_owned(), b"not asked for".to_vec());
    files
}

fn fetch(hub: &Hub, home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigorl"))
        .args(["fetch", "reader", "--from", REPO])
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_HUB_OFFLINE")
        .env("HF_HOME", home.join("hub"))
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", TOKEN)
        .env("XDG_CACHE_HOME", home)
        .output()
        .unwrap()
}

#[test]
fn the_text_models_come_from_the_hub_into_the_cache() {
    let (hub, home) = (Hub::start(REPO, models()), tempfile::tempdir().unwrap());
    let said = fetch(&hub, home.path());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let folder = PathBuf::from(String::from_utf8(said.stdout).unwrap().trim());
    assert!(folder.starts_with(home.path()), "{folder:?}");
    for name in NAMES {
        assert!(fs::read(folder.join(name)).unwrap() == models()[&format!("onnx/some/{name}")], "{name}");
    }
    let asked = hub.take_requests("GET");
    assert!(!asked.iter().any(|request| request.contains("other.onnx")), "{asked:?}");
}

#[test]
fn a_file_with_another_hash_is_not_taken() {
    let mut files = models();
    let recogniser = files.get_mut(&format!("onnx/some/{}", NAMES[1])).unwrap();
    recogniser[1_000_000] ^= 1;
    let (hub, home) = (Hub::start(REPO, files), tempfile::tempdir().unwrap());
    let said = fetch(&hub, home.path());
    let message = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && message.contains("SHA-256"), "{message}");
    assert!(!home.path().join("vigorl").exists(), "something was put into the cache");
}
