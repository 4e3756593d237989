//! Finds pieces of a secret: what a field, a cell or a `…` leaves of it.
//!
//! Invariant: a piece is at least a third of the letters and digits of its secret, and at least four, or five letters; or
//! it makes, with other pieces of the same picture, the whole of it. A word of letters alone or of digits alone may be an ordinary one:
//! below half of the secret, it is a piece where it stands at an end of a text, and is no whole word of the secret.

use std::ops::Range;

use crate::misread::{alike, runs};

/// Secrets of fewer letters and digits have no pieces.
const SHORTEST_SECRET: usize = 6;
/// Shorter pieces, in letters and digits, tell too little; and shorter ones of letters alone.
const SHORTEST_PIECE: usize = 4;
const SHORTEST_OF_LETTERS: usize = 5;
/// So many, with a digit among them, are a piece of the longest secret, …
const LONG_ENOUGH: usize = 8;
/// … and so many, with a digit among them, are one in the middle of a word too.
const SHORTEST_WITHIN: usize = 6;
/// Of so many letters and digits, one may be misread, left out or added.
const PER_SLIP: usize = 5;
/// The same for words that may be ordinary ones.
const PER_SLIP_OF_A_WORD: usize = 10;
/// Shorter pieces do not help to make the whole, and more pieces do not make it.
pub(crate) const SHORTEST_SHARE: usize = 3;
const MOST_SHARES: usize = 4;

/// The letters and digits of a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    chars: Vec<char>,
    /// Before which characters a word of it begins or ends, or letters change to digits; one more than characters.
    borders: Vec<bool>,
}

/// A word of a text: letters and digits without other signs between.
struct Word {
    chars: Vec<Placed>,
    /// Whether the text begins or is cut off before it, and whether it ends or is cut off behind it.
    is_cut: [bool; 2],
    /// Whether another secret was hidden before it.
    is_apart: bool,
}

/// A letter or digit as it is compared, whether it is a digit, and where it stands: in which text, and its bytes there.
#[derive(Clone)]
struct Placed {
    c: char,
    is_digit: bool,
    number: usize,
    bytes: Range<usize>,
}

/// Where something stands: in which text, and its bytes there.
pub(crate) type Place = (usize, Range<usize>);

/// What may help to make the whole of a secret: which characters of it, and where they stand.
pub(crate) type Share = (Range<usize>, Vec<Place>);

impl Whole {
    pub(crate) fn new(secret: &str) -> Self {
        let (mut chars, mut borders, mut last) = (Vec::new(), vec![true], None);
        for (at, c) in secret.char_indices() {
            let kind = is_in_word(secret, at, c).then(|| c.is_ascii_digit());
            if kind.is_some() {
                chars.push(alike(c));
                borders.push(false);
            }
            if kind != last {
                // The border lies before a character that was pushed just now.
                let at = chars.len() - usize::from(kind.is_some());
                borders[at] = true;
            }
            last = kind;
        }
        borders[chars.len()] = true;
        Self { chars, borders }
    }

    /// How many letters and digits make a piece.
    fn least(&self, has_digit: bool) -> usize {
        let third = self.chars.len().div_ceil(3);
        if has_digit { third.clamp(SHORTEST_PIECE, LONG_ENOUGH) } else { third.max(SHORTEST_OF_LETTERS) }
    }

    fn is_half(&self, len: usize) -> bool {
        2 * len >= self.chars.len()
    }

    /// Where these characters stand in the secret.
    fn places(&self, chars: &[char]) -> Vec<Range<usize>> {
        let places = (0..self.chars.len()).map(|at| at..at + chars.len());
        places.filter(|at| self.chars[at.start..].starts_with(chars)).collect()
    }

    /// Pieces in texts that belong together, each with its number; and what may be a share. The texts' secrets are hidden
    /// already behind `names`.
    pub(crate) fn pieces(&self, texts: &[(usize, &str)], names: &[&str]) -> (Vec<Place>, Vec<Share>) {
        let (mut pieces, mut shares) = (Vec::new(), Vec::new());
        if self.chars.len() < SHORTEST_SECRET {
            return (pieces, shares);
        }
        let words: Vec<Word> =
            texts.iter().flat_map(|(number, text)| words_of(*number, text, names)).collect();
        for together in words.chunk_by(|_, next| !next.is_apart) {
            self.within(together, &mut pieces);
            // What begins in another text is found where that one is the first.
            let begins =
                |word: &&Word| texts.first().is_some_and(|(first, _)| word.chars[0].number == *first);
            for first in 0..together.iter().take_while(begins).count() {
                let most = self.chars.len() + self.chars.len() / PER_SLIP;
                let mut len = 0;
                for behind in first + 1..=together.len() {
                    len += together[behind - 1].chars.len();
                    if len > most {
                        break;
                    }
                    let run = &together[first..behind];
                    if len >= SHORTEST_PIECE && self.is_piece(run) {
                        pieces.extend(place(run));
                    }
                    if len >= SHORTEST_SHARE && is_cut(run) {
                        shares.extend(self.shares(run).into_iter().map(|at| (at, place(run))));
                    }
                }
            }
        }
        (pieces, shares)
    }

    /// Runs with a digit among them, also in the middle of words.
    fn within(&self, words: &[Word], pieces: &mut Vec<Place>) {
        let all: Vec<&Placed> = words.iter().flat_map(|word| &word.chars).collect();
        let chars: Vec<char> = all.iter().map(|placed| placed.c).collect();
        for run in runs(&self.chars, &chars, SHORTEST_WITHIN.max(self.least(true))) {
            if all[run.clone()].iter().any(|placed| placed.is_digit) {
                pieces.extend(all[run].iter().map(|placed| (placed.number, placed.bytes.clone())));
            }
        }
    }

    /// Whether these words are a piece.
    fn is_piece(&self, run: &[Word]) -> bool {
        let chars = chars_of(run);
        let (slips, _) = self.nearest(&chars);
        let right = chars.len() - slips;
        if right < self.least(has_digit(run)) {
            return false;
        }
        if let [word] = run
            && word.may_be_ordinary()
        {
            let is_part = |at: Range<usize>| !(self.borders[at.start] && self.borders[at.end]);
            return match self.is_half(chars.len()) {
                true => slips <= chars.len() / PER_SLIP_OF_A_WORD,
                false => slips == 0 && is_cut(run) && self.places(&chars).into_iter().any(is_part),
            };
        }
        // The words at both ends bring something: an ordinary one beside a piece stays.
        let helps = |rest: &[Word]| {
            rest.len() + 1 > run.len() || {
                let chars = chars_of(rest);
                rest.is_empty() || chars.len() - self.nearest(&chars).0 < right
            }
        };
        let per_slip = if has_digit(run) { PER_SLIP } else { PER_SLIP_OF_A_WORD };
        slips <= chars.len() / per_slip && helps(&run[1..]) && helps(&run[..run.len() - 1])
    }

    /// What of the secret these words may be.
    fn shares(&self, run: &[Word]) -> Vec<Range<usize>> {
        let chars = chars_of(run);
        let (slips, at) = self.nearest(&chars);
        let misread = (slips > 0 && slips <= chars.len() / PER_SLIP).then_some(at);
        let places = self.places(&chars).into_iter().chain(misread);
        places.filter(|at| at.len() < self.chars.len()).collect()
    }

    /// The fewest slips that make something in the secret of these characters, and where that stands.
    fn nearest(&self, chars: &[char]) -> (usize, Range<usize>) {
        // For each end in the secret: the fewest slips to what ends there, and where that begins.
        let mut ways: Vec<(usize, usize)> = (0..=self.chars.len()).map(|end| (0, end)).collect();
        for (n, c) in chars.iter().enumerate() {
            let mut before = ways[0];
            ways[0] = (n + 1, 0);
            for (end, one) in self.chars.iter().enumerate() {
                let read = (before.0 + usize::from(one != c), before.1);
                before = ways[end + 1];
                let (added, left_out) = ((before.0 + 1, before.1), (ways[end].0 + 1, ways[end].1));
                ways[end + 1] = read.min(added).min(left_out);
            }
        }
        let longest =
            |(end, (slips, start)): &(usize, (usize, usize))| (*slips, std::cmp::Reverse(end - start));
        let (end, (slips, start)) = ways.into_iter().enumerate().min_by_key(longest).unwrap_or_default();
        (slips, start..end)
    }

    /// Those of the shares that, with others, make the whole.
    pub(crate) fn whole_making<'s>(&self, shares: &'s [Share]) -> impl Iterator<Item = &'s Place> {
        let len = self.chars.len();
        // How many shares make the secret up to each character, and how many from there on.
        let mut before = vec![usize::MAX; len + 1];
        let mut behind = before.clone();
        (before[0], behind[len]) = (0, 0);
        for at in 1..=len {
            let ways = shares.iter().filter(|(of, _)| of.start < at && of.end >= at);
            before[at] = ways.map(|(of, _)| before[of.start].saturating_add(1)).min().unwrap_or(usize::MAX);
        }
        for at in (0..len).rev() {
            let ways = shares.iter().filter(|(of, _)| of.start <= at && of.end > at);
            behind[at] = ways.map(|(of, _)| behind[of.end].saturating_add(1)).min().unwrap_or(usize::MAX);
        }
        let makes = move |of: &Range<usize>| {
            before[of.start].saturating_add(behind[of.end]).saturating_add(1) <= MOST_SHARES
        };
        shares.iter().filter(move |(of, _)| makes(of)).flat_map(|(_, places)| places)
    }
}

impl Word {
    /// Of letters alone, or of digits alone.
    fn may_be_ordinary(&self) -> bool {
        self.chars.iter().all(|placed| placed.is_digit == self.chars[0].is_digit)
    }
}

fn chars_of(words: &[Word]) -> Vec<char> {
    words.iter().flat_map(|word| &word.chars).map(|placed| placed.c).collect()
}

fn has_digit(words: &[Word]) -> bool {
    words.iter().flat_map(|word| &word.chars).any(|placed| placed.is_digit)
}

/// Whether words stand at an end of a text, or where it is cut off.
fn is_cut(words: &[Word]) -> bool {
    words.first().is_some_and(|word| word.is_cut[0]) || words.last().is_some_and(|word| word.is_cut[1])
}

/// Where words stand, with what lies between those of one text.
fn place(words: &[Word]) -> Vec<Place> {
    let number = |word: &Word| word.chars[0].number;
    let place = |words: &[Word]| {
        let (first, last) = (&words[0].chars[0], &words[words.len() - 1].chars);
        (first.number, first.bytes.start..last[last.len() - 1].bytes.end)
    };
    words.chunk_by(|word, next| number(word) == number(next)).map(place).collect()
}

/// Letters and digits, and beside them the signs that a reader takes for letters.
fn is_in_word(text: &str, at: usize, c: char) -> bool {
    let is_beside = || {
        let next = text[at + c.len_utf8()..].chars().next();
        text[..at].chars().next_back().into_iter().chain(next).any(char::is_alphanumeric)
    };
    c.is_alphanumeric() || (alike(c).is_alphanumeric() && is_beside())
}

/// The words of a text. Names that stand for secrets are none.
fn words_of(number: usize, text: &str, names: &[&str]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut between, mut is_apart, mut at) = (None, false, 0);
    while let Some(c) = text[at..].chars().next() {
        let name = names.iter().find(|name| text[at..].starts_with(**name));
        let bytes = at..at + name.map_or(c.len_utf8(), |name| name.len());
        at = bytes.end;
        if name.is_some() || !is_in_word(text, bytes.start, c) {
            is_apart |= name.is_some();
            between.get_or_insert(bytes.start);
            continue;
        }
        let placed = Placed { c: alike(c), is_digit: c.is_ascii_digit(), number, bytes: bytes.clone() };
        match words.last_mut().filter(|_| between.is_none()) {
            Some(word) => word.chars.push(placed),
            None => {
                let gap = &text[between.unwrap_or(bytes.start)..bytes.start];
                let is_cut = (words.is_empty() && !is_apart) || is_cut_off(gap);
                if let Some(before) = words.last_mut() {
                    before.is_cut[1] = is_cut;
                }
                words.push(Word { chars: vec![placed], is_cut: [is_cut, false], is_apart });
            }
        }
        (between, is_apart) = (None, false);
    }
    if let Some(last) = words.last_mut() {
        last.is_cut[1] = !is_apart || is_cut_off(&text[between.unwrap_or(text.len())..]);
    }
    words
}

/// Whether what stands between two words says that the text goes on elsewhere.
fn is_cut_off(between: &str) -> bool {
    between.contains("..") || between.contains(['…', '‥', '⋯', '*', '•', '●', '`', '"', '\n'])
}

#[cfg(test)]
mod tests {
    use crate::misread::Sought;
    use crate::record::{LineRecord, Plain};

    const NAME: &str = "${secret:S}";

    /// Lines, each of which stands in a row of its own.
    fn hidden(secret: &str, texts: &[&str]) -> Vec<String> {
        let line = |(n, text): (usize, &&str)| {
            let top = 100.0 * n as f64;
            let rect = [0.0, top, 100.0, top + 20.0].map(Plain);
            LineRecord { text: (*text).to_owned(), rect, confidence: 1.0 }
        };
        let mut lines: Vec<_> = texts.iter().enumerate().map(line).collect();
        Sought::new(&[(secret.to_owned(), NAME.to_owned())]).hide_in_lines(&mut lines);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn pieces_are_hidden_however_a_text_is_cut() {
        for (secret, text, expected) in [
            ("m4rble-Kestrel_71!", "m4rble-Ke...", "${secret:S}..."),
            ("m4rble-Kestrel_71!", "export KEY=M4RBLE KE…", "export KEY=${secret:S}…"),
            ("m4rble-Kestrel_71!", "the key is m4rb1e-Kc", "the key is ${secret:S}"),
            ("m4rble-Kestrel_71!", "…estrel_71! Edit", "…${secret:S} Edit"),
            ("m4rble-Kestrel_71!", "…trel_71!", "…${secret:S}"),
            ("vP3xQ9tLm2", "vP3xQ.", "${secret:S}."),
            ("vP3xQ9tLm2", "first vP3x… Edit", "first ${secret:S}… Edit"),
            ("vP3xQ9tLm2", "v P 3 x Q", "${secret:S}"),
            ("vP3xQ9tLm2", "****9tLm2", "****${secret:S}"),
            ("vP3xQ9tLm2", "KeyvP3xQ9...", "Key${secret:S}..."),
            ("8841 2207 5536 9012", "8841 2207 ...", "${secret:S} ..."),
            ("8841 2207 5536 9012", "...7 5536 9012", "...${secret:S}"),
            ("8841 2207 5536 9012", "8841-22", "${secret:S}"),
            ("8841 2207 5536 9012", "card 88412207553", "card ${secret:S}"),
            ("orchid lantern gravel", "orchid lant", "${secret:S}"),
            ("orchid lantern gravel", "Ern-Gravel is cut", "${secret:S} is cut"),
            ("lowercaseonlysecret", "it begins with lowerca", "it begins with ${secret:S}"),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_16C7e…", "${secret:S}…"),
            ("anna.schmidt@example.com", "anna.schm...", "${secret:S}..."),
        ] {
            // Signs beside a piece may stay or not.
            let bare = |text: &str| text.replace(['.', '…', '*'], "").trim().to_owned();
            assert_eq!(bare(&hidden(secret, &[text])[0]), bare(expected), "{secret}: {text}");
            assert_eq!(hidden(secret, &[expected]), [expected], "{secret}: {text}");
        }
    }

    #[test]
    fn ordinary_words_and_short_pieces_stay() {
        for (secret, text) in [
            ("orchid lantern gravel", "a lantern"),
            ("orchid lantern gravel", "pattern gravity"),
            ("summer2024", "as of 2024"),
            ("dragonfly", "Drag and drop"),
            ("hunter22", "press Enter at the center"),
            ("8841 2207 5536 9012", "ends with 9012"),
            ("vP3xQ9tLm2", "vP3..."),
            ("1234", "123 of 12"),
            ("bob@mail.org", "all of them"),
            ("p@ssw0rd!", "| word | meaning |"),
            ("TR-55Q0-OO8B-Il1l", "| 13.8 | | |"),
        ] {
            assert_eq!(hidden(secret, &[text]), [text], "{secret}");
        }
    }

    #[test]
    fn pieces_that_make_the_whole_are_all_hidden() {
        let check = |secret: &str, texts: &[&str], expected: &[&str]| {
            assert_eq!(hidden(secret, texts), expected, "{secret}");
        };
        check("orchid lantern gravel", &["orchid lant", "ern gravel"], &[NAME, NAME]);
        check("orchid lantern gravel", &["orchid lantern", "other", "gravel"], &[NAME, "other", NAME]);
        check(
            "orchid lantern gravel",
            &["orchid", "Lantern…", "…gravel"],
            &[NAME, "${secret:S}…", "…${secret:S}"],
        );
        check("739184", &["first 739", "second 184"], &["first ${secret:S}", "second ${secret:S}"]);
        check("739184", &["first 739", "second 185"], &["first 739", "second 185"]);
        check("1234", &["12", "34"], &["12", "34"]);
    }

    /// Of every way to cut a secret once, in two rows, or with the rest left out: what is told in what stays.
    #[test]
    fn of_a_secret_that_is_cut_anywhere_less_than_a_third_stays() {
        let mut n_cuts = 0;
        for secret in [
            "m4rble-Kestrel_71!",
            "vP3xQ9tLm2",
            "8841 2207 5536 9012",
            "orchid lantern gravel",
            "Gr@nite\"7'Owl",
            "TR-55Q0-OO8B-Il1l",
            "Tr0ub4dor&3",
            "Zürich&42<rot>",
            "秘密の合言葉です",
            "a1b2c3d4e5f6",
        ] {
            let chars: Vec<char> = secret.chars().collect();
            for at in 1..chars.len() {
                let [head, tail] = [&chars[..at], &chars[at..]].map(|part| part.iter().collect::<String>());
                let told = |text: &str| {
                    text.replace(NAME, "").chars().filter(|c| c.is_alphanumeric() || *c == '!').count()
                };
                let all = told(secret);
                for (alone, around) in [
                    (&head, format!("{head}…")),
                    (&head, format!("{head}...")),
                    (&head, head.to_uppercase()),
                    (&head, head.replace('-', " ")),
                    (&tail, format!("…{tail}")),
                    (&tail, tail.to_lowercase()),
                    (&tail, format!("***{tail}")),
                ] {
                    let least = all.div_ceil(3).max(5);
                    // A single word of the secret may be an ordinary one.
                    let is_word =
                        alone.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).count() == 1
                            && alone.chars().all(|c| !c.is_ascii_digit());
                    let least = if is_word { all.div_ceil(2) } else { least };
                    let stays = told(&hidden(secret, &[&around])[0]);
                    assert!(stays < least, "{secret}: {around} leaves {stays} of {all}");
                }
                let rows = hidden(secret, &[&head, &tail]);
                if told(&head) >= 3 && told(&tail) >= 3 {
                    assert_eq!(rows.iter().map(|row| told(row)).sum::<usize>(), 0, "{secret}: {rows:?}");
                    n_cuts += 1;
                }
            }
        }
        assert!(n_cuts > 60, "{n_cuts}");
    }
}
