//! The contract of every world: what an agent is put into, and what pays it.
//!
//! Invariants: an environment owns its world, a driver or only a picture; the next action comes from outside of it, from
//! a script, a policy or a planner. A failure of the world is an error and never a reward, and a judge is asked once:
//! whoever wants to wait for the world asks again.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Action, Driver, DriverError, PageState, Screenshot, TabId};

use crate::scripted::{Check, Clause, ReadStep, ScreenSource, TextClause, TextPlace};
use crate::{Verdict, Verification};

/// Why a world cannot be asked. Never a reward.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What an episode begins with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Start {
    /// What is to be reached, in words.
    pub goal: String,
    /// What kind of episode this is, for tables.
    pub labels: BTreeMap<String, String>,
    /// What the episode was drawn from, where something was drawn.
    pub seed: Option<u64>,
    /// Steps that may be taken; all that are wanted if absent.
    pub max_steps: Option<usize>,
    /// The box that should be hit, where the environment knows it; for reports, no policy sees it.
    pub target: Option<Rect<Screen>>,
}

/// What is to be seen of a world.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The pixels; none while a dialog covers them.
    pub screenshot: Option<Screenshot>,
    /// Address, title and dialog, where the world has such.
    pub page: PageState,
    /// All tabs, the current one first; none where there is no such notion.
    pub tabs: Vec<TabId>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performed {
    /// It was executed.
    Done,
    /// It was not, and the world goes on.
    Refused(String),
}

/// A world that can be reset, looked at, acted on, and that says what the result is worth.
pub trait Environment {
    /// Puts the world into its first state. The same seed gives the same state.
    ///
    /// # Errors
    /// If the world failed.
    fn reset(&mut self, seed: u64) -> Result<Start, Failure>;

    /// What is to be seen now.
    ///
    /// # Errors
    /// If the world failed.
    fn observe(&mut self) -> Result<Observation, Failure>;

    /// Executes one action, whose positions are pixels of the latest screenshot.
    ///
    /// # Errors
    /// If the world failed; what it refuses to do is [`Performed::Refused`].
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure>;

    /// What was reached so far. `answer` is the last word of whoever acted, if it has one.
    ///
    /// # Errors
    /// If the world failed or does not answer: then there is no reward.
    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure>;

    /// Whether a clause holds now.
    ///
    /// # Errors
    /// If the world failed; what nobody can tell is [`Verification::Unknown`].
    fn check(
        &mut self,
        _clause: &Clause,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Check, Failure> {
        Ok(Check { holds: Verification::Unknown, why: Some("this world knows no clauses".to_owned()) })
    }

    /// Reads something, for later steps; or why that cannot be done.
    ///
    /// # Errors
    /// If the world failed.
    fn read(
        &mut self,
        _read: &ReadStep,
        _senses: &mut dyn Senses,
    ) -> Result<Result<String, String>, Failure> {
        Ok(Err("there is nothing to read in this world".to_owned()))
    }

    /// The driver, where there is one: for places that a task names, for the page's veto, and to wait until it is quiet.
    fn driver(&mut self) -> Option<&mut dyn Driver> {
        None
    }
}

/// Whoever looks at pixels: for clauses, targets by text and what is read, where no page can be asked.
///
/// Senses know the episode: what was seen before tells where a text stood, and what the run typed itself proves nothing.
#[expect(unused_variables, reason = "by default, nobody looks")]
pub trait Senses {
    /// An episode begins: what was seen and typed in the one before it is forgotten.
    fn begin(&mut self) {}

    /// The screen was captured.
    fn saw(&mut self, screenshot: &Screenshot) {}

    /// The run itself types this.
    fn typed(&mut self, text: &str) {}

    /// Whether a screenshot shows this text.
    ///
    /// # Errors
    /// If looking failed; not finding the text is [`Verification::Unsatisfied`].
    fn shows_text(&mut self, screenshot: &Screenshot, clause: &TextClause) -> Result<Check, Failure> {
        Ok(Check::unknown(NOBODY_READS))
    }

    /// Whether this text, which was on the screen in this episode, is gone from it; two captures are looked at.
    ///
    /// # Errors
    /// As above.
    fn text_is_gone(&mut self, captures: [&Screenshot; 2], clause: &TextClause) -> Result<Check, Failure> {
        Ok(Check::unknown(NOBODY_READS))
    }

    /// Where a text stands, or why no place is meant for sure.
    ///
    /// # Errors
    /// As above.
    fn place_of(
        &mut self,
        screenshot: &Screenshot,
        place: &TextPlace,
    ) -> Result<Result<Rect<Screen>, String>, Failure> {
        Ok(Err(NOBODY_READS.to_owned()))
    }

    /// What stands somewhere, exactly, or why that cannot be told.
    ///
    /// # Errors
    /// As above.
    fn read_text(
        &mut self,
        screenshot: &Screenshot,
        source: &ScreenSource,
    ) -> Result<Result<String, String>, Failure> {
        Ok(Err(NOBODY_READS.to_owned()))
    }

    /// Why a point cannot be what an instruction names, by what is written there; nothing if it can, or nobody can tell.
    ///
    /// # Errors
    /// If nobody can look.
    fn contradicts(
        &mut self,
        _screenshot: &Screenshot,
        _instruction: &str,
        _at: Point<Screen>,
    ) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}

const NOBODY_READS: &str = "nobody reads the screen: that needs a program with the text models";

/// Nobody looks at pixels: what only they could tell is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blind;

impl Senses for Blind {}

/// How long a check may take, and whether its answer is still wanted.
#[derive(Clone, Copy)]
pub struct Allowance<'a> {
    /// When a check ends without an answer; besides, each has its own limit.
    pub until: Option<Instant>,
    /// Whether somebody has asked to stop.
    pub is_cancelled: &'a dyn Fn() -> bool,
}

impl fmt::Debug for Allowance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowance").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Allowance<'_> {
    /// Nothing but the limits of the checks themselves.
    pub const UNLIMITED: Self = Self { until: None, is_cancelled: &|| false };

    /// Whether a check that could not tell was broken off from outside.
    pub fn is_used_up(&self) -> bool {
        (self.is_cancelled)() || self.until.is_some_and(|until| until <= Instant::now())
    }

    /// When a check that begins now must be done, if it may take `own` by itself.
    pub(crate) fn end(&self, own: Duration) -> Instant {
        let own = Instant::now() + own;
        self.until.map_or(own, |until| until.min(own))
    }
}

/// What a driver shows now.
///
/// # Errors
/// If the world failed; a dialog that covers the page is no failure.
pub fn observe(driver: &mut dyn Driver) -> Result<Observation, DriverError> {
    let screenshot = behind_dialog(driver.screenshot())?;
    Ok(Observation { screenshot, page: driver.page_state()?, tabs: tabs_of(driver)? })
}

/// What becomes of an action when a driver executes it. A dialog that opens is an effect of the action.
///
/// # Errors
/// If the world failed.
pub fn perform(driver: &mut dyn Driver, act: &Action) -> Result<Performed, DriverError> {
    match behind_dialog(driver.act(act)) {
        Ok(_) => Ok(Performed::Done),
        Err(
            error @ (DriverError::Refused { .. }
            | DriverError::NoAccess { .. }
            | DriverError::OutsideScreenshot { .. }),
        ) => Ok(Performed::Refused(error.to_string())),
        Err(error) => Err(error),
    }
}

/// All tabs; none where the driver has no such notion or a dialog hides them.
///
/// # Errors
/// If the world failed.
pub fn tabs_of(driver: &mut dyn Driver) -> Result<Vec<TabId>, DriverError> {
    match driver.tabs() {
        Err(DriverError::Unsupported { .. } | DriverError::DialogOpen { .. }) => Ok(Vec::new()),
        tabs => tabs,
    }
}

/// A dialog that covers the page is no failure: there is nothing to see behind it.
///
/// # Errors
/// What is not a dialog.
pub fn behind_dialog<T>(result: Result<T, DriverError>) -> Result<Option<T>, DriverError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(DriverError::DialogOpen { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
