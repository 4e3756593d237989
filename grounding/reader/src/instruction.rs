//! From an instruction to what it names: a name, a kind, an ordinal, a relation.
//!
//! ```text
//! instruction = [verb] ["the"] [ordinal] named [relation named] | relation named "," instruction
//! named       = name [kind] | kind [called] name | name ["the"] kind | kind, where a relation says which
//!             | description field | kind "that"/"for"/"to" description | kind, where an ordinal says which
//! ordinal     = "first" | "2nd" | "third" | … | "last"
//! relation    = "in the row of" | "in row" | "below" | "under" | "above" | "left of" | "right of" | "next to" | …
//! ```
//!
//! What stands in quotes is meant literally. Every way to take an instruction is tried, the whole as a name first: words
//! such as `in` and `row` are parts of names, too. Invariant: nothing here fails; what makes no sense names nothing.

use crate::description::content;
use crate::spelling::folded;

/// One way to take an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The words that are written on what is meant.
    pub name: String,
    /// Whether they stood in quotes.
    pub is_quoted: bool,
    /// What it is.
    pub kind: Option<Kind>,
    /// Which of several.
    pub nth: Option<Nth>,
    /// Where it is.
    pub relation: Option<Box<(Relation, Self)>>,
    /// Whether the words could as well be a name as a whole: nothing but a word for a kind, or a verb that names begin
    /// with, says that they are an instruction.
    pub is_loose: bool,
    /// Whether the words describe what is meant, and may be only a part of its name.
    pub is_description: bool,
}

/// What a name is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Button,
    Link,
    Tab,
    Field,
    Checkbox,
    Radio,
    Switch,
    Dropdown,
    Option,
    MenuItem,
    Icon,
    Image,
    Heading,
    Badge,
    Text,
    Row,
    Cell,
    /// All that is seen.
    Page,
}

impl Kind {
    /// Whether things of this kind are counted although they have no name: `the second field`.
    fn is_counted(self) -> bool {
        matches!(self, Self::Field)
    }
}

/// Which of several, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nth {
    /// Counted from the top left.
    FromStart(usize),
    /// The one nearest to the bottom right.
    Last,
}

/// Where something is, as seen from something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Relation {
    InRowOf,
    Below,
    Above,
    LeftOf,
    RightOf,
    NextTo,
}

/// Longer words first: the first that fits is taken.
const KINDS: &[(&str, Kind)] = &[
    ("radio button", Kind::Radio),
    ("option button", Kind::Radio),
    ("toggle switch", Kind::Switch),
    ("toggle button", Kind::Button),
    ("push button", Kind::Button),
    ("submit button", Kind::Button),
    ("drop-down menu", Kind::Dropdown),
    ("dropdown menu", Kind::Dropdown),
    ("drop-down list", Kind::Dropdown),
    ("dropdown list", Kind::Dropdown),
    ("select box", Kind::Dropdown),
    ("combo box", Kind::Dropdown),
    ("list box", Kind::Dropdown),
    ("drop-down", Kind::Dropdown),
    ("menu item", Kind::MenuItem),
    ("menu entry", Kind::MenuItem),
    ("menu option", Kind::MenuItem),
    ("list item", Kind::Option),
    ("input field", Kind::Field),
    ("input box", Kind::Field),
    ("text field", Kind::Field),
    ("text area", Kind::Field),
    ("text box", Kind::Field),
    ("text input", Kind::Field),
    ("search field", Kind::Field),
    ("search box", Kind::Field),
    ("entry field", Kind::Field),
    ("check box", Kind::Checkbox),
    ("tick box", Kind::Checkbox),
    ("table row", Kind::Row),
    ("button", Kind::Button),
    ("hyperlink", Kind::Link),
    ("link", Kind::Link),
    ("tab", Kind::Tab),
    ("textbox", Kind::Field),
    ("textarea", Kind::Field),
    ("field", Kind::Field),
    ("input", Kind::Field),
    ("entry", Kind::Field),
    ("box", Kind::Field),
    ("checkbox", Kind::Checkbox),
    ("radio", Kind::Radio),
    ("switch", Kind::Switch),
    ("toggle", Kind::Switch),
    ("dropdown", Kind::Dropdown),
    ("combobox", Kind::Dropdown),
    ("option", Kind::Option),
    ("menuitem", Kind::MenuItem),
    ("menu", Kind::MenuItem),
    ("key", Kind::Button),
    ("icon", Kind::Icon),
    ("image", Kind::Image),
    ("picture", Kind::Image),
    ("badge", Kind::Badge),
    ("heading", Kind::Heading),
    ("header", Kind::Heading),
    ("title", Kind::Heading),
    ("label", Kind::Text),
    ("text", Kind::Text),
    ("word", Kind::Text),
    ("digit", Kind::Text),
    ("number", Kind::Text),
    ("letter", Kind::Text),
    ("character", Kind::Text),
    ("symbol", Kind::Text),
    ("sign", Kind::Text),
    ("list", Kind::Dropdown),
    ("row", Kind::Row),
    ("cell", Kind::Cell),
    ("item", Kind::Option),
];

const RELATIONS: &[(&str, Relation)] = &[
    ("in the same row as", Relation::InRowOf),
    ("in the row called", Relation::InRowOf),
    ("in the row named", Relation::InRowOf),
    ("in the row with", Relation::InRowOf),
    ("in the row for", Relation::InRowOf),
    ("in the row of", Relation::InRowOf),
    ("in the row", Relation::InRowOf),
    ("in row", Relation::InRowOf),
    ("on the row of", Relation::InRowOf),
    ("on the line of", Relation::InRowOf),
    ("to the left of", Relation::LeftOf),
    ("to the right of", Relation::RightOf),
    ("left of", Relation::LeftOf),
    ("right of", Relation::RightOf),
    ("underneath", Relation::Below),
    ("beneath", Relation::Below),
    ("below", Relation::Below),
    ("under", Relation::Below),
    ("above", Relation::Above),
    ("over", Relation::Above),
    ("next to", Relation::NextTo),
    ("beside", Relation::NextTo),
    ("near", Relation::NextTo),
    ("for", Relation::InRowOf),
    ("of", Relation::InRowOf),
];

const ORDINALS: [&str; 10] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

const VERBS: &[&str] = &[
    "double-click on",
    "double-click",
    "right-click on",
    "right-click",
    "click on",
    "click",
    "press",
    "tap on",
    "tap",
    "push",
    "select",
    "choose",
    "open",
    "check",
    "tick",
    "hit",
    "go to",
    "type into",
    "type in",
    "focus",
    "find",
];

/// Verbs that hardly a label begins with, so that a text which does is rather an echo of an instruction.
const COMMANDS: &[&str] = &[
    "double-click",
    "right-click",
    "click",
    "click on",
    "press",
    "tap",
    "push",
    "hit",
    "type into",
    "type in",
];

/// Whether an instruction begins like one, and not like a label.
pub(crate) fn is_command(instruction: &str) -> bool {
    COMMANDS.iter().any(|verb| behind(instruction.trim(), verb).is_some())
}

/// Whether an instruction may be a name as a whole: it begins with no article and with no verb that hardly a label begins
/// with, and quotes nothing.
pub(crate) fn may_be_name(instruction: &str) -> bool {
    let words = instruction.trim();
    let quotes =
        |c: char| QUOTES.iter().any(|(open, close)| (c == *open || c == *close) && !"'‘’".contains(c));
    !is_command(words) && without_article(words).is_none() && !words.contains(quotes)
}

/// The words for a relation.
pub(crate) fn words_for(relation: Relation) -> impl Iterator<Item = &'static str> {
    RELATIONS.iter().filter(move |(_, other)| *other == relation).map(|(words, _)| *words)
}

/// Quotation marks, opening and closing.
const QUOTES: [(char, char); 7] =
    [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('‘', '’'), ('\'', '\''), ('`', '`')];

/// A longer instruction, in bytes, is taken literally.
const LONGEST: usize = 400;

/// All ways to take an instruction, the most literal first.
pub fn interpretations(instruction: &str) -> Vec<Query> {
    let words = instruction.trim();
    let words = Some(words.trim_end_matches('.')).filter(|bare| !bare.is_empty()).unwrap_or(words);
    if let Some(inside) = unquoted(words) {
        // The quotes may be a part of what is written.
        return vec![Query::quoted(words), Query::quoted(inside)];
    }
    let mut all = vec![Query::named(words)];
    // Nobody names one thing in so many words: every word would double the ways to take them.
    if words.len() > LONGEST {
        return all;
    }
    let mut add = |query: Query| {
        let is_something = !query.name.is_empty()
            || query.kind.is_some_and(|kind| kind == Kind::Page || query.relation.is_some())
            || (query.nth.is_some() && query.kind.is_some_and(Kind::is_counted));
        if is_something && !all.contains(&query) {
            all.push(query);
        }
    };
    for (start, is_loose) in starts(words) {
        for (main, relation) in splits(start) {
            for (nth, rest) in ordinals(main) {
                for mut query in named(rest) {
                    query.nth = nth;
                    query.relation = relation.clone();
                    query.is_loose =
                        is_loose && !query.is_quoted && query.name != words && query.relation.is_none();
                    add(query);
                }
            }
        }
    }
    all
}

impl Query {
    fn named(name: &str) -> Self {
        Self {
            name: name.trim().to_owned(),
            is_quoted: false,
            kind: None,
            nth: None,
            relation: None,
            is_loose: false,
            is_description: false,
        }
    }

    fn quoted(name: &str) -> Self {
        Self { is_quoted: true, ..Self::named(name) }
    }

    /// Words that are in the name, or in what the name is about. Names begin with capital letters, or are quoted.
    fn described(kind: Kind, words: &str) -> Option<Self> {
        let is_name = words.chars().any(char::is_uppercase) || unquoted(words.trim()).is_some();
        let query = Self { kind: Some(kind), is_description: true, ..Self::named(words) };
        (!is_name && !content(words).is_empty()).then_some(query)
    }

    /// Whether its name has the name of another way to take the instruction in it, and more.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let [whole, part] = [self, other].map(|query| folded(query.name.chars()).chars);
        !part.is_empty() && whole.len() > part.len() && whole.windows(part.len()).any(|window| window == part)
    }

    /// Whether nothing but a name was understood.
    pub fn is_plain(&self) -> bool {
        self.kind.is_none() && self.nth.is_none() && self.relation.is_none()
    }
}

/// What stands between quotes, if the whole does.
fn unquoted(text: &str) -> Option<&str> {
    let inside = |(open, close): &(char, char)| {
        let inside = text.strip_prefix(*open)?.strip_suffix(*close)?;
        (!inside.is_empty() && !inside.contains([*open, *close])).then_some(inside)
    };
    QUOTES.iter().find_map(inside)
}

/// The text behind `prefix`, if that is followed by white space; case does not count.
fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    let rest = &text[prefix.len()..];
    (head.eq_ignore_ascii_case(prefix) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

fn before<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let tail = text.get(at..)?;
    let rest = &text[..at];
    (tail.eq_ignore_ascii_case(suffix) && rest.ends_with(char::is_whitespace)).then(|| rest.trim_end())
}

/// The text as it is, and without a verb and an article; with each, whether it could be a name as a whole.
fn starts(text: &str) -> Vec<(&str, bool)> {
    let without_verb = VERBS.iter().find_map(|verb| behind(text, verb));
    let mut starts = vec![(text, true)];
    starts.extend(without_verb.map(|rest| (rest, !is_command(text))));
    let bare: Vec<_> = starts.iter().filter_map(|(start, _)| Some((behind(start, "the")?, false))).collect();
    starts.extend(bare);
    starts
}

fn without_article(text: &str) -> Option<&str> {
    ["the", "a", "an", "any"].iter().find_map(|article| behind(text, article))
}

type Related = Option<Box<(Relation, Query)>>;

/// The text without a relation, and each way to split one off. Quotes hold together.
fn splits(text: &str) -> Vec<(&str, Related)> {
    let mut splits = vec![(text, None)];
    let lower = text.to_ascii_lowercase();
    for (words, relation) in RELATIONS {
        // In front, with a comma behind.
        if let Some((other, main)) = behind(text, words).and_then(|rest| rest.split_once(", "))
            && !is_inside_quotes(text, text.len() - main.len() - 1)
        {
            let main = without_article(main).unwrap_or(main);
            let related = anchors(other).into_iter();
            splits.extend(related.map(|query| (main.trim(), Some(Box::new((*relation, query))))));
        }
        let middle = format!(" {words} ");
        for (at, _) in lower.match_indices(&middle) {
            let (main, other) = (&text[..at], text[at + middle.len()..].trim());
            if is_inside_quotes(text, at) || other.is_empty() || main.trim().is_empty() {
                continue;
            }
            for query in anchors(other) {
                splits.push((main.trim(), Some(Box::new((*relation, query)))));
            }
        }
    }
    // `Edit in the Red Fox row`
    if let Some((at, other)) = lower.rfind(" in the ").and_then(|at| Some((at, before(text, "row")?)))
        && let Some(other) = other.get(at + " in the ".len()..).filter(|other| !other.is_empty())
        && !is_inside_quotes(text, at)
    {
        let related = anchors(other).into_iter();
        splits.extend(related.map(|query| (text[..at].trim(), Some(Box::new((Relation::InRowOf, query))))));
    }
    splits
}

/// What a relation is to: a name, with a kind or without.
fn anchors(text: &str) -> Vec<Query> {
    let mut anchors = Vec::new();
    for start in [Some(text), without_article(text)].into_iter().flatten() {
        for query in std::iter::once(whole(start)).chain(named(start)) {
            if !query.name.is_empty() && !query.is_description && !anchors.contains(&query) {
                anchors.push(query);
            }
        }
    }
    anchors
}

fn whole(text: &str) -> Query {
    unquoted(text).map_or_else(|| Query::named(text), Query::quoted)
}

fn is_inside_quotes(text: &str, at: usize) -> bool {
    QUOTES.iter().any(|(open, close)| {
        let marks = |part: &str| part.matches([*open, *close]).count();
        *open != '\'' && marks(&text[..at]) % 2 == 1 && marks(&text[at..]) > 0
    })
}

fn ordinals(text: &str) -> Vec<(Option<Nth>, &str)> {
    let mut found = vec![(None, text)];
    let word = text.split_whitespace().next().unwrap_or_default();
    let rest = text[word.len()..].trim_start();
    let lower = word.to_ascii_lowercase();
    let number = || {
        let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let ending = &lower[digits.len()..];
        ["st", "nd", "rd", "th"].contains(&ending).then(|| digits.parse().ok().filter(|n| *n > 0)).flatten()
    };
    let nth =
        ORDINALS.iter().position(|name| *name == lower).map(|n| n + 1).or_else(number).map(Nth::FromStart);
    let nth = nth.or((lower == "last").then_some(Nth::Last));
    // With a capital letter it begins a name: `First name`.
    let is_lower = !word.starts_with(char::is_uppercase);
    if let (Some(nth), true, false) = (nth, is_lower, rest.is_empty()) {
        found.push((Some(nth), rest));
    }
    found
}

/// What stands between a kind and a name.
const CALLED: &[&str] = &[
    "called",
    "named",
    "labeled",
    "labelled",
    "with the text",
    "with the label",
    "saying",
    "that says",
    "for",
    "of",
    "to",
];

/// What stands between a kind and a description.
const DESCRIBED: &[&str] = &["that", "which", "where", "for", "to"];

/// What all that is seen is called. With a capital letter it is a name.
const PAGES: &[&str] = &["page", "whole page", "screen", "whole screen", "window", "document"];

/// A name with a kind before or behind it, or without one.
fn named(text: &str) -> Vec<Query> {
    let mut found = vec![whole(text)];
    let text = without_article(text).unwrap_or(text);
    let mut add = |kind: Kind, name: &str| found.push(Query { kind: Some(kind), ..whole(name) });
    if let Some((word, kind)) = KINDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
        add(*kind, "");
        // The search box is called so.
        if let Some((name, _)) = word.split_once(' ').filter(|(name, _)| *name == "search") {
            add(*kind, name);
        }
    }
    if PAGES.contains(&text) {
        add(Kind::Page, "");
    }
    if let Some((kind, name)) = KINDS.iter().find_map(|(word, kind)| Some((*kind, before(text, word)?))) {
        let name = without_article(name).unwrap_or(name).trim();
        add(kind, name);
        if matches!(kind, Kind::Field | Kind::Dropdown) {
            found.extend(Query::described(kind, name));
        }
    }
    if let Some((kind, name)) = KINDS.iter().find_map(|(word, kind)| Some((*kind, behind(text, word)?))) {
        found.extend(named_behind(kind, name));
    }
    found
}

/// What stands behind the word for a kind: a name, or a description.
fn named_behind(kind: Kind, text: &str) -> Vec<Query> {
    let name = CALLED.iter().find_map(|word| behind(text, word)).unwrap_or(text);
    // An article may be a part of the name: `the link to the lynx`.
    let bare = without_article(name);
    let mut found: Vec<Query> =
        bare.into_iter().chain([name]).map(|name| Query { kind: Some(kind), ..whole(name.trim()) }).collect();
    if let Some(one) = singular(bare.unwrap_or(name)).filter(|_| kind == Kind::Dropdown) {
        found.push(Query { kind: Some(kind), ..whole(&one) });
    }
    let described = DESCRIBED.iter().find_map(|word| behind(text, word));
    found.extend(described.and_then(|words| Query::described(kind, words)));
    found
}

/// One of several, as a list of them is labelled: of `severities`, `severity`.
fn singular(name: &str) -> Option<String> {
    let stem = name.strip_suffix('s').filter(|stem| stem.len() > 2)?;
    Some(stem.strip_suffix("ie").map_or_else(|| stem.to_owned(), |stem| format!("{stem}y")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &Query) -> String {
        let mut words = format!("{:?}", query.name);
        if let Some(kind) = query.kind {
            words = format!("{words} {kind:?}");
        }
        if query.is_description {
            words = format!("{words} described");
        }
        if let Some(nth) = query.nth {
            words = format!("{words} {nth:?}");
        }
        if let Some(relation) = &query.relation {
            words = format!("{words} {:?} [{}]", relation.0, shown(&relation.1));
        }
        words
    }

    #[track_caller]
    fn check(instruction: &str, expected: &str) {
        let all: Vec<String> = interpretations(instruction).iter().map(shown).collect();
        assert!(all.iter().any(|one| one == expected), "{instruction}: {all:#?}");
    }

    #[test]
    fn every_form_of_the_grammar_is_understood() {
        check("Save", "\"Save\"");
        check("\"Save\"", "\"Save\"");
        check("the Save button", "\"Save\" Button");
        check("Click on the \"Okay\" button.", "\"Okay\" Button");
        check("field \"E-mail\"", "\"E-mail\" Field");
        check("the E-mail text field", "\"E-mail\" Field");
        check("checkbox I agree", "\"I agree\" Checkbox");
        check("the checkbox labelled I agree", "\"I agree\" Checkbox");
        check("the link to the lynx", "\"the lynx\" Link");
        check("the field for a description", "\"description\" Field");
        check("the list of severities", "\"severity\" Dropdown");
        check("the search box", "\"search\" Field");
        check("the link that creates an address book", "\"creates an address book\" Link described");
        check("the field for the user", "\"the user\" Field described");
        check("the file field", "\"file\" Field described");
        check("the page", "\"\" Page");
        check("the second Edit", "\"Edit\" FromStart(2)");
        check("the 3rd Edit link", "\"Edit\" Link FromStart(3)");
        check("the last Edit", "\"Edit\" Last");
        check("Edit in the row of Red Fox", "\"Edit\" InRowOf [\"Red Fox\"]");
        check("the Edit link in the row of \"Red Fox\"", "\"Edit\" Link InRowOf [\"Red Fox\"]");
        check("Delete below Danger zone", "\"Delete\" Below [\"Danger zone\"]");
        check("the field to the right of Name", "\"field\" RightOf [\"Name\"]");
        check(
            "the first Edit button below the Members heading",
            "\"Edit\" Button FromStart(1) Below [\"Members\" Heading]",
        );
    }

    #[test]
    fn the_whole_is_always_a_name_and_comes_first() {
        for words in [
            "Sign in",
            "Terms of use",
            "Log in below the line",
            "The Save button",
            "row",
            "",
            "”“",
            "in in in",
        ] {
            let all = interpretations(words);
            assert!(all[0].is_plain() && (all[0].name == words || words == "”“"), "{words}: {all:?}");
        }
    }

    #[test]
    fn a_name_that_begins_with_an_ordinal_is_a_name() {
        let all = interpretations("First name:");
        assert!(all.iter().all(|query| query.nth.is_none()), "{all:?}");
    }

    #[test]
    fn a_name_with_a_capital_letter_or_in_quotes_is_no_description() {
        for words in
            ["the File field", "the link to Settings", "the field for \"user\"", "the Page", "page 3"]
        {
            let is_other = |query: &Query| query.is_description || query.kind == Some(Kind::Page);
            assert!(!interpretations(words).iter().any(is_other), "{words}");
        }
    }

    #[test]
    fn quotes_hold_together() {
        let all = interpretations("\"Delete below Danger zone\"");
        assert_eq!(all[1], Query::quoted("Delete below Danger zone"));
        assert!(all.iter().all(Query::is_plain));
        for query in interpretations("button \"Edit in the row of A\"") {
            assert!(query.relation.is_none(), "{query:?}");
        }
    }
}
