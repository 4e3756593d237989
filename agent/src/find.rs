//! From a target to a point: the eyes are asked, and may be contradicted.
//!
//! Invariants: nothing is done at a point that nobody is sure of, unless a person consents, nor at one that the page or a
//! reading contradicts, nor, before a closer look, where the same was done in vain already; what is known of a place is
//! recorded beside the answer and never shown to a policy; a target by its text is where that text is read, whoever the
//! eyes are.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_geometry::{Point, Screen};
use vigorl_interface::{Act, Action, Effect, Screenshot, same_but_for_a_caret};
use vigorl_policy::{GroundObserver, Grounding, Turn};
use vigorl_tasks::Environment;
use vigorl_tasks::scripted::{ElementAt, Place, Target};

use crate::agent::{Agent, Checks};
use crate::arrive::purpose_of;
use crate::cancel::Cancel;
use crate::error::{StepError, WatchError};
use crate::eyes::{Ask, Eyes as _, Finding, PlaceEyes};
use crate::outcome::StepOutcome;
use crate::timed::timed;
use crate::watch::Watch;

/// Closer looks at a place where it was done in vain, until it is done there again.
const CLOSER_LOOKS: u64 = 3;

/// An act at a point that did nothing, as far as can be seen.
#[derive(Debug, Clone)]
pub(crate) struct InVain {
    act: Act<Target>,
    screenshot: Screenshot,
    at: Point<Screen>,
}

impl InVain {
    /// Points no farther apart, along an axis, are the same place.
    const SAME_PX: f64 = 3.0;
    /// More are not likely to be met again, and each holds a screenshot.
    const MOST: usize = 8;

    /// Whether the same was to be done on a screen that looked the same.
    fn was(&self, act: &Act<Target>, screenshot: &Screenshot) -> bool {
        let ratio = screenshot.device_pixel_ratio;
        self.act == *act && same_but_for_a_caret(&self.screenshot.pixels, &screenshot.pixels, ratio)
    }

    fn was_at(&self, at: Point<Screen>) -> bool {
        (self.at.x - at.x).abs().max((self.at.y - at.y).abs()) <= Self::SAME_PX
    }

    /// Keeps what did nothing, the latest few. Of a drag it is not known which end was wrong.
    pub(crate) fn remember(all: &mut Vec<Self>, act: &Act<Target>, outcome: &StepOutcome) {
        if outcome.effect != Effect::SuspectedNoop || act.to().is_some() {
            return;
        }
        let Some((before, at)) = outcome.before.as_ref().zip(outcome.answer()) else { return };
        if all.len() == Self::MOST {
            all.remove(0);
        }
        all.push(Self { act: act.clone(), screenshot: before.clone(), at });
    }
}

/// One question of a step: what is looked for, on what, and who follows.
struct Search<'s> {
    target: &'s Target,
    screenshot: &'s Screenshot,
    place: Option<Result<vigorl_geometry::Rect<Screen>, String>>,
    /// Whether it is to be clicked.
    is_clicked: bool,
}

impl Search<'_> {
    /// Whether the task says by its text what is meant: then nobody else is asked, and nobody contradicts.
    fn is_decided(&self) -> bool {
        matches!(self.target.place, Some(Place::Text(_)))
    }
}

/// Aims an act: each of its targets is found in turn. Why there is no point otherwise.
pub(crate) fn aim(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    act: &Act<Target>,
    screenshot: &Screenshot,
    in_vain: &[InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Action, String>, StepError> {
    let mut in_vain: Vec<&InVain> = in_vain.iter().filter(|tried| tried.was(act, screenshot)).collect();
    let mut points = Vec::new();
    for target in act.places() {
        match find(agent, env, (target, act), screenshot, &in_vain, watch, outcome)? {
            Ok(at) => points.push(target.beside(at)),
            Err(reason) => return Ok(Err(reason)),
        }
        // What is known of earlier tries is known of the first target.
        in_vain.clear();
    }
    let mut points = points.into_iter();
    Ok(act.try_map(|_| points.next().ok_or_else(|| "a target was not looked for".to_owned())))
}

/// The point for one target of an act, or why there is none.
fn find(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    (target, act): (&Target, &Act<Target>),
    screenshot: &Screenshot,
    in_vain: &[&InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Point<Screen>, String>, StepError> {
    let place = match &target.place {
        Some(place) => {
            let purpose = purpose_of(agent, act);
            let found = place.aim(env.driver(), agent.senses, screenshot, purpose)?;
            Some(found.map_err(|absence| absence.reason))
        }
        None => None,
    };
    if let (true, Some(Ok(place))) = (outcome.sightings.is_empty(), &place) {
        outcome.place = Some(*place);
    }
    let is_clicked = matches!(act, Act::Click { .. } | Act::HeldClick { .. });
    let search = Search { target, screenshot, place, is_clicked };
    let mut found = ask(agent, &search, 0, None, watch, outcome)?;
    if search.is_decided() || agent.checks == Checks::Nobody || !agent.eyes.may_err() {
        return Ok(sure_or_asked(agent, found, outcome));
    }
    if let (Finding::Unsure(..), true) = (&found, agent.eyes.may_differ()) {
        let answered = outcome.sightings.pop().map(|sighting| sighting.grounding);
        found = ask(agent, &search, 1, answered, watch, outcome)?;
    }
    for nth in 1..=CLOSER_LOOKS {
        let Finding::Found(at) = found else { break };
        if !agent.eyes.may_differ() || !in_vain.iter().any(|tried| tried.was_at(at)) {
            break;
        }
        let answered = outcome.sightings.pop().map(|sighting| sighting.grounding);
        // Each try draws others than the one before it.
        let nth = nth + CLOSER_LOOKS * in_vain.len() as u64;
        found = ask(agent, &search, nth, answered, watch, outcome)?;
    }
    uncontradicted(agent, env, &search, found, watch, outcome)
}

/// The point, unless the page contradicts it; then the eyes are asked once more.
fn uncontradicted(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    search: &Search<'_>,
    found: Finding,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Point<Screen>, String>, StepError> {
    let Finding::Found(at) = found else { return Ok(sure_or_asked(agent, found, outcome)) };
    // A page's words say what things are called, and reward said what they are for.
    if outcome.sightings.last().is_some_and(|sighting| sighting.is_learned) {
        return Ok(Ok(at));
    }
    match veto(agent, env, search, at, outcome)? {
        None => return Ok(Ok(at)),
        Some(reason) if !agent.eyes.may_differ() => return Ok(Err(reason)),
        Some(_) => {}
    }
    let found = ask(agent, search, 1, None, watch, outcome)?;
    if let (Some(mut again), Some(once)) = (outcome.sightings.pop(), outcome.sightings.pop()) {
        let said = std::mem::take(&mut again.grounding.turns);
        again.grounding.turns = once.grounding.turns.into_iter().chain(said).collect();
        outcome.sightings.push(again);
        timed(&mut outcome.times.record, || watch.found(&outcome.sightings))?;
    }
    let Finding::Found(at) = found else { return Ok(sure_or_asked(agent, found, outcome)) };
    Ok(veto(agent, env, search, at, outcome)?.map_or(Ok(at), Err))
}

/// The point; of one that is not sure only where somebody can be asked before anything is done there.
fn sure_or_asked(
    agent: &Agent<'_>,
    found: Finding,
    outcome: &mut StepOutcome,
) -> Result<Point<Screen>, String> {
    match found {
        Finding::Unsure(at, reason) if agent.leash.asks() => {
            outcome.doubt = Some(reason);
            Ok(at)
        }
        other => other.point(),
    }
}

/// Whether what is at the point contradicts the instruction: by the page, and then by what is written there.
fn veto(
    agent: &mut Agent<'_>,
    env: &mut dyn Environment,
    search: &Search<'_>,
    at: Point<Screen>,
    outcome: &mut StepOutcome,
) -> Result<Option<String>, StepError> {
    let mut reason = veto_of_page(env, search, at, outcome)?;
    if reason.is_none() {
        let clock = Instant::now();
        let words = &search.target.description;
        reason = agent.senses.contradicts(search.screenshot, words, at)?;
        outcome.times.verify += clock.elapsed();
    }
    outcome.is_vetoed = reason.is_some();
    Ok(reason.map(|reason| format!("vetoed: {reason}")))
}

/// Asks the page what is at the point, and whether that contradicts the instruction.
fn veto_of_page(
    env: &mut dyn Environment,
    search: &Search<'_>,
    at: Point<Screen>,
    outcome: &mut StepOutcome,
) -> Result<Option<String>, StepError> {
    let Some(driver) = env.driver() else { return Ok(None) };
    let clock = Instant::now();
    let element =
        ElementAt::look(driver, search.screenshot, at, &search.target.description, search.is_clicked)?;
    outcome.times.verify += clock.elapsed();
    let called = |role: &str, name: &str| match (role, name) {
        ("" | "generic", "") => "nothing".to_owned(),
        ("" | "generic", name) => format!("`{name}`"),
        (role, "") => format!("a {role} without a name"),
        (role, name) => format!("the {role} `{name}`"),
    };
    let reason = element.as_ref().and_then(|element| {
        let here = called(&element.role, &element.name);
        if let Some(meant) = &element.meant {
            let meant = called(&meant.role, &meant.name);
            return Some(format!("the point is on {here}, but the instruction names {meant}"));
        }
        element.idle.as_ref().map(|idle| format!("the point is on {here}, which {idle}"))
    });
    outcome.element = element;
    Ok(reason)
}

/// Asks the eyes for one target; with what they answered in vain, closer there.
fn ask(
    agent: &mut Agent<'_>,
    search: &Search<'_>,
    nth: u64,
    in_vain: Option<Grounding>,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Finding, StepError> {
    let Search { target, screenshot, place, .. } = search;
    let question = Ask { screenshot, target, place: place.as_ref(), nth, in_vain, read: &[] };
    let (cancel, until) = (agent.cancel, agent.leash.until());
    let mut follow = Follow { cancel, until, watch, failure: None, recording: Duration::ZERO };
    let sighting = match search.is_decided() {
        true => PlaceEyes.find(&question, &mut follow)?,
        false => agent.eyes.find(&question, &mut follow)?.held_to(agent.min_confidence),
    };
    outcome.is_vetoed = false;
    outcome.times.record += follow.recording;
    if let Some(failure) = follow.failure {
        return Err(failure.into());
    }
    let finding = sighting.finding.clone();
    outcome.sightings.push(sighting);
    timed(&mut outcome.times.record, || watch.found(&outcome.sightings))?;
    Ok(finding)
}

/// Passes turns on to the watcher, and breaks off when asked to or when the watcher fails.
struct Follow<'a> {
    cancel: &'a Cancel,
    until: Option<Instant>,
    watch: &'a mut dyn Watch,
    failure: Option<WatchError>,
    recording: Duration,
}

impl Follow<'_> {
    fn flow(&self) -> ControlFlow<()> {
        let is_late = self.until.is_some_and(|end| Instant::now() >= end);
        if self.cancel.is_set() || is_late || self.failure.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl GroundObserver for Follow<'_> {
    fn turn_started(&mut self, _turn_idx: usize, _forced: bool) -> ControlFlow<()> {
        self.flow()
    }

    fn text(&mut self, piece: &str) -> ControlFlow<()> {
        self.watch.text(piece);
        self.flow()
    }

    fn turn_ended(&mut self, turn: &Turn) {
        let watch = &mut *self.watch;
        if let Err(failure) = timed(&mut self.recording, || watch.turn(turn)) {
            self.failure = Some(failure);
        }
    }

    fn turn_amended(&mut self, turn: &Turn) {
        let watch = &mut *self.watch;
        if let Err(failure) = timed(&mut self.recording, || watch.turn_amended(turn)) {
            self.failure = Some(failure);
        }
    }
}
