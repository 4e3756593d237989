//! Loading pages: by an address, in the history of a tab, and again. Invariant: what is not on an allowed host is not asked
//! for, wherever the address comes from.

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use vigorl_interface::{Certificates, DriverError, Note};

use crate::WebDriver;
use crate::address::completed;

/// The scheme of the page; the browser's own error page says of itself what went wrong, and with which HTTP status.
const LOADED: &str = "if (location.protocol !== 'chrome-error:') return [location.protocol];
    const [load] = performance.getEntriesByType('navigation');
    return [location.protocol, globalThis.loadTimeDataRaw?.errorCode, load?.responseStatus];";

/// What a browser says of a page that it could not load.
pub(crate) struct Trouble<'a> {
    /// Such as `ERR_CONNECTION_REFUSED`; may be empty.
    pub(crate) code: &'a str,
    /// That of HTTP, or 0.
    pub(crate) status: u64,
}

/// Why a page was not loaded, and what helps.
pub(crate) fn not_loaded(
    request: &'static str,
    url: &str,
    trouble: &Trouble<'_>,
    trusted: Option<&Certificates>,
) -> DriverError {
    let Trouble { code, status } = *trouble;
    if code.contains("ERR_CERT_") {
        let cure = match trusted {
            Some(Certificates::OfKeys(_)) => {
                "its key is none of those in `certificates`: if the server is meant, add the fingerprint of its key"
            }
            _ => {
                "if the server is meant, trust it by `start: { certificates: [FINGERPRINT] }` or `--certificates FINGERPRINT`, \
                 or any server by `accept-any` there"
            }
        };
        let detail = format!("{url}: the certificate of the server is not trusted ({code}); {cure}");
        return DriverError::NoAccess { detail };
    }
    // The browser shows nothing of a page that asks for a password which nobody gives.
    if status == 401 {
        let detail = format!(
            "{url}: the server asks for a user and a password (HTTP status 401); `start: {{ basic_auth: {{ user: …, password: … \
             }} }}` or `--basic-auth` says them for the origin of the start page, and where that asks for them"
        );
        return DriverError::NoAccess { detail };
    }
    let code = if code.is_empty() { String::new() } else { format!(": {code}") };
    DriverError::Refused { request, detail: format!("the browser could not load {url}{code}") }
}

impl WebDriver {
    /// Loads an address that a task or a policy asked for.
    pub(crate) fn navigate(&self, url: &str) -> Result<(), DriverError> {
        let url = self.address("navigate", url)?;
        self.navigate_to(&url)
    }

    /// The whole of an address that may be loaded.
    pub(crate) fn address(&self, request: &'static str, url: &str) -> Result<String, DriverError> {
        let mut asked = Ok(());
        let open = || match self.session.script(request, "return location.href", Vec::new()) {
            Ok(url) => url.as_str().map(str::to_owned),
            Err(error) => {
                asked = Err(error);
                None
            }
        };
        let url = completed(url, open);
        asked?;
        let url = url.map_err(|detail| DriverError::Refused { request, detail })?;
        self.expect_allowed(request, &url)?;
        Ok(url)
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
        match self.session.script(request, LOADED, Vec::new()) {
            Ok(said) if said[0] == "chrome-error:" => {
                let trouble = Trouble {
                    code: said[1].as_str().unwrap_or_default(),
                    status: said[2].as_u64().unwrap_or_default(),
                };
                Err(not_loaded(request, url, &trouble, self.options.visitor.certificates.as_ref()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_loaded_is_told_with_its_cause_and_what_helps() {
        let told = |code: &str, status: u64, trusted: Option<&str>| {
            let trusted: Option<Certificates> = trusted.map(|text| text.parse().unwrap());
            let why = not_loaded("navigate", "https://a.test/", &Trouble { code, status }, trusted.as_ref());
            assert_eq!(
                matches!(why, DriverError::NoAccess { .. }),
                code.contains("CERT") || status == 401,
                "{why}"
            );
            why.to_string()
        };
        let unknown = "net::ERR_CERT_AUTHORITY_INVALID";
        assert!(
            told(unknown, 0, None)
                .contains("not trusted (net::ERR_CERT_AUTHORITY_INVALID); if the server is meant, trust it")
        );
        let key = "95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww=";
        assert!(told(unknown, 0, Some(key)).contains("its key is none of those in `certificates`"));
        assert!(told("", 401, None).contains("`--basic-auth`"));
        let refused = "`navigate` was refused: the browser could not load https://a.test/";
        assert_eq!(told("ERR_CONNECTION_REFUSED", 0, None), format!("{refused}: ERR_CONNECTION_REFUSED"));
        assert_eq!(told("", 0, None), refused);
    }
}
