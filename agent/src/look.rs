//! The second look of a step: waits for a quiet page, follows a tab that was opened, compares with before.
//!
//! Invariants: every wait awaits a condition and ends by the settle cap; a look can be repeated, and the last
//! one is the step's evidence.

use std::time::{Duration, Instant};

use vigorl_interface::{
    Action, Downloads, Driver, DriverError, Effect, Screenshot, Settled, TabId, classify, pixel_change_beside,
};
use vigorl_tasks::Environment;
use vigorl_tasks::environment::{behind_dialog, tabs_of};

use crate::agent::Agent;
use crate::error::StepError;
use crate::outcome::StepOutcome;
use crate::timed::timed;
use crate::watch::Watch;

/// Longest wait for a quiet page before a judge is asked again, so that a restless page is judged as well.
const SLICE: Duration = Duration::from_millis(100);

/// A page that does not become quiet in this time may be behind a tab that opened late.
const TABS_ASKED_FOR: Duration = Duration::from_millis(500);

/// What a step says of itself behind which its tab is gone, and another one is shown.
const CLOSED_ITSELF: &str = "the tab closed itself";
/// What a step says of itself that had no other effect than a file that comes.
const BEGAN_A_DOWNLOAD: &str = "began a download";
/// What a step that opened a tab says of itself.
const OPENED_A_TAB: &str = "opened a tab";

/// Reads the effect of the step's action off a fresh observation.
pub(crate) fn look_again(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    match env.driver() {
        Some(driver) => watch_page(agent, driver, watch, outcome)?,
        None => {
            // A world without a driver is as it is: nothing has to be waited for.
            let seen = timed(&mut outcome.times.capture, || env.observe())?;
            (outcome.after, outcome.page, outcome.tabs) = (seen.screenshot, seen.page, seen.tabs);
        }
    }
    let clock = Instant::now();
    let at = outcome.action.as_ref().and_then(Action::end).copied();
    let change = match (&outcome.before, &outcome.after) {
        (Some(before), Some(after)) => {
            let moving = outcome.settled.moving();
            outcome.change = pixel_change_beside(&before.pixels, &after.pixels, moving);
            outcome.change.filter(|change| !change.is_caret(after.device_pixel_ratio))
        }
        // Behind a dialog, which is the effect.
        _ => None,
    };
    outcome.effect = classify(change, &outcome.page_before, &outcome.page, outcome.settled, at);
    // A field that held the text already looks as before.
    if outcome.is_there {
        outcome.effect = Effect::Confirmed;
    }
    // No pixel of a page tells that a file comes.
    if n_downloads(env) > outcome.n_downloads {
        outcome.effect = Effect::Confirmed;
        outcome.detail.get_or_insert_with(|| BEGAN_A_DOWNLOAD.to_owned());
    }
    outcome.times.verify += clock.elapsed();
    Ok(())
}

/// How many files were downloaded in this episode, or are being downloaded.
pub(crate) fn n_downloads(env: &mut dyn Environment) -> usize {
    let folder = env.driver().and_then(|driver| driver.downloads());
    let found = folder.and_then(|folder| Downloads::in_folder(&folder).ok());
    found.map_or(0, |found| found.whole.len() + found.under_way.len())
}

/// Captures the page once it is quiet, or at the end of the settle cap.
fn watch_page(
    agent: &Agent<'_>,
    driver: &mut dyn Driver,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    // A tab hides the page behind it, which then gets no frames and never becomes quiet.
    follow_new_tab(driver, watch, outcome)?;
    loop {
        let cap = patience(agent, outcome).clamp(SLICE.min(agent.settle_cap), TABS_ASKED_FOR);
        outcome.after = settled_screenshot(driver, cap, outcome)?;
        let is_over = outcome.settled.is_over() || patience(agent, outcome).is_zero();
        if !follow_new_tab(driver, watch, outcome)? && is_over {
            break;
        }
    }
    outcome.page = timed(&mut outcome.times.capture, || driver.page_state())?;
    Ok(())
}

/// Waits a little for what is still on its way; `false` says that there is no time left.
pub(crate) fn wait_on(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<bool, StepError> {
    let Some(driver) = env.driver().filter(|_| patience(agent, outcome) >= SLICE) else { return Ok(false) };
    timed(&mut outcome.times.settle, || behind_dialog(driver.settle(SLICE)))?;
    follow_new_tab(driver, watch, outcome)?;
    Ok(true)
}

/// What is left of the settle cap, counted from the action.
fn patience(agent: &Agent<'_>, outcome: &StepOutcome) -> Duration {
    let since = outcome.acted_at.map_or(agent.settle_cap, |at| at.elapsed());
    agent.settle_cap.saturating_sub(since)
}

/// What is visible once it is quiet, or `None` behind a dialog.
fn settled_screenshot(
    driver: &mut dyn Driver,
    cap: Duration,
    outcome: &mut StepOutcome,
) -> Result<Option<Screenshot>, DriverError> {
    let clock = Instant::now();
    let seen = behind_dialog(driver.settled_screenshot(cap))?;
    // A page behind a dialog stands still.
    let quiet = Settled::Quiet { after: clock.elapsed() };
    let (settled, screenshot) = seen.map_or((quiet, None), |(settled, seen)| (settled, Some(seen)));
    let after = settled.after();
    outcome.settled = settled;
    outcome.times.settle += after;
    outcome.times.capture += clock.elapsed().saturating_sub(after);
    Ok(screenshot)
}

/// Makes a tab current that was not there before the action; what it shows is what the action did. Says whether
/// there was one.
fn follow_new_tab(
    driver: &mut dyn Driver,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<bool, StepError> {
    let tabs = timed(&mut outcome.times.capture, || tabs_of(driver))?;
    let is_new = |tab: &&TabId| !outcome.tabs.is_empty() && !outcome.tabs.contains(tab);
    // The driver lists the tabs in the order in which they were opened, after the current one.
    let opened = tabs.iter().rev().find(is_new).cloned();
    // A window that closes itself after its answer leaves the person at the one before it.
    let is_asked_for = matches!(outcome.action, Some(Action::CloseTab));
    if !is_asked_for && outcome.tabs.first().is_some_and(|current| !tabs.contains(current)) {
        outcome.detail = Some(CLOSED_ITSELF.to_owned());
    }
    outcome.tabs = tabs;
    let Some(tab) = opened else { return Ok(false) };
    match driver.act(&Action::SwitchTab { tab: tab.into() }) {
        // What it was opened for is a file, which the browser keeps, and the tab is closed.
        Err(DriverError::Gone { what: "tab", .. }) => {
            outcome.tabs = timed(&mut outcome.times.capture, || tabs_of(driver))?;
            outcome.detail = Some(CLOSED_ITSELF.to_owned());
            return Ok(false);
        }
        entered => entered?,
    }
    outcome.detail = Some(OPENED_A_TAB.to_owned());
    let n_tabs = outcome.tabs.len();
    timed(&mut outcome.times.record, || watch.tab_opened(n_tabs))?;
    Ok(true)
}
