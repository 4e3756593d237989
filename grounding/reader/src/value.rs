//! A value read off a screenshot: what stands beside or below a label, or what a pattern matches.
//!
//! Invariant: the value is exact, or there is none and a reason. Whoever computes with a number is served worse by a wrong
//! one than by none: a character that could be another one, something between label and value that was not read, two
//! labels alike, and a second reading that differs refuse it.

use std::ops::Range;

use image::RgbImage;
use regex::Regex;
use vigorl_geometry::{Rect, Screen};

use crate::exact::{Spaces, doubt, runs};
use crate::occurrences::{Occurrence, occurrences};
use crate::reader::{Reader, ReaderError};
use crate::reading::{Line, Reading};
use crate::shapes::{Pixels, stains};
use crate::spelling::Spelling;

/// How far below its label a value stands at most, in heights of the label.
const BELOW: f64 = 3.5;
/// What is smaller than this in both directions is dirt or a dot of a line, in pixels.
const DOT_PX: u32 = 2;
/// Above and below a line, where no digit reaches and the corners of a field may be, in heights of the line.
const MARGIN: f64 = 0.1;
/// A line that is no thicker is a rule or a border, in pixels.
const RULE_PX: u32 = 3;

/// Which value is meant.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it stands, as seen from a label; anywhere if absent.
    pub label: Option<(Side, &'a str)>,
    /// What of it is taken: the first group of the pattern, or all that it matches.
    pub pattern: Option<&'a Regex>,
}

/// On which side of its label a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On its right.
    Beside,
    /// Below it.
    Below,
}

/// Glyphs of a line that stand together.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    line: usize,
    glyphs: Range<usize>,
    rect: Rect<Screen>,
}

impl Reader {
    /// The value that stands there, exactly; or why it cannot be told.
    ///
    /// # Errors
    /// [`ReaderError::Failed`] if the models cannot be computed.
    pub fn value(
        &self,
        image: &RgbImage,
        reading: &Reading,
        wanted: &Wanted<'_>,
    ) -> Result<Result<String, String>, ReaderError> {
        let found = match wanted.label {
            Some((side, label)) => labelled(image, reading, side, label, wanted.pattern),
            None => matched(reading, wanted.pattern),
        };
        match found {
            Ok(run) => self.sure(image, &reading.lines[run.line], &run, wanted.pattern),
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// What the run says, if it is sure.
    fn sure(
        &self,
        image: &RgbImage,
        line: &Line,
        run: &Run,
        pattern: Option<&Regex>,
    ) -> Result<Result<String, String>, ReaderError> {
        let text = line.text_of(run.glyphs.clone());
        let (value, part) = match taken(&text, pattern) {
            Ok(taken) => taken,
            Err(reason) => return Ok(Err(reason)),
        };
        // What stands right beside it decides where it ends.
        let first = (run.glyphs.start + part.start).saturating_sub(1).max(run.glyphs.start);
        let last = (run.glyphs.start + part.end + 1).min(run.glyphs.end);
        if let Some(why) = doubt(line, first..last, Spaces::Count) {
            return Ok(Err(format!("`{value}` was read, but {why}")));
        }
        for again in self.again(image, line, run.glyphs.clone())? {
            let other = taken(&again, pattern).map(|(value, _)| value);
            if other.as_ref() != Ok(&value) {
                let other = other.unwrap_or(again);
                return Ok(Err(format!("`{value}` was read, and `{}` when it was read again", other.trim())));
            }
        }
        Ok(Ok(value))
    }
}

/// What is taken of a text, with white space evened out, and which of its characters that are.
fn taken(text: &str, pattern: Option<&Regex>) -> Result<(String, Range<usize>), String> {
    let part = match pattern {
        None => 0..text.len(),
        Some(pattern) => {
            let mut all = pattern.captures_iter(text);
            let (first, second) = (all.next(), all.next());
            match (first, second) {
                (Some(found), None) => match found.get(1).or_else(|| found.get(0)) {
                    Some(part) => part.range(),
                    None => return Err(format!("`{pattern}` matches nothing of `{text}`")),
                },
                (None, _) => return Err(format!("`{text}` was read, which `{pattern}` does not match")),
                (Some(_), Some(_)) => {
                    return Err(format!("`{text}` was read, which `{pattern}` matches more than once"));
                }
            }
        }
    };
    let value = text[part.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
    if value.is_empty() {
        return Err(format!("what was taken of `{text}` is empty"));
    }
    let chars = |bytes: &str| bytes.chars().count();
    Ok((value, chars(&text[..part.start])..chars(&text[..part.end])))
}

/// The only run on the screen that the pattern matches.
fn matched(reading: &Reading, pattern: Option<&Regex>) -> Result<Run, String> {
    let Some(pattern) = pattern else { return Err("neither a label nor a pattern is given".to_owned()) };
    let all = (0..reading.lines.len()).flat_map(|line| runs_of(reading, line));
    let mut found = all.filter(|run| pattern.is_match(&reading.lines[run.line].text_of(run.glyphs.clone())));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("nothing that was read matches `{pattern}`")),
        (Some(one), Some(other)) => {
            let said = [one, other].map(|run| {
                let at = run.rect.center();
                format!(
                    "`{}` at ({:.0}, {:.0})",
                    reading.lines[run.line].text_of(run.glyphs.clone()),
                    at.x,
                    at.y
                )
            });
            Err(format!("`{pattern}` matches several texts: {}", said.join(" and ")))
        }
    }
}

fn runs_of(reading: &Reading, at: usize) -> Vec<Run> {
    let line = &reading.lines[at];
    let rect = |run: &Range<usize>| {
        let rect = line.rect_of(run.clone());
        // The line's own margin belongs to what stands at its ends.
        let left = if run.start == 0 { line.rect.left } else { rect.left };
        let right = if run.end == line.glyphs.len() { line.rect.right } else { rect.right };
        Rect::new(left, rect.top, right, rect.bottom)
    };
    runs(line).into_iter().map(|run| Run { line: at, rect: rect(&run), glyphs: run }).collect()
}

/// What stands beside or below the only place where the label stands.
fn labelled(
    image: &RgbImage,
    reading: &Reading,
    side: Side,
    label: &str,
    pattern: Option<&Regex>,
) -> Result<Run, String> {
    let place = label_place(reading, label)?;
    match side {
        Side::Beside => beside(image, reading, &place, label, pattern),
        Side::Below => below(image, reading, &place, label),
    }
}

fn label_place(reading: &Reading, label: &str) -> Result<Occurrence, String> {
    let all: Vec<Occurrence> = occurrences(reading, label, false);
    let is_close = |found: &&Occurrence| found.spelling <= Spelling::Ending;
    let mut places: Vec<&Occurrence> = all.iter().filter(is_close).collect();
    if places.is_empty() {
        places = all.iter().filter(|found| found.spelling != Spelling::Misread).collect();
    }
    let told = |places: &[&Occurrence]| {
        let told = places.iter().take(6).map(|found| {
            let at = found.rect.center();
            format!("`{}` at ({:.0}, {:.0})", found.shown, at.x, at.y)
        });
        told.collect::<Vec<_>>().join(", ")
    };
    match places.as_slice() {
        [one] => Ok((*one).clone()),
        [] if all.is_empty() => Err(format!("`{label}` is written nowhere here")),
        [] => Err(format!("`{label}` is not read for sure: {}", told(&all.iter().collect::<Vec<_>>()))),
        several => Err(format!("`{label}` stands in {} places: {}", several.len(), told(several))),
    }
}

/// The rest of what stands together with the label; or else what comes next in its row.
fn beside(
    image: &RgbImage,
    reading: &Reading,
    label: &Occurrence,
    name: &str,
    pattern: Option<&Regex>,
) -> Result<Run, String> {
    // A label that wraps has its value beside its last line as well as its first, which is not clear.
    if !label.more.is_empty() {
        return Err(format!("`{name}` is written over several lines, so nothing stands beside it for sure"));
    }
    let line = &reading.lines[label.line];
    let is_joint = |c: char| c.is_whitespace() || matches!(c, ':' | '：' | '=');
    let all = runs_of(reading, label.line);
    let own = all.iter().find(|run| run.glyphs.contains(&label.glyphs.start));
    let end = own.map_or(label.glyphs.end, |run| run.glyphs.end);
    let begin = (label.glyphs.end..end).find(|n| !is_joint(line.glyphs[*n].character));
    if let Some(begin) = begin {
        let glyphs = begin..end;
        return Ok(Run { line: label.line, rect: line.rect_of(glyphs.clone()), glyphs });
    }
    let from = own.map_or(label.rect, |run| run.rect);
    let level = |rect: Rect<Screen>| {
        let overlap = rect.bottom.min(from.bottom) - rect.top.max(from.top);
        overlap >= 0.5 * rect.height().min(from.height())
    };
    let is_aside =
        |run: &Run| level(run.rect) && run.rect.left > from.left && run.rect.center().x > from.right;
    let row = (0..reading.lines.len()).flat_map(|at| runs_of(reading, at)).filter(is_aside);
    let next = row.clone().min_by(|a, b| a.rect.left.total_cmp(&b.rect.left));
    let Some(next) = next else {
        let wanted = pattern.map_or(String::new(), |pattern| format!(" that matches `{pattern}`"));
        return Err(format!("nothing that was read{wanted} stands beside `{name}`"));
    };
    // Two things above one another beside one label: either could be meant.
    let rival = row.clone().find(|run| {
        *run != next
            && run.line != next.line
            && run.rect.left < next.rect.right
            && next.rect.left < run.rect.right
    });
    if let Some(rival) = rival {
        return Err(format!(
            "beside `{name}` stand `{}` and `{}`",
            reading.lines[next.line].text_of(next.glyphs.clone()),
            reading.lines[rival.line].text_of(rival.glyphs.clone())
        ));
    }
    if next.line != label.line {
        let margin = MARGIN * next.rect.height();
        let (top, bottom) = (next.rect.top + margin, next.rect.bottom - margin);
        let gap = Rect::new(from.right, top, next.rect.left, bottom);
        nothing_between(image, gap, name, Side::Beside)?;
    }
    Ok(next)
}

/// The nearest thing below the label that shares columns with it.
fn below(image: &RgbImage, reading: &Reading, label: &Occurrence, name: &str) -> Result<Run, String> {
    let last =
        label.more.last().map_or(label.rect, |(line, glyphs)| reading.lines[*line].rect_of(glyphs.clone()));
    let line = label.more.last().map_or(label.line, |(line, _)| *line);
    let shares = |run: &Run| run.rect.left < last.right && last.left < run.rect.right;
    let is_below = |run: &Run| {
        run.line != line
            && run.rect.center().y > last.bottom
            && run.rect.top - last.bottom <= BELOW * last.height()
            && shares(run)
    };
    let all: Vec<Run> =
        (0..reading.lines.len()).flat_map(|at| runs_of(reading, at)).filter(is_below).collect();
    let Some(next) = all.iter().min_by(|a, b| a.rect.top.total_cmp(&b.rect.top)) else {
        return Err(format!("nothing that was read stands below `{name}`"));
    };
    let rival = all.iter().find(|run| *run != next && run.rect.center().y < next.rect.bottom);
    if let Some(rival) = rival {
        return Err(format!(
            "below `{name}` stand `{}` and `{}`",
            reading.lines[next.line].text_of(next.glyphs.clone()),
            reading.lines[rival.line].text_of(rival.glyphs.clone())
        ));
    }
    let between = Rect::new(
        next.rect.left.max(last.left),
        reading.lines[line].rect.bottom,
        next.rect.right.min(last.right),
        next.rect.top,
    );
    nothing_between(image, between, name, Side::Below)?;
    Ok(next.clone())
}

/// Refuses a value if something stands between it and its label that was not read. Rules are nothing, nor is the ground of
/// a field, which reaches to its value.
fn nothing_between(image: &RgbImage, gap: Rect<Screen>, name: &str, side: Side) -> Result<(), String> {
    if gap.width() < 3.0 || gap.height() < 3.0 {
        return Ok(());
    }
    let Some(window) = Pixels::of(gap, image) else { return Ok(()) };
    let (width, height) = (window.right - window.left, window.bottom - window.top);
    let is_nothing = |thing: &Pixels| {
        let (across, down) = (thing.right - thing.left, thing.bottom - thing.top);
        let at_side = thing.left == window.left || thing.right == window.right;
        // A digit 1 is as narrow as a border, but not as high as its line; a minus sign is no long rule.
        let is_rule =
            (down <= RULE_PX && at_side && 2 * across > width) || (across <= RULE_PX && down == height);
        let is_ground = match side {
            Side::Beside => down == height && thing.right == window.right,
            Side::Below => across == width && thing.bottom == window.bottom,
        };
        is_rule || is_ground || (across <= DOT_PX && down <= DOT_PX)
    };
    match stains(image, window).into_iter().find(|thing| !is_nothing(thing)) {
        None => Ok(()),
        Some(thing) => {
            let at = thing.rect().center();
            Err(format!(
                "between `{name}` and what was read stands something that was not, at ({:.0}, {:.0})",
                at.x, at.y
            ))
        }
    }
}
