//! Waiting for a quiet page, and the screenshot that shows it. Invariant: ends by the cap, and a page that reports
//! itself quiet costs no screenshot besides the one that is wanted, unless it changes under the camera.
//!
//! The page is asked: loaded, no mutation, no scrolling and no visible animation for [`QUIET`]. A capture takes
//! longer than that, so the page is watched while it is captured: if nothing changed meanwhile, the screenshot shows
//! a quiet page and nothing has been waited for. A page that is quiet for a while only, time and again, is captured
//! right after such a while. Where something is visible that script cannot look into (canvas,
//! video, frames, shadow trees, animated pictures), two screenshots in a row must agree as well, except for an area
//! the size of a text caret, which blinks for ever. Not noticed: requests and timers that change nothing meanwhile, and
//! what only a style sheet or the state of an element changes (its rules, a focus ring, a pop-over), if no animation
//! comes of it.

use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::{Value, json};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{DriverError, Settled};

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
/// Captures that the page may spoil; the next one is taken as it comes.
const SPOILED: usize = 2;
/// Largest area that may differ between two quiet screenshots, in CSS pixels: a text caret.
const CARET: (f64, f64) = (4.0, 64.0);

/// What the page said of itself.
struct Look {
    state: State,
    /// Nothing has changed since the page was first watched.
    still: bool,
}

enum State {
    Quiet,
    Opaque,
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
    ratio: DevicePixelRatio,
) -> Result<Settled, DriverError> {
    let start = Instant::now();
    let mut pixels = Agreement::new(ratio);
    loop {
        match look(session, cap.saturating_sub(start.elapsed()))?.state {
            State::Quiet | State::Dialog => {
                return Ok(Settled::Quiet { after: start.elapsed() });
            }
            State::Opaque => {
                pixels.keep_apart(session, cap.saturating_sub(start.elapsed()));
                let captured = match capture(session) {
                    Err(DriverError::DialogOpen { .. }) => {
                        return Ok(Settled::Quiet { after: start.elapsed() });
                    }
                    captured => captured?,
                };
                if pixels.agree(captured).is_ok() {
                    return Ok(Settled::Quiet { after: start.elapsed() });
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
    ratio: DevicePixelRatio,
) -> Result<(Settled, RgbImage), DriverError> {
    let start = Instant::now();
    let mut pixels = Agreement::new(ratio);
    let mut n_spoiled = 0;
    loop {
        let after = start.elapsed();
        let captured = if watch(session)? {
            pixels.keep_apart(session, cap.saturating_sub(after));
            Some(capture(session)?)
        } else {
            None
        };
        let seen = look(session, cap.saturating_sub(start.elapsed()))?;
        match (seen.state, captured) {
            (State::Quiet, Some(captured)) if seen.still => return Ok((Settled::Quiet { after }, captured)),
            (State::Opaque, Some(captured)) if seen.still => {
                if let Ok(captured) = pixels.agree(captured) {
                    return Ok((Settled::Quiet { after }, captured));
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

/// Starts watching; `false` says that something loads or moves already.
fn watch(session: &Session) -> Result<bool, DriverError> {
    match session.script("settle", SCRIPT, vec![json!("watch")]) {
        Ok(answer) => Ok(answer == json!("calm")),
        Err(DriverError::Refused { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Waits in the page until it is quiet.
fn look(session: &Session, longest: Duration) -> Result<Look, DriverError> {
    let millis = |time: Duration| json!(time.as_millis() as u64);
    let asked = vec![json!("look"), millis(QUIET), millis(longest.min(SLICE))];
    match session.script("settle", SCRIPT, asked) {
        Ok(answer) => {
            let state = match answer[0].as_str() {
                Some("quiet") => State::Quiet,
                Some("opaque") => State::Opaque,
                _ => State::Busy,
            };
            Ok(Look { state, still: answer[1] == Value::Bool(true) })
        }
        Err(DriverError::DialogOpen { .. }) => Ok(Look { state: State::Dialog, still: false }),
        Err(DriverError::Refused { .. }) => Ok(Look { state: State::Replaced, still: false }),
        Err(e) => Err(e),
    }
}

const SCRIPT: &str = include_str!("settle.js");

/// The latest screenshot of a page that script cannot look into.
struct Agreement {
    ratio: DevicePixelRatio,
    latest: Option<(RgbImage, Instant)>,
}

impl Agreement {
    fn new(ratio: DevicePixelRatio) -> Self {
        Self { ratio, latest: None }
    }

    /// Waits until the next screenshot may be compared with the latest.
    fn keep_apart(&self, session: &Session, longest: Duration) {
        if let Some((_, taken)) = &self.latest {
            session.pause(APART.saturating_sub(taken.elapsed()).min(longest));
        }
    }

    /// Returns `captured` if the one before it shows the same.
    fn agree(&mut self, captured: RgbImage) -> Result<RgbImage, ()> {
        let same = |(before, _): &(RgbImage, _)| same_but_for_a_caret(before, &captured, self.ratio);
        if self.latest.as_ref().is_some_and(same) {
            return Ok(captured);
        }
        self.latest = Some((captured, Instant::now()));
        Err(())
    }

    /// The page moved: what it showed before says nothing.
    fn forget(&mut self) {
        self.latest = None;
    }
}

fn same_but_for_a_caret(a: &RgbImage, b: &RgbImage, ratio: DevicePixelRatio) -> bool {
    let ratio = ratio.get();
    match difference(a, b) {
        Difference::None => true,
        Difference::Box { width, height } => {
            f64::from(width) <= CARET.0 * ratio && f64::from(height) <= CARET.1 * ratio
        }
        Difference::Size => false,
    }
}

/// How two screenshots differ.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    None,
    /// Size of the smallest box around all pixels that differ.
    Box {
        width: u32,
        height: u32,
    },
    Size,
}

fn difference(a: &RgbImage, b: &RgbImage) -> Difference {
    if a.dimensions() != b.dimensions() {
        return Difference::Size;
    }
    let row_bytes = a.width() as usize * 3;
    if row_bytes == 0 {
        return Difference::None;
    }
    let rows = a.as_raw().chunks_exact(row_bytes).zip(b.as_raw().chunks_exact(row_bytes));
    let (mut columns, mut lines) = (None::<(usize, usize)>, None::<(usize, usize)>);
    for (y, (a, b)) in rows.enumerate().filter(|(_, (a, b))| a != b) {
        let differs = |&byte: &usize| a[byte] != b[byte];
        let (first, last) = ((0..row_bytes).find(differs), (0..row_bytes).rev().find(differs));
        if let (Some(first), Some(last)) = (first, last) {
            let (left, right) = columns.unwrap_or((first / 3, last / 3));
            columns = Some((left.min(first / 3), right.max(last / 3)));
            lines = Some((lines.map_or(y, |(top, _)| top), y));
        }
    }
    match (columns, lines) {
        (Some((left, right)), Some((top, bottom))) => {
            Difference::Box { width: (right - left + 1) as u32, height: (bottom - top + 1) as u32 }
        }
        _ => Difference::None,
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn the_difference_is_the_box_around_all_pixels_that_differ() {
        let a = RgbImage::new(40, 30);
        let mut b = a.clone();
        assert_eq!(difference(&a, &b), Difference::None);
        b.put_pixel(5, 7, Rgb([0, 0, 1]));
        assert_eq!(difference(&a, &b), Difference::Box { width: 1, height: 1 });
        b.put_pixel(3, 29, Rgb([1, 0, 0]));
        assert_eq!(difference(&a, &b), Difference::Box { width: 3, height: 23 });
        assert_eq!(difference(&a, &RgbImage::new(40, 31)), Difference::Size);
    }
}
