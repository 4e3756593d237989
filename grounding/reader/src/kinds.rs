//! What the pixels around a name say of the kind of thing that it is written on.
//!
//! Invariant: only what is drawn counts: boxes, colours, underlines, and how names are set beside each other. Where that
//! speaks against a kind it costs; where it says nothing it costs nothing.

use image::RgbImage;
use vigorl_geometry::{Point, Rect, Screen};

use crate::instruction::{Kind, Relation};
use crate::marks::{Outline, is_mark, largest};
use crate::occurrences::{Extent, Occurrence};
use crate::reading::{Line, Reading};
use crate::shapes::{
    Pixels, SMALL_PX, box_of, enclosing, field_of, ink_of, is_cell, is_struck, is_underlined, joined_things,
    widest_gap,
};

/// What speaks for a kind earns this, so that it is preferred to what says nothing.
const FOR: f64 = -0.25;
/// What says nothing of a kind, where most things of that kind would.
const SILENT: f64 = 0.2;
/// What is drawn like no control at all.
const BARE: f64 = 0.6;
/// What speaks against a kind.
const AGAINST: f64 = 1.0;
/// What is known by what is drawn beside its text, where nothing is: hardly ever what is asked for.
const UNSEEN: f64 = 1.6;
/// What is another kind of thing.
const OTHER: f64 = 2.5;
/// A colour of letters this far from grey is a colour.
const CHROMA: f64 = 60.0;
/// Letters that differ from their ground by less than this share of what is usual on the screen are faint.
const FAINT: f64 = 0.7;
/// Highest box of a control, in pixels.
const CONTROL_PX: u32 = 80;
/// How far its own name is from a checkbox at most, in heights of a line: cells of a table are further apart.
const OWN_NAME: f64 = 1.2;
/// How far above or below its name a checkbox of a table is, in pixels.
const COLUMN_PX: f64 = 40.0;
/// The same in heights of its line, where that is more.
const COLUMN: f64 = 1.5;
/// Names in a bar stand this far apart, in widths of a letter. Words do by 0.6, letters of a fixed width by 1.3.
const APART: f64 = 1.45;
/// In a bar of menus that is asked for, they may stand closer.
const MENUS_APART: f64 = 1.0;
/// Words of a text stand this far apart.
const TOGETHER: std::ops::Range<f64> = 0.3..0.9;
/// Between the words of a text there is room for this many letters, at most.
const NEXT: f64 = 1.2;
/// Longer lines are prose, not names.
const NAME_WORDS: usize = 5;

/// A screenshot and its text, seen around a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) image: &'a RgbImage,
}

impl Surroundings<'_> {
    /// Where to act on a thing of this kind that has this name, and what that costs.
    pub(crate) fn place(self, kind: Option<Kind>, found: &Occurrence) -> (Rect<Screen>, f64) {
        let text = found.rect;
        let is_whole = found.extent == Extent::Whole;
        match kind {
            None => (text, self.control(found)),
            Some(Kind::Text | Kind::Badge) => (text, 0.0),
            // A heading is all that is written there.
            Some(Kind::Heading) if found.extent == Extent::Words => (text, OTHER),
            Some(Kind::Heading) => (text, -0.01 * text.height()),
            Some(Kind::Cell | Kind::Row | Kind::Page) => (text, SILENT),
            Some(Kind::Link) => match (self.is_link_like(found), self.button(found)) {
                (true, _) if is_underlined(self.image, text) => (text, 2.0 * FOR),
                (true, _) => (text, FOR),
                (false, Some(_)) => (text, SILENT + 0.3),
                (false, None) => (text, SILENT),
            },
            // The name of a control is all that is written on it.
            Some(_) if found.extent == Extent::Words => (text, OTHER),
            Some(Kind::Option | Kind::MenuItem) => {
                let is_beside_others = self.is_in_strip(found)
                    || self.is_in_list(found)
                    || self.is_in_bar(found, apart_as(kind));
                (text, if is_beside_others { FOR } else { SILENT / 2.0 })
            }
            Some(Kind::Tab) => match (is_whole, self.is_in_strip(found)) {
                // A row of boxes is rather one of buttons.
                (true, true) => (text, if self.button(found).is_some() { 0.0 } else { FOR }),
                (true, false) => (text, SILENT + if self.button(found).is_some() { AGAINST } else { 0.0 }),
                (false, _) => (text, SILENT),
            },
            Some(Kind::Button) => match self.button(found) {
                _ if is_struck(self.image, text) => (text, AGAINST),
                Some(button) if is_centred(text, button) || is_short(button, text) => (button, FOR),
                // A box that is much longer than its faint text is a field.
                Some(field) if field.width() > 2.5 * text.width() && self.is_faint(text) => (field, AGAINST),
                // The box of a title or a list's entry is as low.
                Some(button) => (button, 0.0),
                None if self.control(found) < 0.0 => (text, SILENT),
                None => (text, BARE),
            },
            Some(Kind::Field | Kind::Dropdown) => match self.field(text) {
                Some(field) if is_centred(text, field) => (field, AGAINST + SILENT),
                Some(field) => (field, FOR),
                None => (text, OTHER),
            },
            Some(kind @ (Kind::Checkbox | Kind::Radio | Kind::Switch)) => {
                match self.mark_of(text, self.block(found), kind) {
                    Some(_) if self.button(found).is_some() => (text, AGAINST),
                    Some(mark) => (mark, FOR),
                    // A click on its text does the same, if the text reacts at all.
                    None => (text, UNSEEN),
                }
            }
            Some(Kind::Icon | Kind::Image) => match self.icon_beside(text) {
                Some(icon) => (icon, SILENT),
                // What is written beside an icon or a picture is not the icon.
                None => (text, 1.5),
            },
        }
    }

    /// How much of what stands together in its line a name is, as the pixels tell it: a bar of menus has much wider gaps
    /// than a text, also than one whose letters are all as wide. A line's glyphs stand too roughly for that.
    pub(crate) fn extent(self, found: &Occurrence, kind: Option<Kind>) -> Extent {
        let gaps = self.gaps_beside(found);
        match found.extent {
            Extent::Words if self.is_in_bar(found, apart_as(kind)) || self.has_own_box(found) => {
                Extent::Whole
            }
            // No gap at all is one that could not be seen.
            Extent::Whole if gaps.iter().any(|(gap, is_next)| *is_next && TOGETHER.contains(gap)) => {
                Extent::Words
            }
            read => read,
        }
    }

    /// Whether a name among a few words is the only one in its box, as buttons are that touch each other.
    fn has_own_box(self, found: &Occurrence) -> bool {
        let line = &self.reading.lines[found.line];
        let others = || {
            let glyphs = line.glyphs.iter().enumerate();
            glyphs.filter(|(at, glyph)| !found.glyphs.contains(at) && !glyph.character.is_whitespace())
        };
        is_name(line)
            && self.box_around(found.rect).is_some_and(|own| {
                others().all(|(_, glyph)| {
                    let middle = (glyph.left + glyph.right) / 2.0;
                    middle < own.left || middle > own.right
                })
            })
    }

    /// The gaps between a name and what stands beside it on its line, in widths of a letter; with each, whether a letter or
    /// a digit comes next, and nothing that is drawn between them, such as a checkbox.
    fn gaps_beside(self, found: &Occurrence) -> Vec<(f64, bool)> {
        let glyphs = &self.reading.lines[found.line].glyphs;
        let line = self.reading.lines[found.line].rect;
        let (first, last) = (found.glyphs.start, found.glyphs.end - 1);
        let is_drawn = |at: &usize| !glyphs[*at].character.is_whitespace();
        let before = (0..first).rev().find(is_drawn).filter(|_| found.more.is_empty());
        let behind = (last + 1..glyphs.len()).find(is_drawn).filter(|_| found.more.is_empty());
        let drawn: Vec<usize> = (0..glyphs.len()).filter(is_drawn).collect();
        // The glyphs beside a gap reach into it, so that their mean would grow with the gaps.
        let mut widths: Vec<f64> = drawn.iter().map(|at| glyphs[*at].right - glyphs[*at].left).collect();
        widths.sort_by(f64::total_cmp);
        let width = widths.get(widths.len() / 2).copied().unwrap_or_default();
        let middle = |at: usize| (glyphs[at].left + glyphs[at].right) / 2.0;
        let pairs = [before.map(|at| (at, first, at)), behind.map(|at| (last, at, at))];
        let gap = |(left, right, other): (usize, usize, usize)| {
            let between = Rect::new(middle(left), line.top + 2.0, middle(right), line.bottom - 2.0);
            let half = width / 2.0;
            let with_both = Rect::new(between.left - half, between.top, between.right + half, between.bottom);
            // Where not even the letters beside a gap are drawn, nothing is seen of it.
            let is_seen = f64::from(widest_gap(self.image, with_both)) < with_both.width() - 1.0;
            let gap = if is_seen { f64::from(widest_gap(self.image, between)) / width.max(1.0) } else { 0.0 };
            let is_next = between.width() <= (1.0 + NEXT) * width;
            (gap, is_next && glyphs[other].character.is_alphanumeric())
        };
        pairs.into_iter().flatten().map(gap).collect()
    }

    /// The things of a kind, whatever their names are, that can stand so to an anchor.
    pub(crate) fn things(self, kind: Kind, relation: Relation, anchor: Rect<Screen>) -> Vec<Rect<Screen>> {
        let band = self.band(relation, anchor);
        let names = || self.reading.lines.iter().filter(move |line| is_in(line.rect, band) && is_name(line));
        let others = || names().map(|line| line.rect).filter(move |text| !text.contains(anchor.center()));
        match kind {
            Kind::Checkbox | Kind::Radio | Kind::Switch => {
                let marks = self.marks_in(band, anchor.height());
                let fitting: Vec<_> =
                    marks.iter().copied().filter(|mark| self.looks_like(kind, *mark)).collect();
                // In a list of settings a switch stands at the other end of its row.
                let is_far = fitting.is_empty() && relation == Relation::RightOf;
                let far = is_far.then(|| self.only_mark_behind(anchor, kind)).flatten();
                // Icons and pictures in the row are as large as a checkbox.
                match far {
                    Some(far) => vec![far],
                    None if fitting.is_empty() => marks,
                    None => fitting,
                }
            }
            Kind::Icon | Kind::Image => self.drawn(band, (6, SMALL_PX), Pixels::is_icon),
            Kind::Badge | Kind::Text | Kind::Cell => others().collect(),
            Kind::Field | Kind::Dropdown => self.fields(relation, anchor),
            Kind::Button => others().filter_map(|text| self.box_around(text)).collect(),
            Kind::Link
            | Kind::Tab
            | Kind::Option
            | Kind::MenuItem
            | Kind::Heading
            | Kind::Row
            | Kind::Page => Vec::new(),
        }
    }

    /// The fields of all names.
    pub(crate) fn all_fields(self) -> Vec<Rect<Screen>> {
        self.reading.lines.iter().filter_map(|line| self.typed(line.rect)).collect()
    }

    /// The fields that stand so to a name. Its own may stand beside it: then those of the names below it or above it do.
    fn fields(self, relation: Relation, anchor: Rect<Screen>) -> Vec<Rect<Screen>> {
        let stands_so = |field: &Rect<Screen>| match relation {
            Relation::Below => field.top > anchor.center().y,
            Relation::Above => field.bottom < anchor.center().y,
            _ => true,
        };
        let own = self.field(anchor);
        if !matches!(relation, Relation::Below | Relation::Above) || own.is_some_and(|own| stands_so(&own)) {
            return own.into_iter().collect();
        }
        let band = self.band(relation, anchor);
        let names = self.reading.lines.iter().map(|line| line.rect).filter(|name| is_in(*name, band));
        names.filter_map(|name| self.typed(name)).filter(stands_so).collect()
    }

    /// The field of a name, if it is no button: a button's name stands in its middle.
    fn typed(self, name: Rect<Screen>) -> Option<Rect<Screen>> {
        let is_named = |field: &Rect<Screen>| {
            self.reading.lines.iter().any(|line| is_in(line.rect, *field) && is_centred(line.rect, *field))
        };
        // A switch is a box, too.
        let is_long = |field: &Rect<Screen>| field.width() >= 2.0 * field.height().min(3.0 * name.height());
        self.field(name).filter(|field| is_long(field) && !is_named(field))
    }

    /// Where something that stands so to an anchor can be.
    fn band(self, relation: Relation, anchor: Rect<Screen>) -> Rect<Screen> {
        let (size, height) = (self.reading.size, anchor.height());
        let row = (anchor.center().y - 0.9 * height, anchor.center().y + 0.9 * height);
        // The detector takes a sign beside a text for a part of it.
        let (before, behind) = (anchor.left + 0.2 * height, anchor.right - 0.2 * height);
        let (left, right) = (anchor.left - 12.0 * height, anchor.right + 12.0 * height);
        match relation {
            Relation::InRowOf => Rect::new(0.0, row.0, size.width, row.1),
            Relation::LeftOf => Rect::new(left, row.0, before, row.1),
            Relation::RightOf => Rect::new(behind, row.0, right, row.1),
            Relation::NextTo => Rect::new(left, row.0, right, row.1),
            Relation::Below => Rect::new(left, anchor.bottom, right, anchor.bottom + 8.0 * height),
            Relation::Above => Rect::new(left, anchor.top - 8.0 * height, right, anchor.top),
        }
    }

    /// What is drawn in a band and has the size of something that one ticks beside a text whose line is so high.
    fn marks_in(self, band: Rect<Screen>, line: f64) -> Vec<Rect<Screen>> {
        let largest = largest(line);
        self.drawn(band, (0, SMALL_PX.max(largest.1)), |thing| is_mark(thing, largest))
    }

    /// What is drawn in a band and is no text: with parts so far from each other, and so large at most.
    fn drawn(
        self,
        band: Rect<Screen>,
        (gap_px, small_px): (u32, u32),
        fits: impl Fn(Pixels) -> bool,
    ) -> Vec<Rect<Screen>> {
        let Some(window) = Pixels::of(band, self.image) else { return Vec::new() };
        // A line can go on behind a checkbox that stands in it.
        let is_text = |thing: Rect<Screen>| {
            let at = thing.center();
            let lines = self.reading.lines.iter().filter(|line| line.rect.contains(at));
            let mut glyphs = lines.flat_map(|line| &line.glyphs);
            // Icons are read as signs.
            glyphs.any(|glyph| glyph.character.is_alphanumeric() && glyph.left <= at.x && at.x <= glyph.right)
        };
        let things =
            joined_things(self.image, window, gap_px, small_px).into_iter().filter(|thing| fits(*thing));
        things.map(Pixels::rect).filter(|thing| !is_text(*thing)).collect()
    }

    /// What belongs to a control besides its name: its box, its field, its checkbox and its icon.
    pub(crate) fn parts_of(self, name: Rect<Screen>) -> Vec<Rect<Screen>> {
        let all = [
            self.box_around(name),
            self.field(name),
            self.mark_of(name, name, Kind::Checkbox),
            self.icon_beside(name),
        ];
        all.into_iter().flatten().collect()
    }

    /// The field of a name: no other name stands between them.
    pub(crate) fn field(self, name: Rect<Screen>) -> Option<Rect<Screen>> {
        // Texts of a large box that is typed into begin at its left edge; a panel has them anywhere.
        let is_typed = |field: Rect<Screen>| {
            let mut inside = self.reading.lines.iter().filter(|line| is_in(line.rect, field));
            inside.all(|line| line.rect.left - field.left < 2.0 * line.rect.height())
        };
        let field = field_of(self.image, name, |around| self.is_alone(name, around), is_typed)?.rect();
        let between = if field.top >= name.bottom - 6.0 {
            Rect::new(
                name.left.min(field.left),
                name.bottom - 2.0,
                name.right.max(field.right),
                field.top + 2.0,
            )
        } else {
            Rect::new(name.right, name.top, field.left, name.bottom)
        };
        let is_free = !self.reading.lines.iter().any(|line| is_in(line.rect, between));
        // Above a field for several lines stand its tools.
        let is_high = field.height() > f64::from(CONTROL_PX);
        (is_free || is_high || field.contains(name.center())).then_some(field)
    }

    /// The smallest closed box around a point, if it is not higher than a control.
    pub(crate) fn box_at(self, at: Point<Screen>) -> Option<Rect<Screen>> {
        let inside = Rect::new(at.x - 2.0, at.y - 1.0, at.x + 2.0, at.y + 1.0);
        let found = enclosing(self.image, Pixels::of(inside, self.image)?)?;
        (found.height() <= CONTROL_PX).then(|| found.rect())
    }

    /// The checkbox, radio button or switch of a name: beside it, the only one in its row, as in a list of settings, or
    /// right below or above it, as in a table. One that looks like the kind is preferred.
    fn mark_of(self, text: Rect<Screen>, block: Rect<Screen>, kind: Kind) -> Option<Rect<Screen>> {
        let beside = self.marks_beside(text);
        let fitting = beside.iter().copied().find(|mark| self.looks_like(kind, *mark));
        let nearest = beside.first().copied();
        fitting
            .or_else(|| self.only_mark_behind(text, kind))
            .or(nearest)
            .or_else(|| self.mark_in_column(block, text.height(), kind))
    }

    /// All lines of a name.
    fn block(self, found: &Occurrence) -> Rect<Screen> {
        let more = found.more.iter().map(|(line, glyphs)| self.reading.lines[*line].rect_of(glyphs.clone()));
        more.fold(found.rect, Rect::with)
    }

    /// Whether what is drawn at a place speaks for the kind.
    pub(crate) fn is_seen_as(self, kind: Kind, thing: Rect<Screen>) -> bool {
        match kind {
            // A checkbox may be drawn as a switch, and the other way round.
            Kind::Checkbox | Kind::Switch => {
                self.looks_like(Kind::Checkbox, thing) || self.looks_like(Kind::Switch, thing)
            }
            Kind::Radio => self.looks_like(kind, thing),
            _ => true,
        }
    }

    fn looks_like(self, kind: Kind, mark: Rect<Screen>) -> bool {
        Pixels::of(mark, self.image).is_some_and(|mark| Outline::of(self.image, mark).is_that_of(kind))
    }

    /// The small things beside a name: those before it, then those behind it, the nearest first.
    fn marks_beside(self, text: Rect<Screen>) -> Vec<Rect<Screen>> {
        let (height, reach) = (text.height(), (2.5 * text.height()).max(32.0));
        let (above, below) = (text.center().y - height.max(16.0), text.center().y + height.max(16.0));
        let left = Rect::new(text.left - reach, above, text.left + 0.2 * height, below);
        let right = Rect::new(text.right - 0.2 * height, above, text.right + reach, below);
        let level = |window| {
            let is_level =
                |mark: &Rect<Screen>| (mark.center().y - text.center().y).abs() < 0.6 * height.max(16.0);
            let mut marks = self.marks_in(window, height);
            marks.retain(is_level);
            let away = |mark: &Rect<Screen>| {
                let (at, of) = (mark.center(), text.center());
                (at.x - of.x).abs() + 3.0 * (at.y - of.y).abs()
            };
            marks.sort_by(|a, b| away(a).total_cmp(&away(b)));
            marks
        };
        [left, right].into_iter().flat_map(level).collect()
    }

    fn only_mark_behind(self, text: Rect<Screen>, kind: Kind) -> Option<Rect<Screen>> {
        let in_row = self.things(kind, Relation::InRowOf, text);
        let behind: Vec<_> = in_row.into_iter().filter(|mark| mark.left > text.right).collect();
        let is_free = |mark: &Rect<Screen>| {
            let between = Rect::new(text.right, text.top, mark.left, text.bottom);
            // What begins behind the name and is level with the mark is the mark's own name.
            let row = Rect::new(text.right, mark.top, mark.left, mark.bottom);
            let is_own = |name: Rect<Screen>| name.left > text.right && is_in(name, row);
            !self.reading.lines.iter().any(|line| is_in(line.rect, between) || is_own(line.rect))
        };
        match behind.as_slice() {
            [only] if is_free(only) => Some(*only),
            _ => None,
        }
    }

    /// Whether a text stands so close beside a mark that the mark is that text's.
    fn has_own_name(self, mark: Rect<Screen>, line: f64) -> bool {
        let reach = OWN_NAME * line;
        let (left, right) = (mark.left - reach, mark.right + reach);
        self.reading.lines.iter().any(|other| {
            let at = other.rect;
            let is_level = (at.center().y - mark.center().y).abs() < 0.5 * line;
            is_level && at.left < right && at.right > left
        })
    }

    /// The one right below the name or right above it, in the name's column, that is no other name's; its lines are so high.
    fn mark_in_column(self, text: Rect<Screen>, line: f64, kind: Kind) -> Option<Rect<Screen>> {
        let reach = COLUMN_PX.max(COLUMN * line);
        let (left, right) = (text.left - 0.5 * reach, text.right + 0.5 * reach);
        let below = Rect::new(left, text.bottom, right, text.bottom + reach);
        let above = Rect::new(left, text.top - reach, right, text.top);
        [below, above].into_iter().find_map(|window| {
            let marks = self.marks_in(window, line).into_iter();
            let is_its =
                |mark: &Rect<Screen>| self.looks_like(kind, *mark) && !self.has_own_name(*mark, line);
            let mut fitting = marks.filter(is_its);
            fitting.next().filter(|_| fitting.next().is_none())
        })
    }

    /// The icon that belongs to a name: before it, else behind it, else above it.
    fn icon_beside(self, text: Rect<Screen>) -> Option<Rect<Screen>> {
        let reach = 3.0 * text.height();
        let near = |icon: &Rect<Screen>| {
            let gap = (text.left - icon.right).max(icon.left - text.right).max(0.0);
            gap < reach && icon.top - text.bottom < 2.0
        };
        [Relation::LeftOf, Relation::RightOf, Relation::Above].into_iter().find_map(|relation| {
            let icons = self.things(Kind::Icon, relation, text).into_iter().filter(near);
            let gap = |icon: &Rect<Screen>| {
                let (at, of) = (icon.center(), text.center());
                (at.x - of.x).hypot(at.y - of.y)
            };
            icons.min_by(|a, b| gap(a).total_cmp(&gap(b)))
        })
    }

    /// What it costs that the name looks like no control.
    fn control(self, found: &Occurrence) -> f64 {
        if found.extent != Extent::Whole {
            return 0.0;
        }
        let is_control = self.button(found).is_some()
            || self.is_link_like(found)
            || self.is_in_strip(found)
            || self.is_in_list(found);
        if is_control { FOR } else { 0.0 }
    }

    /// The box of a button around its text: not much higher, and with nothing else in it.
    fn button(self, found: &Occurrence) -> Option<Rect<Screen>> {
        self.box_around(found.rect).filter(|_| found.extent == Extent::Whole)
    }

    /// The box of a control around a text: not much higher than the text, and with no other text in it.
    pub(crate) fn box_around(self, text: Rect<Screen>) -> Option<Rect<Screen>> {
        let is_own = |found: &Pixels| {
            let around = found.rect();
            let is_low = around.height() <= 3.2 * text.height();
            let is_narrow = around.width() <= text.width() + 14.0 * text.height();
            is_low && is_narrow && self.is_alone(text, around) && !is_cell(self.image, *found)
        };
        box_of(self.image, text, (1.0, 2.0), is_own).map(Pixels::rect)
    }

    /// Whether letters are weaker than most on the screen, as those of a placeholder are.
    fn is_faint(self, text: Rect<Screen>) -> bool {
        let strength = |rect: Rect<Screen>| {
            ink_of(self.image, rect).map(|ink| ink.iter().map(|channel| channel.abs()).sum::<f64>())
        };
        let mut all: Vec<f64> = self.reading.lines.iter().filter_map(|line| strength(line.rect)).collect();
        all.sort_by(f64::total_cmp);
        let usual = all.get(all.len() / 2).copied();
        strength(text).zip(usual).is_some_and(|(own, usual)| own < FAINT * usual)
    }

    /// Whether no other text stands in the box around one.
    fn is_alone(self, text: Rect<Screen>, around: Rect<Screen>) -> bool {
        let is_other = |line: &Line| is_in(line.rect, around) && !line.rect.intersects(text);
        !self.reading.lines.iter().any(is_other)
    }

    /// Whether a name has a colour or a line below it, as links have.
    fn is_link_like(self, found: &Occurrence) -> bool {
        let chroma = |ink: [f64; 3]| {
            ink.iter().copied().fold(f64::MIN, f64::max) - ink.iter().copied().fold(f64::MAX, f64::min)
        };
        ink_of(self.image, found.rect).is_some_and(|ink| chroma(ink) >= CHROMA)
            || is_underlined(self.image, found.rect)
    }

    /// Whether other names stand beside it in its line, apart from it.
    fn is_in_bar(self, found: &Occurrence, apart: f64) -> bool {
        let gaps = self.gaps_beside(found);
        !gaps.is_empty() && gaps.iter().all(|(gap, _)| *gap >= apart)
    }

    /// Whether other names stand beside it at the same height, as in a bar of tabs or a menu.
    fn is_in_strip(self, found: &Occurrence) -> bool {
        let own = found.rect;
        let beside = |other: &Line| {
            let (text, height) = (other.rect, own.height());
            let gap = (text.left - own.right).max(own.left - text.right);
            (text.center().y - own.center().y).abs() < 0.25 * height
                && is_as_high(text, own)
                && gap > 0.3 * height
                && gap < 6.0 * height
                && is_name(other)
        };
        self.reading.lines.iter().any(beside)
    }

    /// Whether a line is the end of a sentence that begins above it.
    fn goes_on(self, line: &Line) -> bool {
        let (own, height) = (line.rect, line.rect.height());
        let before = |other: &Line| {
            let down = own.center().y - other.rect.center().y;
            (other.rect.left - own.left).abs() < 0.4 * height && down > 0.5 * height && down < 1.7 * height
        };
        self.reading.lines.iter().any(|other| before(other) && !is_name(other))
    }

    /// Whether at least two other names stand above or below it, set alike, as in a list or a menu.
    fn is_in_list(self, found: &Occurrence) -> bool {
        let own = found.rect;
        let set_alike = |other: &&Line| {
            let text = other.rect;
            let away = (text.center().y - own.center().y).abs();
            (text.left - own.left).abs() < 0.4 * own.height()
                && is_as_high(text, own)
                && away > 0.8 * own.height()
                && away < 5.5 * own.height()
                && is_name(other)
                && !self.goes_on(other)
        };
        let away = |other: &Line| (other.rect.center().y - own.center().y).abs();
        let alike: Vec<&Line> = self.reading.lines.iter().filter(set_alike).collect();
        alike.len() >= 2 && alike.iter().any(|other| away(other) < 2.3 * own.height())
    }
}

/// Whether a box that is around a name is a button's: a name in a field begins at its left end.
fn is_centred(text: Rect<Screen>, around: Rect<Screen>) -> bool {
    let (left, right) = (text.left - around.left, around.right - text.right);
    around.contains(text.center()) && (left - right).abs() < 0.25 * (left + right).max(16.0)
}

/// Whether a box has room for its text and an icon beside it, and not for more.
fn is_short(around: Rect<Screen>, text: Rect<Screen>) -> bool {
    around.width() < text.width() + 4.0 * text.height()
}

/// How far names in a bar stand apart, where a name of this kind is asked for.
fn apart_as(kind: Option<Kind>) -> f64 {
    if kind == Some(Kind::MenuItem) { MENUS_APART } else { APART }
}

/// Whether the middle of a thing lies in a band.
fn is_in(thing: Rect<Screen>, band: Rect<Screen>) -> bool {
    band.contains(thing.center())
}

fn is_as_high(a: Rect<Screen>, b: Rect<Screen>) -> bool {
    (a.height() / b.height().max(1.0) - 1.0).abs() < 0.2
}

fn is_name(line: &Line) -> bool {
    line.text.split_whitespace().count() <= NAME_WORDS
}
