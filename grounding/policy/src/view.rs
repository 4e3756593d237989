//! What a policy is shown of a screenshot, and what its numbers mean there.
//!
//! Invariant: a written coordinate becomes a screenshot point only through the map of the operation that made
//! the shown image.
//! Source: vigorl.md sections 2.1 and 2.2. Where an image exceeds the pixel limit, the reference resizes it
//! first (`fetch_image`, bicubic) and then speaks about the resized image; so do we. We differ in one way:
//! crops are then cut from the full screenshot, at the same place, so that a zoom shows what was lost.

use std::sync::Arc;

use image::RgbImage;
use vigorl_geometry::crop::{PlannedCrop, moved_inside, plan_region, plan_window};
use vigorl_geometry::fit::{FitError, ModelFit, PixelBudget, ShownFit, fit_to_network, smart_resize};
use vigorl_geometry::{
    Map, Model, Point, Rect, Screen, Shown, Size, Thousand, thousand_from_part, thousand_from_screen,
};

use crate::crops::{Border, CropSettings, ShownCrop, cut};
use crate::grammar::Coordinate;
use crate::resize::{Filter, resize};
use crate::wire::{Dot, ReadText, WrittenText};

/// A region costs at most one of so many parts of the visual tokens of the whole.
const SHARE_OF_REGION: u64 = 4;

/// In which space a model family writes coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSpace {
    /// Pixels of the image as handed to the message builder, which is no larger than what the network sees: ViGoRL.
    Image,
    /// Pixels of the screenshot, however small the network sees it: nano.
    Screenshot,
    /// Pixels of the image as the network sees it, after the processor's own resize: base Qwen2.5-VL.
    Resized,
    /// A grid of 0 to 1000 over the image.
    Thousand,
}

/// A screenshot as shown to a policy.
#[derive(Debug, Clone)]
pub struct View {
    image: Arc<RgbImage>,
    screenshot: Arc<RgbImage>,
    budget: PixelBudget,
    shown: ShownFit,
    seen: ModelFit<Shown>,
    frame: Frame,
    /// What of the screenshot is shown.
    part: Rect<Screen>,
}

/// In which space coordinates are written.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Screen,
    Shown(Map<Screen, Shown>),
    Model(Map<Screen, Model>),
    Thousand(Map<Screen, Thousand>),
}

impl View {
    /// Width and height of a `width` x `height` screenshot as the network sees it, after all resizing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn seen_size(
        (width, height): (u32, u32),
        space: AnswerSpace,
        max_pixels: u64,
        budget: PixelBudget,
    ) -> Result<(u32, u32), FitError> {
        let (width, height) = match limit(space, max_pixels, budget) {
            Some(limited) if exceeds((width, height), limited) => smart_resize(width, height, limited)?,
            _ => (width, height),
        };
        smart_resize(width, height, budget)
    }

    /// Prepares `screenshot` for a policy with the given processor `budget`.
    ///
    /// In [`AnswerSpace::Image`] an image of more than `max_pixels`, or more than the budget, is resized here; in
    /// [`AnswerSpace::Screenshot`] one of more than `max_pixels`. The new pixels are then those spoken about.
    ///
    /// # Errors
    /// [`FitError`] if the policy cannot be shown such an image.
    pub fn new(
        screenshot: &Arc<RgbImage>,
        space: AnswerSpace,
        max_pixels: u64,
        budget: PixelBudget,
    ) -> Result<Self, FitError> {
        let (width, height) = screenshot.dimensions();
        let whole = Size::of_pixels(width, height);
        let limited = limit(space, max_pixels, budget).filter(|limited| exceeds((width, height), *limited));
        let (image, shown) = match limited {
            Some(limited) => {
                let shown = ShownFit::within(whole, limited)?;
                (Arc::new(resize(screenshot, shown.width, shown.height, Filter::Bicubic)), shown)
            }
            None if width == 0 || height == 0 => return Err(FitError::Empty),
            None => (screenshot.clone(), ShownFit::unchanged(whole)),
        };
        let seen = fit_to_network(shown.size(), budget)?;
        let frame = match space {
            _ if limited.is_some() => Frame::Shown(shown.shown_from_screen.inverse()),
            AnswerSpace::Image | AnswerSpace::Screenshot => Frame::Screen,
            AnswerSpace::Resized => {
                Frame::Model(seen.model_from_image.after(shown.shown_from_screen).inverse())
            }
            AnswerSpace::Thousand => Frame::Thousand(thousand_from_screen(whole).inverse()),
        };
        Ok(Self { image, screenshot: screenshot.clone(), budget, shown, seen, frame, part: whole.whole() })
    }

    /// What could be shown of a screenshot where `wanted` is to be looked at first: a square around it in the screenshot's
    /// own pixels that costs at most a quarter of the visual tokens of the whole. Nothing where it does not fit in.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn region(
        wanted: Rect<Screen>,
        screenshot: (u32, u32),
        space: AnswerSpace,
        max_pixels: u64,
        budget: PixelBudget,
    ) -> Result<Option<PlannedCrop>, FitError> {
        let (width, height) = Self::seen_size(screenshot, space, max_pixels, budget)?;
        let n_tokens = u64::from(width / budget.factor) * u64::from(height / budget.factor);
        // Within a screenshot's side, so the cast is exact.
        let side_px = (n_tokens / SHARE_OF_REGION).isqrt() as u32 * budget.factor;
        let is_allowed = u64::from(side_px).pow(2) >= budget.min_pixels.max(1);
        let whole = Size::of_pixels(screenshot.0, screenshot.1);
        Ok(is_allowed.then(|| plan_region(wanted, whole, side_px)).flatten())
    }

    /// Prepares a part of `screenshot`, which is shown as if it were all of it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_part(
        screenshot: &Arc<RgbImage>,
        plan: PlannedCrop,
        space: AnswerSpace,
        budget: PixelBudget,
    ) -> Result<Self, FitError> {
        let shown = ShownFit::of_part(&plan);
        let seen = fit_to_network(shown.size(), budget)?;
        let frame = match space {
            AnswerSpace::Image | AnswerSpace::Screenshot => Frame::Shown(shown.shown_from_screen.inverse()),
            AnswerSpace::Resized => {
                Frame::Model(seen.model_from_image.after(shown.shown_from_screen).inverse())
            }
            AnswerSpace::Thousand => Frame::Thousand(thousand_from_part(plan.window).inverse()),
        };
        let cut_out =
            cut(screenshot, plan.window.center(), plan, fit_to_network(plan.size(), budget)?, Dot::Omit);
        let (image, part) = (cut_out.pixels, plan.window);
        Ok(Self { image, screenshot: screenshot.clone(), budget, shown, seen, frame, part })
    }

    /// The image to put into the conversation.
    pub fn image(&self) -> &Arc<RgbImage> {
        &self.image
    }

    /// From the screenshot to the image in the conversation.
    pub fn shown_from_screen(&self) -> Map<Shown, Screen> {
        self.shown.shown_from_screen
    }

    /// What the network makes of the image in the conversation.
    pub fn seen(&self) -> ModelFit<Shown> {
        self.seen
    }

    /// Size of the whole screenshot.
    pub fn screenshot_size(&self) -> Size<Screen> {
        Size::of_pixels(self.screenshot.width(), self.screenshot.height())
    }

    /// The screenshot point that a policy means by `written`; it may lie outside the screenshot.
    pub fn point(&self, written: Coordinate) -> Point<Screen> {
        match self.frame {
            Frame::Screen => Point::new(written.x, written.y),
            Frame::Shown(screen_from_shown) => screen_from_shown.apply(Point::new(written.x, written.y)),
            Frame::Model(screen_from_model) => screen_from_model.apply(Point::new(written.x, written.y)),
            Frame::Thousand(screen_from_thousand) => {
                screen_from_thousand.apply(Point::new(written.x, written.y))
            }
        }
    }

    /// Like [`Self::point`], or `None` where that is outside of what is shown of the screenshot.
    pub fn point_inside(&self, written: Coordinate) -> Option<Point<Screen>> {
        Some(self.point(written)).filter(|point| self.part.contains(*point))
    }

    /// What a policy writes for a screenshot point, not rounded: for training data.
    pub fn written(&self, point: Point<Screen>) -> Coordinate {
        let number = |(x, y)| Coordinate { x, y };
        match self.frame {
            Frame::Screen => number((point.x, point.y)),
            Frame::Shown(screen_from_shown) => number(screen_from_shown.inverse().apply(point).into()),
            Frame::Model(screen_from_model) => number(screen_from_model.inverse().apply(point).into()),
            Frame::Thousand(screen_from_thousand) => {
                number(screen_from_thousand.inverse().apply(point).into())
            }
        }
    }

    /// What was read on the screenshot, in whole numbers that a policy would write; what lies outside of the part that is
    /// shown is left out.
    pub fn texts_written(&self, read: &[ReadText]) -> Vec<WrittenText> {
        let shown = read.iter().filter(|read| self.part.contains(read.at));
        let told = |read: &ReadText| {
            let at = self.written(read.at);
            WrittenText { text: read.text.clone(), at: Coordinate { x: at.x.floor(), y: at.y.floor() } }
        };
        shown.map(told).collect()
    }

    /// Whole numbers that a policy may write for a point on the screenshot are below these, by axis; at least 1.
    pub fn written_below(&self) -> [u32; 2] {
        let corner = self.written(Point::new(self.part.right, self.part.bottom));
        // Rounding in the map may have carried the end beyond itself.
        let last_inside = |end: f64, at: &dyn Fn(f64) -> Coordinate| {
            let end = (end.ceil() as u32).max(1);
            let is_outside = self.point_inside(at(f64::from(end - 1))).is_none();
            end.saturating_sub(u32::from(is_outside)).max(1)
        };
        [
            last_inside(corner.x, &|x| Coordinate { x, y: 0.0 }),
            last_inside(corner.y, &|y| Coordinate { x: 0.0, y }),
        ]
    }

    /// The crop that a policy gets for a zoom on `written`.
    ///
    /// The offset counts in the pixels that the policy speaks about; only on the 0-1000 grid it counts in screenshot
    /// pixels. The side goes through the processor's own rule: 512 becomes 504 with a factor of 28.
    ///
    /// # Errors
    /// [`FitError`] if the side is 0.
    pub fn crop(&self, written: Coordinate, settings: CropSettings) -> Result<ShownCrop, FitError> {
        let (side_px, _) = smart_resize(settings.side_px, settings.side_px, self.budget)?;
        let center = self.point(written);
        let mut wanted = self.window(written, center, f64::from(settings.offset_px));
        if settings.border == Border::Move {
            wanted = moved_inside(wanted, self.screenshot_size());
        }
        let plan = plan_window(wanted, self.screenshot_size(), side_px);
        let seen = fit_to_network(plan.size(), self.budget)?;
        Ok(cut(&self.screenshot, center, plan, seen, settings.dot))
    }

    /// Whether two points are at most `share` of a crop's sides apart, where no border cuts it.
    pub fn are_close(&self, a: Point<Screen>, b: Point<Screen>, share: f64, settings: CropSettings) -> bool {
        let whole = self.window(self.written(a), a, f64::from(settings.offset_px));
        (a.x - b.x).abs() <= whole.width() * share && (a.y - b.y).abs() <= whole.height() * share
    }

    fn window(&self, written: Coordinate, center: Point<Screen>, offset: f64) -> Rect<Screen> {
        match self.frame {
            Frame::Shown(screen_from_shown) => {
                screen_from_shown.apply_rect(square(written.x, written.y, offset))
            }
            Frame::Model(screen_from_model) => {
                screen_from_model.apply_rect(square(written.x, written.y, offset))
            }
            Frame::Screen | Frame::Thousand(_) => square(center.x, center.y, offset),
        }
    }
}

/// What a screenshot is reduced to before it is shown; none where the processor's own resize is the only one.
fn limit(space: AnswerSpace, max_pixels: u64, budget: PixelBudget) -> Option<PixelBudget> {
    let max_pixels = match space {
        AnswerSpace::Screenshot => max_pixels,
        AnswerSpace::Image => max_pixels.min(budget.max_pixels),
        AnswerSpace::Resized | AnswerSpace::Thousand => return None,
    };
    Some(PixelBudget { max_pixels, min_pixels: budget.min_pixels.min(max_pixels), ..budget })
}

fn exceeds((width, height): (u32, u32), limited: PixelBudget) -> bool {
    u64::from(width) * u64::from(height) > limited.max_pixels
}

fn square<S>(x: f64, y: f64, offset: f64) -> Rect<S> {
    Rect::new(x - offset, y - offset, x + offset, y + offset)
}

#[cfg(test)]
mod tests {
    use vigorl_geometry::crop::plan_crop;

    use super::*;

    const BUDGET: PixelBudget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 };

    fn view(width: u32, height: u32, space: AnswerSpace, max_pixels: u64) -> View {
        View::new(&Arc::new(RgbImage::new(width, height)), space, max_pixels, BUDGET).unwrap()
    }

    #[track_caller]
    fn check(view: &View, written: (f64, f64), expected: (f64, f64)) {
        let written = Coordinate { x: written.0, y: written.1 };
        let point = view.point(written);
        assert!(point.distance(Point::new(expected.0, expected.1)) < 1e-9, "{point:?}");
        let back = view.written(point);
        assert!((back.x - written.x).abs() < 1e-9 && (back.y - written.y).abs() < 1e-9, "{back}");
    }

    #[test]
    fn what_may_be_written_lies_on_the_screenshot_and_reaches_its_end() {
        for (width, height) in [(1, 1), (192, 160), (640, 480), (1280, 800), (1023, 767), (3840, 2160)] {
            for space in
                [AnswerSpace::Image, AnswerSpace::Screenshot, AnswerSpace::Resized, AnswerSpace::Thousand]
            {
                for max_pixels in [10_000, 500_000, 12_960_000] {
                    let view = view(width, height, space, max_pixels);
                    let [x, y] = view.written_below().map(f64::from);
                    let is_inside = |x, y| view.point_inside(Coordinate { x, y }).is_some();
                    assert!(is_inside(x - 1.0, y - 1.0), "({x}, {y}) in {space:?}");
                    assert!(
                        !is_inside(x + 1e-6, 0.0) && !is_inside(0.0, y + 1e-6),
                        "({x}, {y}) in {space:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_seen_size_is_that_of_the_shown_image() {
        let tight = PixelBudget { max_pixels: 500_000, ..BUDGET };
        let nano = PixelBudget { factor: 16, min_pixels: 256, max_pixels: 6_400 };
        for (size, space, max_pixels, budget, expected) in [
            ((1280, 800), AnswerSpace::Image, 12_960_000, BUDGET, (1288, 812)),
            ((1280, 800), AnswerSpace::Image, 12_960_000, tight, (868, 532)),
            ((1280, 800), AnswerSpace::Resized, 12_960_000, tight, (868, 532)),
            ((192, 160), AnswerSpace::Screenshot, 192 * 160, nano, (80, 64)),
            ((1280, 800), AnswerSpace::Screenshot, 192 * 160, nano, (96, 48)),
        ] {
            let seen = View::seen_size(size, space, max_pixels, budget).unwrap();
            assert_eq!(seen, expected, "{size:?} in {space:?}");
            let screenshot = Arc::new(RgbImage::new(size.0, size.1));
            let shown = View::new(&screenshot, space, max_pixels, budget).unwrap();
            let (width, height) = shown.image().dimensions();
            assert_eq!(seen, smart_resize(width, height, budget).unwrap());
        }
    }

    #[test]
    fn each_space_is_mapped_to_the_screenshot() {
        check(&view(1280, 800, AnswerSpace::Image, u64::MAX), (640.0, 400.0), (640.0, 400.0));
        // The network sees 1288 x 812.
        check(&view(1280, 800, AnswerSpace::Resized, u64::MAX), (644.0, 203.0), (640.0, 200.0));
        check(&view(1280, 800, AnswerSpace::Thousand, u64::MAX), (500.0, 250.0), (640.0, 200.0));
    }

    #[test]
    fn an_image_over_the_limit_is_resized_and_spoken_about_in_its_new_pixels() {
        let view = view(1120, 560, AnswerSpace::Image, 560 * 280);
        assert_eq!(view.image().dimensions(), (560, 280));
        check(&view, (100.0, 50.0), (200.0, 100.0));
        let crop = view.crop(Coordinate { x: 100.0, y: 50.0 }, settings(20, 56)).unwrap();
        assert_eq!(crop.plan.window, Rect::new(160.0, 60.0, 240.0, 140.0));
    }

    #[test]
    fn within_the_limit_a_crop_is_the_planned_one_and_its_side_a_multiple_of_the_factor() {
        let view = view(1280, 800, AnswerSpace::Image, u64::MAX);
        let crop = view.crop(Coordinate { x: 1250.0, y: 10.0 }, settings(100, 512)).unwrap();
        let expected = plan_crop(Point::new(1250.0, 10.0), Size::of_pixels(1280, 800), 100, 504);
        assert_eq!(crop.plan, expected);
        assert_eq!(crop.pixels.dimensions(), (504, 504));
    }

    #[test]
    fn on_the_screenshot_numbers_stay_its_pixels_however_small_it_is_seen() {
        let limited = PixelBudget { max_pixels: 280 * 140, ..BUDGET };
        let screenshot = Arc::new(RgbImage::new(1120, 560));
        let view = View::new(&screenshot, AnswerSpace::Screenshot, 1120 * 560, limited).unwrap();
        assert_eq!(view.image().dimensions(), (1120, 560));
        check(&view, (100.0, 50.0), (100.0, 50.0));
        // Only above the preset's own limit they are those of a smaller image.
        let view = View::new(&screenshot, AnswerSpace::Screenshot, 560 * 280, limited).unwrap();
        check(&view, (100.0, 50.0), (200.0, 100.0));
    }

    #[test]
    fn a_part_is_spoken_about_as_if_it_were_all_and_costs_a_quarter_at_most() {
        let screenshot = Arc::new(RgbImage::new(1280, 800));
        let wanted = Rect::new(900.0, 700.0, 1000.0, 720.0);
        for (space, middle) in [
            (AnswerSpace::Image, (252.0, 252.0)),
            (AnswerSpace::Resized, (252.0, 252.0)),
            (AnswerSpace::Thousand, (500.0, 500.0)),
        ] {
            let plan = View::region(wanted, (1280, 800), space, u64::MAX, BUDGET).unwrap().unwrap();
            assert_eq!(plan.window, Rect::new(698.0, 296.0, 1202.0, 800.0));
            let whole = View::new(&screenshot, space, u64::MAX, BUDGET).unwrap().seen();
            let part = View::of_part(&screenshot, plan, space, BUDGET).unwrap();
            let n_tokens = |seen: ModelFit<Shown>| (seen.width / 28) * (seen.height / 28);
            assert_eq!((n_tokens(whole), n_tokens(part.seen())), (1334, 324));
            assert_eq!(part.image().dimensions(), (504, 504));
            check(&part, middle, (950.0, 548.0));
            // What was not shown is not answered.
            let outside = part.written(Point::new(100.0, 100.0));
            assert_eq!(part.point_inside(outside), None);
            let [x, y] = part.written_below().map(f64::from);
            let at = |x, y| part.point_inside(Coordinate { x, y }).is_some();
            assert!(at(x - 1.0, y - 1.0) && !at(x + 1e-6, 0.0) && !at(0.0, y + 1e-6), "({x}, {y})");
        }
        let region = |wanted, size, budget| View::region(wanted, size, AnswerSpace::Image, u64::MAX, budget);
        assert_eq!(region(Rect::new(0.0, 0.0, 900.0, 20.0), (1280, 800), BUDGET), Ok(None));
        // A policy that sees few tokens of the whole would see next to nothing of a part.
        let nano = PixelBudget { factor: 16, min_pixels: 256, max_pixels: 6_400 };
        let plan = region(Rect::new(10.0, 10.0, 20.0, 20.0), (1280, 800), nano).unwrap().unwrap();
        assert_eq!(plan.side_px, 32);
    }

    #[test]
    fn a_moved_window_keeps_its_size_and_shows_its_point() {
        let view = view(1120, 560, AnswerSpace::Image, u64::MAX);
        let moved = CropSettings { border: Border::Move, ..settings(20, 56) };
        let window = |x, y| view.crop(Coordinate { x, y }, moved).unwrap().plan.window;
        assert_eq!(window(500.0, 300.0), Rect::new(480.0, 280.0, 520.0, 320.0));
        assert_eq!(window(1119.0, 3.0), Rect::new(1080.0, 0.0, 1120.0, 40.0));
        assert_eq!(window(-9.0, 2000.0), Rect::new(0.0, 520.0, 40.0, 560.0));
    }

    #[test]
    fn closeness_is_measured_in_whole_crops_also_at_the_border() {
        let view = view(1120, 560, AnswerSpace::Image, 560 * 280);
        // A crop is 80 x 80 pixels of the screenshot.
        let close = |x, y| view.are_close(Point::new(4.0, 300.0), Point::new(x, y), 0.25, settings(20, 56));
        assert!(close(4.0, 300.0) && close(24.0, 280.0) && !close(25.0, 300.0) && !close(4.0, 321.0));
    }

    #[test]
    fn an_image_that_no_processor_takes_is_an_error() {
        let thin = Arc::new(RgbImage::new(1, 300));
        let result = View::new(&thin, AnswerSpace::Image, u64::MAX, BUDGET);
        assert_eq!(result.unwrap_err(), FitError::TooElongated { width: 1, height: 300 });
    }

    fn settings(offset_px: u32, side_px: u32) -> CropSettings {
        CropSettings { offset_px, side_px, dot: Dot::Omit, border: Border::Cut }
    }
}
