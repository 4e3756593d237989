//! How acts on fields, tabs and dialogs are written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vigorl_interface::{Act, TabSearch};

use super::Target;

/// Which field, and what is to stand in it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FillStep {
    /// The field, or its label.
    pub(super) target: Target,
    /// What is to stand in it and nothing else; a secret may be in it.
    pub(super) text: String,
}

/// Which tab.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TabStep {
    /// The one whose title contains this.
    TitleContains(String),
    /// The one whose address contains this.
    UrlContains(String),
    /// The one with this number, from 1, as the tabs were opened.
    Index(u16),
}

impl From<TabStep> for TabSearch {
    fn from(tab: TabStep) -> Self {
        match tab {
            TabStep::TitleContains(text) => Self::TitleContains(text),
            TabStep::UrlContains(text) => Self::UrlContains(text),
            TabStep::Index(number) => Self::Index(number),
        }
    }
}

impl From<TabSearch> for TabStep {
    fn from(search: TabSearch) -> Self {
        match search {
            TabSearch::TitleContains(text) => Self::TitleContains(text),
            TabSearch::UrlContains(text) => Self::UrlContains(text),
            TabSearch::Index(number) => Self::Index(number),
        }
    }
}

/// What is wrong with how a tab is found.
pub(super) fn tab_fault(search: &TabSearch) -> Option<String> {
    match search {
        TabSearch::TitleContains(text) | TabSearch::UrlContains(text) if text.is_empty() => {
            Some("`switch_tab` needs a text: an empty one is in every title and address".to_owned())
        }
        TabSearch::Index(0) => Some("`index` of a tab counts from 1".to_owned()),
        _ => None,
    }
}

/// How the dialog is answered: `accept`, `dismiss` or `{ accept: TEXT }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DialogStep {
    pub(super) accept: bool,
    pub(super) text: Option<String>,
}

impl From<DialogStep> for Act<Target> {
    fn from(DialogStep { accept, text }: DialogStep) -> Self {
        Self::AnswerDialog { accept, text }
    }
}

impl Serialize for DialogStep {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) if self.accept => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("accept", text)?;
                map.end()
            }
            _ => to.serialize_str(if self.accept { "accept" } else { "dismiss" }),
        }
    }
}

impl<'de> Deserialize<'de> for DialogStep {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = DialogStep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`accept`, `dismiss`, or `{ accept: the text for its field }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<DialogStep, E> {
                match word {
                    "accept" => Ok(DialogStep { accept: true, text: None }),
                    "dismiss" => Ok(DialogStep { accept: false, text: None }),
                    other => Err(E::unknown_variant(other, &["accept", "dismiss"])),
                }
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<DialogStep, M::Error> {
                let mut text = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "accept" => text = Some(map.next_value::<String>()?),
                        other => return Err(de::Error::unknown_field(other, &["accept"])),
                    }
                }
                match text {
                    Some(text) => Ok(DialogStep { accept: true, text: Some(text) }),
                    None => Err(de::Error::missing_field("accept")),
                }
            }
        }
        source.deserialize_any(Either)
    }
}

impl JsonSchema for DialogStep {
    fn schema_name() -> Cow<'static, str> {
        "DialogStep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How the dialog is answered; of a prompt with a text, what is typed into its field",
            "anyOf": [
                { "enum": ["accept", "dismiss"] },
                {
                    "type": "object",
                    "properties": { "accept": { "type": "string" } },
                    "required": ["accept"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use vigorl_interface::WhichTab;

    use super::super::step::testing::{check, parsed};
    use super::*;

    #[test]
    fn acts_on_fields_tabs_and_dialogs_are_read_and_written() {
        let fill =
            |text: &str| Act::Fill { at: "the field".into(), text: text.to_owned(), has_secret: false };
        check("fill: { target: the field, text: tea }", fill("tea"));
        check("fill: { target: { what: the field }, text: '' }", fill(""));
        check("clear: the field", fill(""));
        check("scroll_to: the end", Act::ScrollTo { at: Target { scroll: true, ..Target::from("the end") } });
        for (word, act) in [
            ("back", Act::Back),
            ("forward", Act::Forward),
            ("reload", Act::Reload),
            ("open_tab", Act::OpenTab),
            ("close_tab", Act::CloseTab),
        ] {
            check(word, act);
        }
        let tab = |search: TabSearch| Act::SwitchTab { tab: WhichTab::Found(search) };
        check("switch_tab: { title_contains: Cart }", tab(TabSearch::TitleContains("Cart".to_owned())));
        check("switch_tab: { url_contains: /cart }", tab(TabSearch::UrlContains("/cart".to_owned())));
        check("switch_tab: { index: 2 }", tab(TabSearch::Index(2)));
        let dialog = |accept, text: Option<&str>| Act::AnswerDialog { accept, text: text.map(str::to_owned) };
        check("dialog: accept", dialog(true, None));
        check("dialog: dismiss", dialog(false, None));
        check("dialog: { accept: Ann }", dialog(true, Some("Ann")));
    }

    #[test]
    fn faulty_ones_are_refused() {
        for (step, words) in [
            ("fill: { target: the field }", "missing field `text`"),
            ("fill: the field", "invalid type"),
            ("switch_tab: { title_contains: '' }", "`switch_tab` needs a text"),
            ("switch_tab: { index: 0 }", "counts from 1"),
            ("switch_tab: { name: x }", "unknown variant `name`"),
            ("dialog: maybe", "unknown variant `maybe`"),
            ("dialog: { dismiss: x }", "unknown field `dismiss`"),
            ("backward", "unknown variant `backward`"),
        ] {
            let said = parsed(step).unwrap_err();
            assert!(said.contains(words), "{step}: {said}");
        }
    }
}
