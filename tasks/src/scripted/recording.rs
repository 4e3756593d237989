//! A task written down while a person does it.
//!
//! Invariant: what was typed is one step as long as nothing else is done; a password is never known here.

use serde::Deserialize;
use vigorl_interface::{Key, parse_chord};

use super::{Chord, DragStep, Place, ScrollStep, SelectStep, Step, Target, UploadStep};

/// What a person did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum PersonDeed {
    /// Clicked; the second click of a double click counts 2.
    Click {
        /// What.
        target: Target,
        /// With which button.
        button: PersonButton,
        /// The how manieth click at this place.
        count: u8,
    },
    /// Dragged one thing onto another.
    Drag {
        /// What.
        from: Target,
        /// Where to.
        to: Target,
    },
    /// Turned the wheel.
    Scroll {
        /// Over what.
        target: Target,
        /// Screenshot pixels downwards.
        by: f64,
    },
    /// Chose an option.
    Select {
        /// In which list.
        target: Target,
        /// Its text.
        option: String,
    },
    /// Chose files.
    Upload {
        /// In which field.
        target: Target,
        /// Their names; a page does not know their folder.
        files: Vec<String>,
    },
    /// Typed or pasted text.
    Text {
        /// The characters.
        text: String,
    },
    /// Typed something into a password field.
    Secret,
    /// Pressed keys that type nothing.
    Press {
        /// Such as `Control+a`.
        chord: String,
    },
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonButton {
    /// The primary one.
    Left,
    /// That of the context menu.
    Right,
}

/// What stands for a password: filled in when the task runs.
const SECRET: &str = "${secret:PASSWORD}";

/// The script that makes a page tell what a person does in it, on lines that begin with `prefix`.
pub fn listener(prefix: &str) -> String {
    let prefix = serde_json::Value::from(prefix);
    let (names, listens) = (include_str!("target.js"), include_str!("record.js"));
    format!("(() => {{\nconst prefix = {prefix};\n{names}\n{listens}\n}})();")
}

/// Steps so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    steps: Vec<Step>,
    /// Whether the last step is text that may go on.
    types: bool,
}

impl Recording {
    /// Adds what was done. Keys that no task can press are left out.
    pub fn add(&mut self, deed: PersonDeed) {
        let types = matches!(deed, PersonDeed::Text { .. } | PersonDeed::Secret);
        match deed {
            PersonDeed::Text { text } => self.type_on(&text),
            // A password is one text, however many keys it took.
            PersonDeed::Secret => {
                if !matches!(self.typed(), Some(text) if text.ends_with(SECRET)) {
                    self.type_on(SECRET);
                }
            }
            PersonDeed::Press { chord } => {
                if chord == "Backspace" && self.take_back() {
                    return;
                }
                if let Ok(keys) = parse_chord(&chord) {
                    self.steps.push(Step::Press(Chord(keys)));
                }
            }
            PersonDeed::Click { target, button, count } => self.click(target, button, count),
            PersonDeed::Drag { from, to } => self.steps.push(Step::Drag(DragStep { from, to })),
            PersonDeed::Scroll { target, by } => match self.steps.last_mut() {
                Some(Step::Scroll(last)) if last.target == target => last.by += by,
                _ => self.steps.push(Step::Scroll(ScrollStep { target, by })),
            },
            PersonDeed::Select { target, option } => {
                self.forget_clicks_on(&target);
                self.steps.push(Step::Select(SelectStep { target, option }));
            }
            PersonDeed::Upload { target, files } => {
                self.forget_clicks_on(&target);
                self.steps.push(Step::Upload(UploadStep { target, files }));
            }
        }
        self.types = types;
    }

    fn click(&mut self, target: Target, button: PersonButton, count: u8) {
        let again = matches!(self.steps.last(), Some(Step::Click(last)) if *last == target);
        match (button, count) {
            (PersonButton::Right, _) => self.steps.push(Step::RightClick(target)),
            (PersonButton::Left, 2) if again => {
                self.steps.pop();
                self.steps.push(Step::DoubleClick(target));
            }
            (PersonButton::Left, _) => self.steps.push(Step::Click(target)),
        }
    }

    /// The clicks that opened a list or a dialog of files are part of choosing.
    fn forget_clicks_on(&mut self, target: &Target) {
        while matches!(self.steps.last(), Some(Step::Click(last)) if last == target) {
            self.steps.pop();
        }
    }

    fn typed(&self) -> Option<&String> {
        match self.steps.last() {
            Some(Step::Type(text)) if self.types => Some(text),
            _ => None,
        }
    }

    fn type_on(&mut self, more: &str) {
        // What a person types must not read as a variable.
        let more = if more == SECRET { more.to_owned() } else { more.replace("${", "$${") };
        match self.steps.last_mut() {
            Some(Step::Type(text)) if self.types => text.push_str(&more),
            _ => self.steps.push(Step::Type(more)),
        }
    }

    /// Takes the last character back that was typed in this step; false if there is none.
    fn take_back(&mut self) -> bool {
        let Some(Step::Type(text)) = self.steps.last_mut().filter(|_| self.types) else { return false };
        if text.ends_with(SECRET) {
            return false;
        }
        text.pop();
        if text.is_empty() {
            self.steps.pop();
            self.types = false;
        }
        true
    }

    /// The steps, without what ended the recording, such as keys that close the window.
    pub fn into_steps(mut self) -> Vec<Step> {
        let closes =
            [[Key::Control, Key::Char('w')], [Key::Control, Key::Char('q')], [Key::Alt, Key::Function(4)]];
        let is_end =
            |step: &Step| matches!(step, Step::Press(Chord(keys)) if closes.iter().any(|end| keys == end));
        if self.steps.last().is_some_and(is_end) {
            self.steps.pop();
        }
        self.steps
    }
}

impl Target {
    /// What a picture shows, at a pixel of the screenshot that it was cut from.
    pub fn pictured(description: String, file: std::path::PathBuf, at: [f64; 2]) -> Self {
        Self { description, place: Some(Place::Picture { file, near: Some(at) }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(deeds: &str, expected: &[Step]) {
        let mut recording = Recording::default();
        for deed in deeds.lines().map(str::trim).filter(|line| !line.is_empty()) {
            recording.add(serde_json::from_str(deed).unwrap());
        }
        assert_eq!(recording.into_steps(), expected);
    }

    fn typed(text: &str) -> Step {
        Step::Type(text.to_owned())
    }

    fn pressed(chord: &str) -> Step {
        Step::Press(Chord(parse_chord(chord).unwrap()))
    }

    #[test]
    fn keys_become_text_until_something_else_is_done() {
        check(
            r#"{"deed": "text", "text": "a"}
               {"deed": "text", "text": "b$"}
               {"deed": "press", "chord": "Backspace"}
               {"deed": "text", "text": "c ${x}"}
               {"deed": "press", "chord": "Enter"}
               {"deed": "press", "chord": "Backspace"}
               {"deed": "text", "text": "d"}
               {"deed": "press", "chord": "Backspace"}
               {"deed": "press", "chord": "Control+w"}"#,
            &[typed("abc $${x}"), pressed("Enter"), pressed("Backspace")],
        );
    }

    #[test]
    fn passwords_are_one_secret() {
        check(
            r#"{"deed": "secret"}
               {"deed": "secret"}
               {"deed": "press", "chord": "Backspace"}
               {"deed": "press", "chord": "Tab"}
               {"deed": "press", "chord": "Nonsense"}"#,
            &[typed(SECRET), pressed("Backspace"), pressed("Tab")],
        );
    }

    #[test]
    fn clicks_become_what_they_were_for() {
        let on = |name: &str| Target {
            description: name.to_owned(),
            place: Some(Place::Selector(format!("#{name}"))),
        };
        check(
            r##"{"deed": "click", "target": {"what": "a", "selector": "#a"}, "button": "left", "count": 1}
               {"deed": "click", "target": {"what": "a", "selector": "#a"}, "button": "left", "count": 2}
               {"deed": "click", "target": {"what": "a", "selector": "#a"}, "button": "right", "count": 1}
               {"deed": "click", "target": {"what": "b", "selector": "#b"}, "button": "left", "count": 1}
               {"deed": "select", "target": {"what": "b", "selector": "#b"}, "option": "two"}
               {"deed": "scroll", "target": {"what": "b", "selector": "#b"}, "by": 100}
               {"deed": "scroll", "target": {"what": "b", "selector": "#b"}, "by": 20}"##,
            &[
                Step::DoubleClick(on("a")),
                Step::RightClick(on("a")),
                Step::Select(SelectStep { target: on("b"), option: "two".to_owned() }),
                Step::Scroll(ScrollStep { target: on("b"), by: 120.0 }),
            ],
        );
    }
}
