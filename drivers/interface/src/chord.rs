//! Key chords as text, `Control+Shift+t`. Invariant: parsing what was printed gives the same keys.

use std::fmt;

use serde::{Deserialize as _, Deserializer, Serializer, de};

use crate::Key;

/// Why a text is not a chord.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChordError {
    /// No key, as in `Control+` or an empty text.
    #[error("a key is missing in `{chord}`")]
    Missing {
        /// The whole text.
        chord: String,
    },
    /// Neither a key's name nor a single character.
    #[error("`{name}` is no key; use a single character or a name such as Enter, Control or F5")]
    Unknown {
        /// The part that was not understood.
        name: String,
    },
}

/// Names of keys; the first spelling of a key is the one that is printed.
const NAMES: [(&str, Key); 27] = [
    ("Enter", Key::Enter),
    ("Return", Key::Enter),
    ("Tab", Key::Tab),
    ("Escape", Key::Escape),
    ("Esc", Key::Escape),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Del", Key::Delete),
    ("Space", Key::Space),
    ("Left", Key::Left),
    ("ArrowLeft", Key::Left),
    ("Right", Key::Right),
    ("ArrowRight", Key::Right),
    ("Up", Key::Up),
    ("ArrowUp", Key::Up),
    ("Down", Key::Down),
    ("ArrowDown", Key::Down),
    ("Home", Key::Home),
    ("End", Key::End),
    ("PageUp", Key::PageUp),
    ("PageDown", Key::PageDown),
    ("Insert", Key::Insert),
    ("Control", Key::Control),
    ("Ctrl", Key::Control),
    ("Shift", Key::Shift),
    ("Alt", Key::Alt),
    ("Meta", Key::Meta),
];

/// Reads a chord: keys joined by `+`, names in any case, characters as they are. `Control++` ends in the plus key.
///
/// # Errors
/// [`ChordError`] names the part that is wrong.
///
/// ```
/// use vigorl_interface::{Key, parse_chord, print_chord};
/// let chord = parse_chord("ctrl+Shift+t")?;
/// assert_eq!(chord, [Key::Control, Key::Shift, Key::Char('t')]);
/// assert_eq!(print_chord(&chord), "Control+Shift+t");
/// # Ok::<(), vigorl_interface::ChordError>(())
/// ```
pub fn parse_chord(chord: &str) -> Result<Vec<Key>, ChordError> {
    let missing = || ChordError::Missing { chord: chord.to_owned() };
    let (before, plus) = match chord.strip_suffix('+') {
        Some("") => return Ok(vec![Key::Char('+')]),
        // Only the plus key itself may follow a separator.
        Some(before) => (before.strip_suffix('+').ok_or_else(missing)?, Some(Key::Char('+'))),
        None => (chord, None),
    };
    let mut keys = Vec::new();
    for name in before.split('+') {
        keys.push(if name.is_empty() { return Err(missing()) } else { parse_key(name)? });
    }
    keys.extend(plus);
    Ok(keys)
}

fn parse_key(name: &str) -> Result<Key, ChordError> {
    let mut characters = name.chars();
    if let (Some(character), None) = (characters.next(), characters.next()) {
        return Ok(if character == ' ' { Key::Space } else { Key::Char(character) });
    }
    if let Some((_, key)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Ok(*key);
    }
    let number = name.strip_prefix(['F', 'f']).and_then(|number| number.parse().ok());
    match number {
        Some(number @ 1..=12) => Ok(Key::Function(number)),
        _ => Err(ChordError::Unknown { name: name.to_owned() }),
    }
}

/// Writes a chord as [`parse_chord`] reads it.
pub fn print_chord(chord: &[Key]) -> String {
    chord.iter().map(Key::to_string).collect::<Vec<_>>().join("+")
}

/// A chord as its text.
pub(crate) fn as_chord<S: Serializer>(chord: &[Key], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&print_chord(chord))
}

/// A chord from its text.
pub(crate) fn read_chord<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Key>, D::Error> {
    parse_chord(&String::deserialize(from)?).map_err(de::Error::custom)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(character) => write!(f, "{character}"),
            Self::Function(number) => write!(f, "F{number}"),
            named => {
                let name = NAMES.iter().find(|(_, key)| key == named).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, keys: &[Key], printed: &str) {
        assert_eq!(parse_chord(text).as_deref(), Ok(keys), "{text}");
        assert_eq!(print_chord(keys), printed);
        assert_eq!(parse_chord(printed).as_deref(), Ok(keys), "{printed}");
    }

    #[test]
    fn chords_are_read_and_printed() {
        check("Enter", &[Key::Enter], "Enter");
        check("ctrl+a", &[Key::Control, Key::Char('a')], "Control+a");
        check("Control+A", &[Key::Control, Key::Char('A')], "Control+A");
        check("CONTROL+alt+delete", &[Key::Control, Key::Alt, Key::Delete], "Control+Alt+Delete");
        check("f", &[Key::Char('f')], "f");
        check("f12", &[Key::Function(12)], "F12");
        check("+", &[Key::Char('+')], "+");
        check("Control++", &[Key::Control, Key::Char('+')], "Control++");
        check("Shift+ ", &[Key::Shift, Key::Space], "Shift+Space");
        check("é", &[Key::Char('é')], "é");
        check("ArrowLeft", &[Key::Left], "Left");
    }

    #[test]
    fn every_named_key_is_printed_by_a_name_that_reads_back() {
        for (_, key) in NAMES {
            assert_eq!(parse_chord(&key.to_string()), Ok(vec![key]));
        }
    }

    #[test]
    fn what_is_no_chord_says_why() {
        for text in ["", "Control+", "+a", "a++b"] {
            assert!(matches!(parse_chord(text), Err(ChordError::Missing { .. })), "{text:?}");
        }
        for (text, name) in [("Control+Nope", "Nope"), ("F13", "F13"), ("F0", "F0"), ("ab", "ab")] {
            assert_eq!(parse_chord(text), Err(ChordError::Unknown { name: name.to_owned() }));
        }
    }
}
