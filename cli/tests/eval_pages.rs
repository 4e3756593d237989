//! `vigorl eval pages`: what eyes find on labelled screenshots, and what they rightly refuse. The reader is in it, so these
//! tests need the text models.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/reader");

fn vigorl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigorl")).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn every_item_is_asked_in_every_wording_and_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (items, result) = (folder.path().join("items.jsonl"), folder.path().join("result.json"));
    let output = vigorl(&[
        "eval",
        "pages",
        FIXTURE,
        "--eyes",
        "reader",
        "--wording",
        "{}",
        "--wording",
        "click on \"{}\"",
        "--json",
        "--items",
        items.to_str().unwrap(),
        "--result",
        result.to_str().unwrap(),
    ]);
    let said = json(&output);
    assert_eq!(said, serde_json::from_str::<Value>(&fs::read_to_string(result).unwrap()).unwrap());
    // Two labels and two absent texts in two wordings, and five asks as they are.
    let mode = &said["modes"][0];
    assert_eq!((&said["benchmark"], &said["model"]), (&"pages/v1".into(), &"reader".into()));
    assert_eq!((&mode["mode"], &mode["all"]["n"]), (&"reading".into(), &13.into()), "{mode:#}");
    assert_eq!(mode["by_kind"]["label"]["n_success"], 4, "{mode:#}");
    let answers = &mode["answers"];
    assert_eq!((&answers["n_there"], &answers["n_right"]), (&8.into(), &8.into()), "{answers:#}");
    assert_eq!((&answers["n_absent"], &answers["n_refused"]), (&5.into(), &5.into()), "{answers:#}");
    let lines: Vec<Value> =
        fs::read_to_string(items).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 13);
    let near = lines.iter().find(|line| line["instruction"] == "Red Box").unwrap();
    assert_eq!((&near["is_answered"], &near["is_right"]), (&false.into(), &true.into()), "{near:#}");
    let save = lines.iter().find(|line| line["instruction"] == "the Save button").unwrap();
    assert_eq!((&save["finding"], &save["decided_by"]), (&"found".into(), &"reader".into()), "{save:#}");
    assert_eq!(save["calibrated_on"], "screens", "{save:#}");
}

#[test]
fn what_nobody_is_sure_of_is_not_answered() {
    let output = vigorl(&["eval", "pages", FIXTURE, "--eyes", "reader", "--min-confidence", "1", "--json"]);
    let answers = &json(&output)["modes"][0]["answers"];
    assert_eq!((&answers["n_answered"], &answers["n_refused"]), (&0.into(), &3.into()), "{answers:#}");
    // A confidence does not depend on what is asked of it.
    assert!(answers["auroc"].is_null(), "all points are right: {answers:#}");
}

#[test]
fn a_map_is_fitted_for_the_weights_and_put_beside_those_of_other_domains() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("confidence.json");
    let fit = |domain: &str| {
        let path = file.to_str().unwrap();
        let output = vigorl(&[
            "eval",
            "pages",
            FIXTURE,
            "--eyes",
            "reader",
            "--fit-confidence",
            path,
            "--domain",
            domain,
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str::<Value>(&fs::read_to_string(&file).unwrap()).unwrap()
    };
    let one = fit("one");
    assert_eq!(one[0]["domain"], "one");
    assert_eq!(one[0]["weights_sha256"].as_str().unwrap().len(), 64);
    let two = fit("two");
    assert_eq!((two.as_array().unwrap().len(), &two[1]["domain"]), (2, &"two".into()));
    assert_eq!(fit("one").as_array().unwrap().len(), 2, "the same domain is fitted anew");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let check = |args: &[&str], expected: &str| {
        let output = vigorl(&[&["eval", "pages"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    };
    let at = path.to_str().unwrap();
    check(&[], "name its folder");
    check(&[at], "pages.json");
    fs::write(path.join("pages.json"), "[{").unwrap();
    check(&[at], "pages.json");
    fs::write(path.join("pages.json"), "[]").unwrap();
    check(&[at], "asks for nothing");
    check(&[FIXTURE, "--wording", "no place"], "has no place for the text");
    check(&[FIXTURE, "--tier", "words"], "has no practice pages");
}

#[test]
fn a_picture_of_another_size_than_its_labels_is_an_error_and_no_miss() {
    let folder = tempfile::tempdir().unwrap();
    let list = fs::read_to_string(Path::new(FIXTURE).join("pages.json")).unwrap();
    fs::write(folder.path().join("pages.json"), list.replace("\"w\": 640", "\"w\": 641")).unwrap();
    fs::copy(Path::new(FIXTURE).join("page.png"), folder.path().join("page.png")).unwrap();
    let output = vigorl(&["eval", "pages", folder.path().to_str().unwrap(), "--eyes", "reader"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("641x420"), "{said}");
}

#[test]
fn a_published_set_needs_no_data_to_be_tried_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = vigorl(&["eval", "screenspot", "--limit", "4", "--json", "--out", out.to_str().unwrap()]);
    let said = json(&output);
    assert_eq!(
        said,
        serde_json::from_str::<Value>(&fs::read_to_string(out.join("result.json")).unwrap()).unwrap()
    );
    assert_eq!((&said["benchmark"], &said["model"]), (&"screenspot-bundled/v1".into(), &"nano".into()));
    let mode = &said["modes"][0];
    assert_eq!((&mode["mode"], &mode["all"]["n"]), (&"multi_turn".into(), &4.into()), "{mode:#}");
    assert_eq!(mode["macro_averages"][0]["over"], "cell", "{mode:#}");
    assert_eq!(said["set"]["limit"], 4, "{said:#}");
    let lines: Vec<Value> = fs::read_to_string(out.join("items.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(line["id"].as_str().unwrap().starts_with("bundled/"), "{line}");
        assert!(["correct", "wrong", "wrong_format"].contains(&line["outcome"].as_str().unwrap()), "{line}");
    }
    let right = lines.iter().filter(|line| line["outcome"] == "correct").count();
    assert_eq!(mode["all"]["n_success"], right, "the lines and the table count the same");
}

#[test]
fn a_set_that_cannot_be_used_is_named_before_anything_is_played() {
    let check = |args: &[&str], expected: &str| {
        let output = vigorl(&[&["eval"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected) && output.stdout.is_empty(), "{args:?}: {said}");
    };
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    check(&["screenspot-v2"], "--data DIR");
    check(&["screenspot-v2", "--data", "nowhere"], "there is no folder `nowhere`");
    check(&["screenspot", "--data", at], "docs/evaluation.md");
    check(&["screenspot", at], "name its folder with --data");
    check(&["screenspot", "--episodes", "3"], "--limit");
    check(&["screenspot", "--language", "cn"], "screenspot-pro");
    check(&["pages", at, "--limit", "3"], "no published data set");
    check(&["pages", "--data", at], "without it");
    check(&["miniwob", "--clicker", "random", "--skip-broken"], "no published data set");
    fs::write(folder.path().join("L2_annotations.json"), "[{}]").unwrap();
    check(&["mmbench-gui", "--data", at], "`L2_annotations/0`: it cannot be read");
}
