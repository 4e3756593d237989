//! What can be done to a screen: the one vocabulary, from a task's step to the driver's hands and the record.
//!
//! Invariant: an [`Act`] is the same act whatever it is aimed at. A task aims at descriptions, a driver at screenshot
//! pixels, a record at numbers; [`Act::try_map`] is the only way from one to another.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use vigorl_geometry::{Point, Screen};

use crate::TabId;
use crate::chord::{as_chord, print_chord, read_chord};

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
    /// Move the pointer.
    Hover {
        /// Where to.
        at: P,
    },
    /// Press the left button at one place and release it at another.
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
        /// The URL.
        url: String,
    },
    /// Go back in the tab's history.
    Back,
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
        /// One of [`Driver::tabs`](crate::Driver::tabs).
        tab: TabId,
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
    Type,
    Press,
    Select,
    Upload,
    /// A page is opened, or gone back to.
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
            Self::Click { .. } => ActKind::Click,
            Self::Hover { .. } => ActKind::Hover,
            Self::Drag { .. } => ActKind::Drag,
            Self::Scroll { .. } => ActKind::Scroll,
            Self::Type { .. } => ActKind::Type,
            Self::Press { .. } => ActKind::Press,
            Self::Select { .. } => ActKind::Select,
            Self::Upload { .. } => ActKind::Upload,
            Self::Navigate { .. } | Self::Back => ActKind::Navigate,
            Self::AnswerDialog { .. } => ActKind::Dialog,
            Self::OpenTab | Self::SwitchTab { .. } | Self::CloseTab => ActKind::Tab,
        }
    }

    /// What stands beside the point where it is done, as a mark on a picture: `double click`, `type`, `open`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Click { count: 2, .. } => "double click",
            Self::Click { button: MouseButton::Right, .. } => "right click",
            Self::Navigate { .. } => "open",
            Self::Back => "back",
            other => other.kind().as_str(),
        }
    }

    /// The place where it happens, or begins.
    pub fn at(&self) -> Option<&P> {
        match self {
            Self::Click { at, .. }
            | Self::Hover { at }
            | Self::Scroll { at, .. }
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
            | Self::Hover { at }
            | Self::Scroll { at, .. }
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
            Self::Hover { at } => Act::Hover { at: aim(at)? },
            Self::Drag { from, to } => Act::Drag { from: aim(from)?, to: aim(to)? },
            Self::Scroll { at, dx_px, dy_px } => Act::Scroll { at: aim(at)?, dx_px: *dx_px, dy_px: *dy_px },
            Self::Select { at, option } => Act::Select { at: aim(at)?, option: option.clone() },
            Self::Upload { at, files } => Act::Upload { at: aim(at)?, files: files.clone() },
            Self::Type { text } => Act::Type { text: text.clone() },
            Self::Press { chord } => Act::Press { chord: chord.clone() },
            Self::Navigate { url } => Act::Navigate { url: url.clone() },
            Self::Back => Act::Back,
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
            Self::Click { at, button, count } => {
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
            Self::Hover { at } => write!(f, "hover over {at}"),
            Self::Drag { from, to } => write!(f, "drag {from} to {to}"),
            Self::Scroll { at, dx_px, dy_px } => write!(f, "scroll {at} by ({dx_px}, {dy_px})"),
            Self::Select { at, option } => write!(f, "select `{option}` in {at}"),
            Self::Upload { at, files } => {
                let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                write!(f, "upload {} to {at}", files.join(", "))
            }
            Self::Type { text } => write!(f, "type {text:?}"),
            Self::Press { chord } => write!(f, "press {}", print_chord(chord)),
            Self::Navigate { url } => write!(f, "open {url}"),
            Self::Back => f.write_str("go back"),
            Self::AnswerDialog { accept: true, text: None } => f.write_str("accept the dialog"),
            Self::AnswerDialog { accept: true, text: Some(text) } => {
                write!(f, "answer the dialog with {text:?}")
            }
            Self::AnswerDialog { accept: false, .. } => f.write_str("dismiss the dialog"),
            Self::OpenTab => f.write_str("open a tab"),
            Self::SwitchTab { tab } => write!(f, "switch to the tab {}", tab.0),
            Self::CloseTab => f.write_str("close the tab"),
        }
    }
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

    fn all() -> Vec<Act<String>> {
        let at = || "a".to_owned();
        vec![
            Act::click(at()),
            Act::Click { at: at(), button: MouseButton::Right, count: 2 },
            Act::Hover { at: at() },
            Act::Drag { from: at(), to: "b".to_owned() },
            Act::Scroll { at: at(), dx_px: 0.0, dy_px: -2.5 },
            Act::Type { text: "t".to_owned() },
            Act::Press { chord: vec![Key::Control, Key::Char('a')] },
            Act::Select { at: at(), option: "o".to_owned() },
            Act::Upload { at: at(), files: vec![PathBuf::from("f")] },
            Act::Navigate { url: "u".to_owned() },
            Act::Back,
            Act::AnswerDialog { accept: false, text: None },
            Act::OpenTab,
            Act::SwitchTab { tab: TabId("t".to_owned()) },
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
    }

    #[test]
    fn every_act_has_its_words_and_a_kind_of_the_list() {
        let words: Vec<String> = all().iter().map(ToString::to_string).collect();
        let expected = [
            "click a",
            "right double click a",
            "hover over a",
            "drag a to b",
            "scroll a by (0, -2.5)",
            "type \"t\"",
            "press Control+a",
            "select `o` in a",
            "upload f to a",
            "open u",
            "go back",
            "dismiss the dialog",
            "open a tab",
            "switch to the tab t",
            "close the tab",
        ];
        assert_eq!(words, expected);
        assert!(all().iter().all(|act| ActKind::ALL.contains(&act.kind())));
        let verbs: Vec<&str> = all().iter().map(Act::verb).collect();
        assert_eq!(verbs[..5], ["click", "double click", "hover", "drag", "scroll"]);
        assert_eq!(verbs[9..], ["open", "back", "dialog", "tab", "tab", "tab"]);
        assert!(ActKind::ALL.iter().all(|kind| all().iter().any(|act| act.kind() == *kind)));
    }
}
