//! Keys as a person writes them. Invariant: an unknown name is an error, never a dropped key.

use vigorl_interface::Key;

use super::Chord;

const NAMED: [(&str, Key); 20] = [
    ("Enter", Key::Enter),
    ("Tab", Key::Tab),
    ("Escape", Key::Escape),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Space", Key::Space),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("Up", Key::Up),
    ("Down", Key::Down),
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

impl TryFrom<String> for Chord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "+" {
            return Ok(Self(vec![Key::Char('+')]));
        }
        // After another key, the plus sign itself is written twice: `Control++`.
        let (head, plus) = match text.strip_suffix("++") {
            Some(head) => (head, Some(Key::Char('+'))),
            None => (text.as_str(), None),
        };
        let keys = head.split('+').map(key).chain(plus.map(Ok));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }
}

fn key(name: &str) -> Result<Key, String> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Ok(Key::Char(letter));
    }
    let named = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, key)| *key);
    let function = || {
        let number = name.strip_prefix(['F', 'f'])?.parse().ok()?;
        (1..=12).contains(&number).then_some(Key::Function(number))
    };
    named.or_else(function).ok_or_else(|| {
        let known: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
        format!("`{name}` is no key; known are single characters, F1 to F12, {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_read() {
        let chord = |text: &str| Chord::try_from(text.to_owned()).map(|chord| chord.0);
        assert_eq!(chord("enter"), Ok(vec![Key::Enter]));
        assert_eq!(chord("Ctrl+Shift+T"), Ok(vec![Key::Control, Key::Shift, Key::Char('T')]));
        assert_eq!(chord("Alt+F4"), Ok(vec![Key::Alt, Key::Function(4)]));
        assert_eq!(chord("+"), Ok(vec![Key::Char('+')]));
        assert_eq!(chord("Control++"), Ok(vec![Key::Control, Key::Char('+')]));
        assert_eq!(chord("é"), Ok(vec![Key::Char('é')]));
        for wrong in ["", "F13", "Control+", "A++B", "Entr"] {
            assert!(chord(wrong).is_err(), "{wrong}");
        }
    }
}
