//! The trait every driver implements, and its contract in prose.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use vigorl_geometry::{Point, Rect, Screen, Viewport};

use crate::{Action, DriverError, Login, Note, Screenshot, StorageState, Trouble};

/// A tab, window or other surface of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TabId(pub String);

/// How a wait for a quiet page ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Settled {
    /// Nothing changed any more.
    Quiet {
        /// Time waited.
        after: Duration,
    },
    /// Nothing changed any more but a part that moves without end, such as a canvas or a film.
    Moving {
        /// Time waited.
        after: Duration,
        /// The smallest box around that part, whose pixels say nothing.
        within: Rect<Screen>,
    },
    /// The cap was reached while something still changed; not an error.
    Capped {
        /// Time waited.
        after: Duration,
    },
}

impl Settled {
    /// Time waited.
    pub fn after(self) -> Duration {
        let (Self::Quiet { after } | Self::Moving { after, .. } | Self::Capped { after }) = self;
        after
    }

    /// Whether the wait ended before the cap.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Capped { .. })
    }

    /// The box around what moves without end.
    pub fn moving(self) -> Option<Rect<Screen>> {
        match self {
            Self::Moving { within, .. } => Some(within),
            Self::Quiet { .. } | Self::Capped { .. } => None,
        }
    }
}

/// What the driver can say about the page besides its pixels. Absent where the driver has no such notion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageState {
    /// Address of the page.
    pub url: Option<String>,
    /// Title of the page or window.
    pub title: Option<String>,
    /// Text of the dialog that blocks the page, if one is open.
    pub dialog: Option<String>,
    /// The HTTP status with which the page answered, the last one after redirects; nothing for pages without one, such as
    /// files, and behind a dialog.
    pub status: Option<u16>,
}

impl PageState {
    /// The status, if it says that the page is not what was asked for.
    pub fn error_status(&self) -> Option<u16> {
        self.status.filter(|status| *status >= 400)
    }
}

/// What a script said in a frame of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Framed {
    /// Its value as JSON text.
    pub said: String,
    /// How the frame's viewport is placed in that of the page: (x, y) is at (a x + c y + e, b x + d y + f) of
    /// `[a, b, c, d, e, f]`.
    pub placed: [f64; 6],
}

impl Framed {
    /// A point of the frame's viewport in that of the page.
    pub fn apply(&self, at: Point<Viewport>) -> Point<Viewport> {
        let [a, b, c, d, e, f] = self.placed;
        Point::new(a * at.x + c * at.y + e, b * at.x + d * at.y + f)
    }

    /// The bounds of a box, likewise.
    pub fn apply_rect(&self, part: Rect<Viewport>) -> Rect<Viewport> {
        let corners = [
            (part.left, part.top),
            (part.right, part.top),
            (part.left, part.bottom),
            (part.right, part.bottom),
        ];
        let corners = corners.map(|(x, y)| self.apply(Point::new(x, y)));
        let least =
            |side: fn(&Point<Viewport>) -> f64| corners.iter().map(side).fold(f64::INFINITY, f64::min);
        let most =
            |side: fn(&Point<Viewport>) -> f64| corners.iter().map(side).fold(f64::NEG_INFINITY, f64::max);
        Rect::new(least(|at| at.x), least(|at| at.y), most(|at| at.x), most(|at| at.y))
    }
}

/// The camera and the hands of one world.
///
/// A driver does not implement what its world does not have: the method then answers [`DriverError::Unsupported`]. Every
/// method blocks; a driver that needs an async runtime owns it inside.
///
/// Contract, checked by [`conformance::check_driver`](crate::conformance::check_driver):
/// - an action arrives as exactly the input events that it names, at exactly its pixels, and its text unchanged
/// - an action is executed whole, or an error is returned; nothing is ignored or clamped silently
/// - positions are pixels of the latest screenshot; one outside it is [`DriverError::OutsideScreenshot`]
/// - every tab has the size and the device pixel ratio of the first, or all about tabs is
///   [`DriverError::Unsupported`]; the last tab cannot be closed
/// - a field that is filled holds the text and nothing else, and a [`Note`] says that it was looked up; or filling is
///   [`DriverError::Unsupported`]
/// - settling with no time left returns at once
///
/// And, for the tests of each driver, because no page can check it:
/// - every call returns within the driver's deadline, also when the other side is dead
/// - an open dialog is [`DriverError::DialogOpen`] until it is answered
/// - dropping the driver releases all keys and buttons and ends every process it started
pub trait Driver: Send {
    /// Captures the visible surface.
    ///
    /// # Errors
    /// [`DriverError::DialogOpen`] carries the dialog's text; others mean that the world failed.
    fn screenshot(&mut self) -> Result<Screenshot, DriverError>;

    /// Executes one action. An act that this driver has no notion of (a tab, a dialog, a page's address) is
    /// [`DriverError::Unsupported`].
    ///
    /// # Errors
    /// See the contract.
    fn act(&mut self, action: &Action) -> Result<(), DriverError>;

    /// What there is to say of the action that was executed last. By default, there is nothing.
    fn note(&self) -> Note {
        Note::default()
    }

    /// What has gone wrong inside the pages of all tabs since the last call, in order; nothing where there are no pages. Where
    /// it cannot be had, nothing is said either: it is for records alone, and a world that failed says so when it is asked for
    /// something that matters.
    fn troubles(&mut self) -> Vec<Trouble> {
        Vec::new()
    }

    /// Waits until nothing changes, at most `cap`.
    ///
    /// # Errors
    /// Only if the world failed; reaching the cap is [`Settled::Capped`].
    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError>;

    /// Waits until nothing changes, at most `cap`, and captures what is visible then. The time that
    /// [`Settled`] names is that before the capture.
    ///
    /// A driver that can watch while it captures waits for nothing else.
    ///
    /// # Errors
    /// As [`screenshot`](Self::screenshot); reaching the cap is none.
    fn settled_screenshot(&mut self, cap: Duration) -> Result<(Settled, Screenshot), DriverError> {
        let settled = self.settle(cap)?;
        Ok((settled, self.screenshot()?))
    }

    /// URL, title and open dialog.
    ///
    /// # Errors
    /// If the world failed.
    fn page_state(&mut self) -> Result<PageState, DriverError>;

    /// Evaluates a JavaScript function body in the page and returns its value as JSON text.
    ///
    /// For environments that judge and for verification; a policy never sees the result.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] where there is no page.
    fn evaluate(&mut self, _script: &str) -> Result<String, DriverError> {
        Err(DriverError::Unsupported { what: "run JavaScript" })
    }

    /// The same in every frame of the page that the page's own scripts may not look into, outer ones first. What of such a
    /// frame is on view, scripts know as the box `frameView` of its viewport.
    ///
    /// # Errors
    /// As [`Self::evaluate`]; where there are no frames, there are no answers.
    fn evaluate_in_frames(&mut self, _script: &str) -> Result<Vec<Framed>, DriverError> {
        Ok(Vec::new())
    }

    /// The same in the innermost frame at a point, which scripts know as `pointX` and `pointY` of its viewport.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    fn evaluate_at(&mut self, at: Point<Viewport>, script: &str) -> Result<Framed, DriverError> {
        let script = format!("const [pointX, pointY] = [{}, {}];\n{script}", at.x, at.y);
        Ok(Framed { said: self.evaluate(&script)?, placed: [1.0, 0.0, 0.0, 1.0, 0.0, 0.0] })
    }

    /// Whether a click at a point reaches anything that reacts to clicks; nothing where nobody can tell.
    ///
    /// # Errors
    /// As [`Self::evaluate`], but that a driver without pages cannot tell.
    fn reacts_at(&mut self, _at: Point<Viewport>) -> Result<Option<bool>, DriverError> {
        Ok(None)
    }

    /// The folder into which it puts what pages give to download, and nothing else; nothing where there is none.
    /// [`forget`](Self::forget) empties it. [`Downloads`](crate::Downloads) tells what in it is whole.
    fn downloads(&self) -> Option<PathBuf> {
        None
    }

    /// All tabs, the current one first.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] where there are no tabs.
    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        Err(DriverError::Unsupported { what: "tell tabs apart" })
    }

    /// Forgets what an episode left behind: all tabs but the current one, cookies, storage, caches. The page is blank
    /// afterwards. What it was started with stays, and so does a [login](Self::log_in).
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] where there is nothing of that kind: then the driver is opened anew.
    fn forget(&mut self) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "forget what was done" })
    }

    /// Cookies, and what the pages of all origins that were visited have stored.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] where there is nothing of that kind.
    fn storage(&mut self) -> Result<StorageState, DriverError> {
        Err(DriverError::Unsupported { what: "say what pages have stored" })
    }

    /// Puts cookies and stored items into a world that has forgotten its own; no page is asked for. What has expired is left
    /// out.
    ///
    /// # Errors
    /// As [`Self::storage`]; a cookie or an item that is not taken is [`DriverError::Refused`], and named.
    fn restore(&mut self, _state: &StorageState) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "restore what pages had stored" })
    }

    /// Has every tab of this world logged in, from now on and as long as it is there, where the server of an address asks for a
    /// user and a password. No other server is told them. What is there already is not loaded again.
    ///
    /// # Errors
    /// [`DriverError::NoAccess`] if they are wrong, or are not asked for; [`DriverError::Unsupported`] where there are no
    /// addresses.
    fn log_in(&mut self, _url: &str, _login: &Login) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "log in to a server" })
    }

    /// The text on the clipboard; empty if there is none.
    ///
    /// For clauses that judge; a policy never sees it.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] where the driver cannot see it.
    fn clipboard(&mut self) -> Result<String, DriverError> {
        Err(DriverError::Unsupported { what: "see the clipboard" })
    }

    /// The smallest distance that the wheel turns, in screenshot pixels: one CSS pixel in a browser, one click of the
    /// wheel on a desktop. Distances are rounded to it.
    fn wheel_step_px(&self) -> f64 {
        1.0
    }
}
