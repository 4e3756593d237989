//! How a data set writes its boxes and outlines, and what of it cannot be true.
//!
//! Invariants: a box becomes one in pixels of the picture, whose edges belong to it, and an outline one that holds something;
//! numbers that contradict the way in which they are said to be written are an error and never a place elsewhere. Which way a set has comes from its layout, or from
//! whoever typed it: it is never guessed from the numbers.

use std::fmt;

use serde::{Deserialize, Serialize};
use vigorl_geometry::{Point, Rect, Screen, Size};
use vigorl_tasks::picture::Region;

/// A box or an outline may reach so many pixels over the edge of its picture: sets round.
const OVERHANG_PX: f64 = 1.0;
/// An edge that is so near to a whole pixel is meant to be that pixel: a share of the width is rounded in its last digit.
const WHOLE_WITHIN_PX: f64 = 1e-6;

/// What the four numbers of a box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxFormat {
    /// Left, top, width and height in pixels.
    XywhPx,
    /// Left, top, right and bottom in pixels.
    XyxyPx,
    /// Left, top, width and height as shares of the picture's width and height.
    XywhNorm,
    /// Left, top, right and bottom as shares of the picture's width and height.
    XyxyNorm,
}

impl BoxFormat {
    fn is_norm(self) -> bool {
        matches!(self, Self::XywhNorm | Self::XyxyNorm)
    }

    fn is_xywh(self) -> bool {
        matches!(self, Self::XywhPx | Self::XywhNorm)
    }

    /// How many pixels of a picture of this size a number is, across and down.
    fn unit(self, size: Size<Screen>) -> (f64, f64) {
        if self.is_norm() { (size.width, size.height) } else { (1.0, 1.0) }
    }

    /// The four edges in pixels of a picture of this size, in order or not.
    fn edges(self, [a, b, c, d]: [f64; 4], size: Size<Screen>) -> [f64; 4] {
        let (across, down) = self.unit(size);
        let (right, bottom) = if self.is_xywh() { (a + c, b + d) } else { (c, d) };
        [a * across, b * down, right * across, bottom * down].map(whole)
    }
}

impl fmt::Display for BoxFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XywhPx => "xywh-px",
            Self::XyxyPx => "xyxy-px",
            Self::XywhNorm => "xywh-norm",
            Self::XyxyNorm => "xyxy-norm",
        })
    }
}

/// How the boxes of a set are written, and who says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Convention {
    pub(crate) format: BoxFormat,
    /// Whether a person said so, and the layout does not matter.
    pub(crate) is_told: bool,
    /// Whether corners may stand in any order, as the set's own scorer sorts them.
    pub(crate) is_unordered: bool,
}

impl Convention {
    /// That of the layout, unless a person said another.
    pub(crate) fn new(of_layout: BoxFormat, told: Option<BoxFormat>) -> Self {
        Self { format: told.unwrap_or(of_layout), is_told: told.is_some(), is_unordered: false }
    }
}

/// What is wrong with an item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// It alone is broken: it can be left out.
    Broken(String),
    /// It shows that the set is not written as it is read, so that the other items may be misread, too.
    Contradiction(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }
}

/// A box, and whether its corners had to be sorted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placed {
    pub(crate) bounds: Rect<Screen>,
    pub(crate) was_swapped: bool,
}

/// The box of four numbers on a picture of this size.
pub(crate) fn place(numbers: [f64; 4], size: Size<Screen>, how: Convention) -> Result<Placed, Fault> {
    let Convention { format, is_told, is_unordered } = how;
    let shown = format!("bbox {numbers:?}");
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(format!("its {shown} is not four finite numbers").into());
    }
    scale(&numbers, how, &shown)?;
    let [mut left, mut top, mut right, mut bottom] = format.edges(numbers, size);
    let was_swapped = right < left || bottom < top;
    if was_swapped && is_unordered {
        (left, right) = (left.min(right), left.max(right));
        (top, bottom) = (top.min(bottom), top.max(bottom));
    } else if was_swapped && format.is_xywh() {
        return Err(format!("its {shown} ({format}) has a negative width or height").into());
    } else if was_swapped {
        let why =
            format!("its {shown} ({format}) has swapped corners: left, top, right, bottom is the order");
        let as_xywh = if format.is_norm() { BoxFormat::XywhNorm } else { BoxFormat::XywhPx };
        // As a width or a height the small number would do: then the whole set is written so.
        let is_other = !is_told && is_inside(as_xywh.edges(numbers, size), size);
        let cure = format!("; it would be a box as {as_xywh}: say what it is with --bbox-format");
        return Err(if is_other { Fault::Contradiction(why + &cure) } else { Fault::Broken(why) });
    }
    let bounds = Rect::new(left, top, right, bottom);
    if is_on(bounds, size, how) {
        return Ok(Placed { bounds, was_swapped });
    }
    let (width, height) = (size.width, size.height);
    let why = format!("its {shown} ({format}) leaves the picture, which has {width}x{height} pixels");
    let as_xyxy = if format.is_norm() { BoxFormat::XyxyNorm } else { BoxFormat::XyxyPx };
    let other = as_xyxy.edges(numbers, size);
    let is_other = format.is_xywh() && !is_told && other[0] <= other[2] && other[1] <= other[3];
    Err(match is_other && is_inside(other, size) {
        true => Fault::Contradiction(format!(
            "{why}; it would fit as {as_xyxy}: say what it is with --bbox-format"
        )),
        false => Fault::Broken(why),
    })
}

/// The outline of corners on a picture of this size, x and y of each. Its numbers are pixels or shares as those of boxes are.
pub(crate) fn outline(numbers: &[f64], size: Size<Screen>, how: Convention) -> Result<Region, Fault> {
    if numbers.len() < 6 || numbers.len() % 2 == 1 || !numbers.iter().all(|number| number.is_finite()) {
        let n = numbers.len();
        return Err(format!(
            "its polygon has {n} numbers, and three corners or more have two finite ones each"
        )
        .into());
    }
    scale(numbers, how, "polygon")?;
    let (across, down) = how.format.unit(size);
    let corner = |at: &[f64]| Point::new(whole(at[0] * across), whole(at[1] * down));
    let corners: Vec<Point<Screen>> = numbers.chunks(2).map(corner).collect();
    if has_no_area(&corners) {
        return Err("the corners of its polygon lie on a line, so that nothing is inside".into());
    }
    let beyond = corners.iter().find(|at| !is_inside([at.x, at.y, at.x, at.y], size)).copied();
    let region = Region::Polygon(corners);
    match beyond.filter(|_| !is_on(region.bounds(), size, how)) {
        Some(at) => Err(format!(
            "the corner ({}, {}) of its polygon leaves the picture, which has {}x{} pixels",
            at.x, at.y, size.width, size.height
        )
        .into()),
        None => Ok(region),
    }
}

/// Whether all corners lie on one line.
fn has_no_area(corners: &[Point<Screen>]) -> bool {
    let Some((first, others)) = corners.split_first() else { return true };
    let from_first = |at: &Point<Screen>| (at.x - first.x, at.y - first.y);
    let Some((dx, dy)) = others.iter().map(from_first).find(|way| *way != (0.0, 0.0)) else { return true };
    others.iter().map(from_first).all(|(x, y)| dx * y == dy * x)
}

/// Whether the numbers have the size that pixels, or shares, have. What a person said is not doubted.
fn scale(numbers: &[f64], Convention { format, is_told, .. }: Convention, shown: &str) -> Result<(), Fault> {
    if is_told {
        return Ok(());
    }
    if format.is_norm() {
        return match numbers.iter().find(|number| !(0.0..=1.0).contains(*number)) {
            Some(number) => Err(Fault::Contradiction(format!(
                "its {shown} holds {number}, and this column is of shares from 0 to 1 ({format}): say what it is with \
                 --bbox-format"
            ))),
            None => Ok(()),
        };
    }
    // One pixel in the corner is a box; a part of a pixel is none.
    let is_share = numbers.iter().all(|number| (0.0..=1.0).contains(number));
    match is_share && numbers.iter().any(|number| number.fract() != 0.0) {
        true => Err(Fault::Contradiction(format!(
            "its {shown} holds nothing but shares from 0 to 1, and this column is of pixels ({format}): say what it is \
             with --bbox-format"
        ))),
        false => Ok(()),
    }
}

/// Whether what has these bounds lies on a picture: all of it, or any of it where a person said how boxes are written.
fn is_on(bounds: Rect<Screen>, size: Size<Screen>, how: Convention) -> bool {
    let edges = [bounds.left, bounds.top, bounds.right, bounds.bottom];
    is_inside(edges, size) || (how.is_told && bounds.intersects(size.whole()))
}

fn is_inside([left, top, right, bottom]: [f64; 4], size: Size<Screen>) -> bool {
    left >= -OVERHANG_PX
        && top >= -OVERHANG_PX
        && right <= size.width + OVERHANG_PX
        && bottom <= size.height + OVERHANG_PX
}

fn whole(edge: f64) -> f64 {
    let near = edge.round();
    if (edge - near).abs() <= WHOLE_WITHIN_PX { near } else { edge }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (f64, f64) = (1920.0, 1080.0);

    fn placed(numbers: [f64; 4], format: BoxFormat, told: bool) -> Result<[f64; 4], Fault> {
        let how = Convention::new(format, told.then_some(format));
        let placed = place(numbers, Size::new(SIZE.0, SIZE.1), how)?.bounds;
        Ok([placed.left, placed.top, placed.right, placed.bottom])
    }

    #[test]
    fn every_way_of_writing_a_box_gives_the_same_one() {
        let (w, h) = SIZE;
        let edges = [100.0, 200.0, 150.0, 240.0];
        for (numbers, format) in [
            ([100.0, 200.0, 50.0, 40.0], BoxFormat::XywhPx),
            (edges, BoxFormat::XyxyPx),
            ([100.0 / w, 200.0 / h, 50.0 / w, 40.0 / h], BoxFormat::XywhNorm),
            ([100.0 / w, 200.0 / h, 150.0 / w, 240.0 / h], BoxFormat::XyxyNorm),
        ] {
            assert_eq!(placed(numbers, format, false), Ok(edges), "{format}");
            assert_eq!(placed(numbers, format, true), Ok(edges), "{format}, told");
        }
    }

    #[test]
    fn numbers_that_contradict_their_format_are_refused_unless_somebody_says_what_they_are() {
        let told = true;
        // As left, top, width, height it would end at 3,000; as four edges it fits.
        let corner = [1500.0, 900.0, 1600.0, 1000.0];
        for (numbers, format, word) in [
            (corner, BoxFormat::XywhPx, "would fit as xyxy-px"),
            ([0.7, 0.8, 0.9, 0.9], BoxFormat::XywhNorm, "would fit as xyxy-norm"),
            ([1500.0, 900.0, 80.0, 40.0], BoxFormat::XyxyPx, "would be a box as xywh-px"),
            ([0.5, 0.5, 1.5, 0.6], BoxFormat::XyxyNorm, "holds 1.5"),
            ([0.1, 0.1, 0.2, 0.2], BoxFormat::XywhPx, "shares from 0 to 1"),
            ([0.1, 0.1, 0.2, 0.2], BoxFormat::XyxyPx, "shares from 0 to 1"),
        ] {
            match placed(numbers, format, false) {
                Err(Fault::Contradiction(why)) => {
                    assert!(why.contains(word) && why.contains("--bbox-format"), "{why}");
                }
                other => panic!("{numbers:?} as {format}: {other:?}"),
            }
        }
        assert_eq!(placed(corner, BoxFormat::XyxyPx, told), Ok(corner));
        assert_eq!(
            placed(corner, BoxFormat::XywhPx, told),
            Ok([1500.0, 900.0, 3100.0, 1900.0]),
            "a person said so"
        );
        assert_eq!(
            placed([0.0, 0.0, 1.0, 1.0], BoxFormat::XywhPx, false),
            Ok([0.0, 0.0, 1.0, 1.0]),
            "one pixel"
        );
    }

    #[test]
    fn what_is_broken_alone_is_no_contradiction() {
        let check = |numbers, format, word: &str| match placed(numbers, format, false) {
            Err(Fault::Broken(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{numbers:?} as {format}: {other:?}"),
        };
        check([100.0, 200.0, -5.0, 40.0], BoxFormat::XywhPx, "negative width");
        check([1900.0, 1000.0, 100.0, 900.0], BoxFormat::XyxyPx, "swapped corners");
        check([0.6, 0.2, 0.5, 0.3], BoxFormat::XyxyNorm, "swapped corners");
        check([1900.0, 10.0, 2000.0, 20.0], BoxFormat::XyxyPx, "leaves the picture");
        check([-50.0, 10.0, 20.0, 20.0], BoxFormat::XyxyPx, "leaves the picture");
        check([1900.0, 10.0, 50.0, 20.0], BoxFormat::XywhPx, "leaves the picture");
        check([f64::NAN, 10.0, 50.0, 20.0], BoxFormat::XywhPx, "finite");
        let beyond = placed([5000.0, 10.0, 5100.0, 20.0], BoxFormat::XyxyPx, true);
        assert!(
            matches!(beyond, Err(Fault::Broken(_))),
            "saying what it is puts no box on a picture: {beyond:?}"
        );
    }

    #[test]
    fn corners_in_any_order_are_sorted_where_the_set_says_so() {
        let how = Convention { is_unordered: true, ..Convention::new(BoxFormat::XyxyPx, None) };
        let sorted = place([150.0, 200.0, 100.0, 240.0], Size::new(SIZE.0, SIZE.1), how).unwrap();
        assert_eq!((sorted.bounds, sorted.was_swapped), (Rect::new(100.0, 200.0, 150.0, 240.0), true));
        let kept = place([100.0, 200.0, 150.0, 240.0], Size::new(SIZE.0, SIZE.1), how).unwrap();
        assert_eq!((kept.bounds, kept.was_swapped), (sorted.bounds, false));
    }

    fn outlined(numbers: &[f64], how: Convention) -> Result<Vec<f64>, Fault> {
        outline(numbers, Size::new(SIZE.0, SIZE.1), how).map(|region| region.numbers())
    }

    #[test]
    fn an_outline_is_held_to_its_picture_as_a_box_is() {
        let (written, told) = (
            Convention::new(BoxFormat::XywhPx, None),
            Convention::new(BoxFormat::XywhPx, Some(BoxFormat::XywhPx)),
        );
        let inside = [0.0, 0.0, 1920.0, 0.0, 1920.0, 1080.0];
        let overhanging = [-1.0, -0.5, 1921.0, 0.0, 1920.0, 1081.0];
        for numbers in [inside, overhanging] {
            assert_eq!(outlined(&numbers, written), Ok(numbers.to_vec()));
        }
        for (numbers, corner) in [
            ([1900.0, 10.0, 1950.0, 10.0, 1900.0, 60.0], "(1950, 10)"),
            ([10.0, 10.0, 60.0, 10.0, 10.0, -20.0], "(10, -20)"),
            ([10.0, 1000.0, 60.0, 1000.0, 10.0, 1081.5], "(10, 1081.5)"),
        ] {
            match outlined(&numbers, written) {
                Err(Fault::Broken(why)) => {
                    assert!(why.contains(corner) && why.contains("leaves the picture"), "{why}");
                }
                other => panic!("{numbers:?}: {other:?}"),
            }
            assert_eq!(outlined(&numbers, told), Ok(numbers.to_vec()), "a part of it is on the picture");
            let corners = numbers.chunks(2).map(|at| Point::new(at[0], at[1])).collect();
            let Rect { left, top, right, bottom, .. } = Region::Polygon(corners).bounds();
            let of_box = placed([left, top, right, bottom], BoxFormat::XyxyPx, false);
            assert!(matches!(of_box, Err(Fault::Broken(_))), "and so is a box around it: {of_box:?}");
        }
        let beyond = [5000.0, 10.0, 5100.0, 20.0, 5000.0, 50.0];
        for how in [written, told] {
            assert!(
                matches!(outlined(&beyond, how), Err(Fault::Broken(_))),
                "nothing of it is on the picture"
            );
        }
    }

    #[test]
    fn an_outline_in_shares_is_a_contradiction_unless_somebody_says_so() {
        let shares = [0.25, 0.25, 0.5, 0.25, 0.5, 0.75];
        let in_pixels = Convention::new(BoxFormat::XywhPx, None);
        match outlined(&shares, in_pixels) {
            Err(Fault::Contradiction(why)) => assert!(why.contains("--bbox-format"), "{why}"),
            other => panic!("{other:?}"),
        }
        let in_shares = Convention::new(BoxFormat::XywhPx, Some(BoxFormat::XywhNorm));
        assert_eq!(outlined(&shares, in_shares), Ok(vec![480.0, 270.0, 960.0, 270.0, 960.0, 810.0]));
    }

    #[test]
    fn an_outline_without_an_inside_is_broken() {
        let how = Convention::new(BoxFormat::XywhPx, None);
        for (numbers, word) in [
            (vec![10.0, 10.0, 20.0, 20.0, 50.0, 50.0], "on a line"),
            (vec![10.0, 10.0, 90.0, 10.0, 40.0, 10.0, 10.0, 10.0], "on a line"),
            (vec![30.0, 10.0, 30.0, 10.0, 30.0, 70.0], "on a line"),
            (vec![30.0, 10.0, 30.0, 10.0, 30.0, 10.0], "on a line"),
            (vec![30.0, 10.0, 40.0, 10.0], "4 numbers"),
            (vec![30.0, 10.0, 40.0, 10.0, 40.0, 20.0, 30.0], "7 numbers"),
            (vec![30.0, 10.0, 40.0, f64::NAN, 40.0, 20.0], "finite"),
            (vec![], "0 numbers"),
        ] {
            match outlined(&numbers, how) {
                Err(Fault::Broken(why)) => assert!(why.contains(word), "{why}"),
                other => panic!("{numbers:?}: {other:?}"),
            }
        }
        let thin = vec![10.0, 10.0, 90.0, 10.0, 50.0, 10.5];
        assert_eq!(outlined(&thin, how), Ok(thin), "half a pixel is an inside");
    }
}
