//! Runs by places wait for what comes late, scroll to what is not on view, and say why they did nothing otherwise.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What each button is called tells when it can be clicked.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>late</title>
<style>#slides { position: absolute; left: -300px; top: 90px; transition: left 700ms } .open #slides { left: 20px }
#pane { height: 60px; width: 200px; overflow: auto }</style>
<body onclick=\"log.push(event.target.textContent)\"><script>log = []</script>
<button onclick=\"setTimeout(() => document.body.classList.add('open'), 400); setTimeout(() => { off.disabled = false }, 1200)\">Begin</button>
<div id=slides><button>Slides</button></div>
<button id=off disabled>Off</button>
<div id=pane><p style='height:300px'></p><button>In a pane</button></div>
<p style='height:1800px'></p><button>Low</button>
<iframe style='width:200px;height:70px' srcdoc=\"<p style='height:300px'></p><button onclick='parent.log.push(this.textContent)'>In a frame</button>\"></iframe>
<iframe sandbox='allow-scripts' style='width:200px;height:70px' srcdoc=\"<p style='height:300px'></p>
<button onclick='parent.postMessage(this.textContent, String.fromCharCode(42))'>Elsewhere</button>\"></iframe>
<script>addEventListener('message', (event) => log.push(event.data));
setTimeout(() => { const late = document.createElement('button'); late.textContent = 'Late'; document.body.prepend(late); }, 2500)</script>";

fn run(folder: &Path, tasks: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.arg("run").args(tasks).arg("--places").current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder.join("user"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

fn task(folder: &Path, name: &str, wait_secs: f64, clicks: &[&str], expect: &str) {
    let click = |what: &&str| format!("  - click: {{ what: the button, name: '{what}', role: button }}\n");
    let steps: String = clicks.iter().map(click).collect();
    let yaml = format!(
        "name: {name}\nstart: {{ url: page.html, viewport: 400x300 }}\nwait_secs: {wait_secs}\nsteps:\n{steps}\
         expect: [{{ javascript: \"{expect}\" }}]\n"
    );
    fs::write(folder.join(format!("{name}.yaml")), yaml).unwrap();
}

#[test]
fn what_comes_late_moves_or_is_out_of_view_is_clicked_without_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), PAGE).unwrap();
    let clicks = ["Begin", "Slides", "Off", "In a pane", "Low", "In a frame", "Elsewhere", "Late"];
    task(folder.path(), "all", 20.0, &clicks, &format!("log.join() === '{}'", clicks.join(",")));
    let (code, said) = run(folder.path(), &["all.yaml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_does_not_come_is_refused_with_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), PAGE).unwrap();
    for (name, clicks, words) in [
        ("never", "Nowhere", "the page has no button named `Nowhere`"),
        ("off", "Off", "button named `Off` is disabled"),
        ("hidden", "Slides", "button named `Slides` is hidden"),
    ] {
        task(folder.path(), name, 1.5, &[clicks], "log.length === 0");
        let clock = Instant::now();
        let (code, said) = run(folder.path(), &[&format!("{name}.yaml")]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{name}: {said}");
        assert!(clock.elapsed() > Duration::from_millis(1500), "{name} was not waited for: {said}");
    }
}
