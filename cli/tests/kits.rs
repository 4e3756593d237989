//! The tasks on other people's pages (`examples/kits`): all are listed, can be read, name a place for each target, and have no
//! step that only waits. `make kits` plays them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::{Path, PathBuf};

use vigorl_tasks::scripted::{ScriptedTask, Step};

fn kits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kits")
}

/// The names of the tasks.
fn tasks() -> Vec<String> {
    let paths = fs::read_dir(kits()).unwrap().map(|entry| entry.unwrap().path());
    let tasks = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        tasks.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_situation_is_listed_and_none_is_waited_for_by_its_task() {
    let list = fs::read_to_string(kits().join("README.md")).unwrap();
    let mut listed: Vec<&str> =
        list.lines().filter_map(|line| line.rsplit('|').nth(1)?.split('`').nth(1)).collect();
    listed.sort_unstable();
    assert_eq!(tasks(), listed);
    for name in listed {
        let task = fs::read_to_string(kits().join(format!("{name}.yaml"))).unwrap();
        for word in ["wait_for", "retry", "sleep"] {
            assert!(!task.contains(word), "{name}: {word}");
        }
        let task = ScriptedTask::parse(&task).unwrap_or_else(|error| panic!("{name}: {error}"));
        let targets = task.steps().iter().flat_map(Step::targets);
        assert!(targets.filter(|target| target.place.is_none()).count() == 0, "{name} names no place");
    }
}
