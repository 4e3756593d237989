//! Which tab is meant. Invariant: a tab is named by its number for programs, or by what a person sees of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TabId;

/// A tab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WhichTab {
    /// One of [`Driver::tabs`](crate::Driver::tabs).
    Id(TabId),
    /// The one that is found.
    Found(TabSearch),
}

/// How a tab is found. Several that fit are refused, and so is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TabSearch {
    /// By a part of its title.
    TitleContains(String),
    /// By a part of its address.
    UrlContains(String),
    /// By its number, from 1, as the tabs were opened.
    Index(u16),
}

impl From<TabId> for WhichTab {
    fn from(tab: TabId) -> Self {
        Self::Id(tab)
    }
}

impl From<TabSearch> for WhichTab {
    fn from(search: TabSearch) -> Self {
        Self::Found(search)
    }
}

impl fmt::Display for WhichTab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(TabId(id)) => write!(f, "tab {id}"),
            Self::Found(search) => search.fmt(f),
        }
    }
}

impl fmt::Display for TabSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TitleContains(text) => write!(f, "tab whose title contains `{text}`"),
            Self::UrlContains(text) => write!(f, "tab whose address contains `{text}`"),
            Self::Index(number) => write!(f, "tab number {number}"),
        }
    }
}
