//! What a run does by what is written on a page: nothing but the binary looks.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>shop</title>\
    <body style='margin: 20px; font: 16px sans-serif; background: #fff'>\
    <h2>Basket</h2><button onclick='document.title = `paid`'>Pay now</button>\
    <p>Press Delete account at the end of the page to leave.</p>\
    <div style='width: 90px; height: 40px; background: #27c' onclick='document.title = `blue`'></div>\
    <div style='height: 2600px'></div>\
    <button onclick='document.title = `deleted`'>Delete account</button><p>The end</p>";

/// Clicks on `target`, as YAML, and expects a title; exit code, what was said, and how many pictures the run has.
fn click(folder: &Path, target: &str, title: &str) -> (Option<i32>, String) {
    fs::write(folder.join("page.html"), PAGE).unwrap();
    let url = format!("file://{}", folder.join("page.html").display());
    let yaml = format!(
        "name: shop\nstart: {{ url: '{url}', viewport: 800x500 }}\nsteps: [{{ click: {target} }}]\n\
         expect: [{{ title_contains: '{title}' }}]\n"
    );
    fs::write(folder.join("task.yaml"), yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "task.yaml"]).current_dir(folder).env("XDG_CONFIG_HOME", folder.join("user"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

#[track_caller]
fn check(target: &str, title: &str, code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (got, said) = click(folder.path(), target, title);
    assert_eq!(got, Some(code), "{target}: {said}");
    for words in words {
        assert!(said.contains(words), "{target}: {words}: {said}");
    }
}

#[test]
fn a_control_is_clicked_by_the_words_on_it() {
    check("the Pay now button", "paid", 0, &["solved"]);
}

#[test]
fn what_is_not_on_view_is_scrolled_to_where_the_task_asks_for_that() {
    check("{ what: the Delete account button, scroll: true }", "deleted", 0, &["solved"]);
    // The sentence on view names the button and is none.
    check("the Delete account button", "deleted", 1, &["refused"]);
}

#[test]
fn what_is_nowhere_is_said_to_be_after_all_of_the_page_was_seen() {
    check(
        "{ what: 'the \"Log out\" button', scroll: true }",
        "x",
        1,
        &["`Log out` is written nowhere here", "screens were seen, from where the page was down to its end"],
    );
}

#[test]
fn what_nobody_is_sure_of_is_not_clicked_where_nobody_can_be_asked() {
    check("the blue box", "blue", 1, &["the blue box  refused: ", "not solved"]);
}
