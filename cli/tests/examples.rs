//! The example tasks on the applications that they name: by the places in the files, without a model; and those that can be
//! solved as they are worded by nothing but the pixels.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "../../drivers/desktop/tests/support/display.rs"]
mod display;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use display::{manager, xvfb};
use serde_json::Value;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut tasks: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    tasks.sort();
    tasks
}

/// Runs a task with these eyes, at a port that is free.
fn run(folder: &Path, task: &Path, eyes: &str, display: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", task.to_str().unwrap(), "--eyes", eyes, "--json"]).current_dir(folder);
    let secrets = task.with_extension("env");
    if secrets.is_file() {
        command.args(["--secrets", secrets.to_str().unwrap()]);
    }
    if fs::read_to_string(task).unwrap().contains("port:") {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.args(["--var", &format!("port={port}")]);
    }
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
    command.envs(display.map(|display| ("DISPLAY", display)));
    // A bare system names no language.
    command.env_remove("LANG").env_remove("LC_ALL").env_remove("LC_CTYPE");
    command.env("HOME", folder).env("NO_AT_BRIDGE", "1").env("GSETTINGS_BACKEND", "memory");
    command.output().unwrap()
}

fn is_on_desktop(task: &Path) -> bool {
    fs::read_to_string(task).unwrap().contains("driver: desktop")
}

fn check(tasks: &[PathBuf], eyes: &str) {
    let folder = tempfile::tempdir().unwrap();
    for task in tasks {
        // A display of its own: nothing of one task is in the way of the next.
        let display = is_on_desktop(task).then(|| xvfb("1280x800"));
        let name = display.as_ref().map(|(_, name)| name.as_str());
        let manager = name.map(|name| manager(folder.path(), Some(name)));
        let output = run(folder.path(), task, eyes, name);
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
        assert!(output.status.success(), "{}: {said}", task.display());
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["summary"]["reward"], 1.0, "{}: {said}", task.display());
        if let Some(name) = name {
            // Nothing of the task is left on the desk.
            let left = ["run", "x", "--driver", "desktop", "--area", "window:a", "--dry-run"];
            let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
            let left = command.args(left).current_dir(folder.path()).env("DISPLAY", name);
            let left = String::from_utf8_lossy(&left.output().unwrap().stderr).into_owned();
            assert!(left.contains("no `a`; there is none"), "{}: {left}", task.display());
        }
        drop(manager);
    }
}

#[test]
fn the_examples_in_the_browser_are_solved() {
    let tasks: Vec<PathBuf> = examples().into_iter().filter(|task| !is_on_desktop(task)).collect();
    assert_eq!(tasks.len(), 5, "{tasks:?}");
    check(&tasks, "places");
}

#[test]
fn the_examples_on_the_desktop_are_solved_and_end_what_they_started() {
    let tasks: Vec<PathBuf> = examples().into_iter().filter(|task| is_on_desktop(task)).collect();
    assert_eq!(tasks.len(), 5, "{tasks:?}");
    check(&tasks, "places");
}

#[test]
fn examples_are_solved_as_they_are_worded_by_what_is_read() {
    let names = ["attachment.yaml", "calculator-buttons.yaml"];
    let is_named = |task: &PathBuf| names.iter().any(|name| task.ends_with(name));
    let tasks: Vec<PathBuf> = examples().into_iter().filter(is_named).collect();
    assert_eq!(tasks.len(), names.len(), "{tasks:?}");
    check(&tasks, "auto");
}
