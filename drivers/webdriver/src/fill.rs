//! Filling a field as a person does: a click, all of it selected, real keys, and a look at what stands there then.
//!
//! Invariants: what stands in the field afterwards is the text, or the text as the page formats it, which is said, or the
//! request is refused with what stands there. A script sets only what keys would write otherwise, and that is said. Of a
//! text with a secret in it, and of a password, nothing is told.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::{DriverError, Key, MouseButton, Note, wait_until};

use crate::WebDriver;
use crate::frames::{REACH, in_frame_at};
use crate::wire::{self, Typing};

/// Which fields there are, and what stands in them. Needs reach.js.
pub(crate) const FIELDS: &str = include_str!("fill.js");
/// How long a page may take to put what was typed in its field.
const LATE: Duration = Duration::from_millis(500);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Longer texts of a field are cut off where they are told.
const MOST_TOLD: usize = 200;
/// Selects all that stands in a field.
const ALL: [Key; 2] = [if cfg!(target_os = "macos") { Key::Meta } else { Key::Control }, Key::Char('a')];

/// What is to stand in which field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) at: Point<Viewport>,
    pub(crate) text: &'a str,
    pub(crate) has_secret: bool,
}

/// What a page says of a field.
#[derive(Debug, Default)]
struct Field {
    /// `keys`, `script` or `unknown`.
    how: String,
    kind: String,
    /// Whether Enter does something else in it than to begin a line.
    is_one_line: bool,
    /// Why it cannot be filled.
    reason: Option<String>,
    stands: Option<String>,
    is_secret: bool,
    /// Whether a person writes in it as on a page: lines are parts of their own.
    is_rich: bool,
    /// Characters that it takes at most.
    most: Option<u64>,
}

impl Field {
    fn of(said: &Value) -> Self {
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        let is = |name: &str| said[name] == true;
        Self {
            how: text("how").unwrap_or_default(),
            kind: text("type").unwrap_or_default(),
            is_one_line: is("is_one_line"),
            reason: text("reason")
                .or_else(|| (!said.is_object()).then(|| "the page gave no answer".to_owned())),
            stands: text("stands"),
            is_secret: is("is_secret"),
            is_rich: is("is_rich"),
            most: said["most"].as_u64(),
        }
    }
}

/// What became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Same,
    Formatted,
    Other,
}

impl WebDriver {
    /// Fills a field; what there is to say of that.
    pub(crate) fn fill(&mut self, wanted: Wanted<'_>) -> Result<Note, DriverError> {
        let field = self.ask_field(wanted.at, "fieldAt(x, y)")?;
        fits(&field, wanted)?;
        if field.how == "script" {
            return self.set_by_script(wanted, &field);
        }
        let keys = wire::plan_typing(wanted.text)?;
        self.type_over(wanted, keys).and_then(|()| self.look(wanted)).map_err(|error| match error {
            DriverError::DialogOpen { text } => {
                refused(format!("a dialog opened before the text was there: {text}"))
            }
            error => error,
        })
    }

    /// Asks for a field with the functions of `fill.js`, at a point `x`, `y` of its frame.
    fn ask_field(&self, at: Point<Viewport>, question: &str) -> Result<Field, DriverError> {
        self.ask_page(at, question, None).map(|said| Field::of(&said))
    }

    fn ask_page(
        &self,
        at: Point<Viewport>,
        question: &str,
        text: Option<&str>,
    ) -> Result<Value, DriverError> {
        let script = format!("{REACH}{FIELDS}\nconst [x, y, text] = arguments;\nreturn {question};");
        in_frame_at(self.session(), at, |session, at, _| {
            session.script("fill", &script, vec![json!(at.x), json!(at.y), json!(text)])
        })
    }

    fn set_by_script(&self, wanted: Wanted<'_>, field: &Field) -> Result<Note, DriverError> {
        match self.ask_page(wanted.at, "setIn(text)", Some(wanted.text))? {
            Value::Bool(true) => Ok(Note::there().with(by_script(&field.kind))),
            Value::String(_) if wanted.has_secret => {
                Err(refused(format!("a field of type {} does not take this text", field.kind)))
            }
            reason => Err(refused(reason.as_str().unwrap_or("the page gave no answer"))),
        }
    }

    /// Clicks the field, selects all that stands in it, and types.
    fn type_over(&mut self, wanted: Wanted<'_>, keys: Vec<Typing>) -> Result<(), DriverError> {
        self.perform("fill", wire::click(wanted.at, MouseButton::Left, 1))?;
        let field = self.ask_field(wanted.at, "fieldBehindClick(x, y)")?;
        fits(&field, wanted)?;
        if field.how != "keys" {
            return Err(refused(format!("the click led to a field of type {}: name that one", field.kind)));
        }
        self.perform("fill", wire::chord(&ALL)?)?;
        if wanted.text.is_empty() {
            self.perform("fill", wire::chord(&[Key::Backspace])?)?;
        }
        self.type_parts("fill", keys)
    }

    /// Looks at what stands there now.
    fn look(&self, wanted: Wanted<'_>) -> Result<Note, DriverError> {
        let mut latest = Field::default();
        let made = wait_until(Some(Instant::now() + LATE), || -> Result<_, DriverError> {
            latest = self.ask_field(wanted.at, "standsNow(x, y)")?;
            let stands = latest.stands.as_deref().unwrap_or_default();
            Ok(match made_of(wanted.text, stands, latest.is_rich) {
                _ if latest.reason.is_some() => ControlFlow::Continue(LOOK_AGAIN),
                Made::Other => ControlFlow::Continue(LOOK_AGAIN),
                made => ControlFlow::Break(made),
            })
        })?;
        match made {
            Some(Made::Formatted) if is_told(&latest, wanted) => {
                let stands = told(latest.stands.as_deref().unwrap_or_default());
                Ok(Note::there().with(format!("the page made {stands} of it")))
            }
            Some(Made::Formatted) => Ok(Note::there().with("the page formats it")),
            Some(_) => Ok(Note::there()),
            None => {
                let reason = latest.reason.as_deref().unwrap_or("what stands in the field is not the text");
                Err(refused(with_what_stands(reason, &latest, wanted)))
            }
        }
    }
}

/// Whether a field takes the text, as far as that is known before.
fn fits(field: &Field, wanted: Wanted<'_>) -> Result<(), DriverError> {
    if let Some(reason) = &field.reason {
        return Err(refused(with_what_stands(reason, field, wanted)));
    }
    if field.is_one_line && even_lines(wanted.text).contains('\n') {
        return Err(refused("the field is of one line, and the text has several"));
    }
    Ok(())
}

/// What is said of a value that no keys wrote.
pub(crate) fn by_script(kind: &str) -> String {
    format!("set by a script and not by keys: the field is of type {kind}")
}

fn is_told(field: &Field, wanted: Wanted<'_>) -> bool {
    !wanted.has_secret && !field.is_secret
}

fn with_what_stands(reason: &str, field: &Field, wanted: Wanted<'_>) -> String {
    let stands = match &field.stands {
        Some(_) if !is_told(field, wanted) => ", and is not told, because it may be a secret".to_owned(),
        Some(stands) => format!(": {}", told(stands)),
        None => String::new(),
    };
    let most = field.most.filter(|_| !stands.is_empty());
    let most = most.map_or(String::new(), |most| format!(" (it takes {most} characters at most)"));
    format!("{reason}{stands}{most}")
}

fn told(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_TOLD).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

fn refused(detail: impl Into<String>) -> DriverError {
    DriverError::Refused { request: "fill", detail: detail.into() }
}

/// A line ends with a line feed.
fn even_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// What a field makes of a text. A page that a person writes on parts lines as it likes, and keeps spaces by others.
fn made_of(text: &str, stands: &str, is_rich: bool) -> Made {
    let even = |text: &str| -> String {
        let text = even_lines(text);
        match is_rich {
            false => text,
            true => {
                let lines: Vec<String> =
                    text.lines().map(|line| line.replace('\u{a0}', " ").trim_end().to_owned()).collect();
                lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
            }
        }
    };
    let (text, stands) = (even(text), even(stands));
    match text == stands {
        true => Made::Same,
        false if is_formatted(&text, &stands) => Made::Formatted,
        false => Made::Other,
    }
}

/// Whether all of a text stands there in its order, in any letter case, and nothing but signs and spaces between: none that
/// makes another number of it.
fn is_formatted(text: &str, stands: &str) -> bool {
    let stands: Vec<char> = without_empty_cents(text, stands).chars().collect();
    let mut wanted = without_loose_spaces(text).into_iter().peekable();
    if wanted.peek().is_none() {
        return false;
    }
    let is_same = |wanted: char, c: char| {
        wanted.to_lowercase().eq(c.to_lowercase()) || (wanted == ' ' && c.is_whitespace() && c != '\n')
    };
    let mut points: Vec<(char, usize)> = Vec::new();
    for (at, c) in stands.iter().enumerate() {
        if wanted.next_if(|wanted| is_same(*wanted, *c)).is_some() {
            continue;
        }
        let is_leading = !stands[..at].iter().any(|c| c.is_alphanumeric());
        if c.is_alphanumeric() || (is_leading && matches!(c, '-' | '\u{2212}')) {
            return false;
        }
        if matches!(c, '.' | ',') && at > 0 && stands[at - 1].is_ascii_digit() {
            points.push((*c, stands[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count()));
        }
    }
    // One point before three digits parts thousands, and several part a date.
    let is_apart = |(point, n_behind): &(char, usize)| {
        *n_behind == 0 || *n_behind == 3 || points.iter().filter(|(other, _)| other == point).count() > 1
    };
    wanted.next().is_none() && points.iter().all(is_apart)
}

/// A text without the spaces that a page may leave out: around it, and beside what is no letter.
fn without_loose_spaces(text: &str) -> Vec<char> {
    let all: Vec<char> = text.trim().chars().collect();
    let is_letter = |c: Option<&char>| c.is_some_and(|c| c.is_alphabetic());
    let stays = |at: usize, c: char| {
        let before = all[..at].iter().rev().find(|c| !c.is_whitespace());
        let behind = all[at..].iter().find(|c| !c.is_whitespace());
        !c.is_whitespace() || c == '\n' || (is_letter(before) && is_letter(behind))
    };
    all.iter().enumerate().filter(|(at, c)| stays(*at, **c)).map(|(_, c)| *c).collect()
}

/// The same without `.00` at its end, if the text says nothing of parts.
fn without_empty_cents(text: &str, stands: &str) -> String {
    let is_point = |c: char| matches!(c, '.' | ',');
    let Some(at) = stands.rfind(is_point).filter(|_| !text.contains(is_point)) else {
        return stands.to_owned();
    };
    let behind = &stands[at + 1..];
    let rest = behind.trim_start_matches('0');
    let n_zeros = behind.len() - rest.len();
    let is_empty = (1..=2).contains(&n_zeros) && !rest.contains(|c: char| c.is_ascii_digit());
    if is_empty { format!("{}{rest}", &stands[..at]) } else { stands.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, stands: &str, made: Made) {
        assert_eq!(made_of(text, stands, false), made, "{text:?} became {stands:?}");
    }

    #[test]
    fn a_page_may_format_a_text_and_make_no_other_of_it() {
        check("4111111111111111", "4111 1111 1111 1111", Made::Formatted);
        check("5551234567", "(555) 123-4567", Made::Formatted);
        check("49123", "+49 123", Made::Formatted);
        check("de12", "DE12", Made::Formatted);
        check(" a@b.org ", "a@b.org", Made::Formatted);
        check("4111 1111", "4111-1111", Made::Formatted);
        check("sw1a 1aa", "SW1A1AA", Made::Formatted);
        check("ann lee", "Ann\u{a0}Lee", Made::Formatted);
        check("1234567", "1,234,567", Made::Formatted);
        check("1234", "$1,234.00", Made::Formatted);
        check("1234", "1.234 €", Made::Formatted);
        check("03052026", "03.05.2026", Made::Formatted);
        check("1430", "14:30", Made::Formatted);
        check("", "", Made::Same);
        check("a\r\nb", "a\nb", Made::Same);
        for (text, stands) in [
            ("hello", "hell"),
            ("hell", "hello"),
            ("hello", ""),
            ("", "a"),
            (" ", "a"),
            ("new", "oldnew"),
            ("1250", "12.50"),
            ("15", "1.5"),
            ("1.5", "15"),
            ("5", "-5"),
            ("-5", "5"),
            ("12", "1,200"),
            ("1", "1,000"),
            ("12", "1200"),
            ("1.0", "1"),
            ("123450", "1.234,50"),
            ("ab", "ba"),
            ("Ann Lee", "AnnLee"),
            ("a\nb", "ab"),
        ] {
            check(text, stands, Made::Other);
        }
    }

    #[test]
    fn a_page_that_one_writes_on_parts_lines_as_it_likes() {
        assert_eq!(made_of("a\nb c", "a\n\nb\u{a0}c\n", true), Made::Same);
        assert_eq!(made_of("a", "", true), Made::Other);
        assert_eq!(made_of("", "\n", true), Made::Same);
        assert_eq!(made_of("a\nb", "ab", true), Made::Other);
    }

    #[test]
    fn of_a_secret_nothing_is_told() {
        let at = Point::new(0.0, 0.0);
        let field = |is_secret| Field {
            stands: Some("hunt".to_owned()),
            is_secret,
            most: Some(4),
            ..Field::default()
        };
        let words = |has_secret, is_secret| {
            with_what_stands("no", &field(is_secret), Wanted { at, text: "hunter2", has_secret })
        };
        assert_eq!(words(false, false), "no: \"hunt\" (it takes 4 characters at most)");
        assert!(!words(true, false).contains("hunt") && !words(false, true).contains("hunt"));
    }
}
