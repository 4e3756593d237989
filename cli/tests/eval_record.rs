//! The record of an evaluation: it goes on where it was killed, parts make a whole, and a report is made of it without a model.
//! The set is the one in the program, so nothing but the program is needed.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot prepare its world fails; nothing tells when a line was written"
)]

#[path = "../../grounding/endpoint/tests/endpoint/server.rs"]
#[expect(dead_code, reason = "the tests of the client itself need more of it")]
mod server;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use server::{End, Reply, Server, Ways};

/// Items of the set in the program.
const N_ITEMS: usize = 20;

fn vigorl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args);
    command
}

/// Plays the set into a folder.
fn eval(out: &Path, more: &[&str]) -> Command {
    vigorl(&[&["eval", "screenspot", "--out", out.to_str().unwrap()], more].concat())
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// What a command that works says.
fn table(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    stdout
}

fn lines(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("items.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn ids(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_that_was_killed_goes_on_and_comes_to_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let unbroken = table(&mut eval(&whole, &[]));
    assert_eq!(lines(&whole).len(), N_ITEMS);
    let mut child = eval(&killed, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while lines(&killed).len() < 3 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = lines(&killed);
    assert!((3..N_ITEMS).contains(&before.len()), "{} lines were there at the kill", before.len());
    // What a kill can leave of a line.
    let path = killed.join("items.jsonl");
    let cut = format!("{}{{\"id\": \"bund", fs::read_to_string(&path).unwrap());
    fs::write(&path, cut).unwrap();
    let output = eval(&killed, &[]).output().unwrap();
    let (stdout, stderr) = said(&output);
    assert!(stderr.contains(&format!("{} of {N_ITEMS} are there already", before.len())), "{stderr}");
    assert_eq!(stdout, unbroken);
    let after = lines(&killed);
    assert_eq!(after[..before.len()], before, "what was judged is not judged again");
    assert_eq!((after.len(), ids(&after)), (N_ITEMS, ids(&lines(&whole))));
    // Nothing is left to play.
    assert_eq!(table(&mut eval(&killed, &[])), unbroken);
}

#[test]
fn parts_and_several_at_once_come_to_the_table_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole = table(&mut eval(&folder.path().join("whole"), &["--concurrency", "3"]));
    let parts: Vec<String> = (1..=4)
        .map(|n| {
            let out = folder.path().join(format!("part{n}"));
            let said = table(&mut eval(&out, &["--shard", &format!("{n}/4")]));
            assert!(said.contains("not all of it"), "a part says that it is one: {said}");
            out.to_str().unwrap().to_owned()
        })
        .collect();
    let report = |parts: &[String]| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        vigorl(&[&["eval", "report"], &parts[..]].concat())
    };
    let merged = table(&mut report(&parts));
    assert!(merged.starts_with(&*whole), "{merged}\n{whole}");
    assert!(merged.contains("bootstrap over screenshots"), "{merged}");
    let page = fs::read_to_string(Path::new(&parts[0]).join("report.html")).unwrap();
    assert!(page.contains("bundled practice pictures"), "{page}");
    assert!(merged.contains("\npreset nano · pixels at most 6400 · decoding greedy, seed 0\n"), "{merged}");
    for (what, words) in [("preset", "nano"), ("pixels", "at most 6400"), ("decoding", "greedy, seed 0")] {
        assert!(page.contains(&format!("<dt>{what}</dt><dd>{words}</dd>")), "{what} is missing in: {page}");
    }
    // One part is missing, and one is there twice.
    let some = table(&mut report(&parts[..3]));
    assert!(some.contains("5 of 20 answers are missing; parts that are not here: 4/4"), "{some}");
    let output = report(&[&parts[..], &parts[..1]].concat()).output().unwrap();
    let (_, stderr) = said(&output);
    assert!(output.status.code() == Some(2) && stderr.contains("both have the item"), "{stderr}");
}

#[test]
fn recorded_answers_are_judged_again_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let recorded = table(&mut eval(&out, &["--limit", "6"]));
    let out = out.to_str().unwrap();
    let same = table(&mut vigorl(&["eval", "rescore", out, "--judge", "screenspot"]));
    let (head, rest) = same.split_once('\n').unwrap();
    assert_eq!(head, "judge screenspot · 0 of 6 verdicts are others than those that were recorded");
    assert_eq!(rest, recorded);
    let strict = table(&mut vigorl(&["eval", "rescore", out, "--judge", "vigorl-grounding", "--json"]));
    let strict: Value = serde_json::from_str(&strict).unwrap();
    assert_eq!((&strict["judge"], &strict["modes"][0]["all"]["n"]), (&"vigorl-grounding".into(), &6.into()));
    let output = vigorl(&["eval", "rescore", "nowhere", "--judge", "screenspot"]).output().unwrap();
    let (_, stderr) = said(&output);
    assert!(output.status.code() == Some(2) && stderr.contains("has no record of an evaluation"), "{stderr}");
}

#[test]
fn another_run_is_refused_and_the_record_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    table(&mut eval(&out, &["--limit", "3"]));
    let before = fs::read_to_string(out.join("items.jsonl")).unwrap();
    let refused = |more: &[&str], expected: &str| {
        let output = eval(&out, more).output().unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {stderr}");
        assert!(stderr.contains(expected) && stdout.is_empty(), "{more:?}: {stderr}");
    };
    refused(&["--limit", "4"], "the set differs");
    refused(&["--limit", "3", "--turns", "single"], "how it is asked, the modes differs");
    refused(&["--limit", "3", "--shard", "1/2"], "the shard differs");
    refused(&["--limit", "3", "--seeds", "2"], "a greedy policy says the same each time");
    refused(&["--limit", "3", "--shard", "3/2"], "i/n");
    assert_eq!(fs::read_to_string(out.join("items.jsonl")).unwrap(), before);
}

/// A set of six items on one picture, in the layout of ScreenSpot.
fn set(folder: &Path) {
    fs::create_dir_all(folder.join("screenspot_imgs")).unwrap();
    image::RgbImage::new(400, 300).save(folder.join("screenspot_imgs/a.png")).unwrap();
    for platform in ["mobile", "desktop", "web"] {
        write_list(folder, platform, |_| ());
    }
}

/// A list of two items, of which the first is changed.
fn write_list(folder: &Path, platform: &str, change: impl Fn(&mut Value)) {
    let source =
        [("mobile", "ios"), ("desktop", "windows"), ("web", "shop")].into_iter().find(|of| of.0 == platform);
    let item = |kind: &str| {
        serde_json::json!({
            "img_filename": "a.png", "bbox": [10, 20, 30, 40], "instruction": format!("the {kind}"),
            "data_type": kind, "data_source": source.unwrap().1,
        })
    };
    let mut first = item("text");
    change(&mut first);
    let list = serde_json::json!([first, item("icon")]);
    fs::write(folder.join(format!("screenspot_{platform}.json")), list.to_string()).unwrap();
}

#[test]
fn a_record_is_not_gone_on_with_for_other_items_or_other_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    set(&data);
    let run = |more: &[&str]| eval(&out, &[&["--data", data.to_str().unwrap()], more].concat());
    let whole = table(&mut run(&[]));
    let head: Value = serde_json::from_str(&fs::read_to_string(out.join("head.json")).unwrap()).unwrap();
    assert_eq!(head["asked"]["how"]["max_pixels"], 6400, "{head:#}");
    let hash = head["described"]["items_sha256"].as_str().unwrap();
    assert!(hash.len() == 64 && hash.chars().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
    let before = fs::read_to_string(out.join("items.jsonl")).unwrap();
    let refused = |more: &[&str], expected: &str| {
        let output = run(more).output().unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {stderr}");
        assert!(stderr.contains(expected) && stdout.is_empty(), "{more:?}: {stderr}");
        assert_eq!(fs::read_to_string(out.join("items.jsonl")).unwrap(), before, "nothing is lost");
    };
    refused(&["--max-pixels", "3136"], "how it is asked differs");
    for (field, value) in [
        ("instruction", serde_json::json!("the other one")),
        ("bbox", serde_json::json!([11, 20, 30, 40])),
        ("data_type", serde_json::json!("icon")),
    ] {
        write_list(&data, "web", |item| item[field] = value.clone());
        refused(&[], "the set differs");
    }
    write_list(&data, "web", |_| ());
    image::RgbImage::new(500, 300).save(data.join("screenspot_imgs/a.png")).unwrap();
    refused(&[], "the set differs");
    image::RgbImage::new(400, 300).save(data.join("screenspot_imgs/a.png")).unwrap();
    assert_eq!(table(&mut run(&[])), whole, "as it was, it is the same run");
}

#[test]
fn items_that_nobody_could_judge_end_the_command_with_1_and_are_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    set(&data);
    write_list(&data, "web", |item| item["img_filename"] = "b.png".into());
    // Its head is whole, and nothing but decoding tells that pixels are missing: no checksum does.
    let path = data.join("screenspot_imgs/b.png");
    image::RgbImage::new(400, 300).save_with_format(&path, image::ImageFormat::Bmp).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let unrecorded = ["eval", "screenspot", "--data", data.to_str().unwrap()];
    for (mut command, cure) in [
        (
            eval(&out, &unrecorded[2..]),
            "items.jsonl` says what failed, and the same command plays them again",
        ),
        (vigorl(&unrecorded), "with --out DIR a record says what failed"),
    ] {
        let output = command.output().unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("1 of 6 answers were not judged") && stderr.contains(cure), "{stderr}");
        assert!(stdout.contains("1 not judged because the world failed"), "the table is there: {stdout}");
        assert!(stdout.contains("micro over 5 items"), "and counts the others: {stdout}");
    }
    let is_error = |line: &&Value| line["outcome"] == "error";
    let first = lines(&out);
    let failed: Vec<&Value> = first.iter().filter(is_error).collect();
    assert_eq!((first.len(), failed.len()), (6, 1));
    assert_eq!((&failed[0]["id"], &failed[0]["is_right"]), (&"screenspot_web/0".into(), &Value::Null));
    assert!(failed[0]["why"].as_str().unwrap().contains("b.png"), "{}", failed[0]);
    fs::write(&path, whole).unwrap();
    table(&mut eval(&out, &unrecorded[2..]));
    let second = lines(&out);
    assert_eq!((second.len(), second.iter().filter(is_error).count()), (6, 0));
    for line in first.iter().filter(|line| !is_error(line)) {
        assert!(second.contains(line), "what was judged is not judged again: {line}");
    }
}

#[test]
fn a_checkpoint_of_a_single_turn_is_asked_once_unless_more_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (single, multi) = ("ViGoRL-3b-Web-Grounding", "ViGoRL-Multiturn-3b-Web-Grounding");
    let cases: [(&'static str, &[&str], &[&str]); 4] = [
        (single, &[], &["single_turn"]),
        (single, &["--turns", "both"], &["multi_turn", "single_turn"]),
        (multi, &[], &["multi_turn"]),
        (multi, &["--turns", "single"], &["single_turn"]),
    ];
    for (number, (model, more, modes)) in cases.into_iter().enumerate() {
        let ways = Ways { models: vec![model], ..Ways::all() };
        let of_answers = ways.clone();
        let server = Server::with(ways, move |seen| {
            let says = "<think> It is there (40, 50). </think>\n<answer> (40, 50) </answer>";
            server::answer(&of_answers, seen, says)
        });
        let out = folder.path().join(number.to_string());
        let mut command = eval(&out, &[&["--limit", "2", "--base-url", &server.url()], more].concat());
        table(command.env("XDG_CONFIG_HOME", folder.path()));
        let lines = lines(&out);
        let played: BTreeSet<&str> = lines.iter().map(|line| line["mode"].as_str().unwrap()).collect();
        assert_eq!(played, modes.iter().copied().collect::<BTreeSet<_>>(), "{model} {more:?}");
        assert_eq!(lines.len(), 2 * modes.len(), "{model} {more:?}: each item once in each mode");
        assert_eq!(server.asked().len(), lines.len(), "{model} {more:?}: and each of them asked once");
    }
}

#[test]
fn every_draw_is_a_column_and_their_spread_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let drawn = ["--limit", "4", "--temperature", "1", "--seeds", "3", "--seed", "7", "--json"];
    let result: Value = serde_json::from_str(&table(&mut eval(&out, &drawn))).unwrap();
    let seeds: Vec<u64> =
        result["modes"].as_array().unwrap().iter().map(|mode| mode["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [7, 8, 9]);
    let draws = &result["draws"][0];
    assert_eq!((&draws["n_draws"], &draws["n_items"]), (&3.into(), &4.into()), "{draws:#}");
    assert!(draws["all_of_k"].as_f64() <= draws["any_of_k"].as_f64(), "{draws:#}");
    assert_eq!(lines(&out).len(), 12);
    assert_eq!(
        (&result["asked"]["preset"], &result["asked"]["sampling"]["temperature"]),
        (&"nano".into(), &1.0.into())
    );
    // Beside a run that was asked otherwise, each says how.
    let other = folder.path().join("other");
    table(&mut eval(&other, &["--limit", "4", "--max-pixels", "3136"]));
    let both = table(&mut vigorl(&["eval", "report", out.to_str().unwrap(), other.to_str().unwrap()]));
    for words in [
        "decoding sampled, temperature 1, ",
        ", seeds 7 to 9\n",
        "pixels at most 3136 · decoding greedy, seed 0\n",
    ] {
        assert!(both.contains(words), "`{words}` is missing in: {both}");
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for words in
        ["<dt>out: decoding</dt><dd>sampled, temperature 1, ", "<dt>other: pixels</dt><dd>at most 3136</dd>"]
    {
        assert!(page.contains(words), "`{words}` is missing in: {page}");
    }
}

/// One reply for each question in earnest, and then always the last one; every whole answer is counted.
fn server(replies: Vec<Option<Reply>>, n_whole: &Arc<AtomicUsize>) -> Server {
    let (n_asked, n_whole) = (AtomicUsize::new(0), Arc::clone(n_whole));
    let ways = Ways::all();
    Server::with(ways.clone(), move |seen| {
        let asked = n_asked.fetch_add(1, Ordering::SeqCst);
        match &replies[asked.min(replies.len() - 1)] {
            Some(failure) => failure.clone(),
            None => {
                n_whole.fetch_add(1, Ordering::SeqCst);
                server::answer(
                    &ways,
                    seen,
                    "<think> It is there (40, 50). </think>\n<answer> (40, 50) </answer>",
                )
            }
        }
    })
}

#[test]
fn a_server_that_fails_in_the_middle_leaves_a_record_that_goes_on_and_judges_nothing_twice() {
    let raw = |body: &str, announced: usize| {
        let (status, headers, body) =
            (200, "Content-Type: application/json\r\n".to_owned(), body.as_bytes().to_vec());
        Some(Reply::Raw { status, headers, body, announced })
    };
    let cut = || {
        let half = serde_json::json!({ "choices": [{ "delta": { "content": "<answer> (40, 5" } }] });
        Some(Reply::Stream(vec![half], End::Silently))
    };
    let n_whole = Arc::new(AtomicUsize::new(0));
    // What passes is tried again in the middle of the run; then comes what does not.
    let ends: [(Vec<Option<Reply>>, &str); 3] = [
        (
            vec![None, Some(Reply::error(429, "busy")), None, cut(), None, raw("<html>", 6)],
            "speak OpenAI's API",
        ),
        (
            vec![None, Some(Reply::error(500, "oops")), None, Some(Reply::error(401, "who are you?"))],
            "OPENAI_API_KEY",
        ),
        (
            vec![None, raw("{\"choices\": [", 99), None, None, raw("{\"choices\": 3}", 14)],
            "no chat completion",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut before: Vec<Value> = Vec::new();
    let run = |server: &Server| {
        let mut command = eval(&out, &["--base-url", &server.url(), "--min-confidence", "0"]);
        command.env("XDG_CONFIG_HOME", folder.path()).output().unwrap()
    };
    let judged =
        || -> Vec<Value> { lines(&out).into_iter().filter(|line| line["outcome"] != "error").collect() };
    for (replies, why) in ends {
        let n_here = replies.iter().filter(|reply| reply.is_none()).count();
        let output = run(&server(replies, &n_whole));
        let (_, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(why) && stderr.contains("the same command goes on with it"), "{stderr}");
        let after = judged();
        assert_eq!(after[..before.len()], before, "what was judged stays as it is");
        assert_eq!(after.len(), before.len() + n_here, "nothing is judged on half an answer: {stderr}");
        before = after;
    }
    let output = run(&server(vec![None], &n_whole));
    let (stdout, stderr) = said(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let all = lines(&out);
    assert_eq!((all.len(), ids(&all).len()), (N_ITEMS, N_ITEMS));
    assert_eq!(n_whole.load(Ordering::SeqCst), N_ITEMS, "each item was answered once");
    assert!(all.iter().all(|line| line["point"] == serde_json::json!([40.0, 50.0])), "{all:?}");
}
