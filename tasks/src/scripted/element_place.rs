//! An element of a page, and what tells it from others: the same for targets, for clauses and for what is read.
//!
//! Invariant: an element is named in one way, by a selector, or by its name and role.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::pattern_fault;

/// An element, by a CSS selector or as assistive software names it, and which one it is of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElementPlace {
    /// A CSS selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// An accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A regular expression for an accessible name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_matches: Option<String>,
    /// `button`, `link`, `textbox`, `row`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// A text in whose row or box it stands.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Which of several that fit alike, in the order of the page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub nth: Option<u16>,
    /// Whether the name must be the whole one, letter by letter, as it must if this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
}

impl ElementPlace {
    /// What a CSS selector finds first.
    pub fn selector(selector: impl Into<String>) -> Self {
        Self { selector: Some(selector.into()), ..Self::default() }
    }

    /// What has this name, and this role if there is one.
    pub fn named(name: impl Into<String>, role: Option<&str>) -> Self {
        Self { name: Some(name.into()), role: role.map(str::to_owned), ..Self::default() }
    }

    /// What is wrong with it. A text that a variable is still to be filled into is not empty yet.
    pub(super) fn fault(&self) -> Option<String> {
        let Self { selector, name, name_matches, role, within, nth, exact } = self;
        let is_called = name.is_some() || name_matches.is_some() || role.is_some();
        let said = match (selector, is_called) {
            (None, false) => "an element needs a `selector`, or a `name`, `name_matches` or `role`",
            (Some(_), true) => "an element has a `selector`, or else a `name` and a `role`, not both",
            _ if name.is_some() && name_matches.is_some() => {
                "an element has a `name` or `name_matches`, not both"
            }
            _ if exact.is_some() && name.is_none() => "`exact` belongs to a `name`, which is missing",
            _ if *nth == Some(0) => "`nth` counts from 1",
            _ => "",
        };
        if !said.is_empty() {
            return Some(said.to_owned());
        }
        let texts = [("selector", selector), ("name", name), ("role", role), ("in", within)];
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        match texts.into_iter().find(|(_, text)| is_empty(text)) {
            Some((field, _)) => Some(format!("`{field}` is empty, so it says nothing: give it a text")),
            None => name_matches.as_deref().and_then(pattern_fault),
        }
    }

    /// Whether something that is called so may be meant.
    pub fn may_be_named(&self, called: &str, is_alike: impl Fn(&str, &str) -> bool) -> bool {
        let fits =
            |pattern: &String| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(called));
        self.name.as_ref().is_some_and(|name| is_alike(called, name))
            || self.name_matches.as_ref().is_some_and(fits)
    }
}

/// As it is called where nothing is said of its number.
impl fmt::Display for ElementPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.role.as_deref().unwrap_or("element");
        match (&self.selector, &self.name, &self.name_matches) {
            (Some(selector), ..) => write!(f, "`{selector}`")?,
            (None, Some(name), _) if self.exact == Some(false) => {
                write!(f, "{role} whose name has `{name}`")?;
            }
            (None, Some(name), _) => write!(f, "{role} named `{name}`")?,
            (None, None, Some(pattern)) => write!(f, "{role} whose name matches `{pattern}`")?,
            (None, None, None) => f.write_str(role)?,
        }
        match &self.within {
            Some(within) => write!(f, " in `{within}`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_named_in_one_way() {
        for (yaml, words) in [
            ("{ selector: '#a', in: Red Fox, nth: 2 }", None),
            ("{ name: Edit, role: button, exact: false }", None),
            ("{ name_matches: '^Order ${n}$' }", None),
            ("{ role: row }", None),
            ("{ nth: 2 }", Some("needs a `selector`")),
            ("{ selector: a, role: button }", Some("not both")),
            ("{ name: a, name_matches: b }", Some("not both")),
            ("{ role: button, exact: true }", Some("`exact` belongs to a `name`")),
            ("{ name: a, nth: 0 }", Some("counts from 1")),
            ("{ name: ' ' }", Some("`name` is empty")),
            ("{ name: a, in: '' }", Some("`in` is empty")),
            ("{ name_matches: '(' }", Some("is no pattern")),
            ("{ name_matches: '' }", Some("matches everything")),
        ] {
            let fault = serde_norway::from_str::<ElementPlace>(yaml).unwrap().fault();
            match words {
                None => assert_eq!(fault, None, "{yaml}"),
                Some(words) => {
                    assert!(fault.as_ref().is_some_and(|fault| fault.contains(words)), "{yaml}: {fault:?}");
                }
            }
        }
    }

    #[test]
    fn an_element_is_called_by_what_tells_it_from_others() {
        for (yaml, called) in [
            ("{ selector: '#a', nth: 2 }", "`#a`"),
            ("{ name: Edit }", "element named `Edit`"),
            ("{ name: Edit, role: button, in: Red Fox }", "button named `Edit` in `Red Fox`"),
            ("{ name: edit, role: link, exact: false }", "link whose name has `edit`"),
            ("{ name_matches: '^a', role: row }", "row whose name matches `^a`"),
            ("{ role: row }", "row"),
        ] {
            assert_eq!(serde_norway::from_str::<ElementPlace>(yaml).unwrap().to_string(), called);
        }
    }
}
