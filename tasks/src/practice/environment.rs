//! Live episodes: a page in a driver's browser that judges what the driver really does to it.
//!
//! Invariant: a reward comes from the page's own judge; whatever keeps the page from judging is an error.

use serde::Deserialize;
use vigorl_geometry::{Rect, Viewport};
use vigorl_interface::{Action, Driver, DriverError};

use super::html::live_document;
use super::page::{PageError, PracticePage};
use super::spec::{Canvas, PageSpec};

/// Where pages are written into; no server is needed.
const BLANK: &str = "about:blank";

/// Why there is no episode or no outcome. Never a reward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PracticeError {
    /// The world failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The specification has no page.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The page would be cut off, or the screenshot would show more than the page.
    #[error("the page needs a viewport of {needed:?}, the driver shows {got:?}")]
    Viewport {
        /// Size of the page.
        needed: Canvas,
        /// Size of the viewport.
        got: Canvas,
    },
    /// The browser shows something else, or the page answered something unexpected.
    #[error("the practice page does not answer: {detail}")]
    NoAnswer {
        /// What came instead.
        detail: String,
    },
}

/// A page on the screen and what to do on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// The task in words.
    pub instruction: String,
    /// Everything about the page; a policy must not see it.
    pub page: PracticePage,
}

/// How the page judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No real click yet.
    Undecided,
    /// The first click landed in the target's box.
    Hit,
    /// It landed elsewhere.
    Miss,
    /// It was not the primary button.
    WrongButton,
}

/// The verdict of a page.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Outcome {
    /// 1 for a hit, otherwise 0.
    pub reward: f64,
    /// Whether the episode is over.
    pub done: bool,
    /// Why.
    pub reason: Reason,
    /// The widget the first click landed in, if any.
    pub clicked: Option<usize>,
}

/// Practice episodes through a driver whose viewport has the size of the page.
pub struct PracticeEnv<'d> {
    driver: &'d mut dyn Driver,
}

impl std::fmt::Debug for PracticeEnv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PracticeEnv").finish_non_exhaustive()
    }
}

impl<'d> PracticeEnv<'d> {
    /// An environment on the driver's current tab.
    pub fn new(driver: &'d mut dyn Driver) -> Self {
        Self { driver }
    }

    /// The driver, to look at the page and act on it.
    pub fn driver(&mut self) -> &mut dyn Driver {
        self.driver
    }

    /// Shows the page of `spec` and starts its episode.
    ///
    /// # Errors
    /// If the specification has no page, the viewport has another size, or the world failed.
    pub fn reset(&mut self, spec: &PageSpec) -> Result<Episode, PracticeError> {
        let page = PracticePage::generate(spec)?;
        let got = show(self.driver, &live_document(&page))?;
        if got != spec.canvas {
            return Err(PracticeError::Viewport { needed: spec.canvas, got });
        }
        Ok(Episode { instruction: page.tasks[0].instruction.clone(), page })
    }

    /// What the page says about the clicks it has seen.
    ///
    /// # Errors
    /// If the page is gone or the world failed.
    pub fn outcome(&mut self) -> Result<Outcome, PracticeError> {
        self.ask("const {reward, done, reason, clicked} = window.practice; return {reward, done, reason, clicked};")
    }

    /// Where the page itself says its widgets are, in document order.
    ///
    /// # Errors
    /// If the page is gone or the world failed.
    pub fn boxes(&mut self) -> Result<Vec<Rect<Viewport>>, PracticeError> {
        let boxes: Vec<[f64; 4]> = self.ask("return window.practice.boxes();")?;
        Ok(boxes.into_iter().map(|[l, t, r, b]| Rect::new(l, t, r, b)).collect())
    }

    fn ask<T: for<'de> Deserialize<'de>>(&mut self, script: &str) -> Result<T, PracticeError> {
        let guarded = format!("if (!window.practice) return null; {script}");
        parse(&self.driver.evaluate(&guarded)?)
    }
}

#[derive(Deserialize)]
struct Shown {
    width: u32,
    height: u32,
}

/// Replaces the current document, leaving whatever page the browser is on, and returns the viewport's size.
pub(super) fn show(driver: &mut dyn Driver, html: &str) -> Result<Canvas, PracticeError> {
    let html = serde_json::Value::from(html);
    let script = format!(
        "if (location.href !== '{BLANK}') return null; \
         document.open(); document.write({html}); document.close(); \
         return {{width: window.innerWidth, height: window.innerHeight}};"
    );
    let mut answer: Option<Shown> = parse(&driver.evaluate(&script)?)?;
    if answer.is_none() {
        driver.act(&Action::Navigate { url: BLANK.to_owned() })?;
        answer = parse(&driver.evaluate(&script)?)?;
    }
    let Shown { width, height } = answer
        .ok_or_else(|| PracticeError::NoAnswer { detail: format!("the browser does not stay on {BLANK}") })?;
    Ok(Canvas { width, height })
}

fn parse<T: for<'de> Deserialize<'de>>(answer: &str) -> Result<T, PracticeError> {
    serde_json::from_str(answer)
        .map_err(|error| PracticeError::NoAnswer { detail: format!("{error}: {answer}") })
}
