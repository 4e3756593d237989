//! A local server that has the hub's URL layout, for the hub's real client.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What a client must show.
pub(crate) const TOKEN: &str = "hf_only_for_this_test";

/// A hub with one repository, and a log of what was asked of it. Every connection has its own thread and ends
/// with its answer, so that none of the client's many can wait for another.
pub(crate) struct Hub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    pub(crate) fn start(repo: &'static str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (address, log, files) = (listener.local_addr().unwrap(), requests.clone(), Arc::new(files));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, files) = (Arc::clone(&log), Arc::clone(&files));
                // A client that hangs up early is the client's affair.
                std::thread::spawn(move || serve(stream.unwrap(), repo, &log, &files).ok());
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last call that begin with `prefix`.
    pub(crate) fn take_requests(&self, prefix: &str) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.retain(|request| request.starts_with(prefix));
        requests
    }
}

/// Reads one request, which has no body, and answers it.
fn serve(
    stream: TcpStream,
    repo: &str,
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
    let (status, headers, body) = answer(path, repo, authorized, files);
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
    repo: &str,
    authorized: bool,
    files: &BTreeMap<String, Vec<u8>>,
) -> (&'static str, String, Vec<u8>) {
    let json = |status, value: serde_json::Value| {
        (status, "Content-Type: application/json\r\n".to_owned(), value.to_string().into_bytes())
    };
    let file = path.strip_prefix(&format!("/{repo}/resolve/{COMMIT}/")).and_then(|name| files.get(name));
    if !authorized {
        json("401 Unauthorized", json!({"error": "Invalid credentials"}))
    } else if path == format!("/api/models/{repo}/revision/main") {
        json("200 OK", json!({"id": repo, "sha": COMMIT}))
    } else if path == format!("/api/models/{repo}/tree/{COMMIT}") {
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
