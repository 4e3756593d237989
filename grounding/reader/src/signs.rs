//! Signs that stand alone, such as `+` on a key: too little for the detector, which looks for lines.
//!
//! Invariant: they are looked for only in closed boxes without a text, and only where somebody asks for one.

use image::RgbImage;
use vigorl_geometry::{Rect, Screen};

use crate::boxes::LineBox;
use crate::reading::{Frame, Glyph, Line};
use crate::shapes::{Pixels, enclosing, is_edge_row, things};
use crate::spelling::plain;

/// Sides of a sign, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 1..=44;
/// Highest box of a key, in pixels.
const KEY_PX: u32 = 90;
/// Border of a key.
const BORDER_PX: u32 = 4;
/// What is left free around a sign, at least.
const AROUND_PX: u32 = 2;
/// How high the pictures of a sign are, in pixels: some are read in a large one, some in a small one.
const HEIGHTS: [f64; 3] = [34.0, 24.0, 16.0];
/// Parts of a sign are no farther from each other, in pixels.
const PART_GAP_PX: u32 = 8;
/// Small things on a screen with keys, at most: each is compared with all others.
const MOST_THINGS: usize = 6_000;
/// Pictures that are looked at, at most.
const MOST: usize = 240;
/// Ink differs from its ground by this much in a channel.
const INK: u8 = 60;
/// A sign that is less likely is not what a key shows.
const LIKELY: f32 = 0.01;
/// A letter is one if it is read with this confidence: icons look like letters.
const SURE_LETTER: f32 = 0.97;

/// A key without a text, and the small things drawn in it.
struct Key {
    edges: Pixels,
    things: Vec<Pixels>,
}

/// Signs that are told by their shape alone, and the places where others may stand.
pub(crate) fn signs(image: &RgbImage, lines: &[Line]) -> (Vec<Line>, Vec<LineBox>) {
    let (mut told, mut open) = (Vec::new(), Vec::new());
    for key in keys(image, lines) {
        match by_shape(image, &key) {
            Some(character) => told.push(line_of(character, key.things[0].rect(), 1.0)),
            None if open.len() < MOST => {
                let whole = key.things.iter().copied().reduce(Pixels::joined).unwrap_or(key.edges);
                open.extend(HEIGHTS.into_iter().filter_map(|high| around(whole, key.edges, high)));
            }
            None => {}
        }
    }
    (told, open)
}

fn keys(image: &RgbImage, lines: &[Line]) -> Vec<Key> {
    let whole = Pixels { left: 0, top: 0, right: image.width(), bottom: image.height() };
    let is_small = |thing: &Pixels| SIDES.contains(&thing.width()) && SIDES.contains(&thing.height());
    let mut small: Vec<Pixels> = things(image, whole).into_iter().filter(is_small).collect();
    // Noise has no keys.
    if small.len() > MOST_THINGS {
        return Vec::new();
    }
    // The border of a small key is no part of its sign.
    let all = small.clone();
    small.retain(|thing| !all.iter().any(|other| is_around(*thing, *other)));
    let is_read = |edges: Pixels| {
        let mut inside = lines.iter().filter(|line| edges.rect().contains(line.rect.center()));
        // A stroke or two are read as numbers of Chinese.
        inside.any(|line| !matches!(line.text.trim(), "一" | "二" | "十"))
    };
    let mut keys: Vec<Key> = Vec::new();
    for things in parts_together(small) {
        let whole =
            things.iter().copied().reduce(Pixels::joined).filter(|whole| SIDES.contains(&whole.height()));
        let edges = whole.and_then(|whole| key_around(image, whole)).filter(|key| key.height() <= KEY_PX);
        match edges.filter(|edges| !is_read(*edges)) {
            Some(edges) if keys.iter().all(|key| key.edges != edges) => keys.push(Key { edges, things }),
            _ => {}
        }
    }
    keys
}

fn is_around(outer: Pixels, inner: Pixels) -> bool {
    let by = BORDER_PX;
    outer.left + by <= inner.left
        && inner.right + by <= outer.right
        && outer.top + by <= inner.top
        && inner.bottom + by <= outer.bottom
}

/// The box around a sign. A level stroke at the edge of a sign is no side of that box.
fn key_around(image: &RgbImage, sign: Pixels) -> Option<Pixels> {
    let (width, height) = image.dimensions();
    let around = Pixels {
        left: sign.left.saturating_sub(AROUND_PX),
        top: sign.top.saturating_sub(AROUND_PX),
        right: (sign.right + AROUND_PX).min(width),
        bottom: (sign.bottom + AROUND_PX).min(height),
    };
    enclosing(image, around)
}

/// Things above each other are parts of one sign, such as the bars of `=`.
fn parts_together(things: Vec<Pixels>) -> Vec<Vec<Pixels>> {
    let mut groups: Vec<Vec<Pixels>> = Vec::new();
    for thing in things {
        let is_part = |other: &Pixels| {
            let gap = thing.top.saturating_sub(other.bottom).max(other.top.saturating_sub(thing.bottom));
            gap <= PART_GAP_PX && thing.left < other.right && other.left < thing.right
        };
        match groups.iter_mut().find(|group| group.iter().any(is_part)) {
            Some(group) => group.push(thing),
            None => groups.push(vec![thing]),
        }
    }
    groups
}

/// A bar is a minus, two of them are an equals sign: the recogniser reads neither.
fn by_shape(image: &RgbImage, key: &Key) -> Option<char> {
    let is_flat = |thing: &Pixels| {
        let is_low = thing.height() <= 6 && thing.width() >= 2 * thing.height();
        is_low && thing.top > 0 && is_edge_row(image, thing.top, thing.left..thing.right)
    };
    let n_bars = |thing: &Pixels| bars(image, *thing);
    match key.things.as_slice() {
        [one] if is_flat(one) && n_bars(one) == 1 => Some('-'),
        [one] if is_flat(one) && n_bars(one) == 2 => Some('='),
        [one, two] if is_flat(one) && is_flat(two) && one.left.abs_diff(two.left) <= 1 => Some('='),
        _ => None,
    }
}

/// How many strokes lie above each other in the middle of a thing.
fn bars(image: &RgbImage, thing: Pixels) -> usize {
    let x = (thing.left + thing.right) / 2;
    let ground = image.get_pixel(x, thing.top.saturating_sub(1)).0;
    let is_ink = |y: u32| image.get_pixel(x, y).0.iter().zip(ground).any(|(a, b)| a.abs_diff(b) >= INK);
    (thing.top..thing.bottom).filter(|y| is_ink(*y) && (*y == thing.top || !is_ink(*y - 1))).count()
}

fn line_of(character: char, rect: Rect<Screen>, confidence: f32) -> Line {
    let glyph = Glyph { character, left: rect.left, right: rect.right, confidence, frame: 0 };
    let frame = Frame { blank: 0.0, likely: vec![(character, confidence)] };
    Line { text: character.to_string(), rect, confidence, glyphs: vec![glyph], frames: vec![frame] }
}

/// As much of a key as a line of text would have, with the sign in it.
fn around(sign: Pixels, key: Pixels, high: f64) -> Option<LineBox> {
    let inner: Rect<Screen> = Rect::new(
        f64::from(key.left + BORDER_PX),
        f64::from(key.top + BORDER_PX),
        f64::from(key.right) - f64::from(BORDER_PX),
        f64::from(key.bottom) - f64::from(BORDER_PX),
    );
    let (middle, high) = (sign.rect().center(), inner.height().min(high));
    // Where a sign stands in its line tells a comma from an apostrophe, as long as the whole line is in the picture.
    let centre = if high > f64::from(sign.height()) + 14.0 { inner.center().y } else { middle.y };
    let top = (centre - high / 2.0).max(inner.top);
    let (left, right) = ((middle.x - high).max(inner.left), (middle.x + high).min(inner.right));
    let bottom = (top + high).min(inner.bottom);
    // A sign in the border of its key is none.
    (right - left >= 4.0 && bottom - top >= 4.0).then_some(LineBox { left, top, right, bottom })
}

/// What was read, if it is one character: of a letter that is not sure the likeliest sign. The recogniser takes strokes of
/// other directions for a minus, which is told by its shape.
pub(crate) fn sign(mut line: Line) -> Option<Line> {
    line.glyphs.retain(|glyph| !glyph.character.is_whitespace());
    let [glyph] = line.glyphs.as_mut_slice() else { return None };
    glyph.character = match alike(glyph.character) {
        '-' => return None,
        letter if letter.is_alphanumeric() && line.confidence < SURE_LETTER => likeliest_sign(&line.frames)?,
        told => told,
    };
    line.text = glyph.character.to_string();
    Some(line)
}

fn likeliest_sign(frames: &[Frame]) -> Option<char> {
    let likely = frames.iter().flat_map(|frame| &frame.likely).map(|(c, p)| (alike(*c), *p));
    let is_sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && c != '-';
    let signs = likely.filter(|(c, p)| is_sign(*c) && *p >= LIKELY);
    signs.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(c, _)| c)
}

/// One of the characters that a sign on a key is read as. The recogniser knows no sign of multiplication, and knows
/// characters of other scripts that are drawn like signs.
pub(crate) fn alike(c: char) -> char {
    match plain(c) {
        'x' | 'X' => '×',
        '十' => '+',
        '一' => '-',
        '井' => '#',
        'へ' | 'ヘ' | '八' | 'ハ' | '人' | '入' | '∧' | 'Λ' => '^',
        'く' | '〈' | '‹' => '<',
        '〉' | '›' => '>',
        '中' => '÷',
        '·' | '•' => '.',
        wide @ '！'..='～' => char::from_u32(u32::from(wide) - 0xFEE0).unwrap_or(wide),
        other => other,
    }
}

/// How likely a sign is on a key, as the logarithm of its probability by that of the likeliest character.
pub(crate) fn log_ratio(line: &Line, sign: char) -> f64 {
    let most = |fits: &dyn Fn(char) -> bool| {
        let sums = line.frames.iter().map(|frame| {
            frame.likely.iter().filter(|(c, _)| fits(*c)).map(|(_, p)| f64::from(*p)).sum::<f64>()
        });
        sums.fold(1e-9, f64::max)
    };
    let best =
        line.frames.iter().flat_map(|frame| &frame.likely).map(|(_, p)| f64::from(*p)).fold(1e-9, f64::max);
    (most(&|c| alike(c) == sign) / best).ln().min(0.0)
}
