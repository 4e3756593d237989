//! What must hold: clauses, how a task file spells them, and how they are put together.
//!
//! Invariants: a clause that would hold whatever the world is like is refused when the task is read; whoever walks over
//! clauses goes into their [parts](Clause::parts).

use std::borrow::Cow;
use std::fmt;
use std::slice;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reread::Reread;
use super::target::pattern_fault;
use super::{DownloadClause, ElementPlace, On, TextClause};

/// Something that holds or does not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// The page's address contains this.
    UrlContains(String),
    /// The page shows this text, whether or not it has to be scrolled to; without a page, the screen does.
    TextVisible(TextClause),
    /// The page shows this text no more; without a page, the screen does not, on which it was before.
    TextGone(TextClause),
    /// The page shows a line in which this regular expression matches something.
    TextMatches(String),
    /// The title of the page, or of the active window, contains this.
    TitleContains(String),
    /// An element of the page is in a state, or holds something.
    Element(ElementClause),
    /// The page shows so many of these elements.
    Count(CountClause),
    /// The screenshot shows this picture: an image file, found as the paths of [`FileClause`] are.
    Picture(String),
    /// This JavaScript expression is true in the page.
    Javascript(String),
    /// The clipboard holds exactly this text.
    Clipboard(String),
    /// A file is there, and contains a text.
    File(FileClause),
    /// A file was downloaded in this episode, whole.
    Downloaded(DownloadClause),
    /// A command line ends with success, run by the shell.
    Command(String),
    /// This does not hold.
    Not(Box<Clause>),
    /// One of these holds.
    Any(#[schemars(length(min = 1))] Vec<Clause>),
    /// All of these hold.
    All(#[schemars(length(min = 1))] Vec<Clause>),
}

/// A file, and what must be in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileClause {
    /// Where: relative to the task file, under `$TMPDIR/`, the folder of the task's programs, or under `$DOWNLOADS/`, what
    /// the browser has downloaded.
    pub path: String,
    /// What it contains; without, it is enough that it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// An element, and what must be true of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "WrittenElement", into = "WrittenElement")]
pub struct ElementClause {
    /// Which.
    pub element: ElementPlace,
    /// What is asked of it.
    pub asks: ElementQuestion,
}

/// What a clause asks of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementQuestion {
    /// Whether it is in this state.
    Is(ElementState),
    /// Whether this stands in the field, and nothing else; white space is evened out.
    Value(String),
    /// Whether a person reads this in it.
    Text(String),
    /// Whether it has this attribute.
    Attribute(AttributeClause),
}

/// An attribute of an element, as it is written in the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeClause {
    /// Its name, such as `href`.
    pub name: String,
    /// What it is, letter by letter.
    pub is: String,
}

/// What an element can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElementState {
    /// There, and shown, scrolled to or not.
    Visible,
    /// Not there, or not shown.
    Hidden,
    /// A checkbox, radio button, switch or option that is on.
    Checked,
    /// One that is off.
    Unchecked,
    /// Can be used.
    Enabled,
    /// Cannot be used.
    Disabled,
    /// Has the keyboard.
    Focused,
}

/// Elements, and how many of them are shown, scrolled to or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "WrittenCount", into = "WrittenCount")]
pub struct CountClause {
    /// Which.
    pub element: ElementPlace,
    /// At least so many.
    pub least: u64,
    /// At most so many, if there is a limit.
    pub most: Option<u64>,
}

/// An element, by a CSS selector, or by its accessible name and role, and one thing that must be true of it: `is`,
/// `value`, `text` or `attribute`.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ElementClause")]
struct WrittenElement {
    /// A CSS selector; the first one that it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    /// An accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A regular expression for an accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_matches: Option<String>,
    /// The role of what is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// A text in whose row or box it stands.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Which of several, in the order of the page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    nth: Option<u16>,
    /// Whether the `name` is the whole one, letter by letter, as it is if this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
    /// What it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<ElementState>,
    /// What must stand in the field, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// What a person must read in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// An attribute that it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<AttributeClause>,
}

impl TryFrom<WrittenElement> for ElementClause {
    type Error = String;

    fn try_from(written: WrittenElement) -> Result<Self, String> {
        let WrittenElement { selector, name, name_matches, role, within, nth, exact, .. } = written;
        let WrittenElement { is, value, text, attribute, .. } = written;
        let element = ElementPlace { selector, name, name_matches, role, within, nth, exact };
        let asked = [
            is.map(ElementQuestion::Is),
            value.map(ElementQuestion::Value),
            text.map(ElementQuestion::Text),
            attribute.map(ElementQuestion::Attribute),
        ];
        let mut asked = asked.into_iter().flatten();
        let (Some(asks), None) = (asked.next(), asked.next()) else {
            return Err("`element` asks one thing: `is`, `value`, `text` or `attribute`".to_owned());
        };
        let clause = Self { element, asks };
        clause.fault().map_or(Ok(clause), Err)
    }
}

impl From<ElementClause> for WrittenElement {
    fn from(ElementClause { element, asks }: ElementClause) -> Self {
        let ElementPlace { selector, name, name_matches, role, within, nth, exact } = element;
        let which = Self { selector, name, name_matches, role, within, nth, exact, ..Self::default() };
        match asks {
            ElementQuestion::Is(is) => Self { is: Some(is), ..which },
            ElementQuestion::Value(value) => Self { value: Some(value), ..which },
            ElementQuestion::Text(text) => Self { text: Some(text), ..which },
            ElementQuestion::Attribute(attribute) => Self { attribute: Some(attribute), ..which },
        }
    }
}

impl JsonSchema for ElementClause {
    fn schema_name() -> Cow<'static, str> {
        WrittenElement::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenElement::json_schema(generator)
    }
}

/// Elements, by a CSS selector, or by their accessible name and role, and how many of them the page shows: `is`, or
/// `at_least` and `at_most`.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CountClause")]
struct WrittenCount {
    /// A CSS selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    /// An accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A regular expression for an accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_matches: Option<String>,
    /// The role of what is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// A text in whose row or box they stand.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Whether the `name` is the whole one, letter by letter, as it is if this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
    /// So many, no more and no less.
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<u32>,
    /// So many or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<u32>,
    /// So many or less.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<u32>,
}

impl TryFrom<WrittenCount> for CountClause {
    type Error = String;

    fn try_from(written: WrittenCount) -> Result<Self, String> {
        let WrittenCount { selector, name, name_matches, role, within, exact, .. } = written;
        let element = ElementPlace { selector, name, name_matches, role, within, nth: None, exact };
        let (least, most) = match (written.is, written.at_least, written.at_most) {
            (Some(n), None, None) => (n, Some(n)),
            (None, None, None) | (Some(_), ..) => {
                return Err("`count` says how many: `is`, or else `at_least` or `at_most`".to_owned());
            }
            (None, least, most) => (least.unwrap_or_default(), most),
        };
        let clause = Self { element, least: least.into(), most: most.map(u64::from) };
        clause.fault().map_or(Ok(clause), Err)
    }
}

impl From<CountClause> for WrittenCount {
    fn from(CountClause { element, least, most }: CountClause) -> Self {
        let ElementPlace { selector, name, name_matches, role, within, exact, .. } = element;
        let which = Self { selector, name, name_matches, role, within, exact, ..Self::default() };
        let n = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        match most {
            Some(most) if most == least => Self { is: Some(n(most)), ..which },
            most => Self { at_least: (least > 0).then(|| n(least)), at_most: most.map(n), ..which },
        }
    }
}

impl JsonSchema for CountClause {
    fn schema_name() -> Cow<'static, str> {
        WrittenCount::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenCount::json_schema(generator)
    }
}

impl ElementClause {
    fn fault(&self) -> Option<String> {
        let empty = |name: &str| format!("`{name}` is empty, so it says nothing: give it a text");
        self.element.fault().or_else(|| match &self.asks {
            ElementQuestion::Text(text) if text.trim().is_empty() => Some(empty("text")),
            ElementQuestion::Attribute(attribute) if attribute.name.trim().is_empty() => {
                Some(empty("attribute"))
            }
            _ => None,
        })
    }
}

impl CountClause {
    fn fault(&self) -> Option<String> {
        match self.most {
            Some(most) if most < self.least => {
                Some("`count` can never hold: `at_most` is less than `at_least`".to_owned())
            }
            None if self.least == 0 => Some("`count` with `at_least: 0` always holds".to_owned()),
            _ => self.element.fault(),
        }
    }
}

impl Clause {
    /// The clauses that it is put together from; none of most.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Not(part) => slice::from_ref(&**part),
            Self::Any(parts) | Self::All(parts) => parts,
            _ => &[],
        }
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Not(part) => slice::from_mut(&mut **part),
            Self::Any(parts) | Self::All(parts) => parts,
            _ => &mut [],
        }
    }

    /// Why the clause says nothing: it would hold whatever the world is like, or it asks for nothing. Texts that a
    /// variable is still to be filled into are not empty yet.
    pub(super) fn fault(&self) -> Option<String> {
        let empty = |name: &str| Some(format!("`{name}` is empty, so it says nothing: give it a text"));
        let none = |name: &str| Some(format!("`{name}` has no clause, so it says nothing: give it one"));
        match self {
            Self::UrlContains(text) if text.trim().is_empty() => empty("url_contains"),
            Self::TitleContains(text) if text.trim().is_empty() => empty("title_contains"),
            // White space is evened out before the comparison.
            Self::TextVisible(clause) if clause.text.trim().is_empty() => empty("text_visible"),
            Self::TextGone(clause) if clause.text.trim().is_empty() => empty("text_gone"),
            Self::TextGone(TextClause { typed: true, .. }) => Some(
                "`typed` belongs to `text_visible`: a text that is gone is gone whoever typed it".to_owned(),
            ),
            Self::TextMatches(pattern) => pattern_fault(pattern),
            Self::Javascript(text) if text.trim().is_empty() => empty("javascript"),
            Self::Command(text) if text.trim().is_empty() => empty("command"),
            Self::Picture(text) if text.trim().is_empty() => empty("picture"),
            Self::File(FileClause { path, .. }) if path.trim().is_empty() => empty("path"),
            Self::File(FileClause { contains: Some(text), .. }) if text.is_empty() => Some(
                "`contains` is empty, so it says nothing: leave it out to ask whether the file is there"
                    .to_owned(),
            ),
            Self::Downloaded(download) => download.fault(),
            Self::Element(element) => element.fault(),
            Self::Count(count) => count.fault(),
            Self::Any(parts) if parts.is_empty() => none("any"),
            Self::All(parts) if parts.is_empty() => none("all"),
            _ => self.parts().iter().find_map(Self::fault),
        }
    }
}

/// What must hold, as the end of a sentence.
impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UrlContains(part) => write!(f, "the address contains `{part}`"),
            Self::TextVisible(TextClause { text, on: None, .. }) => write!(f, "the page shows `{text}`"),
            Self::TextVisible(TextClause { text, on: Some(On::Screen), .. }) => {
                write!(f, "`{text}` can be read on the screen")
            }
            Self::TextGone(TextClause { text, on: None, .. }) => write!(f, "the page shows `{text}` no more"),
            Self::TextGone(TextClause { text, on: Some(On::Screen), .. }) => {
                write!(f, "`{text}` is gone from the screen")
            }
            Self::TextMatches(pattern) => write!(f, "the page shows what matches `{pattern}`"),
            Self::TitleContains(part) => write!(f, "the title contains `{part}`"),
            Self::Javascript(expression) => write!(f, "`{expression}` is true in the page"),
            Self::Element(element) => element.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Picture(file) => write!(f, "the screen shows `{file}`"),
            Self::Clipboard(text) => write!(f, "the clipboard holds `{text}`"),
            Self::File(FileClause { path, contains: None }) => write!(f, "the file `{path}` is there"),
            Self::File(FileClause { path, contains: Some(part) }) => {
                write!(f, "the file `{path}` contains `{part}`")
            }
            Self::Downloaded(download) => download.fmt(f),
            Self::Command(line) => write!(f, "the command `{line}` succeeds"),
            Self::Not(part) => write!(f, "it is not so that {}", Enclosed(part)),
            Self::Any(parts) => write!(f, "one of these holds: {}", Listed(parts)),
            Self::All(parts) => write!(f, "all of these hold: {}", Listed(parts)),
        }
    }
}

/// A clause inside of another one: what is a list itself is kept apart.
struct Enclosed<'c>(&'c Clause);

impl fmt::Display for Enclosed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Clause::Any(_) | Clause::All(_) => write!(f, "({})", self.0),
            clause => clause.fmt(f),
        }
    }
}

struct Listed<'c>(&'c [Clause]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, clause) in self.0.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { "; " }, Enclosed(clause))?;
        }
        Ok(())
    }
}

impl fmt::Display for ElementClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}", self.element)?;
        if let Some(nth) = self.element.nth {
            write!(f, ", number {nth},")?;
        }
        match &self.asks {
            ElementQuestion::Is(state) => write!(f, " is {}", format!("{state:?}").to_lowercase()),
            ElementQuestion::Value(value) => write!(f, " holds `{value}`"),
            ElementQuestion::Text(text) => write!(f, " shows `{text}`"),
            ElementQuestion::Attribute(AttributeClause { name, is }) => {
                write!(f, " has `{name}=\"{is}\"`")
            }
        }
    }
}

impl fmt::Display for CountClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page shows ")?;
        match (self.least, self.most) {
            (least, Some(most)) if least == most => write!(f, "{most}")?,
            (0, Some(most)) => write!(f, "at most {most}")?,
            (least, Some(most)) => write!(f, "{least} to {most}")?,
            (least, None) => write!(f, "at least {least}")?,
        }
        write!(f, " times {}", self.element)
    }
}

/// A clause, and how long it may take until it holds: written as the clause alone, or as `{ that: CLAUSE,
/// within_secs: 3 }`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimedClause {
    pub(super) clause: Clause,
    pub(super) within_secs: Option<f64>,
}

/// Longest time that may be written.
const MOST_SECS: f64 = 1e9;

/// What is wrong with a number of seconds.
pub(super) fn secs_fault(name: &str, secs: Option<f64>) -> Option<String> {
    secs.filter(|secs| !(0.0..MOST_SECS).contains(secs))
        .map(|_| format!("`{name}` is a number of seconds from 0 on"))
}

/// A clause, and how long it may take until it holds.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TimedClause")]
struct WrittenTimed {
    /// What must hold.
    that: Clause,
    /// Seconds that it may take until it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    within_secs: Option<f64>,
}

impl<'de> Deserialize<'de> for TimedClause {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TimedClause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a clause, or `{ that: CLAUSE, within_secs: 3 }`")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<TimedClause, M::Error> {
                let map = Reread::begin(map)?;
                let Some(first) = map.first() else {
                    return Err(de::Error::custom("a clause is missing"));
                };
                let is_timed = ["that", "within_secs"].contains(&first);
                let whole = MapAccessDeserializer::new(map);
                if is_timed {
                    let WrittenTimed { that: clause, within_secs } = WrittenTimed::deserialize(whole)?;
                    return Ok(TimedClause { clause, within_secs });
                }
                Ok(TimedClause { clause: Clause::deserialize(whole)?, within_secs: None })
            }
        }
        source.deserialize_any(Either)
    }
}

impl Serialize for TimedClause {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.within_secs {
            None => self.clause.serialize(to),
            within_secs => WrittenTimed { that: self.clause.clone(), within_secs }.serialize(to),
        }
    }
}

impl JsonSchema for TimedClause {
    fn schema_name() -> Cow<'static, str> {
        "ClauseOrTimedClause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Clause>(), generator.subschema_for::<WrittenTimed>());
        json_schema!({ "description": "A clause, or a clause and how long it may take", "anyOf": [short, long] })
    }
}

#[cfg(test)]
mod tests {
    use serde_norway::with::singleton_map_recursive;

    use super::*;

    fn parse<T: for<'de> Deserialize<'de>>(yaml: &str) -> Result<T, String> {
        singleton_map_recursive::deserialize(serde_norway::Deserializer::from_str(yaml))
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(yaml: &str, words: &str) {
        let clause: Clause = parse(yaml).unwrap();
        assert_eq!((clause.to_string().as_str(), clause.fault()), (words, None), "{yaml}");
        let mut written = serde_norway::Serializer::new(Vec::new());
        singleton_map_recursive::serialize(&clause, &mut written).unwrap();
        let written = String::from_utf8(written.into_inner().unwrap()).unwrap();
        assert_eq!(parse::<Clause>(&written), Ok(clause), "{written}");
    }

    #[test]
    fn a_clause_is_said_in_words_and_written_as_it_was_read() {
        check("not: { text_visible: a }", "it is not so that the page shows `a`");
        check(
            "any: [{ url_contains: a }, { all: [{ title_contains: b }, { not: { text_gone: c } }] }]",
            "one of these holds: the address contains `a`; (all of these hold: the title contains `b`; \
             it is not so that the page shows `c` no more)",
        );
        check("downloaded: a.pdf", "the file `a.pdf` was downloaded");
        check("text_matches: '^Order [0-9]+$'", "the page shows what matches `^Order [0-9]+$`");
        check("count: { selector: .row, is: 0 }", "the page shows 0 times `.row`");
        check("count: { role: row, in: Fox, at_least: 2 }", "the page shows at least 2 times row in `Fox`");
        check("count: { name: a, at_most: 2 }", "the page shows at most 2 times element named `a`");
        check(
            "count: { name_matches: a, at_least: 1, at_most: 2 }",
            "the page shows 1 to 2 times element whose name matches `a`",
        );
        check("element: { selector: '#a', is: focused }", "the `#a` is focused");
        check("element: { name: a, role: textbox, value: '' }", "the textbox named `a` holds ``");
        check("element: { name: a, nth: 2, text: b }", "the element named `a`, number 2, shows `b`");
        check("element: { selector: a, attribute: { name: href, is: /x } }", "the `a` has `href=\"/x\"`");
    }

    #[test]
    fn what_is_wrong_with_a_clause_is_said_with_its_line() {
        for (clause, words) in [
            ("element: { name: a }", "asks one thing"),
            ("element: { name: a, is: visible, value: b }", "asks one thing"),
            ("element: { is: visible }", "needs a `selector`"),
            ("element: { selector: a, name: b, is: visible }", "not both"),
            ("element: { name: a, text: ' ' }", "`text` is empty"),
            ("element: { name: a, attribute: { name: '', is: b } }", "`attribute` is empty"),
            ("element: { name: a, attribute: b }", "AttributeClause"),
            ("element: { name: a, nth: 0, is: visible }", "counts from 1"),
            ("count: { selector: a }", "says how many"),
            ("count: { selector: a, is: 1, at_least: 1 }", "says how many"),
            ("count: { selector: a, at_least: 3, at_most: 2 }", "can never hold"),
            ("count: { selector: a, at_least: 0 }", "always holds"),
            ("count: { is: 1 }", "needs a `selector`"),
            ("count: { selector: a, nth: 2, is: 1 }", "unknown field `nth`"),
            ("downloaded: { path: a }", "unknown field `path`"),
            ("not: [{ text_visible: a }]", "invalid"),
            ("any: { text_visible: a }", "sequence"),
        ] {
            let error = parse::<Clause>(&format!("\n\n{clause}")).unwrap_err();
            assert!(error.contains(words) && error.contains("at line 3"), "{clause}: {error}");
        }
        for (clause, words) in [
            ("any: []", "`any` has no clause"),
            ("all: []", "`all` has no clause"),
            ("downloaded: ''", "`name` is empty"),
            ("not: { text_visible: '' }", "`text_visible` is empty"),
            ("any: [{ url_contains: a }, { all: [{ text_matches: '(' }] }]", "is no pattern"),
        ] {
            let fault = parse::<Clause>(clause).unwrap().fault().unwrap();
            assert!(fault.contains(words), "{clause}: {fault}");
        }
    }

    #[test]
    fn a_clause_may_have_a_time_of_its_own() {
        let plain = || Clause::Not(Box::new(Clause::UrlContains("a".to_owned())));
        for (yaml, within_secs) in [
            ("not: { url_contains: a }", None),
            ("{ that: { not: { url_contains: a } }, within_secs: 2.5 }", Some(2.5)),
            ("{ within_secs: 3, that: { not: { url_contains: a } } }", Some(3.0)),
            ("that: { not: { url_contains: a } }", None),
        ] {
            let timed = TimedClause { clause: plain(), within_secs };
            assert_eq!(parse::<TimedClause>(yaml), Ok(timed.clone()), "{yaml}");
            let json = serde_json::to_string(&timed).unwrap();
            assert_eq!(serde_json::from_str::<TimedClause>(&json).unwrap(), timed);
        }
        for (yaml, words) in [
            ("url_contans: a", "unknown variant `url_contans`"),
            ("{ that: { url_contans: a } }", "unknown variant `url_contans`"),
            ("{ within_secs: 3 }", "missing field `that`"),
            ("{ that: { url_contains: a }, within: 3 }", "unknown field `within`"),
            ("{ url_contains: a, title_contains: b }", ""),
            ("{}", "a clause is missing"),
            ("a", "a clause, or"),
        ] {
            let error = parse::<TimedClause>(yaml).unwrap_err();
            assert!(error.contains(words), "{yaml}: {error}");
        }
    }
}
