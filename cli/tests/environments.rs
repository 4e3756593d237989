//! Environments and rollouts on the command line: what went wrong is said, with its cause, and exit codes tell it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::RgbImage;
use serde_json::Value;

fn vigorl(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn check(folder: &Path, args: &[&str], code: i32, words: &[&str]) -> Output {
    let output = vigorl(folder, args);
    let said =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?}: no {word:?} in {said}");
    }
    output
}

/// A list of screenshots with boxes, of which one is held out.
fn write_list(folder: &Path) {
    for n in 0..3_u8 {
        let picture = RgbImage::from_fn(64, 48, |x, y| image::Rgb([n * 40, x as u8 * 3, y as u8 * 5]));
        picture.save(folder.join(format!("{n}.png"))).unwrap();
    }
    let line = |n: u8, split: &str| {
        format!(
            r#"{{"image": "{n}.png", "instruction": "box {n}", "box": [1, 1, 30, 30], "split": "{split}"}}"#
        )
    };
    let lines = [line(0, "train"), line(1, "train"), line(2, "held-out")];
    fs::write(folder.join("list.jsonl"), lines.join("\n")).unwrap();
}

#[test]
fn a_task_without_a_click_is_told_and_the_others_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    let task = "name: n\nstart: { url: x.html }\nsteps: [{ press: Enter }]\nexpect: [title_contains: x]\n";
    fs::write(folder.path().join("none.yaml"), task).unwrap();
    let told =
        ["none.yaml: nothing to check: it has no `goal`", "compared were 2 of 2 to learn from with 1 of 1"];
    check(folder.path(), &["env", "check", "none.yaml", "list.jsonl"], 0, &told);
    let output = check(folder.path(), &["env", "check", "list.jsonl", "none.yaml", "--json"], 0, &[]);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let names: BTreeSet<&str> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["list.jsonl", "none.yaml"]));
    let nothing = ["none.yaml: nothing to check", "nothing could be checked"];
    check(folder.path(), &["env", "check", "none.yaml"], 2, &nothing);
    check(folder.path(), &["rollout", "none.yaml"], 2, &["there is nothing to sample in `none.yaml`"]);
}

#[test]
fn names_and_lists_that_are_wrong_say_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    check(folder.path(), &["env", "list"], 0, &["miniwob/TASK@area", "pix2act"]);
    let settings = "page, area, browsergym, pix2act, seeclick; not `whole`";
    check(folder.path(), &["env", "check", "miniwob/click-test@whole"], 2, &[settings]);
    check(folder.path(), &["rollout", "miniwob/no-such-task@area"], 2, &["no task `no-such-task`"]);
    let line = r#"{"image": "0.png", "instruction": "x", "box": [1, 1, 2, 2], "split": "test"}"#;
    fs::write(folder.path().join("bad.jsonl"), line).unwrap();
    let words = ["`bad.jsonl`, line 1", r#""train" or "held_out""#];
    check(folder.path(), &["env", "check", "bad.jsonl"], 2, &words);
    check(
        folder.path(),
        &["train", "export-rollouts", ".", "--format", "trl", "--output", "x.jsonl", "--min-reward", "nan"],
        2,
        &["no finite number"],
    );
}

#[test]
fn a_rollout_says_how_it_samples_and_refuses_what_would_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    let output =
        check(folder.path(), &["rollout", "-h"], 0, &["[default: 0.99]", "--first chooses the episodes"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(!help.contains("0 is greedy [default: 0]"), "{help}");
    let held = ["--constrain", "was not drawn", "--constrain off"];
    check(folder.path(), &["rollout", "list.jsonl", "--constrain", "on"], 2, &held);
    for (temperature, is_trainable) in [("0", false), ("1", true)] {
        let args = [
            "rollout",
            "list.jsonl",
            "--groups",
            "1",
            "--group-size",
            "2",
            "--json",
            "--temperature",
            temperature,
        ];
        let output = check(folder.path(), &args, 0, &[]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = folder.path().join(said["run_dir"].as_str().unwrap());
        let lines = fs::read_to_string(run.join("rollouts.jsonl")).unwrap();
        let samples: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(samples.len(), 2);
        let actions = samples.iter().flat_map(|sample| sample["actions"].as_array().unwrap());
        assert!(
            actions.into_iter().all(|action| action["is_trainable"] == is_trainable),
            "{temperature}: {lines}"
        );
        let run = run.to_str().unwrap();
        check(folder.path(), &["train", "replay-rollout", run], 0, &["2 of 2 samples are the same"]);
        check(folder.path(), &["train", "replay-rollout", run, "--seed", "3"], 2, &["leave out --seed"]);
    }
}

#[test]
fn a_rollout_without_a_sample_says_why_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    for n in 0..2 {
        // Its size can be read, and its pixels cannot.
        let whole = fs::read(folder.path().join(format!("{n}.png"))).unwrap();
        fs::write(folder.path().join(format!("{n}.png")), &whole[..60]).unwrap();
    }
    let args = ["rollout", "list.jsonl", "--groups", "2", "--group-size", "1"];
    let output = check(
        folder.path(),
        &args,
        1,
        &["failed 2 times: `0.png` cannot be read", "failed 2 times: `1.png`", "2 groups have no sample"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("`0.png` cannot be read").count(), 1, "each is said once: {text}");
    let output = check(folder.path(), &[&args[..], &["--json"]].concat(), 1, &[]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["n_samples"], &said["n_empty_groups"]), (&0.into(), &2.into()));
    let errors = said["errors"].as_object().unwrap();
    assert_eq!(errors.values().collect::<Vec<_>>(), [&Value::from(2), &Value::from(2)]);
    let summary =
        fs::read(folder.path().join(said["run_dir"].as_str().unwrap()).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert!(summary["err_msg"].as_str().unwrap().contains("`0.png` cannot be read"), "{summary}");
}

const PAGE: &str = "<!doctype html><title>app</title><style>button { display: block; width: 200px; height: 40px }</style>
<button>First</button><button>Second</button><button id=p>Preview</button><button>Submit</button><button id=k>Keep</button>";

#[test]
fn what_a_step_asks_for_is_no_pair_and_a_failure_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.html"), PAGE).unwrap();
    let task = |name: &str, url: &str| {
        let yaml = format!(
            "name: app\nstart: {{ url: {url}, viewport: 480x320 }}\nsteps:\n  - click: First\n  \
             - click: {{ what: the Preview button, name: Preview }}\n  - click: {{ what: the last one, selector: '#k' }}\n\
             expect: [title_contains: x]\n"
        );
        fs::write(folder.path().join(name), yaml).unwrap();
    };
    task("app.yaml", "app.html");
    task("gone.yaml", "gone.html");
    check(folder.path(), &["data", "app", "out/pairs", "app.yaml"], 0, &["pairs on"]);
    let pairs = fs::read_to_string(folder.path().join("out/pairs/pairs.jsonl")).unwrap();
    for (name, is_there) in
        [("First", false), ("Second", true), ("Preview", false), ("Submit", true), ("Keep", false)]
    {
        assert_eq!(pairs.contains(name), is_there, "{name}: {pairs}");
    }
    // A task that is wrong is found before anything is written; a page that is not there leaves nothing.
    for (other, code, words) in
        [("nothing.yaml", 2, "cannot read `nothing.yaml`"), ("gone.yaml", 1, "there is no file")]
    {
        check(folder.path(), &["data", "app", "deep/er/pairs", "app.yaml", other], code, &[words]);
        assert!(!folder.path().join("deep").exists(), "{other}");
    }
    let gone = format!("there is no file `{}`", folder.path().join("gone.html").display());
    check(folder.path(), &["env", "check", "gone.yaml"], 1, &[&gone]);
}

const MENU: &str =
    "<!doctype html><title>menu</title><style>button { display: block; width: 200px; height: 40px }</style>
<button onclick='inner.hidden = false'>Menu</button>
<div id=inner hidden><button onclick='location = &quot;other.html&quot;'>Archive</button></div>";

#[test]
fn what_a_click_opens_is_taken_as_well() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("menu.html"), MENU).unwrap();
    fs::write(
        folder.path().join("other.html"),
        "<!doctype html><title>other</title><button>Restore</button>",
    )
    .unwrap();
    let task = "name: menu\nstart: { url: menu.html, viewport: 480x320 }\nmax_steps: 3\ngoal: find it\n\
                expect: [title_contains: nothing]\n";
    fs::write(folder.path().join("menu.yaml"), task).unwrap();
    // A click behind the other opens the menu, and what is in it, and goes where that leads.
    for (clicks, seen) in
        [("0", &["Menu"][..]), ("1", &["Menu", "Archive"][..]), ("9", &["Menu", "Archive", "Restore"])]
    {
        let out = format!("out-{clicks}");
        check(
            folder.path(),
            &["data", "app", &out, "menu.yaml", "--clicks", clicks, "--episodes", "1"],
            0,
            &["pairs on"],
        );
        let pairs = fs::read_to_string(folder.path().join(out).join("pairs.jsonl")).unwrap();
        for name in ["Menu", "Archive", "Restore"] {
            assert_eq!(pairs.contains(name), seen.contains(&name), "{clicks} clicks, {name}: {pairs}");
        }
    }
}
