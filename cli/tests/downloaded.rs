//! The clause that a file was downloaded, in a real browser: a file that is still under way is none, and is waited for.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long the second half of a slow file takes to come.
const LATE: Duration = Duration::from_millis(2500);

/// Gives `/report` at once, `/slow` in two halves, and of `/broken` the first half alone.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    url
}

fn answer(mut stream: TcpStream) {
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).ok();
    let path = line.split(' ').nth(1).unwrap_or_default();
    let (kind, halves) = match path {
        "/report" => ("text/csv", ["a,b\n", "1,2\n"]),
        "/slow" | "/broken" => ("text/csv", ["c,d\n", "3,4\n"]),
        _ => (
            "text/html",
            ["<title>t</title><a href=report>Report</a> <a href=slow>Slow</a> ", "<a href=broken>Broken</a>"],
        ),
    };
    let name = path.trim_start_matches('/');
    let attached = match kind {
        "text/csv" => format!("Content-Disposition: attachment; filename={name}.csv\r\n"),
        _ => String::new(),
    };
    let length = halves.concat().len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{attached}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    // A browser that goes leaves the rest.
    write!(stream, "{head}{}", halves[0]).ok();
    stream.flush().ok();
    match path {
        "/broken" => return,
        "/slow" => std::thread::sleep(LATE),
        _ => {}
    }
    write!(stream, "{}", halves[1]).ok();
}

/// A task of these steps and clauses, played.
#[track_caller]
fn check(steps: &[&str], expect: &str, code: i32, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let yaml = format!(
        "name: download\nstart: {{ url: '{}', viewport: 600x500 }}\nwait_secs: 20\nsteps:\n{steps}expect: [{expect}]\n",
        serve()
    );
    fs::write(folder.path().join("task.yaml"), &yaml).unwrap();
    let (got, said) = run(folder.path());
    assert_eq!(got, Some(code), "{yaml}{said}");
    assert!(said.contains(words), "{yaml}{said}");
}

fn run(folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "task.yaml", "--places"]).current_dir(folder);
    let output = command.env("XDG_CONFIG_HOME", folder.join("user")).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

const REPORT: &str = "click: { what: the report, name: Report, role: link }";
const SLOW: &str = "click: { what: the slow file, name: Slow, role: link }";

#[test]
fn a_file_that_was_downloaded_holds_by_its_name_size_text_and_hash() {
    let hash = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470";
    let wait = "wait_for: { downloaded: report.csv }";
    let expect = format!(
        "{{ downloaded: {{ name: report.csv, at_least_bytes: 8, contains: '1,2', sha256: {hash} }} }}, \
         {{ not: {{ downloaded: slow.csv }} }}, {{ downloaded: {{ name_matches: '^rep.*csv$' }} }}"
    );
    check(&[REPORT, wait], &expect, 0, "solved");
    // Nothing else tells what the click did.
    check(&[REPORT], "title_contains: t", 0, "confirmed");
}

#[test]
fn a_file_that_is_under_way_is_waited_for_and_never_taken_for_whole() {
    check(
        &[SLOW, "wait_for: { downloaded: { name: slow.csv, contains: '3,4' } }"],
        "title_contains: t",
        0,
        "solved",
    );
    // Nobody can tell yet, of its opposite neither.
    let begun = "wait_for: { command: 'ls $DOWNLOADS | grep -q slow' }";
    let unknown = "cannot tell whether the file `slow.csv` was downloaded";
    check(&[SLOW, begun, "assert: { downloaded: slow.csv }"], "title_contains: t", 1, unknown);
    check(&[SLOW, begun, "assert: { not: { downloaded: slow.csv } }"], "title_contains: t", 1, unknown);
    let broken = "click: { what: the broken file, name: Broken, role: link }";
    let wait = "wait_for: { that: { downloaded: broken.csv }, within_secs: 4 }";
    check(&[broken, wait], "title_contains: t", 1, "the file `broken.csv` was downloaded");
}

#[test]
fn a_file_that_was_not_downloaded_is_said_with_what_was() {
    let wait = "wait_for: { downloaded: report.csv }";
    let other =
        "it does not hold that the file `other.csv` was downloaded: what was downloaded is `report.csv`";
    check(&[REPORT, wait], "downloaded: other.csv", 1, other);
    let wrong = "`report.csv` does not contain it, in 8 bytes";
    check(&[REPORT, wait], "downloaded: { name: report.csv, contains: 'c,d' }", 1, wrong);
    check(&["assert: { javascript: 'true' }"], "downloaded: report.csv", 1, "nothing was downloaded");
    check(&["assert: { javascript: 'true' }"], "downloaded: ''", 2, "`name` is empty");
}
