//! Whether a point contradicts an instruction that names a text.
//!
//! Invariants: only what is read for sure contradicts; what names no text, and what nobody can read, contradicts nothing.
//! A control is more than its name: its box, its field, its checkbox and its icon belong to it.

use image::RgbImage;
use vigorl_geometry::{Point, Rect, Screen};

use crate::find::{Candidate, Findings};
use crate::instruction::{Kind, Query};
use crate::kinds::Surroundings;
use crate::reading::{Glyph, Line, Reading};
use crate::spelling::folded;

/// What belongs to a name without a box reaches so far, in heights of its line.
const REACH: f64 = 0.8;
/// A row reacts so far beside its name, in heights of the line, if nothing is drawn between.
const BLANK_ROW: f64 = 60.0;
/// And so far with icons in it.
const ROW: f64 = 12.0;
/// Icons between a name and the end of its row take so much of it together, in heights of the line.
const ICON: f64 = 1.5;
/// Room above and below an icon in its row, in heights of the line.
const ICON_ROOM: f64 = 0.25;
/// Columns beside a point that are blank if it is on no icon.
const MIN_BLANK: usize = 3;
/// Channels of the same ground differ by no more.
const FLAT: u8 = 6;
/// A candidate that costs more is hardly what is meant.
const MAX_COST: f64 = 2.0;
/// Confidence from which on a text is read for sure.
const READ: f32 = 0.8;

/// Why `at` cannot be what `findings` are of, which were found on `image`; nothing if it can.
pub fn contradiction(
    reading: &Reading,
    image: &RgbImage,
    findings: &Findings,
    at: Point<Screen>,
) -> Option<String> {
    let around = Surroundings { reading, image };
    let meant: Vec<&Candidate> = findings.candidates.iter().filter(|one| one.cost <= MAX_COST).collect();
    let name = &findings.query.name;
    if name.is_empty() || meant.iter().any(|one| belongs(around, &findings.query, one, at)) {
        return None;
    }
    let here = text_at(around, at);
    match (here, meant.as_slice()) {
        // Where it is written, and what is written here instead.
        (Some(here), [first, ..]) if is_told(around, &findings.query, first) => {
            Some(format!("the point is on `{here}`, but `{name}` is written at {}", places(&meant)))
        }
        (None, [_, ..]) if is_its_own_text(&findings.query) => {
            Some(format!("nothing is written at the point, but `{name}` is written at {}", places(&meant)))
        }
        // What stands in a field is what was typed, and not its name.
        (Some(_), []) if wants_field(&findings.query) && around.box_at(at).is_some() => None,
        (Some(here), []) if findings.query.is_quoted => {
            Some(format!("the point is on `{here}`, and `{name}` is written nowhere here"))
        }
        _ => None,
    }
}

fn places(candidates: &[&Candidate]) -> String {
    let places = candidates.iter().take(3).map(|candidate| {
        let at = candidate.name.center();
        format!("({:.0}, {:.0})", at.x, at.y)
    });
    places.collect::<Vec<_>>().join(", ")
}

/// Whether a candidate's control has the point in it. Where another text stands, that must be in the same box.
fn belongs(around: Surroundings<'_>, query: &Query, candidate: &Candidate, at: Point<Screen>) -> bool {
    let (name, height) = (candidate.name, candidate.name.height());
    let near = |rect: Rect<Screen>, across: f64, down: f64| {
        let (across, down) = (across * height, down * height);
        Rect::<Screen>::new(rect.left - across, rect.top - down, rect.right + across, rect.bottom + down)
            .contains(at)
    };
    if near(name, 0.25, 0.1) || (candidate.rect != name && near(candidate.rect, 0.3, 0.3)) {
        return true;
    }
    let in_box = around.box_around(name).is_some_and(|own| near(own, 0.1, 0.1));
    match line_at(around, at) {
        _ if in_box => true,
        // A name that wraps goes on in the next line.
        Some(other) => {
            is_part(&other.text, &candidate.shown)
                || only_signs_between(other, name, at)
                || (wants_field(query) && in_field(around, name, at))
        }
        None => {
            let parts = around.parts_of(name);
            near(name, REACH, REACH)
                || parts.iter().any(|part| near(*part, 0.3, 0.3))
                || around.box_at(at).is_some_and(|own| own.contains(name.center()))
                || (!text_between(around, name, at) && is_blank_beside(around.image, name, &parts, at))
        }
    }
}

/// Whether a point of the name's own line is parted from it by signs alone: `+ Add`.
fn only_signs_between(line: &Line, name: Rect<Screen>, at: Point<Screen>) -> bool {
    line.rect.contains(name.center()) && !says_between(line, name, at)
}

/// Whether another text stands between a name and a point beside it.
fn text_between(around: Surroundings<'_>, name: Rect<Screen>, at: Point<Screen>) -> bool {
    let is_level = |line: &&Line| (line.rect.top..line.rect.bottom).contains(&at.y);
    around
        .reading
        .lines
        .iter()
        .filter(|line| is_read(line))
        .filter(is_level)
        .any(|line| says_between(line, name, at))
}

/// Whether a word of a line stands between a name and a point beside it. A letter alone may be an icon.
fn says_between(line: &Line, name: Rect<Screen>, at: Point<Screen>) -> bool {
    let (from, to) = if at.x < name.left { (at.x, name.left) } else { (name.right, at.x) };
    let is_between = |glyph: &Glyph| {
        let middle = f64::midpoint(glyph.left, glyph.right);
        glyph.character.is_alphanumeric()
            && glyph.right > from
            && glyph.left < to
            && !(name.left..name.right).contains(&middle)
    };
    line.glyphs.windows(2).any(|pair| pair.iter().all(is_between))
}

/// Whether a point beside a name is on the same ground as the name, and nothing but what belongs to it and small icons is
/// drawn between them: entries of menus and lists and headings of columns react along their whole row.
fn is_blank_beside(image: &RgbImage, name: Rect<Screen>, parts: &[Rect<Screen>], at: Point<Screen>) -> bool {
    let height = name.height();
    let is_level = at.y > name.top - 0.3 * height && at.y < name.bottom + 0.3 * height;
    let (from, to) = if at.x < name.left { (at.x, name.left) } else { (name.right, at.x) };
    if !is_level || to - from > BLANK_ROW * height || at.y < 0.0 || at.y >= f64::from(image.height()) {
        return false;
    }
    // Inside of the picture, so the casts are exact; a name's rectangle has a margin.
    let (left, right) = (from.max(0.0) as u32, (to.max(0.0) as u32 + 1).min(image.width()));
    let row = at.y as u32;
    let rows = row.saturating_sub(1)..(row + 2).min(image.height());
    let is_part =
        |x: u32| parts.iter().any(|part| part.left - 2.0 <= f64::from(x) && f64::from(x) <= part.right + 2.0);
    // From the point on.
    let mut columns: Vec<u32> = (left..right).filter(|x| !is_part(*x)).collect();
    if at.x > name.right {
        columns.reverse();
    }
    let Some(&first) = columns.first() else { return true };
    let ground = image.get_pixel(first, row).0;
    let is_ground = |x: u32, y: u32| {
        image
            .get_pixel(x, y)
            .0
            .iter()
            .zip(ground)
            .all(|(channel, of_ground)| channel.abs_diff(of_ground) <= FLAT)
    };
    let is_blank = |x: &u32| rows.clone().all(|y| is_ground(*x, y));
    // An icon leaves ground above and below it; what does not is a border.
    let (above, below) = (name.top - ICON_ROOM * height, name.bottom + ICON_ROOM * height);
    let is_of_icon = |x: &u32| {
        [above, below].iter().all(|y| *y < 0.0 || *y >= f64::from(image.height()) || is_ground(*x, *y as u32))
    };
    let drawn: Vec<u32> = columns.iter().copied().filter(|x| !is_blank(x)).collect();
    let has_icons =
        to - from <= ROW * height && drawn.len() as f64 <= ICON * height && drawn.iter().all(is_of_icon);
    drawn.is_empty() || (columns.iter().take(MIN_BLANK).all(is_blank) && has_icons)
}

fn is_part(line: &str, name: &str) -> bool {
    let (line, name) = (folded(line.chars()).chars, folded(name.chars()).chars);
    line.len() >= 3 && name.windows(line.len()).any(|part| part == line)
}

fn wants_field(query: &Query) -> bool {
    matches!(query.kind, Some(Kind::Field | Kind::Dropdown))
}

fn in_field(around: Surroundings<'_>, name: Rect<Screen>, at: Point<Screen>) -> bool {
    around.field(name).is_some_and(|field| field.contains(at))
}

/// The line that is read at a point. A letter alone may be an icon.
fn line_at(around: Surroundings<'_>, at: Point<Screen>) -> Option<&Line> {
    around.reading.lines.iter().find(|line| is_read(line) && line.rect.contains(at))
}

fn is_read(line: &Line) -> bool {
    line.confidence >= READ && line.text.chars().filter(|c| c.is_alphanumeric()).count() >= 2
}

/// What is written at a point, or on the control that it is in.
fn text_at(around: Surroundings<'_>, at: Point<Screen>) -> Option<String> {
    let found = line_at(around, at).or_else(|| {
        let own = around.box_at(at)?;
        around.reading.lines.iter().find(|line| is_read(line) && own.contains(line.rect.center()))
    });
    found.map(|line| line.text.clone())
}

/// Whether an instruction means the thing on which the name is written, so that empty ground is not it.
fn is_its_own_text(query: &Query) -> bool {
    query.relation.is_none()
        && matches!(
            query.kind,
            None | Some(Kind::Button | Kind::Link | Kind::Tab | Kind::MenuItem | Kind::Text)
        )
}

/// Whether it is known what belongs to the name. The field of a label may have another text in it, such as what was typed:
/// then the field itself must have been found.
fn is_told(around: Surroundings<'_>, query: &Query, first: &Candidate) -> bool {
    match query.kind {
        Some(Kind::Field | Kind::Dropdown) => around.field(first.name).is_some(),
        Some(Kind::Icon | Kind::Image) => false,
        _ => true,
    }
}
