//! Waiting for a quiet page. Invariant: ends by the cap, and a page that reports itself quiet costs no screenshot.
//!
//! The page is asked first, in one request: loaded, no mutation, no scrolling and no visible animation for
//! [`QUIET`]. Where something is visible that script cannot look into (canvas, video, frames, shadow trees,
//! animated pictures), two screenshots in a row must agree as well, except for an area the size of a text
//! caret, which blinks for ever. Not noticed: requests and timers that change nothing within [`QUIET`].

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
/// Largest area that may differ between two quiet screenshots, in CSS pixels: a text caret.
const CARET: (f64, f64) = (4.0, 64.0);

/// What one look at the page found.
enum Look {
    Quiet,
    Opaque,
    Busy,
}

/// Waits for a quiet page; captures only pages that script cannot look into.
pub(crate) fn settle(
    session: &Session,
    cap: Duration,
    ratio: DevicePixelRatio,
) -> Result<Settled, DriverError> {
    let start = Instant::now();
    let mut before: Option<RgbImage> = None;
    loop {
        let left = cap.saturating_sub(start.elapsed());
        match look(session, left.min(SLICE)) {
            Ok(Look::Quiet) => return Ok(Settled::Quiet { after: start.elapsed() }),
            Ok(Look::Opaque) => {
                let after = match capture(session) {
                    // An open dialog blocks the page: nothing moves until it is answered.
                    Err(DriverError::DialogOpen { .. }) => {
                        return Ok(Settled::Quiet { after: start.elapsed() });
                    }
                    captured => captured?,
                };
                if before.is_some_and(|before| same_but_for_a_caret(&before, &after, ratio)) {
                    return Ok(Settled::Quiet { after: start.elapsed() });
                }
                before = Some(after);
            }
            Ok(Look::Busy) => before = None,
            Err(DriverError::DialogOpen { .. }) => return Ok(Settled::Quiet { after: start.elapsed() }),
            // The document was replaced under the script.
            Err(DriverError::Refused { .. }) => session.pause(RETRY),
            Err(e) => return Err(e),
        }
        if start.elapsed() >= cap {
            return Ok(Settled::Capped { after: start.elapsed() });
        }
    }
}

fn look(session: &Session, slice: Duration) -> Result<Look, DriverError> {
    let millis = |time: Duration| json!(time.as_millis() as u64);
    let answer = session.script("settle", include_str!("settle.js"), vec![millis(QUIET), millis(slice)])?;
    match answer {
        Value::String(word) if word == "quiet" => Ok(Look::Quiet),
        Value::String(word) if word == "opaque" => Ok(Look::Opaque),
        _ => Ok(Look::Busy),
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
