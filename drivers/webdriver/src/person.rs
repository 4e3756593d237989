//! Watching a person in the browser. Invariant: nothing is done to the page but that a script listens in it.

use serde_json::{Value, json};
use vigorl_interface::{Action, Driver as _, DriverError, TabId};

use crate::WebDriver;
use crate::console::take_log;

impl WebDriver {
    /// Runs `script` in this page, and in every later one of this tab before the page's own scripts.
    ///
    /// # Errors
    /// If the browser failed.
    pub fn listen(&mut self, script: &str) -> Result<(), DriverError> {
        let parameters = json!({ "source": script });
        self.session().devtools("listen", "Page.addScriptToEvaluateOnNewDocument", parameters)?;
        let now = json!({ "expression": script });
        self.session().devtools("listen", "Runtime.evaluate", now).map(drop)
    }

    /// Takes the console messages since the last call that begin with `prefix`, without it. The browser must have been
    /// started with [`crate::Options::console`].
    ///
    /// # Errors
    /// If the browser failed; a closed tab is [`DriverError::Gone`].
    pub fn heard(&mut self, prefix: &str) -> Result<Vec<String>, DriverError> {
        let messages = take_log(self.session())?;
        // An entry is `SOURCE LINE:COLUMN "TEXT"`, the text as JSON; a source may hold quotes itself.
        let begin = format!("\"{prefix}");
        let text = |entry: &Value| {
            let message = entry["message"].as_str()?;
            let quoted = &message[message.find(&begin)?..];
            let text: String = serde_json::from_str(quoted).ok()?;
            text.strip_prefix(prefix).map(str::to_owned)
        };
        Ok(messages.iter().filter_map(text).collect())
    }

    /// A tab that was opened since `known`, made current; the person works there now.
    ///
    /// # Errors
    /// If the browser failed.
    pub fn follow(&mut self, known: &mut Vec<TabId>) -> Result<bool, DriverError> {
        let tabs = self.tabs()?;
        let opened = tabs.iter().rev().find(|tab| !known.contains(tab)).cloned();
        *known = tabs;
        match opened {
            Some(tab) => self.act(&Action::SwitchTab { tab: tab.into() }).map(|()| true),
            None => Ok(false),
        }
    }
}
