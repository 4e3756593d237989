//! `vigorl run` of several tasks, several times: what is played, what is counted, and what is left when it ends early.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn vigorl(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], b"\n", &output.stderr[..]].concat()).into_owned()
}

const GOOD: &str = "name: type <one>
start: { url: 'data:text/html,<input autofocus>', viewport: 600x500 }
steps: [type: one]
expect: [text_visible: one]
";
const BAD: &str = "name: type two
start: { url: 'data:text/html,<input autofocus>', viewport: 600x500 }
steps: [type: one]
expect: [text_visible: two]
";
const SLOW: &str = "name: wait
start: { url: 'data:text/html,<p>', viewport: 600x500 }
steps: [wait_for: { text_visible: never }]
expect: [text_visible: never]
wait_secs: 100
";

fn world(tasks: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, yaml) in tasks {
        fs::write(folder.path().join(name), yaml).unwrap();
    }
    folder
}

fn runs(folder: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(folder.join("runs")).into_iter().flatten();
    runs.map(|run| run.unwrap().path()).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn tasks_are_played_side_by_side_and_counted_one_by_one() {
    let folder = world(&[("good.yaml", GOOD), ("bad.yaml", BAD)]);
    let at = folder.path();
    let flags = ["--repeat", "2", "--parallel", "2", "--junit", "junit.xml", "--seed", "7"];
    let output =
        vigorl(at, &[&["run", "good.yaml", "bad.yaml", "--json"], &flags[..]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &said["counts"];
    assert_eq!(
        (&counts["n_solved"], &counts["n_not_solved"], &counts["n_failed"]),
        (&2.into(), &2.into(), &0.into())
    );
    let [good, bad] = [&said["tasks"][0], &said["tasks"][1]];
    assert_eq!((&good["task"], &good["name"]), (&"good.yaml".into(), &"type <one>".into()));
    assert_eq!((&good["counts"]["n_solved"], &bad["counts"]["n_not_solved"]), (&2.into(), &2.into()));
    assert!(bad["repetitions"][0]["detail"].as_str().unwrap().contains("the page shows `two`"), "{bad}");

    // Each is a run like any other, with a seed of its own.
    assert_eq!(runs(at).len(), 4);
    let xml = fs::read_to_string(at.join("junit.xml")).unwrap();
    for (task, success) in [(good, true), (bad, false)] {
        for (repetition, seed) in task["repetitions"].as_array().unwrap().iter().zip([7, 8]) {
            let run = at.join(repetition["run_dir"].as_str().unwrap());
            assert_eq!(json(&run.join("summary.json"))["success"], success);
            assert!(at.join(repetition["report"].as_str().unwrap()).is_file());
            let record = json(&run.join("run.json"));
            assert_eq!((&repetition["seed"], &record["seeds"]["seed"]), (&seed.into(), &seed.into()));
            assert!(repetition["secs"].as_f64().unwrap() > 0.0);
            assert!(
                xml.contains(&format!("<system-out>{}\n", repetition["run_dir"].as_str().unwrap())),
                "{xml}"
            );
        }
    }
    for part in [
        "tests=\"4\" failures=\"2\" errors=\"0\"",
        "<testcase name=\"type &lt;one&gt; #2\" classname=\"good.yaml\"",
        "<failure message=\"it does not hold that the page shows `two`\" type=\"not solved\">",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

#[test]
fn a_line_for_each_and_a_sum_and_exit_code_0_if_all_are_solved() {
    let folder = world(&[("good.yaml", GOOD)]);
    let output = vigorl(folder.path(), &["run", "good.yaml", "--repeat", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("good.yaml  1  ") && lines[1].starts_with("good.yaml  2  "), "{said}");
    assert!(lines[0].contains(" s  solved  runs/"), "{said}");
    assert_eq!(lines[3], "good.yaml: 2 of 2 solved = 100 %  (95 % interval 34 to 100 %)");
}

#[test]
fn what_is_clicked_but_not_judged_is_done_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let page = "data:text/html,<svg width=190 height=150><circle cx=90 cy=70 r=20 fill=red";
    let (reacts, rests) = (format!("{page} onclick=this.setAttribute('r',30)>"), format!("{page}>"));
    let args = |page| ["run", "the red circle", "--url", page, "--viewport", "192x160"];
    // A click behind which nothing changed was judged by nobody.
    let output = vigorl(folder.path(), &args(&rests)).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let output = vigorl(folder.path(), &[&args(&rests)[..], &["--repeat", "1"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("not done: step 1 changed nothing on the screen"), "{}", words(&output));
    let args = [&args(&reacts)[..], &["--junit", "junit.xml"]].concat();
    let output = vigorl(folder.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("the red circle: 1 of 1 done"), "{}", words(&output));
    let xml = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(xml.contains("<testcase name=\"the red circle\" classname=\"the red circle\""), "{xml}");
}

#[test]
fn a_world_that_fails_is_an_error_and_no_failure() {
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = GOOD.replace("data:text/html,<input autofocus>", &format!("http://{free}/"));
    let folder = world(&[("gone.yaml", &gone), ("good.yaml", GOOD)]);
    let args = ["run", "gone.yaml", "good.yaml", "--junit", "junit.xml"];
    let output = vigorl(folder.path(), &args).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("gone.yaml: none solved, 1 failed") && said.contains("good.yaml: 1 of 1"),
        "{said}"
    );
    let xml = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(xml.contains(&format!("<error message=\"cannot open `http://{free}/`")), "{xml}");
    assert!(xml.contains("failures=\"0\" errors=\"1\""), "{xml}");
}

#[test]
fn programs_of_repetitions_side_by_side_do_not_share_a_folder() {
    let yaml = "name: n
start:
  programs: ['echo started >> \"$TMPDIR/log\"; sleep 1000']
  url: 'data:text/html,<p>'
  viewport: 600x500
steps: [wait_for: { file: { path: $TMPDIR/log } }]
expect: [command: 'test $(cat \"$TMPDIR/log\" | wc -l) -eq 1']
";
    let folder = world(&[("task.yaml", yaml)]);
    // Also where nobody looks.
    let args = ["run", "task.yaml", "--repeat", "4", "--parallel", "2", "--places"];
    let output = vigorl(folder.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("4 of 4 solved"), "{}", words(&output));
}

#[test]
fn what_cannot_be_played_so_is_said_before_anything_starts() {
    let desktop = "name: n\nstart: { driver: desktop }\nsteps: [press: Enter]\nexpect: [clipboard: x]\n";
    let folder = world(&[("good.yaml", GOOD), ("desk.yaml", desktop)]);
    let check = |args: &[&str], code: i32, parts: &[&str]| {
        let output = vigorl(folder.path(), args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(output.stdout.is_empty() && parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
        assert!(runs(folder.path()).is_empty(), "{args:?}");
    };
    check(
        &["run", "good.yaml", "desk.yaml", "--parallel", "2"],
        2,
        &["`desk.yaml` is played on the desktop", "one pointer", "leave --parallel out"],
    );
    check(&["run", "good.yaml", "the", "button"], 2, &["`the` is no .yaml file", "in quotes"]);
    check(&["run", "good.yaml", "none.yaml", "--repeat", "2"], 2, &["cannot read `none.yaml`"]);
    check(&["run", "good.yaml", "--repeat", "0"], 2, &["--repeat"]);
    check(&["run", "good.yaml", "--parallel", "0"], 2, &["--parallel"]);
    check(&["run"], 2, &["<TASK.yaml|GOAL>..."]);
    check(
        &["run", "good.yaml", "--junit", "none/j.xml"],
        1,
        &["cannot write `none/j.xml`", "another --junit"],
    );
    // Nothing is put among other files.
    check(&["run", "good.yaml", "--report", "."], 2, &["--report: `.` holds other files", "new or empty"]);
    check(&["run", "good.yaml", "--report", "good.yaml"], 1, &["`good.yaml`", "another --report"]);
}

/// Waits until so many runs have begun to wait.
fn until_n_wait(folder: &Path, n: usize) {
    let waits = |run: &PathBuf| {
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        events.contains("`never`") && !run.join("summary.json").exists()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while runs(folder).iter().filter(|run| waits(run)).count() < n {
        assert!(Instant::now() < end, "no {n} runs wait");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes that were started with this folder in their environment.
fn left(folder: &Path) -> BTreeSet<String> {
    let read =
        |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\0', " ");
    let marker = format!("XDG_CONFIG_HOME={}", folder.join("user").display());
    let ours = fs::read_dir("/proc").unwrap().flatten();
    let ours = ours.filter(|entry| read(entry.path().join("environ")).contains(&marker));
    ours.map(|entry| read(entry.path().join("cmdline"))).filter(|line| !line.is_empty()).collect()
}

fn until_none_is_left(folder: &Path) {
    let end = Instant::now() + Duration::from_secs(10);
    while !left(folder).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(folder), BTreeSet::new());
}

fn signal(child: &Child, signal: &str) {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
}

#[test]
fn an_interruption_ends_all_and_leaves_what_is_known() {
    let folder = world(&[("good.yaml", GOOD), ("slow.yaml", SLOW)]);
    let args = ["run", "good.yaml", "slow.yaml", "--repeat", "3", "--parallel", "2", "--junit", "junit.xml"];
    let args = [&args[..], &["--report", "report"]].concat();
    let child = vigorl(folder.path(), &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_n_wait(folder.path(), 2);
    signal(&child, "-INT");
    let clock = Instant::now();
    let output = child.wait_with_output().unwrap();
    let said = words(&output);
    assert!(clock.elapsed() < Duration::from_secs(30), "{:?}", clock.elapsed());
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("good.yaml: 3 of 3 solved") && said.contains("slow.yaml: none solved, 3 not played"),
        "{said}"
    );
    let xml = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(xml.contains("tests=\"6\" failures=\"0\" errors=\"0\""), "{xml}");
    assert_eq!(xml.matches("<skipped ").count(), 3, "{xml}");
    let page = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    assert!(page.contains("<h1>3 of 3 solved</h1>"), "what was not played is no failure");
    assert!(page.contains("130 after Ctrl-C: 3 runs were not played to the end"), "{page}");
    // Three that were played and two that were broken off; the sixth never began.
    assert_eq!(runs(folder.path()).len(), 5);
    assert!(runs(folder.path()).iter().all(|run| run.join("report.html").is_file()));
    until_none_is_left(folder.path());
}

#[test]
fn a_kill_leaves_no_browser_and_what_is_known() {
    let folder = world(&[("good.yaml", GOOD), ("slow.yaml", SLOW)]);
    let args = ["run", "good.yaml", "slow.yaml", "--repeat", "2", "--parallel", "2", "--junit", "junit.xml"];
    let mut child = vigorl(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_n_wait(folder.path(), 2);
    assert!(left(folder.path()).len() > 2, "two browsers run");
    signal(&child, "-KILL");
    child.wait().unwrap();
    until_none_is_left(folder.path());
    let xml = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(xml.contains("tests=\"4\" failures=\"0\" errors=\"0\""), "{xml}");
    assert_eq!(xml.matches("<skipped ").count(), 2, "{xml}");
}

/// Solved from the second try on.
const FLAKY: &str = "name: late
tags: [smoke, slow]
start:
  programs: ['if test -e begun; then touch tried; fi; touch begun']
  url: 'data:text/html,<input autofocus>'
  viewport: 600x500
steps: [type: one]
expect: [file: { path: tried }]
";

#[test]
fn what_is_solved_in_a_later_try_is_flaky_and_told_apart() {
    let folder = world(&[("flaky.yaml", FLAKY), ("bad.yaml", BAD)]);
    let at = folder.path();
    let flags = ["--retries", "2", "--seed", "5", "--junit", "junit.xml"];
    let output =
        vigorl(at, &[&["run", "flaky.yaml", "bad.yaml", "--json"], &flags[..]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&said["counts"]["n_solved"], &said["counts"]["n_flaky"], &said["counts"]["n_not_solved"]),
        (&1.into(), &1.into(), &1.into())
    );
    let [flaky, bad] = [0, 1].map(|task| said["tasks"][task]["repetitions"][0].clone());
    assert_eq!(
        (&flaky["outcome"], &flaky["flaky"], &flaky["seed"]),
        (&"solved".into(), &true.into(), &6.into())
    );
    assert_eq!(
        (&flaky["earlier"][0]["outcome"], &flaky["earlier"][0]["seed"]),
        (&"not_solved".into(), &5.into())
    );
    assert_eq!((&bad["flaky"], bad["earlier"].as_array().unwrap().len()), (&false.into(), 2));
    assert_eq!(runs(at).len(), 2 + 3, "every try is a run of its own");
    let xml = fs::read_to_string(at.join("junit.xml")).unwrap();
    assert_eq!((xml.matches("<flakyFailure").count(), xml.matches("<rerunFailure").count()), (1, 2), "{xml}");
    // A flaky task counts as solved.
    for file in ["begun", "tried"] {
        fs::remove_file(at.join(file)).unwrap();
    }
    let output = vigorl(at, &["run", "flaky.yaml", "--retries", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("solved in try 2, so it is flaky"), "{}", words(&output));
    assert!(words(&output).contains("1 flaky"), "{}", words(&output));
}

/// Addresses that a page names in an attribute.
fn addresses(html: &str, attribute: &str) -> BTreeSet<String> {
    let begin = format!(" {attribute}=\"");
    html.split(&begin).skip(1).map(|part| part.split(['"', '#']).next().unwrap().to_owned()).collect()
}

#[test]
fn a_report_of_all_is_a_folder_that_needs_nothing_else() {
    let folder = world(&[("good.yaml", GOOD), ("bad.yaml", BAD), ("flaky.yaml", FLAKY)]);
    let at = folder.path();
    let args = ["run", "good.yaml", "bad.yaml", "flaky.yaml", "--retries", "1", "--repeat", "2"];
    let output = vigorl(at, &[&args[..], &["--report", "out/report"]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    // A line for each, and the sums: nothing is said otherwise than without a report.
    assert_eq!(said.lines().count(), 6 + 1 + 4, "{said}");
    assert!(!words(&output).contains("index.html"), "{}", words(&output));
    assert!(said.contains("all: 4 of 6 solved") && said.ends_with(", 1 flaky\n"), "{said}");

    let root = at.join("elsewhere");
    fs::rename(at.join("out/report"), &root).unwrap();
    let (runs_of_all, n_runs) = (at.join("runs"), runs(at).len());
    assert_eq!(n_runs, 2 + 4 + 3);
    fs::remove_dir_all(runs_of_all).unwrap();
    let page = fs::read_to_string(root.join("index.html")).unwrap();
    for words in [
        "<h1>4 of 6 solved</h1>",
        "exit code 1: not each time was solved",
        "type &lt;one&gt;</a>",
        "✗ not solved",
        "~ flaky",
        "it does not hold that the page shows `two`",
        "<option>slow</option><option>smoke</option>",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    // Every try has its report, and the first failure of each task a screenshot; all of them are files of the folder.
    let (links, pictures) = (addresses(&page, "href"), addresses(&page, "src"));
    let reports: Vec<&String> = links.iter().filter(|link| link.starts_with("runs/")).collect();
    assert_eq!((reports.len(), pictures.len()), (n_runs, 2), "{links:?} {pictures:?}");
    for link in reports.into_iter().chain(&pictures) {
        assert!(root.join(link).is_file(), "{link}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded from elsewhere");
    for picture in &pictures {
        assert_eq!(image::image_dimensions(root.join(picture)).unwrap(), (600, 500), "{picture}");
    }
    // Another one takes its place.
    let args = ["run", "good.yaml", "--report", "elsewhere"];
    let output = vigorl(at, &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let page = fs::read_to_string(root.join("index.html")).unwrap();
    assert!(page.contains("<h1>1 of 1 solved</h1>") && page.contains("exit code 0"), "{page}");
}

#[test]
fn the_first_failure_ends_all_where_that_is_asked_for() {
    let folder = world(&[("bad.yaml", BAD), ("good.yaml", GOOD)]);
    let args = ["run", "bad.yaml", "good.yaml", "--fail-fast", "--json"];
    let output = vigorl(folder.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["counts"]["n_not_solved"], &said["counts"]["n_not_played"]), (&1.into(), &1.into()));
    assert_eq!(runs(folder.path()).len(), 1);
}

#[test]
fn tags_and_parts_choose_tasks_and_choose_none_only_with_an_error() {
    let folder = world(&[("good.yaml", GOOD), ("flaky.yaml", FLAKY), ("bad.yaml", BAD)]);
    let played = |flags: &[&str]| {
        let args =
            [&["run", "good.yaml", "flaky.yaml", "bad.yaml", "--json", "--retries", "1"], flags].concat();
        let output = vigorl(folder.path(), &args).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let tasks = said["tasks"].as_array().into_iter().flatten();
        let tasks: Vec<String> = tasks.map(|task| task["task"].as_str().unwrap().to_owned()).collect();
        (output.status.code(), tasks, words(&output))
    };
    assert_eq!(played(&["--tag", "smoke", "--tag", "other"]).1, ["flaky.yaml"]);
    assert_eq!(played(&["--shard", "1/2"]).1, ["good.yaml"]);
    assert_eq!(played(&["--shard", "2/2"]).1, ["flaky.yaml", "bad.yaml"]);
    for (flags, cure) in [
        (&["--tag", "smok"][..], "there are: slow, smoke"),
        (&["--shard", "1/4"], "make fewer parts"),
        (&["--shard", "5/4"], "1/4 for the first of four"),
    ] {
        let (code, tasks, said) = played(flags);
        assert_eq!((code, tasks.len()), (Some(2), 0), "{said}");
        assert!(said.contains(cure), "{said}");
    }
}
