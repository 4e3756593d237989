//! Loading pages: by an address, in the history of a tab, and again. Invariant: what is not on an allowed host is not asked
//! for, wherever the address comes from.

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use vigorl_interface::{DriverError, Note};

use crate::WebDriver;
use crate::address::completed;

impl WebDriver {
    /// Loads an address that a task or a policy asked for.
    pub(crate) fn navigate(&self, url: &str) -> Result<(), DriverError> {
        let mut asked = Ok(());
        let open = || match self.session.script("navigate", "return location.href", Vec::new()) {
            Ok(url) => url.as_str().map(str::to_owned),
            Err(error) => {
                asked = Err(error);
                None
            }
        };
        let url = completed(url, open);
        asked?;
        let url = url.map_err(|detail| DriverError::Refused { request: "navigate", detail })?;
        self.expect_allowed("navigate", &url)?;
        self.navigate_to(&url)
    }

    pub(crate) fn navigate_to(&self, url: &str) -> Result<(), DriverError> {
        self.session.send("navigate", Command::NavigateTo(url.into()))?;
        self.expect_loaded("navigate", url)
    }

    fn expect_allowed(&self, request: &'static str, url: &str) -> Result<(), DriverError> {
        match &self.options.allowed_hosts {
            Some(hosts) if !hosts.allow(url) => {
                Err(DriverError::Refused { request, detail: format!("{url} is not on an allowed host") })
            }
            _ => Ok(()),
        }
    }

    /// Some failures only show as the browser's own error page.
    fn expect_loaded(&self, request: &'static str, url: &str) -> Result<(), DriverError> {
        match self.session.script(request, "return location.protocol", Vec::new()) {
            Ok(Value::String(protocol)) if protocol == "chrome-error:" => {
                Err(DriverError::Refused { request, detail: format!("the browser could not load {url}") })
            }
            // A page that greets with a dialog is loaded.
            Ok(_) | Err(DriverError::DialogOpen { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Goes back or forward in the tab's history.
    pub(crate) fn go(&mut self, request: &'static str, there: Command, by: i64) -> Result<(), DriverError> {
        let history = || self.session.devtools(request, "Page.getNavigationHistory", json!({}));
        let at = |history: &Value| history["currentIndex"].as_i64().unwrap_or_default();
        let before = history()?;
        let to = at(&before) + by;
        let Some(entry) = usize::try_from(to).ok().and_then(|to| before["entries"].get(to)) else {
            let end = if by < 0 { "first" } else { "last" };
            let detail = format!("this is the {end} page of the tab");
            return Err(DriverError::Refused { request, detail });
        };
        let url = entry["url"].as_str().unwrap_or_default();
        self.expect_allowed(request, url)?;
        self.session.send(request, there)?;
        self.expect_loaded(request, url)?;
        // A page may keep whoever would leave it.
        if history().is_ok_and(|history| at(&history) == to) {
            self.note = Note::there();
        }
        Ok(())
    }

    /// Loads the page again.
    pub(crate) fn reload(&mut self) -> Result<(), DriverError> {
        let loaded = || self.session.devtools("reload", "Page.getFrameTree", json!({}));
        let frame = |tree: &Value, name: &str| tree["frameTree"]["frame"][name].clone();
        let before = loaded()?;
        let url = frame(&before, "url").as_str().unwrap_or_default().to_owned();
        self.expect_allowed("reload", &url)?;
        self.session.send("reload", Command::Refresh)?;
        self.expect_loaded("reload", &url)?;
        if loaded().is_ok_and(|after| frame(&after, "loaderId") != frame(&before, "loaderId")) {
            self.note = Note::there();
        }
        Ok(())
    }
}
