//! Rewards of one's own that misbehave: each is an error that says what came, and none is a reward of 0.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_judges::own::{Address, Command, OwnError, OwnReward};

fn line() -> Value {
    json!({ "response": "it's \"(1, 2)\"\n$HOME", "ground_truth": "x", "more": [1] })
}

fn command(line_of_shell: &str, limit: Duration) -> Result<f64, OwnError> {
    Command { line: line_of_shell.to_owned(), limit }.ask(&line())
}

const LONG: Duration = Duration::from_secs(30);

#[track_caller]
fn check_command(line: &str, words: &str) {
    let error = command(line, LONG).unwrap_err().to_string();
    assert!(error.contains(words), "{line}: {error}");
}

#[test]
fn a_command_reads_the_line_and_writes_a_number() {
    assert_eq!(command("echo 0.5", LONG).unwrap(), 0.5);
    assert_eq!(command("echo '{\"reward\": -1}'", LONG).unwrap(), -1.0);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    assert_eq!(command(&format!("cat >'{}'; echo noise >&2; echo 1", copy.display()), LONG).unwrap(), 1.0);
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(copy).unwrap()).unwrap(), line());
}

#[test]
fn a_command_that_misbehaves_is_an_error() {
    check_command("echo nan", "it answered `nan`, which is no finite number");
    check_command("echo 1e999", "it answered `1e999`");
    check_command("echo garbage", "it answered `garbage`");
    check_command("printf '\\377'", "no finite number");
    check_command("true", "it answered nothing");
    check_command("echo 1; echo first >&2; echo why not >&2; exit 3", "ended with code 3: `why not`");
    check_command("kill -9 $$", "ended with code 137");
    check_command("no-such-program-here", "ended with code 127");
    check_command("yes", "more than 64 KiB");
}

#[test]
fn a_command_that_hangs_ends_with_its_limit_and_with_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late");
    let begin = Instant::now();
    let shell = format!("(sleep 2; touch '{}') & sleep 60; echo 1", late.display());
    let error = command(&shell, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, OwnError::OutOfTime { .. }), "{error}");
    assert_eq!(error.to_string(), "no answer came within 0.3 s");
    assert!(begin.elapsed() < Duration::from_secs(20));
    // What it left running in the background holds nobody up either.
    let begin = Instant::now();
    assert_eq!(command("sleep 60 & echo 1", LONG).unwrap(), 1.0);
    assert!(begin.elapsed() < Duration::from_secs(20));
    while begin.elapsed() < Duration::from_secs(3) {
        thread::yield_now();
    }
    assert!(!late.exists());
}

/// Answers each request with these bytes, then closes; what was asked comes back.
fn serve(answers: Vec<Vec<u8>>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/reward?key=secret", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let answer = |bytes: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4_096];
            while !String::from_utf8_lossy(&asked).contains("[1]}") {
                let n = stream.read(&mut buffer).unwrap();
                asked.extend_from_slice(&buffer[..n]);
            }
            stream.write_all(&bytes).ok();
            String::from_utf8(asked).unwrap()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, server)
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

#[test]
fn an_address_is_sent_the_line_and_answers_with_a_number() {
    let (url, server) = serve(vec![response("200 OK", "0.25"), response("201 Created", "{\"reward\": 1}")]);
    let mut address = Address::try_new(&url, LONG).unwrap();
    assert_eq!(address.ask(&line()).unwrap(), 0.25);
    assert_eq!(address.ask(&line()).unwrap(), 1.0);
    let asked = server.join().unwrap();
    assert!(asked[0].starts_with("POST /reward?key=secret HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("content-type: application/json"), "{}", asked[0]);
    let body = asked[0].split_once("\r\n\r\n").unwrap().1;
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), line());
}

#[test]
fn an_address_that_misbehaves_is_an_error() {
    let endless = [response("200 OK", "").as_slice(), "x".repeat(70_000).as_bytes()].concat();
    let endless = String::from_utf8(endless).unwrap().replace("content-length: 0\r\n", "").into_bytes();
    let cases = [
        (response("500 Internal Server Error", "1"), "answered with status 500"),
        (response("404 Not Found", "1"), "answered with status 404"),
        (response("302 Found\r\nlocation: http://127.0.0.1:1/", "1"), "answered with status 302"),
        (response("200 OK", "NaN"), "it answered `NaN`"),
        (response("200 OK", "<html>"), "it answered `<html>`"),
        (response("200 OK", ""), "it answered nothing"),
        (endless, "more than 64 KiB"),
        (b"garbage\r\n\r\n".to_vec(), "cannot be reached"),
        (Vec::new(), "cannot be reached"),
    ];
    let (answers, words): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let (url, server) = serve(answers);
    let mut address = Address::try_new(&url, LONG).unwrap();
    for words in words {
        let error = address.ask(&line()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    server.join().unwrap();
}

#[test]
fn an_address_that_is_down_or_silent_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut silent = Address::try_new(&url, Duration::from_millis(300)).unwrap();
    assert_eq!(silent.ask(&line()).unwrap_err().to_string(), "no answer came within 0.3 s");
    drop(listener);
    let mut down = Address::try_new(&url, LONG).unwrap();
    let error = down.ask(&line()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("`{url}` cannot be reached: ")), "{error}");
}
