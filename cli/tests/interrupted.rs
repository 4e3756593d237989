//! Ctrl-C during a run: it ends soon, with a summary, and nothing stays behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn interrupt(child: &Child) {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

/// Processes whose environment or command line carries the marker.
fn processes_with(marker: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let read = |path: std::path::PathBuf| {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\0', " ")
    };
    entries
        .filter(|entry| entry.file_name().to_string_lossy().chars().all(|c| c.is_ascii_digit()))
        .filter(|entry| read(entry.path().join("environ")).contains(marker))
        .map(|entry| read(entry.path().join("cmdline")))
        .filter(|command| !command.is_empty())
        .collect()
}

#[test]
fn ctrl_c_ends_a_run_with_a_summary_and_exit_code_130() {
    let folder = tempfile::tempdir().unwrap();
    let marker = format!("VIGORL_TEST_MARK={}", folder.path().display());
    let (name, value) = marker.split_once('=').unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vigorl"))
        .args(["demo", "--episodes", "1000", "--output-dir", "runs"])
        .current_dir(folder.path())
        .env(name, value)
        .env("XDG_CONFIG_HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("click the"), "{first}");
    interrupt(&child);
    let clock = Instant::now();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(clock.elapsed() < Duration::from_secs(40), "{:?}", clock.elapsed());
    assert!(rest.last().unwrap().contains("report.html"), "{rest:?}");

    let run = fs::read_dir(folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["truncated"], &summary["terminated"]), (&true.into(), &false.into()));
    assert!(summary["n_steps"].as_u64().unwrap() >= 1);
    assert!(run.join("report.html").is_file());
    // The browser's own crash handler ends by itself a moment after the browser.
    let patience = Instant::now() + Duration::from_secs(5);
    while !processes_with(&marker).is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(processes_with(&marker), Vec::<String>::new());
}

#[test]
fn an_interrupted_evaluation_reports_what_it_played() {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_vigorl"))
        .args(["eval", "practice", "--episodes", "1000", "--turns", "multi", "--json", "--record"])
        .args(["--output-dir", "runs"])
        .current_dir(folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let third = || {
        let run = fs::read_dir(folder.path().join("runs")).ok()?.next()?.ok()?.path();
        run.join("steps/0003").is_dir().then_some(())
    };
    let end = Instant::now() + Duration::from_secs(120);
    while third().is_none() {
        assert!(Instant::now() < end, "no third page");
        std::thread::yield_now();
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["truncated"], true);
    assert_eq!(result["set"]["n_episodes"], 1000, "the set says what was asked for");
    let n = result["n_played"].as_u64().unwrap();
    assert!((2..1000).contains(&n), "{n}");
    assert_eq!(result["modes"][0]["all"]["n"], n);
}
