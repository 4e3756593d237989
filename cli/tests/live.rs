//! The loop in a real browser, and the report of a run opened in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod world;

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use vigorl_agent::{Effect, Nobody, PracticeJudge, Recorded, write_report};
use vigorl_interface::{Action, Driver};
use vigorl_policy::ScriptedPolicy;
use vigorl_tasks::practice::{PageSpec, PracticeEnv, Split};

use world::{BUTTON, HIT, browser, click, show};

#[test]
fn a_page_that_never_settles_is_clicked_and_left_at_the_cap() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    let restless = "<p id=n>0</p><script>setInterval(() => n.textContent++, 5)</script>";
    show(&mut driver, &format!("{BUTTON}{restless}"));
    let clock = Instant::now();
    let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), &mut Nobody, output.path());
    assert!(clock.elapsed() < Duration::from_secs(10), "{:?}", clock.elapsed());
    assert_eq!(ended.record.err_msg, None);
    let step = Recorded::read(&ended.path).unwrap().episodes[0].steps[0].action.clone().unwrap();
    assert_eq!((step.effect, step.settled), (Effect::Unverifiable, false));
    assert_eq!((ended.summary.n_steps, ended.summary.success), (1, None));
}

#[test]
fn a_dialog_is_an_effect() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    let button = BUTTON.replace("<button ", "<button onclick=\"alert('Are you sure?')\" ");
    show(&mut driver, &button);
    let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), &mut Nobody, output.path());
    assert_eq!(ended.record.err_msg, None);
    let step = Recorded::read(&ended.path).unwrap().episodes[0].steps[0].action.clone().unwrap();
    assert_eq!((step.effect, step.dialog.as_deref()), (Effect::Confirmed, Some("Are you sure?")));
}

/// Answers the middle of the page's own target.
fn oracle(driver: &mut dyn Driver, spec: &PageSpec) -> String {
    let episode = PracticeEnv::new(driver).reset(spec).unwrap();
    let target = episode.page.tasks[0].target;
    let at = episode.page.widgets[target].bounds.in_viewport().center();
    format!(
        "<think> There it is ({}, {}). </think>\n<answer> ({}, {}) </answer>",
        at.x.floor(),
        at.y.floor(),
        at.x.floor(),
        at.y.floor()
    )
}

#[test]
fn the_report_works_in_a_browser_without_any_other_file() -> Result<(), Box<dyn Error>> {
    let output = tempfile::tempdir()?;
    let spec = PageSpec::icons(3, Split::HeldOut);
    let mut driver = browser(spec.canvas.width, spec.canvas.height);
    let reply = oracle(&mut driver, &spec);
    let ended = click(&mut driver, &mut ScriptedPolicy::new([reply]), &mut PracticeJudge, output.path());
    assert_eq!(ended.record.success, Some(true), "{:?}", ended.record);
    // Alone in another folder.
    let alone = output.path().join("alone.html");
    fs::rename(write_report(&ended.path)?, &alone)?;
    drop(driver);

    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: format!("file://{}", alone.display()) })?;
    let mut ask = |script: &str| driver.evaluate(script);
    assert_eq!(ask("return performance.getEntriesByType('resource').length")?, "0");
    assert_eq!(
        ask("return [...document.images].every((image) => image.complete && image.naturalWidth > 0)")?,
        "true"
    );
    // Hovering a thought lights up its point; the buttons change the picture.
    let hover = "document.querySelector('.said li').dispatchEvent(new MouseEvent('mouseover', {bubbles: true})); \
                 return document.querySelector('.pin').classList.contains('hot')";
    assert_eq!(ask(hover)?, "true");
    let after = "document.querySelector('[data-show=after]').click(); \
                 return getComputedStyle(document.querySelector('.stage')).position + document.querySelector('.stage').className";
    assert_eq!(ask(after)?, "\"relativestage shows-after\"");
    Ok(())
}
