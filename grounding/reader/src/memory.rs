//! What is known of the screenshot before: only what changed is looked at again.
//!
//! Invariant: a reading from memory is the reading of the same pixels. A line is taken over only if its picture is the
//! same, byte by byte; a part of the core map only where the pixels are the same, in place or moved as a whole.

use std::collections::HashMap;

use image::RgbImage;
use vigorl_geometry::Rect;

use crate::detector::{CoreMap, Region};
use crate::reading::{Glyph, Line};

/// Side of the cells in which changes are looked for, in pixels.
const CELL_PX: u32 = 16;
/// What is looked at again around a change, in pixels: a line reaches beyond the letter that changed.
const AROUND_PX: u32 = 32;
/// Columns on either side that need not have moved along: scroll bars, borders.
const EDGE_PX: u32 = 24;
/// Rows that must have moved alike before it counts as scrolling, and their share of all rows that can tell.
const MIN_ROWS: usize = 8;
const MIN_SHARE: f64 = 0.3;

/// A screenshot, and what was found on it.
pub(crate) struct Memory {
    pub(crate) image: RgbImage,
    pub(crate) map: CoreMap,
}

/// What has to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Nothing,
    These(Vec<Region>),
}

impl Memory {
    /// Compares with the next screenshot of the same size, and moves along in the map what was scrolled.
    pub(crate) fn compare(&mut self, next: &RgbImage) -> Changed {
        let whole = Region::of_image(next);
        let changed = changed_cells(&self.image, next);
        let Some(around) = bounds(&changed) else { return Changed::Nothing };
        let Some((inner, by)) = scrolled_part(&self.image, next, around) else {
            return Changed::These(joined(changed.into_iter().map(|cell| cell.grown(AROUND_PX, whole))));
        };
        let new_rows = self.scroll(next, inner, by);
        let edges = [Region { right: inner.left, ..around }, Region { left: inner.right, ..around }];
        let edges = edges.into_iter().filter(|edge| edge.width() > 0);
        Changed::These(joined(new_rows.into_iter().chain(edges).map(|part| part.grown(AROUND_PX, whole))))
    }

    /// Moves the map's rows in `inner`, and returns what nothing was moved to.
    fn scroll(&mut self, next: &RgbImage, inner: Region, by: i64) -> Vec<Region> {
        let before = self.map.cores.clone();
        let mut new: Vec<Region> = Vec::new();
        for y in inner.top..inner.bottom {
            let from =
                u32::try_from(i64::from(y) + by).ok().filter(|from| (inner.top..inner.bottom).contains(from));
            let from = from.filter(|from| row(&self.image, inner, *from) == row(next, inner, y));
            match from {
                Some(from) => {
                    let source = self.map.row(from, inner.left, inner.right);
                    let target = self.map.row(y, inner.left, inner.right);
                    self.map.cores[target].copy_from_slice(&before[source]);
                }
                None => match new.last_mut().filter(|band| band.bottom == y) {
                    Some(band) => band.bottom = y + 1,
                    None => new.push(Region { top: y, bottom: y + 1, ..inner }),
                },
            }
        }
        new
    }
}

fn row(image: &RgbImage, columns: Region, y: u32) -> &[u8] {
    let start = (y as usize * image.width() as usize + columns.left as usize) * 3;
    &image.as_raw()[start..start + columns.width() as usize * 3]
}

fn changed_cells(before: &RgbImage, after: &RgbImage) -> Vec<Region> {
    let whole = Region::of_image(after);
    let mut changed = Vec::new();
    for top in (0..whole.bottom).step_by(CELL_PX as usize) {
        let bottom = (top + CELL_PX).min(whole.bottom);
        if (top..bottom).all(|y| row(before, whole, y) == row(after, whole, y)) {
            continue;
        }
        for left in (0..whole.right).step_by(CELL_PX as usize) {
            let cell = Region { left, top, right: (left + CELL_PX).min(whole.right), bottom };
            if (top..bottom).any(|y| row(before, cell, y) != row(after, cell, y)) {
                changed.push(cell);
            }
        }
    }
    changed
}

fn bounds(regions: &[Region]) -> Option<Region> {
    let (first, others) = regions.split_first()?;
    Some(others.iter().fold(*first, |all, one| Region {
        left: all.left.min(one.left),
        top: all.top.min(one.top),
        right: all.right.max(one.right),
        bottom: all.bottom.max(one.bottom),
    }))
}

/// Regions that touch are one.
fn joined(regions: impl Iterator<Item = Region>) -> Vec<Region> {
    let mut groups: Vec<Region> = Vec::new();
    for mut region in regions {
        let touches = |a: Region, b: Region| {
            a.left <= b.right && b.left <= a.right && a.top <= b.bottom && b.top <= a.bottom
        };
        while let Some(at) = groups.iter().position(|group| touches(*group, region)) {
            let group = groups.swap_remove(at);
            region = bounds(&[group, region]).unwrap_or(region);
        }
        groups.push(region);
    }
    groups
}

/// What moved as a whole, and by how many rows up: all of `around`, or what is left of it without an edge or both. Text
/// can stand at an edge, so an edge is left out only if more rows move along without it.
fn scrolled_part(before: &RgbImage, after: &RgbImage, around: Region) -> Option<(Region, i64)> {
    let mut best: Option<(Region, i64, usize)> = None;
    for (left, right) in [(0, 0), (0, EDGE_PX), (EDGE_PX, 0), (EDGE_PX, EDGE_PX)] {
        if left + right > 0 && around.width() <= 8 * EDGE_PX {
            continue;
        }
        let inner = Region { left: around.left + left, right: around.right - right, ..around };
        if let Some((by, n)) = scrolled(before, after, inner)
            && best.is_none_or(|(_, _, most)| n > most)
        {
            best = Some((inner, by, n));
        }
    }
    best.map(|(inner, by, _)| (inner, by))
}

/// By how many rows the content of `inner` moved up, if it moved as a whole, and how many rows tell so.
fn scrolled(before: &RgbImage, after: &RgbImage, inner: Region) -> Option<(i64, usize)> {
    let hashes = |image: &RgbImage| -> Vec<(u32, u64)> {
        let tells = |pixels: &[u8]| pixels.as_chunks::<3>().0.windows(2).any(|pair| pair[0] != pair[1]);
        let rows = (inner.top..inner.bottom).map(|y| (y, row(image, inner, y)));
        rows.filter(|(_, pixels)| tells(pixels)).map(|(y, pixels)| (y, hash(pixels))).collect()
    };
    let mut places: HashMap<u64, Option<u32>> = HashMap::new();
    for (y, hash) in hashes(before) {
        // A row that occurs twice does not tell where it went.
        places.entry(hash).and_modify(|place| *place = None).or_insert(Some(y));
    }
    let rows = hashes(after);
    let mut votes: HashMap<i64, usize> = HashMap::new();
    for (y, hash) in &rows {
        if let Some(Some(from)) = places.get(hash)
            && from != y
        {
            *votes.entry(i64::from(*from) - i64::from(*y)).or_default() += 1;
        }
    }
    let (by, n) = votes.into_iter().max_by_key(|(by, n)| (*n, -by.abs(), *by))?;
    (n >= MIN_ROWS && n as f64 >= MIN_SHARE * rows.len() as f64).then_some((by, n))
}

/// Equal bytes have equal hashes; whoever finds a hash again compares the bytes.
fn hash(bytes: &[u8]) -> u64 {
    // Golden ratio in 64 bits, as in Fibonacci hashing: eight bytes at a time, screens are large.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    let words = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let all = rest.iter().fold(words, |hash, byte| mix(hash, u64::from(*byte)));
    all ^ all >> 32
}

/// Pictures of lines that are kept besides those of the last screenshot, in bytes: some hundreds of lines of text.
const MAX_KEPT: usize = 16 << 20;

/// Lines by their pictures: those of the last screenshot, and as many of those before it as there is room for.
#[derive(Default)]
pub(crate) struct KnownLines {
    lines: HashMap<u64, Vec<Known>>,
    n_bytes: usize,
    /// The number of the screenshot whose lines are read.
    page: u64,
}

struct Known {
    picture: RgbImage,
    line: Option<Line>,
    /// The last screenshot that showed it.
    page: u64,
}

impl KnownLines {
    /// What the same picture said, at another place.
    pub(crate) fn recall(&self, picture: &RgbImage, rect: (u32, u32)) -> Option<Option<Line>> {
        let known =
            self.lines.get(&hash(picture.as_raw()))?.iter().find(|known| known.picture == *picture)?;
        Some(known.line.as_ref().map(|line| moved(line, rect)))
    }

    pub(crate) fn remember(&mut self, picture: RgbImage, line: Option<Line>) {
        let known = self.lines.entry(hash(picture.as_raw())).or_default();
        match known.iter_mut().find(|known| known.picture == picture) {
            Some(known) => known.page = self.page,
            None => {
                self.n_bytes += picture.len();
                known.push(Known { picture, line, page: self.page });
            }
        }
    }

    /// All lines of a screenshot were read or recalled. What was not seen for longest is forgotten, if there is too much.
    pub(crate) fn turn_page(&mut self) {
        while self.n_bytes > MAX_KEPT {
            let Some(oldest) = self.lines.values().flatten().map(|known| known.page).min() else { break };
            if oldest == self.page {
                break;
            }
            self.lines.retain(|_, known| {
                known.retain(|known| known.page > oldest);
                !known.is_empty()
            });
            self.n_bytes = self.lines.values().flatten().map(|known| known.picture.len()).sum();
        }
        self.page += 1;
    }
}

fn moved(line: &Line, (left, top): (u32, u32)) -> Line {
    let (dx, dy) = (f64::from(left) - line.rect.left, f64::from(top) - line.rect.top);
    let rect = line.rect;
    Line {
        rect: Rect::new(rect.left + dx, rect.top + dy, rect.right + dx, rect.bottom + dy),
        glyphs: line
            .glyphs
            .iter()
            .map(|glyph| Glyph { left: glyph.left + dx, right: glyph.right + dx, ..*glyph })
            .collect(),
        ..line.clone()
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// A picture of a colour, as many bytes as are asked for.
    fn picture(colour: u8, n_bytes: usize) -> RgbImage {
        RgbImage::from_pixel((n_bytes / 3) as u32, 1, Rgb([colour; 3]))
    }

    #[test]
    fn lines_are_known_until_others_need_their_room_and_those_of_the_last_screenshot_always() {
        let mut known = KnownLines::default();
        let is_known = |known: &KnownLines, colour, n_bytes| {
            known.recall(&picture(colour, n_bytes), (0, 0)) == Some(None)
        };
        let half = MAX_KEPT / 2 - 3;
        for colour in [1, 2] {
            known.remember(picture(colour, half), None);
            known.turn_page();
        }
        assert!(is_known(&known, 1, half) && is_known(&known, 2, half), "both have room");
        // The first one is seen again, so the second is the one to go.
        known.remember(picture(1, half), None);
        known.remember(picture(3, half), None);
        known.turn_page();
        assert!(is_known(&known, 1, half) && is_known(&known, 3, half) && !is_known(&known, 2, half));
        known.remember(picture(4, 3 * MAX_KEPT), None);
        known.turn_page();
        assert!(is_known(&known, 4, 3 * MAX_KEPT), "what is shown now is known, however much it is");
        assert!(!is_known(&known, 1, half) && !is_known(&known, 3, half));
    }
}
