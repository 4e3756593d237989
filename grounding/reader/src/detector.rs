//! Where there is text: a map of line cores over the whole screenshot.
//!
//! Invariant: the detector looks only where something is, and always with a margin, so that a line is seen whole whatever
//! region it is looked at in.

use image::{RgbImage, imageops};

use crate::networks::{DETECTOR_STEP, Networks};
use crate::reader::ReaderError;

/// A rectangle of whole screenshot pixels; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

/// Side of the cells in which content is looked for, in pixels.
const CELL_PX: u32 = 16;
/// Colours that differ by less than this are one area.
const FLAT: u8 = 10;
/// What is looked at around a region, in pixels.
const MARGIN_PX: u32 = 32;
/// Area, in pixels, that is computed at once, if it can be cut that small: memory grows with it.
const AT_ONCE_PX: u64 = 1_344 * 512;
/// Parts of a side at most: enough for any screen that the reader takes.
const MAX_CUTS: u32 = 128;
/// With more regions than this, neighbours are put together.
const MAX_REGIONS: usize = 24;
/// Area, in cells, that costs as much as looking at one region more.
const COST_OF_REGION: u32 = 24;

impl Region {
    pub(crate) fn of_image(image: &RgbImage) -> Self {
        Self { left: 0, top: 0, right: image.width(), bottom: image.height() }
    }

    pub(crate) fn width(self) -> u32 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> u32 {
        self.bottom - self.top
    }

    fn area(self) -> u32 {
        self.width() * self.height()
    }

    pub(crate) fn grown(self, by: u32, within: Self) -> Self {
        Self {
            left: self.left.saturating_sub(by).max(within.left),
            top: self.top.saturating_sub(by).max(within.top),
            right: (self.right + by).min(within.right),
            bottom: (self.bottom + by).min(within.bottom),
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Parts that are small enough to be computed at once, cut so that the fewest pixels are computed in all.
    fn parts(self, within: Self) -> Vec<Self> {
        let columns = cuts(self.left, self.right, within.right);
        let rows = cuts(self.top, self.bottom, within.bottom);
        let least = columns.iter().filter_map(|columns| {
            let rows = rows.iter().find(|rows| columns.widest * rows.widest <= AT_ONCE_PX)?;
            Some((columns, rows))
        });
        let least = least.min_by_key(|(columns, rows)| columns.computed * rows.computed);
        let Some((columns, rows)) = least else { return vec![self] };
        let part = |&(top, bottom): &(u32, u32)| {
            columns.spans.iter().map(move |&(left, right)| Self { left, top, right, bottom })
        };
        rows.spans.iter().flat_map(part).collect()
    }
}

/// One way to cut a side of a region; lengths in pixels.
struct Cut {
    spans: Vec<(u32, u32)>,
    /// The longest part that is computed, with its margins.
    widest: u64,
    computed: u64,
}

/// The ways to cut a side into parts of about the same length, fewest parts first.
fn cuts(low: u32, high: u32, end: u32) -> Vec<Cut> {
    let n_steps = (high - low) / DETECTOR_STEP;
    let cut = |n: u32| {
        // Cuts at whole steps: otherwise what is seen of a part is filled up to the next step for nothing.
        let at = |i: u32| if i == n { high } else { low + n_steps * i / n * DETECTOR_STEP };
        let spans: Vec<_> = (0..n).map(|i| (at(i), at(i + 1))).collect();
        let computed = |&(low, high): &(u32, u32)| {
            let seen = (high + MARGIN_PX).min(end) - low.saturating_sub(MARGIN_PX);
            u64::from(seen.next_multiple_of(DETECTOR_STEP))
        };
        let lengths = || spans.iter().map(computed);
        Cut { widest: lengths().max().unwrap_or(0), computed: lengths().sum(), spans }
    };
    (1..=n_steps.clamp(1, MAX_CUTS)).map(cut).collect()
}

/// For each pixel of a screenshot, how surely it lies in the core of a line: 255 is surest.
#[derive(Debug, Clone)]
pub(crate) struct CoreMap {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) cores: Vec<u8>,
}

impl CoreMap {
    /// Nothing was looked at yet.
    pub(crate) fn new(image: &RgbImage) -> Self {
        let (width, height) = image.dimensions();
        Self { width, height, cores: vec![0; width as usize * height as usize] }
    }

    pub(crate) fn row(&self, y: u32, left: u32, right: u32) -> std::ops::Range<usize> {
        let start = y as usize * self.width as usize;
        start + left as usize..start + right as usize
    }

    /// Looks at a region anew, wherever there is something in it.
    pub(crate) fn look(
        &mut self,
        networks: &Networks,
        image: &RgbImage,
        region: Region,
    ) -> Result<(), ReaderError> {
        for y in region.top..region.bottom {
            let row = self.row(y, region.left, region.right);
            self.cores[row].fill(0);
        }
        let within = Region::of_image(image);
        for part in with_content(image, region).into_iter().flat_map(|drawn| drawn.parts(within)) {
            self.look_at_part(networks, image, part)?;
        }
        Ok(())
    }

    fn look_at_part(
        &mut self,
        networks: &Networks,
        image: &RgbImage,
        part: Region,
    ) -> Result<(), ReaderError> {
        let seen = part.grown(MARGIN_PX, Region::of_image(image));
        let padded = [seen.width(), seen.height()].map(|side| side.next_multiple_of(DETECTOR_STEP));
        let mut picture = RgbImage::new(padded[0], padded[1]);
        let view = imageops::crop_imm(image, seen.left, seen.top, seen.width(), seen.height());
        imageops::replace(&mut picture, &*view, 0, 0);
        continue_borders(&mut picture, seen.width(), seen.height());
        let map = networks.core_map(&picture)?;
        for y in part.top..part.bottom {
            let from = (y - seen.top) as usize * padded[0] as usize + (part.left - seen.left) as usize;
            let row = self.row(y, part.left, part.right);
            let values = &map[from..from + row.len()];
            for (core, value) in self.cores[row].iter_mut().zip(values) {
                *core = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
        Ok(())
    }
}

/// Fills what lies beyond `width` and `height` with the last column and row, which is no edge to see.
fn continue_borders(picture: &mut RgbImage, width: u32, height: u32) {
    for y in 0..height {
        let last = *picture.get_pixel(width - 1, y);
        (width..picture.width()).for_each(|x| picture.put_pixel(x, y, last));
    }
    for y in height..picture.height() {
        for x in 0..picture.width() {
            let last = *picture.get_pixel(x, height - 1);
            picture.put_pixel(x, y, last);
        }
    }
}

/// The parts of `region` in which anything is drawn.
fn with_content(image: &RgbImage, region: Region) -> Vec<Region> {
    let columns = region.width().div_ceil(CELL_PX);
    let rows = region.height().div_ceil(CELL_PX);
    let cell = |column: u32, row: u32| Region {
        left: region.left + column * CELL_PX,
        top: region.top + row * CELL_PX,
        right: (region.left + (column + 1) * CELL_PX).min(region.right),
        bottom: (region.top + (row + 1) * CELL_PX).min(region.bottom),
    };
    let drawn: Vec<bool> = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (column, row)))
        .map(|(column, row)| !is_flat(image, cell(column, row).grown(1, region)))
        .collect();
    let cells = |grown: (u32, u32)| clusters(&drawn, columns, rows, grown);
    // Letters of a line are near each other; what is further apart is put together only where there is much of it.
    let found = [(2, 1), (4, 2), (8, 4)].into_iter().map(cells).find(|found| found.len() <= MAX_REGIONS);
    let Some(found) = found else { return vec![region] };
    let in_pixels = |cells: Region| Region {
        left: region.left + cells.left * CELL_PX,
        top: region.top + cells.top * CELL_PX,
        right: (region.left + cells.right * CELL_PX).min(region.right),
        bottom: (region.top + cells.bottom * CELL_PX).min(region.bottom),
    };
    found.into_iter().map(in_pixels).collect()
}

fn is_flat(image: &RgbImage, area: Region) -> bool {
    /// Bytes that are compared at once: whole pixels, and whole vectors.
    const AT_ONCE: usize = 48;
    let (mut low, mut high) = ([u8::MAX; AT_ONCE], [0; AT_ONCE]);
    let width = image.width() as usize;
    for y in area.top..area.bottom {
        let start = (y as usize * width + area.left as usize) * 3;
        for bytes in image.as_raw()[start..start + area.width() as usize * 3].chunks(AT_ONCE) {
            for ((low, high), byte) in low.iter_mut().zip(&mut high).zip(bytes) {
                (*low, *high) = ((*low).min(*byte), (*high).max(*byte));
            }
        }
    }
    (0..3).all(|channel| {
        let lowest = low.iter().skip(channel).step_by(3).min();
        let highest = high.iter().skip(channel).step_by(3).max();
        lowest.zip(highest).is_none_or(|(low, high)| high.saturating_sub(*low) < FLAT)
    })
}

/// Rectangles, in cells, around groups of drawn cells that are less than `grown` (across, down) apart on either side.
fn clusters(drawn: &[bool], columns: u32, rows: u32, grown: (u32, u32)) -> Vec<Region> {
    let whole = Region { left: 0, top: 0, right: columns, bottom: rows };
    let mut groups: Vec<Region> = Vec::new();
    for (at, _) in drawn.iter().enumerate().filter(|(_, drawn)| **drawn) {
        let (column, row) = (at as u32 % columns, at as u32 / columns);
        let mut cell = Region {
            left: column.saturating_sub(grown.0),
            top: row.saturating_sub(grown.1),
            right: (column + 1 + grown.0).min(whole.right),
            bottom: (row + 1 + grown.1).min(whole.bottom),
        };
        // A group takes in whatever it touches, which may make it touch another one.
        loop {
            let touched = groups.iter().position(|group| is_worth_joining(*group, cell));
            let Some(touched) = touched else { break };
            cell = cell.with(groups.swap_remove(touched));
        }
        groups.push(cell);
    }
    groups
}

fn is_worth_joining(a: Region, b: Region) -> bool {
    let touch = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    touch || a.with(b).area() <= a.area() + b.area() + COST_OF_REGION
}
