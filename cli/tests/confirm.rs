//! `--confirm-actions` on a terminal: what is asked, and what each answer does.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;

/// A run whose standard input and error are a terminal.
struct Session {
    folder: TempDir,
    terminal: File,
    child: Child,
    said: String,
}

const TASK: &str = "name: type twice
start: { url: 'data:text/html,<title>Shop</title><input autofocus>', viewport: 600x500 }
steps: [type: one, type: two]
expect: [text_visible: one]
";

fn vigorl(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    command
}

/// Starts `vigorl run task.yaml` with flags; `early` is typed before it starts.
fn session(task: &str, flags: &[&str], early: &str) -> Session {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("task.yaml"), task).unwrap();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    let mut terminal = File::from(master);
    terminal.write_all(early.as_bytes()).unwrap();
    let mut command = vigorl(folder.path(), &[&["run", "task.yaml"], flags].concat());
    command.env("PASSWORD", "hunter-22");
    let child =
        command.stdin(slave.try_clone().unwrap()).stdout(Stdio::piped()).stderr(slave).spawn().unwrap();
    Session { folder, terminal, child, said: String::new() }
}

impl Session {
    /// Reads what comes within the time; nothing more once the program has ended.
    fn listen(&mut self, within: Duration) {
        let timeout = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&timeout)).unwrap() > 0 {
            let mut bytes = [0; 4096];
            // An error is the end of the other side.
            let n = self.terminal.read(&mut bytes).unwrap_or(0);
            self.said.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }

    /// Waits for the `n`th question and returns all that was said.
    #[track_caller]
    fn question(&mut self, n: usize) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        while self.said.matches("[y/N/a] ").count() < n {
            assert!(Instant::now() < end, "no question {n}: {}", self.said);
            self.listen(Duration::from_millis(100));
        }
        self.said.clone()
    }

    fn answer(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end: the exit code, all that was said, and the summary.
    fn end(mut self) -> (Option<i32>, String, Value) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end: {}", self.said);
            self.listen(Duration::from_millis(50));
        }
        self.listen(Duration::from_millis(50));
        let output = self.child.wait_with_output().unwrap();
        self.said.push_str(&String::from_utf8_lossy(&output.stdout));
        let run = fs::read_dir(self.folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
        let summary = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
        (output.status.code(), self.said, summary)
    }
}

#[test]
fn a_yes_is_for_one_action_and_a_no_ends_the_task() {
    let mut session = session(TASK, &["--confirm-actions", "type"], "");
    let said = session.question(1);
    assert!(
        said.contains("about to type \"one\"") && said.contains("on \"Shop\", \"data:text/html"),
        "{said}"
    );
    session.answer("y\n");
    assert!(session.question(2).contains("about to type \"two\""));
    session.answer("n\n");
    let (code, said, summary) = session.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("step 2 of 2 was refused: a person refused the action"), "{said}");
    // The first was typed: the clause holds. The task is not done all the same, and nothing is paid for it.
    assert_eq!((&summary["reward"], &summary["success"]), (&0.0.into(), &false.into()));
    assert_eq!((&summary["truncated"], &summary["err_msg"]), (&false.into(), &Value::Null));
}

#[test]
fn an_answer_is_yes_to_all_or_asked_for_again_and_other_kinds_are_not_asked_for() {
    let mut session = self::session(TASK, &["--confirm-actions", "press,type"], "");
    session.question(1);
    session.answer("what?\n");
    assert!(session.question(2).contains("a is yes to all that follows"));
    session.answer("a\n");
    let (code, said, summary) = session.end();
    assert_eq!((code, &summary["success"]), (Some(0), &true.into()), "{said}");
    assert_eq!(said.matches("about to").count(), 1, "{said}");
    let (code, said, _) = self::session(TASK, &["--confirm-actions", "click,navigate"], "").end();
    assert!(code == Some(0) && !said.contains("about to"), "{said}");
}

#[test]
fn what_was_typed_ahead_nothing_and_the_end_of_the_terminal_are_no_yes() {
    let flags = ["--confirm-actions", "all"];
    for answer in ["\n", "\u{4}"] {
        let mut session = session(TASK, &flags, "y\na\n");
        session.question(1);
        // It waits, for all that was typed before.
        session.listen(Duration::from_millis(700));
        assert!(session.child.try_wait().unwrap().is_none(), "{}", session.said);
        assert_eq!(session.said.matches("about to").count(), 1, "{}", session.said);
        session.answer(answer);
        let (code, said, summary) = session.end();
        assert_eq!((code, &summary["reward"]), (Some(1), &0.0.into()), "nothing was typed: {said}");
    }
}

#[test]
fn a_dialog_is_not_accepted_without_a_yes() {
    let task = "name: n
start:
  url: \"data:text/html,<button autofocus onclick=\\\"confirm('Delete all?') && (document.title = 'gone')\\\">b</button>\"
  viewport: 600x500
steps: [press: Enter, press: Enter, assert: { title_contains: gone }]
expect: [title_contains: gone]
";
    for (answer, code) in [("y\n", 0), ("n\n", 1)] {
        let mut session = session(task, &["--confirm-actions", "press"], "");
        session.question(1);
        session.answer("y\n");
        let said = session.question(2);
        assert!(said.contains("in answer to the dialog \"Delete all?\""), "{said}");
        session.answer(answer);
        let (ended, said, _) = session.end();
        assert_eq!(ended, Some(code), "{said}");
    }
}

#[test]
fn a_click_is_asked_for_with_its_place() {
    let task = "name: n
start: { url: 'data:text/html,<svg width=190 height=150><circle cx=90 cy=70 r=20 fill=red>', viewport: 192x160 }
steps: [click: the red circle]
expect: [javascript: 'true']
";
    let mut session = session(task, &["--confirm-actions", "click"], "");
    let said = session.question(1);
    assert!(said.contains("about to click (") && said.contains("): \"the red circle\""), "{said}");
    session.answer("n\n");
    let (code, said, summary) = session.end();
    assert_eq!((code, &summary["success"]), (Some(1), &false.into()), "{said}");
}

#[test]
fn a_question_shows_no_secret() {
    let task = TASK.replace("type: one", "type: '${secret:PASSWORD}'");
    let mut session = session(&task, &["--confirm-actions", "all", "-v"], "");
    let said = session.question(1);
    assert!(said.contains("about to type \"${secret:PASSWORD}\""), "{said}");
    session.answer("y\n");
    // The page of a data: URL has no form, but a title could show it as well.
    session.question(2);
    session.answer("n\n");
    let (_, said, _) = session.end();
    assert!(!said.contains("hunter-22"), "{said}");
}

#[test]
fn ctrl_c_and_the_end_of_time_end_a_question() {
    let mut session = self::session(TASK, &["--confirm-actions", "all"], "");
    session.question(1);
    Command::new("kill").args(["-INT", &session.child.id().to_string()]).status().unwrap();
    let (code, said, summary) = session.end();
    assert_eq!((code, &summary["truncated"]), (Some(130), &true.into()), "{said}");
    let mut session = self::session(TASK, &["--confirm-actions", "all", "--max-secs", "3"], "");
    session.question(1);
    let (code, said, summary) = session.end();
    assert_eq!(
        (code, &summary["truncated"], &summary["reward"]),
        (Some(1), &true.into(), &0.0.into()),
        "{said}"
    );
    assert!(said.contains("out of time: 3 s are over"), "{said}");
}

#[test]
fn without_a_terminal_it_is_a_usage_error_before_anything_starts_and_a_dry_run_asks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("task.yaml"), TASK).unwrap();
    let run = |flags: &[&str]| {
        let args = [&["run", "task.yaml", "--confirm-actions", "all"], flags].concat();
        let output = vigorl(folder.path(), &args).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("--confirm-actions") && said.contains("no terminal"), "{said}");
    assert!(!folder.path().join("runs").exists());
    let (code, said) = run(&["--dry-run"]);
    assert!(code == Some(0) && !said.contains("about to"), "{said}");
    let args = ["run", "task.yaml", "--confirm-actions", "clikc"];
    let output = vigorl(folder.path(), &args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("a list of click, drag"), "{said}");
}

#[test]
fn a_person_is_asked_about_one_run_at_a_time() {
    let mut session = session(TASK, &["--confirm-actions", "all", "--repeat", "2", "--parallel", "2"], "");
    let end = Instant::now() + Duration::from_secs(20);
    while session.child.try_wait().unwrap().is_none() && Instant::now() < end {
        session.listen(Duration::from_millis(50));
    }
    session.listen(Duration::from_millis(50));
    assert_eq!(session.child.wait().unwrap().code(), Some(2), "{}", session.said);
    assert!(session.said.contains("one run at a time: leave one out"), "{}", session.said);
    // One after the other is well.
    let mut session = self::session(TASK, &["--confirm-actions", "all", "--repeat", "2"], "");
    for n in 1..=2 {
        session.question(n);
        session.answer("a\n");
    }
    let (code, said, _) = session.end();
    assert!(code == Some(0) && said.contains("2 of 2 solved"), "{said}");
}
