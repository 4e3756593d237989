//! Waiting for what a task names by its place: that it appears, stands still, is enabled, and is scrolled to.
//!
//! Invariants: only a step with the patience of its task waits; it ends with the place, a reason that no time cures, or the
//! time; nothing is scrolled in a dry run, nor further than a person could.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_geometry::{Rect, Screen};
use vigorl_interface::{Act, Screenshot, wait_until};
use vigorl_tasks::Environment;
use vigorl_tasks::environment::behind_dialog;
use vigorl_tasks::scripted::{Absence, Cure, Place, Purpose, Target};

use crate::agent::{Agent, Checks, Hands};
use crate::error::StepError;
use crate::outcome::StepOutcome;
use crate::timed::timed;

/// How often it is looked whether something has come.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often it is scrolled: a page may grow as it is, and two targets may not fit on one view.
const MOST_SCROLLS: usize = 8;

/// What is wanted of the places of an act.
pub(crate) fn purpose_of(agent: &Agent<'_>, act: &Act<Target>) -> Purpose {
    match act {
        _ if agent.checks == Checks::Nobody || agent.eyes.may_err() => Purpose::Look,
        Act::Hover { .. } | Act::Scroll { .. } | Act::ScrollTo { .. } => Purpose::Point,
        _ => Purpose::Act,
    }
}

/// Whether an act is aimed by nothing but the places that the task names, so that it waits for them.
pub(crate) fn is_placed(agent: &Agent<'_>, act: &Act<Target>) -> bool {
    let is_placed =
        |target: &Target| target.place.as_ref().is_some_and(|place| !matches!(place, Place::Text(_)));
    agent.checks != Checks::Nobody
        && agent.hands == Hands::Act
        && !agent.eyes.may_err()
        && act.places().next().is_some()
        && act.places().all(is_placed)
}

/// Waits until all places of an act are there, and scrolls to them; then what is to be seen. Why they are not otherwise.
pub(crate) fn arrive(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    act: &Act<Target>,
    screenshot: &Screenshot,
    end: Option<Instant>,
    outcome: &mut StepOutcome,
) -> Result<Result<Screenshot, String>, StepError> {
    let end = end.into_iter().chain(agent.leash.until()).min();
    let purpose = purpose_of(agent, act);
    let mut shown = screenshot.clone();
    let mut latest = String::new();
    let mut n_scrolls = 0;
    let arrived = wait_until(end, || -> Result<_, StepError> {
        if agent.cancel.is_set() || agent.leash.out_of_time().is_some() {
            return Ok(ControlFlow::Break(false));
        }
        if act.places().filter_map(|target| target.place.as_ref()).any(Place::is_pictured) {
            match timed(&mut outcome.times.capture, || env.observe())?.screenshot {
                Some(seen) => shown = seen,
                None => return Ok(ControlFlow::Break(false)),
            }
        }
        let Some((place, absence)) = missing(agent, env, act, &shown, purpose)? else {
            return Ok(ControlFlow::Break(true));
        };
        latest = absence.reason;
        match absence.cure {
            Cure::Nothing => return Ok(ControlFlow::Break(false)),
            Cure::Wait => return Ok(ControlFlow::Continue(LOOK_AGAIN)),
            Cure::Scroll | Cure::Uncover => {}
        }
        let may_scroll = n_scrolls < if absence.cure == Cure::Scroll { MOST_SCROLLS } else { 1 };
        n_scrolls += 1;
        let Some(driver) = env.driver().filter(|_| may_scroll) else {
            return Ok(ControlFlow::Continue(LOOK_AGAIN));
        };
        let has_moved = place.bring_into_view(driver)?;
        if has_moved {
            timed(&mut outcome.times.settle, || behind_dialog(driver.settle(agent.settle_cap)))?;
        }
        Ok(ControlFlow::Continue(if has_moved { Duration::ZERO } else { LOOK_AGAIN }))
    })?;
    if arrived != Some(true) {
        return Ok(Err(latest));
    }
    let seen = timed(&mut outcome.times.capture, || env.observe())?;
    Ok(seen.screenshot.ok_or_else(|| "a dialog covers the page".to_owned()))
}

/// Scrolls what is to be scrolled to into the middle of what is on view; what is to be seen then, if anything moved.
pub(crate) fn scroll_to_middle(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    act: &Act<Target>,
    outcome: &mut StepOutcome,
) -> Result<Option<Screenshot>, StepError> {
    let Act::ScrollTo { at: Target { place: Some(place), .. } } = act else { return Ok(None) };
    let Some(driver) = env.driver().filter(|_| is_placed(agent, act)) else { return Ok(None) };
    if !place.bring_into_view(driver)? {
        return Ok(None);
    }
    timed(&mut outcome.times.settle, || behind_dialog(driver.settle(agent.settle_cap)))?;
    Ok(timed(&mut outcome.times.capture, || env.observe())?.screenshot)
}

/// The first place that is not there.
fn missing<'a>(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    act: &'a Act<Target>,
    shown: &Screenshot,
    purpose: Purpose,
) -> Result<Option<(&'a Place, Absence)>, StepError> {
    for place in act.places().filter_map(|target| target.place.as_ref()) {
        let found: Result<Rect<Screen>, Absence> = place.aim(env.driver(), agent.senses, shown, purpose)?;
        if let Err(absence) = found {
            return Ok(Some((place, absence)));
        }
    }
    Ok(None)
}
