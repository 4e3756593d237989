//! What a task's clauses do to a run of the binary: none holds by itself, and none leaves anything behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn vigorl(folder: &Path, expect: &str, wait_secs: f64) -> Command {
    let yaml = format!(
        "name: clause\nstart: {{ url: 'about:blank' }}\nvars: {{ empty: '' }}\n\
         steps: [{{ assert: {{ javascript: 'true' }} }}]\nwait_secs: {wait_secs}\nexpect: [{expect}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "task.yaml", "--places"]).current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder.join("user"));
    command
}

fn run(folder: &Path, expect: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = vigorl(folder, expect, 10.0).output().unwrap();
    (status.code(), [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat())
}

#[track_caller]
fn check(expect: &str, code: i32, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (got, said) = run(folder.path(), expect);
    assert_eq!(got, Some(code), "{expect}: {said}");
    assert!(said.contains(words), "{expect}: {said}");
}

#[test]
fn a_clause_that_says_nothing_is_wrong_usage() {
    check("text_visible: ''", 2, "`text_visible` is empty");
    check("url_contains: '${empty}'", 2, "`url_contains` is empty");
}

#[test]
fn a_promise_of_false_does_not_solve_a_task() {
    check("javascript: '(async () => false)()'", 1, "it does not hold that");
    check("javascript: '(async () => true)()'", 0, "solved");
    let leaves = "(async () => { location.href = \"about:blank?left\"; await new Promise(() => {}) })()";
    check(&format!("javascript: '{leaves}'"), 1, "the page was left before it answered");
}

#[test]
fn what_a_clause_throws_is_said() {
    check("javascript: nowhere.at.all", 1, "true in the page: javascript error: nowhere is not defined");
}

/// Starts a program that leaves the foreground, and writes its process id to the file `started`.
const STARTS: &str = "sleep 300 & echo $! > started.part && mv started.part started";

/// Waits until the clause has started its program.
fn started(folder: &Path) -> u32 {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(text) = fs::read_to_string(folder.join("started")) {
            return text.trim().parse().unwrap();
        }
        assert!(Instant::now() < end, "the command of the clause was not run");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn assert_gone(pid: u32) {
    let is_there = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(sleep)") && !stat.contains(") Z ")
    };
    let end = Instant::now() + Duration::from_secs(5);
    while is_there() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_there(), "what the clause started goes on as process {pid}");
}

#[test]
fn what_a_command_starts_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(folder.path(), &format!("command: '{STARTS}'"));
    assert_eq!(code, Some(0), "{said}");
    assert_gone(started(folder.path()));
}

/// Runs a task whose command does not end by itself.
fn hanging(folder: &Path) -> (Child, u32) {
    let mut command = vigorl(folder, &format!("command: '{STARTS}; wait'"), 10.0);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = started(folder);
    (child, pid)
}

#[test]
fn a_command_that_hangs_ends_with_an_interrupt_or_a_killed_program() {
    for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, pid) = hanging(folder.path());
        let clock = Instant::now();
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), code);
        assert!(clock.elapsed() < Duration::from_secs(8), "{signal}: {:?}", clock.elapsed());
        assert_gone(pid);
    }
}

#[test]
fn a_command_ends_with_the_time_of_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!(
        "name: part\nstart: {{ url: 'about:blank' }}\nsteps:\n  \
         - within: {{ secs: 1, steps: [wait_for: {{ command: '{STARTS}; wait' }}] }}\n\
         expect: [{{ javascript: 'true' }}]\n"
    );
    let mut command = vigorl(folder.path(), "url_contains: about", 10.0);
    fs::write(folder.path().join("task.yaml"), yaml).unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // What is left of the second when the command begins.
    assert!(said.contains("it was not done within 0.9 s") || said.contains("within 1.0 s"), "{said}");
    let millis = |line: &str| line.strip_suffix(" ms")?.rsplit("  ").next()?.parse().ok();
    let took: Option<u64> = said.lines().find_map(millis);
    assert!(took.is_some_and(|millis| millis < 5_000), "{said}");
    assert_gone(started(folder.path()));
}
