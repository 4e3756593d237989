//! Worlds that go wrong while a policy acts in them: never a reward of 0, and nothing left running.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{open, played, played_within};
use vigorl_policy::Preset;
use vigorl_rollouts::{ClickSource, Ended};
use vigorl_tasks::scripted::ScriptedTask;
use vigorl_tasks::sources::TaskSource;

const CLICK: &str = "<think> There (240, 160). </think>\n<answer> (240, 160) </answer>";

/// A page that is one large button.
fn task(folder: &std::path::Path, script: &str, style: &str) -> TaskSource {
    let page = format!(
        "<!doctype html><title>page</title><style>{style}</style>\
         <button id=b style='position:fixed;inset:0'>Go</button><script>{script}</script>"
    );
    fs::write(folder.join("page.html"), page).unwrap();
    let yaml = "name: go\ndraw: { word: [a, b, c, d, e] }\nstart: { url: page.html, viewport: 480x320 }\n\
                goal: go to ${word}\nexpect: [{ title_contains: done }]\n";
    let (task, root) = (ScriptedTask::parse(yaml).unwrap(), folder.to_owned());
    TaskSource::new("go", task, root, Duration::from_secs(2), 3, Arc::new(open)).unwrap()
}

#[test]
fn a_page_that_never_becomes_quiet_is_judged_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let style =
        "@keyframes a { from { color: red } to { color: blue } } #b { animation: a 0.3s infinite alternate }";
    let script = "let n = 0; setInterval(() => { b.style.left = (n++ % 9) + 'px' }, 20); \
                  let clicks = 0; b.onclick = () => { if (++clicks == 2) document.title = 'done' }";
    let clock = Instant::now();
    let (samples, collected) =
        played(&task(folder.path(), script, style), CLICK, &Preset::web_grounding().for_rollouts(), 1);
    assert_eq!((samples.len(), collected.n_errors), (1, 0));
    assert_eq!((samples[0].paid, samples[0].ended, samples[0].actions.len()), (Some(1.0), Ended::Judged, 2));
    assert!(clock.elapsed() < Duration::from_secs(30), "{:?}", clock.elapsed());
}

#[test]
fn a_tab_that_closes_itself_leaves_the_episode_in_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let script = "b.onclick = () => { const tab = open(''); tab.document.write(\"<button style='position:fixed;inset:0' \
                  onclick='window.close()'>Close</button>\"); tab.document.close(); };";
    let preset = Preset::web_grounding().for_rollouts();
    let (samples, collected) = played(&task(folder.path(), script, ""), CLICK, &preset, 2);
    assert_eq!((samples.len(), collected.n_errors), (2, 0), "{:?}", collected.errors);
    for sample in samples {
        // Opened, closed, and opened again: nothing of that was asked for.
        assert_eq!((sample.paid, sample.ended, sample.actions.len()), (Some(0.0), Ended::StepLimit, 3));
    }
}

#[test]
fn an_episode_that_runs_out_of_time_is_an_error_of_the_world_and_no_reward() {
    let folder = tempfile::tempdir().unwrap();
    let hangs = "b.onclick = () => { for (const end = Date.now() + 1500; Date.now() < end;) {} }";
    let source = task(folder.path(), hangs, "");
    let preset = Preset::web_grounding().for_rollouts();
    let (samples, collected) = played_within(Duration::from_secs(1), &source, CLICK, &preset, 2);
    assert!(samples.is_empty(), "{samples:#?}");
    assert_eq!((collected.n_errors, collected.failed["go"]), (4, 2), "each was tried twice");
    let errors: Vec<_> = collected.errors.into_iter().collect();
    assert_eq!(errors, [("the episode is out of time: 1 s are over".to_owned(), 4)]);
}

#[test]
fn a_dialog_is_dismissed_and_noted_and_the_episode_is_judged_as_usual() {
    let preset = Preset::web_grounding().for_rollouts();
    let done = "document.title = 'done'";
    for (script, words) in [
        ("alert('hello'); b.onclick = () => { document.title = 'done' }".to_owned(), "dismissed: hello"),
        (format!("b.onclick = () => {{ alert('saved'); {done} }}"), "dismissed: saved"),
        (format!("b.onclick = () => {{ if (!confirm('sure?')) {done} }}"), "dismissed: sure?"),
        (format!("b.onclick = () => {{ if (prompt('who?') === null) {done} }}"), "dismissed: who?"),
        (format!("b.onclick = () => {{ {done}; setTimeout(() => alert('late'), 60) }}"), "late"),
        (
            format!("prompt('one'); alert('two'); b.onclick = () => {{ confirm('three'); {done} }}"),
            "3 dialogs were dismissed, the last one: three",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (samples, collected) = played(&task(folder.path(), &script, ""), CLICK, &preset, 1);
        assert_eq!((samples.len(), collected.n_errors), (1, 0), "{script}: {collected:?}");
        let sample = &samples[0];
        assert_eq!((sample.paid, sample.ended), (Some(1.0), Ended::Judged), "{script}: {sample:#?}");
        if words != "late" || sample.detail.is_some() {
            let detail = sample.detail.as_deref().unwrap_or_default();
            assert!(detail.contains(words), "{script}: {detail}");
        }
    }
    // A wrong click is worth nothing with a dialog, too, and stays in its group.
    let folder = tempfile::tempdir().unwrap();
    let script = "b.onclick = () => { alert('no') }";
    let (samples, collected) = played(&task(folder.path(), script, ""), CLICK, &preset, 1);
    assert_eq!((samples.len(), collected.n_errors), (1, 0));
    let sample = &samples[0];
    assert_eq!((sample.paid, sample.ended, sample.actions.len()), (Some(0.0), Ended::StepLimit, 3));
    assert!(sample.detail.as_ref().unwrap().contains("3 dialogs were dismissed, the last one: no"));
}

#[test]
fn a_dialog_in_front_of_a_click_of_a_task_is_dismissed() {
    let folder = tempfile::tempdir().unwrap();
    let page = "<!doctype html><title>x</title><button id=b style='position:fixed;inset:0'>Go</button>\
                <script>alert('hello'); b.onclick = () => alert('clicked')</script>";
    fs::write(folder.path().join("page.html"), page).unwrap();
    let yaml = "name: go\nstart: { url: page.html, viewport: 480x320 }\n\
                steps: [{ click: { what: the Go button, selector: '#b' } }]\nexpect: [{ title_contains: x }]\n";
    let (task, root) = (ScriptedTask::parse(yaml).unwrap(), folder.path().to_owned());
    let secret = Arc::new(|_: &str| None);
    let cap = Duration::from_secs(2);
    let source = ClickSource::new("go#1", task, 0, root, cap, Arc::new(open), secret).unwrap();
    let (samples, collected) = played(&source, CLICK, &Preset::web_grounding().for_rollouts(), 1);
    assert_eq!((samples.len(), collected.n_errors), (1, 0), "{collected:?}");
    assert_eq!((samples[0].paid, samples[0].ended), (Some(1.0), Ended::Judged));
    assert!(samples[0].first_screenshot.is_some());
}

#[test]
fn a_page_that_opens_one_dialog_after_the_other_is_an_error_of_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let source = task(folder.path(), "b.onclick = () => { for (;;) alert('again') }", "");
    let (samples, collected) = played(&source, CLICK, &Preset::web_grounding().for_rollouts(), 1);
    assert!(samples.is_empty(), "{samples:#?}");
    assert_eq!(collected.failed["go"], 1);
    let errors: Vec<&String> = collected.errors.keys().collect();
    assert!(errors.iter().all(|error| error.contains("one dialog after the other")), "{errors:?}");
}

#[test]
fn a_page_that_hangs_ends_with_the_time_of_the_episode() {
    let folder = tempfile::tempdir().unwrap();
    let source = task(
        folder.path(),
        "b.onclick = () => { for (const end = Date.now() + 8000; Date.now() < end;) {} }",
        "",
    );
    let clock = Instant::now();
    let (samples, collected) = played(&source, CLICK, &Preset::web_grounding().for_rollouts(), 1);
    assert!(samples.iter().all(|sample| sample.paid != Some(1.0)), "{samples:#?}");
    assert_eq!(samples.len() + collected.failed.len(), 1);
    assert!(clock.elapsed() < Duration::from_secs(150), "{:?}", clock.elapsed());
}
