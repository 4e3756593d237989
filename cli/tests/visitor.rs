//! Who visits the pages: language, time zone, place and permissions, in every tab, window, frame and worker. What a browser is
//! started with holds from the first script on, and so does what a window shares with the one that opened it; windows and frames
//! of another site are told when they are there.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a page learns of its visitor while its first script runs.
const LEARNED: &str = "<!doctype html><title>page</title><p id=all><script>
    const options = Intl.DateTimeFormat().resolvedOptions();
    all.textContent = [options.locale, options.timeZone, navigator.language, (1234.5).toLocaleString(),
        new Date(0).getHours()].join(' ');
    const worker = new Worker(URL.createObjectURL(new Blob(['postMessage(Intl.DateTimeFormat().resolvedOptions().timeZone)'])));
    worker.onmessage = (event) => { ofWorker = event.data };
    </script><p id=now><script>setInterval(() => { now.textContent = (1.5).toLocaleString() }, 50)</script>";

/// The address has a port of its own; every page has links to others, `/frame` a frame of the same site, and `/away` one of
/// another.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), port));
        }
    });
    port
}

fn answer(mut stream: TcpStream, port: u16) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let accepted = head.iter().find_map(|line| line.strip_prefix("Accept-Language: ")).unwrap_or_default();
    let frame = match path.as_str() {
        "/frame" => "<iframe src='/inner' width=500></iframe>".to_owned(),
        "/away" => format!("<iframe src='http://localhost:{port}/inner' width=500></iframe>"),
        _ => String::new(),
    };
    let body = format!(
        "{LEARNED}<p>accepted {accepted}<p><a href='http://localhost:{port}/tab' target=_blank>Other site</a> \
         <button onclick=\"window.open('/popup')\">Popup</button> \
         <button onclick=\"window.open('http://localhost:{port}/window')\">Window</button>{frame}"
    );
    let length = body.len();
    // A browser that goes leaves the rest.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok();
}

fn vigorl(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(arguments).current_dir(folder);
    let output = command.env("XDG_CONFIG_HOME", folder.join("user")).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

fn write_task(folder: &Path, start: &str, steps: &str, expect: &str) {
    let yaml = format!(
        "name: visit\nstart: {{ viewport: 600x500, {start} }}\nwait_secs: 8\nsteps: [{steps}]\nexpect: [{expect}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
}

#[track_caller]
fn check(folder: &Path, flags: &[&str], code: i32, words: &str) {
    let (got, said) = vigorl(folder, &[&["run", "task.yaml", "--places"], flags].concat());
    assert_eq!(got, Some(code), "{flags:?}: {said}");
    assert!(said.contains(words), "{flags:?}: {said}");
}

/// What a visitor from Berlin is told.
const BERLIN: &str = "de-DE Europe/Berlin de-DE 1.234,5 1";
const VISITOR: &str = "locale: de-DE, time_zone: Europe/Berlin";

#[test]
fn language_and_time_zone_hold_in_frames_workers_tabs_and_windows() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let port = serve();
    let shows = format!("{{ assert: {{ element: {{ selector: '#all', text: {BERLIN:?} }} }} }}");
    // Where the language of the first script may have come too late, the rest of it has not.
    let knows = "{ assert: { text_matches: '^[^ ]+ Europe/Berlin de-DE [^ ]+ 1$' } }";
    let is_told = "{ wait_for: { element: { selector: '#now', text: '1,5' } } }";
    let accepts = "{ assert: { text_visible: 'accepted de-DE,de' } }";
    let worker = "{ wait_for: { javascript: \"window.ofWorker === 'Europe/Berlin'\" } }";
    let steps = [
        &shows,
        accepts,
        worker,
        // A window of another site, whose opener it knows.
        "{ click: { what: the button, name: Window } }",
        "{ switch_tab: { url_contains: /window } }",
        knows,
        accepts,
        worker,
        is_told,
        "reload",
        &shows,
        "close_tab",
        // One that nobody knows.
        "{ click: { what: the link, name: Other site } }",
        "{ switch_tab: { url_contains: /tab } }",
        knows,
        is_told,
        "reload",
        &shows,
        accepts,
        // One of the same process.
        "{ click: { what: the button, name: Popup } }",
        "{ switch_tab: { url_contains: /popup } }",
        &shows,
        // The tab that opened it goes first.
        "{ switch_tab: { url_contains: /tab } }",
        "close_tab",
        "{ switch_tab: { url_contains: /popup } }",
        is_told,
        "reload",
        &shows,
        "open_tab",
    ];
    let navigate = |path: &str| format!("{{ navigate: 'http://127.0.0.1:{port}/{path}' }}");
    let in_frame = |id: &str, text: &str| {
        format!("{{ wait_for: {{ element: {{ selector: '#{id}', nth: 2, text: {text:?} }} }} }}")
    };
    let steps = [
        steps.join(", "),
        navigate("frame"),
        shows.clone(),
        in_frame("all", BERLIN),
        navigate("away"),
        shows.clone(),
        in_frame("now", "1,5"),
    ];
    let expect = "{ element: { selector: '#now', nth: 2, text: '1,5' } }";
    write_task(folder, &format!("url: 'http://127.0.0.1:{port}/', {VISITOR}"), &steps.join(", "), expect);
    check(folder, &[], 0, "solved");
}

const LOOK: &str = "assert: { title_contains: page }";

#[test]
fn a_flag_is_stronger_than_the_task_and_the_record_says_who_visited() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let paris = "fr-FR Europe/Berlin fr-FR";
    let start = format!("url: 'http://127.0.0.1:{}/', {VISITOR}", serve());
    write_task(folder, &start, LOOK, &format!("{{ text_visible: {paris:?} }}"));
    check(folder, &[], 1, paris);
    fs::remove_dir_all(folder.join("runs")).unwrap();
    check(folder, &["--locale", "fr-FR"], 0, "solved");
    let run = fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path();
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    let said = |name: &str| [&record["settings"][name]["value"], &record["settings"][name]["origin"]];
    assert_eq!(said("locale"), ["fr-FR", "--locale"]);
    assert_eq!(said("time_zone"), ["Europe/Berlin", "task"]);
    let (code, said) = vigorl(folder, &["replay", run.to_str().unwrap(), "--output-dir", "again"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn pages_know_where_the_visitor_is_and_what_is_allowed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let port = serve();
    let asked = "new Promise((done) => navigator.geolocation.getCurrentPosition(({ coords }) => \
                 done([coords.latitude, coords.longitude, coords.accuracy].join()), ({ code }) => done('error ' + code)))";
    let answers = |said: &str| format!("{{ javascript: \"{asked}.then((said) => said === '{said}')\" }}");
    let at = answers("48.1,11.5,7");
    let state = |name: &str, state: &str| {
        let query = format!("navigator.permissions.query({{ name: '{name}' }})");
        format!("{{ javascript: \"{query}.then((is) => is.state === '{state}')\" }}")
    };
    let url = format!("url: 'http://127.0.0.1:{port}/'");
    let start = format!("{url}, geolocation: {{ latitude: 48.1, longitude: 11.5, accuracy: 7 }}");
    let steps = format!(
        "{{ assert: {at} }}, {{ click: {{ what: the link, name: Other site }} }}, {{ switch_tab: {{ url_contains: /tab }} }}, \
         {{ wait_for: {at} }}, open_tab, {{ navigate: 'http://127.0.0.1:{port}/' }}"
    );
    let known = state("geolocation", "granted");
    let all = [at, known, state("notifications", "denied"), state("camera", "granted")].join(", ");
    write_task(
        folder,
        &format!("{start}, permissions: {{ notifications: denied, camera: granted }}"),
        &steps,
        &all,
    );
    check(folder, &[], 0, "solved");
    write_task(folder, &url, LOOK, &all);
    let flags = ["--geolocation", "48.1,11.5,7", "--permissions", "camera,notifications=denied"];
    check(folder, &flags, 0, "solved");
    // Whoever says so is somewhere, and tells nobody.
    let denied = [state("geolocation", "denied"), answers("error 1")].join(", ");
    write_task(folder, &format!("{start}, permissions: {{ geolocation: denied }}"), LOOK, &denied);
    check(folder, &[], 0, "solved");
}

#[test]
fn what_nobody_knows_is_refused_with_what_there_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let url = "url: 'about:blank'";
    let wrong = |start: &str, flags: &[&str], code: i32, words: &str| {
        write_task(folder, &format!("{url}{start}"), "assert: { javascript: 'true' }", "javascript: 'true'");
        check(folder, flags, code, words);
    };
    wrong(
        ", permissions: { telepathy: granted }",
        &[],
        2,
        "`telepathy` is no permission; there are accelerometer,",
    );
    wrong(
        "",
        &["--permissions", "camera,telepathy"],
        2,
        "`telepathy` is no permission; there are accelerometer,",
    );
    wrong("", &["--permissions", "camera=yes"], 2, "there are granted, denied, prompt");
    wrong(", locale: de_DE", &[], 2, "`start.locale`: `de_DE` is no locale");
    wrong("", &["--locale", "xx-YY"], 1, "`xx-YY` is no locale that it knows");
    wrong("", &["--geolocation", "91,0"], 2, "--geolocation: `91,0` is not LATITUDE,LONGITUDE");
    wrong("", &["--geolocation", "-9.5,-46.25"], 0, "solved");
    wrong(
        ", time_zone: Europe/Berlim",
        &[],
        1,
        "`Europe/Berlim` is no time zone that it knows; there are Europe/",
    );
    wrong("", &["--time-zone", "europe/berlin"], 1, "Europe/Berlin, ");
    wrong(", time_zone: UTC", &[], 0, "solved");
    wrong(
        "",
        &["--locale", "de-DE", "--webdriver-url", "http://127.0.0.1:1"],
        1,
        "one that this program starts itself",
    );
}
