//! Plans zoom crops. Invariant: a crop lies inside the screenshot and is never empty, for any point.
//!
//! Source: ViGoRL, grounded-rl@e7970c0 (`_get_point_crop` and its four siblings), summarised in the
//! specification's section 2.3: the window of half side `offset_px` around the point is intersected with the
//! screenshot and then *stretched* to a square, so the aspect ratio changes at borders. We differ in two ways:
//! the reference leaves the window outside when the point is outside; here it keeps one pixel inside. And a
//! window may be moved inside first ([`moved_inside`]), so that it keeps its size and shape at borders.

use crate::map::Map;
use crate::shape::{Point, Rect, Size};
use crate::space::{Crop, Screen};

/// A planned crop: which pixels of the screenshot are shown, and at what size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedCrop {
    /// Whole-pixel window in the screenshot.
    pub window: Rect<Screen>,
    /// Side of the square it is stretched to, in pixels.
    pub side_px: u32,
    /// From screenshot pixels to pixels of the resized crop.
    pub crop_from_screen: Map<Crop, Screen>,
}

impl PlannedCrop {
    /// Size of the resized crop.
    pub fn size(&self) -> Size<Crop> {
        Size::of_pixels(self.side_px, self.side_px)
    }
}

/// Plans the crop of half side `offset_px` around `center`, shown as a square of `side_px`.
///
/// The edges are rounded to whole pixels, halves to even, as Pillow does with a float box. A coordinate of
/// `center` that is not finite counts as 0.
///
/// # Panics
/// If the screenshot has no pixels or `side_px` is 0 (caller's bug).
pub fn plan_crop(
    center: Point<Screen>,
    screenshot: Size<Screen>,
    offset_px: u32,
    side_px: u32,
) -> PlannedCrop {
    let offset = f64::from(offset_px);
    let finite = |c: f64| if c.is_finite() { c } else { 0.0 };
    let (x, y) = (finite(center.x), finite(center.y));
    plan_window(Rect::new(x - offset, y - offset, x + offset, y + offset), screenshot, side_px)
}

/// The window nearest to `wanted` that has its size and lies on the screenshot; along an axis on which `wanted`
/// is longer than the screenshot, all of the screenshot.
pub fn moved_inside(wanted: Rect<Screen>, screenshot: Size<Screen>) -> Rect<Screen> {
    let axis = |low: f64, high: f64, side: f64| {
        let length = (high - low).min(side);
        let low = low.clamp(0.0, side - length);
        (low, low + length)
    };
    let (left, right) = axis(wanted.left, wanted.right, screenshot.width);
    let (top, bottom) = axis(wanted.top, wanted.bottom, screenshot.height);
    Rect::new(left, top, right, bottom)
}

/// Plans the crop of the part of `wanted` that lies on the screenshot, shown as a square of `side_px`.
///
/// For windows that were chosen on a resized copy and mapped back; else use [`plan_crop`].
///
/// # Panics
/// If the screenshot has no pixels or `side_px` is 0 (caller's bug).
pub fn plan_window(wanted: Rect<Screen>, screenshot: Size<Screen>, side_px: u32) -> PlannedCrop {
    assert!(screenshot.width >= 1.0 && screenshot.height >= 1.0, "the screenshot has no pixels");
    let axis = |low: f64, high: f64, side: f64| {
        let whole = |edge: f64| if edge.is_nan() { 0.0 } else { edge.round_ties_even() };
        let low = whole(low).clamp(0.0, side - 1.0);
        (low, whole(high).clamp(low + 1.0, side))
    };
    let (left, right) = axis(wanted.left, wanted.right, screenshot.width);
    let (top, bottom) = axis(wanted.top, wanted.bottom, screenshot.height);
    let window = Rect::new(left, top, right, bottom);
    let crop_from_screen = Map::stretch(window, Size::of_pixels(side_px, side_px));
    PlannedCrop { window, side_px, crop_from_screen }
}

/// Plans what is shown of a screenshot where `wanted` is to be looked at first: a square around it in the screenshot's own
/// pixels, at most `side_px` wide. Nothing where `wanted` does not fit into that, or the square would be no smaller than
/// the screenshot.
///
/// # Panics
/// If `side_px` is 0 (caller's bug).
pub fn plan_region(wanted: Rect<Screen>, screenshot: Size<Screen>, side_px: u32) -> Option<PlannedCrop> {
    assert!(side_px > 0, "a region has pixels");
    let side = f64::from(side_px).min(screenshot.width).min(screenshot.height).floor();
    let (center, half) = (wanted.center(), side / 2.0);
    let is_whole = side >= screenshot.width && side >= screenshot.height;
    if wanted.width().max(wanted.height()) > side || side < 1.0 || is_whole {
        return None;
    }
    let (left, top) = ((center.x - half).round_ties_even(), (center.y - half).round_ties_even());
    let square = moved_inside(Rect::new(left, top, left + side, top + side), screenshot);
    // Whole and small, so the cast is exact.
    Some(plan_window(square, screenshot, side as u32))
}
