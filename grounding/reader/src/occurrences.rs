//! Where a name stands in a reading.
//!
//! Invariant: an occurrence begins and ends at a boundary of words; `Save` is not in `Autosave`. A name that wraps is found
//! over lines that stand below each other, but only if it ends or begins with a whole line there.

use std::ops::Range;

use vigorl_geometry::{Rect, Screen};

use crate::evidence::log_probability;
use crate::reading::{Frame, Line, Reading};
use crate::signs::{alike, log_ratio as sign_ratio};
use crate::spelling::{Folded, Spelling, compare, folded, plain, telling, told};

/// A gap of this many line heights parts what stands on one line. It is measured between letters that reach
/// [`REACH`](crate::recogniser::REACH) from their middles, so that a space is none.
const GAP: f64 = 0.42;
/// Another reading must be at least this likely, as the logarithm of its probability by that of the reading.
const MIN_LOG_RATIO: f64 = -5.0;
/// Probability from which on a space may be there.
const MIN_SPACE: f32 = 0.02;
/// Lines that a name can wrap over.
const MAX_LINES: usize = 4;

/// A place where the name stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Occurrence {
    /// Index of the line that it begins on.
    pub(crate) line: usize,
    /// Its glyphs there.
    pub(crate) glyphs: Range<usize>,
    /// Of a name that wraps, the lines that it goes on to, and its glyphs there.
    pub(crate) more: Vec<(usize, Range<usize>)>,
    /// Where it is: of a name that wraps, the part on its first line.
    pub(crate) rect: Rect<Screen>,
    /// What stands there, as it was read.
    pub(crate) shown: String,
    pub(crate) spelling: Spelling,
    /// How much of what stands together it is.
    pub(crate) extent: Extent,
    /// How likely it is there, beside what was read: 0 is as likely.
    pub(crate) log_ratio: f64,
    /// Mean confidence of its glyphs.
    pub(crate) confidence: f32,
    /// Whether quotation marks are around it.
    pub(crate) is_mentioned: bool,
}

/// How much of what stands together a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// A whole line, or all that stands together on one.
    Whole,
    /// Words between signs, such as bullets, bars and brackets.
    Part,
    /// Words in a line of others.
    Words,
}

/// Every place where `name` stands. What was not read letter by letter is looked for where nothing else is found, or if
/// they are to be counted.
pub(crate) fn occurrences(reading: &Reading, name: &str, is_counted: bool) -> Vec<Occurrence> {
    let needle = folded(name.chars());
    let is_sign = |c: char| !c.is_alphanumeric();
    if needle.chars.is_empty() || (needle.chars.len() == 1 && name.chars().all(is_sign)) {
        return signs(reading, name);
    }
    let lines: Vec<Folded> =
        reading.lines.iter().map(|line| folded(line.glyphs.iter().map(|glyph| glyph.character))).collect();
    let mut found = Vec::new();
    for (at, (line, chars)) in reading.lines.iter().zip(&lines).enumerate() {
        for start in matches(&chars.chars, &needle.chars) {
            let glyphs = chars.at[start]..chars.at[start + needle.chars.len() - 1] + 1;
            found.extend(occurrence(line, at, name, glyphs, 0.0, false));
        }
        found.extend(wrapped(reading, &lines, at, name, &needle.chars));
    }
    if found.is_empty() || is_counted {
        let read: Vec<usize> = found.iter().map(|one| one.line).collect();
        for (at, (line, chars)) in reading.lines.iter().zip(&lines).enumerate() {
            if !read.contains(&at) {
                found.extend(misread(line, at, name, chars, &needle.chars));
            }
        }
    }
    found
}

fn matches<'a>(hay: &'a [char], needle: &'a [char]) -> impl Iterator<Item = usize> + 'a {
    hay.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(start, _)| start)
}

/// A name of nothing but signs is compared as it is; one sign on a key as what it can be read as.
fn signs(reading: &Reading, name: &str) -> Vec<Occurrence> {
    let needle: Vec<char> = name.chars().filter(|c| !c.is_whitespace()).map(plain).collect();
    if needle.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, line) in reading.lines.iter().enumerate() {
        let chars: Vec<(usize, char)> = line
            .glyphs
            .iter()
            .map(|glyph| glyph.character)
            .enumerate()
            .filter(|(_, c)| !c.is_whitespace())
            .map(|(at, c)| (at, plain(c)))
            .collect();
        if let ([sign], [(glyph, _)]) = (needle.as_slice(), chars.as_slice()) {
            let ratio = sign_ratio(line, alike(*sign));
            let is_likely = ratio >= MIN_LOG_RATIO;
            found.extend(
                is_likely.then(|| occurrence(line, at, name, *glyph..glyph + 1, ratio, false)).flatten(),
            );
            continue;
        }
        for window in chars.windows(needle.len()) {
            if window.iter().map(|(_, c)| c).eq(&needle) {
                let glyphs = window[0].0..window[window.len() - 1].0 + 1;
                found.extend(
                    occurrence(line, at, name, glyphs, 0.0, false)
                        .filter(|found| found.extent != Extent::Words),
                );
            }
        }
    }
    found
}

/// The occurrence at these glyphs, if they begin and end at boundaries of words.
fn occurrence(
    line: &Line,
    at: usize,
    name: &str,
    glyphs: Range<usize>,
    log_ratio: f64,
    is_part: bool,
) -> Option<Occurrence> {
    let glyphs = with_signs(line, name, glyphs);
    let (is_left, is_right) = (edge(line, glyphs.start, true)?, edge(line, glyphs.end, false)?);
    // Of a text that wraps, only a part stands here.
    if !is_part && !is_told_alike(line, name, &glyphs, log_ratio >= 0.0) {
        return None;
    }
    let shown: String = line.glyphs[glyphs.clone()].iter().map(|glyph| glyph.character).collect();
    let n = glyphs.len() as f32;
    let confidence = line.glyphs[glyphs.clone()].iter().map(|glyph| glyph.confidence).sum::<f32>() / n;
    let spelling = if log_ratio < 0.0 { Spelling::Misread } else { compare(name, shown.trim()) };
    let quote = |index: Option<usize>| {
        index
            .and_then(|index| line.glyphs.get(index))
            .is_some_and(|glyph| "\"“”'‘’„«»".contains(glyph.character))
    };
    Some(Occurrence {
        line: at,
        more: Vec::new(),
        rect: line.rect_of(glyphs.clone()),
        is_mentioned: quote(glyphs.start.checked_sub(1)) && quote(Some(glyphs.end)),
        shown: shown.trim().to_owned(),
        spelling,
        extent: is_left.max(is_right),
        log_ratio,
        confidence,
        glyphs,
    })
}

/// Whether the signs that mean something are those of the name, and no number or letter goes on beyond the span.
fn is_told_alike(line: &Line, name: &str, glyphs: &Range<usize>, is_exact: bool) -> bool {
    let chars: Vec<char> = line.glyphs.iter().map(|glyph| glyph.character).collect();
    let of_line = telling(&chars);
    let is_telling =
        |index: Option<usize>| index.is_some_and(|index| of_line.get(index).copied().unwrap_or(false));
    if is_telling(glyphs.start.checked_sub(1)) || is_telling(Some(glyphs.end)) {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let of_name = telling(&name);
    // Where letters were misread, some may be missing: then only signs are compared, and where they stand.
    if !is_exact && !of_name.contains(&true) && !of_line[glyphs.clone()].contains(&true) {
        return true;
    }
    told(&name, &of_name, is_exact) == told(&chars[glyphs.clone()], &of_line[glyphs.clone()], is_exact)
}

/// Takes in the signs around a span that the name has, too: `'test'` is not `test`.
fn with_signs(line: &Line, name: &str, glyphs: Range<usize>) -> Range<usize> {
    let is_sign = |c: char| folded([c]).chars.is_empty() && !c.is_whitespace();
    let leading = name.chars().take_while(|c| is_sign(*c)).count();
    let trailing = name.chars().rev().take_while(|c| is_sign(*c)).count();
    let is_sign_at = |index: usize| line.glyphs.get(index).is_some_and(|glyph| is_sign(glyph.character));
    let mut wider = glyphs;
    for _ in 0..leading {
        if wider.start > 0 && is_sign_at(wider.start - 1) {
            wider.start -= 1;
        }
    }
    for _ in 0..trailing {
        if is_sign_at(wider.end) {
            wider.end += 1;
        }
    }
    wider
}

/// What kind of boundary is before (or behind) a glyph; nothing if it is in the middle of a word.
fn edge(line: &Line, index: usize, is_start: bool) -> Option<Extent> {
    let glyphs = &line.glyphs;
    let outside: Vec<usize> =
        if is_start { (0..index).rev().collect() } else { (index..glyphs.len()).collect() };
    let inner = if is_start { index } else { index - 1 };
    let Some(&next) = outside.first() else { return Some(Extent::Whole) };
    let gap_to = |other: usize| match is_start {
        true => glyphs[inner].left - glyphs[other].right,
        false => glyphs[other].left - glyphs[inner].right,
    };
    // White space tells nothing of itself: it is a word's or a gap's.
    let beyond = outside.iter().find(|other| !glyphs[**other].character.is_whitespace());
    let Some(&beyond) = beyond else { return Some(Extent::Whole) };
    if gap_to(beyond) > GAP * line.rect.height() {
        return Some(Extent::Whole);
    }
    let sign = glyphs[beyond].character;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if !is_word(sign) && !is_word(glyphs[next].character) {
        let only_signs = outside.iter().all(|other| !is_word(glyphs[*other].character));
        // Beside a digit or another sign, a sign of arithmetic makes another number or another key: `+1`, `+/-`.
        let (own, other) = (glyphs[inner].character, glyphs[next].character);
        if (own.is_ascii_digit() || "+-–−±=*/×÷%".contains(own)) && "+-–−±=/×÷".contains(other)
        {
            return Some(Extent::Words);
        }
        let parts = "|•·>›»/<‹«,;:()[]{}→←▸▾▼▲►◄+-–—*=#";
        return Some(match (only_signs, parts.contains(sign)) {
            (true, _) => Extent::Whole,
            (false, true) => Extent::Part,
            (false, false) => Extent::Words,
        });
    }
    // An icon beside a text is often read as a letter: `O Search`. Few names have a word of one letter at an end.
    let apart: Vec<char> =
        outside.iter().map(|at| glyphs[*at].character).filter(|c| !c.is_whitespace()).collect();
    let pair = (inner.min(next), inner.max(next));
    let is_parted = next != beyond || is_space_between(line, pair);
    if let ([lone], true) = (apart.as_slice(), is_parted)
        && !"aAIiyYeoàé".contains(*lone)
    {
        return Some(Extent::Part);
    }
    // Letters of scripts without spaces stand together in any number.
    let joins = |c: char| is_word(c) && !is_unspaced(c);
    let is_inside = joins(sign) && joins(glyphs[inner].character);
    if is_inside && !is_parted { None } else { Some(Extent::Words) }
}

/// Whether a space may stand between two neighbours, although none was read.
fn is_space_between(line: &Line, (left, right): (usize, usize)) -> bool {
    let (from, to) = (line.glyphs[left].frame, line.glyphs[right].frame);
    let of_space =
        |frame: &Frame| frame.likely.iter().find(|(c, _)| c.is_whitespace()).map_or(0.0, |(_, p)| *p);
    line.frames[from..=to].iter().map(of_space).fold(0.0, f32::max) >= MIN_SPACE
}

/// Han, kana and Thai: words are not parted there.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0E7F | 0x2E80..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// The lines that go on below a line, nearest first.
fn below(reading: &Reading, line: usize) -> Option<usize> {
    let this = &reading.lines[line];
    let height = this.rect.height();
    let fits = |other: &Line| {
        let down = other.rect.center().y - this.rect.center().y;
        let is_near = down > 0.5 * height && down < 1.7 * height;
        let is_as_high = (other.rect.height() / height - 1.0).abs() < 0.35;
        let left = (other.rect.left - this.rect.left).abs() < 1.2 * height;
        let middle = (other.rect.center().x - this.rect.center().x).abs() < 0.8 * height;
        is_near && is_as_high && (left || middle)
    };
    let candidates = reading.lines.iter().enumerate().filter(|(at, other)| *at != line && fits(other));
    let distance = |other: &Line| other.rect.center().y - this.rect.center().y;
    candidates.min_by(|a, b| distance(a.1).total_cmp(&distance(b.1))).map(|(at, _)| at)
}

/// Names that begin on this line and end on one below it.
fn wrapped(
    reading: &Reading,
    lines: &[Folded],
    first: usize,
    name: &str,
    needle: &[char],
) -> Option<Occurrence> {
    let own = &lines[first];
    // What this line ends with is what the name begins with.
    let most = own.chars.len().min(needle.len().saturating_sub(1));
    let begin = (1..=most).rev().find(|n| own.chars.ends_with(&needle[..*n]))?;
    let mut rest = &needle[begin..];
    let mut last = first;
    let mut shown: String = String::new();
    let mut more = Vec::new();
    for _ in 1..MAX_LINES {
        let next = below(reading, last)?;
        let chars = &lines[next].chars;
        let n = chars.len().min(rest.len());
        if n == 0 || chars[..n] != rest[..n] {
            return None;
        }
        rest = &rest[n..];
        let line = &reading.lines[next];
        let glyphs = 0..lines[next].at[n - 1] + 1;
        shown.push(' ');
        shown.extend(line.glyphs[glyphs.clone()].iter().map(|glyph| glyph.character));
        more.push((next, glyphs.clone()));
        last = next;
        if !rest.is_empty() {
            continue;
        }
        let end = edge(line, glyphs.end, false)?;
        let line = &reading.lines[first];
        let start = own.at[own.chars.len() - begin];
        let mut found = occurrence(line, first, name, start..line.glyphs.len(), 0.0, true)?;
        found.shown.push_str(&shown);
        let [asked, whole] = [name, &found.shown].map(|text| text.chars().collect::<Vec<_>>());
        if told(&asked, &telling(&asked), true) != told(&whole, &telling(&whole), true) {
            return None;
        }
        found.more = more;
        found.spelling = compare(name, &found.shown);
        // Two words that happen to end and begin lines of prose are not much of a name.
        found.extent = found.extent.max(end);
        return Some(found);
    }
    None
}

/// Where the name may stand although something else was read: the pixels must not tell.
fn misread(line: &Line, at: usize, name: &str, chars: &Folded, needle: &[char]) -> Vec<Occurrence> {
    let n = needle.len();
    let max_edits = match n {
        0..=1 => return single(line, at, name, chars, needle),
        2..=5 => 1,
        6..=11 => 2,
        _ => n / 5,
    };
    let mut found: Vec<Occurrence> = Vec::new();
    for (start, end) in near_matches(&chars.chars, needle, max_edits) {
        let glyphs = chars.at[start]..chars.at[end - 1] + 1;
        let ratio = log_ratio(line, &glyphs, needle);
        if ratio >= MIN_LOG_RATIO
            && let Some(one) = occurrence(line, at, name, glyphs, ratio.min(-1e-9), false)
        {
            found.push(one);
        }
    }
    // Of spans that overlap the likeliest one.
    found.sort_by(|a, b| b.log_ratio.total_cmp(&a.log_ratio));
    let mut kept: Vec<Occurrence> = Vec::new();
    for one in found {
        if kept
            .iter()
            .all(|other| one.glyphs.end <= other.glyphs.start || other.glyphs.end <= one.glyphs.start)
        {
            kept.push(one);
        }
    }
    kept
}

/// One letter that stands alone.
fn single(line: &Line, at: usize, name: &str, chars: &Folded, needle: &[char]) -> Vec<Occurrence> {
    // A sign on a key is no letter, however little is known of it.
    if chars.chars.len() != 1 || !chars.chars[0].is_alphanumeric() {
        return Vec::new();
    }
    let glyphs = chars.at[0]..chars.at[0] + 1;
    let ratio = log_ratio(line, &glyphs, needle);
    let likely = ratio >= MIN_LOG_RATIO;
    likely
        .then(|| occurrence(line, at, name, glyphs, ratio.min(-1e-9), false))
        .flatten()
        .into_iter()
        .collect()
}

/// How likely the name is in the frames of these glyphs, beside what was read there.
fn log_ratio(line: &Line, glyphs: &Range<usize>, needle: &[char]) -> f64 {
    let before = glyphs.start.checked_sub(1).map_or(0, |before| line.glyphs[before].frame + 1);
    let after = line.glyphs.get(glyphs.end).map_or(line.frames.len(), |after| after.frame);
    let frames = &line.frames[before..after.max(before)];
    let read = folded(line.glyphs[glyphs.clone()].iter().map(|glyph| glyph.character));
    log_probability(frames, needle) - log_probability(frames, &read.chars)
}

/// Spans of `hay` that become `needle` by at most `max_edits` changed, missing or added letters; for each end the one with
/// the fewest.
fn near_matches(hay: &[char], needle: &[char], max_edits: usize) -> Vec<(usize, usize)> {
    let n = needle.len();
    // Column by column: edits, and where the span begins.
    let mut column: Vec<(usize, usize)> = (0..=n).map(|i| (i, 0)).collect();
    let mut found = Vec::new();
    for (j, c) in hay.iter().enumerate() {
        let mut next = vec![(0, j + 1)];
        for i in 1..=n {
            let same = (column[i - 1].0 + usize::from(needle[i - 1] != *c), column[i - 1].1);
            let added = (column[i].0 + 1, column[i].1);
            let missing = (next[i - 1].0 + 1, next[i - 1].1);
            next.push([same, added, missing].into_iter().min_by_key(|(edits, _)| *edits).unwrap_or(same));
        }
        column = next;
        let (edits, start) = column[n];
        if edits <= max_edits && start <= j {
            found.push((start, j + 1));
        }
    }
    found
}

/// A place where a text stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spelled {
    /// Where: of a text that wraps, the part on its first line.
    pub rect: Rect<Screen>,
    /// What stands there, as it was read.
    pub shown: String,
    /// How that differs from what was asked for.
    pub spelling: Spelling,
    /// Mean confidence of its characters.
    pub confidence: f32,
}

/// Every place where a text stands, on its own or among others.
pub fn spelled(reading: &Reading, text: &str) -> Vec<Spelled> {
    let found = occurrences(reading, text, false);
    let place = |found: Occurrence| Spelled {
        rect: found.rect,
        shown: found.shown,
        spelling: found.spelling,
        confidence: found.confidence,
    };
    found.into_iter().map(place).collect()
}
