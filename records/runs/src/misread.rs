//! Finds secrets in what was read off a screen: misread, cut into parts, or wrapped over lines.
//!
//! Invariant: what might be a secret is hidden, and rather too much than too little; what nothing speaks for stays, because
//! a name in the middle of an ordinary word would tell a part of the secret.

use std::ops::Range;

use crate::pieces::{SHORTEST_SHARE, Share, Whole};
use crate::record::LineRecord;

/// Of so many characters of a secret, one may be misread, left out or added.
const PER_SLIP: usize = 5;
/// Shorter parts of a secret, in characters, are ordinary words.
const SHORTEST_PART: usize = 4;
/// So are shorter runs in the middle of a word, and runs that are less than three fifths of a secret.
const SHORTEST_RUN: usize = 6;
/// A secret is wrapped over so many lines at most.
const MOST_LINES: usize = 8;
/// Stands for the name of a secret that was hidden already; no text has it.
const BARRIER: char = '\u{ffff}';

/// Secrets as they are compared, and their names; the same with their letters and digits alone.
#[derive(Clone, Default)]
pub(crate) struct Sought {
    secrets: Vec<(Vec<char>, String)>,
    wholes: Vec<Whole>,
}

/// Characters as they are compared, each with where it stands: in which text, and its bytes there.
type Folded = Vec<(char, usize, Range<usize>)>;

/// What is to be hidden of a text, and behind what name.
type Marks = Vec<(Range<usize>, usize)>;

impl Sought {
    /// Values and names. Of a value, the letter case, white space, and which of signs that look alike it has, is nothing.
    pub(crate) fn new(values: &[(String, String)]) -> Self {
        let mut secrets: Vec<_> =
            values.iter().map(|(value, name)| (folded(value), name.clone(), Whole::new(value))).collect();
        secrets.retain(|(value, ..)| !value.is_empty());
        secrets.dedup_by(|(a, a_name, _), (b, b_name, _)| a == b && a_name == b_name);
        let (secrets, wholes) =
            secrets.into_iter().map(|(value, name, whole)| ((value, name), whole)).unzip();
        Self { secrets, wholes }
    }

    /// The same text with names where secrets may stand.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        let mut marks = vec![Marks::new()];
        self.mark(&[vec![(0, text)]], &mut marks);
        self.replaced(text, &marks[0])
    }

    /// The same of lines, one of which may go on in another.
    pub(crate) fn hide_in_lines(&self, lines: &mut [LineRecord]) {
        if self.secrets.is_empty() {
            return;
        }
        let mut marks = vec![Marks::new(); lines.len()];
        let chains = (0..lines.len()).flat_map(|first| [along(lines, first), below(lines, first)]);
        let texts = |chain: Vec<usize>| {
            chain.into_iter().map(|line| (line, lines[line].text.as_str())).collect::<Vec<_>>()
        };
        let chains: Vec<_> = chains.map(texts).collect();
        self.mark(&chains, &mut marks);
        for (line, marks) in lines.iter_mut().zip(&marks) {
            line.text = self.replaced(&line.text, marks);
        }
    }

    /// Marks what may be a secret in texts of one picture, each with its number; those of a chain belong together.
    fn mark(&self, chains: &[Vec<(usize, &str)>], marks: &mut [Marks]) {
        for texts in chains {
            self.mark_wholes(texts, usize::MAX, marks);
        }
        // A secret that stands there whole leaves no shares; one that lacks a share is not whole.
        let mut whole = vec![Marks::new(); marks.len()];
        for texts in chains {
            self.mark_wholes(texts, SHORTEST_SHARE - 1, &mut whole);
        }
        let is_left = |(number, bytes): &(usize, Range<usize>)| {
            whole[*number].iter().all(|(other, _)| other.end <= bytes.start || bytes.end <= other.start)
        };
        let names: Vec<&str> = self.secrets.iter().map(|(_, name)| name.as_str()).collect();
        for (of, secret) in self.wholes.iter().enumerate() {
            // Forms of a secret that differ in signs alone have the same pieces.
            if self.wholes[..of].contains(secret) {
                continue;
            }
            let mut shares: Vec<Share> = Vec::new();
            for texts in chains {
                let (pieces, more) = secret.pieces(texts, &names);
                shares.extend(more.into_iter().filter(|(_, places)| places.iter().all(is_left)));
                pieces.into_iter().for_each(|(number, bytes)| marks[number].push((bytes, of)));
            }
            for (number, bytes) in secret.whole_making(&shares) {
                marks[*number].push((bytes.clone(), of));
            }
        }
        for texts in chains {
            self.mark_parts(texts, marks);
        }
    }

    /// Marks secrets that are misread, cut into parts, or wrapped, with so many slips at most.
    fn mark_wholes(&self, texts: &[(usize, &str)], most: usize, marks: &mut [Marks]) {
        let folded: Folded = texts.iter().flat_map(|(number, text)| self.fold(*number, text)).collect();
        let chars: Vec<char> = folded.iter().map(|(c, ..)| *c).collect();
        for (of, (secret, _)) in self.secrets.iter().enumerate() {
            for found in near(secret, &chars, most.min(secret.len() / PER_SLIP)) {
                for (_, number, bytes) in &folded[found] {
                    marks[*number].push((bytes.clone(), of));
                }
            }
        }
    }

    /// Marks what is a good part of a secret with its signs.
    fn mark_parts(&self, texts: &[(usize, &str)], marks: &mut [Marks]) {
        let folded: Folded = texts.iter().flat_map(|(number, text)| self.fold(*number, text)).collect();
        let chars: Vec<char> = folded.iter().map(|(c, ..)| *c).collect();
        for (of, (secret, _)) in self.secrets.iter().enumerate() {
            // A run of it that is cut off may stand between any signs: `token-1234…`.
            for run in runs(secret, &chars, SHORTEST_RUN.max((3 * secret.len()).div_ceil(5))) {
                for (_, number, bytes) in &folded[run] {
                    marks[*number].push((bytes.clone(), of));
                }
            }
            for (number, text) in texts {
                marks[*number].extend(self.parts(secret, text).map(|part| (part, of)));
            }
        }
    }

    /// Words that are a good part of a secret: what a field shows of it that cuts it off.
    fn parts<'t>(&self, secret: &'t [char], text: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
        let least = SHORTEST_PART.max(secret.len().div_ceil(2));
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let words = text.split_whitespace().map(|word| word.trim_matches(['.', '*']));
        let words: Vec<_> = words.map(|word| (start(word), word)).collect();
        let names: Vec<String> = self.secrets.iter().map(|(_, name)| name.clone()).collect();
        words.into_iter().filter_map(move |(start, word)| {
            let inner = word.trim_matches(['`', '"', '\'', '…', ',', ';']);
            let folded: Vec<char> = inner.chars().map(alike).collect();
            let is_part = (least..=secret.len()).contains(&folded.len())
                && !names.iter().any(|name| word.contains(name))
                && !near(&folded, secret, folded.len() / (2 * PER_SLIP)).is_empty();
            is_part.then(|| start..start + word.len())
        })
    }

    fn fold(&self, number: usize, text: &str) -> Folded {
        let (mut folded, mut at) = (Folded::new(), 0);
        while let Some(c) = text[at..].chars().next() {
            let name =
                self.secrets.iter().find(|(_, name)| text[at..].starts_with(name)).map(|(_, name)| name);
            let len = name.map_or(c.len_utf8(), String::len);
            if name.is_some() || !c.is_whitespace() {
                let c = if name.is_some() { BARRIER } else { alike(c) };
                folded.push((c, number, at..at + len));
            }
            at += len;
        }
        folded
    }

    /// The text with a name for each stretch of marks that touch, or that nothing but white space parts.
    fn replaced(&self, text: &str, marks: &Marks) -> String {
        let mut marks = marks.clone();
        marks.sort_by_key(|(bytes, _)| (bytes.start, std::cmp::Reverse(bytes.end)));
        let (mut out, mut at, mut last) = (String::new(), 0, None);
        for (bytes, of) in marks {
            if bytes.end <= at {
                continue;
            }
            let between = text.get(at..bytes.start).unwrap_or_default();
            if last.is_none() || !between.trim().is_empty() {
                out.extend([between, self.secrets[of].1.as_str()]);
            }
            (at, last) = (bytes.end, Some(of));
        }
        out.push_str(&text[at..]);
        out
    }
}

/// One of the signs that a reader takes for one another.
pub(crate) fn alike(c: char) -> char {
    match c {
        '0' | 'O' | 'o' => 'o',
        '1' | 'l' | 'L' | 'I' | 'i' | '|' | '!' => 'l',
        '5' | 'S' | 's' => 's',
        '8' | 'B' | 'b' => 'b',
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// A text as it is compared: without white space, of signs that look alike one each.
pub(crate) fn folded(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).map(alike).collect()
}

/// Where so many characters of a secret, or more, stand in a text one after the other.
pub(crate) fn runs(secret: &[char], text: &[char], least: usize) -> Vec<Range<usize>> {
    // How many characters before each character of the secret, and that one, stand in the text up to here.
    let mut lengths = vec![0; secret.len()];
    let mut found = Vec::new();
    for (end, c) in text.iter().enumerate() {
        for at in (0..secret.len()).rev() {
            lengths[at] = match (secret[at] == *c, at) {
                (false, _) => 0,
                (true, 0) => 1,
                (true, _) => lengths[at - 1] + 1,
            };
        }
        let longest = lengths.iter().copied().max().unwrap_or_default();
        if longest >= least {
            found.push(end + 1 - longest..end + 1);
        }
    }
    found
}

/// Where something stands that becomes `wanted` by at most so many slips, each time by the fewest; a barrier is part of
/// nothing.
fn near(wanted: &[char], text: &[char], most: usize) -> Vec<Range<usize>> {
    // For each beginning of `wanted`: the least slips to make it of what ends here, and where that begins.
    let mut ways: Vec<(usize, usize)> = (0..=wanted.len()).map(|n| (n, 0)).collect();
    let (mut found, mut reached): (Vec<(usize, Range<usize>)>, usize) = (Vec::new(), 0);
    for (at, c) in text.iter().enumerate() {
        let mut before = ways[0];
        ways[0] = (0, at + 1);
        for (n, one) in wanted.iter().enumerate() {
            let same = if one == c { 0 } else { 1 };
            let read = (before.0 + same, before.1);
            before = ways[n + 1];
            let (added, left_out) = ((before.0 + 1, before.1), (ways[n].0 + 1, ways[n].1));
            ways[n + 1] = [read, added, left_out].into_iter().min_by_key(|(slips, _)| *slips).unwrap_or(read);
        }
        let (slips, start) = ways[wanted.len()];
        if slips > most || start > at || text[start..=at].contains(&BARRIER) {
            continue;
        }
        // A character more or less is another end of the same.
        let goes_on = reached == at;
        reached = at + 1;
        match found.last_mut().filter(|_| goes_on) {
            Some(same) if slips <= same.0 => *same = (slips, start..at + 1),
            Some(_) => {}
            None => found.push((slips, start..at + 1)),
        }
    }
    found.into_iter().map(|(_, range)| range).collect()
}

/// A line, and what stands beside it in the same row, to the right.
fn along(lines: &[LineRecord], first: usize) -> Vec<usize> {
    let [left, top, _, bottom] = lines[first].edges();
    let mut row: Vec<usize> = (0..lines.len())
        .filter(|other| {
            let [l, t, _, b] = lines[*other].edges();
            let middle = f64::midpoint(t, b);
            *other == first || (l > left && middle > top && middle < bottom)
        })
        .collect();
    row.sort_by(|a, b| lines[*a].edges()[0].total_cmp(&lines[*b].edges()[0]));
    row
}

/// A line, and the lines that follow it closely below.
fn below(lines: &[LineRecord], first: usize) -> Vec<usize> {
    let mut chain = vec![first];
    while chain.len() < MOST_LINES {
        let [left, top, right, bottom] = lines[chain[chain.len() - 1]].edges();
        let reach = bottom + 1.5 * (bottom - top);
        let next = (0..lines.len()).filter(|other| {
            let [l, t, r, b] = lines[*other].edges();
            let middle = f64::midpoint(t, b);
            middle > bottom && t < reach && l < right && r > left && !chain.contains(other)
        });
        let Some(next) = next.min_by(|a, b| lines[*a].edges()[1].total_cmp(&lines[*b].edges()[1])) else {
            break;
        };
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(secret: &str) -> Sought {
        Sought::new(&[(secret.to_owned(), "${secret:S}".to_owned())])
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_misread_and_ordinary_words_are_not() {
        let check = |secret: &str, text: &str, expected: &str| {
            assert_eq!(sought(secret).hide_in(text), expected, "{secret}");
            assert_eq!(sought(secret).hide_in(expected), expected, "{secret}");
        };
        check("hunter22", "your password is hunter22.", "your password is ${secret:S}.");
        check("hunter22", "your password is Hunt er2Z", "your password is ${secret:S}");
        check("hunter22", "press Enter at the center", "press Enter at the center");
        check("hunter22", "it says `hunte`", "it says ${secret:S}");
        check("9f8e7d6c5b4a", "token 9f8e7d6cSb4a and 9f8e7d6", "token ${secret:S} and ${secret:S}");
        for shown in [
            "Kestrel-94Vm...",
            "(Kestrel-94Vm-)",
            "key:Kestrel-94Vm-***",
            "Kestrel-94Vm-/xyz",
            "...-94Vm-tulip7",
        ] {
            let hidden = sought("Kestrel-94Vm-tulip7").hide_in(shown);
            assert!(hidden.contains("${secret:S}") && !hidden.contains("94Vm"), "{shown}: {hidden}");
        }
        check("correct horse battery staple", "correct horse batte is cut", "${secret:S} is cut");
        check("1280", "1280 by 800", "${secret:S} by 800");
        check("1280", "1290 by 800", "1290 by 800");
    }

    #[test]
    fn a_secret_is_hidden_where_it_goes_on_in_another_line_or_beside() {
        let line = |text: &str, [left, top, right, bottom]: [f64; 4]| LineRecord {
            text: text.to_owned(),
            rect: [left, top, right, bottom].map(crate::record::Plain),
            confidence: 1.0,
        };
        let hidden = |mut lines: Vec<LineRecord>| {
            sought("Zx81-Qy44-Wv09").hide_in_lines(&mut lines);
            lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        let wrapped = hidden(vec![
            line("the key is Zx81-", [0.0, 0.0, 100.0, 20.0]),
            line("another column", [200.0, 0.0, 300.0, 20.0]),
            line("Qy4", [0.0, 22.0, 30.0, 42.0]),
            line("4-Wv09 and no other", [0.0, 44.0, 90.0, 64.0]),
        ]);
        assert_eq!(
            wrapped,
            ["the key is ${secret:S}", "another column", "${secret:S}", "${secret:S} and no other"]
        );
        let beside = hidden(vec![
            line("Zx8", [0.0, 0.0, 30.0, 20.0]),
            line("1-Qy4", [80.0, 1.0, 120.0, 21.0]),
            line("4-Wv09", [160.0, 0.0, 200.0, 20.0]),
            line("Zx8", [0.0, 200.0, 30.0, 220.0]),
        ]);
        assert_eq!(beside, ["${secret:S}", "${secret:S}", "${secret:S}", "Zx8"]);
    }
}
