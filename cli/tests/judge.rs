//! Lines go in and verdicts come out, in order, whatever a line or a reward of one's own does.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The published rewards.
const REWARDS: [&str; 8] = [
    "point_in_bbox_grounded_thinking",
    "point_in_bbox_multicrop",
    "string_match_grounded_thinking",
    "string_match_multiturn",
    "web_action_grounded_thinking",
    "point_in_bbox",
    "string_match",
    "web_action",
];

/// The judges of benchmarks.
const SCORING: [&str; 4] = ["screenspot", "screenspot-pro-metrics", "vigorl-grounding", "vigorl-text"];

fn vigorl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.arg("judge").env_remove("VIGORL_OUTPUT");
    command
}

fn judge(args: &[&str], input: &[u8]) -> Output {
    let mut child = vigorl();
    let child = child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Whoever refuses its arguments does not read.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn verdicts(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn answers_of_the_specification_have_their_worth_in_both_modes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/rewards/vectors.jsonl");
    let vectors: Vec<Value> =
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut n_judged = 0;
    for name in REWARDS {
        let of_judge: Vec<&Value> = vectors.iter().filter(|vector| vector["judge"] == name).collect();
        let lines: String = of_judge.iter().map(|vector| format!("{vector}\n")).collect();
        for mode in ["reference", "fixed"] {
            let output = judge(&[name, "-", "--mode", mode], lines.as_bytes());
            assert!(output.status.success(), "{}", errors(&output));
            let verdicts = verdicts(&output);
            assert_eq!(verdicts.len(), of_judge.len());
            for (verdict, vector) in verdicts.iter().zip(&of_judge) {
                for (idx, key) in ["overall", "format", "accuracy"].into_iter().enumerate() {
                    let difference = verdict[key].as_f64().unwrap() - vector[mode][idx].as_f64().unwrap();
                    assert!(difference.abs() < 1e-12, "{mode} {vector}: {verdict}");
                }
                n_judged += 1;
            }
        }
    }
    assert_eq!(n_judged, 2 * vectors.len());
}

#[test]
fn a_broken_line_says_so_in_its_place_and_the_others_are_judged() {
    let mut input = "\u{feff}".as_bytes().to_vec();
    let good = br#"{"response": "(5, 5)", "ground_truth": "(0, 0, 10, 10)", "more": null}"#;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"response\": \"{}\", \"ground_truth\": \"\"}}", "x".repeat(9 << 20));
    let lines: [&[u8]; 11] = [
        good,
        b"{\"response\": \"\xff\", \"ground_truth\": \"\"}",
        b"",
        b"{\"response\": \"(5, 5)\"",
        b"{\"response\": \"(5, 5)\"}",
        b"{\"response\": 5, \"ground_truth\": \"\"}",
        b"[1]",
        deep.as_bytes(),
        long.as_bytes(),
        br#"{"response": "\ud800", "ground_truth": ""}"#,
        good,
    ];
    for line in lines {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\r\n");
    }
    // The last line needs no end.
    input.truncate(input.len() - 2);
    let output = judge(&["point_in_bbox"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("9 of 11 lines could not be judged, the first of them line 2"),
        "{}",
        errors(&output)
    );
    let verdicts = verdicts(&output);
    assert_eq!(verdicts.len(), lines.len());
    let right = json!({ "overall": 0.5, "format": 0.0, "accuracy": 1.0 });
    assert_eq!((&verdicts[0], &verdicts[10]), (&right, &right));
    let words = [
        "line 2: it is not UTF-8 from byte 15 on",
        "line 3: it is empty",
        "line 4: it is no JSON: EOF while parsing an object, in column",
        "line 5: the key `ground_truth` is missing",
        "line 6: `response` is a number, and not a text",
        "line 7: a list is no JSON object",
        "line 8: it is no JSON: recursion limit",
        "line 9: it has more than 8 MiB",
        "line 10: it is no JSON",
    ];
    for (verdict, words) in verdicts[1..10].iter().zip(words) {
        assert!(verdict["error"].as_str().unwrap().starts_with(words), "{words}: {verdict}");
        assert_eq!(verdict.as_object().unwrap().len(), 1);
    }
    assert!(judge(&["point_in_bbox"], b"").status.success());
}

#[test]
fn a_verdict_comes_before_the_next_line() {
    let mut child = vigorl().arg("web_action").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..2 {
        stdin.write_all(b"{\"response\": \"go_back\", \"ground_truth\": \"go_back\"}\n").unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "{\"overall\":0.5,\"format\":0.0,\"accuracy\":1.0}\n");
    }
    // Nobody reads any more: it ends, although lines go on.
    drop(out);
    while stdin.write_all(b"{\"response\": \"go_back\", \"ground_truth\": \"go_back\"}\n").is_ok() {}
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn judges_are_listed_with_what_they_read_and_write() {
    let text = String::from_utf8(vigorl().arg("--list").output().unwrap().stdout).unwrap();
    assert!(text.contains("--mode fixed") && text.contains("9. diversity is worth 0.6 at most"), "{text}");
    let json: Value =
        serde_json::from_slice(&vigorl().args(["--list", "--json"]).output().unwrap().stdout).unwrap();
    let listed: Vec<&str> =
        json["judges"].as_array().unwrap().iter().map(|judge| judge["name"].as_str().unwrap()).collect();
    assert_eq!(listed, [&REWARDS[..], &SCORING].concat());
    for judge in json["judges"].as_array().unwrap() {
        let name = judge["name"].as_str().unwrap();
        let is_reward = judge["input"] == r#"{"response": str, "ground_truth": str}"#;
        assert_eq!((is_reward, &judge["modes"]), (REWARDS.contains(&name), &json!(is_reward)), "{judge}");
        assert_eq!(judge["parsers"], name == "screenspot");
        assert!(text.contains(name));
    }
    let parsers = json["parsers"].as_array().unwrap();
    assert_eq!(parsers.len(), 5);
    assert!(
        parsers.iter().all(|parser| text.contains(&format!("--parser {}", parser["name"].as_str().unwrap())))
    );
    assert_eq!(json["modes"][1]["differences"].as_array().unwrap().len(), 9);
}

#[test]
fn what_is_typed_wrong_says_how_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("bad.toml"), "[weights]\nspeed = 1\n").unwrap();
    fs::write(path("broken.toml"), "weights = [\n").unwrap();
    for (args, code, words) in [
        (vec!["point"], 2, "there is no judge `point`: there are point_in_bbox_grounded_thinking"),
        (vec![], 2, "NAME|REWARDS.toml"),
        (vec!["web_action", "--mode", "new"], 2, "reference"),
        (vec!["web_action", "--parser", "numbers"], 2, "`web_action` has no parsers: leave out --parser"),
        (vec!["screenspot", "--mode", "fixed"], 2, "`screenspot` has no modes: leave out --mode"),
        (vec!["screenspot", "--parser", "qwen"], 2, "qwen-tool-call"),
        (vec![&path("bad.toml"), "--parser", "numbers"], 2, "has no parsers"),
        (vec!["web_action", "no-such-file"], 1, "cannot read `no-such-file`"),
        (vec!["web_action", "/"], 1, "cannot read `/` behind line 0"),
        (vec![&path("bad.toml")], 2, "nobody says `speed`"),
        (vec![&path("bad.toml"), "--mode", "fixed"], 2, "names the mode itself"),
        (vec![&path("broken.toml")], 2, "broken.toml"),
        (vec![&path("none.toml")], 1, "cannot read"),
    ] {
        let output = judge(&args, b"");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", errors(&output));
        assert!(errors(&output).contains(words), "{args:?}: {}", errors(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn points_are_scored_and_a_line_of_no_meaning_has_no_verdict() {
    let lines = br#"{"bbox": [10, 20, 30, 40], "img_size": [100, 200], "response": "(0.1, 0.2)"}
{"bbox": [10, 20, 30, 40], "img_size": [100, 200], "response": "(0.1, 0.3)"}
{"bbox": [30, 20, 10, 40], "img_size": [100, 200], "response": "(0.1, 0.2)"}
{"bbox": [10, 20, 30, 40], "img_size": [100, 200], "response": "somewhere"}
{"bbox": [10, 20, 30, 1e999], "img_size": [100, 200], "response": "(0.1, 0.2)"}
{"bbox": [10, 20, 30, 40], "img_size": [100, 200], "point": null}
"#;
    let output = judge(&["screenspot", "--parser", "seeclick"], lines);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("2 of 6 lines could not be judged, the first of them line 3"));
    let verdicts = verdicts(&output);
    for (verdict, expected) in
        verdicts.iter().zip(["correct", "wrong", "", "wrong_format", "", "wrong_format"])
    {
        match expected {
            "" => assert_eq!(verdict.as_object().unwrap().len(), 1, "{verdict}"),
            _ => assert_eq!(verdict, &json!({ "correctness": expected })),
        }
    }
    assert!(
        verdicts[2]["error"].as_str().unwrap().starts_with("line 3: `bbox` is swapped"),
        "{}",
        verdicts[2]
    );
    assert!(verdicts[4]["error"].as_str().unwrap().starts_with("line 5: it is no JSON"), "{}", verdicts[4]);
}

#[test]
fn metrics_come_behind_the_last_row_and_only_of_all_rows() {
    let row = |correctness: &str| {
        format!(
            "{{\"group\": \"CAD\", \"platform\": \"windows\", \"application\": \"autocad\", \"instruction_style\": \
             \"instruction\", \"gt_type\": \"positive\", \"ui_type\": \"text\", \"correctness\": \"{correctness}\"}}\n"
        )
    };
    let rows = row("correct") + &row("wrong_format");
    let output = judge(&["screenspot-pro-metrics"], rows.as_bytes());
    assert!(output.status.success(), "{}", errors(&output));
    let said = verdicts(&output);
    assert_eq!(said.len(), 1);
    let all = json!({
        "num_correct_action": 1, "num_total": 2, "wrong_format_num": 1, "action_acc": 0.5, "text_acc": 0.5, "icon_acc": null,
    });
    assert_eq!(said[0]["overall"], all);
    assert_eq!(said[0]["leaderboard_simple_style"], json!({ "group:CAD": all }));

    // A row that cannot be read, in words or as JSON, would make the denominators too small.
    for broken in [row("right"), "{\n".to_owned()] {
        let output = judge(&["screenspot-pro-metrics"], (rows.clone() + &broken).as_bytes());
        assert_eq!(output.status.code(), Some(1));
        let said = verdicts(&output);
        assert_eq!(said.len(), 2);
        assert!(said[0]["error"].as_str().unwrap().starts_with("line 3: "), "{}", said[0]);
        assert!(said[1]["error"].as_str().unwrap().contains("there are no metrics"), "{}", said[1]);
    }
    let output = judge(&["screenspot-pro-metrics"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("there is no row"), "{}", errors(&output));
}

/// The verdict on one answer, with this reward of one's own.
fn own(what: &str) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rewards.toml");
    let config = format!(
        "judge = 'point_in_bbox'\nmode = 'fixed'\n[weights]\naccuracy = 1\nown = 0.5\n[own.own]\n{what}\n\
         limit_secs = 2\nbounds = [-1, 1]\n"
    );
    fs::write(&path, config).unwrap();
    let line = b"{\"response\": \"(5.5, 5)\", \"ground_truth\": \"(0, 0, 10, 10)\", \"seed\": 3}\n";
    let output = judge(&[path.to_str().unwrap()], line);
    let verdicts = verdicts(&output);
    assert_eq!(verdicts.len(), 1, "{}", errors(&output));
    (output.status.code(), verdicts[0].clone())
}

#[test]
fn a_reward_of_ones_own_is_mixed_in() {
    let (code, verdict) = own("command = '''grep -q '\"seed\":3' && echo 0.5'''");
    assert_eq!(verdict, json!({ "overall": 1.25, "terms": { "accuracy": 1.0, "format": 0.0, "own": 0.5 } }));
    assert_eq!(code, Some(0));
}

#[test]
fn a_reward_of_ones_own_that_misbehaves_is_an_error_and_never_a_reward_of_0() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = format!("url = 'http://{free}/'");
    for (what, words) in [
        ("command = 'echo nan'", "`own`: it answered `nan`"),
        ("command = 'echo 2'", "`own`: 2 is not from -1 to 1"),
        ("command = 'sleep 60'", "`own`: no answer came within 2 s"),
        ("command = 'echo 1; exit 3'", "`own`: the command ended with code 3"),
        ("command = 'head -c 1000 /dev/urandom'", "no finite number"),
        (&down, "cannot be reached"),
    ] {
        let (code, verdict) = own(what);
        assert_eq!(code, Some(1), "{what}");
        assert_eq!(verdict.as_object().unwrap().len(), 1, "{what}: {verdict}");
        assert!(verdict["error"].as_str().unwrap().contains(words), "{what}: {verdict}");
    }
}
