//! `vigorl train compare` from outside: trainings go in, and a table, JSON, a page and a picture come out.

#![cfg(feature = "training")]
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A training with a measurement of 50 episodes every ten steps.
fn training(folder: &Path, name: &str, seed: u64, lr: f64, shares: &[f64]) {
    let root = folder.join(name);
    fs::create_dir_all(&root).unwrap();
    let config = format!("[run]\nseed = {seed}\noutput_dir = \"{name}\"\n[grpo]\nlr = {lr}\n");
    fs::write(root.join("config.toml"), config).unwrap();
    let line = |(i, share): (usize, &f64)| {
        let line = json!({ "step": i * 10, "heldout/icons/greedy": share, "heldout/icons/n": 50, "reward/mean": share / 2.0 });
        format!("{line}\n")
    };
    fs::write(root.join("metrics.jsonl"), shares.iter().enumerate().map(line).collect::<String>()).unwrap();
}

fn compare(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["train", "compare"]).args(args).current_dir(folder).output().unwrap()
}

fn three(folder: &Path) {
    training(folder, "a", 1, 0.5, &[0.2, 0.8, 0.6]);
    training(folder, "b", 2, 0.5, &[0.4, 0.5, 0.8]);
    training(folder, "c", 1, 0.25, &[0.2, 0.3]);
}

#[test]
fn seeds_are_grouped_and_measurements_have_intervals() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let output = compare(folder.path(), &["a", "c", "b", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [pair, alone] = &all["groups"].as_array().unwrap()[..] else { panic!("two configurations: {all}") };
    assert_eq!(pair["differs"], json!({ "grpo.lr": "0.5" }));
    assert_eq!(alone["differs"], json!({ "grpo.lr": "0.25" }));
    let a = &pair["trainings"][0];
    assert_eq!(
        [&a["dir"], &a["seed"], &a["steps"], &a["kind"]],
        [&json!("a"), &json!(1), &json!(20), &json!("by reward")]
    );
    let icons = &a["held_out"][0];
    assert_eq!(
        [&icons["first"]["share"], &icons["best"]["step"], &icons["last"]["n"]],
        [&json!(0.2), &json!(10), &json!(50)]
    );
    // 30 of 50, by Wilson's formula.
    let [low, high] = [0, 1].map(|i| icons["last"]["wilson95"][i].as_f64().unwrap());
    assert!((low - 0.4618).abs() < 1e-4 && (high - 0.7239).abs() < 1e-4, "{low} {high}");
    assert_eq!(a["reward"], json!({ "first_tenth": 0.1, "last_tenth": 0.3 }));
    let last = &pair["over_seeds"]["held_out"][0]["last"];
    assert!((last["mean"].as_f64().unwrap() - 0.7).abs() < 1e-12, "{last}");
    assert_eq!([&last["n"], &last["min"], &last["max"]], [&json!(2), &json!(0.6), &json!(0.8)]);

    let output = compare(folder.path(), &["a", "b", "c", "--output", "both.html"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "grpo.lr = 0.25",
        "60.0 % (46.2 to 72.4, n 50) @20",
        "mean [range] of 2 seeds",
        "70.0 % [60.0 to 80.0]",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let page = fs::read_to_string(folder.path().join("both.html")).unwrap();
    assert!(page.contains("3 trainings") && page.contains("heldout/icons/greedy"));
    // Two metrics, side by side.
    let picture = image::open(folder.path().join("both.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (24 + 2 * 688, 34 + 433));
}

#[test]
fn what_cannot_be_compared_is_named_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("c/config.toml"), "[run").unwrap();
    for (args, words) in [
        (
            &["a", "empty"][..],
            "`empty` is no folder of a training: it has no config.toml and no metrics.jsonl",
        ),
        (&["nowhere"], "`nowhere` is no folder"),
        (&["c"], "`c/config.toml` is damaged"),
        (&["a", "--measure", "in_box"], "no training has a held-out metric `in_box`"),
        (&["a", "--output", "page.pdf"], "end it in .html"),
    ] {
        let output = compare(folder.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{args:?}: {said}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(compare(folder.path(), &[]).status.code(), Some(2));
}
