//! One step of the loop: observe, ground with zooms, act, settle, observe again, verify.
//!
//! Invariants: an action happens only at a point the policy answered; a policy that names none, and a driver
//! that refuses, give a refused step, a world that fails gives an error; the effect is read off the second
//! observation.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{
    Action, Driver, DriverError, Effect, Key, MouseButton, PageState, PixelChange, Screenshot, Settled,
    TabId, same_but_for_a_caret,
};
use vigorl_policy::{
    GroundObserver, Grounding, Malformed, Policy, PolicyError, Preset, Sampling, Turn, ground, ground_closer,
};
use vigorl_tasks::Verification;
use vigorl_tasks::scripted::{Allowance, Check, Clause, ElementAt, Surroundings, Target};

use crate::cancel::Cancel;
use crate::episode::describe;
use crate::judges::failure_of;
use crate::leash::{Held, Leash};
use crate::look::{behind_dialog, capture, look_again, tabs_of};
use vigorl_runs::RunDirError;

/// The eyes and the hands of an agent.
pub struct Agent<'a> {
    /// The camera and the hands.
    pub driver: &'a mut dyn Driver,
    /// Who says where.
    pub eyes: Eyes<'a>,
    /// Longest wait, after an action, for a quiet page and for what the task expects of it.
    pub settle_cap: Duration,
    /// Whether anything is done at all.
    pub hands: Hands,
    /// Ends the loop from outside.
    pub cancel: &'a Cancel,
    /// What holds it back.
    pub leash: Leash<'a>,
}

impl std::fmt::Debug for Agent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("eyes", &self.eyes).finish_non_exhaustive()
    }
}

/// Who says where a target is.
pub enum Eyes<'a> {
    /// A policy that looks at the screenshot.
    Policy {
        /// Who is asked.
        policy: &'a mut dyn Policy,
        /// How it is spoken to.
        preset: &'a Preset,
        /// How it samples.
        sampling: &'a Sampling,
        /// Who may contradict it.
        checks: Checks,
    },
    /// Nobody looks: the places that the targets name themselves.
    Places,
}

/// Who may contradict a policy before it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Nobody: an evaluation measures the policy alone.
    Nobody,
    /// The page, where there is one: a point on an element that does something else than the one element which the
    /// instruction names is not clicked. The policy is asked once more.
    Elements,
}

impl std::fmt::Debug for Eyes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy { preset, .. } => f.debug_tuple("Policy").field(&preset.name).finish(),
            Self::Places => f.write_str("Places"),
        }
    }
}

/// Whether actions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// They are.
    Act,
    /// Everything but that: a dry run.
    Rest,
}

/// What one step is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Find what is described and do something there.
    At {
        /// What.
        target: Target,
        /// What to do there.
        deed: Deed,
    },
    /// Nothing has to be found.
    Do(Action),
    /// Nothing is done: something must hold, or come to hold.
    Expect {
        /// What.
        clause: Clause,
        /// Where files are that it names.
        surroundings: Surroundings,
        /// How long it may take; nothing checks once.
        within: Duration,
    },
}

/// What is done at a point that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Press a button so many times.
    Click {
        /// Which button.
        button: MouseButton,
        /// How often.
        count: u8,
    },
    /// Move the pointer there.
    Hover,
    /// Turn the wheel there; positive is right and down, in screenshot pixels.
    Scroll {
        /// Horizontal distance.
        dx_px: f64,
        /// Vertical distance.
        dy_px: f64,
    },
    /// Choose an option of the list there.
    Select {
        /// Its text.
        option: String,
    },
    /// Hand files to the field there.
    Upload {
        /// As absolute paths.
        files: Vec<PathBuf>,
    },
    /// Drag from there to what is described.
    DragTo {
        /// The second thing to find.
        target: Target,
    },
}

impl Deed {
    /// A single click with the primary button.
    pub const CLICK: Self = Self::Click { button: MouseButton::Left, count: 1 };
}

impl Intent {
    /// A single click on what `target` describes.
    pub fn click(target: impl Into<Target>) -> Self {
        Self::At { target: target.into(), deed: Deed::CLICK }
    }
}

/// The world, the policy or the record failed. Never a reward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The browser or window failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The policy could not be asked.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The step could not be recorded.
    #[error(transparent)]
    Record(#[from] RunDirError),
}

/// Follows a step. `()` follows nothing.
pub trait Watch {
    /// The screen was captured.
    ///
    /// # Errors
    /// Ends the step.
    fn observed(&mut self, _before: &Screenshot) -> Result<(), RunDirError> {
        Ok(())
    }
    /// The policy said some more.
    fn text(&mut self, _piece: &str) {}
    /// The policy finished a turn.
    ///
    /// # Errors
    /// Ends the step.
    fn turn(&mut self, _turn: &Turn) -> Result<(), RunDirError> {
        Ok(())
    }
    /// The turn that was finished last goes on: its answer was looked at closer.
    ///
    /// # Errors
    /// Ends the step.
    fn turn_amended(&mut self, _turn: &Turn) -> Result<(), RunDirError> {
        Ok(())
    }
    /// The policy has said all it says about the latest of `groundings`.
    ///
    /// # Errors
    /// Ends the step.
    fn grounded(&mut self, _groundings: &[Grounding]) -> Result<(), RunDirError> {
        Ok(())
    }
    /// The action is about to be executed.
    ///
    /// # Errors
    /// Ends the step before the action.
    fn acting(&mut self, _action: &Action) -> Result<(), RunDirError> {
        Ok(())
    }
    /// The action opened a tab, which is current now and one of `n_tabs`.
    ///
    /// # Errors
    /// Ends the step.
    fn tab_opened(&mut self, _n_tabs: usize) -> Result<(), RunDirError> {
        Ok(())
    }
}

impl Watch for () {}

/// Where the time of a step went, besides what the policy reports of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// Screenshots and page state.
    pub capture: Duration,
    /// Everything between the first observation and the action.
    pub grounding: Duration,
    /// The input events.
    pub act: Duration,
    /// Waiting for a quiet page.
    pub settle: Duration,
    /// Comparing before and after.
    pub verify: Duration,
    /// In [`Watch`].
    pub record: Duration,
}

/// An action at a point that did nothing, as far as can be seen.
#[derive(Debug, Clone)]
pub struct InVain {
    /// What was to be found.
    pub target: Target,
    /// What was done there.
    pub deed: Deed,
    /// What the screen showed.
    pub screenshot: Screenshot,
    /// Where the policy found it.
    pub at: Point<Screen>,
}

impl InVain {
    /// Points no farther apart, along an axis, are the same place.
    const SAME_PX: f64 = 3.0;

    /// Whether the same was to be done on a screen that looked the same.
    fn was(&self, target: &Target, deed: &Deed, screenshot: &Screenshot) -> bool {
        let ratio = screenshot.device_pixel_ratio;
        (&self.target, &self.deed) == (target, deed)
            && same_but_for_a_caret(&self.screenshot.pixels, &screenshot.pixels, ratio)
    }

    fn was_at(&self, at: Point<Screen>) -> bool {
        (self.at.x - at.x).abs().max((self.at.y - at.y).abs()) <= Self::SAME_PX
    }
}

/// An observation that is still fresh: the second one of the step before.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The pixels.
    pub screenshot: Screenshot,
    /// Address, title and dialog.
    pub page: PageState,
    /// All tabs.
    pub tabs: Vec<TabId>,
}

/// What happened in a step.
#[derive(Debug)]
pub struct StepOutcome {
    /// The first observation; absent while a dialog covers the page.
    pub before: Option<Screenshot>,
    /// The second one; absent after a refusal or behind a dialog.
    pub after: Option<Screenshot>,
    /// Address, title and dialog at the end.
    pub page: PageState,
    /// What the policy said, one entry for each thing that had to be found.
    pub groundings: Vec<Grounding>,
    /// Where the first target is, if the task says so and it is there.
    pub place: Option<Rect<Screen>>,
    /// What the page says is at the point, if it was asked.
    pub element: Option<ElementAt>,
    /// What was executed.
    pub action: Option<Action>,
    /// What it did.
    pub effect: Effect,
    /// Why it was refused, or what else is known of it.
    pub detail: Option<String>,
    /// Which pixels changed.
    pub change: Option<PixelChange>,
    /// How the wait ended.
    pub settled: Settled,
    /// Where the time went.
    pub times: StepTimes,
    /// For a step that does nothing but check: whether it held.
    pub checked: Option<Verification>,
    /// The step was broken off before its action.
    pub cancelled: bool,
    /// What kept the agent from the action, besides an interruption.
    pub held: Option<Held>,
    /// All tabs at the end, the current one first; empty where there are none.
    pub(crate) tabs: Vec<TabId>,
    /// Address, title and dialog before the action.
    pub(crate) page_before: PageState,
    /// When the action was done.
    pub(crate) acted_at: Option<Instant>,
}

/// Takes one step. With `seen`, what the step before saw at its end is what this one starts from. A policy that answers
/// a place where the same was done in vain already looks there closer before it is repeated.
///
/// # Errors
/// [`StepError`] if the world, the policy or the record failed.
pub fn run_step(
    agent: &mut Agent<'_>,
    intent: &Intent,
    seen: Option<Seen>,
    in_vain: &[InVain],
    watch: &mut dyn Watch,
) -> Result<StepOutcome, StepError> {
    let mut times = StepTimes::default();
    let clock = Instant::now();
    let (before, page, tabs) = match seen {
        Some(Seen { screenshot, page, tabs }) => (Some(screenshot), page, tabs),
        None => (capture(agent.driver)?, agent.driver.page_state()?, tabs_of(agent.driver)?),
    };
    times.capture = clock.elapsed();
    let mut outcome = StepOutcome::nothing_done(page, tabs, times);
    let Some(screenshot) = &before else {
        answer_dialog(agent, intent, watch, &mut outcome)?;
        return Ok(outcome);
    };
    timed(&mut outcome.times.record, || watch.observed(screenshot))?;

    if let Intent::Expect { clause, surroundings, within } = intent {
        expect(agent, clause, surroundings, *within, &mut outcome)?;
        outcome.before = before;
        return Ok(outcome);
    }
    if let Some(held) = agent.leash.limit_reached() {
        outcome.before = before;
        return Ok(outcome.held_back(held));
    }
    let clock = Instant::now();
    let recorded = outcome.times.record;
    let aim = aim(agent, intent, screenshot, in_vain, watch, &mut outcome)?;
    outcome.before = before;
    outcome.times.grounding = clock.elapsed().saturating_sub(outcome.times.record - recorded);
    // It also breaks off the policy.
    if let Some(held) = agent.leash.out_of_time() {
        return Ok(outcome.held_back(held));
    }
    if agent.cancel.is_set() || outcome.groundings.iter().any(|grounding| grounding.cancelled) {
        outcome.cancelled = true;
        return Ok(outcome.refused("interrupted".to_owned()));
    }
    let action = match aim {
        Aim::Ready(action) => action,
        Aim::NoPoint(reason) => return Ok(outcome.refused(reason)),
    };
    act(agent, intent, action, watch, &mut outcome)?;
    Ok(outcome)
}

impl StepOutcome {
    fn nothing_done(page: PageState, tabs: Vec<TabId>, times: StepTimes) -> Self {
        Self {
            before: None,
            after: None,
            page_before: page.clone(),
            page,
            tabs,
            acted_at: None,
            groundings: Vec::new(),
            place: None,
            element: None,
            action: None,
            effect: Effect::Refused,
            detail: None,
            change: None,
            settled: Settled::Quiet { after: Duration::ZERO },
            times,
            checked: None,
            cancelled: false,
            held: None,
        }
    }

    /// Whether the step did what it was to do.
    pub(crate) fn is_done(&self) -> bool {
        self.action.is_some() || self.checked == Some(Verification::Satisfied)
    }

    fn refused(self, reason: String) -> Self {
        Self { detail: Some(reason), ..self }
    }

    fn held_back(self, held: Held) -> Self {
        Self { held: Some(held), ..self.refused(held.to_string()) }
    }

    /// What the next step may start from.
    pub fn seen(&self) -> Option<Seen> {
        Some(Seen { screenshot: self.after.clone()?, page: self.page.clone(), tabs: self.tabs.clone() })
    }

    /// The point the policy answered first.
    pub fn answer(&self) -> Option<Point<Screen>> {
        self.groundings.first().and_then(|grounding| grounding.answer)
    }
}

/// Checks a clause until it holds or the time is over, and looks once more. A dry run checks once.
fn expect(
    agent: &mut Agent<'_>,
    clause: &Clause,
    surroundings: &Surroundings,
    within: Duration,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    /// Pause between two checks.
    const TICK: Duration = Duration::from_millis(50);
    let clock = Instant::now();
    // What comes too late is not looked at any more.
    if let Some(held) = agent.leash.out_of_time().filter(|held| held.is_of_the_step()) {
        outcome.checked = Some(Verification::Unknown);
        (outcome.effect, outcome.detail) = (Effect::Refused, Some(held.to_string()));
        outcome.held = Some(held);
        return Ok(());
    }
    let within = if agent.hands == Hands::Rest { Duration::ZERO } else { within };
    let within = within.min(agent.leash.time_left());
    let cancel = agent.cancel;
    // What is looked at once may take its time, as far as the leash reaches; what is awaited ends with the wait.
    let until = match within.is_zero() {
        true => agent.leash.until(),
        false => clock.checked_add(within),
    };
    let allowance = Allowance { until, is_cancelled: &|| cancel.is_set() };
    let mut latest: Option<Check> = None;
    let check = loop {
        let mut check = clause.verify(agent.driver, surroundings, &allowance)?;
        if check.holds == Verification::Unknown && allowance.is_used_up() {
            // It was broken off by the end of the wait, so the answer before it is the last one.
            check = latest.unwrap_or(check);
        }
        if check.holds == Verification::Satisfied || clock.elapsed() >= within || agent.cancel.is_set() {
            break check;
        }
        latest = Some(check);
        std::thread::sleep(TICK.min(within.saturating_sub(clock.elapsed())));
    };
    let held = check.holds;
    outcome.times.verify += clock.elapsed();
    let clock = Instant::now();
    outcome.after = capture(agent.driver)?;
    outcome.page = agent.driver.page_state()?;
    outcome.times.capture += clock.elapsed();
    outcome.checked = Some(held);
    outcome.cancelled = agent.cancel.is_set();
    outcome.detail = failure_of(clause, &check);
    outcome.effect = if outcome.detail.is_none() { Effect::Confirmed } else { Effect::Refused };
    outcome.held = agent.leash.out_of_time().filter(|_| held != Verification::Satisfied);
    if let Some((held, detail)) = outcome.held.zip(outcome.detail.as_mut()) {
        *detail = format!("{held}, and {detail}");
    }
    Ok(())
}

enum Aim {
    Ready(Action),
    NoPoint(String),
}

/// Turns the intent into an action, asking the policy where that is needed.
fn aim(
    agent: &mut Agent<'_>,
    intent: &Intent,
    screenshot: &Screenshot,
    in_vain: &[InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Aim, StepError> {
    let (target, deed) = match intent {
        Intent::Do(action) => return Ok(Aim::Ready(action.clone())),
        Intent::At { target, deed } => (target, deed),
        Intent::Expect { .. } => return Ok(Aim::NoPoint("a check does nothing".to_owned())),
    };
    let is_same = |tried: &&InVain| tried.was(target, deed, screenshot);
    let in_vain: Vec<&InVain> = in_vain.iter().filter(is_same).collect();
    let at = match find(agent, target, screenshot, &in_vain, watch, outcome)? {
        Ok(at) => at,
        Err(reason) => return Ok(Aim::NoPoint(reason)),
    };
    Ok(Aim::Ready(match deed {
        Deed::Click { button, count } => Action::Click { at, button: *button, count: *count },
        Deed::Hover => Action::Hover { at },
        Deed::Scroll { dx_px, dy_px } => Action::Scroll { at, dx_px: *dx_px, dy_px: *dy_px },
        Deed::Select { option } => Action::Select { at, option: option.clone() },
        Deed::Upload { files } => Action::Upload { at, files: files.clone() },
        Deed::DragTo { target } => match find(agent, target, screenshot, &[], watch, outcome)? {
            Ok(to) => Action::Drag { from: at, to },
            Err(reason) => return Ok(Aim::NoPoint(reason)),
        },
    }))
}

/// The point for one target, or why there is none. What is known of its place is recorded beside the answer.
fn find(
    agent: &mut Agent<'_>,
    target: &Target,
    screenshot: &Screenshot,
    in_vain: &[&InVain],
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Point<Screen>, String>, StepError> {
    /// Closer looks at a place where it was done in vain, until it is done there again.
    const CLOSER_LOOKS: u64 = 3;
    let place = target.place.as_ref().map(|place| place.locate(agent.driver, screenshot)).transpose()?;
    let is_first = outcome.groundings.is_empty();
    if let (true, Some(Ok(place))) = (is_first, &place) {
        outcome.place = Some(*place);
    }
    let Eyes::Policy { sampling, checks, .. } = &agent.eyes else {
        let found = match place {
            Some(Ok(place)) => Ok(place.center()),
            Some(Err(reason)) => Err(reason),
            None => Err("the task names no place for this, and nobody looks".to_owned()),
        };
        outcome.groundings.push(Grounding::known(found.as_ref().ok().copied()));
        return Ok(found);
    };
    let (first, checks) = ((**sampling).clone(), *checks);
    let mut found = ask(agent, target, screenshot, &first, None, watch, outcome)?;
    if checks == Checks::Nobody {
        return Ok(found);
    }
    let again = |nth: u64| Sampling {
        // The same question has the same greedy answer, so others are drawn.
        temperature: first.temperature.max(1.0),
        seed: first.seed.wrapping_add(nth),
        ..first.clone()
    };
    for nth in 1..=CLOSER_LOOKS {
        let Ok(at) = &found else { break };
        if !in_vain.iter().any(|tried| tried.was_at(*at)) {
            break;
        }
        let answered = outcome.groundings.pop();
        // Each try draws others than the one before it.
        let sampling = again(nth + CLOSER_LOOKS * in_vain.len() as u64);
        found = ask(agent, target, screenshot, &sampling, answered, watch, outcome)?;
    }
    let Ok(at) = &found else { return Ok(found) };
    if veto(agent, target, screenshot, *at, outcome)?.is_none() {
        return Ok(found);
    }
    let found = ask(agent, target, screenshot, &again(1), None, watch, outcome)?;
    if let (Some(again), Some(mut once)) = (outcome.groundings.pop(), outcome.groundings.pop()) {
        once.turns.extend(again.turns.iter().cloned());
        outcome.groundings.push(Grounding { turns: once.turns, ..again });
        timed(&mut outcome.times.record, || watch.grounded(&outcome.groundings))?;
    }
    Ok(match found {
        Ok(at) => veto(agent, target, screenshot, at, outcome)?.map_or(Ok(at), Err),
        malformed => malformed,
    })
}

/// Asks the page what is at the point, and whether that contradicts the instruction.
fn veto(
    agent: &mut Agent<'_>,
    target: &Target,
    screenshot: &Screenshot,
    at: Point<Screen>,
    outcome: &mut StepOutcome,
) -> Result<Option<String>, StepError> {
    let clock = Instant::now();
    let element = ElementAt::look(agent.driver, screenshot, at, &target.description)?;
    outcome.times.verify += clock.elapsed();
    let called = |role: &str, name: &str| match (role, name) {
        ("" | "generic", "") => "nothing".to_owned(),
        ("" | "generic", name) => format!("`{name}`"),
        (role, "") => format!("a {role} without a name"),
        (role, name) => format!("the {role} `{name}`"),
    };
    let reason = element.as_ref().and_then(|element| {
        let meant = element.meant.as_ref()?;
        let (here, meant) = (called(&element.role, &element.name), called(&meant.role, &meant.name));
        Some(format!("vetoed: the point is on {here}, but the instruction names {meant}"))
    });
    outcome.element = element;
    Ok(reason)
}

/// Asks the policy for one target; with what it answered in vain, closer there.
fn ask(
    agent: &mut Agent<'_>,
    target: &Target,
    screenshot: &Screenshot,
    sampling: &Sampling,
    in_vain: Option<Grounding>,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<Result<Point<Screen>, String>, StepError> {
    let Eyes::Policy { policy, preset, .. } = &mut agent.eyes else {
        return Ok(Err("nobody looks".to_owned()));
    };
    let (cancel, until) = (agent.cancel, agent.leash.until());
    let mut follow = Follow { cancel, until, watch, failure: None, recording: Duration::ZERO };
    let description = &target.description;
    let (policy, pixels) = (&mut **policy, &screenshot.pixels);
    let grounding = match in_vain {
        None => ground(policy, pixels, description, preset, sampling, &mut follow)?,
        Some(earlier) => ground_closer(policy, pixels, description, preset, sampling, earlier, &mut follow)?,
    };
    outcome.times.record += follow.recording;
    if let Some(failure) = follow.failure {
        return Err(failure.into());
    }
    let found = match (&grounding.malformed, grounding.answer) {
        (Some(reason @ Malformed::AnswerOutside(_)), _) => {
            Err(format!("{reason}; these are the policy's own numbers"))
        }
        (Some(reason), _) => Err(reason.to_string()),
        (None, Some(at)) => Ok(at),
        (None, None) => Err("the policy answered no point".to_owned()),
    };
    outcome.groundings.push(grounding);
    timed(&mut outcome.times.record, || watch.grounded(&outcome.groundings))?;
    Ok(found)
}

/// Passes turns on to the watcher, and breaks off when asked to or when the record fails.
struct Follow<'a> {
    cancel: &'a Cancel,
    until: Option<Instant>,
    watch: &'a mut dyn Watch,
    failure: Option<RunDirError>,
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

/// Whether the action may be done, asked right before it; if not, the outcome says why.
fn may_act(agent: &mut Agent<'_>, intent: &Intent, action: &Action, outcome: &mut StepOutcome) -> bool {
    let held = agent.leash.holds(&describe(intent), action, &outcome.page);
    if agent.cancel.is_set() {
        outcome.cancelled = true;
        outcome.detail = Some("interrupted".to_owned());
        return false;
    }
    outcome.held = held;
    outcome.detail = held.map(|held| held.to_string());
    held.is_none()
}

/// Executes the action and reads its effect off a second observation.
fn act(
    agent: &mut Agent<'_>,
    intent: &Intent,
    action: Action,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    if agent.hands == Hands::Rest {
        (outcome.action, outcome.effect) = (Some(action), Effect::Unverifiable);
        outcome.detail = Some("dry run".to_owned());
        return Ok(());
    }
    if !may_act(agent, intent, &action, outcome) {
        return Ok(());
    }
    timed(&mut outcome.times.record, || watch.acting(&action))?;
    match timed(&mut outcome.times.act, || behind_dialog(agent.driver.act(&action))) {
        Err(error @ (DriverError::Refused { .. } | DriverError::OutsideScreenshot { .. })) => {
            outcome.detail = Some(error.to_string());
            return Ok(());
        }
        acted => acted?,
    };
    agent.leash.count();
    (outcome.action, outcome.acted_at) = (Some(action), Some(Instant::now()));
    look_again(agent, watch, outcome)
}

/// A dialog covers the page: Enter accepts it, Escape dismisses it, and nothing else can be done.
fn answer_dialog(
    agent: &mut Agent<'_>,
    intent: &Intent,
    watch: &mut dyn Watch,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    let text = outcome.page.dialog.clone().unwrap_or_default();
    let (action, accept) = match intent {
        Intent::Do(action @ Action::Press { chord }) if *chord == [Key::Enter] => (action, true),
        Intent::Do(action @ Action::Press { chord }) if *chord == [Key::Escape] => (action, false),
        _ => {
            let cure = "pressing Enter accepts it, Escape dismisses it";
            outcome.detail = Some(format!("a dialog covers the page ({cure}): {text}"));
            return Ok(());
        }
    };
    if agent.hands == Hands::Rest {
        return act(agent, intent, action.clone(), watch, outcome);
    }
    if !may_act(agent, intent, action, outcome) {
        return Ok(());
    }
    timed(&mut outcome.times.record, || watch.acting(action))?;
    timed(&mut outcome.times.act, || agent.driver.act(&Action::AnswerDialog { accept, text: None }))?;
    agent.leash.count();
    let done = if accept { "accepted" } else { "dismissed" };
    outcome.detail = Some(format!("{done} the dialog: {text}"));
    (outcome.action, outcome.acted_at) = (Some(action.clone()), Some(Instant::now()));
    look_again(agent, watch, outcome)
}

pub(crate) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let clock = Instant::now();
    let value = work();
    *total += clock.elapsed();
    value
}
