//! Which words of an instruction stand on the screen, and where: for a policy that cannot read and can copy a number.
//!
//! Invariant: nothing is interpreted. A text is told because the same words stand in the instruction, whatever the
//! instruction wants of it; a line that shows the instruction itself tells nothing.

use vigorl_geometry::{Point, Rect, Screen};

use crate::reading::{Line, Reading};

/// Texts that are told at most.
const MOST: usize = 6;
/// A line with so many words of the instruction in a row, and with most of its words, shows the instruction itself.
const ECHO_WORDS: usize = 4;
/// Words that instructions are made of. Alone they name nothing.
const EVERYDAY: [&str; 42] = [
    "a", "an", "the", "this", "that", "and", "or", "of", "in", "on", "at", "to", "from", "with", "for", "by",
    "is", "it", "its", "click", "press", "select", "choose", "find", "open", "enter", "type", "go", "then",
    "button", "link", "icon", "tab", "field", "box", "checkbox", "menu", "item", "row", "page", "word",
    "text",
];

/// A text of the screen that stands in an instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedText {
    /// As it is written on the screen.
    pub text: String,
    /// Its middle.
    pub at: Point<Screen>,
}

/// A word of a line or of an instruction.
#[derive(Debug, Clone)]
struct Word {
    folded: String,
    /// Its glyphs in their line; of an instruction, nothing.
    glyphs: std::ops::Range<usize>,
}

/// Words in a row that stand in both.
#[derive(Debug, Clone, Copy)]
struct Shared {
    line: usize,
    /// First word in the line and in the instruction.
    from: usize,
    asked: usize,
    n: usize,
}

/// The texts of the screen that stand in `instruction`: the longest first, then from top to bottom.
pub fn named_texts(reading: &Reading, instruction: &str) -> Vec<NamedText> {
    let asked = words(instruction.chars());
    let lines: Vec<Vec<Word>> =
        reading.lines.iter().map(|line| words(line.glyphs.iter().map(|glyph| glyph.character))).collect();
    let echoes = echoes(reading, &lines, &asked);
    let mut found: Vec<(usize, NamedText)> = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(at, _)| !echoes.contains(at)) {
        for shared in shared_runs(at, line, &asked) {
            let run = &line[shared.from..shared.from + shared.n];
            if run.iter().all(|word| EVERYDAY.contains(&&*word.folded)) {
                continue;
            }
            let n_letters = run.iter().map(|word| word.folded.chars().count()).sum();
            found.push((n_letters, named(&reading.lines[at], run)));
        }
    }
    found.sort_by_key(|(n_letters, _)| std::cmp::Reverse(*n_letters));
    found.truncate(MOST);
    found.into_iter().map(|(_, named)| named).collect()
}

fn named(line: &Line, run: &[Word]) -> NamedText {
    let glyphs = &line.glyphs[run[0].glyphs.start..run[run.len() - 1].glyphs.end];
    let (left, right) = (glyphs[0].left, glyphs[glyphs.len() - 1].right);
    let place: Rect<Screen> = Rect::new(left, line.rect.top, right, line.rect.bottom);
    NamedText { text: glyphs.iter().map(|glyph| glyph.character).collect(), at: place.center() }
}

/// Runs of words that stand in the instruction in the same order, each as long as it can be, from left to right.
fn shared_runs(line: usize, words: &[Word], asked: &[Word]) -> Vec<Shared> {
    let mut runs = Vec::new();
    let mut from = 0;
    while from < words.len() {
        let length = |start: usize| {
            let both = words[from..].iter().zip(&asked[start..]);
            both.take_while(|(a, b)| a.folded == b.folded).count()
        };
        let longest = (0..asked.len())
            .map(|start| (length(start), start))
            .max_by_key(|(n, start)| (*n, usize::MAX - start));
        match longest {
            Some((n, start)) if n > 0 => {
                runs.push(Shared { line, from, asked: start, n });
                from += n;
            }
            _ => from += 1,
        }
    }
    runs
}

/// Lines that show the instruction itself, which may go on in the lines below.
fn echoes(reading: &Reading, lines: &[Vec<Word>], asked: &[Word]) -> Vec<usize> {
    let whole_run = |at: usize| {
        let runs = shared_runs(at, &lines[at], asked);
        match &runs[..] {
            [run] if run.n == lines[at].len() => Some(*run),
            _ => runs.into_iter().find(|run| run.n >= ECHO_WORDS && 2 * run.n > lines[at].len()),
        }
    };
    let mut echoes: Vec<usize> = Vec::new();
    // What the last echo ended with: where it stands, and the word behind it.
    let mut last: Option<(Rect<Screen>, usize)> = None;
    for (at, line) in reading.lines.iter().enumerate() {
        let Some(run) = whole_run(at) else { continue };
        let goes_on = last.is_some_and(|(above, next)| {
            run.asked == next
                && line.rect.top - above.bottom < line.rect.height()
                && line.rect.left < above.right
        });
        if run.n >= ECHO_WORDS || goes_on {
            debug_assert_eq!(run.line, at, "a run is of its line");
            echoes.push(at);
            last = Some((line.rect, run.asked + run.n));
        }
    }
    echoes
}

/// Words without the signs around them, in small letters.
fn words(characters: impl Iterator<Item = char>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Word> = None;
    for (at, character) in characters.enumerate() {
        if character.is_alphanumeric() {
            let word = open.get_or_insert_with(|| Word { folded: String::new(), glyphs: at..at });
            word.folded.extend(character.to_lowercase());
            word.glyphs.end = at + 1;
        } else if character.is_whitespace() || !is_inside(character) {
            words.extend(open.take());
        } else if let Some(word) = &mut open {
            word.folded.push(character);
        }
    }
    words.extend(open);
    for word in &mut words {
        let trimmed = word.folded.trim_end_matches(is_inside).len();
        word.folded.truncate(trimmed);
    }
    words
}

/// Signs that words have inside: `e-mail`, `don't`, `2.0`.
fn is_inside(character: char) -> bool {
    matches!(character, '-' | '\'' | '’' | '.' | '@' | '_' | '/')
}

#[cfg(test)]
mod tests {
    use vigorl_geometry::Size;

    use super::*;
    use crate::reading::Glyph;

    /// A line of glyphs that are 10 px wide and 20 px high.
    fn line(text: &str, left: f64, top: f64) -> Line {
        let glyph = |(at, character): (usize, char)| {
            let left = left + 10.0 * at as f64;
            Glyph { character, left, right: left + 10.0, confidence: 1.0, frame: at }
        };
        let rect = Rect::new(left, top, left + 10.0 * text.chars().count() as f64, top + 20.0);
        let glyphs = text.chars().enumerate().map(glyph).collect();
        Line { text: text.to_owned(), rect, confidence: 1.0, glyphs, frames: Vec::new() }
    }

    fn told(lines: &[(&str, f64, f64)], instruction: &str) -> Vec<(String, f64, f64)> {
        let lines = lines.iter().map(|(text, left, top)| line(text, *left, *top)).collect();
        let reading = Reading { size: Size::new(640.0, 480.0), lines };
        named_texts(&reading, instruction)
            .into_iter()
            .map(|named| (named.text, named.at.x, named.at.y))
            .collect()
    }

    #[track_caller]
    fn check(lines: &[(&str, f64, f64)], instruction: &str, wanted: &[(&str, f64, f64)]) {
        let wanted: Vec<(String, f64, f64)> =
            wanted.iter().map(|(t, x, y)| ((*t).to_owned(), *x, *y)).collect();
        assert_eq!(told(lines, instruction), wanted, "{instruction}");
    }

    #[test]
    fn words_of_the_instruction_are_told_with_their_places() {
        let lines =
            [("Red Fox", 0.0, 0.0), ("Edit", 100.0, 0.0), ("Blue Jay", 0.0, 40.0), ("Edit", 100.0, 40.0)];
        check(
            &lines,
            "click Edit in the row of Red Fox",
            &[("Red Fox", 35.0, 10.0), ("Edit", 120.0, 10.0), ("Edit", 120.0, 50.0)],
        );
        // Letter case and signs around a word do not count, and a part of a line is told alone.
        check(&lines, "the \"fox\", please", &[("Fox", 55.0, 10.0)]);
        check(&[("Total: 2.0 kg", 0.0, 0.0)], "is it 2.0?", &[("2.0", 85.0, 10.0)]);
    }

    #[test]
    fn everyday_words_alone_and_parts_of_words_are_not_told() {
        check(&[("on the page", 0.0, 0.0), ("Button", 0.0, 40.0)], "click on the button", &[]);
        check(&[("Saved", 0.0, 0.0), ("e-mail", 0.0, 40.0)], "click Save, then mail", &[]);
        // With a word of its own they are part of the text.
        check(&[("Save the page", 0.0, 0.0)], "save the page", &[("Save the page", 65.0, 10.0)]);
    }

    #[test]
    fn a_line_that_shows_the_instruction_is_left_out_with_its_next_line() {
        let lines = [("Click on the \"Lorem", 0.0, 0.0), ("ipsum\" link", 0.0, 22.0), ("ipsum", 50.0, 200.0)];
        check(&lines, "Click on the \"Lorem ipsum\" link", &[("ipsum", 75.0, 210.0)]);
    }

    #[test]
    fn no_more_are_told_than_help() {
        let lines: Vec<(&str, f64, f64)> = (0..20).map(|n| ("Edit", 0.0, 30.0 * f64::from(n))).collect();
        assert_eq!(told(&lines, "Edit").len(), MOST);
        assert_eq!(told(&[], "Edit"), []);
        assert_eq!(told(&lines, ""), []);
    }
}
