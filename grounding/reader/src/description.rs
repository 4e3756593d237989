//! Names that a description is about: `the link that creates an address book` is called `Create new addressbook`.
//!
//! Invariant: every word of a description that carries a meaning stands in the name, in the same order. A sentence is no
//! name.

use std::ops::Range;

use crate::exact::runs;
use crate::occurrences::{Extent, Occurrence};
use crate::reading::{Line, Reading};
use crate::spelling::{Spelling, folded};

/// Words that say nothing of what is described.
const EMPTY: &[&str] = &[
    "a", "an", "any", "the", "of", "for", "to", "in", "on", "with", "this", "that", "your", "one", "goes",
    "is",
];
/// What a word can end with and still be about the same: `creates`, `Username`, `Hostname`.
const ENDINGS: &[&str] = &["", "s", "es", "name", "id"];
/// A name has no more words.
const NAME_WORDS: usize = 6;

/// A place whose name is about what is described.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Described {
    /// The name as a whole.
    pub(crate) name: Occurrence,
    /// Share of its letters that the description accounts for.
    pub(crate) covered: f64,
    /// Whether the name begins with the description.
    pub(crate) is_first: bool,
}

/// The words that carry a meaning, folded and without the ending of a plural or a third person.
pub(crate) fn content(words: &str) -> Vec<Vec<char>> {
    let carries = |word: &&str| !EMPTY.contains(&word.to_lowercase().as_str());
    let stem = |word: &str| {
        let mut letters = folded(word.chars()).chars;
        if letters.len() > 3 && letters.ends_with(&['s']) && !letters.ends_with(&['s', 's']) {
            letters.pop();
        }
        letters
    };
    words.split_whitespace().filter(carries).map(stem).filter(|word| !word.is_empty()).collect()
}

/// Every name that holds the words of a description.
pub(crate) fn described(reading: &Reading, description: &str) -> Vec<Described> {
    let words = content(description);
    let lines = reading.lines.iter().enumerate();
    lines
        .flat_map(|(at, line)| runs(line).into_iter().map(move |run| (at, line, run)))
        .filter_map(|(at, line, run)| in_name(&words, at, line, run))
        .collect()
}

fn in_name(words: &[Vec<char>], at: usize, line: &Line, run: Range<usize>) -> Option<Described> {
    let text = line.text_of(run.clone());
    let parts: Vec<Vec<char>> = text
        .split_whitespace()
        .map(|part| folded(part.chars()).chars)
        .filter(|part| !part.is_empty())
        .collect();
    if words.is_empty() || parts.len() > NAME_WORDS {
        return None;
    }
    let (mut rest, mut n_covered, mut first) = (words, 0, None);
    for (nth, part) in parts.iter().enumerate() {
        let n = words_of(part, rest);
        if n > 0 {
            n_covered += part.len();
            first.get_or_insert(nth);
        }
        rest = &rest[n..];
    }
    let n_letters: usize = parts.iter().map(Vec::len).sum();
    let n = run.len() as f32;
    let name = Occurrence {
        line: at,
        more: Vec::new(),
        rect: line.rect_of(run.clone()),
        shown: text.trim().to_owned(),
        spelling: Spelling::Exact,
        extent: Extent::Whole,
        log_ratio: 0.0,
        confidence: line.glyphs[run.clone()].iter().map(|glyph| glyph.confidence).sum::<f32>() / n,
        is_mentioned: false,
        glyphs: run,
    };
    let covered = n_covered as f64 / n_letters.max(1) as f64;
    rest.is_empty().then_some(Described { name, covered, is_first: first == Some(0) })
}

/// How many of the first words one word of a name consists of: two of them in `addressbook`.
fn words_of(part: &[char], words: &[Vec<char>]) -> usize {
    let mut left = part;
    let mut n = 0;
    while let Some(after) = words.get(n).and_then(|word| left.strip_prefix(word.as_slice())) {
        left = after;
        n += 1;
    }
    let ending: String = left.iter().collect();
    if ENDINGS.contains(&ending.as_str()) { n } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(description: &str, part: &str, n: usize) {
        let part = folded(part.chars()).chars;
        assert_eq!(words_of(&part, &content(description)), n, "{description}: {part:?}");
    }

    #[test]
    fn a_word_is_about_the_same_with_an_ending_but_not_with_another_word() {
        check("creates an address book", "Create", 1);
        check("address book", "addressbook", 2);
        check("the user", "Username", 1);
        check("the user", "users", 1);
        check("the user", "useful", 0);
        check("an address", "addressee", 0);
        check("the name", "Username", 0);
    }
}
