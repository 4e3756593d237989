//! What can be done to a screen: the one vocabulary, from a task's step to the driver's hands and the record.
//!
//! Invariant: an [`Act`] is the same act whatever it is aimed at. A task aims at descriptions, a driver at screenshot
//! pixels, a record at numbers; [`Act::try_map`] is the only way from one to another.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use vigorl_geometry::{Point, Screen};

use crate::chord::{as_chord, print_chord, read_chord};
use crate::tab::WhichTab;

/// A mouse button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MouseButton {
    /// The primary button.
    Left,
    /// The wheel button.
    Middle,
    /// The context-menu button.
    Right,
}

/// A key of a chord: a named key or the character it types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those on the keyboard")]
pub enum Key {
    Char(char),
    Enter,
    Tab,
    Escape,
    Backspace,
    Delete,
    Space,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Insert,
    Control,
    Shift,
    Alt,
    Meta,
    /// F1 to F12.
    Function(u8),
}

impl Key {
    /// Whether it changes what other keys and buttons do while it is down.
    pub fn is_modifier(self) -> bool {
        matches!(self, Self::Control | Self::Shift | Self::Alt | Self::Meta)
    }
}

/// One thing done to the screen, aimed at places `P`. A driver executes it whole or refuses it with an error; nothing
/// is ignored.
///
/// Its JSON is the form of run directories: the fields below, and `type` names the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Act<P> {
    /// Press and release `button` at a place, `count` times (2 is a double click).
    Click {
        /// Where.
        at: P,
        /// Which button.
        button: MouseButton,
        /// How often.
        count: u8,
    },
    /// Click while keys are held, or with the button held down for a while.
    HeldClick {
        /// Where.
        at: P,
        /// Which button.
        button: MouseButton,
        /// How often.
        count: u8,
        /// The modifiers that are down meanwhile.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            serialize_with = "as_chord",
            deserialize_with = "read_chord"
        )]
        keys: Vec<Key>,
        /// Milliseconds between each press and its release.
        #[serde(default, skip_serializing_if = "is_zero")]
        hold_ms: u32,
    },
    /// Move the pointer.
    Hover {
        /// Where to.
        at: P,
    },
    /// Press the left button at one place and release it at another, over places between them and as slowly as a hand in
    /// a hurry.
    Drag {
        /// Where the button goes down.
        from: P,
        /// Where it is released.
        to: P,
    },
    /// Turn the wheel with the pointer at a place; positive is right and down.
    Scroll {
        /// Where the pointer is.
        at: P,
        /// Horizontal distance in screenshot pixels.
        #[serde(serialize_with = "plain")]
        dx_px: f64,
        /// Vertical distance in screenshot pixels.
        #[serde(serialize_with = "plain")]
        dy_px: f64,
    },
    /// Bring a place into view. Whoever aims does that, so at a place on the screenshot nothing is left to do.
    ScrollTo {
        /// What.
        at: P,
    },
    /// Put a text in the place of what stands in a field, as a person does: the field gets the focus, all of it is
    /// selected, the text is typed, and it is looked up what stands there then. If that is not the text, and not the text
    /// as the page formats it, this is refused, with what stands there. Where keys would write something else (a date, a
    /// time, a color, a range), the value is set by a script, and a [`Note`](crate::Note) says so.
    Fill {
        /// A point of the field or of its label.
        at: P,
        /// The text; an empty one empties the field.
        text: String,
        /// Whether a secret is in the text: then nothing tells what stands in the field.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        has_secret: bool,
    },
    /// Type text into whatever has the focus, any Unicode. A line break is the Enter key. A tab is inserted and
    /// does not move the focus. Other control characters are refused.
    Type {
        /// The text, typed exactly.
        text: String,
    },
    /// Press keys together, release in reverse order.
    Press {
        /// Modifiers first.
        #[serde(serialize_with = "as_chord", deserialize_with = "read_chord")]
        chord: Vec<Key>,
    },
    /// Choose an option of the native list at a place: the list that opens is drawn by the system, so no screenshot of
    /// a page shows it.
    Select {
        /// A point of the list.
        at: P,
        /// The option's text.
        option: String,
    },
    /// Hand files to the native file field at a place, as its system dialog would.
    Upload {
        /// A point of the field or of its label.
        at: P,
        /// The files; a driver takes absolute paths.
        files: Vec<PathBuf>,
    },
    /// Load a URL in the current tab.
    Navigate {
        /// The URL; one without a scheme is relative to the page that is open, or begins with a host and its port.
        url: String,
    },
    /// Go back in the tab's history.
    Back,
    /// Go forward in it, to where one came back from.
    Forward,
    /// Load the page of the tab again.
    Reload,
    /// Accept or dismiss the open dialog.
    AnswerDialog {
        /// Whether it is accepted.
        accept: bool,
        /// What is typed into a prompt first.
        text: Option<String>,
    },
    /// Open a new tab and make it current.
    OpenTab,
    /// Make a tab current.
    SwitchTab {
        /// Which one.
        tab: WhichTab,
    },
    /// Close the current tab; another one becomes current. The last one cannot be closed.
    CloseTab,
}

/// What a driver executes: an act aimed at pixels of its latest screenshot.
pub type Action = Act<Point<Screen>>;

/// The kinds of acts, as people name them (`--confirm-actions click,type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the acts")]
pub enum ActKind {
    Click,
    Drag,
    Hover,
    Scroll,
    /// Text is typed, or a field is filled or emptied.
    Type,
    Press,
    Select,
    Upload,
    /// A page is opened, loaded again, or gone back or forward to.
    Navigate,
    /// A dialog is answered.
    Dialog,
    /// A tab is opened, made current or closed.
    Tab,
}

impl ActKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Click,
        Self::Drag,
        Self::Hover,
        Self::Scroll,
        Self::Type,
        Self::Press,
        Self::Select,
        Self::Upload,
        Self::Navigate,
        Self::Dialog,
        Self::Tab,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Drag => "drag",
            Self::Hover => "hover",
            Self::Scroll => "scroll",
            Self::Type => "type",
            Self::Press => "press",
            Self::Select => "select",
            Self::Upload => "upload",
            Self::Navigate => "navigate",
            Self::Dialog => "dialog",
            Self::Tab => "tab",
        }
    }
}

impl<P> Act<P> {
    /// A single click with the primary button.
    pub fn click(at: P) -> Self {
        Self::Click { at, button: MouseButton::Left, count: 1 }
    }

    /// Its kind.
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Click { .. } | Self::HeldClick { .. } => ActKind::Click,
            Self::Hover { .. } => ActKind::Hover,
            Self::Drag { .. } => ActKind::Drag,
            Self::Scroll { .. } | Self::ScrollTo { .. } => ActKind::Scroll,
            Self::Type { .. } | Self::Fill { .. } => ActKind::Type,
            Self::Press { .. } => ActKind::Press,
            Self::Select { .. } => ActKind::Select,
            Self::Upload { .. } => ActKind::Upload,
            Self::Navigate { .. } | Self::Back | Self::Forward | Self::Reload => ActKind::Navigate,
            Self::AnswerDialog { .. } => ActKind::Dialog,
            Self::OpenTab | Self::SwitchTab { .. } | Self::CloseTab => ActKind::Tab,
        }
    }

    /// What stands beside the point where it is done, as a mark on a picture: `double click`, `type`, `open`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Click { count: 2, .. } => "double click",
            Self::Click { button: MouseButton::Right, .. } => "right click",
            Self::Click { button: MouseButton::Middle, .. } => "middle click",
            Self::Fill { text, .. } if text.is_empty() => "clear",
            Self::Fill { .. } => "fill",
            Self::Navigate { .. } => "open",
            Self::Back => "back",
            Self::Forward => "forward",
            Self::Reload => "reload",
            other => other.kind().as_str(),
        }
    }

    /// The place where it happens, or begins.
    pub fn at(&self) -> Option<&P> {
        match self {
            Self::Click { at, .. }
            | Self::HeldClick { at, .. }
            | Self::Hover { at }
            | Self::Scroll { at, .. }
            | Self::ScrollTo { at }
            | Self::Fill { at, .. }
            | Self::Select { at, .. }
            | Self::Upload { at, .. }
            | Self::Drag { from: at, .. } => Some(at),
            _ => None,
        }
    }

    /// The place where a drag ends.
    pub fn to(&self) -> Option<&P> {
        match self {
            Self::Drag { to, .. } => Some(to),
            _ => None,
        }
    }

    /// The place where it ends: where its effect is expected.
    pub fn end(&self) -> Option<&P> {
        self.to().or_else(|| self.at())
    }

    /// All places, in the order in which they are reached.
    pub fn places(&self) -> impl Iterator<Item = &P> {
        self.at().into_iter().chain(self.to())
    }

    /// The same, to be changed.
    pub fn places_mut(&mut self) -> Vec<&mut P> {
        match self {
            Self::Click { at, .. }
            | Self::HeldClick { at, .. }
            | Self::Hover { at }
            | Self::Scroll { at, .. }
            | Self::ScrollTo { at }
            | Self::Fill { at, .. }
            | Self::Select { at, .. }
            | Self::Upload { at, .. } => vec![at],
            Self::Drag { from, to } => vec![from, to],
            _ => Vec::new(),
        }
    }

    /// The same act aimed at what `aim` makes of each place, in order.
    ///
    /// # Errors
    /// The first failure of `aim`.
    pub fn try_map<Q, E>(&self, mut aim: impl FnMut(&P) -> Result<Q, E>) -> Result<Act<Q>, E> {
        Ok(match self {
            Self::Click { at, button, count } => Act::Click { at: aim(at)?, button: *button, count: *count },
            Self::HeldClick { at, button, count, keys, hold_ms } => Act::HeldClick {
                at: aim(at)?,
                button: *button,
                count: *count,
                keys: keys.clone(),
                hold_ms: *hold_ms,
            },
            Self::Hover { at } => Act::Hover { at: aim(at)? },
            Self::Drag { from, to } => Act::Drag { from: aim(from)?, to: aim(to)? },
            Self::Scroll { at, dx_px, dy_px } => Act::Scroll { at: aim(at)?, dx_px: *dx_px, dy_px: *dy_px },
            Self::ScrollTo { at } => Act::ScrollTo { at: aim(at)? },
            Self::Fill { at, text, has_secret } => {
                Act::Fill { at: aim(at)?, text: text.clone(), has_secret: *has_secret }
            }
            Self::Select { at, option } => Act::Select { at: aim(at)?, option: option.clone() },
            Self::Upload { at, files } => Act::Upload { at: aim(at)?, files: files.clone() },
            Self::Type { text } => Act::Type { text: text.clone() },
            Self::Press { chord } => Act::Press { chord: chord.clone() },
            Self::Navigate { url } => Act::Navigate { url: url.clone() },
            Self::Back => Act::Back,
            Self::Forward => Act::Forward,
            Self::Reload => Act::Reload,
            Self::AnswerDialog { accept, text } => Act::AnswerDialog { accept: *accept, text: text.clone() },
            Self::OpenTab => Act::OpenTab,
            Self::SwitchTab { tab } => Act::SwitchTab { tab: tab.clone() },
            Self::CloseTab => Act::CloseTab,
        })
    }

    /// As [`Self::try_map`], with an aim that never fails.
    pub fn map<Q>(&self, mut aim: impl FnMut(&P) -> Q) -> Act<Q> {
        match self.try_map(|place| Ok::<Q, std::convert::Infallible>(aim(place))) {
            Ok(act) => act,
        }
    }
}

/// The one wording of an act.
impl<P: fmt::Display> fmt::Display for Act<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Click { at, button, count } => click(f, at, *button, *count),
            Self::HeldClick { at, button, count, keys, hold_ms } => {
                if !keys.is_empty() {
                    write!(f, "{}+", print_chord(keys))?;
                }
                click(f, at, *button, *count)?;
                match hold_ms {
                    0 => Ok(()),
                    ms => write!(f, ", held for {} s", f64::from(*ms) / 1e3),
                }
            }
            Self::Hover { at } => write!(f, "hover over {at}"),
            Self::Drag { from, to } => write!(f, "drag {from} to {to}"),
            Self::Scroll { at, dx_px, dy_px } => write!(f, "scroll {at} by ({dx_px}, {dy_px})"),
            Self::ScrollTo { at } => write!(f, "scroll to {at}"),
            Self::Fill { at, text, .. } if text.is_empty() => write!(f, "clear {at}"),
            Self::Fill { at, text, .. } => write!(f, "fill {at} with {text:?}"),
            Self::Select { at, option } => write!(f, "select `{option}` in {at}"),
            Self::Upload { at, files } => {
                let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                write!(f, "upload {} to {at}", files.join(", "))
            }
            Self::Type { text } => write!(f, "type {text:?}"),
            Self::Press { chord } => write!(f, "press {}", print_chord(chord)),
            Self::Navigate { url } => write!(f, "open {url}"),
            Self::Back => f.write_str("go back"),
            Self::Forward => f.write_str("go forward"),
            Self::Reload => f.write_str("load the page again"),
            Self::AnswerDialog { accept: true, text: None } => f.write_str("accept the dialog"),
            Self::AnswerDialog { accept: true, text: Some(text) } => {
                write!(f, "answer the dialog with {text:?}")
            }
            Self::AnswerDialog { accept: false, .. } => f.write_str("dismiss the dialog"),
            Self::OpenTab => f.write_str("open a tab"),
            Self::SwitchTab { tab } => write!(f, "switch to the {tab}"),
            Self::CloseTab => f.write_str("close the tab"),
        }
    }
}

/// The words of a click.
fn click(f: &mut fmt::Formatter<'_>, at: &impl fmt::Display, button: MouseButton, count: u8) -> fmt::Result {
    let button = match button {
        MouseButton::Left => "",
        MouseButton::Middle => "middle ",
        MouseButton::Right => "right ",
    };
    match count {
        1 => write!(f, "{button}click {at}"),
        2 => write!(f, "{button}double click {at}"),
        n => write!(f, "{button}click {at} {n} times"),
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whole numbers without `.0`, as in all records.
fn plain<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        to.serialize_i64(*number as i64)
    } else {
        to.serialize_f64(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TabId, TabSearch};

    fn all() -> Vec<Act<String>> {
        let at = || "a".to_owned();
        vec![
            Act::click(at()),
            Act::Click { at: at(), button: MouseButton::Right, count: 2 },
            Act::HeldClick {
                at: at(),
                button: MouseButton::Middle,
                count: 1,
                keys: vec![Key::Control, Key::Shift],
                hold_ms: 800,
            },
            Act::HeldClick { at: at(), button: MouseButton::Left, count: 3, keys: Vec::new(), hold_ms: 1500 },
            Act::Hover { at: at() },
            Act::Drag { from: at(), to: "b".to_owned() },
            Act::Scroll { at: at(), dx_px: 0.0, dy_px: -2.5 },
            Act::ScrollTo { at: at() },
            Act::Fill { at: at(), text: "t".to_owned(), has_secret: true },
            Act::Fill { at: at(), text: String::new(), has_secret: false },
            Act::Type { text: "t".to_owned() },
            Act::Press { chord: vec![Key::Control, Key::Char('a')] },
            Act::Select { at: at(), option: "o".to_owned() },
            Act::Upload { at: at(), files: vec![PathBuf::from("f")] },
            Act::Navigate { url: "u".to_owned() },
            Act::Back,
            Act::Forward,
            Act::Reload,
            Act::AnswerDialog { accept: false, text: None },
            Act::OpenTab,
            Act::SwitchTab { tab: TabId("t".to_owned()).into() },
            Act::SwitchTab { tab: TabSearch::TitleContains("x".to_owned()).into() },
            Act::SwitchTab { tab: TabSearch::Index(2).into() },
            Act::CloseTab,
        ]
    }

    #[test]
    fn an_act_survives_its_record_and_an_aim() {
        for act in all() {
            let json = serde_json::to_string(&act).unwrap();
            assert_eq!(serde_json::from_str::<Act<String>>(&json).unwrap(), act, "{json}");
            assert_eq!(act.map(String::clone), act);
            assert_eq!(act.clone().places_mut().len(), act.places().count(), "{act}");
            assert_eq!(act.try_map(|_| Err::<(), ()>(())).is_err(), act.at().is_some(), "{act}");
        }
    }

    #[test]
    fn a_record_of_an_act_has_the_form_of_run_directories() {
        let check = |act: Act<[i32; 2]>, json: &str| assert_eq!(serde_json::to_string(&act).unwrap(), json);
        check(Act::click([130, 50]), r#"{"type":"click","at":[130,50],"button":"left","count":1}"#);
        check(
            Act::Scroll { at: [1, 2], dx_px: 0.0, dy_px: 40.0 },
            r#"{"type":"scroll","at":[1,2],"dx_px":0,"dy_px":40}"#,
        );
        check(
            Act::Press { chord: vec![Key::Control, Key::Char('a')] },
            r#"{"type":"press","chord":"Control+a"}"#,
        );
        check(Act::Back, r#"{"type":"back"}"#);
        let held = |keys: Vec<Key>, hold_ms| Act::HeldClick {
            at: [1, 2],
            button: MouseButton::Left,
            count: 1,
            keys,
            hold_ms,
        };
        check(
            held(vec![Key::Control, Key::Shift], 0),
            r#"{"type":"held_click","at":[1,2],"button":"left","count":1,"keys":"Control+Shift"}"#,
        );
        check(
            held(Vec::new(), 800),
            r#"{"type":"held_click","at":[1,2],"button":"left","count":1,"hold_ms":800}"#,
        );
        let fill = |has_secret| Act::Fill { at: [1, 2], text: "t".to_owned(), has_secret };
        check(fill(false), r#"{"type":"fill","at":[1,2],"text":"t"}"#);
        check(fill(true), r#"{"type":"fill","at":[1,2],"text":"t","has_secret":true}"#);
        let tab = |tab: WhichTab| Act::SwitchTab { tab };
        check(tab(TabId("t".to_owned()).into()), r#"{"type":"switch_tab","tab":"t"}"#);
        check(
            tab(TabSearch::UrlContains("x".to_owned()).into()),
            r#"{"type":"switch_tab","tab":{"url_contains":"x"}}"#,
        );
    }

    #[test]
    fn every_act_has_its_words_and_a_kind_of_the_list() {
        let words: Vec<String> = all().iter().map(ToString::to_string).collect();
        let expected = [
            "click a",
            "right double click a",
            "Control+Shift+middle click a, held for 0.8 s",
            "click a 3 times, held for 1.5 s",
            "hover over a",
            "drag a to b",
            "scroll a by (0, -2.5)",
            "scroll to a",
            "fill a with \"t\"",
            "clear a",
            "type \"t\"",
            "press Control+a",
            "select `o` in a",
            "upload f to a",
            "open u",
            "go back",
            "go forward",
            "load the page again",
            "dismiss the dialog",
            "open a tab",
            "switch to the tab t",
            "switch to the tab whose title contains `x`",
            "switch to the tab number 2",
            "close the tab",
        ];
        assert_eq!(words, expected);
        assert!(all().iter().all(|act| ActKind::ALL.contains(&act.kind())));
        let verbs: Vec<&str> = all().iter().map(Act::verb).collect();
        let aimed =
            ["click", "double click", "click", "click", "hover", "drag", "scroll", "scroll", "fill", "clear"];
        assert_eq!(verbs[..10], aimed);
        assert_eq!(
            verbs[14..],
            ["open", "back", "forward", "reload", "dialog", "tab", "tab", "tab", "tab", "tab"]
        );
        assert!(ActKind::ALL.iter().all(|kind| all().iter().any(|act| act.kind() == *kind)));
    }
}
