//! One step of the loop: observe, find with zooms, act, settle, observe again, verify.
//!
//! Invariants: an action happens only at a point that eyes answered; eyes that name none, and a world that
//! refuses, give a refused step, a world that fails gives an error; the effect is read off the second
//! observation.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_geometry::Point;
use vigorl_interface::{Act, Action, Key, Screenshot, same_but_for_a_caret, wait_until};
use vigorl_tasks::environment::behind_dialog;
use vigorl_tasks::scripted::{Guard, Target};
use vigorl_tasks::{Environment, Observation, Performed};

use crate::agent::{Agent, Checks, Hands};
use crate::arrive::{arrive, is_placed, scroll_to_middle};
use crate::check::{ask, check, read};
use crate::error::StepError;
use crate::eyes::Finding;
use crate::find::{InVain, aim};
use crate::look::{look_again, n_downloads};
use crate::outcome::StepOutcome;
use crate::plan::{Decision, Planned};
use crate::timed::timed;
use crate::watch::Watch;

/// How long a target that is not there may take to come: a program that is busy shows its menu late.
const LATE: Duration = Duration::from_secs(2);
/// How often it is looked whether something has changed meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often a page is scrolled for one target.
const MOST_SCROLLS: usize = 40;
/// How often it is scrolled although nothing changes.
const MOST_EMPTY: usize = 5;
/// How often a press is kept from a page that moved another thing under the pointer, until the step is refused.
const MOST_MISSED: usize = 5;
/// Share of what is on view by which it is scrolled: a line that was cut off is then whole.
const SCROLLED: f64 = 0.8;

/// Takes one step from what is to be seen, which took `observing` to look at. A policy that answers a place where the
/// same was done in vain already looks there closer before it is repeated.
pub(crate) fn run_step(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    planned: &Planned,
    (seen, observing): (Observation, Duration),
    in_vain: &[InVain],
    watch: &mut dyn Watch,
) -> Result<StepOutcome, StepError> {
    let Planned { decision, patience, .. } = planned;
    let mut outcome = StepOutcome::nothing_done(decision.to_string(), seen, observing);
    let Some(screenshot) = outcome.before.clone() else {
        answer_dialog(agent, env, decision, watch, &mut outcome)?;
        return Ok(outcome);
    };
    agent.senses.saw(&screenshot);
    timed(&mut outcome.times.record, || watch.observed(&screenshot))?;
    match decision {
        Decision::Act(wanted) => {
            let wanted = (wanted, *patience);
            find_and_act(agent, env, wanted, &screenshot, in_vain, watch, &mut outcome)?;
        }
        Decision::Check(clause, within) => check(agent, env, clause, *within, &mut outcome)?,
        Decision::Ask(clause, within) => ask(agent, env, clause, *within, &mut outcome)?,
        Decision::Read(wanted) => read(agent, env, wanted, &mut outcome)?,
        Decision::Stop(_) => outcome.refuse("there is nothing to do".to_owned()),
    }
    Ok(outcome)
}

/// Finds what is meant and acts there.
fn find_and_act(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    wanted: (&Act<Target>, Duration),
    screenshot: &Screenshot,
    in_vain: &[InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    if let Some(held) = agent.leash.limit_reached() {
        outcome.hold_back(held);
        return Ok(());
    }
    let mut screenshot = screenshot.clone();
    for n_missed in 1..=MOST_MISSED {
        let clock = Instant::now();
        let recorded = outcome.times.record;
        let aimed = aim_where_it_is(agent, env, wanted, &screenshot, in_vain, watch, outcome)?;
        outcome.times.grounding += clock.elapsed().saturating_sub(outcome.times.record - recorded);
        // It also breaks off the policy.
        if let Some(held) = agent.leash.out_of_time() {
            outcome.hold_back(held);
            return Ok(());
        }
        if agent.cancel.is_set() || outcome.sightings.iter().any(|sighting| sighting.grounding.cancelled) {
            outcome.interrupt();
            return Ok(());
        }
        let action = match aimed {
            Ok(action) => action,
            Err(reason) => {
                outcome.refuse(reason);
                return Ok(());
            }
        };
        let Some(missed) = act(agent, env, Aimed { action, wanted }, watch, outcome)? else { return Ok(()) };
        let seen = timed(&mut outcome.times.capture, || env.observe())?.screenshot;
        match seen.filter(|_| n_missed < MOST_MISSED) {
            Some(seen) => screenshot = seen,
            None => {
                outcome.refuse(missed);
                return Ok(());
            }
        }
        show(agent, &screenshot, watch, outcome)?;
    }
    Ok(())
}

/// Aims at what is on view, or comes into view: with time, what is named by its place; as the page is scrolled down, where
/// the task asks for that.
fn aim_where_it_is(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    (wanted, patience): (&Act<Target>, Duration),
    screenshot: &Screenshot,
    in_vain: &[InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Action, String>, StepError> {
    let mut shown = screenshot.clone();
    if let Some(next) = scroll_to_middle(agent, env, wanted, outcome)? {
        shown = next;
        show(agent, &shown, watch, outcome)?;
    }
    let mut aimed = aim(agent, env, wanted, &shown, in_vain, watch, outcome)?;
    let last = Instant::now().checked_add(patience);
    while aimed.is_err() && is_placed(agent, wanted) {
        shown = match arrive(agent, env, wanted, &shown, last, outcome)? {
            Ok(next) => next,
            Err(reason) if reason.is_empty() => return Ok(aimed),
            Err(reason) => return Ok(Err(reason)),
        };
        show(agent, &shown, watch, outcome)?;
        aimed = aim(agent, env, wanted, &shown, in_vain, watch, outcome)?;
        if last.is_some_and(|last| last <= Instant::now()) {
            return Ok(aimed);
        }
    }
    let end = Instant::now() + LATE;
    while aimed.is_err() && is_missing(outcome) && agent.checks != Checks::Nobody {
        let Some(next) = changed(agent, env, &shown, end, outcome)? else { break };
        shown = next;
        show(agent, &shown, watch, outcome)?;
        aimed = aim(agent, env, wanted, &shown, in_vain, watch, outcome)?;
    }
    let scrolls = wanted.places().into_iter().any(|target| target.scroll) && agent.hands == Hands::Act;
    for n_seen in 1..=MOST_SCROLLS {
        if aimed.is_ok() || !scrolls || !is_missing(outcome) {
            break;
        }
        let Some(next) = scroll_down(agent, env, &shown, outcome)? else {
            let end = "from where the page was down to its end";
            return Ok(aimed.map_err(|reason| format!("{reason}; {n_seen} screens were seen, {end}")));
        };
        shown = next;
        show(agent, &shown, watch, outcome)?;
        aimed = aim(agent, env, wanted, &shown, in_vain, watch, outcome)?;
    }
    Ok(aimed)
}

/// Scrolls down by most of what is on view until something else is on view; nothing if that does not come, or may not be
/// done. A page that stands still may only be empty there.
fn scroll_down(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    shown: &Screenshot,
    outcome: &mut StepOutcome,
) -> Result<Option<Screenshot>, StepError> {
    let size = shown.size();
    let at = Point::new((size.width / 2.0).floor(), (size.height / 2.0).floor());
    let scroll = Action::Scroll { at, dx_px: 0.0, dy_px: (SCROLLED * size.height).round() };
    for _ in 0..MOST_EMPTY {
        if !may_act(agent, &scroll, outcome) || env.perform(&scroll)? != Performed::Done {
            return Ok(None);
        }
        agent.leash.count();
        if let Some(driver) = env.driver() {
            timed(&mut outcome.times.settle, || behind_dialog(driver.settle(agent.settle_cap)))?;
        }
        let seen = timed(&mut outcome.times.capture, || env.observe())?;
        if let Some(next) = seen.screenshot.filter(|next| next.pixels != shown.pixels) {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Whether what was looked for last is not there, as far as can be seen.
fn is_missing(outcome: &StepOutcome) -> bool {
    let last = outcome.sightings.last().map(|sighting| &sighting.finding);
    // Of what is not there a policy may say anything.
    matches!(last, Some(Finding::Absent(_) | Finding::Unsure(..) | Finding::Malformed(_)))
}

/// What is seen instead of what was shown, if something else than a caret changes before the end.
fn changed(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    shown: &Screenshot,
    end: Instant,
    outcome: &mut StepOutcome,
) -> Result<Option<Screenshot>, StepError> {
    if env.driver().is_none() {
        return Ok(None);
    }
    let ratio = shown.device_pixel_ratio;
    let look = || {
        if agent.cancel.is_set() || agent.leash.out_of_time().is_some() {
            return Ok(ControlFlow::Break(None));
        }
        let seen = timed(&mut outcome.times.capture, || env.observe())?.screenshot;
        let is_other = |next: &Screenshot| !same_but_for_a_caret(&shown.pixels, &next.pixels, ratio);
        Ok(match seen {
            Some(next) if is_other(&next) => ControlFlow::Break(Some(next)),
            Some(_) => ControlFlow::Continue(LOOK_AGAIN),
            None => ControlFlow::Break(None),
        })
    };
    wait_until(Some(end), look).map(Option::flatten)
}

/// Goes on with another screenshot: what was not found on the one before is not what is found here.
fn show(
    agent: &mut Agent<'_>,
    shown: &Screenshot,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    agent.senses.saw(shown);
    timed(&mut outcome.times.record, || watch.observed(shown))?;
    outcome.before = Some(shown.clone());
    outcome.sightings.clear();
    Ok(())
}

/// Whether the action may be done, asked right before it; if not, the outcome says why.
fn may_act(agent: &mut Agent<'_>, action: &Action, outcome: &mut StepOutcome) -> bool {
    let held = agent.leash.holds(&outcome.instruction, action, &outcome.page, outcome.doubt.as_deref());
    if agent.cancel.is_set() {
        outcome.interrupt();
        return false;
    }
    if let Some(held) = held {
        outcome.hold_back(held);
    }
    held.is_none()
}

/// Says of an action that it is about to be executed, and keeps what tells its effect. False if it may not be.
fn begins(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    action: &Action,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<bool, StepError> {
    if !may_act(agent, action, outcome) {
        return Ok(false);
    }
    timed(&mut outcome.times.record, || watch.acting(action))?;
    tell_typed(agent, action);
    outcome.n_downloads = n_downloads(env);
    Ok(true)
}

/// An action, and the act of the task that it is.
struct Aimed<'a> {
    action: Action,
    /// With how long it waits for what it is about.
    wanted: (&'a Act<Target>, Duration),
}

/// Executes the action and reads its effect off a second observation. Why nothing was done, where its press would have arrived
/// at something else than the element that the task names: the page has moved, and it can be aimed again.
fn act(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    Aimed { action, wanted: (wanted, patience) }: Aimed<'_>,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Option<String>, StepError> {
    if agent.hands == Hands::Rest {
        outcome.rest(action);
        return Ok(None);
    }
    if !begins(agent, env, &action, watch, outcome)? {
        return Ok(None);
    }
    let guard = match guard(agent, env, wanted, outcome)? {
        Ok(guard) => guard,
        Err(reason) => return Ok(Some(reason)),
    };
    let performed = perform(agent, env, (&action, patience), outcome)?;
    if let Some((guard, driver)) = guard.zip(env.driver())
        && let Some(instead) = timed(&mut outcome.times.verify, || guard.end(driver))?
    {
        return Ok(Some(format!("the page moves {instead} under the pointer, which got no click")));
    }
    if let Performed::Refused(reason) = performed {
        outcome.refuse(reason);
        return Ok(None);
    }
    agent.leash.count();
    let note = env.driver().map(|driver| driver.note()).unwrap_or_default();
    (outcome.detail, outcome.is_there) = (note.detail, note.is_there || is_done_at_once(&action));
    (outcome.action, outcome.acted_at) = (Some(action), Some(Instant::now()));
    look_again(agent, env, watch, outcome)?;
    Ok(None)
}

/// Guards the press of an act, if it goes to an element that the task names, and not beside it; why that cannot be.
fn guard(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    wanted: &Act<Target>,
    outcome: &mut StepOutcome,
) -> Result<Result<Option<Guard>, String>, StepError> {
    let hold_ms = match wanted {
        Act::HeldClick { hold_ms, .. } => *hold_ms,
        Act::Click { .. } | Act::Drag { .. } | Act::Fill { .. } => 0,
        _ => return Ok(Ok(None)),
    };
    let Some(Target { place: Some(place), offset: None, .. }) = wanted.places().next() else {
        return Ok(Ok(None));
    };
    let Some(driver) = env.driver().filter(|_| is_placed(agent, wanted)) else { return Ok(Ok(None)) };
    Ok(timed(&mut outcome.times.verify, || place.guard(driver, hold_ms))?)
}

/// Executes it. A tab or a dialog that it is about may come late, as what a task names by its place may.
fn perform(
    agent: &Agent<'_>,
    env: &mut dyn Environment,
    (action, patience): (&Action, Duration),
    outcome: &mut StepOutcome,
) -> Result<Performed, StepError> {
    let is_awaited = matches!(action, Act::SwitchTab { .. } | Act::AnswerDialog { .. });
    let end = Instant::now().checked_add(if is_awaited { patience } else { Duration::ZERO });
    let end = end.into_iter().chain(agent.leash.until()).min();
    let mut performed = None;
    wait_until(end, || -> Result<_, StepError> {
        let latest = timed(&mut outcome.times.act, || env.perform(action))?;
        let may_come = is_awaited && latest != Performed::Done && !agent.cancel.is_set();
        performed = Some(latest);
        Ok(if may_come { ControlFlow::Continue(LOOK_AGAIN) } else { ControlFlow::Break(()) })
    })?;
    Ok(performed.unwrap_or_else(|| Performed::Refused("there was no time left".to_owned())))
}

/// Whether an act that was executed has come to what it is for: what was scrolled to was found on the screenshot, a dialog
/// that was answered was there, and so was the tab that is current now.
fn is_done_at_once(action: &Action) -> bool {
    matches!(action, Act::ScrollTo { .. } | Act::AnswerDialog { .. } | Act::SwitchTab { .. })
}

/// Tells the senses what the run types itself: it proves nothing where it is read. That is told before it is done,
/// because of what is refused half way some may show.
fn tell_typed(agent: &mut Agent<'_>, action: &Action) {
    match action {
        Act::Type { text } | Act::Fill { text, .. } | Act::AnswerDialog { text: Some(text), .. } => {
            agent.senses.typed(text);
        }
        Act::Press { chord } => {
            if let [Key::Char(key)] | [Key::Shift, Key::Char(key)] = chord[..] {
                agent.senses.typed(&key.to_string());
            }
        }
        _ => {}
    }
}

/// A dialog covers the page: text for its field, an answer to it, Enter (which accepts it) and Escape (which dismisses it)
/// are all that can be done.
fn answer_dialog(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    decision: &Decision,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    let dialog = outcome.page.dialog.clone().unwrap_or_default();
    if let Decision::Act(wanted @ Act::Type { text }) = decision {
        // Into its field, if it has one. It is answered later.
        let action = Action::Type { text: text.clone() };
        return act(agent, env, Aimed { action, wanted: (wanted, Duration::ZERO) }, watch, outcome).map(drop);
    }
    let Some((said, answer)) = answer_of(decision) else {
        let cure = "pressing Enter accepts it, Escape dismisses it";
        outcome.refuse(format!("a dialog covers the page ({cure}): {dialog}"));
        return Ok(());
    };
    if agent.hands == Hands::Rest {
        outcome.rest(said);
        return Ok(());
    }
    if !begins(agent, env, &said, watch, outcome)? {
        return Ok(());
    }
    if let Performed::Refused(reason) = timed(&mut outcome.times.act, || env.perform(&answer))? {
        outcome.refuse(reason);
        return Ok(());
    }
    agent.leash.count();
    let is_accepted = matches!(answer, Action::AnswerDialog { accept: true, .. });
    let done = if is_accepted { "accepted" } else { "dismissed" };
    outcome.detail = Some(format!("{done} the dialog: {dialog}"));
    (outcome.action, outcome.acted_at) = (Some(said), Some(Instant::now()));
    look_again(agent, env, watch, outcome)
}

/// What a decision says to a dialog: as it was said, and what it means.
fn answer_of(decision: &Decision) -> Option<(Action, Action)> {
    let Decision::Act(act) = decision else { return None };
    let accept = match act {
        Act::AnswerDialog { accept, text } => {
            let answer = Action::AnswerDialog { accept: *accept, text: text.clone() };
            return Some((answer.clone(), answer));
        }
        Act::Press { chord } if *chord == [Key::Enter] => true,
        Act::Press { chord } if *chord == [Key::Escape] => false,
        _ => return None,
    };
    let key = if accept { Key::Enter } else { Key::Escape };
    Some((Action::Press { chord: vec![key] }, Action::AnswerDialog { accept, text: None }))
}
