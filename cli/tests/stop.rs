//! `vigorl stop` finds every run, whatever became of the program's file, and touches nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vigorl");

/// Runs of other tests have another folder for their marks.
fn in_session(program: &Path, session: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(session)
        .env("VIGORL_RUNTIME_DIR", session)
        .env("XDG_CONFIG_HOME", session);
    command
}

fn stop(session: &Path) -> (Output, Value) {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = in_session(Path::new(PROGRAM), session, &["stop", "--json"]);
    let elsewhere = ["TMPDIR", "XDG_RUNTIME_DIR"].map(|name| (name, temporary.path()));
    let output = command.envs(elsewhere).output().unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap();
    (output, said)
}

#[test]
fn a_run_is_found_when_its_program_was_replaced_and_temporary_files_lie_elsewhere() {
    let session = tempfile::tempdir().unwrap();
    let program = session.path().join("installed");
    fs::copy(PROGRAM, &program).unwrap();
    let args = ["demo", "--episodes", "1000", "--output-dir", "runs"];
    let mut command = in_session(&program, session.path(), &args);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains("click the"));
    // As an installation or a build does: the file of the running program is gone then.
    fs::copy(PROGRAM, session.path().join("new")).unwrap();
    fs::rename(session.path().join("new"), &program).unwrap();
    let ending = std::thread::spawn(move || {
        lines.for_each(drop);
        run.wait().unwrap()
    });
    let (output, said) = stop(session.path());
    let runs = said["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &said["ok"]), (1, &true.into()), "{said}");
    assert!(runs[0]["command"].as_str().unwrap().contains("demo --episodes 1000"), "{said}");
    assert!(output.status.success());
    assert_eq!(ending.join().unwrap().code(), Some(130));
    let (_, said) = stop(session.path());
    assert_eq!(said["runs"], serde_json::json!([]));
}

#[test]
fn what_no_run_holds_is_no_run_and_a_number_that_is_somebody_elses_is_not_asked() {
    let session = tempfile::tempdir().unwrap();
    let (_, said) = stop(session.path());
    assert_eq!(said["runs"], serde_json::json!([]));
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let mark = session.path().join("vigorl-running").join(stranger.id().to_string());
    // Left behind by a run that was killed; its number belongs to another program by now.
    fs::write(&mark, "vigorl demo").unwrap();
    let (_, said) = stop(session.path());
    assert_eq!(said["runs"], serde_json::json!([]));
    assert!(!mark.exists());
    // A run in another container holds its mark, and has another number here.
    let held = File::create(&mark).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let (output, said) = stop(session.path());
    assert_eq!(
        (output.status.code(), &said["ok"], &said["runs"][0]["ended"]),
        (Some(1), &false.into(), &false.into())
    );
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was asked to end");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
