//! What an action did, in the words of records, and the evidence for it.
//!
//! Invariants: an effect is read off observations (pixels, address, title, dialog), never off the fact that
//! the driver returned without an error; here alone is said which pixels differ, and what is a blinking caret.

use image::RgbImage;
use serde::{Deserialize, Serialize};
use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};

use crate::{PageState, Settled};

/// Largest box of a blinking text caret, in CSS pixels.
const CARET: (f64, f64) = (4.0, 64.0);
/// A change that comes this close to the action's point counts as its own.
const NEAR_PX: f64 = 32.0;

/// What an action did to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Address, title or dialog changed, or pixels at the action's point.
    Confirmed,
    /// Pixels changed, but none near the action's point.
    Partial,
    /// The page never stopped changing by itself: no cause can be named for what differs, and a page that looks as
    /// before may do so by chance.
    Unverifiable,
    /// Nothing changed.
    SuspectedNoop,
    /// Nothing was executed: the policy named no point, or the driver refused.
    Refused,
}

impl Effect {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Partial => "partial",
            Self::Unverifiable => "unverifiable",
            Self::SuspectedNoop => "suspected_noop",
            Self::Refused => "refused",
        }
    }
}

/// Which pixels differ between two captures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelChange {
    /// Number of differing pixels.
    pub n_pixels: u64,
    /// The smallest box around them.
    pub bounds: Rect<Screen>,
}

impl PixelChange {
    /// Whether it is no more than a caret that blinks, on a screen of this ratio.
    pub fn is_caret(&self, ratio: DevicePixelRatio) -> bool {
        is_caret(self.bounds, ratio)
    }
}

/// Whether a change within these bounds, in pixels of a screen of this ratio, is no more than a caret that blinks. A
/// thin line that is taller than a line of text, such as the bar of a selection that moves, is none.
pub fn is_caret<S>(bounds: Rect<S>, ratio: DevicePixelRatio) -> bool {
    let ratio = ratio.get();
    bounds.width() <= CARET.0 * ratio && bounds.height() <= CARET.1 * ratio
}

/// Whether two captures show the same, except for a caret that blinks.
pub fn same_but_for_a_caret(a: &RgbImage, b: &RgbImage, ratio: DevicePixelRatio) -> bool {
    a.dimensions() == b.dimensions() && pixel_change(a, b).is_none_or(|change| change.is_caret(ratio))
}

/// The differing pixels, or `None` if the captures are equal. Captures of different sizes differ everywhere.
pub fn pixel_change(before: &RgbImage, after: &RgbImage) -> Option<PixelChange> {
    pixel_change_beside(before, after, None)
}

/// The same without the pixels in a box.
pub fn pixel_change_beside(
    before: &RgbImage,
    after: &RgbImage,
    left_out: Option<Rect<Screen>>,
) -> Option<PixelChange> {
    let (width, height) = after.dimensions();
    if before.dimensions() != after.dimensions() {
        let bounds = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        return Some(PixelChange { n_pixels: u64::from(width) * u64::from(height), bounds });
    }
    let row_bytes = width as usize * 3;
    if row_bytes == 0 {
        return None;
    }
    let rows = before.as_raw().chunks_exact(row_bytes).zip(after.as_raw().chunks_exact(row_bytes));
    let (mut n_pixels, mut columns, mut lines) = (0u64, (usize::MAX, 0), (usize::MAX, 0));
    for (y, (a, b)) in rows.enumerate().filter(|(_, (a, b))| a != b) {
        let is_left_out =
            |x: usize| left_out.is_some_and(|part| part.contains(Point::new(x as f64 + 0.5, y as f64 + 0.5)));
        let pixels = a.chunks_exact(3).zip(b.chunks_exact(3)).enumerate();
        for (x, _) in pixels.filter(|(x, (p, q))| p != q && !is_left_out(*x)) {
            lines = (lines.0.min(y), y + 1);
            n_pixels += 1;
            columns = (columns.0.min(x), columns.1.max(x + 1));
        }
    }
    (n_pixels > 0).then(|| PixelChange {
        n_pixels,
        bounds: Rect::new(columns.0 as f64, lines.0 as f64, columns.1 as f64, lines.1 as f64),
    })
}

/// Names the effect of an executed action at `at` (`None` for keyboard actions). `pixels` is what changed besides a
/// caret that blinks ([`PixelChange::is_caret`]), and besides what moves without end.
pub fn classify(
    pixels: Option<PixelChange>,
    before: &PageState,
    after: &PageState,
    settled: Settled,
    at: Option<Point<Screen>>,
) -> Effect {
    if after.dialog != before.dialog || after.url != before.url || after.title != before.title {
        return Effect::Confirmed;
    }
    if matches!(settled, Settled::Capped { .. }) {
        return Effect::Unverifiable;
    }
    let Some(change) = pixels else {
        // What it did may be what moves.
        return if settled.moving().is_some() { Effect::Unverifiable } else { Effect::SuspectedNoop };
    };
    let b = change.bounds;
    let reach = Rect::<Screen>::new(b.left - NEAR_PX, b.top - NEAR_PX, b.right + NEAR_PX, b.bottom + NEAR_PX);
    if at.is_none_or(|p| reach.contains(p)) { Effect::Confirmed } else { Effect::Partial }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const QUIET: Settled = Settled::Quiet { after: Duration::ZERO };
    const CAPPED: Settled = Settled::Capped { after: Duration::ZERO };

    fn one() -> DevicePixelRatio {
        DevicePixelRatio::new(1.0).unwrap()
    }

    fn painted(boxes: &[[u32; 4]]) -> RgbImage {
        RgbImage::from_fn(100, 80, |x, y| {
            let inside = boxes.iter().any(|b| x >= b[0] && y >= b[1] && x < b[2] && y < b[3]);
            image::Rgb(if inside { [200, 10, 10] } else { [255, 255, 255] })
        })
    }

    #[test]
    fn changed_pixels_are_counted_and_bounded() {
        assert_eq!(pixel_change(&painted(&[]), &painted(&[])), None);
        let change = pixel_change(&painted(&[]), &painted(&[[10, 20, 14, 26], [0, 70, 1, 71]])).unwrap();
        assert_eq!(change.n_pixels, 25);
        assert_eq!(change.bounds, Rect::new(0.0, 20.0, 14.0, 71.0));
        let resized = pixel_change(&RgbImage::new(3, 2), &RgbImage::new(4, 2)).unwrap();
        assert_eq!(resized.n_pixels, 8);
    }

    #[test]
    fn what_moves_without_end_is_left_out_and_proves_nothing() {
        let within = Rect::new(10.0, 20.0, 40.0, 60.0);
        let moving = Settled::Moving { after: Duration::ZERO, within };
        let same = PageState::default();
        let effect = |boxes: &[[u32; 4]], at: [f64; 2]| {
            let change = pixel_change_beside(&painted(&[[12, 22, 30, 40]]), &painted(boxes), moving.moving());
            classify(change, &same, &same, moving, Some(Point::new(at[0], at[1])))
        };
        assert_eq!(effect(&[[14, 24, 39, 59]], [20.0, 30.0]), Effect::Unverifiable);
        assert_eq!(effect(&[[14, 24, 39, 59]], [90.0, 70.0]), Effect::Unverifiable);
        assert_eq!(effect(&[[14, 24, 39, 59], [80, 60, 99, 79]], [90.0, 70.0]), Effect::Confirmed);
        assert_eq!(effect(&[[14, 24, 39, 59], [80, 60, 99, 79]], [5.0, 5.0]), Effect::Partial);
        let moved = pixel_change_beside(&painted(&[]), &painted(&[[5, 20, 20, 30]]), Some(within)).unwrap();
        assert_eq!((moved.n_pixels, moved.bounds), (50, Rect::new(5.0, 20.0, 10.0, 30.0)));
    }

    #[test]
    fn effects_are_read_off_observations() {
        let same = PageState::default();
        let other = PageState { url: Some("about:blank".to_owned()), ..PageState::default() };
        let check = |boxes: &[[u32; 4]], after: &PageState, settled, at, expect| {
            let pixels =
                pixel_change(&painted(&[]), &painted(boxes)).filter(|change| !change.is_caret(one()));
            let got = classify(pixels, &same, after, settled, at);
            assert_eq!(got, expect, "{boxes:?} {settled:?} {at:?}");
        };
        let at = Some(Point::new(12.0, 22.0));
        check(&[], &same, QUIET, at, Effect::SuspectedNoop);
        check(&[], &other, CAPPED, at, Effect::Confirmed);
        check(&[[10, 20, 20, 30]], &same, QUIET, at, Effect::Confirmed);
        check(&[[80, 70, 90, 78]], &same, QUIET, at, Effect::Partial);
        check(&[[80, 70, 90, 78]], &same, QUIET, None, Effect::Confirmed);
        check(&[[10, 20, 20, 30]], &same, CAPPED, at, Effect::Unverifiable);
        check(&[], &same, CAPPED, at, Effect::Unverifiable);
        // A caret that blinks at the point is not an effect.
        check(&[[12, 20, 13, 36]], &same, QUIET, at, Effect::SuspectedNoop);
        // A thin bar that moves further than a line of text is high is one.
        check(&[[12, 0, 14, 10], [12, 70, 14, 80]], &same, QUIET, at, Effect::Confirmed);
    }

    #[test]
    fn a_caret_grows_with_the_screen_and_hides_nothing_else() {
        let two = DevicePixelRatio::new(2.0).unwrap();
        let check = |size: (f64, f64), ratio, expect| {
            assert_eq!(is_caret(Rect::<Screen>::new(9.0, 5.0, 9.0 + size.0, 5.0 + size.1), ratio), expect);
        };
        check((4.0, 64.0), one(), true);
        check((4.0, 65.0), one(), false);
        check((5.0, 16.0), one(), false);
        check((8.0, 128.0), two, true);
        check((9.0, 128.0), two, false);
        let (plain, blinked) = (painted(&[]), painted(&[[12, 20, 13, 36]]));
        assert!(same_but_for_a_caret(&plain, &plain, one()) && same_but_for_a_caret(&plain, &blinked, one()));
        assert!(!same_but_for_a_caret(&plain, &painted(&[[12, 20, 30, 36]]), one()));
        assert!(!same_but_for_a_caret(&RgbImage::new(3, 3), &RgbImage::new(3, 2), one()));
    }
}
