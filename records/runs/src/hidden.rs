//! Keeps secrets out of what is written and shown. Invariant: in every text, a secret's name stands wherever
//! its value would, and nothing but texts changes: what was JSON of the format stays JSON of the format.

use serde_json::{Map, Value};
use vigorl_tasks::scripted::Secret;

/// Fields of a record, and of its action, that hold a word of the format or a date, and no text of anybody. Deeper
/// down, such as among the variables of a task, the same name can be anybody's.
const WORDS: [&str; 8] = ["event", "at", "started_at", "effect", "verification", "type", "button", "chord"];

/// Secrets, and what stands instead of them.
#[derive(Clone, Default)]
pub struct Hidden {
    /// Values, also quoted as Rust does, and names.
    pairs: Vec<(String, String)>,
    /// Values as a reader may misread them, and names.
    misread: Vec<(Vec<char>, String)>,
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hidden({})", self.pairs.len())
    }
}

impl Hidden {
    /// Hides the values of `secrets`.
    pub fn of(secrets: &[Secret]) -> Self {
        // Instructions and errors quote texts as Rust does, also before they become JSON.
        let quoted = |text: &str| {
            let quoted = format!("{text:?}");
            quoted[1..quoted.len() - 1].to_owned()
        };
        let forms = |secret: &Secret| {
            let name = format!("${{secret:{}}}", secret.name);
            [secret.value.clone(), quoted(&secret.value)].map(|form| (form, name.clone()))
        };
        let mut pairs: Vec<_> = secrets.iter().flat_map(forms).collect();
        // A secret that contains another one goes first.
        pairs.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let folded = |(value, name): &(String, String)| {
            (value.chars().filter(|c| !c.is_whitespace()).map(alike).collect::<Vec<char>>(), name.clone())
        };
        let misread = pairs.iter().map(folded).filter(|(value, _)| !value.is_empty()).collect();
        Self { pairs, misread }
    }

    /// The same record without secrets in its texts. Names of fields, numbers and [`WORDS`] are the format's and stay.
    pub(crate) fn in_record(&self, mut record: Value) -> Value {
        match &mut record {
            _ if self.pairs.is_empty() => {}
            Value::Object(fields) => self.hide_in(fields, true),
            other => self.hide(other),
        }
        record
    }

    fn hide_in(&self, fields: &mut Map<String, Value>, is_record: bool) {
        for (name, field) in fields {
            match field {
                _ if WORDS.contains(&name.as_str()) => {}
                Value::Object(action) if is_record && name == "action" => self.hide_in(action, false),
                other => self.hide(other),
            }
        }
    }

    fn hide(&self, json: &mut Value) {
        match json {
            Value::String(text) => *text = self.in_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.hide(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The same text without secrets: as they are, quoted as Rust does, or as they are read off a screen, in other letter
    /// case, with other white space, and with signs that look alike.
    pub fn in_text(&self, text: &str) -> String {
        let text = self.pairs.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value, name));
        let (mut out, mut rest) = (String::new(), text.as_str());
        while let Some(first) = rest.chars().next() {
            // A name may read like its value.
            if let Some((_, name)) = self.misread.iter().find(|(_, name)| rest.starts_with(name)) {
                out.push_str(name);
                rest = &rest[name.len()..];
                continue;
            }
            let found = self.misread.iter().find_map(|(value, name)| Some((name, behind(rest, value)?)));
            match found {
                Some((name, behind)) => {
                    out.push_str(name);
                    rest = behind;
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        out
    }
}

/// One of the signs that a reader takes for one another.
fn alike(c: char) -> char {
    match c {
        '0' | 'O' | 'o' => 'o',
        '1' | 'l' | 'L' | 'I' | 'i' | '|' | '!' => 'l',
        '5' | 'S' | 's' => 's',
        '8' | 'B' | 'b' => 'b',
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// What follows on a value that a text begins with, as it may be misread.
fn behind<'t>(text: &'t str, value: &[char]) -> Option<&'t str> {
    let mut wanted = value.iter();
    let mut next = wanted.next()?;
    for (at, c) in text.char_indices() {
        match c.is_whitespace() && at > 0 {
            true => continue,
            false if alike(c) != *next => return None,
            false => match wanted.next() {
                Some(following) => next = following,
                None => return Some(&text[at + c.len_utf8()..]),
            },
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_values_in_texts_and_in_json() {
        let secret = |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned() };
        let hidden = Hidden::of(&[secret("SHORT", "pa\"ss"), secret("LONG", "my pa\"ss wörd")]);
        let check = |text: &str, expected: &str| {
            assert_eq!(hidden.in_text(text), expected);
            assert_eq!(hidden.in_text(&format!("{text:?}")), format!("{expected:?}"));
            assert_eq!(hidden.in_record(format!("type {text:?}").into()), format!("type {expected:?}"));
        };
        check("pa\"ss, twice: pa\"ss", "${secret:SHORT}, twice: ${secret:SHORT}");
        check("it is my pa\"ss wörd.", "it is ${secret:LONG}.");
        check("pass", "pass");
        check("It is MY  PA\"SS WÖRD!", "It is ${secret:LONG}!");
        assert_eq!(format!("{hidden:?}"), "Hidden(4)");
    }

    #[test]
    fn what_is_read_off_a_screen_hides_as_well() {
        let secret = |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned() };
        let hidden = Hidden::of(&[secret("PASSWORD", "password"), secret("TOKEN", "Sl0B5x1Q")]);
        for (text, expected) in [
            ("read `SlOB5x1Q`", "read `${secret:TOKEN}`"),
            ("read `SI08SxIQ` twice", "read `${secret:TOKEN}` twice"),
            ("read `sl0b\n5x1q`", "read `${secret:TOKEN}`"),
            ("Sl0B5x1", "Sl0B5x1"),
            ("Sl0B5x2Q", "Sl0B5x2Q"),
            // A name that reads like its value stays.
            ("password, PASS WORD", "${secret:PASSWORD}, ${secret:PASSWORD}"),
        ] {
            assert_eq!(hidden.in_text(text), expected);
            assert_eq!(hidden.in_text(expected), expected);
        }
    }
}
