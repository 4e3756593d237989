//! The example tasks on the applications that they name, without a model: by the places in the files.

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

/// Runs a task by its places, at a port that is free.
fn run(folder: &Path, task: &Path, display: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", task.to_str().unwrap(), "--places", "--json"]).current_dir(folder);
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

fn check(is_desktop: bool, n: usize) {
    let folder = tempfile::tempdir().unwrap();
    let of_kind =
        |task: &PathBuf| fs::read_to_string(task).unwrap().contains("driver: desktop") == is_desktop;
    let tasks: Vec<PathBuf> = examples().into_iter().filter(of_kind).collect();
    assert_eq!(tasks.len(), n, "{tasks:?}");
    for task in tasks {
        // A display of its own: nothing of one task is in the way of the next.
        let display = is_desktop.then(|| xvfb("1280x800"));
        let name = display.as_ref().map(|(_, name)| name.as_str());
        let manager = is_desktop.then(|| manager(folder.path(), name));
        let output = run(folder.path(), &task, name);
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
        assert!(output.status.success(), "{}: {said}", task.display());
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["summary"]["reward"], 1.0, "{}: {said}", task.display());
        if is_desktop {
            // Nothing of the task is left on the desk.
            let left = ["run", "x", "--driver", "desktop", "--area", "window:a", "--dry-run"];
            let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
            let left = command.args(left).current_dir(folder.path()).envs(name.map(|name| ("DISPLAY", name)));
            let left = String::from_utf8_lossy(&left.output().unwrap().stderr).into_owned();
            assert!(left.contains("no `a`; there is none"), "{}: {left}", task.display());
        }
        drop(manager);
    }
}

#[test]
fn the_examples_in_the_browser_are_solved() {
    check(false, 5);
}

#[test]
fn the_examples_on_the_desktop_are_solved_and_end_what_they_started() {
    check(true, 5);
}
