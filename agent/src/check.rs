//! Steps that do nothing to the screen: something must hold, or is read.
//!
//! Invariant: what cannot be told is not satisfied, and says why; what comes too late is not looked at any more.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_interface::{Effect, wait_until};
use vigorl_tasks::scripted::{Check, Clause, ReadStep};
use vigorl_tasks::{Allowance, Environment, Verification};

use crate::agent::{Agent, Hands};
use crate::error::StepError;
use crate::outcome::StepOutcome;

/// Pause between two checks.
const TICK: Duration = Duration::from_millis(50);

/// Checks a clause until it holds or the time is over, and looks once more. A dry run checks once, and goes on behind what it
/// cannot tell: it executes nothing that the task brings along to find out.
pub(crate) fn check(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    clause: &Clause,
    within: Duration,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    if is_late(agent, outcome) {
        return Ok(());
    }
    let check = looked(agent, env, clause, within, outcome)?;
    outcome.detail = clause.failure(&check);
    outcome.effect = match check.holds {
        Verification::Satisfied => Effect::Confirmed,
        Verification::Unknown if agent.hands == Hands::Rest => Effect::Unverifiable,
        Verification::Unsatisfied | Verification::Unknown => Effect::Refused,
    };
    outcome.held = agent.leash.out_of_time().filter(|_| check.holds != Verification::Satisfied);
    if let Some((held, detail)) = outcome.held.zip(outcome.detail.as_mut()) {
        outcome.effect = Effect::Refused;
        *detail = format!("{held}, and {detail}");
    }
    Ok(())
}

/// Looks whether a clause holds, as above. That it does not is an answer, too: nothing is refused then.
pub(crate) fn ask(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    clause: &Clause,
    within: Duration,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    check(agent, env, clause, within, outcome)?;
    if outcome.held.is_some() || outcome.cancelled {
        return Ok(());
    }
    if outcome.checked == Some(Verification::Unsatisfied) {
        outcome.effect = Effect::Confirmed;
        outcome.is_answered = true;
    }
    // In a dry run, what nobody can tell does not hold.
    outcome.is_answered |= outcome.effect == Effect::Unverifiable;
    Ok(())
}

/// Looks, and looks again until it holds or the time is over.
fn looked(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    clause: &Clause,
    within: Duration,
    outcome: &mut StepOutcome,
) -> Result<Check, StepError> {
    let clock = Instant::now();
    let within = if agent.hands == Hands::Rest { Duration::ZERO } else { within };
    let check = wait_for(agent, env, clause, within.min(agent.leash.time_left()))?;
    outcome.times.verify += clock.elapsed();
    let clock = Instant::now();
    let seen = env.observe()?;
    (outcome.after, outcome.page) = (seen.screenshot, seen.page);
    outcome.times.capture += clock.elapsed();
    outcome.checked = Some(check.holds);
    outcome.cancelled = agent.cancel.is_set();
    Ok(check)
}

/// Whether the time of the step is over before it has begun.
fn is_late(agent: &Agent<'_>, outcome: &mut StepOutcome) -> bool {
    let held = agent.leash.out_of_time().filter(|held| held.is_of_the_step());
    if let Some(held) = held {
        outcome.checked = Some(Verification::Unknown);
        outcome.hold_back(held);
    }
    held.is_some()
}

fn wait_for(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    clause: &Clause,
    within: Duration,
) -> Result<Check, StepError> {
    let (clock, cancel) = (Instant::now(), agent.cancel);
    // What is looked at once may take its time, as far as the leash reaches; what is awaited ends with the wait.
    let until = match within.is_zero() {
        true => agent.leash.until(),
        false => clock.checked_add(within),
    };
    let allowance = Allowance { until, is_cancelled: &|| cancel.is_set() };
    let mut latest: Option<Check> = None;
    wait_until(clock.checked_add(within), || -> Result<_, StepError> {
        let found = env.check(clause, agent.senses, &allowance)?;
        // What the end of the wait broke off says less than the answer before it, and another look says no more.
        let is_broken_off = found.holds == Verification::Unknown && allowance.is_used_up();
        let is_done = found.holds == Verification::Satisfied || is_broken_off || cancel.is_set();
        if !is_broken_off || latest.is_none() {
            latest = Some(found);
        }
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(TICK) })
    })?;
    Ok(latest.unwrap_or(Check { holds: Verification::Unknown, why: None }))
}

/// Reads something. The screen stays as it is.
pub(crate) fn read(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    read: &ReadStep,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    if is_late(agent, outcome) {
        return Ok(());
    }
    let clock = Instant::now();
    let said = env.read(read, agent.senses)?;
    outcome.times.verify += clock.elapsed();
    outcome.after = outcome.before.clone();
    match said {
        Ok(text) => {
            (outcome.checked, outcome.effect) = (Some(Verification::Satisfied), Effect::Confirmed);
            outcome.detail = Some(format!("read {text:?}"));
            outcome.read = Some((read.into.clone(), text));
        }
        Err(reason) => {
            outcome.checked = Some(Verification::Unknown);
            outcome.refuse(format!("cannot {read}: {reason}"));
        }
    }
    Ok(())
}
