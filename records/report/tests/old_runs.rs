//! Runs that an older program recorded (`fixtures/runs`, written by commit a890753) are read, reported, filmed, listed and
//! compared by this one.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::{Path, PathBuf};

use vigorl_interface::{Effect, Key};
use vigorl_report::view::Wish;
use vigorl_report::{Filmed, ListPage, RunRow, Side, render, render_comparison, render_list, write_film};
use vigorl_runs::record::{ActionRecord, Event};
use vigorl_runs::{Glance, Recorded, RecordedStep, Totals};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs").join(name)
}

fn read(name: &str) -> Recorded {
    Recorded::read(&folder(name)).unwrap()
}

fn steps(run: &Recorded) -> Vec<&RecordedStep> {
    run.episodes.iter().flat_map(|episode| &episode.steps).collect()
}

#[test]
fn what_was_done_is_read_as_it_was_written() {
    let run = read("scripted");
    let actions: Vec<ActionRecord> =
        steps(&run).iter().filter_map(|step| step.action.as_ref()?.action.clone()).collect();
    assert!(matches!(&actions[0], ActionRecord::Click { count: 1, .. }), "{actions:?}");
    assert_eq!(actions[1], ActionRecord::Type { text: "Ann & <Bob>".to_owned() });
    assert_eq!(actions[2], ActionRecord::Press { chord: vec![Key::Control, Key::Char('a')] });
    assert_eq!((run.summary.unwrap().success, run.episodes.len()), (Some(true), 1));
    // Nothing of the log is left out.
    for name in ["scripted", "practice", "refused", "killed"] {
        let n_lines = fs::read_to_string(folder(name).join("events.jsonl")).unwrap().lines().count();
        assert_eq!(read(name).events.len(), n_lines, "{name}");
    }
}

#[test]
fn what_a_policy_said_adds_up_to_the_summary_of_then() {
    let run = read("practice");
    let totals = Totals::of(steps(&run));
    let summary = run.summary.unwrap();
    assert_eq!(totals.n_steps, summary.n_steps);
    assert_eq!(totals.tokens, summary.tokens);
    assert!((totals.timings.total() - summary.timings.total()).abs() < 0.01);
    assert!(totals.n_zooms > 0);
}

#[test]
fn how_each_of_them_ended_is_in_its_report() {
    for (name, words) in [
        (
            "scripted",
            vec![
                "solved · reward 1",
                "Ann &amp; &lt;Bob&gt;",
                "<kbd>Control</kbd> <kbd>a</kbd>",
                "title_contains",
            ],
        ),
        ("practice", vec!["2 of 2 solved", "zoom 1", "Success by", "true target"]),
        ("refused", vec!["not judged", "vetoed: the point is on", "refused"]),
        ("killed", vec!["cut off before it wrote its summary", "never finished"]),
    ] {
        let html = render(&read(name));
        for words in words {
            assert!(html.contains(words), "{name}: {words}");
        }
        let n_pictures = html.matches("src=\"data:image/png;base64,").count();
        let n_files: usize = steps(&read(name)).iter().map(|step| pictures(&step.folder)).sum();
        assert_eq!(n_pictures, n_files, "{name}");
    }
}

fn pictures(folder: &Path) -> usize {
    let files = fs::read_dir(folder).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "png")).count()
}

#[test]
fn a_killed_run_is_known_up_to_its_last_event() {
    let run = read("killed");
    assert!(run.summary.is_none() && matches!(run.events.last(), Some(Event::Acting { .. })));
    let [first, second] = steps(&run)[..] else { panic!("two steps were begun") };
    assert_eq!(first.action.as_ref().unwrap().effect, Effect::Confirmed);
    assert!(second.action.is_none() && second.model.as_ref().unwrap().turns.len() > 1);
}

#[test]
fn they_are_listed_filmed_and_compared() {
    let names = ["scripted", "practice", "refused", "killed"];
    let runs = names.map(|name| RunRow::of(name, &Glance::read(&folder(name))));
    let wish = Wish::default();
    let list =
        render_list(&ListPage { folder: "old", trainings: &[], runs: &runs, wish: &wish, version: "1" });
    assert!(list.contains("all 4") && !list.contains("cannot be read"));
    let output = tempfile::tempdir().unwrap();
    for name in names {
        let film = output.path().join(name).with_extension("gif");
        assert_eq!(write_film(&read(name), &film, |_, _| true).unwrap(), Filmed::Whole);
        assert!(fs::read(&film).unwrap().starts_with(b"GIF89a"), "{name}");
    }
    let (a, b) = (read("practice"), read("killed"));
    let both = render_comparison(
        &Side { name: "a", address: "/run/a/", recorded: &a },
        &Side { name: "b", address: "/run/b/", recorded: &b },
    );
    assert!(both.contains("1 of 2 episodes end differently"), "the first page is the same in both");
}
