//! Gives every widget its place. Invariant: boxes are whole pixels inside the canvas, at least
//! [`GAP_PX`] apart.

use serde::{Deserialize, Serialize};

use super::cast::{Part, SMALLEST_TEXT_PX};
use super::look::Font;
use super::page::Decoration;
use super::spec::{PageSpec, Split, Tier};
use super::widget::{Kind, PixelBox};
use crate::dice::Dice;

/// Free pixels between two widgets, at least.
pub(super) const GAP_PX: i32 = 3;

/// Shorter sides no training page has.
pub(super) const HELD_OUT_SIZES: [i32; 5] = [10, 15, 20, 29, 42];

/// How the widgets of a page are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Anywhere.
    Scatter,
    /// One in a cell.
    Grid,
    /// A horizontal strip of equally large widgets, the others anywhere.
    Toolbar,
    /// One below the other, at one edge.
    Form,
    /// A vertical strip of equally large widgets, the others anywhere. Held out.
    Sidebar,
    /// Along the edges of the page. Held out.
    Ring,
}

impl Layout {
    pub(super) fn draw(dice: &mut Dice, split: Split) -> Self {
        if split != Split::Train && dice.chance(1.0 / 3.0) {
            return dice.pick(&[Self::Sidebar, Self::Ring]);
        }
        dice.weighted(&[(Self::Scatter, 4), (Self::Grid, 3), (Self::Toolbar, 3), (Self::Form, 2)])
    }

    /// Whether training pages never have it.
    pub fn is_held_out(self) -> bool {
        matches!(self, Self::Sidebar | Self::Ring)
    }
}

/// Which exact sizes may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SizeRule {
    /// The sizes of training pages.
    Seen,
    /// The held-out sizes, where one fits.
    Unseen,
}

impl SizeRule {
    /// A size from `low` to `high`, all equally likely.
    fn draw(self, dice: &mut Dice, low: i32, high: i32) -> Option<i32> {
        if high < low {
            return None;
        }
        let size = dice.between(low, high);
        let in_range = |s: &i32| (low..=high).contains(s);
        let seen = |s: &i32| in_range(s) && !HELD_OUT_SIZES.contains(s);
        let unseen = || HELD_OUT_SIZES.into_iter().filter(in_range).min_by_key(|s| (s - size).abs());
        // Held-out sizes are never neighbors, so one step up or down leaves them.
        let step = if dice.chance(0.5) { 1 } else { -1 };
        let nearest_seen = || [size, size + step, size - step].into_iter().find(seen);
        match self {
            Self::Seen => nearest_seen(),
            Self::Unseen => unseen().or_else(nearest_seen),
        }
    }

    /// The next smaller size, about a fifth below.
    fn shrunk(self, dice: &mut Dice, size: i32, low: i32) -> Option<i32> {
        let high = size - (size / 5).max(1);
        let candidates = (high - 1).max(low);
        self.draw(dice, candidates, high)
    }
}

/// Where a widget may stand.
#[derive(Debug, Clone, Copy)]
struct Slot {
    area: PixelBox,
    /// The size of all widgets of a strip.
    size: Option<i32>,
}

struct Plan {
    slots: Vec<Slot>,
    decorations: Vec<Decoration>,
    /// What is left of the canvas for widgets that fit no slot.
    rest: PixelBox,
}

/// A widget's box and font size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) bounds: PixelBox,
    pub(super) text_px: i32,
}

/// Places `parts` in their order; `None` if this attempt found no room.
pub(super) fn arrange(
    dice: &mut Dice,
    spec: &PageSpec,
    layout: Layout,
    rule: SizeRule,
    font: Font,
    parts: &[Part],
) -> Option<(Vec<Placed>, Vec<Decoration>)> {
    let canvas = PixelBox::at(0, 0, spec.canvas.width as i32, spec.canvas.height as i32);
    let mut plan = draw_plan(dice, spec, layout, rule, canvas, parts.len());
    let mut placed: Vec<Placed> = Vec::with_capacity(parts.len());
    for (part, slot) in parts.iter().zip(&plan.slots) {
        let fallback = Slot { area: plan.rest, size: None };
        let place = |dice: &mut Dice, slot: &Slot, placed: &[Placed]| {
            place_one(dice, spec, rule, font, part, slot, placed)
        };
        let one = place(dice, slot, &placed).or_else(|| place(dice, &fallback, &placed))?;
        placed.push(one);
    }
    let body = plan.rest;
    add_text_bars(dice, body, &placed, &mut plan.decorations);
    Some((placed, plan.decorations))
}

fn place_one(
    dice: &mut Dice,
    spec: &PageSpec,
    rule: SizeRule,
    font: Font,
    part: &Part,
    slot: &Slot,
    placed: &[Placed],
) -> Option<Placed> {
    let (low, high) = size_limits(spec, part);
    let high = high.min(slot.area.short_side());
    let mut size = match slot.size {
        Some(size) if (low..=high).contains(&size) => size,
        _ => rule.draw(dice, low, high)?,
    };
    loop {
        let (width, height, text_px) = dimensions(dice, part, size, font);
        let (free_x, free_y) = (slot.area.width() - width, slot.area.height() - height);
        if free_x >= 0 && free_y >= 0 {
            for _ in 0..24 {
                let (x, y) = (dice.between(0, free_x), dice.between(0, free_y));
                let bounds = PixelBox::at(slot.area.left + x, slot.area.top + y, width, height);
                if placed.iter().all(|other| !other.bounds.overlaps(bounds.grown(GAP_PX))) {
                    return Some(Placed { bounds, text_px });
                }
            }
        }
        size = rule.shrunk(dice, size, low)?;
    }
}

/// Smallest and largest shorter side of a widget.
fn size_limits(spec: &PageSpec, part: &Part) -> (i32, i32) {
    let (low, high) = match (spec.tier, part.kind) {
        (Tier::Icons, Kind::Slider) => (8, 20),
        (Tier::Icons, Kind::Icon) => (8, 60),
        (Tier::Icons, _) => (8, 40),
        (Tier::Words { .. }, Kind::Button) => (14, 40),
        (Tier::Words { .. }, Kind::Tab | Kind::Field) => (14, 30),
        (Tier::Words { .. }, _) => (11, 24),
    };
    // A wish that no widget of this kind can meet moves to the nearest size it can have.
    let (min, max) = (spec.sizes.min as i32, spec.sizes.max as i32);
    (min.clamp(low, high), max.clamp(low, high))
}

/// Width, height and font size of a widget whose shorter side is `size`.
fn dimensions(dice: &mut Dice, part: &Part, size: i32, font: Font) -> (i32, i32, i32) {
    let Some(label) = part.label else {
        let width = if part.kind == Kind::Slider { size * dice.between(6, 9) / 2 } else { size };
        return (width, size, 0);
    };
    let text_px = match part.kind {
        Kind::Link | Kind::Checkbox | Kind::Radio => (size - 2).min(18),
        _ => (size * 6 / 10).clamp(SMALLEST_TEXT_PX, 18),
    };
    let text = font.width_px(label, text_px);
    let width = match part.kind {
        Kind::Link => text + 2,
        Kind::Checkbox | Kind::Radio => size + 4 + text,
        Kind::Field => (text + 12).max(44),
        _ => text + dice.between(8, 8 + size / 2),
    };
    (width.max(size), size, text_px)
}

fn draw_plan(
    dice: &mut Dice,
    spec: &PageSpec,
    layout: Layout,
    rule: SizeRule,
    canvas: PixelBox,
    n: usize,
) -> Plan {
    let mut decorations = Vec::new();
    let mut body = canvas.grown(-2);
    if canvas.height() >= 96 && dice.chance(0.25) {
        let title = PixelBox { bottom: dice.between(9, 13), ..canvas };
        decorations.push(Decoration::Card(title));
        let bar = PixelBox::at(dice.between(4, 12), title.bottom / 2 - 1, dice.between(20, 60), 3);
        decorations.push(Decoration::TextBar(bar));
        body.top = title.bottom + 2;
    }
    let free = |area| Slot { area, size: None };
    match layout {
        Layout::Scatter => {
            if dice.chance(0.5) {
                let (w, h) = (body.width() / 3, body.height() / 3);
                let (left, top) = (dice.between(body.left, w), dice.between(body.top, body.top + h));
                let (width, height) = (dice.between(w, 2 * w), dice.between(h, 2 * h));
                decorations.push(Decoration::Card(PixelBox::at(left, top, width, height)));
            }
            Plan { slots: vec![free(body); n], decorations, rest: body }
        }
        Layout::Grid => {
            let mut cells = grid_cells(body, n);
            dice.shuffle(&mut cells);
            if dice.chance(0.5) {
                decorations.extend(cells.iter().map(|cell| Decoration::Card(*cell)));
            }
            let slots = cells.into_iter().map(|cell| free(cell.grown(-1))).collect();
            Plan { slots, decorations, rest: body }
        }
        Layout::Ring => {
            let mut cells = ring_cells(body, n);
            dice.shuffle(&mut cells);
            Plan { slots: cells.into_iter().map(free).collect(), decorations, rest: body }
        }
        Layout::Form => plan_form(dice, body, n, decorations),
        Layout::Toolbar | Layout::Sidebar => plan_strip(dice, spec, layout, rule, body, n, decorations),
    }
}

/// At least `n` cells, about as wide as high.
fn grid_cells(body: PixelBox, n: usize) -> Vec<PixelBox> {
    let aspect = f64::from(body.width()) / f64::from(body.height());
    let columns = ((n as f64 * aspect).sqrt().round() as i32).max(1);
    let rows = (n as i32 + columns - 1) / columns;
    cells(body, columns, rows)
}

/// At least `n` cells of a grid's outermost rows and columns.
fn ring_cells(body: PixelBox, n: usize) -> Vec<PixelBox> {
    let mut side = 2;
    while 4 * (side - 1) < n as i32 {
        side += 1;
    }
    let mut all = cells(body, side, side);
    let inner = body.grown(-1);
    all.retain(|c| {
        !(c.left > inner.left && c.top > inner.top && c.right < inner.right && c.bottom < inner.bottom)
    });
    all
}

fn cells(body: PixelBox, columns: i32, rows: i32) -> Vec<PixelBox> {
    let edge = |from: i32, length: i32, i: i32, n: i32| from + length * i / n;
    let cell = |i: i32| {
        let (column, row) = (i % columns, i / columns);
        PixelBox {
            left: edge(body.left, body.width(), column, columns) + 1,
            right: edge(body.left, body.width(), column + 1, columns) - 1,
            top: edge(body.top, body.height(), row, rows) + 1,
            bottom: edge(body.top, body.height(), row + 1, rows) - 1,
        }
    };
    (0..columns * rows).map(cell).collect()
}

fn plan_form(dice: &mut Dice, body: PixelBox, n: usize, mut decorations: Vec<Decoration>) -> Plan {
    let columns = if body.height() < 14 * n as i32 { 2 } else { 1 };
    let mut rows = cells(body, columns, (n as i32 + columns - 1) / columns);
    dice.shuffle(&mut rows);
    let width = (body.width() / columns / 2).max(56);
    let on_right = dice.chance(0.4);
    let mut slots = Vec::with_capacity(n);
    for row in rows {
        let (mut area, mut bar) = (row, row);
        bar.top = (row.top + row.bottom) / 2 - 1;
        bar.bottom = bar.top + 3;
        if on_right {
            area.left = area.left.max(area.right - width);
            (bar.left, bar.right) = (row.left + 4, area.left - 6);
        } else {
            area.right = area.right.min(area.left + width);
            (bar.left, bar.right) = (area.right + 6, row.right - dice.between(4, 30));
        }
        if bar.width() >= 10 {
            decorations.push(Decoration::TextBar(bar));
        }
        slots.push(Slot { area, size: None });
    }
    Plan { slots, decorations, rest: body }
}

fn plan_strip(
    dice: &mut Dice,
    spec: &PageSpec,
    layout: Layout,
    rule: SizeRule,
    body: PixelBox,
    n: usize,
    mut decorations: Vec<Decoration>,
) -> Plan {
    let (low, high) = match spec.tier {
        Tier::Icons => (spec.sizes.min as i32, (spec.sizes.max as i32).min(24)),
        Tier::Words { .. } => (14, 24),
    };
    let size = rule.draw(dice, low, high).unwrap_or(low);
    let pad = dice.between(2, 4);
    let horizontal = layout == Layout::Toolbar;
    let (strip, rest) = cut_strip(dice, body, horizontal, strip_thickness(spec, horizontal, size) + 2 * pad);
    decorations.push(Decoration::Card(strip));
    let inner = strip.grown(-pad);
    let in_strip = (n * 2 / 3).max(1);
    let mut slots: Vec<_> = match spec.tier {
        Tier::Icons => strip_cells(dice, inner, horizontal, size, in_strip),
        Tier::Words { .. } => vec![inner; in_strip],
    }
    .into_iter()
    .map(|area| Slot { area, size: Some(size) })
    .collect();
    slots.resize(n, Slot { area: rest, size: None });
    Plan { slots, decorations, rest }
}

/// Words need more room sideways than they are high.
fn strip_thickness(spec: &PageSpec, horizontal: bool, size: i32) -> i32 {
    match (spec.tier, horizontal) {
        (Tier::Words { .. }, false) => spec.canvas.width as i32 * 2 / 5,
        _ => size,
    }
}

/// A strip along one edge of `body`, and the rest.
fn cut_strip(dice: &mut Dice, body: PixelBox, horizontal: bool, thickness: i32) -> (PixelBox, PixelBox) {
    let (mut strip, mut rest) = (body, body);
    let (start, end) = match horizontal {
        true => (body.top + thickness, body.bottom - thickness),
        false => (body.left + thickness, body.right - thickness),
    };
    match (horizontal, dice.chance(0.6)) {
        (true, true) => (strip.bottom, rest.top) = (start, start + GAP_PX),
        (true, false) => (strip.top, rest.bottom) = (end, end - GAP_PX),
        (false, true) => (strip.right, rest.left) = (start, start + GAP_PX),
        (false, false) => (strip.left, rest.right) = (end, end - GAP_PX),
    }
    (strip, rest)
}

/// Up to `n` squares of `size` in a row, evenly spaced.
fn strip_cells(dice: &mut Dice, strip: PixelBox, horizontal: bool, size: i32, n: usize) -> Vec<PixelBox> {
    let length = if horizontal { strip.width() } else { strip.height() };
    let room = (length + GAP_PX) / (size + GAP_PX);
    let n = (n as i32).min(room).max(1);
    let widest = ((length - size) / (n - 1).max(1)).min(size + 9);
    let pitch = dice.between(size + GAP_PX, widest);
    let start = dice.between(0, length - size - pitch * (n - 1));
    let cell = |i: i32| match horizontal {
        true => PixelBox::at(strip.left + start + i * pitch, strip.top, size, size),
        false => PixelBox::at(strip.left, strip.top + start + i * pitch, size, size),
    };
    (0..n).map(cell).collect()
}

/// Faint bars that stand for text, where nothing else is.
fn add_text_bars(dice: &mut Dice, body: PixelBox, placed: &[Placed], decorations: &mut Vec<Decoration>) {
    let is_free = |bar: PixelBox| placed.iter().all(|p| !p.bounds.overlaps(bar.grown(2)));
    decorations.retain(|decoration| match decoration {
        Decoration::TextBar(bar) => is_free(*bar),
        Decoration::Card(_) => true,
    });
    for _ in 0..dice.below(5) {
        let width = dice.between(10, 50).min(body.width() / 2);
        let left = dice.between(body.left, body.right - width);
        let bar = PixelBox::at(left, dice.between(body.top, body.bottom - 4), width, 3);
        if is_free(bar) {
            decorations.push(Decoration::TextBar(bar));
        }
    }
}
