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

/// What the pointer's arrival does to the page, and what a click on it says.
fn dodging(style: &str, script: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><title>dodges</title>
<style>button, input {{ display: block; width: 120px; height: 30px; margin: 0; box-sizing: border-box }} {style}</style>
<body><script>log = []</script><div id=above></div>
<button onclick=\"log.push('Save')\" id=save>Save</button><button onclick=\"log.push('Delete')\" id=delete>Delete</button>
<a href='#gone' onclick=\"log.push('Gone')\" style='display:block;height:30px'>Gone</a>
<script>const [above, save] = [document.getElementById('above'), document.getElementById('save')];
addEventListener('pointerdown', () => log.push('down'));\n{script}</script>"
    )
}

#[test]
fn what_moves_as_the_pointer_arrives_is_followed_and_its_neighbor_gets_nothing() {
    let pages = [
        // A banner comes as soon as the pointer does, and everything is one place further down.
        ("banner", "", "save.addEventListener('pointerenter', () => { above.style.height = '30px'; });"),
        // What is hovered changes places with its neighbor.
        (
            "swaps",
            "",
            "save.addEventListener('mousemove', () => save.nextElementSibling.after(save), { once: true });",
        ),
        ("shifts", "body:hover #above { height: 30px }", ""),
        // A menu opens over it, and is gone a moment later.
        (
            "covers",
            "",
            "save.addEventListener('pointerenter', () => {
            const over = document.createElement('a');
            Object.assign(over, { href: '#over', onclick: () => log.push('over') });
            over.style.cssText = 'position:fixed;inset:0';
            document.body.append(over);
            setTimeout(() => over.remove(), 600);
        }, { once: true });",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, style, script) in pages {
        fs::write(folder.path().join("page.html"), dodging(style, script)).unwrap();
        task(folder.path(), name, 5.0, &["Save"], "log.join() === 'down,Save'");
        let (code, said) = run(folder.path(), &[&format!("{name}.yaml")]);
        assert_eq!(code, Some(0), "{name}: {said}");
    }
}

#[test]
fn what_always_moves_away_is_refused_and_nothing_is_clicked() {
    let flees = "addEventListener('mousemove', (event) => {
        if (event.target === save) above.style.height = above.style.height === '30px' ? 0 : '30px';
    }, true);";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), dodging("", flees)).unwrap();
    task(folder.path(), "flees", 2.0, &["Save"], "log.length === 0");
    let (code, said) = run(folder.path(), &["flees.yaml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("under the pointer, which got no click"), "{said}");
}

#[test]
fn a_field_that_moves_as_the_pointer_arrives_is_the_one_that_is_filled() {
    let page = "<!doctype html><meta charset=utf-8><title>fields</title><style>input { display: block; height: 30px }</style>
<body style='margin:0'><div id=above></div><input id=first aria-label=First><input id=second aria-label=Second>
<script>document.getElementById('second').addEventListener('pointerenter', () => {
  document.getElementById('above').style.height = '36px'; });</script>";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), page).unwrap();
    let yaml = "name: fill\nstart: { url: page.html, viewport: 400x300 }\nwait_secs: 5\nsteps:\n\
                - fill: { target: { what: the second field, name: Second }, text: mine }\n\
                expect: [{ javascript: \"[first.value, second.value].join('|') === '|mine'\" }]\n";
    fs::write(folder.path().join("fill.yaml"), yaml).unwrap();
    let (code, said) = run(folder.path(), &["fill.yaml"]);
    assert_eq!(code, Some(0), "{said}");
}
