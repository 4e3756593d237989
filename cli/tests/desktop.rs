//! The program on a desktop, as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

#[path = "../../drivers/desktop/tests/support/display.rs"]
mod display;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use display::{Ends, manager, start, xvfb};
use serde_json::Value;
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{KEY_PRESS_EVENT, KEY_RELEASE_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;

/// A display with a window manager.
struct Desk {
    home: TempDir,
    name: String,
    _manager: Ends,
    _server: Ends,
}

fn desk() -> Desk {
    let home = tempfile::tempdir().unwrap();
    let (server, name) = xvfb("1280x800");
    let manager = manager(home.path(), Some(&name));
    Desk { home, name, _manager: manager, _server: server }
}

fn vigorl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XDG_SESSION_TYPE");
    command
}

impl Desk {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = vigorl(arguments);
        let environment = [("NO_AT_BRIDGE", "1"), ("GSETTINGS_BACKEND", "memory"), ("DISPLAY", &self.name)];
        command
            .envs(environment)
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .output()
            .unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], b"\n", &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_desktop_task_is_played_again_and_again() {
    let desk = desk();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/calculator.yaml");
    let output = desk.run(&["run", example.to_str().unwrap(), "--repeat", "2"]);
    assert!(output.status.success() && words(&output).contains("2 of 2 solved"), "{}", words(&output));
}

#[test]
fn clicks_arrive_at_their_pixel() {
    let desk = desk();
    let doctor = desk.run(&["doctor", "--driver", "desktop"]);
    assert!(doctor.status.success() && words(&doctor).contains("1280x800 pixels"), "{}", words(&doctor));
    let output = desk.run(&["calibrate", "--driver", "desktop", "--json"]);
    assert!(output.status.success(), "{}", words(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["worst_px"], said["hits"].as_array().unwrap().len()), (&0.0.into(), 25));
}

#[test]
fn a_window_is_seen_and_a_dry_run_does_nothing() {
    let desk = desk();
    let _calculator = start("galculator", &[], desk.home.path(), Some(&desk.name));
    let run = ["run", "the red circle", "--driver", "desktop", "--area", "window:galculator", "--dry-run"];
    // It takes a moment to be there.
    let mut output = desk.run(&run);
    for _ in 0..100 {
        if !words(&output).contains("there is none") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        output = desk.run(&run);
    }
    assert!(words(&output).contains("not judged"), "{}", words(&output));
    let other = desk.run(&["run", "x", "--driver", "desktop", "--area", "window:mousepad"]);
    assert!(words(&other).contains("no `mousepad`; there are `galculator`"), "{}", words(&other));
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn what_is_missing_is_named_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = vigorl(&["run", "x", "--driver", "desktop"]);
    let output = run.current_dir(folder.path()).output().unwrap();
    assert!(words(&output).contains("set DISPLAY"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(1));
    let output = run.env("XDG_SESSION_TYPE", "wayland").output().unwrap();
    assert!(words(&output).contains("X11 session"), "{}", words(&output));
    let output = vigorl(&["demo", "--driver", "desktop"]).current_dir(folder.path()).output().unwrap();
    assert!(words(&output).contains("needs a browser"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(2));
    let output = vigorl(&["run", "x", "--driver", "desktop", "--area", "windows"]).output().unwrap();
    assert!(words(&output).contains("screen, monitor:NAME or window:TITLE"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn programs_that_do_not_get_ready_are_quoted() {
    let desk = desk();
    let task = desk.home.path().join("task.yaml");
    let yaml = "name: n\nstart: { driver: desktop, programs: ['no-such-program --now'], area: 'window:x' }\n\
                steps: [press: Enter]\nexpect: [clipboard: x]\n";
    std::fs::write(&task, yaml).unwrap();
    let output = desk.run(&["run", task.to_str().unwrap()]);
    let said = words(&output);
    assert!(said.contains("no-such-program") && said.contains("not found"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn holding_escape_stops_the_run_and_tapping_it_does_not() {
    let desk = desk();
    let task = desk.home.path().join("task.yaml");
    let yaml = "name: n\nstart: { driver: desktop }\nsteps:\n  - press: Escape\n  - wait_for: { clipboard: never }\n\
                expect: [clipboard: never]\nwait_secs: 60\n";
    std::fs::write(&task, yaml).unwrap();
    let mut command = vigorl(&["run", task.to_str().unwrap()]);
    command.env("DISPLAY", &desk.name).env("HOME", desk.home.path()).current_dir(desk.home.path());
    let mut run = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("hold Escape")), "it does not say how");
    let (conn, screen) = x11rb::connect(Some(&desk.name)).unwrap();
    let root = conn.setup().roots[screen].root;
    // Escape of every keyboard that Xvfb has.
    const ESCAPE: u8 = 9;
    let key = |kind: u8| {
        conn.xtest_fake_input(kind, ESCAPE, x11rb::CURRENT_TIME, root, 0, 0, 0).unwrap();
        conn.flush().unwrap();
    };
    for held in [100, 900] {
        std::thread::sleep(Duration::from_millis(400));
        assert!(run.try_wait().unwrap().is_none(), "it stopped by itself");
        key(KEY_PRESS_EVENT);
        std::thread::sleep(Duration::from_millis(held));
        key(KEY_RELEASE_EVENT);
    }
    let clock = Instant::now();
    let status = run.wait().unwrap();
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
    assert_eq!(status.code(), Some(130));
    assert!(lines.any(|line| line.contains("Escape was held")));
    let summary = all_of(&desk.home.path().join("runs"));
    assert!(String::from_utf8_lossy(&summary).contains("\"truncated\": true"));
}

#[test]
fn a_run_is_stopped_from_elsewhere() {
    let desk = desk();
    // Runs of other tests are not this one's to stop.
    let own = desk.home.path().to_str().unwrap();
    let task = desk.home.path().join("task.yaml");
    let yaml = "name: n\nstart: { driver: desktop }\nsteps: [wait_for: { clipboard: never }]\n\
                expect: [clipboard: never]\nwait_secs: 60\n";
    std::fs::write(&task, yaml).unwrap();
    let stop = || vigorl(&["stop", "--json"]).env("VIGORL_RUNTIME_DIR", own).output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&stop().stdout).unwrap()["runs"], serde_json::json!([]));
    let mut command = vigorl(&["run", task.to_str().unwrap()]);
    command.env("DISPLAY", &desk.name).env("VIGORL_RUNTIME_DIR", own).current_dir(own);
    let mut run = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("recording into")));
    // The run is collected while it is waited for.
    let waiting = std::thread::spawn(move || run.wait().unwrap());
    let said: Value = serde_json::from_slice(&stop().stdout).unwrap();
    assert_eq!((&said["ok"], said["runs"].as_array().unwrap().len()), (&true.into(), 1), "{said}");
    assert!(said["runs"][0]["command"].as_str().unwrap().contains("task.yaml"), "{said}");
    assert_eq!(waiting.join().unwrap().code(), Some(130));
    assert!(String::from_utf8_lossy(&all_of(&desk.home.path().join("runs"))).contains("\"truncated\": true"));
}

/// Whether a process with these words in its command line is there.
fn is_running(words: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim() == words)
}

#[test]
fn what_a_task_starts_ends_also_when_the_run_is_killed() {
    let desk = desk();
    let task = desk.home.path().join("task.yaml");
    let sleeper = format!("sleep {}", 90_000 + std::process::id());
    let yaml = format!(
        "name: n\nstart: {{ driver: desktop, programs: ['{sleeper}'] }}\nsteps: [wait_for: {{ clipboard: never }}]\n\
         expect: [clipboard: never]\nwait_secs: 60\n"
    );
    std::fs::write(&task, yaml).unwrap();
    let mut command = vigorl(&["run", task.to_str().unwrap()]);
    command.env("DISPLAY", &desk.name).current_dir(desk.home.path());
    let mut run = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("recording into")));
    assert!(is_running(&sleeper));
    let is_in_a_step = || {
        let runs = std::fs::read_dir(desk.home.path().join("runs")).into_iter().flatten().flatten();
        let mut logs = runs.map(|run| std::fs::read_to_string(run.path().join("events.jsonl")));
        logs.any(|log| log.is_ok_and(|log| log.contains("step_started")))
    };
    let end = Instant::now() + Duration::from_secs(20);
    while !is_in_a_step() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while is_running(&sleeper) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_running(&sleeper), "it goes on");
    // The record can be read up to there.
    assert!(is_in_a_step());
}

#[test]
fn a_dialog_on_top_ends_a_task_like_any_other_surprise() {
    let desk = desk();
    let task = desk.home.path().join("task.yaml");
    let note = format!("note-{}.txt", std::process::id());
    // What the dialog covers is not seen any more, so it is not clicked.
    let yaml = format!(
        "name: n\nstart: {{ driver: desktop, programs: ['mousepad --disable-server \"$TMPDIR/{note}\"'], area: 'window:mousepad' }}\n\
         steps:\n  - press: Control+o\n  - wait_for: {{ command: 'sleep 1' }}\n  - assert: {{ picture: $TMPDIR/none.png }}\n\
         expect: [clipboard: never]\n"
    );
    std::fs::write(&task, yaml).unwrap();
    let output = desk.run(&["run", task.to_str().unwrap()]);
    assert!(words(&output).contains("step 3 of 3 was refused"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(1));
    let end = Instant::now() + Duration::from_secs(5);
    let is_left = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
            String::from_utf8_lossy(&std::fs::read(process.path().join("cmdline")).unwrap_or_default())
                .contains(&note)
        })
    };
    while is_left() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_left(), "the editor goes on");
    assert!(String::from_utf8_lossy(&all_of(&desk.home.path().join("runs"))).contains("episode_ended"));
}

/// Asks whether a release is shipped, then for its number, and says what it was told.
const RELEASE: &str = r#"zenity --question --text 'Release 4711 is ready' --ok-label Ship --cancel-label Wait && \
zenity --entry --text 'Which number was it?' > "$TMPDIR/answer.txt"; zenity --info --text 'All is done'"#;

#[test]
fn a_task_is_judged_by_what_is_read_on_the_screen() {
    let desk = desk();
    std::fs::write(desk.home.path().join("release.sh"), RELEASE).unwrap();
    let yaml = "name: ship it\nstart: { driver: desktop, programs: [sh release.sh], area: screen }\nsteps:
  - wait_for: { text_visible: Release 4711 is ready }
  - read: { of: { screen: { matches: '^Release ([0-9]+)' } }, into: number }
  - click: { what: the button that ships it, text: Ship, exact: true }
  - wait_for: { text_gone: 'Release ${number} is ready' }
  - wait_for: { text_visible: Which number was it }
  - type: '${number}'
  - press: Enter
  - wait_for: { text_visible: All is done }
expect:
  - text_visible: All is done
  - text_gone: Which number was it
  - file: { path: $TMPDIR/answer.txt, contains: '4711' }
";
    std::fs::write(desk.home.path().join("task.yaml"), yaml).unwrap();
    let output = desk.run(&["run", "task.yaml", "--places"]);
    assert!(output.status.success() && words(&output).contains("solved"), "{}", words(&output));

    // What the run typed itself proves nothing, and a button that is not there is not clicked.
    let to_the_entry =
        "name: n\nstart: { driver: desktop, programs: [sh release.sh], area: screen }\nwait_secs: 3\nsteps:
  - wait_for: { text_visible: Release 4711 is ready }
  - press: Enter
  - wait_for: { text_visible: Which number was it }
";
    for (steps, expect, why) in [
        ("  - type: '90125'\n", "text_visible: '90125'", "the run typed that itself"),
        (
            "  - click: { what: the button, text: Ship }\n",
            "text_visible: x",
            "`Ship` is written nowhere here",
        ),
        ("  - press: Tab\n", "text_gone: Log out", "was not read on the last"),
    ] {
        let yaml = format!("{to_the_entry}{steps}expect: [{expect}]\n");
        std::fs::write(desk.home.path().join("other.yaml"), yaml).unwrap();
        let output = desk.run(&["run", "other.yaml", "--places"]);
        assert!(words(&output).contains(why), "{expect}: {}", words(&output));
        assert_eq!(output.status.code(), Some(1), "{expect}: {}", words(&output));
    }
}

#[test]
fn what_is_clicked_while_recording_has_the_name_that_is_read_there() {
    let desk = desk();
    std::fs::write(desk.home.path().join("release.sh"), RELEASE).unwrap();
    let yaml = "name: n\nstart: { driver: desktop, programs: [sh release.sh], area: screen }\nsteps:
  - wait_for: { text_visible: Release 4711 is ready }
  - click: { what: the button, text: Wait }
expect: [text_visible: All is done]
";
    std::fs::write(desk.home.path().join("clicks.yaml"), yaml).unwrap();
    let mut command = vigorl(&["record", "recorded.yaml", "--driver", "desktop"]);
    command.env("DISPLAY", &desk.name).current_dir(desk.home.path());
    let mut recorder = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(recorder.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("recording what you do")));
    let output = desk.run(&["run", "clicks.yaml", "--places"]);
    assert!(lines.by_ref().any(|line| line.contains("click")), "{}", words(&output));
    let ends = Command::new("kill").args(["-INT", &recorder.id().to_string()]).status().unwrap();
    assert!(ends.success() && recorder.wait().unwrap().success());
    let recorded = std::fs::read_to_string(desk.home.path().join("recorded.yaml")).unwrap();
    assert!(recorded.contains("what: '\"Wait\"'") && recorded.contains("picture:"), "{recorded}");
}

#[test]
fn the_terminal_with_the_command_is_not_read() {
    let desk = desk();
    let yaml = |shown: &str| {
        format!(
            "name: n\nstart: {{ driver: desktop, programs: [zenity --info --text 'All is done'], area: screen }}\nwait_secs: 10\n\
             steps:\n  - wait_for: {{ text_visible: All is done }}\nexpect: [text_visible: '{shown}']\n"
        )
    };
    std::fs::write(desk.home.path().join("told.yaml"), yaml("All is done")).unwrap();
    std::fs::write(desk.home.path().join("own.yaml"), yaml("Marker 7788")).unwrap();
    // A terminal of the same look that is another program's is read.
    let script = "echo Marker $((7700 + 88)); echo; $VIGORL run told.yaml --places > told.txt 2>&1; \
                  $VIGORL run own.yaml --places > own.txt 2>&1; touch done";
    let terminal = |script: &str| {
        let mut command = Command::new("xterm");
        command
            .args([
                "-fa",
                "DejaVu Sans Mono",
                "-fs",
                "13",
                "-geometry",
                "60x8+20+520",
                "-e",
                "sh",
                "-c",
                script,
            ])
            .envs([("DISPLAY", desk.name.as_str()), ("VIGORL", env!("CARGO_BIN_EXE_vigorl"))])
            .env("HOME", desk.home.path())
            .current_dir(desk.home.path());
        Ends(command.spawn().unwrap())
    };
    let read = |name: &str| std::fs::read_to_string(desk.home.path().join(name)).unwrap_or_default();
    {
        let _own = terminal(script);
        let end = Instant::now() + Duration::from_secs(120);
        while !desk.home.path().join("done").exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert!(
        read("told.txt").contains("solved") && !read("told.txt").contains("not solved"),
        "{}",
        read("told.txt")
    );
    assert!(read("own.txt").contains("it does not hold"), "{}", read("own.txt"));
    let _other = terminal("echo Marker $((7700 + 88)); sleep 60");
    let output = desk.run(&["run", "own.yaml", "--places"]);
    assert!(output.status.success(), "{}", words(&output));
}

/// Every file of a folder, as bytes.
fn all_of(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { all_of(&path) } else { std::fs::read(&path).unwrap() });
    }
    bytes
}

#[test]
fn a_secret_is_typed_and_written_down_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("page.html"),
        "<title>Log in</title><input type=password autofocus oninput=\"document.title = value.length\">",
    )
    .unwrap();
    let secret = "pa\"ss\\wörd-7";
    std::fs::write(at("my.env"), format!("PASSWORD={secret}\n")).unwrap();
    let yaml = format!(
        "name: log in as ${{who}}\nvars: {{ who: me }}\nstart: {{ url: 'file://{}' }}\nsteps:\n  \
         - wait_for: {{ title_contains: Log in }}\n  - type: '${{secret:PASSWORD}}'\n  \
         - assert: {{ javascript: \"document.querySelector('input').value.length === {}\" }}\n\
         expect: [title_contains: '{}']\n",
        at("page.html").display(),
        secret.chars().count(),
        secret.chars().count(),
    );
    std::fs::write(at("task.yaml"), yaml).unwrap();
    let run = ["run", "task.yaml", "--secrets", "my.env", "--var", "who=you", "-v"];
    let output = vigorl(&run).current_dir(folder.path()).output().unwrap();
    let said = words(&output);
    assert!(output.status.success() && said.contains("${secret:PASSWORD}"), "{said}");
    let mut written = all_of(&at("runs"));
    written.extend(&output.stdout);
    written.extend(&output.stderr);
    let written = String::from_utf8_lossy(&written);
    assert!(written.contains("log in as you") && written.contains("${secret:PASSWORD}"));
    // Neither as it is, nor as JSON or HTML would write it.
    for form in [secret, "pa\\\"ss", "wörd-7", "pa&quot;ss"] {
        assert!(!written.contains(form), "{form} was written down");
    }
}
