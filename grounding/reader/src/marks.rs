//! The small things that one ticks: checkboxes, radio buttons, switches. They are told by their outline.
//!
//! Invariant: only the outline decides; whether a thing is ticked changes nothing. Icons and pictures are as small, so a
//! thing of the outline that is asked for is preferred, wherever one is.

use image::RgbImage;

use crate::instruction::Kind;
use crate::shapes::{Pixels, corner_cut, is_edge_column, is_edge_row};

/// Smallest height and width, in pixels.
const LEAST_PX: u32 = 8;
/// Largest height, and the largest width of a switch: in pixels beside small text, in heights of a line beside large text.
const LARGEST_PX: (u32, u32) = (40, 60);
const LARGEST: (f64, f64) = (2.2, 2.6);
/// A corner that is cut by more of the height than this is that of a disc. A disc cuts about 0.27, the roundest squares
/// about 0.13.
const ROUND: f64 = 0.19;

/// What a small thing looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outline {
    /// Four straight sides, equally long: a checkbox.
    Square,
    /// A ring or a disc: a radio button.
    Round,
    /// Longer than high, with equal corners: a switch.
    Long,
    /// None of these.
    Other,
}

impl Outline {
    /// Of a thing with these edges.
    pub(crate) fn of(image: &RgbImage, thing: Pixels) -> Self {
        let Pixels { left, top, right, bottom } = thing;
        let is_inside = left > 0 && top > 0 && right < image.width() && bottom < image.height();
        if !is_inside || !is_shaped(thing) {
            return Self::Other;
        }
        let corners = [
            ((left, top), (1, 1)),
            ((right, top), (-1, 1)),
            ((left, bottom), (1, -1)),
            ((right, bottom), (-1, -1)),
        ];
        let cuts = corners.map(|(corner, inward)| corner_cut(image, corner, inward, thing.height() / 2));
        let cuts: Vec<u32> = cuts.into_iter().flat_map(|(level, upright)| [level, upright]).collect();
        let (least, most) =
            cuts.iter().fold((u32::MAX, 0), |(least, most), cut| (least.min(*cut), most.max(*cut)));
        if most - least > 3.max(most * 2 / 5) {
            return Self::Other;
        }
        let mean = f64::from(cuts.iter().sum::<u32>()) / cuts.len() as f64;
        let is_round = mean > ROUND * f64::from(thing.height());
        match (is_square(thing), is_round) {
            (false, _) => Self::Long,
            (true, true) => Self::Round,
            (true, false) if has_sides(image, thing) => Self::Square,
            (true, false) => Self::Other,
        }
    }

    /// Whether things of this kind look so.
    pub(crate) fn is_that_of(self, kind: Kind) -> bool {
        match kind {
            Kind::Checkbox => self == Self::Square,
            Kind::Radio => self == Self::Round,
            Kind::Switch => self == Self::Long,
            _ => false,
        }
    }
}

/// The largest height and width of something that one ticks beside a text whose line is so high: both grow with the ratio
/// of the screen's pixels to those of the page.
pub(crate) fn largest(line: f64) -> (u32, u32) {
    let of = |px: u32, share: f64| px.max((share * line).ceil() as u32);
    (of(LARGEST_PX.0, LARGEST.0), of(LARGEST_PX.1, LARGEST.1))
}

/// Whether a thing has the size of something that one ticks, which is so large at most.
pub(crate) fn is_mark(thing: Pixels, (height, width): (u32, u32)) -> bool {
    thing.height() <= height && (is_square(thing) || thing.width() <= width) && is_shaped(thing)
}

/// Whether a thing is about as wide as high, or wider as a switch is.
fn is_shaped(thing: Pixels) -> bool {
    let (width, height) = (thing.width(), thing.height());
    let is_switch = width > height && width <= height * 5 / 2;
    height >= LEAST_PX && width >= LEAST_PX && (is_square(thing) || is_switch)
}

fn is_square(thing: Pixels) -> bool {
    let (width, height) = (thing.width(), thing.height());
    width.abs_diff(height) <= width.max(height) / 4 + 1
}

/// Whether the middle of each side is an edge.
fn has_sides(image: &RgbImage, thing: Pixels) -> bool {
    let Pixels { left, top, right, bottom } = thing;
    let (across, down) = (thing.width() / 4, thing.height() / 4);
    let level = |y: u32| is_edge_row(image, y, left + across..right - across);
    let upright = |x: u32| is_edge_column(image, x, top + down..bottom - down);
    level(top) && level(bottom) && upright(left) && upright(right)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// A thing of this outline, drawn with soft edges: its distance from the middle in a norm of this power.
    fn drawn(size: (f64, f64), power: f64, is_filled: bool) -> (RgbImage, Pixels) {
        let mut page = RgbImage::from_pixel(120, 70, Rgb([250; 3]));
        let (half_x, half_y) = (size.0 / 2.0, size.1 / 2.0);
        for (x, y, pixel) in page.enumerate_pixels_mut() {
            let (dx, dy) = ((f64::from(x) + 0.5 - 60.0).abs(), (f64::from(y) + 0.5 - 35.0).abs());
            // Of a long thing the ends are those of a square one.
            let dx = (dx - (half_x - half_y)).max(0.0);
            let away = (dx.powf(power) + dy.powf(power)).powf(1.0 / power);
            let ink = (half_y - away + 0.5).clamp(0.0, 1.0);
            let hole = if is_filled { 0.0 } else { (half_y - 1.5 - away + 0.5).clamp(0.0, 1.0) };
            let value = 250.0 - 160.0 * (ink - hole);
            *pixel = Rgb([value as u8; 3]);
        }
        let edge = |middle: f64, half: f64| ((middle - half) as u32, (middle + half) as u32);
        let ((left, right), (top, bottom)) = (edge(60.0, half_x), edge(35.0, half_y));
        (page, Pixels { left, top, right, bottom })
    }

    #[test]
    fn outlines_are_told_at_any_size_filled_or_not() {
        for side in [12.0, 14.0, 16.0, 20.0, 26.0, 36.0, 44.0, 52.0] {
            for is_filled in [false, true] {
                let of = |size: (f64, f64), power: f64| {
                    let (page, thing) = drawn(size, power, is_filled);
                    Outline::of(&page, thing)
                };
                assert_eq!(of((side, side), 2.0), Outline::Round, "{side} {is_filled}");
                // A square with round corners.
                assert_eq!(of((side, side), 8.0), Outline::Square, "{side} {is_filled}");
                assert_eq!(of((1.6 * side, side), 2.0), Outline::Long, "{side} {is_filled}");
            }
        }
    }

    #[test]
    fn the_size_of_what_is_ticked_is_that_of_the_text_beside_it() {
        let of_size =
            |width: u32, height: u32| Pixels { left: 10, top: 10, right: 10 + width, bottom: 10 + height };
        // A switch of 40x22 beside text whose line is 18 pixels high, at each ratio.
        for ratio in [1.0, 1.25, 1.5, 2.0, 3.0] {
            let size = |px: f64| (px * ratio) as u32 + 1;
            assert!(is_mark(of_size(size(40.0), size(22.0)), largest(18.0 * ratio)), "{ratio}");
            assert!(!is_mark(of_size(size(110.0), size(50.0)), largest(18.0 * ratio)), "{ratio}");
        }
        assert!(!is_mark(of_size(80, 44), largest(18.0)));
    }

    #[test]
    fn what_lacks_a_corner_or_a_side_has_none_of_them() {
        let (page, thing) = drawn((16.0, 16.0), 8.0, true);
        let mut open = page.clone();
        for y in thing.top..thing.top + 8 {
            for x in thing.right - 8..thing.right {
                open.put_pixel(x, y, Rgb([250; 3]));
            }
        }
        assert_eq!((Outline::of(&page, thing), Outline::of(&open, thing)), (Outline::Square, Outline::Other));
    }
}
