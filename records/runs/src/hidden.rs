//! Keeps secrets out of what is written and shown. Invariant: in every text, a secret's name stands wherever
//! its value would, and nothing but texts changes: what was JSON of the format stays JSON of the format. What was read off
//! a screen may be misread, cut or wrapped: there a secret is looked for more broadly (`misread.rs`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vigorl_tasks::scripted::Secret;

use crate::encoded::{encodings, in_form, percent};
use crate::misread::{Sought, alike, folded};
use crate::record::LineRecord;

/// Fields of a record, and of its action, that hold a word of the format or a date, and no text of anybody. Deeper
/// down, such as among the variables of a task, the same name can be anybody's.
const WORDS: [&str; 8] = ["event", "at", "started_at", "effect", "verification", "type", "button", "chord"];

/// Fields of a record in which stands what was read off a screen, whatever lies deeper in them.
const READ: [&str; 7] = ["completion", "thoughts", "answer_text", "malformed", "detail", "err_msg", "unread"];

/// How what stands instead of a secret begins.
const NAMED: &str = "${secret:";

/// Secrets, and what stands instead of them.
#[derive(Clone, Default)]
pub struct Hidden {
    /// Values, also quoted as Rust does and as an address does, and names.
    pairs: Vec<(String, String)>,
    /// Values as pages and programs pass them on, and names.
    encoded: Vec<(String, String)>,
    /// Values without white space, whose signs stand for those that look alike, and names, by the first of these signs: a
    /// browser keeps many.
    folded: BTreeMap<char, Vec<(Vec<char>, String)>>,
    sought: Sought,
    /// What is hidden where it stands as whole words, and what stands instead.
    words: Vec<(String, String)>,
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
            let name = format!("{NAMED}{}}}", secret.name);
            let value = &secret.value;
            [value.clone(), quoted(value), in_address(value, "%20"), in_address(value, "+")]
                .map(|form| (form, name.clone()))
        };
        let all_forms = |secrets: &mut dyn Iterator<Item = &Secret>| {
            let mut pairs: Vec<_> = secrets.flat_map(&forms).collect();
            // A secret that contains another one goes first.
            pairs.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
            pairs.dedup();
            pairs
        };
        let pairs = all_forms(&mut secrets.iter());
        let sought = Sought::new(&all_forms(&mut secrets.iter().filter(|secret| !secret.is_stored)));
        let mut by_first: BTreeMap<char, Vec<_>> = BTreeMap::new();
        for (value, name) in pairs.iter().map(|(value, name)| (folded(value), name)) {
            if let Some(first) = value.first() {
                by_first.entry(*first).or_default().push((value, name.clone()));
            }
        }
        let encoded = |secret: &Secret| {
            let name = format!("{NAMED}{}}}", secret.name);
            encodings(&secret.value).into_iter().map(move |form| (form, name.clone())).collect::<Vec<_>>()
        };
        // A browser keeps much that is passed on all the time and says nothing.
        let mut encoded: Vec<_> =
            secrets.iter().filter(|secret| !secret.is_stored).flat_map(encoded).collect();
        encoded.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        Self { pairs, encoded, folded: by_first, sought, words: Vec::new() }
    }

    /// Hides from now on what a task read into a variable, wherever it stands as whole words. The variable's name stands
    /// instead.
    pub(crate) fn add_word(&mut self, name: &str, value: &str) {
        let word = (value.trim().to_owned(), format!("${{{name}}}"));
        if !word.0.is_empty() && !self.words.contains(&word) {
            self.words.push(word);
            self.words.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        }
    }

    /// Whether something that was read has a secret in it.
    pub(crate) fn is_in_reading(&self, text: &str) -> bool {
        !self.pairs.is_empty() && self.in_reading(text) != text
    }

    /// The same record without secrets in its texts. Names of fields, numbers and [`WORDS`] are the format's and stay.
    pub(crate) fn in_record(&self, mut record: Value) -> Value {
        match &mut record {
            _ if self.pairs.is_empty() && self.words.is_empty() => {}
            Value::Object(fields) => self.hide_in(fields, true),
            other => self.hide(other, false),
        }
        record
    }

    /// The same lines without secrets, also such as are spread over several of them.
    pub(crate) fn in_lines(&self, lines: &mut [LineRecord]) {
        self.sought.hide_in_lines(lines);
        lines.iter_mut().for_each(|line| line.text = self.in_reading(&line.text));
    }

    /// As [`Self::in_text`], and more broadly, for what was read off a screen, or what a page says of itself.
    pub(crate) fn in_reading(&self, text: &str) -> String {
        self.sought.hide_in(&self.in_text(text))
    }

    fn hide_in(&self, fields: &mut Map<String, Value>, is_record: bool) {
        for (name, field) in fields {
            match field {
                _ if WORDS.contains(&name.as_str()) => {}
                Value::Object(action) if is_record && name == "action" => self.hide_in(action, false),
                // Their kinds are words of the format.
                Value::Array(troubles) if is_record && name == "troubles" => {
                    let texts = troubles.iter_mut().filter_map(|trouble| trouble.get_mut("text"));
                    texts.for_each(|text| self.hide(text, true));
                }
                other => self.hide(other, READ.contains(&name.as_str())),
            }
        }
    }

    fn hide(&self, json: &mut Value, is_read: bool) {
        match json {
            Value::String(text) if is_read => *text = self.in_reading(text),
            Value::String(text) => *text = self.in_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item, is_read)),
            Value::Object(fields) => {
                let is_read = |name: &str| is_read || READ.contains(&name);
                fields.iter_mut().for_each(|(name, field)| self.hide(field, is_read(name)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The same text without secrets: as they are, quoted as Rust does, as pages and programs pass them on, or as they are read
    /// off a screen, in other letter case, with other white space, and with signs that look alike.
    pub fn in_text(&self, text: &str) -> String {
        let forms = self.encoded.iter().chain(&self.pairs);
        let text = forms.fold(text.to_owned(), |text, (value, name)| text.replace(value, name));
        let text = self.words.iter().fold(text, |text, (value, name)| without_word(&text, value, name));
        let (mut out, mut rest) = (String::new(), text.as_str());
        while let Some(first) = rest.chars().next() {
            // A name may read like its value.
            let is_name = |(_, name): &&(Vec<char>, String)| rest.starts_with(name.as_str());
            let mut names = self.folded.values().flatten();
            if let Some((_, name)) = rest.starts_with(NAMED).then(|| names.find(is_name)).flatten() {
                out.push_str(name);
                rest = &rest[name.len()..];
                continue;
            }
            let like = self.folded.get(&alike(first)).map(Vec::as_slice).unwrap_or_default();
            let found = like.iter().find_map(|(value, name)| Some((name, behind(rest, value)?)));
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

/// A text as an address has it, whose spaces are `space`.
fn in_address(text: &str, space: &str) -> String {
    percent(text, in_form).replace("%20", space)
}

/// The same text with `name` wherever `value` stands and no letter or digit goes on from it.
fn without_word(text: &str, value: &str, name: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(value) {
        let (before, from) = rest.split_at(at);
        let behind = &from[value.len()..];
        let goes_on = |a: Option<char>, b: Option<char>| {
            a.zip(b).is_some_and(|(a, b)| a.is_alphanumeric() && b.is_alphanumeric())
        };
        let last = before.chars().last().or_else(|| out.chars().last());
        let is_part =
            goes_on(last, value.chars().next()) || goes_on(value.chars().last(), behind.chars().next());
        out.extend([before, if is_part { value } else { name }]);
        rest = behind;
    }
    out.push_str(rest);
    out
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
        let secret = |name: &str, value: &str| Secret {
            name: name.to_owned(),
            value: value.to_owned(),
            is_stored: false,
        };
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
        assert_eq!(format!("{hidden:?}"), "Hidden(7)");
    }

    #[test]
    fn what_a_page_says_of_itself_hides_and_what_kind_of_thing_it_is_stays() {
        let secret = |name: &str, value: &str| Secret {
            name: name.to_owned(),
            value: value.to_owned(),
            is_stored: false,
        };
        let hidden = Hidden::of(&[secret("WORD", "console"), secret("TOKEN", "Sl0B/5x 1Q")]);
        let troubles = |texts: [&str; 2]| {
            let of = |text: &str| serde_json::json!({ "kind": "console", "text": text });
            serde_json::json!({ "troubles": texts.map(of) })
        };
        let said = ["no token=Sl0B%2F5x+1Q here", "console: Sl0B/5x 1Q"];
        let expected = ["no token=${secret:TOKEN} here", "${secret:WORD}: ${secret:TOKEN}"];
        assert_eq!(hidden.in_record(troubles(said)), troubles(expected));
    }

    #[test]
    fn what_a_browser_keeps_is_hidden_as_it_is_and_no_word_that_is_like_a_part_of_it() {
        let stored =
            |value: &str| Secret { name: "storage".to_owned(), value: value.to_owned(), is_stored: true };
        let hidden = Hidden::of(&[stored("sid=k7Xq/12 34"), stored("abcdefgh-1234")]);
        for (text, expected) in [
            ("got abcdefgh-1234.", "got ${secret:storage}."),
            ("ABCDEFGH-1234", "${secret:storage}"),
            ("?q=sid%3Dk7Xq%2F12+34&a", "?q=${secret:storage}&a"),
            ("abcdefgh", "abcdefgh"),
            ("${secret:storage}", "${secret:storage}"),
        ] {
            assert_eq!(
                (hidden.in_text(text), hidden.in_reading(text)),
                (expected.to_owned(), expected.to_owned())
            );
        }
        let typed = Secret { is_stored: false, ..stored("abcdefgh-1234") };
        assert_ne!(
            Hidden::of(&[typed]).in_reading("abcdefgh"),
            "abcdefgh",
            "of others, a good part is hidden"
        );
    }

    #[test]
    fn what_is_read_off_a_screen_hides_as_well() {
        let secret = |name: &str, value: &str| Secret {
            name: name.to_owned(),
            value: value.to_owned(),
            is_stored: false,
        };
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
