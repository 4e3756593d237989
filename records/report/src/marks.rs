//! Draws a grounding into a picture: numbered points of thoughts, zoom windows, the answer, and a pointer.
//!
//! Invariant: marks grow with the picture, so that they can be seen on any size; pixels outside are left out.

use image::{Rgb, RgbImage};
use vigorl_runs::record::{GroundingRecord, Xy};

type Color = Rgb<u8>;

const WHITE: Color = Rgb([255, 255, 255]);
const BLACK: Color = Rgb([17, 24, 39]);
const ANSWER: Color = Rgb([255, 45, 85]);
const TURNS: [Color; 5] =
    [Rgb([59, 108, 246]), Rgb([217, 119, 6]), Rgb([139, 79, 224]), Rgb([13, 148, 136]), Rgb([219, 39, 119])];

/// Digits as five rows of three pixels, the highest bit on the left.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// The outline of an arrow whose tip is at the origin, in units.
const ARROW: [(f64, f64); 7] =
    [(0.0, 0.0), (0.0, 21.0), (5.0, 16.5), (8.6, 24.5), (12.2, 22.9), (8.7, 15.2), (15.0, 15.2)];

/// The picture with everything drawn; small pictures are enlarged first.
pub fn drawn(picture: &RgbImage, grounding: &GroundingRecord) -> RgbImage {
    drawn_with_pointer(picture, grounding, None)
}

/// The picture with a frame around each box: left, top, right and bottom in pixels.
pub fn framed(picture: &RgbImage, boxes: &[[f64; 4]]) -> RgbImage {
    let mut canvas = Canvas { pixels: picture.clone(), scale: 1.0, unit: 0.5 };
    for (idx, edges) in boxes.iter().enumerate() {
        canvas.frame(*edges, TURNS[idx % TURNS.len()]);
    }
    canvas.pixels
}

/// How many times a picture of this width is enlarged.
pub(crate) fn enlargement(width: u32) -> u32 {
    (640 / width.max(1)).clamp(1, 8)
}

/// The same with a mouse pointer.
pub(crate) fn drawn_with_pointer(
    picture: &RgbImage,
    grounding: &GroundingRecord,
    pointer: Option<Xy>,
) -> RgbImage {
    let enlargement = enlargement(picture.width());
    let (w, h) = (picture.width() * enlargement, picture.height() * enlargement);
    let nearest = image::imageops::FilterType::Nearest;
    let mut canvas = Canvas {
        pixels: image::imageops::resize(picture, w, h, nearest),
        scale: f64::from(enlargement),
        unit: (f64::from(w.max(h)) / 900.0).max(1.0),
    };
    for (idx, turn) in grounding.turns.iter().enumerate() {
        if let Some([l, t, r, b]) = turn.crop {
            canvas.frame([l.0, t.0, r.0, b.0], TURNS[idx % TURNS.len()]);
        }
    }
    let mut number = 0;
    for (idx, turn) in grounding.turns.iter().enumerate() {
        for [x, y] in turn.thoughts.iter().flat_map(|thought| &thought.points) {
            number += 1;
            canvas.badge((x.0, y.0), number, TURNS[idx % TURNS.len()]);
        }
    }
    if let Some([x, y]) = grounding.answer {
        canvas.cross((x.0, y.0));
    }
    if let Some([x, y]) = pointer {
        canvas.arrow((x.0, y.0));
    }
    canvas.pixels
}

struct Canvas {
    pixels: RgbImage,
    /// Canvas pixels per picture pixel.
    scale: f64,
    /// Thickness of a thin line.
    unit: f64,
}

impl Canvas {
    /// The middle of a picture pixel.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        ((x + 0.5) * self.scale, (y + 0.5) * self.scale)
    }

    /// Fills the pixels of a rectangle for which `inside` holds.
    fn fill(&mut self, [l, t, r, b]: [f64; 4], color: Color, inside: impl Fn(f64, f64) -> bool) {
        let (w, h) = self.pixels.dimensions();
        let limit = |v: f64, side: u32| v.clamp(0.0, f64::from(side)) as u32;
        for y in limit(t.floor(), h)..limit(b.ceil(), h) {
            for x in limit(l.floor(), w)..limit(r.ceil(), w) {
                if inside(f64::from(x) + 0.5, f64::from(y) + 0.5) {
                    self.pixels.put_pixel(x, y, color);
                }
            }
        }
    }

    fn disc(&mut self, (cx, cy): (f64, f64), radius: f64, color: Color) {
        let around = [cx - radius, cy - radius, cx + radius, cy + radius];
        self.fill(around, color, |x, y| (x - cx).hypot(y - cy) <= radius);
    }

    fn frame(&mut self, window: [f64; 4], color: Color) {
        let [l, t, r, b] = window.map(|v| v * self.scale);
        let line = 2.0 * self.unit;
        self.fill([l, t, r, b], color, |x, y| x < l + line || x > r - line || y < t + line || y > b - line);
    }

    /// A dot at the point and a numbered disc beside it, on the side where there is room.
    fn badge(&mut self, at: (f64, f64), number: usize, color: Color) {
        let u = self.unit;
        let (x, y) = self.place(at);
        self.disc((x, y), 4.5 * u, WHITE);
        self.disc((x, y), 3.0 * u, color);
        let (w, h) = (f64::from(self.pixels.width()), f64::from(self.pixels.height()));
        let (dx, dy) = (if x + 34.0 * u > w { -20.0 } else { 20.0 }, if y < 34.0 * u { 20.0 } else { -20.0 });
        // On a picture smaller than the badge there is no room; the corner is as good as any place.
        let inside = |v: f64, side: f64| v.min(side).max(12.0 * u);
        let middle = (inside(x + dx * u, w), inside(y + dy * u, h));
        self.disc(middle, 12.0 * u, WHITE);
        self.disc(middle, 10.5 * u, color);
        let digits = number.to_string();
        let step = 2.0 * u;
        let left = middle.0 - (digits.len() as f64 * 4.0 - 1.0) * step / 2.0;
        for (idx, digit) in digits.bytes().enumerate() {
            self.digit((left + idx as f64 * 4.0 * step, middle.1 - 2.5 * step), digit - b'0', step);
        }
    }

    fn digit(&mut self, (left, top): (f64, f64), digit: u8, step: f64) {
        for (row, bits) in DIGITS[usize::from(digit)].iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let (x, y) = (left + f64::from(column) * step, top + row as f64 * step);
                self.fill([x, y, x + step, y + step], WHITE, |_, _| true);
            }
        }
    }

    /// White with a dark rim, as on most desktops.
    fn arrow(&mut self, at: (f64, f64)) {
        let u = self.unit;
        let (x, y) = self.place(at);
        let corners = ARROW.map(|(dx, dy)| (x + dx * u, y + dy * u));
        let rim = 1.6 * u;
        let around = [x - rim, y - rim, x + 16.0 * u, y + 26.0 * u];
        self.fill(around, BLACK, |px, py| is_inside(&corners, px, py) || distance(&corners, px, py) <= rim);
        self.fill(around, WHITE, |px, py| {
            is_inside(&corners, px, py) && distance(&corners, px, py) > rim / 2.0
        });
    }

    fn cross(&mut self, at: (f64, f64)) {
        let u = self.unit;
        let (cx, cy) = self.place(at);
        for (color, half) in [(WHITE, 3.2 * u), (ANSWER, 1.7 * u)] {
            let reach = 22.0 * u;
            self.fill([cx - reach, cy - reach, cx + reach, cy + reach], color, |x, y| {
                let (dx, dy) = (x - cx, y - cy);
                let distance = dx.hypot(dy);
                let on_ring = (distance - 13.0 * u).abs() <= half;
                let on_arm = dx.abs().min(dy.abs()) <= half && distance >= 7.0 * u && distance <= reach;
                on_ring || on_arm || distance <= half
            });
        }
    }
}

/// The sides of a polygon.
fn sides(corners: &[(f64, f64)]) -> impl Iterator<Item = [(f64, f64); 2]> {
    corners.iter().zip(corners.iter().cycle().skip(1)).map(|(a, b)| [*a, *b])
}

/// Whether a ray to the right crosses an odd number of sides.
fn is_inside(corners: &[(f64, f64)], x: f64, y: f64) -> bool {
    let crossed = sides(corners)
        .filter(|[a, b]| (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0));
    crossed.count() % 2 == 1
}

/// How far the nearest side is.
fn distance(corners: &[(f64, f64)], x: f64, y: f64) -> f64 {
    let to_side = |[a, b]: [(f64, f64); 2]| {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let along = (((x - a.0) * dx + (y - a.1) * dy) / dx.hypot(dy).powi(2)).clamp(0.0, 1.0);
        (x - a.0 - along * dx).hypot(y - a.1 - along * dy)
    };
    sides(corners).map(to_side).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::{Plain, ThoughtRecord, TurnRecord};

    use super::*;

    #[test]
    fn marks_stay_in_the_picture_and_the_answer_is_at_its_point() {
        for (width, height) in [(1, 1), (40, 30), (1280, 800)] {
            let picture = RgbImage::new(width, height);
            let corner = [Plain(f64::from(width - 1)), Plain(f64::from(height - 1))];
            let thought =
                ThoughtRecord { text: String::new(), points: vec![corner, [Plain(0.0), Plain(0.0)]] };
            let window = [Plain(0.0), Plain(0.0), corner[0], corner[1]];
            let turn = TurnRecord { thoughts: vec![thought], crop: Some(window), ..TurnRecord::default() };
            let grounding =
                GroundingRecord { turns: vec![turn], answer: Some(corner), ..GroundingRecord::default() };
            let drawn = drawn(&picture, &grounding);
            let scale = drawn.width() / width;
            let (x, y) = ((width - 1) * scale + scale / 2, (height - 1) * scale + scale / 2);
            assert_eq!(drawn.get_pixel(x, y), &ANSWER);
        }
    }
}
