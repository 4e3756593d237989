//! Python's notion of white space, digits and whole numbers in a text.
//!
//! Invariant: each function gives what CPython 3.11 gives, with the tables of Unicode 14. The tables are written down here,
//! so that a newer library does not change a reward.

/// Python's limit for the digits of a whole number that is written in decimals.
pub(crate) const MAX_DIGITS: usize = 4_300;

/// The zeros of all decimal digits; the nine others follow each of them.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// `str.isspace` of one character, and `\s` of a pattern.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c,
        '\t'..='\r' | '\u{1c}'..='\u{20}' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// The value of a decimal digit of any script, `\d` of a pattern.
pub(crate) fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let code = u32::from(c);
    let zero = ZEROS.partition_point(|&zero| zero <= code).checked_sub(1)?;
    Some(code - ZEROS[zero]).filter(|&value| value < 10)
}

/// `str.strip`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// What is left behind white space, `\s*`.
pub(crate) fn skip_spaces(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// What is left behind digits, `\d+`; nothing if there is none.
pub(crate) fn skip_digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c| digit(c).is_some());
    (rest.len() < text.len()).then_some(rest)
}

/// Whether `int(text)` succeeds.
pub(crate) fn is_int(text: &str) -> bool {
    let Some(plain) = plain_number(text) else { return false };
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let n_digits = digits.bytes().filter(u8::is_ascii_digit).count();
    n_digits <= MAX_DIGITS && is_digits(digits)
}

/// Whether `float(text)` succeeds with a finite number.
pub(crate) fn is_finite_float(text: &str) -> bool {
    let Some(plain) = plain_number(text) else { return false };
    let known =
        plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'_' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let bytes = plain.as_bytes();
    let between = |at: usize| {
        let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1))
    };
    let is_even = bytes.iter().enumerate().all(|(at, &byte)| byte != b'_' || between(at));
    known && is_even && plain.replace('_', "").parse::<f64>().is_ok_and(f64::is_finite)
}

/// What `float` makes of digits, a sign and a point. A number beyond every other one is infinite, as in Python.
pub(crate) fn float(text: &str) -> Option<f64> {
    plain_number(text)?.parse().ok()
}

/// Every `-?\d+\.?\d*` of a text, from left to right.
pub(crate) fn numbers_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| digit(c).is_some()) {
        // A minus belongs to the number behind it, if no number before has taken it: none ends with one.
        let start = if rest[..at].ends_with('-') { at - 1 } else { at };
        let behind = skip_digits(&rest[at..]).unwrap_or_default();
        let behind =
            behind.strip_prefix('.').map_or(behind, |fraction| skip_digits(fraction).unwrap_or(fraction));
        found.push(&rest[start..rest.len() - behind.len()]);
        rest = behind;
    }
    found
}

/// Digits in groups that single `_` part.
pub(crate) fn is_digits(text: &str) -> bool {
    text.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A number without the white space around it, its digits in ASCII. `int` and `float` leave the separators `\x1c` to
/// `\x1f` where they are, unlike `strip`.
fn plain_number(text: &str) -> Option<String> {
    let trimmed = text.trim_matches(|c| is_space(c) && !matches!(c, '\u{1c}'..='\u{1f}'));
    let plain = |c: char| match digit(c) {
        Some(value) => char::from_digit(value, 10),
        None => c.is_ascii().then_some(c),
    };
    trimmed.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_pythons() {
        for text in
            ["5 ", "\u{665}", "1_0", "+5", "-5", "007", "0_0", "\u{3000}5", "5\u{85}", "1\u{665}", "\n5\t"]
        {
            assert!(is_int(text), "{text:?}");
        }
        for text in
            ["", " ", "_1", "1_", "1__0", "+ 5", "0x10", "True", "5.0", "²", "+_5", "+-5", "5\u{1c}", "5\0"]
        {
            assert!(!is_int(text), "{text:?}");
        }
        assert!(is_int(&"9".repeat(4_300)) && !is_int(&"0".repeat(4_301)));
    }

    #[test]
    fn finite_numbers_only() {
        assert!(["5", "5.", ".5", "1e3", "-1_0.5"].into_iter().all(is_finite_float));
        assert!(!["", ".", "nan", "inf", "1e999", "1_.5", "0x1", "1 2"].into_iter().any(is_finite_float));
    }

    #[test]
    fn numbers_are_found_as_the_pattern_finds_them() {
        for (text, expected) in [
            ("(0.5, 0.25)", &["0.5", "0.25"][..]),
            ("5-3", &["5", "-3"]),
            ("1.2.3", &["1.2", "3"]),
            ("1. -.5 --7", &["1.", "5", "-7"]),
            ("1e3", &["1", "3"]),
            ("\u{2212}5,\u{665}.\u{665}", &["5", "\u{665}.\u{665}"]),
            ("- 5", &["5"]),
            ("none", &[]),
        ] {
            assert_eq!(numbers_in(text), expected, "{text:?}");
        }
        assert_eq!(["1.", "-0.5", "\u{665}.5"].map(float), [1.0, -0.5, 5.5].map(Some));
        assert_eq!(float(&"9".repeat(400)), Some(f64::INFINITY));
    }

    #[test]
    fn digits_of_every_script_have_their_value() {
        assert_eq!(['0', '9', '\u{665}', '\u{ff15}', '\u{1fbf9}'].map(digit), [0, 9, 5, 5, 9].map(Some));
        assert_eq!(['a', '²', '\u{66a}', '/', ':'].map(digit), [None; 5]);
        assert!(ZEROS.is_sorted());
    }
}
