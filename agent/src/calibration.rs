//! Calibration: known places are clicked through the whole chain of coordinates, and the other side says where the
//! clicks arrived.
//!
//! Invariant: what arrived is the other side's word, never the driver's.

use std::time::Duration;

use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen, Size};
use vigorl_interface::conformance::MARK;
use vigorl_interface::{Action, Driver, DriverError, MouseButton};

/// Places along each axis.
const PER_AXIS: usize = 5;
/// Longest wait for a quiet screen before and after a click.
const SETTLE: Duration = Duration::from_secs(2);

/// What is clicked on. It paints a square of [`MARK`] around each press.
pub trait Target {
    /// The pixels of the screenshot that the latest click was on, as far as the other side can tell; nothing if none
    /// arrived since the last time.
    ///
    /// # Errors
    /// If the world failed.
    fn last_hit(&mut self, driver: &mut dyn Driver) -> Result<Option<Rect<Screen>>, DriverError>;
}

/// One click.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The pixel that was meant.
    pub meant: Point<Screen>,
    /// Where it arrived; the corner of what the other side can tell apart.
    pub arrived: Option<Point<Screen>>,
    /// What the other side can tell apart.
    pub pixels: Option<Rect<Screen>>,
    /// Whether the next screenshot shows the other side's mark at the pixel that was meant: camera and hands agree.
    pub is_seen: bool,
}

impl Hit {
    /// Distance from the pixel that was meant to the box that was hit, in screenshot pixels.
    pub fn error_px(&self) -> Option<f64> {
        let (pixels, meant) = (self.pixels?, self.meant);
        let beside = |at: f64, first: f64, end: f64| {
            // The pixel covers one unit: it lies inside if any of it does.
            (first - at - 0.999).max(at + 0.001 - end).max(0.0)
        };
        Some(beside(meant.x, pixels.left, pixels.right).hypot(beside(meant.y, pixels.top, pixels.bottom)))
    }
}

/// All clicks.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Of the screenshot.
    pub size: Size<Screen>,
    /// Screenshot pixels per CSS pixel.
    pub device_pixel_ratio: DevicePixelRatio,
    /// One for each place.
    pub hits: Vec<Hit>,
}

impl Calibration {
    /// The largest error; `None` if a click was lost, or is not where the screenshot shows it.
    pub fn worst_px(&self) -> Option<f64> {
        let error = |hit: &Hit| hit.error_px().filter(|_| hit.is_seen);
        self.hits.iter().map(error).try_fold(0.0_f64, |worst, px| Some(worst.max(px?)))
    }
}

/// Clicks a grid of places that includes the corners.
///
/// # Errors
/// If the world failed.
pub fn calibrate(driver: &mut dyn Driver, target: &mut dyn Target) -> Result<Calibration, DriverError> {
    driver.settle(SETTLE)?;
    let screenshot = driver.screenshot()?;
    let size = screenshot.size();
    let mut hits = Vec::new();
    target.last_hit(driver)?;
    for at in places(size) {
        driver.act(&Action::Click { at, button: MouseButton::Left, count: 1 })?;
        driver.settle(SETTLE)?;
        let pixels = target.last_hit(driver)?;
        let arrived = pixels.map(|pixels| Point::new(pixels.left, pixels.top));
        let shown = driver.screenshot()?;
        let is_seen = shown.pixels.get_pixel_checked(at.x as u32, at.y as u32).is_some_and(|p| p.0 == MARK);
        hits.push(Hit { meant: at, arrived, pixels, is_seen });
    }
    Ok(Calibration { size, device_pixel_ratio: screenshot.device_pixel_ratio, hits })
}

fn places(size: Size<Screen>) -> Vec<Point<Screen>> {
    let along = |length: f64, step: usize| ((length - 1.0) * step as f64 / (PER_AXIS - 1) as f64).round();
    let row = |y: usize| (0..PER_AXIS).map(move |x| Point::new(along(size.width, x), along(size.height, y)));
    (0..PER_AXIS).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_reach_the_corners() {
        let all = places(Size::of_pixels(641, 401));
        assert_eq!(all.len(), 25);
        assert_eq!(
            (all[0], all[24], all[12]),
            (Point::new(0.0, 0.0), Point::new(640.0, 400.0), Point::new(320.0, 200.0))
        );
    }

    #[test]
    fn an_error_is_the_distance_to_what_was_hit_and_a_lost_click_is_none() {
        let hit = |meant: (f64, f64), pixels: Option<[f64; 4]>| Hit {
            meant: Point::new(meant.0, meant.1),
            arrived: None,
            pixels: pixels.map(|[l, t, r, b]| Rect::new(l, t, r, b)),
            is_seen: true,
        };
        assert_eq!(hit((10.0, 20.0), Some([10.0, 20.0, 11.0, 21.0])).error_px(), Some(0.0));
        // At a ratio of 1.5 a CSS pixel covers half of a screenshot pixel more.
        assert_eq!(hit((1.0, 0.0), Some([1.5, 0.0, 3.0, 1.5])).error_px(), Some(0.0));
        let beside = hit((10.0, 20.0), Some([13.0, 20.0, 14.0, 21.0])).error_px().unwrap();
        assert!((beside - 2.0).abs() < 0.01, "{beside}");
        let lost = Calibration {
            size: Size::of_pixels(1, 1),
            device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap(),
            hits: vec![hit((0.0, 0.0), None)],
        };
        assert_eq!(lost.worst_px(), None);
        let unseen = Hit { is_seen: false, ..hit((10.0, 20.0), Some([10.0, 20.0, 11.0, 21.0])) };
        assert_eq!(Calibration { hits: vec![unseen], ..lost }.worst_px(), None);
    }
}
