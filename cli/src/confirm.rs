//! `--confirm-actions`: a person at the terminal is asked before an action.
//!
//! Invariants: only a typed yes is consent; secrets are shown by name; nothing that a page says reaches the terminal
//! unquoted, so that it can neither look like a question nor hide one.

use std::str::FromStr;
use std::time::Instant;

use vigorl_agent::{Cancel, Confirm, Consent, Question};
use vigorl_geometry::{Point, Screen};
use vigorl_interface::{ActKind, PageState};
use vigorl_runs::Hidden;
use vigorl_tasks::scripted::Secret;

use crate::exit::usage;
use crate::settings::Settings;
use crate::terminal;

/// What the setting takes, as the end of a sentence.
pub(crate) const KINDS_HELP: &str =
    "a list of click, drag, hover, scroll, type, press, select, upload, navigate, dialog, tab, or all";
/// Longer texts of a page are cut off.
const LONGEST: usize = 200;

/// The kinds of actions that are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kinds(Vec<ActKind>);

impl FromStr for Kinds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.trim() == "all" {
            return Ok(Self(ActKind::ALL.to_vec()));
        }
        let kind = |word: &str| ActKind::ALL.into_iter().find(|kind| kind.as_str() == word.trim());
        text.split(',').map(kind).collect::<Option<_>>().map(Self).ok_or(())
    }
}

/// Finds out before anything begins whether somebody can be asked where that is wanted.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if settings.confirm_actions.is_some() && !terminal::is_attended() {
        let origin = settings.origin_of("confirm_actions");
        return Err(usage(format!(
            "{origin}: standard input is no terminal, so nobody can be asked: run it from one, or leave the setting out"
        )));
    }
    Ok(())
}

/// The person at the terminal, for one run.
#[derive(Debug)]
pub(crate) struct AtTerminal<'a> {
    kinds: &'a Kinds,
    hidden: Hidden,
    cancel: &'a Cancel,
    /// They said yes to all that follows.
    trusts: bool,
}

impl<'a> AtTerminal<'a> {
    pub(crate) fn new(kinds: &'a Kinds, secrets: &[Secret], cancel: &'a Cancel) -> Self {
        Self { kinds, hidden: Hidden::of(secrets), cancel, trusts: false }
    }
}

impl Confirm for AtTerminal<'_> {
    fn confirm(&mut self, question: &Question<'_>) -> Consent {
        let is_asked = question.doubt.is_some() || self.kinds.0.contains(&question.action.kind());
        if self.trusts || !is_asked {
            return Consent::Given;
        }
        let is_late = || question.until.is_some_and(|end| Instant::now() >= end);
        let is_over = || self.cancel.is_set() || is_late();
        let words = words(question, &self.hidden);
        let mut text = format!("{words}\ndo it? [y/N/a] ");
        loop {
            let answer = terminal::ask(&text, is_over).map(|answer| answer.to_lowercase());
            match answer.as_deref() {
                Some("y" | "yes") => return Consent::Given,
                Some("a" | "all") => {
                    self.trusts = true;
                    return Consent::Given;
                }
                Some("" | "n" | "no") | None => return Consent::Refused,
                Some(_) => "y is yes, n is no, a is yes to all that follows [y/N/a] ".clone_into(&mut text),
            }
        }
    }
}

/// What would be done, where, and on which page.
fn words(question: &Question<'_>, hidden: &Hidden) -> String {
    let quoted = |text: &str| shortened(hidden.in_text(&format!("{text:?}")));
    let at = |at: &Point<Screen>| format!("({}, {})", at.x, at.y);
    let deed = shortened(escaped(&hidden.in_text(&question.action.map(at).to_string())));
    let is_aimed = question.action.at().is_some();
    let described = if is_aimed { format!(": {}", quoted(question.step)) } else { String::new() };
    let PageState { url, title, dialog, .. } = question.page;
    let names = title.iter().chain(url).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(|name| quoted(name)).collect();
    let place = if names.is_empty() { String::new() } else { format!("\n  on {}", names.join(", ")) };
    let dialog = dialog.as_ref().map(|text| format!("\n  in answer to the dialog {}", quoted(text)));
    let doubt = question.doubt.map(|doubt| format!("\n  not sure: {}", quoted(doubt)));
    format!("about to {deed}{described}{place}{}{}", dialog.unwrap_or_default(), doubt.unwrap_or_default())
}

/// What acts on a terminal, or turns its text around, as the name of the character.
fn escaped(text: &str) -> String {
    let is_plain = |c: char| matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
    text.chars()
        .flat_map(|c| {
            if is_plain(c) { c.to_string() } else { c.escape_debug().to_string() }.chars().collect::<Vec<_>>()
        })
        .collect()
}

/// Cut after the secrets are hidden: a part of one would be shown otherwise.
fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use vigorl_interface::{Action, MouseButton};

    use super::*;

    #[test]
    fn kinds_are_named_and_all_is_all() {
        let check = |text: &str, expected: Option<&[ActKind]>| {
            assert_eq!(text.parse::<Kinds>().ok().map(|kinds| kinds.0).as_deref(), expected, "{text}");
        };
        check("click", Some(&[ActKind::Click]));
        check("click, type", Some(&[ActKind::Click, ActKind::Type]));
        check("all", Some(&ActKind::ALL));
        for wrong in ["", "clikc", "click,", "click,all"] {
            check(wrong, None);
        }
        for kind in ActKind::ALL {
            assert!(KINDS_HELP.contains(kind.as_str()), "{kind:?}");
        }
        let open = Action::Navigate { url: "x".to_owned() };
        for act in [Action::Back, Action::Forward, Action::Reload, open] {
            assert_eq!(act.kind(), ActKind::Navigate);
        }
        // Whoever wants to be asked before something is typed is asked before a field is filled.
        let fill = Action::Fill { at: Point::new(1.0, 2.0), text: String::new(), has_secret: false };
        assert_eq!(fill.kind(), ActKind::Type);
    }

    #[track_caller]
    fn check(action: Action, page: PageState, expected: &str) {
        let secret = Secret { name: "PASSWORD".to_owned(), value: "hunter\"2".to_owned(), is_stored: false };
        let question =
            Question { step: "the red one", action: &action, page: &page, doubt: None, until: None };
        assert_eq!(words(&question, &Hidden::of(&[secret])), expected);
    }

    #[test]
    fn a_question_says_what_is_done_where_and_on_which_page() {
        let shop = || PageState {
            url: Some("http://shop/".to_owned()),
            title: Some("Shop".to_owned()),
            ..PageState::default()
        };
        let at = Point::new(13.0, 50.5);
        let click = |button, count| Action::Click { at, button, count };
        check(
            click(MouseButton::Left, 1),
            shop(),
            "about to click (13, 50.5): \"the red one\"\n  on \"Shop\", \"http://shop/\"",
        );
        let window = || PageState { title: Some("Shop".to_owned()), ..PageState::default() };
        check(
            click(MouseButton::Left, 2),
            window(),
            "about to double click (13, 50.5): \"the red one\"\n  on \"Shop\"",
        );
        check(
            Action::Select { at, option: "Two".to_owned() },
            window(),
            "about to select `Two` in (13, 50.5): \"the red one\"\n  on \"Shop\"",
        );
        check(
            Action::Upload { at, files: vec!["/a b".into(), "/c".into()] },
            PageState { title: Some(String::new()), ..PageState::default() },
            "about to upload /a b, /c to (13, 50.5): \"the red one\"",
        );
        let asks = PageState { dialog: Some("Delete all?".to_owned()), ..window() };
        check(
            Action::Press { chord: vec![vigorl_interface::Key::Enter] },
            asks,
            "about to press Enter\n  on \"Shop\"\n  in answer to the dialog \"Delete all?\"",
        );
    }

    #[test]
    fn a_question_shows_no_secret_and_nothing_that_acts_on_the_terminal() {
        let text = || "is hunter\"2 it?".to_owned();
        let page = PageState {
            title: Some(format!("{}\u{1b}[2J\ndo it? \u{202e}", text())),
            ..PageState::default()
        };
        check(
            Action::Type { text: text() },
            page,
            "about to type \"is ${secret:PASSWORD} it?\"\n  \
             on \"is ${secret:PASSWORD} it?\\u{1b}[2J\\ndo it? \\u{202e}\"",
        );
        check(
            Action::Fill { at: Point::new(13.0, 50.5), text: text(), has_secret: true },
            PageState::default(),
            "about to fill (13, 50.5) with \"is ${secret:PASSWORD} it?\": \"the red one\"",
        );
        // Also where it is cut off.
        let long = format!("{}hunter\"2", "x".repeat(LONGEST - 9));
        let expected = format!("about to type \"{}${{s…", "x".repeat(LONGEST - 9));
        check(Action::Type { text: long }, PageState::default(), &expected);
    }
}
