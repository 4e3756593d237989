//! A task written down while a person does it.
//!
//! Invariant: what was typed is one step as long as nothing else is done; a password is never known here.

use serde::Deserialize;
use vigorl_interface::{Act, Key, MouseButton};

use super::{Place, Step, Target, page};

/// What a person did.
#[expect(clippy::large_enum_variant, reason = "one is held at a time")]
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PersonDeed {
    /// An act. Of a double click the second click counts 2; of files, a page knows only the names.
    Act(Act<Target>),
    /// Something was typed into a password field.
    Secret {
        /// How many characters; a password is one text, however many keys it took.
        secret: usize,
    },
    /// Something that no step says, as a person is told it.
    Remark {
        /// What.
        remark: String,
    },
}

/// What stands for a password: filled in when the task runs.
const SECRET: &str = "${secret:PASSWORD}";

/// The script that makes a page tell what a person does in it, on lines that begin with `prefix`.
pub fn listener(prefix: &str) -> String {
    let prefix = serde_json::Value::from(prefix);
    let (definitions, listens) = (page::definitions_with_texts(), include_str!("record.js"));
    format!("(() => {{\nconst prefix = {prefix};\n{definitions}\n{listens}\n}})();")
}

/// Steps so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    steps: Vec<Act<Target>>,
    /// Whether the last step is text that may go on.
    types: bool,
    /// What the steps do not say.
    remarks: Vec<String>,
}

impl Recording {
    /// Adds what was done. Keys that no task can press are left out.
    pub fn add(&mut self, deed: PersonDeed) {
        let types = matches!(deed, PersonDeed::Act(Act::Type { .. }) | PersonDeed::Secret { .. });
        match deed {
            // A password is one text.
            PersonDeed::Secret { .. } if matches!(self.typed(), Some(text) if text.ends_with(SECRET)) => {}
            PersonDeed::Secret { .. } => self.type_on(SECRET),
            PersonDeed::Remark { remark } => {
                if !self.remarks.contains(&remark) {
                    self.remarks.push(remark);
                }
                return;
            }
            PersonDeed::Act(Act::Press { chord }) if chord == [Key::Backspace] && self.take_back() => return,
            // What a person types must not read as a variable.
            PersonDeed::Act(Act::Type { text }) => self.type_on(&text.replace("${", "$${")),
            PersonDeed::Act(Act::Click { at, button, count }) => self.click(at, button, count),
            PersonDeed::Act(Act::Scroll { at, dx_px, dy_px }) => self.scroll(at, dx_px, dy_px),
            PersonDeed::Act(act) => {
                if let Act::Select { at, .. } | Act::Upload { at, .. } = &act {
                    self.forget_clicks_on(at);
                }
                self.steps.push(act);
            }
        }
        self.types = types;
    }

    /// Two clicks at one place are a double click; a third one is a click again.
    fn click(&mut self, at: Target, button: MouseButton, count: u8) {
        let is_first = |last: &Act<Target>| matches!(last, Act::Click { at: before, button: MouseButton::Left, count: 1 } if *before == at);
        let is_double = (button, count) == (MouseButton::Left, 2) && self.steps.last().is_some_and(is_first);
        if is_double {
            self.steps.pop();
        }
        self.steps.push(Act::Click { at, button, count: if is_double { 2 } else { 1 } });
    }

    fn scroll(&mut self, at: Target, dx_px: f64, dy_px: f64) {
        match self.steps.last_mut() {
            Some(Act::Scroll { at: last, dx_px: dx, dy_px: dy }) if *last == at => {
                *dx += dx_px;
                *dy += dy_px;
            }
            _ => self.steps.push(Act::Scroll { at, dx_px, dy_px }),
        }
    }

    /// The clicks that opened a list or a dialog of files are part of choosing.
    fn forget_clicks_on(&mut self, target: &Target) {
        while matches!(self.steps.last(), Some(Act::Click { at, .. }) if at == target) {
            self.steps.pop();
        }
    }

    fn typed(&self) -> Option<&String> {
        match self.steps.last() {
            Some(Act::Type { text }) if self.types => Some(text),
            _ => None,
        }
    }

    fn type_on(&mut self, more: &str) {
        match self.steps.last_mut() {
            Some(Act::Type { text }) if self.types => text.push_str(more),
            _ => self.steps.push(Act::Type { text: more.to_owned() }),
        }
    }

    /// Takes the last character back that was typed in this step; false if there is none.
    fn take_back(&mut self) -> bool {
        let Some(Act::Type { text }) = self.steps.last_mut().filter(|_| self.types) else { return false };
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

    /// What the steps do not say.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// What was aimed at so far, to be described better.
    pub fn targets_mut(&mut self) -> Vec<&mut Target> {
        self.steps.iter_mut().flat_map(Act::places_mut).collect()
    }

    /// The steps, without what ended the recording, such as keys that close the window.
    pub fn into_steps(mut self) -> Vec<Step> {
        let closes =
            [[Key::Control, Key::Char('w')], [Key::Control, Key::Char('q')], [Key::Alt, Key::Function(4)]];
        let is_end =
            |act: &Act<Target>| matches!(act, Act::Press { chord } if closes.iter().any(|end| chord == end));
        if self.steps.last().is_some_and(is_end) {
            self.steps.pop();
        }
        self.steps.into_iter().map(Step::Act).collect()
    }
}

impl Target {
    /// What a picture shows, at a pixel of the screenshot that it was cut from.
    pub fn pictured(description: String, file: std::path::PathBuf, at: [f64; 2]) -> Self {
        Self {
            description,
            place: Some(Place::Picture { file, near: Some(at) }),
            scroll: false,
            offset: None,
            earlier: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use vigorl_interface::parse_chord;

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
        Step::Act(Act::Type { text: text.to_owned() })
    }

    fn pressed(chord: &str) -> Step {
        Step::Act(Act::Press { chord: parse_chord(chord).unwrap() })
    }

    #[test]
    fn keys_become_text_until_something_else_is_done() {
        check(
            r#"{"type": "type", "text": "a"}
               {"type": "type", "text": "b$"}
               {"type": "press", "chord": "Backspace"}
               {"type": "type", "text": "c ${x}"}
               {"type": "press", "chord": "Enter"}
               {"type": "press", "chord": "Backspace"}
               {"type": "type", "text": "d"}
               {"type": "press", "chord": "Backspace"}
               {"type": "press", "chord": "Control+w"}"#,
            &[typed("abc $${x}"), pressed("Enter"), pressed("Backspace")],
        );
    }

    #[test]
    fn passwords_are_one_secret() {
        check(
            r#"{"secret": 1}
               {"secret": 1}
               {"type": "press", "chord": "Backspace"}
               {"type": "press", "chord": "Tab"}
"#,
            &[typed(SECRET), pressed("Backspace"), pressed("Tab")],
        );
    }

    #[test]
    fn clicks_become_what_they_were_for() {
        let on = |name: &str| Target {
            description: name.to_owned(),
            place: Some(Place::selector(format!("#{name}"))),
            scroll: false,
            offset: None,
            earlier: Vec::new(),
        };
        check(
            r##"{"type": "click", "at": {"what": "a", "selector": "#a"}, "button": "left", "count": 1}
               {"type": "click", "at": {"what": "a", "selector": "#a"}, "button": "left", "count": 2}
               {"type": "click", "at": {"what": "a", "selector": "#a"}, "button": "right", "count": 1}
               {"type": "click", "at": {"what": "b", "selector": "#b"}, "button": "left", "count": 1}
               {"type": "select", "at": {"what": "b", "selector": "#b"}, "option": "two"}
               {"type": "scroll", "at": {"what": "b", "selector": "#b"}, "dx_px": 0, "dy_px": 100}
               {"type": "scroll", "at": {"what": "b", "selector": "#b"}, "dx_px": 0, "dy_px": 20}"##,
            &[
                Step::Act(Act::Click { at: on("a"), button: MouseButton::Left, count: 2 }),
                Step::Act(Act::Click { at: on("a"), button: MouseButton::Right, count: 1 }),
                Step::Act(Act::Select { at: on("b"), option: "two".to_owned() }),
                Step::Act(Act::Scroll { at: on("b"), dx_px: 0.0, dy_px: 120.0 }),
            ],
        );
    }
}
