//! Steps that tasks share, what comes before and behind the steps of a task, and the rows of a table, as a user runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>shop</title>
<label>Name <input id=user></label> <label>Password <input id=password type=password></label>
<button onclick=\"if (password.value === 'hunter22') who.textContent = 'Hello ' + user.value\">Log in</button>
<button onclick=\"orders.textContent = 'one order'\">Order</button>
<button onclick=\"orders.textContent = 'no order'\">Delete</button>
<button onclick=\"kept.textContent = 'kept'\">Keep</button>
<p id=who>nobody</p><p id=orders>no order</p><p id=kept></p>";
const LOGIN: &str = "vars: { user: , password: }
steps:
  - fill: { target: { what: the name, name: Name, role: textbox }, text: '${user}' }
  - fill: { target: { what: the password, selector: '#password' }, text: '${password}' }
  - click: { what: log in, name: Log in, role: button }
  - assert: { text_visible: 'Hello ${user}' }
";
const TASK: &str = "name: an order of ${who}
tags: [smoke]
rows: people.csv
start: { url: page.html, viewport: 500x300 }
before:
  - use: { file: parts/login.yaml, vars: { user: '${who}', password: '${secret:PASSWORD}' } }
steps:
  - click: { what: order, name: Order, role: button }
expect: [text_visible: one order, text_visible: 'Hello ${who}']
after:
  - click: { what: clean up, name: '${button}', role: button }
  - assert: { text_visible: no order }
wait_secs: 2
";

fn shop(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    let all = [
        ("page.html", PAGE),
        ("parts/login.yaml", LOGIN),
        ("task.yaml", TASK),
        ("people.csv", "who,button\r\nAda,Delete\r\n\"Lee, Bob\",Keep\r\n"),
        ("secrets", "PASSWORD=hunter22\n"),
    ];
    for (name, text) in all.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn vigorl(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    let output = command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user")).output();
    let output = output.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), out, err)
}

#[test]
fn a_task_of_shared_steps_is_played_with_each_row_and_repeated_without_its_files() {
    let folder = shop(&[]);
    let at = folder.path();
    let args = ["run", "task.yaml", "--places", "--secrets", "secrets", "--parallel", "2", "--json"];
    let (code, out, err) = vigorl(at, &[&args[..], &["--tag", "smoke", "--junit", "junit.xml"]].concat());
    assert_eq!(code, Some(1), "{out}{err}");
    let said: Value = serde_json::from_str(&out).unwrap();
    let [task] = &said["tasks"].as_array().unwrap()[..] else { panic!("{out}") };
    assert_eq!(
        (&task["name"], &task["counts"]["n_solved"], &task["counts"]["n_failed"]),
        (&"an order of ${who}".into(), &1.into(), &1.into()),
        "{out}"
    );
    let [ada, bob] = &task["repetitions"].as_array().unwrap()[..] else { panic!("{out}") };
    assert_eq!((&ada["row"], &ada["name"]), (&1.into(), &"an order of Ada, row 1".into()));
    assert_eq!((&bob["row"], &bob["outcome"]), (&2.into(), &"failed".into()));
    let left = "the task was solved, but `after` failed: step 2 of 2 was refused: ";
    assert!(bob["detail"].as_str().unwrap().starts_with(left), "{out}");
    let xml = fs::read_to_string(at.join("junit.xml")).unwrap();
    assert!(xml.contains("<testcase name=\"an order of Lee, Bob, row 2\" classname=\"task.yaml\""), "{xml}");
    assert!(xml.contains("failures=\"0\" errors=\"1\""), "{xml}");

    // The record has the steps as they were played, without the secret, and needs none of the other files.
    let run = at.join(ada["run_dir"].as_str().unwrap());
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(!record.contains("hunter22") && record.contains("${secret:PASSWORD}"), "{record}");
    let recorded: Value = serde_json::from_str(&record).unwrap();
    let file = recorded["input"]["task_file"].as_str().unwrap();
    assert!(!file.contains("use:") && !file.contains("rows:") && file.contains("who: Ada"), "{file}");
    fs::remove_dir_all(at.join("parts")).unwrap();
    for file in ["task.yaml", "people.csv"] {
        fs::remove_file(at.join(file)).unwrap();
    }
    let (code, out, err) = vigorl(at, &["replay", &run.display().to_string(), "--secrets", "secrets"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn what_is_wrong_with_other_files_is_said_before_anything_starts() {
    let check = |files: &[(&str, &str)], flags: &[&str], words: &[&str]| {
        let folder = shop(files);
        let args = [&["run", "task.yaml", "--places", "--secrets", "secrets"], flags].concat();
        let (code, out, err) = vigorl(folder.path(), &args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(words.iter().all(|words| err.contains(words)), "{words:?}: {err}");
        assert!(!folder.path().join("runs").exists());
    };
    let table = |text: &'static str| [("people.csv", text)];
    check(&table("who,button\nAda\n"), &[], &["`task.yaml`: `people.csv`, line 2: 1 values for 2 columns"]);
    check(&table(""), &[], &["people.csv` is empty"]);
    let missing = ["no variable `button`", "line 2 of `people.csv`", "columns (line 1) are who"];
    check(&table("who\nAda\n"), &[], &missing);
    check(&[], &["--var", "who=Eve"], &["`who` is a column of `people.csv`"]);
    check(&[], &["--record-rollouts"], &["`after` its judgement is nothing to learn from"]);
    check(&[], &["--shard", "1/3"], &["there are 2 tasks, and none for this part"]);
    let faulty = LOGIN.replace("- click", "- clikc");
    check(
        &[("parts/login.yaml", &faulty)],
        &[],
        &["`task.yaml`: line 6, ", "login.yaml`: line 5, ", "`clikc`"],
    );
    let loops = "steps: [use: ../task.yaml]\n";
    check(
        &[("parts/login.yaml", loops)],
        &[],
        &["`task.yaml` uses `parts/login.yaml` uses `parts/../task.yaml`"],
    );
}
