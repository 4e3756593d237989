//! The shapes as polygons. Invariant: every coordinate is a multiple of 1/16 px, so that a shape drawn at
//! another whole-pixel offset has the same pixels.

use std::f64::consts::TAU;

use super::widget::Shape;

/// Rounds to 1/16 px.
pub(super) fn snap(v: f64) -> f64 {
    (v * 16.0).round() / 16.0
}

/// SVG path of `shape` in a square of `side` px whose top left corner is at (`x`, `y`).
pub(super) fn path(shape: Shape, x: f64, y: f64, side: f64) -> String {
    let points = match shape {
        Shape::Circle => around(32, |_, t| (0.5 + 0.5 * t.sin(), 0.5 - 0.5 * t.cos())),
        Shape::Square => vec![(0.04, 0.04), (0.96, 0.04), (0.96, 0.96), (0.04, 0.96)],
        Shape::Triangle => vec![(0.5, 0.03), (1.0, 0.95), (0.0, 0.95)],
        Shape::Diamond => vec![(0.5, 0.0), (0.92, 0.5), (0.5, 1.0), (0.08, 0.5)],
        Shape::Star => around(10, |i, t| {
            let radius = if i % 2 == 0 { 0.54 } else { 0.225 };
            (0.5 + radius * t.sin(), 0.54 - radius * t.cos())
        }),
        Shape::Heart => around(40, |_, t| {
            let down = 13.0 * t.cos() - 5.0 * (2.0 * t).cos() - 2.0 * (3.0 * t).cos() - (4.0 * t).cos();
            (0.5 + 0.5 * t.sin().powi(3), (12.0 - down) / 29.0)
        }),
        Shape::Plus => {
            let (a, b) = (0.34, 0.66);
            vec![
                (a, 0.0),
                (b, 0.0),
                (b, a),
                (1.0, a),
                (1.0, b),
                (b, b),
                (b, 1.0),
                (a, 1.0),
                (a, b),
                (0.0, b),
                (0.0, a),
                (a, a),
            ]
        }
    };
    let mut path = String::with_capacity(points.len() * 12);
    for (i, (px, py)) in points.into_iter().enumerate() {
        let command = if i == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{command}{} {}", snap(x + px * side), snap(y + py * side)));
    }
    path.push('Z');
    path
}

fn around(n: usize, point: impl Fn(usize, f64) -> (f64, f64)) -> Vec<(f64, f64)> {
    (0..n).map(|i| point(i, i as f64 / n as f64 * TAU)).collect()
}
