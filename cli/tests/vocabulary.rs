//! Fields, tabs, dialogs, clicks and pages by the words of a task, as a user runs it: played, recorded, done again and not
//! done at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Shop</title>
<style>body { margin: 0; font: 16px/20px sans-serif } body > * { position: absolute; left: 20px; width: 200px; height: 24px }</style>
<input style='top: 10px' aria-label=Name value='to be replaced'>
<input style='top: 40px' type=password aria-label=Password>
<input style='top: 70px' type=date aria-label=Day>
<input style='top: 100px' aria-label=Card oninput=\"value = value.replace(/ /g, '').replace(/(.{4})(?=.)/g, '$1 ')\">
<button style='top: 130px' onclick=\"document.title = prompt('Who?') || 'nobody'\">Ask</button>
<a style='top: 160px' href=other.html target=_blank>Other</a>
<div style='top: 190px; background: tan' id=plane onclick='at = [event.offsetX, event.ctrlKey]; textContent = `was hit`'>Plane</div>
<button style='top: 220px' onclick=\"setTimeout(() => { confirm('Sure?'); document.title = 'late' }, 700)\">Later</button>
<p style='top: 1500px' id=low>The end of the page</p>";

fn home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), PAGE).unwrap();
    fs::write(folder.path().join("other.html"), "<!doctype html><title>Other</title><p>other").unwrap();
    fs::write(folder.path().join("secrets"), "PASSWORD=hunter2-and-more\n").unwrap();
    folder
}

fn task(folder: &Path, steps: &[&str], expect: &str) {
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let yaml = format!(
        "name: words\nstart: {{ url: page.html, viewport: 400x300 }}\nwait_secs: 3\nsteps:\n{steps}\
         expect: [{{ javascript: \"{expect}\" }}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
}

fn vigorl(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(arguments).args(["--secrets", "secrets"]).current_dir(folder);
    let output = command.env("XDG_CONFIG_HOME", folder.join("user")).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

fn run(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    vigorl(folder, &[&["run", "task.yaml", "--places"], more].concat())
}

fn only_run(folder: &Path, runs: &str) -> PathBuf {
    fs::read_dir(folder.join(runs)).unwrap().next().unwrap().unwrap().path()
}

/// What is recorded of each step.
fn steps_of(run: &Path) -> Vec<Value> {
    (1..)
        .map(|step| run.join(format!("steps/{step:04}/action.json")))
        .map_while(|file| fs::read(file).ok())
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .collect()
}

/// All text files of a folder.
fn texts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&texts(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    all
}

const FILLS: [&str; 6] = [
    "fill: { target: { what: the name, name: Name }, text: Ann Lee }",
    "fill: { target: { what: the name, name: Name }, text: Ann Lee }",
    "fill: { target: { what: the password, name: Password }, text: '${secret:PASSWORD}' }",
    "fill: { target: { what: the day, name: Day }, text: '2026-03-05' }",
    "fill: { target: { what: the card, name: Card }, text: '4111111111111111' }",
    "clear: { what: the name, name: Name }",
];
const FILLED: &str = "Array.from(document.querySelectorAll('input'), (field) => field.value).join('|') === '|hunter2-and-more|2026-03-05|4111 1111 1111 1111'";

#[test]
fn fields_are_filled_recorded_without_secrets_and_filled_again() {
    let folder = home();
    let folder = folder.path();
    task(folder, &FILLS, FILLED);
    let (code, said) = run(folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    let played = only_run(folder, "runs");
    let steps = steps_of(&played);
    let effects: Vec<&str> = steps.iter().map(|step| step["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["confirmed"; 6], "also where the text stood there already");
    assert_eq!(steps[2]["action"]["text"], "${secret:PASSWORD}");
    assert_eq!(steps[2]["action"]["has_secret"], true);
    assert_eq!(steps[3]["detail"], "set by a script and not by keys: the field is of type date");
    assert_eq!(steps[4]["detail"], "the page made \"4111 1111 1111 1111\" of it");
    let report = fs::read_to_string(played.join("report.html")).unwrap();
    assert!(report.contains("set by a script") && report.contains("clear the name"), "a report says it");
    assert!(!texts(&played).contains("hunter2") && !said.contains("hunter2"));

    let (code, said) = vigorl(folder, &["replay", played.to_str().unwrap(), "--output-dir", "again"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!texts(&only_run(folder, "again")).contains("hunter2"));
}

#[test]
fn a_field_that_does_not_take_the_text_ends_the_task_and_no_secret_is_told() {
    let folder = home();
    let folder = folder.path();
    let short = PAGE.replace("type=password", "maxlength=6");
    fs::write(folder.join("page.html"), short).unwrap();
    task(folder, &FILLS[..3], "true");
    let (code, said) = run(folder, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("what stands in the field is not the text") && !said.contains("hunter"), "{said}");
    assert!(!texts(&only_run(folder, "runs")).contains("hunter"));
}

#[test]
fn tabs_dialogs_and_pages_are_worked_by_their_words() {
    let folder = home();
    let folder = folder.path();
    let steps = [
        "click: { what: the button, name: Ask, role: button }",
        "dialog: { accept: Ann }",
        "assert: { title_contains: Ann }",
        "click: { what: the button, name: Ask, role: button }",
        "dialog: dismiss",
        "assert: { title_contains: nobody }",
        "reload",
        "assert: { title_contains: Shop }",
        // It opens only a while later.
        "click: { what: the button, name: Later, role: button }",
        "dialog: accept",
        "wait_for: { title_contains: late }",
        "click: { target: { what: the link, name: Other, role: link }, button: middle }",
        "assert: { title_contains: Other }",
        "switch_tab: { title_contains: late }",
        "switch_tab: { index: 2 }",
        "close_tab",
        "assert: { title_contains: late }",
        "navigate: other.html?x",
        "back",
        "assert: { title_contains: Shop }",
        "forward",
        "assert: { url_contains: other.html?x }",
        "back",
        "scroll_to: { what: the end, selector: '#low' }",
        "assert: { javascript: 'scrollY > 1000' }",
        "click: { target: { what: the plane, selector: '#plane', offset: [-60, 4] }, modifiers: [Control] }",
    ];
    task(folder, &steps, "JSON.stringify(at) === '[40,true]'");
    let (code, said) = run(folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    let acted: Vec<Value> =
        steps_of(&only_run(folder, "runs")).into_iter().filter(|step| !step["action"].is_null()).collect();
    for step in acted.iter().filter(|step| step["action"]["type"] != "click") {
        assert_eq!(step["effect"], "confirmed", "{step}");
    }
    let close = acted.iter().find(|step| step["action"]["type"] == "close_tab").unwrap();
    assert!(close["detail"].is_null(), "it did not close by itself: {close}");
}

#[test]
fn a_dry_run_fills_nothing_and_a_person_is_asked_before_a_field_is_filled() {
    let folder = home();
    let folder = folder.path();
    task(folder, &[FILLS[0]], "document.querySelector('input').value === 'to be replaced'");
    let (_, said) = run(folder, &["--dry-run"]);
    assert!(said.contains("dry run"), "{said}");
    let steps = steps_of(&only_run(folder, "runs"));
    assert_eq!((&steps[0]["action"]["type"], &steps[0]["detail"]), (&"fill".into(), &"dry run".into()));
    // Nobody is there who could be asked.
    let (code, said) = run(folder, &["--confirm-actions", "type"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn a_dialog_or_a_tab_that_does_not_come_is_refused() {
    let folder = home();
    let folder = folder.path();
    for (step, words) in [
        ("dialog: accept", "answer dialog"),
        ("switch_tab: { title_contains: Nowhere }", "0 tabs are a tab whose title contains `Nowhere`"),
        ("forward", "this is the last page of the tab"),
        ("close_tab", "it is the last one"),
    ] {
        task(folder, &[step], "true");
        let (code, said) = run(folder, &[]);
        assert_eq!(code, Some(1), "{step}: {said}");
        assert!(said.contains(words), "{step}: {said}");
    }
}
