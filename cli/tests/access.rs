//! Access to servers: the user and the password that one asks for, given to it alone and written down nowhere; and the
//! certificates that are trusted though nobody vouches for them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const PASSWORD: &str = "Kq7-lantern 42";

/// A server that knows `ada` by her password, and keeps what it was asked for and with which `Authorization`.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    /// Whoever asks for anything but `/open` must say who it is.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::default());
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer(stream.unwrap(), &kept));
            }
        });
        Self { port, heard }
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Takes what was heard so far.
    fn heard(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn sent(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

fn answer(mut stream: TcpStream, kept: &Mutex<Vec<(String, String)>>) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let said = head.iter().find_map(|line| line.strip_prefix("Authorization: Basic ")).unwrap_or_default();
    kept.lock().unwrap().push((path.clone(), said.to_owned()));
    let (status, more, body) = match path.split_once("?to=") {
        Some((_, to)) => ("302 Found", format!("Location: {to}\r\n"), String::new()),
        None if path != "/open" && said != sent("ada", PASSWORD) => {
            ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"shop\"\r\n".to_owned(), "who?".to_owned())
        }
        None if path == "/frame" => ("200 OK", String::new(), "a frame".to_owned()),
        // It tells what it was sent, as a page that is to be debugged may do.
        None => ("200 OK", String::new(), page(said)),
    };
    let length = body.len();
    // A browser that goes leaves the rest.
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{more}Content-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok();
}

fn page(said: &str) -> String {
    format!(
        "<!doctype html><title>shop</title><p>Hello ada<p>{said}<p>{PASSWORD}<button onclick=\"window.open('/popup')\">Popup</button> \
         <a href=/tab target=_blank>Tab</a><iframe src=/frame width=300 hidden></iframe><p id=worker><script>
         console.error('{said}');
         fetch('/data').then((answer) => {{ document.title += answer.status }});
         const source = \"fetch('\" + location.origin + \"/inside').then((answer) => postMessage(answer.status))\";
         new Worker(URL.createObjectURL(new Blob([source]))).onmessage = ({{ data }}) => {{ worker.textContent = 'worker ' + data }};
         </script>"
    )
}

fn vigorl(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(arguments).current_dir(folder).env("SHOP", PASSWORD).env("OTHER", "not-this-one");
    let output = command.env("XDG_CONFIG_HOME", folder.join("user")).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

fn write_task(folder: &Path, start: &str, steps: &str, expect: &str) {
    let yaml = format!(
        "name: shop\nstart: {{ viewport: 600x500, {start} }}\nwait_secs: 8\nsteps: [{steps}]\nexpect: [{expect}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
}

#[track_caller]
fn check(folder: &Path, flags: &[&str], code: i32, words: &str) {
    let (got, said) = vigorl(folder, &[&["run", "task.yaml", "--places"], flags].concat());
    assert_eq!(got, Some(code), "{flags:?}: {said}");
    assert!(said.contains(words), "{flags:?}: {said}");
    for secret in [PASSWORD, sent("ada", PASSWORD).trim_end_matches('=')] {
        assert!(!said.contains(secret), "{flags:?}: {said}");
    }
}

/// All bytes of all files below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(bytes(&path)),
            false => all.extend(fs::read(&path).unwrap()),
        }
    }
    all
}

fn has(all: &[u8], text: &str) -> bool {
    all.windows(text.len()).any(|window| window == text.as_bytes())
}

const LOGIN: &str = "basic_auth: { user: ada, password: '${secret:SHOP}' }";
const LOOK: &str = "{ wait_for: { text_visible: Hello ada } }";
const SHOP: &str = "{ text_visible: Hello ada }";

#[test]
fn a_login_holds_in_tabs_windows_frames_and_workers_and_is_written_down_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let server = Server::start();
    let is_in = "{ wait_for: { text_visible: worker 200 } }, { wait_for: { title_contains: shop200 } }";
    let steps = [
        is_in,
        "{ click: { what: the button, name: Popup } }",
        "{ switch_tab: { url_contains: /popup } }",
        is_in,
        "close_tab",
        "{ click: { what: the link, name: Tab } }",
        "{ switch_tab: { url_contains: /tab } }",
        is_in,
        "open_tab",
        &format!("{{ navigate: '{}' }}", server.at("deep/er")),
        is_in,
    ];
    write_task(folder, &format!("url: '{}', {LOGIN}", server.at("")), &steps.join(", "), SHOP);
    check(folder, &[], 0, "solved");
    let (known, asked) = (sent("ada", PASSWORD), server.heard());
    let is_known = |path: &str| asked.iter().any(|(of, said)| of == path && *said == known);
    for path in ["/", "/popup", "/tab", "/deep/er", "/frame", "/data", "/inside"] {
        assert!(is_known(path), "{path}: {asked:?}");
    }
    let run = fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path();
    let written = bytes(&folder.join("runs"));
    assert!(has(&written, "${secret:SHOP}"), "the task is recorded");
    for secret in [PASSWORD, known.trim_end_matches('=')] {
        assert!(!has(&written, secret), "{secret} is in a file");
    }
    // The record is played with the same secret, and not without it.
    let run = run.to_str().unwrap();
    let (code, said) = vigorl(folder, &["replay", run, "--output-dir", "again"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_flag_names_a_secret_and_a_password_in_a_task_is_hidden_as_well() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let server = Server::start();
    let url = format!("url: '{}'", server.at(""));
    write_task(folder, &url, LOOK, SHOP);
    check(folder, &["--basic-auth", "ada:${secret:SHOP}"], 0, "solved");
    fs::write(folder.join("vigorl.toml"), "basic_auth = \"ada:${secret:SHOP}\"\n").unwrap();
    check(folder, &[], 0, "solved");
    let run = fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path();
    let (code, said) = vigorl(folder, &["replay", run.to_str().unwrap(), "--output-dir", "again"]);
    assert_eq!(code, Some(0), "{said}");
    fs::remove_file(folder.join("vigorl.toml")).unwrap();
    let plain = format!("basic_auth: {{ user: ada, password: '{PASSWORD}' }}");
    write_task(folder, &format!("{url}, {plain}"), LOOK, SHOP);
    check(folder, &[], 0, "solved");
    let written = [bytes(&folder.join("runs")), bytes(&folder.join("again"))].concat();
    for secret in [PASSWORD, sent("ada", PASSWORD).trim_end_matches('=')] {
        assert!(!has(&written, secret), "{secret} is in a file");
    }
    // What was typed is stronger, and wrong.
    check(folder, &["--basic-auth", "eve:${secret:SHOP}"], 1, "one of them is wrong there");
    let typed = format!("ada:{PASSWORD}");
    check(folder, &["--basic-auth", &typed], 2, "--basic-auth: expected USER:${secret:NAME}");
    check(folder, &["--basic-auth", "ada:${secret:NOBODY_HAS_IT}"], 2, "no secret `NOBODY_HAS_IT`");
}

#[test]
fn who_is_not_let_in_is_told_why_and_nothing_counts_as_opened() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let (server, other) = (Server::start(), Server::start());
    let at = |path: &str, login: &str| {
        write_task(folder, &format!("url: '{}'{login}", server.at(path)), LOOK, SHOP);
    };
    let login = format!(", {LOGIN}");
    at("", "");
    check(
        folder,
        &[],
        1,
        "the server asks for a user and a password (HTTP status 401); `start: { basic_auth:",
    );
    at("", &login.replace("SHOP", "OTHER"));
    server.heard();
    check(
        folder,
        &[],
        1,
        "does not take the user and the password of `basic_auth`: one of them is wrong there",
    );
    let tries: Vec<_> = server.heard().into_iter().filter(|(_, said)| !said.is_empty()).collect();
    assert_eq!(tries, [("/".to_owned(), sent("ada", "not-this-one"))], "nobody tries twice");
    at("open", &login);
    check(folder, &[], 1, "does not ask for a user and a password");
    // Where the start page leads to is another origin, though it is the same machine.
    at(&format!("x?to={}", other.at("")), &login);
    check(folder, &[], 1, &format!("leads to http://127.0.0.1:{}, which asks", other.port));
    write_task(folder, &format!("url: 'about:blank', {LOGIN}"), LOOK, SHOP);
    check(folder, &[], 1, "`basic_auth` is for a page of HTTP");
    // A way that begins and ends at the same server is gone.
    at(&format!("x?to={}", server.at("in")), &login);
    check(folder, &[], 0, "solved");
    // Later, others are told nothing either, by whatever way they are come to.
    let steps = format!("{LOOK}, {{ navigate: '{}' }}", server.at(&format!("y?to={}", other.at("later"))));
    write_task(folder, &format!("url: '{}', {LOGIN}", server.at("")), &steps, SHOP);
    check(folder, &[], 1, "not solved");
    let told = other.heard();
    assert!(told.iter().any(|(path, _)| path == "/later"), "{told:?}");
    assert!(told.iter().all(|(_, said)| said.is_empty()), "{told:?}");
}

/// A self-signed certificate for this machine, made for this test, and its key.
const CERTIFICATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgABJUFTeK9ZyIwX/+
IyVnhBKYGK58i8Yp52LtWViqtWuhRANCAATnH041dvHc+p9t7qoB4ufXfiGvofAF
OqdsVLV63lwRPzviUF39R2CdsXeCVUthMbWSEObNZVKolti4+FtQKZUV
-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----
MIIBoDCCAUWgAwIBAgIUHpDb2wACfCUhSfLUMzAbVklNN/cwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLdmlnb3JsIHRlc3QwIBcNMjYxMjAxMDA1NTIzWhgPMjEyNjEx
MDcwMDU1MjNaMBYxFDASBgNVBAMMC3ZpZ29ybCB0ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE5x9ONXbx3Pqfbe6qAeLn134hr6HwBTqnbFS1et5cET874lBd
/UdgnbF3glVLYTG1khDmzWVSqJbYuPhbUCmVFaNvMG0wHQYDVR0OBBYEFLWDsjGJ
rbDzG685SE7cLSl+RtQwMB8GA1UdIwQYMBaAFLWDsjGJrbDzG685SE7cLSl+RtQw
MA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAoG
CCqGSM49BAMCA0kAMEYCIQCxcO4r7vBSFzN4Y8SNGgebjyYdnQ6JxbSF5XpqTtAy
/gIhAK0WR6mpZvG2sFOEpz1AzDUsOyerMDKgeeLwqPf/uRmX
-----END CERTIFICATE-----\n";
/// The SHA-256 of that key.
const FINGERPRINT: &str = "6pHA7iitQ8Ny+Rz70X0Oks5V4VjGyStTtEMWwr+6lDk=";
const ANOTHER: &str = "95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww=";

/// Serves the folder that it is started in with that certificate, and says at which port.
const SERVER: &str = "import http.server, ssl
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('../server.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()";

/// Ends with the test.
struct Secure(Child);

impl Drop for Secure {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn serve_securely(folder: &Path) -> (Secure, u16) {
    fs::write(folder.join("server.pem"), CERTIFICATE).unwrap();
    let pages = folder.join("pages");
    fs::create_dir(&pages).unwrap();
    let page = "<!doctype html><title>safe</title><p>Hello<button onclick=\"window.open('/popup.html')\">Popup</button><p id=worker><script>
        const source = \"fetch('\" + location.origin + \"/popup.html').then((answer) => postMessage(answer.status))\";
        new Worker(URL.createObjectURL(new Blob([source]))).onmessage = ({ data }) => { worker.textContent = 'worker ' + data };
        </script>";
    fs::write(pages.join("index.html"), page).unwrap();
    fs::write(pages.join("popup.html"), page).unwrap();
    let mut server = Command::new("python3");
    server.args(["-c", SERVER]).current_dir(pages).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Secure(server.spawn().expect("python3 is installed"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, line.trim().parse().unwrap())
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_unless_it_is_said_to_be_meant() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let (_server, port) = serve_securely(folder);
    let url = format!("https://127.0.0.1:{port}/");
    let is_safe = "{ wait_for: { text_visible: worker 200 } }";
    let steps = [
        is_safe,
        "{ click: { what: the button, name: Popup } }",
        "{ switch_tab: { url_contains: /popup.html } }",
        is_safe,
    ];
    let task = |more: &str| {
        write_task(folder, &format!("url: '{url}'{more}"), &steps.join(", "), "{ title_contains: safe }");
    };
    task("");
    let refused =
        format!("{url}: the certificate of the server is not trusted (net::ERR_CERT_AUTHORITY_INVALID); if");
    check(folder, &[], 1, &refused);
    check(folder, &["--certificates", "accept-any"], 0, "solved");
    check(folder, &["--certificates", FINGERPRINT], 0, "solved");
    check(folder, &["--certificates", &format!("{ANOTHER},{FINGERPRINT}")], 0, "solved");
    check(folder, &["--certificates", ANOTHER], 1, "its key is none of those in `certificates`");
    check(folder, &["--certificates", "sha256"], 2, "openssl x509");
    task(", certificates: accept-any");
    check(folder, &[], 0, "solved");
    task(&format!(", certificates: ['{FINGERPRINT}']"));
    check(folder, &[], 0, "solved");
    task(&format!(", certificates: ['{ANOTHER}']"));
    check(folder, &[], 1, "its key is none of those in `certificates`");
    // On the way to log in, the server is looked at alike.
    task(&format!(", certificates: ['{ANOTHER}'], {LOGIN}"));
    check(folder, &[], 1, "its key is none of those in `certificates`");
    // A step that leads there is not done, and says so.
    let step = format!("{{ navigate: '{url}' }}");
    write_task(folder, "url: 'about:blank'", &step, "{ title_contains: safe }");
    check(folder, &[], 1, "is not trusted");
}
