//! The committed lines of prompts, points, actions and verdicts, compared with what the binary does now.
//!
//! `make replay-golden-write` writes the lines anew where a difference is meant.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Plays the cases whose names begin with `only`.
fn golden(binary: &Path, only: &str) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/replay");
    let mut command = Command::new("python3");
    command.arg(script).arg("golden").arg(binary).args(["--only", only]);
    let Output { status, stdout, stderr } = command.output().expect("python3 is installed");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn episodes_are_played_as_the_committed_lines_say() {
    let (code, said) = golden(Path::new(env!("CARGO_BIN_EXE_vigorl")), "");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_program_that_does_something_else_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    // It shows the policy crops that are a little larger.
    let line = format!("#!/bin/sh\nexec '{}' \"$@\" --crop-offset-px 30\n", env!("CARGO_BIN_EXE_vigorl"));
    fs::write(&other, line).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = golden(&other, "locate/01");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("locate/01 .stdout.turns[0].crop: "), "{said}");
}
