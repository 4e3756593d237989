//! Whether a text stands on a screenshot letter by letter.
//!
//! Where a reading becomes a reward, a misread letter is a wrong one. So a text stands somewhere for sure only if it was
//! read there as it is asked for, letter case and signs included; if the recogniser saw no other character in its place;
//! and if the same pixels, cut out otherwise, are read alike.
//!
//! Invariant: what is not sure is told with its reason, and is neither there nor gone.

use std::ops::Range;

use image::RgbImage;
use image::imageops::{self, FilterType};
use unicode_normalization::UnicodeNormalization as _;
use vigorl_geometry::{Rect, Screen};

use crate::boxes::LineBox;
use crate::occurrences::{Occurrence, occurrences};
use crate::reader::{Reader, ReaderError};
use crate::reading::{Line, Reading};
use crate::recogniser::LinePicture;
use crate::spelling::{Spelling, plain};

/// A character counts as read from this probability on, if no other one is likely.
const READ: f32 = 0.7;
/// Another character in its place must be less likely than this.
const OTHER: f32 = 0.1;
/// Second readings: what is added above and below, on the left and on the right, in heights of the line, and by how much
/// the picture is enlarged.
const AGAIN: [(f64, f64, f64); 2] = [(0.1, 0.2, 1.0), (-0.05, 0.12, 1.7)];

/// A place where a text stands, or could.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Where: of a text that wraps, the part on its first line.
    pub rect: Rect<Screen>,
    /// What was read there.
    pub shown: String,
    /// Whether it is the text.
    pub certainty: Certainty,
}

/// How sure it is that a text stands somewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Certainty {
    /// It does.
    Sure,
    /// It may, and why that is not sure.
    Doubtful(String),
    /// What stands there is a longer word or number, and the text is only a part of it.
    Inside,
}

impl Reader {
    /// Every place on the screenshot, of which this is the reading, where a text stands or could.
    ///
    /// # Errors
    /// [`ReaderError::Failed`] if a place cannot be read again.
    pub fn standing(
        &self,
        image: &RgbImage,
        reading: &Reading,
        text: &str,
    ) -> Result<Vec<Standing>, ReaderError> {
        let found = occurrences(reading, text, false);
        let mut all = Vec::new();
        for one in &found {
            all.push(Standing {
                rect: one.rect,
                shown: one.shown.clone(),
                certainty: self.certainty(image, reading, one)?,
            });
        }
        let is_new = |at: usize, glyphs: &Range<usize>| {
            let overlaps = |one: &Occurrence| {
                std::iter::once((one.line, &one.glyphs))
                    .chain(one.more.iter().map(|(line, glyphs)| (*line, glyphs)))
                    .any(|(line, other)| line == at && glyphs.start < other.end && other.start < glyphs.end)
            };
            !found.iter().any(overlaps)
        };
        for (at, line) in reading.lines.iter().enumerate() {
            let inside = dense_matches(line, text).into_iter().filter(|glyphs| is_new(at, glyphs));
            all.extend(inside.map(|glyphs| Standing {
                rect: line.rect_of(glyphs),
                shown: line.text.trim().to_owned(),
                certainty: Certainty::Inside,
            }));
        }
        Ok(all)
    }

    fn certainty(
        &self,
        image: &RgbImage,
        reading: &Reading,
        found: &Occurrence,
    ) -> Result<Certainty, ReaderError> {
        let doubtful = |why: String| Ok(Certainty::Doubtful(why));
        match found.spelling {
            Spelling::Exact => {}
            Spelling::Misread => return doubtful(format!("`{}` was read, but not for sure", found.shown)),
            _ => return doubtful(format!("`{}` was read, which is spelled otherwise", found.shown)),
        }
        let first = (found.line, found.glyphs.clone());
        for (at, glyphs) in std::iter::once(&first).chain(&found.more) {
            let line = &reading.lines[*at];
            if is_in_number(line, glyphs) {
                return Ok(Certainty::Inside);
            }
            if let Some(why) = doubt(line, glyphs.clone(), Spaces::Ignored) {
                return doubtful(why);
            }
            let part = line.text_of(glyphs.clone());
            let around = run_around(line, glyphs.start);
            for again in self.again(image, line, around)? {
                if !dense(&again).contains(&dense(&part)) {
                    return doubtful(format!(
                        "`{}` was read, and `{}` when it was read again",
                        part.trim(),
                        again.trim()
                    ));
                }
            }
        }
        Ok(Certainty::Sure)
    }

    /// What the same glyphs of a line say when their pixels are cut out otherwise.
    pub(crate) fn again(
        &self,
        image: &RgbImage,
        line: &Line,
        glyphs: Range<usize>,
    ) -> Result<Vec<String>, ReaderError> {
        let rect = line.rect_of(glyphs.clone());
        let is_end = |index: usize| index == line.glyphs.len();
        let left = if glyphs.start == 0 { line.rect.left } else { rect.left };
        let right = if is_end(glyphs.end) { line.rect.right } else { rect.right };
        self.read_again(image, Rect::new(left, line.rect.top, right, line.rect.bottom))
    }

    /// What the pixels of a place say as one line, read twice: cut out and scaled in two ways.
    ///
    /// # Errors
    /// [`ReaderError::Failed`] if the models cannot be computed.
    pub fn read_again(&self, image: &RgbImage, place: Rect<Screen>) -> Result<Vec<String>, ReaderError> {
        AGAIN.iter().map(|way| self.read_once(image, place, *way)).collect()
    }

    fn read_once(
        &self,
        image: &RgbImage,
        place: Rect<Screen>,
        (down, across, scale): (f64, f64, f64),
    ) -> Result<String, ReaderError> {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        let by = place.height();
        let edges = LineBox {
            left: (place.left - across * by).clamp(0.0, width),
            top: (place.top - down * by).clamp(0.0, height),
            right: (place.right + across * by).clamp(0.0, width),
            bottom: (place.bottom + down * by).clamp(0.0, height),
        };
        if edges.right - edges.left < 1.0 || edges.bottom - edges.top < 1.0 {
            return Ok(String::new());
        }
        let cut = LinePicture::cut(image, edges);
        let picture = match scale == 1.0 {
            true => cut,
            false => {
                let (width, height) = cut.pixels.dimensions();
                let scaled = |side: u32| (f64::from(side) * scale).round().max(1.0) as u32;
                let larger =
                    imageops::resize(&cut.pixels, scaled(width), scaled(height), FilterType::CatmullRom);
                let (right, bottom) = (f64::from(larger.width()), f64::from(larger.height()));
                LinePicture::cut(&larger, LineBox { left: 0.0, top: 0.0, right, bottom })
            }
        };
        Ok(picture.read(&self.networks, 0)?.map_or_else(String::new, |line| line.text))
    }
}

/// Whether white space is a part of what must be sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spaces {
    Count,
    Ignored,
}

/// Why what was read of some glyphs is not sure; nothing if it is.
pub(crate) fn doubt(line: &Line, glyphs: Range<usize>, spaces: Spaces) -> Option<String> {
    let all = &line.glyphs;
    let is_ignored = |c: char| spaces == Spaces::Ignored && c.is_whitespace();
    for n in glyphs {
        let glyph = all[n];
        if is_ignored(glyph.character) {
            continue;
        }
        let at = |what: &str| {
            let (x, y) = ((glyph.left + glyph.right) / 2.0, line.rect.center().y);
            Some(format!("`{}` at ({x:.0}, {y:.0}) {what}", glyph.character))
        };
        let before = n.checked_sub(1).map(|before| all[before]);
        let after = all.get(n + 1).copied();
        let first = before.map_or(0, |before| before.frame + 1);
        let last = after.map_or(line.frames.len(), |after| after.frame);
        let known = [Some(glyph.character), before.map(|g| g.character), after.map(|g| g.character)];
        let others = line.frames[first..last.max(first)].iter().flat_map(|frame| &frame.likely);
        let other = others
            .filter(|(c, p)| *p >= OTHER && !known.contains(&Some(*c)) && !is_ignored(*c))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((other, _)) = other {
            return at(&format!("could be `{other}`"));
        }
        if glyph.confidence < READ {
            return at("is not read for sure");
        }
    }
    None
}

/// Whether a text that begins or ends with a digit goes on as a number there: `5` in `-5` or `5.20`.
pub(crate) fn is_in_number(line: &Line, glyphs: &Range<usize>) -> bool {
    let at = |index: Option<usize>| {
        index.and_then(|index| line.glyphs.get(index)).map(|glyph| plain(glyph.character))
    };
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let joins = |c: Option<char>| c.is_some_and(|c| ".,:/'-+".contains(c));
    let before = |n: usize| glyphs.start.checked_sub(n);
    let begins = is_digit(at(Some(glyphs.start)))
        && joins(at(before(1)))
        && (is_digit(at(before(2))) || matches!(at(before(1)), Some('-' | '+')));
    let ends = glyphs.end.checked_sub(1).is_some_and(|last| is_digit(at(Some(last))))
        && joins(at(Some(glyphs.end)))
        && is_digit(at(Some(glyphs.end + 1)));
    begins || ends
}

/// The glyphs around one that stand together with it on its line.
pub(crate) fn run_around(line: &Line, glyph: usize) -> Range<usize> {
    let all = runs(line);
    all.into_iter().find(|run| run.contains(&glyph)).unwrap_or(0..line.glyphs.len())
}

/// A gap of this many line heights parts what is one value from another: wider than that between names, because a part of
/// a value is a wrong value.
const RUN_GAP: f64 = 0.77;

/// What stands together on a line: its glyphs, parted by wide gaps.
pub(crate) fn runs(line: &Line) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (n, glyph) in line.glyphs.iter().enumerate() {
        if glyph.character.is_whitespace() {
            continue;
        }
        match runs.last_mut() {
            Some(run) if glyph.left - line.glyphs[run.end - 1].right <= RUN_GAP * line.rect.height() => {
                run.end = n + 1;
            }
            _ => runs.push(n..n + 1),
        }
    }
    runs
}

/// A text without white space, with one of the signs that are drawn alike.
pub(crate) fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).nfc().map(plain).collect()
}

/// Where a line holds the text, letter by letter, at boundaries of words or not.
fn dense_matches(line: &Line, text: &str) -> Vec<Range<usize>> {
    let wanted: Vec<char> = dense(text).chars().collect();
    let shown: Vec<(usize, char)> = line
        .glyphs
        .iter()
        .enumerate()
        .filter(|(_, glyph)| !glyph.character.is_whitespace())
        .map(|(n, glyph)| (n, plain(glyph.character)))
        .collect();
    if wanted.is_empty() || shown.len() < wanted.len() {
        return Vec::new();
    }
    let windows = shown.windows(wanted.len());
    windows
        .filter(|window| window.iter().map(|(_, c)| *c).eq(wanted.iter().copied()))
        .map(|window| window[0].0..window[window.len() - 1].0 + 1)
        .collect()
}
