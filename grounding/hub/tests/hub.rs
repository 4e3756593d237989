//! `--model ORG/NAME` with the hub's real client, against a local server that has the hub's URL layout.
//!
//! One test: the client is configured by environment variables, which belong to the whole process.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;
use vigorl_hub::{FetchError, HubAccess, Network, fetch};
use vigorl_qwen::{Checkpoint, Engine, LoadOptions};

const REPO: &str = "someone/untied_patch14";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_only_for_this_test";

/// A hub with one repository, and a log of what was asked of it. Every connection has its own thread and ends
/// with its answer, so that none of the client's many can wait for another.
struct Hub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (address, log, files) = (listener.local_addr().unwrap(), requests.clone(), Arc::new(files));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, files) = (Arc::clone(&log), Arc::clone(&files));
                // A client that hangs up early is the client's affair.
                std::thread::spawn(move || serve(stream.unwrap(), &log, &files).ok());
            }
        });
        Self { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last call that begin with `prefix`.
    fn take_requests(&self, prefix: &str) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.retain(|request| request.starts_with(prefix));
        requests
    }
}

/// Reads one request, which has no body, and answers it.
fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<String>>,
    files: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let Some(first) = lines.first() else { return Ok(()) };
    let asked = first.rsplit_once(' ').map_or("", |(asked, _version)| asked);
    log.lock().unwrap().push(asked.to_owned());
    let (method, url) = asked.split_once(' ').unwrap_or_default();
    let expected = format!("bearer {TOKEN}").to_ascii_lowercase();
    let authorized = lines.iter().any(|line| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("authorization") && value.trim().to_ascii_lowercase() == expected
    });
    let path = url.split('?').next().unwrap_or_default();
    let (status, headers, body) = answer(path, authorized, files);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// Status, header lines and body.
fn answer(
    path: &str,
    authorized: bool,
    files: &BTreeMap<String, Vec<u8>>,
) -> (&'static str, String, Vec<u8>) {
    let json = |status, value: serde_json::Value| {
        (status, "Content-Type: application/json\r\n".to_owned(), value.to_string().into_bytes())
    };
    let file = path.strip_prefix(&format!("/{REPO}/resolve/{COMMIT}/")).and_then(|name| files.get(name));
    if !authorized {
        json("401 Unauthorized", json!({"error": "Invalid credentials"}))
    } else if path == format!("/api/models/{REPO}/revision/main") {
        json("200 OK", json!({"id": REPO, "sha": COMMIT}))
    } else if path == format!("/api/models/{REPO}/tree/{COMMIT}") {
        let entry = |(name, bytes): (&String, &Vec<u8>)| json!({"type": "file", "oid": name, "size": bytes.len(), "path": name});
        json("200 OK", files.iter().map(entry).collect())
    } else if let Some(bytes) = file {
        let name = path.rsplit('/').next().unwrap_or_default();
        let headers = format!("ETag: \"{name}-{}\"\r\nX-Repo-Commit: {COMMIT}\r\n", bytes.len());
        ("200 OK", headers, bytes.clone())
    } else {
        json("404 Not Found", json!({"error": "Repository not found"}))
    }
}

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
    let hub = Hub::start(checkpoint_files());
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
