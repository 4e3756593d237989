//! Clauses about a text: written as the text alone, or with how it is judged.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is shown, or is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextClause {
    /// The text.
    pub text: String,
    /// What is asked; the page if absent, and the screen where there is no page.
    pub on: Option<On>,
    /// Whether it also counts where the run typed it itself. A page shows what stands in its fields either way.
    pub typed: bool,
}

/// What is asked about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The pixels of the screen, also where there is a page.
    Screen,
}

impl From<&str> for TextClause {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), on: None, typed: false }
    }
}

/// A text, and how it is judged.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The text.
    text: String,
    /// `screen`: the pixels are asked, also where there is a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<On>,
    /// On pixels, whether the text also counts where the run typed it itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    typed: bool,
}

impl<'de> Deserialize<'de> for TextClause {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TextClause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or `{ text: …, on: screen }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextClause, E> {
                Ok(text.into())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<TextClause, M::Error> {
                let Written { text, on, typed } = Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TextClause { text, on, typed })
            }
        }
        source.deserialize_any(Either)
    }
}

impl Serialize for TextClause {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self { text, on: None, typed: false } => text.serialize(to),
            Self { text, on, typed } => Written { text, on, typed }.serialize(to),
        }
    }
}

impl JsonSchema for TextClause {
    fn schema_name() -> Cow<'static, str> {
        "TextClause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<String>(), generator.subschema_for::<Written>());
        json_schema!({ "description": "A text, or a text and how it is judged", "anyOf": [short, long] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: TextClause) {
        let got: TextClause = serde_norway::from_str(yaml).unwrap();
        assert_eq!(got, expected);
        let written = serde_norway::to_string(&got).unwrap();
        assert_eq!(serde_norway::from_str::<TextClause>(&written).unwrap(), got);
    }

    #[test]
    fn a_text_is_written_alone_or_with_how_it_is_judged() {
        check("saved", "saved".into());
        check("{ text: saved }", "saved".into());
        let on_screen = TextClause { on: Some(On::Screen), ..TextClause::from("saved") };
        check("{ text: saved, on: screen }", on_screen.clone());
        check("{ text: saved, on: screen, typed: true }", TextClause { typed: true, ..on_screen });
        assert_eq!(serde_norway::to_string(&TextClause::from("saved")).unwrap(), "saved\n");
        for fault in ["{ text: saved, on: page }", "{ on: screen }", "{ text: a, of: b }", "[a]"] {
            assert!(serde_norway::from_str::<TextClause>(fault).is_err(), "{fault}");
        }
    }
}
