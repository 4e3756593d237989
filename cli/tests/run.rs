//! `vigorl run` in a real browser: what its record holds, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn vigorl(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command.output().unwrap()
}

/// A file of the only run that was recorded.
fn recorded(folder: &Path, file: &str) -> Value {
    let mut runs = fs::read_dir(folder.join("runs")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none() && run.join("report.html").is_file());
    serde_json::from_slice(&fs::read(run.join(file)).unwrap()).unwrap()
}

const TASK: &str = "name: type twice
start: { url: 'data:text/html,<input autofocus>', viewport: 600x500 }
steps: [type: one, type: two]
expect: [text_visible: one]
";

#[track_caller]
fn run_task(flags: &[&str]) -> (tempfile::TempDir, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("task.yaml"), TASK).unwrap();
    let output = vigorl(folder.path(), &[&["run", "task.yaml"], flags].concat());
    (folder, output.status.code())
}

#[test]
fn a_page_that_does_not_open_leaves_a_readable_run() {
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{free}/"), "not a url".to_owned()] {
        let folder = tempfile::tempdir().unwrap();
        let output = vigorl(folder.path(), &["run", "the button", "--url", &url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot open `{url}`")), "{said}");
        let summary = recorded(folder.path(), "summary.json");
        assert!(summary["err_msg"].as_str().unwrap().contains(&url), "{summary}");
        assert_eq!((&summary["success"], &summary["terminated"]), (&Value::Null, &false.into()));
        assert_eq!(recorded(folder.path(), "run.json")["input"]["url"], url);
    }
}

#[test]
fn a_page_starts_no_other_program() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // A mail program that says that it was started.
    fs::create_dir(at("bin")).unwrap();
    for name in ["xdg-open", "xdg-email"] {
        let program = at("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\necho started >> '{}'\n", at("started").display())).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, executable).unwrap();
    }
    fs::write(at("page.html"), "<title>Mail</title><a href='mailto:a@example.org?body=all'>Write</a>")
        .unwrap();
    let yaml = format!(
        "name: mail\nstart: {{ url: 'file://{}' }}\nsteps:\n  - click: {{ what: the link, name: Write }}\n  \
         - wait_for: {{ command: 'sleep 1' }}\nexpect: [title_contains: Mail]\n",
        at("page.html").display()
    );
    fs::write(at("task.yaml"), yaml).unwrap();
    let path = std::env::join_paths(
        std::iter::once(at("bin")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "task.yaml", "--places"]).current_dir(folder.path()).env("PATH", path);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!at("started").exists(), "a mail program was started");
}

#[test]
fn a_run_is_recorded_well_enough_to_be_repeated() {
    let (folder, code) = run_task(&[]);
    assert_eq!(code, Some(0));
    let run = recorded(folder.path(), "run.json");
    assert_eq!((&run["input"]["task_file"], &run["input"]["viewport"]), (&TASK.into(), &json!([600, 500])));
    assert_eq!(run["settings"]["viewport"], json!({"value": "600x500", "origin": "task"}));
    assert_eq!(recorded(folder.path(), "steps/0001/action.json")["image_size"], json!([600, 500]));
}

#[test]
fn a_flag_is_stronger_than_the_task_file_and_a_dry_run_does_nothing() {
    let (folder, code) = run_task(&["--viewport", "640x480", "--dry-run"]);
    assert_eq!(code, Some(0));
    let run = recorded(folder.path(), "run.json");
    assert_eq!((&run["input"]["viewport"], &run["input"]["dry_run"]), (&json!([640, 480]), &true.into()));
    let step = recorded(folder.path(), "steps/0001/action.json");
    assert_eq!((&step["effect"], &step["detail"]), (&"unverifiable".into(), &"dry run".into()));
    assert_eq!(step["image_size"], json!([640, 480]));
    assert_eq!(recorded(folder.path(), "summary.json")["success"], Value::Null);
}

/// What a task brings along is a program, a command or a script: none of it is executed, wherever it stands.
#[test]
fn a_dry_run_executes_nothing_that_the_task_brings_along() {
    let folder = tempfile::tempdir().unwrap();
    let (page, task) = (folder.path().join("page.html"), folder.path().join("task.yaml"));
    fs::write(&page, "<title>Shop</title><button>Buy</button>").unwrap();
    let dry_run = |yaml: &str| {
        fs::write(&task, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(["run", "task.yaml", "--places", "--dry-run"]).current_dir(folder.path());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        let touched = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("touched"))
            .collect::<Vec<_>>();
        assert_eq!(touched, <[String; 0]>::default(), "{said}");
        (output.status.code(), said)
    };
    let (code, said) = dry_run(&format!(
        "name: shop
start: {{ url: 'file://{}', programs: ['touch touched-by-program'] }}
before:
  - assert: {{ command: touch touched-before }}
steps:
  - assert: {{ command: touch touched-by-assert }}
  - assert: {{ not: {{ command: touch touched-by-not }} }}
  - assert: {{ any: [{{ javascript: 'document.title = \"Sold\"' }}, {{ command: touch touched-by-any }}] }}
  - wait_for: {{ command: touch touched-by-wait }}
  - if:
      holds: {{ command: touch touched-by-if }}
      steps: [{{ press: Enter }}]
      else: [{{ click: {{ what: the button, name: Buy, role: button }} }}]
  - retry: {{ times: 2, until: {{ command: touch touched-by-until }}, steps: [{{ press: Escape }}] }}
  - assert: {{ title_contains: Shop }}
after:
  - assert: {{ command: touch touched-after }}
expect:
  - command: touch touched-by-expect
",
        page.display()
    ));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not judged: dry run") && said.contains("the button at"), "{said}");
    assert!(!said.contains("press Enter"), "what nobody can tell does not hold: {said}");
    assert_eq!(said.matches("press Escape").count(), 1, "{said}");
    assert!(said.contains("executes no commands and no scripts"), "{said}");

    let (code, said) = dry_run(
        "name: served
start: { url: 'http://127.0.0.1:9/', programs: ['touch touched; python3 -m http.server 9'] }
steps: [{ press: Enter }]
expect: [title_contains: x]
",
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a dry run starts no programs") && said.contains("http.server 9"), "{said}");
}

#[test]
fn a_task_that_needs_more_steps_is_not_done() {
    let (folder, code) = run_task(&["--max-steps", "1"]);
    assert_eq!(code, Some(1));
    let summary = recorded(folder.path(), "summary.json");
    assert_eq!((&summary["success"], &summary["truncated"]), (&false.into(), &true.into()));
    assert_eq!(
        (&summary["n_steps"], &summary["reward"]),
        (&1.into(), &0.0.into()),
        "the clause holds, but not every step was done"
    );
}

#[test]
fn a_task_that_needs_more_actions_is_not_done() {
    for flags in [&["--max-actions", "1"][..], &["--max-actions", "1", "--repeat", "1"]] {
        let (folder, code) = run_task(flags);
        assert_eq!(code, Some(1));
        let summary = recorded(folder.path(), "summary.json");
        assert_eq!((&summary["success"], &summary["truncated"]), (&false.into(), &true.into()));
        assert_eq!(
            (&summary["n_steps"], &summary["reward"]),
            (&2.into(), &0.0.into()),
            "the clause holds, but not every step was done"
        );
        let second = recorded(folder.path(), "steps/0002/action.json");
        assert_eq!(
            (&second["action"], &second["detail"]),
            (&Value::Null, &"out of actions: one was done".into())
        );
    }
}

#[test]
fn a_task_that_takes_too_long_is_ended_and_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let task = TASK.replace("type: two", "wait_for: { text_visible: never }, type: two") + "wait_secs: 100\n";
    fs::write(folder.path().join("task.yaml"), task).unwrap();
    // As a setting it holds for every task of a project.
    fs::write(folder.path().join("vigorl.toml"), "max_secs = 2\n").unwrap();
    let clock = std::time::Instant::now();
    let output = vigorl(folder.path(), &["run", "task.yaml"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(clock.elapsed().as_secs() < 60, "{:?}", clock.elapsed());
    assert!(said.contains("not solved: step 2 of 3 was not done: out of time: 2 s are over"), "{said}");
    let summary = recorded(folder.path(), "summary.json");
    assert_eq!((&summary["success"], &summary["truncated"]), (&false.into(), &true.into()));
    assert_eq!(summary["n_steps"], 2, "nothing was done after it");
    assert_eq!(recorded(folder.path(), "run.json")["settings"]["max_secs"]["origin"], "vigorl.toml");
}

/// A shape that the words mean, and a button that says them.
#[cfg(feature = "reader")]
const NAMESAKES: &str = "<!doctype html><title>none</title>
<style>* { margin: 0 } body { background: #fff } div, button { position: absolute; cursor: pointer }</style>
<div style='left: 30px; top: 30px; width: 40px; height: 40px; border-radius: 50%; background: #d62728'
  onclick='document.title = `shape`'></div>
<div style='left: 120px; top: 40px; width: 36px; height: 36px; background: #1f77b4'></div>
<button style='left: 60px; top: 110px; font: 14px DejaVu Sans' onclick='document.title = `text`'>red circle</button>";

/// A policy that learned from reward is asked before the reader, and neither a sure reading nor the veto overrules what it
/// is sure enough of. The same weights without that are asked behind it.
#[test]
#[cfg(feature = "reader")]
fn what_was_learned_from_reward_is_asked_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), NAMESAKES).unwrap();
    let yaml = "name: which\nstart: { url: page.html, viewport: 192x160 }\nsteps: [click: the red circle]\n\
                expect: [title_contains: shape]\n";
    fs::write(folder.path().join("task.yaml"), yaml).unwrap();
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grounding/qwen/assets/nano");
    for (name, learned, code) in [("learned", true, 0), ("supervised", false, 1)] {
        let model = folder.path().join(name);
        fs::create_dir(&model).unwrap();
        for file in fs::read_dir(&embedded).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), model.join(file.file_name())).unwrap();
        }
        let said = json!({ "preset": "nano", "told_texts": false, "learned_from_reward": learned });
        fs::write(model.join("vigorl.json"), said.to_string()).unwrap();
        // On a page that is none of its practice pages, it is hardly sure of anything.
        let flags = ["run", "task.yaml", "--model", &format!("./{name}"), "--min-confidence", "0.02"];
        let output = vigorl(folder.path(), &flags);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
    }
}

#[test]
fn a_click_that_nobody_judges_says_what_it_did_and_ends_as_scripts_expect() {
    let circle = "data:text/html,<svg width=190 height=150><circle cx=90 cy=70 r=20 fill=red";
    let flickers = "<div id=d style='position:fixed;left:0;bottom:0;width:9px;height:9px'></div><script>\
                    setInterval(() => d.style.background = d.style.background == 'gray' ? 'silver' : 'gray', 20)</script>";
    for (page, code, effect, why) in [
        (format!("{circle} onclick=this.setAttribute('r',30)>"), 0, "confirmed", None),
        (format!("{circle}>"), 3, "suspected_noop", Some("suspected_noop")),
        (format!("{circle}></svg>{flickers}"), 3, "unverifiable", Some("unverifiable")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = vigorl(
            folder.path(),
            &["run", "the red circle", "--url", &page, "--viewport", "192x160", "--json"],
        );
        let said = String::from_utf8_lossy(&output.stderr);
        let json: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(output.status.code(), Some(code), "{effect}: {json:#}");
        let step = &json["steps"][0];
        assert_eq!((&step["effect"], &step["finding"]), (&effect.into(), &"found".into()), "{json:#}");
        assert!(step["confidence"].as_f64().is_some_and(|confidence| confidence > 0.5), "{step:#}");
        let [x, y] = [0, 1].map(|axis| step["point"][axis].as_f64().unwrap());
        assert!((x - 98.0).hypot(y - 78.0) < 20.0, "{step:#}");
        let doubtful: Vec<&str> =
            json["doubtful"].as_array().unwrap().iter().map(|step| step["why"].as_str().unwrap()).collect();
        assert_eq!(doubtful, why.into_iter().collect::<Vec<_>>());
        let summary = &json["summary"];
        assert_eq!((&summary["n_episodes"], &summary["n_judged"]), (&1.into(), &0.into()), "{summary}");
    }
}

/// Gives a file to whoever asks for `/report`, and a page otherwise.
fn serve_a_download() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            std::io::BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).ok();
            let (headers, body) = match line.contains("/report") {
                true => (
                    "Content-Type: text/csv\r\nContent-Disposition: attachment; filename=report.csv\r\n",
                    "a,b\n",
                ),
                false => (
                    "Content-Type: text/html\r\n",
                    "<title>t</title><a id=here href=/report>Get the report</a> <a id=tab target=_blank href=/report>In a tab</a>",
                ),
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .ok();
        }
    });
    format!("http://{address}/")
}

#[test]
fn what_is_downloaded_is_found_by_clauses_and_kept_with_the_run_and_with_nobody_else() {
    let url = serve_a_download();
    for link in ["#here", "#tab"] {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "name: download\nstart: {{ url: '{url}', viewport: 600x500 }}\nsteps:\n  - click: {{ what: it, selector: '{link}' }}\n  \
             - wait_for: {{ file: {{ path: $DOWNLOADS/report.csv, contains: 'a,b' }} }}\nexpect:\n  \
             - command: 'grep -q a,b $DOWNLOADS/report.csv'\n  - file: {{ path: $TMPDIR/report.csv }}\n  - title_contains: t\n"
        );
        fs::write(folder.path().join("task.yaml"), yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(["run", "task.yaml", "--places"]).current_dir(folder.path()).env("HOME", folder.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{link}: {}", String::from_utf8_lossy(&output.stdout));
        let run = fs::read_dir(folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(run.join("downloads/report.csv")).unwrap(), "a,b\n");
        assert!(!folder.path().join("Downloads").exists() && !folder.path().join("report.csv").exists());
    }
}

/// Answers everything with 404 and a page whose script fails with what stands in its field.
fn serve_nothing() -> String {
    const PAGE: &str = "<title>Not here</title><link rel=icon href='data:,'><input autofocus oninput=\"if (value.length > 7) console.error('no ' + value)\">";
    const HEAD: &str =
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // A connection that the browser opens and does not use must not keep the others waiting.
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut line = String::new();
                std::io::BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).ok();
                write!(stream, "{HEAD} {}\r\n\r\n{PAGE}", PAGE.len()).ok();
            });
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_start_page_that_answers_404_is_no_page_to_act_on_unless_it_is_meant() {
    let url = serve_nothing();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secrets"), "WORD=hunter22\n").unwrap();
    let run = |name: &str, status: &str| {
        let yaml = format!(
            "name: {name}\nstart: {{ url: '{url}'{status}, viewport: 400x300 }}\nsteps: [type: '${{secret:WORD}}']\n\
             expect: [title_contains: Not here]\n"
        );
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("task.yaml"), yaml).unwrap();
        let output = vigorl(&place, &["run", "task.yaml", "--places", "--secrets", "../secrets"]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned(), place)
    };
    let (code, said, place) = run("missing", "");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot open `{url}`")) && said.contains("the page answered 404"),
        "{said}"
    );
    let summary = recorded(&place, "summary.json");
    assert_eq!((&summary["success"], &summary["n_steps"]), (&Value::Null, &0.into()), "{summary}");

    let (code, said, place) = run("meant", ", status: 404");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("page  2 errors, the first in step 1: 404 (Not Found)"), "{said}");
    let troubles = &recorded(&place, "steps/0001/action.json")["troubles"];
    let text = |n: usize| troubles[n]["text"].as_str().unwrap();
    assert!(text(0).starts_with("404 (Not Found) http"), "{troubles}");
    assert!(text(1).starts_with("no ${secret:WORD} ("), "{troubles}");
    assert_eq!(
        (&troubles[1]["kind"], troubles.as_array().unwrap().len()),
        (&"console".into(), 2),
        "{troubles}"
    );
}
