//! A place by the text that is written there: for whoever says the text itself, and not in words what is meant.
//!
//! Invariant: nothing is guessed. Of several places that fit alike none is taken, and all of them are told.

use image::RgbImage;
use regex::Regex;
use vigorl_geometry::{Point, Rect, Screen};

use crate::exact::{is_in_number, runs};
use crate::occurrences::{Extent, occurrences};
use crate::reading::Reading;
use crate::shapes::{Pixels, enclosing, enclosing_within};
use crate::spelling::Spelling;

/// A line of this mean confidence gives a thing its name.
const NAMED: f32 = 0.95;
/// What is longer is no name, in characters.
const LONGEST_NAME: usize = 60;
/// Places that are told at most.
const TOLD: usize = 6;

/// A text, and what narrows its place down.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is written there.
    pub text: Wording<'a>,
    /// A text in whose row or box the place is.
    pub within: Option<&'a str>,
    /// Which of the places that fit alike, as one reads, from 1.
    pub nth: Option<usize>,
}

/// What is written somewhere.
#[derive(Debug, Clone, Copy)]
pub enum Wording<'a> {
    /// This text, in whatever letter case and with whatever signs, alone or among other words.
    Folded(&'a str),
    /// This text letter by letter, alone.
    Exact(&'a str),
    /// Something that this pattern matches in what stands together.
    Pattern(&'a Regex),
}

/// Somewhere a text could be meant.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    rect: Rect<Screen>,
    shown: String,
    /// Less is better.
    rank: (Extent, Spelling),
}

/// Where the text stands.
///
/// # Errors
/// Why no place is meant for sure: the text stands nowhere, or in several places alike.
pub fn place_of_text(reading: &Reading, image: &RgbImage, asked: &Asked<'_>) -> Result<Rect<Screen>, String> {
    let mut places = best(places(reading, asked.text));
    let name = match asked.text {
        Wording::Folded(text) | Wording::Exact(text) => format!("`{text}`"),
        Wording::Pattern(pattern) => format!("a text that matches `{pattern}`"),
    };
    if places.is_empty() {
        let others = match asked.text {
            Wording::Exact(text) => best(self::places(reading, Wording::Folded(text))),
            Wording::Folded(_) | Wording::Pattern(_) => Vec::new(),
        };
        let hint = if others.is_empty() { String::new() } else { format!("; read was {}", told(&others)) };
        return Err(format!("{name} is written nowhere here{hint}"));
    }
    let mut inside = String::new();
    if let Some(within) = asked.within {
        let anchors = best(self::places(reading, Wording::Folded(within)));
        if anchors.is_empty() {
            return Err(format!("`{within}` is written nowhere here, in whose row or box {name} should be"));
        }
        let all = places;
        places = together(&all, &anchors, image);
        if places.is_empty() {
            return Err(format!(
                "{name} is not in the row or box of `{within}` at {}, but there is {}",
                told(&anchors),
                told(&all)
            ));
        }
        inside = format!(" in the row or box of `{within}`");
    }
    let row = |place: &Place| (place.rect.center().y / place.rect.height().max(1.0)).round();
    places.sort_by(|a, b| row(a).total_cmp(&row(b)).then(a.rect.left.total_cmp(&b.rect.left)));
    match (asked.nth, places.as_slice()) {
        (None, [one]) => Ok(one.rect),
        (Some(nth), all) => {
            let place = nth.checked_sub(1).and_then(|index| all.get(index));
            place.map(|place| place.rect).ok_or_else(|| {
                let times = if all.len() == 1 { "once".to_owned() } else { format!("{} times", all.len()) };
                format!("{name} stands here only {times}{inside}: {}", told(all))
            })
        }
        (None, several) => {
            Err(format!("{name} stands in {} places alike{inside}: {}", several.len(), told(several)))
        }
    }
}

/// What a thing at a place is called: the text there, or the only one in the box of a control around the place.
pub fn name_at(reading: &Reading, image: &RgbImage, at: Point<Screen>) -> Option<String> {
    let sure = reading.lines.iter().filter(|line| line.confidence >= NAMED);
    let all: Vec<(Rect<Screen>, String)> = sure
        .flat_map(|line| runs(line).into_iter().map(|run| (line.rect_of(run.clone()), line.text_of(run))))
        .collect();
    let name = |text: &str| {
        let text = text.trim();
        (!text.is_empty() && text.chars().count() <= LONGEST_NAME).then(|| text.to_owned())
    };
    if let Some((_, text)) = all.iter().find(|(rect, _)| rect.contains(at)) {
        return name(text);
    }
    let pixel = Rect::<Screen>::new(at.x.floor(), at.y.floor(), at.x.floor() + 1.0, at.y.floor() + 1.0);
    let around = enclosing(image, Pixels::of(pixel, image)?)?.rect();
    let mut inside = all.iter().filter(|(rect, _)| around.contains(rect.center()));
    match (inside.next(), inside.next()) {
        (Some((_, text)), None) => name(text),
        _ => None,
    }
}

fn places(reading: &Reading, text: Wording<'_>) -> Vec<Place> {
    let (name, is_exact) = match text {
        Wording::Folded(name) => (name, false),
        Wording::Exact(name) => (name, true),
        Wording::Pattern(pattern) => return matches(reading, pattern),
    };
    // What was read otherwise may still be meant where the pixels do not tell; but a digit is never guessed.
    let has_digit = name.chars().any(|c| c.is_ascii_digit());
    let found = occurrences(reading, name, false).into_iter().filter(|found| {
        let is_close = match is_exact {
            true => found.spelling == Spelling::Exact && found.extent == Extent::Whole,
            false => found.spelling != Spelling::Misread || !has_digit,
        };
        is_close && !is_in_number(&reading.lines[found.line], &found.glyphs)
    });
    found
        .map(|found| Place { rect: found.rect, shown: found.shown, rank: (found.extent, found.spelling) })
        .collect()
}

fn matches(reading: &Reading, pattern: &Regex) -> Vec<Place> {
    let mut places = Vec::new();
    for line in &reading.lines {
        for run in runs(line) {
            let text = line.text_of(run.clone());
            for found in pattern.find_iter(&text).filter(|found| !found.is_empty()) {
                let start = run.start + text[..found.start()].chars().count();
                let n = found.as_str().chars().count();
                places.push(Place {
                    rect: line.rect_of(start..start + n),
                    shown: found.as_str().to_owned(),
                    rank: (Extent::Whole, Spelling::Exact),
                });
            }
        }
    }
    places
}

/// Those that fit best: alone before among other words, as it is written before otherwise.
fn best(mut places: Vec<Place>) -> Vec<Place> {
    let Some(rank) = places.iter().map(|place| place.rank).min() else { return places };
    places.retain(|place| place.rank == rank);
    places
}

/// Those that stand in the row of an anchor or in the same box. Where a row and a box say different things, all of them.
fn together(places: &[Place], anchors: &[Place], image: &RgbImage) -> Vec<Place> {
    let is_level = |a: Rect<Screen>, b: Rect<Screen>| {
        let overlap = a.bottom.min(b.bottom) - a.top.max(b.top);
        overlap >= 0.5 * a.height().min(b.height())
    };
    let is_in_row = |place: &&Place| {
        anchors.iter().any(|anchor| anchor.rect != place.rect && is_level(anchor.rect, place.rect))
    };
    let in_row: Vec<Place> = places.iter().filter(is_in_row).cloned().collect();
    let areas: Vec<Option<f64>> = places
        .iter()
        .map(|place| {
            let of_box = anchors.iter().filter_map(|anchor| common_box(image, anchor.rect, place.rect));
            of_box.map(|common| common.width() * common.height()).min_by(f64::total_cmp)
        })
        .collect();
    let Some(least) = areas.iter().flatten().copied().min_by(f64::total_cmp) else { return in_row };
    let in_box = places.iter().zip(&areas).filter(|(_, area)| area.is_some_and(|area| area <= 1.02 * least));
    let in_box: Vec<Place> = in_box.map(|(place, _)| place.clone()).collect();
    let both: Vec<Place> = in_row.iter().filter(|place| in_box.contains(place)).cloned().collect();
    match (both.is_empty(), in_row.is_empty()) {
        (false, _) => both,
        (true, true) => in_box,
        (true, false) => in_row.into_iter().chain(in_box).collect(),
    }
}

/// The smallest box with four edges around two texts.
fn common_box(image: &RgbImage, a: Rect<Screen>, b: Rect<Screen>) -> Option<Rect<Screen>> {
    let ink = a.with(b).grown(-1.0, -2.0);
    let reach = image.width().max(image.height());
    enclosing_within(image, Pixels::of(ink, image)?, (reach, reach)).map(Pixels::rect)
}

fn told(places: &[Place]) -> String {
    let told = places.iter().take(TOLD).map(|place| {
        let at = place.rect.center();
        format!("`{}` at ({:.0}, {:.0})", place.shown, at.x, at.y)
    });
    let more = places.len().saturating_sub(TOLD);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", told.collect::<Vec<_>>().join(", "))
}
