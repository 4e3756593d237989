//! What a task reads off its world, for later steps.
//!
//! Invariant: a password field is never read, and what cannot be read is a reason, never an empty text.

use std::fmt;

use vigorl_interface::Driver;

use super::element::text_of;
use super::judge::told;
use super::step::{ReadStep, ScreenSource, Source};
use super::target::pattern_fault;
use crate::{Failure, Senses};

impl ReadStep {
    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        let is_name =
            !self.into.is_empty() && self.into.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        match &self.of {
            _ if !is_name => {
                Some(format!("`{}` is no name of a variable: letters, digits, `_` and `-` are", self.into))
            }
            Source::Element(element) => element.fault(),
            Source::Screen(screen) => screen.fault(),
            _ => None,
        }
    }

    /// Reads it now; or why that cannot be done.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn read(
        &self,
        driver: &mut dyn Driver,
        senses: &mut dyn Senses,
    ) -> Result<Result<String, String>, Failure> {
        let absent = |what: &str| format!("there is no {what} here");
        Ok(match &self.of {
            Source::Title => driver.page_state()?.title.ok_or_else(|| absent("title")),
            Source::Url => driver.page_state()?.url.ok_or_else(|| absent("address")),
            Source::Clipboard => told(driver.clipboard())?,
            Source::Element(element) => text_of(driver, element)?,
            Source::Screen(screen) => match told(driver.screenshot())? {
                Ok(screenshot) => senses.read_text(&screenshot, screen)?,
                Err(why) => Err(why),
            },
        })
    }
}

impl ScreenSource {
    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        match self {
            Self { beside: Some(_), below: Some(_), .. } => {
                Some("`read` of the screen has one label: `beside` or `below`".to_owned())
            }
            Self { beside: None, below: None, matches: None } => {
                Some("`read` of the screen needs `beside`, `below` or `matches`".to_owned())
            }
            _ if is_empty(&self.beside) || is_empty(&self.below) => {
                Some("a label without a text stands nowhere".to_owned())
            }
            _ => self.matches.as_deref().and_then(pattern_fault),
        }
    }
}

impl fmt::Display for ReadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Source::Title => f.write_str("read the title")?,
            Source::Url => f.write_str("read the address")?,
            Source::Clipboard => f.write_str("read the clipboard")?,
            Source::Screen(ScreenSource { beside, below, matches }) => {
                match (beside, below) {
                    (Some(label), _) => write!(f, "read what stands beside `{label}`")?,
                    (None, Some(label)) => write!(f, "read what stands below `{label}`")?,
                    (None, None) => f.write_str("read what is on the screen")?,
                }
                if let Some(pattern) = matches {
                    write!(f, " and matches `{pattern}`")?;
                }
            }
            Source::Element(element) => write!(f, "read the {element}")?,
        }
        write!(f, " into `{}`", self.into)
    }
}
