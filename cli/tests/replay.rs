//! Places instead of a model, runs done again, and a person who is recorded, by the program as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

#[path = "../../drivers/desktop/tests/support/display.rs"]
mod display;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use display::{manager, xvfb};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Buttons far from the corner of the page; the second one only comes when the first was clicked.
const PAGE: &str = "<!doctype html><title>Start</title>
<style>body { margin: 0 } * { font: 16px sans-serif } button, input { position: absolute; width: 120px; height: 40px; border: 0 }</style>
<button style='left: 300px; top: 200px; background: rgb(10, 130, 120); color: white' onclick='document.title = \"Half\"; b.hidden = false'>First</button>
<button id=b hidden style='left: 300px; top: 300px; background: rgb(200, 90, 10)' onclick='if (document.title === \"Half\") document.title = \"Done\" + t.value'>Second</button>
<input id=t style='left: 40px; top: 200px; background: rgb(90, 20, 160)' aria-label=Word>";

fn vigorl(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(arguments).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], b"\n", &output.stderr[..]].concat()).into_owned()
}

/// A folder with the page, and its address.
fn home() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), PAGE).unwrap();
    let url = format!("file://{}", folder.path().join("page.html").display());
    (folder, url)
}

fn only_run(folder: &Path) -> PathBuf {
    let mut runs = fs::read_dir(folder).unwrap();
    runs.next().unwrap().unwrap().path()
}

fn task(url: &str) -> String {
    format!(
        "name: both\nstart: {{ url: '{url}', viewport: 600x500 }}\nsteps:\n  \
         - click: {{ what: the first button, name: First, role: button }}\n  \
         - click: {{ what: the second button, selector: '#b' }}\n\
         expect: [title_contains: Done]\n"
    )
}

#[test]
fn a_run_by_places_is_done_again_and_another_model_is_asked_about_it() {
    let (folder, url) = home();
    fs::write(folder.path().join("task.yaml"), task(&url)).unwrap();
    let output = vigorl(folder.path(), &["run", "task.yaml", "--places"]).output().unwrap();
    assert!(output.status.success() && words(&output).contains("solved"), "{}", words(&output));
    let run = only_run(&folder.path().join("runs"));
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["model"]["name"], &record["input"]["places"]), (&"places".into(), &true.into()));

    let run = run.to_str().unwrap();
    let again = vigorl(folder.path(), &["replay", run, "--output-dir", "again"]).output().unwrap();
    assert!(again.status.success() && words(&again).contains("solved"), "{}", words(&again));

    let asked = vigorl(folder.path(), &["replay", run, "--model", "nano", "--json"]).output().unwrap();
    assert!(asked.status.success(), "{}", words(&asked));
    let said: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((&said["n_decisions"], &said["recorded_hits"]), (&2.into(), &2.into()), "{said}");
    assert_eq!(said["decisions"][1]["place"], serde_json::json!([300.0, 300.0, 420.0, 340.0]));

    // Another page at the same address: nothing is clicked that does not look like what was clicked.
    fs::write(folder.path().join("page.html"), PAGE.replace("rgb(200, 90, 10)", "black")).unwrap();
    let changed = vigorl(folder.path(), &["replay", run, "--output-dir", "changed"]).output().unwrap();
    let said = words(&changed);
    assert!(said.contains("step 2 of 2 was refused") && said.contains("does not show"), "{said}");
    assert_eq!(changed.status.code(), Some(1));
}

#[test]
fn another_model_is_asked_what_was_asked_also_where_the_task_has_blocks() {
    let (folder, url) = home();
    let steps = "steps:\n  - repeat: { times: 2, steps: [ \
                   click: { what: the first button, name: First, role: button }, \
                   click: { what: the second button, selector: '#b' } ] }\n  \
                 - click: { what: 'the ${field}', selector: '#t' }\n";
    let task = format!(
        "name: blocks\nvars: {{ field: word }}\nstart: {{ url: '{url}', viewport: 600x500 }}\n{steps}expect: [title_contains: Done]\n"
    );
    fs::write(folder.path().join("task.yaml"), task).unwrap();
    let output =
        vigorl(folder.path(), &["run", "task.yaml", "--places", "--var", "field=field"]).output().unwrap();
    assert!(words(&output).contains("report"), "{}", words(&output));
    let run = only_run(&folder.path().join("runs"));
    let run = run.to_str().unwrap();
    let asked = vigorl(folder.path(), &["replay", run, "--model", "nano", "--json"]).output().unwrap();
    let said: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let asked: Vec<&str> =
        said["decisions"].as_array().unwrap().iter().map(|d| d["instruction"].as_str().unwrap()).collect();
    let twice =
        ["the first button", "the second button", "the first button", "the second button", "the field"];
    assert_eq!(asked, twice);
}

#[test]
fn a_replay_has_the_world_and_the_limits_of_its_run_also_the_second_time() {
    let (folder, url) = home();
    fs::write(folder.path().join("task.yaml"), task(&url)).unwrap();
    let limited = ["run", "task.yaml", "--places", "--device-pixel-ratio", "2", "--max-actions", "7"];
    let output = vigorl(folder.path(), &limited).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let mut run = only_run(&folder.path().join("runs"));
    for place in ["again", "once-more"] {
        let again = vigorl(folder.path(), &["replay", run.to_str().unwrap(), "--output-dir", place])
            .output()
            .unwrap();
        assert!(again.status.success(), "{}", words(&again));
        run = only_run(&folder.path().join(place));
        let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
        let value = |name: &str| record["settings"][name]["value"].clone();
        assert_eq!((value("device_pixel_ratio"), value("max_actions")), ("2".into(), "7".into()), "{place}");
        assert_eq!(record["settings"]["max_actions"]["origin"], "the recorded run");
    }
}

/// The clauses that are asked at the end may hold before it.
#[test]
fn a_run_that_was_cut_short_is_not_solved_by_doing_its_part_again() {
    let (folder, url) = home();
    let early = task(&url).replace("title_contains: Done", "title_contains: Half");
    fs::write(folder.path().join("task.yaml"), early).unwrap();
    let cut = ["run", "task.yaml", "--places", "--max-actions", "1"];
    let output = vigorl(folder.path(), &cut).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let run = only_run(&folder.path().join("runs"));
    let again = ["replay", run.to_str().unwrap(), "--output-dir", "again"];
    let output = vigorl(folder.path(), &again).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("the run did 1 of 2 steps"), "{}", words(&output));
    let summary = fs::read(only_run(&folder.path().join("again")).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!((&summary["n_steps"], &summary["success"]), (&1.into(), &false.into()), "{summary}");
}

/// A secret can be anything, also a word of the task that it is for.
#[test]
fn a_secret_that_is_a_word_of_the_task_does_not_keep_its_run_from_being_done_again() {
    for secret in ["1000", "click", "selector", "page.html", "Done", "the first button"] {
        let (folder, url) = home();
        let task = task(&url)
            .replace("600x500", "1000x700")
            .replace("expect:", "  - type: '${secret:WORD}'\nexpect:");
        fs::write(folder.path().join("task.yaml"), task).unwrap();
        fs::write(folder.path().join("words.env"), format!("WORD={secret}\n")).unwrap();
        let output = vigorl(folder.path(), &["run", "task.yaml", "--places", "--secrets", "words.env"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{secret}: {}", words(&output));
        let run = only_run(&folder.path().join("runs"));
        let run = run.to_str().unwrap();
        let record = fs::read_to_string(Path::new(run).join("run.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert!(!record["input"]["task_file"].as_str().unwrap().contains(secret), "{secret}");
        let again = ["replay", run, "--secrets", "words.env"];
        let output = vigorl(folder.path(), &again).output().unwrap();
        assert!(output.status.success(), "{secret}: {}", words(&output));
        let asked = ["replay", run, "--model", "nano", "--json", "--secrets", "words.env"];
        let output = vigorl(folder.path(), &asked).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["n_decisions"], 2, "{secret}: {said}");
        for decision in said["decisions"].as_array().unwrap() {
            assert!(!decision["instruction"].as_str().unwrap().contains(secret), "{secret}: {said}");
        }
    }
}

#[test]
fn what_a_replay_needs_is_named() {
    let (folder, url) = home();
    let without =
        task(&url).replace("selector: '#b'", "at: [350, 320]").replace("name: First, role: button", "");
    fs::write(folder.path().join("task.yaml"), without.replace(", }", " }")).unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = vigorl(folder.path(), arguments).output().unwrap();
        assert!(words(&output).contains(expected), "{}", words(&output));
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    };
    check(&["run", "task.yaml", "--places"], "names no place for `the first button`");
    check(&["run", "the button", "--url", &url, "--places"], "--places needs a task file");
    check(&["replay", "."], "is no run directory");
    check(&["record", "new.yaml"], "name a page with --url");
    check(&["record", "task.yaml", "--url", &url], "is there already");
    check(&["record", "no/new.yaml", "--url", &url], "there is no folder `no`");
    let mut blind = vigorl(folder.path(), &["record", "new.yaml", "--url", &url]);
    let output = blind
        .env_remove("DISPLAY")
        .env_remove("XDG_SESSION_TYPE")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    assert!(words(&output).contains("set DISPLAY"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_schema_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let output = vigorl(folder.path(), &["schema"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "vigorl task");
}

fn interrupt(child: &Child) {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

/// Starts a recording and waits until it listens.
fn recording(folder: &Path, display: &str, arguments: &[&str]) -> (Child, std::thread::JoinHandle<String>) {
    let mut command = vigorl(folder, &[&["record"], arguments].concat());
    command.env("DISPLAY", display).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = String::new();
    for line in lines.by_ref() {
        said += &format!("{line}\n");
        if line.contains("recording what you do") {
            break;
        }
    }
    assert!(said.contains("recording what you do"), "{said}");
    let rest = std::thread::spawn(move || lines.fold(said, |said, line| said + &line + "\n"));
    (child, rest)
}

/// Plays a person who clicks what has these colors and types, with the mouse and the keyboard of the display.
fn person(folder: &Path, display: &str, area: &str, steps: &str) {
    let yaml = format!(
        "name: person\nstart: {{ driver: desktop, area: '{area}' }}\nsteps:\n{steps}\nexpect: [ command: 'true' ]\n"
    );
    fs::write(folder.join("person.yaml"), yaml).unwrap();
    let mut command = vigorl(folder, &["run", "person.yaml", "--places", "--output-dir", "person"]);
    let output = command.env("DISPLAY", display).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
}

/// A picture of one color, to find a patch of it on the screen.
fn patch(folder: &Path, name: &str, color: [u8; 3]) {
    RgbImage::from_pixel(12, 12, Rgb(color)).save(folder.join(name)).unwrap();
}

#[test]
fn a_person_in_the_browser_is_recorded_as_a_task() {
    let (folder, url) = home();
    let folder = folder.path();
    let (server, display) = xvfb("1280x900");
    let _manager = manager(folder, Some(&display));
    let arguments = ["new.yaml", "--url", &url, "--viewport", "600x500", "--name", "both buttons"];
    let (mut recorder, rest) = recording(folder, &display, &arguments);
    patch(folder, "first.png", [10, 130, 120]);
    patch(folder, "second.png", [200, 90, 10]);
    patch(folder, "field.png", [90, 20, 160]);
    person(
        folder,
        &display,
        "screen",
        "  - click: { what: first, picture: first.png, at: [0, 0] }\n  \
         - click: { what: field, picture: field.png, at: [0, 0] }\n  - type: 'now'\n  \
         - click: { what: second, picture: second.png, at: [0, 0] }",
    );
    std::thread::sleep(std::time::Duration::from_millis(500));
    interrupt(&recorder);
    let status = recorder.wait().unwrap();
    let said = rest.join().unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    let yaml = fs::read_to_string(folder.join("new.yaml")).unwrap();
    for part in [
        "name: both buttons",
        "name: First",
        "role: button",
        "name: Word",
        "type: now",
        "title_contains: Donenow",
    ] {
        assert!(yaml.contains(part), "{part} is not in\n{yaml}\n{said}");
    }
    let output = vigorl(folder, &["run", "new.yaml", "--places"]).output().unwrap();
    assert!(output.status.success(), "{}\n{yaml}", words(&output));
    drop(server);
}

#[test]
fn a_person_on_the_desktop_is_recorded_as_a_task() {
    let (folder, _) = home();
    let folder = folder.path();
    let (server, display) = xvfb("1280x800");
    let _manager = manager(folder, Some(&display));
    let note = folder.join("note.txt");
    let start = || {
        let mut editor = Command::new("mousepad");
        editor.arg("--disable-server").arg(&note).current_dir(folder).env("DISPLAY", &display);
        editor.env("HOME", folder).env("NO_AT_BRIDGE", "1").env("GSETTINGS_BACKEND", "memory");
        editor.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut editor = start();
    let wait = "  - wait_for: { title_contains: note.txt }\n";
    person(folder, &display, "screen", wait);
    let (mut recorder, rest) =
        recording(folder, &display, &["note.yaml", "--driver", "desktop", "--area", "window:mousepad"]);
    person(
        folder,
        &display,
        "window:mousepad",
        "  - click: { what: the text, at: [200, 200] }\n  - type: \"Two words, A+B\"\n  - press: Control+s\n  \
         - wait_for: { file: { path: note.txt, contains: A+B } }",
    );
    interrupt(&recorder);
    let status = recorder.wait().unwrap();
    let said = rest.join().unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    let yaml = fs::read_to_string(folder.join("note.yaml")).unwrap();
    for part in [
        "picture: note.pictures/001.png",
        "type: Two words, A+B",
        "press: Control+s",
        "area: window:mousepad",
    ] {
        assert!(yaml.contains(part), "{part} is not in\n{yaml}\n{said}");
    }
    editor.kill().unwrap();
    editor.wait().unwrap();
    fs::remove_file(&note).unwrap();
    let mut editor = start();
    person(folder, &display, "screen", wait);
    let mut command = vigorl(folder, &["run", "note.yaml", "--places"]);
    let output = command.env("DISPLAY", &display).output().unwrap();
    assert!(output.status.success(), "{}\n{yaml}", words(&output));
    assert_eq!(fs::read_to_string(&note).unwrap().trim_end(), "Two words, A+B");
    editor.kill().unwrap();
    editor.wait().unwrap();
    drop(server);
}
