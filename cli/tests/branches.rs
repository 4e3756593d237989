//! Steps that depend on what a page shows, steps that may fail, and checks with a time of their own, as a user runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A shop with a banner that comes late, and with one row for each order.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>shop</title><script>log = []</script>
<body onclick=\"log.push(event.target.dataset.row || event.target.textContent)\">
<div id=banner hidden style='position:fixed;inset:0;background:#fffc'><button onclick=\"banner.remove()\">Accept</button></div>
<table><tr><td>Order 1</td><td><button data-row=one>Pay</button></td></tr><tr><td>Order 2</td><td><button data-row=two>Pay</button></td></tr></table>
<p id=state>waiting</p>
<script>if (location.search === '?banner') setTimeout(() => { banner.hidden = false }, 300);
setTimeout(() => { state.textContent = 'ready' }, 900)</script>";

fn run(folder: &Path, url: &str, steps: &str, expect: &str) -> (Option<i32>, String) {
    fs::write(folder.join("page.html"), PAGE).unwrap();
    let yaml = format!(
        "name: shop\nstart: {{ url: 'page.html{url}', viewport: 400x300 }}\nwait_secs: 8\nsteps:\n{steps}expect: [{expect}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "task.yaml", "--places"]).current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder.join("user"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

const PAY: &str = "  - click: { what: the button, name: Pay, in: Order 2 }\n";

#[test]
fn a_banner_is_answered_if_it_comes_and_not_missed_if_it_does_not() {
    let ask = "  - if: { holds: { element: { name: Accept, role: button, is: visible } }, within_secs: 1.5, \
               steps: [click: { what: accept, name: Accept, role: button }] }\n";
    let optional =
        "  - optional: { secs: 1.5, steps: [click: { what: accept, name: Accept, role: button }] }\n";
    for (url, expected) in [("", "two"), ("?banner", "Accept,two")] {
        for banner in [ask, optional] {
            let folder = tempfile::tempdir().unwrap();
            let expect = format!("javascript: \"log.join() === '{expected}'\"");
            let clock = Instant::now();
            let (code, said) = run(folder.path(), url, &format!("{banner}{PAY}"), &expect);
            assert_eq!(code, Some(0), "{url}, {banner}: {said}");
            assert!(clock.elapsed() < Duration::from_secs(30), "{said}");
        }
    }
}

#[test]
fn a_check_that_is_given_time_is_repeated_and_one_that_is_not_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let clause = "{ element: { selector: '#state', text: ready } }";
    let click = "  - click: { what: pay, name: Pay, nth: 1 }\n";
    let (code, said) = run(
        folder.path(),
        "",
        &format!("  - assert: {{ that: {clause}, within_secs: 6 }}\n{click}"),
        "not: { javascript: 'log.length === 0' }",
    );
    assert_eq!(code, Some(0), "{said}");
    let never = "{ all: [{ text_visible: Order 1 }, { any: [{ text_matches: '^Order [3-9]$' }, { title_contains: bank }] }] }";
    let (code, said) = run(
        folder.path(),
        "",
        &format!("  - assert: {{ that: {never}, within_secs: 0.5 }}\n{click}"),
        "url_contains: page",
    );
    assert_eq!(code, Some(1), "{said}");
    for words in [
        "none of these holds: it does not hold that the page shows what matches `^Order [3-9]$`",
        "it does not hold that the title contains `bank`",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let (code, said) = run(folder.path(), "", "  - click: { what: pay, name: Pay }\n", "url_contains: page");
    assert_eq!(code, Some(1), "{said}");
    for words in [
        "the page has 2 times element named `Pay`: button `Pay` in the row `Order 1` at (",
        "`nth` says which one",
    ] {
        assert!(said.contains(words), "{said}");
    }
}
