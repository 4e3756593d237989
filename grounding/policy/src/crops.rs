//! Cuts zoom crops out of a screenshot: the one implementation for demo, evaluation and training.
//!
//! Invariant: the plan says which pixels; here they are cut, marked and resized, in this order.
//! Source: vigorl.md section 2.3 and the column "Evaluation" of 2.4 (dot radius 7, bicubic).

use std::sync::Arc;

use image::{Rgb, RgbImage, imageops};
use vigorl_geometry::crop::PlannedCrop;
use vigorl_geometry::fit::ModelFit;
use vigorl_geometry::{Crop, Point, Screen};

use crate::resize::{Filter, resize};
use crate::wire::Dot;

/// What a zoom shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropSettings {
    /// Half side of the window, in pixels of the image that the policy speaks about.
    pub offset_px: u32,
    /// Side of the crop as shown, before the processor's own rounding.
    pub side_px: u32,
    /// Whether the point is marked.
    pub dot: Dot,
    /// What happens to a window that reaches beyond the screenshot.
    pub border: Border,
}

/// What happens to a window that reaches beyond the screenshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// It is cut off there and what is left is stretched to a square: ViGoRL.
    Cut,
    /// It is moved inside, so that shapes stay as they are; its point is then not in the middle.
    Move,
}

/// A crop as shown to the policy.
#[derive(Debug, Clone)]
pub struct ShownCrop {
    /// Which pixels of the screenshot, and the map to the crop.
    pub plan: PlannedCrop,
    /// What the network makes of it.
    pub seen: ModelFit<Crop>,
    /// The pixels, `plan.side_px` squared.
    pub pixels: Arc<RgbImage>,
}

/// The crop of a turn that is over.
#[derive(Debug, Clone)]
pub struct KeptCrop {
    /// Which pixels of the screenshot, and the map to the crop.
    pub plan: PlannedCrop,
    /// The pixels, unless they were dropped to save memory.
    pub pixels: Option<Arc<RgbImage>>,
}

impl From<ShownCrop> for KeptCrop {
    fn from(ShownCrop { plan, pixels, .. }: ShownCrop) -> Self {
        Self { plan, pixels: Some(pixels) }
    }
}

const DOT_RADIUS_PX: f64 = 7.0;
const DOT_RIM_PX: f64 = 2.0;
const RED: Rgb<u8> = Rgb([255, 0, 0]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// Cuts the planned window, marks `center` in it, and resizes.
pub(crate) fn cut(
    screenshot: &RgbImage,
    center: Point<Screen>,
    plan: PlannedCrop,
    seen: ModelFit<Crop>,
    dot: Dot,
) -> ShownCrop {
    // The edges are whole pixels inside the screenshot, so the casts are exact.
    let (left, top) = (plan.window.left as u32, plan.window.top as u32);
    let (width, height) = (plan.window.width() as u32, plan.window.height() as u32);
    let mut window = imageops::crop_imm(screenshot, left, top, width, height).to_image();
    if dot == Dot::Draw {
        draw_dot(&mut window, center.x - plan.window.left, center.y - plan.window.top);
    }
    let pixels = Arc::new(resize(&window, plan.side_px, plan.side_px, Filter::Bicubic));
    ShownCrop { plan, seen, pixels }
}

/// Draws the dot around a whole pixel, as far as it lies in the image: the pixels of Pillow's `ellipse`.
fn draw_dot(image: &mut RgbImage, x: f64, y: f64) {
    let (center_x, center_y) = (x.round_ties_even(), y.round_ties_even());
    let outer = (DOT_RADIUS_PX + 0.5).powi(2);
    let inner = (DOT_RADIUS_PX - DOT_RIM_PX + 0.5).powi(2);
    for (px, py, pixel) in image.enumerate_pixels_mut() {
        let squared = (f64::from(px) - center_x).powi(2) + (f64::from(py) - center_y).powi(2);
        if squared < inner {
            *pixel = RED;
        } else if squared < outer {
            *pixel = WHITE;
        }
    }
}

#[cfg(test)]
mod tests {
    use vigorl_geometry::Size;
    use vigorl_geometry::crop::plan_crop;
    use vigorl_geometry::fit::{PixelBudget, fit_to_network};

    use super::*;

    /// A quarter of what Pillow 12.0 draws with `ellipse([-7, -7, 7, 7], fill="red", outline="white", width=2)`,
    /// from the center outwards.
    const PILLOW_QUARTER: [&str; 9] = [
        "rrrrrrWW.",
        "rrrrrrWW.",
        "rrrrrrWW.",
        "rrrrrWW..",
        "rrrrWWW..",
        "rrrWWW...",
        "WWWWW....",
        "WWW......",
        ".........",
    ];

    #[test]
    fn the_dot_is_pillows() {
        let mut image = RgbImage::new(21, 21);
        draw_dot(&mut image, 10.0, 10.0);
        for (x, y, pixel) in image.enumerate_pixels() {
            let row = PILLOW_QUARTER.get(y.abs_diff(10) as usize).copied().unwrap_or(".........");
            let expected = match row.as_bytes().get(x.abs_diff(10) as usize) {
                Some(b'r') => RED,
                Some(b'W') => WHITE,
                _ => Rgb([0, 0, 0]),
            };
            assert_eq!(*pixel, expected, "at {x}, {y}");
        }
    }

    /// Each pixel tells where it is.
    fn numbered(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7]))
    }

    fn seen(plan: &PlannedCrop) -> ModelFit<Crop> {
        let budget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 };
        fit_to_network(plan.size(), budget).unwrap()
    }

    #[track_caller]
    fn check_unscaled(center: (f64, f64), window: (u32, u32, u32, u32)) {
        let screenshot = numbered(64, 48);
        let (left, top, right, bottom) = window;
        let plan = plan_crop(Point::new(center.0, center.1), Size::of_pixels(64, 48), 8, right - left);
        let crop = cut(&screenshot, Point::new(center.0, center.1), plan, seen(&plan), Dot::Omit);
        assert_eq!(right - left, bottom - top, "only squares stay unscaled");
        for (x, y, pixel) in crop.pixels.enumerate_pixels() {
            assert_eq!(*pixel, Rgb([(left + x) as u8, (top + y) as u8, 7]));
        }
    }

    #[test]
    fn a_crop_shows_the_pixels_around_the_point() {
        check_unscaled((30.0, 20.0), (22, 12, 38, 28));
    }

    #[test]
    fn at_a_corner_the_window_shrinks() {
        check_unscaled((0.0, 0.0), (0, 0, 8, 8));
        check_unscaled((64.0, 48.0), (56, 40, 64, 48));
        check_unscaled((1000.0, 1000.0), (63, 47, 64, 48));
    }

    #[test]
    fn a_dot_at_the_border_is_clipped_and_in_place() {
        let plan = plan_crop(Point::new(0.0, 20.0), Size::of_pixels(64, 48), 8, 16);
        let crop = cut(&numbered(64, 48), Point::new(0.0, 20.0), plan, seen(&plan), Dot::Draw);
        // The window of 8 x 16 is stretched to 16 x 16; its left edge is the middle of the dot.
        assert_eq!(*crop.pixels.get_pixel(0, 8), RED);
        assert_ne!(*crop.pixels.get_pixel(0, 0), RED);
    }
}
