//! How a name is spelled on the screen: folding, and how far two spellings are apart.
//!
//! Invariant: digits and letters are never taken for one another here. What only looks alike is the business of
//! [`crate::evidence`], which asks the pixels.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Letters and digits without case and accents, and signs that carry a meaning; each with where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) chars: Vec<char>,
    /// Index of the character that each came from.
    pub(crate) at: Vec<usize>,
}

/// Emoji and what joins them: pictures, which nobody reads.
pub(crate) fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c), 0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0xFE00..=0xFE0F | 0x200D | 0xE0020..=0xE007F)
}

/// Signs that are left out: a name is often written without them, and they are easily misread.
fn is_light(c: char) -> bool {
    c.is_whitespace()
        || is_pictograph(c)
        || matches!(
            c,
            '.' | ','
                | ':'
                | ';'
                | '!'
                | '?'
                | '\''
                | '"'
                | '`'
                | '´'
                | '…'
                | '-'
                | '‐'
                | '‑'
                | '–'
                | '—'
                | '_'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '/'
                | '\\'
                | '|'
                | '•'
                | '·'
                | '‘'
                | '’'
                | '“'
                | '”'
                | '„'
                | '«'
                | '»'
                | '‹'
                | '›'
                | '~'
                | '^'
                | '。'
                | '、'
                | '，'
                | '：'
                | '；'
                | '（'
                | '）'
                | '！'
                | '？'
                | '「'
                | '」'
        )
}

pub(crate) fn folded(text: impl IntoIterator<Item = char>) -> Folded {
    let mut folded = Folded::default();
    for (at, c) in text.into_iter().enumerate() {
        if is_light(c) {
            continue;
        }
        for lower in bare(c).filter(|lower| !is_light(*lower)) {
            folded.chars.push(lower);
            folded.at.push(at);
        }
    }
    folded
}

/// Which signs of a text mean something by where they stand, although they are left out elsewhere: between two digits
/// (`2.1.10`, `1,299`, `10:30`), before a number (`-4.2`), and behind a letter that stands alone (`A-`, `C++`).
pub(crate) fn telling(chars: &[char]) -> Vec<bool> {
    let at = |index: Option<usize>| index.and_then(|index| chars.get(index)).copied();
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut telling = vec![false; chars.len()];
    for (index, &c) in chars.iter().enumerate() {
        let c = plain(c);
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        let is_between =
            matches!(c, '.' | ',' | ':' | '/' | '-' | '\'') && is_digit(before) && is_digit(after);
        let starts = before.is_none_or(|c| c.is_whitespace() || c == '(');
        let is_of_number = after.is_some_and(|c| c.is_ascii_digit() || is_currency(c));
        let is_before = matches!(c, '+' | '-' | '±') && starts && is_of_number;
        let ends = after.is_none_or(|c| !c.is_alphanumeric());
        let before_letter = at(index.checked_sub(2));
        let is_alone =
            before.is_some_and(char::is_alphabetic) && before_letter.is_none_or(|c| !c.is_alphanumeric());
        let goes_on = index > 0 && telling[index - 1] && before.map(plain) == Some(c);
        let is_behind = matches!(c, '+' | '-' | '#' | '*') && ends && (is_alone || goes_on);
        telling[index] = is_between || is_before || is_behind;
    }
    telling
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '€' | '£' | '¥')
}

/// Letters and digits as they are folded, and the signs that are [telling]; `is_exact` says whether letters and digits count,
/// or only where they are.
pub(crate) fn told(chars: &[char], telling: &[bool], is_exact: bool) -> String {
    let mut text = String::new();
    for (c, is_telling) in chars.iter().zip(telling) {
        if *is_telling {
            text.push(plain(*c));
        } else if c.is_alphanumeric() {
            match is_exact {
                true => text.extend(bare(*c)),
                false => text.push('x'),
            }
        }
    }
    text
}

/// A letter without case and without what is drawn through, on, or below it.
fn bare(c: char) -> impl Iterator<Item = char> {
    let parts = std::iter::once(c).nfkd().filter(|part| !is_combining_mark(*part));
    parts
        .flat_map(char::to_lowercase)
        .flat_map(|lower| match lower {
            'ß' => ['s', 's'].into_iter().take(2),
            'æ' => ['a', 'e'].into_iter().take(2),
            'œ' => ['o', 'e'].into_iter().take(2),
            'þ' => ['t', 'h'].into_iter().take(2),
            'ø' => ['o'; 2].into_iter().take(1),
            'ł' => ['l'; 2].into_iter().take(1),
            'đ' | 'ð' => ['d'; 2].into_iter().take(1),
            'ħ' => ['h'; 2].into_iter().take(1),
            'ı' => ['i'; 2].into_iter().take(1),
            other => [other; 2].into_iter().take(1),
        })
        .filter(|part| !is_combining_mark(*part))
}

/// By what a spelling on the screen differs from the one that was asked for. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spelling {
    /// By nothing but white space.
    Exact,
    /// By signs at its end, such as a colon or three dots.
    Ending,
    /// By case.
    Case,
    /// By accents.
    Accents,
    /// By other punctuation.
    Punctuation,
    /// By a letter or digit that the pixels do not tell for sure.
    Misread,
}

/// How `shown` differs from `asked`, which it equals when both are folded.
pub(crate) fn compare(asked: &str, shown: &str) -> Spelling {
    let counts = |c: &char| !c.is_whitespace() && !is_pictograph(*c);
    let dense = |text: &str| text.chars().filter(counts).nfc().map(plain).collect::<String>();
    let (asked, shown) = (dense(asked), dense(shown));
    if asked == shown {
        return Spelling::Exact;
    }
    let ends = |text: &str| text.trim_end_matches(is_ending).to_owned();
    let (asked, shown) = (ends(&asked), ends(&shown));
    if asked == shown {
        return Spelling::Ending;
    }
    let (asked, shown) = (asked.to_lowercase(), shown.to_lowercase());
    if asked == shown {
        return Spelling::Case;
    }
    let letters = |text: &str| text.chars().flat_map(bare).collect::<String>();
    if letters(&asked) == letters(&shown) { Spelling::Accents } else { Spelling::Punctuation }
}

fn is_ending(c: char) -> bool {
    matches!(c, ':' | '.' | '…' | '*' | ',' | ';' | '：' | '。')
}

/// One of the signs that are drawn alike.
pub(crate) fn plain(c: char) -> char {
    match c {
        '‘' | '’' | '´' | '`' | '′' => '\'',
        '“' | '”' | '„' | '″' => '"',
        '‐' | '‑' | '–' | '—' | '−' | '一' => '-',
        '✕' | '✖' | '✗' | '╳' => '×',
        '：' => ':',
        '（' => '(',
        '）' => ')',
        '，' => ',',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_what_a_person_would_notice() {
        let check = |asked: &str, shown: &str, expected: Spelling| {
            assert_eq!(folded(asked.chars()).chars, folded(shown.chars()).chars, "{asked} {shown}");
            assert_eq!(compare(asked, shown), expected, "{asked} {shown}");
        };
        check("Sign in", "Sign in", Spelling::Exact);
        check("Sign in", "Signin", Spelling::Exact);
        check("First name", "First name:", Spelling::Ending);
        check("Save as", "Save as…", Spelling::Ending);
        check("save", "Save", Spelling::Case);
        for (asked, shown) in [
            ("Uber uns", "Über uns"),
            ("Strasse", "Straße"),
            ("Polaczenia", "Połączenia"),
            ("Alistirma", "Alıştırma"),
            ("Sporsmal", "Spørsmål"),
            ("Aendern", "Ændern"),
        ] {
            check(asked, shown, Spelling::Accents);
        }
        check("git merge", "git-merge", Spelling::Punctuation);
        check("don't", "don’t", Spelling::Exact);
    }

    #[test]
    fn what_means_something_else_is_not_folded_away() {
        for (one, other) in [("C", "C++"), ("1", "l"), ("0", "O"), ("a", "b"), ("50 %", "50"), ("€ 5", "$ 5")]
        {
            assert_ne!(folded(one.chars()).chars, folded(other.chars()).chars, "{one} {other}");
        }
    }

    #[test]
    fn signs_of_numbers_and_of_letters_that_stand_alone_tell_them_apart() {
        let of = |text: &str| {
            let chars: Vec<char> = text.chars().collect();
            told(&chars, &telling(&chars), true)
        };
        for (one, other) in [
            ("2.1.10", "2.11.0"),
            ("42 %", "4.2 %"),
            ("-4.2 %", "+4.2 %"),
            ("-4.2 %", "4.2 %"),
            ("37.5 kg", "3.75 kg"),
            ("10.0.11.2", "10.0.1.12"),
            ("$129,900", "$1,299.00"),
            ("A-", "A+"),
            ("A-", "A"),
            ("C--", "C++"),
            ("C", "C#"),
            ("20261128", "2026-11-28"),
            ("31050", "310.50"),
            ("1030", "10:30"),
            ("12 pm", "1/2 pm"),
            ("\u{2212}0.3 %", "0.3 %"),
        ] {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
        for (one, other) in [
            ("Total: 5", "total 5"),
            ("git-merge", "git merge"),
            ("e-mail", "email"),
            ("Step 2.", "step 2"),
            ("(3)", "3"),
            ("docu-", "docu"),
            ("a - b", "a b"),
            ("\u{2212}0.3 %", "-0.3 %"),
            ("- 5 items", "5 items"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn a_folded_letter_knows_where_it_came_from() {
        let folded = folded("ﬁ n".chars());
        assert_eq!((folded.chars, folded.at), (vec!['f', 'i', 'n'], vec![0, 0, 2]));
    }
}
