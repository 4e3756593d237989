//! Waiting for a quiet page, and the screenshot that shows it. Invariant: ends by the cap, and a page that reports
//! itself quiet costs no screenshot besides the one that is wanted, unless it changes under the camera.
//!
//! The page is asked: loaded, no mutation, no scrolling and no visible animation that ends for [`QUIET`]. A capture takes
//! longer than that, so the page is watched while it is captured: if nothing changed meanwhile, the screenshot shows
//! a quiet page and nothing has been waited for. A page that is quiet for a while only, time and again, is captured
//! right after such a while. Where something is visible that script cannot look into (canvas,
//! video, frames, shadow trees, animated pictures), two screenshots in a row must agree as well, except for an area
//! the size of a text caret, which blinks for ever. What a canvas, a film or an animated picture shows may change without
//! end: once nothing else has changed for [`SEEN_MOVING`], that is said, and such a page is not waited for any more. Two
//! screenshots must agree, too, where the page has changed what the script is made of
//! and it fails: such a page cannot be watched, but it is seen. Not noticed: requests and timers that change nothing meanwhile, and
//! what only a style sheet or the state of an element changes (its rules, a focus ring, a pop-over), if no animation
//! comes of it.

use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::{Value, json};
use vigorl_geometry::{DevicePixelRatio, Rect, Screen, Viewport};
use vigorl_interface::{DriverError, Settled, pixel_change_beside};

use crate::driver::capture;
use crate::session::Session;

/// How long nothing may change: two frames at 60 Hz.
const QUIET: Duration = Duration::from_millis(25);
/// The page is asked in slices, so that a request stays far below its deadline.
const SLICE: Duration = Duration::from_secs(1);
/// Pause after the page was replaced while it was asked.
const RETRY: Duration = Duration::from_millis(20);
/// Two screenshots that must agree are this far apart: the frame of an animated picture often stays for 100 ms.
const APART: Duration = Duration::from_millis(100);
/// How long nothing but what may move without end has moved, until it counts as such: charts are drawn in a second.
const SEEN_MOVING: Duration = Duration::from_millis(1200);
/// Captures that the page may spoil; the next one is taken as it comes.
const SPOILED: usize = 2;

/// What the page said of itself.
struct Look {
    state: State,
    /// Nothing has changed since the page was first watched.
    still: bool,
}

enum State {
    Quiet,
    /// With the box around what may move without end, in CSS pixels.
    Opaque(Option<Rect<Viewport>>),
    /// The script failed in this page, so that it tells nothing: the screenshots must.
    Untold,
    Busy,
    /// The document was replaced under the script.
    Replaced,
    /// An open dialog blocks the page: nothing moves until it is answered.
    Dialog,
}

/// Waits for a quiet page; captures only pages that script cannot look into.
pub(crate) fn settle(
    session: &Session,
    cap: Duration,
    endless: &mut Endless,
) -> Result<Settled, DriverError> {
    let start = Instant::now();
    let mut pixels = Agreement::new(endless);
    loop {
        match look(session, cap.saturating_sub(start.elapsed()))?.state {
            State::Quiet | State::Dialog => {
                return Ok(Settled::Quiet { after: start.elapsed() });
            }
            state @ (State::Opaque(_) | State::Untold) => {
                pixels.keep_apart(session, cap.saturating_sub(start.elapsed()));
                let captured = match capture(session) {
                    Err(DriverError::DialogOpen { .. }) => {
                        return Ok(Settled::Quiet { after: start.elapsed() });
                    }
                    captured => captured?,
                };
                if let Ok((_, moving)) = pixels.agree(captured, state.may_move()) {
                    return Ok(settled(start.elapsed(), moving));
                }
            }
            State::Busy => pixels.forget(),
            State::Replaced => session.pause(RETRY),
        }
        if start.elapsed() >= cap {
            return Ok(Settled::Capped { after: start.elapsed() });
        }
    }
}

/// Waits for a quiet page and captures it; the time waited excludes the capture that is returned.
pub(crate) fn settle_and_capture(
    session: &Session,
    cap: Duration,
    endless: &mut Endless,
) -> Result<(Settled, RgbImage), DriverError> {
    let start = Instant::now();
    let mut pixels = Agreement::new(endless);
    let mut n_spoiled = 0;
    loop {
        let after = start.elapsed();
        let captured = match watch(session)? {
            Watch::Calm | Watch::Untold => {
                pixels.keep_apart(session, cap.saturating_sub(after));
                Some(capture(session)?)
            }
            Watch::Restless => None,
        };
        let seen = look(session, cap.saturating_sub(start.elapsed()))?;
        match (seen.state, captured) {
            (State::Quiet, Some(captured)) if seen.still => return Ok((Settled::Quiet { after }, captured)),
            (state @ (State::Opaque(_) | State::Untold), Some(captured)) if seen.still => {
                if let Ok((captured, moving)) = pixels.agree(captured, state.may_move()) {
                    return Ok((settled(after, moving), captured));
                }
            }
            (State::Quiet, Some(_)) => {
                n_spoiled += 1;
                if n_spoiled >= SPOILED {
                    return Ok((Settled::Quiet { after: start.elapsed() }, capture(session)?));
                }
            }
            (State::Replaced, _) => session.pause(RETRY),
            _ => pixels.forget(),
        }
        let after = start.elapsed();
        if after >= cap {
            return Ok((Settled::Capped { after }, capture(session)?));
        }
    }
}

/// How a wait ended whose screenshots agree, but for what moves without end.
fn settled(after: Duration, moving: Option<Rect<Screen>>) -> Settled {
    match moving {
        Some(within) => Settled::Moving { after, within },
        None => Settled::Quiet { after },
    }
}

impl State {
    /// The box around what may move without end.
    fn may_move(&self) -> Option<Rect<Viewport>> {
        match self {
            Self::Opaque(part) => *part,
            _ => None,
        }
    }
}

/// What a page says when it begins to be watched.
enum Watch {
    Calm,
    /// Something loads or moves already.
    Restless,
    /// The script failed.
    Untold,
}

/// Starts watching.
fn watch(session: &Session) -> Result<Watch, DriverError> {
    match session.script("settle", SCRIPT, vec![json!("watch")]) {
        Ok(Value::String(answer)) if answer == "calm" => Ok(Watch::Calm),
        Ok(answer) if failed(&answer) => Ok(Watch::Untold),
        Ok(_) | Err(DriverError::Refused { .. }) => Ok(Watch::Restless),
        Err(e) => Err(e),
    }
}

/// Waits in the page until it is quiet.
fn look(session: &Session, longest: Duration) -> Result<Look, DriverError> {
    let millis = |time: Duration| json!(time.as_millis() as u64);
    let asked = vec![json!("look"), millis(QUIET), millis(longest.min(SLICE))];
    match session.script("settle", SCRIPT, asked) {
        Ok(answer) if failed(&answer) => Ok(Look { state: State::Untold, still: true }),
        Ok(answer) => {
            let state = match answer[0].as_str() {
                Some("quiet") => State::Quiet,
                Some("opaque") => State::Opaque(box_of(&answer[2])),
                _ => State::Busy,
            };
            Ok(Look { state, still: answer[1] == Value::Bool(true) })
        }
        Err(DriverError::DialogOpen { .. }) => Ok(Look { state: State::Dialog, still: false }),
        Err(DriverError::Refused { .. }) => Ok(Look { state: State::Replaced, still: false }),
        Err(e) => Err(e),
    }
}

/// Whether the script itself failed. What it throws is caught, so a request that the server refuses has lost its
/// document.
fn failed(answer: &Value) -> bool {
    answer["failed"].is_string()
}

const SCRIPT: &str =
    concat!("try {\n", include_str!("settle.js"), "} catch (error) { return { failed: String(error) }; }");

/// A box that the script tells.
fn box_of(told: &Value) -> Option<Rect<Viewport>> {
    let [left, top, right, bottom]: [f64; 4] = serde_json::from_value(told.clone()).ok()?;
    Some(Rect::new(left, top, right, bottom))
}

/// What moves without end, as far as it was seen by now: a page that was waited for once is not waited for again.
#[derive(Debug)]
pub(crate) struct Endless {
    ratio: DevicePixelRatio,
    /// The box around it, and since when nothing else has moved.
    seen: Option<(Rect<Screen>, Instant)>,
}

impl Endless {
    pub(crate) fn new(ratio: DevicePixelRatio) -> Self {
        Self { ratio, seen: None }
    }

    /// The pixels of a box of the viewport, and one more on each side: edges are smoothed.
    fn pixels_of(&self, part: Rect<Viewport>) -> Rect<Screen> {
        let ratio = self.ratio.get();
        let [left, top] = [part.left, part.top].map(|side| (side * ratio).floor() - 1.0);
        let [right, bottom] = [part.right, part.bottom].map(|side| (side * ratio).ceil() + 1.0);
        Rect::new(left, top, right, bottom)
    }

    /// Whether what is in this box has been seen to move, and nothing else, for long enough.
    fn is_seen(&mut self, part: Rect<Screen>) -> bool {
        let since = match self.seen {
            Some((known, since)) if known == part => since,
            _ => Instant::now(),
        };
        self.seen = Some((part, since));
        since.elapsed() >= SEEN_MOVING
    }
}

/// The latest screenshot of a page that script cannot look into.
struct Agreement<'e> {
    endless: &'e mut Endless,
    latest: Option<(RgbImage, Instant)>,
}

impl<'e> Agreement<'e> {
    fn new(endless: &'e mut Endless) -> Self {
        Self { endless, latest: None }
    }

    /// Waits until the next screenshot may be compared with the latest.
    fn keep_apart(&self, session: &Session, longest: Duration) {
        if let Some((_, taken)) = &self.latest {
            session.pause(APART.saturating_sub(taken.elapsed()).min(longest));
        }
    }

    /// Returns `captured` if the one before it shows the same, or the same beside what moves without end, with the box
    /// around that.
    fn agree(
        &mut self,
        captured: RgbImage,
        may_move: Option<Rect<Viewport>>,
    ) -> Result<(RgbImage, Option<Rect<Screen>>), ()> {
        if let Some((before, _)) = &self.latest
            && before.dimensions() == captured.dimensions()
        {
            let ratio = self.endless.ratio;
            let is_same = |left_out: Option<Rect<Screen>>| {
                pixel_change_beside(before, &captured, left_out).is_none_or(|change| change.is_caret(ratio))
            };
            if is_same(None) {
                return Ok((captured, None));
            }
            let part = may_move.map(|part| self.endless.pixels_of(part));
            if let Some(part) = part.filter(|part| is_same(Some(*part)))
                && self.endless.is_seen(part)
            {
                return Ok((captured, Some(part)));
            }
        }
        self.latest = Some((captured, Instant::now()));
        Err(())
    }

    /// The page moved: what it showed before says nothing.
    fn forget(&mut self) {
        self.latest = None;
    }
}
