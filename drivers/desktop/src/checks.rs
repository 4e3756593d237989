//! What every desktop asks of an action before it does anything, and what it makes of its numbers and texts.
//!
//! Invariant: an action that cannot be done as it is asked for is refused here, on each system with the same words,
//! before anything of it is done.

use std::time::Duration;

use vigorl_geometry::{Capture, Point, Screen};
use vigorl_interface::{DriverError, Key};

/// Most clicks of the wheel in one action: at 60 pixels each, a page of 120,000 pixels.
const MOST_WHEEL_CLICKS: f64 = 2_000.0;

/// A position must be on the screenshot.
pub(crate) fn expect_inside(shown: Capture, at: Point<Screen>) -> Result<(), DriverError> {
    if shown.size().contains(at) {
        return Ok(());
    }
    let (width, height) = (shown.size().width as u32, shown.size().height as u32);
    Err(DriverError::OutsideScreenshot { x: at.x, y: at.y, width, height })
}

pub(crate) fn refused(request: &'static str, detail: impl Into<String>) -> DriverError {
    DriverError::Refused { request, detail: detail.into() }
}

/// A click needs at least one press.
pub(crate) fn expect_count(count: u8) -> Result<(), DriverError> {
    if count == 0 { Err(refused("click", "the count is 0")) } else { Ok(()) }
}

/// Longest that a button is held in one action.
const LONGEST_HOLD: Duration = Duration::from_secs(10);

/// A click that is held needs modifiers or a time, and not both: of a program that dies, somebody lets the button go, and
/// nobody the keys.
pub(crate) fn held(count: u8, keys: &[Key], hold_ms: u32) -> Result<Duration, DriverError> {
    expect_count(count)?;
    if let Some(key) = keys.iter().find(|key| !key.is_modifier()) {
        return Err(refused("click", format!("{key} is no key that is held during a click")));
    }
    let hold = Duration::from_millis(hold_ms.into());
    if hold * u32::from(count) > LONGEST_HOLD {
        return Err(refused("click", format!("no button is held for more than {LONGEST_HOLD:?}")));
    }
    if !keys.is_empty() && !hold.is_zero() {
        return Err(DriverError::Unsupported { what: "hold a button and keys at once" });
    }
    Ok(hold)
}

/// A press needs at least one key.
pub(crate) fn expect_keys(chord: &[Key]) -> Result<(), DriverError> {
    if chord.is_empty() { Err(refused("press", "no key is named")) } else { Ok(()) }
}

/// Clicks of the wheel, to the right and down, for distances in screenshot pixels.
pub(crate) fn wheel_clicks(dx_px: f64, dy_px: f64, step_px: u32) -> Result<(i32, i32), DriverError> {
    if !dx_px.is_finite() || !dy_px.is_finite() {
        return Err(refused("scroll", "the distance is not a number"));
    }
    let clicks = [dx_px, dy_px].map(|distance| (distance / f64::from(step_px)).round());
    if clicks == [0.0, 0.0] {
        return Err(refused("scroll", "the distance is less than half a click of the wheel"));
    }
    if clicks.iter().any(|n| n.abs() > MOST_WHEEL_CLICKS) {
        let most = MOST_WHEEL_CLICKS * f64::from(step_px);
        let detail = format!(
            "the distance is more than {MOST_WHEEL_CLICKS} clicks of the wheel, {most} pixels: scroll in several steps"
        );
        return Err(refused("scroll", detail));
    }
    Ok((clicks[0] as i32, clicks[1] as i32))
}

/// The text as it is typed: a line ends with a line feed, and every other control character is one that no key types.
pub(crate) fn typed(text: &str) -> Result<String, DriverError> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(control) => Err(refused("type", format!("no key types the control character {control:?}"))),
        None => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

#[cfg(test)]
mod tests {
    use vigorl_geometry::Rect;

    use super::*;

    #[test]
    fn distances_are_whole_clicks_of_the_wheel_or_refused() {
        assert_eq!(wheel_clicks(0.0, 120_000.0, 60).ok(), Some((0, 2_000)));
        assert_eq!(wheel_clicks(-31.0, 89.0, 60).ok(), Some((-1, 1)));
        for (dx, dy, words) in [
            (0.0, 29.0, "less than half a click"),
            (f64::NAN, 60.0, "not a number"),
            (f64::INFINITY, 0.0, "not a number"),
            (0.0, -1e12, "in several steps"),
            (121_000.0, 0.0, "2000 clicks of the wheel, 120000 pixels"),
        ] {
            let answer = wheel_clicks(dx, dy, 60);
            assert!(answer.as_ref().is_err_and(|e| e.to_string().contains(words)), "{dx} {dy}: {answer:?}");
        }
    }

    #[test]
    fn a_click_is_held_with_keys_or_for_a_time() {
        let both = held(1, &[Key::Shift], 1);
        assert!(matches!(both, Err(DriverError::Unsupported { .. })), "{both:?}");
        assert_eq!(held(2, &[], 5_000).ok(), Some(Duration::from_secs(5)));
        assert_eq!(held(1, &[Key::Control, Key::Shift], 0).ok(), Some(Duration::ZERO));
        for refused in [held(0, &[], 1), held(3, &[], 5_000), held(1, &[Key::Enter], 0)] {
            assert!(matches!(refused, Err(DriverError::Refused { .. })), "{refused:?}");
        }
    }

    #[test]
    fn lines_end_alike_and_what_no_key_types_is_named() {
        assert_eq!(typed("a\r\nb\rc\n\td").ok().as_deref(), Some("a\nb\nc\n\td"));
        assert!(typed("bell\u{7}").is_err_and(|e| e.to_string().contains("\\u{7}")));
    }

    #[test]
    fn what_is_not_on_the_screenshot_is_refused() {
        let shown = Capture::of(Rect::new(10.0, 20.0, 110.0, 70.0), 200, 100).unwrap();
        assert!(expect_inside(shown, Point::new(199.9, 0.0)).is_ok());
        assert!(expect_inside(shown, Point::new(200.0, 0.0)).is_err());
    }
}
