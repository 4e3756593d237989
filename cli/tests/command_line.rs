//! What a person can type wrong, where settings come from, and what the program answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn vigorl(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command.envs(environment.iter().copied()).output().unwrap()
}

#[track_caller]
fn check(args: &[&str], code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let output = vigorl(folder.path(), args, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}: only data goes to standard output");
    for word in words {
        assert!(said.contains(word), "{args:?}: `{word}` is missing in: {said}");
    }
}

#[test]
fn what_was_typed_wrong_is_exit_code_2_and_says_how_to_do_it_right() {
    check(&[], 2, &["Usage: vigorl"]);
    check(&["dmeo"], 2, &["dmeo", "demo"]);
    check(&["locate", "shot.png", " "], 2, &["names nothing", "the Save button"]);
    check(&["run", "", "--url", "about:blank"], 2, &["names nothing", "the Save button"]);
    check(&["demo", "--temperature", "hot"], 2, &["--temperature", "hot"]);
    check(&["demo", "--max-turns", "0"], 2, &["--max-turns", "from 1 on"]);
    check(&["demo", "--max-pixels", "0"], 2, &["--max-pixels", "a number of pixels from 1 on"]);
    check(&["demo", "--constrain=maybe"], 2, &["--constrain", "on", "off"]);
    check(&["demo", "--vocabulary", "40"], 2, &["--tier words"]);
    check(&["demo", "--canvas", "big"], 2, &["--canvas", "192x160"]);
    check(&["demo", "--headed", "--headless"], 2, &["cannot be used with"]);
    check(&["demo", "--episodes", "0"], 2, &["--episodes", "0"]);
    check(&["demo", "--seed", "18446744073709551615", "--episodes", "2"], 2, &["no 2 pages", "--seed"]);
    check(&["eval", "practice", "--first-page", "18446744073709551615"], 2, &["no 500 pages"]);
    check(&["run", "the button", "--url", "about:blank", "--max-steps", "0"], 2, &["--max-steps"]);
    check(&["run", "the button"], 2, &["--url"]);
    check(&["run", "missing.yaml"], 2, &["cannot read `missing.yaml`"]);
    check(&["report", "nowhere"], 2, &["`nowhere`", "run.json"]);
    #[cfg(feature = "training")]
    check(&["train", "sft", "nowhere.toml"], 2, &["training/configs/nano.toml"]);
    check(&["locate", "nowhere.png", "x"], 2, &["cannot read `nowhere.png`"]);
    check(&["doctor", "--viewport", "12by8"], 2, &["--viewport: `12by8`", "1280x800"]);
}

#[test]
fn a_task_file_says_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let task = "name: n\nstart: {}\nsteps:\n  - clikc: the box\nexpect: [text_visible: x]\n";
    fs::write(folder.path().join("task.yaml"), task).unwrap();
    let output = vigorl(folder.path(), &["run", "task.yaml"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("`task.yaml`: line 4, column 5") && said.contains("clikc"), "{said}");
}

#[test]
fn a_model_that_is_nowhere_is_named_with_the_choices() {
    let folder = tempfile::tempdir().unwrap();
    image::RgbImage::new(8, 8).save(folder.path().join("a.png")).unwrap();
    let args = ["locate", "a.png", "x", "--model", "./nowhere"];
    let output = vigorl(folder.path(), &args, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("./nowhere") && said.contains("ORG/NAME"), "{said}");
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn a_device_that_is_not_built_in_is_said_with_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    image::RgbImage::new(8, 8).save(folder.path().join("a.png")).unwrap();
    for device in ["cuda", "metal"] {
        let output = vigorl(folder.path(), &["locate", "a.png", "x", "--device", device], &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cargo build --release --features {device}")), "{said}");
    }
}

#[test]
fn settings_come_from_flags_environment_project_user_and_defaults_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user/vigorl");
    fs::create_dir_all(&user).unwrap();
    fs::write(
        user.join("config.toml"),
        "seed = 4\ntop_p = 0.4\nviewport = \"400x300\"\noutput_dir = \"four\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("vigorl.toml"), "seed = 3\ntop_p = 0.3\nviewport = \"300x300\"\n").unwrap();
    let environment = [("VIGORL_SEED", "2"), ("VIGORL_TOP_P", "0.2")];
    let args = ["doctor", "--show-settings", "--json", "--seed", "1"];
    let output = vigorl(folder.path(), &args, &environment);
    assert!(output.status.success());
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let value =
        |name: &str| (shown[name]["value"].as_str().unwrap(), shown[name]["origin"].as_str().unwrap());
    assert_eq!(value("seed"), ("1", "--seed"));
    assert_eq!(value("top_p"), ("0.2", "VIGORL_TOP_P"));
    assert_eq!(value("viewport"), ("300x300", "vigorl.toml"));
    assert_eq!(value("output_dir").0, "four");
    assert!(value("output_dir").1.ends_with("user/vigorl/config.toml"));
    assert_eq!(value("model"), ("nano", "default"));
    let output = vigorl(folder.path(), &["doctor", "--show-settings", "--json", "--headed"], &[]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["window"], serde_json::json!({"value": "headed", "origin": "--headed"}));
}

#[test]
fn a_wrong_variable_or_file_is_a_usage_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = vigorl(folder.path(), &["doctor"], &[("VIGORL_TOP_P", "2")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("VIGORL_TOP_P: `2` is not"), "{said}");
    fs::write(folder.path().join("vigorl.toml"), "tempreture = 1\n").unwrap();
    let output = vigorl(folder.path(), &["doctor"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("`vigorl.toml`: unknown setting `tempreture`"), "{said}");
}

#[test]
fn an_output_folder_that_cannot_be_written_is_found_before_model_and_browser() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let nowhere = ["--output-dir", "file", "--model", "./nowhere", "--preset", "nano"];
    for verb in [&["demo"][..], &["run", "x", "--url", "about:blank"], &["eval", "practice", "--record"]] {
        let output = vigorl(folder.path(), &[verb, &nowhere].concat(), &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot write `file`") && said.contains("another --output-dir"), "{said}");
    }
}

#[test]
fn a_missing_chromedriver_is_said_at_once_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Instant::now();
    let args = ["bench", "step", "--chromedriver", "no-such-chromedriver"];
    let output = vigorl(folder.path(), &args, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no-such-chromedriver") && said.contains("install"), "{said}");
    assert!(clock.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_engine_is_measured_on_any_checkpoint_one_storage_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let nano = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grounding/qwen/assets/nano");
    // A former name is understood, and the result bears the present one.
    let args = ["bench", "engine", "--dtype", "q8_0,f32", "--repeats", "1", "--json", "--checkpoint"];
    let output = vigorl(folder.path(), &[&args[..], &[nano.to_str().unwrap()]].concat(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(["int8", "f32"], [0, 1].map(|i| result["measured"][i]["dtype"].as_str().unwrap()));
    for name in [
        "n_prompt_tokens",
        "vision_secs",
        "decode_per_sec",
        "zoom_secs",
        "eight_completions_secs",
        "peak_rss_gb",
    ] {
        assert!(result["measured"][1][name].as_f64().unwrap() > 0.0, "{name}: {result}");
    }
    assert!(result["ceilings"]["read_gb_per_sec"].as_f64().unwrap() > 0.1, "{result}");
    // A peer that is not there is said with the cure.
    let args = ["bench", "engine", "--dtype", "f32", "--repeats", "1", "--python", "no-python"];
    let peer = ["--against", "transformers-f32", "--checkpoint", nano.to_str().unwrap()];
    let output = vigorl(folder.path(), &[&args[..], &peer].concat(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no-python") && said.contains("make parity"), "{said}");
    let args = ["bench", "engine", "--dtype", "f32", "--repeats", "1", "--python", "false"];
    let output = vigorl(folder.path(), &[&args[..], &peer].concat(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the measurement of transformers-f32 ended with exit status: 1"), "{said}");
}

#[cfg(feature = "training")]
#[test]
fn a_training_step_is_measured_and_a_missing_peer_is_said_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "train", "--steps", "1", "--json", "--result", "step.json"];
    let output = vigorl(folder.path(), &args, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let written = fs::read_to_string(folder.path().join("step.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), result);
    let [adamw, muon] = [0, 1].map(|i| &result["measured"][i]);
    assert!(adamw["step_secs"].as_f64().unwrap() > 0.0, "{result}");
    assert_eq!((&adamw["optimizer"], &muon["optimizer"]), (&"AdamW".into(), &"Muon, AdamW".into()));
    assert_eq!(adamw["first_loss"], muon["first_loss"]);
    assert!(result["size"]["n_questions"].as_u64().unwrap() > 0, "{result}");
    assert_eq!(result["peers"], serde_json::json!([]));
    let peer = ["bench", "train", "--steps", "1", "--against", "transformers", "--python"];
    let output = vigorl(folder.path(), &[&peer[..], &["no-python"]].concat(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no-python") && said.contains("make parity"), "{said}");
    let output = vigorl(folder.path(), &[&peer[..], &["false"]].concat(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the measurement of transformers ended with exit status: 1"), "{said}");
}

#[cfg(feature = "reader")]
#[test]
fn what_a_comparison_of_the_reader_lacks_is_said_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grounding/reader/weights");
    let args = ["bench", "read", "--against", "onnxruntime", "--rounds", "1", "--repeats", "1"];
    let with = |more: [&str; 4]| vigorl(folder.path(), &[&args[..], &more].concat(), &[]);
    let output = with(["--weights", "no-folder", "--python", "no-python"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no-folder") && said.contains("make setup"), "{said}");
    let output = with(["--weights", weights.to_str().unwrap(), "--python", "no-python"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no-python") && said.contains("make bench-read"), "{said}");
    let output = with(["--weights", weights.to_str().unwrap(), "--python", "false"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the measurement of onnxruntime ended with exit status: 1"), "{said}");
}

/// What the doctor says with a shell script in place of chromedriver.
fn doctor_with(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chromedriver");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = vigorl(folder.path(), &["doctor", "--chromedriver", "./chromedriver"], &[]);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_doctor_advises_what_the_failure_asks_for() {
    let version = "[ \"$1\" != --version ] || { echo ChromeDriver 156.0; exit 0; }";
    // Installing what is there already would cure neither.
    for (script, words) in [
        ("echo no room left; exit 1", "its last words: \"no room left\""),
        ("echo 'ChromeDriver was started successfully on port 0.'; sleep 9", "listens on port 0"),
    ] {
        let said = doctor_with(&format!("{version}\n{script}"));
        assert!(said.contains(words) && !said.contains("apt-get install chromium"), "{said}");
    }
    let said = doctor_with("echo 'libnss3.so: cannot open shared object file' >&2; exit 127");
    assert!(said.contains("MISSING  chromedriver") && said.contains("libnss3.so"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let output = vigorl(folder.path(), &["doctor", "--chromedriver", "./none"], &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("apt-get install chromium chromium-driver"), "{said}");
}

/// Data that is written to a disk without room is a failure; a reader who has seen enough is none.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    use std::io::Write as _;

    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 9] = [
        &["env", "list"],
        &["env", "list", "--json"],
        &["judge", "--list"],
        &["judge", "string_match"],
        &["licenses"],
        &["schema"],
        &["doctor", "--show-settings"],
        &["rollout", "--help"],
        &["--version"],
    ];
    let line = b"{\"response\": \"left\", \"ground_truth\": \"left\"}\n";
    let run = |args: &[&str], out: Stdio, is_closed: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(args).current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path().join("user"));
        command.stdin(Stdio::piped()).stdout(out).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if is_closed {
            drop(child.stdout.take());
        }
        // It may have ended before all was written.
        child.stdin.take().unwrap().write_all(&line.repeat(2_000)).ok();
        child.wait_with_output().unwrap()
    };
    for args in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run(args, Stdio::from(full), false);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.contains("cannot write to standard output: No space left on device"),
            "{args:?}: {said}"
        );
        assert_eq!(said.matches("cannot write").count(), 1, "{args:?}: {said}");
        let output = run(args, Stdio::piped(), true);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{args:?}");
    }
}
