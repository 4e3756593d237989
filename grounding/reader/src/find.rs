//! From an instruction to a place, by what is written on the screen.
//!
//! Every way to take the instruction is tried; every place where its name stands is a candidate with a cost. The cheapest
//! one is what is meant, unless another one is as cheap: then it is ambiguous. Costs, from the rules of the house: a whole
//! control or line before words in a line, exact before folded, a control before prose, anything before an echo of the
//! instruction itself.
//!
//! Invariant: nothing is guessed. A place is found only where the name is written; what contradicts the kind is no place.

use std::collections::BTreeMap;

use image::RgbImage;
use vigorl_geometry::{Point, Rect, Screen};

use crate::description::described;
use crate::instruction::{Kind, Nth, Query, Relation, interpretations, is_command, may_be_name, words_for};
use crate::kinds::Surroundings;
use crate::occurrences::{Extent, Occurrence, occurrences};
use crate::reading::Reading;
use crate::shapes::ink_of;
use crate::spelling::{Spelling, folded};

/// Costs that differ by less than this are equal.
const EQUAL: f64 = 0.2;
/// What costs more than this is not what was meant.
const MAX_COST: f64 = 3.0;
/// How much beside a name its colour is compared with, in heights of its line.
const BESIDE: f64 = 5.0;
/// What an instruction names stands where that costs no more, if the instruction itself is shown besides.
const MAX_OF_NAMED: f64 = 1.5;
/// How much more what is nearest may cost than what is farther away.
const MAY_COST_MORE: f64 = 0.6;
/// What costs this much more than the best one is not counted with it.
const COUNTED: f64 = 1.1;
/// Distances that differ by less, in pixels, are the same.
const SAME_DISTANCE: f64 = 6.0;
/// Inks whose directions from the ground have a smaller cosine are of two colours.
const SAME_HUE: f64 = 0.988;
/// So are inks of which one is this many times as strong.
const OTHER_STRENGTH: f64 = 1.9;
/// What a description costs beside a name, besides for all of the name that it does not account for, and if the name
/// begins with other words.
const OF_DESCRIPTION: f64 = 1.0;
const OF_REST: f64 = 0.8;
const OF_LATER: f64 = 0.25;
/// What a thing costs of which nothing but the kind is named, and which of them.
const OF_UNNAMED: f64 = 1.2;
/// What stands in the column of something is nearer than what stands beside, unless it is this many times as far.
const COLUMN_FARTHER: f64 = 4.0;
/// Words of a line from which on it is prose.
const PROSE_WORDS: usize = 7;

/// A place that could be meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Where to act.
    pub rect: Rect<Screen>,
    /// Where the name stands.
    pub name: Rect<Screen>,
    /// What is written there.
    pub shown: String,
    /// How the name is spelled there.
    pub spelling: Spelling,
    /// How much of what stands together it is.
    pub extent: Extent,
    /// Whether it stands in a sentence.
    pub is_in_prose: bool,
    /// Whether what is drawn speaks for the kind, if one is asked for.
    pub is_seen: bool,
    /// How well it fits: 0 is best.
    pub cost: f64,
    /// Mean confidence of the characters, 0..=1.
    pub confidence: f32,
    /// How much less likely the name is than what was read, as a logarithm.
    pub unlikely: f64,
    /// What speaks for it or against it, in words.
    pub why: String,
}

impl Candidate {
    /// A thing that has no name, only a place.
    fn nameless(rect: Rect<Screen>, is_seen: bool) -> Self {
        Self {
            rect,
            name: rect,
            shown: String::new(),
            spelling: Spelling::Exact,
            extent: Extent::Whole,
            is_in_prose: false,
            is_seen,
            cost: if is_seen { 0.3 } else { 0.9 },
            confidence: 1.0,
            unlikely: 0.0,
            why: "by its shape".to_owned(),
        }
    }

    /// The middle of the place to act at.
    pub fn at(&self) -> Point<Screen> {
        self.rect.center()
    }
}

/// What was found for an instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// The way in which the instruction was taken.
    pub query: Query,
    /// All candidates, the best first.
    pub candidates: Vec<Candidate>,
    /// How many of them fit equally well; 0 if there are none.
    pub n_best: usize,
}

/// A lead that is larger says no more.
const MAX_LEAD: f64 = 1.0;

impl Findings {
    /// What tells how likely it is that the best candidate is what was meant; nothing if there is none.
    ///
    /// - `cost`: of the best candidate
    /// - `tie`: how many others fit as well, as a share
    /// - `lead`: how much more the next one costs, 0..=1
    /// - `letters`: how unsure its letters are, 0..=1
    /// - `unlikely`: how much less likely its letters are than those that were read, as a logarithm
    /// - `misread`, `in_line`: whether it was not read letter by letter; whether it stands among other words
    /// - `by_shape`: whether a shape beside the name is meant, not the name
    /// - `short`: one by the letters of the name
    /// - `unseen_kind`: whether nothing that is drawn speaks for the kind
    /// - `described`: whether the name only holds what the instruction says of it
    /// - `nameless`, `related`: whether only a kind is asked for; whether a relation or an ordinal decides
    pub fn features(&self) -> Option<BTreeMap<String, f64>> {
        let first = self.candidates.first()?;
        let lead = match self.candidates.get(1) {
            Some(second) if self.query.nth.is_none() => (second.cost - first.cost).clamp(0.0, MAX_LEAD),
            _ => MAX_LEAD,
        };
        let is = |so: bool| f64::from(u8::from(so));
        let is_named = !self.query.name.is_empty();
        let n_letters = self.query.name.chars().filter(|c| !c.is_whitespace()).count().max(1);
        let features = [
            ("cost", first.cost.max(0.0)),
            ("tie", 1.0 - 1.0 / self.n_best.max(1) as f64),
            ("lead", lead),
            ("letters", f64::from(1.0 - first.confidence).max(0.0)),
            ("misread", is(first.spelling == Spelling::Misread)),
            ("unlikely", first.unlikely),
            ("in_line", is(first.extent == Extent::Words)),
            ("by_shape", is(!first.rect.contains(first.name.center()))),
            ("short", if is_named { 1.0 / n_letters as f64 } else { 0.0 }),
            ("unseen_kind", is(self.query.kind.is_some() && !first.is_seen)),
            ("nameless", is(!is_named)),
            ("described", is(self.query.is_description)),
            ("related", is(self.query.relation.is_some() || self.query.nth.is_some())),
        ];
        Some(features.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Whether the best candidate shows the name letter by letter.
    pub fn is_read(&self) -> bool {
        self.candidates.first().is_some_and(|first| first.spelling != Spelling::Misread)
    }

    /// The place, if one fits better than all others.
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|_| self.n_best == 1)
    }
}

/// Whether an instruction may name a single character: then [`Reader::read_with_signs`](crate::Reader::read_with_signs)
/// may find what a reading of lines lacks.
pub fn may_name_a_sign(instruction: &str) -> bool {
    interpretations(instruction).iter().any(|query| query.name.chars().count() == 1)
}

/// Finds what `instruction` names on the screenshot that `reading` is of.
pub fn find(reading: &Reading, image: &RgbImage, instruction: &str) -> Findings {
    let search = Search { reading, image, instruction };
    let mut best: Option<Findings> = None;
    let mut all: Vec<Findings> =
        interpretations(instruction).into_iter().map(|query| search.run(query)).collect();
    // A whole line that is the name says more than the words in it: `Overview of sales`, `Reset button`.
    if let Some(literal) = all.first().filter(|literal| may_be_name(instruction) && literal.is_whole_line()) {
        return literal.clone();
    }
    yield_to_kinds(&mut all, instruction);
    for findings in all {
        let cost =
            |findings: &Findings| findings.candidates.first().map_or(f64::INFINITY, |first| first.cost);
        // The more literal way stays, unless another one fits better. Where none fits, what stands in quotes is what
        // is missing.
        let is_better = |best: &Findings| {
            let names_more = best.candidates.is_empty() && findings.query.is_quoted && !best.query.is_quoted;
            // A thing that has the kind's word for a name is meant rather than one without a name.
            let is_in_row = |query: &Query| matches!(query.relation.as_deref(), Some((Relation::InRowOf, _)));
            let is_less =
                findings.query.name.is_empty() && is_in_row(&best.query) && cost(best) <= MAX_OF_NAMED;
            (cost(&findings) + EQUAL < cost(best) && !is_less) || names_more
        };
        if best.as_ref().is_none_or(is_better) {
            best = Some(findings);
        }
    }
    best.unwrap_or_else(|| unreachable!("there is always the literal way"))
}

/// The whole instruction, or all of it but its verb, may stand on the screen because it was given there, or because it
/// tells somebody what to do: then it is an echo, if what it names stands elsewhere.
fn yield_to_kinds(all: &mut [Findings], instruction: &str) {
    let named: Vec<Findings> = all.iter().filter(|one| one.names_a_kind()).cloned().collect();
    let Some((literal, others)) = all.split_first_mut() else { return };
    // Hardly a label begins with such a verb.
    if is_command(instruction)
        && others.iter().any(|other| other.names_a_kind() || other.is_elsewhere(literal))
    {
        literal.keep(|_| false);
    }
    let holds_kind = |one: &&mut Findings| named.iter().any(|other| one.query.holds(&other.query));
    for echo in std::iter::once(literal).chain(others.iter_mut().filter(holds_kind)) {
        if named.is_empty() || !echo.query.is_plain() || echo.query.is_quoted {
            continue;
        }
        let is_seen = |one: &Findings| one.candidates.first().is_some_and(|best| best.is_seen);
        let is_echo = named.iter().any(|one| is_seen(one) && one.is_elsewhere(echo));
        // In a sentence it tells somebody what to do.
        echo.keep(|candidate| !is_echo && candidate.extent != Extent::Words);
    }
}

impl Findings {
    /// Whether the instruction, taken so, names the kind of what is meant for sure.
    fn names_a_kind(&self) -> bool {
        let is_sure = self.query.relation.is_none() || !self.candidates.is_empty();
        self.query.kind.is_some() && !self.query.is_loose && is_sure
    }

    /// Whether the name is all that is written somewhere, letter by letter.
    fn is_whole_line(&self) -> bool {
        let is_it = |one: &Candidate| one.extent == Extent::Whole && one.spelling == Spelling::Exact;
        self.candidates.first().is_some_and(is_it)
    }

    /// Whether what is named stands where none of the others does.
    fn is_elsewhere(&self, others: &Self) -> bool {
        let best = self.candidates.first().filter(|best| best.cost <= MAX_OF_NAMED);
        best.is_some_and(|best| others.candidates.iter().all(|one| !one.name.contains(best.name.center())))
    }

    fn keep(&mut self, fits: impl FnMut(&Candidate) -> bool) {
        self.candidates.retain(fits);
        self.n_best = self.n_best.min(self.candidates.len());
    }
}

struct Search<'a> {
    reading: &'a Reading,
    image: &'a RgbImage,
    instruction: &'a str,
}

impl Search<'_> {
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { reading: self.reading, image: self.image }
    }

    fn whole(&self) -> Rect<Screen> {
        Rect::new(0.0, 0.0, self.reading.size.width, self.reading.size.height)
    }

    fn run(&self, query: Query) -> Findings {
        let mut candidates = match query.kind {
            Some(Kind::Page) if !query.is_loose => vec![Candidate::nameless(self.whole(), true)],
            Some(Kind::Field) if query.name.is_empty() && query.relation.is_none() => self.all_fields(),
            _ if query.name.is_empty() => Vec::new(),
            _ => self.candidates(&query),
        };
        if let Some(relation) = &query.relation {
            candidates = self.related(&query, candidates, relation.0, &relation.1);
        }
        candidates.retain(|candidate| candidate.cost <= MAX_COST);
        candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let candidates = apart(candidates);
        let limit = candidates.first().map_or(0.0, |first| first.cost + EQUAL);
        let n_best = candidates.iter().take_while(|candidate| candidate.cost < limit).count();
        match query.nth {
            Some(nth) => counted(query, candidates, nth),
            None => Findings { query, candidates, n_best },
        }
    }

    /// All fields, to be counted. One that has no name beside it is not known.
    fn all_fields(&self) -> Vec<Candidate> {
        let all = self.surroundings().all_fields().into_iter();
        all.map(|rect| Candidate { cost: OF_UNNAMED, ..Candidate::nameless(rect, true) }).collect()
    }

    fn candidates(&self, query: &Query) -> Vec<Candidate> {
        if query.is_description {
            return self.described(query);
        }
        let mut found = occurrences(self.reading, &query.name, query.nth.is_some());
        for one in &mut found {
            one.extent = self.surroundings().extent(one, query.kind);
        }
        found.iter().map(|occurrence| self.candidate(query, occurrence)).collect()
    }

    /// What is called by the words of a description, and is of its kind for sure.
    fn described(&self, query: &Query) -> Vec<Candidate> {
        described(self.reading, &query.name)
            .into_iter()
            .map(|one| {
                let candidate = self.candidate(query, &one.name);
                let of_place = if one.is_first { 0.0 } else { OF_LATER };
                let of_rest = OF_REST * (1.0 - one.covered);
                let why = format!("by what it is about, {}", candidate.why);
                Candidate { cost: candidate.cost + OF_DESCRIPTION + of_place + of_rest, why, ..candidate }
            })
            .filter(|candidate| candidate.is_seen)
            .collect()
    }

    fn candidate(&self, query: &Query, found: &Occurrence) -> Candidate {
        let line = &self.reading.lines[found.line];
        let lower = query.name.chars().all(|c| !c.is_uppercase());
        let of_spelling = match found.spelling {
            Spelling::Exact => 0.0,
            Spelling::Ending => 0.3,
            Spelling::Case if lower && !query.is_quoted => 0.4,
            Spelling::Case => 0.75,
            Spelling::Accents => 0.8,
            Spelling::Punctuation => 0.9,
            Spelling::Misread => 1.2 - 0.2 * found.log_ratio,
        };
        let n_words = line.text.split_whitespace().count();
        let is_prose = n_words >= PROSE_WORDS && found.extent != Extent::Whole;
        let is_marked = found.extent != Extent::Whole && self.is_marked(found);
        let of_extent = match found.extent {
            Extent::Whole => 0.0,
            _ if is_marked => 0.3,
            Extent::Part => 0.4,
            Extent::Words if is_prose => 1.1,
            Extent::Words => 0.7,
        };
        let of_mention = if found.is_mentioned && found.extent != Extent::Whole { 0.8 } else { 0.0 };
        let of_echo = if self.is_echo(query, &line.text) { 2.0 } else { 0.0 };
        let (rect, of_kind) = self.surroundings().place(query.kind, found);
        // What could be a name as a whole needs something that says otherwise.
        let is_drawn_so = of_kind < 0.0 && found.spelling <= Spelling::Ending;
        let is_told = is_drawn_so || (query.kind.is_none() && found.extent == Extent::Whole);
        let of_looseness = if query.is_loose && !is_told { 1.2 } else { 0.0 };
        let why = format!(
            "{}, {}{}{}",
            match found.spelling {
                Spelling::Exact => "as it is written",
                Spelling::Ending => "but for signs at its end",
                Spelling::Case => "in other letter case",
                Spelling::Accents => "but for accents",
                Spelling::Punctuation => "but for punctuation",
                Spelling::Misread => "not read for sure",
            },
            match found.extent {
                Extent::Whole => "alone",
                _ if is_marked => "in a colour of its own",
                Extent::Part => "between signs",
                Extent::Words => "in a line of other words",
            },
            if of_mention > 0.0 { ", in quotes" } else { "" },
            if of_echo > 0.0 { ", where the instruction itself is shown" } else { "" },
        );
        Candidate {
            rect,
            name: found.rect,
            shown: found.shown.clone(),
            spelling: found.spelling,
            extent: found.extent,
            is_in_prose: is_prose,
            is_seen: of_kind < 0.0,
            cost: of_spelling + of_extent + of_mention + of_echo + of_kind + of_looseness,
            confidence: found.confidence,
            unlikely: -found.log_ratio,
            why,
        }
    }

    /// Whether the name has another colour than what stands beside it, as a link has in a text.
    fn is_marked(&self, found: &Occurrence) -> bool {
        let (line, own) = (self.reading.lines[found.line].rect, found.rect);
        let Some(ink) = ink_of(self.image, own) else { return false };
        let reach = BESIDE * line.height();
        let left = Rect::new((own.left - reach).max(line.left), line.top, own.left, line.bottom);
        let right = Rect::new(own.right, line.top, (own.right + reach).min(line.right), line.bottom);
        // A space or a full stop tells nothing.
        let beside = [left, right].into_iter().filter(|side| side.width() > 0.8 * line.height());
        let mut inks = beside.filter_map(|side| ink_of(self.image, side)).peekable();
        inks.peek().is_some() && inks.all(|other| is_other_colour(ink, other))
    }

    /// Whether the line shows the instruction, as a page or a terminal may that is told what to do.
    fn is_echo(&self, query: &Query, line: &str) -> bool {
        let (whole, line) = (folded(self.instruction.chars()).chars, folded(line.chars()).chars);
        let name = folded(query.name.chars()).chars;
        whole.len() > name.len()
            && line.len() >= whole.len()
            && line.windows(whole.len()).any(|part| part == whole)
    }

    /// The candidates that stand in the relation to something, nearest first.
    fn related(
        &self,
        query: &Query,
        mut candidates: Vec<Candidate>,
        relation: Relation,
        to: &Query,
    ) -> Vec<Candidate> {
        let mut anchors = self.candidates(to);
        anchors.retain(|anchor| !self.is_one_name(&query.name, relation, anchor));
        anchors.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let limit = anchors.first().map_or(0.0, |first| first.cost + EQUAL);
        anchors.retain(|anchor| anchor.cost <= limit.min(MAX_COST));
        if let Some(kind) = query.kind.filter(|_| query.name.is_empty()) {
            let things = |anchor: &Candidate| self.surroundings().things(kind, relation, anchor.name);
            let nameless = |rect| Candidate::nameless(rect, self.surroundings().is_seen_as(kind, rect));
            candidates = anchors.iter().flat_map(things).map(nameless).collect();
        }
        let away = |candidate: &Candidate| {
            let from = |anchor: &Candidate| {
                // A field without a name of its own stands beside a label, wherever its column is.
                let is_aside = !query.name.is_empty() && !is_in_column(relation, anchor.name, candidate);
                Some((distance(relation, anchor.name, candidate.name)?, is_aside))
            };
            anchors.iter().filter_map(from).min_by(|a, b| a.0.total_cmp(&b.0))
        };
        let stand_so: Vec<(Candidate, (f64, bool))> =
            candidates.into_iter().filter_map(|one| away(&one).map(|far| (one, far))).collect();
        let cheapest = stand_so.iter().map(|(one, _)| one.cost).fold(f64::INFINITY, f64::min);
        let nearest = |fits: &dyn Fn(bool) -> bool| {
            let eligible = stand_so.iter().filter(|(one, _)| one.cost <= cheapest + MAY_COST_MORE);
            let all = eligible.filter(|(_, (_, is_aside))| fits(*is_aside)).map(|(_, (far, _))| *far);
            all.fold(f64::INFINITY, f64::min)
        };
        let (any, in_column) = (nearest(&|_| true), nearest(&|is_aside| !is_aside));
        let is_column_meant = in_column <= COLUMN_FARTHER * any + SAME_DISTANCE;
        let nearest = if is_column_meant { in_column } else { any };
        let judged = stand_so.iter().map(|(one, (far, is_aside))| {
            // The nearest one is meant, even if another one is spelled or drawn a little better.
            let is_farther = *far > 1.15 * nearest + SAME_DISTANCE || (is_column_meant && *is_aside);
            let penalty = if is_farther { MAY_COST_MORE + EQUAL } else { 0.0 };
            Candidate { cost: one.cost + penalty, ..one.clone() }
        });
        judged.collect()
    }

    /// Whether what a relation is to stands behind the name and the words for the relation, as in `Overview of sales`: then
    /// all of it is one name.
    fn is_one_name(&self, name: &str, relation: Relation, anchor: &Candidate) -> bool {
        let at = anchor.name.center();
        let lines = self.reading.lines.iter().filter(|line| line.rect.contains(at));
        let texts: Vec<Vec<char>> = lines.map(|line| folded(line.text.chars()).chars).collect();
        !name.is_empty()
            && words_for(relation).any(|words| {
                let one = folded(format!("{name} {words} {}", anchor.shown).chars()).chars;
                texts.iter().any(|text| text.windows(one.len()).any(|part| part == one))
            })
    }
}

/// Whether two inks differ in hue, or by much in strength. Thin letters are weaker than thick ones of the same colour.
fn is_other_colour(a: [f64; 3], b: [f64; 3]) -> bool {
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (of_a, of_b) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    dot(a, b) < SAME_HUE * of_a * of_b || of_a > OTHER_STRENGTH * of_b || of_b > OTHER_STRENGTH * of_a
}

/// Whether something stands below or above something else, and not beside it. Other relations know no columns.
fn is_in_column(relation: Relation, anchor: Rect<Screen>, one: &Candidate) -> bool {
    let overlaps = |thing: Rect<Screen>| thing.left < anchor.right && anchor.left < thing.right;
    !matches!(relation, Relation::Below | Relation::Above) || overlaps(one.name) || overlaps(one.rect)
}

/// How far `thing` is from `anchor`, if it stands so; in pixels, where sideways counts.
fn distance(relation: Relation, anchor: Rect<Screen>, thing: Rect<Screen>) -> Option<f64> {
    if thing == anchor {
        return None;
    }
    let (dx, dy) = (thing.center().x - anchor.center().x, thing.center().y - anchor.center().y);
    let height = anchor.height().max(thing.height());
    let gap_x = (thing.left - anchor.right).max(anchor.left - thing.right).max(0.0);
    let gap_y = (thing.top - anchor.bottom).max(anchor.top - thing.bottom).max(0.0);
    let is_level = dy.abs() < 0.9 * height;
    match relation {
        Relation::InRowOf => is_level.then_some(gap_x * 0.2 + dy.abs() * 4.0),
        Relation::LeftOf => (is_level && dx < 0.0).then_some(gap_x + 2.0 * dy.abs()),
        Relation::RightOf => (is_level && dx > 0.0).then_some(gap_x + 2.0 * dy.abs()),
        Relation::Below => (dy > 0.4 * height).then_some(gap_y + 0.3 * gap_x),
        Relation::Above => (dy < -0.4 * height).then_some(gap_y + 0.3 * gap_x),
        Relation::NextTo => (gap_x < 12.0 * height && gap_y < 3.0 * height).then_some(gap_x + gap_y),
    }
}

/// Of candidates at one place the cheapest.
fn apart(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let is_there = |other: &Candidate| {
            other.rect.contains(candidate.rect.center()) && candidate.rect.contains(other.rect.center())
        };
        if !kept.iter().any(is_there) {
            kept.push(candidate);
        }
    }
    kept
}

/// Puts places in order: row by row, and in a row from left to right.
fn as_one_reads(places: &mut [Candidate]) {
    places.sort_by(|a, b| a.rect.center().y.total_cmp(&b.rect.center().y));
    let mut begin = 0;
    while begin < places.len() {
        let first = places[begin].rect;
        let is_level = |one: &&Candidate| one.rect.center().y - first.center().y < 0.6 * first.height();
        let end = begin + places[begin..].iter().take_while(is_level).count();
        places[begin..end].sort_by(|a, b| a.rect.left.total_cmp(&b.rect.left));
        begin = end;
    }
}

/// The n-th of the candidates that fit about equally, as one reads.
fn counted(query: Query, candidates: Vec<Candidate>, nth: Nth) -> Findings {
    let Some(first) = candidates.first() else { return Findings { query, candidates, n_best: 0 } };
    // Whatever letters and colours they have; but a word in a sentence does not count beside names.
    let counts = |one: &&Candidate| {
        let is_name = one.extent != Extent::Words || first.extent == Extent::Words || !one.is_in_prose;
        one.cost < first.cost + COUNTED && is_name
    };
    let mut alike: Vec<Candidate> = candidates.iter().filter(counts).cloned().collect();
    as_one_reads(&mut alike);
    let index = match nth {
        Nth::FromStart(n) => n - 1,
        Nth::Last => alike.len().saturating_sub(1),
    };
    // Where there is only one, nobody would count.
    let chosen = (index < alike.len() && alike.len() > 1).then(|| alike.remove(index));
    let n_best = usize::from(chosen.is_some());
    Findings { query, candidates: chosen.into_iter().chain(alike).collect(), n_best }
}
