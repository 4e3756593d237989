//! Lines in a map of line cores: every piece of core that hangs together, with the margin that belongs to it.
//!
//! Source: DB (arXiv 1911.08947) as PaddleOCR uses it: a core is above 0.3, a line's mean above 0.5; the detector is
//! trained on cores shrunk by area * ratio / perimeter, which is undone here. Screens have level lines, so boxes are
//! level.

use crate::detector::CoreMap;
use crate::pieces::pieces;

/// Smallest value of a core, of 255.
const CORE: u8 = 77;
/// Smallest mean over a piece, of 255.
const SURE: u64 = 128;
/// Smallest piece, in pixels.
const MIN_PIXELS: usize = 6;
/// How far a core is shrunk: area times this by perimeter.
const SHRUNK: f64 = 1.6;

/// A line's edges on the screenshot, in pixels; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LineBox {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

/// All lines, from top to bottom.
pub(crate) fn boxes(map: &CoreMap) -> Vec<LineBox> {
    let (width, height) = (map.width as usize, map.height as usize);
    let mut boxes = Vec::new();
    pieces(
        (width, height),
        |at| map.cores[at] >= CORE,
        |piece, members| {
            let sum: u64 = members.iter().map(|at| u64::from(map.cores[*at])).sum();
            if members.len() < MIN_PIXELS || sum < SURE * members.len() as u64 {
                return;
            }
            let [left, top, right, bottom] =
                [piece.left, piece.top, piece.right, piece.bottom].map(|edge| edge as f64);
            let (across, down) = (right - left, bottom - top);
            let margin = across * down * SHRUNK / (2.0 * (across + down));
            boxes.push(LineBox {
                left: (left - margin).max(0.0),
                top: (top - margin).max(0.0),
                right: (right + margin).min(width as f64),
                bottom: (bottom + margin).min(height as f64),
            });
        },
    );
    boxes
}
