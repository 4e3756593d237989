//! The program that `make demo` builds: parts that are left out stay in the help and name the command that builds them.
//!
//! `cargo test -p vigorl --no-default-features --test without_parts`

#![cfg(not(any(
    feature = "reader",
    feature = "hub",
    feature = "desktop",
    feature = "training",
    feature = "junit"
)))]
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn vigorl(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder).env_remove("DISPLAY");
    command.output().unwrap()
}

/// Ends as wrong usage with one line.
#[track_caller]
fn check(args: &[&str], part: &str) {
    let folder = tempfile::tempdir().unwrap();
    image::RgbImage::new(8, 8).save(folder.path().join("shot.png")).unwrap();
    let task = "name: n\nstart: { driver: desktop }\nsteps: [press: Enter]\nexpect: [clipboard: x]\n";
    fs::write(folder.path().join("task.yaml"), task).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let output = vigorl(folder.path(), args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.contains(part) && said.contains("`make build`"), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_part_that_is_not_there_names_the_command_that_builds_it() {
    check(&["train", "sft", "config.toml"], "the trainer");
    check(&["train", "compare", "."], "the trainer");
    check(&["bench", "train"], "the trainer");
    check(&["bench", "engine", "--checkpoint", "."], "the trainer");
    check(&["run", "the button", "--driver", "desktop"], "the desktop driver");
    check(&["run", "task.yaml"], "the desktop driver");
    check(&["run", "the button", "--url", "about:blank", "--junit", "out.xml"], "JUnit's XML");
    check(&["record", "new.yaml", "--driver", "desktop"], "the desktop driver");
    check(&["calibrate", "--driver", "desktop"], "the desktop driver");
    check(&["bench", "step", "--driver", "desktop"], "the desktop driver");
    check(&["locate", "shot.png", "the box", "--model", "someone/ViGoRL-3b"], "the hub's client");
    check(&["read", "shot.png"], "the reader of text");
    check(&["bench", "read"], "the reader of text");
    check(&["fetch", "reader"], "the reader of text");
    check(&["locate", "shot.png", "the box", "--eyes", "reader"], "the reader of text");
    check(&["run", "the button", "--url", "about:blank", "--eyes", "auto"], "the reader of text");
    check(&["quantize", "--model", "someone/ViGoRL-3b"], "the hub's client");
}

#[test]
fn every_verb_stays_in_the_help() {
    let folder = tempfile::tempdir().unwrap();
    let help = |args: &[&str]| String::from_utf8(vigorl(folder.path(), args).stdout).unwrap();
    let of_all = include_str!("help/vigorl.txt");
    assert_eq!(
        help(&["--help"]).split_whitespace().collect::<Vec<_>>(),
        of_all.split_whitespace().collect::<Vec<_>>()
    );
    assert!(help(&["train", "sft", "--help"]).contains("vigorl train sft"));
    assert!(help(&["run", "--help"]).contains("--driver"));
}

#[test]
fn the_doctor_says_that_the_desktop_is_missing_and_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = vigorl(folder.path(), &["doctor", "--driver", "desktop"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("MISSING  desktop") && said.contains("`make build`"), "{said}");
}
