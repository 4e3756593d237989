//! How a click is written: by its target alone, or with how it is done.
//!
//! The keys of a target say where it is, and those beside it how it is clicked: a map with `target` in it is the second
//! kind, as in every other step that has more to say than its target.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vigorl_interface::{Act, Key, MouseButton};

use super::Target;
use super::reread::Reread;

/// What is clicked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Clicked {
    /// With the left button, once.
    Plainly(Target),
    /// As it says.
    With(ClickStep),
}

/// What is clicked, and how.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClickStep {
    /// What.
    target: Target,
    /// Keys that are down meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    modifiers: Vec<Modifier>,
    /// `left` if absent.
    #[serde(default, skip_serializing_if = "Button::is_left")]
    button: Button,
    /// How often, from 1 to 3; once if absent.
    #[serde(default = "once", deserialize_with = "times", skip_serializing_if = "is_once")]
    #[schemars(range(min = 1, max = 3))]
    times: u8,
    /// Seconds for which the button stays down, up to 3.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 3))]
    hold_secs: f64,
}

/// A key that is down during a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum Modifier {
    Control,
    Shift,
    Alt,
    Meta,
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Button {
    #[default]
    Left,
    Middle,
    Right,
}

impl Button {
    fn is_left(&self) -> bool {
        *self == Self::Left
    }
}

impl From<Button> for MouseButton {
    fn from(button: Button) -> Self {
        match button {
            Button::Left => Self::Left,
            Button::Middle => Self::Middle,
            Button::Right => Self::Right,
        }
    }
}

impl From<MouseButton> for Button {
    fn from(button: MouseButton) -> Self {
        match button {
            MouseButton::Left => Self::Left,
            MouseButton::Middle => Self::Middle,
            MouseButton::Right => Self::Right,
        }
    }
}

impl From<Modifier> for Key {
    fn from(modifier: Modifier) -> Self {
        match modifier {
            Modifier::Control => Self::Control,
            Modifier::Shift => Self::Shift,
            Modifier::Alt => Self::Alt,
            Modifier::Meta => Self::Meta,
        }
    }
}

/// Longest that a button is held, several times in a row as well.
const LONGEST_SECS: f64 = 3.0;
const MOST_TIMES: u8 = 3;

fn once() -> u8 {
    1
}

fn is_once(times: &u8) -> bool {
    *times == 1
}

fn is_zero(secs: &f64) -> bool {
    *secs == 0.0
}

fn times<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let times = u8::deserialize(from)?;
    match (1..=MOST_TIMES).contains(&times) {
        true => Ok(times),
        false => Err(de::Error::custom(format!("`times` of a click is from 1 to {MOST_TIMES}"))),
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let secs = f64::deserialize(from)?;
    match (0.0..=LONGEST_SECS).contains(&secs) {
        true => Ok(secs),
        false => Err(de::Error::custom(format!("`hold_secs` of a click is from 0 to {LONGEST_SECS}"))),
    }
}

impl From<Clicked> for Act<Target> {
    fn from(clicked: Clicked) -> Self {
        match clicked {
            Clicked::Plainly(at) => Self::click(at),
            Clicked::With(ClickStep { target: at, modifiers, button, times: count, hold_secs }) => {
                let (button, hold_ms) = (button.into(), (hold_secs * 1e3).round() as u32);
                let keys: Vec<Key> = modifiers.into_iter().map(Key::from).collect();
                match keys.is_empty() && hold_ms == 0 {
                    true => Self::Click { at, button, count },
                    false => Self::HeldClick { at, button, count, keys, hold_ms },
                }
            }
        }
    }
}

impl Clicked {
    /// A click with whatever has no word of its own.
    pub(super) fn with(
        target: Target,
        button: MouseButton,
        times: u8,
        keys: &[Key],
        hold_ms: u32,
    ) -> Result<Self, String> {
        let modifier = |key: &Key| match key {
            Key::Control => Ok(Modifier::Control),
            Key::Shift => Ok(Modifier::Shift),
            Key::Alt => Ok(Modifier::Alt),
            Key::Meta => Ok(Modifier::Meta),
            other => Err(format!("no task holds {other} during a click")),
        };
        let modifiers = keys.iter().map(modifier).collect::<Result<_, _>>()?;
        let (button, hold_secs) = (button.into(), f64::from(hold_ms) / 1e3);
        Ok(Self::With(ClickStep { target, modifiers, button, times, hold_secs }))
    }
}

impl Serialize for Clicked {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plainly(target) => target.serialize(to),
            Self::With(click) => click.serialize(to),
        }
    }
}

impl JsonSchema for Clicked {
    fn schema_name() -> Cow<'static, str> {
        "Click".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (plain, with) = (generator.subschema_for::<Target>(), generator.subschema_for::<ClickStep>());
        json_schema!({ "description": "What is clicked, or also how", "anyOf": [plain, with] })
    }
}

/// Keys that say how, and not where.
const HOW: [&str; 5] = ["target", "modifiers", "button", "times", "hold_secs"];

impl<'de> Deserialize<'de> for Clicked {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Clicked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a description, `{ what: description, … }`, or `{ target: …, modifiers: [Control] }`",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Clicked, E> {
                Ok(Clicked::Plainly(text.into()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Clicked, M::Error> {
                let map = Reread::begin(map)?;
                let says_how = map.first().is_some_and(|key| HOW.contains(&key));
                let whole = MapAccessDeserializer::new(map);
                match says_how {
                    true => ClickStep::deserialize(whole).map(Clicked::With),
                    false => Target::deserialize(whole).map(Clicked::Plainly),
                }
            }
        }
        source.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::testing::{check, parsed};
    use super::*;

    #[test]
    fn a_click_says_what_is_clicked_and_may_say_how() {
        let at = || Target::from("the link");
        let held = |at, button, count, keys: &[Key], hold_ms| Act::HeldClick {
            at,
            button,
            count,
            keys: keys.to_vec(),
            hold_ms,
        };
        check("click: the link", Act::click(at()));
        check(
            "click: { what: the link, offset: [4, -2] }",
            Act::click(Target { offset: Some([4.0, -2.0]), ..at() }),
        );
        check("click: { target: the link }", Act::click(at()));
        check(
            "click: { modifiers: [Control, Shift], target: { what: the link } }",
            held(at(), MouseButton::Left, 1, &[Key::Control, Key::Shift], 0),
        );
        check(
            "click: { target: the link, button: middle, hold_secs: 0.8 }",
            held(at(), MouseButton::Middle, 1, &[], 800),
        );
        check(
            "click: { target: the link, button: middle }",
            Act::Click { at: at(), button: MouseButton::Middle, count: 1 },
        );
        check(
            "click: { target: the link, times: 3 }",
            Act::Click { at: at(), button: MouseButton::Left, count: 3 },
        );
        check(
            "click: { target: the link, times: 2, button: right, modifiers: [Alt] }",
            held(at(), MouseButton::Right, 2, &[Key::Alt], 0),
        );
    }

    #[test]
    fn a_faulty_click_is_refused_with_its_place_and_the_words_that_there_are() {
        for (step, words) in [
            ("click: { target: a, hold_secs: 9 }", "`hold_secs` of a click is from 0 to 3"),
            ("click: { target: a, hold_secs: -1 }", "from 0 to 3"),
            ("click: { target: a, times: 0 }", "`times` of a click is from 1 to 3"),
            ("click: { target: a, modifiers: [Enter] }", "Control"),
            ("click: { target: a, what: b }", "unknown field `what`"),
            ("click: { what: a, modifiers: [Control] }", "unknown field `modifiers`"),
            ("click: { modifiers: [Control] }", "missing field `target`"),
            ("click: { target: { what: a, text: '' } }", "an empty text"),
            ("click: {}", "missing field `what`"),
        ] {
            let said = parsed(step).unwrap_err();
            assert!(said.contains(words), "{step}: {said}");
        }
    }
}
