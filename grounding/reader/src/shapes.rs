//! Shapes beside and around a text: the box of a button or a field, the square of a checkbox.
//!
//! Invariant: shapes are told by edges alone, so any style of control will do that has one. What has none is not found.

use image::RgbImage;
use vigorl_geometry::{Rect, Screen};

use crate::pieces::pieces;

/// Colours that differ by this much in one channel have an edge between them.
const EDGE: u8 = 9;
/// How far the lines of a grid are followed beyond a cell, in pixels.
const BEYOND_PX: u32 = 5;
/// Longest side of an icon.
pub(crate) const SMALL_PX: u32 = 80;
/// Small things in a window with controls, at most.
const MOST_THINGS: usize = 3_000;
/// Things are drawn with edges of at least this: gradients are no things.
const DRAWN: u8 = 20;
/// Share of a side along which its edge must be seen: corners can be round, and a caret or a badge can be in the way.
const SEEN: f64 = 0.8;
/// How far the sides of a box are looked for, in pixels.
const REACH_ACROSS_PX: u32 = 900;
const REACH_DOWN_PX: u32 = 60;
/// The same across, in heights of the line that the box belongs to, where that is more.
const REACH_ACROSS: f64 = 36.0;
/// Highest box into which one types.
const FIELD_PX: u32 = 400;
/// What is left out at both ends of a side, at most: round corners.
const CORNER_PX: u32 = 24;

/// Whole pixels; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

impl Pixels {
    /// The pixels of a rectangle that lie on the image; nothing if none do.
    pub(crate) fn of(rect: Rect<Screen>, image: &RgbImage) -> Option<Self> {
        let (width, height) = image.dimensions();
        let whole = |edge: f64, side: u32| edge.clamp(0.0, f64::from(side)) as u32;
        let (left, right) = (whole(rect.left.floor(), width), whole(rect.right.ceil(), width));
        let (top, bottom) = (whole(rect.top.floor(), height), whole(rect.bottom.ceil(), height));
        (left < right && top < bottom).then_some(Self { left, top, right, bottom })
    }

    pub(crate) fn rect(self) -> Rect<Screen> {
        Rect::new(f64::from(self.left), f64::from(self.top), f64::from(self.right), f64::from(self.bottom))
    }

    /// The smallest box around both.
    pub(crate) fn joined(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Whether it can be an icon.
    pub(crate) fn is_icon(self) -> bool {
        let (long, short) = (self.width().max(self.height()), self.width().min(self.height()));
        (7..=SMALL_PX).contains(&long) && short >= 2
    }

    pub(crate) fn width(self) -> u32 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> u32 {
        self.bottom - self.top
    }
}

fn differ(image: &RgbImage, a: (u32, u32), b: (u32, u32)) -> bool {
    differ_by(image, a, b, EDGE)
}

fn differ_by(image: &RgbImage, (ax, ay): (u32, u32), (bx, by): (u32, u32), least: u8) -> bool {
    let (a, b) = (image.get_pixel(ax, ay), image.get_pixel(bx, by));
    a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) >= least)
}

/// Whether there is an edge between the rows `y - 1` and `y`, along these columns.
pub(crate) fn is_edge_row(image: &RgbImage, y: u32, columns: std::ops::Range<u32>) -> bool {
    let n = columns.len();
    let seen = columns.filter(|x| differ(image, (*x, y - 1), (*x, y))).count();
    n > 0 && seen as f64 >= SEEN * n as f64
}

/// Whether there is an edge between the columns `x - 1` and `x`, along these rows.
pub(crate) fn is_edge_column(image: &RgbImage, x: u32, rows: std::ops::Range<u32>) -> bool {
    let n = rows.len();
    let seen = rows.filter(|y| differ(image, (x - 1, *y), (x, *y))).count();
    n > 0 && seen as f64 >= SEEN * n as f64
}

/// The smallest box with four edges around `inside`, that of a control. Its sides meet in its corners, straight or round:
/// where one goes on beyond the other, they belong to different things.
pub(crate) fn enclosing(image: &RgbImage, inside: Pixels) -> Option<Pixels> {
    enclosing_within(image, inside, (REACH_ACROSS_PX, REACH_DOWN_PX))
}

/// The smallest box with four edges around `inside`, whose sides are so far away at most.
pub(crate) fn enclosing_within(
    image: &RgbImage,
    inside: Pixels,
    (reach_across, reach_down): (u32, u32),
) -> Option<Pixels> {
    let (width, height) = image.dimensions();
    let up = (inside.top.saturating_sub(reach_down).max(1)..=inside.top).rev();
    let mut down = inside.bottom..(inside.bottom + reach_down).min(height);
    let columns = inside.left..inside.right;
    let top = up.into_iter().find(|y| is_edge_row(image, *y, columns.clone()))?;
    let bottom = down.find(|y| is_edge_row(image, *y, columns.clone()))?;
    let most = CORNER_PX.min((bottom - top) / 3);
    let is_side = |x: u32, inward: i64| {
        let meets = |y: u32, downward: i64| corner_meets(image, (x, y), (inward, downward), most);
        is_edge_column(image, x, top + most..bottom - most) && meets(top, 1) && meets(bottom, -1)
    };
    let mut left = (inside.left.saturating_sub(reach_across).max(1)..=inside.left).rev();
    let left = left.find(|x| is_side(*x, 1))?;
    let mut right = inside.right..(inside.right + reach_across).min(width);
    let right = right.find(|x| is_side(*x, -1))?;
    // The horizontal edges reach from side to side.
    let most = CORNER_PX.min((right - left) / 3);
    let across = left + most..right - most;
    (is_edge_row(image, top, across.clone()) && is_edge_row(image, bottom, across)).then_some(Pixels {
        left,
        top,
        right,
        bottom,
    })
}

/// Whether a box is a cell of a grid: its lines go on beyond it, without a gap.
pub(crate) fn is_cell(image: &RgbImage, found: Pixels) -> bool {
    let Pixels { left, top, right, bottom } = found;
    let (width, height) = image.dimensions();
    // The lines of a border lie outside of its box.
    let along = |corner: u32, away: i64, side: u32| {
        let [from, to] = beyond(corner, away).map(|at| at.clamp(0, i64::from(side)) as u32);
        let near = if away < 0 { (corner + 2).min(side - 1) } else { corner.saturating_sub(3) };
        (from..to, near)
    };
    let level = |edge: u32, line: u32, corner: u32, away: i64| {
        let (columns, near) = along(corner, away, width);
        let whole = columns.start.min(near)..columns.end.max(near);
        columns.len() >= BEYOND_PX as usize
            && is_edge_row(image, edge, columns)
            && whole.into_iter().all(|x| !differ(image, (x, line), (near, line)))
    };
    let upright = |edge: u32, line: u32, corner: u32, away: i64| {
        let (rows, near) = along(corner, away, height);
        let whole = rows.start.min(near)..rows.end.max(near);
        rows.len() >= BEYOND_PX as usize
            && is_edge_column(image, edge, rows)
            && whole.into_iter().all(|y| !differ(image, (line, y), (line, near)))
    };
    let goes_on = [
        level(top, top - 1, left, -1),
        level(top, top - 1, right, 1),
        level(bottom, bottom, left, -1),
        level(bottom, bottom, right, 1),
        upright(left, left - 1, top, -1),
        upright(left, left - 1, bottom, 1),
        upright(right, right, top, -1),
        upright(right, right, bottom, 1),
    ];
    goes_on.into_iter().filter(|goes_on| *goes_on).count() >= 3
}

/// Where a line is followed beyond a corner. A pixel is left out for the line that crosses there.
fn beyond(corner: u32, away: i64) -> [i64; 2] {
    let (corner, far) = (i64::from(corner), i64::from(BEYOND_PX));
    if away < 0 { [corner - far - 2, corner - 2] } else { [corner + 2, corner + 2 + far] }
}

/// Whether the level and the upright side of a box begin equally far from the corner in which they meet: at once, or
/// where a round corner of at most about `most` pixels ends. Edges lie before the first pixel of their side.
fn corner_meets(image: &RgbImage, corner: (u32, u32), inward: (i64, i64), most: u32) -> bool {
    let (level, upright) = corner_cut(image, corner, inward, most);
    level.abs_diff(upright) <= 3.max(level.max(upright) * 2 / 5)
}

/// How far from a corner its level and its upright side begin, in pixels; more than `most` where they do not.
pub(crate) fn corner_cut(
    image: &RgbImage,
    (x, y): (u32, u32),
    (inward, downward): (i64, i64),
    most: u32,
) -> (u32, u32) {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    let most = most + 2;
    // The box's first pixel in this corner.
    let first_x = i64::from(x) - i64::from(inward < 0);
    let first_y = i64::from(y) - i64::from(downward < 0);
    let is_edge = |(ax, ay): (i64, i64), (bx, by): (i64, i64)| {
        let inside = [ax, bx].iter().all(|x| (0..width).contains(x))
            && [ay, by].iter().all(|y| (0..height).contains(y));
        inside && differ(image, (ax as u32, ay as u32), (bx as u32, by as u32))
    };
    let begin =
        |is_edge: &dyn Fn(i64) -> bool| (0..=most).find(|by| is_edge(i64::from(*by))).unwrap_or(most + 8);
    let level = begin(&|by| {
        let at = first_x + inward * by;
        is_edge((at, first_y - downward), (at, first_y))
    });
    let upright = begin(&|by| {
        let at = first_y + downward * by;
        is_edge((first_x - inward, at), (first_x, at))
    });
    (level, upright)
}

/// Things that stand apart in `window`, told by the edges of what is drawn: on a ground of any colour or several.
pub(crate) fn things(image: &RgbImage, window: Pixels) -> Vec<Pixels> {
    let (width, height) = (window.width() as usize, window.height() as usize);
    let at = |n: usize| (window.left + (n % width) as u32, window.top + (n / width) as u32);
    let is_drawn = |n: usize| {
        let (x, y) = at(n);
        (x > window.left && differ_by(image, (x - 1, y), (x, y), DRAWN))
            || (y > window.top && differ_by(image, (x, y - 1), (x, y), DRAWN))
    };
    let mut things = Vec::new();
    pieces((width, height), is_drawn, |piece, _| {
        // The edge behind the last pixel is found in the next one.
        let (right, bottom) = (piece.right.saturating_sub(1), piece.bottom.saturating_sub(1));
        things.push(Pixels {
            left: window.left + piece.left as u32,
            top: window.top + piece.top as u32,
            right: window.left + right.max(piece.left + 1) as u32,
            bottom: window.top + bottom.max(piece.top + 1) as u32,
        });
    });
    things
}

/// Small things whose middle lies in `window`, each with the parts that lie within `gap_px` of each other. Frames and
/// lines, which are larger than `small_px`, hold others and are no part of them.
pub(crate) fn joined_things(image: &RgbImage, window: Pixels, gap_px: u32, small_px: u32) -> Vec<Pixels> {
    // What stands on the window's edge is seen whole.
    let wide = Pixels {
        left: window.left.saturating_sub(small_px),
        top: window.top.saturating_sub(small_px),
        right: (window.right + small_px).min(image.width()),
        bottom: (window.bottom + small_px).min(image.height()),
    };
    let is_small = |thing: &Pixels| thing.width() <= small_px && thing.height() <= small_px;
    let small: Vec<Pixels> = things(image, wide).into_iter().filter(is_small).collect();
    // Noise holds no controls: each thing is compared with all others.
    if small.len() > MOST_THINGS {
        return Vec::new();
    }
    let mut joined: Vec<Pixels> = Vec::new();
    for mut thing in small {
        let near = |a: Pixels, b: Pixels| {
            a.left <= b.right + gap_px
                && b.left <= a.right + gap_px
                && a.top <= b.bottom + gap_px
                && b.top <= a.bottom + gap_px
        };
        while let Some(at) = joined.iter().position(|other| near(*other, thing)) {
            thing = thing.joined(joined.swap_remove(at));
        }
        joined.push(thing);
    }
    let inside = window.rect();
    joined.retain(|thing| inside.contains(thing.rect().center()));
    joined
}

/// Whatever has another colour than the ground of `window`, however weak its edges are.
pub(crate) fn stains(image: &RgbImage, window: Pixels) -> Vec<Pixels> {
    let ground = ground_of(image, window);
    let (width, height) = (window.width() as usize, window.height() as usize);
    let at = |n: usize| (window.left + (n % width) as u32, window.top + (n / width) as u32);
    let is_drawn = |n: usize| {
        let (x, y) = at(n);
        image.get_pixel(x, y).0.iter().zip(ground).any(|(a, b)| a.abs_diff(b) >= EDGE * 2)
    };
    let mut stains = Vec::new();
    pieces((width, height), is_drawn, |piece, _| {
        stains.push(Pixels {
            left: window.left + piece.left as u32,
            top: window.top + piece.top as u32,
            right: window.left + piece.right as u32,
            bottom: window.top + piece.bottom as u32,
        });
    });
    stains
}

/// The colour that most of the window has.
pub(crate) fn ground_of(image: &RgbImage, window: Pixels) -> [u8; 3] {
    let mut counts = std::collections::HashMap::<[u8; 3], usize>::new();
    for y in window.top..window.bottom {
        for x in window.left..window.right {
            *counts.entry(image.get_pixel(x, y).0).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(color, n)| (*n, *color)).map_or([255; 3], |(color, _)| color)
}

/// How the letters of a rectangle differ from its ground, channel by channel.
pub(crate) fn ink_of(image: &RgbImage, rect: Rect<Screen>) -> Option<[f64; 3]> {
    let area = Pixels::of(rect, image)?;
    let ground = ground_of(image, area);
    let away = |color: &[u8; 3]| color.iter().zip(ground).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>();
    let places = (area.top..area.bottom).flat_map(|y| (area.left..area.right).map(move |x| (x, y)));
    let pixels: Vec<[u8; 3]> = places.map(|(x, y)| image.get_pixel(x, y).0).collect();
    let most = pixels.iter().map(away).max().filter(|most| *most >= 3 * u32::from(EDGE))?;
    // Edges of letters are blends: what is furthest from the ground has the letters' own colour.
    let ink: Vec<&[u8; 3]> = pixels.iter().filter(|color| away(color) * 10 >= most * 7).collect();
    let mean = |channel: usize| {
        let sum: f64 = ink.iter().map(|color| f64::from(color[channel])).sum();
        sum / ink.len() as f64 - f64::from(ground[channel])
    };
    Some([mean(0), mean(1), mean(2)])
}

/// The most columns beside each other in which nothing is drawn.
pub(crate) fn widest_gap(image: &RgbImage, rect: Rect<Screen>) -> u32 {
    let Some(area) = Pixels::of(rect, image) else { return 0 };
    let ground = ground_of(image, area);
    let is_empty = |x: u32| {
        (area.top..area.bottom)
            .all(|y| image.get_pixel(x, y).0.iter().zip(ground).all(|(a, b)| a.abs_diff(b) < EDGE * 4))
    };
    let (mut widest, mut gap) = (0, 0);
    for x in area.left..area.right {
        gap = if is_empty(x) { gap + 1 } else { 0 };
        widest = widest.max(gap);
    }
    widest
}

/// Whether there is a level line below the letters of a text, as long as the text: a border goes on beyond it.
pub(crate) fn is_underlined(image: &RgbImage, text: Rect<Screen>) -> bool {
    let lower = Rect::<Screen>::new(text.left + 2.0, text.center().y, text.right - 2.0, text.bottom + 2.0);
    let Some(area) = Pixels::of(lower, image).filter(|area| area.width() > 8) else { return false };
    let ground = ground_of(image, area);
    let is_drawn =
        |x: u32, y: u32| image.get_pixel(x, y).0.iter().zip(ground).any(|(a, b)| a.abs_diff(b) >= EDGE * 4);
    let covers = |y: u32| {
        let n = (area.left..area.right).filter(|x| is_drawn(*x, y)).count();
        // Letters that hang down interrupt the line.
        n as f64 >= SEEN * f64::from(area.width())
    };
    let beyond = (0.6 * text.height()).ceil() as u32;
    let ends = |y: u32| {
        let (before, behind) = (area.left.checked_sub(beyond), area.right + beyond);
        let is_behind = behind < image.width() && is_drawn(behind, y);
        !(is_behind && before.is_some_and(|before| is_drawn(before, y)))
    };
    (area.top..area.bottom).any(|y| covers(y) && ends(y))
}

/// Whether a level line goes through the letters of a text.
pub(crate) fn is_struck(image: &RgbImage, text: Rect<Screen>) -> bool {
    let middle = text.center().y;
    let band = Rect::<Screen>::new(
        text.left + 1.0,
        middle - 0.15 * text.height(),
        text.right - 1.0,
        middle + 0.2 * text.height(),
    );
    let Some(area) = Pixels::of(band, image).filter(|area| area.width() > 8) else { return false };
    let ground = ground_of(image, Pixels { top: area.top.saturating_sub(area.height()), ..area });
    let is_drawn =
        |x: u32, y: u32| image.get_pixel(x, y).0.iter().zip(ground).any(|(a, b)| a.abs_diff(b) >= EDGE * 4);
    let ends = [area.left + area.width() / 10, area.right - area.width() / 10];
    (area.top..area.bottom).any(|y| (ends[0]..ends[1]).all(|x| is_drawn(x, y)))
}

/// How far the sides of a box are looked for that belongs to a text.
fn reach_across(text: Rect<Screen>) -> u32 {
    REACH_ACROSS_PX.max((REACH_ACROSS * text.height()).ceil() as u32)
}

/// The box around a text that fits, without these pixels at the text's sides and at its top and bottom. A reading has a
/// margin, which reaches over the border of a tight box: then the middle of the text is taken.
pub(crate) fn box_of(
    image: &RgbImage,
    text: Rect<Screen>,
    (across, down): (f64, f64),
    fits: impl Fn(&Pixels) -> bool,
) -> Option<Pixels> {
    [(0.0, 0.0), (0.5, 0.0), (0.5, 0.25)].into_iter().find_map(|more| {
        let (across, down) = (across + more.0 * text.height(), down + more.1 * text.height());
        let (left, right) = (text.left + across, text.right - across);
        let ink = Rect::<Screen>::new(left, text.top + down, right, text.bottom - down);
        let ink = Pixels::of(ink, image).filter(|_| right - left > 4.0)?;
        enclosing_within(image, ink, (reach_across(text), REACH_DOWN_PX)).filter(&fits)
    })
}

/// The box into which one types, that belongs to a label: around it, on its right, or below it. `is_alone` may refuse one
/// around it, `fits` one that is not low.
pub(crate) fn field_of(
    image: &RgbImage,
    label: Rect<Screen>,
    is_alone: impl Fn(Rect<Screen>) -> bool,
    fits: impl Fn(Rect<Screen>) -> bool,
) -> Option<Pixels> {
    let is_field = |found: &Pixels| {
        let (width, height) = (found.width(), found.height());
        let is_box = width >= 30 && (12..=FIELD_PX).contains(&height) && width >= height;
        is_box && !is_cell(image, *found) && (height <= SMALL_PX || fits(found.rect()))
    };
    let around = box_of(image, label, (0.0, 1.0), is_field);
    let is_own =
        |around: &Pixels| f64::from(around.height()) < 4.0 * label.height() && is_alone(around.rect());
    if let Some(around) = around.filter(is_own) {
        return Some(around);
    }
    let boxed = |(x, y): (f64, f64)| {
        let probe = Pixels::of(Rect::new(x, y - 2.0, x + 6.0, y + 2.0), image)?;
        enclosing_within(image, probe, (reach_across(label), FIELD_PX)).filter(is_field)
    };
    // A line's rectangle reaches beyond its letters.
    let margin = 0.6 * label.height();
    let is_right = |found: &Pixels| {
        let rect = found.rect();
        let is_level = (rect.top - label.top).abs() < 1.5 * label.height()
            || (rect.center().y - label.center().y).abs() < label.height();
        rect.left >= label.right - margin && is_level
    };
    let is_below = |found: &Pixels| found.rect().top >= label.bottom - 6.0;
    // Steps grow with the text, as distances do where several pixels are one of the page.
    let (across, down) = (8.0_f64.max(label.height() / 3.0), 3.0_f64.max(label.height() / 8.0));
    let mut aside = (1..=60).map(|step| (label.right + across * f64::from(step), label.center().y));
    let under = |inward: f64| {
        let mut places = (1..=24).map(|step| (label.left + inward, label.bottom + down * f64::from(step)));
        places.find_map(|place| boxed(place).filter(is_below))
    };
    let right = aside.find_map(|place| boxed(place).filter(is_right));
    // A label begins with its field, whose corners may be round: there no edge is level.
    let further = || right.is_none().then(|| under(0.6 * label.height())).flatten();
    let below = under(8.0).or_else(further);
    match (right, below) {
        (Some(right), Some(below)) => {
            let is_close = below.rect().top - label.bottom < 0.8 * label.height();
            let is_far = right.rect().left - label.right > 2.0 * label.height();
            Some(if is_close && is_far { below } else { right })
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn page(boxes: &[(u32, u32, u32, u32)]) -> RgbImage {
        let mut page = RgbImage::from_pixel(400, 200, Rgb([255; 3]));
        for &(left, top, right, bottom) in boxes {
            for y in top..bottom {
                for x in left..right {
                    let is_border = x == left || y == top || x == right - 1 || y == bottom - 1;
                    let is_corner = (x == left || x == right - 1) && (y == top || y == bottom - 1);
                    if is_border && !is_corner {
                        page.put_pixel(x, y, Rgb([118; 3]));
                    }
                }
            }
        }
        page
    }

    #[test]
    fn a_field_is_around_its_placeholder_or_right_of_its_label_or_below_it() {
        let check = |field: (u32, u32, u32, u32), label: (f64, f64, f64, f64)| {
            let found =
                field_of(&page(&[field]), Rect::new(label.0, label.1, label.2, label.3), |_| true, |_| true);
            let found = found.unwrap_or_else(|| panic!("nothing for {label:?}"));
            let near = |a: u32, b: u32| a.abs_diff(b) <= 1;
            let all = near(found.left, field.0) && near(found.top, field.1);
            assert!(all && near(found.right, field.2) && near(found.bottom, field.3), "{found:?} {field:?}");
        };
        check((100, 50, 300, 80), (110.0, 56.0, 180.0, 74.0));
        check((100, 50, 300, 80), (20.0, 56.0, 80.0, 74.0));
        check((100, 50, 300, 80), (100.0, 28.0, 180.0, 46.0));
        // Of several lines.
        check((100, 50, 300, 180), (100.0, 28.0, 180.0, 46.0));
        // So tight that the reading's margin reaches over the border.
        check((100, 50, 300, 70), (97.0, 48.0, 180.0, 72.0));
    }

    #[test]
    fn the_widest_gap_is_between_what_is_drawn() {
        let page = page(&[(40, 60, 53, 73), (61, 60, 70, 73)]);
        assert_eq!(widest_gap(&page, Rect::new(45.0, 62.0, 66.0, 70.0)), 8);
    }

    #[test]
    fn small_things_stand_apart() {
        let page = page(&[(40, 60, 53, 73), (200, 60, 270, 73), (10, 50, 390, 95)]);
        let all = joined_things(&page, Pixels { left: 0, top: 40, right: 400, bottom: 100 }, 0, SMALL_PX);
        let square = Pixels { left: 40, top: 60, right: 53, bottom: 73 };
        assert_eq!((all.len(), all.contains(&square)), (2, true));
        // What the window cuts is seen whole.
        let cut = joined_things(&page, Pixels { left: 0, top: 64, right: 100, bottom: 70 }, 0, SMALL_PX);
        assert_eq!(cut, [square]);
    }

    #[test]
    fn a_box_is_closed_and_its_sides_meet_in_its_corners() {
        // A label between two lines, beside a field: no box is around it.
        let mut page = page(&[(150, 60, 350, 84)]);
        for x in 20..380 {
            page.put_pixel(x, 50, Rgb([200; 3]));
            page.put_pixel(x, 94, Rgb([200; 3]));
        }
        for y in 50..95 {
            page.put_pixel(20, y, Rgb([200; 3]));
        }
        assert_eq!(enclosing(&page, Pixels { left: 40, top: 64, right: 100, bottom: 80 }), None);
        let field = enclosing(&page, Pixels { left: 170, top: 66, right: 200, bottom: 78 });
        assert_eq!(field, Some(Pixels { left: 151, top: 61, right: 349, bottom: 83 }));
    }

    #[test]
    fn what_has_no_box_is_in_none() {
        let text = Pixels { left: 50, top: 50, right: 100, bottom: 66 };
        assert_eq!(enclosing(&page(&[]), text), None);
        // A line above and one below are no box.
        assert_eq!(enclosing(&page(&[(1, 40, 399, 41), (1, 80, 399, 81)]), text), None);
    }
}
