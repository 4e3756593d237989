//! Recorded samples go in, and lines for trainers elsewhere come out, or an error that names its cause and no file.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A zoom and an answer, then a single answer; both are actions of one sample.
fn sample(number: u64, reward: Option<f64>, is_trainable: bool) -> Value {
    let look = "<think> \"é\" (1, 1) </think>";
    let action = |turns: Value| json!({ "is_trainable": is_trainable, "answer": [1.0, 1.0], "malformed": null, "done": true, "turns": turns });
    let turn = |messages: Value, text: &str| {
        json!({ "messages": messages, "seed": u64::MAX, "text": text, "ids": [7, 8], "logprobs": [-0.5, 0.0],
                "finish": "stop_string", "n_prompt_tokens": 9 })
    };
    let asked =
        json!({ "role": "user", "parts": [{ "image": "images/a.png" }, { "text": "\nthe \u{1f9a6}" }] });
    let said = json!({ "role": "assistant", "parts": [{ "sampled": { "text": look, "ids": [7, 8] } }] });
    let crop = json!({ "role": "user", "parts": [{ "image": "images/b.png" }] });
    json!({
        "format": 1, "run": 0, "step": 0, "source": "shop.yaml", "seed": 4, "sample": number, "part": "train", "group": 1,
        "episode": number + 1, "goal": "the \u{1f9a6}", "first_screenshot": "images/a.png",
        "said_by": { "policy": "nano", "weights_sha256": "00", "preset": "nano" },
        "sampled_as": { "temperature": 1.0, "top_p": 0.99 }, "ended": "judged", "success": reward.map(|paid| paid > 0.0),
        "reward": reward, "verification": "satisfied", "clauses": [], "detail": null,
        "actions": [
            action(json!([turn(json!([asked]), look), turn(json!([said, crop]), "(1, 1)")])),
            action(json!([turn(json!([asked]), "(2, 2)")])),
        ],
        "millis": { "total": 1.0, "world": 1.0, "inference": 1.0 },
    })
}

/// A run directory in `folder`, whose last line was cut off.
fn record(folder: &Path) {
    let run = folder.join("runs/a-run");
    fs::create_dir_all(run.join("images")).unwrap();
    for name in ["a", "b"] {
        image::RgbImage::new(2, 2).save(run.join(format!("images/{name}.png"))).unwrap();
    }
    let samples = [
        sample(0, Some(1.0), true),
        sample(1, Some(0.0), true),
        sample(2, None, true),
        sample(3, Some(1.0), false),
    ];
    let mut lines: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
    lines.push_str("{\"format\":1,\"run\"");
    fs::write(run.join("rollouts.jsonl"), lines).unwrap();
}

fn export(folder: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["train", "export-rollouts", "runs/a-run"]).args(flags).env_remove("VIGORL_OUTPUT");
    command.current_dir(folder).output().unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn lines_name_pictures_as_the_file_sees_them_and_what_is_left_out_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let said = export(folder.path(), &["--format", "trl", "--output", "trl.jsonl", "--json"]);
    assert!(said.status.success(), "{}", errors(&said));
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    let expected = json!({ "file": "trl.jsonl", "n_samples": 4, "n_lines": 6,
                           "left_out": { "no_reward": 2, "not_trainable": 2 } });
    assert_eq!(told, expected);
    let written = lines(&folder.path().join("trl.jsonl"));
    let ids = ["run", "group", "sample", "action", "turn", "reward"];
    let of = |line: &Value| json!(ids.map(|id| line[id].clone()));
    let expected: Vec<Value> = [(0, 1.0), (1, 0.0)]
        .into_iter()
        .flat_map(|(sample, reward)| {
            [(0, 0), (0, 1), (1, 0)].map(|(action, turn)| json!(["a-run", 1, sample, action, turn, reward]))
        })
        .collect();
    assert_eq!(written.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(written[0]["images"], json!(["runs/a-run/images/a.png"]));
    assert_eq!(written[1]["images"], json!(["runs/a-run/images/a.png", "runs/a-run/images/b.png"]));

    let flags = ["--format", "verl", "--output", "verl.jsonl", "--absolute-paths", "--min-reward", "1"];
    let said = export(folder.path(), &flags);
    assert!(said.status.success(), "{}", errors(&said));
    let told = String::from_utf8(said.stdout).unwrap();
    assert!(told.starts_with("2 lines of 4 samples\nleft out: 2 actions have no reward\n"), "{told}");
    let written = lines(&folder.path().join("verl.jsonl"));
    assert_eq!(written[0]["prompt"], json!([{ "role": "user", "content": "<image>\nthe \u{1f9a6}" }]));
    let picture = Path::new(written[0]["message_images"][1]["image"].as_str().unwrap());
    assert!(picture.is_absolute() && picture.is_file());
}

#[test]
fn what_cannot_be_exported_is_said_and_an_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let output = folder.path().join("old.jsonl");
    fs::write(&output, "old").unwrap();
    let fails = |flags: &[&str], code: i32, cause: &str| {
        let said = export(folder.path(), &[&["--format", "trl"], flags].concat());
        assert!(errors(&said).contains(cause), "{}", errors(&said));
        assert_eq!(said.status.code(), Some(code), "{}", errors(&said));
        assert_eq!(fs::read_to_string(&output).unwrap(), "old");
    };
    let old = ["--output", "old.jsonl"];
    fails(
        &[&old[..], &["--part", "held-out"]].concat(),
        2,
        "left out: 8 actions are of the other part (--part)",
    );
    fails(&["--output", "none/new.jsonl"], 2, "there is no folder `none` for --output");
    fails(&["--output", "runs/a-run/rollouts.jsonl"], 2, "is what is read");
    fs::remove_file(folder.path().join("runs/a-run/images/b.png")).unwrap();
    fails(&old, 1, "line 1 of `runs/a-run/rollouts.jsonl`: there is no picture");
    let damaged = folder.path().join("runs/a-run/rollouts.jsonl");
    fs::write(&damaged, format!("{{}}\n{}\n", sample(0, Some(1.0), true))).unwrap();
    fails(&old, 1, "line 1 is damaged");
    fs::remove_file(&damaged).unwrap();
    fails(&old, 2, "cannot read `runs/a-run/rollouts.jsonl`");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
}
